//! Point 24: the certificate of the vTPM's attestation key, judged only under a vTPM root that the policy pins.

use openssl::error::ErrorStack;
use openssl::pkey::{PKey, Public};
use openssl::stack::Stack;
use openssl::x509::store::{X509Store, X509StoreBuilder};
use openssl::x509::verify::X509VerifyParam;
use openssl::x509::{X509, X509StoreContext};
use schemas::Timestamp;
use schemas::evidence::EvidenceKind;

use crate::appraise::Case;
use crate::checks::Checks;
use crate::der::{self, Reader};
use crate::snp::certificate::{BASIC_CONSTRAINTS, EXTENDED_KEY_USAGE, Outline};

/// tcg-kp-AIKCertificate, 2.23.133.8.3 (TCG EK Credential Profile).
pub(crate) const AIK: [u8; 5] = [0x67, 0x81, 0x05, 0x08, 0x03];

/// Judges the certificate against the attestation key of the runtime data.
pub(crate) fn judge(case: &Case, ak: Option<&PKey<Public>>, checks: &mut Checks) {
    match case.evidence.kind {
        EvidenceKind::Snp => return checks.skip("ak_certificate", "a bare guest has no vTPM"),
        EvidenceKind::Software => return checks.skip("ak_certificate", "SIMULATED: nobody vouches for this vTPM"),
        EvidenceKind::AzureSnp if case.policy.vtpm_roots.is_empty() => {
            return checks.skip("ak_certificate", "no vTPM root is pinned");
        }
        EvidenceKind::AzureSnp => {}
    }
    let Some(certificate) = &case.evidence.ak_certificate else {
        return checks.judge("ak_certificate", false, "the room shows no certificate of its attestation key");
    };
    let Some(ak) = ak else {
        return checks.judge("ak_certificate", false, "there is no attestation key to compare with");
    };
    checks.outcome("ak_certificate", judged(case, &certificate.0, ak));
}

fn judged(case: &Case, bytes: &[u8], ak: &PKey<Public>) -> Result<String, String> {
    let outline = Outline::read(bytes).ok_or("not a certificate")?;
    is_for_attestation(&outline)?;
    let certificate = X509::from_der(bytes).map_err(|_| "not a certificate")?;
    let key = certificate.public_key().map_err(|_| "its key cannot be read")?;
    if !key.public_eq(ak) {
        return Err("it is of another key than HCLAkPub".to_owned());
    }
    match chains(case, &certificate) {
        Ok(None) => Ok("the pinned vTPM root vouches for HCLAkPub".to_owned()),
        Ok(Some(reason)) => Err(reason),
        Err(_) => Err("the vTPM roots or authorities cannot be used".to_owned()),
    }
}

/// It is for attestation keys by its extended key usage, and no authority.
fn is_for_attestation(outline: &Outline<'_>) -> Result<(), String> {
    let mut usages = outline.extensions.iter().filter(|e| e.oid == EXTENDED_KEY_USAGE);
    let (Some(usage), None) = (usages.next(), usages.next()) else {
        return Err("it has no extended key usage, or two".to_owned());
    };
    let mut list = Reader(Reader::only(&usage.value, der::SEQUENCE).ok_or("its usage is malformed")?.content);
    let mut found = false;
    while let Some(oid) = list.expect(der::OID) {
        found |= oid.content == AIK;
    }
    if !found || !list.0.is_empty() {
        return Err("it is not for attestation keys (2.23.133.8.3)".to_owned());
    }
    let mut authority = outline.extensions.iter().filter(|e| e.oid == BASIC_CONSTRAINTS);
    let says_ca = |value: &[u8]| Reader::only(value, der::SEQUENCE).is_none_or(|s| !s.content.is_empty());
    if authority.any(|e| says_ca(&e.value)) {
        return Err("it is an authority's".to_owned());
    }
    Ok(())
}

/// Builds the path to a pinned root at the time given; nothing is read from the machine. `None` if it holds.
fn chains(case: &Case, certificate: &X509) -> Result<Option<String>, ErrorStack> {
    let store = store(&case.policy.vtpm_roots, case.now)?;
    let mut between = Stack::new()?;
    for authority in &case.policy.vtpm_intermediates {
        between.push(X509::from_der(authority)?)?;
    }
    let mut context = X509StoreContext::new()?;
    context.init(&store, certificate, &between, |c| {
        let holds = c.verify_cert()?;
        Ok((!holds).then(|| format!("its path does not hold: {}", c.error().error_string())))
    })
}

fn store(roots: &[Vec<u8>], now: Timestamp) -> Result<X509Store, ErrorStack> {
    let mut builder = X509StoreBuilder::new()?;
    for root in roots {
        builder.add_cert(X509::from_der(root)?)?;
    }
    let mut param = X509VerifyParam::new()?;
    param.set_time(now.seconds());
    builder.set_param(&param)?;
    Ok(builder.build())
}
