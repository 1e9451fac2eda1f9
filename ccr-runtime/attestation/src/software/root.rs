//! A software root: ARK, ASK and VCEK in AMD's form, all marked as software. The keys of ARK and ASK are dropped after
//! use; the key of the VCEK is the platform's.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use openssl::ec::{EcGroup, EcKey};
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::{Padding, Rsa};
use openssl::sign::{RsaPssSaltlen, Signer};
use openssl::x509::X509;
use schemas::problem::{Code, R, Refusal};
use schemas::text::Bytes;
use schemas::{Digest, Timestamp};
use zeroize::Zeroizing;

use crate::der::{BIT_STRING, BOOLEAN, EXTENSIONS, INTEGER, OCTET_STRING, OID, SEQUENCE, VERSION, element};
use crate::snp::certificate::{AMD, BASIC_CONSTRAINTS, Certificate, IA5_STRING, KEY_USAGE, POISON, PSS, SOFTWARE};
use crate::software::fault;
use crate::software::platform::{TCB, x509_time};

const FILES: [&str; 3] = ["vcek.der", "ask.der", "ark.der"];
const KEY_FILE: &str = "vcek.key";
const DAY: i64 = 86_400;

/// The identity of one software platform.
#[derive(Clone)]
pub struct SoftwareRoot {
    /// VCEK, ASK, ARK as DER.
    certificates: [Vec<u8>; 3],
    key: PKey<Private>,
    chip_id: Vec<u8>,
    pin: Digest,
}

impl SoftwareRoot {
    /// A fresh root with RSA-4096 keys as AMD's. Takes seconds.
    pub fn create(now: Timestamp) -> R<SoftwareRoot> {
        SoftwareRoot::create_with(4096, now)
    }

    /// A fresh root with smaller keys, for tests. Valid from a day before `now`; the VCEK for 7 years, its issuers for 25.
    pub fn create_with(rsa_bits: u32, now: Timestamp) -> R<SoftwareRoot> {
        SoftwareRoot::create_all(rsa_bits, now).map(|(root, _)| root)
    }

    /// The same, with the private keys of ARK and ASK, which nobody keeps but tests that revoke.
    pub(crate) fn create_all(rsa_bits: u32, now: Timestamp) -> R<(SoftwareRoot, [PKey<Private>; 2])> {
        let mut chip_id = [0; 64];
        getrandom::fill(&mut chip_id).map_err(|_| Refusal::new(Code::Internal, "no randomness"))?;
        let make = || -> Result<_, ErrorStack> {
            let ark = PKey::from_rsa(Rsa::generate(rsa_bits)?)?;
            let ask = PKey::from_rsa(Rsa::generate(rsa_bits)?)?;
            let curve = EcGroup::from_curve_name(Nid::SECP384R1)?;
            let vcek = PKey::from_ec_key(EcKey::generate(&curve)?)?;
            let years = |n: i64| (now.plus_seconds(-DAY), now.plus_seconds(n * 365 * DAY));
            let (ark_name, ask_name) = (format!("ARK-{SOFTWARE}"), format!("SEV-{SOFTWARE}"));
            let of_vcek = Content {
                serial: 1,
                subject: "SEV-VCEK",
                spki: vcek.public_key_to_der()?,
                issuer: &ask_name,
                valid: years(7),
                extensions: vcek_extensions(&chip_id),
            };
            let of_ask = Content {
                serial: 2,
                subject: &ask_name,
                spki: ask.public_key_to_der()?,
                issuer: &ark_name,
                valid: years(25),
                extensions: authority(&[INTEGER, 1, 0]),
            };
            let of_ark = Content {
                serial: 1,
                subject: &ark_name,
                spki: ark.public_key_to_der()?,
                issuer: &ark_name,
                valid: years(25),
                extensions: authority(&[]),
            };
            let certificates = [certificate(&of_vcek, &ask)?, certificate(&of_ask, &ark)?, certificate(&of_ark, &ark)?];
            Ok((certificates, vcek, [ark, ask]))
        };
        let (certificates, key, authorities) = make().map_err(fault)?;
        Ok((SoftwareRoot::assemble(certificates, key)?, authorities))
    }

    fn assemble(certificates: [Vec<u8>; 3], key: PKey<Private>) -> R<SoftwareRoot> {
        let bad = || Refusal::new(Code::ConfigInvalid, "the software root's files do not belong together");
        let [vcek, _, ark] = &certificates;
        let chip_id = Certificate::read(vcek).and_then(|c| c.facts().ok()?.hwid).ok_or_else(bad)?;
        let pin = Certificate::read(ark).ok_or_else(bad)?.spki();
        let certified = X509::from_der(vcek).and_then(|c| c.public_key()).map_err(fault)?;
        if !certified.public_eq(&key) {
            return Err(bad());
        }
        Ok(SoftwareRoot { certificates, key, chip_id, pin })
    }

    /// Writes certificates and key into a folder, which is made if missing. The key is readable by its owner only; an
    /// existing root is never overwritten.
    pub fn save(&self, dir: &Path) -> R<()> {
        let write = || -> std::io::Result<()> {
            fs::create_dir_all(dir)?;
            let pem = self.key.private_key_to_pem_pkcs8().map_err(std::io::Error::other)?;
            let pem = Zeroizing::new(pem);
            let open = |name| OpenOptions::new().write(true).create_new(true).mode(0o600).open(dir.join(name));
            open(KEY_FILE)?.write_all(&pem)?;
            for (name, bytes) in FILES.iter().zip(&self.certificates) {
                open(name)?.write_all(bytes)?;
            }
            Ok(())
        };
        write().map_err(|e| file_fault("written", &e))
    }

    /// Reads a saved root. A key file that others may read is refused.
    pub fn load(dir: &Path) -> R<SoftwareRoot> {
        let read = || -> std::io::Result<_> {
            let mut file = File::open(dir.join(KEY_FILE))?;
            if file.metadata()?.permissions().mode() & 0o077 != 0 {
                return Err(std::io::Error::other("its key file is open to others; chmod 600 it"));
            }
            let mut pem = Zeroizing::new(Vec::new());
            file.read_to_end(&mut pem)?;
            let key = PKey::private_key_from_pem(&pem).map_err(std::io::Error::other)?;
            let [vcek, ask, ark] = FILES.map(|name| fs::read(dir.join(name)));
            Ok(([vcek?, ask?, ark?], key))
        };
        let (certificates, key) = read().map_err(|e| file_fault("read", &e))?;
        SoftwareRoot::assemble(certificates, key)
    }

    /// SHA-256 of the ARK's SubjectPublicKeyInfo: what a demo profile pins.
    pub fn pin(&self) -> Digest {
        self.pin
    }

    /// VCEK, ASK and ARK as evidence carries them.
    pub fn certificates(&self) -> Vec<Bytes> {
        self.certificates.iter().map(|c| Bytes(c.clone())).collect()
    }

    pub(crate) fn key(&self) -> &PKey<Private> {
        &self.key
    }

    pub(crate) fn chip_id(&self) -> &[u8] {
        &self.chip_id
    }
}

fn file_fault(what: &str, e: &std::io::Error) -> Refusal {
    Refusal::new(Code::ConfigInvalid, format!("the software root cannot be {what}: {e}"))
}

/// What a certificate says.
struct Content<'a> {
    serial: u8,
    subject: &'a str,
    spki: Vec<u8>,
    issuer: &'a str,
    valid: (Timestamp, Timestamp),
    extensions: Vec<u8>,
}

/// An X.509 version 3 certificate (RFC 5280), signed with RSASSA-PSS, SHA-384 and a salt of 48 bytes.
fn certificate(content: &Content, by: &PKey<Private>) -> Result<Vec<u8>, ErrorStack> {
    let algorithm = element(SEQUENCE, &[&PSS]);
    let (from, to) = (x509_time(content.valid.0), x509_time(content.valid.1));
    let tbs = element(
        SEQUENCE,
        &[
            &element(VERSION, &[&[INTEGER, 1, 2]]),
            &[INTEGER, 1, content.serial],
            &algorithm,
            &name(content.issuer),
            &element(SEQUENCE, &[&element(from.0, &[&from.1]), &element(to.0, &[&to.1])]),
            &name(content.subject),
            &content.spki,
            &element(EXTENSIONS, &[&element(SEQUENCE, &[&content.extensions])]),
        ],
    );
    let mut signer = Signer::new(MessageDigest::sha384(), by)?;
    signer.set_rsa_padding(Padding::PKCS1_PSS)?;
    signer.set_rsa_pss_saltlen(RsaPssSaltlen::custom(48))?;
    signer.set_rsa_mgf1_md(MessageDigest::sha384())?;
    let signature = signer.sign_oneshot_to_vec(&tbs)?;
    Ok(element(SEQUENCE, &[&tbs, &algorithm, &element(BIT_STRING, &[&[0], &signature])]))
}

fn name(common_name: &str) -> Vec<u8> {
    let part = |kind: u8, value: &str| {
        let value = element(0x0c, &[value.as_bytes()]);
        element(0x31, &[&element(SEQUENCE, &[&element(OID, &[&[0x55, 0x04, kind]]), &value])])
    };
    element(SEQUENCE, &[&part(10, "DEPA SOFTWARE ATTESTER - NOT AMD"), &part(3, common_name)])
}

fn extension(oid: &[u8], critical: bool, value: &[u8]) -> Vec<u8> {
    let critical: &[u8] = if critical { &[BOOLEAN, 1, 0xff] } else { &[] };
    element(SEQUENCE, &[&element(OID, &[oid]), critical, &element(OCTET_STRING, &[value])])
}

fn poison() -> Vec<u8> {
    extension(&POISON, true, &element(0x0c, &[b"software-attester-not-for-production"]))
}

/// Extensions of ARK and ASK; `path` is the encoded path length, empty for none.
fn authority(path: &[u8]) -> Vec<u8> {
    let constraints = element(SEQUENCE, &[&[BOOLEAN, 1, 0xff], path]);
    let usage = [BIT_STRING, 2, 1, 0x06]; // certificate and list signing
    [extension(&BASIC_CONSTRAINTS, true, &constraints), extension(&KEY_USAGE, true, &usage), poison()].concat()
}

/// AMD's extensions (AMD 57230), with the values of the software platform.
fn vcek_extensions(chip_id: &[u8]) -> Vec<u8> {
    let amd = |arc: &[u8], value: &[u8]| extension(&[&AMD, arc].concat(), false, value);
    let number = |value: u8| match value {
        0x80.. => vec![INTEGER, 2, 0, value],
        _ => vec![INTEGER, 1, value],
    };
    let [bl, tee, _, _, _, _, snp, ucode] = TCB;
    [
        amd(&[1], &number(0)),
        amd(&[2], &element(IA5_STRING, &[b"Milan-SOFTWARE"])),
        amd(&[3, 1], &number(bl)),
        amd(&[3, 2], &number(tee)),
        amd(&[3, 3], &number(snp)),
        amd(&[3, 8], &number(ucode)),
        amd(&[4], chip_id),
        poison(),
    ]
    .concat()
}
