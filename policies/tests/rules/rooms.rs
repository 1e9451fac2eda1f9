//! One training by several rooms: judged by the room and every key service alike, before anything is charged.

use policies::{Code, R, pipeline};
use schemas::pipeline::Model;
use schemas::trees::Trees;

use crate::fixtures::{House, expect, real};

fn judge(rooms: Option<u32>, change: impl FnOnce(&mut House)) -> R<()> {
    let mut house = House::new();
    house.job.rooms = rooms;
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
