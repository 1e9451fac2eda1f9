//! A run whose charges nobody can reckon does not check in: bills, and what key services state, are held against its plan.

use policies::Code;
use schemas::Digest;
use schemas::event::Body;
use schemas::pipeline::Stage;
use schemas::release::KmsStatement;

use crate::contract_scene::{Scene, by_kms, later, receipt};
use crate::fixtures::{House, TDC, digest, id, read, real};
use crate::log::by;

/// How a job is spoilt.
type Spoil = fn(&mut House);

/// Orders the job of a house, spoilt, which an order's own rules do not see; gives the house and what would check it in.
fn ordered(spoil: Spoil) -> (Scene, House, Body) {
    let mut scene = Scene::signed(|_| ());
    let mut house = scene.house();
    spoil(&mut house);
    scene.log.enter(Body::RunOrdered { job: by(&house.job, &[TDC]) }).unwrap();
    let mut body = scene.checked_in();
    if let Body::RunCheckedIn { job_sha256, .. } = &mut body {
        *job_sha256 = digest(&house.job);
    }
    (scene, house, body)
}

#[test]
fn a_job_that_has_no_plan_does_not_check_in() {
    let (mut scene, _, body) = ordered(|_| ());
    scene.log.enter(body).unwrap();
    let cases: [(Code, Spoil); 5] = [
        (Code::PipelineInvalid, |h| h.job.stages.retain(|stage| matches!(stage, Stage::Output(_)))),
        (Code::PipelineInvalid, |h| h.job.stages.retain(|stage| !matches!(stage, Stage::Join(_)))),
        (Code::PipelineInvalid, |h| h.job.stages.retain(|stage| !matches!(stage, Stage::Train(_)))),
        (Code::EpsilonExceedsContract, |h| h.training().epsilon = Some(real("100"))),
        (Code::DeltaTooLarge, |h| h.training().delta = Some(real("0.0000473"))),
    ];
    for (at, (code, spoil)) in cases.into_iter().enumerate() {
        let (mut scene, _, body) = ordered(spoil);
        scene.log.refused(body, code, &format!("case {at}"));
    }
}

/// A log that holds such a run, let in by the rules of its day, is still read; what a key service charged for it is held to
/// the contracts.
#[test]
fn a_run_of_other_days_stands_without_a_plan() {
    let (mut scene, house, body) = ordered(|h| h.training().epsilon = Some(real("100")));
    scene.log.read_back(body).unwrap();
    let reserved = || KmsStatement::Reserved { reservation_id: read(id("rsv", 1).into()), expires_at: later(1) };
    let mut forged = receipt(&house, 0, 1, Digest([0; 32]), reserved());
    forged.charges[0].level = 0;
    scene.log.refused(Body::KmsStated { receipt: by_kms(&forged) }, Code::ReceiptMismatch, "another level");
    let stated = receipt(&house, 0, 1, Digest([0; 32]), reserved());
    scene.log.enter(Body::KmsStated { receipt: by_kms(&stated) }).unwrap();
}
