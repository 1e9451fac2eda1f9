//! Evidence of others that must be refused, where the shared data lies beside the repository.

use std::fs;

use super::*;
use crate::{appraise, binding};

/// The folder of shared vectors, or a word that this test did not run.
fn shared() -> Option<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/attestation");
    if !dir.is_dir() {
        println!("NOT RUN recorded_vectors: ../shared/data/attestation is absent");
        return None;
    }
    Some(dir)
}

/// A bare report under its own report data, so that only the platform is judged.
fn bare(report: Vec<u8>, certificates: Vec<Bytes>) -> Vec<String> {
    let expected = Expected::recorded(Vec::new(), report[0x50..0x90].try_into().unwrap());
    let evidence = Evidence { kind: EvidenceKind::Snp, report: Bytes(report), quote: None, certificates };
    let appraisal = appraise(&evidence, &expected, &production(), now());
    well_formed(&appraisal);
    appraisal.failed().iter().map(|s| (*s).to_owned()).collect()
}

#[test]
fn bare_reports_fail_where_they_should() {
    let Some(dir) = shared() else { return };
    let read = |name: &str| fs::read(dir.join(name)).unwrap();
    let with = |report: &str, vcek: &str, product: &str| bare(read(report), chain(&dir.join(vcek), product));
    let none: [&str; 0] = [];
    // Genuine and up to date.
    let tav = |p: &str| {
        with(&format!("bare/microsoft-tav/{p}_attestation_report.bin"), &format!("bare/microsoft-tav/{p}_vcek.pem"), p)
    };
    assert_eq!(tav("milan"), none);
    assert_eq!(tav("genoa"), none);
    // Genuine, but no level has a minimum for Turin.
    assert_eq!(tav("turin"), ["tcb_minimum"]);
    // The debug bit, on an old platform.
    assert_eq!(
        with("bare/go-sev-guest/attestation.bin", "bare/go-sev-guest/vcek.testcer", "milan"),
        ["report_version", "tcb_minimum", "guest_policy", "platform_info"]
    );
    // Old firmware, report version 2.
    assert_eq!(
        with("bare/trustee/test-report.bin", "bare/trustee/test-vcek.der", "milan"),
        ["report_version", "tcb_minimum", "platform_info"]
    );
    for bad in ["legacy", "new"] {
        let failed =
            with("bare/trustee/test-report.bin", &format!("bare/trustee/test-vcek-invalid-{bad}.der"), "milan");
        assert_eq!(
            failed,
            [
                "report_version",
                "chain_signatures",
                "signature",
                "tcb_matches_vcek",
                "hwid",
                "tcb_minimum",
                "platform_info"
            ],
            "{bad}"
        );
    }
    // A VLEK at VMPL 1.
    let failed = with("bare/trustee/test-vlek-report.bin", "bare/trustee/test-vlek.der", "milan");
    assert_eq!(failed, ["chain_form", "chain_signatures", "chain_validity", "vcek_form", "tcb_minimum", "vmpl"]);
}

#[test]
fn certificates_of_another_chip_and_other_machines_are_refused() {
    let Some(dir) = shared() else { return };
    let (mut evidence, nonce) = bundle("milan-v3-trustee-v2");
    let expected = Expected::recorded(nonce.clone(), padded(&nonce));
    // Certificates of another chip.
    let tooling = dir.join("azure-cvm/azure-cvm-tooling");
    let mut other = evidence.clone();
    other.report = Bytes(fs::read(tooling.join("hcl-report-snp.bin")).unwrap());
    let pems = X509::stack_from_pem(&fs::read(tooling.join("certs.pem")).unwrap()).unwrap();
    other.certificates = pems.iter().map(|c| Bytes(c.to_der().unwrap())).collect();
    let appraisal = appraise(&other, &expected, &production(), now());
    assert!(["signature", "hwid"].iter().all(|c| appraisal.failed().contains(c)), "{}", faults(&appraisal));
    // An Intel TDX machine.
    let tdx = fs::read_dir(dir.join("tdx"))
        .unwrap()
        .map(|f| f.unwrap().path())
        .find(|p| fs::read(p).is_ok_and(|b| b.starts_with(b"HCLA")));
    evidence.report = Bytes(fs::read(tdx.unwrap()).unwrap());
    let appraisal = appraise(&evidence, &expected, &production(), now());
    refused(&appraisal, &["hcl_form"]);
}

/// The self-made chain of AMD's shape, with the key whose quote re-labels PCRs.
fn soft(dir: &Path, name: &str, kind: EvidenceKind) -> (Evidence, Expected) {
    let report = fs::read(dir.join("generated/soft-chain").join(name)).unwrap();
    let file = fs::read(dir.join("generated/pcr-relabel/quote.json")).unwrap();
    let quote: Value = serde_json::from_slice(&file).unwrap();
    let bytes = |v: &Value| Bytes(serde_json::from_value(v.clone()).unwrap());
    let var_len = u32::from_le_bytes(report[1232..1236].try_into().unwrap()) as usize;
    let runtime: Value = serde_json::from_slice(&report[1236..1236 + var_len]).unwrap();
    let user_data = hex::decode(runtime["user-data"].as_str().unwrap()).unwrap();
    let certificates = ["vcek", "ask", "ark"].map(|n| certificate(&dir.join(format!("generated/soft-chain/{n}.pem"))));
    let evidence = Evidence {
        kind,
        report: Bytes(report),
        quote: Some(Quote {
            message: bytes(&quote["message"]),
            signature: bytes(&quote["signature"]),
            pcrs: quote["pcrs"].as_array().unwrap().iter().map(bytes).collect(),
        }),
        certificates: certificates.to_vec(),
    };
    (evidence, Expected::recorded(b"nonce0123456789abcdef0123456789ab".to_vec(), padded(&user_data)))
}

#[test]
fn a_chain_of_ones_own_and_relabelled_pcrs_are_refused() {
    let Some(dir) = shared() else { return };
    for name in ["soft-v2-Milan.hcl", "soft-v3-Milan.hcl", "soft-v3-Genoa.hcl", "soft-v5-Turin.hcl"] {
        for kind in [EvidenceKind::AzureSnp, EvidenceKind::Software] {
            let (evidence, expected) = soft(&dir, name, kind);
            let appraisal = appraise(&evidence, &expected, &production(), now());
            well_formed(&appraisal);
            let failed = appraisal.failed();
            for check in ["chain_root", "poison", "pcr_selection"] {
                assert!(failed.contains(&check), "{name}: {failed:?}");
            }
            // The quote itself is genuine: signature and nonce hold, which is all that some verifiers ask.
            assert!(!failed.contains(&"quote_signature") && !failed.contains(&"quote_nonce"), "{failed:?}");
            assert_eq!(failed.contains(&"profile"), kind == EvidenceKind::Software);
        }
    }
}

/// The binding of a fixed transcript, so that a change of the canonical form shows.
#[test]
fn the_binding_is_stable() {
    let first = binding(&transcript()).unwrap();
    assert_eq!(hex::encode(&first[..8]), "55a8029eddcb0ae1");
}
