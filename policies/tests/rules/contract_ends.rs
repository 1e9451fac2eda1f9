//! How contracts stop and end: notice, conditions, suspensions, the clock, countersignature, completion, running work.

use policies::Code;
use policies::lifecycle::Suspender;
use schemas::contract::{Cause, CompletedReason, Condition, Contract, ContractState, Running};
use schemas::event::Body;
use schemas::party::{Decision, Kind};

use crate::contract_scene::{Act, Scene};
use crate::contract_states::{countersigned, in_days, none, one_run, scheduled};
use crate::fixtures::{CCRP, TDC, at, id, provider, read};
use crate::log::{SRO, by};

#[test]
fn notice_ends_the_contract_by_the_clock() {
    let mut scene = Scene::signed(|c| {
        c.revocation.notice_seconds = 7 * 86_400;
        c.revocation.conditions = vec![Condition { cause: Cause::Breach, by: vec![Kind::Tdc], notice_seconds: 0 }];
    });
    scene.act(Act::Revoke).unwrap();
    assert_eq!(scene.state(), ContractState::Active, "notice runs");
    let again = scene.body(Act::Revoke);
    scene.log.refused(again, Code::StateTransition, "a second notice");
    scene.days(6);
    assert_eq!(scene.state(), ContractState::Active);
    let early = scene.body(Act::TellRevoked);
    scene.log.refused(early, Code::StateTransition, "told before its time");
    scene.days(1);
    assert_eq!(scene.state(), ContractState::Revoked);
    let due = scene.log.state.due(scene.log.now, 10);
    assert_eq!(due, [scene.body(Act::TellRevoked)]);
    scene.act(Act::TellRevoked).unwrap();
    assert!(scene.log.state.due(scene.log.now, 10).is_empty(), "told once");
    let twice = scene.body(Act::TellRevoked);
    scene.log.refused(twice, Code::StateTransition, "told twice");
}

#[test]
fn a_cause_is_revoked_by_those_whom_its_condition_names() {
    let terms = |c: &mut Contract| {
        c.revocation.by = vec![Kind::Tdp];
        c.revocation.conditions = vec![Condition { cause: Cause::NonPayment, by: vec![Kind::Tdc], notice_seconds: 0 }];
    };
    let revoke = |scene: &Scene, cause, who: &str| Body::ContractRevoked { revoke: by(&scene.revoke(cause), &[who]) };
    let mut scene = Scene::signed(terms);
    for (cause, who) in [(Cause::AtWill, TDC), (Cause::Breach, TDC), (Cause::NonPayment, CCRP), (Cause::AtWill, CCRP)] {
        let body = revoke(&scene, cause, who);
        scene.log.refused(body, Code::SignerNotParty, &format!("{cause:?} by {who}"));
    }
    let body = revoke(&scene, Cause::NonPayment, TDC);
    scene.log.enter(body).unwrap();
    assert_eq!(scene.state(), ContractState::Revoked);
    let mut scene = Scene::signed(terms);
    let one = Body::ContractRevoked { revoke: by(&scene.revoke(Cause::AtWill), &[SRO[0]]) };
    scene.log.refused(one, Code::TwoPeopleNeeded, "one SRO person");
}

#[test]
fn who_may_suspend_and_resume() {
    let mut scene = Scene::signed(none);
    let suspend =
        |scene: &Scene, cause, who: &[&str]| Body::ContractSuspended { suspend: by(&scene.suspend(cause), who) };
    let (tdps, tdp) = ([provider(0), provider(1), provider(2)], provider(0));
    let tdps: Vec<&str> = tdps.iter().map(String::as_str).collect();
    for (code, cause, who) in [
        (Code::SignerNotParty, Cause::SecurityIncident, TDC),
        (Code::SignerNotParty, Cause::SecurityIncident, CCRP),
        (Code::Forbidden, Cause::NonPayment, tdp.as_str()),
        (Code::SchemaMismatch, Cause::AtWill, tdp.as_str()),
        (Code::TwoPeopleNeeded, Cause::LegalOrder, SRO[0]),
    ] {
        let body = suspend(&scene, cause, &[who]);
        scene.log.refused(body, code, &format!("{cause:?} by {who}"));
    }
    let first = suspend(&scene, Cause::SecurityIncident, &[&tdp]);
    scene.log.enter(first.clone()).unwrap();
    let resume = |scene: &Scene, who: &[&str]| Body::ContractResumed { resume: by(&scene.resume(), who) };
    let alone = resume(&scene, &[&tdp]);
    scene.log.refused(alone, Code::SignatureMissing, "the suspender alone");
    let with_tdc = resume(&scene, &[&tdps[..], &[TDC]].concat());
    scene.log.refused(with_tdc, Code::SignerNotParty, "somebody beside the TDPs");
    let lift = resume(&scene, &tdps);
    scene.log.enter(lift.clone()).unwrap();
    assert_eq!(scene.state(), ContractState::Active);
    scene.log.refused(first, Code::StateTransition, "the old suspension again");
    scene.act(Act::SuspendBySro).unwrap();
    scene.log.refused(lift, Code::TwoPeopleNeeded, "the old resumption, of what the SRO stopped");
    scene.act(Act::Resume).unwrap();
    assert_eq!(scene.state(), ContractState::Active);
}

#[test]
fn an_old_resumption_lifts_nothing_anew() {
    let mut scene = Scene::signed(none);
    scene.act(Act::SuspendBySro).unwrap();
    let lift = scene.body(Act::Resume);
    scene.log.enter(lift.clone()).unwrap();
    scene.days(1);
    scene.act(Act::SuspendBySro).unwrap();
    scene.log.refused(lift, Code::StateTransition, "written before this suspension");
}

#[test]
fn stops_of_one_second_all_enter_and_an_old_one_never_comes_back() {
    let mut scene = Scene::signed(none);
    let second = scene.log.now;
    let mut within = |act| {
        scene.log.now = second;
        let body = scene.body(act);
        scene.log.enter(body.clone()).map(|()| body)
    };
    let stop = within(Act::SuspendByTdp).unwrap();
    let lift = within(Act::Resume).unwrap();
    within(Act::SuspendBySro).unwrap();
    scene.log.refused(lift, Code::StateTransition, "the first resumption again");
    scene.days(1);
    scene.act(Act::Resume).unwrap();
    scene.log.refused(stop, Code::StateTransition, "an old suspension");
    assert_eq!(scene.state(), ContractState::Active);
}

#[test]
fn a_party_that_leaves_stops_its_contracts_until_it_is_back() {
    let mut scene = Scene::signed(none);
    scene.log.decide(CCRP, Decision::Suspended).unwrap();
    assert_eq!(scene.state(), ContractState::Suspended);
    let row = scene.log.state.contract(&scene.reference.sha256).unwrap();
    let stopped = row.suspended.as_ref().unwrap();
    assert_eq!((stopped.cause, &stopped.by), (Cause::PartyGone, &Suspender::Service));
    assert_eq!(scene.log.state.contracts_stopped_at(stopped.index).count(), 1);
    let lift = scene.body(Act::Resume);
    scene.log.refused(lift, Code::ParticipantNotVerified, "the cause is not closed");
    scene.log.decide(CCRP, Decision::Verified).unwrap();
    assert_eq!(scene.state(), ContractState::Suspended, "it stays until the SRO lifts it");
    scene.act(Act::Resume).unwrap();
    assert_eq!(scene.state(), ContractState::Active);
}

#[test]
fn the_clock_lapses_activates_and_expires() {
    let mut scene = Scene::signed(scheduled);
    assert_eq!((scene.state(), scene.log.state.due(scene.log.now, 9).len()), (ContractState::Scheduled, 0));
    scene.log.now = at("2026-12-11T09:59:59.999999Z");
    assert_eq!(scene.state(), ContractState::Scheduled);
    scene.log.now = at("2026-12-11T10:00:00Z");
    assert_eq!(scene.state(), ContractState::Active, "effective_from counts");
    assert_eq!(scene.log.state.due(scene.log.now, 9), [scene.body(Act::TellActive)]);
    scene.act(Act::TellActive).unwrap();
    scene.log.now = at("2027-11-30T23:59:59.999999Z");
    assert!(scene.log.state.due(scene.log.now, 9).is_empty());
    scene.log.now = at("2027-12-01T00:00:00Z");
    assert_eq!(scene.state(), ContractState::Expired, "expires_at does not");
    assert_eq!(scene.log.state.due(scene.log.now, 9), [scene.body(Act::TellExpired)]);
    scene.act(Act::TellExpired).unwrap();
    assert!(scene.log.state.due(scene.log.now, 9).is_empty());
}

#[test]
fn a_template_that_asks_for_it_is_countersigned_by_two_people() {
    let mut scene = countersigned();
    let early = scene.signature(SRO[0]);
    scene.log.refused(early, Code::StateTransition, "before the parties");
    scene.sign_all();
    assert_eq!(scene.state(), ContractState::AwaitingSro);
    let reference = scene.reference.clone();
    scene.log.sign(&reference, SRO[0]).unwrap();
    let twice = scene.signature(SRO[0]);
    scene.log.refused(twice, Code::SignerTwice, "the same person");
    scene.log.sign(&reference, SRO[1]).unwrap();
    assert_eq!(scene.state(), ContractState::Active);
    assert_eq!(scene.log.state.contract(&reference.sha256).unwrap().signatures.len(), 7);
    let lapsed = in_days(8, countersigned());
    assert_eq!(lapsed.state(), ContractState::Lapsed, "after the template's days");
}

#[test]
fn a_contract_is_completed_when_its_runs_are_done_and_paid() {
    let mut scene = Scene::signed(one_run);
    let early = scene.body(Act::Complete);
    scene.log.refused(early.clone(), Code::StateTransition, "no run yet");
    scene.run().unwrap();
    scene.log.refused(early.clone(), Code::StateTransition, "in flight");
    let body = scene.completed();
    scene.log.enter(body).unwrap();
    scene.log.refused(early.clone(), Code::StateTransition, "not paid");
    scene.settle();
    let budget = Body::ContractCompleted { contract: scene.reference.clone(), reason: CompletedReason::Budget };
    scene.log.refused(budget, Code::StateTransition, "budget is left");
    assert_eq!(scene.log.state.resting(scene.log.now).map(|(r, _)| r).collect::<Vec<_>>(), [scene.reference.clone()]);
    let found = scene.log.state.completion_of(&scene.reference, scene.log.now).unwrap();
    assert_eq!(found, Some(CompletedReason::Runs));
    scene.log.enter(early).unwrap();
    assert_eq!(scene.state(), ContractState::Completed);
    assert_eq!(scene.log.state.resting(scene.log.now).count(), 0);
}

#[test]
fn no_run_more_than_planned() {
    let mut scene = Scene::signed(one_run);
    scene.run().unwrap();
    let mut second = scene.house().job;
    second.job_id = read(id("job", 2).into());
    scene.log.refused(Body::RunOrdered { job: by(&second, &[TDC]) }, Code::ContractNotActive, "a second run");
}

#[test]
fn a_clause_that_is_spent_completes_the_contract() {
    // One run costs ε 1.0; the clause grants hardly more.
    let tight =
        |c: &mut Contract| c.datasets.iter_mut().for_each(|d| d.privacy.epsilon = crate::fixtures::real("1.005"));
    let mut scene = Scene::signed(tight);
    scene.run().unwrap();
    let body = scene.completed();
    scene.log.enter(body).unwrap();
    scene.settle();
    let found = scene.log.state.completion_of(&scene.reference, scene.log.now).unwrap();
    assert_eq!(found, Some(CompletedReason::Budget));
}

#[test]
fn runs_finish_after_the_end_only_where_the_contract_lets_them() {
    for (running, ends) in [(Running::LetFinish, None), (Running::Abort, Some(Code::ContractRevoked))] {
        let mut scene = Scene::signed(|c| c.revocation.running = running);
        scene.run().unwrap();
        scene.act(Act::Revoke).unwrap();
        let body = scene.completed();
        match ends {
            None => scene.log.enter(body).unwrap(),
            Some(code) => scene.log.refused(body, code, "abort"),
        }
        let mut job = scene.house().job;
        job.job_id = read(id("job", 2).into());
        scene.log.refused(Body::RunOrdered { job: by(&job, &[TDC]) }, Code::ContractRevoked, "no new run");
    }
    let mut stopped = Scene::signed(|c| c.revocation.running = Running::LetFinish);
    stopped.run().unwrap();
    stopped.act(Act::SuspendBySro).unwrap();
    let body = stopped.completed();
    stopped.log.refused(body, Code::ContractSuspended, "a suspension stops every run");
    let mut late = Scene::signed(|c| c.revocation.running = Running::LetFinish);
    let job = late.house().job;
    late.log.enter(Body::RunOrdered { job: by(&job, &[TDC]) }).unwrap();
    late.act(Act::Revoke).unwrap();
    let check_in = late.checked_in();
    late.log.refused(check_in, Code::ContractRevoked, "ordered, but not under way");
}

#[test]
fn no_end_lifts_a_suspension_from_a_run() {
    type End = fn(&mut Scene);
    let ends: [End; 3] = [
        |scene| {
            let revoke = by(&scene.revoke(Cause::AtWill), &[TDC]);
            scene.log.enter(Body::ContractRevoked { revoke }).unwrap();
        },
        |scene| scene.log.now = at("2027-12-01T00:00:00Z"),
        |scene| scene.log.now = at("2027-12-09T00:00:00Z"),
    ];
    for end in ends {
        let mut scene = Scene::signed(|c| {
            c.revocation.running = Running::LetFinish;
            c.revocation.by = vec![Kind::Tdp, Kind::Tdc];
        });
        scene.run().unwrap();
        scene.act(Act::SuspendByTdp).unwrap();
        end(&mut scene);
        assert!(matches!(scene.state(), ContractState::Revoked | ContractState::Expired));
        let told = scene.log.state.not_in_force(scene.log.now);
        assert_eq!(told.iter().map(|s| s.state).collect::<Vec<_>>(), [ContractState::Suspended], "in the status list");
        let body = scene.completed();
        scene.log.refused(body, Code::ContractSuspended, "the run stays stopped");
    }
}

#[test]
fn only_those_who_may_withdraw_and_terminate() {
    let mut open = Scene::proposed(none);
    let by_other = Body::ContractWithdrawn { withdraw: by(&open.withdraw(), &[CCRP]) };
    open.log.refused(by_other, Code::SignerNotParty, "not the proposer");
    let mut active = Scene::signed(none);
    let some = Body::ContractTerminated { terminate: by(&active.terminate(), &[TDC, CCRP]) };
    active.log.refused(some, Code::SignatureMissing, "not all parties");
    active.act(Act::Terminate).unwrap();
    assert!(active.log.state.contract(&active.reference.sha256).unwrap().ended.unwrap().terminated);
}
