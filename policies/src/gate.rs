//! The gate: is this job covered by contracts that are in force now? Contract service, room and KMS ask it alike.

use std::collections::BTreeSet;

use schemas::contract::{Contract, ContractRef, ContractState, Running};
use schemas::id::Did;
use schemas::party::Kind;
use schemas::problem::{Code, R, Refusal};
use schemas::release::ContractStatus;
use schemas::time::Timestamp;
use schemas::{Entered, Signed};

use crate::facts::Facts;
use crate::forms::{ensure, unique};
use crate::registration;

/// May this contract be used for this purpose now? The period is half-open: `effective_from` counts, `expires_at` not.
pub fn in_force(contract: &Contract, state: ContractState, purpose: &str, now: Timestamp) -> R<()> {
    let id = &contract.contract_id;
    self::state(id.as_str(), state)?;
    let sentence = format!("Contract {id} comes into force at {}.", contract.effective_from);
    ensure(contract.effective_from <= now, Code::ContractNotYetValid, "effective_from", sentence)?;
    let sentence = format!("Contract {id} expired at {}.", contract.expires_at);
    ensure(now < contract.expires_at, Code::ContractExpired, "expires_at", sentence)?;
    let sentence = format!("Contract {id} is for the purpose {}, not {purpose}.", contract.purpose);
    ensure(contract.purpose == purpose, Code::PurposeNotAllowed, "purpose", sentence)
}

/// May a run that has its keys go on under this contract? While it is in force, and after an end that lets it finish:
/// revoked, expired or replaced, where the contract says `let_finish`. A suspension stops every run.
pub fn may_go_on(contract: &Contract, state: ContractState, purpose: &str, now: Timestamp) -> R<()> {
    if lets_finish(contract, state) { Ok(()) } else { in_force(contract, state, purpose, now) }
}

/// Does this end of a contract let a run finish that has its keys?
pub fn lets_finish(contract: &Contract, state: ContractState) -> bool {
    let ended = matches!(state, ContractState::Revoked | ContractState::Expired | ContractState::Superseded);
    ended && contract.revocation.running == Running::LetFinish
}

/// Is this the state of a contract in force?
pub fn state(id: &str, state: ContractState) -> R<()> {
    let (code, sentence) = match state {
        ContractState::Active => return Ok(()),
        ContractState::Revoked => (Code::ContractRevoked, "was revoked"),
        ContractState::Expired => (Code::ContractExpired, "has expired"),
        ContractState::Scheduled => (Code::ContractNotYetValid, "is not in force yet"),
        ContractState::Proposed | ContractState::PartiallySigned => (Code::ContractNotActive, "is not fully signed"),
        ContractState::AwaitingSro => (Code::ContractNotActive, "awaits the countersignature of the SRO"),
        ContractState::Suspended => (Code::ContractSuspended, "is suspended"),
        ContractState::Declined => (Code::ContractNotActive, "was declined"),
        ContractState::Withdrawn => (Code::ContractNotActive, "was withdrawn"),
        ContractState::Lapsed => (Code::ContractNotActive, "was not signed in time"),
        ContractState::Completed => (Code::ContractNotActive, "is completed: no further run is paid for"),
        ContractState::Superseded => (Code::ContractNotActive, "is replaced by a newer version"),
    };
    Err(Refusal::new(code, format!("Contract {id} {sentence}.")).at("state"))
}

/// May this job be done now, as far as its contracts go? In this order:
///
/// 1. one registry everywhere, the job not expired, signed by its TDC;
/// 2. the job's contracts are those at hand, by id and digest, fully signed, with the job's TDC and CCR provider, each
///    in force for the job's purpose;
/// 3. the image set is the job's, named by every contract and valid now;
/// 4. every dataset stands in exactly one contract, every contract gives one, and each is as its signed offer says.
pub fn job(facts: &Facts<'_>, states: &[ContractStatus], now: Timestamp) -> R<()> {
    one_registry(facts)?;
    let job = facts.job;
    let sentence = format!("The job expired at {}.", job.expires_at);
    ensure(now < job.expires_at, Code::JobExpired, "expires_at", sentence)?;
    only_signer(job, &job.tdc)?;
    same_contracts(facts)?;
    for contract in facts.contracts {
        parties(facts, contract)?;
        let reference = reference(contract);
        let stated = states.iter().find(|s| s.id == reference.id && s.sha256 == reference.sha256).ok_or_else(|| {
            let sentence = format!("Nothing is known about the state of contract {}.", reference.id);
            Refusal::new(Code::ContractNotActive, sentence).at("contracts")
        })?;
        in_force(contract, stated.state, &job.purpose, now)?;
    }
    image_set(facts, now)?;
    datasets(facts)
}

fn one_registry(facts: &Facts<'_>) -> R<()> {
    let registry = &facts.job.registry;
    let contracts = facts.contracts.iter().map(|c| &c.registry);
    let all = contracts.chain(facts.offers.iter().map(|o| &o.registry)).chain([&facts.image_set.registry]);
    let sentence = format!("Job, contracts, offers and image set must all count in the registry {registry}.");
    ensure(all.into_iter().all(|r| r == registry), Code::WrongRegistry, "registry", sentence)
}

fn same_contracts(facts: &Facts<'_>) -> R<()> {
    let named = &facts.job.contracts;
    let sorted = !named.is_empty() && named.is_sorted() && unique(named.iter().map(|c| &c.id));
    ensure(sorted, Code::JobMismatch, "contracts", "A job names its contracts sorted by id, each once, at least one.")?;
    let given: BTreeSet<ContractRef> = facts.contracts.iter().map(reference).collect();
    let same = given.len() == facts.contracts.len() && given.iter().eq(named);
    ensure(same, Code::JobMismatch, "contracts", "The contracts at hand are not those that the job names by digest.")
}

fn parties(facts: &Facts<'_>, contract: &Entered<Contract>) -> R<()> {
    let id = &contract.contract_id;
    for party in &contract.parties {
        let sentence = format!("{} has not signed contract {id}.", party.did);
        ensure(contract.signed_by(&party.did), Code::SignatureMissing, "parties", sentence)?;
    }
    for (did, role, field) in [(&facts.job.tdc, Kind::Tdc, "tdc"), (&facts.job.ccrp, Kind::Ccrp, "ccrp")] {
        let sentence = format!("{did} does not have this role in contract {id}.");
        ensure(contract.in_role(role).eq([did]), Code::JobMismatch, field, sentence)?;
    }
    Ok(())
}

fn image_set(facts: &Facts<'_>, now: Timestamp) -> R<()> {
    let (set, field) = (facts.image_set, "image_set_id");
    let id = &set.image_set_id;
    let sentence = format!("The job names another image set than {id}.");
    ensure(facts.job.image_set_id == *id, Code::JobMismatch, field, sentence)?;
    for contract in facts.contracts {
        let sentence = format!("Contract {} does not allow the image set {id}.", contract.contract_id);
        ensure(contract.compute.image_sets.contains(id), Code::ImageSetNotApproved, field, sentence)?;
    }
    let holders: BTreeSet<&str> = set.signers().iter().map(|k| k.holder.as_str()).collect();
    ensure(holders.len() >= 2, Code::TwoPeopleNeeded, field, "Two SRO people must have approved the image set.")?;
    let sentence = format!("Image set {id} is approved from {} to {}.", set.valid_from, set.valid_to);
    ensure(set.valid_from <= now && now < set.valid_to, Code::ImageSetNotApproved, field, sentence)
}

fn datasets(facts: &Facts<'_>) -> R<()> {
    let named = &facts.job.datasets;
    let once =
        !named.is_empty() && unique(named.iter().map(|d| &d.dataset_id)) && unique(named.iter().map(|d| &d.handle));
    ensure(once, Code::JobMismatch, "datasets", "A job names its datasets and their handles once each, at least one.")?;
    let uses = facts.datasets()?;
    for used in &uses {
        registration::terms::dataset(used.terms, used.offer)?;
        only_signer(used.offer.signed(), &used.offer.provider)?;
    }
    let idle = facts.contracts.iter().find(|c| !uses.iter().any(|u| u.contract.contract_id == c.contract_id));
    let sentence = "Each contract of a job gives at least one of its datasets.";
    ensure(idle.is_none(), Code::JobMismatch, "contracts", sentence)
}

fn only_signer<T>(signed: &Signed<T>, holder: &Did) -> R<()> {
    let alone = matches!(signed.signers(), [one] if one.holder == holder.as_str());
    ensure(alone, Code::SignerNotParty, "signatures", format!("One signature, by {holder}, is expected."))
}

fn reference(contract: &Entered<Contract>) -> ContractRef {
    ContractRef { id: contract.contract_id.clone(), sha256: contract.digest() }
}
