//! One line of an export: canonical, typed, with its digests over the bytes as they stand.

use policies::lifecycle::Digests;
use schemas::event::Body;
use schemas::jwk::Jwk;
use schemas::log::{ExportedEntry, leaf_hash};
use schemas::party::KeyAct;
use schemas::{Code, Digest, R, Refusal};

use super::spelling;

/// An entry that was read.
pub struct Line {
    /// The entry.
    pub entry: ExportedEntry,
    /// Its digests, taken from the line: it is canonical, so these are the digests of the document.
    pub digests: Digests,
    /// The record as it stands, the leaf data of the public log.
    pub record: Vec<u8>,
    /// What later entries may be signed with or over.
    pub brings: Brings,
}

/// Keys and payloads that an entry brings into the log.
#[derive(Default)]
pub struct Brings {
    /// Public keys by thumbprint.
    pub keys: Vec<(String, Jwk)>,
    /// The payload of a proposed contract by its digest.
    pub proposed: Option<(Digest, Vec<u8>)>,
}

/// Reads a line without its line feed. A line in any other spelling is refused, whatever it says.
pub fn read(line: &[u8]) -> R<Line> {
    let members = spelling::object(line)?;
    let entry: ExportedEntry =
        serde_json::from_slice(line).map_err(|e| Refusal::new(Code::SchemaMismatch, e.to_string()))?;
    let missing = || Refusal::new(Code::SchemaMismatch, "an entry has a body and a record");
    let (body, record) =
        (members.value("body").ok_or_else(missing)?, members.value("record").ok_or_else(missing)?.to_vec());
    let digests = Digests { body: Digest::of_parts(&[&entry.body_salt.0, body]), leaf: leaf_hash(&record) };
    let brings = brings(&entry.body);
    Ok(Line { entry, digests, record, brings })
}

/// What a body brings. Nothing of it is trusted: it serves to check signatures early, see [`super::ahead`].
fn brings(body: &Body) -> Brings {
    let mut brings = Brings::default();
    let mut key = |jwk: Jwk| brings.keys.push((jwk.thumbprint(), jwk));
    match body {
        Body::Genesis { registry_jwk, sro, .. } => {
            key(registry_jwk.clone());
            sro.iter().for_each(|p| key(p.jwk.clone()));
        }
        Body::ParticipantApplied { application, .. } => {
            if let Ok(application) = application.read_unverified() {
                key(application.jwk);
            }
        }
        Body::KeyChanged { event, .. } => {
            if let Ok(KeyAct::Add { proof, .. }) = event.read_unverified().map(|e| e.event)
                && let Ok(proof) = proof.read_unverified()
            {
                key(proof.jwk);
            }
        }
        Body::DatasetRegistered { offer } => {
            if let Ok(offer) = offer.read_unverified() {
                key(offer.key.kms_jwk);
            }
        }
        Body::LogKeyRotated { rotation } => {
            if let Ok(rotation) = rotation.read_unverified() {
                key(rotation.jwk);
            }
        }
        Body::RunCheckedIn { run_jwk, .. } => key(run_jwk.clone()),
        Body::ContractProposed { contract } => {
            brings.proposed = Some((contract.digest(), contract.payload.0.clone()));
        }
        _ => {}
    }
    brings
}
