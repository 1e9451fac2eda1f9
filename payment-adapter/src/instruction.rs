//! An instruction to pay, as the contract service's message `payment.instructed` gives it.

use policies::instruction::Standing;
pub use policies::payment::Act;
use schemas::event::PaymentResult;
use schemas::id::Did;
use schemas::money::{Currency, Minor};
use schemas::{Code, R, Refusal, Timestamp};
use serde::Deserialize;
use serde_json::Value;

/// The members of the message that a payment needs; it may have others.
#[derive(Deserialize)]
struct Data {
    instruction_id: String,
    payer: Did,
    payee: Did,
    currency: Currency,
    amount_minor: Minor,
    #[serde(default)]
    act: Act,
    #[serde(default)]
    from_block: Option<String>,
    #[serde(default)]
    due_at: Option<Timestamp>,
}

/// The result that the contract service is told when an instruction has reached a state, where it is told any.
pub fn result(act: Act, standing: Standing) -> Option<PaymentResult> {
    match (standing, act) {
        (Standing::Submitted, _) => Some(PaymentResult::Submitted),
        (Standing::Accepted, _) => Some(PaymentResult::Accepted),
        (Standing::Failed, _) => Some(PaymentResult::Failed),
        (Standing::Settled, Act::Pay) => Some(PaymentResult::Settled),
        (Standing::Settled, Act::Block) => Some(PaymentResult::Blocked),
        (Standing::Settled, Act::Refund) => Some(PaymentResult::Refunded),
        (Standing::Returned, Act::Pay) => Some(PaymentResult::Returned),
        _ => None,
    }
}

/// Between whom the money moves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End<'a> {
    /// A participant.
    Participant(&'a Did),
    /// The adapter's own account, where blocked money stays.
    Holder,
}

/// An instruction to pay.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Instruction {
    /// 32 base32 characters; the payment system's idempotency key and EndToEndId.
    pub id: String,
    /// Who pays.
    pub payer: Did,
    /// Who is paid.
    pub payee: Did,
    /// ISO 4217.
    pub currency: Currency,
    /// Minor units; more than 0.
    pub amount_minor: Minor,
    /// What is to be done: a block goes from the payer to the adapter's own account, and out of it by `pay` or `refund`.
    pub act: Act,
    /// The block that a payment or a refund is made from: the id of its instruction.
    pub from_block: Option<String>,
    /// The payment system's reference of that block, where it is known.
    pub block_reference: Option<String>,
    /// When it falls due.
    pub due_at: Option<Timestamp>,
    /// Where it stands.
    pub standing: Standing,
    /// The payment system's own reference, once it gave one.
    pub reference: Option<String>,
}

impl Instruction {
    /// Reads the `data` of a message. Refuses an id that is none, an amount of nothing and a currency without minor units
    /// (`SCHEMA_MISMATCH`).
    pub fn read(data: &Value) -> R<Instruction> {
        let bad = |why: &str| Refusal::new(Code::SchemaMismatch, format!("payment.instructed: {why}"));
        let data = Data::deserialize(data).map_err(|e| bad(&e.to_string()))?;
        if !is_id(&data.instruction_id) {
            return Err(bad("an instruction id is 32 base32 characters").at("instruction_id"));
        }
        if data.amount_minor.get() == 0 {
            return Err(bad("nothing is to be paid").at("amount_minor"));
        }
        if data.from_block.as_deref().is_some_and(|id| !is_id(id)) {
            return Err(bad("an instruction id is 32 base32 characters").at("from_block"));
        }
        crate::money::exponent(data.currency)?;
        Ok(Instruction {
            id: data.instruction_id,
            payer: data.payer,
            payee: data.payee,
            currency: data.currency,
            amount_minor: data.amount_minor,
            act: data.act,
            from_block: data.from_block,
            block_reference: None,
            due_at: data.due_at,
            standing: Standing::Created,
            reference: None,
        })
    }

    /// Whether two messages ask for the same payment.
    pub fn is_the_same_payment(&self, other: &Instruction) -> bool {
        let whose = |i: &Instruction| (i.id.clone(), i.payer.clone(), i.payee.clone(), i.from_block.clone());
        let what = |i: &Instruction| (i.act, i.currency, i.amount_minor);
        whose(self) == whose(other) && what(self) == what(other)
    }

    /// From whom to whom the money goes.
    pub fn ends(&self) -> (End<'_>, End<'_>) {
        let (payer, payee) = (End::Participant(&self.payer), End::Participant(&self.payee));
        match (self.act, &self.from_block) {
            (Act::Pay, None) => (payer, payee),
            (Act::Pay, Some(_)) => (End::Holder, payee),
            (Act::Block, _) => (payer, End::Holder),
            (Act::Refund, _) => (End::Holder, payer),
        }
    }
}

/// 32 characters of base32 (RFC 4648): what fits ISO 20022, URLs and every payment system's references.
pub fn is_id(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|b| b.is_ascii_uppercase() || (b'2'..=b'7').contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_message_is_read_with_members_that_are_not_known_and_refused_where_it_pays_nothing() {
        let data = json!({"instruction_id": "A".repeat(32), "payer": "did:web:tdc.example", "payee": "did:web:tdp.example",
            "currency": "INR", "amount_minor": 5, "term_id": "p1", "more": {"x": 1}});
        assert_eq!(Instruction::read(&data).unwrap().amount_minor.get(), 5);
        for (member, value) in [
            ("instruction_id", json!("../../etc/passwd")),
            ("instruction_id", json!("a".repeat(32))),
            ("amount_minor", json!(0)),
            ("amount_minor", json!(-5)),
            ("amount_minor", json!(1.5)),
            ("currency", json!("XAU")),
            ("payee", json!("somebody")),
            ("due_at", json!("soon")),
            ("act", json!("burn")),
            ("from_block", json!("x")),
        ] {
            let mut spoilt = data.clone();
            spoilt[member] = value.clone();
            assert_eq!(Instruction::read(&spoilt).unwrap_err().code, Code::SchemaMismatch, "{member} {value}");
        }
    }

    #[test]
    fn blocked_money_stays_with_the_holder_until_it_is_paid_out_or_refunded() {
        let mut data = json!({"instruction_id": "A".repeat(32), "payer": "did:web:tdc.example",
            "payee": "did:web:tdp.example", "currency": "INR", "amount_minor": 5});
        let (payer, payee) = (Did::parse("did:web:tdc.example").unwrap(), Did::parse("did:web:tdp.example").unwrap());
        let (payer, payee) = (End::Participant(&payer), End::Participant(&payee));
        assert_eq!(Instruction::read(&data).unwrap().ends(), (payer, payee));
        data["act"] = json!("block");
        assert_eq!(Instruction::read(&data).unwrap().ends(), (payer, End::Holder));
        (data["act"], data["from_block"]) = (json!("pay"), json!("B".repeat(32)));
        assert_eq!(Instruction::read(&data).unwrap().ends(), (End::Holder, payee));
        data["act"] = json!("refund");
        assert_eq!(Instruction::read(&data).unwrap().ends(), (End::Holder, payer));
        assert_eq!(result(Act::Block, Standing::Settled), Some(PaymentResult::Blocked));
        assert_eq!(result(Act::Refund, Standing::Settled), Some(PaymentResult::Refunded));
        assert_eq!(result(Act::Block, Standing::Returned), None);
        assert_eq!(result(Act::Refund, Standing::Accepted), Some(PaymentResult::Accepted));
        assert_eq!(result(Act::Pay, Standing::Created), None);
        // What the contract service is told leads back to the state that was reached.
        for (act, standing) in
            [Act::Pay, Act::Block, Act::Refund].into_iter().flat_map(|a| Standing::ALL.map(|s| (a, s)))
        {
            assert!(result(act, standing).is_none_or(|said| Standing::said(said) == standing), "{act:?} {standing:?}");
        }
    }
}
