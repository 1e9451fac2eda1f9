//! Which library multiplies matrices.
//!
//! libtorch holds two: oneDNN, which convolves, and Intel's MKL, which multiplies. MKL gives the CPUs of other makers code
//! for AVX2 alone; on an AMD CPU with AVX-512, as clean rooms run on, oneDNN takes half the time for the same product. So
//! there, and only there, libtorch's four products of matrices (`mm`, `addmm`, `bmm`, `baddbmm`) are handed to oneDNN, in
//! single precision and from a size on at which its longer way there is made up for. All that is trained in this process
//! gains alike, with privacy and without.
//!
//! Sums inside a product are added up in another order, so last bits differ from MKL's, as those of one CPU do from
//! another's; in one process the same product gives the same bits.

mod shim;

use std::sync::OnceLock;

/// Hands products over where this CPU gains by it, once for the process; says whether it did. Afterwards it costs nothing.
pub fn settle() -> bool {
    static SETTLED: OnceLock<bool> = OnceLock::new();
    *SETTLED.get_or_init(shim::settle)
}
