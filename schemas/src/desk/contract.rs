//! Contracts: acts on them, what became of them, how they are proved.

use serde::{Deserialize, Serialize};

use super::messages;
use crate::bundle::{BundledParticipant, Logged};
use crate::contract::{Contract, ContractState};
use crate::dataset::DatasetOffer;
use crate::digest::Digest;
use crate::envelope::{Envelope, PartySignature};
use crate::evidence::ImageSet;
use crate::id::{ContractId, Did};
use crate::lineage::LogLineage;
use crate::log::Receipt;
use crate::party::{Participant, Resolution};
use crate::time::Timestamp;

messages! {
    /// A further party's signature under a proposed contract.
    ContractSignature {
        /// The contract that is signed.
        contract_sha256: Digest,
        /// The signature over its bytes.
        signature: PartySignature,
    }
    /// What became of a contract by an act.
    ContractAnswer {
        /// Receipt of the act's entry.
        receipt: Receipt,
        /// The state now.
        state: ContractState,
        /// Receipt of the entry of the fully signed contract, when this act completed it.
        executed: Option<Receipt>,
    }
    /// A contract with the signatures so far.
    ContractView {
        /// The contract.
        contract: Envelope<Contract>,
        /// Its digest.
        sha256: Digest,
        /// Its state now.
        state: ContractState,
        /// Grows with everything that changes the contract, in any version.
        rev: u64,
        /// The newest version that was proposed to replace it while it is in force.
        amendment: Option<Digest>,
        /// Receipt of the fully signed contract, once it stands.
        executed: Option<Receipt>,
    }
    /// An entry about a contract, for its parties and the SRO.
    ContractEvent {
        /// Index of the entry.
        index: u64,
        /// When it was made.
        at: Timestamp,
        /// What was entered.
        body: crate::event::Body,
        /// Its receipt.
        receipt: Receipt,
    }
    /// A page of a contract's entries, oldest first.
    ContractEvents {
        /// The entries.
        events: Vec<ContractEvent>,
        /// Where the next page begins; none on the last.
        next: Option<String>,
    }
    /// Everything around a contract that its parties need to build a job and to verify it offline.
    ContractBundle {
        /// The contract.
        contracts: Vec<Logged<Contract>>,
        /// Its offers.
        offers: Vec<Logged<DatasetOffer>>,
        /// Its parties.
        participants: Vec<BundledParticipant>,
        /// Its image sets.
        image_sets: Vec<Logged<ImageSet>>,
        /// Renewals of its offers' budgets, of all consumers or of its own.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        renewals: Vec<Logged<crate::renewal::BudgetRenewal>>,
        /// How the log's key in use follows from earlier ones; none while the log has its first key.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        log_keys: Option<LogLineage>,
    }
    /// Contracts that a participant is party of.
    ContractList {
        /// The contracts.
        contracts: Vec<ContractRow>,
        /// Where the next page begins; none on the last.
        next: Option<String>,
    }
    /// A contract in a list.
    ContractRow {
        /// The contract.
        contract_id: ContractId,
        /// Its digest.
        sha256: Digest,
        /// Its state now.
        state: ContractState,
    }
    /// An application as entered: what it was signed with, and how a did:web was resolved.
    LoggedApplication {
        /// Signed by the participant.
        application: Envelope<Participant>,
        /// How the did:web was resolved; none for did:key and did:jwk.
        resolution: Option<Resolution>,
        /// Receipt of its entry.
        receipt: Receipt,
    }
    /// `depa-receipt+json`: that a contract is signed by all its parties and stands in the log, for whoever pins the
    /// registry, without network.
    ContractReceipt {
        /// The registry.
        registry: Did,
        /// Origin of the log.
        origin: String,
        /// The contract with all signatures, and the receipt of its execution.
        contract: Logged<Contract>,
        /// Its parties, as they applied: DID, first key, snapshot of the did:web document.
        applications: Vec<LoggedApplication>,
        /// Its parties, as two SRO people verified them, and every change of their keys since.
        participants: Vec<BundledParticipant>,
        /// The newest checkpoint with cosignatures of witnesses; none where there are no witnesses.
        cosigned: Option<String>,
        /// Consistency from the smaller to the larger of the cosigned checkpoint and that of the contract's receipt.
        consistency: Vec<Digest>,
        /// How the log's key in use follows from earlier ones; none while the log has its first key.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        log_keys: Option<LogLineage>,
    }
}
