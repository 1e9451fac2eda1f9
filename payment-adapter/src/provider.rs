//! The one trait behind which payment systems stand, and what they tell.

pub mod card_like;
pub mod pain001;
pub mod recording;
pub mod upi;
pub mod webhook;

use policies::instruction::Standing;
use schemas::money::{Currency, Minor};
use schemas::{Code, R, Refusal, Timestamp};

use crate::instruction::Instruction;

/// What is handed to the payment system in one go. It is kept before it is handed over, so a repetition is the same.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Batch {
    /// 32 lower-case hex digits.
    pub id: String,
    /// When it was put together.
    pub planned_at: Timestamp,
    /// Handed over for the first time, or again because no answer was kept.
    pub again: bool,
    /// At least one.
    pub instructions: Vec<Instruction>,
}

/// Whom the payment system tells about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum About {
    /// One instruction, by the id that it was handed over under.
    Instruction(String),
    /// All instructions of a batch, or those of one payer and currency in it.
    Batch {
        /// The batch.
        id: String,
        /// Place of the payment information in it, from 1.
        part: Option<usize>,
    },
    /// Money that came in and quotes this id: the other end of a block of ours, or nobody's.
    Arrival(String),
    /// No instruction that it could name.
    Nobody,
}

/// Something that the payment system tells.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct News {
    /// About whom.
    pub about: About,
    /// What state it names.
    pub standing: Standing,
    /// Its own reference, where it gives one.
    pub reference: Option<String>,
    /// The amount that moved, where it says so.
    pub money: Option<(Minor, Currency)>,
    /// That `money` is all that came back so far, with what came back before.
    pub in_all: bool,
    /// What tells this movement from others like it where it has no reference: its day, and its number among its likes.
    pub mark: Option<String>,
    /// A reason in its own words, at most 200 characters.
    pub note: Option<String>,
}

impl News {
    /// News of one instruction, without reference, amount or reason.
    pub fn of(id: &str, standing: Standing) -> News {
        News::about(About::Instruction(id.to_owned()), standing)
    }

    /// The same about anybody.
    pub fn about(about: About, standing: Standing) -> News {
        News { about, standing, reference: None, money: None, in_all: false, mark: None, note: None }
    }

    /// The same with a reference.
    pub fn referred(self, reference: impl Into<String>) -> News {
        News { reference: Some(reference.into()), ..self }
    }

    /// The same with an amount.
    pub fn amount(self, amount: Minor, currency: Currency) -> News {
        News { money: Some((amount, currency)), ..self }
    }

    /// The same with a reason, cut to 200 characters.
    pub fn because(self, note: &str) -> News {
        News { note: Some(note.chars().filter(|c| !c.is_control()).take(200).collect()), ..self }
    }
}

/// A call that the payment system made to the adapter.
#[derive(Clone, Debug)]
pub struct Posted {
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Posted {
    /// A header that must be there (`SIGNATURE_INVALID` otherwise: all that are asked for belong to signatures).
    pub fn header(&self, name: &str) -> R<&str> {
        let found = self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str());
        found.ok_or_else(|| Refusal::new(Code::SignatureInvalid, format!("the header {name} is missing")))
    }
}

/// What a call said, after its signature held.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Heard {
    /// The caller's own id of the event: each counts once.
    pub event: String,
    /// What it tells; empty for events that are of no interest.
    pub news: Vec<News>,
}

/// A payment system. Every implementation passes the same list of tests (`tests/adapter/contract.rs`).
///
/// `submit` may be called again with the same batch after a crash or a lost answer, and must pay nothing twice: by the
/// payment system's idempotency, with the instruction's id as key, or by a way of handing over that cannot happen twice.
pub trait PaymentProvider: Send + Sync {
    /// The configuration's word for it.
    fn name(&self) -> &'static str;

    /// Instructions handed over in one go.
    fn batch_size(&self) -> usize {
        1
    }

    /// Seconds for which the first instruction of a batch may wait for others.
    fn gather_seconds(&self) -> u32 {
        0
    }

    /// Whether an instruction could be handed over now; refuses with what is missing, like an account. It waits then.
    fn ready(&self, instruction: &Instruction) -> R<()>;

    /// Hands a batch over. What is not told about counts as submitted. A refusal means that nothing is known: the same
    /// batch is handed over again later.
    fn submit(&self, batch: &Batch) -> R<Vec<News>>;

    /// Whether it can be asked how an instruction stands; others speak by themselves alone.
    fn can_be_asked(&self) -> bool {
        false
    }

    /// Asks how an instruction stands that is submitted or accepted.
    fn ask(&self, _instruction: &Instruction) -> R<Vec<News>> {
        Ok(Vec::new())
    }

    /// Checks and reads a call of the payment system. Refused with `SIGNATURE_INVALID` unless its signature holds and is
    /// fresh; `NOT_FOUND` where the payment system makes no calls.
    fn hear(&self, _call: &Posted, _now: Timestamp) -> R<Heard> {
        Err(Refusal::new(Code::NotFound, format!("{} makes no calls", self.name())))
    }
}
