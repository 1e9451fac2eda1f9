//! What is refused about parties, offers and contracts, and the states of a contract.

use schemas::contract::{ContractDecline, ContractState};
use schemas::party::{Decision, Kind};
use schemas::text::Bytes;
use schemas::{Code, Envelope, R, Signer};
use signing::FileKey;

use crate::house::{House, reference, start};
use crate::papers;

fn code<T: std::fmt::Debug>(outcome: R<T>) -> Code {
    outcome.unwrap_err().code
}

#[test]
fn applications_that_are_not_the_applicants() {
    let house = House::empty();
    let (who, stranger) = (&house.tdps[0], &house.tdc);
    let participant = papers::participant(&house, who, Kind::Tdp);
    let mut other_key = participant.clone();
    other_key.jwk = stranger.jwk().clone();
    assert_eq!(code(house.client.apply(&house.sign(&other_key, stranger))), Code::DidUnresolved);
    let by_stranger = signing::sign(&participant, &**stranger, house.now()).unwrap();
    assert_eq!(code(house.client.apply(&by_stranger)), Code::SignerNotParty);
    let mut forged = house.sign(&participant, who);
    forged.signatures[0].sig = Bytes(vec![1; 64]);
    assert_eq!(code(house.client.apply(&forged)), Code::SignatureInvalid);
    let unsigned = Envelope::draft(&participant).unwrap();
    assert_eq!(code(house.client.apply(&unsigned)), Code::SignatureMissing);
    let mut abroad = participant.clone();
    abroad.registry = schemas::id::Did::parse("did:web:other.example").unwrap();
    assert_eq!(code(house.client.apply(&house.sign(&abroad, who))), Code::WrongRegistry);
    house.client.apply(&house.sign(&participant, who)).unwrap();
    assert_eq!(code(house.client.apply(&house.sign(&participant, who))), Code::ParticipantExists);
}

#[test]
fn decisions_need_two_different_people_of_the_sro() {
    let house = House::empty();
    let who = &house.tdps[0];
    house.client.apply(&house.sign(&papers::participant(&house, who, Kind::Tdp), who)).unwrap();
    let decision = house.decision(who, Kind::Tdp, Decision::Verified);
    assert_eq!(code(house.client.decide(&house.sign(&decision, who))), Code::SignerUnknown);
    let mut twice = house.sign(&decision, &house.sro[0]);
    twice.signatures.push(twice.signatures[0].clone());
    assert_eq!(code(house.client.decide(&twice)), Code::SignerTwice);
    assert_eq!(house.client.decide(&house.sign(&decision, &house.sro[0])).unwrap().signatures, 1);
    assert_eq!(house.client.participant(&who.did().unwrap()).unwrap().state, "applied");
    // A verified participant is still no person of the SRO.
    house.client.decide(&house.by_sro(&decision)).unwrap();
    let set = house.sign(&papers::image_set(&house), who);
    assert_eq!(code(house.client.approve_image_set(&set)), Code::Forbidden);
}

#[test]
fn offers_of_whom_nobody_verified() {
    let house = House::empty();
    let offer = house.sign(&papers::offer(&house, 0), &house.tdps[0]);
    assert_eq!(code(house.client.register_dataset(&offer)), Code::SignerUnknown);
    house.admit(&house.tdps[0], Kind::Tdc);
    assert_eq!(code(house.client.register_dataset(&offer)), Code::ParticipantNotVerified);
}

#[test]
fn offers_twice_and_pages_of_them() {
    let house = House::furnished();
    let offer = house.sign(&papers::offer(&house, 0), &house.tdps[0]);
    assert_eq!(code(house.client.register_dataset(&offer)), Code::DatasetExists);
    let mut fresh = papers::offer(&house, 0);
    fresh.offer_version = 2;
    house.client.register_dataset(&house.sign(&fresh, &house.tdps[0])).unwrap();
    let view = house.client.dataset(&fresh.dataset_id).unwrap();
    assert_eq!(view.offer.offer_version, 2);
    assert_eq!(house.client.datasets(None).unwrap().datasets.len(), 2);
    let id = schemas::id::DatasetId::new(uuid::Uuid::now_v7());
    assert_eq!(code(house.client.dataset(&id)), Code::NotFound);
    assert_eq!(house.client.datasets(Some(fresh.dataset_id.as_str())).unwrap().datasets.len(), 1);
}

#[test]
fn proposals_that_may_not_enter() {
    let house = House::furnished();
    let refused = |change: fn(&mut schemas::contract::Contract), expected: Code| {
        let mut contract = papers::contract(&house);
        change(&mut contract);
        assert_eq!(code(house.propose(&contract)), expected);
    };
    refused(|c| c.expires_at = start().plus_seconds(-1), Code::ContractPeriod);
    refused(|c| c.effective_from = c.expires_at, Code::ContractPeriod);
    refused(|c| c.payment[0].amount_minor = schemas::money::Minor::new(1).unwrap(), Code::TermsNotOffer);
    refused(|c| drop(c.payment.pop()), Code::TermsNotOffer);
    refused(|c| c.datasets[0].allowed_columns.push("k".into()), Code::TermsNotOffer);
    refused(|c| c.datasets[0].offer_sha256 = schemas::Digest([9; 32]), Code::DatasetUnknown);
    refused(|c| c.compute.image_sets = vec![schemas::id::ImageSetId::new(uuid::Uuid::now_v7())], Code::ImageSetUnknown);
    refused(|c| c.purpose = "INFERENCE".into(), Code::PurposeNotAllowed);
}

#[test]
fn signatures_that_do_not_count() {
    let house = House::furnished();
    let contract = house.propose(&papers::contract(&house)).unwrap();
    let reference = reference(&contract);
    assert_eq!(code(house.client.propose(&contract)), Code::ContractExists);
    assert_eq!(code(house.countersign(&contract, &house.tdc)), Code::SignerTwice);
    assert_eq!(code(house.countersign(&contract, &house.psp)), Code::SignerNotParty);
    assert_eq!(code(house.countersign(&contract, &FileKey::generate().unwrap())), Code::SignerUnknown);
    let mut forged = signing::countersign(&contract, &*house.tdps[0], house.now()).unwrap();
    forged.sig.0[3] ^= 1;
    assert_eq!(code(house.client.sign_contract(&reference.id, reference.sha256, forged)), Code::SignatureInvalid);
    // A signature over another contract, and over another act.
    let other = Envelope::draft(&papers::contract(&house)).unwrap();
    let elsewhere = signing::countersign(&other, &*house.tdps[0], house.now()).unwrap();
    assert_eq!(
        code(house.client.sign_contract(&reference.id, reference.sha256, elsewhere.clone())),
        Code::SignatureInvalid
    );
    assert_eq!(code(house.client.sign_contract(&reference.id, other.digest(), elsewhere)), Code::ContractUnknown);
    let revoke = house.sign(&papers::revoke(&house, &reference), &house.tdps[0]);
    let act = revoke.signatures[0].clone();
    assert_eq!(code(house.client.sign_contract(&reference.id, reference.sha256, act)), Code::SignatureContext);
    let view = house.as_(&house.tdc).contract(&reference.id).unwrap();
    assert_eq!((view.state, view.contract.signatures.len()), (ContractState::Proposed, 1));
    assert_eq!(code(house.as_(&house.tdc).contract_bundle(&reference.id)), Code::ContractNotActive);
}

#[test]
fn a_suspended_party_brings_no_contract_into_force() {
    let house = House::furnished();
    let contract = house.propose(&papers::contract(&house)).unwrap();
    house.countersign(&contract, &house.tdps[0]).unwrap();
    house.skip(1);
    house.client.decide(&house.by_sro(&house.decision(&house.tdps[1], Kind::Tdp, Decision::Suspended))).unwrap();
    assert_eq!(code(house.countersign(&contract, &house.tdps[1])), Code::SignerUnknown);
    house.countersign(&contract, &house.ccrp).unwrap();
    let mut draft = papers::contract(&house);
    draft.contract_id = schemas::id::ContractId::new(uuid::Uuid::now_v7());
    assert_eq!(code(house.propose(&draft)), Code::ParticipantNotVerified);
}

#[test]
fn declined_contracts_stay_out_of_force() {
    let house = House::furnished();
    let contract = house.propose(&papers::contract(&house)).unwrap();
    let decline = ContractDecline {
        schema: "contract-decline.v1".into(),
        registry: house.registry(),
        contract: reference(&contract),
        reason: "Too cheap".into(),
        declined_at: house.now(),
    };
    let id = reference(&contract).id;
    assert_eq!(code(house.client.decline(&id, &house.sign(&decline, &house.psp))), Code::SignerNotParty);
    let answer = house.client.decline(&id, &house.sign(&decline, &house.tdps[0])).unwrap();
    assert_eq!(answer.state, ContractState::Declined);
    assert_eq!(code(house.countersign(&contract, &house.tdps[1])), Code::StateTransition);
}

#[test]
fn a_revocation_stands_in_the_status_list_at_once() {
    let house = House::furnished();
    let contract = house.executed();
    let list = || signing::verify(house.client.status_list().unwrap(), &house.registry(), house.trust()).unwrap();
    assert!(list().not_in_force.is_empty());
    let revoke = papers::revoke(&house, &contract);
    assert_eq!(code(house.client.revoke(&contract.id, &house.sign(&revoke, &house.tdc))), Code::SignerNotParty);
    assert_eq!(code(house.client.revoke(&contract.id, &house.sign(&revoke, &house.sro[0]))), Code::TwoPeopleNeeded);
    let other = schemas::id::ContractId::new(uuid::Uuid::now_v7());
    assert_eq!(code(house.client.revoke(&other, &house.by_sro(&revoke))), Code::SchemaMismatch);
    let answer = house.client.revoke(&contract.id, &house.by_sro(&revoke)).unwrap();
    assert_eq!(answer.state, ContractState::Revoked);
    let listed = list();
    assert_eq!(listed.not_in_force[0].sha256, contract.sha256);
    assert_eq!((listed.not_in_force[0].state, listed.issued_at), (ContractState::Revoked, house.now()));
    assert_eq!(code(house.client.revoke(&contract.id, &house.sign(&revoke, &house.tdps[0]))), Code::StateTransition);
    house.skip(2);
    assert_eq!(list().issued_at, house.now(), "a list is at most a second old");
}

#[test]
fn an_expired_contract_stands_in_the_status_list() {
    let house = House::furnished();
    let contract = house.executed();
    house.skip(30 * 86_400);
    let list = house.client.status_list().unwrap().read_unverified().unwrap();
    assert_eq!((list.not_in_force[0].id.clone(), list.not_in_force[0].state), (contract.id, ContractState::Expired));
    // It does not stand there for ever, or the list would grow beyond what a document may hold.
    house.skip(86_400);
    assert!(house.client.status_list().unwrap().read_unverified().unwrap().not_in_force.is_empty());
}
