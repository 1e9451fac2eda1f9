//! A development certificate authority: for trying TLS on one's own machines, never for production. Short-lived, and
//! named so that nobody takes it for another.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use openssl::asn1::Asn1Time;
use openssl::bn::{BigNum, MsbOption};
use openssl::ec::{EcGroup, EcKey};
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::x509::extension::{BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectAlternativeName};
use openssl::x509::{X509, X509Builder, X509NameBuilder};
use schemas::{Code, R, Refusal};

use crate::config::TlsFiles;
use crate::error::fault;

/// Days that everything of this authority lives.
const DAYS: u32 = 30;
/// Its name.
const NAME: &str = "DEPA development CA - not for production";

/// What was made.
#[derive(Debug)]
pub struct DevCa {
    /// The authority's certificate, for clients.
    pub ca_file: PathBuf,
    /// The server's certificate and key.
    pub tls: TlsFiles,
}

/// Makes an authority and a certificate of it for these hosts in a folder: `ca.pem`, `server.pem`, `server.key`. The
/// authority's key is thrown away, so that nothing more can be signed with it. Files that are there are replaced: the key
/// before the certificate, so that a service which looks in between keeps the old pair.
pub fn make(dir: &Path, hosts: &[String]) -> R<DevCa> {
    if hosts.is_empty() {
        return Err(Refusal::new(Code::ConfigInvalid, "at least one host is needed"));
    }
    std::fs::create_dir_all(dir).map_err(fault)?;
    let (ca, ca_key) = authority().map_err(fault)?;
    let (server, key) = server(&ca, &ca_key, hosts).map_err(fault)?;
    let made = DevCa {
        ca_file: dir.join("ca.pem"),
        tls: TlsFiles { cert_file: dir.join("server.pem"), key_file: dir.join("server.key") },
    };
    put(&made.ca_file, &ca.to_pem().map_err(fault)?, 0o644)?;
    put(&made.tls.key_file, &key.private_key_to_pem_pkcs8().map_err(fault)?, 0o600)?;
    put(&made.tls.cert_file, &server.to_pem().map_err(fault)?, 0o644)?;
    Ok(made)
}

fn key() -> Result<PKey<Private>, ErrorStack> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?;
    PKey::from_ec_key(EcKey::generate(&group)?)
}

/// A certificate without its particulars: serial, name, key, days.
fn begun(name: &str, key: &PKey<Private>) -> Result<X509Builder, ErrorStack> {
    let mut names = X509NameBuilder::new()?;
    names.append_entry_by_nid(Nid::COMMONNAME, name)?;
    let mut serial = BigNum::new()?;
    serial.rand(159, MsbOption::MAYBE_ZERO, false)?;
    let serial = serial.to_asn1_integer()?;
    let (from, until) = (Asn1Time::days_from_now(0)?, Asn1Time::days_from_now(DAYS)?);
    let mut builder = X509::builder()?;
    builder.set_version(2)?;
    builder.set_serial_number(&serial)?;
    builder.set_subject_name(&names.build())?;
    builder.set_pubkey(key)?;
    builder.set_not_before(&from)?;
    builder.set_not_after(&until)?;
    Ok(builder)
}

fn authority() -> Result<(X509, PKey<Private>), ErrorStack> {
    let key = key()?;
    let mut builder = begun(NAME, &key)?;
    let mut names = X509NameBuilder::new()?;
    names.append_entry_by_nid(Nid::COMMONNAME, NAME)?;
    builder.set_issuer_name(&names.build())?;
    builder.append_extension(BasicConstraints::new().critical().ca().pathlen(0).build()?)?;
    builder.append_extension(KeyUsage::new().critical().key_cert_sign().build()?)?;
    builder.sign(&key, MessageDigest::sha256())?;
    Ok((builder.build(), key))
}

fn server(ca: &X509, ca_key: &PKey<Private>, hosts: &[String]) -> Result<(X509, PKey<Private>), ErrorStack> {
    let key = key()?;
    let mut builder = begun("DEPA development server", &key)?;
    builder.set_issuer_name(ca.subject_name())?;
    builder.append_extension(BasicConstraints::new().critical().build()?)?;
    builder.append_extension(KeyUsage::new().critical().digital_signature().build()?)?;
    builder.append_extension(ExtendedKeyUsage::new().server_auth().build()?)?;
    let mut names = SubjectAlternativeName::new();
    for host in hosts {
        if host.parse::<IpAddr>().is_ok() {
            names.ip(host)
        } else {
            names.dns(host)
        };
    }
    let names = names.build(&builder.x509v3_context(Some(ca), None))?;
    builder.append_extension(names)?;
    builder.sign(ca_key, MessageDigest::sha256())?;
    Ok((builder.build(), key))
}

/// Writes a file as a whole: a reader sees the old or the new one.
fn put(path: &Path, bytes: &[u8], mode: u32) -> R<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let (part, wrong) = (path.with_extension("new"), |e| {
        Refusal::new(Code::ConfigInvalid, format!("{} cannot be written: {e}", path.display()))
    });
    drop(std::fs::remove_file(&part));
    let file = std::fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&part);
    file.and_then(|mut file| file.write_all(bytes)).map_err(wrong)?;
    std::fs::rename(&part, path).map_err(wrong)
}
