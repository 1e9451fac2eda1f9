//! Access tokens: asked for with the caller's own key, kept until shortly before they end.

use schemas::desk::{TokenAnswer, TokenRequest};
use schemas::text::Bytes;
use schemas::{Code, R, Refusal, Timestamp};

use crate::http::{Client, read};

/// A token and the time from which it is not used any more.
#[derive(Clone)]
pub(crate) struct Cached {
    token: String,
    until: Timestamp,
}

/// Seconds before its end at which a token is replaced.
const MARGIN: i64 = 30;
const ATTEMPTS: u32 = 3;

impl Client {
    /// The cached token, or a fresh one.
    pub(crate) fn bearer(&self) -> R<String> {
        let now = (self.inner.clock)();
        let mut cached = self.inner.token.lock().unwrap_or_else(|e| e.into_inner());
        if let Some(known) = cached.as_ref().filter(|c| now < c.until) {
            return Ok(known.token.clone());
        }
        let fresh = self.fetch_token()?;
        let token = fresh.access_token.clone();
        *cached = Some(Cached { token: fresh.access_token, until: now.plus_seconds(fresh.expires_in - MARGIN) });
        Ok(token)
    }

    /// Drops the cached token, which the service does not take any more.
    pub(crate) fn forget_token(&self) {
        *self.inner.token.lock().unwrap_or_else(|e| e.into_inner()) = None;
    }

    /// Asks for a token. An assertion counts once, so every attempt makes its own.
    fn fetch_token(&self) -> R<TokenAnswer> {
        let no_key = || Refusal::new(Code::Unauthenticated, "this call needs a key to act for; see Client::acting_for");
        let signer = self.inner.signer.as_ref().ok_or_else(no_key)?;
        let mut attempt = 1;
        loop {
            let jti = Bytes(signing::signer::random::<24>()?.to_vec()).text();
            let request = TokenRequest {
                grant_type: "client_credentials".into(),
                client_assertion_type: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer".into(),
                client_assertion: signing::token::assertion(signer.as_ref(), self.url(), jti, (self.inner.clock)())?,
            };
            let call = self.posted("/oauth/token", &request, false)?;
            match self.attempt(&call, "", None, attempt) {
                Err(refusal) if refusal.code == Code::PeerUnreachable && attempt < ATTEMPTS => attempt += 1,
                other => return read(other?),
            }
        }
    }
}
