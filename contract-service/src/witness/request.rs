//! The body of `add-checkpoint`: `old N`, proof lines, a blank line, a checkpoint note.

use schemas::log::Checkpoint;
use schemas::{Code, Digest, R, Refusal};

/// A request to cosign.
#[derive(Debug)]
pub struct AddCheckpoint {
    /// The size that the sender believes was cosigned last.
    pub old: u64,
    /// Consistency proof from `old` to the checkpoint.
    pub proof: Vec<Digest>,
    /// The checkpoint with the log's signature.
    pub note: Checkpoint,
}

/// The specification's limit.
const MAX_PROOF: usize = 63;

impl AddCheckpoint {
    /// Reads a request strictly.
    pub fn parse(body: &[u8]) -> R<AddCheckpoint> {
        let bad = |why: &str| Refusal::new(Code::CheckpointInvalid, format!("not an add-checkpoint request: {why}"));
        let text = std::str::from_utf8(body).map_err(|_| bad("not UTF-8"))?;
        let (head, note) = text.split_once("\n\n").ok_or_else(|| bad("no blank line"))?;
        let mut lines = head.split('\n');
        let size = lines.next().and_then(|l| l.strip_prefix("old ")).ok_or_else(|| bad("no old size"))?;
        let old: u64 = size.parse().map_err(|_| bad("old size"))?;
        if old.to_string() != size {
            return Err(bad("old size"));
        }
        let proof = lines.map(|line| read_digest(line).ok_or_else(|| bad("proof line"))).collect::<R<Vec<_>>>()?;
        if proof.len() > MAX_PROOF {
            return Err(bad("more than 63 proof lines"));
        }
        Ok(AddCheckpoint { old, proof, note: Checkpoint::parse(note)? })
    }

    /// The request as text.
    pub fn text(&self) -> String {
        let proof: String = self.proof.iter().map(|d| format!("{}\n", write_digest(d))).collect();
        format!("old {}\n{proof}\n{}", self.old, self.note.text())
    }
}

/// Base64 of a digest; taken from the one place that writes it, the checkpoint body.
fn write_digest(digest: &Digest) -> String {
    let head = schemas::log::CheckpointRef { size: 0, root: *digest };
    schemas::log::checkpoint_body("", &head).lines().nth(2).unwrap_or_default().to_owned()
}

fn read_digest(line: &str) -> Option<Digest> {
    Checkpoint::parse(&format!("proof\n0\n{line}\n\n")).ok().map(|note| note.head.root)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_round_trip_and_bad_ones_are_refused() {
        let note = "localhost:1/log\n7\nQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=\n\n";
        let text = format!("old 3\nQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkI=\n\n{note}");
        let request = AddCheckpoint::parse(text.as_bytes()).unwrap();
        assert_eq!((request.old, request.proof.len(), request.note.head.size), (3, 1, 7));
        assert_eq!(request.text(), text);
        for bad in ["", "old 3\n", "old 03\n\nx", "old -1\n\nx", "new 3\n\nx", "old 3\nnot base64\n\nx"] {
            assert!(AddCheckpoint::parse(bad.as_bytes()).is_err(), "{bad:?}");
        }
    }
}
