//! The printed audit: all of a log that verifies, and the first fault of one that does not.

use depa::audit::money;
use depa::audit::printed::Printed;
use depa::{audit, exit};
use schemas::{Code, R};

use crate::{lines, lived_in, now, trust, verify, verify_with};

fn printed(audited: R<audit::Report>, trust: &signing::Trust) -> Printed {
    Printed::of(trust, now(), audited, |_| None).unwrap()
}

#[test]
fn a_log_that_verifies_is_printed_whole() {
    let house = lived_in();
    let (trust, lines) = (trust(&house), lines(&house));
    let paper = printed(verify(&lines, &trust), &trust);
    assert!(paper.verified && paper.findings.is_empty() && paper.exit() == exit::OK);
    let report = paper.report.as_ref().unwrap();
    // Every entry has its kind.
    assert_eq!(report.entries.values().sum::<u64>(), report.log.size);
    assert_eq!((report.entries["genesis"], report.entries["run_completed"]), (1, 1));
    let sums: Vec<_> = paper.payments.iter().map(|p| (p.state.as_str(), p.count, p.amount_minor)).collect();
    assert_eq!(sums, [("instructed", 1, 500_001), ("settled", 1, 500_000)]);
    let page = paper.markdown();
    for part in [
        "| result | verified |",
        "## Findings\n\nNone.",
        &format!("| audited | {} | {} | nobody |", report.log.size, report.log.root),
        "| genesis | 1 |",
        "| delivered | 1 |",
        &format!("| {} |", report.budgets[0].family),
        "| INR | 10000.01 | 5000.00 |",
        "| INR | settled | 1 | 5000.00 |",
        "- SIMULATED: 1 runs",
        "- No witness was asked for",
    ] {
        assert!(page.contains(part), "{part} in\n{page}");
    }
    // A spreadsheet gets the same values, each with its section and column.
    let sheet = paper.csv();
    for line in [
        "\"Audit of sro.example/log\",1,\"result\",\"verified\"",
        "\"Entries by kind\",",
        ",\"runs\",\"delivered\"",
        ",\"sum\",\"5000.00\"",
        ",\"remark\",\"No witness was asked for",
    ] {
        assert!(sheet.contains(line), "{line} in\n{sheet}");
    }
    assert!(sheet.starts_with("section,row,column,value\n") && !sheet.contains("Findings"), "{sheet}");
    let json = serde_json::to_value(&paper).unwrap();
    assert_eq!(json["report"]["entries"]["genesis"], 1);
    assert_eq!(json["findings"], serde_json::json!([]));
    // The same head again is one that is continued, and no remark is made of it.
    let earlier = Some(house.registry.checkpoint().unwrap().text());
    let again = verify_with(&lines, &trust, &audit::Options { earlier, ..audit::Options::default() });
    let page = printed(again, &trust).markdown();
    assert!(page.contains("| earlier, continued |") && !page.contains("No earlier head"), "{page}");
}

#[test]
fn a_fault_is_printed_with_its_code_and_nothing_is_said_of_the_rest() {
    let house = lived_in();
    let (trust, mut lines) = (trust(&house), lines(&house));
    lines.swap(2, 3);
    let paper = printed(verify(&lines, &trust), &trust);
    assert!(!paper.verified && paper.report.is_none() && paper.exit() == exit::VERIFICATION);
    assert_eq!(paper.findings.len(), 1);
    let page = paper.markdown();
    let found = format!("\"Findings\",1,\"code\",\"{}\"", paper.findings[0].code);
    assert!(paper.csv().contains(&found), "{}", paper.csv());
    assert!(page.contains("| result | NOT VERIFIED |") && page.contains(paper.findings[0].code), "{page}");
    assert!(!page.contains("## Money"), "{page}");
    // Another's trust: a finding too.
    let mut pinned = trust.clone();
    pinned.origin = "other.example/log".into();
    let paper = printed(verify(&crate::lines(&house), &pinned), &pinned);
    assert_eq!(paper.exit(), exit::VERIFICATION);
}

#[test]
fn books_that_differ_are_a_finding_and_a_missing_file_is_none() {
    let house = lived_in();
    let (trust, lines) = (trust(&house), lines(&house));
    let report = verify(&lines, &trust).unwrap();
    let mut transfers = report.transfers.clone();
    let shown = |transfers| depa::payment::export::Export { v: 1, transfers, obligations: vec![] };
    let good =
        Printed::of(&trust, now(), Ok(report.clone()), |r| Some(money::compare(r, &shown(transfers.clone())))).unwrap();
    assert!(good.verified && good.markdown().contains("transfers and 0 of 2 obligations are the log's"));
    transfers[0].amount_minor = schemas::money::Minor::new(7).unwrap();
    let bad = Printed::of(&trust, now(), Ok(report), |r| Some(money::compare(r, &shown(transfers)))).unwrap();
    assert!(!bad.verified && bad.report.is_some() && bad.compared.is_none());
    assert_eq!(bad.findings[0].code, Code::BooksTransfer.as_str());
    let missing = schemas::Refusal::new(Code::ConfigInvalid, "log.jsonl: no such file");
    assert_eq!(Printed::of(&trust, now(), Err(missing), |_| None).unwrap_err().code, Code::ConfigInvalid);
}
