//! `depa log keys`: the lineage that a service shows is kept beside the trust file where it holds, and is refused where not.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

use depa::exit;
use schemas::lineage::LogLineage;
use schemas::party::Kind;
use schemas::rules::LogKey;
use schemas::{Signer as _, canonical};
use signing::{FileKey, Trust};

use crate::house::{House, start};
use crate::{lived_in, trust};

/// A service that shows this lineage and nothing else.
fn serve(shown: Arc<Mutex<LogLineage>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, mut seen) = (stream.unwrap(), Vec::new());
            while !seen.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                if stream.read(&mut byte).unwrap_or(0) == 0 {
                    break;
                }
                seen.push(byte[0]);
            }
            let found = seen.starts_with(b"GET /v1/log/keys ");
            let body = if found { canonical::to_bytes(&*shown.lock().unwrap()).unwrap() } else { Vec::new() };
            let status = if found { "200 OK" } else { "404 Not Found" };
            let head = format!(
                "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                body.len()
            );
            drop(stream.write_all(&[head.as_bytes(), &body].concat()));
        }
    });
    url
}

/// A log whose key changed, long ago.
fn rotated() -> House {
    let house = lived_in();
    let key = |n: u8| FileKey::from_seed(house.options.registry.as_str(), &[n; 32]);
    assert!(house.options.next.set(Arc::new(key(101))).is_ok());
    let rotation = LogKey {
        schema: "log-key.v1".into(),
        registry: house.options.registry.clone(),
        replaces: key(100).jwk().thumbprint(),
        jwk: key(101).jwk().clone(),
        overlap_until: house.now().plus_seconds(10),
        at: start(),
    };
    house.enter(schemas::event::Body::LogKeyRotated { rotation: house.by_sro(&rotation) }).unwrap();
    house.skip(100);
    house.apply(&FileKey::generate().unwrap(), Kind::Tdp).unwrap();
    house
}

#[test]
fn log_keys_keeps_what_follows_and_refuses_what_does_not() {
    let house = rotated();
    let good = house.registry.lineage().unwrap();
    let shown = Arc::new(Mutex::new(good.clone()));
    let url = serve(shown.clone());
    let pinned = house.dir.join("trust.json");
    std::fs::write(&pinned, serde_json::to_vec(&trust(&house)).unwrap()).unwrap();
    let ask = || -> Output {
        let args = ["log", "keys", "--registry", &url, "--json", "--trust"];
        Command::new(env!("CARGO_BIN_EXE_depa")).args(args).arg(&pinned).output().unwrap()
    };
    let kept = Trust::lineage_file(&pinned);
    type Spoil = fn(&mut LogLineage);
    let spoils: [(Spoil, &str); 4] = [
        (|l| l.links[0].receipt.path[0].0[0] ^= 1, "INCLUSION_INVALID"),
        (|l| drop(l.links[0].envelope.signatures.pop()), "TWO_PEOPLE_NEEDED"),
        (|l| l.first = l.links[0].envelope.read_unverified().unwrap().jwk, "LOG_LINEAGE_INVALID"),
        (|l| l.origin.push('x'), "LOG_LINEAGE_INVALID"),
    ];
    for (spoil, code) in spoils {
        let mut other = good.clone();
        spoil(&mut other);
        *shown.lock().unwrap() = other;
        let refused = ask();
        let talk = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success() && talk.contains(code), "{code}: {talk}");
        assert!(!kept.exists(), "{code}: nothing is kept");
        if code == "LOG_LINEAGE_INVALID" {
            assert_eq!(refused.status.code(), Some(exit::VERIFICATION.into()), "{talk}");
        }
    }
    *shown.lock().unwrap() = good.clone();
    let told = ask();
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    let answer: serde_json::Value = serde_json::from_slice(&told.stdout).unwrap();
    let in_use = FileKey::from_seed(house.options.registry.as_str(), &[101; 32]).jwk().thumbprint();
    assert_eq!((answer["changes"].as_u64(), answer["in_use"].as_str()), (Some(1), Some(in_use.as_str())));
    assert_eq!(Trust::load(&pinned).unwrap().key_in_use().thumbprint(), in_use, "every command reads it");
}
