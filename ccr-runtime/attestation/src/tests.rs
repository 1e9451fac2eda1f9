//! Recorded evidence of real machines, software evidence spoilt one thing at a time, and noise.

mod checklist;
mod fuzzed;
mod pure;
mod recorded;
mod rules;
mod vectors;

#[cfg(feature = "software-attester")]
mod collateral;
#[cfg(feature = "software-attester")]
mod fakes;
#[cfg(feature = "software-attester")]
mod guest;
#[cfg(feature = "software-attester")]
mod mutation;
#[cfg(feature = "software-attester")]
mod software;
#[cfg(feature = "software-attester")]
mod spoilt;

use std::fs;
use std::path::{Path, PathBuf};

use openssl::x509::X509;
use schemas::Timestamp;
use schemas::evidence::{Appraisal, Evidence, EvidenceKind, ImageSet, Quote, Transcript, Verdict};
use schemas::text::Bytes;
use serde_json::{Value, json};

use crate::{CHECKS, Expected, Level, PlatformPolicy, Profile};

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

fn now() -> Timestamp {
    Timestamp::parse("2026-11-20T12:00:00Z").unwrap()
}

fn production() -> PlatformPolicy {
    PlatformPolicy::new(Profile::Production, Level::named("baseline").unwrap(), Vec::new())
}

/// One certificate of a PEM or DER file, as DER.
fn certificate(path: &Path) -> Bytes {
    let bytes = fs::read(path).unwrap();
    let der = if bytes.starts_with(b"-----") { X509::from_pem(&bytes).unwrap().to_der().unwrap() } else { bytes };
    Bytes(der)
}

/// VCEK from a file, ASK and ARK of a product.
fn chain(vcek: &Path, product: &str) -> Vec<Bytes> {
    let root = |what| {
        let file = format!("data/amd-roots/{product}-{what}.pem");
        certificate(&Path::new(env!("CARGO_MANIFEST_DIR")).join(file))
    };
    vec![certificate(vcek), root("ask"), root("ark")]
}

/// A normalised bundle of an Azure confidential VM, with its nonce.
fn bundle(name: &str) -> (Evidence, Vec<u8>) {
    let dir = data(name);
    let read = |file: &str| fs::read(dir.join(file)).unwrap();
    let product = name.split('-').next().unwrap();
    let quote = Quote {
        message: Bytes(read("quote_msg.bin")),
        signature: Bytes(read("quote_sig.bin")),
        pcrs: read("pcrs_sha256.bin").chunks(32).map(|p| Bytes(p.to_vec())).collect(),
    };
    let evidence = Evidence {
        kind: EvidenceKind::AzureSnp,
        report: Bytes(read("hcl.bin")),
        quote: Some(quote),
        certificates: chain(&dir.join("vcek.der"), product),
        ak_certificate: fs::read(dir.join("aik_cert.der")).ok().map(aik),
    };
    (evidence, read("nonce.bin"))
}

/// The certificate of an attestation key as an attester shows it: cut to its own length.
fn aik(mut bytes: Vec<u8>) -> Bytes {
    let length = usize::from(u16::from_be_bytes([bytes[2], bytes[3]])) + 4;
    bytes.truncate(length);
    Bytes(bytes)
}

/// All bytes of evidence that can enter a verdict: three certificates, envelope, quote, signature, 24 PCRs.
fn parts(evidence: &mut Evidence) -> Vec<&mut Vec<u8>> {
    let quote = evidence.quote.as_mut().unwrap();
    let certificates = evidence.certificates.iter_mut();
    let rest = [&mut evidence.report, &mut quote.message, &mut quote.signature];
    certificates.chain(rest).chain(quote.pcrs.iter_mut()).map(|b| &mut b.0).collect()
}

fn padded(bytes: &[u8]) -> [u8; 64] {
    let mut out = [0; 64];
    out[..bytes.len()].copy_from_slice(bytes);
    out
}

fn uuid(prefix: &str, last: u8) -> String {
    format!("{prefix}_0190a0b0-0000-7000-8000-0000000000{last:02x}")
}

fn transcript_json() -> Value {
    let bytes = |fill: u8| Bytes(vec![fill; 32]).text();
    let digest = |fill: u8| hex::encode([fill; 32]);
    json!({
        "v": 1, "aud": "https://kms.tdp.example", "nonce": bytes(7), "challenge_id": uuid("chl", 1),
        "run_id": uuid("run", 2), "job_sha256": digest(3),
        "contracts": [{"id": uuid("ctr", 4), "sha256": digest(4)}], "image_set_id": uuid("img", 5),
        "enc_jwk": {"kty": "OKP", "crv": "X25519", "x": bytes(6)},
        "run_jwk": {"kty": "OKP", "crv": "Ed25519", "x": bytes(8)},
        "admission_sha256": digest(9), "checkpoint": {"size": 5310, "root": digest(10)}
    })
}

fn transcript() -> Transcript {
    serde_json::from_value(transcript_json()).unwrap()
}

/// An image set for Azure whose PCRs and measurements are those of the bundle `milan-v3-trustee-v2`.
fn azure_set() -> ImageSet {
    let (evidence, _) = bundle("milan-v3-trustee-v2");
    let pcr = |index: usize| hex::encode(&evidence.quote.as_ref().unwrap().pcrs[index].0);
    let field = |at: usize| Bytes(evidence.report.0[32 + at..32 + at + 48].to_vec()).text();
    serde_json::from_value(json!({
        "schema": "image-set.v1", "registry": "did:web:sro.example", "image_set_id": uuid("img", 5),
        "name": "recorded", "profile": "azure-snp",
        "pcrs": {"4": pcr(4), "7": pcr(7), "9": pcr(9), "11": pcr(11), "12": pcr(12)},
        "measurements": [field(0x90)], "id_key_digests": [field(0xe0)], "host_data": null,
        "valid_from": "2026-01-01T00:00:00Z", "valid_to": "2027-12-31T00:00:00Z"
    }))
    .unwrap()
}

/// Every appraisal reports every check once, in order, and is accepted only without failures.
fn well_formed(appraisal: &Appraisal) {
    let names: Vec<&str> = appraisal.checks.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(names, CHECKS);
    assert!(!appraisal.accepted || appraisal.failed().is_empty());
}

/// What did not pass, a line each.
fn faults(appraisal: &Appraisal) -> String {
    let faults = appraisal.checks.iter().filter(|c| c.verdict != Verdict::Pass);
    faults.map(|c| format!("\n  {:?} {}: {}", c.verdict, c.name, c.detail)).collect()
}

#[track_caller]
fn refused(appraisal: &Appraisal, by: &[&str]) {
    well_formed(appraisal);
    assert_eq!(appraisal.failed(), by, "{}", faults(appraisal));
    assert!(!appraisal.accepted);
}

#[track_caller]
fn accepted(appraisal: &Appraisal) {
    well_formed(appraisal);
    assert!(appraisal.accepted, "{}", faults(appraisal));
}

#[test]
fn transcripts_and_image_sets_of_another_form_expect_nothing() {
    let set = azure_set();
    let refuses = |edit: &dyn Fn(&mut Value)| {
        let mut value = transcript_json();
        edit(&mut value);
        Expected::from_transcript(&serde_json::from_value(value).unwrap(), &set).is_err()
    };
    assert!(!refuses(&|_| ()));
    assert!(refuses(&|t| t["v"] = json!(2)));
    assert!(refuses(&|t| t["nonce"] = json!("AQI")));
    assert!(refuses(&|t| t["contracts"] = json!([])));
    assert!(refuses(&|t| t["contracts"] = json!([t["contracts"][0], t["contracts"][0]])));
    assert!(refuses(&|t| t["image_set_id"] = json!(uuid("img", 6))));
    assert!(refuses(&|t| t["enc_jwk"]["crv"] = json!("Ed25519")));
    assert!(refuses(&|t| t["run_jwk"]["x"] = json!("AQI")));
    for (index, kept) in [("8", true), ("16", true), ("24", true), ("04", true), ("x", true), ("7", false)] {
        let mut set = azure_set();
        let value = set.pcrs.remove("7").unwrap();
        if kept {
            set.pcrs.insert("7".to_owned(), value);
            set.pcrs.insert(index.to_owned(), value);
        }
        assert!(Expected::from_transcript(&transcript(), &set).is_err(), "PCR {index}");
    }
}

/// Compares the text between two marks of this crate's README; `UPDATE=1` writes it there.
fn readme_block(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = fs::read_to_string(&path).unwrap();
    let (from, to) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->"));
    let start = readme.find(&from).unwrap() + from.len();
    let end = readme.find(&to).unwrap();
    let wanted = format!("\n{}\n\n", text.trim());
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, format!("{}{wanted}{}", &readme[..start], &readme[end..])).unwrap();
        return;
    }
    assert_eq!(&readme[start..end], wanted, "run UPDATE=1 cargo test -p attestation");
}
