//! The kinds of clients that call the SCITT paths, and what each of them is told.

use ciborium::Value;
use schemas::{Code, R, Refusal};
use serde_json::json;
use signing::cbor;

use super::CBOR;
use crate::call::{Answer, Call, JSON};
use crate::error::fault;

/// Concise problem details (RFC 9290).
const PROBLEM: &str = "application/concise-problem-details+cbor";
/// First two bytes of a COSE_Sign message: tag 98.
const SIGN: [u8; 2] = [0xd8, 98];

/// Who calls.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Client {
    /// Accept names `application/scitt-*`, or an api-version is sent.
    Scrapi,
    /// Neither, and no wish for JSON.
    Pyscitt,
    /// Posts COSE_Sign, accepts JSON, or asks with `embedReceipt`.
    Ledger,
}

impl Client {
    /// Who calls, by Accept header, api-version, and the form of what was posted.
    pub fn of(call: &Call) -> Client {
        let accept = call.header("accept").unwrap_or_default();
        if accept.contains("application/scitt-") || call.query.contains_key("api-version") {
            return Client::Scrapi;
        }
        let asks = call.query.contains_key("embedReceipt") || accept.contains(JSON);
        if asks || call.body.starts_with(&SIGN) { Client::Ledger } else { Client::Pyscitt }
    }

    /// Turns a refusal into the client's own form; faults of ours stay as they are.
    pub fn told(self, answer: R<Answer>) -> R<Answer> {
        match answer {
            Err(refusal) if refusal.code.status() != 500 => self.refused(&refusal),
            other => other,
        }
    }

    fn refused(self, refusal: &Refusal) -> R<Answer> {
        let status = refusal.code.status();
        let answer = match self {
            Client::Ledger => {
                let error = json!({"error": {"code": odata(refusal.code), "message": refusal.sentence}});
                Answer::json(status, &error)?
            }
            Client::Scrapi | Client::Pyscitt => Answer::of(status, PROBLEM, "no-store", problem(refusal)?),
        };
        Ok(if status == 503 { answer.with("retry-after", "1") } else { answer })
    }
}

/// -1 the title, our code; -2 the detail.
fn problem(refusal: &Refusal) -> R<Vec<u8>> {
    let text = |text: &str| Value::Text(text.to_owned());
    let title = (Value::from(-1), text(refusal.code.as_str()));
    cbor::write(&Value::Map(vec![title, (Value::from(-2), text(&refusal.sentence))]))
}

/// The words of the contract ledger's errors.
fn odata(code: Code) -> &'static str {
    match code {
        Code::BodyTooLarge => "PayloadTooLarge",
        Code::NotFound => "NotFound",
        Code::DidUnresolved => "DIDResolutionError",
        other if other.status() == 503 => "TransactionNotCached",
        _ => "InvalidInput",
    }
}

/// A CBOR map with text keys and values.
pub fn words(status: u16, members: &[(&str, &str)]) -> R<Answer> {
    let text = |text: &str| Value::Text(text.to_owned());
    let map = members.iter().map(|(name, value)| (text(name), text(value))).collect();
    Ok(Answer::of(status, CBOR, "no-store", cbor::write(&Value::Map(map)).map_err(fault)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(accept: &str, query: &[(&str, &str)], body: &[u8]) -> Call {
        let query = query.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Call { headers: [("accept", accept.to_owned())].into(), query, body: body.to_vec(), ..Call::default() }
    }

    #[test]
    fn clients_are_told_apart() {
        let sign1: &[u8] = &[0xd2, 0x84];
        assert_eq!(Client::of(&call("*/*", &[], sign1)), Client::Pyscitt);
        assert_eq!(Client::of(&Call::default()), Client::Pyscitt);
        assert_eq!(Client::of(&call("application/scitt-receipt+cose", &[], sign1)), Client::Scrapi);
        assert_eq!(Client::of(&call("*/*", &[("api-version", "2026-03-26")], sign1)), Client::Scrapi);
        assert_eq!(Client::of(&call("*/*", &[], &[0xd8, 98, 0x84])), Client::Ledger);
        assert_eq!(Client::of(&call("application/json", &[], sign1)), Client::Ledger);
        assert_eq!(Client::of(&call("*/*", &[("embedReceipt", "true")], &[])), Client::Ledger);
    }

    #[test]
    fn each_is_refused_in_its_own_words() {
        let refusal = || Err(Refusal::new(Code::NotFound, "no such entry"));
        let cbor = Client::Pyscitt.told(refusal()).unwrap();
        assert_eq!((cbor.status, cbor.media), (404, PROBLEM));
        let read: Value = ciborium::from_reader(cbor.body.as_slice()).unwrap();
        assert_eq!(read.as_map().unwrap()[0], (Value::from(-1), Value::Text("NOT_FOUND".into())));
        assert_eq!(read.as_map().unwrap()[1], (Value::from(-2), Value::Text("no such entry".into())));
        let json = Client::Ledger.told(refusal()).unwrap();
        let read: serde_json::Value = serde_json::from_slice(&json.body).unwrap();
        assert_eq!(read, json!({"error": {"code": "NotFound", "message": "no such entry"}}));
        assert!(Client::Scrapi.told(Err(fault("disk"))).is_err(), "a fault keeps its reference number");
    }
}
