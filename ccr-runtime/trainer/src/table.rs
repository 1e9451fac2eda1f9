//! Tables over the pipe: the work is in the crate `tables`, which knows nothing of tensors.

use chacha20::rand_core::Rng;
use schemas::R;
use schemas::worker::{Start, TableHead};
use tables::Limits;
pub use tables::{Parts, Rows, Table};
use zeroize::Zeroizing;

use crate::noise::Streams;

/// Reads of one table what the job needs; refuses with `TABLE_FORM` what is no table or lacks a column, with
/// `LIMIT_EXCEEDED` what is, or becomes, too large, and with `PUBLIC_COUNT_EXCEEDED` more people than its own contract tells
/// of. The frame is wiped when the table goes.
pub fn read_needed(start: &Start, head: &TableHead, bytes: Zeroizing<Vec<u8>>) -> R<Table> {
    let (join, training) = (&start.join, &start.training);
    let table = tables::read(head, &tables::needed(join, training, &head.handle), bytes, &Limits::ROOM)?;
    tables::within_count(join, training, head, &table)?;
    Ok(table)
}

/// Reads all announced columns of a table.
pub fn read(head: &TableHead, bytes: &[u8]) -> R<Table> {
    tables::read(head, &head.columns, Zeroizing::new(bytes.to_vec()), &Limits::ROOM)
}

/// Joins, filters, keeps one row per principal, scales and splits.
pub fn prepare(start: &Start, tables: Vec<Table>) -> R<Parts> {
    let handles = start.tables.iter().map(|head| head.handle.clone());
    let mut key = Zeroizing::new([0; 32]);
    Streams::of_run(&start.seed.0.0, start.configuration()?).noise(0, "names")?.fill_bytes(&mut *key);
    tables::prepare(&start.join, &start.training, &handles.zip(tables).collect::<Vec<_>>(), &key)
}
