//! Signatures checked ahead of the fold, on all cores.
//!
//! Whether a key counts is decided by the state just before an entry, and states are made one after the other; the
//! arithmetic of a signature needs only the key itself, which its thumbprint names. So a worker verifies an entry with
//! the keys that stand anywhere before it and notes every key it was given; the fold then asks the state of that moment
//! for the same keys. Same answers, same result; any other answer, and the entry is verified anew with that state.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use policies::lifecycle::State;
use schemas::envelope::{Proposed, Usage, Verified};
use schemas::event::Body;
use schemas::id::{Did, KeyId};
use schemas::jwk::Jwk;
use schemas::{Digest, KeyBook, R};

use super::line::Brings;

/// Keys by thumbprint and payloads by digest of all entries so far, whether they count or not.
#[derive(Default)]
pub struct Known {
    keys: RwLock<HashMap<String, Jwk>>,
    proposed: RwLock<HashMap<Digest, Vec<u8>>>,
}

impl Known {
    /// Adds what an entry brings.
    pub fn learn(&self, brings: Brings) {
        if !brings.keys.is_empty() {
            self.keys.write().unwrap_or_else(PoisonError::into_inner).extend(brings.keys);
        }
        if let Some((sha256, payload)) = brings.proposed {
            self.proposed.write().unwrap_or_else(PoisonError::into_inner).insert(sha256, payload);
        }
    }
}

/// An entry's body whose signatures hold, if the state gives the same keys and payloads.
pub struct Checked {
    body: Verified<Body>,
    keys: Vec<(KeyId, Usage, Jwk)>,
    proposed: Vec<(Digest, Vec<u8>)>,
}

/// Verifies a body with what is known. `None` where something is missing or does not hold: the fold tells why.
pub fn check(body: &Body, registry: &Did, known: &Known) -> Option<Checked> {
    let book = Recorder { known, given: RefCell::default() };
    let proposed = RefCell::new(Vec::new());
    let find = |sha256: &Digest| {
        let payload = known.proposed.read().unwrap_or_else(PoisonError::into_inner).get(sha256).cloned()?;
        proposed.borrow_mut().push((*sha256, payload.clone()));
        Some(Proposed::unread(payload))
    };
    let body = signing::verify_body(body.clone(), registry, &book, &find).ok()?;
    Some(Checked { body, keys: book.given.into_inner(), proposed: proposed.into_inner() })
}

/// The body as verified under this state, with the number of keys that were asked for: of the early check where the
/// state gives what that was given, of a fresh one otherwise.
pub fn settle(checked: Option<Checked>, body: &Body, registry: &Did, state: &State) -> R<(Verified<Body>, u64)> {
    if let Some(checked) = checked {
        let same = checked.keys.iter().all(|(kid, usage, jwk)| state.key(kid, *usage).as_ref() == Some(jwk))
            && checked
                .proposed
                .iter()
                .all(|(sha256, payload)| state.proposed_payload(sha256).is_some_and(|p| p.payload.0 == *payload));
        if same {
            return Ok((checked.body, checked.keys.len() as u64));
        }
    }
    let asked = RefCell::new(0);
    let book = Counter { state, asked: &asked };
    let verified =
        signing::verify_body(body.clone(), registry, &book, &|sha256: &Digest| state.proposed_payload(sha256))?;
    Ok((verified, asked.into_inner()))
}

struct Recorder<'a> {
    known: &'a Known,
    given: RefCell<Vec<(KeyId, Usage, Jwk)>>,
}

impl KeyBook for Recorder<'_> {
    fn key(&self, kid: &KeyId, usage: Usage) -> Option<Jwk> {
        let jwk = self.known.keys.read().unwrap_or_else(PoisonError::into_inner).get(&kid.thumbprint).cloned()?;
        self.given.borrow_mut().push((kid.clone(), usage, jwk.clone()));
        Some(jwk)
    }
}

struct Counter<'a> {
    state: &'a State,
    asked: &'a RefCell<u64>,
}

impl KeyBook for Counter<'_> {
    fn key(&self, kid: &KeyId, usage: Usage) -> Option<Jwk> {
        *self.asked.borrow_mut() += 1;
        self.state.key(kid, usage)
    }
}
