//! did:key, did:jwk and did:web: from key to name, from name to key, and the document a did:web host serves. No fetching
//! here.

mod document;

use schemas::canonical;
use schemas::id::Did;
use schemas::jwk::Jwk;
use schemas::text::Bytes;
use schemas::{Code, R, Refusal};

use crate::check;
pub use document::{assertion_keys, document_names_key, web_document, web_document_of};

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

/// The did:jwk of a key of any type: its canonical JSON in base64url.
pub fn jwk_did(jwk: &Jwk) -> R<Did> {
    check::sound(jwk)?;
    Did::parse(&format!("did:jwk:{}", Bytes(canonical::to_bytes(jwk)?).text()))
}

/// The key that a did:jwk encodes. Only the canonical JSON of the public members is read, so a key has one name.
pub fn did_jwk(did: &Did) -> R<Jwk> {
    let bad = |_| Refusal::new(Code::DidUnresolved, "not a did:jwk of a public key in canonical JSON");
    let text = did.as_str().strip_prefix("did:jwk:").unwrap_or_default();
    let jwk: Jwk = Bytes::parse(text).and_then(|bytes| canonical::parse_canonical(&bytes.0)).map_err(bad)?;
    check::sound(&jwk)?;
    Ok(jwk)
}

/// The key that a did:key or did:jwk encodes.
pub fn own_key(did: &Did) -> R<Jwk> {
    if did.as_str().starts_with("did:jwk:") { did_jwk(did) } else { did_key(did) }
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

    /// The first example of the did:jwk specification.
    #[test]
    fn did_jwk_round_trips() {
        let text = "did:jwk:eyJjcnYiOiJQLTI1NiIsImt0eSI6IkVDIiwieCI6ImFjYklRaXVNczNpOF91c3pFakoydHBUdFJNNEVVM3l6OTFQSDZDZEgyVjAiLCJ5IjoiX0tjeUxqOXZXTXB0bm1LdG00NkdxRHo4d2Y3NEk1TEtncmwyR3pIM25TRSJ9";
        let did = Did::parse(text).unwrap();
        let jwk = did_jwk(&did).unwrap();
        assert_eq!(jwk_did(&jwk).unwrap(), did);
        assert_eq!(own_key(&did).unwrap(), jwk);
        let spaced = Bytes(br#"{ "crv":"Ed25519","kty":"OKP","x":"AQ"}"#.to_vec()).text();
        let weak = Bytes(canonical::to_bytes(&Jwk::ed25519([0; 32])).unwrap()).text();
        let exotic = Bytes(br#"{"crv":"secp256k1","kty":"EC","x":"AQ","y":"AQ"}"#.to_vec()).text();
        for bad in [spaced, weak, exotic, "AAAA".into(), format!("{}A", &text[8..])] {
            assert!(own_key(&Did::parse(&format!("did:jwk:{bad}")).unwrap()).is_err(), "{bad}");
        }
    }
}
