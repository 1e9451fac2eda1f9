//! The verifier of `az-snp-vtpm` 0.8.2 beside ours: it takes the genuine evidence, and also what must be refused, which
//! is why it is no authority here.

use std::path::{Path, PathBuf};

use attestation::{Expected, Profile, appraise, shown};
use az_snp_vtpm::certs::{AmdChain, Vcek, X509};
use az_snp_vtpm::hcl::HclReport;
use az_snp_vtpm::report::{AttestationReport, Validateable as _};
use az_snp_vtpm::vtpm::Quote;
use openssl::pkey::PKey;
use schemas::evidence::{Evidence, EvidenceKind};
use schemas::text::Bytes;
use serde_json::{Value, json};

use super::support::{attestation, now, policy};

const GENUINE: [&str; 5] = [
    "genoa-v3-trustee",
    "milan-v3-cleanroom-encryption",
    "milan-v3-cleanroom-signing",
    "milan-v3-trustee-v1",
    "milan-v3-trustee-v2",
];

fn x509(path: &Path) -> X509 {
    let bytes = std::fs::read(path).unwrap();
    if bytes.starts_with(b"-----") { X509::from_pem(&bytes).unwrap() } else { X509::from_der(&bytes).unwrap() }
}

/// VCEK, ASK, ARK.
fn chain(vcek: &Path, ask: &Path, ark: &Path) -> [X509; 3] {
    [x509(vcek), x509(ask), x509(ark)]
}

/// All that their verifier checks, in the order of its own example: chain, VCEK, report, runtime data, quote.
fn theirs(hcl: &[u8], [vcek, ask, ark]: &[X509; 3], quote: Option<(&Value, &[u8])>) -> Result<(), String> {
    let text = |e: &dyn std::fmt::Display| e.to_string();
    let hcl = HclReport::new(hcl.to_vec()).map_err(|e| text(&e))?;
    let bound = hcl.var_data_sha256();
    let ak = hcl.ak_pub().map_err(|e| text(&e))?;
    let report: AttestationReport = hcl.try_into().map_err(|_| "the report cannot be read")?;
    let chain = AmdChain { ask: ask.clone(), ark: ark.clone() };
    chain.validate().map_err(|e| text(&e))?;
    let vcek = Vcek(vcek.clone());
    vcek.validate(&chain).map_err(|e| text(&e))?;
    report.validate(&vcek).map_err(|e| text(&e))?;
    if bound != report.report_data[..32] {
        return Err("the runtime data is not bound".to_owned());
    }
    let Some((quote, nonce)) = quote else { return Ok(()) };
    let quote: Quote = serde_json::from_value(quote.clone()).map_err(|e| text(&e))?;
    let pem = ak.key.try_to_pem().map_err(|e| text(&e))?;
    let key = PKey::public_key_from_pem(pem.as_bytes()).map_err(|e| text(&e))?;
    quote.verify(&key, nonce).map_err(|e| text(&e))
}

fn ours(hcl: Vec<u8>, chain: &[X509; 3], quote: &Value, nonce: &[u8]) -> Vec<String> {
    let bytes = |v: &Value| Bytes(serde_json::from_value(v.clone()).unwrap());
    let user_data = shown(EvidenceKind::AzureSnp, &hcl).unwrap().user_data.try_into().unwrap();
    let evidence = Evidence {
        kind: EvidenceKind::AzureSnp,
        report: Bytes(hcl),
        quote: Some(schemas::evidence::Quote {
            message: bytes(&quote["message"]),
            signature: bytes(&quote["signature"]),
            pcrs: quote["pcrs"].as_array().unwrap().iter().map(bytes).collect(),
        }),
        certificates: chain.iter().map(|c| Bytes(c.to_der().unwrap())).collect(),
        ak_certificate: None,
    };
    let expected = Expected::recorded(nonce.to_vec(), user_data);
    let appraisal = appraise(&evidence, &expected, &policy(Profile::Production), now());
    assert_eq!(appraisal.accepted, appraisal.failed().is_empty());
    appraisal.failed().into_iter().map(str::to_owned).collect()
}

#[test]
fn both_verifiers_accept_the_genuine_machines() {
    let roots = attestation().join("data/amd-roots");
    for name in GENUINE {
        let dir = attestation().join("tests/data").join(name);
        let read = |file: &str| std::fs::read(dir.join(file)).unwrap();
        let product = name.split('-').next().unwrap();
        let [ask, ark] = ["ask", "ark"].map(|what| roots.join(format!("{product}-{what}.pem")));
        let chain = chain(&dir.join("vcek.der"), &ask, &ark);
        let pcrs: Vec<Vec<u8>> = read("pcrs_sha256.bin").chunks(32).map(<[u8]>::to_vec).collect();
        let quote = json!({"message": read("quote_msg.bin"), "signature": read("quote_sig.bin"), "pcrs": pcrs});
        let nonce = read("nonce.bin");
        assert_eq!(theirs(&read("hcl.bin"), &chain, Some((&quote, &nonce))), Ok(()), "{name}");
        assert_eq!(ours(read("hcl.bin"), &chain, &quote, &nonce), Vec::<String>::new(), "{name}");
        // Where they look, they look as we do.
        let mut other = nonce.clone();
        other[0] ^= 1;
        assert!(theirs(&read("hcl.bin"), &chain, Some((&quote, &other))).is_err(), "{name}");
        assert_eq!(ours(read("hcl.bin"), &chain, &quote, &other), ["quote_nonce"], "{name}");
    }
}

/// The folder of shared vectors, or a word that this test did not run.
fn shared(test: &str) -> Option<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/attestation/generated");
    if !dir.is_dir() {
        println!("NOT RUN {test}: ../shared/data/attestation is absent");
        return None;
    }
    Some(dir)
}

#[test]
fn the_other_verifier_takes_a_home_made_root_and_relabelled_pcrs() {
    let Some(dir) = shared("the_other_verifier_takes_a_home_made_root_and_relabelled_pcrs") else { return };
    let soft = dir.join("soft-chain");
    let chain = chain(&soft.join("vcek.pem"), &soft.join("ask.pem"), &soft.join("ark.pem"));
    let nonce = b"nonce0123456789abcdef0123456789ab";
    let quote: Value = serde_json::from_slice(&std::fs::read(dir.join("pcr-relabel/quote.json")).unwrap()).unwrap();
    for name in ["soft-v2-Milan.hcl", "soft-v3-Milan.hcl", "soft-v3-Genoa.hcl", "soft-v5-Turin.hcl"] {
        let hcl = std::fs::read(soft.join(name)).unwrap();
        // The attestation key in the home-made report signed the quote over PCRs 0 to 10 and 16: theirs takes both.
        assert_eq!(theirs(&hcl, &chain, Some((&quote, nonce))), Ok(()), "{name}");
        let failed = ours(hcl, &chain, &quote, nonce);
        for check in ["chain_root", "poison", "pcr_selection"] {
            assert!(failed.iter().any(|f| f == check), "{name}: {failed:?}");
        }
    }
}
