//! The full appraisal of recorded evidence of real Azure confidential VMs: every check, every signature, each time anew.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use attestation::{Expected, Level, PlatformPolicy, Profile};
use schemas::evidence::{Evidence, EvidenceKind, Quote};
use schemas::text::Bytes;
use schemas::{Code, Digest, R, Refusal, Timestamp};

use super::{Plan, percentile};
use crate::rows::{Better, Row};

/// Recorded bundles, from the root of the repository.
const DATA: &str = "ccr-runtime/attestation/tests/data";
const BUNDLES: [&str; 5] = [
    "genoa-v3-trustee",
    "milan-v3-cleanroom-encryption",
    "milan-v3-cleanroom-signing",
    "milan-v3-trustee-v1",
    "milan-v3-trustee-v2",
];

fn read(path: &Path) -> R<Vec<u8>> {
    fs::read(path).map_err(|e| Refusal::new(Code::ConfigInvalid, format!("{}: {e}", path.display())))
}

/// A bundle with the nonce and the user data that it was made under.
fn bundle(name: &str) -> R<(Evidence, Expected)> {
    let dir = Path::new(DATA).join(name);
    let file = |name: &str| read(&dir.join(name));
    let quote = Quote {
        message: Bytes(file("quote_msg.bin")?),
        signature: Bytes(file("quote_sig.bin")?),
        pcrs: file("pcrs_sha256.bin")?.chunks(32).map(|pcr| Bytes(pcr.to_vec())).collect(),
    };
    let ak_certificate = fs::read(dir.join("aik_cert.der")).ok().map(|mut der| {
        // The NV index is longer than the certificate in it.
        let length = der.get(2..4).map_or(0, |l| usize::from(l[0]) << 8 | usize::from(l[1]));
        der.truncate(length + 4);
        Bytes(der)
    });
    let evidence = Evidence {
        kind: EvidenceKind::AzureSnp,
        report: Bytes(file("hcl.bin")?),
        quote: Some(quote),
        certificates: attestation::chain_of(&file("vcek.der")?)?,
        ak_certificate,
    };
    let nonce = file("nonce.bin")?;
    let bound = match fs::read(dir.join("bound_pubkey.pem")) {
        Ok(key) => Digest::of(&key).0.to_vec(),
        Err(_) if name == "milan-v3-trustee-v2" => nonce.clone(),
        Err(_) => Vec::new(),
    };
    let mut user_data = [0; 64];
    for (to, from) in user_data.iter_mut().zip(bound) {
        *to = from;
    }
    Ok((evidence, Expected::recorded(nonce, user_data)))
}

/// Median and slowest hundredth over the five bundles in turn.
pub fn measure(plan: &Plan) -> R<Vec<Row>> {
    let bundles: Vec<_> = BUNDLES.iter().map(|name| bundle(name)).collect::<R<_>>()?;
    let policy = PlatformPolicy::new(Profile::Production, Level::named("baseline")?, Vec::new());
    let now = Timestamp::parse("2026-11-20T12:00:00Z")?;
    let (began, mut millis) = (Instant::now(), Vec::new());
    while began.elapsed() < Duration::from_secs(plan.seconds) {
        for ((evidence, expected), name) in bundles.iter().zip(BUNDLES) {
            let start = Instant::now();
            let appraisal = attestation::appraise(evidence, expected, &policy, now);
            millis.push(start.elapsed().as_secs_f64() * 1000.0);
            if !appraisal.accepted {
                let sentence = format!("{name} is not accepted: {:?}", appraisal.failed());
                return Err(Refusal::new(Code::EvidenceRefused, sentence));
            }
        }
    }
    Ok(vec![
        Row::new("appraisal of Azure SEV-SNP evidence, p50 ms", percentile(&mut millis, 500), 2.0, Better::Less),
        Row::beside("appraisal of Azure SEV-SNP evidence, p99 ms", percentile(&mut millis, 990)),
    ])
}
