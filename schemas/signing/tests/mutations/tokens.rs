//! Tokens (C1, C2): access tokens, client assertions and one in place of the other, spoilt one thing at a time.

use schemas::text::Bytes;
use schemas::{Code, R, Signer, Timestamp};
use signing::{FileKey, token};

use crate::Walk;
use crate::keys::{Book, now};

const AUD: &str = "https://sro.example";

/// A token with header and claims of the test's making, honestly signed.
fn made(key: &FileKey, header: &str, claims: &str) -> String {
    let part = |text: &str| Bytes(text.as_bytes().to_vec()).text();
    let input = format!("{}.{}", part(header), part(claims));
    let sig = Bytes(key.sign_bytes(input.as_bytes()).unwrap().to_vec()).text();
    format!("{input}.{sig}")
}

pub fn tokens(walk: &mut Walk) {
    let (service, client) = (FileKey::generate().unwrap(), FileKey::generate().unwrap());
    let access = |text: &str| token::check_access(text, AUD, service.kid(), service.jwk(), now()).map(drop);
    let assertion = |text: &str| token::check_assertion(text, AUD, &Book::of(&[&client]), now()).map(drop);
    let good = token::access(&service, AUD, client.kid(), "0123456789abcdef".into(), now(), None).unwrap();
    access(&good).unwrap();
    let other = token::assertion(&client, AUD, "0123456789abcdef".into(), now()).unwrap();
    assertion(&other).unwrap();

    let text = |part: usize, token: &str| {
        String::from_utf8(Bytes::parse(token.split('.').nth(part).unwrap()).unwrap().0).unwrap()
    };
    let (header, claims) = (text(0, &good), text(1, &good));
    let mut no = |what: &str, result: R<()>| walk.refuse(what, result, &[Code::Unauthenticated]);
    no("an assertion as access token", access(&other));
    no("an access token as assertion", assertion(&good));
    no("another audience", token::check_access(&good, "https://x", service.kid(), service.jwk(), now()).map(drop));
    for (what, at) in [("expired", 600), ("from the future", -31)] {
        let then = Timestamp::from_seconds(now().seconds() + at);
        no(what, token::check_access(&good, AUD, service.kid(), service.jwk(), then).map(drop));
    }
    for alg in ["none", "None", "HS256", "HS512", "RS256", "PS256", "ES256", "ES384", "Ed448", "eddsa", ""] {
        no(alg, access(&made(&service, &header.replacen("EdDSA", alg, 1), &claims)));
    }
    for member in [
        r#""jwk":{}"#,
        r#""jku":"http://127.0.0.1:9""#,
        r#""x5u":"http://127.0.0.1:9""#,
        r#""x5c":["AA"]"#,
        r#""crit":["b64"]"#,
        r#""b64":false"#,
        r#""zip":"DEF""#,
        r#""p2c":1000000"#,
        r#""cty":"JWT""#,
        r#""alg":"none""#,
        r#""typ":"JWT""#,
    ] {
        no(member, access(&made(&service, &header.replacen('{', &format!("{{{member},"), 1), &claims)));
        // In its canonical place, so that nothing but the member itself is wrong.
        let value = format!("{},{member}}}", header.trim_end_matches('}'));
        let value: serde_json::Value = serde_json::from_str(&value).unwrap();
        let sorted = String::from_utf8(schemas::canonical::to_bytes(&value).unwrap()).unwrap();
        no(member, access(&made(&service, &sorted, &claims)));
    }
    for (from, to) in [
        ("at+jwt", "AT+JWT"),
        ("at+jwt", "JWT"),
        ("at+jwt", "dpop+jwt"),
        ("at+jwt", "client-authentication+jwt"),
        (r#","typ":"at+jwt""#, ""),
        (r#""alg":"EdDSA","#, ""),
        ("did:key:z", "did:key:zz"),
    ] {
        assert!(header.contains(from), "{from}");
        no(to, access(&made(&service, &header.replacen(from, to, 1), &claims)));
    }
    for (from, to) in [
        (AUD, "https://sro.example/"),
        (r#""exp":1800000600"#, r#""exp":1800000601"#),
        (r#""exp":1800000600"#, r#""exp":1799999999"#),
        (r#""exp":1800000600"#, r#""exp":"1800000600""#),
        (r#""exp":1800000600"#, r#""exp":1.8e9"#),
        (r#""exp":1800000600,"#, ""),
        (r#""iat":1800000000"#, r#""iat":1800000031"#),
        (r#""iss":"did:key:"#, r#""iss":"did:web:"#),
        ("{", r#"{"admin":true,"#),
        ("{", r#"{"aud":"x","#),
        ("{", "{ "),
    ] {
        assert!(claims.contains(from), "{from}");
        no(to, access(&made(&service, &header, &claims.replacen(from, to, 1))));
    }
    let stranger = FileKey::generate().unwrap();
    no("signed by another", access(&made(&stranger, &header, &claims)));
    no(
        "a stranger's assertion",
        assertion(&token::assertion(&stranger, AUD, "0123456789abcdef".into(), now()).unwrap()),
    );
    no("an assertion with a short id", assertion(&token::assertion(&client, AUD, "short".into(), now()).unwrap()));
    let (head, sig) = good.rsplit_once('.').unwrap();
    for spoilt in [
        head.to_owned(),
        format!("{head}."),
        format!("{good}.x"),
        format!("{good}="),
        format!(" {good}"),
        good.replace('.', ".."),
        format!("{head}.{}", &sig[..sig.len() - 1]),
        format!("{head}.{}", "A".repeat(86)),
        String::new(),
        "..".to_owned(),
        format!("{good}{}", "A".repeat(70_000)),
    ] {
        no(&spoilt, access(&spoilt));
    }
}
