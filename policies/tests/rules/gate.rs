//! The gate: contracts in force, named, signed, as offered.

use policies::{Code, R, gate};
use schemas::contract::ContractState;
use schemas::digest::Digest;

use crate::fixtures::{House, again, at, did, expect, id, now, provider, read, spoilt};

fn judge(house: &House) -> R<()> {
    house.judge(|facts| gate::job(facts, &house.statuses(), now()))
}

#[test]
fn the_period_is_half_open() {
    let contract = &House::new().contracts[0];
    let judge = |text: &str| gate::in_force(contract, ContractState::Active, "TRAINING", at(text));
    assert_eq!(judge("2026-12-01T00:00:00Z"), Ok(()));
    assert_eq!(judge("2027-11-30T23:59:59.999999Z"), Ok(()));
    expect(judge("2026-11-30T23:59:59.999999Z"), Code::ContractNotYetValid, "before");
    expect(judge("2027-12-01T00:00:00Z"), Code::ContractExpired, "the end");
    expect(gate::in_force(contract, ContractState::Active, "INFERENCE", now()), Code::PurposeNotAllowed, "purpose");
}

#[test]
fn only_active_contracts_are_in_force() {
    for (state, code) in [
        (ContractState::Revoked, Code::ContractRevoked),
        (ContractState::Expired, Code::ContractExpired),
        (ContractState::Scheduled, Code::ContractNotYetValid),
        (ContractState::Proposed, Code::ContractNotActive),
        (ContractState::PartiallySigned, Code::ContractNotActive),
        (ContractState::Declined, Code::ContractNotActive),
    ] {
        let mut house = House::new();
        house.states = vec![state];
        expect(judge(&house), code, "state");
    }
}

#[test]
fn jobs_are_refused_for_one_thing_at_a_time() {
    spoilt(
        judge,
        &[
            (Code::WrongRegistry, |h| h.job.registry = did("did:web:other.example")),
            (Code::WrongRegistry, |h| h.offers[1].registry = did("did:web:other.example")),
            (Code::JobExpired, |h| h.job.expires_at = now()),
            (Code::SignerNotParty, |h| h.absent = Some(crate::fixtures::TDC)),
            (Code::JobMismatch, |h| h.job.contracts.clear()),
            (Code::JobMismatch, |h| again(&mut h.job.contracts)),
            (Code::JobMismatch, |h| again(&mut h.contracts)),
            (Code::SignatureMissing, |h| h.absent = Some("did:web:tdp1.example")),
            (Code::JobMismatch, |h| h.job.ccrp = did("did:web:other.example")),
            (Code::JobMismatch, |h| h.contracts[0].parties.retain(|p| p.did != h.job.tdc)),
            (Code::ContractNotActive, |h| h.states.clear()),
            (Code::ContractExpired, |h| h.contracts[0].expires_at = now()),
            (Code::PurposeNotAllowed, |h| h.job.purpose = "INFERENCE".into()),
            (Code::JobMismatch, |h| h.job.image_set_id = read(id("img", 2).into())),
            (Code::ImageSetNotApproved, |h| h.contracts[0].compute.image_sets = vec![read(id("img", 2).into())]),
            (Code::ImageSetNotApproved, |h| h.image_set.valid_to = now()),
            (Code::ImageSetNotApproved, |h| h.image_set.valid_from = now().plus_seconds(1)),
            (Code::TwoPeopleNeeded, |h| h.absent = Some("did:key:z6MkSroTwo")),
            (Code::JobMismatch, |h| h.job.datasets.clear()),
            (Code::JobMismatch, |h| h.job.datasets[1].handle = "icmr".into()),
            (Code::JobMismatch, |h| again(&mut h.job.datasets)),
            (Code::JobMismatch, |h| h.job.datasets[1].version = 2),
            (Code::JobMismatch, |h| drop(h.contracts[0].datasets.remove(1))),
            (Code::JobMismatch, |h| again(&mut h.contracts[0].datasets)),
            (Code::DatasetUnknown, |h| drop(h.offers.remove(2))),
            (Code::TermsNotOffer, |h| h.offers[0].manifest_root = Digest([9; 32])),
            (Code::TermsNotOffer, |h| h.contracts[0].datasets[2].key.kms = "https://evil.example".into()),
            (Code::TermsNotOffer, |h| h.contracts[0].datasets[0].allowed_columns.push("address".into())),
        ],
    );
}

#[test]
fn digests_pin_contract_and_offer() {
    let mut house = House::new();
    house.contracts[0].obligations.risk_statement.push('!');
    expect(judge(&house), Code::JobMismatch, "another contract than the job's");
    let mut house = House::new();
    house.offers[0].payment.clear();
    expect(judge(&house), Code::DatasetUnknown, "another offer than the contract's");
}

#[test]
fn an_offer_counts_only_with_its_providers_signature() {
    let mut house = House::of_two_contracts();
    assert_eq!(judge(&house), Ok(()));
    // A party of no contract at hand, so that only the offer misses its signature.
    house.offers[0].provider = did(&provider(7));
    house.contracts[0].datasets[0].provider = did(&provider(7));
    house.absent = Some("did:web:tdp7.example");
    house.link();
    expect(judge(&house), Code::SignerNotParty, "unsigned offer");
}

#[test]
fn two_contracts_are_judged_both() {
    let mut house = House::of_two_contracts();
    house.states[1] = ContractState::Revoked;
    expect(judge(&house), Code::ContractRevoked, "the second contract");
    let mut house = House::of_two_contracts();
    house.job.contracts.reverse();
    expect(judge(&house), Code::JobMismatch, "not sorted");
    let mut house = House::of_two_contracts();
    let first = house.contracts[0].datasets[0].clone();
    house.contracts[1].datasets.push(first);
    house.link();
    expect(judge(&house), Code::JobMismatch, "a dataset in two contracts");
    let mut house = House::of_two_contracts();
    house.job.datasets.remove(0);
    expect(judge(&house), Code::JobMismatch, "a contract that gives nothing");
}
