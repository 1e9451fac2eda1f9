//! How a genuine clean room is recognised: evidence in, a list of judged checks out.
//!
//! [`appraise`] is a pure function of the evidence, the [`Expected`] values, the [`PlatformPolicy`] and a time. It has
//! no I/O, no clock, no TPM library, and does not panic on anything from outside. One path judges Azure confidential
//! VMs, bare SEV-SNP guests and, in demos, the software attester: the last makes the same bytes under a root of its own.
//!
//! Sources of the byte layouts: AMD 56860 (SEV-SNP firmware ABI), AMD 57230 (VCEK certificate and key distribution),
//! TCG TPM 2.0 Library Part 2 (structures), and the HCL envelope of Azure confidential VMs as observed.
//!
//! Reading order: [`appraise()`], [`Expected`], [`PlatformPolicy`], then the private parsers and checks of `snp`.

mod appraise;
mod attester;
mod brought;
mod checks;
mod der;
mod expected;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzz;
pub mod guest;
mod platform;
mod policy;
mod raw;
mod roots;
mod shown;
mod snp;
#[cfg(feature = "software-attester")]
pub mod software;
mod tcb;
#[cfg(test)]
mod tests;

pub use appraise::{appraise, bound_to_transcript};
pub use attester::Attester;
pub use brought::{Brought, der_blocks};
pub use checks::{CHECKS, POINTS};
pub use expected::{Expected, binding, job_pcr, shown_nonce, user_data};
pub use platform::{Level, PlatformTable};
pub use policy::{GuestRules, PlatformPolicy, Profile};
pub use roots::chain_of;
pub use schemas::platform::Product;
pub use shown::{Shown, shown};
pub use tcb::Tcb;

/// Whether this build carries the software attester. Services of profile `production` refuse to start with it.
pub const SOFTWARE_ATTESTER: bool = cfg!(feature = "software-attester");
