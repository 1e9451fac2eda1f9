//! Orders and runs.

use serde::{Deserialize, Serialize};

use super::messages;
use super::payment::ObligationView;
use crate::bundle::JobBundle;
use crate::certificate::ModelCertificate;
use crate::contract::Assurance;
use crate::digest::Digest;
use crate::envelope::Envelope;
use crate::event::{CompletedOutput, Completion, Obligation};
use crate::evidence::EvidenceKind;
use crate::id::RunId;
use crate::jwk::Jwk;
use crate::log::Receipt;
use crate::release::{Attested, KmsReceipt};

messages! {
    /// Orders a run.
    OrderRequest {
        /// The job with everything around it.
        bundle: JobBundle,
    }
    /// A run was ordered.
    OrderAnswer {
        /// The job.
        job_sha256: Digest,
        /// Receipt of the order's entry.
        receipt: Receipt,
    }
    /// A provider's agent asks for work.
    LeaseRequest {
        /// Seconds to wait for an order, at most 20.
        wait_seconds: u32,
    }
    /// Work for a provider's agent, for 60 seconds unless a run checks in with it.
    Leased {
        /// The job.
        job_sha256: Digest,
        /// Proves the lease at check-in.
        lease_token: String,
        /// The job with everything around it.
        bundle: JobBundle,
    }
    /// A run order.
    OrderView {
        /// `requested`, `leased`, `started`, `cancelled` or `lapsed`.
        state: String,
        /// The run that took it.
        run_id: Option<RunId>,
    }
    /// A clean room checks in.
    CheckIn {
        /// Transcript for the contract service, and evidence over it.
        attested: Attested,
        /// The job with everything around it.
        bundle: JobBundle,
        /// The lease under which the order was taken.
        lease_token: Option<String>,
    }
    /// Receipts of key services about a run.
    KmsReceipts {
        /// In the order of their sequences.
        receipts: Vec<Envelope<KmsReceipt>>,
    }
    /// A completion was entered, with what it owes.
    CompletionAnswer {
        /// Receipt of its entry.
        receipt: Receipt,
        /// What fell due in the same entry.
        obligations: Vec<Obligation>,
    }
    /// A run as the register knows it.
    RunView {
        /// The run.
        run_id: RunId,
        /// Its job.
        job_sha256: Digest,
        /// `attested`, `reserved`, `keys_released`, `training`, `completed`, `delivered` or `aborted`.
        state: String,
        /// The kind of evidence it showed; `software` means SIMULATED.
        evidence: EvidenceKind,
        /// How strong.
        assurance: Assurance,
        /// The run's signing key, as attested at check-in: completion and certificate verify with it.
        run_jwk: Jwk,
        /// Its key for wrapped data keys: with it the check-in's entry is known to the last member.
        enc_jwk: Jwk,
        /// Its completion.
        completion: Option<Envelope<Completion>>,
        /// Receipt of the completion's entry.
        receipt: Option<Receipt>,
        /// What it owes.
        obligations: Vec<ObligationView>,
        /// What the completion's entry lists, byte for byte: with it the receipt verifies.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        listed: Vec<Obligation>,
    }
    /// What opens a model: handed out only after the completion and its payments were entered.
    ContentKey {
        /// The content key as compact JWE to the TDC.
        content_key_jwe: String,
        /// The sealed model.
        output: CompletedOutput,
        /// Its certificate.
        certificate: Envelope<ModelCertificate>,
    }
}
