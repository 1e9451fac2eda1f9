//! Certificates in the form that AMD uses (AMD 57230): a strict reader, and what the endorsement key's extensions say.

use openssl::asn1::Asn1Time;
use openssl::nid::Nid;
use openssl::pkey::{Id, PKey, Public};
use openssl::x509::{X509, X509NameRef, X509VerifyResult};
use schemas::{Digest, Timestamp};

use crate::der::{self, Reader};
use crate::raw;
use crate::tcb::Tcb;

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

pub(crate) const EXTENDED_KEY_USAGE: [u8; 3] = [0x55, 0x1d, 0x25];
pub(crate) const IA5_STRING: u8 = 0x16;

/// One X.509 extension.
pub(crate) struct Extension {
    pub oid: Vec<u8>,
    pub critical: bool,
    pub value: Vec<u8>,
}

/// The outer form of any X.509 version 3 certificate, read to its last byte.
pub(crate) struct Outline<'a> {
    pub tbs: &'a [u8],
    /// The content of the algorithm, the same outside and inside.
    pub algorithm: &'a [u8],
    pub signature: &'a [u8],
    pub serial: &'a [u8],
    /// DER of the subject's name.
    pub subject: &'a [u8],
    /// DER of the SubjectPublicKeyInfo.
    pub spki: &'a [u8],
    pub extensions: Vec<Extension>,
}

impl<'a> Outline<'a> {
    /// Reads a certificate; `None` if it is not DER of this form.
    pub fn read(bytes: &'a [u8]) -> Option<Outline<'a>> {
        let mut outer = Reader(Reader::only(bytes, der::SEQUENCE)?.content);
        let tbs = outer.expect(der::SEQUENCE)?;
        let algorithm = outer.expect(der::SEQUENCE)?;
        let signature = der::whole_bits(outer.expect(der::BIT_STRING)?.content)?;
        let mut fields = Reader(tbs.content);
        let version = fields.expect(der::VERSION)?;
        let serial = fields.expect(der::INTEGER)?.content;
        let inner = fields.expect(der::SEQUENCE)?;
        fields.expect(der::SEQUENCE)?; // issuer
        fields.expect(der::SEQUENCE)?; // validity
        let subject = fields.expect(der::SEQUENCE)?.whole;
        let spki = fields.expect(der::SEQUENCE)?.whole;
        let extensions = read_extensions(fields.expect(der::EXTENSIONS)?.content)?;
        let ends = outer.0.is_empty() && fields.0.is_empty();
        if !ends || version.content != [der::INTEGER, 1, 2] || inner.whole != algorithm.whole {
            return None;
        }
        let (tbs, algorithm) = (tbs.whole, algorithm.content);
        Some(Outline { tbs, algorithm, signature, serial, subject, spki, extensions })
    }
}

/// A certificate in the form that AMD uses.
pub(crate) struct Certificate {
    x509: X509,
    pub key: PKey<Public>,
    signed: Vec<u8>,
    signature: Vec<u8>,
    pub serial: Vec<u8>,
    /// DER of the subject's name.
    pub subject: Vec<u8>,
    spki: Digest,
    pub extensions: Vec<Extension>,
}

/// Which of AMD's keys signs reports.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum KeyKind {
    /// A chip's own.
    Vcek,
    /// A provider's; names no chip.
    Vlek,
}

impl KeyKind {
    /// The subject's common name.
    pub fn subject(self) -> &'static str {
        match self {
            KeyKind::Vcek => "SEV-VCEK",
            KeyKind::Vlek => "SEV-VLEK",
        }
    }

    /// The issuer's common name for a product.
    pub fn issuer(self, product: &str) -> String {
        match self {
            KeyKind::Vcek => format!("SEV-{product}"),
            KeyKind::Vlek => format!("SEV-VLEK-{product}"),
        }
    }
}

/// What the extensions of a VCEK or VLEK say.
#[derive(Clone, Debug)]
pub(crate) struct Endorsement {
    pub kind: KeyKind,
    pub product_name: String,
    pub tcb: Tcb,
    pub has_fmc: bool,
    /// The chip's id; none in a VLEK.
    pub hwid: Option<Vec<u8>>,
}

impl Certificate {
    /// Reads one X.509 version 3 certificate, signed in AMD's form, to its last byte.
    pub fn read(bytes: &[u8]) -> Option<Certificate> {
        let outline = Outline::read(bytes)?;
        if !is_pss_sha384(outline.algorithm) {
            return None;
        }
        let x509 = X509::from_der(bytes).ok()?;
        Some(Certificate {
            key: x509.public_key().ok()?,
            x509,
            signed: outline.tbs.to_vec(),
            signature: outline.signature.to_vec(),
            serial: outline.serial.to_vec(),
            subject: outline.subject.to_vec(),
            spki: Digest::of(outline.spki),
            extensions: outline.extensions,
        })
    }

    /// SHA-256 of the SubjectPublicKeyInfo.
    pub fn spki(&self) -> Digest {
        self.spki
    }

    pub fn is_signed_by(&self, parent: &Certificate) -> bool {
        parent.signed_this(&self.signed, &self.signature)
    }

    pub fn is_valid_at(&self, now: Timestamp) -> bool {
        let Ok(now) = Asn1Time::from_unix(now.seconds()) else { return false };
        self.x509.not_before() <= now && self.x509.not_after() >= now
    }

    pub fn is_ca(&self) -> bool {
        let constraints = self.extensions.iter().filter(|e| e.oid == BASIC_CONSTRAINTS && e.critical);
        let says_ca = |e: &Extension| {
            let first = Reader::only(&e.value, der::SEQUENCE).and_then(|s| Reader(s.content).expect(der::BOOLEAN));
            first.is_some_and(|b| b.content == [0xff])
        };
        constraints.map(says_ca).eq([true])
    }

    /// Whether this certificate's subject is the other's issuer, key identifiers included.
    pub fn issued(&self, child: &Certificate) -> bool {
        self.x509.issued(&child.x509) == X509VerifyResult::OK
    }

    /// The only common name of the subject.
    pub fn common_name(&self) -> Option<String> {
        common_name(self.x509.subject_name())
    }

    /// The only common name of the issuer.
    pub fn issuer_name(&self) -> Option<String> {
        common_name(self.x509.issuer_name())
    }

    /// Whether it bears another certificate's or a list's signature: RSASSA-PSS in AMD's form.
    pub fn signed_this(&self, signed: &[u8], signature: &[u8]) -> bool {
        self.key.id() == Id::RSA && raw::pss_sha384(&self.key, signed, signature)
    }

    /// The facts of a VCEK or VLEK: a P-384 key and each AMD extension once.
    pub fn facts(&self) -> Result<Endorsement, String> {
        let curve = self.key.ec_key().ok().and_then(|k| k.group().curve_name());
        if curve != Some(Nid::SECP384R1) {
            return Err("the key is not of P-384".to_owned());
        }
        let named = self.common_name().unwrap_or_default();
        let kind = [KeyKind::Vcek, KeyKind::Vlek].into_iter().find(|k| k.subject() == named);
        let kind = kind.ok_or("neither a VCEK nor a VLEK by its name")?;
        self.extension_facts(kind).ok_or_else(|| "an extension of AMD is missing, doubled or malformed".to_owned())
    }

    fn extension_facts(&self, kind: KeyKind) -> Option<Endorsement> {
        let number = |arc: &[u8]| -> Option<u8> {
            match Reader::only(self.amd(arc)?, der::INTEGER)?.content {
                [value] if *value < 0x80 => Some(*value),
                [0, value] if *value >= 0x80 => Some(*value),
                _ => None,
            }
        };
        let name = Reader::only(self.amd(&[2])?, IA5_STRING)?.content;
        let hwid = match (kind, self.amd(&[4])) {
            // Raw bytes (64, on Turin 8), or a DER octet string around them.
            (KeyKind::Vcek, Some(raw)) if matches!(raw.len(), 8 | 64) => Some(raw.to_vec()),
            (KeyKind::Vcek, Some(wrapped)) => Some(Reader::only(wrapped, der::OCTET_STRING)?.content.to_vec()),
            (KeyKind::Vcek, None) | (KeyKind::Vlek, Some(_)) => return None,
            (KeyKind::Vlek, None) => None,
        };
        let fmc = number(&[3, 9]);
        if fmc.is_none() && self.has_amd(&[3, 9]) {
            return None;
        }
        let tcb = Tcb {
            fmc: fmc.unwrap_or(0),
            bl: number(&[3, 1])?,
            tee: number(&[3, 2])?,
            snp: number(&[3, 3])?,
            ucode: number(&[3, 8])?,
        };
        let product_name = String::from_utf8(name.to_vec()).ok()?;
        Some(Endorsement { kind, product_name, tcb, has_fmc: fmc.is_some(), hwid })
    }

    fn has_amd(&self, arc: &[u8]) -> bool {
        self.extensions.iter().any(|e| e.oid.strip_prefix(&AMD) == Some(arc))
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
pub(crate) fn is_pss_sha384(algorithm: &[u8]) -> bool {
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

fn common_name(name: &X509NameRef) -> Option<String> {
    let mut entries = name.entries_by_nid(Nid::COMMONNAME);
    match (entries.next(), entries.next()) {
        (Some(entry), None) => Some(entry.data().to_string().ok()?.to_string()),
        _ => None,
    }
}

/// A list of extensions (RFC 5280, 4.1.2.9), as in certificates and revocation lists.
pub(crate) fn read_extensions(content: &[u8]) -> Option<Vec<Extension>> {
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
