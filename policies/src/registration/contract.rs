//! May this contract enter the register as proposed?

use schemas::contract::{Cause, Condition, Contract, ContractDataset};
use schemas::dataset::DatasetOffer;
use schemas::digest::Digest;
use schemas::id::Did;
use schemas::job::MOST_ROOMS;
use schemas::party::Kind;
use schemas::privacy::Clause;
use schemas::problem::{Code, R, Refusal};
use schemas::time::Timestamp;

use super::{MAX_DATASETS, offer, same_registry, terms};
use crate::forms::{count, country, ensure, is_token, text, unique};

/// A contract, judged against the registered offers (each with its digest, in any order) that it pins.
///
/// Left to the fold: that the parties are verified, the image sets approved and the ids new.
pub fn contract(contract: &Contract, offers: &[(Digest, &DatasetOffer)], registry: &Did, now: Timestamp) -> R<()> {
    same_registry(&contract.registry, registry)?;
    form(contract)?;
    parties(contract)?;
    purpose(contract)?;
    period(contract, now)?;
    let pinned = datasets(contract, offers)?;
    compute(contract)?;
    outputs(contract)?;
    revocation(contract)?;
    terms::payment(contract, &pinned)
}

/// The same, but all that is wrong, one refusal for each part of the contract and each of its datasets.
pub fn contract_faults(
    contract: &Contract,
    offers: &[(Digest, &DatasetOffer)],
    registry: &Did,
    now: Timestamp,
) -> Vec<Refusal> {
    let parts = [
        same_registry(&contract.registry, registry),
        form(contract),
        parties(contract),
        purpose(contract),
        period(contract, now),
        compute(contract),
        outputs(contract),
        revocation(contract),
    ];
    let mut faults: Vec<Refusal> = parts.into_iter().filter_map(R::err).collect();
    let each: Vec<R<_>> = contract.datasets.iter().map(|terms| dataset(contract, terms, offers)).collect();
    faults.extend(each.into_iter().filter_map(R::err));
    match datasets(contract, offers) {
        Ok(pinned) => faults.extend(terms::payment(contract, &pinned).err()),
        Err(refusal) if faults.iter().all(|f| f.sentence != refusal.sentence) => faults.push(refusal),
        Err(_) => {}
    }
    faults
}

fn purpose(contract: &Contract) -> R<()> {
    crate::forms::purposes(std::slice::from_ref(&contract.purpose), "purpose")
}

fn period(contract: &Contract, now: Timestamp) -> R<()> {
    let sentence = "A contract must begin before it ends.";
    ensure(contract.effective_from < contract.expires_at, Code::ContractPeriod, "effective_from", sentence)?;
    ensure(now < contract.expires_at, Code::ContractPeriod, "expires_at", "The period of the contract is over.")
}

fn form(contract: &Contract) -> R<()> {
    let sentence = "Version 1 replaces nothing, a later version names the digest of what it replaces.";
    let versioned = contract.version >= 1 && (contract.version == 1) == contract.supersedes.is_none();
    ensure(versioned, Code::SchemaMismatch, "version", sentence)?;
    ensure(
        is_token(&contract.template),
        Code::SchemaMismatch,
        "template",
        "A template is 1 to 32 of a-z, 0-9, _ and -.",
    )?;
    country(&contract.jurisdiction, "jurisdiction")?;
    let sentence = "A contract plans at least one run, or leaves the number open.";
    ensure(contract.max_runs != Some(0), Code::SchemaMismatch, "max_runs", sentence)?;
    crate::forms::rules(&contract.rules, "rules")?;
    // Whether a statement must be there is for the template to say.
    let statement = &contract.obligations.risk_statement;
    if statement.is_empty() { Ok(()) } else { text(statement, 4000, "obligations.risk_statement") }
}

fn parties(contract: &Contract) -> R<()> {
    let incomplete = |ok, sentence: &str| ensure(ok, Code::ContractIncomplete, "parties", sentence);
    count(contract.parties.len(), schemas::envelope::MAX_SIGNATURES, "parties")?;
    let in_role = |role| contract.in_role(role).count();
    incomplete(in_role(Kind::Tdp) >= 1, "A contract has at least one party that provides data (tdp).")?;
    incomplete(in_role(Kind::Tdc) == 1, "A contract has exactly one party that consumes (tdc).")?;
    incomplete(in_role(Kind::Ccrp) == 1, "A contract has exactly one party that provides the clean room (ccrp).")?;
    let known = contract.parties.iter().all(|p| matches!(p.role, Kind::Tdp | Kind::Tdc | Kind::Ccrp));
    incomplete(known, "A party of a contract is tdp, tdc or ccrp.")?;
    incomplete(unique(contract.parties.iter().map(|p| &p.did)), "A party stands twice.")
}

/// Judges the datasets and hands back their offers in the contract's order.
fn datasets<'o>(contract: &Contract, offers: &[(Digest, &'o DatasetOffer)]) -> R<Vec<&'o DatasetOffer>> {
    let some = !contract.datasets.is_empty();
    ensure(some, Code::ContractIncomplete, "datasets", "A contract names at least one dataset.")?;
    count(contract.datasets.len(), MAX_DATASETS, "datasets")?;
    let once = unique(contract.datasets.iter().map(|d| &d.dataset_id));
    ensure(once, Code::SchemaMismatch, "datasets", "A dataset stands twice.")?;
    contract.datasets.iter().map(|terms| dataset(contract, terms, offers)).collect()
}

fn dataset<'o>(
    contract: &Contract,
    terms: &ContractDataset,
    offers: &[(Digest, &'o DatasetOffer)],
) -> R<&'o DatasetOffer> {
    let id = &terms.dataset_id;
    let sentence = format!("The provider of dataset {id} is not a party of the contract as tdp.");
    let provided = contract.role_of(&terms.provider) == Some(Kind::Tdp);
    ensure(provided, Code::ContractIncomplete, "datasets.provider", sentence)?;
    let (_, registered) = offers.iter().find(|(digest, _)| *digest == terms.offer_sha256).ok_or_else(|| {
        let sentence = format!("No registered offer has the digest that the contract pins for dataset {id}.");
        Refusal::new(Code::DatasetUnknown, sentence).at("datasets.offer_sha256")
    })?;
    // The clause by itself comes first, so that a δ that protects nobody has one code wherever it stands.
    offer::clause(&terms.privacy, terms.public_rows, "datasets.privacy")?;
    self::terms::dataset(terms, registered)?;
    let sentence = format!("Dataset {id} is not offered for the purpose {}.", contract.purpose);
    ensure(registered.usage.purposes.contains(&contract.purpose), Code::PurposeNotAllowed, "purpose", sentence)?;
    Ok(registered)
}

fn compute(contract: &Contract) -> R<()> {
    let (compute, incomplete) = (&contract.compute, Code::ContractIncomplete);
    let sentence = "A contract names the image sets it may run on; an empty list would deny every run.";
    ensure(!compute.image_sets.is_empty(), incomplete, "compute.image_sets", sentence)?;
    let sentence = "A contract names the kinds of evidence it accepts; an empty list would deny every run.";
    ensure(!compute.evidence.is_empty(), incomplete, "compute.evidence", sentence)?;
    count(compute.image_sets.len(), 64, "compute.image_sets")?;
    let once = unique(&compute.image_sets) && unique(&compute.evidence);
    ensure(once, Code::SchemaMismatch, "compute", "An image set or kind of evidence stands twice.")?;
    let level = matches!(compute.platform_level.as_str(), "baseline" | "2026" | "strict");
    ensure(level, Code::SchemaMismatch, "compute.platform_level", "A platform level is baseline, 2026 or strict.")?;
    let sentence = format!("A contract lets a run take 1 to {MOST_ROOMS} rooms, or says nothing of them.");
    let some = compute.rooms_max.is_none_or(|most| (1..=MOST_ROOMS).contains(&most));
    ensure(some, Code::LimitExceeded, "compute.rooms_max", sentence)?;
    let best = compute.evidence.iter().map(|kind| kind.assurance()).max();
    let short = contract.datasets.iter().find(|d| best < Some(d.key.min_assurance));
    let sentence = "No kind of evidence that the contract accepts opens every dataset of it.";
    ensure(short.is_none(), Code::AssuranceTooLow, "compute.evidence", sentence)
}

fn outputs(contract: &Contract) -> R<()> {
    let outputs = &contract.outputs;
    let model = outputs.kinds.iter().eq(["model"]);
    let known = model || outputs.kinds.iter().eq(["metrics"]);
    ensure(known, Code::SchemaMismatch, "outputs.kinds", "One kind of output may leave: model or metrics.")?;
    let inside = contract.datasets.iter().find(|d| d.privacy.level == Clause::STAYS_INSIDE).filter(|_| model);
    let sentence =
        format!("Dataset {}: at level 2 the model stays inside.", inside.map_or("", |d| d.dataset_id.as_str()));
    ensure(inside.is_none(), Code::ModelStaysInside, "outputs.kinds", sentence)?;
    let sealed = outputs.release == "encrypted_to_recipient";
    ensure(sealed, Code::SchemaMismatch, "outputs.release", "An output is released encrypted_to_recipient.")?;
    let consumer = contract.role_of(&outputs.recipient) == Some(Kind::Tdc);
    ensure(consumer, Code::ContractIncomplete, "outputs.recipient", "The recipient is the contract's tdc.")
}

fn revocation(contract: &Contract) -> R<()> {
    let revocation = &contract.revocation;
    let known = revocation.by.iter().all(|role| matches!(role, Kind::Tdp | Kind::Tdc | Kind::Sro));
    let sentence = "A contract may be revoked by tdp, tdc and sro, each named once.";
    ensure(known && unique(&revocation.by), Code::SchemaMismatch, "revocation.by", sentence)?;
    let sentence = "Notice of revocation is at most 90 days.";
    let notices = revocation.conditions.iter().map(|c| c.notice_seconds).chain([revocation.notice_seconds]).max();
    ensure(notices <= Some(MAX_NOTICE), Code::LimitExceeded, "revocation.notice_seconds", sentence)?;
    revocation.conditions.iter().try_for_each(condition)?;
    let sentence = "Each cause of revocation stands once.";
    let once = unique(revocation.conditions.iter().map(|c| c.cause));
    ensure(once, Code::SchemaMismatch, "revocation.conditions", sentence)
}

/// A cause, and who may revoke for it; revocation at will has members of its own.
fn condition(condition: &Condition) -> R<()> {
    let field = "revocation.conditions";
    let sentence = "Who may revoke at will stands in revocation.by, not in a condition.";
    ensure(condition.cause != Cause::AtWill, Code::SchemaMismatch, field, sentence)?;
    let known = condition.by.iter().all(|role| matches!(role, Kind::Tdp | Kind::Tdc | Kind::Sro));
    let sentence = "For a cause a contract may be revoked by tdp, tdc and sro, at least one, each named once.";
    ensure(known && !condition.by.is_empty() && unique(&condition.by), Code::SchemaMismatch, field, sentence)
}

/// The longest notice of revocation: 90 days.
const MAX_NOTICE: u32 = 90 * 86_400;
