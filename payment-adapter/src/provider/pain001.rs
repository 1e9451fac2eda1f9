//! A bank that takes files: batches go out as pain.001.001.09 into a folder, its reports come back as files.
//!
//! A file is handed over exactly once, also where the bank takes it away at once and the process is killed at any step:
//! it is written whole into `staged`, a copy of it into `sent`, and then the staged one is moved into the outbox, which
//! is one step of the file system. Where the copy stands and the staged file is gone, the move was made.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use schemas::{Code, R, Refusal};

use crate::accounts::{Account, Accounts};
use crate::instruction::Instruction;
use crate::iso::initiation::{Initiator, write};
use crate::provider::{Batch, News, PaymentProvider};

/// A bank's folders.
pub struct Pain001 {
    /// Where the bank takes files from; on one file system with `work`.
    pub outbox: PathBuf,
    /// The adapter's own folder, with `staged` and `sent` in it.
    pub work: PathBuf,
    /// Who initiates, and holds blocked money.
    pub own: Account,
    /// Everybody else's accounts.
    pub accounts: Accounts,
    /// Transactions in a file at most.
    pub most: usize,
    /// Seconds for which the first instruction of a file may wait for others.
    pub gather_seconds: u32,
}

impl Pain001 {
    fn initiator(&self) -> Initiator<'_> {
        Initiator { account: &self.own, accounts: &self.accounts }
    }

    /// Folders that are missing are made.
    pub fn prepare(&self) -> R<()> {
        for dir in [&self.outbox, &self.work.join("staged"), &self.work.join("sent")] {
            fs::create_dir_all(dir).map_err(|e| fault(dir, &e))?;
        }
        Ok(())
    }
}

impl PaymentProvider for Pain001 {
    fn name(&self) -> &'static str {
        "pain001"
    }

    fn batch_size(&self) -> usize {
        self.most
    }

    fn gather_seconds(&self) -> u32 {
        self.gather_seconds
    }

    fn ready(&self, instruction: &Instruction) -> R<()> {
        let (from, to) = instruction.ends();
        self.initiator().account(from)?;
        self.initiator().account(to).map(drop)
    }

    fn submit(&self, batch: &Batch) -> R<Vec<News>> {
        self.prepare()?;
        let name = format!("pain001-{}.xml", batch.id);
        let (staged, sent) = (self.work.join("staged").join(&name), self.work.join("sent").join(&name));
        if !sent.exists() {
            let text = write(batch, &self.initiator())?;
            whole(&staged, text.as_bytes())?;
            whole(&sent, text.as_bytes())?;
        }
        if staged.exists() {
            let out = self.outbox.join(&name);
            fs::rename(&staged, &out).map_err(|e| fault(&out, &e))?;
            settle(&self.outbox)?;
        }
        Ok(Vec::new())
    }
}

/// Writes a file so that it is there whole or not at all.
fn whole(path: &Path, bytes: &[u8]) -> R<()> {
    let part = path.with_extension("part");
    let made = File::create(&part).and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()));
    made.and_then(|()| fs::rename(&part, path)).map_err(|e| fault(path, &e))?;
    path.parent().map_or(Ok(()), settle)
}

/// What was renamed into a folder is on the disk.
fn settle(dir: &Path) -> R<()> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(|e| fault(dir, &e))
}

fn fault(path: &Path, why: &std::io::Error) -> Refusal {
    Refusal::new(Code::Unavailable, format!("{}: {why}", path.display()))
}
