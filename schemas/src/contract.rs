//! The contract: the one document that every listed participant signs over the same bytes.

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::document;
use crate::evidence::EvidenceKind;
use crate::id::{ContractId, DataKeyId, DatasetId, Did, FamilyId, ImageSetId};
use crate::party::Kind;
use crate::privacy::Clause;
pub use crate::term::{Discount, Payee, PaymentTerm, Pricing, Rounding, Tax, TermKind, Tier, Trigger};
use crate::time::Timestamp;

/// A contract by id and digest.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ContractRef {
    /// The contract.
    pub id: ContractId,
    /// SHA-256 of its signed bytes.
    pub sha256: Digest,
}

/// A party and its role in the contract.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Party {
    /// Who.
    pub did: Did,
    /// As what: `tdp`, `tdc` or `ccrp`.
    pub role: Kind,
}

/// How strong the evidence must be that opens a key. Fixed per dataset key at registration.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Assurance {
    /// Simulated evidence of the software attester suffices: demos and tests only.
    Software,
    /// Genuine hardware evidence.
    Hardware,
}

/// Which key opens a dataset, and where it is asked for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ContractKey {
    /// Base URL of the TDP's key service.
    pub kms: String,
    /// The data key.
    pub key_id: DataKeyId,
    /// The least assurance that opens it.
    pub min_assurance: Assurance,
}

/// A dataset as contracted.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ContractDataset {
    /// The dataset.
    pub dataset_id: DatasetId,
    /// Its version.
    pub version: u32,
    /// Whose budget it draws on.
    pub family: FamilyId,
    /// The TDP.
    pub provider: Did,
    /// SHA-256 of the registered offer; pins the key service's signing key, the schema and the price.
    pub offer_sha256: Digest,
    /// Merkle root over header and chunks of the sealed object.
    pub manifest_root: Digest,
    /// Its key.
    pub key: ContractKey,
    /// The public count of principals that rates, δ and prices refer to: never the true count, which is no larger.
    pub public_rows: u64,
    /// Columns that the pipeline may read.
    pub allowed_columns: Vec<String>,
    /// Columns that the pipeline may join on.
    pub join_keys: Vec<String>,
    /// Columns that may be the target.
    pub target_columns: Vec<String>,
    /// What all runs under this contract may reveal of it.
    pub privacy: Clause,
    /// Whether stock confidential-container guests may fetch its key by the KBS protocol, and which; none may without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kbs: Option<KbsRelease>,
}

/// Lets guests that know nothing of this house fetch a dataset's key. Nobody sees what such a guest lets out, so its
/// first fetch costs all that is left of the dataset's clause.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KbsRelease {
    /// SHA-256 of each init-data document that such a guest may have been started with, ascending, each once, at most
    /// 16; where the list is empty, only guests without init-data.
    pub init_data: Vec<Digest>,
}

/// Where the contract may be executed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Compute {
    /// Approved image sets; an empty list denies.
    pub image_sets: Vec<ImageSetId>,
    /// Kinds of evidence; an empty list denies.
    pub evidence: Vec<EvidenceKind>,
    /// Named platform level for hardware evidence (`baseline`, `2026`, `strict`).
    pub platform_level: String,
    /// The most rooms that one run may take together, 1 to 16, each of which holds the data; one if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rooms_max: Option<u32>,
}

/// What may leave the room, and to whom.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Outputs {
    /// Only `model` exists.
    pub kinds: Vec<String>,
    /// The only reader.
    pub recipient: Did,
    /// Only `encrypted_to_recipient` exists.
    pub release: String,
}

/// What happens to running work at revocation.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Running {
    /// Runs are aborted at the next renewal.
    Abort,
    /// Runs that had their keys may finish; no new run begins.
    LetFinish,
}

/// Why a contract is ended early or suspended.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// No cause need be given.
    AtWill,
    /// A party broke the contract.
    Breach,
    /// A security incident at a party, a platform or a clean room.
    SecurityIncident,
    /// Principals withdrew their consent.
    ConsentWithdrawn,
    /// A law, court or regulator demands it.
    LegalOrder,
    /// What was owed was not paid.
    NonPayment,
    /// A party left the registry or was suspended.
    PartyGone,
}

/// A structured condition of revocation: who may revoke for this cause, and with what notice.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Condition {
    /// The cause.
    pub cause: Cause,
    /// Roles that may revoke for it.
    pub by: Vec<Kind>,
    /// Seconds between notice and effect; 0 is at once.
    pub notice_seconds: u32,
}

/// Who may end the contract early, and how. `by` and `notice_seconds` govern revocation at will, `conditions` that for a
/// cause; the SRO may always revoke, by two people, at once.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Revocation {
    /// Roles that may revoke at will; may be empty where conditions stand.
    pub by: Vec<Kind>,
    /// Seconds between notice and effect; 0 is at once.
    pub notice_seconds: u32,
    /// Further causes, each once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// What becomes of running work.
    pub running: Running,
}

/// Obligations in words.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Obligations {
    /// What the parties accept, at most 4,000 characters.
    pub risk_statement: String,
}

/// `contract.v1`: signed by every party over the same canonical bytes; readable by the parties and the SRO.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Contract {
    /// `contract.v1`.
    pub schema: String,
    /// The registry in which it counts.
    pub registry: Did,
    /// The contract.
    pub contract_id: ContractId,
    /// Version, from 1.
    pub version: u32,
    /// The version it replaces.
    pub supersedes: Option<Digest>,
    /// Template name.
    pub template: String,
    /// Everyone who must sign.
    pub parties: Vec<Party>,
    /// `TRAINING`.
    pub purpose: String,
    /// ISO 3166 country code of the law that applies.
    pub jurisdiction: String,
    /// In force from here, inclusive.
    pub effective_from: Timestamp,
    /// In force until here, exclusive.
    pub expires_at: Timestamp,
    /// The datasets.
    pub datasets: Vec<ContractDataset>,
    /// Where it runs.
    pub compute: Compute,
    /// What leaves.
    pub outputs: Outputs,
    /// What it costs.
    pub payment: Vec<PaymentTerm>,
    /// How it ends early.
    pub revocation: Revocation,
    /// What else is promised.
    pub obligations: Obligations,
    /// How many runs may complete under it; none for as many as the budget pays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_runs: Option<u32>,
    /// SHA-256 of each Rego document of the SRO that every key service of the contract asks too; they can only refuse
    /// or tighten.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Digest>,
}
document!(Contract, "contract.v1", "contract");

impl Contract {
    /// The parties in a role.
    pub fn in_role(&self, role: Kind) -> impl Iterator<Item = &Did> {
        self.parties.iter().filter(move |p| p.role == role).map(|p| &p.did)
    }

    /// The role of a party.
    pub fn role_of(&self, did: &Did) -> Option<Kind> {
        self.parties.iter().find(|p| &p.did == did).map(|p| p.role)
    }
}

/// `contract-revoke.v1`: ends a contract; signed by a party whose role may revoke, or by two SRO people.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ContractRevoke {
    /// `contract-revoke.v1`.
    pub schema: String,
    /// The registry.
    pub registry: Did,
    /// The contract.
    pub contract: ContractRef,
    /// The cause; `at_will` where none is given.
    #[serde(default = "at_will", skip_serializing_if = "is_at_will")]
    pub cause: Cause,
    /// One sentence of reason, at most 500 characters.
    pub reason: String,
    /// When it was written.
    pub revoked_at: Timestamp,
}
document!(ContractRevoke, "contract-revoke.v1", "contract-revoke");

fn at_will() -> Cause {
    Cause::AtWill
}

fn is_at_will(cause: &Cause) -> bool {
    *cause == Cause::AtWill
}

/// Declares an act on a contract: a document of its own, so that a signature counts for this act alone.
macro_rules! contract_acts {
    ($($(#[$doc:meta])* $name:ident $schema:literal $type:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            /// The schema.
            pub schema: String,
            /// The registry.
            pub registry: Did,
            /// The contract.
            pub contract: ContractRef,
            /// The cause.
            pub cause: Cause,
            /// One sentence of reason, at most 500 characters.
            pub reason: String,
            /// When it was written.
            pub at: Timestamp,
        }
        document!($name, $schema, $type);
    )*};
}

contract_acts! {
    /// `contract-withdraw.v1`: the proposer takes an open proposal back; of a scheduled contract all parties sign it.
    ContractWithdraw "contract-withdraw.v1" "contract-withdraw";
    /// `contract-suspend.v1`: no run for now; by two SRO people, or by a TDP of the contract as a security stop.
    ContractSuspend "contract-suspend.v1" "contract-suspend";
    /// `contract-resume.v1`: ends a suspension; by two SRO people, or by who suspended together with all TDPs.
    ContractResume "contract-resume.v1" "contract-resume";
    /// `contract-terminate.v1`: all parties end the contract.
    ContractTerminate "contract-terminate.v1" "contract-terminate";
}

/// `contract-decline.v1`: a party refuses to sign; the contract never comes into force.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ContractDecline {
    /// `contract-decline.v1`.
    pub schema: String,
    /// The registry.
    pub registry: Did,
    /// The contract.
    pub contract: ContractRef,
    /// One sentence of reason, at most 500 characters.
    pub reason: String,
    /// When it was written.
    pub declined_at: Timestamp,
}
document!(ContractDecline, "contract-decline.v1", "contract-decline");

/// The state of a contract, derived from the log and the time (`contract-service.md` 5.4).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ContractState {
    /// Proposed, nobody has signed.
    Proposed,
    /// Some have signed.
    PartiallySigned,
    /// Every party has signed; two SRO people must countersign, as the template asks.
    AwaitingSro,
    /// Fully signed, period not begun.
    Scheduled,
    /// In force.
    Active,
    /// Stopped for now.
    Suspended,
    /// A party, or the SRO in place of countersigning, declined.
    Declined,
    /// Taken back before it came into force.
    Withdrawn,
    /// Not fully signed in time.
    Lapsed,
    /// Ended early.
    Revoked,
    /// Period over.
    Expired,
    /// Its planned runs are done, or its budget pays no further run.
    Completed,
    /// A newer version stands in its place.
    Superseded,
}

/// Why a contract is completed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CompletedReason {
    /// The contracted budget pays no further run.
    Budget,
    /// The planned runs are done.
    Runs,
}
