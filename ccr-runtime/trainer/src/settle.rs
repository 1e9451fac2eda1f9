//! What is settled once for the process, before the first tensor: the allocator and the threads.
//!
//! **Allocator.** As glibc comes, it gives every large tensor back to the kernel when it is dropped and faults it in
//! again at the next step: up to half of a step's time. It reads its settings when a program starts, so a program that
//! was started without them starts itself anew, in the same process, before it has read or said anything. What was
//! freed then stays in the process and is used again: the room's memory has to hold the peak, and does so from the
//! first steps on.
//!
//! **Waiting.** Threads that wait for each other sleep. As they come they spin, which on a machine that does anything
//! else holds up the very thread that is waited for: on two busy cores a step took two to ten times as long.
//!
//! **Cards.** Products of single precision stay whole: as they come, those of convolutions round to ten bits first, ten times
//! what the margin of the clip allows. And they repeat, as far as the libraries of the card let them.
//!
//! **Threads.** [`THREADS`] is a constant of this program, never that of the machine. Sums over a tensor are cut into as
//! many parts as there are threads, so another number may move last bits; the same image on the same class of CPU
//! gives the same bits, however many cores are free. So outcome and certificate do not state it: the image set that they
//! name is the program's, and the number with it.

use std::os::unix::process::CommandExt;
use std::process::Command;

/// Threads that work on one tensor operation.
pub const THREADS: i32 = 2;

/// Read at a program's start. By glibc: of the first thread's heap nothing below 1 GiB is mapped for itself, nothing goes
/// back to the kernel, and it grows by 64 MiB at a time; a second thread takes a second heap, made of pieces of 64 MiB, since of one heap
/// they wait for each other a hundred times in a step of an LSTM. By OpenMP: threads sleep while they wait. By oneDNN: products
/// stay whole, also on CPUs that could round them. By the libraries of a card: no rounded products, and a work space that lets products repeat.
const ENVIRONMENT: [(&str, &str); 8] = [
    ("MALLOC_MMAP_THRESHOLD_", "1073741824"),
    ("MALLOC_TRIM_THRESHOLD_", "2147483647"),
    ("MALLOC_TOP_PAD_", "67108864"),
    ("MALLOC_ARENA_MAX", "2"),
    ("OMP_WAIT_POLICY", "passive"),
    ("ONEDNN_DEFAULT_FPMATH_MODE", "STRICT"),
    ("NVIDIA_TF32_OVERRIDE", "0"),
    ("CUBLAS_WORKSPACE_CONFIG", ":4096:8"),
];

/// Settles allocator and waiting: returns at once where the environment says it already, else starts this program anew
/// with the same arguments and streams. Where that cannot be done it returns too: steps are slower
/// then, and oneDNN heeds what the environment says of precision, which for a room's worker is nothing.
pub fn environment() {
    if ENVIRONMENT.iter().all(|(name, value)| std::env::var(name).is_ok_and(|found| found == *value)) {
        return;
    }
    if let Ok(program) = std::env::current_exe() {
        // Only comes back where it failed.
        let _ = Command::new(program).args(std::env::args_os().skip(1)).envs(ENVIRONMENT).exec();
    }
}

/// So many threads for each tensor operation of the calling thread, and one operation at a time; and which library multiplies.
pub fn threads(count: i32) {
    tch::set_num_threads(count);
    tch::set_num_interop_threads(1);
    products::settle();
}
