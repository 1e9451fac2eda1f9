//! Keys that never count, signatures of every algorithm, and published vectors.

use openssl::bn::{BigNum, BigNumContext};
use openssl::ec::{EcGroup, EcKey};
use openssl::ecdsa::EcdsaSig;
use openssl::hash::{MessageDigest, hash};
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::{Padding, Rsa};
use openssl::sign::{RsaPssSaltlen, Signer};
use schemas::text::Bytes;

use super::*;

/// The eight small-order points and all non-canonical encodings of them (Chalkias et al., "Taming the many EdDSAs").
pub(crate) const SMALL_ORDER: [&str; 14] = [
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "0100000000000000000000000000000000000000000000000000000000000080",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
];

#[test]
fn small_order_and_non_canonical_keys_never_count() {
    for point in SMALL_ORDER {
        let jwk = Jwk::ed25519(hex::decode(point).unwrap().try_into().unwrap());
        let code = sound(&jwk).unwrap_err().code;
        assert!(matches!(code, Code::KeyWeak | Code::KeyForm), "{point}: {code}");
        // R = identity, S = 0 verifies every message under the identity key in lenient libraries.
        let mut forged = [0u8; 64];
        forged[0] = 1;
        assert!(verify(&jwk, Alg::EdDsa, b"any message", &forged).is_err());
    }
}

/// RFC 8032 7.1, tests 1 to 3.
#[test]
fn ed25519_vectors_verify() {
    let vectors = [
        (
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
            "",
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
        ),
        (
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
            "72",
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
        ),
        (
            "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
            "af82",
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
        ),
    ];
    for (key, message, signature) in vectors {
        let jwk = Jwk::ed25519(hex::decode(key).unwrap().try_into().unwrap());
        let (message, signature) = (hex::decode(message).unwrap(), hex::decode(signature).unwrap());
        // Twice: once decoded, once from memory.
        for _ in 0..2 {
            verify(&jwk, Alg::EdDsa, &message, &signature).unwrap();
        }
        assert_eq!(verify(&jwk, Alg::EdDsa, b"other", &signature).unwrap_err().code, Code::SignatureInvalid);
    }
}

/// RFC 7515 appendix A.3: ES256 as raw r‖s.
#[test]
fn the_es256_example_of_the_rfc_verifies() {
    let bytes = |t: &str| Bytes::parse(t).unwrap();
    let jwk = Jwk::Ec {
        crv: EcCurve::P256,
        x: bytes("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"),
        y: bytes("x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"),
    };
    let input = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    let signature = bytes("DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q");
    verify(&jwk, Alg::Es256, input.as_bytes(), &signature.0).unwrap();
    assert_eq!(verify(&jwk, Alg::Es256, b"x", &signature.0).unwrap_err().code, Code::SignatureInvalid);
}

fn ec(crv: EcCurve) -> (EcKey<Private>, Jwk) {
    let nid = match crv {
        EcCurve::P256 => Nid::X9_62_PRIME256V1,
        EcCurve::P384 => Nid::SECP384R1,
        EcCurve::P521 => Nid::SECP521R1,
    };
    let group = EcGroup::from_curve_name(nid).unwrap();
    let key = EcKey::generate(&group).unwrap();
    let (mut x, mut y) = (BigNum::new().unwrap(), BigNum::new().unwrap());
    let mut context = BigNumContext::new().unwrap();
    key.public_key().affine_coordinates(&group, &mut x, &mut y, &mut context).unwrap();
    let width = crv.width() as i32;
    let (x, y) = (x.to_vec_padded(width).unwrap(), y.to_vec_padded(width).unwrap());
    (key, Jwk::Ec { crv, x: Bytes(x), y: Bytes(y) })
}

#[test]
fn every_curve_signs_in_full_width_only() {
    let rows = [
        (EcCurve::P256, Alg::Es256, MessageDigest::sha256()),
        (EcCurve::P384, Alg::Es384, MessageDigest::sha384()),
        (EcCurve::P521, Alg::Es512, MessageDigest::sha512()),
    ];
    for (crv, alg, digest) in rows {
        let (key, jwk) = ec(crv);
        sound(&jwk).unwrap();
        let der = EcdsaSig::sign(&hash(digest, b"message").unwrap(), &key).unwrap();
        let width = crv.width() as i32;
        let raw = [der.r().to_vec_padded(width).unwrap(), der.s().to_vec_padded(width).unwrap()].concat();
        verify(&jwk, alg, b"message", &raw).unwrap();
        let refusal = |s: &[u8]| verify(&jwk, alg, b"message", s).unwrap_err().code;
        assert_eq!(refusal(&der.to_der().unwrap()), Code::SignatureInvalid, "DER is not the form");
        assert_eq!(refusal(&raw[1..]), Code::SignatureInvalid);
        assert_eq!(refusal(&[&raw[..], &[0]].concat()), Code::SignatureInvalid);
        assert_eq!(refusal(&vec![0; raw.len()]), Code::SignatureInvalid);
        for other in [Alg::EdDsa, Alg::Ps256, Alg::Es256, Alg::Es384, Alg::Es512].into_iter().filter(|a| *a != alg) {
            assert_eq!(verify(&jwk, other, b"message", &raw).unwrap_err().code, Code::AlgorithmRefused);
        }
        let Jwk::Ec { x, y, .. } = jwk.clone() else { unreachable!() };
        let mut off = y.0.clone();
        off[0] ^= 1;
        for (x, y) in [
            (x.0.clone(), off),
            (x.0[1..].to_vec(), y.0.clone()),
            (vec![0; crv.width()], vec![0; crv.width()]),
            (vec![0xff; crv.width()], y.0.clone()),
        ] {
            let bad = Jwk::Ec { crv, x: Bytes(x), y: Bytes(y) };
            assert_eq!(sound(&bad).unwrap_err().code, Code::KeyForm);
        }
    }
}

fn rsa(bits: u32) -> (PKey<Private>, Jwk) {
    let key = Rsa::generate(bits).unwrap();
    let jwk = Jwk::Rsa { n: Bytes(key.n().to_vec()), e: Bytes(key.e().to_vec()) };
    (PKey::from_rsa(key).unwrap(), jwk)
}

fn pss(key: &PKey<Private>, digest: MessageDigest, salt: RsaPssSaltlen) -> Vec<u8> {
    let mut signer = Signer::new(digest, key).unwrap();
    signer.set_rsa_padding(Padding::PKCS1_PSS).unwrap();
    signer.set_rsa_pss_saltlen(salt).unwrap();
    signer.set_rsa_mgf1_md(digest).unwrap();
    signer.sign_oneshot_to_vec(b"message").unwrap()
}

#[test]
fn pss_has_one_salt_length_and_pkcs1_never_counts() {
    let (key, jwk) = rsa(2048);
    sound(&jwk).unwrap();
    let rows = [
        (Alg::Ps256, MessageDigest::sha256()),
        (Alg::Ps384, MessageDigest::sha384()),
        (Alg::Ps512, MessageDigest::sha512()),
    ];
    for (alg, digest) in rows {
        let good = pss(&key, digest, RsaPssSaltlen::DIGEST_LENGTH);
        verify(&jwk, alg, b"message", &good).unwrap();
        let refusal = |s: &[u8]| verify(&jwk, alg, b"message", s).unwrap_err().code;
        assert_eq!(refusal(&pss(&key, digest, RsaPssSaltlen::custom(20))), Code::SignatureInvalid);
        assert_eq!(refusal(&[&[0], &good[..]].concat()), Code::SignatureInvalid);
        for (other, _) in rows.iter().filter(|(a, _)| *a != alg) {
            assert_eq!(verify(&jwk, *other, b"message", &good).unwrap_err().code, Code::SignatureInvalid);
        }
    }
    let pkcs1 = Signer::new(MessageDigest::sha256(), &key).unwrap().sign_oneshot_to_vec(b"message").unwrap();
    assert_eq!(verify(&jwk, Alg::Ps256, b"message", &pkcs1).unwrap_err().code, Code::SignatureInvalid);
    assert_eq!(verify(&jwk, Alg::Es256, b"message", &pkcs1).unwrap_err().code, Code::AlgorithmRefused);
}

#[test]
fn rsa_keys_outside_the_bounds_never_count() {
    let (_, jwk) = rsa(2048);
    let Jwk::Rsa { n, e } = jwk else { unreachable!() };
    let with = |n: &[u8], e: &[u8]| sound(&Jwk::Rsa { n: Bytes(n.to_vec()), e: Bytes(e.to_vec()) });
    with(&n.0, &[3]).unwrap();
    with(&n.0, &e.0).unwrap();
    let mut even = n.0.clone();
    *even.last_mut().unwrap() &= 0xfe;
    let small = rsa(1024).1;
    assert_eq!(sound(&small).unwrap_err().code, Code::KeyWeak);
    let huge = [vec![0xff; 513]].concat();
    assert_eq!(with(&huge, &e.0).unwrap_err().code, Code::KeyWeak);
    for (n, e) in [
        (&[&[0], &n.0[..]].concat(), vec![1, 0, 1]),
        (&even, vec![1, 0, 1]),
        (&n.0, vec![1]),
        (&n.0, vec![2]),
        (&n.0, vec![]),
        (&n.0, vec![0, 3]),
        (&n.0, vec![1, 0, 0, 0, 0, 0, 0, 0, 1]),
    ] {
        assert_eq!(with(n, &e).unwrap_err().code, Code::KeyForm);
    }
}

#[test]
fn names_of_algorithms_are_an_allow_list() {
    for name in ["none", "HS256", "RS256", "RS512", "ES512", "PS384", "ES256K", "eddsa", ""] {
        assert_eq!(Alg::of_jws(name).unwrap_err().code, Code::AlgorithmRefused, "{name}");
    }
    for number in [0, 5, -257, -258, -259, -47, -65535] {
        assert_eq!(Alg::of_cose(number).unwrap_err().code, Code::AlgorithmRefused, "{number}");
    }
    for (alg, jws, cose) in TABLE {
        assert_eq!(Alg::of_cose(cose).unwrap(), alg);
        assert_eq!(alg.cose(), cose);
        assert!(jws.is_none_or(|name| Alg::of_jws(name).unwrap() == alg));
    }
    assert_eq!(Alg::of_cose(-19).unwrap(), Alg::EdDsa);
}

/// How long a verification takes with and without the memory of decoded keys: `cargo test -p signing -- --ignored cost`.
#[test]
#[ignore = "a measurement"]
fn cost_of_a_verification() {
    use ed25519_dalek::Signer as _;
    let key = ed25519_dalek::SigningKey::from_bytes(&[3; 32]);
    let (message, public) = (vec![7; 1700], key.verifying_key());
    let signature = key.sign(&message).to_bytes();
    let jwk = Jwk::ed25519(public.to_bytes());
    let start = std::time::Instant::now();
    for _ in 0..10_000 {
        verify(&jwk, Alg::EdDsa, &message, &signature).unwrap();
    }
    println!("remembered: {:?} each", start.elapsed() / 10_000);
    let start = std::time::Instant::now();
    for _ in 0..10_000 {
        let key = VerifyingKey::from_bytes(&public.to_bytes()).unwrap();
        assert!(key.to_edwards().compress().to_bytes() == public.to_bytes() && !key.is_weak());
        key.verify_strict(&message, &Signature::from_bytes(&signature)).unwrap();
    }
    println!("decoded each time: {:?} each", start.elapsed() / 10_000);
}
