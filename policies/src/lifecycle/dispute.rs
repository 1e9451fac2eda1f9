//! Disputes about money: open → answered → ruled → closed, one step after the other. A ruling takes effect in its own entry.

use schemas::contract::ContractRef;
use schemas::dispute::{Dispute, DisputeAnswer, DisputeClose, DisputeRuling, Ruling};
use schemas::envelope::Envelope;
use schemas::id::{ContractId, Did, DisputeId};
use schemas::{Code, R, Refusal, Timestamp};
use serde::{Deserialize, Serialize};

use super::bookings::Fact;
use super::unmatched::Suspense;
use super::{PaymentRow, PaymentState, State, read};
use crate::money::{AccountKind, TransferCode};
use crate::payment::Act;

/// Where a dispute stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DisputeState {
    /// Opened by a party, or by itself for money in suspense.
    Open,
    /// The other side has spoken.
    Answered,
    /// Two SRO people have ruled.
    Ruled,
    /// Over.
    Closed,
}

/// What a dispute is about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum About {
    /// An obligation, by its instruction id, and its contract.
    Obligation(ContractRef, String),
    /// Money in suspense.
    Suspense(Suspense),
}

/// A dispute.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DisputeRow {
    /// The dispute.
    pub dispute_id: DisputeId,
    /// The state.
    pub state: DisputeState,
    /// What it is about.
    pub about: About,
    /// Who opened it; of money in suspense its provider.
    pub opener: Did,
    /// Entry and time of its opening.
    pub opened: (u64, Timestamp),
    /// What opened it, where a party did.
    pub dispute: Option<Envelope<Dispute>>,
    /// The answer with its entry.
    pub answer: Option<(u64, Envelope<DisputeAnswer>)>,
    /// The ruling with its entry.
    pub ruled: Option<(u64, Envelope<DisputeRuling>)>,
    /// What was ruled.
    pub ruling: Option<Ruling>,
    /// Its end with its entry.
    pub closed: Option<(u64, Envelope<DisputeClose>)>,
}

impl DisputeRow {
    pub(super) fn new(dispute_id: DisputeId, about: About, opener: Did, opened: (u64, Timestamp)) -> DisputeRow {
        DisputeRow {
            dispute_id,
            state: DisputeState::Open,
            about,
            opener,
            opened,
            dispute: None,
            answer: None,
            ruled: None,
            ruling: None,
            closed: None,
        }
    }

    /// From when on it can be ruled without an answer.
    pub fn answer_by(&self) -> Timestamp {
        self.opened.1.plus_seconds(ANSWER_SECONDS)
    }

    /// Money of this dispute that lies in suspense now.
    pub fn in_suspense(&self) -> Option<&Suspense> {
        match &self.about {
            About::Suspense(suspense) if self.state < DisputeState::Ruled => Some(suspense),
            _ => None,
        }
    }

    /// The obligation that it is about, or that its money came for.
    pub fn instruction_id(&self) -> Option<&str> {
        match &self.about {
            About::Obligation(_, id) => Some(id),
            About::Suspense(suspense) => suspense.instruction_id.as_deref(),
        }
    }
}

impl State {
    /// The dispute with this id.
    pub fn dispute(&self, id: &DisputeId) -> Option<&DisputeRow> {
        self.disputes.get(id)
    }

    /// All disputes by id.
    pub fn disputes(&self) -> impl DoubleEndedIterator<Item = &DisputeRow> {
        self.disputes.iter().map(|(_, row)| row)
    }

    /// Whether a contract has a dispute that is not closed.
    pub fn disputed(&self, contract: &ContractId) -> bool {
        self.disputes().filter(|row| row.state != DisputeState::Closed).any(|row| match &row.about {
            About::Obligation(reference, _) => reference.id == *contract,
            About::Suspense(_) => self.paid_for(row).is_some_and(|payment| payment.obligation.contract.id == *contract),
        })
    }

    /// The obligation of a dispute, where there is one.
    pub fn paid_for(&self, row: &DisputeRow) -> Option<&PaymentRow> {
        self.payment(row.instruction_id()?)
    }

    fn require_dispute(&self, id: &DisputeId) -> R<&DisputeRow> {
        let unknown = || Refusal::new(Code::DisputeUnknown, format!("there is no dispute {id}")).at("dispute_id");
        self.disputes.get(id).ok_or_else(unknown)
    }

    /// By a party of the contract, about an obligation of it that no other dispute is about.
    pub(super) fn check_dispute(&self, envelope: &Envelope<Dispute>, now: Timestamp) -> R<()> {
        let dispute = read(envelope)?;
        self.signed_only_by(envelope, dispute.opener.as_str())?;
        crate::registration::money_act(&dispute.registry, self.registry()?, (&dispute.reason, dispute.at), now)?;
        let contract = &self.contract_of(&dispute.contract)?.contract;
        let stranger = |why: &str| Refusal::new(Code::SignerNotParty, why.to_owned());
        if contract.role_of(&dispute.opener).is_none() {
            return Err(stranger("only a party of the contract disputes its payments"));
        }
        let unknown = || Refusal::new(Code::PaymentUnknown, "the contract has no such obligation").at("instruction_id");
        let payment = self.payments.get(&dispute.instruction_id).ok_or_else(unknown)?;
        let owed = &payment.obligation;
        if owed.contract != dispute.contract {
            return Err(unknown());
        }
        // One dispute at a time: nobody else holds the place of those whose money it is.
        let term = contract.payment.iter().find(|term| term.term_id == owed.term_id);
        let paid = term.is_some_and(|term| term.payees.iter().any(|payee| payee.did == dispute.opener));
        if dispute.opener != owed.payer && dispute.opener != owed.payee && !paid {
            return Err(
                stranger("a payment is disputed by those who pay it and those who are paid by its term").at("opener")
            );
        }
        if self.disputes.contains(&dispute.dispute_id) {
            return Err(Refusal::new(Code::DisputeExists, "a dispute with this id exists").at("dispute_id"));
        }
        if self.disputed.contains(&dispute.instruction_id) {
            let sentence = "the obligation is disputed already";
            return Err(Refusal::new(Code::DisputeExists, sentence).at("instruction_id"));
        }
        Ok(())
    }

    pub(super) fn fold_dispute(&mut self, index: u64, envelope: &Envelope<Dispute>) -> R<()> {
        let Dispute { dispute_id, contract, instruction_id, opener, .. } = read(envelope)?;
        self.disputed.put(instruction_id.clone(), dispute_id.clone());
        let about = About::Obligation(contract, instruction_id);
        let mut row = DisputeRow::new(dispute_id.clone(), about, opener, (index, self.last_at));
        row.dispute = Some(envelope.clone());
        self.disputes.put(dispute_id, row);
        Ok(())
    }

    /// Once, by the other side: payer or payee, whichever did not open it; for money in suspense also its provider.
    pub(super) fn check_dispute_answer(&self, envelope: &Envelope<DisputeAnswer>, now: Timestamp) -> R<()> {
        let answer = read(envelope)?;
        self.signed_only_by(envelope, answer.by.as_str())?;
        crate::registration::money_act(&answer.registry, self.registry()?, (&answer.reason, answer.at), now)?;
        let row = self.require_dispute(&answer.dispute_id)?;
        let side = self.paid_for(row).is_some_and(|payment| {
            let obligation = &payment.obligation;
            obligation.payer == answer.by || obligation.payee == answer.by
        });
        let suspense = matches!(row.about, About::Suspense(_));
        let may = if answer.by == row.opener { suspense } else { side };
        if !may {
            return Err(Refusal::new(Code::SignerNotParty, "a dispute is answered by the other side").at("by"));
        }
        stands(row, &[DisputeState::Open], "answered")
    }

    pub(super) fn fold_dispute_answer(&mut self, index: u64, envelope: &Envelope<DisputeAnswer>) -> R<()> {
        let id = read(envelope)?.dispute_id;
        if let Some(row) = self.disputes.get_mut(&id) {
            row.state = DisputeState::Answered;
            row.answer = Some((index, envelope.clone()));
        }
        Ok(())
    }

    /// By two people of the SRO, once answered or once the time to answer is over.
    pub(super) fn check_ruling(&self, envelope: &Envelope<DisputeRuling>, now: Timestamp) -> R<()> {
        self.signed_by_two_people(envelope)?;
        let ruling = read(envelope)?;
        crate::registration::money_act(&ruling.registry, self.registry()?, (&ruling.reason, ruling.at), now)?;
        let row = self.require_dispute(&ruling.dispute_id)?;
        if row.state == DisputeState::Open && now < row.answer_by() {
            let sentence = format!("the other side may answer until {}", row.answer_by());
            return Err(Refusal::new(Code::DisputeState, sentence));
        }
        stands(row, &[DisputeState::Open, DisputeState::Answered], "ruled")?;
        let unfit = |why: &str| Err(Refusal::new(Code::DisputeRuling, why.to_owned()).at("ruling"));
        match (&row.about, &ruling.ruling) {
            (About::Suspense(_), Ruling::Stand {}) => unfit("money does not stay in suspense: refund or release it"),
            (About::Suspense(_), Ruling::Refund {}) | (About::Obligation(..), Ruling::Stand {}) => Ok(()),
            (About::Obligation(..), Ruling::Release { .. }) => unfit("nothing of this dispute lies in suspense"),
            (About::Obligation(_, id), Ruling::Refund {}) => match self.payments.get(id).map(|payment| payment.state) {
                _ if self.books.was_released(id) => unfit("a ruling paid the obligation"),
                Some(PaymentState::Blocked | PaymentState::Due | PaymentState::Instructed | PaymentState::Settled) => {
                    Ok(())
                }
                _ => unfit("the obligation is neither blocked nor owed nor paid"),
            },
            (About::Suspense(suspense), Ruling::Release { instruction_id }) => {
                let unknown = || Refusal::new(Code::PaymentUnknown, "there is no such obligation").at("ruling");
                let payment = self.payments.get(instruction_id).ok_or_else(unknown)?;
                if payment.obligation.currency != suspense.currency {
                    return unfit("the obligation is in another currency");
                }
                match payment.state {
                    PaymentState::Due | PaymentState::Instructed => Ok(()),
                    _ => unfit("the obligation awaits no payment"),
                }
            }
        }
    }

    pub(super) fn fold_ruling(&mut self, index: u64, envelope: &Envelope<DisputeRuling>) -> R<()> {
        let DisputeRuling { dispute_id, ruling, .. } = read(envelope)?;
        let Some(row) = self.disputes.get_mut(&dispute_id) else { return Ok(()) };
        row.state = DisputeState::Ruled;
        row.ruled = Some((index, envelope.clone()));
        row.ruling = Some(ruling.clone());
        match (row.about.clone(), ruling) {
            (About::Obligation(_, id), Ruling::Refund {}) => self.rule_refund(index, &id),
            (About::Obligation(..), _) => Ok(()),
            (About::Suspense(suspense), ruling) => {
                let sides = (suspense.account(AccountKind::Suspense), suspense.account(AccountKind::Cash));
                let amount = suspense.amount.get();
                self.add_transfer(index, sides, amount, TransferCode::Released, dispute_id.as_str())?;
                match ruling {
                    Ruling::Release { instruction_id } => {
                        self.rule_release(index, &instruction_id, amount, suspense.reference)
                    }
                    Ruling::Refund {} | Ruling::Stand {} => Ok(()),
                }
            }
        }
    }

    /// Not owed any more. What no money stands behind is over; a block, and what was paid already, the payment provider is told
    /// to bring back, and its answer alone says that it has.
    fn rule_refund(&mut self, index: u64, id: &str) -> R<()> {
        let Some(row) = self.payments.get(&id.to_owned()).cloned() else { return Ok(()) };
        self.forget_retry(id);
        if row.state != PaymentState::Blocked {
            self.book(index, Fact::Refunded, &row.obligation)?;
        }
        if self.books.is_over(id) {
            self.set(id, PaymentState::Refunded);
            if let Some(row) = self.payments.get_mut(&id.to_owned()) {
                row.touched = index;
            }
            return Ok(());
        }
        self.instruct(index, id, PaymentState::Refunding, Act::Refund, 0)
    }

    /// Paid by money from suspense. What was blocked for it goes back.
    fn rule_release(&mut self, index: u64, id: &str, amount: i64, reference: String) -> R<()> {
        let Some(row) = self.payments.get(&id.to_owned()).cloned() else { return Ok(()) };
        let (obligation, secured) = (row.obligation, self.books.is_secured(id));
        self.forget_retry(id);
        self.book(index, Fact::Released(amount.min(obligation.amount_minor.get())), &obligation)?;
        self.set(id, PaymentState::Settled);
        if let Some(row) = self.payments.get_mut(&id.to_owned()) {
            (row.touched, row.reference) = (index, Some(reference));
            row.blocked_by = None;
        }
        match row.blocked_by.filter(|_| secured) {
            Some(block) => self.undo_beside(index, Fact::HeldBeside, &obligation, &block),
            None => Ok(()),
        }
    }

    /// After the ruling, by who opened it or by two people of the SRO.
    pub(super) fn check_close(&self, envelope: &Envelope<DisputeClose>, now: Timestamp) -> R<()> {
        let close = read(envelope)?;
        crate::registration::money_act(&close.registry, self.registry()?, (&close.reason, close.at), now)?;
        let row = self.require_dispute(&close.dispute_id)?;
        self.signed_by_party_or_two_people(envelope, |holder| holder == row.opener.as_str())?;
        stands(row, &[DisputeState::Ruled], "closed")
    }

    pub(super) fn fold_close(&mut self, index: u64, envelope: &Envelope<DisputeClose>) -> R<()> {
        let id = read(envelope)?.dispute_id;
        if let Some(row) = self.disputes.get_mut(&id) {
            row.state = DisputeState::Closed;
            row.closed = Some((index, envelope.clone()));
            if let About::Obligation(_, id) = &row.about {
                self.disputed.remove(id);
            }
        }
        Ok(())
    }
}

fn stands(row: &DisputeRow, at: &[DisputeState], to: &str) -> R<()> {
    if at.contains(&row.state) {
        return Ok(());
    }
    let sentence = format!("a dispute that is {} cannot be {to} now", word(row.state));
    Err(Refusal::new(Code::DisputeState, sentence))
}

fn word(state: DisputeState) -> &'static str {
    match state {
        DisputeState::Open => "open",
        DisputeState::Answered => "answered",
        DisputeState::Ruled => "ruled",
        DisputeState::Closed => "closed",
    }
}

/// How long the other side has to answer: 14 days.
const ANSWER_SECONDS: i64 = 14 * 86_400;
