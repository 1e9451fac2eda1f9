//! What each fact about an obligation posts to the books. The only place that does; no fact posts out of its order.

use schemas::event::{Line, Obligation};
use schemas::id::Did;
use schemas::party::Kind;
use schemas::{Code, R, Refusal};

use super::State;
use super::payout::PoolPart;
use crate::money::{AccountId, AccountKind, Books, Phase, Place, Position, Transfer, TransferCode};

/// A fact about an obligation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fact {
    /// Its money is blocked, before it is owed.
    Blocked,
    /// What was blocked for it is gone: it is owed without.
    Lapsed,
    /// Blocked money of another obligation is held beside it, until it goes back to the payer.
    HeldBeside,
    /// It is owed; what is blocked for it pays it.
    Owed,
    /// Its payment is on its way.
    Instructed,
    /// It is paid.
    Settled,
    /// The payment failed: it is owed as before.
    Failed,
    /// It was paid and the money came back: it is owed again, or, after a ruling for the payer, nothing is.
    Returned,
    /// It is not owed any more: before it was due, or by a ruling. What was paid already is owed back; what is blocked stays so
    /// until the payment provider has undone it.
    Refunded,
    /// The payment provider has undone the block, or brought back what was owed back.
    GoneBack,
    /// By a ruling this much of the money in suspense pays it; what is missing is no longer owed. A block is held beside it.
    Released(i64),
}

impl State {
    /// The books.
    pub fn books(&self) -> &Books {
        &self.books
    }

    /// Posts a fact of the entry that is being folded. One that does not follow on the ones before it is refused
    /// (`INTERNAL`), as the rules that let it enter should have.
    pub(super) fn book(&mut self, index: u64, fact: Fact, obligation: &Obligation) -> R<()> {
        let id = &obligation.instruction_id;
        let position = self.books.positions.get(id).copied();
        let mut post = Posting { to: self.accounts_of(obligation), index, state: self, obligation };
        let next = match (position, fact) {
            (None, Fact::Blocked) => Position::Blocked(post.add(TransferCode::Blocked, Phase::Pending)?),
            (None, Fact::Owed) => {
                post.add(TransferCode::Owed, Phase::Posted)?;
                Position::Owed(false)
            }
            (Some(Position::Blocked(block)), Fact::Owed) => {
                post.add(TransferCode::Blocked, Phase::Post(block))?;
                post.add(TransferCode::Owed, Phase::Posted)?;
                Position::Owed(true)
            }
            (Some(Position::Blocked(block)), Fact::GoneBack) => {
                post.add(TransferCode::Blocked, Phase::Void(block))?;
                Position::Refunded
            }
            (Some(Position::Owed(true)), Fact::Lapsed) => {
                post.add(TransferCode::Unblocked, Phase::Posted)?;
                Position::Owed(false)
            }
            (None, Fact::HeldBeside) => Position::Held,
            (Some(Position::Held), Fact::GoneBack) => {
                post.add(TransferCode::Unblocked, Phase::Posted)?;
                Position::Refunded
            }
            (Some(Position::Owed(escrow)), Fact::Instructed) => {
                let pays = post.pays(escrow, Phase::Pending)?;
                Position::Instructed(escrow, pays, post.add(TransferCode::Gets, Phase::Pending)?)
            }
            (Some(Position::Instructed(escrow, pays, gets)), Fact::Failed) => {
                post.withdraw(escrow, pays, gets)?;
                Position::Owed(escrow)
            }
            (Some(Position::Instructed(escrow, pays, gets)), Fact::Settled) => {
                post.pays(escrow, Phase::Post(pays))?;
                post.add(TransferCode::Gets, Phase::Post(gets))?;
                self.set_aside(index, obligation, obligation.amount_minor.get())?;
                Position::Settled
            }
            (Some(Position::Owed(escrow)), Fact::Refunded) => post.undo(escrow)?,
            (Some(Position::Instructed(escrow, pays, gets)), Fact::Refunded) => {
                post.withdraw(escrow, pays, gets)?;
                post.undo(escrow)?
            }
            (Some(Position::Instructed(escrow, pays, gets)), Fact::Released(amount)) => {
                post.withdraw(escrow, pays, gets)?;
                post.release(amount)?;
                self.set_aside(index, obligation, amount)?;
                Position::Released
            }
            (Some(Position::Owed(_)), Fact::Released(amount)) => {
                post.release(amount)?;
                self.set_aside(index, obligation, amount)?;
                Position::Released
            }
            (Some(Position::Settled), Fact::Returned) => {
                post.add(TransferCode::GivesBack, Phase::Posted)?;
                post.add(TransferCode::PaysBack, Phase::Posted)?;
                self.set_back(index, obligation)?;
                Position::Owed(false)
            }
            (Some(Position::Settled), Fact::Refunded) => {
                post.add(TransferCode::OwedBack, Phase::Posted)?;
                Position::OwedBack
            }
            (Some(Position::OwedBack), Fact::GoneBack) => {
                post.add(TransferCode::BackPaid, Phase::Posted)?;
                post.add(TransferCode::BackGot, Phase::Posted)?;
                self.set_back(index, obligation)?;
                Position::Refunded
            }
            _ => {
                let sentence = format!("{fact:?} does not follow in the books of {id}, which stand at {position:?}");
                return Err(Refusal::new(Code::Internal, sentence));
            }
        };
        self.books.positions.put(id.clone(), next);
        Ok(())
    }

    /// The accounts that an obligation moves money between.
    pub(super) fn accounts_of(&self, obligation: &Obligation) -> Accounts {
        let role = self.contract(&obligation.contract.sha256).and_then(|row| row.contract.role_of(&obligation.payee));
        let registry = self.genesis().is_some_and(|genesis| genesis.registry == obligation.payee);
        let claim = match (obligation.line, role) {
            (Some(Line::Gst | Line::Tds), _) => AccountKind::TaxWithheld,
            (None, _) if registry => AccountKind::PlatformFee,
            (None, Some(Kind::Ccrp)) => AccountKind::CcrFee,
            (None, _) => AccountKind::Receivable,
        };
        let id = |owner: &Did, kind| AccountId { owner: owner.clone(), currency: obligation.currency, kind };
        let (payer, payee) = (&obligation.payer, &obligation.payee);
        Accounts {
            claim: id(payee, claim),
            payable: id(payer, AccountKind::Payable),
            payer_cash: id(payer, AccountKind::Cash),
            payee_cash: id(payee, AccountKind::Cash),
            escrow: id(payer, AccountKind::Escrow),
            back_claim: id(payer, AccountKind::Receivable),
            back_debt: id(payee, AccountKind::Payable),
        }
    }

    /// The principals' part of what was paid goes to their pool, once for each obligation.
    fn set_aside(&mut self, index: u64, obligation: &Obligation, paid: i64) -> R<()> {
        let Some(part) = self.pool_part(index, obligation, paid) else { return Ok(()) };
        self.pool_transfer(index, &part, TransferCode::SetAside, &obligation.instruction_id)?;
        self.pool_parts.put(obligation.instruction_id.clone(), part);
        Ok(())
    }

    /// Paid money went back: the principals' part is the provider's again, unless a batch has split it, which the provider
    /// then bears.
    fn set_back(&mut self, index: u64, obligation: &Obligation) -> R<()> {
        let id = &obligation.instruction_id;
        let Some(part) = self.pool_parts.get(id).filter(|part| part.batch.is_none()).cloned() else { return Ok(()) };
        self.pool_transfer(index, &part, TransferCode::SetBack, id)?;
        self.pool_parts.remove(id);
        Ok(())
    }

    fn pool_transfer(&mut self, index: u64, part: &PoolPart, code: TransferCode, reference: &str) -> R<()> {
        let [pool, cash] = [AccountKind::PrincipalPool, AccountKind::Cash].map(|kind| part.account(kind));
        let (debit, credit) = if code == TransferCode::SetAside { (pool, cash) } else { (cash, pool) };
        self.add_transfer(index, (debit, credit), part.amount, code, reference)
    }

    /// Posts one transfer of the entry that is being folded.
    pub(super) fn add_transfer(
        &mut self,
        index: u64,
        (debit, credit): (AccountId, AccountId),
        amount: i64,
        code: TransferCode,
        reference: &str,
    ) -> R<()> {
        let (phase, reference, at) = (Phase::Posted, reference.to_owned(), self.last_at);
        self.books.add(index, Transfer { debit, credit, amount, phase, code, reference, at }).map(drop)
    }
}

/// The accounts of an obligation.
pub(super) struct Accounts {
    /// The payee's claim.
    claim: AccountId,
    payable: AccountId,
    payer_cash: AccountId,
    payee_cash: AccountId,
    escrow: AccountId,
    /// What a ruling makes the payee owe: the payer's claim.
    back_claim: AccountId,
    /// And the payee's debt.
    back_debt: AccountId,
}

impl Accounts {
    /// Debit and credit of a transfer of this code; none of one that is about no obligation. `Pays` may come from the escrow.
    pub(super) fn of(&self, code: TransferCode) -> Option<(&AccountId, &AccountId)> {
        Some(match code {
            TransferCode::Blocked => (&self.escrow, &self.payer_cash),
            TransferCode::Owed => (&self.claim, &self.payable),
            TransferCode::Pays => (&self.payable, &self.payer_cash),
            TransferCode::Gets => (&self.payee_cash, &self.claim),
            TransferCode::Undone | TransferCode::WrittenOff => (&self.payable, &self.claim),
            TransferCode::Unblocked => (&self.payer_cash, &self.escrow),
            TransferCode::PaysBack => (&self.payer_cash, &self.payable),
            TransferCode::GivesBack => (&self.claim, &self.payee_cash),
            TransferCode::OwedBack => (&self.back_claim, &self.back_debt),
            TransferCode::BackPaid => (&self.back_debt, &self.payee_cash),
            TransferCode::BackGot => (&self.payer_cash, &self.back_claim),
            _ => return None,
        })
    }

    /// Whether a transfer of this code may be between these.
    pub(super) fn fit(&self, transfer: &Transfer) -> bool {
        let from_escrow = transfer.code == TransferCode::Pays && transfer.credit == self.escrow;
        let sides = self.of(transfer.code);
        sides.is_some_and(|(debit, credit)| *debit == transfer.debit && (*credit == transfer.credit || from_escrow))
    }
}

/// Transfers of one fact about one obligation.
struct Posting<'a> {
    state: &'a mut State,
    index: u64,
    obligation: &'a Obligation,
    to: Accounts,
}

impl Posting<'_> {
    fn add(&mut self, code: TransferCode, phase: Phase) -> R<Place> {
        self.amount(code, phase, false, self.obligation.amount_minor.get())
    }

    /// The payer's leg, from blocked money or its own.
    fn pays(&mut self, escrow: bool, phase: Phase) -> R<Place> {
        self.amount(TransferCode::Pays, phase, escrow, self.obligation.amount_minor.get())
    }

    /// What was on its way is so no more.
    fn withdraw(&mut self, escrow: bool, pays: Place, gets: Place) -> R<()> {
        self.pays(escrow, Phase::Void(pays))?;
        self.add(TransferCode::Gets, Phase::Void(gets)).map(drop)
    }

    /// No longer owed; blocked money stays blocked until the payment provider says otherwise.
    fn undo(&mut self, escrow: bool) -> R<Position> {
        self.add(TransferCode::Undone, Phase::Posted)?;
        Ok(if escrow { Position::Held } else { Position::Refunded })
    }

    /// Other money pays.
    fn release(&mut self, paid: i64) -> R<()> {
        self.amount(TransferCode::Pays, Phase::Posted, false, paid)?;
        self.amount(TransferCode::Gets, Phase::Posted, false, paid)?;
        let missing = self.obligation.amount_minor.get() - paid;
        if missing > 0 {
            self.amount(TransferCode::WrittenOff, Phase::Posted, false, missing)?;
        }
        Ok(())
    }

    fn amount(&mut self, code: TransferCode, phase: Phase, escrow: bool, amount: i64) -> R<Place> {
        let none = || Refusal::new(Code::Internal, "a transfer that is about no obligation");
        let (debit, credit) = self.to.of(code).ok_or_else(none)?;
        let credit = if escrow { &self.to.escrow } else { credit };
        let transfer = Transfer {
            debit: debit.clone(),
            credit: credit.clone(),
            amount,
            phase,
            code,
            reference: self.obligation.instruction_id.clone(),
            at: self.state.last_at,
        };
        self.state.books.add(self.index, transfer)
    }
}
