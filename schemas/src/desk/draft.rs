//! Drafts of contracts, and what stands in the way of a proposal.

use serde::{Deserialize, Serialize};

use super::messages;
use crate::digest::Digest;
use crate::id::Did;
use crate::time::Timestamp;

messages! {
    /// One reason why a contract could not be proposed as it is.
    Fault {
        /// A refusal code.
        code: String,
        /// One plain sentence.
        detail: String,
        /// The member concerned.
        field: Option<String>,
    }
    /// What stands in the way of a proposal; nothing was entered.
    ContractChecked {
        /// Every refusal; none for a contract that can be proposed now.
        refusals: Vec<Fault>,
    }
    /// A draft to be kept: as much of a `contract.v1` as is known.
    DraftRequest {
        /// Members of `contract.v1`.
        contract: serde_json::Value,
    }
    /// A draft, private to its owner.
    DraftView {
        /// The draft.
        draft_id: String,
        /// Counts the changes, from 1.
        rev: u32,
        /// When it was last changed.
        updated_at: Timestamp,
        /// As much of a `contract.v1` as is known.
        contract: serde_json::Value,
        /// Where it was imported from, with the foreign id and the names of its datasets.
        origin: Option<DraftOrigin>,
        /// What the importer wants its reader to know.
        notices: Vec<String>,
        /// What stands in the way of a proposal.
        refusals: Vec<Fault>,
    }
    /// The contract of another form that a draft was made of; it is kept byte for byte.
    DraftOrigin {
        /// `depa` for DEPA's JSON shapes.
        form: String,
        /// Its own id, which need not be unique.
        foreign_id: Option<String>,
        /// SHA-256 of its bytes.
        sha256: Digest,
        /// Who signed it, when it came signed; every signature was verified.
        signed_by: Vec<Did>,
        /// What its datasets are called there, in the order of the draft's.
        datasets: Vec<String>,
    }
    /// A page of the caller's drafts, the last changed first.
    DraftList {
        /// The drafts.
        drafts: Vec<DraftRow>,
        /// Where the next page begins; none on the last.
        next: Option<String>,
    }
    /// A draft in a list.
    DraftRow {
        /// The draft.
        draft_id: String,
        /// Counts the changes, from 1.
        rev: u32,
        /// When it was last changed.
        updated_at: Timestamp,
    }
}
