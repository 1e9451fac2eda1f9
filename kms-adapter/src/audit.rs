//! Checkpoints of the journal: signed every 100 receipts or 60 seconds, kept in the database and, line by line, in a file
//! beside it. The chain alone does not show that its newest part is gone; a checkpoint that is kept elsewhere does.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use diesel::prelude::*;
use schemas::id::Did;
use schemas::{Code, Digest, Envelope, R, Refusal, Timestamp};
use serde::{Deserialize, Serialize};

use crate::journal::{self, Book};
use crate::kms::Kms;
use crate::shown;
use crate::store::{Db, Tx};
use crate::tables::{checkpoint, journal as rows, service_state};
use crate::verify_log::OwnKey;

/// Receipts after which a checkpoint is signed.
const EVERY_RECEIPTS: i64 = 100;
/// Seconds after which a newer head is signed.
const EVERY_SECONDS: f64 = 60.0;

/// `kms-checkpoint.v1`: the head of a key service's journal at a time.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JournalHead {
    /// `kms-checkpoint.v1`.
    pub schema: String,
    /// The registry.
    pub registry: Did,
    /// Base URL of the key service.
    pub kms: String,
    /// The TDP it serves.
    pub provider: Did,
    /// Sequence of the newest receipt.
    pub seq: u64,
    /// Its digest.
    pub head: Digest,
    /// When it was signed.
    pub at: Timestamp,
}
schemas::document!(JournalHead, "kms-checkpoint.v1", "kms-checkpoint", Service);

/// Signs the head where a checkpoint is due.
pub(crate) fn sign_if_due(c: &mut Db, book: &Book, now: Timestamp) -> Tx<()> {
    let (seq, head) = journal::head(c)?;
    let newest = checkpoint::table.order(checkpoint::seq.desc()).select((checkpoint::seq, checkpoint::at));
    let (last, at) = newest.first::<(i64, i64)>(c).optional()?.unwrap_or((0, 0));
    let due = seq - last >= EVERY_RECEIPTS || now.seconds_since(Timestamp::from_micros(at)) >= EVERY_SECONDS;
    if seq == last || !due {
        return Ok(());
    }
    let document = JournalHead {
        schema: "kms-checkpoint.v1".into(),
        registry: book.registry.clone(),
        kms: book.kms.to_owned(),
        provider: book.provider.clone(),
        seq: seq.unsigned_abs(),
        head,
        at: now,
    };
    let envelope = signing::sign(&document, book.signer, now)?;
    let bytes = serde_json::to_vec(&envelope).map_err(|e| Refusal::new(Code::Internal, e.to_string()))?;
    let row = (checkpoint::seq.eq(seq), checkpoint::at.eq(now.micros()), checkpoint::envelope.eq(bytes));
    diesel::insert_into(checkpoint::table).values(row).execute(c)?;
    Ok(())
}

/// Whether this service may reserve and release: not after a restore, and not on a journal that lost its newest part,
/// until it has caught up with the log.
pub(crate) fn check_caught_up(c: &mut Db) -> Tx<()> {
    let held = service_state::table.find(CATCH_UP).select(service_state::value).first::<String>(c).optional()?;
    match held {
        None => Ok(()),
        Some(why) => {
            let sentence = format!("{why}; its operator must run catch-up before anything is opened");
            Err(Refusal::new(Code::KmsBehindLog, sentence).into())
        }
    }
}

/// Name of the row that says why the service must catch up.
const CATCH_UP: &str = "catch_up";

/// Holds reserve and release until the service has caught up.
pub(crate) fn hold(c: &mut Db, why: &str) -> Tx<()> {
    let_go(c)?;
    let row = (service_state::name.eq(CATCH_UP), service_state::value.eq(why));
    diesel::insert_into(service_state::table).values(row).execute(c)?;
    Ok(())
}

/// The service has caught up.
pub(crate) fn let_go(c: &mut Db) -> Tx<()> {
    diesel::delete(service_state::table.find(CATCH_UP)).execute(c)?;
    Ok(())
}

impl Kms {
    /// Signs a checkpoint where one is due and writes those that are missing there into the file beside the database. Drops
    /// what rooms showed whose leases are over.
    pub fn keep_up(&self) -> R<()> {
        let now = self.now();
        let mut exported = self.exported.lock().unwrap_or_else(|e| e.into_inner());
        let new: Vec<(i64, Vec<u8>)> = self.store.transact(|c| {
            sign_if_due(c, &self.book(), now)?;
            shown::forget_dead(c, now)?;
            let newer = checkpoint::table.filter(checkpoint::seq.gt(*exported)).order(checkpoint::seq.asc());
            Ok(newer.select((checkpoint::seq, checkpoint::envelope)).load(c)?)
        })?;
        let Some((last, _)) = new.last() else { return Ok(()) };
        let path = self.config.checkpoints_file();
        let fault = |e: std::io::Error| Refusal::new(Code::Unavailable, format!("{}: {e}", path.display()));
        let open = std::fs::OpenOptions::new().create(true).append(true).mode(0o600).open(&path);
        let mut file = open.map_err(fault)?;
        for (_, envelope) in &new {
            file.write_all(envelope).and_then(|()| file.write_all(b"\n")).map_err(fault)?;
        }
        file.sync_data().map_err(fault)?;
        *exported = *last;
        Ok(())
    }

    /// The newest checkpoint of a file, its signature verified; none of an empty or absent one. A last line that broke
    /// off is passed over.
    pub(crate) fn newest_checkpoint(&self, path: &Path) -> R<Option<JournalHead>> {
        let Ok(text) = std::fs::read_to_string(path) else { return Ok(None) };
        let lines = text.lines().rev().take(2);
        let Some(envelope) = lines.filter_map(|line| serde_json::from_str::<Envelope<JournalHead>>(line).ok()).next()
        else {
            return Ok(None);
        };
        let key = OwnKey::of(&self.signer);
        let signed = signing::verify_by(envelope, &self.trust.registry, &key, self.config.provider.as_str())
            .map_err(|e| Refusal::new(Code::LogTampered, format!("{}: {e}", path.display())))?;
        Ok((signed.kms == self.config.url).then(|| (*signed).clone()))
    }

    /// Requires that a checkpoint is a row of the journal.
    pub(crate) fn holds(&self, c: &mut Db, head: &JournalHead) -> Tx<()> {
        let seq = i64::try_from(head.seq).unwrap_or(i64::MAX);
        let found = rows::table.find(seq).select(rows::sha256).first::<String>(c).optional()?;
        if found.as_deref() == Some(head.head.to_string().as_str()) {
            return Ok(());
        }
        let sentence = format!("the journal lacks receipt {}, which a checkpoint of {} names", head.seq, head.at);
        Err(Refusal::new(Code::LogTampered, sentence).into())
    }

    /// At the start: where the journal is behind its own checkpoints, its database was put back. Nothing is opened then
    /// until it has caught up. A number that was left free then is known to be missing.
    pub(crate) fn notice_rollback(&self) -> R<()> {
        let Some(head) = self.newest_checkpoint(&self.config.checkpoints_file())? else { return Ok(()) };
        let seq = i64::try_from(head.seq).unwrap_or(i64::MAX);
        let known = self.store.transact(|c| self.cupboard.is_free(c, seq))?;
        if let Some(refusal) = self.store.transact(|c| self.holds(c, &head)).err().filter(|_| !known) {
            tracing::error!(alarm = "kms_behind_itself", seq = head.seq, "{}", refusal.sentence);
            self.store.transact(|c| hold(c, "the database is older than its own checkpoints"))?;
        }
        let mut exported = self.exported.lock().unwrap_or_else(|e| e.into_inner());
        *exported = seq;
        Ok(())
    }
}
