//! The measurement of what runs: a digest over labelled files.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use openssl::sha::Sha256;
use schemas::Digest;
use schemas::problem::{Code, R, Refusal};

/// The digest of labelled files, whatever their order: a change of any byte or label changes it.
///
/// SHA-256 over `depa/measure/1`, then per file in the order of its label: length of the label (u32, big-endian), the
/// label, SHA-256 of the file. Labels are what the files are to the room (`ccr`, `libtorch_cpu.so`), never paths.
pub fn measure(files: &[(&str, &Path)]) -> R<Digest> {
    let mut files = files.to_vec();
    files.sort();
    if files.is_empty() || !files.is_sorted_by(|a, b| a.0 < b.0) {
        return Err(Refusal::new(Code::ConfigInvalid, "files are measured under labels, each once, at least one"));
    }
    let mut hash = Sha256::new();
    hash.update(b"depa/measure/1");
    for (label, path) in files {
        let digest = file_sha256(path)
            .map_err(|e| Refusal::new(Code::ConfigInvalid, format!("{label} cannot be measured: {e}")))?;
        hash.update(&(label.len() as u32).to_be_bytes());
        hash.update(label.as_bytes());
        hash.update(&digest);
    }
    Ok(Digest(hash.finish()))
}

fn file_sha256(path: &Path) -> std::io::Result<[u8; 32]> {
    let mut file = File::open(path)?;
    let mut buffer = vec![0; 256 * 1024];
    let mut hash = Sha256::new();
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hash.finish()),
            len => hash.update(buffer.get(..len).unwrap_or_default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_and_label_counts_and_the_order_does_not() {
        let dir = std::env::temp_dir().join(format!("attestation-measure-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let (a, b) = (dir.join("a"), dir.join("b"));
        std::fs::write(&a, b"one").unwrap();
        std::fs::write(&b, b"two").unwrap();
        let first = measure(&[("ccr", &a), ("config", &b)]).unwrap();
        assert_eq!(first, measure(&[("config", &b), ("ccr", &a)]).unwrap());
        assert_ne!(first, measure(&[("ccr", &b), ("config", &a)]).unwrap());
        assert_ne!(first, measure(&[("ccr", &a), ("confi", &b)]).unwrap());
        std::fs::write(&b, b"twp").unwrap();
        assert_ne!(first, measure(&[("ccr", &a), ("config", &b)]).unwrap());
        assert!(measure(&[]).is_err());
        assert!(measure(&[("ccr", &a), ("ccr", &b)]).is_err());
        assert!(measure(&[("ccr", &dir.join("missing"))]).is_err());
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
