//! DPoP (RFC 9449): a proof, made anew for each call, that the caller holds the key to which its token is bound.

use schemas::canonical;
use schemas::jwk::Jwk;
use schemas::text::Bytes;
use schemas::{Code, Digest, R, Refusal, Signer, Timestamp};
use serde::{Deserialize, Serialize};

use crate::check::{self, Alg};
use crate::token::Claims as TokenClaims;

/// Seconds that a proof is good for.
pub const PROOF_SECONDS: i64 = 60;
/// Seconds by which the caller's clock may be ahead.
const SKEW: i64 = 30;
const TYP: &str = "dpop+jwt";
/// The longest proof: that of an RSA key of 4096 bits.
const MAX_PROOF: usize = 8192;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: String,
    jwk: Jwk,
    typ: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Claims {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ath: Option<String>,
    htm: String,
    htu: String,
    iat: i64,
    jti: String,
}

/// A proof that holds. The caller then consumes its `jti`, which counts once per key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DpopProof {
    /// RFC 7638 thumbprint of the key that made it.
    pub jkt: String,
    /// Its id.
    pub jti: String,
}

fn bad(why: &str) -> Refusal {
    Refusal::new(Code::DpopInvalid, format!("DPoP proof: {why}"))
}

/// A URL without query and fragment.
fn target(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or_default()
}

/// SHA-256 of an access token, base64url.
fn token_hash(token: &str) -> String {
    Bytes(Digest::of(token.as_bytes()).0.to_vec()).text()
}

/// A proof for one call; with an access token it is bound to that token too. `jti` is random and used once.
pub fn proof(
    signer: &dyn Signer,
    method: &str,
    url: &str,
    access_token: Option<&str>,
    jti: String,
    now: Timestamp,
) -> R<String> {
    let header = Header { alg: "EdDSA".into(), jwk: signer.jwk().clone(), typ: TYP.into() };
    let ath = access_token.map(token_hash);
    let claims = Claims { ath, htm: method.into(), htu: target(url).into(), iat: now.seconds(), jti };
    let part = |bytes: Vec<u8>| Bytes(bytes).text();
    let input = format!("{}.{}", part(canonical::to_bytes(&header)?), part(canonical::to_bytes(&claims)?));
    let sig = part(signer.sign_bytes(input.as_bytes())?.to_vec());
    Ok(format!("{input}.{sig}"))
}

/// Checks a proof for a call of `method` on `url` at `now`: its own key's signature, type, method, URL without query, age,
/// and the access token, which it must name exactly where the call carries one. `DPOP_INVALID` for everything else.
pub fn check(proof: &str, method: &str, url: &str, access_token: Option<&str>, now: Timestamp) -> R<DpopProof> {
    if proof.len() > MAX_PROOF {
        return Err(bad("too long"));
    }
    let parts: Vec<&str> = proof.split('.').collect();
    let &[header, payload, sig] = parts.as_slice() else {
        return Err(bad("three parts are expected"));
    };
    let bytes = |text: &str| Bytes::parse(text).map_err(|_| bad("base64url"));
    let head: Header = canonical::parse(&bytes(header)?.0).map_err(|_| bad("header"))?;
    let claims: Claims = canonical::parse(&bytes(payload)?.0).map_err(|_| bad("claims"))?;
    if head.typ != TYP {
        return Err(bad("of another type"));
    }
    let alg = Alg::of_jws(&head.alg).map_err(|_| bad("algorithm"))?;
    let input = format!("{header}.{payload}");
    check::verify(&head.jwk, alg, input.as_bytes(), &bytes(sig)?.0).map_err(|_| bad("key or signature"))?;
    if claims.htm != method || claims.htu != target(url) {
        return Err(bad("for another call"));
    }
    let age = now.seconds().saturating_sub(claims.iat);
    if !(-SKEW..=PROOF_SECONDS).contains(&age) {
        return Err(bad("too old or from the future; make one for each call"));
    }
    if !(16..=64).contains(&claims.jti.len()) {
        return Err(bad("id of 16 to 64 characters"));
    }
    if claims.ath != access_token.map(token_hash) {
        return Err(bad("for another access token"));
    }
    Ok(DpopProof { jkt: head.jwk.thumbprint(), jti: claims.jti })
}

/// Requires that token and proof belong together: a bound token comes with a proof of its key, a bearer token with none.
pub fn bound(claims: &TokenClaims, proof: Option<&DpopProof>) -> R<()> {
    match (&claims.cnf, proof) {
        (None, None) => Ok(()),
        (Some(cnf), Some(proof)) if cnf.jkt == proof.jkt => Ok(()),
        (Some(_), None) => Err(bad("the token is bound to a key; send a proof")),
        (Some(_), Some(_)) => Err(bad("made by another key than the token's")),
        (None, Some(_)) => Err(bad("the token is not bound to a key")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FileKey, token};

    const URL: &str = "https://sro.example/v1/contracts";

    fn now() -> Timestamp {
        Timestamp::from_seconds(1_800_000_000)
    }

    #[test]
    fn a_proof_holds_for_its_call_only() {
        let key = FileKey::generate().unwrap();
        let jti = || "0123456789abcdef".to_owned();
        let made = proof(&key, "GET", &format!("{URL}?cursor=x#y"), Some("token"), jti(), now()).unwrap();
        let good = check(&made, "GET", &format!("{URL}?limit=1"), Some("token"), now()).unwrap();
        assert_eq!(good, DpopProof { jkt: key.jwk().thumbprint(), jti: jti() });
        let free = proof(&key, "POST", URL, None, jti(), now()).unwrap();
        check(&free, "POST", URL, None, now()).unwrap();
        let later = |s| now().plus_seconds(s);
        let other = format!("{URL}/x");
        let refused = [
            check(&made, "POST", URL, Some("token"), now()),
            check(&made, "GET", &other, Some("token"), now()),
            check(&made, "GET", URL, Some("other"), now()),
            check(&made, "GET", URL, None, now()),
            check(&free, "POST", URL, Some("token"), now()),
            check(&made, "GET", URL, Some("token"), later(61)),
            check(&made, "GET", URL, Some("token"), later(-31)),
            check(&proof(&key, "GET", URL, None, "short".into(), now()).unwrap(), "GET", URL, None, now()),
            check(&format!("{made}A"), "GET", URL, Some("token"), now()),
            check(&format!("{made}.{made}"), "GET", URL, Some("token"), now()),
            check(&"x".repeat(MAX_PROOF + 1), "GET", URL, Some("token"), now()),
        ];
        for refusal in refused {
            assert_eq!(refusal.unwrap_err().code, Code::DpopInvalid);
        }
        check(&made, "GET", URL, Some("token"), later(60)).unwrap();
    }

    #[test]
    fn headers_of_another_making_are_refused() {
        let key = FileKey::generate().unwrap();
        let jwk = serde_json::to_string(key.jwk()).unwrap();
        let claims = format!(r#"{{"htm":"GET","htu":"{URL}","iat":1800000000,"jti":"0123456789abcdef"}}"#);
        let with = |header: String| {
            let input = format!("{}.{}", Bytes(header.into_bytes()).text(), Bytes(claims.clone().into_bytes()).text());
            let sig = Bytes(key.sign_bytes(input.as_bytes()).unwrap().to_vec()).text();
            check(&format!("{input}.{sig}"), "GET", URL, None, now())
        };
        with(format!(r#"{{"alg":"EdDSA","jwk":{jwk},"typ":"dpop+jwt"}}"#)).unwrap();
        for header in [
            format!(r#"{{"alg":"none","jwk":{jwk},"typ":"dpop+jwt"}}"#),
            format!(r#"{{"alg":"HS256","jwk":{jwk},"typ":"dpop+jwt"}}"#),
            format!(r#"{{"alg":"ES256","jwk":{jwk},"typ":"dpop+jwt"}}"#),
            format!(r#"{{"alg":"EdDSA","jwk":{jwk},"typ":"at+jwt"}}"#),
            format!(r#"{{"alg":"EdDSA","crit":["b64"],"jwk":{jwk},"typ":"dpop+jwt"}}"#),
            format!(r#"{{"alg":"EdDSA","alg":"EdDSA","jwk":{jwk},"typ":"dpop+jwt"}}"#),
            r#"{"alg":"EdDSA","typ":"dpop+jwt"}"#.to_owned(),
            r#"{"alg":"EdDSA","jwk":{"crv":"Ed25519","kty":"OKP","x":"AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"},"typ":"dpop+jwt"}"#.to_owned(),
        ] {
            assert_eq!(with(header.clone()).unwrap_err().code, Code::DpopInvalid, "{header}");
        }
    }

    #[test]
    fn bound_tokens_need_their_key_and_bearer_tokens_stay() {
        let (service, client, thief) =
            (FileKey::generate().unwrap(), FileKey::generate().unwrap(), FileKey::generate().unwrap());
        let claims = |cnf: Option<String>| {
            let text = token::access(&service, URL, client.kid(), "jti".into(), now(), cnf).unwrap();
            token::check_access(&text, URL, service.kid(), service.jwk(), now()).unwrap()
        };
        let by = |key: &FileKey| DpopProof { jkt: key.jwk().thumbprint(), jti: "0123456789abcdef".into() };
        let (bearer, tied) = (claims(None), claims(Some(client.jwk().thumbprint())));
        bound(&bearer, None).unwrap();
        bound(&tied, Some(&by(&client))).unwrap();
        for (claims, proof) in [(&tied, None), (&tied, Some(by(&thief))), (&bearer, Some(by(&client)))] {
            assert_eq!(bound(claims, proof.as_ref()).unwrap_err().code, Code::DpopInvalid);
        }
    }
}
