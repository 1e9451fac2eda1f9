//! Sealed backups: keys, rows and journal in one file, under a fresh key that is wrapped to the recovery key. Whoever
//! finds the file learns the provider's name and no more; whoever changes a byte makes it useless.

use std::path::Path;

use diesel::prelude::*;
use schemas::jwk::Jwk;
use schemas::text::Bytes;
use schemas::{Code, Digest, R, Refusal, Timestamp, canonical};
use serde::{Deserialize, Serialize};
use signing::jose::EncKey;
use zeroize::Zeroizing;

use crate::budget::ChargeRow;
use crate::config::Config;
use crate::cupboard::KeyRow;
use crate::journal::Row;
use crate::kek::KekRow;
use crate::kms::Kms;
use crate::root;
use crate::run::{self, RunRow};
use crate::secret::Secret;
use crate::tables::{charge, data_key, journal, journal_gap, kek, log_head, log_lineage, run as runs, service_state};

/// What a backup holds. Challenges and used ids are left out: they are over long before it is put back.
#[derive(Serialize, Deserialize)]
pub(crate) struct Contents {
    pub config: String,
    pub trust: Vec<u8>,
    pub root: [u8; 32],
    pub sign_key: Vec<u8>,
    pub import_key: Vec<u8>,
    pub keks: Vec<KekRow>,
    pub data_keys: Vec<KeyRow>,
    pub journal: Vec<Row>,
    pub runs: Vec<RunRow>,
    pub charges: Vec<ChargeRow>,
    /// `journal_gap`: after, next, MAC.
    pub gaps: Vec<(i64, i64, Vec<u8>)>,
    /// `service_state`: name, value. Among them the version of the platform data that was in force.
    pub state: Vec<(String, String)>,
    /// `log_head`: origin, size, root, when it was seen.
    pub log_heads: Vec<(String, i64, String, i64)>,
    /// `log_lineage`: without it a key of the log that was replaced would count again.
    pub log_lineage: Option<String>,
}

impl Drop for Contents {
    fn drop(&mut self) {
        use zeroize::Zeroize as _;
        self.root.zeroize();
        self.sign_key.zeroize();
    }
}

/// A backup file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sealed {
    schema: String,
    kms: String,
    provider: String,
    at: Timestamp,
    receipts: u64,
    recovery_key: String,
    jwe: String,
    sealed: Bytes,
}

const SCHEMA: &str = "kms-backup.v2";

fn refused(why: impl std::fmt::Display) -> Refusal {
    Refusal::new(Code::RecoveryRefused, format!("backup: {why}"))
}

fn file(path: &Path) -> R<Vec<u8>> {
    std::fs::read(path).map_err(|e| Refusal::new(Code::ConfigInvalid, format!("{}: {e}", path.display())))
}

impl Sealed {
    /// What the seal covers besides the contents.
    fn context(&self) -> R<Vec<u8>> {
        canonical::to_bytes(&serde_json::json!({
            "schema": self.schema, "kms": self.kms, "provider": self.provider, "at": self.at,
            "receipts": self.receipts, "recovery_key": self.recovery_key,
        }))
    }
}

impl Kms {
    /// A backup of everything, sealed to a recovery key. The service may run meanwhile.
    pub fn backup(&self, recovery: &Jwk) -> R<Vec<u8>> {
        let now = self.now();
        let root = root::load(&self.config)?;
        let contents = self.store.transact(|c| {
            run::expire(c, now)?;
            Ok(Contents {
                config: self.config.to_toml()?,
                trust: file(&self.config.trust)?,
                root: *root.expose(),
                sign_key: file(&self.config.sign_key_file())?,
                import_key: file(&self.config.import_key_file())?,
                keks: kek::table.order(kek::version.asc()).select(KekRow::as_select()).load(c)?,
                data_keys: data_key::table.select(KeyRow::as_select()).load(c)?,
                journal: journal::table.order(journal::seq.asc()).select(Row::as_select()).load(c)?,
                runs: runs::table.select(RunRow::as_select()).load(c)?,
                charges: charge::table.order(charge::charge_id.asc()).select(ChargeRow::as_select()).load(c)?,
                gaps: journal_gap::table.load(c)?,
                state: service_state::table.load(c)?,
                log_heads: log_head::table.load(c)?,
                log_lineage: log_lineage::table.find(1).select(log_lineage::lineage).first(c).optional()?,
            })
        })?;
        let plain = postcard::to_allocvec(&contents).map_err(|e| Refusal::new(Code::Internal, e.to_string()))?;
        let plain = Zeroizing::new(plain);
        let key = Secret::random()?;
        let mut backup = Sealed {
            schema: SCHEMA.into(),
            kms: self.config.url.clone(),
            provider: self.config.provider.to_string(),
            at: now,
            receipts: contents.journal.len() as u64,
            recovery_key: recovery.thumbprint(),
            jwe: String::new(),
            sealed: Bytes(Vec::new()),
        };
        let context = backup.context()?;
        backup.jwe = signing::jose::wrap_key(key.expose(), recovery, &Digest::of(&context).0)?;
        backup.sealed = Bytes(key.seal(&plain, &context)?);
        canonical::to_bytes(&backup)
    }
}

/// Opens a backup with the recovery key.
pub(crate) fn open(bytes: &[u8], recovery: &EncKey) -> R<Contents> {
    let backup: Sealed = serde_json::from_slice(bytes).map_err(|_| refused("the file is none"))?;
    if backup.schema != SCHEMA || backup.recovery_key != recovery.jwk().thumbprint() {
        return Err(refused("it is sealed to another recovery key"));
    }
    let context = backup.context()?;
    let key = signing::jose::unwrap_key(&backup.jwe, recovery, &Digest::of(&context).0)
        .map_err(|_| refused("it was changed"))?;
    let plain = Secret::from_bytes(&key).unseal(&backup.sealed.0, &context).ok_or_else(|| refused("it was changed"))?;
    postcard::from_bytes(&plain).map_err(|_| refused("it is of another build"))
}

/// The configuration in a backup, for another folder and database.
pub(crate) fn moved(contents: &Contents, dir: &Path, database: Option<String>) -> R<Config> {
    let mut config = Config::read(&contents.config, std::iter::empty())?;
    config.dir = dir.to_owned();
    config.database = database;
    config.trust = dir.join("trust.json");
    config.root_key = None;
    Ok(config)
}
