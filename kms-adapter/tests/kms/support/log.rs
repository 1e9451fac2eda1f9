//! A tiny log: records, a Merkle tree over them straight from RFC 6962, and receipts under a signed checkpoint.

use schemas::bundle::{Logged, LoggedDocument};
use schemas::event::Body;
use schemas::log::{CheckpointRef, Receipt, Record, body_digest, node_hash, subject_digest};
use schemas::text::Bytes;
use schemas::{Digest, Envelope, Timestamp};
use signing::FileKey;

#[derive(Default)]
pub struct Log {
    records: Vec<(Record, [u8; 32])>,
}

fn root(leaves: &[Digest]) -> Digest {
    match leaves {
        [] => Digest::of(&[]),
        [one] => *one,
        _ => {
            let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
            node_hash(&root(left), &root(right))
        }
    }
}

fn path(at: usize, leaves: &[Digest]) -> Vec<Digest> {
    if leaves.len() <= 1 {
        return vec![];
    }
    let k = leaves.len().next_power_of_two() / 2;
    let (left, right) = leaves.split_at(k);
    let (mut steps, sibling) = if at < k { (path(at, left), root(right)) } else { (path(at - k, right), root(left)) };
    steps.push(sibling);
    steps
}

impl Log {
    fn leaves(&self) -> Vec<Digest> {
        self.records.iter().map(|(record, _)| record.leaf().unwrap()).collect()
    }

    pub fn head(&self) -> CheckpointRef {
        CheckpointRef { size: self.records.len() as u64, root: root(&self.leaves()) }
    }

    pub fn append(&mut self, body: &Body, subject: &str, at: Timestamp) -> usize {
        let salt: [u8; 32] = signing::signer::random().unwrap();
        let record = Record {
            v: 1,
            kind: body.kind().into(),
            subject: subject_digest(&[7; 32], subject),
            seq: 1,
            at,
            body_sha256: body_digest(&salt, body).unwrap(),
            prev: Digest([0; 32]),
        };
        self.records.push((record, salt));
        self.records.len() - 1
    }

    pub fn receipt(&self, index: usize, origin: &str, registry: &FileKey) -> Receipt {
        let leaves = self.leaves();
        let (record, salt) = &self.records[index];
        Receipt {
            index: index as u64,
            record: record.clone(),
            body_salt: Bytes(salt.to_vec()),
            path: path(index, &leaves),
            checkpoint: signing::note::sign_checkpoint(origin, &self.head(), registry).unwrap().text(),
        }
    }

    /// Enters a document and gives it back with its receipt.
    pub fn enter<T: LoggedDocument>(
        &mut self,
        envelope: Envelope<T>,
        origin: &str,
        registry: &FileKey,
        at: Timestamp,
    ) -> Logged<T> {
        let subject = envelope.read_unverified().unwrap().subject();
        let index = self.append(&T::body(envelope.clone()), &subject, at);
        Logged { receipt: self.receipt(index, origin, registry), envelope }
    }
}
