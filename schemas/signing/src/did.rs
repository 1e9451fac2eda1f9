//! did:key and did:web: from key to name, from name to key, and the document a did:web host serves. No fetching here.

use schemas::id::Did;
use schemas::jwk::Jwk;
use schemas::{Code, R, Refusal};
use serde_json::{Value, json};

use crate::check;

const BASE58: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
/// Multicodec prefix of an Ed25519 public key.
const ED25519: [u8; 2] = [0xed, 0x01];

/// The did:key of an Ed25519 key.
pub fn key_did(jwk: &Jwk) -> R<Did> {
    let point = check::public_key(jwk)?.to_bytes();
    Did::parse(&format!("did:key:z{}", base58([&ED25519[..], &point].concat())))
}

/// The key that a did:key encodes.
pub fn did_key(did: &Did) -> R<Jwk> {
    let bad = || Refusal::new(Code::DidUnresolved, "not a did:key of an Ed25519 key");
    let text = did.as_str().strip_prefix("did:key:z").ok_or_else(bad)?;
    let bytes = unbase58(text).ok_or_else(bad)?;
    let point: [u8; 32] = bytes.strip_prefix(&ED25519).ok_or_else(bad)?.try_into().map_err(|_| bad())?;
    let jwk = Jwk::ed25519(point);
    check::public_key(&jwk)?;
    Ok(jwk)
}

/// Whether the DID is a did:web, which must be resolved by fetching.
pub fn is_web(did: &Did) -> bool {
    did.as_str().starts_with("did:web:")
}

/// Where the document of a did:web lies. `https`, or `http` for `localhost` when the caller allows it (demo profile).
pub fn web_url(did: &Did, allow_loopback_http: bool) -> R<String> {
    let bad = || Refusal::new(Code::DidUnresolved, "not a did:web that can be resolved");
    let rest = did.as_str().strip_prefix("did:web:").ok_or_else(bad)?;
    let mut parts = rest.split(':');
    let host = parts.next().ok_or_else(bad)?.replacen("%3A", ":", 1);
    let name = host.split(':').next().unwrap_or_default();
    let name_ok = !name.is_empty()
        && name.split('.').all(|l| !l.is_empty() && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'));
    let port_ok = host.split_once(':').is_none_or(|(_, p)| p.parse::<u16>().is_ok());
    let path: Vec<&str> = parts.collect();
    let path_ok = path.iter().all(|p| !p.is_empty() && !p.contains('%') && *p != "." && *p != "..");
    if !name_ok || !port_ok || !path_ok {
        return Err(bad());
    }
    let scheme = if allow_loopback_http && name == "localhost" { "http" } else { "https" };
    Ok(if path.is_empty() {
        format!("{scheme}://{host}/.well-known/did.json")
    } else {
        format!("{scheme}://{host}/{}/did.json", path.join("/"))
    })
}

/// The document that a did:web host serves for one key.
pub fn web_document(did: &Did, jwk: &Jwk) -> Value {
    let id = format!("{did}#{}", jwk.thumbprint());
    json!({
        "@context": ["https://www.w3.org/ns/did/v1"],
        "id": did,
        "verificationMethod": [{"id": id, "type": "JsonWebKey", "controller": did, "publicKeyJwk": jwk}],
        "assertionMethod": [id], "authentication": [id],
    })
}

/// Checks that a fetched document is the DID's own and names this key for assertions.
pub fn document_names_key(document: &[u8], did: &Did, jwk: &Jwk) -> R<()> {
    let bad = |why: &str| Refusal::new(Code::DidUnresolved, format!("the did:web document {why}"));
    let value = schemas::canonical::parse_value(document)?;
    if value.get("id").and_then(Value::as_str) != Some(did.as_str()) {
        return Err(bad("names another id"));
    }
    let methods = value.get("verificationMethod").and_then(Value::as_array).ok_or_else(|| bad("lists no keys"))?;
    let assertions =
        value.get("assertionMethod").and_then(Value::as_array).ok_or_else(|| bad("asserts with no key"))?;
    let named = methods.iter().take(32).any(|m| {
        let key = m.get("publicKeyJwk").cloned().and_then(|k| serde_json::from_value::<Jwk>(k).ok());
        let id = m.get("id");
        key.as_ref() == Some(jwk) && id.is_some() && assertions.iter().any(|a| Some(a) == id)
    });
    if named { Ok(()) } else { Err(bad("does not name the key of the application")) }
}

fn base58(bytes: Vec<u8>) -> String {
    let mut digits: Vec<u8> = Vec::new();
    for &byte in &bytes {
        let mut carry = u32::from(byte);
        for digit in &mut digits {
            carry += u32::from(*digit) << 8;
            *digit = (carry % 58) as u8;
            carry /= 58;
        }
        while carry > 0 {
            digits.push((carry % 58) as u8);
            carry /= 58;
        }
    }
    let zeros = bytes.iter().take_while(|b| **b == 0).count();
    let text = std::iter::repeat_n(b'1', zeros).chain(digits.iter().rev().map(|d| BASE58[*d as usize]));
    text.map(char::from).collect()
}

fn unbase58(text: &str) -> Option<Vec<u8>> {
    if text.len() > 128 {
        return None;
    }
    let mut bytes: Vec<u8> = Vec::new();
    for c in text.bytes() {
        let mut carry = BASE58.iter().position(|b| *b == c)? as u32;
        for byte in &mut bytes {
            carry += u32::from(*byte) * 58;
            *byte = carry as u8;
            carry >>= 8;
        }
        while carry > 0 {
            bytes.push(carry as u8);
            carry >>= 8;
        }
    }
    let ones = text.bytes().take_while(|b| *b == b'1').count();
    Some(std::iter::repeat_n(0, ones).chain(bytes.into_iter().rev()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// did:key test vector of the did:key specification (Ed25519).
    #[test]
    fn did_key_round_trips() {
        let did = Did::parse("did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp").unwrap();
        let jwk = did_key(&did).unwrap();
        assert_eq!(
            hex::encode(jwk.point(schemas::jwk::Curve::Ed25519).unwrap()),
            "3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29"
        );
        assert_eq!(key_did(&jwk).unwrap(), did);
        assert!(did_key(&Did::parse("did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooW0").unwrap()).is_err());
    }

    #[test]
    fn did_web_addresses() {
        let url = |t: &str, http| web_url(&Did::parse(t).unwrap(), http);
        assert_eq!(url("did:web:sro.example", false).unwrap(), "https://sro.example/.well-known/did.json");
        assert_eq!(url("did:web:sro.example:a:b", false).unwrap(), "https://sro.example/a/b/did.json");
        assert_eq!(url("did:web:localhost%3A80", true).unwrap(), "http://localhost:80/.well-known/did.json");
        assert_eq!(url("did:web:localhost%3A80", false).unwrap(), "https://localhost:80/.well-known/did.json");
        for bad in ["did:web:a..b", "did:web:a:..", "did:web:a%2Fb", "did:web:a%3Ax", "did:web:a::b"] {
            assert!(url(bad, false).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_document_must_name_the_key_it_vouches_for() {
        let jwk = did_key(&Did::parse("did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp").unwrap()).unwrap();
        let did = Did::parse("did:web:tdp.example").unwrap();
        let text = serde_json::to_vec(&web_document(&did, &jwk)).unwrap();
        assert!(document_names_key(&text, &did, &jwk).is_ok());
        assert!(document_names_key(&text, &Did::parse("did:web:other.example").unwrap(), &jwk).is_err());
        assert!(document_names_key(&text, &did, &Jwk::ed25519([9; 32])).is_err());
    }
}
