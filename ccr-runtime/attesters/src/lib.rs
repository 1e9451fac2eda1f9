//! The attesters that talk to hardware. The only crate that links a TPM library; the verifier in `attestation` needs
//! none.
//!
//! | module | machine | how |
//! |---|---|---|
//! | `azure` | Azure SEV-SNP confidential VM | vTPM by `az-snp-vtpm`, certificates by the instance metadata service |
//! | `snp_guest` | bare SEV-SNP guest | `/dev/sev-guest` |
//! | `swtpm` | SIMULATED: any TPM 2.0, made for `swtpm` | quotes by the TPM, report under a software root |
//!
//! Each gives one [`attestation::Attester`]. The two with a vTPM share [`VtpmAttester`]: one lock, one job per boot, and
//! patience until the report carries this transcript's data.

#[cfg(feature = "azure-attester")]
pub mod azure;
#[cfg(any(feature = "azure-attester", feature = "snp-guest-attester"))]
mod certificates;
pub mod collect;
#[cfg(feature = "snp-guest-attester")]
pub mod snp_guest;
#[cfg(feature = "swtpm-attester")]
pub mod swtpm;
#[cfg(feature = "tpm")]
pub mod tpm;
pub mod vtpm;

pub use collect::ReferenceValues;
pub use vtpm::{Patience, Vtpm, VtpmAttester};
