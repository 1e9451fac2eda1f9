//! JWS: headers that other readers would honour, algorithm confusion, keys that never count, spoilt signatures.

use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::sign::Signer as OpensslSigner;
use schemas::contract::ContractRevoke;
use schemas::envelope::{Document, Form, PartySignature, Usage};
use schemas::id::KeyId;
use schemas::jwk::Jwk;
use schemas::text::Bytes;
use schemas::{Code, Envelope, Signer};
use signing::{FileKey, sign};

use crate::keys::{Book, Key, document, now};
use crate::{Walk, judge};

fn signature(protected: Bytes, kid: KeyId, sig: Vec<u8>) -> PartySignature {
    PartySignature { form: Form::Jws, protected, kid, sig: Bytes(sig) }
}

/// An honest signature under a header of the test's making.
fn under(key: &Key, header: &[u8]) -> Envelope<ContractRevoke> {
    let payload = Envelope::draft(&document()).unwrap().payload;
    let protected = Bytes(header.to_vec());
    let sig = key.sign(format!("{}.{}", protected.text(), payload.text()).as_bytes());
    Envelope::new(payload.0, vec![signature(protected, key.kid(), sig)])
}

fn header(alg: &str, key: &Key) -> String {
    format!(r#"{{"alg":{alg},"cty":"{}","iat":1,"kid":"{}"}}"#, ContractRevoke::PAYLOAD_TYPE, key.kid())
}

pub fn headers(walk: &mut Walk) {
    let key = Key::ed();
    let book = key.book();
    let good = header(r#""EdDSA""#, &key);
    judge(under(&key, good.as_bytes()), &book).unwrap();
    judge(under(&key, header(r#""Ed25519""#, &key).as_bytes()), &book).unwrap();
    let mut no =
        |what: &str, text: &str, codes: &[Code]| walk.refuse(what, judge(under(&key, text.as_bytes()), &book), codes);

    // Algorithm confusion.
    for alg in [
        "none",
        "None",
        "NONE",
        "nOnE",
        "",
        "HS256",
        "HS384",
        "HS512",
        "RS256",
        "RS384",
        "RS512",
        "ES256",
        "ES384",
        "ES512",
        "ES256K",
        "PS256",
        "PS384",
        "PS512",
        "Ed448",
        "eddsa",
        "EDDSA",
        "EdDSA ",
        "A256KW",
        "dir",
        "ML-DSA-44",
    ] {
        no(alg, &header(&format!("\"{alg}\""), &key), &[Code::AlgorithmRefused]);
    }
    for alg in ["null", "-8", "true", r#"["EdDSA"]"#, r#"{"alg":"EdDSA"}"#] {
        no(alg, &header(alg, &key), &[Code::SignatureForm]);
    }
    // Members that other readers would follow, embedded keys first.
    let own = serde_json::to_string(key.jwk()).unwrap();
    for member in [
        format!(r#""jwk":{own}"#),
        r#""jku":"http://127.0.0.1:9/keys""#.to_owned(),
        r#""x5u":"http://127.0.0.1:9/cert""#.to_owned(),
        r#""x5c":["MIIB"]"#.to_owned(),
        r#""x5t":"AAAA""#.to_owned(),
        r##""x5t#S256":"AAAA""##.to_owned(),
        r#""crit":["b64"]"#.to_owned(),
        r#""crit":[]"#.to_owned(),
        r#""crit":["exp"]"#.to_owned(),
        r#""b64":false"#.to_owned(),
        r#""b64":true"#.to_owned(),
        r#""zip":"DEF""#.to_owned(),
        r#""p2c":1000000"#.to_owned(),
        r#""enc":"A256GCM""#.to_owned(),
        r#""epk":{}"#.to_owned(),
        r#""typ":"at+jwt""#.to_owned(),
        r#""typ":"JWT""#.to_owned(),
        r#""url":"https://x""#.to_owned(),
        r#""nonce":"x""#.to_owned(),
        r#""role":"sro""#.to_owned(),
        r#""Alg":"none""#.to_owned(),
    ] {
        // In its canonical place, so that nothing but the member itself is wrong.
        let value: serde_json::Value = serde_json::from_str(&good.replacen('{', &format!("{{{member},"), 1)).unwrap();
        let text = String::from_utf8(schemas::canonical::to_bytes(&value).unwrap()).unwrap();
        no(&member, &text, &[Code::SignatureForm]);
    }
    // Doubled and missing members.
    for member in [r#""alg":"EdDSA""#, r#""alg":"none""#, r#""iat":1"#, r#""kid":"x""#, r#""cty":"x""#] {
        no(member, &good.replacen('{', &format!("{{{member},"), 1), &[Code::SignatureForm]);
    }
    let cty = format!(r#""cty":"{}","#, ContractRevoke::PAYLOAD_TYPE);
    let kid = format!(r#","kid":"{}""#, key.kid());
    for missing in [r#""alg":"EdDSA","#, cty.as_str(), r#""iat":1,"#, kid.as_str()] {
        no(missing, &good.replacen(missing, "", 1), &[Code::SignatureForm]);
    }
    // Other spellings.
    for text in [
        good.replacen(':', ": ", 1),
        good.replacen(r#""alg""#, r#""\u0061lg""#, 1),
        good.replacen(r#""iat":1"#, r#""iat":1.0"#, 1),
        good.replacen(r#""iat":1"#, r#""iat":1e0"#, 1),
        good.replacen(r#""iat":1"#, r#""iat":"1""#, 1),
        good.replacen(r#""iat":1"#, r#""iat":9007199254740993"#, 1),
        good.replacen(r#""iat":1"#, r#""iat":-0"#, 1),
        format!("\u{feff}{good}"),
        format!("{good} "),
        format!("{good}{good}"),
        format!("[{good}]"),
        good.replacen('}', "", 1),
        String::new(),
        format!("{}{}", good.trim_end_matches('}'), ",}"),
        good.replacen(r#""iat":1"#, &format!(r#""iat":1,"k":"{}""#, "x".repeat(5000)), 1),
    ] {
        no(&text, &text, &[Code::SignatureForm]);
    }
    // Key ids.
    for kid in ["", "x", "did:web:eddsa.example", "#", "did:web:eddsa.example#short"] {
        let text = good.replacen(&key.kid().to_string(), kid, 1);
        no(kid, &text, &[Code::SignatureForm]);
    }
    let other = KeyId::new("did:web:other.example", key.jwk().thumbprint()).to_string();
    no("another holder's kid", &good.replacen(&key.kid().to_string(), &other, 1), &[Code::SignatureForm]);
    no("another type", &good.replacen("contract-revoke", "contract", 1), &[Code::SignatureContext]);
    no(
        "a media type's other spelling",
        &good.replacen("application/vnd", "Application/vnd", 1),
        &[Code::SignatureContext],
    );
}

/// Ed25519's group order, little endian.
const L: &str = "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010";

pub fn mathematics(walk: &mut Walk) {
    small_order(walk);
    confused_keys(walk);
    let key = FileKey::generate().unwrap();
    let book = Book::of(&[&key]);
    let good = sign(&document(), &key, now()).unwrap();
    judge(good.clone(), &book).unwrap();
    // S + L is the same signature to a lenient reader.
    let mut malleated = good.clone();
    let mut carry = 0u16;
    for (s, l) in malleated.signatures[0].sig.0[32..].iter_mut().zip(hex::decode(L).unwrap()) {
        let sum = u16::from(*s) + u16::from(l) + carry;
        *s = sum as u8;
        carry = sum >> 8;
    }
    walk.refuse("S + L", judge(malleated, &book), &[Code::SignatureInvalid]);
    for (what, change) in [
        ("empty", (|s| s.clear()) as fn(&mut Vec<u8>)),
        ("one byte short", |s| s.truncate(63)),
        ("one byte long", |s| s.push(0)),
        ("twice", |s| s.extend(s.clone())),
        ("zero", |s| s.fill(0)),
        ("ones", |s| s.fill(0xff)),
        ("R of small order", |s| {
            s[..32].copy_from_slice(&[
                1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
            ])
        }),
        ("S of zero", |s| s[32..].fill(0)),
        ("halves exchanged", |s| s.rotate_left(32)),
    ] {
        let mut spoilt = good.clone();
        change(&mut spoilt.signatures[0].sig.0);
        walk.refuse(what, judge(spoilt, &book), &[Code::SignatureInvalid]);
    }
    // A bit anywhere.
    for step in 0..8 {
        for part in 0..3 {
            let mut spoilt = good.clone();
            let bytes = match part {
                0 => &mut spoilt.payload.0,
                1 => &mut spoilt.signatures[0].protected.0,
                _ => &mut spoilt.signatures[0].sig.0,
            };
            let at = bytes.len() * step / 8;
            bytes[at] ^= 1 << step.min(6);
            walk.refuse(&format!("part {part} step {step}"), judge(spoilt, &book), Code::ALL);
        }
    }
    who(walk, &good, &key);
}

/// Every encoding of the small-order points, with the signatures that verify everything under them.
fn small_order(walk: &mut Walk) {
    let points = [
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
    for point in points {
        let bytes: [u8; 32] = hex::decode(point).unwrap().try_into().unwrap();
        let jwk = Jwk::ed25519(bytes);
        let kid = KeyId::new("did:web:weak.example", jwk.thumbprint());
        let header = format!(r#"{{"alg":"EdDSA","cty":"{}","iat":1,"kid":"{kid}"}}"#, ContractRevoke::PAYLOAD_TYPE);
        let payload = Envelope::draft(&document()).unwrap().payload;
        let mut sig = vec![0; 64];
        sig[..32].copy_from_slice(&bytes);
        let envelope = Envelope::new(payload.0, vec![signature(Bytes(header.into_bytes()), kid.clone(), sig)]);
        let book = Book(vec![(kid, Usage::Party, jwk)]);
        walk.refuse(point, judge(envelope, &book), &[Code::KeyWeak, Code::KeyForm]);
    }
}

/// Keys of one type under the name of another's algorithm, secrets made of public keys, and algorithms JWS does not take.
fn confused_keys(walk: &mut Walk) {
    let all = Key::all();
    for key in &all {
        let taken = matches!(key.jws(), "EdDSA" | "ES256" | "ES384" | "PS256");
        let own = judge(under(key, header(&format!("\"{}\"", key.jws()), key).as_bytes()), &key.book());
        if taken {
            own.unwrap();
        } else {
            walk.refuse(key.jws(), own, &[Code::AlgorithmRefused]);
        }
        for alg in ["EdDSA", "ES256", "ES384", "PS256"] {
            let rsa = matches!(key.jwk(), Jwk::Rsa { .. });
            if alg == key.jws() || (rsa && alg == "PS256") {
                continue;
            }
            let envelope = under(key, header(&format!("\"{alg}\""), key).as_bytes());
            walk.refuse(&format!("{} as {alg}", key.jws()), judge(envelope, &key.book()), &[Code::AlgorithmRefused]);
        }
    }
    // The public key as HMAC secret; PKCS #1 v1.5 under the name of PSS; PSS with another hash.
    let rsa = &all[4];
    let Key::Rsa(private, ..) = rsa else { unreachable!() };
    let mut envelope = under(rsa, header(r#""PS256""#, rsa).as_bytes());
    let input = format!("{}.{}", envelope.signatures[0].protected.text(), envelope.payload.text());
    let pkcs1 =
        OpensslSigner::new(MessageDigest::sha256(), private).unwrap().sign_oneshot_to_vec(input.as_bytes()).unwrap();
    envelope.signatures[0].sig = Bytes(pkcs1);
    walk.refuse("PKCS #1 v1.5", judge(envelope.clone(), &rsa.book()), &[Code::SignatureInvalid]);
    let secret = PKey::hmac(&private.public_key_to_pem().unwrap()).unwrap();
    let mac =
        OpensslSigner::new(MessageDigest::sha256(), &secret).unwrap().sign_oneshot_to_vec(input.as_bytes()).unwrap();
    envelope.signatures[0].sig = Bytes(mac);
    walk.refuse("HMAC by the public key", judge(envelope, &rsa.book()), &[Code::SignatureInvalid]);
    let wrong = under(&all[5], header(r#""PS256""#, &all[5]).as_bytes());
    walk.refuse("PSS with another hash", judge(wrong, &all[5].book()), &[Code::SignatureInvalid]);
}

/// Signers: nobody, twice, a stranger, a key of another use or of another holder, one bad beside one good.
fn who(walk: &mut Walk, good: &Envelope<ContractRevoke>, key: &FileKey) {
    let (book, stranger) = (Book::of(&[key]), FileKey::generate().unwrap());
    let payload = || good.payload.0.clone();
    let one = || good.signatures[0].clone();
    walk.refuse("nobody", judge(Envelope::new(payload(), vec![]), &book), &[Code::SignatureMissing]);
    walk.refuse("twice", judge(Envelope::new(payload(), vec![one(), one()]), &book), &[Code::SignerTwice]);
    walk.refuse("65 times", judge(Envelope::new(payload(), vec![one(); 65]), &book), &[Code::LimitExceeded]);
    let strange = sign(&document(), &stranger, now()).unwrap().signatures.remove(0);
    walk.refuse(
        "stranger",
        judge(Envelope::new(payload(), vec![one(), strange.clone()]), &book),
        &[Code::SignerUnknown],
    );
    let mut zero = strange;
    zero.sig = Bytes(vec![0; 64]);
    for order in [vec![one(), zero.clone()], vec![zero, one()]] {
        let both = Book::of(&[key, &stranger]);
        walk.refuse("one bad of two", judge(Envelope::new(payload(), order), &both), &[Code::SignatureInvalid]);
    }
    for usage in [Usage::Service, Usage::Run] {
        let other = Book(vec![(key.kid().clone(), usage, key.jwk().clone())]);
        walk.refuse("key of another use", judge(good.clone(), &other), &[Code::SignerUnknown]);
    }
    let swapped = Book(vec![(key.kid().clone(), Usage::Party, stranger.jwk().clone())]);
    walk.refuse("the book holds another key", judge(good.clone(), &swapped), &[Code::SignerUnknown]);
    let mut renamed = good.clone();
    renamed.signatures[0].kid = stranger.kid().clone();
    walk.refuse("another name outside", judge(renamed, &Book::of(&[key, &stranger])), &[Code::SignatureForm]);
    let mut other_form = good.clone();
    other_form.signatures[0].form = Form::Cose;
    walk.refuse("JWS called COSE", judge(other_form, &book), &[Code::CoseForm]);
    let elsewhere = schemas::id::Did::parse("did:web:other.example").unwrap();
    walk.refuse("another registry", signing::verify(good.clone(), &elsewhere, &book), &[Code::WrongRegistry]);
}
