//! The pure fold of the log: what is true after each entry, and whether a further entry may follow.
//!
//! Service and auditor use this same code. The registry holds a [`State`] in memory and asks [`State::check`] before it
//! writes; `depa audit verify` makes the same state again from an export with [`Replay`]. Signatures are verified before
//! (`signing::verify_body` makes [`Verified<Body>`]); here it is judged whether the *right* people signed, whether the
//! step is one that may come now, and what follows from it.
//!
//! Cloning a state is cheap and a change after it copies little: tables are persistent maps of shared rows.

mod bookings;
mod books_check;
mod by_key;
mod contract;
mod contract_acts;
mod contract_clock;
mod contract_kept;
mod contract_row;
mod dataset;
mod dataset_state;
mod deposit;
mod dispute;
mod due_again;
mod erasure;
mod frontier;
mod genesis;
mod keys;
mod kms;
mod latest;
mod notes;
mod owing;
mod party;
mod pay_clock;
mod payment;
mod payout;
mod people;
mod period;
mod planned;
mod renewal;
mod replay;
mod rows;
mod rules;
mod run;
mod run_end;
mod signers;
mod story;
pub(crate) mod table;
mod twin;
mod unmatched;

pub use crate::money::{Account, AccountId, AccountKind, Books, Transfer};
pub use contract_row::{ContractRow, Ending, Suspender, Suspension};
pub use dataset::{ImageSetRow, OfferRow};
pub use dataset_state::{DatasetRow, Stopper};
pub use dispute::{About, DisputeRow, DisputeState};
pub use frontier::Frontier;
pub use genesis::{Genesis, RegistryKey};
pub use keys::{ApiKeys, KeyRow, KeyState};
pub use kms::ReceiptRow;
pub use latest::Latest;
pub use party::{ParticipantRow, ParticipantState};
pub use payment::{PaymentRow, PaymentState};
pub use payout::{PayoutRow, PoolPart};
pub use people::PersonRow;
pub use renewal::RenewalRow;
pub use replay::{Completed, Digests, Link, Replay};
pub use rows::{ChangedRow, StoredRow};
pub use rules::{DataSchemaRow, TemplateRow};
pub use run::{AbortFact, OrderRow, RunRow, RunState};
pub use twin::{Twin, twin_claims, twin_evidence, twin_leaf};
pub use unmatched::Suspense;

use schemas::envelope::{Envelope, Usage, Verified};
use schemas::event::Body;
use schemas::id::{DatasetId, Did, DisputeId, FamilyId, ImageSetId, KeyId, RunId};
use schemas::jwk::Jwk;
use schemas::{Code, Digest, Document, KeyBook, R, Refusal, Timestamp};

use std::sync::Arc;
use table::Table;

/// Everything that follows from the entries of a log, up to some size.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    size: u64,
    last_at: Timestamp,
    genesis: Option<Arc<Genesis>>,
    participants: Table<Did, ParticipantRow>,
    /// Look-alike forms of names and DIDs, and who bears them.
    looks: Table<String, Did>,
    /// Thumbprints of participants' keys, and whose they are or were.
    key_holders: Table<String, Did>,
    /// People of the SRO whose keys changed; the others have the key of the genesis.
    people: Table<Did, PersonRow>,
    /// Thumbprints of people's keys with the entries that they signed.
    person_acts: Table<(String, u64), ()>,
    image_sets: Table<ImageSetId, ImageSetRow>,
    offers: Table<(DatasetId, u32, u32), OfferRow>,
    offers_by_digest: Table<Digest, (DatasetId, u32, u32)>,
    datasets: Table<(DatasetId, u32), DatasetRow>,
    families: Table<FamilyId, Did>,
    renewals: Table<renewal::RenewalKey, RenewalRow>,
    /// Digests and addresses of sealed objects and samples.
    objects: Table<String, dataset_state::Lies>,
    services: Table<(Did, String), Jwk>,
    templates: Table<String, TemplateRow>,
    data_schemas: Table<String, DataSchemaRow>,
    contracts: Table<Digest, ContractRow>,
    /// Follows from the contracts.
    by_key: by_key::ByKey,
    contract_ids: Table<schemas::id::ContractId, contract_row::ContractFile>,
    /// Moments at which the clock may change a contract, not yet told by an entry.
    agenda: Table<(Timestamp, Digest), ()>,
    /// Contracts under which a run has checked in and that have not ended.
    at_work: Table<Digest, ()>,
    orders: Table<Digest, OrderRow>,
    runs: Table<RunId, RunRow>,
    /// Runs that may still complete; follows from the runs.
    living: Table<RunId, ()>,
    run_keys: Table<String, RunId>,
    receipts: Table<(Digest, u64), ReceiptRow>,
    payments: Table<String, PaymentRow>,
    /// Obligations by the ids of instructions after their first.
    instructions: Table<String, String>,
    /// What terms were owed for so far, where what they owe next depends on it.
    tallies: Table<owing::TallyKey, owing::TallyRow>,
    /// Moments at which the clock may bring something to a payment, not yet told by an entry.
    pay_agenda: Table<(Timestamp, pay_clock::Moment), ()>,
    books: Books,
    disputes: Table<DisputeId, DisputeRow>,
    /// Obligations with a dispute that is not closed.
    disputed: Table<String, DisputeId>,
    /// Amounts that nothing explained, by provider and its reference.
    unmatched: Table<(Did, String), DisputeId>,
    /// What of settled obligations is the principals'.
    pool_parts: Table<String, PoolPart>,
    payouts: Table<payout::PayoutKey, PayoutRow>,
    /// Entries whose bodies were missing, with what they were, until their erasure is read.
    erased: Table<u64, String>,
}

impl Default for State {
    fn default() -> Self {
        State::new()
    }
}

impl State {
    /// The state before the first entry: nobody is known.
    pub fn new() -> State {
        State {
            size: 0,
            last_at: Timestamp::from_micros(0),
            genesis: None,
            participants: Table::default(),
            looks: Table::default(),
            key_holders: Table::default(),
            people: Table::default(),
            person_acts: Table::default(),
            image_sets: Table::default(),
            offers: Table::default(),
            offers_by_digest: Table::default(),
            datasets: Table::default(),
            families: Table::default(),
            renewals: Table::default(),
            objects: Table::default(),
            services: Table::default(),
            templates: Table::default(),
            data_schemas: Table::default(),
            contracts: Table::default(),
            by_key: by_key::ByKey::default(),
            contract_ids: Table::default(),
            agenda: Table::default(),
            at_work: Table::default(),
            orders: Table::default(),
            runs: Table::default(),
            living: Table::default(),
            run_keys: Table::default(),
            receipts: Table::default(),
            payments: Table::default(),
            instructions: Table::default(),
            tallies: Table::default(),
            pay_agenda: Table::default(),
            books: Books::default(),
            disputes: Table::default(),
            disputed: Table::default(),
            unmatched: Table::default(),
            pool_parts: Table::default(),
            payouts: Table::default(),
            erased: Table::default(),
        }
    }

    /// Number of entries folded so far; the index of the next one.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// When the last entry was made.
    pub fn last_at(&self) -> Timestamp {
        self.last_at
    }

    /// May this body enter at `now`? Pure; the signatures in it were verified before.
    pub fn check(&self, body: &Verified<Body>, now: Timestamp) -> R<()> {
        self.check_body(body, now)?;
        self.check_entering(body)
    }

    /// What a body has to pass when it enters, beyond what holds of every entry of the log for ever: rules that may grow
    /// stricter from release to release. An entry that was let in by the rules of its day stands.
    pub fn check_entering(&self, body: &Body) -> R<()> {
        match body {
            Body::RunCheckedIn { job_sha256, .. } => self.check_planned(job_sha256),
            Body::ContractSigned { contract, signature } => self.check_last_signature(contract, signature),
            _ => Ok(()),
        }
    }

    /// Checks and folds the entry at `index`. Refuses a wrong index and a time before the last entry's.
    pub fn apply(&mut self, index: u64, at: Timestamp, body: &Verified<Body>) -> R<()> {
        self.apply_body(index, at, body)
    }

    /// [`State::apply`] for an entry of one's own store whose leaf was checked against the signed head and whose
    /// signatures are not verified anew. An auditor never calls it.
    pub fn refold(&mut self, index: u64, at: Timestamp, body: &Body) -> R<()> {
        self.apply_body(index, at, body)
    }

    fn apply_body(&mut self, index: u64, at: Timestamp, body: &Body) -> R<()> {
        self.follows(index, at)?;
        self.check_body(body, at)?;
        self.last_at = at;
        self.fold(index, at, body)?;
        self.note_person_acts(index, body);
        self.size += 1;
        Ok(())
    }

    fn follows(&self, index: u64, at: Timestamp) -> R<()> {
        if index != self.size {
            return Err(Refusal::new(
                Code::LogTampered,
                format!("entry {index} stands where entry {} is expected", self.size),
            ));
        }
        if at < self.last_at {
            return Err(Refusal::new(Code::LogTampered, format!("entry {index} is older than the entry before it")));
        }
        Ok(())
    }

    fn check_body(&self, body: &Body, now: Timestamp) -> R<()> {
        if let Body::Genesis { registry, registry_jwk, origin, sro, succeeds } = body {
            return self.check_genesis(registry, (registry_jwk, origin), sro, succeeds.as_ref());
        }
        if self.genesis.is_none() {
            return Err(Refusal::new(Code::StateTransition, "the log has no genesis entry yet"));
        }
        match body {
            Body::Genesis { .. } => Ok(()),
            Body::ParticipantApplied { application, resolution } => {
                self.check_application(application, resolution, now)
            }
            Body::ParticipantDecided { decision } => self.check_decision(decision, now),
            Body::ImageSetApproved { image_set } => self.check_image_set(image_set, now),
            Body::DatasetRegistered { offer } => self.check_offer(offer, now),
            Body::ContractProposed { contract } => self.check_proposal(contract, now),
            Body::ContractSigned { contract, signature } => self.check_signature(contract, signature, now),
            Body::ContractExecuted { contract } => self.check_execution(contract, now),
            Body::ContractDeclined { decline } => self.check_decline(decline, now),
            Body::ContractRevoked { revoke } => self.check_revocation(revoke, now),
            Body::RunOrdered { job } => self.check_order(job, now),
            Body::RunCheckedIn { .. } => self.check_check_in(body, now),
            Body::KmsStated { receipt } => self.check_statement(receipt),
            Body::RunReported { event } => self.check_report(event),
            Body::RunAborted { abort } => self.check_abort(abort),
            Body::RunLost { run_id } => self.check_lost(run_id, now),
            Body::RunCompleted { completion, obligations } => self.check_completion(completion, obligations, now),
            Body::PaymentAnswered { callback } => self.check_callback(callback),
            Body::RevenueStated { statement } => self.check_statement_of_revenue(statement, now),
            Body::PaymentsTimed { .. } | Body::PaymentRetried { .. } | Body::EscrowTimedOut { .. } => {
                self.check_payment_time(body, now)
            }
            Body::PaymentUnmatched { unmatched } => self.check_unmatched(unmatched, now),
            Body::DisputeOpened { dispute } => self.check_dispute(dispute, now),
            Body::DisputeAnswered { answer } => self.check_dispute_answer(answer, now),
            Body::DisputeRuled { ruling } => self.check_ruling(ruling, now),
            Body::DisputeClosed { close } => self.check_close(close, now),
            Body::PayoutEntered { batch } => self.check_payout(batch, now),
            Body::ModelHandedOver { run_id } => self.check_hand_over(run_id),
            Body::ParticipantLeft { withdrawal } => self.check_withdrawal(withdrawal, now),
            Body::KeyChanged { event, resolution } => self.check_key_event(event, resolution, now),
            Body::ImageSetRevoked { revocation } => self.check_image_set_revocation(revocation, now),
            Body::TemplateApproved { template } => self.check_template(template, now),
            Body::DataSchemaApproved { data_schema } => self.check_data_schema(data_schema, now),
            Body::DatasetChanged { act } => self.check_dataset_act(act, now),
            Body::BudgetRenewed { renewal } => self.check_renewal(renewal, now),
            Body::ContractWithdrawn { withdraw } => self.check_contract_withdrawal(withdraw, now),
            Body::ContractSuspended { suspend } => self.check_suspension(suspend, now),
            Body::ContractResumed { resume } => self.check_resumption(resume, now),
            Body::ContractTerminated { terminate } => self.check_termination(terminate, now),
            Body::ContractTimed { contract, state } => self.check_timed(contract, *state, now),
            Body::ContractCompleted { contract, reason } => self.check_completed(contract, *reason, now),
            Body::StatementRegistered { issuer, statement } => self.check_registered_statement(issuer, statement),
            Body::DigestAnchored { by, .. } => self.check_anchor(by),
            Body::BodiesRead { by, from, count } => self.check_reading(by, *from, *count),
            Body::SubjectErased { erasure } => self.check_erasure(erasure, now),
            Body::Erased { .. } => Err(Refusal::new(Code::Erased, "an erased body is not entered")),
            Body::LogKeyRotated { rotation } => self.check_log_key(rotation, now),
            Body::TwinRoot { size, .. } => self.check_twin(*size),
        }
    }

    /// What follows from an entry that passed `check_body`.
    fn fold(&mut self, index: u64, at: Timestamp, body: &Body) -> R<()> {
        match body {
            Body::Genesis { registry, registry_jwk, origin, sro, succeeds } => {
                self.fold_genesis(registry, (registry_jwk, origin), sro, succeeds.as_ref());
                Ok(())
            }
            Body::ParticipantApplied { application, resolution } => {
                self.fold_application(index, application, resolution)
            }
            Body::ParticipantDecided { decision } => self.fold_decision(index, at, decision),
            Body::ImageSetApproved { image_set } => self.fold_image_set(index, image_set),
            Body::DatasetRegistered { offer } => self.fold_offer(index, offer),
            Body::ContractProposed { contract } => self.fold_proposal(index, at, contract),
            Body::ContractSigned { contract, signature } => self.fold_signature(index, contract, signature),
            Body::ContractExecuted { contract } => self.fold_execution(index, at, contract),
            Body::ContractDeclined { decline } => self.fold_decline(index, decline),
            Body::ContractRevoked { revoke } => self.fold_revocation(index, at, revoke),
            Body::RunOrdered { job } => self.fold_order(index, job),
            Body::RunCheckedIn { .. } => self.fold_check_in(index, at, body),
            Body::KmsStated { receipt } => self.fold_statement(index, at, receipt),
            Body::RunReported { event } => self.fold_report(index, at, event),
            Body::RunAborted { abort } => self.fold_abort(index, abort),
            Body::RunLost { run_id } => self.fold_lost(index, run_id),
            Body::RunCompleted { completion, obligations } => self.fold_completion(index, at, completion, obligations),
            Body::PaymentAnswered { callback } => self.fold_callback(index, at, callback),
            Body::RevenueStated { statement } => self.fold_statement_of_revenue(index, at, statement),
            Body::PaymentsTimed { .. } | Body::PaymentRetried { .. } | Body::EscrowTimedOut { .. } => {
                self.fold_payment_time(index, at, body)
            }
            Body::PaymentUnmatched { unmatched } => self.fold_unmatched(index, unmatched),
            Body::DisputeOpened { dispute } => self.fold_dispute(index, dispute),
            Body::DisputeAnswered { answer } => self.fold_dispute_answer(index, answer),
            Body::DisputeRuled { ruling } => self.fold_ruling(index, ruling),
            Body::DisputeClosed { close } => self.fold_close(index, close),
            Body::PayoutEntered { batch } => self.fold_payout(index, batch),
            Body::ModelHandedOver { run_id } => self.fold_hand_over(index, run_id),
            Body::ParticipantLeft { withdrawal } => self.fold_withdrawal(index, at, withdrawal),
            Body::KeyChanged { event, resolution } => self.fold_key_event(index, at, event, resolution),
            Body::ImageSetRevoked { revocation } => self.fold_image_set_revocation(index, at, revocation),
            Body::TemplateApproved { template } => self.fold_template(index, template),
            Body::DataSchemaApproved { data_schema } => self.fold_data_schema(index, data_schema),
            Body::DatasetChanged { act } => self.fold_dataset_act(index, act),
            Body::BudgetRenewed { renewal } => self.fold_renewal(index, renewal),
            Body::ContractWithdrawn { withdraw } => self.fold_contract_withdrawal(index, withdraw),
            Body::ContractSuspended { suspend } => self.fold_suspension(index, suspend),
            Body::ContractResumed { resume } => self.fold_resumption(index, resume),
            Body::ContractTerminated { terminate } => self.fold_termination(index, terminate),
            Body::ContractTimed { contract, state } => self.fold_timed(index, at, contract, *state),
            Body::ContractCompleted { contract, reason } => self.fold_completed(index, contract, *reason),
            Body::StatementRegistered { .. } | Body::DigestAnchored { .. } | Body::BodiesRead { .. } => Ok(()),
            Body::SubjectErased { erasure } => self.fold_erasure(at, erasure),
            Body::Erased { .. } => Ok(()),
            Body::LogKeyRotated { rotation } => self.fold_log_key(index, rotation),
            Body::TwinRoot { .. } => Ok(()),
        }
    }

    /// The subject of a body: `log`; a DID, alone or with `/statements`, `/anchors` or `/reads`; the id of a contract,
    /// dataset, image set, job, run or instruction; the name of a template; the URI of a data schema.
    pub fn subject(&self, body: &Body) -> R<String> {
        Ok(match body {
            Body::Genesis { .. } => "log".into(),
            Body::ParticipantApplied { application, .. } => application.read_unverified()?.did.to_string(),
            Body::ParticipantDecided { decision } => decision.read_unverified()?.participant.to_string(),
            Body::ImageSetApproved { image_set } => image_set.read_unverified()?.image_set_id.to_string(),
            Body::DatasetRegistered { offer } => offer.read_unverified()?.dataset_id.to_string(),
            Body::ContractProposed { contract } => contract.read_unverified()?.contract_id.to_string(),
            // The bytes of a contract that is known are not read again.
            Body::ContractExecuted { contract } => match self.contracts.get(&contract.digest()) {
                Some(row) => row.contract.contract_id.to_string(),
                None => contract.read_unverified()?.contract_id.to_string(),
            },
            Body::ContractSigned { contract, .. } => contract.id.to_string(),
            Body::ContractDeclined { decline } => decline.read_unverified()?.contract.id.to_string(),
            Body::ContractRevoked { revoke } => revoke.read_unverified()?.contract.id.to_string(),
            Body::RunOrdered { job } => job.read_unverified()?.job_id.to_string(),
            Body::RunCheckedIn { run_id, .. } | Body::ModelHandedOver { run_id } | Body::RunLost { run_id } => {
                run_id.to_string()
            }
            Body::KmsStated { receipt } => receipt.read_unverified()?.run_id.to_string(),
            Body::RunReported { event } => event.read_unverified()?.run_id.to_string(),
            Body::RunAborted { abort } => abort.read_unverified()?.run_id.to_string(),
            Body::RunCompleted { completion, .. } => completion.read_unverified()?.run_id.to_string(),
            Body::PaymentAnswered { callback } => callback.read_unverified()?.instruction_id,
            Body::RevenueStated { statement } => statement.read_unverified()?.contract.id.to_string(),
            Body::PaymentsTimed { contract, .. } => contract.id.to_string(),
            Body::PaymentRetried { obligation_id } => obligation_id.clone(),
            Body::EscrowTimedOut { job_sha256 } => story::deposits(job_sha256),
            Body::PaymentUnmatched { unmatched } => DisputeId::derived(&unmatched.digest()).to_string(),
            Body::DisputeOpened { dispute } => dispute.read_unverified()?.dispute_id.to_string(),
            Body::DisputeAnswered { answer } => answer.read_unverified()?.dispute_id.to_string(),
            Body::DisputeRuled { ruling } => ruling.read_unverified()?.dispute_id.to_string(),
            Body::DisputeClosed { close } => close.read_unverified()?.dispute_id.to_string(),
            Body::PayoutEntered { batch } => schemas::bundle::LoggedDocument::subject(&batch.read_unverified()?),
            Body::ParticipantLeft { withdrawal } => withdrawal.read_unverified()?.participant.to_string(),
            Body::KeyChanged { event, .. } => event.read_unverified()?.participant.to_string(),
            Body::ImageSetRevoked { revocation } => revocation.read_unverified()?.image_set_id.to_string(),
            Body::TemplateApproved { template } => template.read_unverified()?.template,
            Body::DataSchemaApproved { data_schema } => data_schema.read_unverified()?.uri,
            Body::DatasetChanged { act } => act.read_unverified()?.dataset_id.to_string(),
            Body::BudgetRenewed { renewal } => renewal.read_unverified()?.dataset_id.to_string(),
            Body::ContractWithdrawn { withdraw } => withdraw.read_unverified()?.contract.id.to_string(),
            Body::ContractSuspended { suspend } => suspend.read_unverified()?.contract.id.to_string(),
            Body::ContractResumed { resume } => resume.read_unverified()?.contract.id.to_string(),
            Body::ContractTerminated { terminate } => terminate.read_unverified()?.contract.id.to_string(),
            Body::ContractTimed { contract, .. } | Body::ContractCompleted { contract, .. } => contract.id.to_string(),
            Body::StatementRegistered { issuer, .. } => format!("{issuer}/statements"),
            Body::DigestAnchored { by, .. } => format!("{by}/anchors"),
            Body::BodiesRead { by, .. } => format!("{by}/reads"),
            Body::SubjectErased { .. } | Body::LogKeyRotated { .. } | Body::TwinRoot { .. } => "log".into(),
            Body::Erased { .. } => {
                return Err(Refusal::new(Code::Erased, "the subject of an erased body is not known"));
            }
        })
    }
}

/// Keys as of this point in the log.
///
/// Party: active keys of SRO people, and active keys for documents of participants that are verified now (keys for
/// client assertions: [`State::api_keys`]). Service: the registry's keys, and keys of
/// key services that registered offers name, under their provider's DID; a suspended provider's key service can still
/// state facts. Run: keys of runs that checked in.
impl KeyBook for State {
    fn key(&self, kid: &KeyId, usage: Usage) -> Option<Jwk> {
        let genesis = self.genesis.as_ref()?;
        let found = match usage {
            Usage::Party => self.document_key(kid),
            Usage::Service if kid.holder == genesis.registry.as_str() => self.registry_key(kid),
            Usage::Service => self.services.get(&(Did::parse(&kid.holder).ok()?, kid.thumbprint.clone())).cloned(),
            Usage::Run => self.runs.get(&RunId::parse(&kid.holder).ok()?).map(|run| run.run_jwk.clone()),
        };
        found.filter(|jwk| jwk.thumbprint() == kid.thumbprint)
    }
}

/// Reads a document whose signatures were verified before.
fn read<T: Document>(envelope: &Envelope<T>) -> R<T> {
    envelope.read_unverified()
}

fn transition(sentence: impl Into<String>) -> Refusal {
    Refusal::new(Code::StateTransition, sentence)
}
