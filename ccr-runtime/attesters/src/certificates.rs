//! The platform's certificates in the order of evidence: VCEK, ASK, ARK. Only their form is looked at; the verifier
//! judges them.

use openssl::nid::Nid;
use openssl::x509::X509;
use schemas::problem::{Code, R, Refusal};
use schemas::text::Bytes;

/// VCEK (or VLEK) first, then the two of the chain with the root last, as DER. Each part may be PEM or DER.
pub(crate) fn ordered(leaf: &[u8], chain: &[&[u8]]) -> R<Vec<Bytes>> {
    let leaf = read(leaf)?;
    let issuers = chain.iter().map(|part| read(part)).collect::<R<Vec<_>>>()?.concat();
    let (roots, between): (Vec<&X509>, Vec<&X509>) = issuers.iter().partition(|c| is_root(c));
    let ([leaf], [between], [root]) = (leaf.as_slice(), between.as_slice(), roots.as_slice()) else {
        return Err(unavailable("one VCEK, one ASK and one ARK are expected"));
    };
    let der = |c: &X509| c.to_der().map(Bytes).map_err(|_| unavailable("a certificate cannot be encoded"));
    Ok(vec![der(leaf)?, der(between)?, der(root)?])
}

fn read(bytes: &[u8]) -> R<Vec<X509>> {
    let read = if bytes.trim_ascii_start().starts_with(b"-----BEGIN") {
        X509::stack_from_pem(bytes)
    } else {
        X509::from_der(bytes).map(|c| vec![c])
    };
    read.map_err(|_| unavailable("what should be a certificate cannot be read"))
}

fn is_root(certificate: &X509) -> bool {
    let name =
        |n: &openssl::x509::X509NameRef| n.entries_by_nid(Nid::COMMONNAME).next().map(|e| e.data().as_slice().to_vec());
    name(certificate.subject_name()) == name(certificate.issuer_name())
}

pub(crate) fn unavailable(why: impl std::fmt::Display) -> Refusal {
    Refusal::new(Code::CertificatesUnavailable, format!("certificates of the platform: {why}"))
}
