//! Reading the log: checkpoint, receipts, consistency proofs, tiles, export, cosignatures.

use diesel::prelude::*;
use schemas::canonical;
use schemas::log::{Checkpoint, CheckpointRef, ExportedEntry, NoteSignature, Receipt, Record};
use schemas::text::Bytes;
use schemas::{Code, Digest, R, Refusal};

use crate::conn::Db;
use crate::error::{Fault, corrupt};
use crate::tables::{cosignatures, log_entries};
use crate::tiles::{self, Tree};
use crate::{Registry, tree};

/// Hashes of a full tile (C2SP tlog-tiles).
pub const TILE: u64 = 256;
/// The most entries of one export.
pub const MAX_EXPORT: u64 = 1000;
/// Subjects that are asked for at once.
const SUBJECTS: usize = 500;

impl Registry {
    /// The newest checkpoint, with the cosignatures that witnesses have given to it so far.
    pub fn checkpoint(&self) -> R<Checkpoint> {
        let published = self.shared.face.published();
        let mut note = Checkpoint::parse(&published.note)?;
        note.signatures.extend(self.read(|db| cosigned(db, published.head.size))?);
        Ok(note)
    }

    /// Size and root of the log. Asks no database.
    pub fn head(&self) -> R<CheckpointRef> {
        Ok(self.shared.face.published().head.clone())
    }

    /// The receipt of an entry under the newest checkpoint.
    pub fn receipt(&self, index: u64) -> R<Receipt> {
        let published = self.shared.face.published();
        self.receipt_in(index, published.head.size, published.note.clone())
    }

    /// The receipt of an entry under an earlier checkpoint of this log, as one that witnesses have cosigned since.
    pub fn receipt_under(&self, index: u64, earlier: &Checkpoint) -> R<Receipt> {
        let size = earlier.head.size.min(self.shared.face.published().head.size);
        self.receipt_in(index, size, earlier.text())
    }

    fn receipt_in(&self, index: u64, size: u64, checkpoint: String) -> R<Receipt> {
        if index >= size {
            return Err(Refusal::new(Code::NotFound, format!("the log has no entry {index}")));
        }
        self.read(|db| {
            let row = log_entries::table.find(index as i64).select((log_entries::record, log_entries::body_salt));
            let (record, body_salt): (Vec<u8>, Vec<u8>) = row.first(db)?;
            let mut load = |tree, level, index| tiles::load(db, tree, level, index).map_err(Fault::refusal);
            let tiles = &self.shared.face.tiles;
            let mut node = |level, index| tiles.node(Tree::Log, level, index, &mut load);
            let path = tree::inclusion(Tree::Log, index, size, &mut node)?;
            let record: Record = canonical::parse_canonical(&record)?;
            Ok(Receipt { index, record, body_salt: Bytes(body_salt), path, checkpoint })
        })
    }

    /// A tile of this tree: from memory, or from the database.
    fn stored_tile(&self, tree: Tree, level: u8, index: u64) -> R<Vec<u8>> {
        self.read(|db| tiles::load(db, tree, level, index))
    }

    /// Proves that the tree of `old` entries is a prefix of that of `new`. Recent sizes ask no database.
    pub fn consistency(&self, old: u64, new: u64) -> R<Vec<Digest>> {
        let size = self.shared.face.published().head.size;
        if old == 0 || old > new || new > size {
            let sentence = format!("sizes 1 to {size} in order are expected");
            return Err(Refusal::new(Code::ConsistencyInvalid, sentence));
        }
        let mut load = |tree, level, index| self.stored_tile(tree, level, index);
        let mut node = |level, index| self.shared.face.tiles.node(Tree::Log, level, index, &mut load);
        tree::consistency(Tree::Log, old, new, &mut node)
    }

    /// The root of the tree of the first `size` entries.
    pub fn root_at(&self, size: u64) -> R<Digest> {
        let head = self.shared.face.published().head.clone();
        if size == 0 || size > head.size {
            return Err(Refusal::new(Code::NotFound, format!("sizes 1 to {} are known", head.size)));
        }
        let mut load = |tree, level, index| self.stored_tile(tree, level, index);
        let mut node = |level, index| self.shared.face.tiles.node(Tree::Log, level, index, &mut load);
        tree::root(Tree::Log, size, &mut node)
    }

    /// A tile of hashes, 32 bytes each: `level` of tiles (0 = leaves), `index` of the tile, `width` 1 to 256.
    pub fn tile(&self, level: u8, index: u64, width: u64) -> R<Vec<u8>> {
        let missing = || Refusal::new(Code::NotFound, "the log has no such tile");
        let height = u32::from(level) * 8;
        let start =
            index.checked_mul(TILE).filter(|_| height < 64 && (1..=TILE).contains(&width)).ok_or_else(missing)?;
        let end = start.checked_add(width).ok_or_else(missing)?;
        if end > self.shared.face.published().head.size >> height {
            return Err(missing());
        }
        let mut load = |tree, level, index| self.stored_tile(tree, level, index);
        let tile = self.shared.face.tiles.get((Tree::Log, level, index), width, &mut load)?;
        Ok(tile.get(..(32 * width) as usize).ok_or_else(|| corrupt("a tile of the tree"))?.to_vec())
    }

    /// A tile of public records: each as a big-endian 16-bit length and its bytes.
    pub fn entry_tile(&self, index: u64, width: u64) -> R<Vec<u8>> {
        let missing = || Refusal::new(Code::NotFound, "the log has no such tile");
        let start = index.checked_mul(TILE).filter(|_| (1..=TILE).contains(&width)).ok_or_else(missing)?;
        let end = start.checked_add(width).ok_or_else(missing)?;
        if end > self.shared.face.published().head.size {
            return Err(missing());
        }
        self.read(|db| {
            let rows =
                log_entries::table.filter(log_entries::idx.ge(start as i64)).filter(log_entries::idx.lt(end as i64));
            let records: Vec<Vec<u8>> = rows.order(log_entries::idx).select(log_entries::record).load(db)?;
            let mut tile = Vec::new();
            for record in records {
                let length = u16::try_from(record.len()).map_err(|_| corrupt("record"))?;
                tile.extend_from_slice(&length.to_be_bytes());
                tile.extend_from_slice(&record);
            }
            Ok(tile)
        })
    }

    /// Entries with bodies and salts, for parties and SRO: from an index on, at most [`MAX_EXPORT`].
    pub fn entries(&self, from: u64, limit: u64) -> R<Vec<ExportedEntry>> {
        self.read(|db| {
            let stored = stored(db, from, limit.min(MAX_EXPORT))?;
            stored.into_iter().map(|entry| entry.export().map_err(Fault::from)).collect()
        })
    }

    /// Indices from `from` on of entries about any of these subjects ([`policies::lifecycle::State::subject`]), in order, at
    /// most `most`. An index of the database finds them; the log is not read. An erased entry is about nothing any more.
    pub fn entries_about(&self, subjects: &[String], from: u64, most: u64) -> R<Vec<u64>> {
        let missing = |_| Refusal::new(Code::NotFound, "no such entry");
        let (from, most) = (i64::try_from(from).map_err(missing)?, i64::try_from(most).map_err(missing)?);
        let found = self.read(|db| {
            let mut found: Vec<i64> = Vec::new();
            for some in subjects.chunks(SUBJECTS) {
                let rows =
                    log_entries::table.filter(log_entries::subject.eq_any(some)).filter(log_entries::idx.ge(from));
                let rows = rows.order(log_entries::idx).limit(most).select(log_entries::idx);
                found.extend(rows.load::<i64>(db)?);
                found.sort_unstable();
                found.truncate(most.unsigned_abs() as usize);
            }
            Ok(found)
        })?;
        Ok(found.into_iter().map(i64::unsigned_abs).collect())
    }

    /// Keeps a witness's cosignature of the checkpoint of this size. The caller has verified it.
    pub fn put_cosignature(&self, size: u64, line: &NoteSignature) -> R<()> {
        let (size, name) = (size as i64, line.name.clone());
        let mut blob = line.key_hash.to_vec();
        blob.extend_from_slice(&line.signature);
        let line = Bytes(blob).text();
        self.write(move |db| {
            diesel::delete(cosignatures::table.find((size, &name))).execute(db)?;
            let row = (cosignatures::size.eq(size), cosignatures::name.eq(&name), cosignatures::line.eq(&line));
            diesel::insert_into(cosignatures::table).values(row).execute(db)?;
            Ok(())
        })
    }

    /// The largest size that this witness has cosigned; 0 for none.
    pub fn cosigned_size(&self, witness: &str) -> R<u64> {
        let rows = cosignatures::table.filter(cosignatures::name.eq(witness));
        let size: Option<i64> = self.read(|db| Ok(rows.select(diesel::dsl::max(cosignatures::size)).first(db)?))?;
        Ok(size.unwrap_or_default().unsigned_abs())
    }
}

fn cosigned(db: &mut Db, size: u64) -> Result<Vec<NoteSignature>, Fault> {
    let rows = cosignatures::table.filter(cosignatures::size.eq(size as i64)).order(cosignatures::name).limit(15);
    let rows: Vec<(String, String)> = rows.select((cosignatures::name, cosignatures::line)).load(db)?;
    let mut lines = Vec::new();
    for (name, line) in rows {
        let blob = Bytes::parse(&line)?.0;
        let (key_hash, signature) = blob.split_first_chunk::<4>().ok_or_else(|| corrupt("cosignature"))?;
        lines.push(NoteSignature { name, key_hash: *key_hash, signature: signature.to_vec() });
    }
    Ok(lines)
}

/// An entry as stored, not yet read.
#[derive(Clone)]
pub(crate) struct StoredEntry {
    pub(crate) index: i64,
    pub(crate) record: Vec<u8>,
    pub(crate) subject: String,
    pub(crate) subject_salt: Vec<u8>,
    pub(crate) body_salt: Vec<u8>,
    pub(crate) body: Vec<u8>,
}

impl StoredEntry {
    /// The entry, read strictly.
    pub(crate) fn export(self) -> R<ExportedEntry> {
        Ok(ExportedEntry {
            index: u64::try_from(self.index).map_err(|_| corrupt("index"))?,
            record: canonical::parse_canonical(&self.record)?,
            subject: self.subject,
            subject_salt: Bytes(self.subject_salt),
            body_salt: Bytes(self.body_salt),
            body: body(&self.body)?,
        })
    }
}

/// A body may be larger than a single document: strict and canonical all the same.
fn body(bytes: &[u8]) -> R<schemas::event::Body> {
    let body = canonical::parse(bytes)?;
    if canonical::to_bytes(&body)? != bytes {
        return Err(Refusal::new(Code::NotCanonical, "a stored body is not canonical"));
    }
    Ok(body)
}

pub(crate) fn stored(db: &mut Db, from: u64, limit: u64) -> Result<Vec<StoredEntry>, Fault> {
    type Row = (i64, Vec<u8>, String, Vec<u8>, Vec<u8>, Vec<u8>);
    let from = i64::try_from(from).map_err(|_| Refusal::new(Code::NotFound, "no such entry"))?;
    let rows = log_entries::table.filter(log_entries::idx.ge(from)).order(log_entries::idx).limit(limit as i64);
    let rows: Vec<Row> = rows.load(db)?;
    let entry = |(index, record, subject, subject_salt, body_salt, body): Row| StoredEntry {
        index,
        record,
        subject,
        subject_salt,
        body_salt,
        body,
    };
    Ok(rows.into_iter().map(entry).collect())
}
