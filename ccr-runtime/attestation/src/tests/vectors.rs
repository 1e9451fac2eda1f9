//! Every recorded vector with its expected verdict, in one table, where the shared data lies beside the repository. The
//! README of this crate shows the table; `UPDATE=1 cargo test -p attestation vectors` rewrites it there.

pub mod load;

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

/// One appraisal of one vector under the production profile: its files, what is asked, and the checks that fail.
struct Row {
    /// Files or folders, the first of which is the vector.
    files: &'static [&'static str],
    load: fn(&Path, &str) -> (Evidence, Expected),
    level: Asked,
    fails: &'static [&'static str],
}

/// The level, with what the policy asks beside it.
#[derive(Clone, Copy)]
enum Asked {
    Level(&'static str),
    /// `baseline` by our transcript instead of what was recorded.
    Transcript,
    /// `baseline` of a policy that takes VLEKs, while the vector's VLEK was valid.
    Vlek,
    /// A level of newer platform data, which has values for Turin: those of the vector itself.
    Turin,
}

impl Asked {
    fn text(self) -> &'static str {
        match self {
            Asked::Level(name) => name,
            Asked::Transcript => "baseline, by our transcript",
            Asked::Vlek => "baseline, taking VLEKs, in 2025",
            Asked::Turin => "newer data with Turin",
        }
    }

    fn judge(self, evidence: &Evidence, recorded: &Expected) -> Appraisal {
        let level = |name| Level::named(name).unwrap();
        let policy = |level| PlatformPolicy::new(Profile::Production, level, Vec::new());
        match self {
            Asked::Level(name) => appraise(evidence, recorded, &policy(level(name)), now()),
            Asked::Transcript => {
                let expected = Expected::from_transcript(&transcript(), &azure_set()).unwrap();
                appraise(evidence, &expected, &policy(level("baseline")), now())
            }
            Asked::Vlek => {
                let then = Timestamp::parse("2025-06-01T00:00:00Z").unwrap();
                appraise(evidence, recorded, &policy(level("baseline")).with_vlek(), then)
            }
            Asked::Turin => appraise(evidence, recorded, &policy(rules::turin_level(|_| ())), now()),
        }
    }
}

const BASELINE: Asked = Asked::Level("baseline");

/// Files that are no evidence of their own: certificates, keys, scripts, endorsements of others, tokens.
const SUPPORT: &[(&str, &str)] = &[
    ("README.md", "text"),
    ("validate.py", "script"),
    ("validate.out", "text"),
    ("amd-roots/", "certificates, the same keys as pinned"),
    ("maa/", "tokens of another verifier: never a root, not appraised"),
    ("azure-caci/azure-cleanroom/values.txt", "text"),
    ("azure-caci/kms/README.md", "text"),
    ("azure-caci/sidecar/", "endorsements of a paravisor by COSE, policies: not appraised"),
    ("azure-cvm/azure-cvm-tooling/var-data.bin", "part of the report"),
    ("bare/go-sev-guest/milan", "certificates"),
    ("bare/virtee-sev/vcek_turin.der", "certificate without a report: `certificates_of_turin_are_read`"),
    ("bare/virtee-sev/cert_chain", "certificates"),
    ("bare/microsoft-tav/", "certificates"),
    ("generated/josekit-tag-truncation-test.rs", "program: crate `signing`"),
    ("generated/soft-chain/", "certificates and scripts"),
];

const ROWS: &[Row] = &include!("vectors/table.rs");

#[test]
fn every_vector_has_its_verdict() {
    let Some(dir) = shared() else { return };
    let mut lines = vec!["| vector | asked | verdict |".to_owned(), "|---|---|---|".to_owned()];
    let mut wrong = Vec::new();
    for row in ROWS {
        let (evidence, expected) = (row.load)(&dir, row.files[0]);
        let appraisal = row.level.judge(&evidence, &expected);
        well_formed(&appraisal);
        let failed = appraisal.failed();
        let kind = if evidence.kind == EvidenceKind::Software { " as software" } else { "" };
        let verdict = if appraisal.accepted {
            "accepted, recorded".to_owned()
        } else {
            format!("refused: {}", failed.join(", "))
        };
        lines.push(format!("| `{}`{kind} | {} | {verdict} |", row.files[0], row.level.text()));
        if failed != row.fails || appraisal.accepted != row.fails.is_empty() {
            wrong.push(format!("{} {}: {failed:?}{}", row.files[0], row.level.text(), faults(&appraisal)));
        }
    }
    println!("{}", lines.join("\n"));
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    readme_block("verdicts", &lines.join("\n"));
}

#[test]
fn no_file_is_left_out_of_the_table() {
    let Some(dir) = shared() else { return };
    let mut folders = vec![dir.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(&dir).unwrap().to_str().unwrap();
            let listed = ROWS.iter().flat_map(|r| r.files).any(|f| name == *f || name.starts_with(&format!("{f}/")));
            assert!(listed || SUPPORT.iter().any(|(prefix, _)| name.starts_with(prefix)), "{name}");
        }
    }
}

/// The self-made chain and the re-labelled quote are genuine in what some verifiers ask: signature and nonce hold.
#[test]
fn relabelled_pcrs_and_a_chain_of_ones_own_hold_in_all_that_others_ask() {
    let Some(dir) = shared() else { return };
    let (evidence, expected) = load::relabelled(&dir, "generated/pcr-relabel");
    let appraisal = BASELINE.judge(&evidence, &expected);
    let failed = appraisal.failed();
    assert!(["chain_root", "poison", "pcr_selection"].iter().all(|c| failed.contains(c)), "{failed:?}");
    let holds = ["quote_signature", "quote_nonce", "signature", "report_data", "chain_signatures"];
    assert!(!holds.iter().any(|c| failed.contains(c)), "{failed:?}");
}

#[test]
fn certificates_of_turin_are_read() {
    let Some(dir) = shared() else { return };
    let der = fs::read(dir.join("bare/virtee-sev/vcek_turin.der")).unwrap();
    let facts = crate::snp::certificate::Certificate::read(&der).unwrap().facts().unwrap();
    assert!(facts.has_fmc && facts.hwid.unwrap().len() == 8 && facts.product_name.starts_with("Turin"));
    assert_eq!(crate::chain_of(&der).unwrap()[1..], chain(&dir.join("bare/virtee-sev/vcek_turin.der"), "turin")[1..]);
}

/// The binding of a fixed transcript, so that a change of the canonical form shows.
#[test]
fn the_binding_is_stable() {
    let first = binding(&transcript()).unwrap();
    assert_eq!(hex::encode(&first[..8]), "55a8029eddcb0ae1");
}
