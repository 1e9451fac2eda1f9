//! AMD's intermediate and root certificates, carried along so that a saved VCEK is enough. They are collateral: what
//! counts is the pin of the root key in [`policy`](crate::policy).

use openssl::x509::X509;
use schemas::problem::{Code, R, Refusal};
use schemas::text::Bytes;

use crate::snp::certificate::Certificate;

macro_rules! pem {
    ($name:literal) => {
        include_str!(concat!("../data/amd-roots/", $name, ".pem"))
    };
}

/// Common name of the issuer of a VCEK or VLEK, its certificate, and the root's.
const ISSUERS: [(&str, &str, &str); 6] = [
    ("SEV-Milan", pem!("milan-ask"), pem!("milan-ark")),
    ("SEV-Genoa", pem!("genoa-ask"), pem!("genoa-ark")),
    ("SEV-Turin", pem!("turin-ask"), pem!("turin-ark")),
    ("SEV-VLEK-Milan", pem!("milan-asvk"), pem!("milan-ark")),
    ("SEV-VLEK-Genoa", pem!("genoa-asvk"), pem!("genoa-ark")),
    ("SEV-VLEK-Turin", pem!("turin-asvk"), pem!("turin-ark")),
];

/// VCEK (or VLEK), ASK and ARK as evidence carries them, of a VCEK in DER alone. Nothing is verified here.
pub fn chain_of(vcek: &[u8]) -> R<Vec<Bytes>> {
    let bad = |text: &str| Refusal::new(Code::EvidenceForm, text);
    let read = Certificate::read(vcek).ok_or_else(|| bad("not a certificate of AMD's form"))?;
    let issuer = read.issuer_name().unwrap_or_default();
    let known = ISSUERS.iter().find(|(name, _, _)| *name == issuer);
    let (_, ask, ark) = known.ok_or_else(|| bad("the certificate's issuer is none of AMD's"))?;
    let der = |pem: &str| X509::from_pem(pem.as_bytes()).and_then(|c| c.to_der()).map(Bytes);
    let (ask, ark) = (der(ask), der(ark));
    match (ask, ark) {
        (Ok(ask), Ok(ark)) => Ok(vec![Bytes(vcek.to_vec()), ask, ark]),
        _ => Err(Refusal::new(Code::Internal, "a certificate of AMD cannot be read")),
    }
}
