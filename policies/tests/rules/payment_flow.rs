//! What becomes of obligations in the log: deposits, releases, failures and retries, periods, revenue.

use policies::lifecycle::{PaymentRow, PaymentState};
use policies::payment::Act;
use policies::{Code, R};
use schemas::Digest;
use schemas::contract::{Contract, PaymentTerm, Pricing, TermKind, Tier, Trigger};
use schemas::event::{Body, PaymentCallback, PaymentResult, RunEvent};
use schemas::id::RunId;
use schemas::money::Minor;
use schemas::release::KmsStatement;
use schemas::term::RevenueStatement;
use serde_json::json;

use crate::contract_scene::{Act as ContractAct, PSP, Scene, by_kms, receipt, run_kid};
use crate::fixtures::{CCRP, REGISTRY, TDC, did, digest, envelope, expect, id, read};
use crate::log::by;

const RESULTS: [PaymentResult; 5] = [
    PaymentResult::Settled,
    PaymentResult::Failed,
    PaymentResult::Blocked,
    PaymentResult::Refunded,
    PaymentResult::Returned,
];

pub fn minor(amount: i64) -> Minor {
    Minor::new(amount).unwrap()
}

/// A term of the clean-room provider's own.
pub fn fee(contract: &Contract, kind: TermKind, trigger: Trigger, amount: i64) -> PaymentTerm {
    let mut term = contract.payment[0].clone();
    (term.term_id, term.kind, term.trigger, term.amount_minor) = ("fee".into(), kind, trigger, minor(amount));
    term.payees[0].did = did(CCRP);
    term
}

pub fn with(kind: TermKind, trigger: Trigger, amount: i64, pricing: Option<Pricing>) -> Scene {
    Scene::signed(|contract| {
        let term = PaymentTerm { pricing, ..fee(contract, kind, trigger, amount) };
        contract.payment.push(term);
    })
}

impl Scene {
    pub fn fees(&self) -> Vec<&PaymentRow> {
        self.log.state.payments().filter(|row| row.obligation.term_id == "fee").collect()
    }

    pub fn fee(&self) -> &PaymentRow {
        self.fees().first().unwrap()
    }

    pub fn order(&mut self) {
        let job = self.house().job;
        self.log.enter(Body::RunOrdered { job: by(&job, &[TDC]) }).unwrap();
    }

    pub fn answered(&self, row: &PaymentRow, instruction: &str, result: PaymentResult, reference: &str) -> Body {
        let callback: PaymentCallback = read(json!({"schema": "payment-callback.v1", "registry": REGISTRY,
            "instruction_id": instruction, "amount_minor": row.obligation.amount_minor,
            "currency": row.obligation.currency, "result": result, "reference": reference, "at": self.log.now}));
        Body::PaymentAnswered { callback: by(&callback, &[PSP]) }
    }

    /// The payment provider answers the newest instruction about the fee.
    pub fn answer(&mut self, result: PaymentResult, reference: &str) -> R<()> {
        let row = self.fee().clone();
        self.log.enter(self.answered(&row, &row.instruction_id().unwrap(), result, reference))
    }

    /// Enters what the clock brought to payments.
    pub fn tick(&mut self) -> usize {
        let bodies = self.log.state.payments_due(self.log.now, 100);
        let count = bodies.len();
        bodies.into_iter().for_each(|body| self.log.enter(body).unwrap());
        count
    }

    pub fn released(&self, n: usize) -> Body {
        let reservation_id = read(id("rsv", 1).into());
        let statement = KmsStatement::Released { reservation_id, jwe_sha256: vec![Digest([1; 32])] };
        Body::KmsStated { receipt: by_kms(&receipt(&self.house(), n, 1, Digest([0; 32]), statement)) }
    }

    pub fn reported(&self, event: serde_json::Value) -> Body {
        let event: RunEvent = read(json!({"schema": "run-event.v1", "registry": REGISTRY, "run_id": id("run", 1),
            "job_sha256": digest(&self.house().job), "event": event, "at": self.log.now}));
        Body::RunReported { event: envelope(&event, run_kid()) }
    }

    /// The books hold, and a state that is kept and read again, as after a crash, is the same.
    pub fn check(&self) {
        self.log.state.check_books().unwrap();
        let kept: Vec<_> = self.log.state.rows().map(Result::unwrap).collect();
        assert!(policies::lifecycle::State::from_rows(kept).unwrap() == self.log.state, "the kept state differs");
    }
}

pub fn state(scene: &Scene) -> PaymentState {
    scene.fee().state
}

#[test]
fn no_room_is_admitted_before_the_deposit_is_blocked_and_completion_pays_it() {
    let mut scene = with(TermKind::Escrow, Trigger::Completed, 700, None);
    scene.order();
    assert_eq!((state(&scene), scene.fee().act), (PaymentState::Asked, Act::Block));
    let asked = scene.fee().obligation.instruction_id.clone();
    scene.log.refused(scene.checked_in(), Code::EscrowNotFunded, "a room before the deposit");
    for wrong in [PaymentResult::Refunded, PaymentResult::Returned] {
        expect(scene.answer(wrong, "w"), Code::PaymentState, "another answer to a block");
    }
    scene.answer(PaymentResult::Blocked, "b").unwrap();
    assert_eq!(state(&scene), PaymentState::Blocked);
    scene.check();
    scene.check_in().unwrap();
    assert_eq!(scene.fee().run, Some(read::<RunId>(id("run", 1).into())));
    let completed = scene.completed();
    let Body::RunCompleted { obligations, .. } = &completed else { panic!() };
    assert!(obligations.iter().all(|o| o.term_id != "fee"), "a deposit is owed by its order");
    scene.log.enter(completed).unwrap();
    assert_eq!((state(&scene), scene.fee().act), (PaymentState::Instructed, Act::Pay));
    assert_ne!(scene.fee().instruction_id().unwrap(), asked, "an id of its own");
    assert_eq!(scene.fee().blocked_by.as_deref(), Some(asked.as_str()));
    scene.answer(PaymentResult::Settled, "s").unwrap();
    assert_eq!(state(&scene), PaymentState::Settled);
    scene.check();
}

#[test]
fn a_deposit_goes_back_when_its_run_ends_without_output() {
    let ends: [fn(&Scene) -> Body; 3] = [
        |s| s.reported(json!({"event": "aborted", "steps_run": 0, "code": "WORKER_FAILED"})),
        |_| Body::RunLost { run_id: read(id("run", 1).into()) },
        |s| {
            let abort: schemas::event::Abort = read(json!({"schema": "abort.v1", "registry": REGISTRY,
                "run_id": id("run", 1), "reason": "No longer wanted", "at": s.log.now}));
            Body::RunAborted { abort: by(&abort, &[TDC]) }
        },
    ];
    for end in ends {
        let mut scene = with(TermKind::Escrow, Trigger::Completed, 700, None);
        scene.order();
        scene.answer(PaymentResult::Blocked, "b").unwrap();
        scene.check_in().unwrap();
        scene.days(1);
        scene.log.enter(end(&scene)).unwrap();
        assert_eq!((state(&scene), scene.fee().act), (PaymentState::Refunding, Act::Refund));
        scene.answer(PaymentResult::Refunded, "r").unwrap();
        assert_eq!(state(&scene), PaymentState::Refunded);
        scene.check();
        scene.log.refused(scene.checked_in(), Code::RunState, "the same run again");
    }
}

#[test]
fn a_milestone_at_release_is_paid_although_the_run_fails() {
    let mut scene = with(TermKind::Escrow, Trigger::KeysReleased, 700, None);
    scene.order();
    scene.answer(PaymentResult::Blocked, "b").unwrap();
    scene.check_in().unwrap();
    scene.log.enter(scene.reported(json!({"event": "keys_released"}))).unwrap();
    assert_eq!(state(&scene), PaymentState::Instructed);
    scene.log.enter(scene.reported(json!({"event": "aborted", "steps_run": 3, "code": "WORKER_FAILED"}))).unwrap();
    assert_eq!(state(&scene), PaymentState::Instructed, "it stays owed");
    scene.answer(PaymentResult::Settled, "s").unwrap();
    scene.check();
}

#[test]
fn a_deposit_that_no_run_used_goes_back_in_time() {
    for funded in [true, false] {
        let mut scene = with(TermKind::Escrow, Trigger::Completed, 700, None);
        scene.order();
        if funded {
            scene.answer(PaymentResult::Blocked, "b").unwrap();
        }
        let job_sha256 = digest(&scene.house().job);
        let timed_out = Body::EscrowTimedOut { job_sha256 };
        scene.log.refused(timed_out.clone(), Code::PaymentState, "before its time");
        assert_eq!(scene.tick(), 0);
        scene.log.now = scene.house().job.expires_at;
        assert_eq!(scene.tick(), 1);
        scene.log.refused(timed_out, Code::PaymentState, "a second time");
        assert_eq!(state(&scene), if funded { PaymentState::Refunding } else { PaymentState::Void });
        if !funded {
            scene.answer(PaymentResult::Blocked, "late").unwrap();
            assert_eq!(state(&scene), PaymentState::Refunding, "what is blocked too late goes back");
        }
        scene.answer(PaymentResult::Refunded, "r").unwrap();
        scene.check();
    }
}

#[test]
fn a_block_that_lapsed_admits_no_room_and_lets_none_go_on() {
    let mut scene = with(TermKind::Escrow, Trigger::Completed, 700, None);
    scene.order();
    scene.answer(PaymentResult::Blocked, "b").unwrap();
    scene.check_in().unwrap();
    let run =
        |scene: &Scene| scene.log.state.require_run_funded(scene.log.state.run(&read(id("run", 1).into())).unwrap());
    assert_eq!(run(&scene), Ok(()));
    scene.answer(PaymentResult::Failed, "gone").unwrap();
    assert_eq!(state(&scene), PaymentState::Refunded);
    expect(run(&scene), Code::EscrowNotFunded, "an Admission after the block lapsed");
    let completed = scene.completed();
    scene.log.refused(completed, Code::EscrowNotFunded, "a model for which nothing is blocked any more");
    scene.check();
}

#[test]
fn what_keys_trigger_is_owed_once_by_report_receipts_or_completion() {
    let ways: [fn(&mut Scene); 3] = [
        |s| s.log.enter(s.reported(json!({"event": "keys_released"}))).unwrap(),
        |s| (0..3).for_each(|n| s.log.enter(s.released(n)).unwrap()),
        |_| {},
    ];
    for (at, way) in ways.into_iter().enumerate() {
        let mut scene = with(TermKind::PerRun, Trigger::KeysReleased, 900, None);
        scene.run().unwrap();
        assert_eq!(scene.fees().len(), 0);
        way(&mut scene);
        assert_eq!(scene.fees().len(), usize::from(at < 2), "way {at}");
        if at != 1 {
            scene.log.enter(scene.completed()).unwrap();
        }
        assert_eq!(scene.fees().len(), 1, "way {at}: once");
        scene.check();
    }
    // Two of three key services have released: the room has not its keys.
    let mut scene = with(TermKind::PerRun, Trigger::KeysReleased, 900, None);
    scene.run().unwrap();
    (0..2).for_each(|n| scene.log.enter(scene.released(n)).unwrap());
    assert_eq!(scene.fees().len(), 0);
    // A run that failed after release owes this, and nothing that completion triggers.
    scene.log.enter(scene.released(2)).unwrap();
    scene.log.enter(scene.reported(json!({"event": "aborted", "steps_run": 1, "code": "WORKER_FAILED"}))).unwrap();
    assert_eq!(scene.log.state.payments().count(), 1);
}

#[test]
fn a_failed_payment_is_instructed_again_under_a_new_id_and_settles_once() {
    let mut scene = with(TermKind::PerRun, Trigger::Completed, 900, None);
    scene.run().unwrap();
    scene.log.enter(scene.completed()).unwrap();
    let first = scene.fee().instruction_id().unwrap();
    let retry = Body::PaymentRetried { obligation_id: first.clone() };
    scene.log.refused(retry.clone(), Code::PaymentState, "it did not fail");
    scene.answer(PaymentResult::Failed, "f0").unwrap();
    assert_eq!(state(&scene), PaymentState::Due);
    scene.log.refused(retry, Code::PaymentState, "at once");
    let mut seen = std::collections::BTreeSet::from([first.clone()]);
    for attempt in 1..=9 {
        scene.days(3);
        assert_eq!(scene.tick(), 1, "attempt {attempt}");
        let row = scene.fee();
        assert_eq!((row.state, row.attempt), (PaymentState::Instructed, attempt));
        assert!(seen.insert(row.instruction_id().unwrap()), "an id of its own");
        assert_eq!(scene.log.state.payment(&row.instruction_id().unwrap()), Some(row), "found by any id");
        scene.check();
        scene.answer(PaymentResult::Failed, &format!("f{attempt}")).unwrap();
    }
    scene.days(100);
    assert_eq!(scene.tick(), 0, "not for ever");
    // The first attempt went through after all: money moved, so it counts.
    let row = scene.fee().clone();
    let late = scene.answered(&row, &first, PaymentResult::Settled, "late");
    scene.log.enter(late.clone()).unwrap();
    assert_eq!(state(&scene), PaymentState::Settled);
    scene.check();
    // It came back: owed again, and tried again; the old answer does not settle it a second time.
    scene.log.enter(scene.answered(&row, &first, PaymentResult::Returned, "back")).unwrap();
    assert_eq!(state(&scene), PaymentState::Due);
    scene.log.refused(late, Code::PaymentState, "an answer that stands in the log");
    scene.check();
}

#[test]
fn answers_that_do_not_fit_are_refused() {
    let mut scene = with(TermKind::PerRun, Trigger::Completed, 900, None);
    scene.run().unwrap();
    scene.log.enter(scene.completed()).unwrap();
    for result in RESULTS.into_iter().filter(|r| !matches!(r, PaymentResult::Settled | PaymentResult::Failed)) {
        expect(scene.answer(result, "x"), Code::PaymentState, "an answer to another act");
    }
    let row = scene.fee().clone();
    let refund = policies::payment::instruction(&row.obligation.instruction_id, false, Act::Refund, 0).unwrap();
    scene.log.refused(scene.answered(&row, &refund, PaymentResult::Refunded, "x"), Code::PaymentUnknown, "never given");
}

#[test]
fn periods_of_a_subscription_fall_due_by_the_clock_until_the_contract_ends() {
    let pricing = Pricing { period_days: Some(30), due_days: Some(10), ..Pricing::default() };
    let mut scene = with(TermKind::Subscription, Trigger::Completed, 1000, Some(pricing));
    let from = scene.contract.effective_from;
    scene.log.now = scene.log.now.max(from);
    assert_eq!(scene.tick(), 1);
    let row = scene.fee();
    assert_eq!((row.obligation.period, row.obligation.amount_minor), (Some(0), minor(1000)));
    assert_eq!(row.due_at, Some(from.plus_seconds(10 * 86_400)), "from when it fell due");
    let timed = |period| Body::PaymentsTimed { contract: scene.reference.clone(), term_id: "fee".into(), period };
    let (again, early) = (timed(0), timed(1));
    scene.log.refused(again, Code::PaymentState, "a period twice");
    scene.log.refused(early.clone(), Code::PaymentState, "a period before it begins");
    assert_eq!(scene.tick(), 0);
    scene.log.now = from.plus_seconds(30 * 86_400);
    assert_eq!((scene.tick(), scene.tick()), (1, 0));
    // Periods that the service slept through come in order.
    scene.log.now = from.plus_seconds(95 * 86_400);
    assert_eq!((scene.tick(), scene.tick(), scene.tick()), (1, 1, 0));
    assert_eq!(scene.fees().iter().map(|row| row.obligation.period.unwrap()).max(), Some(3));
    scene.check();
    scene.act(ContractAct::Terminate).unwrap();
    scene.days(60);
    assert_eq!(scene.tick(), 0, "a contract that ended");
    let next = Body::PaymentsTimed { contract: scene.reference.clone(), term_id: "fee".into(), period: 4 };
    scene.log.refused(next, Code::PaymentState, "after the end");
}

pub fn revenue(scene: &Scene, period: u32, amount: i64) -> RevenueStatement {
    read(json!({"schema": "revenue-statement.v1", "registry": REGISTRY, "contract": scene.reference, "term_id": "fee",
        "period": period, "revenue_minor": amount, "currency": "INR", "at": scene.log.now}))
}

#[test]
fn revenue_is_stated_once_per_period_by_the_consumer_and_a_minimum_falls_due_without() {
    let pricing = Pricing {
        period_days: Some(30),
        share_ppm: Some(100_000),
        floor_minor: Some(minor(500)),
        ..Pricing::default()
    };
    let mut scene = with(TermKind::RevenueShare, Trigger::Completed, 0, Some(pricing));
    let from = scene.contract.effective_from;
    let stated = |s: &RevenueStatement| Body::RevenueStated { statement: by(s, &[TDC]) };
    scene.log.now = scene.log.now.max(from);
    scene.log.refused(stated(&revenue(&scene, 0, 9000)), Code::PaymentState, "before the period is over");
    scene.log.now = from.plus_seconds(31 * 86_400);
    let good = revenue(&scene, 0, 9000);
    let spoilt: [fn(&mut RevenueStatement); 3] = [
        |s| s.currency = schemas::money::Currency::parse("EUR").unwrap(),
        |s| s.period = 4000,
        |s| s.term_id = "p0".into(),
    ];
    for (at, spoil) in spoilt.into_iter().enumerate() {
        let mut bad = good.clone();
        spoil(&mut bad);
        scene.log.refused(stated(&bad), Code::PaymentState, &format!("row {at}"));
    }
    let mut unknown = good.clone();
    unknown.term_id = "none".into();
    scene.log.refused(stated(&unknown), Code::PaymentUnknown, "no such term");
    scene.log.refused(Body::RevenueStated { statement: by(&good, &[CCRP]) }, Code::SignerNotParty, "by another");
    scene.log.enter(stated(&good)).unwrap();
    assert_eq!(scene.fee().obligation.amount_minor, minor(900));
    scene.log.refused(stated(&revenue(&scene, 0, 1)), Code::PaymentState, "a second statement");
    // Period 1: nobody states it; the minimum falls due a month after its end, a later statement owes the rest.
    scene.log.now = from.plus_seconds(91 * 86_400);
    assert_eq!(scene.tick(), 1);
    scene.log.enter(stated(&revenue(&scene, 1, 20_000))).unwrap();
    let mut owed: Vec<i64> = scene.fees().iter().map(|row| row.obligation.amount_minor.get()).collect();
    owed.sort_unstable();
    assert_eq!(owed, [500, 900, 1500]);
    scene.check();
}

#[test]
fn what_was_owed_before_counts_for_steps_and_for_what_is_owed_once() {
    for (kind, pricing) in [
        (TermKind::Fixed, None),
        (
            TermKind::PerRun,
            Some(Pricing { tiers: vec![Tier { from: 1, amount_minor: minor(10) }], ..Pricing::default() }),
        ),
    ] {
        let mut scene = with(kind, Trigger::Completed, 900, pricing);
        scene.run().unwrap();
        let completed = scene.completed();
        scene.log.enter(completed).unwrap();
        assert_eq!(scene.fee().obligation.amount_minor, minor(900), "{kind:?}");
        // As if the next run of the same contract completed: the terms look at what they were owed for.
        let tally = policies::payment::Tally { units: 1, times: 1 };
        let term = scene.contract.payment.last().unwrap();
        let next = policies::payment::amount(term, tally, 1).unwrap();
        assert!(kind == TermKind::Fixed || next == minor(10));
    }
}

#[test]
fn an_altered_obligation_is_refused_and_hours_follow_from_the_entry() {
    let hours = Pricing { unit_count: Some(3600), ..Pricing::default() };
    let mut scene = with(TermKind::PerComputeHour, Trigger::Completed, 7200, Some(hours));
    scene.run().unwrap();
    scene.log.now = scene.log.now.plus_seconds(1800);
    let Body::RunCompleted { completion, obligations } = scene.completed() else { panic!() };
    assert!(obligations.iter().all(|o| o.term_id != "fee"), "only the entry knows its time");
    let mut altered = obligations.clone();
    altered[1].amount_minor = minor(altered[1].amount_minor.get() + 1);
    let body = |obligations| Body::RunCompleted { completion: completion.clone(), obligations };
    scene.log.refused(body(altered), Code::CompletionMismatch, "one unit more");
    let mut missing = obligations.clone();
    missing.remove(0);
    scene.log.refused(body(missing), Code::CompletionMismatch, "one obligation less");
    scene.log.enter(body(obligations.clone())).unwrap();
    let run = scene.log.state.run(&read(id("run", 1).into())).unwrap();
    let (_, ended, _) = run.completion.as_ref().unwrap();
    let seconds = ended.seconds_since(run.checked_in_at).ceil() as i64;
    assert!(seconds >= 1800, "{seconds}");
    assert_eq!(scene.fee().obligation.amount_minor, minor(2 * seconds), "by the second, of the log's own times");
    assert_eq!(scene.log.state.listed_obligations(run), obligations);
    scene.check();
}
