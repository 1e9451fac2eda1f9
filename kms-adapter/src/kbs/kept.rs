//! Receipts of fetches, line by line in a file beside the database. The log takes none of them; so this file is what a
//! catch-up learns them from, where the database was put back.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use schemas::release::KmsReceipt;
use schemas::{Code, Envelope, R, Refusal};

use crate::kms::Kms;

impl Kms {
    fn fetches_file(&self) -> PathBuf {
        self.config.dir.join("fetches.jsonl")
    }

    /// Appends a receipt and waits until it is on the disk.
    pub(crate) fn kbs_keep(&self, receipt: &Envelope<KmsReceipt>) -> R<()> {
        let path = self.fetches_file();
        let fault = |e: std::io::Error| Refusal::new(Code::Unavailable, format!("{}: {e}", path.display()));
        let mut line = serde_json::to_vec(receipt).map_err(|e| Refusal::new(Code::Internal, e.to_string()))?;
        line.push(b'\n');
        let open = std::fs::OpenOptions::new().create(true).append(true).mode(0o600).open(&path);
        let mut file = open.map_err(fault)?;
        file.write_all(&line).and_then(|()| file.sync_data()).map_err(fault)
    }

    /// The receipts of the file, unverified; none without one. A line that broke off is passed over.
    pub(crate) fn kbs_kept(&self) -> Vec<Envelope<KmsReceipt>> {
        let Ok(text) = std::fs::read_to_string(self.fetches_file()) else { return Vec::new() };
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }
}
