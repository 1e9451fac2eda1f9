//! Audit: a log exported to one file, and everything in it recomputed offline by the code that the services run.
//!
//! The file is JSON Lines: a head with the signed checkpoint, then one exported entry per line, each in canonical form,
//! so that no byte of it is outside a check. The same check reads a mirror folder ([`mirror`]) or the service itself.

mod ahead;
pub mod bench;
pub mod budget;
pub mod compare;
pub mod line;
pub mod mirror;
pub mod money;
pub mod monitor;
mod page;
pub mod period;
mod pipe;
pub mod policy;
pub mod printed;
pub mod public;
pub mod quorum;
pub mod receipt;
pub mod report;
pub mod source;
pub mod spelling;
pub mod tiles;
pub mod verify;
pub mod within;

use std::io::Write;

use contract_client::Client;
use schemas::log::ExportedEntry;
use schemas::{Code, R, Refusal, canonical};
use serde::{Deserialize, Serialize};
use signing::{Trust, note};

pub use report::{BudgetLine, ContractLine, PaymentLine, Report};
pub use verify::{Depth, Options, verify, verify_from};

/// The first line of an export.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// Always 1.
    pub v: u8,
    /// Number of entries that follow.
    pub size: u64,
    /// The checkpoint note over exactly these entries.
    pub checkpoint: String,
}

/// Exports the whole log, as an SRO person. Pages are fetched until they reach the size of one checkpoint, which is
/// verified before anything is written. Returns the head.
pub fn export(client: &Client, trust: &Trust, out: &mut dyn Write) -> R<Head> {
    let mut page = client.export(0, PAGE)?;
    // The first page fixes the size; entries that come in meanwhile belong to the next export.
    let (size, checkpoint) = (page.size, page.checkpoint.clone());
    let trust = &crate::trust::for_note(client, trust, &checkpoint)?;
    let head = note::verify_checkpoint(&checkpoint, &trust.origin, trust)?.head;
    if head.size != size {
        return Err(Refusal::new(Code::CheckpointInvalid, "the checkpoint is of another size than the export"));
    }
    let head = Head { v: 1, size, checkpoint };
    line(out, &head)?;
    let mut written = 0;
    loop {
        let left = usize::try_from(size - written).unwrap_or(usize::MAX);
        for entry in page.entries.iter().take(left) {
            expect_index(entry, written)?;
            line(out, entry)?;
            written += 1;
        }
        if written >= size {
            break;
        }
        if page.entries.is_empty() {
            return Err(Refusal::new(Code::PeerFault, format!("the export ends at entry {written} of {size}")));
        }
        page = client.export(written, PAGE)?;
    }
    out.flush().map_err(write_fault)?;
    Ok(head)
}

fn expect_index(entry: &ExportedEntry, index: u64) -> R<()> {
    if entry.index == index {
        return Ok(());
    }
    Err(Refusal::new(Code::PeerFault, format!("entry {} came where {index} was asked for", entry.index)))
}

/// Writes one line in canonical form.
pub fn line<T: Serialize>(out: &mut dyn Write, value: &T) -> R<()> {
    let mut bytes = canonical::to_bytes(value)?;
    bytes.push(b'\n');
    out.write_all(&bytes).map_err(write_fault)
}

fn tampered(sentence: impl Into<String>) -> Refusal {
    Refusal::new(Code::LogTampered, sentence)
}

fn write_fault(e: std::io::Error) -> Refusal {
    Refusal::new(Code::ConfigInvalid, format!("the export cannot be written: {e}"))
}

const PAGE: u32 = 500;
