//! The audit: a completed run's export verifies offline, and a changed one names the entry that does not.

use std::time::{Duration, Instant};

use depa::audit::Options;
use schemas::Code;

use super::scene::{Scene, refuses};

#[test]
fn an_export_verifies_and_a_changed_one_names_the_entry() {
    let scene = Scene::new();
    let deal = scene.deal();
    scene.order_and_run(&deal.bundle).unwrap();
    let house = &scene.house;
    house.wait_until_settled(&deal.contract.id, Duration::from_secs(60)).unwrap();
    let export = cosigned(&scene);
    let options = Options { witness: Some(house.witness.clone()), ..Options::default() };
    let now = house.sro.auditor().now();
    let audit = |bytes: &[u8]| depa::audit::verify(&mut &*bytes, &house.trust, &options, now);
    let report = audit(&export).unwrap();
    assert!(report.verified && report.payments.len() == 4, "{report:?}");

    let lines: Vec<&str> = std::str::from_utf8(&export).unwrap().lines().collect();
    let rejoined = |lines: &[String]| lines.iter().flat_map(|l| [l.as_str(), "\n"]).collect::<String>().into_bytes();
    let owned: Vec<String> = lines.iter().map(|l| (*l).to_owned()).collect();
    for entry in 0..lines.len() - 1 {
        // One signed or salted byte of the entry: the first base64url text in it is turned.
        let mut changed = owned.clone();
        changed[entry + 1] = turned(&owned[entry + 1]);
        let refusal = audit(&rejoined(&changed)).unwrap_err();
        assert_eq!(refusal.code, Code::LogTampered, "{refusal}");
        assert!(refusal.sentence.contains(&format!("entry {entry}:")), "entry {entry}: {refusal}");
    }
    // A payment made cheaper in the completion's own entry.
    let at = owned.iter().position(|l| l.contains("\"run_completed\"")).unwrap();
    let mut cheaper = owned.clone();
    cheaper[at] = owned[at].replacen("\"amount_minor\":500000", "\"amount_minor\":5", 1);
    assert_ne!(cheaper[at], owned[at]);
    let refusal = audit(&rejoined(&cheaper)).unwrap_err();
    assert!(refusal.code == Code::LogTampered && refusal.sentence.contains(&format!("entry {}:", at - 1)), "{refusal}");
    // An entry left out, one twice, the last one missing, two swapped.
    let mut without = owned.clone();
    without.remove(5);
    refuses(Code::LogTampered, audit(&rejoined(&without)));
    let mut twice = owned.clone();
    twice.insert(5, owned[5].clone());
    refuses(Code::LogTampered, audit(&rejoined(&twice)));
    refuses(Code::LogTampered, audit(&rejoined(&owned[..owned.len() - 1])));
    let mut swapped = owned.clone();
    swapped.swap(5, 6);
    refuses(Code::LogTampered, audit(&rejoined(&swapped)));
    // Another witness, and another registry's trust.
    let witness = Some(("elsewhere.example/w".into(), house.witness.1.clone()));
    let options = Options { witness, ..Options::default() };
    refuses(Code::CheckpointInvalid, depa::audit::verify(&mut &*export, &house.trust, &options, now));
    let mut trust = house.trust.clone();
    trust.sro.swap(0, 1);
    let options = Options::default();
    refuses(Code::LogTampered, depa::audit::verify(&mut &*export, &trust, &options, now));
}

/// An export whose checkpoint the witness has cosigned.
fn cosigned(scene: &Scene) -> Vec<u8> {
    let house = &scene.house;
    let began = Instant::now();
    loop {
        let mut bytes = Vec::new();
        depa::audit::export(house.sro.auditor().desk().unwrap(), &house.trust, &mut bytes).unwrap();
        let options = Options { witness: Some(house.witness.clone()), ..Options::default() };
        match depa::audit::verify(&mut bytes.as_slice(), &house.trust, &options, house.sro.auditor().now()) {
            Ok(_) => return bytes,
            Err(e) if e.code == Code::CheckpointInvalid && began.elapsed() < Duration::from_secs(30) => {}
            Err(e) => panic!("{e}"),
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// The line with its last letter of base64url or hex replaced by another.
fn turned(line: &str) -> String {
    let at = line.rfind("\"body_salt\":\"").map(|at| at + "\"body_salt\":\"".len()).unwrap_or(line.len() / 2);
    let other = if line.as_bytes()[at] == b'A' { "B" } else { "A" };
    format!("{}{other}{}", &line[..at], &line[at + 1..])
}
