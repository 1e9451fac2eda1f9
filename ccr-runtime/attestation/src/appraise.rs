//! The appraisal: every check named and reported, the peer told a code only.

use schemas::evidence::{Appraisal, Evidence, EvidenceKind, ImageSet, Verdict};
use schemas::text::Bytes;
use schemas::{Digest, Timestamp, canonical};

use crate::checks::Checks;
use crate::expected::Expected;
use crate::policy::PlatformPolicy;
use crate::snp;

/// Evidence as canonical JSON is not larger than this.
const MAX_EVIDENCE: usize = 64 * 1024;
/// The HCL's NV index has 2,600 bytes; the software attester needs less.
const MAX_REPORT: usize = 4096;
const MAX_CERTIFICATE: usize = 8192;
const MAX_QUOTE: usize = 1024;

/// Everything that one appraisal looks at.
pub(crate) struct Case<'a> {
    pub evidence: &'a Evidence,
    pub expected: &'a Expected,
    pub policy: &'a PlatformPolicy,
    pub now: Timestamp,
}

/// Judges evidence at a time: pure, never panics, reports every check of [`CHECKS`](crate::CHECKS) in order.
///
/// Accepted means that no check failed and none was left unjudged because an earlier part could not be read. Checks
/// that do not apply to the kind of evidence are reported as not evaluated. A key may be opened only if
/// [`bound_to_transcript`] holds as well, which it does for every appraisal under [`Expected::from_transcript`].
pub fn appraise(evidence: &Evidence, expected: &Expected, policy: &PlatformPolicy, now: Timestamp) -> Appraisal {
    let case = Case { evidence, expected, policy, now };
    let mut checks = Checks::default();
    let bytes = canonical::to_bytes(evidence).unwrap_or_default();

    // Points 1 and 2. Oversize evidence is not looked at any further.
    let sized = size(&case, bytes.len());
    let readable = sized.is_ok();
    checks.outcome("size", sized);
    checks.outcome("profile", profile(&case));
    match &expected.approved {
        Some(approved) => checks.outcome("image_set", image_set(&case, &approved.set)),
        None => {
            for name in ["image_set", "id_key_digest", "measurement", "host_data", "pcr_values"] {
                checks.skip(name, "recorded evidence without an image set");
            }
        }
    }

    // Points 3 to 29.
    let measurement = if readable { snp::judge(&case, &mut checks) } else { Vec::new() };

    // Point 30: consuming the nonce, once and before anything else, is the service's act; it tells what it consumed.
    nonce(&case, &mut checks);

    // Point 31: the members of the transcript are compared by the services; here it is the source of what was expected.
    if expected.recorded {
        checks.skip("transcript", "recorded: opens no key");
    } else {
        checks.judge("transcript", true, "user data and nonce were derived from the transcript");
    }

    // Point 32: what is kept.
    checks.record.level = Some(policy.level().name().to_owned());
    checks.record.policy_sha256 = policy.sha256();
    checks.record.collateral_sha256 = readable.then(|| policy.collateral_sha256(&evidence.certificates));
    let kept = !bytes.is_empty() && checks.record.policy_sha256.is_some();
    checks.judge("record", kept, "digests of evidence, policy and collateral");

    let (accepted, checks, record) = checks.finish();
    Appraisal {
        kind: evidence.kind,
        assurance: evidence.kind.assurance(),
        accepted,
        checks,
        measurement: Bytes(measurement),
        pcr_sha256: pcr_sha256(evidence),
        evidence_sha256: Digest::of(&bytes),
        record,
    }
}

/// Whether an appraisal was made under a transcript, not under recorded values. Only such a one may open a key.
pub fn bound_to_transcript(appraisal: &Appraisal) -> bool {
    appraisal.checks.iter().any(|c| c.name == "transcript" && c.verdict == Verdict::Pass)
}

fn nonce(case: &Case, checks: &mut Checks) {
    let expected = case.expected;
    match &expected.challenge {
        _ if expected.recorded => checks.skip("nonce", "recorded: the nonce is not ours"),
        None => checks.skip("nonce", "the service consumes it before the appraisal and did not say which"),
        Some((nonce, expires_at)) => {
            let ours = expected.transcript_nonce == *nonce;
            let detail = if ours { "the challenge's, unexpired" } else { "not the challenge's" };
            checks.judge("nonce", ours && case.now < *expires_at, detail);
        }
    }
}

fn size(case: &Case, total: usize) -> Result<String, String> {
    let evidence = case.evidence;
    let quote_fits = evidence
        .quote
        .as_ref()
        .is_none_or(|q| q.message.0.len() <= MAX_QUOTE && q.signature.0.len() <= MAX_QUOTE && q.pcrs.len() <= 24);
    let certificates_fit =
        evidence.certificates.len() == 3 && evidence.certificates.iter().all(|c| c.0.len() <= MAX_CERTIFICATE);
    let ak_fits = evidence.ak_certificate.as_ref().is_none_or(|c| c.0.len() <= MAX_CERTIFICATE);
    let fits = quote_fits && certificates_fit && ak_fits && evidence.report.0.len() <= MAX_REPORT;
    if total == 0 || total > MAX_EVIDENCE || !fits {
        return Err(format!("{total} bytes, {} certificates", evidence.certificates.len()));
    }
    Ok(format!("{total} bytes"))
}

fn profile(case: &Case) -> Result<String, String> {
    match case.evidence.kind {
        EvidenceKind::Software if !case.policy.takes_software() => {
            Err("software evidence is refused outright by this profile or build".to_owned())
        }
        EvidenceKind::Software => Ok("SIMULATED: software evidence in a demo profile".to_owned()),
        EvidenceKind::AzureSnp => Ok("Azure SEV-SNP confidential VM".to_owned()),
        EvidenceKind::Snp => Ok("bare SEV-SNP guest".to_owned()),
    }
}

fn image_set(case: &Case, set: &ImageSet) -> Result<String, String> {
    if set.profile != case.evidence.kind {
        return Err(format!("{} is approved for evidence of another kind", set.image_set_id));
    }
    if case.now < set.valid_from || case.now >= set.valid_to {
        return Err(format!("{} is approved from {} until {}", set.image_set_id, set.valid_from, set.valid_to));
    }
    Ok(set.image_set_id.to_string())
}

fn pcr_sha256(evidence: &Evidence) -> Digest {
    let parts: Vec<&[u8]> = evidence.quote.iter().flat_map(|q| &q.pcrs).map(|p| p.0.as_slice()).collect();
    Digest::of_parts(&parts)
}
