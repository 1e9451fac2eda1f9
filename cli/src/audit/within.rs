//! What happened in a period, of a log that was verified whole. Entries follow one another in time, so those of a period
//! are one stretch of the log: what the state knows by the index of an entry needs no time of its own.

use std::collections::BTreeMap;

use policies::lifecycle::{AbortFact, ContractRow, PaymentState, RunRow, RunState, State};
use schemas::Timestamp;
use schemas::contract::ContractRef;
use schemas::id::{DatasetId, Did, FamilyId, RunId};
use schemas::log::ExportedEntry;
use schemas::money::Currency;
use schemas::privacy::{DatasetCharge, epsilon_words};
use schemas::text::Real;
use serde::Serialize;

use super::budget::{Charged, Ledger, LedgerKey};
use super::page::Page;
use super::period::Period;
use super::printed::Paid;
use super::report::word;

/// What is counted of a period while entries come in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Tally {
    period: Period,
    /// When the log's first entry was made.
    log_begins: Option<Timestamp>,
    /// Entries before the period.
    before: u64,
    /// Entries in it, by kind.
    entries: BTreeMap<&'static str, u64>,
    /// Obligations by the states that they came to in it, with their amounts.
    payments: BTreeMap<(Currency, PaymentState), BTreeMap<String, i128>>,
}

/// What happened in a period.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Within {
    /// Its first day, in UTC.
    pub from: String,
    /// Its last day.
    pub to: String,
    /// Why the log does not say all of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remark: Option<String>,
    /// How many entries were made in it.
    pub count: u64,
    /// Index of the first of them.
    pub first: Option<u64>,
    /// Index of the last.
    pub last: Option<u64>,
    /// Entries by kind.
    pub entries: BTreeMap<&'static str, u64>,
    /// Versions of contracts that came into force.
    pub contracts: Vec<ContractRef>,
    /// Runs that ended, by the state in which they did.
    pub runs: BTreeMap<String, usize>,
    /// Charges that stand, of the receipts that were entered.
    pub charges: Vec<ChargeLine>,
    /// Obligations by the states that they came to, each once in a state.
    pub payments: Vec<Paid>,
}

/// What one run costs one dataset.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct ChargeLine {
    /// Whose data.
    pub provider: Did,
    /// The family that is charged.
    pub family: FamilyId,
    /// The consumer; none where the budget is shared by all.
    pub tdc: Option<Did>,
    /// The run.
    pub run_id: RunId,
    /// The dataset.
    pub dataset_id: DatasetId,
    /// ε that the run alone costs at this δ, in 10^-6; none where no ε bounds it.
    pub epsilon_micro: Option<u64>,
    /// The δ of the contract's clause.
    pub delta: Real,
}

impl Tally {
    /// Before the first entry.
    pub(super) fn of(period: Period) -> Tally {
        Tally { period, log_begins: None, before: 0, entries: BTreeMap::new(), payments: BTreeMap::new() }
    }

    /// Whether an entry of this time is counted.
    pub(super) fn holds(&self, at: Timestamp) -> bool {
        self.period.contains(at)
    }

    /// Takes an entry that was folded: the state before it, where it is counted, and the one after it.
    pub(super) fn enter(&mut self, entry: &ExportedEntry, before: Option<&State>, after: &State) {
        let at = entry.record.at;
        self.log_begins = self.log_begins.or(Some(at));
        if at < self.period.begins() {
            self.before = entry.index + 1;
        }
        let Some(before) = before else { return };
        *self.entries.entry(entry.body.kind()).or_default() += 1;
        for (old, row) in after.payments_touched(before, entry.index) {
            if old.is_none_or(|old| old.state != row.state) {
                let came = self.payments.entry((row.obligation.currency, row.state)).or_default();
                came.insert(row.obligation.instruction_id.clone(), i128::from(row.obligation.amount_minor.get()));
            }
        }
    }

    /// What it comes to under a head that was verified.
    pub(super) fn told(&self, state: &State, ledgers: &BTreeMap<LedgerKey, Ledger>) -> Within {
        let count: u64 = self.entries.values().sum();
        let after = self.before + count;
        let holds = |index: u64| (self.before..after).contains(&index);
        let versions = state.contracts().flat_map(|row| state.contract_versions(&row.contract.contract_id));
        let contracts = versions.filter(|row| self.brings_into_force(row, after, state.last_at()));
        let mut runs: BTreeMap<String, usize> = BTreeMap::new();
        for (_, how) in state.runs().filter_map(ended).filter(|(index, _)| holds(*index)) {
            *runs.entry(word(&how)).or_default() += 1;
        }
        let mut charges = Vec::new();
        for (key, ledger) in ledgers {
            charges.extend(ledger.charges.iter().filter(|one| holds(one.index)).map(|one| ChargeLine::of(key, one)));
        }
        let paid = |((currency, state), amounts): (&(Currency, PaymentState), &BTreeMap<String, i128>)| Paid {
            currency: *currency,
            state: word(state),
            count: amounts.len(),
            amount_minor: amounts.values().sum(),
        };
        let [from, to] = self.period.days();
        Within {
            from,
            to,
            remark: self.remark(state.last_at()),
            count,
            first: (count > 0).then_some(self.before),
            last: (count > 0).then(|| after - 1),
            entries: self.entries.clone(),
            contracts: contracts.map(ContractRow::reference).collect(),
            runs,
            charges,
            payments: self.payments.iter().map(paid).collect(),
        }
    }

    /// Whether this version came into force: all had signed it, its first day had come, and nothing had ended it before.
    /// Of a day behind its last entry the log says nothing.
    fn brings_into_force(&self, row: &ContractRow, after: u64, last_at: Timestamp) -> bool {
        let from = row.contract.effective_from;
        let news = match row.executed {
            Some(index) if index < self.before => from >= self.period.begins(),
            Some(index) => index < after,
            None => false,
        };
        let stood = row.ended.is_none_or(|end| end.at > from) && row.revokes_at.is_none_or(|at| at > from);
        news && stood && from < self.period.ends() && from <= last_at
    }

    fn remark(&self, last_at: Timestamp) -> Option<String> {
        let outside = "nothing in it is of this period";
        if self.log_begins.is_some_and(|first| self.period.ends() <= first) {
            let first = self.log_begins.map(|first| first.to_string()).unwrap_or_default();
            return Some(format!("The period lies before the log's first entry ({first}): {outside}."));
        }
        if last_at < self.period.begins() {
            return Some(format!("The period begins after the log's last entry ({last_at}): {outside}."));
        }
        let open = last_at < self.period.ends();
        open.then(|| format!("The period was not over at the log's last entry ({last_at}): more may follow."))
    }
}

/// The entry by which a run ended, and how.
fn ended(run: &RunRow) -> Option<(u64, RunState)> {
    if let Some((index, ..)) = &run.completion {
        return Some((*index, RunState::Completed));
    }
    match run.aborted.as_ref()? {
        AbortFact::ByRoom { index, .. } | AbortFact::FromOutside { index } | AbortFact::Silent { index } => {
            Some((*index, RunState::Aborted))
        }
    }
}

impl ChargeLine {
    fn of(key: &LedgerKey, charged: &Charged) -> ChargeLine {
        let charge = &charged.charge;
        ChargeLine {
            provider: key.provider.clone(),
            family: key.family.clone(),
            tdc: key.tdc.clone(),
            run_id: charged.run_id.clone(),
            dataset_id: charge.dataset_id.clone(),
            epsilon_micro: Some(charge.epsilon_micro).filter(|micro| *micro < DatasetCharge::UNBOUNDED),
            delta: charge.delta.clone(),
        }
    }

    fn cells(&self) -> Vec<String> {
        vec![
            self.family.to_string(),
            self.provider.to_string(),
            self.tdc.as_ref().map_or("all".to_owned(), ToString::to_string),
            self.run_id.to_string(),
            self.dataset_id.to_string(),
            epsilon_words(self.epsilon_micro.unwrap_or(DatasetCharge::UNBOUNDED)),
            self.delta.to_string(),
        ]
    }
}

impl Within {
    /// A section of the printed audit.
    pub(super) fn print(&self, page: &mut Page) {
        page.section(&format!("In the period {} to {}", self.from, self.to));
        let index = |index: Option<u64>| index.map_or("none".to_owned(), |index| index.to_string());
        let mut facts = vec![
            ["entries".to_owned(), self.count.to_string()],
            ["first entry".to_owned(), index(self.first)],
            ["last entry".to_owned(), index(self.last)],
        ];
        facts.extend(self.remark.iter().map(|remark| ["remark".to_owned(), remark.clone()]));
        page.facts(facts);
        page.table(
            &["kinds of entries", "entries"],
            self.entries.iter().map(|(kind, n)| vec![(*kind).to_owned(), n.to_string()]),
        );
        page.say(
            "A contract that came into force counts though it was suspended; a run counts by how it ended, whatever became of \
             its model later.",
        );
        page.table(
            &["contracts that came into force", "sha256"],
            self.contracts.iter().map(|contract| vec![contract.id.to_string(), contract.sha256.short()]),
        );
        page.table(
            &["runs that ended", "count"],
            self.runs.iter().map(|(state, n)| vec![state.clone(), n.to_string()]),
        );
        page.say(
            "Each charge is what one run alone costs. Charges compose, so that their sum is not what was spent: what \
             was spent stands under Privacy budgets, over the whole log. Charges that were refunded since are left out.",
        );
        page.table(
            &["charges to families", "provider", "consumer", "run", "dataset", "ε charged", "δ"],
            self.charges.iter().map(ChargeLine::cells),
        );
        page.say("An obligation counts once in each state that it came to in the period.");
        page.table(&["currency", "state", "payments", "sum"], self.payments.iter().map(Paid::cells));
    }
}

#[cfg(test)]
mod tests {
    use schemas::Digest;
    use schemas::event::Body;
    use schemas::log::Record;
    use schemas::text::Bytes;

    use super::*;

    fn entry(index: u64, at: Timestamp) -> ExportedEntry {
        let by = Did::parse("did:web:tdc.example").unwrap();
        let body = Body::DigestAnchored { by, sha256: Digest([1; 32]) };
        let zero = Digest([0; 32]);
        let kind = body.kind().to_owned();
        ExportedEntry {
            index,
            record: Record { v: 1, kind, subject: zero, seq: 1, at, body_sha256: zero, prev: zero },
            subject: String::new(),
            subject_salt: Bytes(vec![0; 32]),
            body_salt: Bytes(vec![0; 32]),
            body,
        }
    }

    /// What is told of entries at these times.
    fn told(period: &str, times: &[Timestamp]) -> Within {
        let (mut tally, state) = (Tally::of(period.parse().unwrap()), State::new());
        for (index, at) in (0..).zip(times) {
            tally.enter(&entry(index, *at), tally.holds(*at).then_some(&state), &state);
        }
        tally.told(&state, &BTreeMap::new())
    }

    fn around(period: &str) -> [Timestamp; 4] {
        let period: Period = period.parse().unwrap();
        let (begins, ends) = (period.begins().micros(), period.ends().micros());
        [begins - 1, begins, ends - 1, ends].map(Timestamp::from_micros)
    }

    #[test]
    fn entries_at_both_ends_count_and_those_beyond_do_not() {
        let times = around("2026-Q3");
        let within = told("2026-Q3", &times);
        assert_eq!((within.count, within.first, within.last), (2, Some(1), Some(2)));
        assert_eq!(within.entries, BTreeMap::from([("digest_anchored", 2)]));
        assert_eq!((within.from.as_str(), within.to.as_str()), ("2026-07-01", "2026-09-30"));
        // The neighbours have the two others.
        for (period, index) in [("2026-06", 0), ("2026-Q4", 3)] {
            let within = told(period, &times);
            assert_eq!((within.count, within.first, within.last), (1, Some(index), Some(index)), "{period}");
        }
    }

    #[test]
    fn a_gap_in_the_log_is_told_in_zeros() {
        let [before, _, _, after] = around("2026-Q3");
        let within = told("2026-Q3", &[before, after]);
        assert_eq!((within.count, within.first, within.last), (0, None, None));
        assert!(within.entries.is_empty() && within.payments.is_empty());
    }

    #[test]
    fn what_the_log_does_not_say_is_said() {
        let [before, first, last, after] = around("2026-Q3");
        let mut tally = Tally::of("2026-Q3".parse().unwrap());
        tally.log_begins = Some(before);
        let remark = |tally: &Tally, last_at| tally.remark(last_at).unwrap_or_default();
        assert!(remark(&tally, before).contains("begins after the log's last entry"));
        for inside in [first, last] {
            assert!(remark(&tally, inside).contains("was not over"), "{inside}");
        }
        assert_eq!(tally.remark(after), None);
        tally.log_begins = Some(after);
        assert!(remark(&tally, after).contains("lies before the log's first entry"));
    }
}
