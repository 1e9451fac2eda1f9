//! May this document enter the register? Its form, its limits and what it says about others; signatures, and whether
//! the parties are verified, are the fold's question (`lifecycle`).

mod contract;
mod form;
mod money;
pub mod names;
mod offer;
mod pricing;
mod reference;
mod rules;
mod statistics;
mod succession;
pub mod terms;

pub use contract::{contract, contract_faults};
pub use form::ContractForm;
pub use money::{money_act, payment_unmatched, payout_batch, psp_reference};
pub use offer::offer;
pub use rules::{data_schema, erasure, fits, image_set_revocation, log_key, template};
pub use succession::succession;

use schemas::dataset::DatasetAct;
use schemas::evidence::{EvidenceKind, ImageSet};
use schemas::id::Did;
use schemas::job::JobSpec;
use schemas::jwk::{Curve, Jwk};
use schemas::party::{KeyAct, KeyEvent, Kind, Participant, ParticipantDecision, ParticipantWithdrawal, Resolution};
use schemas::pipeline::Stage;
use schemas::problem::{Code, R};
use schemas::renewal::BudgetRenewal;
use schemas::time::Timestamp;

use crate::forms::{SKEW_SECONDS, count, country, ensure, is_name, text, unique, written};

/// An application to become a participant. SRO people do not apply: the genesis of the log names them.
pub fn participant(participant: &Participant, registry: &Did, now: Timestamp) -> R<()> {
    same_registry(&participant.registry, registry)?;
    let sentence = "A person of the SRO is named in the genesis of the log and does not apply.";
    ensure(participant.kind != Kind::Sro, Code::Forbidden, "kind", sentence)?;
    names::host(&participant.did)?;
    text(&participant.legal_name, 200, "legal_name")?;
    names::plain(&participant.legal_name, "legal_name")?;
    country(&participant.jurisdiction, "jurisdiction")?;
    signs(&participant.jwk, "jwk")?;
    written(participant.applied_at, now, "applied_at")
}

/// A participant's own end.
pub fn withdrawal(withdrawal: &ParticipantWithdrawal, registry: &Did, now: Timestamp) -> R<()> {
    same_registry(&withdrawal.registry, registry)?;
    act(&withdrawal.reason, withdrawal.at, now)
}

/// A change of a participant's keys. What may follow on what is the fold's question.
pub fn key_event(event: &KeyEvent, registry: &Did, now: Timestamp) -> R<()> {
    same_registry(&event.registry, registry)?;
    act(&event.reason, event.at, now)?;
    if let KeyAct::Add { proof, uses } = &event.event {
        let sentence = "A key is added for at least one use, each named once.";
        ensure(!uses.is_empty() && unique(uses), Code::SchemaMismatch, "event.uses", sentence)?;
        signs(&proof.read_unverified()?.jwk, "event.proof.jwk")?;
    }
    Ok(())
}

/// A did:web document that enters with a key was fetched for it, not long ago.
pub fn resolution(resolution: &Option<Resolution>, did: &Did, now: Timestamp) -> R<()> {
    let web = did.as_str().starts_with("did:web:");
    let sentence = "The document of a did:web enters with the key, and nothing enters for another DID.";
    ensure(web == resolution.is_some(), Code::DidUnresolved, "resolution", sentence)?;
    let Some(resolution) = resolution else { return Ok(()) };
    let age = now.seconds_since(resolution.fetched_at);
    let fresh = (-SKEW_SECONDS..=RESOLUTION_SECONDS).contains(&age);
    ensure(fresh, Code::DidUnresolved, "resolution", "The document of the did:web was not fetched just now.")
}

/// How old a fetched did:web document may be when it enters.
const RESOLUTION_SECONDS: f64 = 600.0;

/// What happens to a dataset version.
pub fn dataset_act(document: &DatasetAct, registry: &Did, now: Timestamp) -> R<()> {
    same_registry(&document.registry, registry)?;
    act(&document.reason, document.at, now)
}

/// A renewal of a budget by itself. Whether it fits its offer is for [`crate::renewal`].
pub fn budget_renewal(document: &BudgetRenewal, registry: &Did, now: Timestamp) -> R<()> {
    same_registry(&document.registry, registry)?;
    act(&document.reason, document.at, now)
}

/// Whether a key can sign at all; that it is sound is for `signing`.
fn signs(jwk: &Jwk, field: &str) -> R<()> {
    let receives = matches!(jwk, Jwk::Okp { crv: Curve::X25519, .. });
    ensure(!receives, Code::KeyForm, field, "A key that signs is needed, not one that receives.")
}

/// A decision of the SRO about a participant.
pub fn decision(decision: &ParticipantDecision, registry: &Did, now: Timestamp) -> R<()> {
    same_registry(&decision.registry, registry)?;
    text(&decision.reason, 500, "reason")?;
    written(decision.decided_at, now, "decided_at")
}

/// What every act on a contract says: a reason, and when it was written.
pub fn act(reason: &str, at: Timestamp, now: Timestamp) -> R<()> {
    text(reason, 500, "reason")?;
    written(at, now, "at")
}

/// An identity of the clean room. One that pins nothing would allow anything, so it is refused.
pub fn image_set(set: &ImageSet, registry: &Did, now: Timestamp) -> R<()> {
    same_registry(&set.registry, registry)?;
    text(&set.name, 200, "name")?;
    let sentence = "The period of an image set must begin before it ends and must not be over.";
    ensure(set.valid_from < set.valid_to && now < set.valid_to, Code::ContractPeriod, "valid_to", sentence)?;
    // PCR 8 is the job's, 16 and 23 can be reset: none of them identifies an image.
    let known =
        |index: &String| index.parse::<u8>().is_ok_and(|i| i <= 22 && i != 8 && i != 16 && i.to_string() == *index);
    ensure(set.pcrs.keys().all(known), Code::SchemaMismatch, "pcrs", "PCRs 0 to 22 but 8 and 16 may be required.")?;
    let complete = match set.profile {
        EvidenceKind::Snp => set.pcrs.is_empty(),
        EvidenceKind::Software | EvidenceKind::AzureSnp => {
            ["4", "7", "9", "11", "12"].iter().all(|index| set.pcrs.contains_key(*index))
        }
    };
    let sentence = "A set that measures by a vTPM requires PCRs 4, 7, 9, 11 and 12; a bare guest has none.";
    ensure(complete, Code::SchemaMismatch, "pcrs", sentence)?;
    count(set.measurements.len(), 64, "measurements")?;
    ensure(set.id_key_digests.len() <= 64, Code::LimitExceeded, "id_key_digests", "At most 64 digests are allowed.")?;
    for (list, field) in [(&set.measurements, "measurements"), (&set.id_key_digests, "id_key_digests")] {
        ensure(list.iter().all(|b| b.0.len() == 48), Code::SchemaMismatch, field, "A digest of 48 bytes is expected.")?;
        ensure(unique(list), Code::SchemaMismatch, field, "A digest stands twice.")?;
    }
    Ok(())
}

/// The form of a job. What it may do is for [`crate::gate`], [`crate::pipeline`] and [`crate::privacy`].
pub fn job(job: &JobSpec, registry: &Did, now: Timestamp) -> R<()> {
    same_registry(&job.registry, registry)?;
    ensure(now < job.expires_at, Code::JobExpired, "expires_at", format!("The job expired at {}.", job.expires_at))?;
    count(job.contracts.len(), 16, "contracts")?;
    let sorted = job.contracts.is_sorted() && unique(job.contracts.iter().map(|c| &c.id));
    ensure(sorted, Code::JobMismatch, "contracts", "A job names its contracts sorted by id, each once.")?;
    count(job.datasets.len(), MAX_DATASETS, "datasets")?;
    let once = unique(job.datasets.iter().map(|d| &d.dataset_id)) && unique(job.datasets.iter().map(|d| &d.handle));
    ensure(once, Code::JobMismatch, "datasets", "A job names its datasets and their handles once each.")?;
    let named = job.datasets.iter().all(|d| is_name(&d.handle));
    ensure(named, Code::PipelineInvalid, "datasets", "A handle is a letter and up to 63 letters, digits or _.")?;
    ensure(job.tdc != job.ccrp, Code::JobMismatch, "ccrp", "The consumer does not run the clean room itself.")?;
    text(&job.purpose, 64, "purpose")?;
    count(job.stages.len(), 8, "stages")?;
    let writes = job.stages.iter().any(|stage| matches!(stage, Stage::Output(_)));
    ensure(writes, Code::PipelineInvalid, "stages", "A job without an output does nothing.")
}

/// The most datasets of a job; the worker takes no more tables.
pub(crate) const MAX_DATASETS: usize = 16;

fn same_registry(named: &Did, registry: &Did) -> R<()> {
    let sentence = format!("The document counts in the registry {named}, this is {registry}.");
    ensure(named == registry, Code::WrongRegistry, "registry", sentence)
}
