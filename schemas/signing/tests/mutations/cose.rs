//! COSE: labels, frames, keys in headers, spoilt bytes; and SCITT statements under the same rules.

use ciborium::Value;
use schemas::contract::ContractRevoke;
use schemas::envelope::Document;
use schemas::{Code, Envelope, R};
use signing::{cose, scitt};

use crate::keys::{self, Key, document};
use crate::{Walk, judge};

const TYPE: &str = ContractRevoke::PAYLOAD_TYPE;

fn text(t: &str) -> Value {
    Value::Text(t.into())
}

fn no_map() -> Value {
    Value::Map(vec![])
}

fn payload() -> Vec<u8> {
    Envelope::draft(&document()).unwrap().payload.0
}

/// Reads a message, makes the envelope and verifies it.
fn taken(bytes: &[u8], key: &Key) -> R<()> {
    judge(cose::read(bytes)?.envelope()?, &key.book())
}

fn body(key: &Key) -> Vec<(i64, Value)> {
    vec![(3, text(TYPE)), (491, Value::Array(vec![text(key.did().as_str())])), (492, text("feed"))]
}

fn own(key: &Key) -> Vec<(i64, Value)> {
    let kid = format!("#{}", key.jwk().thumbprint()).into_bytes();
    vec![(1, Value::from(key.alg())), (4, Value::Bytes(kid)), (494, text(key.did().as_str()))]
}

/// The entries with another value under a label, or without it.
fn but(entries: &[(i64, Value)], label: i64, value: Option<Value>) -> Vec<(i64, Value)> {
    let mut out: Vec<_> = entries.iter().filter(|(l, _)| *l != label).cloned().collect();
    out.extend(value.map(|v| (label, v)));
    out
}

pub fn headers(walk: &mut Walk) {
    let key = Key::ed();
    let (body, own) = (body(&key), own(&key));
    let message = |b: &[(i64, Value)], o: &[(i64, Value)]| {
        keys::sign(&keys::map(b.to_vec()), &payload(), &[(&key, &keys::map(o.to_vec()))])
    };
    taken(&message(&body, &own), &key).unwrap();
    let mut no = |what: &str, bytes: Vec<u8>, codes: &[Code]| walk.refuse(what, taken(&bytes, &key), codes);
    // A critical label that is understood and there may be named.
    taken(&message(&body, &but(&own, 2, Some(Value::Array(vec![Value::from(4)])))), &key).unwrap();

    in_the_body(&mut no, &message, &body, &own);
    in_the_signature(&mut no, &message, &body, &own);
    unprotected(&mut no, &key, &body, &own);
    statements(walk);
}

type Refuse<'a> = dyn FnMut(&str, Vec<u8>, &[Code]) + 'a;
type Message<'a> = dyn Fn(&[(i64, Value)], &[(i64, Value)]) -> Vec<u8> + 'a;

fn in_the_body(no: &mut Refuse<'_>, message: &Message<'_>, body: &[(i64, Value)], own: &[(i64, Value)]) {
    for (what, label, value, code) in [
        ("no content type", 3, None, Code::SignatureContext),
        ("another content type", 3, Some(text("application/json")), Code::SignatureContext),
        ("another document's type", 3, Some(text("application/vnd.depa.contract.v1+json")), Code::SignatureContext),
        ("a content type as a number", 3, Some(Value::from(50)), Code::CoseForm),
        ("no participants", 491, None, Code::CoseForm),
        ("an empty list of participants", 491, Some(Value::Array(vec![])), Code::CoseForm),
        ("participants that are no DIDs", 491, Some(Value::Array(vec![text("tdp")])), Code::MalformedId),
        ("participants as a text", 491, Some(text("did:web:x")), Code::CoseForm),
        ("other participants", 491, Some(Value::Array(vec![text("did:web:x.example")])), Code::SignerNotParty),
        ("no feed", 492, None, Code::CoseForm),
        ("a feed of another type", 492, Some(Value::from(1)), Code::CoseForm),
        ("both labels of the feed", 392, Some(text("feed")), Code::CoseForm),
        ("an empty crit", 2, Some(Value::Array(vec![])), Code::CoseForm),
        ("a crit that is no list", 2, Some(Value::from(3)), Code::CoseForm),
        ("a crit with an unknown label", 2, Some(Value::Array(vec![Value::from(999)])), Code::CoseForm),
        ("a crit with a text label", 2, Some(Value::Array(vec![text("b64")])), Code::CoseForm),
        ("a crit that names itself", 2, Some(Value::Array(vec![Value::from(2)])), Code::CoseForm),
        ("alg in the body", 1, Some(Value::from(-8)), Code::CoseForm),
        ("kid in the body", 4, Some(Value::Bytes(b"x".to_vec())), Code::CoseForm),
        ("a chain of certificates in the body", 33, Some(Value::Bytes(vec![0])), Code::CoseForm),
        ("receipts that are protected", 394, Some(Value::Array(vec![])), Code::CoseForm),
        ("a label of nobody", 70_000, Some(Value::from(1)), Code::CoseForm),
    ] {
        no(what, message(&but(body, label, value), own), &[code]);
    }
}

fn in_the_signature(no: &mut Refuse<'_>, message: &Message<'_>, body: &[(i64, Value)], own: &[(i64, Value)]) {
    let kid = |t: &str| Some(Value::Bytes(t.as_bytes().to_vec()));
    for (what, label, value, code) in [
        ("no alg", 1, None, Code::CoseForm),
        ("alg as a text", 1, Some(text("EdDSA")), Code::CoseForm),
        ("alg none", 1, Some(Value::from(0)), Code::AlgorithmRefused),
        ("alg HS256", 1, Some(Value::from(5)), Code::AlgorithmRefused),
        ("alg RS256", 1, Some(Value::from(-257)), Code::AlgorithmRefused),
        ("alg RS512", 1, Some(Value::from(-259)), Code::AlgorithmRefused),
        ("alg RS1", 1, Some(Value::from(-65535)), Code::AlgorithmRefused),
        ("alg ES256K", 1, Some(Value::from(-47)), Code::AlgorithmRefused),
        ("alg ES256 on an Ed25519 key", 1, Some(Value::from(-7)), Code::AlgorithmRefused),
        ("alg ES384 on an Ed25519 key", 1, Some(Value::from(-35)), Code::AlgorithmRefused),
        ("alg ES512 on an Ed25519 key", 1, Some(Value::from(-36)), Code::AlgorithmRefused),
        ("alg PS256 on an Ed25519 key", 1, Some(Value::from(-37)), Code::AlgorithmRefused),
        ("another content type", 3, Some(text("application/json")), Code::SignatureContext),
        ("no kid", 4, None, Code::CoseForm),
        ("an empty kid", 4, kid(""), Code::CoseForm),
        ("a kid of a hash sign", 4, kid("#"), Code::CoseForm),
        ("a kid of two hash signs", 4, kid("#a#b"), Code::CoseForm),
        ("a kid that is no thumbprint", 4, kid("#key-1"), Code::CoseForm),
        (
            "a kid of another DID",
            4,
            kid("did:web:other.example#AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
            Code::CoseForm,
        ),
        ("a kid of another key", 4, kid("#AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"), Code::SignerUnknown),
        ("a kid as a text", 4, Some(text("#x")), Code::CoseForm),
        ("no DID anywhere", 494, None, Code::SignerUnknown),
        ("a DID of nobody", 494, Some(text("did:web:nobody.example")), Code::SignerNotParty),
        ("a DID that is none", 494, Some(text("tdp")), Code::MalformedId),
        ("both labels of the DID", 493, Some(text("did:web:eddsa.example")), Code::CoseForm),
        ("receipts where a DID stands", 494, Some(Value::Array(vec![text("x")])), Code::CoseForm),
        ("an embedded chain of certificates", 33, Some(Value::Bytes(vec![0])), Code::CoseForm),
        ("a bag of certificates", 32, Some(Value::Bytes(vec![0])), Code::CoseForm),
        ("a certificate's thumbprint", 34, Some(Value::Array(vec![])), Code::CoseForm),
        ("a certificate's address", 35, Some(text("http://127.0.0.1:9/")), Code::CoseForm),
        ("an embedded key", -1, Some(Value::Map(vec![])), Code::CoseForm),
        ("a countersignature", 11, Some(Value::Array(vec![])), Code::CoseForm),
        ("an initialisation vector", 5, Some(Value::Bytes(vec![0])), Code::CoseForm),
        ("an unknown critical label", 2, Some(Value::Array(vec![Value::from(33)])), Code::CoseForm),
    ] {
        no(what, message(body, &but(own, label, value)), &[code]);
    }
}

fn unprotected(no: &mut Refuse<'_>, key: &Key, body: &[(i64, Value)], own: &[(i64, Value)]) {
    let map = |entries: Vec<(i64, Value)>| ciborium::from_reader(keys::map(entries).as_slice()).unwrap();
    let open = |body_open: Value, own_open: Value, own: &[(i64, Value)]| {
        keys::sign_open(&keys::map(body.to_vec()), body_open, &payload(), &[(key, &keys::map(own.to_vec()))], own_open)
    };
    let receipts = || Value::Array(vec![Value::Bytes(vec![1])]);
    taken(&open(map(vec![(493, receipts())]), no_map(), own), key).unwrap();
    taken(&open(map(vec![(394, receipts())]), no_map(), own), key).unwrap();
    for (what, label, value) in own.iter().map(|(l, v)| ("only unprotected", *l, v.clone())) {
        no(
            &format!("{what} {label}"),
            open(no_map(), map(vec![(label, value)]), &but(own, label, None)),
            &[Code::CoseForm],
        );
    }
    no("alg both ways", open(no_map(), map(vec![(1, Value::from(-8))]), own), &[Code::CoseForm]);
    no("kid both ways", open(no_map(), map(vec![(4, Value::Bytes(vec![1]))]), own), &[Code::CoseForm]);
    no("certificates unprotected", open(no_map(), map(vec![(33, Value::Bytes(vec![1]))]), own), &[Code::CoseForm]);
    no("content type unprotected", open(map(vec![(3, text(TYPE))]), no_map(), own), &[Code::CoseForm]);
    no(
        "both labels of receipts",
        open(map(vec![(493, receipts()), (394, receipts())]), no_map(), own),
        &[Code::CoseForm],
    );
    no("a DID where receipts stand", open(map(vec![(493, text("did:web:x"))]), no_map(), own), &[Code::CoseForm]);
    no("no receipt in the list", open(map(vec![(493, Value::Array(vec![]))]), no_map(), own), &[Code::CoseForm]);
    no(
        "receipts that are numbers",
        open(map(vec![(493, Value::Array(vec![Value::from(1)]))]), no_map(), own),
        &[Code::CoseForm],
    );
    no("a text label", open(Value::Map(vec![(text("x"), text("y"))]), no_map(), own), &[Code::CoseForm]);
}

fn statements(walk: &mut Walk) {
    let key = Key::p256();
    let cwt = |issuer: &str| {
        let claims = vec![(Value::from(1), text(issuer)), (Value::from(2), text("subject"))];
        (15, Value::Map(claims))
    };
    let did = key.did().to_string();
    let kid = format!("#{}", key.jwk().thumbprint()).into_bytes();
    let good = vec![(1, Value::from(-7)), (3, text("application/json")), (4, Value::Bytes(kid)), cwt(&did)];
    let judge = |entries: Vec<(i64, Value)>, open: Value, payload: &[u8]| -> R<()> {
        let statement = scitt::read(&keys::sign1(&key, &keys::map(entries), open, payload))?;
        scitt::verify(&statement, &key.book()).map(drop)
    };
    judge(good.clone(), no_map(), b"{}").unwrap();
    let hashed = but(&but(&good, 3, None), 258, Some(Value::from(-16)));
    judge(hashed.clone(), no_map(), &[7; 32]).unwrap();
    for (what, label, value, code) in [
        ("no issuer", 15, None, Code::CoseForm),
        ("issuer of another", 15, Some(cwt("did:web:other.example").1), Code::SignerUnknown),
        ("an issuer that is no DID", 15, Some(cwt("someone").1), Code::MalformedId),
        ("claims without a subject", 15, Some(Value::Map(vec![(Value::from(1), text(&did))])), Code::CoseForm),
        ("claims of another type", 15, Some(text("x")), Code::CoseForm),
        ("issuer in both places", 391, Some(text(&did)), Code::CoseForm),
        ("subject in both places", 392, Some(text("x")), Code::CoseForm),
        ("certificates", 33, Some(Value::Bytes(vec![1])), Code::CoseForm),
        ("an unknown label", 999, Some(Value::from(1)), Code::CoseForm),
        ("no kid", 4, None, Code::CoseForm),
        ("no alg", 1, None, Code::CoseForm),
        ("alg of another key", 1, Some(Value::from(-8)), Code::AlgorithmRefused),
        ("a location without a hash", 260, Some(text("https://x")), Code::CoseForm),
    ] {
        walk.refuse(what, judge(but(&good, label, value), no_map(), b"{}"), &[code]);
    }
    walk.refuse("a hash of another length", judge(hashed.clone(), no_map(), &[7; 31]), &[Code::CoseForm]);
    let sha1 = but(&hashed, 258, Some(Value::from(-14)));
    walk.refuse("SHA-1", judge(sha1, no_map(), &[7; 20]), &[Code::AlgorithmRefused]);
    let typed = but(&hashed, 3, Some(text("text/plain")));
    walk.refuse("a hash with a content type", judge(typed, no_map(), &[7; 32]), &[Code::CoseForm]);
    let open = Value::Map(vec![(Value::from(4), Value::Bytes(vec![1]))]);
    walk.refuse("kid unprotected", judge(good.clone(), open, b"{}"), &[Code::CoseForm]);
    walk.refuse("too large", judge(good, no_map(), &[b' '; 61 * 1024]), &[Code::BodyTooLarge]);
}

pub fn bytes(walk: &mut Walk) {
    let key = Key::ed();
    let (head, own) = (keys::map(body(&key)), keys::map(own(&key)));
    let good = keys::sign(&head, &payload(), &[(&key, &own)]);
    taken(&good, &key).unwrap();
    let cuts = (0..good.len()).step_by(good.len() / 12);
    for cut in cuts {
        walk.refuse(&format!("cut at {cut}"), taken(&good[..cut], &key), &[Code::CoseForm]);
    }
    for tail in [vec![0], vec![0xf6], good.clone()] {
        walk.refuse("something after the end", taken(&[good.clone(), tail].concat(), &key), &[Code::CoseForm]);
    }
    // A bit anywhere in the message.
    for (at, bit) in (0..good.len()).step_by(good.len() / 30).zip((0..7).cycle()) {
        let mut spoilt = good.clone();
        spoilt[at] ^= 1 << bit;
        walk.refuse(&format!("bit {bit} at {at}"), taken(&spoilt, &key), Code::ALL);
    }
    // Other encodings of the same message.
    let mut indefinite = good.clone();
    assert_eq!(&indefinite[..3], [0xd8, 98, 0x84]);
    indefinite[2] = 0x9f;
    indefinite.push(0xff);
    walk.refuse("an array of indefinite length", taken(&indefinite, &key), &[Code::CoseForm]);
    let long = [&[0xd9, 0, 98], &good[2..]].concat();
    walk.refuse("a tag that is not shortest", taken(&long, &key), &[Code::CoseForm]);
    walk.refuse("no tag", taken(&good[2..], &key), &[Code::CoseForm]);
    let eighteen = [&[0xd2], &good[2..]].concat();
    walk.refuse("the tag of COSE_Sign1", taken(&eighteen, &key), &[Code::CoseForm]);
    let twice = [&[0xd8, 98, 0xd8, 98], &good[2..]].concat();
    walk.refuse("the tag twice", taken(&twice, &key), &[Code::CoseForm]);
    // A label that stands twice, in the protected headers and in the unprotected one.
    let doubled = |m: &[u8]| [&[m[0] + 1], &m[1..], &[0x03, 0x61, b'x']].concat();
    let body_twice = keys::sign(&doubled(&head), &payload(), &[(&key, &own)]);
    walk.refuse("a label twice in the body", taken(&body_twice, &key), &[Code::CoseForm]);
    let again = [&[own[0] + 1], &own[1..], &[0x01, 0x26]].concat();
    let own_twice = keys::sign(&head, &payload(), &[(&key, &again)]);
    walk.refuse("alg twice", taken(&own_twice, &key), &[Code::CoseForm]);
    let odd = keys::sign(&[head.clone(), vec![0]].concat(), &payload(), &[(&key, &own)]);
    walk.refuse("bytes after a protected header", taken(&odd, &key), &[Code::CoseForm]);
    let empty = keys::sign(&[], &payload(), &[(&key, &own)]);
    walk.refuse("an empty protected header", taken(&empty, &key), &[Code::SignatureContext]);
    structures(walk, &key, &head, &own);
}

/// Messages of another shape, honestly signed as far as that goes.
fn structures(walk: &mut Walk, key: &Key, head: &[u8], own: &[u8]) {
    let b = |b: &[u8]| Value::Bytes(b.to_vec());
    let sig = key.sign(&keys::tbs(head, own, &payload()));
    let one = |sig: &[u8]| Value::Array(vec![b(own), no_map(), b(sig)]);
    let tagged = |parts: Vec<Value>| keys::cbor(&Value::Tag(98, Box::new(Value::Array(parts))));
    let with = |signatures: Value| tagged(vec![b(head), no_map(), b(&payload()), signatures]);
    taken(&with(Value::Array(vec![one(&sig)])), key).unwrap();
    let cases = [
        ("no signatures", with(Value::Array(vec![])), Code::SignatureMissing),
        ("65 signatures", with(Value::Array(vec![one(&sig); 65])), Code::LimitExceeded),
        ("the same signer twice", with(Value::Array(vec![one(&sig), one(&sig)])), Code::SignerTwice),
        ("one good and one zero", with(Value::Array(vec![one(&sig), one(&[0; 64])])), Code::SignatureInvalid),
        ("a signature of zeros", with(Value::Array(vec![one(&[0; 64])])), Code::SignatureInvalid),
        ("an empty signature", with(Value::Array(vec![one(&[])])), Code::SignatureInvalid),
        ("an endless signature", with(Value::Array(vec![one(&[0; 513])])), Code::CoseForm),
        (
            "a detached payload",
            tagged(vec![b(head), no_map(), Value::Null, Value::Array(vec![one(&sig)])]),
            Code::CoseForm,
        ),
        ("three parts", tagged(vec![b(head), no_map(), b(&payload())]), Code::CoseForm),
        (
            "five parts",
            tagged(vec![b(head), no_map(), b(&payload()), Value::Array(vec![one(&sig)]), Value::Null]),
            Code::CoseForm,
        ),
        (
            "a header that is not wrapped",
            tagged(vec![no_map(), no_map(), b(&payload()), Value::Array(vec![one(&sig)])]),
            Code::CoseForm,
        ),
        ("a signature of two parts", with(Value::Array(vec![Value::Array(vec![b(own), b(&sig)])])), Code::CoseForm),
        ("a bare signature", with(b(&sig)), Code::CoseForm),
        ("an array alone", keys::cbor(&Value::Array(vec![])), Code::CoseForm),
        ("a tagged text", keys::cbor(&Value::Tag(98, Box::new(text("x")))), Code::CoseForm),
    ];
    for (what, bytes, code) in cases {
        walk.refuse(what, taken(&bytes, key), &[code]);
    }
    // Signed as a COSE_Sign1, or with external data, or over the payload alone: other structures are other signatures.
    for (what, message) in [("Signature1", keys::tbs1(own, &payload())), ("the payload alone", payload())] {
        let sig = key.sign(&message);
        walk.refuse(what, taken(&with(Value::Array(vec![one(&sig)])), key), &[Code::SignatureInvalid]);
    }
    let other = keys::tbs(&keys::map(but(&body(key), 492, Some(text("another feed")))), own, &payload());
    let sig = key.sign(&other);
    walk.refuse(
        "a signature from under another body",
        taken(&with(Value::Array(vec![one(&sig)])), key),
        &[Code::SignatureInvalid],
    );
    let huge = keys::sign(head, &vec![b' '; 300_000], &[(key, own)]);
    walk.refuse("a payload too large", taken(&huge, key), &[Code::BodyTooLarge]);
    walk.refuse("a message too large", taken(&vec![0; 600_000], key), &[Code::BodyTooLarge]);
    let torn = br#"{"schema":"contract-revoke.v1","schema":"x"}"#;
    walk.refuse("a doubled member", taken(&keys::sign(head, torn, &[(key, own)]), key), &[Code::DuplicateMember]);
    let float = br#"{"schema":"contract-revoke.v1","a":1.5}"#;
    walk.refuse("a float", taken(&keys::sign(head, float, &[(key, own)]), key), &[Code::MalformedNumber]);
}
