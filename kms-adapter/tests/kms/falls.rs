//! The service falls in every transaction of every step, before and after its commit. Afterwards the room asks again
//! under fresh evidence: nothing is charged twice, no key leaves without its charge, and the journal hangs together.

use kms_adapter::{Fall, verify_log};
use schemas::Code;
use schemas::event::RunEventKind;

use crate::support::{Changes, Room, World, papers::real};

/// No act has more transactions.
const MOST: u32 = 24;

/// Many small runs fit into the budget.
fn world() -> World {
    World::with(Changes {
        job: Box::new(|j| match &mut j.stages[1] {
            schemas::pipeline::Stage::Train(t) => t.epsilon = real("0.02"),
            other => panic!("{other:?}"),
        }),
        ..Changes::default()
    })
}

/// Lets the act fall at each of its transactions in turn, restarts the service, and looks at what is left.
fn falls(before: impl Fn(&Room), act: impl Fn(&Room) -> Result<(), Code>, states: &[&str], ends: &str) {
    let mut world = world();
    let (mut fell, mut held) = (0, 0);
    for committed in [false, true] {
        for transaction in 1..=MOST {
            let room = Room::new(&world);
            before(&room);
            world.running.as_ref().unwrap().fall_at(Some(Fall { transaction, committed }));
            let done = act(&room);
            world.running.as_ref().unwrap().fall_at(None);
            let Room { run_id, run_key, enc, attester, .. } = room;
            match done {
                Ok(()) => {
                    held += 1;
                    break;
                }
                Err(code) => assert_eq!(code, Code::Unavailable),
            }
            fell += 1;
            world.stop();
            verify_log(world.config.clone(), None).unwrap();
            world.restart().unwrap();
            let left: Vec<String> = world.charges();
            let left = left.last().map_or("none", String::as_str);
            assert!(states.contains(&left), "transaction {transaction}, committed {committed}: {left}");
            let room = Room { world: &world, run_id, run_key, enc, attester };
            act(&room).unwrap();
            assert_eq!(world.charges().last().unwrap(), ends);
            let of_run = world.budget()["ledgers"][0]["events"].as_array().unwrap().clone();
            let of_run = of_run.iter().filter(|e| e["run_id"] == room.run_id.as_str()).count();
            assert_eq!(of_run, 1, "charged once");
        }
    }
    assert!(fell >= 4 && held == 2, "{fell} falls, {held} acts that were over before");
}

fn code<T>(answer: crate::support::http::Answer<T>) -> Result<(), Code> {
    answer.map(drop).map_err(|refused| refused.code)
}

#[test]
fn reserving() {
    falls(|_| (), |room| code(room.reserve()), &["none", "reserved"], "reserved");
}

#[test]
fn releasing() {
    // Reserving again gives the same reservation.
    let release = |room: &Room| code(room.release(&room.reserve().map_err(|r| r.code)?));
    let before = |room: &Room| drop(room.reserve().unwrap());
    falls(before, release, &["reserved", "charged"], "charged");
}

#[test]
fn renewing() {
    let before = |room: &Room| drop(room.release(&room.reserve().unwrap()).unwrap());
    falls(before, |room| code(room.renew(room.status_list(vec![]))), &["charged"], "charged");
}

#[test]
fn committing() {
    let before = |room: &Room| drop(room.release(&room.reserve().unwrap()).unwrap());
    falls(before, |room| code(room.commit(b"model")), &["charged", "committed"], "committed");
}

#[test]
fn refunding() {
    let before = |room: &Room| drop(room.release(&room.reserve().unwrap()).unwrap());
    let abort = |room: &Room| {
        // The same event each time: the abort of a run is one.
        room.aborted(RunEventKind::Aborted { steps_run: 0, code: "TIMEOUT".into() })
    };
    let refund = |room: &Room| match room.refund(&abort(room)) {
        Err(refused) if refused.code == Code::RefundRefused && refused.text.contains("before") => Ok(()),
        answer => code(answer),
    };
    falls(before, refund, &["charged", "refunded"], "refunded");
}
