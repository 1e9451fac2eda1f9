//! Checking a sealed dataset without its key: every byte against the manifest, the manifest against what was signed.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use schemas::dataset::DatasetOffer;
use schemas::envelope::PartySignature;
use schemas::id::{DatasetId, Did};
use schemas::jwk::Jwk;
use schemas::{Code, Digest, Envelope, R, Refusal, Signed};
use sealing::{Manifest, Subject};
use serde::Serialize;
use signing::book::OneKey;

use super::seal::SealedDataset;
use crate::edge;

/// A sealed dataset that is what its manifest says.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Checked {
    /// Always true.
    pub verified: bool,
    /// The dataset, as the object itself says.
    pub dataset_id: DatasetId,
    /// Its version.
    pub version: u32,
    /// Size of the object.
    pub bytes: u64,
    /// Bytes that are sealed in it.
    pub plaintext_bytes: u64,
    /// Number of chunks.
    pub chunks: u32,
    /// Bytes that are sealed in each chunk but the last.
    pub chunk_bytes: u32,
    /// Root over the manifest.
    pub manifest_root: Digest,
    /// Whether the record of the sealing says the same.
    pub record: bool,
    /// The signed offer that says the same; without one nobody vouches for the manifest.
    pub offer: Option<Vouched>,
}

/// Who signed what names the manifest.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Vouched {
    /// The provider.
    pub provider: Did,
    /// The offer's digest.
    pub sha256: Digest,
}

/// What somebody says of an object.
struct Said<'a> {
    by: &'static str,
    id: &'a DatasetId,
    version: u32,
    bytes: u64,
    root: &'a Digest,
}

/// The offer, signed by its provider: by the key that its DID encodes, or by this one. A did:web encodes none, and any provider
/// may have entered others later. Whether the key still counts only the log says.
pub fn signed_offer(offer: Envelope<DatasetOffer>, named: Option<Jwk>) -> R<Signed<DatasetOffer>> {
    let claimed = offer.read_unverified()?;
    let provider = claimed.provider;
    let jwk = match named {
        Some(jwk) => jwk,
        None if signing::did::is_web(&provider) => {
            return Err(unnamed(format!("{provider} does not encode its key")));
        }
        None => {
            let own = signing::did::own_key(&provider)?;
            let thumbprint = own.thumbprint();
            let others = |s: &PartySignature| s.kid.holder == provider.as_str() && s.kid.thumbprint != thumbprint;
            if offer.signatures.iter().any(others) {
                return Err(unnamed(format!("{provider} signed with another key than the one that its DID encodes")));
            }
            own
        }
    };
    let book = OneKey { holder: provider.to_string(), jwk };
    signing::verify_by(offer, &claimed.registry, &book, provider.as_str())
}

fn unnamed(why: String) -> Refusal {
    Refusal::new(Code::ConfigInvalid, format!("{why}; --provider-jwk FILE names it")).at("provider")
}

/// Reads an object once and compares it: with the manifest part by part, then with what record and offer say of dataset,
/// root and size. Needs no key and opens nothing.
pub fn verify(
    object: &Path,
    manifest: &Path,
    record: Option<&SealedDataset>,
    offer: Option<&Signed<DatasetOffer>>,
) -> R<Checked> {
    let manifest = Manifest::parse(&edge::read(manifest)?)?;
    let file = File::open(object).map_err(|e| edge::file_fault(object, e))?;
    let header = manifest.covers(BufReader::new(file))?;
    let Subject::Dataset { id, version } = header.subject().clone() else {
        return Err(Refusal::new(Code::SealedWrongObject, "this is a sealed object, and not of a dataset"));
    };
    let (bytes, root) = (header.container_len(), manifest.root());
    let by_record = record.map(|said| Said {
        by: "the record",
        id: &said.dataset_id,
        version: said.version,
        bytes: said.bytes,
        root: &said.manifest_root,
    });
    let by_offer = offer.map(|said| Said {
        by: "the offer",
        id: &said.dataset_id,
        version: said.version,
        bytes: said.objects.iter().map(|object| object.bytes).sum(),
        root: &said.manifest_root,
    });
    for said in by_record.into_iter().chain(by_offer) {
        if (said.id, said.version) != (&id, version) {
            let sentence =
                format!("{} is of {} version {}, this is {id} version {version}", said.by, said.id, said.version);
            return Err(Refusal::new(Code::SealedWrongObject, sentence));
        }
        if *said.root != root {
            let sentence = format!("{} names the manifest root {}, this one has {root}", said.by, said.root);
            return Err(Refusal::new(Code::SealedTampered, sentence));
        }
        if said.bytes != bytes {
            let sentence = format!("{} says {} bytes, the object has {bytes}", said.by, said.bytes);
            return Err(Refusal::new(Code::SealedTampered, sentence));
        }
    }
    Ok(Checked {
        verified: true,
        dataset_id: id,
        version,
        bytes,
        plaintext_bytes: header.total_len(),
        chunks: header.n_chunks(),
        chunk_bytes: header.chunk_len(),
        manifest_root: root,
        record: record.is_some(),
        offer: offer.map(|o| Vouched { provider: o.provider.clone(), sha256: o.digest() }),
    })
}

impl Checked {
    /// The result in words.
    pub fn text(&self) -> String {
        let Checked { dataset_id, version, bytes, chunks, manifest_root, .. } = self;
        let mut lines = vec![
            format!("{dataset_id} version {version}: {bytes} bytes in {chunks} chunks, each as the manifest says"),
            format!("manifest root {manifest_root}"),
        ];
        if self.record {
            lines.push("the record of the sealing says the same".to_owned());
        }
        lines.push(match &self.offer {
            Some(offer) => format!(
                "{} signed this root, in the offer {}; whether its key still counts the log says, not this command",
                offer.provider, offer.sha256
            ),
            None => "nothing signed was compared: --offer FILE says who vouches for the manifest".to_owned(),
        });
        lines.join("\n")
    }
}
