//! A payment system that takes instructions as signed webhooks and answers by signed webhooks: the default.
//!
//! Out: the message `payment.instructed`, signed as Standard Webhooks v1 and v1a under the adapter's own key, with the
//! instruction's id in `webhook-id`, so that the payment system's own dedupe makes a repetition harmless. In: messages
//! `payment.accepted`, `payment.settled`, `payment.failed`, `payment.returned` with
//! `{instruction_id, reference?, amount_minor, currency, reason?}`, signed with the secret that both share.

use std::sync::Arc;

use contract_client::Clock;
use policies::instruction::Standing;
use schemas::money::{Currency, Minor};
use schemas::{Code, R, Refusal, Timestamp, canonical};
use serde::Deserialize;
use serde_json::json;
use signing::FileKey;
use signing::webhook::{Verifier, sign, verify};

use crate::http::{self, Line};
use crate::instruction::Instruction;
use crate::provider::{Batch, Heard, News, PaymentProvider, Posted};
use crate::secret::Secret;

/// The payment system at the other end.
pub struct Webhook {
    pub(crate) line: Line,
    /// `whsec_…`, shared: signs both ways.
    pub(crate) secret: Secret,
    /// The adapter's key, for v1a.
    pub(crate) key: Arc<FileKey>,
    pub(crate) clock: Clock,
}

/// The `data` of an answer.
#[derive(Deserialize)]
struct Answer {
    instruction_id: String,
    #[serde(default)]
    reference: Option<String>,
    #[serde(default)]
    amount_minor: Option<Minor>,
    #[serde(default)]
    currency: Option<Currency>,
    #[serde(default)]
    reason: Option<String>,
}

impl PaymentProvider for Webhook {
    fn name(&self) -> &'static str {
        "webhook"
    }

    fn ready(&self, _: &Instruction) -> R<()> {
        Ok(())
    }

    fn submit(&self, batch: &Batch) -> R<Vec<News>> {
        for instruction in &batch.instructions {
            let data = json!({
                "instruction_id": instruction.id, "act": instruction.act, "from_block": instruction.from_block,
                "payer": instruction.payer, "payee": instruction.payee, "currency": instruction.currency,
                "amount_minor": instruction.amount_minor,
            });
            let body = json!({"type": "payment.instructed", "timestamp": batch.planned_at, "data": data});
            let body = canonical::to_bytes(&body)?;
            let id = format!("pay_{}", instruction.id);
            let at = (self.clock)().seconds();
            let signature = sign(&id, at, &body, self.secret.text(), &*self.key)?;
            let request = self.line.client.post(self.line.at("")).header("content-type", "application/json");
            let request = request.header("webhook-id", &id).header("webhook-timestamp", at.to_string());
            let answer = http::send(request.header("webhook-signature", signature).body(body))?;
            if !(200..300).contains(&answer.status) {
                return Err(http::fault(&answer));
            }
        }
        Ok(Vec::new())
    }

    fn hear(&self, call: &Posted, now: Timestamp) -> R<Heard> {
        let (id, at) = (call.header("webhook-id")?, call.header("webhook-timestamp")?);
        if id.is_empty() || id.len() > 128 || id.contains('.') {
            return Err(Refusal::new(Code::SignatureInvalid, "webhook: id"));
        }
        let signature = call.header("webhook-signature")?;
        verify(&Verifier::Secret(self.secret.text()), id, at, signature, &call.body, now)?;
        let body = canonical::parse_value(&call.body)?;
        let told = body.get("type").and_then(|t| t.as_str()).and_then(|t| t.strip_prefix("payment."));
        let standing = match told.and_then(Standing::parse) {
            Some(Standing::Created | Standing::Submitted) | None => {
                return Ok(Heard { event: id.into(), news: vec![] });
            }
            Some(standing) => standing,
        };
        let bad = |why: &str| Refusal::new(Code::SchemaMismatch, format!("the payment system's answer: {why}"));
        let answer = Answer::deserialize(body.get("data").unwrap_or_default()).map_err(|e| bad(&e.to_string()))?;
        let money = answer.amount_minor.zip(answer.currency);
        if standing.moves_money() && money.is_none() {
            return Err(bad("what moves money names amount_minor and currency").at("amount_minor"));
        }
        let mut news = News { reference: answer.reference, money, ..News::of(&answer.instruction_id, standing) };
        if let Some(reason) = &answer.reason {
            news = news.because(reason);
        }
        Ok(Heard { event: id.to_owned(), news: vec![news] })
    }
}
