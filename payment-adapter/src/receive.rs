//! Messages of the contract service: checked, and kept before they are acknowledged.

use schemas::{Code, Digest, R, Refusal, Timestamp, canonical};
use serde_json::Value;
use signing::webhook::{Verifier, verify};

use crate::instruction::Instruction;
use crate::provider::Posted;
use crate::secret::Secret;
use crate::store::Store;

/// What the contract service's deliveries are checked with. Several stand side by side while a secret is changed.
#[derive(Debug)]
pub(crate) struct Checks {
    /// `whsec_…`, for v1.
    pub secrets: Vec<Secret>,
    /// `whpk_…`, for v1a.
    pub public: Vec<String>,
}

/// Takes a delivery: one signature must hold within five minutes, and each id counts once. Returns whether it is new.
/// `SIGNATURE_INVALID` where it is not genuine; then nothing of it is read.
pub(crate) fn take(store: &Store, checks: &Checks, call: &Posted, wait_until_due: bool, now: Timestamp) -> R<bool> {
    let bad = |why: &str| Refusal::new(Code::SignatureInvalid, format!("webhook: {why}"));
    let (id, at) = (call.header("webhook-id")?, call.header("webhook-timestamp")?);
    let signatures = call.header("webhook-signature")?;
    if id.is_empty() || id.len() > 128 || id.contains('.') {
        return Err(bad("id"));
    }
    let secrets = checks.secrets.iter().map(|secret| Verifier::Secret(secret.text()));
    let mut all = secrets.chain(checks.public.iter().map(|public| Verifier::Public(public)));
    let mut last = bad("nothing to check it with is configured");
    let held = all.any(|check| verify(&check, id, at, signatures, &call.body, now).map_err(|e| last = e).is_ok());
    if !held {
        return Err(last);
    }
    let body = canonical::parse_value(&call.body)?;
    let kind = body.get("type").and_then(Value::as_str).unwrap_or_default();
    let told = match (kind, body.get("data")) {
        ("payment.instructed", Some(data)) => {
            let text = String::from_utf8(canonical::to_bytes(data)?);
            Some((Instruction::read(data)?, text.map_err(|_| bad("no UTF-8"))?))
        }
        ("payment.instructed", None) => return Err(Refusal::new(Code::SchemaMismatch, "a message has data").at("data")),
        // Whatever else is told is acknowledged and is no business of ours.
        _ => None,
    };
    let told = told.as_ref().map(|(instruction, text)| (instruction, text.as_str()));
    let new = store.keep_message(id, Digest::of(&call.body), told, wait_until_due, now)?;
    if let Some((instruction, _)) = told.filter(|_| new) {
        tracing::info!(instruction.id = instruction.id, "an instruction came");
    }
    Ok(new)
}
