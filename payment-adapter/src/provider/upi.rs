//! A UPI-shaped payment system: collect from a payer's address, pay to a payee's, by a REST interface.
//!
//! `POST /v1/pay` and `POST /v1/collect` with `reference` (the instruction's id), addresses, `amount` in rupees with two
//! decimals; the same reference again is the same transaction, and is asked for before it is sent again.
//! `GET /v1/transactions/{reference}` tells how it stands: `PENDING`, `ACCEPTED`, `SUCCESS`, `FAILURE`, `REVERSED`. Its own calls carry `x-timestamp` and `x-signature`, the
//! HMAC-SHA256 of `timestamp.body`. Money between two participants is collected from the payer with the payee named.

use policies::instruction::Standing;
use schemas::{Code, Digest, R, Refusal, Timestamp, canonical};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::accounts::{Account, Accounts};
use crate::http::{self, Line};
use crate::instruction::{End, Instruction};
use crate::mac;
use crate::money;
use crate::provider::{Batch, Heard, News, PaymentProvider, Posted};
use crate::secret::Secret;

/// How far the clock of the payment system may be away, in seconds.
const TOLERANCE: i64 = 300;

/// The payment system.
pub struct Upi {
    pub(crate) line: Line,
    /// Of our calls.
    pub(crate) token: Secret,
    /// Of its calls.
    pub(crate) secret: Secret,
    pub(crate) own: Account,
    pub(crate) accounts: Accounts,
}

/// A transaction as the payment system shows it.
#[derive(Deserialize)]
struct Transaction {
    reference: String,
    txn_id: String,
    status: String,
    amount: String,
    currency: String,
    #[serde(default)]
    message: Option<String>,
}

impl Transaction {
    fn news(self) -> R<Vec<News>> {
        let standing = match self.status.as_str() {
            "PENDING" => Standing::Submitted,
            "ACCEPTED" => Standing::Accepted,
            "SUCCESS" => Standing::Settled,
            "FAILURE" | "EXPIRED" | "DECLINED" => Standing::Failed,
            "REVERSED" => Standing::Returned,
            _ => return Err(Refusal::new(Code::PeerFault, "the payment system names a status that is not known")),
        };
        let bad = |_| Refusal::new(Code::PeerFault, "the payment system names an amount that is none");
        let currency = schemas::money::Currency::parse(&self.currency).map_err(bad)?;
        let amount = money::minor(&self.amount, currency).map_err(bad)?;
        let mut news = News::of(&self.reference, standing).referred(self.txn_id).amount(amount, currency);
        if let Some(message) = &self.message {
            news = news.because(message);
        }
        // What was reversed was paid before, should that word have been lost.
        let paid = (standing == Standing::Returned).then(|| News { standing: Standing::Settled, ..news.clone() });
        Ok(paid.into_iter().chain([news]).collect())
    }
}

impl Upi {
    fn address(&self, end: End<'_>) -> R<&str> {
        match end {
            End::Holder => {
                let none = || Refusal::new(Code::ConfigInvalid, "upi.own has no vpa");
                self.own.vpa.as_deref().ok_or_else(none)
            }
            End::Participant(did) => {
                let account = self.accounts.of(did)?;
                account.need(did, "vpa", &account.vpa)
            }
        }
    }

    fn read(&self, value: &Value, id: &str) -> R<Vec<News>> {
        let bad = |_| Refusal::new(Code::PeerFault, "the payment system's answer is no transaction");
        let transaction = Transaction::deserialize(value).map_err(bad)?;
        if transaction.reference != id {
            return Err(Refusal::new(Code::PeerFault, "the payment system answered about another reference"));
        }
        transaction.news()
    }

    /// What the payment system says about a reference; none where it knows none.
    fn known(&self, id: &str) -> R<Option<Vec<News>>> {
        let path = self.line.at(&format!("/v1/transactions/{id}"));
        let answer = http::send(self.line.client.get(path).bearer_auth(self.token.text()))?;
        match answer.status {
            200 => self.read(&http::json(&answer)?, id).map(Some),
            404 => Ok(None),
            _ => Err(http::fault(&answer)),
        }
    }

    fn hand(&self, instruction: &Instruction) -> R<Vec<News>> {
        let (from, to) = instruction.ends();
        let path = if from == End::Holder { "/v1/pay" } else { "/v1/collect" };
        let body = json!({
            "reference": instruction.id, "payer_vpa": self.address(from)?, "payee_vpa": self.address(to)?,
            "amount": money::decimal(instruction.amount_minor, instruction.currency)?, "currency": "INR",
            "note": "DEPA",
        });
        let request = self.line.client.post(self.line.at(path)).bearer_auth(self.token.text());
        let request = request.header("content-type", "application/json").body(canonical::to_bytes(&body)?);
        let answer = http::send(request)?;
        match answer.status {
            200..=299 => self.read(&http::json(&answer)?, &instruction.id),
            // What it cannot carry out it says by 422; anything else may be different later.
            422 => {
                let said = http::json(&answer)?;
                let message = said.get("message").and_then(Value::as_str).unwrap_or("refused");
                Ok(vec![News::of(&instruction.id, Standing::Failed).because(message)])
            }
            _ => Err(http::fault(&answer)),
        }
    }
}

impl PaymentProvider for Upi {
    fn name(&self) -> &'static str {
        "upi"
    }

    fn ready(&self, instruction: &Instruction) -> R<()> {
        let (from, to) = instruction.ends();
        self.address(from)?;
        self.address(to).map(drop)
    }

    fn submit(&self, batch: &Batch) -> R<Vec<News>> {
        let mut news = Vec::new();
        for instruction in &batch.instructions {
            if instruction.currency.as_str() != "INR" {
                news.push(News::of(&instruction.id, Standing::Failed).because("UPI pays in INR alone"));
                continue;
            }
            // Handed over before, and nobody knows how that went: it is asked before anything is sent again.
            let known = if batch.again { self.known(&instruction.id)? } else { None };
            news.extend(match known {
                Some(known) => known,
                None => self.hand(instruction)?,
            });
        }
        Ok(news)
    }

    fn can_be_asked(&self) -> bool {
        true
    }

    fn ask(&self, instruction: &Instruction) -> R<Vec<News>> {
        let silent = || Refusal::new(Code::PeerFault, "the payment system knows no such transaction");
        self.known(&instruction.id)?.ok_or_else(silent)
    }

    fn hear(&self, call: &Posted, now: Timestamp) -> R<Heard> {
        let bad = |why: &str| Refusal::new(Code::SignatureInvalid, format!("call of the payment system: {why}"));
        let (at, signature) = (call.header("x-timestamp")?, call.header("x-signature")?);
        let seconds: i64 = at.parse().map_err(|_| bad("timestamp"))?;
        if now.seconds().abs_diff(seconds) > TOLERANCE.unsigned_abs() {
            return Err(bad("timestamp is more than five minutes away"));
        }
        if !mac::holds(self.secret.text(), &[at.as_bytes(), b".", &call.body].concat(), signature)? {
            return Err(bad("the signature does not hold"));
        }
        let value = canonical::parse_value(&call.body)?;
        let form = |_| Refusal::new(Code::SchemaMismatch, "call of the payment system: no transaction");
        let transaction = Transaction::deserialize(&value).map_err(form)?;
        // A call has no id of its own: the same bytes are the same call.
        let event = Digest::of(&call.body).to_string();
        Ok(Heard { event, news: transaction.news()? })
    }
}
