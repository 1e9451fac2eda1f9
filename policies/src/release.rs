//! May a key go to this run? What the room says about itself, what the contract service says about it, what its evidence
//! shows, and, at release, that every key service of the run has reserved.

use schemas::contract::{Contract, ContractRef, ContractState};
use schemas::envelope::{Entered, Signed};
use schemas::evidence::{Appraisal, Transcript};
use schemas::id::ImageSetId;
use schemas::jwk::Curve;
use schemas::privacy::Plan;
use schemas::problem::{Code, R, Refusal};
use schemas::release::{Admission, Challenge, ContractStatus, KmsReceipt, KmsStatement, MOST_IMAGE_SETS, StatusList};
use schemas::time::Timestamp;

use crate::completion::RunView;
use crate::facts::Facts;
use crate::forms::ensure;
use crate::gate;
use crate::receipts::Run;

/// Does the transcript answer this challenge and speak of this job? The nonce was consumed before.
///
/// A challenge of the contract service carries a checkpoint, which the transcript repeats, and there is no Admission yet;
/// a key service's carries none, and the transcript names the Admission that [`admission`] judges.
pub fn transcript(t: &Transcript, challenge: &Challenge, facts: &Facts<'_>, now: Timestamp) -> R<()> {
    let sentence = format!("The challenge was good until {}.", challenge.expires_at);
    ensure(now < challenge.expires_at, Code::ChallengeExpired, "challenge_id", sentence)?;
    let job = facts.job;
    let checkpoint = match &challenge.checkpoint {
        Some(checkpoint) => t.checkpoint == *checkpoint && t.admission_sha256.is_none(),
        None => t.admission_sha256.is_some(),
    };
    for (same, field) in [
        (t.v == 1, "v"),
        (challenge.registry == job.registry, "registry"),
        (t.aud == challenge.aud, "aud"),
        (t.nonce == challenge.nonce && t.nonce.0.len() == 32, "nonce"),
        (t.challenge_id == challenge.challenge_id, "challenge_id"),
        (t.run_id == challenge.run_id, "run_id"),
        (t.job_sha256 == challenge.job_sha256 && t.job_sha256 == job.digest(), "job_sha256"),
        (t.contracts == job.contracts, "contracts"),
        (t.image_set_id == job.image_set_id, "image_set_id"),
        (t.enc_jwk.point(Curve::X25519).is_ok(), "enc_jwk"),
        (t.run_jwk.point(Curve::Ed25519).is_ok(), "run_jwk"),
        (checkpoint, "checkpoint"),
    ] {
        mismatch(same, field)?;
    }
    Ok(())
}

/// Does the contract service admit this very run now? Its own signature, at most 60 s old, the transcript's run, job,
/// keys, contracts, image set and checkpoint, every contract active.
pub fn admission(admission: &Signed<Admission>, t: &Transcript, now: Timestamp) -> R<()> {
    let own = matches!(admission.signers(), [one] if one.holder == admission.registry.as_str());
    ensure(own, Code::AdmissionInvalid, "signatures", "An Admission is signed by the registry alone.")?;
    let sentence = format!("The Admission of {} is not fresh; ask for a new one.", admission.issued_at);
    ensure(fresh(admission.issued_at, now), Code::AdmissionStale, "issued_at", sentence)?;
    mismatch(t.admission_sha256 == Some(admission.digest()), "admission_sha256")?;
    mismatch(t.checkpoint == admission.checkpoint, "checkpoint")?;
    let keys = admission.run_jwk == t.run_jwk && admission.enc_jwk == t.enc_jwk;
    ensure(keys, Code::RunKeyMismatch, "run_jwk", "The Admission names other keys than the transcript.")?;
    let admitted = admission.contracts.iter().map(|c| (&c.id, &c.sha256));
    for (same, field) in [
        (admission.run_id == t.run_id, "run_id"),
        (admission.job_sha256 == t.job_sha256, "job_sha256"),
        (admission.image_set_id == t.image_set_id, "image_set_id"),
        (admitted.eq(t.contracts.iter().map(|c| (&c.id, &c.sha256))), "contracts"),
    ] {
        let sentence = format!("The Admission's {field} is not the transcript's.");
        ensure(same, Code::AdmissionInvalid, field, sentence)?;
    }
    admission.contracts.iter().try_for_each(|contract| gate::state(contract.id.as_str(), contract.state))
}

/// Was this Admission made since the key service started? What an older one says of the service's journal may be true
/// of a database that was put back in between, and would hide what that database lacks.
pub fn admission_since(admission: &Admission, started: Timestamp) -> R<()> {
    let sentence = "The Admission is older than this key service's start; refresh it and ask again.";
    ensure(admission.issued_at >= started, Code::AdmissionStale, "issued_at", sentence)
}

/// Do the contracts accept evidence of this kind and strength?
pub fn evidence_allowed(facts: &Facts<'_>, appraisal: &Appraisal) -> R<()> {
    let sentence = "The evidence does not show an approved clean room.";
    ensure(appraisal.accepted, Code::EvidenceRefused, "evidence", sentence)?;
    let kind = appraisal.kind;
    let profile = kind == facts.image_set.profile;
    ensure(profile, Code::EvidenceNotAllowed, "evidence.kind", "The image set is shown by another kind of evidence.")?;
    for contract in facts.contracts {
        let sentence = format!("Contract {} does not accept this kind of evidence.", contract.contract_id);
        ensure(contract.compute.evidence.contains(&kind), Code::EvidenceNotAllowed, "evidence.kind", sentence)?;
    }
    let assurance = appraisal.assurance.min(kind.assurance());
    for used in facts.datasets()? {
        let least = used.terms.key.min_assurance.max(used.offer.key.min_assurance);
        let sentence = format!("The key of dataset {} asks for stronger evidence.", used.job.dataset_id);
        ensure(assurance >= least, Code::AssuranceTooLow, "evidence.kind", sentence)?;
    }
    Ok(())
}

/// Is none of these contracts listed as not in force, by a list that is at most 60 s old? Asked at every renewal.
pub fn status_list(list: &Signed<StatusList>, contracts: &[ContractRef], now: Timestamp) -> R<()> {
    let own = matches!(list.signers(), [one] if one.holder == list.registry.as_str());
    ensure(own, Code::SignerNotParty, "signatures", "A status list is signed by the registry alone.")?;
    let sentence = format!("The status list of {} is not fresh; ask for a new one.", list.issued_at);
    ensure(fresh(list.issued_at, now), Code::StatusListStale, "issued_at", sentence)?;
    let sentence = format!("A status list names at most {MOST_IMAGE_SETS} image sets.");
    let bounded = list.image_sets_revoked.len() <= MOST_IMAGE_SETS;
    ensure(bounded, Code::LimitExceeded, "image_sets_revoked", sentence)?;
    let ours = |status: &&ContractStatus| contracts.iter().any(|c| c.id == status.id && c.sha256 == status.sha256);
    list.not_in_force.iter().filter(ours).try_for_each(|status| gate::state(status.id.as_str(), status.state))
}

/// Is this image set none of those that were revoked, as a status list or a key service's own memory names them?
pub fn image_set_stands<'a>(mut revoked: impl Iterator<Item = &'a ImageSetId>, id: &ImageSetId) -> R<()> {
    let sentence = format!("The approval of image set {id} was withdrawn.");
    ensure(!revoked.any(|other| other == id), Code::ImageSetRevoked, "image_set_id", sentence)
}

/// May a run that holds keys go on? Asked at every renewal, by a status list as [`status_list`] wants it: its image set
/// still stands, and each contract is in force, or has ended in a way that lets the run finish. An image set that is
/// withdrawn lets nothing finish: the room is no longer trusted with what it holds.
pub fn renewal(
    list: &Signed<StatusList>,
    contracts: &[Entered<Contract>],
    image_set: &ImageSetId,
    purpose: &str,
    now: Timestamp,
) -> R<()> {
    status_list(list, &[], now)?;
    image_set_stands(list.image_sets_revoked.iter(), image_set)?;
    for contract in contracts {
        let sha256 = contract.digest();
        let listed = list.not_in_force.iter().find(|s| s.id == contract.contract_id && s.sha256 == sha256);
        let state = listed.map_or(ContractState::Active, |status| status.state);
        let ended = match state {
            ContractState::Active if contract.expires_at <= now => ContractState::Expired,
            state => state,
        };
        gate::may_go_on(contract, ended, purpose, now)?;
    }
    Ok(())
}

/// Has every key service of the run reserved? Each dataset of the job stands in exactly one living reservation, of this
/// run and run key, made by the key service that its offer pins, and charges what the plan says.
pub fn reservations(
    facts: &Facts<'_>,
    run: &RunView,
    plan: &Plan,
    receipts: &[Signed<KmsReceipt>],
    now: Timestamp,
) -> R<()> {
    let refuse =
        |why: String| Refusal::new(Code::ReservationsIncomplete, format!("Reservations: {why}.")).at("reservations");
    let uses = facts.datasets()?;
    for receipt in receipts {
        let KmsStatement::Reserved { expires_at, .. } = &receipt.statement else {
            return Err(refuse(format!("a receipt of {} is no reservation", receipt.kms)));
        };
        let sentence = format!("The reservation at {} was good until {expires_at}.", receipt.kms);
        ensure(now < *expires_at, Code::ReservationExpired, "reservations", sentence)?;
        let pinned = uses.iter().filter(|used| used.terms.key.kms == receipt.kms).all(|used| {
            let key = used.offer.key.kms_jwk.thumbprint();
            matches!(receipt.signers(), [one] if one.holder == used.terms.provider.as_str() && one.thumbprint == key)
        });
        if !pinned {
            return Err(refuse(format!("a receipt of {} is not signed by the key that its offer pins", receipt.kms)));
        }
        if let Some(charge) = receipt.charges.iter().find(|charge| !plan.charges.contains(charge)) {
            return Err(refuse(format!("dataset {} is charged otherwise than planned", charge.dataset_id)));
        }
    }
    let contracts: Vec<&Contract> = facts.contracts.iter().map(|contract| -> &Contract { contract }).collect();
    let covered = Run { job: facts.job, contracts: &contracts, view: run };
    covered.covered_by(&receipts.iter().map(|receipt| -> &KmsReceipt { receipt }).collect::<Vec<_>>()).map_err(refuse)
}

/// Seconds of a lease that begins now on a word of the registry (an Admission or a status list) issued then: as many as
/// asked, but over before that word is [`FRESH_SECONDS`] old. So nobody holds a lease a minute after a revocation that
/// the word could not know. Where less than [`LEAST_LEASE_SECONDS`] would be left, or less than asked if that is less, the
/// word is refused as stale with this code: the room fetches another one, rather than lose its run.
pub fn lease(asked: u32, issued_at: Timestamp, now: Timestamp, stale: Code) -> R<u32> {
    let left = (FRESH_SECONDS - AHEAD_SECONDS - now.seconds_since(issued_at)).floor().max(0.0) as u32;
    let sentence = format!("What was issued at {issued_at} holds for {left} s more; ask for a new one.");
    ensure(left >= asked.min(LEAST_LEASE_SECONDS), stale, "issued_at", sentence)?;
    Ok(asked.min(left))
}

/// Not further ahead than clocks differ, and at most [`FRESH_SECONDS`] old by the clock that is ahead: what says that it
/// was issued some seconds from now does not live longer for it.
fn fresh(issued_at: Timestamp, now: Timestamp) -> bool {
    (-AHEAD_SECONDS..=FRESH_SECONDS - AHEAD_SECONDS).contains(&now.seconds_since(issued_at))
}

fn mismatch(same: bool, field: &str) -> R<()> {
    ensure(same, Code::TranscriptMismatch, field, format!("The transcript's {field} is not what was expected."))
}

/// How old an Admission or a status list may be, whichever clock is ahead: [`AHEAD_SECONDS`] of it are kept for that.
pub const FRESH_SECONDS: f64 = 60.0;
/// The shortest lease, in seconds, unless less is asked for; rooms renew every ten.
pub const LEAST_LEASE_SECONDS: u32 = 15;
/// How far ahead of ours the registry's clock may be.
pub const AHEAD_SECONDS: f64 = 5.0;
