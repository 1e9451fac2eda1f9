//! Evidence as it is saved: one JSON document, or a folder of raw files.

use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use schemas::evidence::{Evidence, EvidenceKind, ImageSet, Quote};
use schemas::release::Attested;
use schemas::text::Bytes;
use schemas::{Digest, Envelope, R};

use crate::edge;

/// More than any evidence has.
const MAX_FILE: u64 = 256 * 1024;

/// Saved evidence with what was saved beside it.
#[derive(Clone, Debug)]
pub struct Saved {
    /// The evidence.
    pub evidence: Evidence,
    /// The nonce of its challenge.
    pub nonce: Option<Vec<u8>>,
    /// The user data that was asked for.
    pub user_data: Option<Vec<u8>>,
}

/// Reads a JSON document of evidence, alone or with the transcript that it is over (then nonce and user data are those that the
/// transcript asks for), or a folder.
///
/// A folder holds `hcl.bin` (Azure) or `report.bin` (bare), `vcek.der`, for Azure `quote_msg.bin`, `quote_sig.bin` and
/// `pcrs_sha256.bin` (24 values of 32 bytes), and may hold `ask.der` and `ark.der` (else AMD's published ones are taken),
/// `nonce.bin`, `user_data.bin` or `bound_pubkey.pem` (whose SHA-256 the user data is), and `aik_cert.der`.
pub fn load(path: &Path) -> R<Saved> {
    if path.is_dir() {
        return folder(path);
    }
    sized(path)?;
    match edge::read_json(path) {
        Ok(evidence) => Ok(Saved { evidence, nonce: None, user_data: None }),
        Err(no_evidence) => edge::read_json(path).map_err(|_| no_evidence).and_then(attested),
    }
}

fn attested(Attested { transcript, evidence }: Attested) -> R<Saved> {
    let binding = attestation::binding(&transcript)?;
    let user_data = attestation::user_data(&binding).to_vec();
    Ok(Saved { evidence, nonce: Some(binding.to_vec()), user_data: Some(user_data) })
}

fn sized(path: &Path) -> R<()> {
    let length = fs::metadata(path).map_err(|e| edge::file_fault(path, e))?.len();
    if length > MAX_FILE {
        return Err(edge::file_fault(path, "larger than any evidence"));
    }
    Ok(())
}

fn folder(dir: &Path) -> R<Saved> {
    let has = |name: &str| dir.join(name).is_file();
    let read = |name: &str| {
        let path = dir.join(name);
        sized(&path)?;
        edge::read(&path)
    };
    let optional = |name: &str| if has(name) { read(name).map(Some) } else { Ok(None) };
    let azure = has("hcl.bin");
    let vcek = read("vcek.der")?;
    let certificates = match (optional("ask.der")?, optional("ark.der")?) {
        (Some(ask), Some(ark)) => vec![Bytes(vcek), Bytes(ask), Bytes(ark)],
        _ => attestation::chain_of(&vcek)?,
    };
    let quote = match azure {
        false => None,
        true => Some(Quote {
            message: Bytes(read("quote_msg.bin")?),
            signature: Bytes(read("quote_sig.bin")?),
            pcrs: read("pcrs_sha256.bin")?.chunks(32).map(|p| Bytes(p.to_vec())).collect(),
        }),
    };
    let key = optional("bound_pubkey.pem")?.map(|key| Digest::of(&key).0.to_vec());
    Ok(Saved {
        evidence: Evidence {
            kind: if azure { EvidenceKind::AzureSnp } else { EvidenceKind::Snp },
            report: Bytes(read(if azure { "hcl.bin" } else { "report.bin" })?),
            quote,
            certificates,
            ak_certificate: optional("aik_cert.der")?.map(cut).map(Bytes),
        },
        nonce: optional("nonce.bin")?,
        user_data: optional("user_data.bin")?.or(key),
    })
}

/// A certificate out of a larger NV index: its own length stands in its first bytes.
fn cut(mut bytes: Vec<u8>) -> Vec<u8> {
    if let [0x30, 0x82, high, low, ..] = bytes.as_slice() {
        bytes.truncate(usize::from(u16::from_be_bytes([*high, *low])) + 4);
    }
    bytes
}

/// The blocks of a PEM file, or a DER file as its one block.
pub fn blocks(path: &Path) -> R<Vec<Vec<u8>>> {
    let bytes = edge::read(path)?;
    if !bytes.starts_with(b"-----BEGIN") {
        return Ok(vec![bytes]);
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| edge::file_fault(path, "not PEM"))?;
    let mut out = Vec::new();
    for part in text.split("-----BEGIN ").skip(1) {
        let body = part.split_once("-----\n").and_then(|(_, rest)| rest.split_once("-----END"));
        let packed: Option<String> = body.map(|(body, _)| body.split_whitespace().collect());
        let der = packed.and_then(|p| STANDARD.decode(p).ok());
        out.push(der.ok_or_else(|| edge::file_fault(path, "not PEM"))?);
    }
    Ok(out)
}

/// An image set from a draft or signed envelope, or as it is. Signatures are not checked here.
pub fn image_set(path: &Path) -> R<ImageSet> {
    match edge::read_json::<Envelope<ImageSet>>(path) {
        Ok(envelope) => envelope.read_unverified(),
        Err(_) => edge::read_json(path),
    }
}
