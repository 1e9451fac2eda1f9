//! The software attester as a demo uses it, and everything that it must not open.

use std::time::Instant;

use openssl::x509::X509;
use openssl::x509::store::X509StoreBuilder;
use schemas::Digest;
use schemas::contract::Assurance;
use serde_json::json;

use super::fakes::{expected, software_set, world};
use super::*;
use crate::software::{SoftwareAttester, SoftwareRoot};
use crate::{Attester, appraise, bound_to_transcript};

fn evidence() -> Evidence {
    world().attester.attest(&transcript()).unwrap()
}

#[test]
fn a_demo_accepts_its_own_room() {
    let evidence = evidence();
    let appraisal = appraise(&evidence, &expected(), &world().policy, now());
    accepted(&appraisal);
    assert!(bound_to_transcript(&appraisal));
    assert_eq!((appraisal.kind, appraisal.assurance), (EvidenceKind::Software, Assurance::Software));
    let json = serde_json::to_vec(&evidence).unwrap();
    let started = Instant::now();
    for _ in 0..50 {
        appraise(&evidence, &expected(), &world().policy, now());
    }
    println!("{} bytes of JSON, one appraisal {:?}", json.len(), started.elapsed() / 50);
}

#[test]
fn every_member_of_the_transcript_is_bound() {
    type Change = fn(&mut Value);
    let changes: [(&str, Change, &[&str]); 11] = [
        ("audience", |t| t["aud"] = json!("https://kms.other.example"), &["user_data", "quote_nonce"]),
        ("nonce", |t| t["nonce"] = json!(Bytes(vec![1; 32]).text()), &["user_data", "quote_nonce"]),
        ("challenge", |t| t["challenge_id"] = json!(uuid("chl", 99)), &["user_data", "quote_nonce"]),
        ("run", |t| t["run_id"] = json!(uuid("run", 99)), &["user_data", "quote_nonce"]),
        ("job", |t| t["job_sha256"] = json!("ab".repeat(32)), &["user_data", "quote_nonce", "job_pcr"]),
        ("contract", |t| t["contracts"][0]["id"] = json!(uuid("ctr", 99)), &["user_data", "quote_nonce"]),
        ("contract digest", |t| t["contracts"][0]["sha256"] = json!("ab".repeat(32)), &["user_data", "quote_nonce"]),
        ("encryption key", |t| t["enc_jwk"]["x"] = json!(Bytes(vec![1; 32]).text()), &["user_data", "quote_nonce"]),
        ("run key", |t| t["run_jwk"]["x"] = json!(Bytes(vec![1; 32]).text()), &["user_data", "quote_nonce"]),
        ("Admission", |t| t["admission_sha256"] = Value::Null, &["user_data", "quote_nonce"]),
        ("checkpoint", |t| t["checkpoint"]["size"] = json!(5311), &["user_data", "quote_nonce"]),
    ];
    let evidence = evidence();
    for (what, change, by) in changes {
        let mut value = transcript_json();
        change(&mut value);
        let expected = Expected::from_transcript(&serde_json::from_value(value).unwrap(), &world().set).unwrap();
        let appraisal = appraise(&evidence, &expected, &world().policy, now());
        assert_eq!(appraisal.failed(), by, "{what}");
        refused(&appraisal, by);
    }
    // Another image set of the same content: the id is a member too.
    let mut value = transcript_json();
    value["image_set_id"] = json!(uuid("img", 99));
    let mut set = world().set.clone();
    set.image_set_id = serde_json::from_value(value["image_set_id"].clone()).unwrap();
    let expected = Expected::from_transcript(&serde_json::from_value(value).unwrap(), &set).unwrap();
    refused(&appraise(&evidence, &expected, &world().policy, now()), &["user_data", "quote_nonce"]);
}

#[test]
fn changed_code_gets_no_key() {
    let root = world().attester.root.clone();
    let changed = SoftwareAttester::new(root, Digest::of(b"the code, changed")).unwrap();
    let evidence = changed.attest(&transcript()).unwrap();
    refused(&appraise(&evidence, &expected(), &world().policy, now()), &["pcr_values"]);
    let set = software_set(&Digest::of(b"the code, changed"));
    accepted(&appraise(&evidence, &Expected::from_transcript(&transcript(), &set).unwrap(), &world().policy, now()));
}

#[test]
fn an_image_set_says_what_counts() {
    let evidence = evidence();
    let with = |edit: &dyn Fn(&mut ImageSet)| {
        let mut set = world().set.clone();
        edit(&mut set);
        appraise(&evidence, &Expected::from_transcript(&transcript(), &set).unwrap(), &world().policy, now())
    };
    refused(&with(&|s| s.profile = EvidenceKind::AzureSnp), &["image_set"]);
    refused(&with(&|s| s.valid_to = now()), &["image_set"]);
    refused(&with(&|s| s.valid_from = now().plus_seconds(1)), &["image_set"]);
    refused(&with(&|s| s.measurements.clear()), &["measurement"]);
    refused(&with(&|s| s.id_key_digests.clear()), &["id_key_digest"]);
    refused(&with(&|s| *s.pcrs.get_mut("4").unwrap() = Digest([1; 32])), &["pcr_values"]);
}

#[test]
fn software_opens_nothing_in_production_or_under_another_root() {
    let evidence = evidence();
    refused(&appraise(&evidence, &expected(), &production(), now()), &["profile", "chain_root"]);
    let level = || Level::named("baseline").unwrap();
    let pins = vec![world().attester.root.pin()];
    let configured = PlatformPolicy::new(Profile::Production, level(), pins);
    refused(&appraise(&evidence, &expected(), &configured, now()), &["profile", "chain_root"]);
    let unpinned = PlatformPolicy::new(Profile::Demo, level(), Vec::new());
    refused(&appraise(&evidence, &expected(), &unpinned, now()), &["chain_root"]);
    // Software that poses as hardware.
    let mut posing = evidence.clone();
    posing.kind = EvidenceKind::AzureSnp;
    let mut set = world().set.clone();
    set.profile = EvidenceKind::AzureSnp;
    let expected = Expected::from_transcript(&transcript(), &set).unwrap();
    refused(&appraise(&posing, &expected, &world().policy, now()), &["product", "chain_form", "chain_root", "poison"]);
}

#[test]
fn software_certificates_expire() {
    let late = now().plus_seconds(8 * 365 * 86_400);
    refused(&appraise(&evidence(), &expected(), &world().policy, late), &["chain_validity"]);
    let early = now().plus_seconds(-2 * 86_400);
    refused(&appraise(&evidence(), &expected(), &world().policy, early), &["chain_validity"]);
}

#[test]
fn ordinary_verifiers_refuse_the_software_root() {
    let certificates: Vec<X509> =
        world().attester.root.certificates().iter().map(|c| X509::from_der(&c.0).unwrap()).collect();
    let mut store = X509StoreBuilder::new().unwrap();
    store.add_cert(certificates[2].clone()).unwrap();
    let mut context = openssl::x509::X509StoreContext::new().unwrap();
    let untrusted = openssl::stack::Stack::new().unwrap();
    let (ok, error) =
        context.init(&store.build(), &certificates[1], &untrusted, |c| Ok((c.verify_cert()?, c.error()))).unwrap();
    assert!(!ok);
    assert_eq!(error.error_string(), "unhandled critical extension");
}

#[test]
fn a_root_is_kept_private_and_read_back() {
    use std::os::unix::fs::PermissionsExt;
    let dir = std::env::temp_dir().join(format!("attestation-root-{}", std::process::id()));
    let root = &world().attester.root;
    root.save(&dir).unwrap();
    let mode = fs::metadata(dir.join("vcek.key")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let back = SoftwareRoot::load(&dir).unwrap();
    assert_eq!((back.pin(), back.certificates()), (root.pin(), root.certificates()));
    assert!(root.save(&dir).is_err(), "an existing root is never overwritten");
    let attester = SoftwareAttester::new(back, world().attester.measurement).unwrap();
    accepted(&appraise(&attester.attest(&transcript()).unwrap(), &expected(), &world().policy, now()));
    fs::set_permissions(dir.join("vcek.key"), fs::Permissions::from_mode(0o644)).unwrap();
    assert!(SoftwareRoot::load(&dir).is_err(), "a key that others may read is refused");
    fs::remove_dir_all(&dir).unwrap();
}
