//! What everyone can check without any body: the tree over the published tiles and, where the service publishes its
//! records, that they are its leaves and chain up subject by subject.

use std::collections::HashMap;

use policies::lifecycle::Frontier;
use schemas::log::{CheckpointRef, Record, leaf_hash};
use schemas::{Code, Digest, R, Refusal};

use super::tiles::{Builder, Tiles, WIDTH, path};
use super::{spelling, tampered};

/// Verifies the tiles of a log up to this head. Returns how many public records were read: none where the service
/// publishes hashes alone.
pub fn verify(tiles: &dyn Tiles, head: &CheckpointRef) -> R<u64> {
    let mut walk = Walk { tiles, frontier: Frontier::default(), builder: Builder::default(), chains: HashMap::new() };
    let mut records = 0;
    let full = head.size / WIDTH as u64;
    let last = usize::try_from(head.size % WIDTH as u64).unwrap_or_default();
    for tile in 0..full {
        records += walk.tile(tile, WIDTH)?;
    }
    if last > 0 {
        records += walk.tile(full, last)?;
    }
    if walk.frontier.root() != head.root {
        return Err(tampered("the root over the published tiles is not the checkpoint's"));
    }
    for (path, hashes) in walk.builder.partial() {
        super::tiles::compare(tiles, &path, hashes)?;
    }
    Ok(records)
}

struct Walk<'a> {
    tiles: &'a dyn Tiles,
    frontier: Frontier,
    builder: Builder,
    /// Sequence and leaf of each subject's last record, by its salted digest.
    chains: HashMap<Digest, (u64, Digest)>,
}

impl Walk<'_> {
    fn tile(&mut self, tile: u64, width: usize) -> R<u64> {
        let name = path("0", tile, width);
        let missing = || tampered(format!("tile {name} is not there"));
        let bytes = self.tiles.tile(&name)?.ok_or_else(missing)?;
        let (leaves, rest) = bytes.as_chunks::<32>();
        if leaves.len() != width || !rest.is_empty() {
            return Err(tampered(format!("tile {name} has not {width} hashes")));
        }
        let records = self.tiles.tile(&path("entries", tile, width))?;
        let records = records.as_deref().map(|bytes| split(bytes, width)).transpose()?;
        for (n, leaf) in leaves.iter().enumerate() {
            let (index, leaf) = (tile * WIDTH as u64 + n as u64, Digest(*leaf));
            if let Some(record) = records.as_ref().and_then(|r| r.get(n)) {
                self.record(index, &leaf, record)?;
            }
            let mut completed = Vec::new();
            self.frontier.push(leaf, |level, index, hash| completed.push((level, index, hash)));
            let tiles = self.tiles;
            self.builder.push(&completed, &mut |path, hashes| super::tiles::compare(tiles, path, hashes))?;
        }
        Ok(records.map_or(0, |r| r.len() as u64))
    }

    fn record(&mut self, index: u64, leaf: &Digest, bytes: &[u8]) -> R<()> {
        let fault = |why: String| tampered(format!("entry {index}: {why}"));
        if leaf_hash(bytes) != *leaf {
            return Err(fault("its record is not its leaf".into()));
        }
        spelling::object(bytes).map_err(|e| fault(e.sentence))?;
        let record: Record = serde_json::from_slice(bytes).map_err(|e| fault(e.to_string()))?;
        let before = self.chains.get(&record.subject).copied().unwrap_or((0, Digest([0; 32])));
        if (record.seq, record.prev) != (before.0 + 1, before.1) {
            return Err(fault("its record does not follow on the subject's record before it".into()));
        }
        self.chains.insert(record.subject, (record.seq, *leaf));
        Ok(())
    }
}

/// The records of an entry bundle: each after its length in two bytes, big-endian (C2SP tlog-tiles).
fn split(mut bytes: &[u8], width: usize) -> R<Vec<&[u8]>> {
    let bad = || Refusal::new(Code::LogTampered, "an entry bundle is cut off or has other entries");
    let mut records = Vec::with_capacity(width);
    while let Some((length, rest)) = bytes.split_first_chunk::<2>() {
        let (record, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length))).ok_or_else(bad)?;
        records.push(record);
        bytes = rest;
    }
    if bytes.is_empty() && records.len() == width { Ok(records) } else { Err(bad()) }
}
