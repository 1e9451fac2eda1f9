//! What the books say of the log, checked against everything else that follows from it.

use std::collections::BTreeMap;

use schemas::dispute::Ruling;
use schemas::id::ContractId;
use schemas::{Code, R, Refusal};

use super::dispute::About;
use super::{PaymentRow, PaymentState, State};
use crate::money::{self, AccountId, AccountKind, Position, Transfer, TransferCode};

impl State {
    /// Everything that must be true of money at any time; the first that is not is named:
    ///
    /// 1. the books by themselves ([`money::check`]);
    /// 2. each transfer is about an obligation, a dispute or a batch, of its parties and amount (`BOOKS_TRANSFER`);
    /// 3. each obligation stands in the books as its state says, and all of them are what falls due, reckoned once more
    ///    ([`State::due_again`], `BOOKS_OBLIGATION`);
    /// 4. what lies in suspense is what disputes without a ruling are about (`BOOKS_SUSPENSE`);
    /// 5. each principals' pool holds its parts, less what batches paid (`BOOKS_BALANCE`).
    ///
    /// Work is in proportion to all that there is: for audits and tests.
    pub fn check_books(&self) -> R<()> {
        money::check(&self.books)?;
        let released = self.released();
        for (place, transfer) in self.books.transfers() {
            if !self.is_explained(transfer, &released)? {
                let sentence = format!(
                    "transfer {} of entry {} ({} of {}) does not follow from the log",
                    place.id()?,
                    place.index,
                    transfer.code.as_str(),
                    transfer.reference
                );
                return Err(Refusal::new(Code::BooksTransfer, sentence));
            }
        }
        self.payments().try_for_each(|row| self.obligation_stands(row))?;
        self.owes_what_is_due()?;
        self.suspense_explained()?;
        self.pools_hold()
    }

    /// Whether what a transfer is about exists and has these accounts and this amount.
    fn is_explained(&self, transfer: &Transfer, released: &BTreeMap<&str, i128>) -> R<bool> {
        let id = &transfer.reference;
        let amount = i128::from(transfer.amount);
        Ok(match transfer.code {
            TransferCode::Suspended | TransferCode::Released => {
                let row = schemas::id::DisputeId::parse(id).ok().and_then(|id| self.dispute(&id));
                let Some(About::Suspense(suspense)) = row.map(|row| &row.about) else { return Ok(false) };
                let [cash, held] = [AccountKind::Cash, AccountKind::Suspense].map(|kind| suspense.account(kind));
                let sides = if transfer.code == TransferCode::Suspended { (cash, held) } else { (held, cash) };
                sides == (transfer.debit.clone(), transfer.credit.clone())
                    && amount == i128::from(suspense.amount.get())
            }
            TransferCode::PaidOut => {
                let key = &(transfer.debit.owner.clone(), transfer.debit.currency);
                self.payouts.iter().any(|(_, row)| {
                    let batch = &row.batch;
                    row.envelope.digest().to_string() == *id
                        && (&batch.provider, batch.currency) == (&key.0, key.1)
                        && amount == i128::from(batch.paid_minor.get())
                })
            }
            // A part that was set back is there no more; its transfers still are between the provider's own accounts.
            TransferCode::SetAside | TransferCode::SetBack => {
                let payment = self.payments.get(id);
                let part = self.pool_parts.get(id);
                payment.is_some_and(|row| {
                    row.obligation.payee == transfer.debit.owner
                        && row.obligation.payee == transfer.credit.owner
                        && part.is_none_or(|part| i128::from(part.amount) == amount)
                        && transfer.amount <= row.obligation.amount_minor.get()
                })
            }
            code => {
                let Some(row) = self.payments.get(id) else { return Ok(false) };
                let ruled = released.get(id.as_str()).copied();
                let owed = i128::from(row.obligation.amount_minor.get());
                let right = match code {
                    TransferCode::WrittenOff => ruled.is_some_and(|paid| amount == owed - paid),
                    TransferCode::Pays | TransferCode::Gets => amount == owed || ruled == Some(amount),
                    _ => amount == owed,
                };
                right && self.accounts_of(&row.obligation).fit(transfer)
            }
        })
    }

    /// What rulings took from suspense to pay obligations, by instruction id.
    fn released(&self) -> BTreeMap<&str, i128> {
        let released = self.disputes().filter_map(|row| {
            let Some(Ruling::Release { instruction_id }) = &row.ruling else { return None };
            let About::Suspense(suspense) = &row.about else { return None };
            let owed = self.payments.get(instruction_id)?.obligation.amount_minor;
            Some((instruction_id.as_str(), i128::from(suspense.amount.min(owed).get())))
        });
        released.collect()
    }

    fn obligation_stands(&self, row: &PaymentRow) -> R<()> {
        let id = &row.obligation.instruction_id;
        let position = self.books.positions.get(id);
        let fits = matches!(
            (row.state, position),
            (PaymentState::Asked | PaymentState::Void, None)
                | (PaymentState::Blocked | PaymentState::Refunding, Some(Position::Blocked(_)))
                | (PaymentState::Refunding, Some(Position::Held | Position::OwedBack))
                | (PaymentState::Due, Some(Position::Owed(_)))
                | (PaymentState::Instructed, Some(Position::Instructed(..)))
                | (PaymentState::Settled, Some(Position::Settled | Position::Released))
                | (PaymentState::Refunded, Some(Position::Refunded))
        );
        if fits {
            return Ok(());
        }
        let sentence = format!("obligation {id} is {:?} and stands in the books at {position:?}", row.state);
        Err(Refusal::new(Code::BooksObligation, sentence))
    }

    fn suspense_explained(&self) -> R<()> {
        let mut explained: BTreeMap<AccountId, i128> = BTreeMap::new();
        for suspense in self.disputes().filter_map(|row| row.in_suspense()) {
            *explained.entry(suspense.account(AccountKind::Suspense)).or_default() += i128::from(suspense.amount.get());
        }
        let held = self.books.accounts().filter(|(id, _)| id.kind == AccountKind::Suspense);
        let held: BTreeMap<AccountId, i128> =
            held.map(|(id, account)| (id.clone(), -account.balance())).filter(|(_, sum)| *sum != 0).collect();
        let differs = |(id, sum): &(&AccountId, &i128)| explained.get(id) != Some(sum);
        let wrong = held.iter().find(differs).or_else(|| explained.iter().find(|(id, sum)| held.get(id) != Some(sum)));
        match wrong {
            None => Ok(()),
            Some((id, _)) => {
                Err(Refusal::new(Code::BooksSuspense, format!("{id} is not what disputes without a ruling are about")))
            }
        }
    }

    fn pools_hold(&self) -> R<()> {
        let mut held: BTreeMap<AccountId, i128> = BTreeMap::new();
        for (_, part) in self.pool_parts.iter() {
            *held.entry(part.account(AccountKind::PrincipalPool)).or_default() += i128::from(part.amount);
        }
        for (_, row) in self.payouts.iter() {
            let (owner, currency) = (row.batch.provider.clone(), row.batch.currency);
            let account = AccountId { owner, currency, kind: AccountKind::PrincipalPool };
            *held.entry(account).or_default() -= i128::from(row.batch.paid_minor.get());
        }
        let pools = self.books.accounts().filter(|(id, _)| id.kind == AccountKind::PrincipalPool);
        for (id, account) in pools {
            if account.balance() != held.remove(id).unwrap_or_default() {
                let sentence = format!("{id} is not its parts less what batches paid");
                return Err(Refusal::new(Code::BooksBalance, sentence));
            }
        }
        match held.into_iter().find(|(_, sum)| *sum != 0) {
            None => Ok(()),
            Some((id, _)) => Err(Refusal::new(Code::BooksBalance, format!("{id} is missing"))),
        }
    }
}

impl State {
    /// The contract that a transfer is about; none of money in suspense and of payouts.
    pub fn transfer_contract(&self, transfer: &Transfer) -> Option<ContractId> {
        match transfer.code {
            TransferCode::Suspended | TransferCode::Released | TransferCode::PaidOut => None,
            _ => self.payments.get(&transfer.reference).map(|row| row.obligation.contract.id.clone()),
        }
    }
}
