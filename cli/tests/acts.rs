//! Acts that are signed offline and passed from hand to hand, by the library and by the binary.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use depa::contract::acts::{ContractAct as _, Said};
use depa::{keys, paper, sro};
use schemas::contract::{Cause, ContractRef, ContractResume, ContractSuspend, ContractTerminate};
use schemas::dataset::DatasetAct;
use schemas::id::{ContractId, Did};
use schemas::party::{KeyAct, KeyEvent, KeyUse};
use schemas::{Code, Digest, Envelope, Signer as _, Timestamp};
use signing::{FileKey, Trust};
use uuid::Uuid;

struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Scratch {
        let dir = std::env::temp_dir().join(format!("depa-acts-{}", Uuid::now_v7()));
        std::fs::create_dir(&dir).unwrap();
        Scratch(dir)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

fn now() -> Timestamp {
    Timestamp::parse("2026-12-01T00:00:00Z").unwrap()
}

fn trust() -> Trust {
    Trust {
        registry: Did::parse("did:web:sro.example").unwrap(),
        registry_jwk: FileKey::generate().unwrap().jwk().clone(),
        origin: "sro.example/log".into(),
        sro: vec![],
        witnesses: vec![],
        quorum: 0,
        lineage: Default::default(),
    }
}

fn depa(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_depa"));
    for name in ["DEPA_REGISTRY", "DEPA_TRUST", "DEPA_KEY", "DEPA_CA"] {
        command.env_remove(name);
    }
    command.args(args).output().unwrap()
}

fn read<T: serde::de::DeserializeOwned>(path: &str) -> T {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn an_act_says_what_it_is_and_collects_signatures_over_the_same_bytes() {
    let trust = trust();
    let contract = ContractRef { id: ContractId::new(Uuid::from_u128(7)), sha256: Digest([7; 32]) };
    let said = Said { contract: contract.clone(), cause: Cause::Breach, reason: "late".into() };
    let suspend = ContractSuspend::draft(&said, &trust, now());
    assert_eq!(
        (suspend.contract(), suspend.cause, suspend.schema.as_str()),
        (&contract, Cause::Breach, "contract-suspend.v1")
    );
    let [a, b] = [(); 2].map(|()| FileKey::generate().unwrap());
    let draft = Envelope::draft(&ContractTerminate::draft(&said, &trust, now())).unwrap();
    let one = paper::add_signature(&draft, &a, now()).unwrap();
    let two = paper::add_signature(&one, &b, now()).unwrap();
    assert_eq!((two.signatures.len(), two.digest()), (2, draft.digest()));
    assert_eq!(two.signatures[0], one.signatures[0]);
    // A signature under one act is none under another, though the words are the same.
    let resume = Envelope::<ContractResume>::new(two.payload.0.clone(), two.signatures.clone());
    assert_eq!(resume.read_unverified().unwrap_err().code, Code::SchemaMismatch);
}

#[test]
fn a_key_is_added_by_its_own_word_for_its_own_holder() {
    let trust = trust();
    let old = FileKey::generate().unwrap();
    let did = old.did().unwrap();
    let new = FileKey::generate_for(&did).unwrap();
    let act = keys::events::add(&new, vec![KeyUse::Api], &trust, now()).unwrap();
    let event = keys::events::event(&did, act, "second", &trust, now()).unwrap();
    signing::book::verify_added_key(&event, None, &trust.registry).unwrap();
    let KeyAct::Add { uses, .. } = &event.event else { panic!("another act") };
    assert_eq!(uses, &[KeyUse::Api]);
    let stranger = FileKey::generate().unwrap();
    let foreign = keys::events::add(&stranger, vec![KeyUse::Api], &trust, now()).unwrap();
    assert_eq!(keys::events::event(&did, foreign, "x", &trust, now()).unwrap_err().code, Code::SignerNotParty);
}

#[test]
fn drafts_of_the_sro_are_shown_before_they_are_signed() {
    let trust = trust();
    let draft = sro::erasure(vec![21, 17, 21], "rejected", &trust, now()).unwrap();
    assert_eq!(draft.read_unverified().unwrap().entries, [17, 21]);
    let untyped = Envelope::new(draft.payload.0.clone(), vec![]);
    let shown = sro::show(&untyped).unwrap();
    assert_eq!((shown.schema.as_str(), shown.sha256), ("erasure.v1", draft.digest()));
    // What parties sign is nothing for the SRO alone; no service is asked.
    let client = contract_client::Client::new("http://127.0.0.1:1", None).unwrap();
    let said = Said {
        contract: ContractRef { id: ContractId::new(Uuid::from_u128(7)), sha256: Digest([7; 32]) },
        cause: Cause::AtWill,
        reason: "x".into(),
    };
    let act = Envelope::draft(&ContractSuspend::draft(&said, &trust, now())).unwrap();
    let refusal = sro::approve(&client, &Envelope::new(act.payload.0, vec![]), &FileKey::generate().unwrap(), now());
    assert_eq!(refusal.unwrap_err().code, Code::ConfigInvalid);
}

#[test]
fn files_go_from_hand_to_hand_without_any_service() {
    let scratch = Scratch::new();
    let (a, b, pinned) = (scratch.path("a.key"), scratch.path("b.key"), scratch.path("trust.json"));
    depa::trust::save(&trust(), Path::new(&pinned)).unwrap();
    for key in [&a, &b] {
        assert!(depa(&["keys", "new", "--out", key]).status.success());
    }
    let (one, two) = (scratch.path("one.json"), scratch.path("two.json"));
    let id = "dst_01900000-0000-7000-8000-000000000001";
    let args = ["dataset", "suspend", id, "--dataset-version", "2", "--reason", "inquiry", "--out", &one];
    let made = depa(&[&args[..], &["--key", &a, "--trust", &pinned]].concat());
    assert!(made.status.success(), "{made:?}");
    let made = depa(&["dataset", "suspend", "--draft", &one, "--out", &two, "--key", &b, "--json"]);
    assert!(made.status.success(), "{made:?}");
    let (one, two): (Envelope<DatasetAct>, Envelope<DatasetAct>) = (read(&one), read(&two));
    assert_eq!((one.signatures.len(), two.signatures.len(), one.digest()), (1, 2, two.digest()));
    assert_eq!(two.read_unverified().unwrap().version, 2);

    let event = scratch.path("event.json");
    let args = ["keys", "compromise", "THUMB", "--since-index", "5", "--reason", "stolen", "--out", &event];
    assert!(depa(&[&args[..], &["--key", &a, "--trust", &pinned]].concat()).status.success());
    let event: Envelope<KeyEvent> = read(&event);
    let KeyAct::Compromise { since_index: 5, .. } = event.read_unverified().unwrap().event else {
        panic!("another act")
    };
    // Neither a draft nor what it is about: usage.
    for noun in [["dataset", "suspend"], ["keys", "retire"], ["contract", "suspend"]] {
        assert_eq!(depa(&noun).status.code(), Some(2));
    }
}

#[test]
fn authorities_that_are_no_certificates_are_refused() {
    let scratch = Scratch::new();
    let ca = scratch.path("ca.pem");
    std::fs::write(&ca, "no certificate").unwrap();
    let refused = depa(&["dataset", "list", "--registry", "https://registry.example", "--ca", &ca]);
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    assert!(String::from_utf8(refused.stderr).unwrap().contains("no PEM certificate"));
}

/// Changes of the keys of the SRO's people: one drafts, the file goes to the two who sign.
#[test]
fn keys_of_the_sros_people_are_drafted_by_the_command() {
    let scratch = Scratch::new();
    let (person, pinned) = (FileKey::generate().unwrap(), scratch.path("trust.json"));
    let did = person.did().unwrap();
    let sro = schemas::event::SroPerson { did: did.clone(), jwk: person.jwk().clone(), name: "A person".into() };
    depa::trust::save(&Trust { sro: vec![sro], ..trust() }, Path::new(&pinned)).unwrap();
    let (new, foreign) = (scratch.path("new.key"), scratch.path("foreign.key"));
    assert!(depa(&["keys", "new", "--out", &new, "--did", did.as_str()]).status.success());
    assert!(depa(&["keys", "new", "--out", &foreign]).status.success());
    let draft = |verb: &str, more: &[&str], out: &str| {
        let args = [&["sro", "key", verb, did.as_str()], more].concat();
        depa(&[&args[..], &["--reason", "yearly change", "--out", out, "--trust", &pinned]].concat())
    };
    let out = scratch.path("add.json");
    let made = draft("add", &[&new], &out);
    assert!(made.status.success(), "{made:?}");
    let event: Envelope<KeyEvent> = read(&out);
    let document = event.read_unverified().unwrap();
    assert_eq!((event.signatures.len(), &document.participant), (0, &did), "a draft that nobody signed");
    signing::book::verify_added_key(&document, None, &trust().registry).unwrap();
    let KeyAct::Add { uses, .. } = &document.event else { panic!("{document:?}") };
    assert_eq!(uses, &[KeyUse::Document, KeyUse::Api]);
    // Drafts are new files; a key of somebody else's is no key of this person.
    assert_eq!(draft("add", &[&new], &out).status.code(), Some(2));
    let refused = draft("add", &[&foreign], &scratch.path("foreign.json"));
    assert_eq!(refused.status.code(), Some(3), "{refused:?}");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("SIGNER_NOT_PARTY"), "{refused:?}");

    let thumbprint = person.jwk().thumbprint();
    for (verb, more) in [("retire", &[][..]), ("revoke", &[][..]), ("compromise", &["--since-index", "5310"][..])] {
        let out = scratch.path(&format!("{verb}.json"));
        let made = draft(verb, &[&[thumbprint.as_str()], more].concat(), &out);
        assert!(made.status.success(), "{verb}: {made:?}");
        let event = read::<Envelope<KeyEvent>>(&out).read_unverified().unwrap().event;
        let meant = match verb {
            "retire" => KeyAct::Retire { thumbprint: thumbprint.clone() },
            "revoke" => KeyAct::Revoke { thumbprint: thumbprint.clone() },
            _ => KeyAct::Compromise { thumbprint: thumbprint.clone(), since_index: 5310 },
        };
        assert_eq!(event, meant);
    }
    // Nobody's: the trust file does not name this person.
    let stranger = FileKey::generate().unwrap().did().unwrap();
    let args =
        ["sro", "key", "retire", stranger.as_str(), &thumbprint, "--reason", "x", "--out", &scratch.path("n.json")];
    let refused = depa(&[&args[..], &["--trust", &pinned]].concat());
    assert!(!refused.status.success(), "{refused:?}");
    assert_eq!(depa(&["sro", "key", "compromise", did.as_str(), &thumbprint, "--reason", "x"]).status.code(), Some(2));
}
