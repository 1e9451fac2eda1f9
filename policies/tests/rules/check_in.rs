//! A run whose charges nobody can reckon does not check in: bills, and what key services state, are held against its plan.

use policies::Code;
use schemas::event::Body;
use schemas::pipeline::Stage;

use crate::contract_scene::Scene;
use crate::fixtures::{House, TDC, digest, real};
use crate::log::by;

/// How a job is spoilt.
type Spoil = fn(&mut House);

/// Orders the job of a house, spoilt, which an order's own rules do not see; gives what would check it in.
fn ordered(spoil: Spoil) -> (Scene, Body) {
    let mut scene = Scene::signed(|_| ());
    let mut house = scene.house();
    spoil(&mut house);
    scene.log.enter(Body::RunOrdered { job: by(&house.job, &[TDC]) }).unwrap();
    let mut body = scene.checked_in();
    if let Body::RunCheckedIn { job_sha256, .. } = &mut body {
        *job_sha256 = digest(&house.job);
    }
    (scene, body)
}

#[test]
fn a_job_that_has_no_plan_does_not_check_in() {
    let (mut scene, body) = ordered(|_| ());
    scene.log.enter(body).unwrap();
    let cases: [(Code, Spoil); 5] = [
        (Code::PipelineInvalid, |h| h.job.stages.retain(|stage| matches!(stage, Stage::Output(_)))),
        (Code::PipelineInvalid, |h| h.job.stages.retain(|stage| !matches!(stage, Stage::Join(_)))),
        (Code::PipelineInvalid, |h| h.job.stages.retain(|stage| !matches!(stage, Stage::Train(_)))),
        (Code::EpsilonExceedsContract, |h| h.training().epsilon = Some(real("100"))),
        (Code::DeltaTooLarge, |h| h.training().delta = Some(real("0.0000473"))),
    ];
    for (at, (code, spoil)) in cases.into_iter().enumerate() {
        let (mut scene, body) = ordered(spoil);
        scene.log.refused(body, code, &format!("case {at}"));
    }
}
