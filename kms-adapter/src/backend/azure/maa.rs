//! Tokens of Microsoft Azure Attestation that a room brings: read here, judged by [`policies::second_gate`], then shown to
//! the vault, which judges them again by its own policy.
//!
//! The keys of the instance are a file, a JWK set as it answers under `/certs`: no call leaves this service for it.

use std::path::Path;

use azure_core::base64;
use openssl::bn::BigNum;
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Public};
use openssl::rsa::Rsa;
use openssl::sign::Verifier;
use openssl::x509::X509;
use policies::second_gate::{RoomToken, room_token};
use schemas::release::MOST_TOKEN;
use schemas::{Code, Digest, R, Refusal};
use serde::Deserialize;

use crate::backend::Caller;

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: String,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    nbf: i64,
    exp: i64,
    #[serde(rename = "x-ms-isolation-tee")]
    tee: Tee,
}

#[derive(Deserialize)]
struct Tee {
    #[serde(rename = "x-ms-runtime")]
    runtime: Runtime,
}

/// The runtime data of the HCL report, as the instance repeats it.
#[derive(Deserialize)]
struct Runtime {
    #[serde(rename = "user-data")]
    user_data: String,
    keys: Vec<Jwk>,
}

#[derive(Deserialize)]
struct Keys {
    keys: Vec<Jwk>,
}

#[derive(Deserialize)]
struct Jwk {
    #[serde(default)]
    kid: String,
    #[serde(default)]
    kty: String,
    #[serde(default)]
    n: String,
    #[serde(default)]
    e: String,
    #[serde(default)]
    x5c: Vec<String>,
}

impl Jwk {
    fn key(&self) -> Option<PKey<Public>> {
        if self.kty != "RSA" {
            return None;
        }
        let key = match self.x5c.first() {
            Some(der) => X509::from_der(&openssl::base64::decode_block(der).ok()?).ok()?.public_key().ok()?,
            None => {
                let number = |text: &str| BigNum::from_slice(&decode(text)?).ok();
                PKey::from_rsa(Rsa::from_public_components(number(&self.n)?, number(&self.e)?).ok()?).ok()?
            }
        };
        (key.rsa().is_ok() && key.bits() >= 2048).then_some(key)
    }
}

fn decode(text: &str) -> Option<Vec<u8>> {
    base64::decode_url_safe(text.trim_end_matches('=')).ok()
}

/// Header, payload and signature of a compact JWS that is not too long.
pub(super) fn parts(token: &str) -> Option<[&str; 3]> {
    let plain =
        |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    let parts: Vec<&str> = token.split('.').collect();
    let three: [&str; 3] = parts.try_into().ok()?;
    (token.len() <= MOST_TOKEN && three.iter().all(plain)).then_some(three)
}

/// The key of this name in the file.
fn key(file: &Path, kid: &str) -> R<Option<PKey<Public>>> {
    let invalid = || Refusal::new(Code::ConfigInvalid, "azure.maa_keys_file is no JWK set").at("azure");
    let text = std::fs::read(file).map_err(|_| invalid())?;
    let set: Keys = serde_json::from_slice(&text).map_err(|_| invalid())?;
    Ok(set.keys.iter().find(|key| key.kid == kid).and_then(Jwk::key))
}

/// The token of this room, if it is one of `issuer` and about this very room.
///
/// Errors: [`Code::MaaTokenMissing`], [`Code::MaaTokenForm`], [`Code::MaaTokenIssuer`], [`Code::MaaTokenSignature`],
/// [`Code::MaaTokenExpired`], [`Code::MaaTokenMismatch`].
pub(super) fn judged<'t>(issuer: &str, keys: &Path, room: &Caller<'t>) -> R<&'t str> {
    let refuse = |code, why: &str| Refusal::new(code, why).at("maa_token");
    let missing = "these keys lie behind a second gate: bring a token of Microsoft Azure Attestation";
    let token = room.token.ok_or_else(|| refuse(Code::MaaTokenMissing, missing))?;
    let form = || refuse(Code::MaaTokenForm, "the token is no compact JWS with the claims of a confidential VM");
    let [header, payload, signature] = parts(token).ok_or_else(form)?;
    let read: Header = decode(header).and_then(|text| serde_json::from_slice(&text).ok()).ok_or_else(form)?;
    if read.alg != "RS256" {
        return Err(form());
    }
    let claims: Claims = decode(payload).and_then(|text| serde_json::from_slice(&text).ok()).ok_or_else(form)?;
    // Who says it is somebody else's is told so; whether it speaks the truth is asked next.
    if claims.iss != issuer {
        return Err(refuse(
            Code::MaaTokenIssuer,
            "the token is of another attestation service than the provider trusts",
        ));
    }
    let unsigned = || refuse(Code::MaaTokenSignature, "the token is not signed by a key of that attestation service");
    let key = key(keys, &read.kid)?.ok_or_else(unsigned)?;
    let signed = token.get(..header.len() + 1 + payload.len()).ok_or_else(form)?;
    let good = Verifier::new(MessageDigest::sha256(), &key)
        .and_then(|mut verifier| verifier.verify_oneshot(&decode(signature).unwrap_or_default(), signed.as_bytes()))
        .unwrap_or(false);
    if !good {
        return Err(unsigned());
    }
    let mut aks = claims.tee.runtime.keys.iter().filter(|key| key.kid == "HCLAkPub");
    let ak = match (aks.next(), aks.next()) {
        (Some(one), None) => one.key().and_then(|key| key.public_key_to_der().ok()),
        _ => None,
    };
    let said = RoomToken {
        issuer: claims.iss,
        from: claims.nbf,
        until: claims.exp,
        user_data: unhex(&claims.tee.runtime.user_data).ok_or_else(form)?,
        ak_sha256: ak.map(|der| Digest::of(&der)),
    };
    room_token(&said, issuer, &room.user_data, room.ak_sha256.as_ref(), room.now)?;
    Ok(token)
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: &u8| (*byte as char).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pairs = text.as_bytes().chunks(2);
    pairs.map(|pair| Some((digit(pair.first()?)? << 4) | digit(pair.get(1)?)?)).collect()
}
