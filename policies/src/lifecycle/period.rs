//! Periods of a contract's terms: which part of each a version of the contract covers. Only instants that stand in the
//! contract or in the log count, so that every reader finds the same, whenever the service came to enter it.
//!
//! An amendment takes over where the version before it ended: what had begun under the old terms is owed under them, up to
//! that instant, and nothing is counted twice.

use schemas::Timestamp;
use schemas::contract::{ContractState, PaymentTerm, TermKind};

use super::{ContractRow, State};
use crate::payment::{Nth, period_begins};

/// What a version of a contract covers of a period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Covered {
    /// From when.
    pub(super) begins: Timestamp,
    /// Until when.
    pub(super) ends: Timestamp,
    /// Microseconds of the whole period.
    pub(super) whole: i64,
}

impl Covered {
    /// Covered microseconds, of all.
    pub(super) fn part(&self) -> (i64, i64) {
        (self.ends.micros().saturating_sub(self.begins.micros()), self.whole)
    }
}

/// Days after the end of a period in which its revenue is to be stated before the minimum falls due.
const STATEMENT_DAYS: i64 = 30;

impl State {
    /// The period's number as ids name it.
    pub(super) fn nth(row: &ContractRow, period: u32) -> Nth {
        Nth { version: row.contract.version, period }
    }

    /// From when a version counts: an amendment from when it took the place of the one before it.
    fn counts_from(&self, row: &ContractRow) -> Timestamp {
        let before = row.amends.and_then(|old| self.contracts.get(&old)).and_then(|old| old.ended);
        before.map_or(row.contract.effective_from, |ended| ended.at.max(row.contract.effective_from))
    }

    /// Until when a version counts for a term: its last day, the end of a notice, or the entry that ended it. That all planned
    /// runs are done, or the budget, ends no share of revenue: the model is still used.
    fn counts_until(row: &ContractRow, kind: TermKind) -> Timestamp {
        let goes_on = |state| kind == TermKind::RevenueShare && state == ContractState::Completed;
        let ended = row.ended.filter(|ended| !goes_on(ended.state)).map(|ended| ended.at);
        let ends = [row.revokes_at, ended].into_iter().flatten();
        ends.fold(row.contract.expires_at, Timestamp::min)
    }

    /// What a version covers of a period; none where nothing. A subscription's period is covered whole where it begins while
    /// the version counts.
    pub(super) fn covered(&self, row: &ContractRow, term: &PaymentTerm, period: u32) -> Option<Covered> {
        let begins = period_begins(term, &row.contract, period)?;
        let next = period_begins(term, &row.contract, period.checked_add(1)?)?;
        let (from, until) = (self.counts_from(row), State::counts_until(row, term.kind));
        let whole = next.micros().checked_sub(begins.micros()).filter(|whole| *whole > 0)?;
        let (begins, ends) = match term.kind {
            TermKind::Subscription if begins >= from && begins < until => (begins, next),
            TermKind::RevenueShare => (begins.max(from), next.min(until)),
            _ => return None,
        };
        (begins < ends).then_some(Covered { begins, ends, whole })
    }

    /// When a period falls due by the clock: a subscription's at its beginning, the minimum of a share of revenue some time
    /// after its end. None where the version covers nothing of it, or the term has no minimum.
    pub(super) fn falls_due(&self, row: &ContractRow, term: &PaymentTerm, period: u32) -> Option<Timestamp> {
        let covered = self.covered(row, term, period)?;
        match term.kind {
            TermKind::RevenueShare => {
                term.pricing.as_ref()?.floor_minor.filter(|least| least.get() > 0)?;
                Some(covered.ends.plus_seconds(STATEMENT_DAYS * 86_400))
            }
            _ => Some(covered.begins),
        }
    }

    /// From when on the revenue of a period may be stated under a version: once it is over. None where the version has no such
    /// period. What is earned after a contract was revoked may be stated; after an amendment it is the new version's.
    pub(super) fn stated_from(&self, row: &ContractRow, term: &PaymentTerm, period: u32) -> Option<Timestamp> {
        let begins = period_begins(term, &row.contract, period)?;
        let next = period_begins(term, &row.contract, period.checked_add(1)?)?;
        let replaced = row.ended.filter(|ended| ended.state == ContractState::Superseded).map(|ended| ended.at);
        let until = replaced.map_or(row.contract.expires_at, |at| at.min(row.contract.expires_at));
        let ends = next.min(until);
        (begins.max(self.counts_from(row)) < ends).then_some(ends)
    }

    /// The first period of a term that a version covers any of, if it covers some.
    pub(super) fn first_period(&self, row: &ContractRow, term: &PaymentTerm) -> Option<u32> {
        let (after, length) = self.counted(row, term)?;
        let first = match term.kind {
            TermKind::Subscription => ceil(after, length),
            _ => after / length,
        };
        u32::try_from(first).ok()
    }

    /// How many periods of a term came before this one, in all versions of the contract: what a discount counts.
    pub(super) fn periods_before(&self, row: &ContractRow, term: &PaymentTerm, period: u32) -> u32 {
        let first = self.first_period(row, term).unwrap_or(0);
        let (mut before, mut version) = (period.saturating_sub(first), row);
        while let Some(older) = version.amends.and_then(|old| self.contracts.get(&old)) {
            let same = |t: &&PaymentTerm| t.term_id == term.term_id && t.kind == term.kind;
            if let Some(term) = older.contract.payment.iter().find(same) {
                before = before.saturating_add(self.periods_of(older, term));
            }
            version = older;
        }
        before
    }

    /// How many periods of a term a version covers any of.
    fn periods_of(&self, row: &ContractRow, term: &PaymentTerm) -> u32 {
        let (Some(first), Some((_, length))) = (self.first_period(row, term), self.counted(row, term)) else {
            return 0;
        };
        let until = State::counts_until(row, term.kind).micros();
        let end = ceil(until.saturating_sub(row.contract.effective_from.micros()).max(0), length);
        u32::try_from(end).unwrap_or(u32::MAX).saturating_sub(first)
    }

    /// Microseconds from the contract's beginning until it counts, and those of a period.
    fn counted(&self, row: &ContractRow, term: &PaymentTerm) -> Option<(i64, i64)> {
        let length = i64::from(term.pricing.as_ref()?.period_days?).checked_mul(86_400_000_000).filter(|us| *us > 0)?;
        let after = self.counts_from(row).micros().saturating_sub(row.contract.effective_from.micros());
        Some((after.max(0), length))
    }
}

fn ceil(of: i64, by: i64) -> i64 {
    of / by + i64::from(of % by > 0)
}
