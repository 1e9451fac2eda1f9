//! One training by several rooms: judged by the room and every key service alike, before anything is charged.

use policies::{Code, R, pipeline};
use schemas::pipeline::Model;
use schemas::trees::Trees;

use crate::fixtures::{House, expect, real};

/// Under a contract that lets a run take as many rooms as there may be.
fn judge(rooms: Option<u32>, change: impl FnOnce(&mut House)) -> R<()> {
    let mut house = House::new();
    house.job.rooms = rooms;
    house.contracts.iter_mut().for_each(|contract| contract.compute.rooms_max = Some(16));
    change(&mut house);
    house.link();
    house.judge(|facts| pipeline::decide(facts).map(drop))
}

#[test]
fn two_to_sixteen_rooms_train_together() {
    for rooms in [None, Some(2), Some(3), Some(16)] {
        assert_eq!(judge(rooms, |_| {}), Ok(()), "{rooms:?}");
    }
    for rooms in [0, 1, 17, u32::MAX] {
        expect(judge(Some(rooms), |_| {}), Code::LimitExceeded, &rooms.to_string());
    }
}

#[test]
fn trees_grow_in_one_room() {
    let forest = |house: &mut House| {
        let trees = Trees { depth: 3, features_per_tree: 2, regularization: real("10") };
        let training = house.training();
        (training.model, training.sample_rate) = (Model::Trees { trees }, real("1"));
    };
    assert_eq!(judge(None, forest), Ok(()));
    let two = judge(Some(2), forest).unwrap_err();
    assert_eq!((two.code, two.field.as_deref()), (Code::PipelineInvalid, Some("rooms")));
}

/// Each room holds the data: a contract that says nothing of rooms lets a run take one.
#[test]
fn a_run_takes_no_more_rooms_than_its_contract_lets_it() {
    let under = |rooms: Option<u32>, most: Option<u32>| {
        judge(rooms, |house| house.contracts.iter_mut().for_each(|c| c.compute.rooms_max = most))
    };
    for (rooms, most) in [(None, None), (None, Some(1)), (Some(2), Some(2)), (Some(2), Some(3)), (Some(16), Some(16))] {
        assert_eq!(under(rooms, most), Ok(()), "{rooms:?} under {most:?}");
    }
    for (rooms, most) in [(2, None), (2, Some(1)), (3, Some(2)), (16, Some(15))] {
        let refusal = under(Some(rooms), most).unwrap_err();
        let named = (refusal.code, refusal.field.as_deref());
        assert_eq!(named, (Code::RoomsNotAllowed, Some("rooms")), "{rooms} under {most:?}");
    }
}

#[test]
fn every_contract_of_the_job_lets_it() {
    let mut house = House::of_two_contracts();
    house.job.rooms = Some(2);
    house.contracts.iter_mut().for_each(|contract| contract.compute.rooms_max = Some(2));
    house.link();
    assert_eq!(house.judge(|facts| pipeline::decide(facts).map(drop)), Ok(()));
    house.contracts[1].compute.rooms_max = None;
    house.link();
    expect(house.judge(|facts| pipeline::decide(facts).map(drop)), Code::RoomsNotAllowed, "the second says nothing");
}
