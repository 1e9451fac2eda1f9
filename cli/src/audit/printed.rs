//! An audit on paper: one document for people, in Markdown, its tables for spreadsheets, and the same for programs. Unlike
//! [`Report`], which only a log that verifies has, it also says what an audit found at fault.

use std::collections::BTreeMap;

use schemas::id::Did;
use schemas::log::CheckpointRef;
use schemas::money::Currency;
use schemas::privacy::{DatasetCharge, WITHOUT_PRIVACY, epsilon_words};
use schemas::{R, Refusal, Timestamp};
use serde::Serialize;
use signing::Trust;

use super::money::Compared;
use super::page::Page;
use super::report::{Report, word};
use crate::exit;
use crate::payment::hledger::decimal;

/// A printed audit.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Printed {
    /// Whether everything verified.
    pub verified: bool,
    /// Whose log.
    pub registry: Did,
    /// Its name.
    pub origin: String,
    /// When it was audited.
    pub audited_at: Timestamp,
    /// What is at fault. A verification ends at the first fault: what comes behind it was not looked at.
    pub findings: Vec<Finding>,
    /// What a reader should know of a log that verifies.
    pub remarks: Vec<String>,
    /// Payments by currency and state.
    pub payments: Vec<Paid>,
    /// Books that were compared: their transfers and obligations, of how many in the log.
    pub compared: Option<Compared>,
    /// What the audit recomputed; none where the log does not verify.
    pub report: Option<Report>,
}

/// Something at fault.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Finding {
    /// The stable code.
    pub code: &'static str,
    /// What is wrong, with the entry where there is one.
    pub sentence: String,
}

/// Payments of one currency in one state.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Paid {
    /// ISO 4217.
    pub currency: Currency,
    /// The state.
    pub state: String,
    /// How many.
    pub count: usize,
    /// Their sum in minor units.
    pub amount_minor: i128,
}

impl Paid {
    /// A row of a table: currency, state, payments, sum.
    pub(super) fn cells(&self) -> Vec<String> {
        let sum = decimal(self.amount_minor, self.currency);
        vec![self.currency.to_string(), self.state.clone(), self.count.to_string(), sum]
    }
}

impl Printed {
    /// Of an audit, and of the comparison of somebody's books with its report. What is no verification failure (a file that
    /// is not there, a service that does not answer) is no finding and comes back as it is.
    pub fn of(
        trust: &Trust,
        now: Timestamp,
        audited: R<Report>,
        books: impl FnOnce(&Report) -> Option<R<Compared>>,
    ) -> R<Printed> {
        let mut findings = Vec::new();
        let report = found(audited, &mut findings)?;
        let compared = match report.as_ref().and_then(books) {
            Some(compared) => found(compared, &mut findings)?,
            None => None,
        };
        Ok(Printed {
            verified: findings.is_empty(),
            registry: trust.registry.clone(),
            origin: trust.origin.clone(),
            audited_at: now,
            findings,
            remarks: report.as_ref().map(|report| remarks(report, trust)).unwrap_or_default(),
            payments: report.as_ref().map(paid).unwrap_or_default(),
            compared,
            report,
        })
    }

    /// The exit code that goes with it.
    pub fn exit(&self) -> u8 {
        if self.verified { exit::OK } else { exit::VERIFICATION }
    }

    /// The document in Markdown, to be printed.
    pub fn markdown(&self) -> String {
        self.on(Page::markdown())
    }

    /// Its tables as CSV, for a spreadsheet.
    pub fn csv(&self) -> String {
        self.on(Page::csv())
    }

    fn on(&self, mut page: Page) -> String {
        page.title(&format!("Audit of {}", self.origin));
        page.facts(self.summary());
        page.section("Findings");
        if self.findings.is_empty() {
            page.say("None.");
        } else {
            let rows = self.findings.iter().map(|f| vec![f.code.to_owned(), f.sentence.clone()]);
            page.table(&["code", "what is wrong"], rows);
            page.say("A verification ends at its first fault: nothing is said of what comes behind it.");
        }
        let Some(report) = &self.report else { return page.text() };
        page.section("Heads");
        page.table(&["head", "entries", "root", "cosigned"], heads(report));
        page.section("Entries by kind");
        page.table(
            &["kind", "entries"],
            report.entries.iter().map(|(kind, n)| vec![(*kind).to_owned(), n.to_string()]),
        );
        page.section("Contracts and runs");
        page.table(
            &["contract", "sha256", "state", "signatures"],
            report.contracts.iter().map(|c| {
                let (n, of) = c.signatures;
                vec![c.id.to_string(), c.sha256.to_string(), word(&c.state), format!("{n} of {of}")]
            }),
        );
        page.table(&["runs", "count"], report.runs.iter().map(|(state, n)| vec![state.clone(), n.to_string()]));
        page.section("Privacy budgets");
        page.table(&["family", "provider", "consumer", "runs", "ε spent", "ε cap", "δ", "kept by"], budgets(report));
        page.section("Money");
        page.table(
            &["currency", "owed", "settled"],
            report
                .books
                .iter()
                .map(|(c, (owed, settled))| vec![c.to_string(), decimal(*owed, *c), decimal(*settled, *c)]),
        );
        page.table(&["currency", "state", "payments", "sum"], self.payments.iter().map(Paid::cells));
        if let Some(Compared { transfers: (shown, all), obligations: (owed, obligations) }) = &self.compared {
            page.say(&format!(
                "Of the books that were shown, {shown} of {all} transfers and {owed} of {obligations} obligations are the log's."
            ));
        }
        if let Some(period) = &report.period {
            period.print(&mut page);
        }
        page.section("Remarks");
        page.points("remark", &self.remarks);
        page.text()
    }

    fn summary(&self) -> Vec<[String; 2]> {
        let row = |name: &str, value: String| [name.to_owned(), value];
        let mut rows = vec![
            row("result", if self.verified { "verified" } else { "NOT VERIFIED" }.to_owned()),
            row("registry", self.registry.to_string()),
            row("audited at", self.audited_at.to_string()),
        ];
        if let Some(report) = &self.report {
            rows.push(row("last entry", report.last_entry_at.to_string()));
            rows.push(row("signatures verified", report.signatures.map_or("none".to_owned(), |n| n.to_string())));
            rows.push(row("participants", report.participants.to_string()));
        }
        rows
    }
}

/// What was found, or the fault that keeps from it.
fn found<T>(result: R<T>, findings: &mut Vec<Finding>) -> R<Option<T>> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(refusal) if exit::of(&refusal) == exit::VERIFICATION => {
            findings.push(finding(&refusal));
            Ok(None)
        }
        Err(refusal) => Err(refusal),
    }
}

fn finding(refusal: &Refusal) -> Finding {
    Finding { code: refusal.code.as_str(), sentence: refusal.sentence.clone() }
}

fn remarks(report: &Report, trust: &Trust) -> Vec<String> {
    let mut remarks = Vec::new();
    if report.signatures.is_none() {
        remarks.push("Signatures were not checked: this is no complete audit.".to_owned());
    }
    if report.runs_simulated > 0 {
        remarks.push(format!("SIMULATED: {} runs showed software evidence only.", report.runs_simulated));
    }
    let open: usize = report.budgets.iter().map(|budget| budget.without_differential_privacy).sum();
    if open > 0 {
        remarks.push(format!("{open} charges are of runs {WITHOUT_PRIVACY}: no ε bounds what they let out."));
    }
    if report.erased > 0 {
        remarks.push(format!(
            "Two SRO people erased {} bodies; their leaves stand, their content is gone.",
            report.erased
        ));
    }
    if trust.quorum == 0 && report.cosigned_at.is_none() {
        remarks.push("No witness was asked for: another history could have been shown to others.".to_owned());
    }
    if report.continues.is_none() {
        remarks.push("No earlier head was compared: --earlier shows that nothing before it was rewritten.".to_owned());
    }
    if let Some(old) = &report.succeeds {
        remarks.push(format!(
            "The log goes on from {} after {} entries ({}): what came after them there is lost.",
            old.old_origin, old.kept, old.reason
        ));
    }
    remarks
}

fn heads(report: &Report) -> Vec<Vec<String>> {
    let row = |name: &str, head: &CheckpointRef, cosigned: String| {
        vec![name.to_owned(), head.size.to_string(), head.root.to_string(), cosigned]
    };
    let mut cosigned: Vec<String> =
        report.cosigned.iter().map(|one| format!("{} at {}", one.witness, one.at)).collect();
    cosigned.extend(report.cosigned_at.map(|at| format!("the named witness at {at}")));
    let cosigned = if cosigned.is_empty() { "nobody".to_owned() } else { cosigned.join("; ") };
    let mut rows = vec![row("audited", &report.log, cosigned)];
    rows.extend(report.continues.as_ref().map(|earlier| row("earlier, continued", earlier, String::new())));
    rows
}

fn budgets(report: &Report) -> Vec<Vec<String>> {
    let line = |b: &super::BudgetLine| {
        vec![
            b.family.to_string(),
            b.provider.to_string(),
            b.tdc.as_ref().map_or("all".to_owned(), ToString::to_string),
            b.charges.to_string(),
            epsilon_words(b.epsilon_micro.unwrap_or(DatasetCharge::UNBOUNDED)),
            b.cap_epsilon.to_string(),
            b.cap_delta.to_string(),
            b.kept.clone(),
        ]
    };
    report.budgets.iter().map(line).collect()
}

fn paid(report: &Report) -> Vec<Paid> {
    let mut sums: BTreeMap<(Currency, String), (usize, i128)> = BTreeMap::new();
    for line in &report.payments {
        let sum = sums.entry((line.currency, word(&line.state))).or_default();
        *sum = (sum.0 + 1, sum.1 + i128::from(line.amount_minor.get()));
    }
    let line = |((currency, state), (count, amount_minor))| Paid { currency, state, count, amount_minor };
    sums.into_iter().map(line).collect()
}
