//! What a printed audit tells of a period: of the whole log the same as the rest of it, of a day that day's, and of a
//! time that the log knows nothing of zeros.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use depa::audit::printed::Printed;
use depa::audit::within::Within;
use depa::audit::{Options, Report};
use depa::exit;
use schemas::contract::ContractRef;
use schemas::event::{Body, PaymentResult};
use schemas::{Digest, R};

use crate::house::{House, reference, start};
use crate::{lines, lived_in, now, trust, verify, verify_with};

fn audited(house: &House, period: &str) -> Report {
    let options = Options { period: Some(period.parse().unwrap()), ..Options::default() };
    verify_with(&lines(house), &trust(house), &options).unwrap()
}

fn told(house: &House, period: &str) -> Within {
    audited(house, period).period.unwrap()
}

fn printed(house: &House, audited: R<Report>) -> Printed {
    Printed::of(&trust(house), now(), audited, |_| None).unwrap()
}

/// State, count and sum of each line.
fn payments(within: &Within) -> Vec<(&str, usize, i128)> {
    within.payments.iter().map(|paid| (paid.state.as_str(), paid.count, paid.amount_minor)).collect()
}

#[test]
fn a_period_that_holds_the_whole_log_tells_what_the_report_tells() {
    let house = lived_in();
    let report = audited(&house, "2026-Q4");
    let within = report.period.clone().unwrap();
    assert_eq!((within.from.as_str(), within.to.as_str()), ("2026-10-01", "2026-12-31"));
    assert_eq!(within.entries, report.entries);
    let size = report.log.size;
    assert_eq!((within.count, within.first, within.last), (size, Some(0), Some(size - 1)));
    let all: Vec<ContractRef> =
        report.contracts.iter().map(|c| ContractRef { id: c.id.clone(), sha256: c.sha256 }).collect();
    assert_eq!((within.contracts.len(), &within.contracts), (1, &all));
    // The run was handed over since: it ended when it completed.
    assert_eq!(within.runs, BTreeMap::from([("completed".to_owned(), 1)]));
    assert_eq!(within.runs.values().sum::<usize>(), report.runs.values().sum::<usize>());
    assert_eq!(within.charges.len(), report.budgets.iter().map(|budget| budget.charges).sum::<usize>());
    let charged: BTreeSet<_> = within.charges.iter().map(|c| (&c.provider, &c.family, &c.tdc)).collect();
    let spent: BTreeSet<_> = report.budgets.iter().map(|b| (&b.provider, &b.family, &b.tdc)).collect();
    assert_eq!(charged, spent);
    // One contract gave both datasets to one run.
    assert_eq!(within.charges.iter().map(|charge| &charge.run_id).collect::<BTreeSet<_>>().len(), 1);
    assert!(within.charges.iter().all(|charge| charge.epsilon_micro.is_some_and(|micro| micro > 0)), "{within:?}");
    assert_eq!(payments(&within), [("instructed", 2, 1_000_001), ("settled", 1, 500_000)]);
    let (owed, settled) = report.books[&within.payments[0].currency];
    assert_eq!((owed, settled), (within.payments[0].amount_minor, within.payments[1].amount_minor));
    assert!(within.remark.as_ref().unwrap().contains("was not over"));

    let paper = printed(&house, Ok(report.clone()));
    let page = paper.markdown();
    for part in [
        "## In the period 2026-10-01 to 2026-12-31\n",
        &format!("| entries | {size} |"),
        "| remark | The period was not over at the log's last entry",
        &format!("| {} | {} |", all[0].id, all[0].sha256.short()),
        "| completed | 1 |",
        "their sum is not what was spent",
        &format!("| {} |", within.charges[0].run_id),
    ] {
        assert!(page.contains(part), "{part} in\n{page}");
    }
    // The whole log's payments have rows of the same form, further up.
    let (_, section) = page.split_once("## In the period").unwrap();
    for row in ["| INR | instructed | 2 | 10000.01 |", "| INR | settled | 1 | 5000.00 |"] {
        assert!(section.contains(row), "{row} in\n{section}");
    }
    let sheet = paper.csv();
    for line in [
        "\"In the period 2026-10-01 to 2026-12-31\",1,\"entries\",",
        "\"In the period 2026-10-01 to 2026-12-31\",2,\"first entry\",\"0\"",
        ",\"runs that ended\",\"completed\"",
        ",\"sum\",\"10000.01\"",
    ] {
        assert!(sheet.contains(line), "{line} in\n{sheet}");
    }
    let json = serde_json::to_value(&paper).unwrap();
    assert_eq!(json["report"]["period"]["to"], "2026-12-31");
    assert_eq!(json["report"]["period"]["payments"][1]["amount_minor"], 500_000);
    // Nobody who did not ask is told, and all else is the same.
    let whole = verify(&lines(&house), &trust(&house)).unwrap();
    assert_eq!(Report { period: None, ..report }, whole);
    let paper = printed(&house, Ok(whole));
    assert!(serde_json::to_value(&paper).unwrap()["report"].get("period").is_none());
    assert!(!paper.markdown().contains("In the period"));
}

#[test]
fn a_day_holds_what_was_done_on_it() {
    let mut house = House::furnished();
    let run = house.running();
    let completion = house.completion(&run);
    let entry = house.complete(&run, &completion).unwrap();
    let Body::RunCompleted { obligations, .. } = entry.body else { panic!("another body") };
    house.skip(86_400);
    let paid = house.pays(&obligations[0], PaymentResult::Settled).unwrap().receipt.index;

    let first = told(&house, "2026-12-01..2026-12-01");
    // The log begins with the first instant of the day.
    assert_eq!((first.first, first.last), (Some(0), Some(paid - 1)));
    assert_eq!((first.contracts.len(), first.charges.len(), first.remark.as_ref()), (1, 2, None));
    assert_eq!(first.runs, BTreeMap::from([("completed".to_owned(), 1)]));
    assert_eq!(payments(&first), [("instructed", 2, 1_000_001)]);

    let second = told(&house, "2026-12-02..2026-12-02");
    assert_eq!((second.first, second.entries.get("payment_answered")), (Some(paid), Some(&1)));
    assert!(second.contracts.is_empty() && second.runs.is_empty() && second.charges.is_empty(), "{second:?}");
    assert_eq!(payments(&second), [("settled", 1, 500_000)]);
    assert_eq!(first.count + second.count, audited(&house, "2026").log.size);
}

/// All had signed before: it comes into force on its first day, which no entry need tell.
#[test]
fn a_contract_comes_into_force_on_its_first_day() {
    let house = House::furnished();
    let mut scheduled = house.draft();
    scheduled.effective_from = start().plus_seconds(2 * 86_400);
    let scheduled = house.propose(&scheduled).unwrap();
    for who in [&house.tdps[0], &house.tdps[1], &house.ccrp] {
        house.enter(house.signature(&scheduled, who)).unwrap();
    }
    // Of a day that the log has not come to it says nothing.
    assert!(told(&house, "2026-12").contracts.is_empty());
    house.skip(3 * 86_400);
    house.enter(Body::DigestAnchored { by: house.tdc.did().unwrap(), sha256: Digest([1; 32]) }).unwrap();
    let expected = [reference(&scheduled)];
    for (period, contracts) in [
        ("2026-12-01..2026-12-02", &expected[..0]),
        ("2026-12-03..2026-12-03", &expected[..]),
        ("2026-12-04..2026-12-04", &expected[..0]),
        ("2026-12", &expected[..]),
    ] {
        assert_eq!(told(&house, period).contracts, contracts, "{period}");
    }
}

#[test]
fn of_a_time_that_the_log_does_not_know_there_are_zeros_and_a_sentence() {
    let house = lived_in();
    for (period, sentence) in [("2025", "before the log's first entry"), ("2027-Q1", "after the log's last entry")] {
        let report = audited(&house, period);
        let within = report.period.clone().unwrap();
        assert_eq!((within.count, within.first, within.last), (0, None, None), "{period}");
        assert!(within.entries.is_empty() && within.contracts.is_empty() && within.runs.is_empty(), "{within:?}");
        assert!(within.charges.is_empty() && within.payments.is_empty(), "{within:?}");
        assert!(within.remark.as_ref().unwrap().contains(sentence), "{within:?}");
        let paper = printed(&house, Ok(report));
        assert!(paper.verified && paper.exit() == exit::OK);
        for text in [paper.markdown(), paper.csv()] {
            assert!(text.contains("In the period") && text.contains(sentence), "{text}");
        }
    }
}

#[test]
fn nothing_is_told_of_a_period_of_a_log_at_fault() {
    let house = lived_in();
    let mut lines = lines(&house);
    let last = lines.len() - 1;
    lines.swap(last - 1, last);
    let options = Options { period: Some("2026".parse().unwrap()), ..Options::default() };
    let paper = printed(&house, verify_with(&lines, &trust(&house), &options));
    assert_eq!((paper.verified, paper.report.is_none(), paper.exit()), (false, true, exit::VERIFICATION));
    assert!(!paper.markdown().contains("In the period") && !paper.csv().contains("In the period"));
}

#[test]
fn the_command_takes_a_period_and_refuses_what_is_none() {
    let house = lived_in();
    let (export, pinned) = (house.dir.join("log.jsonl"), house.dir.join("trust.json"));
    std::fs::write(&export, lines(&house).concat()).unwrap();
    std::fs::write(&pinned, serde_json::to_vec(&trust(&house)).unwrap()).unwrap();
    let types = |period: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_depa"));
        command.args(["audit", "report"]).arg(&export).arg("--trust").arg(&pinned);
        command.args(["--period", period]).output().unwrap()
    };
    let good = types("2026-12");
    let page = String::from_utf8_lossy(&good.stdout).into_owned();
    assert!(good.status.success() && page.contains("## In the period 2026-12-01 to 2026-12-31"), "{good:?}");
    for period in ["2026-Q5", "2026-13", "2026-12-02..2026-12-01", ""] {
        let bad = types(period);
        assert_eq!(bad.status.code(), Some(exit::USAGE.into()), "{period}: {bad:?}");
        assert!(bad.stdout.is_empty(), "{period}: {bad:?}");
    }
}
