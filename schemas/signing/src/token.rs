//! Access tokens: private_key_jwt assertions (RFC 7523) in, ten-minute tokens (RFC 9068 shape) out, bearer or DPoP-bound.
//!
//! Compact JWS of our own strict form. `typ` keeps them apart from documents, which carry `cty` and no `typ`.

use schemas::canonical;
use schemas::envelope::Usage;
use schemas::id::{Did, KeyId};
use schemas::jwk::Jwk;
use schemas::text::Bytes;
use schemas::{Code, KeyBook, R, Refusal, Signer, Timestamp};
use serde::{Deserialize, Serialize};

use crate::check;
use crate::header::Header;

/// Seconds an access token lives.
pub const ACCESS_SECONDS: i64 = 600;
/// The longest an assertion may live.
pub const ASSERTION_SECONDS: i64 = 120;
const TYP_ASSERTION: &str = "client-authentication+jwt";
const TYP_ACCESS: &str = "at+jwt";

/// What the holder of a token must prove.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Confirmation {
    /// RFC 7638 thumbprint of the key that signs DPoP proofs.
    pub jkt: String,
}

/// The claims of both kinds of token.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claims {
    /// Base URL of the service.
    pub aud: String,
    /// Thumbprint of the subject's own key with which an access token was asked for: the token ends with that key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_key: Option<String>,
    /// The key to which an access token is bound (RFC 9449 6.1); a bearer token has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cnf: Option<Confirmation>,
    /// Not accepted from here on, seconds since the epoch.
    pub exp: i64,
    /// When it was made.
    pub iat: i64,
    /// Who made it.
    pub iss: Did,
    /// Unique.
    pub jti: String,
    /// Whom it is about.
    pub sub: Did,
}

impl Claims {
    /// The subject's key with which the token was asked for. Refused with `UNAUTHENTICATED` where the token names none.
    pub fn client(&self) -> R<KeyId> {
        let key = self.client_key.as_ref().ok_or_else(|| bad("names no key of its holder; ask for a new one"))?;
        Ok(KeyId::new(&self.sub, key))
    }
}

fn bad(why: &str) -> Refusal {
    Refusal::new(Code::Unauthenticated, format!("token: {why}"))
}

fn make(claims: &Claims, typ: &str, signer: &dyn Signer) -> R<String> {
    let header = Header::part(typ, signer)?;
    let payload = Bytes(canonical::to_bytes(claims)?).text();
    let input = format!("{header}.{payload}");
    let sig = Bytes(signer.sign_bytes(input.as_bytes())?.to_vec()).text();
    Ok(format!("{input}.{sig}"))
}

fn read(token: &str, typ: &str, key: &dyn Fn(&KeyId) -> Option<Jwk>) -> R<(KeyId, Claims)> {
    if token.len() > 4096 {
        return Err(bad("too long"));
    }
    let parts: Vec<&str> = token.split('.').collect();
    let &[header, payload, sig] = parts.as_slice() else {
        return Err(bad("three parts are expected"));
    };
    let bytes = |t: &str| Bytes::parse(t).map_err(|_| bad("base64url"));
    let head: Header = canonical::parse_canonical(&bytes(header)?.0).map_err(|_| bad("header"))?;
    if head.typ != typ || head.alg != "EdDSA" {
        return Err(bad("of another type"));
    }
    let jwk =
        key(&head.kid).filter(|k| k.thumbprint() == head.kid.thumbprint).ok_or_else(|| bad("key is not known"))?;
    let input = format!("{header}.{payload}");
    check::verify_strict(&jwk, input.as_bytes(), &bytes(sig)?.0).map_err(|_| bad("signature"))?;
    let claims: Claims = canonical::parse_canonical(&bytes(payload)?.0).map_err(|_| bad("claims"))?;
    Ok((head.kid, claims))
}

fn timely(claims: &Claims, aud: &str, now: Timestamp, longest: i64) -> R<()> {
    if claims.aud != aud {
        return Err(bad("for another audience"));
    }
    if claims.exp <= now.seconds() {
        return Err(bad("expired; ask for a new one"));
    }
    if claims.iat > now.seconds() + 30 || claims.exp - claims.iat > longest {
        return Err(bad("lives too long"));
    }
    Ok(())
}

/// A client's assertion towards a service; `jti` is random and used once.
pub fn assertion(signer: &dyn Signer, aud: &str, jti: String, now: Timestamp) -> R<String> {
    let did = Did::parse(&signer.kid().holder)?;
    let iat = now.seconds();
    let exp = iat + ASSERTION_SECONDS;
    let claims = Claims { aud: aud.into(), client_key: None, cnf: None, exp, iat, iss: did.clone(), jti, sub: did };
    make(&claims, TYP_ASSERTION, signer)
}

/// Checks an assertion; the caller then consumes its `jti`. The claims name the key that signed it ([`Claims::client`]).
pub fn check_assertion(token: &str, aud: &str, book: &dyn KeyBook, now: Timestamp) -> R<Claims> {
    let (kid, mut claims) = read(token, TYP_ASSERTION, &|kid| book.key(kid, Usage::Party))?;
    let bound = claims.cnf.is_some() || claims.client_key.is_some();
    if kid.holder != claims.iss.as_str()
        || claims.sub != claims.iss
        || bound
        || claims.jti.len() < 16
        || claims.jti.len() > 64
    {
        return Err(bad("issuer, subject or id"));
    }
    timely(&claims, aud, now, ASSERTION_SECONDS)?;
    claims.client_key = Some(kid.thumbprint);
    Ok(claims)
}

/// An access token of the service for the holder of the key `client`, which signed the assertion; with `cnf`, the
/// thumbprint of a DPoP key, it is bound to that key.
pub fn access(
    signer: &dyn Signer,
    aud: &str,
    client: &KeyId,
    jti: String,
    now: Timestamp,
    cnf: Option<String>,
) -> R<String> {
    let iat = now.seconds();
    let iss = Did::parse(&signer.kid().holder)?;
    let (exp, cnf) = (iat + ACCESS_SECONDS, cnf.map(|jkt| Confirmation { jkt }));
    let (sub, client_key) = (Did::parse(&client.holder)?, Some(client.thumbprint.clone()));
    let claims = Claims { aud: aud.into(), client_key, cnf, exp, iat, iss, jti, sub };
    make(&claims, TYP_ACCESS, signer)
}

/// Checks an access token that this service issued. Where it has a `cnf`, the caller also asks [`crate::dpop::bound`].
pub fn check_access(token: &str, aud: &str, issuer: &KeyId, jwk: &Jwk, now: Timestamp) -> R<Claims> {
    let (kid, claims) = read(token, TYP_ACCESS, &|kid| (kid == issuer).then(|| jwk.clone()))?;
    if kid.holder != claims.iss.as_str() {
        return Err(bad("issuer"));
    }
    timely(&claims, aud, now, ACCESS_SECONDS)?;
    Ok(claims)
}
