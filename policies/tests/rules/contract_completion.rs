//! When a contract is completed: its planned runs, counted over its versions, or a budget that cannot come back.

use policies::Code;
use schemas::contract::{CompletedReason, Contract, ContractState};
use schemas::event::{Abort, Body, RunEvent, RunEventKind};
use schemas::job::JobSpec;
use schemas::release::KmsStatement;
use schemas::{Digest, Timestamp};
use serde_json::json;

use crate::contract_scene::{Scene, by_kms, receipt, refer, run_kid};
use crate::contract_states::one_run;
use crate::fixtures::{CCRP, REGISTRY, TDC, digest, envelope, id, provider, read, real};
use crate::log::by;

/// One run costs ε 1.0; the clauses grant hardly more.
fn tight(contract: &mut Contract) {
    contract.datasets.iter_mut().for_each(|d| d.privacy.epsilon = real("1.005"));
}

fn completion(scene: &Scene) -> Option<CompletedReason> {
    scene.log.state.completion_of(&scene.reference, scene.log.now).unwrap()
}

fn budget(scene: &Scene) -> Body {
    Body::ContractCompleted { contract: scene.reference.clone(), reason: CompletedReason::Budget }
}

/// A second job under the same contract.
fn second(scene: &Scene) -> JobSpec {
    let mut job = scene.house().job;
    job.job_id = read(id("job", 2).into());
    job
}

/// The first run done and paid.
fn one_done(scene: &mut Scene) {
    scene.run().unwrap();
    let body = scene.completed();
    scene.log.enter(body).unwrap();
    scene.settle();
}

#[test]
fn a_spent_budget_completes_no_contract_while_an_order_waits_for_its_room() {
    let mut scene = Scene::signed(tight);
    let job = second(&scene);
    scene.log.enter(Body::RunOrdered { job: by(&job, &[TDC]) }).unwrap();
    one_done(&mut scene);
    assert_eq!(completion(&scene), None);
    let early = budget(&scene);
    scene.log.refused(early, Code::StateTransition, "an order waits");
    let numbers = |scene: &Scene| scene.log.state.resting(scene.log.now).map(|(_, n)| n).collect::<Vec<_>>();
    let before = numbers(&scene);
    scene.log.now = job.expires_at;
    assert_ne!(numbers(&scene), before, "to be asked again");
    assert_eq!(completion(&scene), Some(CompletedReason::Budget), "no room can take it any more");
    let body = budget(&scene);
    scene.log.enter(body).unwrap();
    assert_eq!(scene.state(), ContractState::Completed);
}

#[test]
fn a_budget_is_spent_when_no_dataset_has_any_left() {
    for spared in 0..3 {
        let mut scene = Scene::signed(|c| {
            tight(c);
            c.datasets[spared].privacy.epsilon = real("2");
        });
        one_done(&mut scene);
        assert_eq!(completion(&scene), None, "a job may use dataset {spared} alone");
    }
}

/// A run that ended with its keys released, and how.
fn ended(how: impl FnOnce(&Scene) -> Body) -> Scene {
    let mut scene = Scene::signed(tight);
    scene.run().unwrap();
    for n in 0..3 {
        let statement = released();
        let stated = receipt(&scene.house(), n, 1, Digest([0; 32]), statement);
        scene.log.enter(Body::KmsStated { receipt: by_kms(&stated) }).unwrap();
    }
    assert_eq!(completion(&scene), None, "in flight");
    let body = how(&scene);
    scene.log.enter(body).unwrap();
    scene
}

fn released() -> KmsStatement {
    KmsStatement::Released { reservation_id: read(id("rsv", 1).into()), jwe_sha256: vec![Digest([1; 32])] }
}

fn gave_up(scene: &Scene, steps_run: u32) -> Body {
    gave_up_for(scene, steps_run, "PLAN_MISMATCH")
}

fn gave_up_for(scene: &Scene, steps_run: u32, code: &str) -> Body {
    let event = RunEvent {
        schema: "run-event.v1".into(),
        registry: read(json!(REGISTRY)),
        run_id: read(id("run", 1).into()),
        job_sha256: digest(&scene.house().job),
        event: RunEventKind::Aborted { steps_run, code: code.into() },
        at: scene.log.now,
    };
    Body::RunReported { event: envelope(&event, run_kid()) }
}

/// People are shown why a room gave up: it says so by a code, not by a text of its own.
#[test]
fn a_room_gives_up_by_a_code() {
    let mut scene = Scene::signed(tight);
    scene.run().unwrap();
    for text in ["", "plan_mismatch", "PLAN MISMATCH", "X\u{1b}[2J", &"A".repeat(65)] {
        let body = gave_up_for(&scene, 0, text);
        scene.log.refused(body, Code::SchemaMismatch, text);
    }
    let body = gave_up_for(&scene, 0, &"A".repeat(64));
    scene.log.enter(body).unwrap();
}

#[test]
fn a_charge_that_may_come_back_completes_nothing() {
    let stopped = |scene: &Scene| {
        let abort: Abort = read(json!({"schema": "abort.v1", "registry": REGISTRY, "run_id": id("run", 1),
            "reason": "enough", "at": scene.log.now}));
        Body::RunAborted { abort: by(&abort, &[TDC]) }
    };
    assert_eq!(completion(&ended(stopped)), Some(CompletedReason::Budget), "stopped from outside: charged");
    assert_eq!(completion(&ended(|s| gave_up(s, 1))), Some(CompletedReason::Budget), "after a step: charged");
    let mut aborted_sha256 = Digest([0; 32]);
    let mut scene = ended(|s| {
        let body = gave_up(s, 0);
        if let Body::RunReported { event } = &body {
            aborted_sha256 = event.digest();
        }
        body
    });
    assert_eq!(completion(&scene), None, "before any step: the key services may return it");
    let early = budget(&scene);
    scene.log.refused(early, Code::StateTransition, "a charge may come back");
    for n in 0..3 {
        let house = scene.house();
        let prev = digest(&receipt(&house, n, 1, Digest([0; 32]), released()));
        let stated = receipt(&house, n, 2, prev, KmsStatement::Refunded { aborted_sha256 });
        scene.log.enter(Body::KmsStated { receipt: by_kms(&stated) }).unwrap();
        assert_eq!(completion(&scene), None);
    }
    // What was returned can be spent: the order may be taken by another room.
    assert_eq!(scene.state(), ContractState::Active);
}

/// The contract's next version, signed by all.
pub fn amended(scene: &mut Scene, change: impl FnOnce(&mut Contract)) {
    let next = scene.next(change);
    scene.log.enter(Body::ContractProposed { contract: by(&next, &[CCRP]) }).unwrap();
    (scene.reference, scene.contract) = (refer(&next), next);
    for holder in [TDC.to_owned(), provider(0), provider(1), provider(2)] {
        scene.log.sign(&scene.reference.clone(), &holder).unwrap();
    }
}

#[test]
fn an_amendment_brings_no_further_runs_unless_it_plans_more() {
    let later = |c: &mut Contract| c.expires_at = Timestamp::parse("2028-01-01T00:00:00Z").unwrap();
    let two = |c: &mut Contract| c.max_runs = Some(2);
    for (change, admitted) in [(later as fn(&mut Contract), false), (two, true)] {
        let mut scene = Scene::signed(one_run);
        one_done(&mut scene);
        amended(&mut scene, change);
        assert_eq!(scene.state(), ContractState::Active);
        let order = Body::RunOrdered { job: by(&second(&scene), &[TDC]) };
        match admitted {
            true => scene.log.enter(order).unwrap(),
            false => scene.log.refused(order, Code::ContractNotActive, "its only run is done"),
        }
    }
}
