//! Rules documents that offer and contract name: asked at reserve and again at release, after every rule of the house.

use std::path::PathBuf;

use kms_adapter::Config;
use schemas::{Code, Digest};

use crate::support::{Changes, Room, World};

fn document(rules: &str) -> String {
    format!("package depa.rules\n\nimport rego.v1\n\n{rules}\n")
}

fn folder(config: &Config) -> PathBuf {
    config.dir.parent().unwrap().join("rules")
}

/// A world whose offer names the first document and whose contract names the second; both lie where they should.
fn world(offer: &str, contract: &str, config: impl Fn(&mut Config) + 'static) -> World {
    let texts = [document(offer), document(contract)];
    let digests = texts.each_ref().map(|text| Digest::of(text.as_bytes()));
    World::with(Changes {
        offer: Box::new(move |o| o.usage.rules = vec![digests[0]]),
        contract: Box::new(move |c| c.rules = vec![digests[1]]),
        config: Box::new(move |c| {
            let folder = folder(c);
            std::fs::create_dir(&folder).unwrap();
            for (text, digest) in texts.iter().zip(digests) {
                std::fs::write(folder.join(format!("{digest}.rego")), text).unwrap();
            }
            c.rules_dir = Some(folder);
            config(c);
        }),
        ..Changes::default()
    })
}

const YES: &str = "allow := true";

#[test]
fn what_both_documents_allow_is_reserved_and_the_receipts_name_them() {
    let software = "default allow := false\n\nallow if input.evidence.assurance == \"software\"";
    let world = world(software, YES, |_| ());
    let room = Room::new(&world);
    let mut named = [document(software), document(YES)].map(|text| Digest::of(text.as_bytes()));
    named.sort();
    let reserved = room.reserve().unwrap();
    assert_eq!(reserved.read_unverified().unwrap().rules, named);
    let released = room.release(&reserved).unwrap().read_unverified().unwrap();
    let receipt = released.receipt.read_unverified().unwrap();
    assert_eq!(receipt.rules, named);
    assert_eq!(released.lease_seconds, world.config.lease_seconds);
    let committed = room.commit(b"model").unwrap().read_unverified().unwrap();
    assert_eq!(committed.rules, named);
    // Which checks the evidence passed is said where it was appraised, and nowhere else.
    let appraised = [reserved.read_unverified().unwrap().checks, receipt.checks];
    assert!(appraised.iter().all(|checks| checks.iter().any(|name| name == "signature")), "{appraised:?}");
    assert!(committed.checks.is_empty());
}

#[test]
fn one_document_that_says_no_is_enough() {
    let never = "default allow := false\n\ndeny contains \"NEVER\"";
    for (offer, contract) in [(never, YES), (YES, never)] {
        let world = world(offer, contract, |_| ());
        let room = Room::new(&world);
        world.refuses(Code::RulesDenied, || room.reserve());
        let refused = room.reserve().unwrap_err();
        assert!(refused.text.contains("NEVER"), "{}", refused.text);
        assert!(world.charges().is_empty());
        let kms = kms_adapter::Kms::open(world.config.clone(), crate::support::world::clock_of(&world)).unwrap();
        let explained = kms.explain(world.bundle.clone());
        let told = explained.iter().find(|e| e.check.starts_with("rules documents")).unwrap();
        assert_eq!((told.verdict, told.code), ("refused", Some("RULES_DENIED")));
    }
    // What the rules of the house refuse, no document allows.
    let world = world(YES, YES, |c| c.software_roots.clear());
    world.refuses(Code::EvidenceRefused, || Room::new(&world).reserve());
}

#[test]
fn a_document_that_is_not_here_is_no_yes() {
    let world = world(YES, YES, |_| ());
    let room = Room::new(&world);
    let digest = Digest::of(document(YES).as_bytes());
    let file = folder(&world.config).join(format!("{digest}.rego"));
    std::fs::write(&file, document("allow := 1 == 1")).unwrap();
    world.refuses(Code::RulesMissing, || room.reserve());
    std::fs::remove_file(&file).unwrap();
    world.refuses(Code::RulesMissing, || room.reserve());
    // It may be brought while the service runs.
    std::fs::write(&file, document(YES)).unwrap();
    let reserved = room.reserve().unwrap();
    // And is asked again at release.
    std::fs::remove_file(&file).unwrap();
    world.refuses(Code::RulesMissing, || room.release(&reserved));
    std::fs::write(&file, document(YES)).unwrap();
    room.release(&reserved).unwrap();
}

#[test]
fn without_a_folder_no_document_is_here() {
    let world = world(YES, YES, |c| c.rules_dir = None);
    world.refuses(Code::RulesMissing, || Room::new(&world).reserve());
    // A folder that does not exist is a slip that stops the start.
    let mut config = world.config.clone();
    config.rules_dir = Some(world.dir.join("nowhere"));
    let opened = kms_adapter::Kms::open(config, crate::support::world::clock_of(&world));
    assert_eq!(opened.unwrap_err().code, Code::ConfigInvalid);
}

#[test]
fn a_shorter_lease_holds_at_every_renewal() {
    let held = |seconds: u32| format!("allow := true\n\nobligations := {{\"lease_s\": {seconds}}}");
    let world = world(&held(10), &held(20), |_| ());
    let room = Room::new(&world);
    let reserved = room.reserve().unwrap();
    let released = room.release(&reserved).unwrap().read_unverified().unwrap();
    assert_eq!(released.lease_seconds, 10, "the shorter of both and of the service's 30");
    world.pass(9);
    let renewed = room.renew(room.status_list(vec![])).unwrap().read_unverified().unwrap();
    assert_eq!(renewed.lease_seconds, 10);
    world.pass(10);
    world.refuses(Code::LeaseExpired, || room.renew(room.status_list(vec![])));
    world.refuses(Code::LeaseExpired, || room.commit(b"model"));
}

#[test]
fn a_longer_lease_than_the_services_is_not_granted() {
    let world = world("allow := true\n\nobligations := {\"lease_s\": 3600}", YES, |_| ());
    let room = Room::new(&world);
    let reserved = room.reserve().unwrap();
    assert_eq!(room.release(&reserved).unwrap().read_unverified().unwrap().lease_seconds, 30);
    world.pass(30);
    world.refuses(Code::LeaseExpired, || room.renew(room.status_list(vec![])));
}

#[test]
fn a_run_that_costs_more_than_an_obligation_allows_is_refused() {
    let at_most = |epsilon: &str| format!("allow := true\n\nobligations := {{\"epsilon_max\": \"{epsilon}\"}}");
    // The job asks for 0.9.
    let small = world(&at_most("0.1"), &at_most("2"), |_| ());
    small.refuses(Code::RulesObligation, || Room::new(&small).reserve());
    let wide = world(&at_most("1"), &at_most("2"), |_| ());
    Room::new(&wide).reserve().unwrap();
}

#[test]
fn documents_read_the_clock_of_the_house_and_are_asked_again_at_release() {
    // The world begins at midnight UTC; the house stands 5 hours 55 minutes east of it.
    let early = "default allow := false\n\nallow if input.local.hour < 6";
    let world = world(early, YES, |c| c.utc_offset_minutes = 355);
    let room = Room::new(&world);
    let reserved = room.reserve().unwrap();
    world.pass(301);
    world.refuses(Code::RulesDenied, || room.release(&reserved));
    assert_eq!(world.charges(), ["reserved"]);
}
