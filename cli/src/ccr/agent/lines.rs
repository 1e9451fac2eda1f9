//! The lines of a process that writes them into a file: a file and no pipe, so that it outlives this agent and the next
//! one reads on.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use schemas::R;

use crate::edge;

/// The most output of a process that is read.
const MAX_OUTPUT: u64 = 64 * 1024 * 1024;
/// The longest line that is forwarded.
const MAX_LINE: usize = 64 * 1024;

/// Reads such a file as it grows.
pub(crate) struct Lines {
    file: File,
    read: u64,
    line: Vec<u8>,
}

impl Lines {
    /// From its beginning.
    pub fn of(path: &Path) -> R<Lines> {
        let file = File::open(path).map_err(|e| edge::file_fault(path, e))?;
        Ok(Lines { file, read: 0, line: Vec::new() })
    }

    /// The whole lines that came since.
    pub fn next(&mut self) -> Vec<String> {
        let (mut buffer, mut lines) = ([0; 8192], Vec::new());
        while self.read < MAX_OUTPUT {
            let count = match self.file.read(&mut buffer) {
                Ok(count @ 1..) => count,
                _ => break,
            };
            self.read += count as u64;
            for byte in buffer.get(..count).unwrap_or_default() {
                match byte {
                    b'\n' => lines.push(String::from_utf8_lossy(&std::mem::take(&mut self.line)).into_owned()),
                    _ if self.line.len() < MAX_LINE => self.line.push(*byte),
                    _ => {}
                }
            }
        }
        lines
    }
}
