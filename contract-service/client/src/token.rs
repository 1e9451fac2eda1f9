//! Access tokens: asked for with the caller's own key, kept until shortly before they end; bound to a key of their own
//! (DPoP) where the service wants that.

use std::sync::{Arc, PoisonError};

use schemas::desk::{TokenAnswer, TokenRequest};
use schemas::text::Bytes;
use schemas::{Code, R, Refusal, Timestamp};
use signing::FileKey;

use crate::http::{Call, Client, read};

/// A token and the time from which it is not used any more.
#[derive(Clone)]
pub(crate) struct Cached {
    access: Access,
    until: Timestamp,
}

/// What a call shows.
#[derive(Clone)]
pub(crate) struct Access {
    token: String,
    /// The key that the token is bound to (RFC 9449), where it is.
    bound: Option<Arc<FileKey>>,
}

/// What is kept between calls.
#[derive(Default)]
pub(crate) struct Kept {
    cached: Option<Cached>,
    /// Whether the service wants tokens that are bound to a key.
    bind: bool,
}

/// Seconds before its end at which a token is replaced.
const MARGIN: i64 = 30;
const ATTEMPTS: u32 = 3;

impl Client {
    /// Asks for a token, where none is kept: whether the key of whom the client acts for counts for its holder there.
    pub fn sign_in(&self) -> R<()> {
        self.access().map(drop)
    }

    /// The cached token, or a fresh one.
    pub(crate) fn access(&self) -> R<Access> {
        let now = (self.inner.clock)();
        let mut kept = self.kept();
        if let Some(known) = kept.cached.as_ref().filter(|c| now < c.until) {
            return Ok(known.access.clone());
        }
        let key = if kept.bind { Some(Arc::new(FileKey::generate()?)) } else { None };
        let (fresh, bound) = match self.fetch_token(key.as_deref()) {
            Err(refusal) if refusal.code == Code::DpopInvalid && key.is_none() => {
                kept.bind = true;
                let key = Arc::new(FileKey::generate()?);
                (self.fetch_token(Some(&key))?, Some(key))
            }
            other => (other?, key),
        };
        let access = Access { token: fresh.access_token, bound };
        kept.cached = Some(Cached { access: access.clone(), until: now.plus_seconds(fresh.expires_in - MARGIN) });
        Ok(access)
    }

    /// Drops the cached token, which the service does not take any more; the next one is bound to a key if `bind`.
    pub(crate) fn forget_token(&self, bind: bool) {
        let mut kept = self.kept();
        kept.cached = None;
        kept.bind |= bind;
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.inner.token.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The headers that show a token: alone, or with a fresh proof of the key that it is bound to.
    pub(crate) fn access_headers(&self, access: &Access, call: &Call) -> R<Vec<(String, String)>> {
        let Some(key) = &access.bound else {
            return Ok(vec![("authorization".into(), format!("Bearer {}", access.token))]);
        };
        let proof = self.proof(key, call, Some(&access.token))?;
        Ok(vec![("authorization".into(), format!("DPoP {}", access.token)), ("dpop".into(), proof)])
    }

    /// A proof of possession for one call (RFC 9449 4.2).
    fn proof(&self, key: &FileKey, call: &Call, token: Option<&str>) -> R<String> {
        let url = format!("{}{}", self.inner.base, call.path.split('?').next().unwrap_or_default());
        let jti = Bytes(signing::signer::random::<24>()?.to_vec()).text();
        signing::dpop::proof(key, call.method.as_str(), &url, token, jti, (self.inner.clock)())
    }

    /// Asks for a token, bound to a key where one is given. An assertion counts once, so every attempt makes its own.
    fn fetch_token(&self, bind: Option<&FileKey>) -> R<TokenAnswer> {
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
            let proof = bind.map(|key| self.proof(key, &call, None)).transpose()?;
            match self.attempt_with(&call, "", proof.map(|p| ("dpop".into(), p)).into_iter().collect(), attempt) {
                Err(failure) if failure.refusal.code == Code::PeerUnreachable && attempt < ATTEMPTS => attempt += 1,
                other => return read(other.map_err(|f| f.refusal)?),
            }
        }
    }
}
