//! Recorded evidence of real Azure machines in the form in which stock guests send it (`az-snp-vtpm`, version 2).

use super::recorded::{BUNDLES, recorded};
use super::*;
use crate::appraise;
use crate::guest::{read, write};

#[test]
fn real_evidence_survives_the_wire_and_brings_only_its_vcek() {
    for name in BUNDLES {
        let (mut evidence, expected) = recorded(name);
        evidence.ak_certificate = None;
        let written = write(&evidence);
        let mut members: Vec<&String> = written.as_object().unwrap().keys().collect();
        members.sort();
        assert_eq!(members, ["hcl_report", "tpm_quote", "vcek", "version"]);
        // With the padding that guests write.
        let mut padded = written.clone();
        for member in ["hcl_report", "vcek"] {
            let text = written[member].as_str().unwrap();
            padded[member] = json!(format!("{text}{}", "=".repeat((4 - text.len() % 4) % 4)));
        }
        for sent in [written, padded] {
            // ASK and ARK are ours; the root's key is pinned besides.
            let came = read(EvidenceKind::AzureSnp, &sent).unwrap();
            assert_eq!(came, evidence, "{name}");
            accepted(&appraise(&came, &expected, &production(), now()));
        }
        // What a guest says enters its quote: these machines never spoke to us.
        let said = crate::guest::GuestTranscript {
            tee_pubkey: json!({"kty": "EC"}),
            nonce: openssl::base64::encode_block(&[5; 32]),
            additional_evidence: String::new(),
        };
        let ours = Expected::from_guest(&said, None, &azure_set()).unwrap();
        let appraisal = appraise(&evidence, &ours, &production(), now());
        for check in ["user_data", "quote_nonce"] {
            assert!(appraisal.failed().contains(&check), "{name}: {:?}", appraisal.failed());
        }
    }
}
