//! Security versions of a platform's firmware parts, in the layouts of the products.

use std::fmt;

use schemas::platform::{Product, TcbLeast};

/// Security version numbers of a platform's firmware parts; `fmc` exists on Turin only.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Tcb {
    /// Firmware management controller.
    pub fmc: u8,
    /// Boot loader.
    pub bl: u8,
    /// Trusted execution environment of the security processor.
    pub tee: u8,
    /// SNP firmware.
    pub snp: u8,
    /// Microcode.
    pub ucode: u8,
}

impl Tcb {
    /// Reads the eight bytes of a report (AMD 56860, TCB_VERSION).
    pub(crate) fn read(raw: [u8; 8], product: Product) -> Tcb {
        let [a, b, c, d, _, _, snp, ucode] = raw;
        match product {
            Product::Turin => Tcb { fmc: a, bl: b, tee: c, snp: d, ucode },
            Product::Milan | Product::Genoa => Tcb { fmc: 0, bl: a, tee: b, snp, ucode },
        }
    }

    /// Whether every part is at least as new.
    pub(crate) fn covers(&self, least: &Tcb) -> bool {
        self.fmc >= least.fmc
            && self.bl >= least.bl
            && self.tee >= least.tee
            && self.snp >= least.snp
            && self.ucode >= least.ucode
    }
}

impl From<TcbLeast> for Tcb {
    fn from(least: TcbLeast) -> Tcb {
        let TcbLeast { fmc, bl, tee, snp, ucode } = least;
        Tcb { fmc, bl, tee, snp, ucode }
    }
}

impl fmt::Display for Tcb {
    /// fmc/bl/tee/snp/ucode.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}/{}/{}", self.fmc, self.bl, self.tee, self.snp, self.ucode)
    }
}

/// The product of a CPUID family and model as they stand in reports of version 3 and later.
pub(crate) fn product_of_cpuid(family: u8, model: u8) -> Option<Product> {
    match (family, model) {
        (0x19, 0..=0x0f) => Some(Product::Milan),
        (0x19, 0x10..=0x1f | 0xa0..=0xaf) => Some(Product::Genoa),
        (0x1a, _) => Some(Product::Turin),
        _ => None,
    }
}
