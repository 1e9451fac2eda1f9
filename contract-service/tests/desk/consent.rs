//! A version of a dataset that its provider withdraws: who has an open contract over it is told, and nobody else.

use schemas::dataset::{DatasetAct, DatasetActKind};
use schemas::{Code, Document, R};
use serde_json::Value;

use crate::catcher::{Catcher, eventually};
use crate::house::House;
use crate::papers;

fn code<T: std::fmt::Debug>(outcome: R<T>) -> Code {
    outcome.unwrap_err().code
}

fn withdrawal(house: &House) -> DatasetAct {
    DatasetAct {
        schema: DatasetAct::SCHEMA.into(),
        registry: house.registry(),
        dataset_id: papers::offer(house, 0).dataset_id,
        version: 1,
        act: DatasetActKind::Withdraw,
        reason: "consent of a person was withdrawn".into(),
        at: house.now(),
    }
}

/// Withdraws the first dataset. Whether each of these is told once, in this order: its provider, the other provider, the
/// consumer; the payment provider, who is a party of nothing, never is. Providers of rooms have no endpoints.
fn told(house: &House, expected: [bool; 3]) {
    let people = [&house.tdps[0], &house.tdps[1], &house.tdc];
    let catchers = people.map(|who| {
        let catcher = Catcher::start(|_| (200, String::new()));
        house.as_(who).create_endpoint(&catcher.url("/told"), &["dataset.withdrawn"]).unwrap();
        catcher
    });
    let stranger = Catcher::start(|_| (200, String::new()));
    house.as_(&house.psp).create_endpoint(&stranger.url("/told"), &["dataset.withdrawn"]).unwrap();
    let act = withdrawal(house);
    assert_eq!(code(house.client.change_dataset(&house.sign(&act, &house.tdps[1]))), Code::SignerNotParty);
    house.client.change_dataset(&house.sign(&act, &house.tdps[0])).unwrap();

    let all_told = || catchers.iter().zip(expected).all(|(catcher, told)| catcher.seen().len() == usize::from(told));
    assert!(eventually(all_told), "{:?}", catchers.each_ref().map(|catcher| catcher.seen().len()));
    for catcher in catchers.iter().zip(expected).filter_map(|(catcher, told)| told.then_some(catcher)) {
        let body: Value = serde_json::from_slice(&catcher.seen()[0].body).unwrap();
        let data = &body["data"];
        assert_eq!(body["type"], "dataset.withdrawn");
        assert_eq!((&data["dataset_id"], &data["version"]), (&act.dataset_id.as_str().into(), &1.into()));
        assert_eq!(data["reason"], "consent of a person was withdrawn");
    }
    // What an endpoint was to get stands before it is sent.
    let of = |who| house.as_(who).deliveries().unwrap().deliveries.len();
    assert_eq!(people.map(of), expected.map(usize::from));
    assert_eq!((of(&house.psp), stranger.seen().len()), (0, 0));
}

#[test]
fn the_parties_of_a_contract_in_force_are_told() {
    let house = House::furnished();
    let bundle = house.bundle(&house.executed());
    told(&house, [true; 3]);
    // No run begins under it, and no contract is proposed over it any more.
    assert_eq!(code(house.as_(&house.tdc).order_run(&bundle)), Code::DatasetNotAvailable);
    assert_eq!(code(house.propose(&papers::contract(&house))), Code::DatasetNotAvailable);
}

#[test]
fn who_is_still_asked_to_sign_is_told_too() {
    let house = House::furnished();
    let contract = house.propose(&papers::contract(&house)).unwrap();
    house.countersign(&contract, &house.tdps[1]).unwrap();
    told(&house, [true; 3]);
}

#[test]
fn the_parties_of_a_contract_that_has_ended_are_not_told() {
    let house = House::furnished();
    let contract = house.executed();
    let revoke = papers::revoke(&house, &contract);
    house.client.revoke(&contract.id, &house.sign(&revoke, &house.tdps[0])).unwrap();
    told(&house, [true, false, false]);
}

#[test]
fn without_a_contract_its_provider_alone_is_told() {
    let house = House::furnished();
    told(&house, [true, false, false]);
}
