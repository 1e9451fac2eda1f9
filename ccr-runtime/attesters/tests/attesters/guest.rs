//! A stock confidential guest before a software TPM: what its attester would show by the KBS protocol, read from the
//! wire and judged.

use attestation::guest::{GuestTranscript, init_data_pcr, read, write};
use attestation::software::envelope;
use attestation::{Expected, Profile, appraise, user_data};
use attesters::swtpm::open;
use attesters::tpm::Tpm;
use schemas::Digest;
use schemas::evidence::{Appraisal, Evidence, EvidenceKind, ImageSet};
use schemas::text::Bytes;
use serde_json::json;
use tss_esapi::handles::PcrHandle;

use super::support::{accepted, image_set, measurement, now, policy, refused, root};
use super::swtpm::Swtpm;

fn said(nonce: u8) -> GuestTranscript {
    GuestTranscript {
        tee_pubkey: json!({"kty": "EC", "crv": "P-256", "alg": "ECDH-ES+A256KW", "x": "AQ", "y": "Ag"}),
        nonce: openssl::base64::encode_block(&[nonce; 32]),
        additional_evidence: String::new(),
    }
}

/// Quote by the TPM, report by the paravisor that is played, both over what the guest says; through the wire form.
fn shown(tpm: &Tpm, said: &GuestTranscript) -> Evidence {
    let binding = said.binding().unwrap();
    let evidence = Evidence {
        kind: EvidenceKind::Software,
        report: Bytes(envelope(&root(), &tpm.attestation_key().unwrap(), &user_data(&binding)).unwrap()),
        quote: Some(tpm.quote(&binding).unwrap()),
        certificates: root().certificates(),
        ak_certificate: None,
    };
    read(EvidenceKind::Software, &write(&evidence)).unwrap()
}

fn judged(evidence: &Evidence, said: &GuestTranscript, init_data: Option<&Digest>, set: &ImageSet) -> Appraisal {
    let expected = Expected::from_guest(said, init_data, set).unwrap();
    appraise(evidence, &expected, &policy(Profile::Demo), now())
}

#[test]
fn a_guest_before_a_software_tpm_is_accepted_with_its_init_data() {
    let Some(swtpm) = Swtpm::start("a_guest_before_a_software_tpm_is_accepted_with_its_init_data") else { return };
    let set = image_set(&open(&swtpm.tcti(), root(), &measurement()).unwrap().collect().unwrap());
    let tpm = Tpm::at(&swtpm.tcti()).unwrap();
    let init_data = Digest::of(b"init-data");
    let before = shown(&tpm, &said(1));
    accepted(&judged(&before, &said(1), None, &set));
    refused(&judged(&before, &said(1), Some(&init_data), &set), &["job_pcr"]);
    refused(&judged(&before, &said(2), None, &set), &["user_data", "quote_nonce"]);
    // What the guest components do with the digest.
    tpm.extend(PcrHandle::Pcr8, &init_data).unwrap();
    let after = shown(&tpm, &said(3));
    let eighth = &after.quote.as_ref().unwrap().pcrs[8];
    assert_eq!(eighth.0, init_data_pcr(Some(&init_data)).0);
    accepted(&judged(&after, &said(3), Some(&init_data), &set));
    refused(&judged(&after, &said(3), None, &set), &["job_pcr"]);
    // In production it opens nothing.
    let expected = Expected::from_guest(&said(3), Some(&init_data), &set).unwrap();
    refused(&appraise(&after, &expected, &policy(Profile::Production), now()), &["profile", "chain_root"]);
}
