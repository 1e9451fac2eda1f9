//! Payloads in other spellings (C5), and envelopes whose own JSON is spoilt.

use schemas::contract::ContractRevoke;
use schemas::envelope::{Document, Form, PartySignature};
use schemas::text::Bytes;
use schemas::{Code, Envelope, Signer, canonical};
use signing::{FileKey, sign};

use crate::keys::{Book, document, now};
use crate::{Walk, judge};

/// Honestly signed bytes of the test's making.
fn signed(key: &FileKey, payload: &[u8]) -> Envelope<ContractRevoke> {
    let cty = ContractRevoke::PAYLOAD_TYPE;
    let header = format!(r#"{{"alg":"EdDSA","cty":"{cty}","iat":1,"kid":"{}"}}"#, key.kid());
    let (protected, payload) = (Bytes(header.into_bytes()), Bytes(payload.to_vec()));
    let input = format!("{}.{}", protected.text(), payload.text());
    let sig = Bytes(key.sign_bytes(input.as_bytes()).unwrap().to_vec());
    let signature = PartySignature { form: Form::Jws, protected, kid: key.kid().clone(), sig };
    Envelope::new(payload.0, vec![signature])
}

pub fn payloads(walk: &mut Walk) {
    let key = FileKey::generate().unwrap();
    let book = Book::of(&[&key]);
    let good = String::from_utf8(canonical::to_bytes(&document()).unwrap()).unwrap();
    judge(signed(&key, good.as_bytes()), &book).unwrap();
    let first = |what: &str| good.replacen('{', &format!("{{{what},"), 1);
    let reason = |what: &str| good.replacen("consent withdrawn", what, 1);
    let spelling = [
        good.replacen('{', "{ ", 1),
        good.replacen(':', ": ", 1),
        good.replacen(',', ",\n", 1),
        format!("{good}\n"),
        format!(" {good}"),
        reason(r"consent withdr\u0061wn"),
        reason(r"consent\/withdrawn"),
        reason(r"\u00e9"),
        reason("\\u000A"),
    ];
    for text in spelling {
        walk.refuse(&text, judge(signed(&key, text.as_bytes()), &book), &[Code::NotCanonical]);
    }
    let reason_first = r#""reason":"consent withdrawn","#;
    let moved = good.replacen(reason_first, "", 1).replacen('{', &format!("{{{reason_first}"), 1);
    walk.refuse("members in another order", judge(signed(&key, moved.as_bytes()), &book), &[Code::NotCanonical]);
    for member in [r#""reason":"x""#, r#""schema":"contract-revoke.v1""#, r#""registry":"did:web:x""#] {
        walk.refuse(member, judge(signed(&key, first(member).as_bytes()), &book), &[Code::DuplicateMember]);
    }
    for member in [
        r#""a":1.5"#,
        r#""a":1e400"#,
        r#""a":9007199254740993"#,
        r#""a":18446744073709551615"#,
        r#""a":-0.0"#,
        r#""a":6E69"#,
    ] {
        walk.refuse(
            member,
            judge(signed(&key, first(member).as_bytes()), &book),
            &[Code::MalformedNumber, Code::MalformedJson],
        );
    }
    for member in [r#""a":-0"#, r#""a":null"#, r#""a":1"#, r#""Reason":"x""#, r#""SCHEMA":"x""#] {
        walk.refuse(
            member,
            judge(signed(&key, first(member).as_bytes()), &book),
            &[Code::NotCanonical, Code::SchemaMismatch, Code::MalformedNumber],
        );
    }
    let nested = first(&format!(r#""a":{}1{}"#, "[".repeat(40), "]".repeat(40)));
    for text in [
        reason(r"\ud800"),
        reason("\u{1}"),
        format!("\u{feff}{good}"),
        format!("{good}{good}"),
        format!("{good}x"),
        good.replacen('}', "", 1),
        first("\"a\":NaN"),
        first("\"a\":01"),
        first("'a':1"),
        good.replacen('{', "{/**/", 1),
        nested,
        String::new(),
    ] {
        walk.refuse(&text, judge(signed(&key, text.as_bytes()), &book), &[Code::MalformedJson]);
    }
    let mut latin = good.clone().into_bytes();
    let at = good.find("consent").unwrap();
    latin[at] = 0xe9;
    walk.refuse("not UTF-8", judge(signed(&key, &latin), &book), &[Code::MalformedJson]);
    for (from, to) in [
        (r#""schema":"contract-revoke.v1""#, r#""schema":"contract-revoke.v2""#),
        (r#""schema":"contract-revoke.v1""#, r#""schema":"Contract-Revoke.v1""#),
        (r#","schema":"contract-revoke.v1""#, ""),
        (r#""reason":"consent withdrawn","#, ""),
        (r#""reason":"consent withdrawn""#, r#""reason":1"#),
        (r#""revoked_at":""#, r#""revoked_at":"x"#),
    ] {
        assert!(good.contains(from), "{from}");
        let text = good.replacen(from, to, 1);
        walk.refuse(&text, judge(signed(&key, text.as_bytes()), &book), &[Code::SchemaMismatch]);
    }
    let other = good.replacen("did:web:sro.example", "did:web:other.example", 1);
    walk.refuse("another registry", judge(signed(&key, other.as_bytes()), &book), &[Code::WrongRegistry]);
    let huge = reason(&"x".repeat(300_000));
    walk.refuse("too large", judge(signed(&key, huge.as_bytes()), &book), &[Code::BodyTooLarge]);
}

pub fn envelopes(walk: &mut Walk) {
    let key = FileKey::generate().unwrap();
    let envelope = sign(&document(), &key, now()).unwrap();
    let good = String::from_utf8(canonical::to_bytes(&envelope).unwrap()).unwrap();
    let read = |text: &str| canonical::parse::<Envelope<ContractRevoke>>(text.as_bytes());
    judge(read(&good).unwrap(), &Book::of(&[&key])).unwrap();
    let sig = envelope.signatures[0].sig.text();
    let last = sig.chars().next_back().unwrap();
    // 64 bytes leave four unused bits in the last character, which must be zero.
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let next = alphabet.chars().nth(alphabet.find(last).unwrap() + 1).unwrap();
    let with_sig = |text: String| good.replacen(&sig, &text, 1);
    for (what, text) in [
        ("an unprotected header", good.replacen(r#""form":"jws""#, r#""form":"jws","header":{"alg":"none"}"#, 1)),
        ("an unprotected kid", good.replacen(r#""form":"jws""#, r#""form":"jws","header":{"kid":"x"}"#, 1)),
        ("an unknown member", good.replacen(r#"{"payload""#, r#"{"extra":1,"payload""#, 1)),
        ("a doubled payload", good.replacen(r#"{"payload""#, r#"{"payload":"AA","payload""#, 1)),
        ("a doubled signature", good.replacen(r#""sig""#, r#""sig":"AA","sig""#, 1)),
        ("a doubled form", good.replacen(r#""form":"jws""#, r#""form":"jws","form":"cose""#, 1)),
        ("an unknown form", good.replacen(r#""form":"jws""#, r#""form":"cms""#, 1)),
        ("padding", with_sig(format!("{sig}=="))),
        ("unused bits", with_sig(format!("{}{next}", &sig[..sig.len() - 1]))),
        ("white space", with_sig(format!("{} {}", &sig[..10], &sig[10..]))),
        ("the other alphabet", with_sig(format!("+/{}", &sig[2..]))),
        ("a line break", with_sig(format!("{}\\n", sig))),
        ("no signatures member", r#"{"payload":"AA"}"#.to_owned()),
        ("signatures as an object", r#"{"payload":"AA","signatures":{}}"#.to_owned()),
        ("something after the end", format!("{good}x")),
    ] {
        assert_ne!(text, good, "{what}");
        walk.refuse(
            what,
            read(&text),
            &[Code::SchemaMismatch, Code::DuplicateMember, Code::MalformedJson, Code::MalformedBase64],
        );
    }
}
