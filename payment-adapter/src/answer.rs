//! Answers to the contract service: signed once, kept, and sent until they are taken. The service takes the same bytes
//! any number of times and counts them once.

use contract_client::Client;
use schemas::dispute::PaymentUnmatched;
use schemas::event::PaymentCallback;
use schemas::{Code, Document, Envelope, R, Refusal, Timestamp};
use serde_json::{Value, json};
use signing::FileKey;

use crate::store::{Open, kind};

/// Whom answers go to, and who signs them.
#[derive(Debug)]
pub(crate) struct Desk {
    pub client: Client,
    pub key: std::sync::Arc<FileKey>,
    /// The registry's DID.
    pub registry: schemas::id::Did,
}

/// How the contract service took an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Taken {
    /// It stands in the log.
    Yes,
    /// It was about the way of an instruction of which the log knows more by now: old news, and no loss.
    OldNews,
    /// It will never stand there.
    Never(Code),
}

impl Desk {
    /// The signed bytes of an answer.
    pub(crate) fn sign(&self, answer: &Open, now: Timestamp) -> R<Vec<u8>> {
        match answer.kind.as_str() {
            kind::UNMATCHED => self.envelope::<PaymentUnmatched>("payment-unmatched.v1", &answer.body, now),
            _ => self.envelope::<PaymentCallback>("payment-callback.v1", &answer.body, now),
        }
    }

    fn envelope<T: Document>(&self, schema: &str, body: &Value, now: Timestamp) -> R<Vec<u8>> {
        let fault = |e: serde_json::Error| Refusal::new(Code::Internal, format!("an answer cannot be written: {e}"));
        let mut document = body.clone();
        if let Some(members) = document.as_object_mut() {
            members.insert("schema".into(), json!(schema));
            members.insert("registry".into(), json!(self.registry));
        }
        let document: T = serde_json::from_value(document).map_err(fault)?;
        serde_json::to_vec(&signing::sign(&document, &*self.key, now.whole())?).map_err(fault)
    }

    /// Sends the signed bytes of an answer. A refusal means that it is to be sent again.
    pub(crate) fn send(&self, answer: &Open, bytes: &[u8]) -> R<Taken> {
        let told = match answer.kind.as_str() {
            kind::UNMATCHED => {
                let envelope: Envelope<PaymentUnmatched> = read(bytes)?;
                self.client.payment_unmatched(&envelope).map(drop)
            }
            _ => {
                let envelope: Envelope<PaymentCallback> = read(bytes)?;
                self.client.payment_callback(&envelope).map(drop)
            }
        };
        match told {
            Ok(()) => Ok(Taken::Yes),
            Err(refusal) if answer.is_under_way() && is_final(&refusal) => Ok(Taken::OldNews),
            // The same words will not be taken later either: people look at it.
            Err(refusal) if is_final(&refusal) => Ok(Taken::Never(refusal.code)),
            Err(refusal) => Err(refusal),
        }
    }
}

/// Refusals of what an answer says: the log says otherwise, knows no such instruction, or takes no such document. Any other
/// may end: a key is registered, a suspension is lifted, a time that lies ahead comes.
fn is_final(refusal: &Refusal) -> bool {
    match refusal.code {
        Code::PaymentState | Code::PaymentUnknown | Code::WrongRegistry => true,
        Code::SchemaMismatch => refusal.field.as_deref() != Some("at"),
        _ => false,
    }
}

/// Refusals of the key that signed. What was refused so was never entered, so it may be signed anew.
pub(crate) fn is_of_the_key(code: Code) -> bool {
    matches!(code, Code::SignatureInvalid | Code::SignerUnknown | Code::KeyNotActive)
}

fn read<T: Document>(bytes: &[u8]) -> R<Envelope<T>> {
    serde_json::from_slice(bytes).map_err(|_| Refusal::new(Code::Internal, "a kept answer cannot be read"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_of_the_words_is_final_and_one_of_key_time_or_service_is_not() {
        let of = |code| Refusal::new(code, "no");
        for code in [Code::PaymentState, Code::PaymentUnknown, Code::SchemaMismatch, Code::WrongRegistry] {
            assert!(is_final(&of(code).at("reference")) && !is_of_the_key(code), "{code}");
        }
        assert!(!is_final(&of(Code::SchemaMismatch).at("at")), "clocks differ");
        for code in [Code::SignatureInvalid, Code::SignerUnknown, Code::KeyNotActive] {
            assert!(!is_final(&of(code)) && is_of_the_key(code), "{code}");
        }
        for code in [
            Code::Unavailable,
            Code::RateLimited,
            Code::PeerUnreachable,
            Code::PeerFault,
            Code::Forbidden,
            Code::NotWriter,
        ] {
            assert!(!is_final(&of(code)) && !is_of_the_key(code), "{code}");
        }
    }
}
