//! A payment instruction at the payment system: in which order its states follow, and what a word about money means for it.

use schemas::event::PaymentResult;
use schemas::money::{Currency, Minor};
use schemas::{Code, R, Refusal};
use serde::{Deserialize, Serialize};

/// Where an instruction stands at the payment system.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Kept; not handed out, or handed out without an answer that was kept.
    Created,
    /// Handed to the payment system.
    Submitted,
    /// The payment system will carry it out.
    Accepted,
    /// Paid.
    Settled,
    /// Not paid, and never will be under this instruction.
    Failed,
    /// Paid, and the money came back.
    Returned,
}

impl Standing {
    /// All states in their order.
    pub const ALL: [Standing; 6] = [
        Standing::Created,
        Standing::Submitted,
        Standing::Accepted,
        Standing::Settled,
        Standing::Failed,
        Standing::Returned,
    ];

    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Standing::Created => "created",
            Standing::Submitted => "submitted",
            Standing::Accepted => "accepted",
            Standing::Settled => "settled",
            Standing::Failed => "failed",
            Standing::Returned => "returned",
        }
    }

    /// The state with this word.
    pub fn parse(word: &str) -> Option<Standing> {
        Standing::ALL.into_iter().find(|standing| standing.as_str() == word)
    }

    /// Where an answer says that its instruction stands. A block and a refund are settled by what they are for.
    pub fn said(result: PaymentResult) -> Standing {
        match result {
            PaymentResult::Submitted => Standing::Submitted,
            PaymentResult::Accepted => Standing::Accepted,
            PaymentResult::Settled | PaymentResult::Blocked | PaymentResult::Refunded => Standing::Settled,
            PaymentResult::Failed => Standing::Failed,
            PaymentResult::Returned => Standing::Returned,
        }
    }

    /// Whether it is a word about the way alone: nothing has ended, and nothing moved.
    pub fn is_under_way(self) -> bool {
        matches!(self, Standing::Submitted | Standing::Accepted)
    }

    /// Whether money moves when this state is reached.
    pub fn moves_money(self) -> bool {
        matches!(self, Standing::Settled | Standing::Returned)
    }
}

/// What is kept of an instruction when something is told about it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Kept {
    /// Where it stands.
    pub standing: Standing,
    /// Whether it was ever handed to the payment system.
    pub tried: bool,
    /// What is to be paid.
    pub amount_minor: Minor,
    /// ISO 4217.
    pub currency: Currency,
    /// The payment system's reference of its settlement, where it gave one.
    pub settled_as: Option<String>,
}

/// What the payment system tells.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Told {
    /// The state that it names.
    pub standing: Standing,
    /// The amount that it names; without one it is the instruction's own.
    pub money: Option<(Minor, Currency)>,
    /// Its reference, where it gives one.
    pub reference: Option<String>,
}

/// Why an amount belongs to no instruction as it stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unmatched {
    /// No instruction has this id.
    Unknown,
    /// Another amount than instructed.
    Amount,
    /// Another currency than instructed.
    Currency,
    /// It cannot follow on where the instruction stands.
    State,
    /// Paid before under another reference.
    Twice,
}

impl Unmatched {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Unmatched::Unknown => "unknown",
            Unmatched::Amount => "amount",
            Unmatched::Currency => "currency",
            Unmatched::State => "state",
            Unmatched::Twice => "twice",
        }
    }
}

/// What becomes of something told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// The instruction reaches that state.
    Moves,
    /// It is there already.
    Known,
    /// Money moved that no instruction explains: for suspense.
    Unmatched(Unmatched),
}

/// Whether an instruction moves on to `told` (true) or is there already (false). Anything else is out of order
/// (`PAYMENT_STATE`). Nothing can be told about an instruction that was never handed out.
pub fn follows(now: Standing, tried: bool, told: Standing) -> R<bool> {
    use Standing::*;
    match (now, told) {
        (Created, Submitted | Accepted | Settled | Failed) if tried => Ok(true),
        (Submitted, Accepted | Settled | Failed) | (Accepted, Settled | Failed) | (Settled, Returned) => Ok(true),
        (now, told) if now == told => Ok(false),
        (now, told) => {
            let sentence = format!("an instruction that is {} does not become {}", now.as_str(), told.as_str());
            Err(Refusal::new(Code::PaymentState, sentence))
        }
    }
}

/// What becomes of something that the payment system tells about an instruction, or about none. Told money is never lost:
/// what fits no instruction is unmatched. What moves no money and does not fit is refused (`PAYMENT_UNKNOWN`,
/// `PAYMENT_STATE`).
pub fn judge(kept: Option<&Kept>, told: &Told) -> R<Verdict> {
    let unmatched = |why: Unmatched, refusal: Refusal| {
        if told.standing.moves_money() { Ok(Verdict::Unmatched(why)) } else { Err(refusal) }
    };
    let Some(kept) = kept else {
        return unmatched(Unmatched::Unknown, Refusal::new(Code::PaymentUnknown, "no instruction has this id"));
    };
    if let Some((amount, currency)) = told.money {
        let other = |what: &str| Refusal::new(Code::PaymentState, format!("{what} is not what was instructed"));
        if currency != kept.currency {
            return unmatched(Unmatched::Currency, other("the currency"));
        }
        if amount != kept.amount_minor {
            return unmatched(Unmatched::Amount, other("the amount"));
        }
    }
    match follows(kept.standing, kept.tried, told.standing) {
        Ok(true) => Ok(Verdict::Moves),
        Ok(false) => Ok(again(kept, told)),
        // Booked after it was thought to have failed: it was carried out after all, and is no stranger's money.
        Err(_) if kept.standing == Standing::Failed && told.standing == Standing::Settled && told.money.is_some() => {
            Ok(Verdict::Moves)
        }
        // What is said again of a payment that has come back since is old news, no second payment.
        Err(_) if kept.standing == Standing::Returned && told.standing == Standing::Settled => Ok(again(kept, told)),
        Err(refusal) => unmatched(Unmatched::State, refusal),
    }
}

/// A settlement told again is the same one unless both were given references, and these differ.
fn again(kept: &Kept, told: &Told) -> Verdict {
    match (&kept.settled_as, &told.reference) {
        (Some(first), Some(second)) if told.standing == Standing::Settled && first != second => {
            Verdict::Unmatched(Unmatched::Twice)
        }
        _ => Verdict::Known,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Standing::*;

    fn kept(standing: Standing) -> Kept {
        Kept {
            standing,
            tried: true,
            amount_minor: Minor::new(500).unwrap(),
            currency: Currency::parse("INR").unwrap(),
            settled_as: Some("ref-1".into()),
        }
    }

    fn told(standing: Standing, amount: i64, currency: &str, reference: Option<&str>) -> Told {
        let money = (Minor::new(amount).unwrap(), Currency::parse(currency).unwrap());
        Told { standing, money: Some(money), reference: reference.map(str::to_owned) }
    }

    #[test]
    fn every_step_that_the_table_does_not_name_is_refused() {
        let allowed = [
            (Created, Submitted),
            (Created, Accepted),
            (Created, Settled),
            (Created, Failed),
            (Submitted, Accepted),
            (Submitted, Settled),
            (Submitted, Failed),
            (Accepted, Settled),
            (Accepted, Failed),
            (Settled, Returned),
        ];
        for now in Standing::ALL {
            for next in Standing::ALL {
                let answer = follows(now, true, next);
                if now == next {
                    assert_eq!(answer, Ok(false));
                } else if allowed.contains(&(now, next)) {
                    assert_eq!(answer, Ok(true), "{now:?} {next:?}");
                } else {
                    assert_eq!(answer.unwrap_err().code, Code::PaymentState, "{now:?} {next:?}");
                }
            }
            assert_eq!(Standing::parse(now.as_str()), Some(now));
            assert_eq!(serde_json::to_value(now).unwrap(), now.as_str());
            assert_eq!(now.is_under_way(), now == Submitted || now == Accepted);
        }
        assert_eq!(follows(Created, false, Settled).unwrap_err().code, Code::PaymentState);
    }

    #[test]
    fn money_that_fits_no_instruction_is_kept_for_suspense_and_other_words_are_refused() {
        let unmatched = |why| Ok(Verdict::Unmatched(why));
        let fits = told(Settled, 500, "INR", Some("ref-1"));
        assert_eq!(judge(Some(&kept(Accepted)), &fits), Ok(Verdict::Moves));
        assert_eq!(judge(Some(&kept(Settled)), &fits), Ok(Verdict::Known));
        assert_eq!(judge(Some(&kept(Returned)), &fits), Ok(Verdict::Known));
        assert_eq!(judge(None, &fits), unmatched(Unmatched::Unknown));
        assert_eq!(judge(Some(&kept(Accepted)), &told(Settled, 501, "INR", None)), unmatched(Unmatched::Amount));
        assert_eq!(judge(Some(&kept(Accepted)), &told(Settled, 500, "EUR", None)), unmatched(Unmatched::Currency));
        // Found after a failure was told: by its amount alone, since a bare word may be about something else.
        assert_eq!(judge(Some(&kept(Failed)), &fits), Ok(Verdict::Moves));
        assert_eq!(judge(Some(&kept(Failed)), &Told { money: None, ..fits.clone() }), unmatched(Unmatched::State));
        assert_eq!(judge(Some(&kept(Failed)), &told(Settled, 501, "INR", None)), unmatched(Unmatched::Amount));
        assert_eq!(judge(Some(&kept(Accepted)), &told(Returned, 500, "INR", None)), unmatched(Unmatched::State));
        let second = told(Settled, 500, "INR", Some("ref-2"));
        assert_eq!(judge(Some(&kept(Settled)), &second), unmatched(Unmatched::Twice));
        let unnamed = Kept { settled_as: None, ..kept(Settled) };
        assert_eq!(judge(Some(&unnamed), &second), Ok(Verdict::Known));

        let failed = told(Failed, 500, "INR", None);
        assert_eq!(judge(None, &failed).unwrap_err().code, Code::PaymentUnknown);
        assert_eq!(judge(Some(&kept(Settled)), &failed).unwrap_err().code, Code::PaymentState);
        let other = told(Failed, 501, "INR", None);
        assert_eq!(judge(Some(&kept(Accepted)), &other).unwrap_err().code, Code::PaymentState);
    }
}
