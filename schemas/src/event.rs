//! Events: what the log holds. The state of everything is a pure fold over these bodies (`policies::lifecycle`).

use serde::{Deserialize, Serialize};

use crate::certificate::ModelCertificate;
use crate::contract::{
    Assurance, CompletedReason, Contract, ContractDecline, ContractRef, ContractResume, ContractRevoke, ContractState,
    ContractSuspend, ContractTerminate, ContractWithdraw,
};
use crate::dataset::{DatasetAct, DatasetOffer};
use crate::digest::Digest;
use crate::dispute::{Dispute, DisputeAnswer, DisputeClose, DisputeRuling, PaymentUnmatched};
use crate::document;
use crate::envelope::Envelope;
use crate::evidence::{ImageSet, Platform};
use crate::id::{Did, ImageSetId, RunId};
use crate::job::JobSpec;
use crate::jwk::Jwk;
use crate::money::{Currency, Minor};
use crate::party::{KeyEvent, Participant, ParticipantDecision, ParticipantWithdrawal, Resolution};
use crate::payout::PayoutBatch;
use crate::release::KmsReceipt;
use crate::renewal::BudgetRenewal;
use crate::rules::{DataSchema, Erasure, ImageSetRevocation, LogKey, LogSucceeded, Template};
use crate::term::RevenueStatement;
use crate::text::Bytes;
use crate::time::Timestamp;

/// Why a run ended without an output.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "event", rename_all = "snake_case", deny_unknown_fields)]
pub enum RunEventKind {
    /// All KMSs have released.
    KeysReleased {},
    /// Training began.
    Training {},
    /// The run gave up. With `steps_run` 0 a charge may be returned.
    Aborted {
        /// Training steps carried out.
        steps_run: u32,
        /// A refusal code.
        code: String,
    },
}

/// `run-event.v1`: signed by the run key.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RunEvent {
    /// `run-event.v1`.
    pub schema: String,
    /// The registry.
    pub registry: Did,
    /// The run.
    pub run_id: RunId,
    /// The job.
    pub job_sha256: Digest,
    /// What happened.
    pub event: RunEventKind,
    /// When.
    pub at: Timestamp,
}
document!(RunEvent, "run-event.v1", "run-event", Run);

/// `abort.v1`: TDC, a TDP of the contracts or two SRO people stop a run.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Abort {
    /// `abort.v1`.
    pub schema: String,
    /// The registry.
    pub registry: Did,
    /// The run.
    pub run_id: RunId,
    /// One sentence of reason, at most 500 characters.
    pub reason: String,
    /// When it was written.
    pub at: Timestamp,
}
document!(Abort, "abort.v1", "abort");

/// The sealed output of a completion.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CompletedOutput {
    /// `model`.
    pub kind: String,
    /// SHA-256 of the sealed object, as committed at every KMS.
    pub sha256: Digest,
    /// Its size.
    pub bytes: u64,
    /// Where it lies.
    pub url: String,
}

/// `completion.v1`: signed by the run key; one per run. Holds no count, loss or exact metric.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Completion {
    /// `completion.v1`.
    pub schema: String,
    /// The registry.
    pub registry: Did,
    /// The run.
    pub run_id: RunId,
    /// The job.
    pub job_sha256: Digest,
    /// The contracts, sorted by id.
    pub contracts: Vec<ContractRef>,
    /// What ran.
    pub image_set_id: ImageSetId,
    /// Steps carried out.
    pub steps: u32,
    /// The sealed output.
    pub output: CompletedOutput,
    /// The model certificate.
    pub certificate: Envelope<ModelCertificate>,
    /// The model's content key as compact JWE to the TDC; handed out only after this entry and its payments.
    pub content_key_jwe: String,
    /// Exactly one release receipt per dataset of the job.
    pub release_receipts: Vec<Envelope<KmsReceipt>>,
    /// Exactly one commit receipt per dataset of the job, each naming `output.sha256`.
    pub commit_receipts: Vec<Envelope<KmsReceipt>>,
    /// When it was signed.
    pub at: Timestamp,
}
document!(Completion, "completion.v1", "completion", Run);

/// Which line of a term an obligation is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Line {
    /// Tax on top of a payee's part.
    Gst,
    /// Tax withheld from a payee's part; the line of the part itself is lower by it.
    Tds,
}

/// Something owed. Its instruction id is derived from contract, occasion, term, payee and line, so it exists once. The
/// occasion is a run, a job whose deposit it is, or a period.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Obligation {
    /// 32 base32 characters; fits ISO 20022 EndToEndId and serves as idempotency key. The id of the obligation and of the
    /// first instruction about it; later instructions have ids derived from it.
    pub instruction_id: String,
    /// The contract.
    pub contract: ContractRef,
    /// The run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_id: Option<RunId>,
    /// The job whose deposit it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_sha256: Option<Digest>,
    /// The period of a subscription or a share of revenue, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub period: Option<u32>,
    /// The term.
    pub term_id: String,
    /// A tax line; the price itself if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<Line>,
    /// Who pays.
    pub payer: Did,
    /// Who is paid.
    pub payee: Did,
    /// ISO 4217.
    pub currency: Currency,
    /// Minor units.
    pub amount_minor: Minor,
}

/// What the payment system says of an instruction: how it ended, or how far it is on its way.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PaymentResult {
    /// Paid.
    Settled,
    /// Not paid, or not blocked; the obligation is due again.
    Failed,
    /// The payer's money is blocked for it: the answer to an instruction to block.
    Blocked,
    /// The block was undone: the answer to an instruction to return.
    Refunded,
    /// Paid, and the money came back; the obligation is due again.
    Returned,
    /// Handed to the payment system. No money has moved.
    Submitted,
    /// The payment system will carry it out. No money has moved.
    Accepted,
}

/// `payment-callback.v1`: the payment system's answer, signed by a verified payment service provider.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PaymentCallback {
    /// `payment-callback.v1`.
    pub schema: String,
    /// The registry.
    pub registry: Did,
    /// The instruction.
    pub instruction_id: String,
    /// What became of it.
    pub result: PaymentResult,
    /// The provider's own reference, at most 100 characters.
    pub reference: String,
    /// What was paid, or is to be.
    pub amount_minor: Minor,
    /// ISO 4217.
    pub currency: Currency,
    /// When.
    pub at: Timestamp,
}
document!(PaymentCallback, "payment-callback.v1", "payment-callback");

/// The body of a log entry. Private: parties and SRO read it; the public leaf holds only its salted digest.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Body {
    /// The first entry: whose log this is, and which SRO people there are.
    Genesis {
        /// The registry.
        registry: Did,
        /// Its signing key, for checkpoints, receipts, admissions and status lists.
        registry_jwk: Jwk,
        /// Origin of the log's checkpoints.
        origin: String,
        /// SRO people: DID and key each; at least two.
        sro: Vec<SroPerson>,
        /// The log that this one continues, signed by two of its SRO people; none for a first log.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        succeeds: Option<Envelope<LogSucceeded>>,
    },
    /// A participant applied.
    ParticipantApplied {
        /// Signed by the applicant.
        application: Envelope<Participant>,
        /// How the did:web was resolved; none for did:key and did:jwk.
        resolution: Option<Resolution>,
    },
    /// A participant left.
    ParticipantLeft {
        /// Signed by the participant.
        withdrawal: Envelope<ParticipantWithdrawal>,
    },
    /// A participant's key was added, retired, revoked or reported compromised.
    KeyChanged {
        /// Signed by the participant, or by two SRO people.
        event: Envelope<KeyEvent>,
        /// How the did:web was resolved, for an added key.
        resolution: Option<Resolution>,
    },
    /// Two SRO people decided about a participant.
    ParticipantDecided {
        /// Signed by two SRO people.
        decision: Envelope<ParticipantDecision>,
    },
    /// Two SRO people approved an image set.
    ImageSetApproved {
        /// Signed by two SRO people.
        image_set: Envelope<ImageSet>,
    },
    /// Two SRO people withdrew their approval of an image set.
    ImageSetRevoked {
        /// Signed by two SRO people.
        revocation: Envelope<ImageSetRevocation>,
    },
    /// Two SRO people approved a contract template.
    TemplateApproved {
        /// Signed by two SRO people.
        template: Envelope<Template>,
    },
    /// Two SRO people approved a data schema.
    DataSchemaApproved {
        /// Signed by two SRO people.
        data_schema: Envelope<DataSchema>,
    },
    /// A TDP registered an offer.
    DatasetRegistered {
        /// Signed by the TDP.
        offer: Envelope<DatasetOffer>,
    },
    /// A dataset version was suspended, resumed or withdrawn.
    DatasetChanged {
        /// Signed by the provider, or by two SRO people.
        act: Envelope<DatasetAct>,
    },
    /// A TDP renewed the privacy budget of a family.
    BudgetRenewed {
        /// Signed by the TDP.
        renewal: Envelope<BudgetRenewal>,
    },
    /// A contract was proposed; with `supersedes` a counter-offer or an amendment. The payload stands here once, signatures follow as entries of their own.
    ContractProposed {
        /// Signed by the proposer, a party of the contract: this is its signature too.
        contract: Envelope<Contract>,
    },
    /// A further party signed.
    ContractSigned {
        /// The contract.
        contract: ContractRef,
        /// One signature over the proposed payload.
        signature: crate::envelope::PartySignature,
    },
    /// The set of signatures is complete: the contract with all of them, in one leaf.
    ContractExecuted {
        /// Signed by every party.
        contract: Envelope<Contract>,
    },
    /// A party declined, or two SRO people did in place of countersigning.
    ContractDeclined {
        /// Signed by who declines.
        decline: Envelope<ContractDecline>,
    },
    /// A proposal or a scheduled contract was taken back.
    ContractWithdrawn {
        /// Signed by the proposer, or by all parties.
        withdraw: Envelope<ContractWithdraw>,
    },
    /// A contract was stopped for now.
    ContractSuspended {
        /// Signed by two SRO people or a TDP.
        suspend: Envelope<ContractSuspend>,
    },
    /// A suspension ended.
    ContractResumed {
        /// Signed by two SRO people, or by who suspended and all TDPs.
        resume: Envelope<ContractResume>,
    },
    /// All parties ended the contract.
    ContractTerminated {
        /// Signed by every party.
        terminate: Envelope<ContractTerminate>,
    },
    /// The service noticed that a contract reached this state by the clock: lapsed, active, revoked, expired. The state
    /// follows from the time alone; this entry only tells so.
    ContractTimed {
        /// The contract.
        contract: ContractRef,
        /// The state that it has since some moment before this entry.
        state: ContractState,
    },
    /// The service found that no further run will come.
    ContractCompleted {
        /// The contract.
        contract: ContractRef,
        /// Why.
        reason: CompletedReason,
    },
    /// A party, or two SRO people, ended the contract.
    ContractRevoked {
        /// Signed by who may revoke.
        revoke: Envelope<ContractRevoke>,
    },
    /// A TDC ordered a run.
    RunOrdered {
        /// Signed by the TDC.
        job: Envelope<JobSpec>,
    },
    /// A clean room checked in and got an Admission.
    RunCheckedIn {
        /// The run.
        run_id: RunId,
        /// The job.
        job_sha256: Digest,
        /// What it showed to be.
        image_set_id: ImageSetId,
        /// SHA-256 of its evidence.
        evidence_sha256: Digest,
        /// Names of all checks of the appraisal, all passed.
        checks: Vec<String>,
        /// How strong.
        assurance: Assurance,
        /// The run's signing key.
        run_jwk: Jwk,
        /// The run's key for wrapped keys.
        enc_jwk: Jwk,
        /// What the service read off the platform; none in entries of before it was kept.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        platform: Option<Box<Platform>>,
    },
    /// A KMS stated something about a run; (kms, seq) is unique in the log.
    KmsStated {
        /// Signed by the KMS.
        receipt: Envelope<KmsReceipt>,
    },
    /// The room reported.
    RunReported {
        /// Signed by the run key.
        event: Envelope<RunEvent>,
    },
    /// A run was stopped from outside.
    RunAborted {
        /// Signed by TDC, a TDP or two SRO people.
        abort: Envelope<Abort>,
    },
    /// The service heard nothing of a run for so long that its room is gone: it ended without output, and its charge
    /// stands. By the service's own word.
    RunLost {
        /// The run.
        run_id: RunId,
    },
    /// A run completed; what it owes enters in the same entry, so neither is ever without the other.
    RunCompleted {
        /// Signed by the run key.
        completion: Envelope<Completion>,
        /// What falls due, recomputed by every reader with `policies::payment::due`.
        obligations: Vec<Obligation>,
    },
    /// The payment system answered.
    PaymentAnswered {
        /// Signed by the payment service provider.
        callback: Envelope<PaymentCallback>,
    },
    /// A payment service provider holds money that no instruction explains: it lies in suspense, under a dispute.
    PaymentUnmatched {
        /// Signed by the payment service provider.
        unmatched: Envelope<PaymentUnmatched>,
    },
    /// A party disputes an obligation.
    DisputeOpened {
        /// Signed by a party of the contract.
        dispute: Envelope<Dispute>,
    },
    /// The other side answered.
    DisputeAnswered {
        /// Signed by who answers.
        answer: Envelope<DisputeAnswer>,
    },
    /// Two SRO people ruled; what follows for the books follows in this entry.
    DisputeRuled {
        /// Signed by two SRO people.
        ruling: Envelope<DisputeRuling>,
    },
    /// A ruled dispute was closed.
    DisputeClosed {
        /// Signed by the opener, or by two SRO people.
        close: Envelope<DisputeClose>,
    },
    /// A provider split the principals' part of what it was paid.
    PayoutEntered {
        /// Signed by the provider.
        batch: Envelope<PayoutBatch>,
    },
    /// A TDC stated its revenue of one period; what it owes follows from the contract.
    RevenueStated {
        /// Signed by the TDC.
        statement: Envelope<RevenueStatement>,
    },
    /// The service found that the clock made a period of a contract fall due: a subscription's, or the minimum of a share
    /// of revenue that nobody stated. What is owed follows from the contract.
    PaymentsTimed {
        /// The contract.
        contract: ContractRef,
        /// Its term.
        term_id: String,
        /// The period, from 0.
        period: u32,
    },
    /// The service instructs an obligation again, whose last instruction failed some time ago.
    PaymentRetried {
        /// The obligation, by the id of its first instruction.
        obligation_id: String,
    },
    /// The service found that a job's time is over without a run that uses its deposits: they are returned.
    EscrowTimedOut {
        /// The job.
        job_sha256: Digest,
    },
    /// The TDC fetched the content key.
    ModelHandedOver {
        /// The run.
        run_id: RunId,
    },
    /// A SCITT signed statement (RFC 9943): public, it stands whole in the log.
    StatementRegistered {
        /// The verified issuer.
        issuer: Did,
        /// The COSE_Sign1 with an empty unprotected header, at most 60 KiB.
        statement: Bytes,
    },
    /// A participant anchors the digest of something of its own: it existed at this point of the log.
    DigestAnchored {
        /// Who.
        by: Did,
        /// The digest.
        sha256: Digest,
    },
    /// An SRO person or auditor read private bodies that are not their own.
    BodiesRead {
        /// Who.
        by: Did,
        /// The first entry.
        from: u64,
        /// The number of entries.
        count: u64,
    },
    /// Two SRO people had the bodies of one subject erased.
    SubjectErased {
        /// Signed by two SRO people.
        erasure: Envelope<Erasure>,
    },
    /// Stands in exports and in the store where a body was erased; never entered as such.
    Erased {
        /// The kind of the body that stood here.
        was: String,
    },
    /// The registry signs with another key from here on.
    LogKeyRotated {
        /// Signed by two SRO people.
        rotation: Envelope<LogKey>,
    },
    /// The second, CCF-shaped tree over all entries before this one: the last entry of each batch, so that one checkpoint
    /// covers both trees.
    TwinRoot {
        /// Number of entries before this one.
        size: u64,
        /// Root of the second tree over them.
        root: Digest,
    },
}

/// One SRO person of the genesis.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SroPerson {
    /// did:key of the person.
    pub did: Did,
    /// The person's key.
    pub jwk: Jwk,
    /// A name for people.
    pub name: String,
}

impl Body {
    /// The kind, as it stands in the public record.
    pub fn kind(&self) -> &'static str {
        match self {
            Body::Genesis { .. } => "genesis",
            Body::ParticipantApplied { .. } => "participant_applied",
            Body::ParticipantDecided { .. } => "participant_decided",
            Body::ImageSetApproved { .. } => "image_set_approved",
            Body::DatasetRegistered { .. } => "dataset_registered",
            Body::ContractProposed { .. } => "contract_proposed",
            Body::ContractSigned { .. } => "contract_signed",
            Body::ContractExecuted { .. } => "contract_executed",
            Body::ContractDeclined { .. } => "contract_declined",
            Body::ContractRevoked { .. } => "contract_revoked",
            Body::RunOrdered { .. } => "run_ordered",
            Body::RunCheckedIn { .. } => "run_checked_in",
            Body::KmsStated { .. } => "kms_stated",
            Body::RunReported { .. } => "run_reported",
            Body::RunAborted { .. } => "run_aborted",
            Body::RunLost { .. } => "run_lost",
            Body::RunCompleted { .. } => "run_completed",
            Body::PaymentAnswered { .. } => "payment_answered",
            Body::PaymentUnmatched { .. } => "payment_unmatched",
            Body::DisputeOpened { .. } => "dispute_opened",
            Body::DisputeAnswered { .. } => "dispute_answered",
            Body::DisputeRuled { .. } => "dispute_ruled",
            Body::DisputeClosed { .. } => "dispute_closed",
            Body::PayoutEntered { .. } => "payout_entered",
            Body::RevenueStated { .. } => "revenue_stated",
            Body::PaymentsTimed { .. } => "payments_timed",
            Body::PaymentRetried { .. } => "payment_retried",
            Body::EscrowTimedOut { .. } => "escrow_timed_out",
            Body::ModelHandedOver { .. } => "model_handed_over",
            Body::ParticipantLeft { .. } => "participant_left",
            Body::KeyChanged { .. } => "key_changed",
            Body::ImageSetRevoked { .. } => "image_set_revoked",
            Body::TemplateApproved { .. } => "template_approved",
            Body::DataSchemaApproved { .. } => "data_schema_approved",
            Body::DatasetChanged { .. } => "dataset_changed",
            Body::BudgetRenewed { .. } => "budget_renewed",
            Body::ContractWithdrawn { .. } => "contract_withdrawn",
            Body::ContractSuspended { .. } => "contract_suspended",
            Body::ContractResumed { .. } => "contract_resumed",
            Body::ContractTerminated { .. } => "contract_terminated",
            Body::ContractTimed { .. } => "contract_timed",
            Body::ContractCompleted { .. } => "contract_completed",
            Body::StatementRegistered { .. } => "statement_registered",
            Body::DigestAnchored { .. } => "digest_anchored",
            Body::BodiesRead { .. } => "bodies_read",
            Body::SubjectErased { .. } => "subject_erased",
            Body::Erased { .. } => "erased",
            Body::LogKeyRotated { .. } => "log_key_rotated",
            Body::TwinRoot { .. } => "twin_root",
        }
    }
}
