//! The attesters: against a real software TPM, against fakes of what only a cloud or a CPU has, and beside the verifier
//! of `az-snp-vtpm`.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod cross_check;
mod guest;
mod imds;
mod machine;
mod snp_guest;
mod support;
mod swtpm;
mod whole_run;
