//! The words of the front desk: what the contract service's routes take and answer, besides the signed documents.
//!
//! A signed document is posted as the envelope itself. These types are shared by the service and its thin client.

use serde::{Deserialize, Serialize};

use crate::bundle::{BundledParticipant, JobBundle, Logged};
use crate::certificate::ModelCertificate;
use crate::contract::{Assurance, Contract, ContractRef, ContractState};
use crate::dataset::{Column, DatasetOffer, SampleKind, SealedObject};
use crate::digest::Digest;
use crate::envelope::{Envelope, PartySignature};
use crate::event::{CompletedOutput, Completion, Obligation};
use crate::evidence::{EvidenceKind, ImageSet};
use crate::id::{ContractId, Did, EndpointId, RunId};
use crate::jwk::Jwk;
use crate::log::{ExportedEntry, Receipt};
use crate::money::{Currency, Minor};
use crate::party::{KeyUse, Kind, Participant, ParticipantDecision, Resolution};
use crate::release::{Attested, KmsReceipt};
use crate::rules::{DataSchema, ImageSetRevocation, Template};
use crate::time::Timestamp;

/// Declares plain messages: serde both ways, unknown members refused, a JSON Schema.
macro_rules! messages {
    ($($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub struct $name { $($(#[$field_doc])* pub $field: $type,)* }
    )*};
}
pub(crate) use messages;

messages! {
    /// Asks for an access token (RFC 6749 client credentials with RFC 7523 assertion).
    TokenRequest {
        /// `client_credentials`.
        grant_type: String,
        /// `urn:ietf:params:oauth:client-assertion-type:jwt-bearer`.
        client_assertion_type: String,
        /// The assertion, signed by the caller's own key; `aud` is the service's base URL.
        client_assertion: String,
    }
    /// An access token.
    TokenAnswer {
        /// The token.
        access_token: String,
        /// `Bearer`.
        token_type: String,
        /// Seconds it lives.
        expires_in: i64,
    }
    /// A document was entered.
    Receipted {
        /// Receipt of its entry.
        receipt: Receipt,
    }
    /// Something happened to a contract or a run: an event of `/v1/events`. No body is told.
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
    }
    /// Several documents were entered.
    ReceiptedAll {
        /// One receipt per document, in the order sent.
        receipts: Vec<Receipt>,
    }
    /// A document that needs two people: counted so far, and entered once both have signed.
    TwoPeople {
        /// SRO people who have signed.
        signatures: u32,
        /// Receipt of the entry, once it stands.
        receipt: Option<Receipt>,
    }
    /// A participant as the register knows it.
    ParticipantView {
        /// Its application.
        application: Envelope<Participant>,
        /// The last decision, with its receipt.
        decision: Option<Logged<ParticipantDecision>>,
        /// `applied`, `verified`, `rejected`, `suspended` or `withdrawn`.
        state: String,
    }
    /// A key of a participant.
    KeyView {
        /// RFC 7638 thumbprint.
        thumbprint: String,
        /// The key.
        jwk: Jwk,
        /// What it may be used for.
        uses: Vec<KeyUse>,
        /// `active`, `retired`, `revoked` or `compromised`.
        state: String,
        /// Index of the entry that brought it.
        active_from: u64,
        /// Index of the entry that ended it.
        ended: Option<u64>,
        /// The first entry whose signature is in doubt.
        compromised_since: Option<u64>,
    }
    /// The keys of a participant, in the order of their entries.
    KeyList {
        /// The keys.
        keys: Vec<KeyView>,
    }
    /// A participant in a list.
    ParticipantLine {
        /// Who.
        did: Did,
        /// As what.
        kind: Kind,
        /// Legal name.
        legal_name: String,
        /// ISO 3166 country code.
        jurisdiction: String,
        /// `applied`, `verified`, `rejected`, `suspended` or `withdrawn`.
        state: String,
        /// SHA-256 of the application: what a decision names.
        application_sha256: Digest,
        /// Index of the application's entry.
        applied: u64,
    }
    /// A page of participants.
    ParticipantList {
        /// The participants, by DID.
        participants: Vec<ParticipantLine>,
        /// Where the next page begins; none on the last.
        next: Option<String>,
    }
    /// An image set in a list.
    ImageSetView {
        /// As approved.
        image_set: Logged<ImageSet>,
        /// `approved`, `revoked` or `expired`.
        state: String,
        /// The end of its approval.
        revocation: Option<Logged<ImageSetRevocation>>,
    }
    /// A page of image sets.
    ImageSetList {
        /// The image sets, by id.
        image_sets: Vec<ImageSetView>,
        /// Where the next page begins; none on the last.
        next: Option<String>,
    }
    /// The approved templates, by name; the built-in one is none of them.
    TemplateList {
        /// The templates.
        templates: Vec<Logged<Template>>,
    }
    /// The approved data schemas, by URI; the built-in one is none of them.
    DataSchemaList {
        /// The data schemas.
        data_schemas: Vec<Logged<DataSchema>>,
    }
    /// Every offer of a dataset, oldest first.
    DatasetVersions {
        /// The offers.
        versions: Vec<DatasetView>,
    }
    /// Something that a Croissant document does not say and an offer must.
    CroissantGap {
        /// The member of the offer.
        member: String,
        /// What is missing.
        sentence: String,
    }
    /// A sample that a Croissant document names.
    CroissantSample {
        /// Where it lies.
        url: String,
        /// SHA-256 of its bytes.
        sha256: Digest,
        /// Its size.
        bytes: u64,
        /// Media type.
        media_type: String,
        /// How it came to be.
        kind: SampleKind,
    }
    /// What a Croissant document says for the data card.
    CroissantCard {
        /// What it is.
        description: Option<String>,
        /// How it was collected.
        collection: Option<String>,
        /// What it is not good for.
        limitations: Option<String>,
        /// What personal data it holds.
        personal_data: Option<String>,
        /// Licence.
        licence: Option<String>,
    }
    /// The beginning of an offer, read from a Croissant document. Nothing is signed or entered.
    CroissantDraft {
        /// Name.
        name: String,
        /// Who made the data.
        creators: Vec<String>,
        /// Words to find it by.
        keywords: Vec<String>,
        /// Columns.
        columns: Vec<Column>,
        /// The files of data; their sizes are those of the plaintext unless they are sealed already.
        sealed: Vec<SealedObject>,
        /// A sample.
        sample: Option<CroissantSample>,
        /// The data card.
        card: CroissantCard,
        /// What is still to be said.
        gaps: Vec<CroissantGap>,
    }
    /// A registered dataset.
    DatasetView {
        /// The offer, with its receipt.
        offer: Logged<DatasetOffer>,
        /// `registered`, `suspended`, `deprecated` or `withdrawn`.
        state: String,
    }
    /// A page of datasets.
    DatasetList {
        /// The datasets.
        datasets: Vec<DatasetView>,
        /// Where the next page begins; none on the last.
        next: Option<String>,
    }
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
    }
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
    /// An obligation with its state.
    ObligationView {
        /// The instruction.
        instruction_id: String,
        /// The contract.
        contract: ContractRef,
        /// The run.
        run_id: RunId,
        /// The term.
        term_id: String,
        /// Who pays.
        payer: Did,
        /// Who is paid.
        payee: Did,
        /// ISO 4217.
        currency: Currency,
        /// Minor units.
        amount_minor: Minor,
        /// `due`, `instructed` or `settled`.
        state: String,
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
        /// Its completion.
        completion: Option<Envelope<Completion>>,
        /// Receipt of the completion's entry.
        receipt: Option<Receipt>,
        /// What it owes.
        obligations: Vec<ObligationView>,
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
    /// Payments of the caller's contracts.
    PaymentList {
        /// The payments.
        payments: Vec<ObligationView>,
    }
    /// How a payment stands after a callback.
    PaymentAnswer {
        /// `settled` or `due`.
        state: String,
    }
    /// Wishes webhooks.
    EndpointRequest {
        /// Where to; `https:`, or `http:` on loopback in the demo profile.
        url: String,
        /// Event types, like `payment.instructed`.
        events: Vec<String>,
    }
    /// A webhook endpoint was made. The secret is shown this once.
    EndpointCreated {
        /// The endpoint.
        endpoint_id: EndpointId,
        /// `whsec_…` of signature version v1.
        secret: String,
        /// `whpk_…` of signature version v1a.
        public_key: String,
    }
    /// A webhook endpoint, without its secret.
    EndpointView {
        /// The endpoint.
        endpoint_id: EndpointId,
        /// Where to.
        url: String,
        /// Event types.
        events: Vec<String>,
        /// `active` or `disabled`.
        state: String,
    }
    /// The caller's endpoints.
    EndpointList {
        /// The endpoints.
        endpoints: Vec<EndpointView>,
    }
    /// One delivery of a webhook.
    DeliveryView {
        /// The message id; receivers use it as idempotency key.
        message_id: String,
        /// The endpoint.
        endpoint_id: EndpointId,
        /// The event type.
        event: String,
        /// `pending`, `delivered` or `dead`.
        state: String,
        /// Attempts so far.
        attempts: u32,
        /// When it is tried next, or was done.
        at: Timestamp,
    }
    /// The caller's deliveries, newest first.
    DeliveryList {
        /// The deliveries.
        deliveries: Vec<DeliveryView>,
    }
    /// Anchors a digest: it existed at this point of the log.
    AnchorRequest {
        /// The digest.
        sha256: Digest,
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
}
