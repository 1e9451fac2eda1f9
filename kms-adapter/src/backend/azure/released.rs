//! What the vault releases: a JWS over the key, and in it RSA-OAEP(AES key) ‖ AES-KWP(PKCS#8), to the key that the MAA
//! token names.

use std::path::Path;

use azure_core::base64;
use openssl::hash::MessageDigest;
use openssl::sign::Verifier;
use openssl::stack::Stack;
use openssl::x509::store::{X509Store, X509StoreBuilder};
use openssl::x509::verify::{X509CheckFlags, X509VerifyParam};
use openssl::x509::{X509, X509StoreContext};
use schemas::{Code, R, Refusal};
use serde::Deserialize;
use serde_json::Value;

use super::kept;
use crate::backend::KekRef;

/// What a release must say.
pub(super) struct Expected<'a> {
    pub host: &'a str,
    pub ca_file: Option<&'a Path>,
    pub kek: &'a KekRef,
    pub nonce: &'a str,
    pub policy: [u8; 32],
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    x5c: Vec<String>,
}

#[derive(Deserialize)]
struct Payload {
    request: Request,
    response: Response,
}

#[derive(Deserialize)]
struct Request {
    enc: String,
    kid: String,
    nonce: Option<String>,
}

#[derive(Deserialize)]
struct Response {
    key: Released,
}

#[derive(Deserialize)]
struct Released {
    key: Inner,
    attributes: Attributes,
    release_policy: Policy,
}

#[derive(Deserialize)]
struct Inner {
    kid: String,
    key_hsm: String,
}

#[derive(Deserialize)]
struct Attributes {
    exportable: bool,
    enabled: bool,
}

#[derive(Deserialize)]
struct Policy {
    data: String,
}

#[derive(Deserialize)]
struct Hsm {
    ciphertext: String,
}

fn fault(why: &str) -> Refusal {
    Refusal::new(Code::PeerFault, format!("the vault's release {why}"))
}

fn decode(text: &str) -> R<Vec<u8>> {
    base64::decode_url_safe(text.trim_end_matches('=')).map_err(|_| fault("is no Base64"))
}

fn json<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> R<T> {
    serde_json::from_slice(bytes).map_err(|_| fault("cannot be read"))
}

/// The ciphertext in a signed object of the vault.
///
/// Checks, in order: RS256, a chain to the authorities, the leaf's name, the signature, nonce, algorithm, key and version,
/// exportable and enabled, and the release policy by its digest.
pub(super) fn read(object: &str, expected: &Expected<'_>) -> R<Vec<u8>> {
    let (signed, signature) = object.rsplit_once('.').ok_or_else(|| fault("is no JWS"))?;
    let (header, payload) = signed.split_once('.').ok_or_else(|| fault("is no JWS"))?;
    let header: Header = json(&decode(header)?)?;
    if header.alg != "RS256" {
        return Err(fault("is signed by another algorithm than RS256"));
    }
    let leaf = chain(&header.x5c, expected)?;
    let key = leaf.public_key().map_err(|_| fault("has no key in its certificate"))?;
    let good = key.rsa().is_ok()
        && key.bits() >= 2048
        && Verifier::new(MessageDigest::sha256(), &key)
            .and_then(|mut verifier| verifier.verify_oneshot(&decode(signature).unwrap_or_default(), signed.as_bytes()))
            .unwrap_or(false);
    if !good {
        return Err(fault("has a signature that does not verify"));
    }
    let payload: Payload = json(&decode(payload)?)?;
    if payload.request.nonce.as_deref() != Some(expected.nonce) {
        return Err(fault("answers another request"));
    }
    if payload.request.enc != "RSA_AES_KEY_WRAP_256" {
        return Err(fault("is wrapped by another algorithm than was asked for"));
    }
    let path = format!("/keys/{}/{}", expected.kek.name, expected.kek.version);
    let released = payload.response.key;
    if !payload.request.kid.ends_with(&path) || !released.key.kid.ends_with(&path) {
        return Err(fault("is of another key or version"));
    }
    let policy: Value = json(&decode(&released.release_policy.data)?)?;
    if !released.attributes.exportable || !released.attributes.enabled || kept::digest(&policy)? != expected.policy {
        return Err(fault("is under another release policy than the key was made with"));
    }
    let hsm: Hsm = json(&decode(&released.key.key_hsm)?)?;
    decode(&hsm.ciphertext)
}

/// Who may vouch for the vault, and its name.
fn authorities(expected: &Expected<'_>) -> R<X509Store> {
    let broken = |_| Refusal::new(Code::ConfigInvalid, "azure.ca_file cannot be read").at("azure");
    let mut parameters = X509VerifyParam::new().map_err(broken)?;
    parameters.set_hostflags(X509CheckFlags::NO_PARTIAL_WILDCARDS);
    parameters.set_host(expected.host).map_err(broken)?;
    let mut store = X509StoreBuilder::new().map_err(broken)?;
    store.set_param(&parameters).map_err(broken)?;
    match expected.ca_file {
        None => store.set_default_paths().map_err(broken)?,
        Some(path) => {
            let invalid = || Refusal::new(Code::ConfigInvalid, "azure.ca_file cannot be read").at("azure");
            let pem = std::fs::read(path).map_err(|_| invalid())?;
            for certificate in X509::stack_from_pem(&pem).map_err(broken)? {
                store.add_cert(certificate).map_err(broken)?;
            }
        }
    }
    Ok(store.build())
}

/// The leaf, where its chain leads to an authority now and it has the vault's name.
fn chain(x5c: &[String], expected: &Expected<'_>) -> R<X509> {
    let read = |text: &String| {
        let der = openssl::base64::decode_block(text).map_err(|_| fault("has a certificate that cannot be read"))?;
        X509::from_der(&der).map_err(|_| fault("has a certificate that cannot be read"))
    };
    if x5c.is_empty() || x5c.len() > 8 {
        return Err(fault("has no chain of certificates, or a long one"));
    }
    let mut certificates = x5c.iter().map(read).collect::<R<Vec<X509>>>()?;
    let leaf = certificates.remove(0);
    let store = authorities(expected)?;
    let verified = (|| -> Result<bool, openssl::error::ErrorStack> {
        let mut between = Stack::new()?;
        for certificate in certificates {
            between.push(certificate)?;
        }
        X509StoreContext::new()?.init(&store, &leaf, &between, |context| context.verify_cert())
    })();
    match verified {
        Ok(true) => Ok(leaf),
        Ok(false) => Err(fault("is signed by somebody whom no authority knows as this vault")),
        Err(_) => Err(fault("has a chain that cannot be checked")),
    }
}
