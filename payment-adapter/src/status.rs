//! How everything stands, for the operator.

use schemas::R;
use serde::Serialize;

use crate::store::{InstructionRow, Store, Unanswered, UnmatchedRow};

/// How everything stands.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Status {
    /// Instructions by state.
    pub states: Vec<(String, i64)>,
    /// Answers that the contract service has not taken yet.
    pub answers_open: i64,
    /// Answers that it refused for good: somebody must look at them.
    pub answers_refused: i64,
    /// Those that were sent and not taken, at most 1,000, the oldest first.
    pub answers: Vec<AnswerStatus>,
    /// The newest instructions, at most 1,000.
    pub instructions: Vec<InstructionStatus>,
    /// Money that belongs to no instruction, at most 1,000.
    pub unmatched: Vec<UnmatchedStatus>,
}

/// An answer that was not taken.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct AnswerStatus {
    /// The instruction with the state that is told, or the reference of money that belongs to none.
    pub subject: String,
    /// How often it was sent and is sent again.
    pub attempts: i32,
    /// The code of the last refusal.
    pub code: Option<String>,
    /// Whether it was refused for good: it is not sent again.
    pub refused: bool,
}

/// An instruction.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct InstructionStatus {
    /// Its id.
    pub instruction_id: String,
    /// `pay`, `block` or `refund`.
    pub act: String,
    /// Who pays.
    pub payer: String,
    /// Who is paid.
    pub payee: String,
    /// Minor units.
    pub amount_minor: i64,
    /// ISO 4217.
    pub currency: String,
    /// The state.
    pub state: String,
    /// The payment system's reference.
    pub reference: Option<String>,
    /// When the state was reached.
    pub since: String,
    /// Why it waits or failed.
    pub note: Option<String>,
}

/// Money that belongs to no instruction.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct UnmatchedStatus {
    /// The reference under which it is told to the contract service.
    pub reference: String,
    /// The instruction that it names, where it names any.
    pub instruction_id: Option<String>,
    /// `paid` or `returned`.
    pub direction: String,
    /// Minor units.
    pub amount_minor: i64,
    /// ISO 4217.
    pub currency: String,
    /// `unknown`, `amount`, `currency`, `state` or `twice`.
    pub why: String,
    /// When it was found.
    pub found_at: String,
}

impl Status {
    pub(crate) fn of(store: &Store) -> R<Status> {
        let counts = store.counts()?;
        Ok(Status {
            states: counts.instructions.iter().map(|(state, n)| (state.as_str().to_owned(), *n)).collect(),
            answers_open: counts.untaken,
            answers_refused: counts.refused,
            answers: store.unanswered(1000)?.into_iter().map(answer).collect(),
            instructions: store.newest(1000)?.into_iter().map(instruction).collect(),
            unmatched: store.unmatched()?.into_iter().map(unmatched).collect(),
        })
    }

    /// The state of an instruction, where it is among the newest.
    pub fn state_of(&self, id: &str) -> Option<&str> {
        self.instructions.iter().find(|i| i.instruction_id == id).map(|i| i.state.as_str())
    }
}

fn answer(row: Unanswered) -> AnswerStatus {
    let refused = row.refused.is_some();
    AnswerStatus { subject: row.subject, attempts: row.attempts, code: row.refused.or(row.told), refused }
}

fn instruction(row: InstructionRow) -> InstructionStatus {
    let i = row.instruction;
    InstructionStatus {
        instruction_id: i.id,
        act: i.act.as_str().to_owned(),
        payer: i.payer.to_string(),
        payee: i.payee.to_string(),
        amount_minor: i.amount_minor.get(),
        currency: i.currency.to_string(),
        state: i.standing.as_str().to_owned(),
        reference: i.reference,
        since: row.changed_at.to_string(),
        note: row.note,
    }
}

fn unmatched(row: UnmatchedRow) -> UnmatchedStatus {
    UnmatchedStatus {
        reference: row.reference,
        instruction_id: row.instruction,
        direction: row.direction,
        amount_minor: row.amount_minor.get(),
        currency: row.currency.to_string(),
        why: row.why,
        found_at: row.found_at.to_string(),
    }
}
