//! A run whose room fell silent ends in the log, and once.

use policies::Code;
use policies::lifecycle::{AbortFact, RunState, State};
use schemas::event::Body;

use crate::contract_scene::Scene;
use crate::fixtures::{id, read};

fn lost() -> Body {
    Body::RunLost { run_id: read(id("run", 1).into()) }
}

#[test]
fn a_run_that_nothing_is_heard_of_ends_once_and_stays_charged() {
    let mut scene = Scene::signed(|_| ());
    scene.log.refused(lost(), Code::RunUnknown, "it never checked in");
    scene.run().unwrap();
    let run_id = read(id("run", 1).into());
    assert_eq!(scene.log.state.living().collect::<Vec<_>>(), [&run_id]);
    scene.log.refused(lost(), Code::RunState, "it checked in just now");
    scene.log.now = scene.log.now.plus_seconds(60);
    let completed = scene.completed();
    scene.log.enter(lost()).unwrap();
    let run = scene.log.state.run(&run_id).unwrap();
    assert_eq!(run.state, RunState::Aborted);
    assert!(matches!(run.aborted, Some(AbortFact::Silent { .. })) && run.charge_stands());
    assert_eq!(scene.log.state.living().count(), 0);
    scene.log.refused(lost(), Code::RunState, "ended already");
    scene.log.refused(completed, Code::RunState, "it comes back too late");
    let rows: Vec<_> = scene.log.state.rows().collect::<Result<_, _>>().unwrap();
    assert_eq!(State::from_rows(rows).unwrap(), scene.log.state);
}

#[test]
fn a_run_that_completed_is_not_lost() {
    let mut scene = Scene::signed(|_| ());
    scene.run().unwrap();
    let rows: Vec<_> = scene.log.state.rows().collect::<Result<_, _>>().unwrap();
    assert_eq!(State::from_rows(rows).unwrap(), scene.log.state, "living runs are found again");
    let completed = scene.completed();
    scene.log.enter(completed).unwrap();
    assert_eq!(scene.log.state.living().count(), 0);
    scene.log.now = scene.log.now.plus_seconds(3600);
    scene.log.refused(lost(), Code::RunState, "completed");
}
