//! Points 6 and 7: the certificates VCEK, ASK, ARK (AMD 57230), the pin of the root, and the poison of software roots.

use openssl::asn1::Asn1Time;
use openssl::nid::Nid;
use openssl::pkey::{Id, PKey, Public};
use openssl::x509::{X509, X509NameRef, X509VerifyResult};
use schemas::evidence::EvidenceKind;
use schemas::{Digest, Timestamp};

use crate::appraise::Case;
use crate::checks::Checks;
use crate::der::{self, Reader};
use crate::policy::{self, Product, Tcb};
use crate::raw;

/// `id-RSASSA-PSS` with SHA-384, MGF1 with SHA-384, salt 48, as AMD writes it (RFC 4055); ends before the trailer field.
pub(crate) const PSS: [u8; 65] = [
    0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0a, 0x30, 0x34, 0xa0, 0x0f, 0x30, 0x0d, 0x06, 0x09,
    0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02, 0x05, 0x00, 0xa1, 0x1c, 0x30, 0x1a, 0x06, 0x09, 0x2a, 0x86,
    0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x08, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02,
    0x02, 0x05, 0x00, 0xa2, 0x03, 0x02, 0x01, 0x30,
];
/// The trailer field with its default value, which AMD's roots spell out.
const PSS_TRAILER: [u8; 5] = [0xa3, 0x03, 0x02, 0x01, 0x01];
/// 1.3.6.1.4.1.3704.1, AMD's arc of VCEK extensions.
pub(crate) const AMD: [u8; 8] = [0x2b, 0x06, 0x01, 0x04, 0x01, 0x9c, 0x78, 0x01];
/// 1.3.6.1.4.1.55555.1.1, critical in every software certificate: no ordinary verifier accepts it.
pub(crate) const POISON: [u8; 10] = [0x2b, 0x06, 0x01, 0x04, 0x01, 0x83, 0xb2, 0x03, 0x01, 0x01];
pub(crate) const BASIC_CONSTRAINTS: [u8; 3] = [0x55, 0x1d, 0x13];
pub(crate) const KEY_USAGE: [u8; 3] = [0x55, 0x1d, 0x0f];
/// Names of the software chain where AMD's say the product.
pub(crate) const SOFTWARE: &str = "DEPA-SOFTWARE";

struct Extension {
    oid: Vec<u8>,
    critical: bool,
    value: Vec<u8>,
}

/// A certificate in the form that AMD uses.
pub(crate) struct Certificate {
    x509: X509,
    key: PKey<Public>,
    signed: Vec<u8>,
    signature: Vec<u8>,
    spki: Digest,
    extensions: Vec<Extension>,
}

/// What the VCEK's extensions say.
#[derive(Clone)]
pub(crate) struct Vcek {
    pub product_name: String,
    pub tcb: Tcb,
    pub has_fmc: bool,
    pub hwid: Vec<u8>,
}

/// A chain that could be read; whether it is trusted stands in the checks.
pub(crate) struct Chain {
    /// By the pin of the root; for software by what the VCEK says.
    pub product: Option<Product>,
    pub vcek: Vcek,
    pub vcek_key: PKey<Public>,
}

/// Judges the chain. `None` if a certificate cannot be read, which fails `chain_form` or `vcek_form`.
pub(crate) fn judge(case: &Case, checks: &mut Checks) -> Option<Chain> {
    let software = case.evidence.kind == EvidenceKind::Software;
    let mut read = Vec::new();
    for (bytes, name) in case.evidence.certificates.iter().zip(["VCEK", "ASK", "ARK"]) {
        match Certificate::read(&bytes.0) {
            Some(certificate) => read.push(certificate),
            None => checks.judge("chain_form", false, format!("the {name} is not a certificate of AMD's form")),
        }
    }
    let [vcek, ask, ark] = read.as_slice() else { return None };

    // The root: its key is pinned, and only by the profile that the evidence claims.
    let pinned = if software { None } else { policy::amd_root(&ark.spki) };
    let trusted = pinned.is_some() || software && case.policy.pins_software(&ark.spki);
    checks.judge("chain_root", trusted, format!("root key {}", ark.spki));
    let signed = [(ark, ark), (ask, ark), (vcek, ask)].iter().all(|(child, parent)| child.is_signed_by(parent));
    checks.judge("chain_signatures", signed, "ARK by itself, ASK by ARK, VCEK by ASK: RSASSA-PSS with SHA-384");
    let valid = [vcek, ask, ark].iter().all(|c| c.is_valid_at(case.now));
    checks.judge("chain_validity", valid, format!("at {}", case.now));
    checks.outcome("poison", poison([vcek, ask, ark], software));
    checks
        .outcome("chain_form", form(vcek, ask, ark, if software { Some(SOFTWARE) } else { pinned.map(Product::name) }));

    match vcek.facts() {
        Ok(facts) => {
            checks.judge("vcek_form", true, format!("VCEK of {}", facts.product_name));
            let product = if software { named_product(&facts.product_name) } else { pinned };
            Some(Chain { product, vcek: facts, vcek_key: vcek.key.clone() })
        }
        Err(reason) => {
            checks.judge("vcek_form", false, reason);
            None
        }
    }
}

fn named_product(name: &str) -> Option<Product> {
    [Product::Milan, Product::Genoa, Product::Turin].into_iter().find(|p| name.starts_with(p.name()))
}

/// Software certificates all carry the poison; hardware ones never do, critical or not.
fn poison(chain: [&Certificate; 3], software: bool) -> Result<String, String> {
    let carries = |c: &&Certificate| c.extensions.iter().any(|e| e.oid == POISON);
    let critical = |c: &&Certificate| c.extensions.iter().any(|e| e.oid == POISON && e.critical);
    match software {
        true if chain.iter().all(critical) => Ok("SIMULATED: marked as software".to_owned()),
        true => Err("a software certificate without its critical mark".to_owned()),
        false if chain.iter().any(carries) => Err("a certificate of the software attester".to_owned()),
        false => Ok("no software mark".to_owned()),
    }
}

fn form(vcek: &Certificate, ask: &Certificate, ark: &Certificate, product: Option<&str>) -> Result<String, String> {
    let issued = |parent: &Certificate, child: &Certificate| parent.x509.issued(&child.x509) == X509VerifyResult::OK;
    if !issued(ark, ark) || !issued(ark, ask) || !issued(ask, vcek) {
        return Err("issuer and subject do not follow each other".to_owned());
    }
    if !ark.is_ca() || !ask.is_ca() || vcek.extensions.iter().any(|e| e.oid == BASIC_CONSTRAINTS) {
        return Err("ARK and ASK must be authorities, the VCEK none".to_owned());
    }
    let known =
        |e: &Extension| !e.critical || [&BASIC_CONSTRAINTS[..], &KEY_USAGE, &POISON].contains(&e.oid.as_slice());
    if ![vcek, ask, ark].iter().all(|c| c.extensions.iter().all(known)) {
        return Err("an unknown critical extension".to_owned());
    }
    let product = product.ok_or("the names cannot be compared: the root is unknown")?;
    let names = [(ark, format!("ARK-{product}")), (ask, format!("SEV-{product}")), (vcek, "SEV-VCEK".to_owned())];
    for (certificate, wanted) in names {
        let found = common_name(certificate.x509.subject_name());
        if found.as_deref() != Some(&wanted) {
            return Err(format!("{} stands where {wanted} is expected", found.unwrap_or_default()));
        }
    }
    Ok(format!("ARK, ASK and VCEK of {product}"))
}

fn common_name(name: &X509NameRef) -> Option<String> {
    let mut entries = name.entries_by_nid(Nid::COMMONNAME);
    match (entries.next(), entries.next()) {
        (Some(entry), None) => Some(entry.data().to_string().ok()?.to_string()),
        _ => None,
    }
}

impl Certificate {
    /// Reads one X.509 version 3 certificate, signed in AMD's form, to its last byte.
    pub fn read(bytes: &[u8]) -> Option<Certificate> {
        let mut outer = Reader(Reader::only(bytes, der::SEQUENCE)?.content);
        let tbs = outer.expect(der::SEQUENCE)?;
        let algorithm = outer.expect(der::SEQUENCE)?;
        let signature = outer.expect(der::BIT_STRING)?.content.split_first()?;
        if !outer.0.is_empty() || *signature.0 != 0 || !is_pss_sha384(algorithm.content) {
            return None;
        }
        let mut fields = Reader(tbs.content);
        let version = fields.expect(der::VERSION)?;
        fields.expect(der::INTEGER)?; // serial number
        let inner = fields.expect(der::SEQUENCE)?;
        for _ in 0..3 {
            fields.expect(der::SEQUENCE)?; // issuer, validity, subject
        }
        let spki = fields.expect(der::SEQUENCE)?;
        let extensions = read_extensions(fields.expect(der::EXTENSIONS)?.content)?;
        if version.content != [der::INTEGER, 1, 2] || inner.whole != algorithm.whole || !fields.0.is_empty() {
            return None;
        }
        let x509 = X509::from_der(bytes).ok()?;
        Some(Certificate {
            key: x509.public_key().ok()?,
            x509,
            signed: tbs.whole.to_vec(),
            signature: signature.1.to_vec(),
            spki: Digest::of(spki.whole),
            extensions,
        })
    }

    /// SHA-256 of the SubjectPublicKeyInfo.
    #[cfg(feature = "software-attester")]
    pub fn spki(&self) -> Digest {
        self.spki
    }

    fn is_signed_by(&self, parent: &Certificate) -> bool {
        parent.key.id() == Id::RSA && raw::pss_sha384(&parent.key, &self.signed, &self.signature)
    }

    fn is_valid_at(&self, now: Timestamp) -> bool {
        let Ok(now) = Asn1Time::from_unix(now.seconds()) else { return false };
        self.x509.not_before() <= now && self.x509.not_after() >= now
    }

    fn is_ca(&self) -> bool {
        let constraints = self.extensions.iter().filter(|e| e.oid == BASIC_CONSTRAINTS && e.critical);
        let says_ca = |e: &Extension| {
            let first = Reader::only(&e.value, der::SEQUENCE).and_then(|s| Reader(s.content).expect(der::BOOLEAN));
            first.is_some_and(|b| b.content == [0xff])
        };
        constraints.map(says_ca).eq([true])
    }

    /// The VCEK's facts: a P-384 key and each AMD extension once.
    pub fn facts(&self) -> Result<Vcek, String> {
        let curve = self.key.ec_key().ok().and_then(|k| k.group().curve_name());
        if curve != Some(Nid::SECP384R1) {
            return Err("the key is not of P-384".to_owned());
        }
        let number = |arc: &[u8]| -> Option<u8> {
            match Reader::only(self.amd(arc)?, der::INTEGER)?.content {
                [value] if *value < 0x80 => Some(*value),
                [0, value] if *value >= 0x80 => Some(*value),
                _ => None,
            }
        };
        let facts = || -> Option<Vcek> {
            let name = Reader::only(self.amd(&[2])?, IA5_STRING)?.content;
            let hwid = self.amd(&[4])?;
            // Raw bytes (64, on Turin 8), or a DER octet string around them.
            let hwid = if matches!(hwid.len(), 8 | 64) { hwid } else { Reader::only(hwid, der::OCTET_STRING)?.content };
            let fmc = number(&[3, 9]);
            let tcb = Tcb {
                fmc: fmc.unwrap_or(0),
                bl: number(&[3, 1])?,
                tee: number(&[3, 2])?,
                snp: number(&[3, 3])?,
                ucode: number(&[3, 8])?,
            };
            let product_name = String::from_utf8(name.to_vec()).ok()?;
            Some(Vcek { product_name, tcb, has_fmc: fmc.is_some(), hwid: hwid.to_vec() })
        };
        facts().ok_or_else(|| "an extension of AMD is missing, doubled or malformed".to_owned())
    }

    /// The value of the AMD extension with this last part, if it stands there exactly once.
    fn amd(&self, arc: &[u8]) -> Option<&[u8]> {
        let mut found = self.extensions.iter().filter(|e| e.oid.strip_prefix(&AMD) == Some(arc));
        match (found.next(), found.next()) {
            (Some(extension), None) => Some(&extension.value),
            _ => None,
        }
    }
}

/// Both spellings in AMD's certificates: without the trailer field, and with its default value.
fn is_pss_sha384(algorithm: &[u8]) -> bool {
    let mut parts = Reader(algorithm);
    let (oid, parameters) = (parts.expect(der::OID), parts.expect(der::SEQUENCE));
    let mut wanted = Reader(&PSS);
    let (wanted_oid, wanted_parameters) = (wanted.expect(der::OID), wanted.expect(der::SEQUENCE));
    let (Some(oid), Some(parameters), Some(wanted_oid), Some(wanted)) =
        (oid, parameters, wanted_oid, wanted_parameters)
    else {
        return false;
    };
    let plain = parameters.content.strip_suffix(&PSS_TRAILER).unwrap_or(parameters.content);
    parts.0.is_empty() && oid.content == wanted_oid.content && plain == wanted.content
}

pub(crate) const IA5_STRING: u8 = 0x16;

fn read_extensions(content: &[u8]) -> Option<Vec<Extension>> {
    let mut list = Reader(Reader::only(content, der::SEQUENCE)?.content);
    let mut out = Vec::new();
    while !list.0.is_empty() {
        let mut parts = Reader(list.expect(der::SEQUENCE)?.content);
        let oid = parts.expect(der::OID)?.content.to_vec();
        let mut next = parts.next()?;
        let critical = next.tag == der::BOOLEAN;
        if critical {
            if next.content != [0xff] {
                return None;
            }
            next = parts.next()?;
        }
        if next.tag != der::OCTET_STRING || !parts.0.is_empty() {
            return None;
        }
        out.push(Extension { oid, critical, value: next.content.to_vec() });
    }
    Some(out)
}
