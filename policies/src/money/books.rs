//! The books: accounts, transfers, and how far each obligation has come in them. Work per transfer does not grow with them.

use std::collections::BTreeMap;

use schemas::{Code, R, Refusal};
use serde::{Deserialize, Serialize};

use super::account::{Account, AccountId};
use super::transfer::{Phase, Place, Transfer};
use crate::lifecycle::table::Table;

/// How far an obligation has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Position {
    /// Blocked by the pending transfer there.
    Blocked(Place),
    /// Owed; `true` where the blocked money pays it.
    Owed(bool),
    /// Not owed any more, its money still blocked until the payment provider undoes that.
    Held,
    /// On its way by two pending transfers, payer's and payee's.
    Instructed(bool, Place, Place),
    /// Paid.
    Settled,
    /// Paid by money that a ruling took from suspense.
    Released,
    /// Not owed any more.
    Refunded,
    /// Paid, and by a ruling owed back.
    OwedBack,
}

/// All accounts and transfers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Books {
    pub(crate) accounts: Table<AccountId, Account>,
    pub(crate) transfers: Table<Place, Transfer>,
    /// Pending transfers that were posted or voided, and by which.
    pub(crate) resolved: Table<Place, Place>,
    /// Obligations by instruction id.
    pub(crate) positions: Table<String, Position>,
}

impl Books {
    /// An account; empty when nothing was ever posted to it.
    pub fn account(&self, id: &AccountId) -> Account {
        self.accounts.get(id).copied().unwrap_or_default()
    }

    /// Whether a ruling paid an obligation with money from suspense.
    pub fn was_released(&self, id: &str) -> bool {
        self.positions.get(&id.to_owned()) == Some(&Position::Released)
    }

    /// Whether blocked money stands behind an obligation, or has paid it.
    pub fn is_secured(&self, id: &str) -> bool {
        use Position::{Blocked, Instructed, Owed, Released, Settled};
        let position = self.positions.get(&id.to_owned());
        matches!(position, Some(Blocked(_) | Owed(true) | Instructed(true, ..) | Settled | Released))
    }

    /// Whether nothing of an obligation is blocked, owed or to come back any more, and nothing was paid.
    pub fn is_over(&self, id: &str) -> bool {
        self.positions.get(&id.to_owned()) == Some(&Position::Refunded)
    }

    /// Whether a ruling made the payee owe back what it was paid.
    pub fn is_owed_back(&self, id: &str) -> bool {
        self.positions.get(&id.to_owned()) == Some(&Position::OwedBack)
    }

    /// All accounts.
    pub fn accounts(&self) -> impl Iterator<Item = (&AccountId, &Account)> {
        self.accounts.iter()
    }

    /// The transfer that stands there.
    pub fn transfer(&self, place: &Place) -> Option<&Transfer> {
        self.transfers.get(place)
    }

    /// All transfers in the order of the log.
    pub fn transfers(&self) -> impl DoubleEndedIterator<Item = (&Place, &Transfer)> {
        self.transfers.iter()
    }

    /// Transfers after a place, in the order of the log.
    pub fn transfers_after(&self, place: Option<Place>) -> impl Iterator<Item = (&Place, &Transfer)> {
        use std::ops::Bound::{Excluded, Unbounded};
        self.transfers.range((place.map_or(Unbounded, Excluded), Unbounded))
    }

    /// Adds a transfer of an entry as its next leg. Refuses, leaving the books as they were: an amount that is not above
    /// zero, two currencies, one account on both sides, a pending transfer that is unknown, resolved or another one
    /// (`BOOKS_TRANSFER`); an overdrawn account; sums beyond all measure (`INTERNAL`).
    pub fn add(&mut self, index: u64, transfer: Transfer) -> R<Place> {
        let leg = self.transfers.range(Place { index, leg: 0 }..=Place { index, leg: u16::MAX }).next_back();
        let next = leg.map_or(Some(0), |(place, _)| place.leg.checked_add(1));
        let too_many = || Refusal::new(Code::Internal, "an entry makes too many transfers");
        let place = Place { index, leg: next.ok_or_else(too_many)? };
        self.put(place, transfer)?;
        Ok(place)
    }

    /// [`Books::add`] at a place.
    pub(super) fn put(&mut self, place: Place, transfer: Transfer) -> R<()> {
        let bad = |why: &str| {
            let id = place.id().unwrap_or_default();
            Err(Refusal::new(Code::BooksTransfer, format!("transfer {id} of entry {}: {why}", place.index)))
        };
        if transfer.amount <= 0 {
            return bad("an amount is above zero");
        }
        if transfer.debit.currency != transfer.credit.currency || transfer.debit == transfer.credit {
            return bad("a transfer is between two accounts of one currency");
        }
        if self.transfers.contains(&place) {
            return bad("another one stands there");
        }
        let of = match transfer.phase {
            Phase::Posted | Phase::Pending => None,
            Phase::Post(of) | Phase::Void(of) => Some(of),
        };
        if let Some(of) = of {
            let fits = |first: &Transfer| {
                (&first.debit, &first.credit, first.amount) == (&transfer.debit, &transfer.credit, transfer.amount)
            };
            if !self.transfers.get(&of).is_some_and(|first| first.phase == Phase::Pending && fits(first)) {
                return bad("it posts or voids no such pending transfer");
            }
            if self.resolved.contains(&of) {
                return bad("the pending transfer was posted or voided already");
            }
        }
        let debit = sum(self.account(&transfer.debit), &transfer, Side::Debit)?;
        let credit = sum(self.account(&transfer.credit), &transfer, Side::Credit)?;
        debit.may_stand(&transfer.debit)?;
        credit.may_stand(&transfer.credit)?;
        self.accounts.put(transfer.debit.clone(), debit);
        self.accounts.put(transfer.credit.clone(), credit);
        if let Some(of) = of {
            self.resolved.put(of, place);
        }
        self.transfers.put(place, transfer);
        Ok(())
    }

    /// Per currency: all debits and all credits, pending ones included.
    pub fn sums(&self) -> BTreeMap<String, (i128, i128)> {
        let mut sums: BTreeMap<String, (i128, i128)> = BTreeMap::new();
        for (id, account) in self.accounts() {
            let sum = sums.entry(id.currency.to_string()).or_default();
            sum.0 = sum.0.saturating_add(account.debits_posted).saturating_add(account.debits_pending);
            sum.1 = sum.1.saturating_add(account.credits_posted).saturating_add(account.credits_pending);
        }
        sums
    }
}

enum Side {
    Debit,
    Credit,
}

/// An account after a transfer.
fn sum(account: Account, transfer: &Transfer, side: Side) -> R<Account> {
    let mut account = account;
    let (pending, posted) = match side {
        Side::Debit => (&mut account.debits_pending, &mut account.debits_posted),
        Side::Credit => (&mut account.credits_pending, &mut account.credits_posted),
    };
    let amount = i128::from(transfer.amount);
    let overflow = || Refusal::new(Code::Internal, "an account overflows");
    let (more_pending, more_posted) = match transfer.phase {
        Phase::Posted => (0, amount),
        Phase::Pending => (amount, 0),
        Phase::Post(_) => (-amount, amount),
        Phase::Void(_) => (-amount, 0),
    };
    *pending = pending.checked_add(more_pending).ok_or_else(overflow)?;
    *posted = posted.checked_add(more_posted).ok_or_else(overflow)?;
    Ok(account)
}
