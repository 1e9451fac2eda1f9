//! Tokens that were verified already: a signature is checked once in a token's life, its holder at every call.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};

use schemas::id::{Did, KeyId};
use schemas::{Digest, Timestamp};

/// Tokens remembered at a time.
const MOST: usize = 16_384;

/// Whose a token is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Holder {
    /// Who.
    pub did: Did,
    /// Not accepted from here on, seconds since the epoch.
    pub until: i64,
    /// Thumbprint of the key that it is bound to.
    pub jkt: Option<String>,
    /// The holder's own key with which it was asked for.
    pub client: KeyId,
}

/// The memory. Keeps digests of tokens, not tokens.
#[derive(Default)]
pub struct Verified(Mutex<HashMap<Digest, Holder>>);

impl Verified {
    fn inside(&self) -> MutexGuard<'_, HashMap<Digest, Holder>> {
        self.0.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// The holder of a token that was verified and has not expired.
    pub fn holder(&self, token: &str, now: Timestamp) -> Option<Holder> {
        let key = Digest::of(token.as_bytes());
        self.inside().get(&key).filter(|holder| now.seconds() < holder.until).cloned()
    }

    /// Remembers a token. When there is no room even without the expired ones, all are forgotten: each is verified once
    /// more.
    pub fn remember(&self, token: &str, holder: Holder, now: Timestamp) {
        let mut inside = self.inside();
        if inside.len() >= MOST {
            inside.retain(|_, holder| now.seconds() < holder.until);
        }
        if inside.len() >= MOST {
            inside.clear();
        }
        inside.insert(Digest::of(token.as_bytes()), holder);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_known_until_it_expires() {
        let at = |seconds| Timestamp::from_seconds(seconds);
        let holder = Holder {
            did: Did::parse("did:web:a.example").unwrap(),
            until: 100,
            jkt: None,
            client: KeyId::new("did:web:a.example", "k"),
        };
        let known = Verified::default();
        known.remember("t", holder.clone(), at(1));
        assert_eq!(known.holder("t", at(99)), Some(holder));
        assert_eq!((known.holder("t", at(100)), known.holder("u", at(1))), (None, None));
    }

    #[test]
    fn the_memory_is_bounded() {
        let known = Verified::default();
        for n in 0..=MOST {
            let holder = Holder {
                did: Did::parse("did:web:a.example").unwrap(),
                until: 100,
                jkt: None,
                client: KeyId::new("did:web:a.example", "k"),
            };
            known.remember(&n.to_string(), holder, Timestamp::from_seconds(1));
        }
        assert!(known.inside().len() <= MOST && known.holder(&MOST.to_string(), Timestamp::from_seconds(1)).is_some());
    }
}
