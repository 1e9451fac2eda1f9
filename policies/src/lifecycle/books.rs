//! Double entry: every amount is debited to one account and credited to another, per party and currency.
//!
//! An obligation debits the payee's receivable and credits the payer's payable. Its settlement debits the payable and
//! credits the payer's cash, then debits the payee's cash and credits the receivable. So receivables and payables hold
//! what is open, cash what was paid; an instruction that failed posts nothing.

use std::collections::BTreeMap;

use schemas::event::Obligation;
use schemas::id::Did;
use schemas::money::Currency;
use schemas::{Code, R, Refusal};
use serde::{Deserialize, Serialize};

use super::table::Table;

/// What an account holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccountKind {
    /// Owed to the owner.
    Receivable,
    /// Owed by the owner.
    Payable,
    /// Paid to (debit) and by (credit) the owner.
    Cash,
}

/// Names an account.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AccountId {
    /// Whose.
    pub owner: Did,
    /// In which currency.
    pub currency: Currency,
    /// Of what.
    pub kind: AccountKind,
}

/// Sums of an account in minor units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// All debits.
    pub debits: u128,
    /// All credits.
    pub credits: u128,
}

/// One amount from one account to another of the same currency.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// The account debited.
    pub debit: AccountId,
    /// The account credited.
    pub credit: AccountId,
    /// Minor units.
    pub amount: u128,
}

impl Transfer {
    fn new(obligation: &Obligation, debit: (&Did, AccountKind), credit: (&Did, AccountKind)) -> Transfer {
        let id = |(owner, kind): (&Did, AccountKind)| AccountId {
            owner: owner.clone(),
            currency: obligation.currency,
            kind,
        };
        Transfer {
            debit: id(debit),
            credit: id(credit),
            amount: u128::from(obligation.amount_minor.get().unsigned_abs()),
        }
    }

    /// An obligation comes into being.
    pub fn owed(o: &Obligation) -> Transfer {
        Transfer::new(o, (&o.payee, AccountKind::Receivable), (&o.payer, AccountKind::Payable))
    }

    /// An obligation is settled.
    pub fn paid(o: &Obligation) -> [Transfer; 2] {
        [
            Transfer::new(o, (&o.payer, AccountKind::Payable), (&o.payer, AccountKind::Cash)),
            Transfer::new(o, (&o.payee, AccountKind::Cash), (&o.payee, AccountKind::Receivable)),
        ]
    }
}

/// All accounts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Books {
    pub(super) accounts: Table<AccountId, Account>,
}

impl Books {
    /// An account; empty when nothing was ever posted to it.
    pub fn account(&self, id: &AccountId) -> Account {
        self.accounts.get(id).copied().unwrap_or_default()
    }

    /// All accounts.
    pub fn accounts(&self) -> impl Iterator<Item = (&AccountId, &Account)> {
        self.accounts.iter()
    }

    /// Posts a transfer; refuses one that would overflow, leaving the books as they were.
    pub fn post(&mut self, transfer: &Transfer) -> R<()> {
        let overflow = || Refusal::new(Code::Internal, "an account overflows");
        let debits = self.account(&transfer.debit).debits.checked_add(transfer.amount).ok_or_else(overflow)?;
        let credits = self.account(&transfer.credit).credits.checked_add(transfer.amount).ok_or_else(overflow)?;
        self.accounts.put(transfer.debit.clone(), Account { debits, ..self.account(&transfer.debit) });
        self.accounts.put(transfer.credit.clone(), Account { credits, ..self.account(&transfer.credit) });
        Ok(())
    }

    /// Debits equal credits in every currency, and every balance is the sum of these transfers.
    pub fn check(&self, transfers: impl Iterator<Item = Transfer>) -> R<()> {
        let bad = |why: String| Refusal::new(Code::LogTampered, why);
        let mut sums: BTreeMap<&str, (u128, u128)> = BTreeMap::new();
        for (id, account) in self.accounts() {
            let sum = sums.entry(id.currency.as_str()).or_default();
            *sum = (sum.0 + account.debits, sum.1 + account.credits);
        }
        if let Some((currency, _)) = sums.iter().find(|(_, (debits, credits))| debits != credits) {
            return Err(bad(format!("debits and credits in {currency} differ")));
        }
        let mut again = Books::default();
        for transfer in transfers {
            again.post(&transfer)?;
        }
        if again != *self {
            return Err(bad("an account's balance is not the sum of its transfers".into()));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use schemas::contract::ContractRef;
    use schemas::money::Minor;

    fn obligation(amount: i64) -> Obligation {
        let uuid = "01900000-0000-7000-8000-000000000001";
        Obligation {
            instruction_id: "A".repeat(32),
            contract: ContractRef { id: format!("ctr_{uuid}").parse().unwrap(), sha256: schemas::Digest([1; 32]) },
            run_id: format!("run_{uuid}").parse().unwrap(),
            term_id: "p1".into(),
            payer: Did::parse("did:web:tdc.example").unwrap(),
            payee: Did::parse("did:web:tdp.example").unwrap(),
            currency: Currency::parse("INR").unwrap(),
            amount_minor: Minor::new(amount).unwrap(),
        }
    }

    #[test]
    fn what_is_open_stands_in_receivable_and_payable_and_what_was_paid_in_cash() {
        let o = obligation(500);
        let mut books = Books::default();
        books.post(&Transfer::owed(&o)).unwrap();
        let id = |owner: &Did, kind| AccountId { owner: owner.clone(), currency: o.currency, kind };
        assert_eq!(books.account(&id(&o.payee, AccountKind::Receivable)), Account { debits: 500, credits: 0 });
        for t in Transfer::paid(&o) {
            books.post(&t).unwrap();
        }
        assert_eq!(books.account(&id(&o.payee, AccountKind::Receivable)), Account { debits: 500, credits: 500 });
        assert_eq!(books.account(&id(&o.payer, AccountKind::Payable)), Account { debits: 500, credits: 500 });
        assert_eq!(books.account(&id(&o.payer, AccountKind::Cash)), Account { debits: 0, credits: 500 });
        assert_eq!(books.account(&id(&o.payee, AccountKind::Cash)), Account { debits: 500, credits: 0 });
        let all = || std::iter::once(Transfer::owed(&o)).chain(Transfer::paid(&o));
        assert!(books.check(all()).is_ok());
        assert_eq!(books.check(all().take(2)).unwrap_err().code, Code::LogTampered);
    }

    #[test]
    fn a_lopsided_book_is_found() {
        let mut books = Books::default();
        books.post(&Transfer::owed(&obligation(5))).unwrap();
        let first = books.accounts().next().unwrap().0.clone();
        books.accounts.get_mut(&first).unwrap().debits += 1;
        assert_eq!(books.check(std::iter::once(Transfer::owed(&obligation(5)))).unwrap_err().code, Code::LogTampered);
    }
}
