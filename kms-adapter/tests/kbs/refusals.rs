//! Whom the face refuses, each by its own code.

use policies::release::{AHEAD_SECONDS, FRESH_SECONDS};
use schemas::contract::{Assurance, ContractState};
use schemas::text::Bytes;
use schemas::{Code, Signer, canonical};
use serde_json::{Value, json};

use crate::guest::{Guest, VERSION, bring, bring_list, bring_papers, refuses, status_list, world, world_with};
use crate::support::people::changed_attester;
use crate::support::{Changes, Room, World};
use kms_adapter::kbs::wire::Papers;

#[test]
fn exactly_one_version_and_guests_that_are_known() {
    let world = world(vec![]);
    for version in ["0.1.1", "0.3.0", "0.4.1", "1.0.0"] {
        let body = json!({"version": version, "tee": "depa-sample", "extra-params": {}});
        refuses(&world, Code::KbsVersion, || Guest::new(&world).auth_with(body));
    }
    for tee in ["sample", "snp", "tdx", "az-tdx-vtpm"] {
        let body = json!({"version": VERSION, "tee": tee, "extra-params": {}});
        refuses(&world, Code::KbsTee, || Guest::new(&world).auth_with(body));
    }
    let body = json!({"version": VERSION, "tee": "az-snp-vtpm", "extra-params": ""});
    Guest::new(&world).auth_with(body).unwrap();
}

#[test]
fn a_nonce_is_good_once_and_in_its_own_session() {
    let world = world(vec![]);
    bring_papers(&world);
    let mut guest = Guest::new(&world);
    let nonce = guest.nonce();
    let shown = guest.shown(&nonce);
    guest.attest_with(&shown).unwrap();
    refuses(&world, Code::ChallengeUsed, || guest.attest_with(&shown));
    guest.fetch().unwrap();

    // Evidence of one session in another one; that one's nonce is used up by it.
    let mut other = Guest::new(&world);
    other.nonce();
    refuses(&world, Code::TranscriptMismatch, || other.attest_with(&shown));
    refuses(&world, Code::ChallengeUsed, || other.attest_with(&shown));
    refuses(&world, Code::KbsUnattested, || other.fetch());
    // The nonce is written over, and the evidence still speaks of the old one.
    let mut third = Guest::new(&world);
    let fresh = third.nonce();
    let mut relabelled = shown.clone();
    relabelled["runtime-data"]["nonce"] = json!(fresh);
    refuses(&world, Code::EvidenceRefused, || third.attest_with(&relabelled));
    // Too late.
    let mut late = Guest::new(&world);
    let nonce = late.nonce();
    let shown = late.shown(&nonce);
    world.pass(120);
    refuses(&world, Code::ChallengeExpired, || late.attest_with(&shown));
}

#[test]
fn a_foreign_key_gets_nothing() {
    let world = world(vec![]);
    bring_papers(&world);
    let (mut guest, thief) = (Guest::new(&world), Guest::new(&world));
    let nonce = guest.nonce();
    let mut shown = guest.shown(&nonce);
    shown["runtime-data"]["tee-pubkey"] = thief.tee_pubkey();
    refuses(&world, Code::EvidenceRefused, || guest.attest_with(&shown));
    refuses(&world, Code::KbsUnattested, || guest.fetch());

    let zeros = Bytes(vec![0; 32]).text();
    for (member, value) in [
        ("crv", json!("P-521")),
        ("kty", json!("RSA")),
        ("alg", json!("RSA-OAEP-256")),
        ("x", json!(zeros)),
        ("d", json!(zeros)),
    ] {
        let mut guest = Guest::new(&world);
        let nonce = guest.nonce();
        let mut shown = guest.shown(&nonce);
        shown["runtime-data"]["tee-pubkey"][member] = value;
        refuses(&world, Code::KeyForm, || guest.attest_with(&shown));
    }
}

#[test]
fn other_code_and_other_evidence_are_refused() {
    let world = world(vec![]);
    bring_papers(&world);
    let mut changed = Guest { attester: changed_attester(), ..Guest::new(&world) };
    refuses(&world, Code::EvidenceRefused, || changed.handshake());
    refuses(&world, Code::KbsUnattested, || changed.fetch());

    type Spoil = fn(&mut Value);
    let cases: [(Code, Spoil); 5] = [
        (Code::EvidenceForm, |e| e["primary_evidence"]["version"] = json!(1)),
        (Code::EvidenceForm, |e| drop(e["primary_evidence"].as_object_mut().unwrap().remove("vcek"))),
        (Code::EvidenceRefused, |e| e["primary_evidence"]["tpm_quote"]["pcrs"][11] = json!("00".repeat(32))),
        (Code::EvidenceRefused, |e| e["additional_evidence"] = json!("{}")),
        (Code::EvidenceNotAllowed, |e| e["additional_evidence"] = json!("{\"nvidia\":[]}")),
    ];
    for (code, spoil) in cases {
        let mut guest = Guest::new(&world);
        let nonce = guest.nonce();
        let mut shown = guest.shown(&nonce);
        spoil(&mut shown["tee-evidence"]);
        refuses(&world, code, || guest.attest_with(&shown));
    }
    // Software evidence shown as Azure's: its VCEK is none of AMD's.
    let mut dressed = Guest::new(&world);
    let nonce = dressed.auth_with(json!({"version": VERSION, "tee": "az-snp-vtpm"})).unwrap()["nonce"].clone();
    let mut shown = dressed.shown(nonce.as_str().unwrap());
    shown["tee-evidence"]["primary_evidence"].as_object_mut().unwrap().remove("chain");
    refuses(&world, Code::EvidenceForm, || dressed.attest_with(&shown));
}

#[test]
fn without_a_living_attested_session_there_is_no_key() {
    let world = world(vec![]);
    bring_papers(&world);
    let mut guest = Guest::new(&world);
    refuses(&world, Code::KbsSessionUnknown, || guest.fetch());
    let shown = guest.shown("AAAA");
    refuses(&world, Code::KbsSessionUnknown, || guest.attest_with(&shown));
    guest.cookie = Some("made-up".into());
    refuses(&world, Code::KbsSessionUnknown, || guest.fetch());
    guest.nonce();
    refuses(&world, Code::KbsUnattested, || guest.fetch());
    // A session of minutes, whatever the papers say.
    guest.handshake().unwrap();
    world.pass(300);
    bring_papers(&world);
    refuses(&world, Code::KbsSessionExpired, || guest.fetch());
    let token = guest.token.clone().unwrap();
    refuses(&world, Code::Unauthenticated, || guest.fetch_by(&token));
}

#[test]
fn only_a_token_of_this_services_key_counts() {
    let world = world(vec![]);
    bring_papers(&world);
    let guest = Guest::attested(&world);
    let token = guest.token.clone().unwrap();
    let parts: Vec<&str> = token.split('.').collect();
    let claims: Value = serde_json::from_slice(&Bytes::parse(parts[1]).unwrap().0).unwrap();
    let stranger = signing::FileKey::generate().unwrap();
    refuses(&world, Code::Unauthenticated, || guest.fetch_by(&signing::ear::sign(&claims, &stranger).unwrap()));
    // A key in the header is not looked at.
    let mut header: Value = serde_json::from_slice(&Bytes::parse(parts[0]).unwrap().0).unwrap();
    header["jwk"] = json!(stranger.jwk());
    let part = |value: &Value| Bytes(canonical::to_bytes(value).unwrap()).text();
    let input = format!("{}.{}", part(&header), part(&claims));
    let sig = Bytes(stranger.sign_bytes(input.as_bytes()).unwrap().to_vec()).text();
    refuses(&world, Code::Unauthenticated, || guest.fetch_by(&format!("{input}.{sig}")));
    refuses(&world, Code::Unauthenticated, || guest.fetch_by(&format!("{}.{}.{}", parts[0], parts[1], sig)));
    refuses(&world, Code::Unauthenticated, || guest.fetch_by("none"));
    guest.fetch_by(&token).unwrap();
}

#[test]
fn a_contract_that_does_not_say_so_releases_nothing() {
    let world = world_with(vec![], Changes { contract: Box::new(|c| c.datasets[0].kbs = None), ..Changes::default() });
    bring_papers(&world);
    refuses(&world, Code::KbsNotAllowed, || Guest::attested(&world).fetch());
    Room::new(&world).reserve().unwrap();
}

#[test]
fn only_what_the_contract_names_is_there() {
    let world = world(vec![]);
    bring_papers(&world);
    let guest = Guest::attested(&world);
    let (contract, ours, theirs) = (&world.contract.id, &world.tables[0].dataset_id, &world.tables[1].dataset_id);
    refuses(&world, Code::KeyUnknown, || guest.fetch_at(&format!("{contract}/{ours}/2")));
    refuses(&world, Code::KeyUnknown, || guest.fetch_at(&format!("{contract}/{theirs}/1")));
    let other = schemas::id::ContractId::new(crate::support::people::uuid());
    refuses(&world, Code::KbsPapersMissing, || guest.fetch_at(&format!("{other}/{ours}/1")));
    for place in [format!("{contract}/{ours}/01"), format!("{contract}/{ours}/latest"), format!("default/{ours}/1")] {
        refuses(&world, Code::MalformedId, || guest.fetch_at(&place));
    }
}

#[test]
fn a_revoked_contract_releases_nothing() {
    let world = world(vec![]);
    bring_papers(&world);
    let guest = Guest::attested(&world);
    for (state, code) in [
        (ContractState::Revoked, Code::ContractRevoked),
        (ContractState::Suspended, Code::ContractSuspended),
        (ContractState::Expired, Code::ContractExpired),
    ] {
        bring_papers(&world);
        let listed = vec![Room::new(&world).status(state)];
        assert_eq!(bring_list(&world, status_list(&world, listed)).unwrap_err(), code);
        // The papers of before are put away by that.
        refuses(&world, Code::KbsPapersMissing, || guest.fetch());
    }
    bring_papers(&world);
    guest.fetch().unwrap();
    // Also for one that has the key already.
    let listed = vec![Room::new(&world).status(ContractState::Revoked)];
    assert_eq!(bring_list(&world, status_list(&world, listed)).unwrap_err(), Code::ContractRevoked);
    refuses(&world, Code::KbsPapersMissing, || guest.fetch());
}

#[test]
fn a_provider_that_falls_silent_ends_it() {
    let world = world(vec![]);
    refuses(&world, Code::KbsPapersMissing, || Guest::new(&world).handshake());
    bring_papers(&world);
    let guest = Guest::attested(&world);
    world.pass((FRESH_SECONDS - AHEAD_SECONDS) as i64);
    guest.fetch().unwrap();
    world.pass(1);
    refuses(&world, Code::StatusListStale, || guest.fetch());
    bring_papers(&world);
    guest.fetch().unwrap();
}

#[test]
fn contracts_outside_their_period_release_nothing() {
    let start = crate::support::start();
    let late = move |c: &mut schemas::contract::Contract| c.expires_at = start.plus_seconds(30);
    let world = world_with(vec![], Changes { contract: Box::new(late), ..Changes::default() });
    bring_papers(&world);
    let guest = Guest::attested(&world);
    world.pass(30);
    refuses(&world, Code::ContractExpired, || guest.fetch());
    assert_eq!(bring_list(&world, status_list(&world, vec![])).unwrap_err(), Code::ContractExpired);
}

#[test]
fn papers_come_from_the_provider_and_are_genuine() {
    let world = world(vec![]);
    let papers = || Papers { bundle: world.bundle.clone(), status_list: status_list(&world, vec![]) };
    let token = |key: &signing::FileKey| {
        let jti = crate::support::people::uuid().simple().to_string();
        signing::token::assertion(key, world.url(), jti, world.now()).unwrap()
    };
    assert_eq!(bring(&world, &papers(), &token(&world.people.tdc)).unwrap_err(), Code::Unauthenticated);
    assert_eq!(bring(&world, &papers(), "").unwrap_err(), Code::Unauthenticated);
    let once = token(&world.people.tdp);
    bring(&world, &papers(), &once).unwrap();
    assert_eq!(bring(&world, &papers(), &once).unwrap_err(), Code::TokenReplayed);
    type Spoil = fn(&World, &mut Papers);
    let cases: [(Code, Spoil); 5] = [
        (Code::SignatureInvalid, |_, p| p.bundle.contracts[0].envelope.signatures[0].sig.0[3] ^= 1),
        (Code::SignatureInvalid, |_, p| p.bundle.job.signatures[0].sig.0[3] ^= 1),
        (Code::SignatureInvalid, |_, p| p.status_list.signatures[0].sig.0[3] ^= 1),
        (Code::SignerUnknown, |_, p| drop(p.bundle.participants.remove(0))),
        (Code::StatusListStale, |w, _| w.pass(61)),
    ];
    for (code, spoil) in cases {
        let mut papers = papers();
        spoil(&world, &mut papers);
        assert_eq!(bring(&world, &papers, &token(&world.people.tdp)).unwrap_err(), code);
    }
}

/// A database that was put back is noticed by the checkpoints beside it, and caught up with by the file of the fetches.
#[test]
fn a_database_that_was_put_back_gives_no_grant_back() {
    let mut world = world(vec![]);
    world.stop();
    let before = std::fs::read(world.database()).unwrap();
    world.restart().unwrap();
    bring_papers(&world);
    let guest = Guest::attested(&world);
    guest.fetch().unwrap();
    guest.fetch().unwrap();
    // The next checkpoint is due after a minute; the file names the receipts soon after.
    world.pass(60);
    let checkpoints = world.config.checkpoints_file();
    let named = |text: String| text.lines().any(|line| !line.is_empty());
    for _ in 0..200 {
        if std::fs::read_to_string(&checkpoints).is_ok_and(named) {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    world.stop();
    std::fs::write(world.database(), before).unwrap();
    for side in ["sqlite-wal", "sqlite-shm"] {
        let _ = std::fs::remove_file(world.database().with_extension(side));
    }
    world.restart().unwrap();
    assert_eq!(bring_list(&world, status_list(&world, vec![])).unwrap_err(), Code::KmsBehindLog);
    refuses(&world, Code::KbsPapersMissing, || Guest::new(&world).handshake());

    world.stop();
    let kms = kms_adapter::Kms::open(world.config.clone(), crate::support::world::clock_of(&world)).unwrap();
    let caught_up = kms.catch_up(&[], false).unwrap();
    assert_eq!((caught_up.imported, caught_up.opened), (2, true), "{caught_up:?}");
    drop(kms);
    world.restart().unwrap();
    bring_papers(&world);
    assert_eq!(world.charges(), ["charged"]);
    refuses(&world, Code::BudgetExceeded, || Guest::attested(&world).fetch());
}

#[test]
fn a_key_for_hardware_is_not_opened_by_software_evidence() {
    let world = world_with(vec![], Changes { min_assurance: Assurance::Hardware, ..Changes::default() });
    bring_papers(&world);
    refuses(&world, Code::AssuranceTooLow, || Guest::attested(&world).fetch());
}

/// Neither a status list nor a stock guest carries what witnesses cosigned.
#[test]
fn a_service_that_asks_for_witnesses_gives_nothing_by_this_face() {
    let key = signing::FileKey::from_seed("witness.example", &[1; 32]);
    let witness = signing::book::WitnessKey { name: "witness.example".into(), jwk: key.jwk().clone() };
    let config = move |c: &mut kms_adapter::Config| {
        let mut trust: signing::Trust = serde_json::from_slice(&std::fs::read(&c.trust).unwrap()).unwrap();
        (trust.witnesses, trust.quorum) = (vec![witness.clone()], 1);
        std::fs::write(&c.trust, serde_json::to_vec(&trust).unwrap()).unwrap();
    };
    let world = world_with(vec![], Changes { config: Box::new(config), ..Changes::default() });
    assert_eq!(bring_list(&world, status_list(&world, vec![])).unwrap_err(), Code::CosignaturesMissing);
}

/// Revoked after the guest attested: the service believes the list, also where the papers of before are brought again.
#[test]
fn a_withdrawn_image_set_releases_nothing() {
    let world = world(vec![]);
    bring_papers(&world);
    let guest = Guest::attested(&world);
    let id = world.image_set.envelope.read_unverified().unwrap().image_set_id;
    let list = Room::new(&world).status_list_with(vec![], vec![id]);
    assert_eq!(bring_list(&world, list).unwrap_err(), Code::ImageSetRevoked);
    refuses(&world, Code::KbsPapersMissing, || guest.fetch());
    assert_eq!(bring_list(&world, status_list(&world, vec![])).unwrap_err(), Code::ImageSetRevoked);
}

#[test]
fn a_session_fetches_a_key_sixteen_times() {
    let world = world(vec![]);
    bring_papers(&world);
    let guest = Guest::attested(&world);
    (0..16).for_each(|_| drop(guest.fetch().unwrap()));
    refuses(&world, Code::RateLimited, || guest.fetch());
}

#[test]
fn sessions_are_bounded() {
    let config = |c: &mut kms_adapter::Config| c.kbs.sessions = 3;
    let world = world_with(vec![], Changes { config: Box::new(config), ..Changes::default() });
    (0..3).for_each(|_| drop(Guest::new(&world).auth().unwrap()));
    refuses(&world, Code::RateLimited, || Guest::new(&world).auth());
    world.pass(300);
    Guest::new(&world).auth().unwrap();
}
