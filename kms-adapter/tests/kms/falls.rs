//! The service falls in every transaction of every step, before and after its commit. Afterwards the room asks again
//! under fresh evidence: nothing is charged twice, no key leaves without its charge, and the journal hangs together.

use kms_adapter::{Fall, verify_log};
use schemas::event::RunEventKind;
use schemas::release::{RenewRequest, RunAct};
use schemas::{Code, Digest};

use crate::support::{Changes, Room, World, papers::real};

/// No act has more transactions.
const MOST: u32 = 24;

/// Many small runs fit into the budget.
fn world() -> World {
    World::with(Changes {
        job: Box::new(|j| match &mut j.stages[1] {
            schemas::pipeline::Stage::Train(t) => t.epsilon = Some(real("0.02")),
            other => panic!("{other:?}"),
        }),
        ..Changes::default()
    })
}

/// Lets the act fall at each of its transactions in turn, restarts the service, and looks at what is left.
fn falls<P>(
    before: impl Fn(&Room),
    prepare: impl Fn(&Room) -> P,
    act: impl Fn(&Room, P) -> Result<(), Code>,
    states: &[&str],
    ends: &str,
) {
    let mut world = world();
    let (mut fell, mut held) = (0, 0);
    for committed in [false, true] {
        for transaction in 1..=MOST {
            let room = Room::new(&world);
            before(&room);
            let prepared = prepare(&room);
            world.running.as_ref().unwrap().fall_at(Some(Fall { transaction, committed }));
            let done = act(&room, prepared);
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
            let room = Room { world: &world, run_id, run_key, enc, attester };
            let left = states_of(&room);
            assert!(left.len() <= 1, "charged once");
            let left = left.first().map_or("none", String::as_str);
            assert!(states.contains(&left), "transaction {transaction}, committed {committed}: {left}");
            act(&room, prepare(&room)).unwrap();
            assert_eq!(states_of(&room), [ends], "charged once");
        }
    }
    assert!(fell >= 4 && held == 2, "{fell} falls, {held} acts that were over before");
}

/// States of the charges of a run.
fn states_of(room: &Room) -> Vec<String> {
    let ledgers = room.world.budget()["ledgers"].as_array().unwrap().clone();
    let events = ledgers.iter().flat_map(|l| l["events"].as_array().unwrap().clone());
    let ours = events.filter(|e| e["run_id"] == room.run_id.as_str());
    ours.map(|e| e["state"].as_str().unwrap().to_owned()).collect()
}

fn code<T>(answer: crate::support::http::Answer<T>) -> Result<(), Code> {
    answer.map(drop).map_err(|refused| refused.code)
}

fn released(room: &Room) {
    room.release(&room.reserve().unwrap()).unwrap();
}

#[test]
fn reserving() {
    let prepare = |room: &Room| room.reserve_request(|_| ());
    falls(|_| (), prepare, |room, request| code(room.send_reserve(&request)), &["none", "reserved"], "reserved");
}

#[test]
fn releasing() {
    let prepare = |room: &Room| {
        // Reserving again gives the same reservation.
        let reserved = room.reserve().unwrap();
        let request = room.release_request(&reserved);
        (reserved, request)
    };
    let act = |room: &Room, (reserved, request)| code(room.send_release(&reserved, &request));
    falls(|room| drop(room.reserve().unwrap()), prepare, act, &["reserved", "charged"], "charged");
}

#[test]
fn renewing() {
    let prepare = |room: &Room| RenewRequest {
        request: room.request(RunAct::Renew {}),
        status_list: room.status_list(vec![]),
        log_keys: None,
    };
    falls(released, prepare, |room, request| code(room.send_renew(&request)), &["charged"], "charged");
}

#[test]
fn committing() {
    let prepare = |room: &Room| room.request(RunAct::Commit { output_sha256: Digest::of(b"model") });
    falls(released, prepare, |room, request| code(room.send_commit(&request)), &["charged", "committed"], "committed");
}

#[test]
fn refunding() {
    // The same event each time: a run ends once.
    let prepare = |room: &Room| room.aborted(RunEventKind::Aborted { steps_run: 0, code: "TIMEOUT".into() });
    falls(released, prepare, |room, request| code(room.refund(&request)), &["charged", "refunded"], "refunded");
}
