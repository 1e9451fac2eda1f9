//! The record of a sealing as a file: its facts, and SHA-256 over their canonical bytes, so that one that was altered by hand or
//! put together from two is refused before an offer is signed from it. Who may write the provider's files may write this
//! digest too: it guards against mistakes.

use std::path::Path;

use schemas::{Code, Digest, R, Refusal, canonical};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::seal::SealedDataset;
use crate::edge;

/// The member of the digest.
const DIGEST: &str = "sha256";

#[derive(Serialize)]
struct Written<'a> {
    #[serde(flatten)]
    facts: &'a SealedDataset,
    sha256: Digest,
}

/// Writes the record to a file that must not exist yet.
///
/// # Errors
/// `CONFIG_INVALID` where the file exists or cannot be written.
pub fn write(path: &Path, facts: &SealedDataset) -> R<()> {
    edge::write_json(path, &Written { facts, sha256: Digest::of(&canonical::to_bytes(facts)?) })
}

/// Reads a record.
///
/// # Errors
/// `SEALED_TAMPERED` where its facts are not those of its digest; `SCHEMA_MISMATCH` and those of JSON for what is no record.
pub fn read(path: &Path) -> R<SealedDataset> {
    let mut file: Value = edge::read_json_of(path, edge::RECORD)?;
    let facts = parse(&mut file).map_err(|mut refusal| {
        if refusal.code == Code::SchemaMismatch {
            refusal.sentence = format!("{}; expected is {}", refusal.sentence, edge::RECORD);
        }
        edge::about(path, refusal)
    })?;
    Ok(facts)
}

fn parse(file: &mut Value) -> R<SealedDataset> {
    let unread = |e: serde_json::Error| Refusal::new(Code::SchemaMismatch, e.to_string());
    let told = file.as_object_mut().and_then(|members| members.remove(DIGEST));
    let facts = SealedDataset::deserialize(&*file).map_err(unread)?;
    let told = Digest::deserialize(told.unwrap_or(Value::Null))
        .map_err(|_| Refusal::new(Code::SchemaMismatch, "it has no digest: seal again").at(DIGEST))?;
    if told != Digest::of(&canonical::to_bytes(file)?) {
        let sentence = "it was altered since `depa dataset seal` wrote it: take the record as it was, or seal again";
        return Err(Refusal::new(Code::SealedTampered, sentence));
    }
    Ok(facts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> SealedDataset {
        serde_json::from_value(serde_json::json!({
            "dataset_id": "dst_01900000-0000-7000-8000-000000000001", "version": 1,
            "family": "fam_01900000-0000-7000-8000-000000000002", "url": "file:///x", "bytes": 1,
            "manifest_root": "00".repeat(32), "kms": "https://kms.hospital.example",
            "kms_jwk": {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
            "key_id": "key_01900000-0000-7000-8000-000000000003", "min_assurance": "hardware", "media_type": "text/csv",
        }))
        .unwrap()
    }

    #[test]
    fn a_record_is_read_as_it_was_written_and_altered_ones_are_refused() {
        let dir = std::env::temp_dir().join(format!("depa-record-{}", edge::fresh()));
        std::fs::create_dir(&dir).unwrap();
        let path = dir.join("sealed.json");
        write(&path, &record()).unwrap();
        assert_eq!(read(&path).unwrap(), record());
        let whole: Value = edge::read_json(&path).unwrap();
        type Spoil = fn(&mut serde_json::Map<String, Value>);
        let cases: [(&str, Spoil); 6] = [
            ("SEALED_TAMPERED", |r| drop(r.insert("manifest_root".into(), "01".repeat(32).into()))),
            ("SEALED_TAMPERED", |r| drop(r.insert("url".into(), "https://elsewhere.example/x".into()))),
            ("SEALED_TAMPERED", |r| drop(r.insert("min_assurance".into(), "software".into()))),
            ("SEALED_TAMPERED", |r| drop(r.remove("media_type"))),
            ("SCHEMA_MISMATCH", |r| drop(r.remove("sha256"))),
            ("SCHEMA_MISMATCH", |r| drop(r.insert("note".into(), "x".into()))),
        ];
        for (at, (code, spoil)) in cases.into_iter().enumerate() {
            let mut file = whole.clone();
            spoil(file.as_object_mut().unwrap());
            std::fs::write(&path, serde_json::to_vec(&file).unwrap()).unwrap();
            assert_eq!(read(&path).unwrap_err().code.as_str(), code, "case {at}");
        }
        std::fs::remove_dir_all(dir).unwrap();
    }
}
