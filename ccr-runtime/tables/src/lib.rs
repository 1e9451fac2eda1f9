//! Sealed tables: read under limits, joined as the job says, made into rows for a model. No key, no network, no file, no
//! tensor; what comes in is hostile until it is read.
//!
//! Read in this order: [`limits`], [`csv`] and [`parquet`] (from bytes to a [`Table`]), `count` (no more people than its
//! contract tells of), `plan` and `check` (the typed join
//! as a plan of DataFusion, and the walk that refuses anything else), `names` (pseudonyms in place of keys), `engine` (its
//! execution), `rows` (one row per principal, scaled by public bounds and split), [`picture`] (PNG and NumPy arrays),
//! [`pack`] (a folder of pictures as one table, on the provider's own machine).
//!
//! Faults of a file's structure refuse, with a fixed sentence that quotes nothing. Faults of cells never do: they are
//! clamped or replaced by public constants, and change nothing else.

#[cfg(feature = "join")]
mod bounds;
#[cfg(feature = "join")]
mod check;
mod count;
pub mod csv;
#[cfg(feature = "join")]
mod engine;
mod fault;
#[cfg(feature = "join")]
mod inputs;
pub mod limits;
#[cfg(feature = "join")]
mod names;
pub mod pack;
pub mod parquet;
pub mod picture;
#[cfg(feature = "join")]
mod plan;
#[cfg(feature = "join")]
mod roles;
#[cfg(feature = "join")]
mod rows;
#[cfg(feature = "join")]
mod source;
#[cfg(feature = "join")]
mod split;
mod table;

use schemas::R;
use schemas::worker::{TableFormat, TableHead};

#[cfg(feature = "join")]
pub use count::within_count;
pub use count::within_promise;
pub use limits::Limits;
#[cfg(feature = "join")]
pub use rows::{Parts, Rows, needed, prepare};
pub use table::{Cells, Column, Table};

/// Reads the wanted columns of a table, all of which must be among those announced, which must all be there. Refuses with
/// `TABLE_FORM` or `LIMIT_EXCEEDED`; the sentence names the table's handle, which is public, and nothing of its cells.
pub fn read(
    head: &TableHead,
    wanted: &[String],
    bytes: impl AsRef<[u8]> + Send + 'static,
    limits: &Limits,
) -> R<Table> {
    let read = match head.format {
        TableFormat::Csv => csv::read(bytes.as_ref(), &head.columns, wanted, limits),
        TableFormat::Parquet => parquet::read(bytes::Bytes::from_owner(bytes), &head.columns, wanted, limits),
    };
    read.map_err(|mut refusal| {
        refusal.sentence = format!("table {}: {}", head.handle, refusal.sentence);
        refusal
    })
}
