//! Proofs of possession (RFC 9449): a token that is bound to a key counts only beside a fresh proof by that key.

use std::collections::HashMap;
use std::sync::Mutex;

use schemas::{Code, Digest, R, Refusal, Timestamp};
use signing::dpop::{self, DpopProof, PROOF_SECONDS};

use super::verified::Holder;
use crate::app::App;
use crate::call::Call;
use crate::serve::Verb;

/// Proofs remembered at a time; more at once are turned away, since a forgotten proof could count twice.
const MOST: usize = 262_144;
/// Seconds for which a proof is remembered: its age and the clocks' difference, twice.
const REMEMBERED: i64 = 2 * PROOF_SECONDS;

/// Ids of proofs that were used.
#[derive(Default)]
pub struct Used(Mutex<HashMap<Digest, i64>>);

impl Used {
    /// Uses up a proof.
    fn once(&self, proof: &DpopProof, now: Timestamp) -> R<()> {
        let id = Digest::of_parts(&[proof.jkt.as_bytes(), b"\n", proof.jti.as_bytes()]);
        let mut used = self.0.lock().unwrap_or_else(|e| e.into_inner());
        if used.len() >= MOST {
            used.retain(|_, until| now.seconds() < *until);
        }
        if used.len() >= MOST {
            return Err(Refusal::new(Code::RateLimited, "too many proofs at once; come again in a moment"));
        }
        match used.insert(id, now.seconds() + REMEMBERED) {
            Some(until) if now.seconds() < until => {
                Err(Refusal::new(Code::DpopInvalid, "this DPoP proof was used already; make one for each call"))
            }
            _ => Ok(()),
        }
    }
}

/// The thumbprint of the key to which a token is to be bound: of the proof that came with the request for it. None
/// where none came and tokens may be unbound.
pub fn asked(app: &App, call: &Call) -> R<Option<String>> {
    match proof(app, call, Verb::Post, None)? {
        Some(proof) => Ok(Some(proof.jkt)),
        None if app.config.bound_tokens_only() => {
            Err(Refusal::new(Code::DpopInvalid, "tokens are bound to a key here: send a DPoP proof with the request"))
        }
        None => Ok(None),
    }
}

/// Checks the proof that comes with a call under a bound token; an unbound token needs none, unless only bound tokens
/// count here.
pub fn check(app: &App, call: &Call, verb: Verb, holder: &Holder) -> R<()> {
    let refused = |why: &str| Err(Refusal::new(Code::DpopInvalid, why.to_owned()));
    let Some(jkt) = &holder.jkt else {
        if call.dpop || app.config.bound_tokens_only() {
            return refused("the token is not bound to a key; ask for one with a DPoP proof");
        }
        return Ok(());
    };
    if !call.dpop {
        return refused("the token is bound to a key; send it as Authorization: DPoP, with a proof");
    }
    match proof(app, call, verb, call.bearer.as_deref())? {
        Some(proof) if proof.jkt == *jkt => Ok(()),
        Some(_) => refused("the proof is by another key than the token's"),
        None => refused("the token is bound to a key; send a proof"),
    }
}

/// The proof in a call, used up.
fn proof(app: &App, call: &Call, verb: Verb, token: Option<&str>) -> R<Option<DpopProof>> {
    let Some(text) = call.header("dpop") else {
        return Ok(None);
    };
    let method = if call.head { "HEAD" } else { verb.name() };
    let proof = dpop::check(text, method, &format!("{}{}", app.url(), call.path), token, app.now())?;
    app.proofs.once(&proof, app.now())?;
    Ok(Some(proof))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_counts_once_for_its_key() {
        let (used, at) = (Used::default(), |seconds| Timestamp::from_seconds(seconds));
        let proof = |jkt: &str| DpopProof { jkt: jkt.into(), jti: "0123456789abcdef".into() };
        used.once(&proof("a"), at(0)).unwrap();
        assert_eq!(used.once(&proof("a"), at(REMEMBERED - 1)).unwrap_err().code, Code::DpopInvalid);
        used.once(&proof("b"), at(0)).unwrap();
    }
}
