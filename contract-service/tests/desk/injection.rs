//! Newlines, terminal escapes and formulas in every text that strangers write: logs stay one object a line, and nothing
//! that is served carries a raw control character.

use std::io::Write;
use std::sync::{Arc, Mutex};

use schemas::party::Kind;

use crate::house::House;
use crate::papers;
use crate::wire::{get, hear, http, register, statement};

const NASTY: [&str; 4] = ["one\ntwo", "\u{1b}[2J\u{1b}[31mred", "=HYPERLINK(\"http://evil\")", "a\u{0}b\r"];

#[derive(Clone, Default)]
struct Caught(Arc<Mutex<Vec<u8>>>);

impl Write for Caught {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Whether a text has a C0 control character other than the line feed.
fn raw(bytes: &[u8]) -> bool {
    bytes.iter().any(|byte| *byte != b'\n' && *byte < 0x20)
}

#[test]
fn log_lines_stay_one_object_each() {
    let caught = Caught::default();
    let kept = caught.clone();
    let subscriber = tracing_subscriber::fmt().json().with_writer(move || kept.clone()).finish();
    tracing::subscriber::with_default(subscriber, || {
        for nasty in NASTY {
            tracing::warn!(witness = nasty, cause = nasty, "a witness did not cosign");
        }
    });
    let text = caught.0.lock().unwrap().clone();
    let lines: Vec<&[u8]> = text.split(|b| *b == b'\n').filter(|line| !line.is_empty()).collect();
    assert_eq!(lines.len(), NASTY.len());
    for line in lines {
        assert!(!raw(line), "{}", String::from_utf8_lossy(line));
        serde_json::from_slice::<serde_json::Value>(line).unwrap();
    }
}

#[test]
fn nothing_that_is_served_carries_raw_control_characters() {
    let house = House::empty();
    house.admit(&house.tdps[0], Kind::Tdp);
    for nasty in NASTY {
        // A name of a participant: refused, or served escaped.
        let who = signing::FileKey::generate().unwrap();
        let mut participant = papers::participant(&house, &who, Kind::Tdp);
        participant.legal_name = format!("{}{nasty}", &participant.legal_name[..12]);
        match house.client.apply(&house.sign(&participant, &who)) {
            Ok(_) => {
                let view = get(&house, &format!("/v1/participants/{}", participant.did), "*/*");
                assert_eq!(view.status, 200);
                assert!(!raw(&view.body), "{nasty:?}");
            }
            Err(refusal) => assert!(!raw(refusal.sentence.as_bytes()), "{nasty:?}"),
        }
        // The subject of a statement: in the claims of the receipt and nowhere else.
        let heard = register(&house, &statement(&house.tdps[0], nasty, b"{}"), "application/json");
        assert!(heard.status == 202 || heard.status == 422, "{}", heard.status);
        assert!(!raw(&heard.body), "{nasty:?}");
        // Paths, queries and headers that come back in refusals.
        let escaped: String = nasty.bytes().map(|byte| format!("%{byte:02x}")).collect();
        for path in [
            format!("/entries/{escaped}"),
            format!("/v1/participants/{escaped}"),
            format!("/entries/txIds?from={escaped}"),
        ] {
            let heard = get(&house, &path, "application/json");
            assert!(heard.status >= 400 && !raw(&heard.body), "{path}: {}", String::from_utf8_lossy(&heard.body));
        }
    }
    let long = hear(http().get(format!("{}/v1/trust", house.url())).header("user-agent", "x".repeat(1 << 20)));
    assert!((400..500).contains(&long.status), "{}", long.status);
    assert_eq!(get(&house, "/livez", "*/*").status, 200);
}
