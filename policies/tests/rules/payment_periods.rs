//! Periods of terms when a contract is amended or ends: what had begun is owed, once, under the terms that it began under.

use policies::Code;
use schemas::Timestamp;
use schemas::contract::{Pricing, TermKind, Trigger};
use schemas::event::Body;
use schemas::term::RevenueStatement;

use crate::contract_completion::amended;
use crate::contract_scene::{Act, Scene};
use crate::fixtures::TDC;
use crate::log::by;
use crate::payment_flow::{minor, revenue, with};

const DAY: i64 = 86_400;

fn minimum() -> Scene {
    let pricing = Pricing {
        period_days: Some(30),
        share_ppm: Some(100_000),
        floor_minor: Some(minor(500_000)),
        ..Pricing::default()
    };
    with(TermKind::RevenueShare, Trigger::Completed, 0, Some(pricing))
}

fn subscribed() -> Scene {
    let pricing = Pricing { period_days: Some(30), due_days: Some(10), ..Pricing::default() };
    with(TermKind::Subscription, Trigger::Completed, 1000, Some(pricing))
}

impl Scene {
    fn on(&mut self, from: Timestamp, day: i64) {
        self.log.now = from.plus_seconds(day * DAY);
    }

    /// Enters all that the clock brings up to a day, as a service would that never slept.
    fn through(&mut self, from: Timestamp, days: std::ops::RangeInclusive<i64>) {
        for day in days {
            self.on(from, day);
            while self.tick() > 0 {}
            self.check();
        }
    }

    fn owed(&self) -> Vec<(u32, u32, i64)> {
        let version = |row: &&policies::lifecycle::PaymentRow| {
            let sha256 = &row.obligation.contract.sha256;
            self.log.state.contract(sha256).unwrap().contract.version
        };
        let line = |row: &&policies::lifecycle::PaymentRow| {
            (version(row), row.obligation.period.unwrap(), row.obligation.amount_minor.get())
        };
        let mut owed: Vec<_> = self.fees().iter().map(line).collect();
        owed.sort_unstable();
        owed
    }
}

fn stated(statement: &RevenueStatement) -> Body {
    Body::RevenueStated { statement: by(statement, &[TDC]) }
}

/// What a day and some seconds of a period of 30 days owe of the minimum of 500,000.
fn part(seconds: i64) -> i64 {
    500_000 * seconds / (30 * DAY)
}

#[test]
fn an_amendment_cuts_no_minimum_and_doubles_none() {
    let mut scene = minimum();
    let from = scene.contract.effective_from;
    scene.on(from, 45);
    amended(&mut scene, |_| ());
    let old = scene.contract.supersedes.unwrap();
    let cut = scene.log.state.contract(&old).unwrap().ended.unwrap().at;
    let seconds = cut.seconds_since(from) as i64;
    assert!((45 * DAY..45 * DAY + 60).contains(&seconds), "{cut}");
    scene.through(from, 46..=125);
    let (before, after) = (part(seconds - 30 * DAY), part(60 * DAY - seconds));
    let expected = [(1, 0, 500_000), (1, 1, before), (2, 1, after), (2, 2, 500_000)];
    assert_eq!(scene.owed(), expected);
    assert!((499_999..=500_000).contains(&(before + after)), "the month in which it changed is owed once");
    let late = Body::PaymentsTimed { contract: scene.reference.clone(), term_id: "fee".into(), period: 0 };
    scene.log.refused(late, Code::PaymentState, "a period that was over before the version counted");
}

#[test]
fn an_amendment_that_begins_anew_counts_periods_of_its_own() {
    for mut scene in [minimum(), subscribed()] {
        let from = scene.contract.effective_from;
        let share = scene.contract.payment.last().unwrap().kind == TermKind::RevenueShare;
        scene.through(from, 1..=44);
        scene.on(from, 45);
        let anew = from.plus_seconds(50 * DAY);
        amended(&mut scene, |contract| contract.effective_from = anew);
        let old = scene.contract.supersedes.unwrap();
        let cut = scene.log.state.contract(&old).unwrap().ended.unwrap().at;
        scene.through(from, 46..=111);
        let seconds = cut.seconds_since(from) as i64;
        if share {
            // Day 50 to 80 falls due on day 110.
            assert_eq!(scene.owed(), [(1, 0, 500_000), (1, 1, part(seconds - 30 * DAY)), (2, 0, 500_000)]);
        } else {
            assert_eq!(scene.owed(), [(1, 0, 1000), (1, 1, 1000), (2, 0, 1000), (2, 1, 1000), (2, 2, 1000)]);
        }
    }
}

#[test]
fn a_subscription_that_is_amended_is_owed_once_for_each_period() {
    let mut scene = subscribed();
    let from = scene.contract.effective_from;
    scene.through(from, 1..=44);
    scene.on(from, 45);
    amended(&mut scene, |_| ());
    scene.through(from, 46..=91);
    assert_eq!(scene.owed(), [(1, 0, 1000), (1, 1, 1000), (2, 2, 1000), (2, 3, 1000)]);
}

#[test]
fn the_end_of_a_contract_cuts_off_no_minimum() {
    let ends: [fn(&mut Scene); 3] = [
        |scene| scene.act(Act::Terminate).unwrap(),
        |scene| scene.act(Act::Revoke).unwrap(),
        |scene| scene.act(Act::RevokeBySro).unwrap(),
    ];
    for end in ends {
        let mut scene = minimum();
        let from = scene.contract.effective_from;
        scene.on(from, 45);
        end(&mut scene);
        let seconds = scene.log.now.seconds_since(from) as i64;
        scene.through(from, 46..=200);
        assert_eq!(scene.owed(), [(1, 0, 500_000), (1, 1, part(seconds - 30 * DAY))]);
        // What is earned after the end may be stated; no minimum is owed of it.
        scene.log.enter(stated(&revenue(&scene, 3, 70))).unwrap();
        assert_eq!(scene.owed().last(), Some(&(1, 3, 7)));
        scene.check();
    }
}

#[test]
fn the_last_day_cuts_the_last_minimum_in_proportion() {
    let mut scene = minimum();
    let (from, last) = (scene.contract.effective_from, scene.contract.expires_at);
    let days = last.seconds_since(from) as i64 / DAY;
    let (whole, rest) = (days / 30, days % 30);
    assert!(rest > 0);
    scene.on(from, days + 31);
    while scene.tick() > 0 {}
    let owed = scene.owed();
    assert_eq!(owed.len() as i64, whole + 1);
    assert_eq!(owed.last(), Some(&(1, whole as u32, part(rest * DAY))));
    scene.check();
}

#[test]
fn a_period_that_began_is_owed_although_the_service_slept_until_the_contract_had_ended() {
    let mut scene = subscribed();
    let from = scene.contract.effective_from;
    scene.on(from, 35);
    scene.act(Act::Terminate).unwrap();
    scene.through(from, 36..=100);
    assert_eq!(scene.owed(), [(1, 0, 1000), (1, 1, 1000)]);
    let due: Vec<_> = scene.fees().iter().filter_map(|row| row.due_at).collect();
    assert!(due.contains(&from.plus_seconds(10 * DAY)) && due.contains(&from.plus_seconds(40 * DAY)), "{due:?}");
}

#[test]
fn revenue_of_both_versions_is_stated_for_what_each_covers() {
    let mut scene = minimum();
    let from = scene.contract.effective_from;
    scene.on(from, 45);
    let old = scene.reference.clone();
    amended(&mut scene, |_| ());
    let mut of_old = revenue(&scene, 1, 8_000_000);
    of_old.contract = old;
    scene.log.enter(stated(&of_old)).unwrap();
    let early = stated(&revenue(&scene, 1, 9_000_000));
    scene.log.refused(early, Code::PaymentState, "the new version's part is not over");
    scene.on(from, 61);
    scene.log.enter(stated(&revenue(&scene, 1, 9_000_000))).unwrap();
    of_old.period = 2;
    scene.log.refused(stated(&of_old), Code::PaymentState, "a period that the new version covers");
    let amounts: Vec<_> = scene.owed().into_iter().filter(|line| line.1 == 1).collect();
    assert_eq!(amounts, [(1, 1, 800_000), (2, 1, 900_000)]);
    scene.check();
}
