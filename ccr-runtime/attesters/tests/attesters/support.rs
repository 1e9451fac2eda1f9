//! A transcript, an image set, and what an appraisal must say.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use attestation::software::SoftwareRoot;
use attestation::{CHECKS, Expected, Level, PlatformPolicy, Profile, appraise};
use attesters::ReferenceValues;
use schemas::evidence::{Appraisal, Evidence, ImageSet, Transcript};
use schemas::text::Bytes;
use schemas::{Code, Digest, R, Timestamp};
use serde_json::json;

pub fn now() -> Timestamp {
    Timestamp::parse("2026-11-20T12:00:00Z").unwrap()
}

/// One software root for all tests; its keys take a second to make.
pub fn root() -> SoftwareRoot {
    static ROOT: OnceLock<SoftwareRoot> = OnceLock::new();
    ROOT.get_or_init(|| SoftwareRoot::create_with(2048, now()).unwrap()).clone()
}

pub fn measurement() -> Digest {
    Digest::of(b"the code of the room")
}

fn id(prefix: &str, last: u8) -> String {
    format!("{prefix}_0190a0b0-0000-7000-8000-0000000000{last:02x}")
}

/// A transcript of one job, told apart by the challenge's nonce.
pub fn transcript(nonce: u8) -> Transcript {
    of_job(nonce, 3)
}

pub fn of_job(nonce: u8, job: u8) -> Transcript {
    let bytes = |fill: u8| Bytes(vec![fill; 32]).text();
    let digest = |fill: u8| hex::encode([fill; 32]);
    serde_json::from_value(json!({
        "v": 1, "aud": "https://kms.tdp.example", "nonce": bytes(nonce), "challenge_id": id("chl", 1),
        "run_id": id("run", 2), "job_sha256": digest(job),
        "contracts": [{"id": id("ctr", 4), "sha256": digest(4)}], "image_set_id": id("img", 5),
        "enc_jwk": {"kty": "OKP", "crv": "X25519", "x": bytes(6)},
        "run_jwk": {"kty": "OKP", "crv": "Ed25519", "x": bytes(8)},
        "admission_sha256": digest(9), "checkpoint": {"size": 5310, "root": digest(10)}
    }))
    .unwrap()
}

/// The image set of captured values.
pub fn image_set(values: &ReferenceValues) -> ImageSet {
    serde_json::from_value(json!({
        "schema": "image-set.v1", "registry": "did:web:sro.example", "image_set_id": id("img", 5),
        "name": "captured", "profile": values.kind, "pcrs": values.pcrs, "measurements": values.measurements,
        "id_key_digests": values.id_key_digests, "host_data": values.host_data,
        "valid_from": "2026-01-01T00:00:00Z", "valid_to": "2027-12-31T00:00:00Z"
    }))
    .unwrap()
}

pub fn policy(profile: Profile) -> PlatformPolicy {
    PlatformPolicy::new(profile, Level::named("baseline").unwrap(), vec![root().pin()])
}

/// What a demo's key service finds in evidence for a transcript.
pub fn judged(evidence: &Evidence, transcript: &Transcript, set: &ImageSet) -> Appraisal {
    let expected = Expected::from_transcript(transcript, set).unwrap();
    let appraisal = appraise(evidence, &expected, &policy(Profile::Demo), now());
    let names: Vec<&str> = appraisal.checks.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(names, CHECKS);
    appraisal
}

#[track_caller]
pub fn accepted(appraisal: &Appraisal) {
    assert_eq!(appraisal.failed(), Vec::<&str>::new());
    assert!(appraisal.accepted, "{:#?}", appraisal.checks);
}

#[track_caller]
pub fn refused(appraisal: &Appraisal, by: &[&str]) {
    assert_eq!(appraisal.failed(), by, "{:#?}", appraisal.checks);
    assert!(!appraisal.accepted);
}

/// Refused with this code and no other.
#[track_caller]
pub fn refuses<T>(code: Code, result: R<T>) {
    match result {
        Ok(_) => panic!("{code} was expected, and it was granted"),
        Err(refusal) => assert_eq!(refusal.code, code, "{refusal}"),
    }
}

/// A folder of this test, removed with it.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new() -> Folder {
        let dir = std::env::temp_dir().join(format!("depa-attesters-{}", uuid::Uuid::now_v7()));
        std::fs::create_dir(&dir).unwrap();
        Folder(dir)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The crate `attestation`, whose recorded vectors these tests share.
pub fn attestation() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../attestation")
}
