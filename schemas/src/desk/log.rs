//! The log: events of it, anchors, proofs, exports.

use serde::{Deserialize, Serialize};

use super::messages;
use crate::contract::ContractRef;
use crate::digest::Digest;
use crate::id::{DatasetId, Did, RunId};
use crate::log::ExportedEntry;
use crate::time::Timestamp;

messages! {
    /// Something happened to a contract, a run, or to what everyone reads of the register: an event of `/v1/events`. No body
    /// is told.
    EventNote {
        /// Index of the entry.
        index: u64,
        /// Kind of the entry, like `contract_signed`.
        kind: String,
        /// When it was entered.
        at: Timestamp,
        /// The contract.
        contract: Option<ContractRef>,
        /// The run.
        run_id: Option<RunId>,
        /// The dataset that was offered, or whose state or budget changed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        dataset: Option<DatasetId>,
        /// The participant whose registration or keys changed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        participant: Option<Did>,
    }
    /// Anchors a digest: it existed at this point of the log.
    AnchorRequest {
        /// The digest.
        sha256: Digest,
    }
    /// A consistency proof between two sizes of the log.
    ConsistencyProof {
        /// RFC 9162 2.1.4.
        proof: Vec<Digest>,
    }
    /// A page of the log with bodies and salts, for the SRO.
    AuditExport {
        /// The entries.
        entries: Vec<ExportedEntry>,
        /// The checkpoint note over `size` entries.
        checkpoint: String,
        /// The size of the log at that checkpoint.
        size: u64,
    }
}
