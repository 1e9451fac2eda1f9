//! A card-shaped payment system: REST in the shape of Stripe's, with `Idempotency-Key`, and signed events.
//!
//! From a payer: `POST /v1/payment_intents`, confirmed at once, with the payee's account as destination unless the money
//! is blocked. Out of a block: `POST /v1/transfers` to the payee, `POST /v1/refunds` back to the payer. The instruction's
//! id is the idempotency key and stands in `metadata`. Keys may be forgotten after a day, so before anything is handed
//! over again it is looked for by that metadata (`GET /v1/payment_intents/search` and the like). A refund out of a block
//! comes back as an event about the block's charge too: what our own refunds explain of it is no news.

use policies::instruction::Standing;
use schemas::money::{Currency, Minor};
use schemas::{Code, R, Refusal, Timestamp, canonical};
use serde_json::Value;

use crate::accounts::Accounts;
use crate::http::{self, Answer, Line};
use crate::instruction::{Act, End, Instruction};
use crate::mac;
use crate::provider::{Batch, Heard, News, PaymentProvider, Posted};
use crate::secret::Secret;

/// How old a signed event may be, in seconds.
const TOLERANCE: u64 = 300;

/// The payment system.
pub struct CardLike {
    pub(crate) line: Line,
    /// Of our calls.
    pub(crate) key: Secret,
    /// Of its events.
    pub(crate) secret: Secret,
    pub(crate) accounts: Accounts,
}

impl CardLike {
    /// The members of what moves the money.
    fn form(&self, instruction: &Instruction) -> R<Vec<(&'static str, String)>> {
        let mut form = vec![("amount", instruction.amount_minor.get().to_string())];
        let currency = ("currency", instruction.currency.as_str().to_lowercase());
        let metadata = ("metadata[instruction_id]", instruction.id.clone());
        match (instruction.act, instruction.ends()) {
            (Act::Refund, _) => {
                let none = || Refusal::new(Code::ConfigInvalid, "the block that is to be refunded is not known here");
                let block = instruction.block_reference.clone().ok_or_else(none)?;
                form.extend([metadata, ("payment_intent", block)]);
            }
            (_, (End::Participant(payer), to)) => {
                let account = self.accounts.of(payer)?;
                let method = account.need(payer, "payment_method", &account.payment_method)?;
                form.extend([currency, metadata, ("confirm", "true".into()), ("payment_method", method.to_owned())]);
                if let End::Participant(payee) = to {
                    form.push(("transfer_data[destination]", self.destination(payee)?));
                }
            }
            (_, (End::Holder, _)) => {
                form.extend([currency, metadata, ("destination", self.destination(&instruction.payee)?)]);
            }
        }
        Ok(form)
    }

    fn destination(&self, payee: &schemas::id::Did) -> R<String> {
        let account = self.accounts.of(payee)?;
        account.need(payee, "destination", &account.destination).map(str::to_owned)
    }

    /// What was made for this instruction before, if anything.
    fn find(&self, collection: &str, id: &str) -> R<Option<Value>> {
        let query = encoded(&[("query", format!("metadata['instruction_id']:'{id}'"))])?;
        let path = self.line.at(&format!("/v1/{collection}/search?{query}"));
        let request = self.line.client.get(path).bearer_auth(self.key.text());
        let answer = http::send(request)?;
        if answer.status != 200 {
            return Err(http::fault(&answer));
        }
        Ok(json(&answer)?.get("data").and_then(|data| data.get(0)).cloned())
    }

    fn hand(&self, instruction: &Instruction, again: bool) -> R<Vec<News>> {
        let (collection, form) = (collection(instruction), self.form(instruction)?);
        let found = if again { self.find(collection, &instruction.id)? } else { None };
        if let Some(found) = found {
            return object(&found, Some(&instruction.id));
        }
        let request = self.line.client.post(self.line.at(&format!("/v1/{collection}"))).bearer_auth(self.key.text());
        let request = request.header("idempotency-key", &instruction.id);
        let request = request.header("content-type", "application/x-www-form-urlencoded").body(encoded(&form)?);
        let answer = http::send(request)?;
        match answer.status {
            200..=299 => object(&json(&answer)?, Some(&instruction.id)),
            // The means of payment was declined; nothing moved, and the same key would be told the same.
            402 => {
                let value = json(&answer)?;
                let said = value.get("error").and_then(|e| e.get("message")).and_then(Value::as_str);
                Ok(vec![News::of(&instruction.id, Standing::Failed).because(said.unwrap_or("declined"))])
            }
            _ => Err(http::fault(&answer)),
        }
    }
}

impl PaymentProvider for CardLike {
    fn name(&self) -> &'static str {
        "card_like"
    }

    fn ready(&self, instruction: &Instruction) -> R<()> {
        // A block that is to be refunded is looked up when it is handed over.
        match instruction.act {
            Act::Refund => Ok(()),
            _ => self.form(instruction).map(drop),
        }
    }

    fn submit(&self, batch: &Batch) -> R<Vec<News>> {
        let mut news = Vec::new();
        for instruction in &batch.instructions {
            news.extend(self.hand(instruction, batch.again)?);
        }
        Ok(news)
    }

    fn can_be_asked(&self) -> bool {
        true
    }

    fn ask(&self, instruction: &Instruction) -> R<Vec<News>> {
        let Some(reference) = &instruction.reference else {
            // Its answer was lost: what was made is looked for by our own id.
            let found = self.find(collection(instruction), &instruction.id)?;
            return found.map_or(Ok(Vec::new()), |found| object(&found, Some(&instruction.id)));
        };
        if !reference.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            return Err(Refusal::new(Code::PeerFault, "the payment system's reference is none"));
        }
        let collection = collection(instruction);
        let path = self.line.at(&format!("/v1/{collection}/{reference}"));
        let answer = http::send(self.line.client.get(path).bearer_auth(self.key.text()))?;
        if answer.status != 200 {
            return Err(http::fault(&answer));
        }
        object(&json(&answer)?, Some(&instruction.id))
    }

    fn hear(&self, call: &Posted, now: Timestamp) -> R<Heard> {
        self.check(call, now)?;
        let form = |why: &str| Refusal::new(Code::SchemaMismatch, format!("event of the payment system: {why}"));
        let event = canonical::parse_loose(&call.body)?;
        let text = |name: &str| event.get(name).and_then(Value::as_str);
        let (id, kind) = (text("id").ok_or_else(|| form("no id"))?, text("type").ok_or_else(|| form("no type"))?);
        let about = event.get("data").and_then(|data| data.get("object")).ok_or_else(|| form("no object"))?;
        let ours = about.get("metadata").and_then(|m| m.get("instruction_id")).is_some();
        let known = kind.starts_with("payment_intent.") || kind.starts_with("transfer.") || kind.starts_with("refund.");
        let news = match kind {
            "charge.refunded" if ours => vec![returned(about)?],
            _ if ours && known => object(about, None)?,
            _ => Vec::new(),
        };
        Ok(Heard { event: id.to_owned(), news })
    }
}

impl CardLike {
    /// `Stripe-Signature: t=…,v1=…` over `t.body`; several `v1` where a secret is being changed.
    fn check(&self, call: &Posted, now: Timestamp) -> R<()> {
        let bad = |why: &str| Refusal::new(Code::SignatureInvalid, format!("event of the payment system: {why}"));
        let header = call.header("stripe-signature")?;
        let parts = || header.split(',').take(16).filter_map(|part| part.trim().split_once('='));
        let at = parts().find(|(name, _)| *name == "t").map(|(_, at)| at).ok_or_else(|| bad("no time"))?;
        let seconds: i64 = at.parse().map_err(|_| bad("time"))?;
        if now.seconds().abs_diff(seconds) > TOLERANCE {
            return Err(bad("its time is more than five minutes away"));
        }
        let content = [at.as_bytes(), b".", &call.body].concat();
        for (_, code) in parts().filter(|(name, _)| *name == "v1") {
            if mac::holds(self.secret.text(), &content, code)? {
                return Ok(());
            }
        }
        Err(bad("no signature holds"))
    }
}

/// Names and values as a form writes them.
fn encoded(form: &[(&str, String)]) -> R<String> {
    let fault = |_| Refusal::new(Code::Internal, "a form cannot be written");
    let url = reqwest::Url::parse_with_params("http://localhost", form).map_err(fault)?;
    Ok(url.query().unwrap_or_default().to_owned())
}

/// Where what moves the money is made.
fn collection(instruction: &Instruction) -> &'static str {
    match (instruction.act, instruction.ends().0) {
        (Act::Refund, _) => "refunds",
        (_, End::Holder) => "transfers",
        _ => "payment_intents",
    }
}

fn json(answer: &Answer) -> R<Value> {
    canonical::parse_loose(&answer.body)
        .map_err(|_| Refusal::new(Code::PeerFault, "the payment system's answer is no JSON"))
}

/// What an intent, transfer or refund says; where one instruction was asked about, it must be that one's.
fn object(value: &Value, of: Option<&str>) -> R<Vec<News>> {
    let (id, money) = members(value)?;
    let reference = reference(value, "id")?;
    if of.is_some_and(|of| of != id) {
        return Err(Refusal::new(Code::PeerFault, "the payment system answered about another instruction"));
    }
    let standing = match value.get("status").and_then(Value::as_str) {
        Some("succeeded" | "paid") => Standing::Settled,
        Some("processing" | "pending" | "in_transit") => Standing::Accepted,
        Some("canceled" | "failed" | "requires_payment_method") => Standing::Failed,
        Some("requires_action" | "requires_confirmation" | "requires_capture") => Standing::Submitted,
        // Transfers have no status: they are made or not.
        None => Standing::Settled,
        Some(_) => return Err(Refusal::new(Code::PeerFault, "the payment system names a status that is not known")),
    };
    let why = value.get("last_payment_error").and_then(|e| e.get("message")).and_then(Value::as_str);
    let news = News::of(&id, standing).referred(&reference).amount(money.0, money.1);
    let news = match why {
        Some(why) if standing == Standing::Failed => news.because(why),
        _ => news,
    };
    let back = reversed(value, money.0)?.map(|back| came_back(&id, &reference, (back, money.1)));
    Ok(std::iter::once(news).chain(back).collect())
}

/// What of a transfer came back in all, where any of it did.
fn reversed(value: &Value, whole: Minor) -> R<Option<Minor>> {
    let bad = || Refusal::new(Code::PeerFault, "the payment system's answer has no amount_reversed");
    let part = value.get("amount_reversed").filter(|part| !part.is_null());
    let part = part.map(|part| part.as_i64().and_then(|a| Minor::new(a).ok()).ok_or_else(bad)).transpose()?;
    let all = (value.get("reversed").and_then(Value::as_bool) == Some(true)).then_some(whole);
    Ok(part.filter(|part| part.get() > 0).or(all))
}

/// What came back of a payment, counted up by the payment system.
fn came_back(id: &str, reference: &str, (amount, currency): (Minor, Currency)) -> News {
    News { in_all: true, ..News::of(id, Standing::Returned).referred(reference).amount(amount, currency) }
}

/// A charge of which something was refunded. Whole the payment came back, unless that were refunds of our own out of a
/// block; anything else is another amount, and so for suspense.
fn returned(charge: &Value) -> R<News> {
    let (id, (_, currency)) = members(charge)?;
    let reference = reference(charge, "payment_intent").or_else(|_| reference(charge, "id"))?;
    let bad = || Refusal::new(Code::SchemaMismatch, "event of the payment system: no amount_refunded");
    let amount = charge.get("amount_refunded").and_then(Value::as_i64).ok_or_else(bad)?;
    let amount = Minor::new(amount).map_err(|_| bad())?;
    Ok(came_back(&id, &reference, (amount, currency)))
}

fn reference(value: &Value, member: &str) -> R<String> {
    let none = || Refusal::new(Code::PeerFault, format!("the payment system's answer has no {member}"));
    value.get(member).and_then(Value::as_str).map(str::to_owned).ok_or_else(none)
}

fn members(value: &Value) -> R<(String, (Minor, Currency))> {
    let bad = |what: &str| Refusal::new(Code::PeerFault, format!("the payment system's answer has no {what}"));
    let text = |name: &str| value.get(name).and_then(Value::as_str);
    let id = value.get("metadata").and_then(|m| m.get("instruction_id")).and_then(Value::as_str);
    let id = id.ok_or_else(|| bad("metadata.instruction_id"))?;
    let amount = value.get("amount").and_then(Value::as_i64).and_then(|a| Minor::new(a).ok());
    let currency = text("currency").and_then(|c| Currency::parse(&c.to_uppercase()).ok());
    let money = (amount.ok_or_else(|| bad("amount"))?, currency.ok_or_else(|| bad("currency"))?);
    Ok((id.to_owned(), money))
}
