//! Ids of obligations and of the instructions about them: derived, so that nothing is paid twice.

use schemas::canonical;
use schemas::contract::ContractRef;
use schemas::digest::Digest;
use schemas::event::Line;
use schemas::id::Did;
use schemas::problem::R;
use serde::{Deserialize, Serialize};

use super::{Nth, Occasion, Part};

/// What an instruction asks of the payment provider.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    /// To pay; from the blocked money where there is some.
    #[default]
    Pay,
    /// To block the payer's money.
    Block,
    /// To undo the block.
    Refund,
}

impl Act {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Act::Pay => "pay",
            Act::Block => "block",
            Act::Refund => "refund",
        }
    }

    /// The act with this word.
    pub fn parse(word: &str) -> Option<Act> {
        [Act::Pay, Act::Block, Act::Refund].into_iter().find(|act| act.as_str() == word)
    }
}

/// The id of a payment: 32 base32 characters of SHA-256 over the canonical list of contract id, occasion, term and payee.
/// It exists once, so that an instruction sent twice is paid once.
pub fn instruction_id(contract: &ContractRef, occasion: &str, term_id: &str, payee: &Did) -> R<String> {
    derived(&[contract.id.as_str(), occasion, term_id, payee.as_str()])
}

/// The id of an instruction about an obligation. The first one has the obligation's own id; one after a failure, one that
/// releases or one that undoes a block has an id that follows from it, the act and how often that was asked before.
/// `deposited` says whether the obligation began as a deposit, whose first instruction is to block.
pub fn instruction(obligation_id: &str, deposited: bool, act: Act, attempt: u32) -> R<String> {
    let first = if deposited { Act::Block } else { Act::Pay };
    if act == first && attempt == 0 {
        return Ok(obligation_id.to_owned());
    }
    derived(&[obligation_id, act.as_str(), &attempt.to_string()])
}

/// The id under which a block that nothing wants any more is undone, beside the obligation that it was made for.
pub fn surplus_id(blocked_by: &str) -> R<String> {
    derived(&[blocked_by, "surplus"])
}

pub(super) fn of_part(contract: &ContractRef, occasion: Occasion<'_>, term_id: &str, part: &Part) -> R<String> {
    let occasion = match occasion {
        Occasion::Run(run) => run.to_string(),
        Occasion::Job(job) => job.to_string(),
        Occasion::Period(nth) => period(nth),
        Occasion::Stated(nth) => period(nth) + " as stated",
    };
    let line = match part.line {
        None => return instruction_id(contract, &occasion, term_id, &part.payee),
        Some(Line::Gst) => "gst",
        Some(Line::Tds) => "tds",
    };
    derived(&[contract.id.as_str(), &occasion, term_id, part.payee.as_str(), line])
}

/// Periods count anew in every version of a contract; those of the first have no more than their number.
fn period(Nth { version, period }: Nth) -> String {
    if version <= 1 { format!("period {period}") } else { format!("period {period} of version {version}") }
}

fn derived(parts: &[&str]) -> R<String> {
    let digest = Digest::of(&canonical::to_bytes(&parts)?);
    // 32 characters of 5 bits are the first 20 bytes.
    Ok(digest.0.chunks_exact(5).take(4).flat_map(base32).collect())
}

/// Eight base32 characters (RFC 4648) of five bytes.
fn base32(five: &[u8]) -> impl Iterator<Item = char> {
    let bits = five.iter().fold(0u64, |bits, byte| bits << 8 | u64::from(*byte));
    (0..8).rev().map(move |at| match (bits >> (5 * at) & 31) as u8 {
        letter @ 0..26 => char::from(b'A' + letter),
        digit => char::from(b'2' + digit - 26),
    })
}
