//! Obligations and the payment provider's answers: instructed when they arise, then settled, or due again as the provider
//! says. What makes them arise is in `owing`, deposits are in `deposit`, what the clock brings is in `pay_clock`.

use schemas::envelope::Envelope;
use schemas::event::{Obligation, PaymentCallback, PaymentResult};
use schemas::id::{Did, RunId};
use schemas::party::Kind;
use schemas::{Code, Digest, R, Refusal, Timestamp};
use serde::{Deserialize, Serialize};

use super::bookings::Fact;
use super::signers::sole_signer;
use super::{State, read};
use crate::instruction::{Standing, follows};
use crate::payment::{Act, instruction, surplus_id};

/// Where an obligation stands (`contract-service.md` 5.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PaymentState {
    /// A deposit that the payment provider was told to block.
    Asked,
    /// The payer's money is blocked for it; nothing is owed yet.
    Blocked,
    /// Owed; the last attempt to pay failed. It is instructed again after a while.
    Due,
    /// The payment provider was told, in the same transaction that brought it.
    Instructed,
    /// Paid.
    Settled,
    /// The payment provider was told to undo the block.
    Refunding,
    /// Not owed any more: the block is undone, or a ruling said so.
    Refunded,
    /// A deposit that was never blocked and is not wanted any more.
    Void,
}

/// An obligation and what became of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PaymentRow {
    /// What is owed.
    pub obligation: Obligation,
    /// Index of the entry that brought it.
    pub index: u64,
    /// The state.
    pub state: PaymentState,
    /// SHA-256 of the last answer's signed bytes, with the index of its entry.
    pub answer: Option<(u64, Digest)>,
    /// SHA-256 of every answer's signed bytes.
    pub answers: Vec<Digest>,
    /// The payment system's reference in that answer.
    pub reference: Option<String>,
    /// The run that a deposit serves, once one has checked in.
    pub run: Option<RunId>,
    /// What the provider was told last.
    pub act: Act,
    /// Where that stands at the payment system, as the provider said.
    pub standing: Standing,
    /// How often that was told before, and failed.
    pub attempt: u32,
    /// The day by which it is to be paid; at once where none is.
    pub due_at: Option<Timestamp>,
    /// When it is told again.
    pub again_at: Option<Timestamp>,
    /// Index of the last entry that changed it.
    pub touched: u64,
    /// The instruction whose block stands for a deposit.
    pub blocked_by: Option<String>,
    /// Every instruction that blocked money for it.
    pub(super) blocks: Vec<String>,
    /// The instruction whose payment stands: the one that may come back.
    pub(super) settled_by: Option<String>,
    /// Every payment that was told of it and taken, those that came back since among them: told again, they are old news.
    pub(super) paid: Vec<Paid>,
    /// The obligation whose block this is, which nothing wants any more and which only goes back.
    pub(super) surplus_of: Option<String>,
}

/// A payment as it was told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Paid {
    /// By which instruction.
    pub(super) instruction_id: String,
    /// Whose word it is.
    pub(super) provider: Did,
    /// Its reference.
    pub(super) reference: String,
}

impl Paid {
    fn of(callback: &PaymentCallback, provider: &Did) -> Paid {
        Paid {
            instruction_id: callback.instruction_id.clone(),
            provider: provider.clone(),
            reference: callback.reference.clone(),
        }
    }
}

impl PaymentRow {
    /// The id of the instruction that was given last.
    pub fn instruction_id(&self) -> R<String> {
        self.instruction(self.act, self.attempt)
    }

    /// The id of an instruction about it.
    pub(super) fn instruction(&self, act: Act, attempt: u32) -> R<String> {
        instruction(&self.obligation.instruction_id, self.is_deposit(), act, attempt)
    }

    /// Whether it began as a deposit.
    pub fn is_deposit(&self) -> bool {
        self.obligation.job_sha256.is_some()
    }

    /// Whether nothing more will come of it.
    pub fn closed(&self) -> bool {
        matches!(self.state, PaymentState::Settled | PaymentState::Refunded | PaymentState::Void)
    }

    /// Whether the provider has an instruction that it has not answered.
    pub fn open(&self) -> bool {
        let told = matches!(self.state, PaymentState::Asked | PaymentState::Instructed | PaymentState::Refunding);
        told && self.again_at.is_none()
    }
}

impl State {
    /// The obligation with this id, or the one that an instruction with this id is about.
    pub fn payment(&self, instruction_id: &str) -> Option<&PaymentRow> {
        let id = instruction_id.to_owned();
        self.payments.get(&id).or_else(|| self.payments.get(self.instructions.get(&id)?))
    }

    /// All obligations by id.
    pub fn payments(&self) -> impl DoubleEndedIterator<Item = &PaymentRow> {
        self.payments.iter().map(|(_, row)| row)
    }

    /// The obligations of a run, in the order in which they arose; its deposits with them.
    pub fn payments_of<'a>(&'a self, run: &RunId) -> impl Iterator<Item = &'a PaymentRow> {
        let owed = self.runs.get(run).map(|run| run.owed.as_slice()).unwrap_or_default();
        owed.iter().filter_map(|id| self.payments.get(id))
    }

    /// Obligations that this entry brought or changed, with what they were before.
    pub fn payments_touched<'a>(
        &'a self,
        before: &'a State,
        index: u64,
    ) -> impl Iterator<Item = (Option<&'a PaymentRow>, &'a PaymentRow)> {
        let changed = self.payments.changed_since(&before.payments).filter_map(|(id, row)| Some((id, row?)));
        changed.filter(move |(_, row)| row.touched == index).map(|(id, row)| (before.payments.get(id), row))
    }

    /// Obligations arise and are instructed.
    pub(super) fn owe(&mut self, index: u64, obligations: &[Obligation], due_at: Option<Timestamp>) -> R<()> {
        for obligation in obligations {
            self.book(index, Fact::Owed, obligation)?;
            self.book(index, Fact::Instructed, obligation)?;
            self.enter_payment(index, obligation, (PaymentState::Instructed, Act::Pay), due_at)?;
        }
        Ok(())
    }

    pub(super) fn enter_payment(
        &mut self,
        index: u64,
        obligation: &Obligation,
        (state, act): (PaymentState, Act),
        due_at: Option<Timestamp>,
    ) -> R<()> {
        if self.payment(&obligation.instruction_id).is_some() {
            return Err(Refusal::new(Code::PaymentState, "an obligation with this instruction id exists"));
        }
        let row = PaymentRow {
            obligation: obligation.clone(),
            index,
            state,
            answer: None,
            answers: Vec::new(),
            reference: None,
            run: None,
            act,
            standing: Standing::Created,
            attempt: 0,
            due_at,
            again_at: None,
            touched: index,
            blocked_by: None,
            blocks: Vec::new(),
            settled_by: None,
            paid: Vec::new(),
            surplus_of: None,
        };
        self.payments.put(obligation.instruction_id.clone(), row);
        Ok(())
    }

    /// Tells the payment provider something about an obligation that it was not told before.
    pub(super) fn instruct(&mut self, index: u64, id: &str, state: PaymentState, act: Act, attempt: u32) -> R<()> {
        let Some(row) = self.payments.get_mut(&id.to_owned()) else { return Ok(()) };
        (row.state, row.act, row.attempt, row.again_at, row.touched) = (state, act, attempt, None, index);
        row.standing = Standing::Created;
        let told = row.instruction_id()?;
        if told != id {
            self.instructions.put(told, id.to_owned());
        }
        Ok(())
    }

    /// A block that nothing wants any more (any longer, or a second one) goes back: an obligation of its own, of which nothing
    /// but that comes.
    pub(super) fn undo_beside(&mut self, index: u64, fact: Fact, of: &Obligation, block: &str) -> R<()> {
        let obligation = Obligation { instruction_id: surplus_id(block)?, ..of.clone() };
        let id = &obligation.instruction_id;
        self.enter_payment(index, &obligation, (PaymentState::Blocked, Act::Block), None)?;
        self.book(index, fact, &obligation)?;
        if let Some(row) = self.payments.get_mut(id) {
            row.blocked_by = Some(block.to_owned());
            row.surplus_of = Some(of.instruction_id.clone());
        }
        self.instruct(index, id, PaymentState::Refunding, Act::Refund, 0)
    }

    /// A verified payment provider answers an instruction, in full and with a result that may come now.
    pub(super) fn check_callback(&self, envelope: &Envelope<PaymentCallback>) -> R<()> {
        let callback = read(envelope)?;
        let provider = Did::parse(sole_signer(envelope)?)?;
        self.require_verified(&provider, Kind::Psp)?;
        self.keys_active(envelope)?;
        crate::registration::psp_reference(&callback.reference)?;
        if self.is_unmatched(&callback, &provider)? {
            return self.check_unmatched_answer(envelope);
        }
        let unknown = || Refusal::new(Code::PaymentUnknown, "no obligation has this instruction id");
        let row = self.payment(&callback.instruction_id).ok_or_else(unknown)?;
        if callback.amount_minor != row.obligation.amount_minor || callback.currency != row.obligation.currency {
            return Err(
                Refusal::new(Code::PaymentState, "amount or currency is not what was instructed").at("amount_minor")
            );
        }
        if row.answers.contains(&envelope.digest()) {
            return Err(Refusal::new(Code::PaymentState, "this answer stands in the log already"));
        }
        self.next(row, &callback).map(drop)
    }

    /// Whether a payment was told and taken before: word for word, though signed anew.
    pub(super) fn was_paid(row: &PaymentRow, callback: &PaymentCallback, provider: &Did) -> bool {
        row.paid.contains(&Paid::of(callback, provider))
    }

    /// What an answer brings, or why it may not come now. An answer is about one instruction: that money moved counts of any
    /// that was given, once of each; that it failed, of the newest alone; that a payment came back or a block is gone, of the
    /// very instruction that made it; how far it is on its way, of the newest, forwards alone.
    pub(super) fn next(&self, row: &PaymentRow, callback: &PaymentCallback) -> R<Answered> {
        use PaymentResult as Said;
        use PaymentState::{Asked, Blocked, Due, Instructed, Refunding, Settled, Void};
        let refuse = |why: &str| Err(Refusal::new(Code::PaymentState, why.to_owned()));
        let id = &callback.instruction_id;
        let Some((act, attempt)) = self.named(row, id)? else { return refuse("no such instruction was given") };
        let newest = act == row.act && attempt == row.attempt && row.again_at.is_none();
        let block = row.blocked_by.as_ref() == Some(id);
        let stands = row.settled_by.as_ref() == Some(id);
        let was_paid = row.paid.iter().any(|paid| paid.instruction_id == *id);
        let own = &row.obligation.instruction_id;
        let owed_back = self.books.is_owed_back(own);
        Ok(match (act, row.state, callback.result) {
            (Act::Block, Asked | Void, Said::Blocked) if row.blocks.is_empty() => Answered::Blocked,
            (Act::Block, _, Said::Blocked) if !row.blocks.contains(id) => Answered::BlockedAgain,
            (Act::Block, Asked, Said::Failed) if newest => Answered::Failed,
            (Act::Block, Blocked, Said::Failed) if block => Answered::Refunded,
            (Act::Block, Refunding, Said::Failed) if block && !owed_back => Answered::Refunded,
            (Act::Block, Due | Instructed, Said::Failed) if block && self.books.is_secured(own) => Answered::Lapsed,
            (Act::Pay, Instructed | Due, Said::Settled) if !was_paid => Answered::Settled,
            (Act::Pay, Instructed, Said::Failed) if newest => Answered::Failed,
            (Act::Pay, Settled, Said::Returned) if stands => Answered::Returned,
            (Act::Pay, Refunding, Said::Returned) if stands && owed_back => Answered::Refunded,
            (Act::Refund, Refunding, Said::Refunded) => Answered::Refunded,
            // What was paid is brought back by a payment the other way.
            (Act::Refund, Refunding, Said::Settled) if owed_back => Answered::Refunded,
            (Act::Refund, Refunding, Said::Failed) if newest => Answered::Failed,
            (_, Asked | Instructed | Refunding, Said::Submitted | Said::Accepted) if newest => {
                if !follows(row.standing, true, Standing::said(callback.result))? {
                    return refuse("the log knows already that the instruction stands there");
                }
                Answered::UnderWay
            }
            (_, Settled, Said::Returned) => return refuse("another payment than this settled the obligation"),
            (_, Settled, _) => return refuse("the obligation is settled already"),
            (_, Due, Said::Failed) => return refuse("the obligation is due again already"),
            _ => return refuse("this answer does not fit the state of the obligation"),
        })
    }

    /// Which instruction about an obligation has this id.
    fn named(&self, row: &PaymentRow, id: &str) -> R<Option<(Act, u32)>> {
        for act in [Act::Pay, Act::Block, Act::Refund] {
            let last = if act == row.act { row.attempt } else { MOST_ATTEMPTS };
            for attempt in (0..=last).rev() {
                if row.instruction(act, attempt)? == id {
                    let given = act == row.act || attempt == 0 && id == row.obligation.instruction_id;
                    return Ok((given || self.instructions.contains(&id.to_owned())).then_some((act, attempt)));
                }
            }
        }
        Ok(None)
    }

    pub(super) fn fold_callback(&mut self, index: u64, at: Timestamp, envelope: &Envelope<PaymentCallback>) -> R<()> {
        let callback = read(envelope)?;
        let provider = Did::parse(sole_signer(envelope)?)?;
        if self.is_unmatched(&callback, &provider)? {
            return self.fold_unmatched_answer(index, envelope);
        }
        let Some(row) = self.payment(&callback.instruction_id).cloned() else { return Ok(()) };
        let (id, answered) = (row.obligation.instruction_id.clone(), self.next(&row, &callback)?);
        // What is told of a block beside or behind a payment, or of its way, leaves the payment as it stands.
        let aside = matches!(answered, Answered::BlockedAgain | Answered::Lapsed | Answered::UnderWay);
        if !aside {
            self.forget_retry(&id);
        }
        if let Some(row) = self.payments.get_mut(&id) {
            row.answers.push(envelope.digest());
            row.touched = index;
            if !aside {
                row.answer = Some((index, envelope.digest()));
                row.reference = Some(callback.reference.clone());
            }
            row.take(answered, &callback, &provider);
        }
        match answered {
            Answered::Blocked => {
                self.book(index, Fact::Blocked, &row.obligation)?;
                self.set(&id, PaymentState::Blocked);
                if row.state == PaymentState::Void {
                    self.instruct(index, &id, PaymentState::Refunding, Act::Refund, 0)?;
                }
            }
            Answered::BlockedAgain => {
                self.undo_beside(index, Fact::Blocked, &row.obligation, &callback.instruction_id)?;
            }
            Answered::Lapsed => {
                // A payment out of the block is under way: it goes on, and is not out of the block any more.
                let under_way = row.state == PaymentState::Instructed;
                if under_way {
                    self.book(index, Fact::Failed, &row.obligation)?;
                }
                self.book(index, Fact::Lapsed, &row.obligation)?;
                if under_way {
                    self.book(index, Fact::Instructed, &row.obligation)?;
                }
            }
            Answered::Settled => {
                if row.state == PaymentState::Due {
                    self.book(index, Fact::Instructed, &row.obligation)?;
                }
                self.book(index, Fact::Settled, &row.obligation)?;
                self.set(&id, PaymentState::Settled);
            }
            Answered::Refunded => {
                self.book(index, Fact::GoneBack, &row.obligation)?;
                self.set(&id, PaymentState::Refunded);
            }
            Answered::Returned => {
                self.book(index, Fact::Returned, &row.obligation)?;
                self.set(&id, PaymentState::Due);
                self.try_again(&id, at);
            }
            Answered::Failed => {
                if row.state == PaymentState::Instructed {
                    self.book(index, Fact::Failed, &row.obligation)?;
                    self.set(&id, PaymentState::Due);
                }
                self.try_again(&id, at);
            }
            Answered::UnderWay => {}
        }
        Ok(())
    }

    /// A state in which the provider owes no answer.
    pub(super) fn set(&mut self, id: &str, state: PaymentState) {
        if let Some(row) = self.payments.get_mut(&id.to_owned()) {
            (row.state, row.again_at) = (state, None);
        }
    }
}

/// How often one instruction is given.
pub(super) const MOST_ATTEMPTS: u32 = 9;

/// What an answer brings.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Answered {
    Blocked,
    /// A second block, which goes back.
    BlockedAgain,
    /// What was blocked for something owed is gone: it is owed without.
    Lapsed,
    Settled,
    Failed,
    /// The money is the payer's again, or its block is gone before its time.
    Refunded,
    Returned,
    /// Nothing has ended and nothing moved: it is further on its way.
    UnderWay,
}

impl PaymentRow {
    /// Notes who moved money by which instruction.
    fn take(&mut self, answered: Answered, callback: &PaymentCallback, provider: &Did) {
        let id = &callback.instruction_id;
        if matches!(answered, Answered::Blocked | Answered::BlockedAgain) {
            self.blocks.push(id.clone());
        }
        match answered {
            Answered::Blocked => self.blocked_by = Some(id.clone()),
            Answered::Settled | Answered::Refunded | Answered::Lapsed => self.blocked_by = None,
            Answered::BlockedAgain | Answered::Failed | Answered::Returned | Answered::UnderWay => {}
        }
        self.standing = match answered {
            Answered::BlockedAgain | Answered::Lapsed => self.standing,
            // What was blocked is gone.
            Answered::Refunded if callback.result == PaymentResult::Failed => Standing::Returned,
            _ => Standing::said(callback.result),
        };
        match answered {
            Answered::Settled => self.settled_by = Some(id.clone()),
            Answered::Returned => self.settled_by = None,
            _ => {}
        }
        if callback.result == PaymentResult::Settled {
            self.paid.push(Paid::of(callback, provider));
        }
    }
}
