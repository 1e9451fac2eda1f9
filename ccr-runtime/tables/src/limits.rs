//! How large a table may be: in the file, and once it is read. All figures are public constants.

use schemas::R;

use crate::fault::exceeded;

/// The limits of one table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Bytes of the file.
    pub bytes: u64,
    /// Rows.
    pub rows: u64,
    /// Columns, wanted or not.
    pub columns: usize,
    /// Bytes of one cell.
    pub cell: usize,
    /// Bytes that a file may become for each of its own, beyond `free`.
    pub ratio: u64,
    /// Bytes that any file may become.
    pub free: u64,
}

impl Limits {
    /// What the room reads: 1 GiB, 20 million rows, 4,096 columns, cells of 16 MiB, and at most 64 times the file beyond
    /// 64 MiB.
    pub const ROOM: Limits =
        Limits { bytes: 1 << 30, rows: 20_000_000, columns: 4_096, cell: 16 << 20, ratio: 64, free: 64 << 20 };

    /// Refuses a file that is too large.
    pub(crate) fn file(&self, bytes: &[u8]) -> R<()> {
        if bytes.len() as u64 > self.bytes { Err(exceeded("the file is too large")) } else { Ok(()) }
    }

    /// A count of what a file becomes.
    pub(crate) fn meter(&self, bytes: &[u8]) -> Meter {
        Meter { left: self.free.saturating_add(self.ratio.saturating_mul(bytes.len() as u64)) }
    }
}

/// Counts down what a file may still become.
pub(crate) struct Meter {
    left: u64,
}

impl Meter {
    /// Takes note of further bytes; refuses once there are more than the file's size allows.
    pub(crate) fn add(&mut self, bytes: u64) -> R<()> {
        self.left =
            self.left.checked_sub(bytes).ok_or_else(|| exceeded("the file becomes too large when it is read"))?;
        Ok(())
    }
}
