//! Keys for stock confidential-container guests, opened by josekit and by what such a guest computes itself.
#![allow(missing_docs, clippy::unwrap_used)]

use josekit::jwe::{ECDH_ES_A256KW, JweContext};
use josekit::jwk::Jwk as JoseJwk;
use josekit::jwk::alg::ec::{EcCurve, EcKeyPair};
use schemas::jwk::Jwk;
use schemas::text::Bytes;
use schemas::{Code, canonical};
use serde_json::Value;
use signing::guest::{GuestJwe, wrap_for_guest};

const SECRET: [u8; 32] = [7; 32];

fn guest() -> (EcKeyPair, Jwk) {
    let pair = EcKeyPair::generate(EcCurve::P256).unwrap();
    let written = pair.to_jwk_public_key();
    let member = |name: &str| written.parameter(name).unwrap().as_str().unwrap().to_owned();
    let (x, y) = (Bytes::parse(&member("x")).unwrap(), Bytes::parse(&member("y")).unwrap());
    (pair, Jwk::Ec { crv: schemas::jwk::EcCurve::P256, x, y })
}

fn open(jwe: &GuestJwe, key: &JoseJwk) -> Option<Vec<u8>> {
    let token = [&jwe.protected, &jwe.encrypted_key, &jwe.iv, &jwe.ciphertext, &jwe.tag].map(String::as_str).join(".");
    let decrypter = ECDH_ES_A256KW.decrypter_from_jwk(key).unwrap();
    JweContext::new().deserialize_compact(&token, &decrypter).ok().map(|(plain, _)| plain)
}

#[test]
fn another_library_opens_it_with_the_guests_key_alone() {
    let (pair, jwk) = guest();
    let jwe = wrap_for_guest(&SECRET, &jwk).unwrap();
    assert_eq!(open(&jwe, &pair.to_jwk_private_key()).unwrap(), SECRET);
    assert_eq!(open(&jwe, &guest().0.to_jwk_private_key()), None);
    let flip = |part: &String| {
        let mut bytes = Bytes::parse(part).unwrap();
        bytes.0[5] ^= 1;
        bytes.text()
    };
    for spoilt in [
        GuestJwe { encrypted_key: flip(&jwe.encrypted_key), ..jwe.clone() },
        GuestJwe { iv: flip(&jwe.iv), ..jwe.clone() },
        GuestJwe { ciphertext: flip(&jwe.ciphertext), ..jwe.clone() },
        GuestJwe { tag: flip(&jwe.tag), ..jwe.clone() },
    ] {
        assert_eq!(open(&spoilt, &pair.to_jwk_private_key()), None);
    }
}

/// The trap: a guest does not keep the header as it came. It writes `alg`, `enc`, then the rest sorted, and takes that as
/// additional data.
#[test]
fn the_header_is_what_a_guest_writes_again() {
    let jwe = wrap_for_guest(&SECRET, &guest().1).unwrap();
    let text = String::from_utf8(Bytes::parse(&jwe.protected).unwrap().0).unwrap();
    let header: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((header["alg"].as_str(), header["enc"].as_str()), (Some("ECDH-ES+A256KW"), Some("A256GCM")));
    let epk = String::from_utf8(canonical::to_bytes(&header["epk"]).unwrap()).unwrap();
    assert_eq!(text, format!(r#"{{"alg":"ECDH-ES+A256KW","enc":"A256GCM","epk":{epk}}}"#));
    assert!(text.contains(r#""epk":{"crv":"P-256","kty":"EC","x":""#), "{text}");
    assert!(header.get("apu").is_none() && header.get("apv").is_none());
    for (part, length) in [(&jwe.encrypted_key, 40), (&jwe.iv, 12), (&jwe.ciphertext, 32), (&jwe.tag, 16)] {
        assert_eq!(Bytes::parse(part).unwrap().0.len(), length);
    }
}

#[test]
fn other_keys_are_refused() {
    let Jwk::Ec { crv, x, y } = guest().1 else { unreachable!() };
    let mut beside = y.clone();
    beside.0[31] ^= 1;
    let short = Bytes(x.0[1..].to_vec());
    for key in [
        Jwk::Ec { crv, x: x.clone(), y: beside },
        Jwk::Ec { crv, x: short, y: y.clone() },
        Jwk::Ec { crv: schemas::jwk::EcCurve::P384, x: x.clone(), y: y.clone() },
        Jwk::x25519([9; 32]),
    ] {
        assert_eq!(wrap_for_guest(&SECRET, &key).unwrap_err().code, Code::KeyForm, "{key:?}");
    }
}
