//! Sealed backups: keys, rows and journal in one file, under a fresh key that is wrapped to the recovery key. Whoever
//! finds the file learns the provider's name and no more; whoever changes a byte makes it useless.

use std::path::Path;

use diesel::prelude::*;
use schemas::envelope::Usage;
use schemas::id::{Did, KeyId};
use schemas::jwk::Jwk;
use schemas::text::Bytes;
use schemas::{Code, Digest, Envelope, KeyBook, R, Refusal, Timestamp, canonical};
use serde::{Deserialize, Serialize};
use signing::jose::EncKey;
use zeroize::Zeroizing;

use crate::budget::ChargeRow;
use crate::config::Config;
use crate::cupboard::KeyRow;
use crate::journal::Row;
use crate::kek::KekRow;
use crate::kms::Kms;
use crate::own_release::{self, OwnReleaseRow};
use crate::root;
use crate::rows;
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
    /// Files that the provider let out itself.
    pub own_releases: Vec<OwnReleaseRow>,
}

impl Drop for Contents {
    fn drop(&mut self) {
        use zeroize::Zeroize as _;
        self.root.zeroize();
        self.sign_key.zeroize();
    }
}

/// What the key service says of its backup, by the key that signs its receipts: anybody who has the recovery key's public
/// half could seal something.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Seal {
    schema: String,
    registry: Did,
    /// Of everything else in the file.
    backup_sha256: Digest,
}
schemas::document!(Seal, "kms-backup-seal.v1", "kms-backup-seal", Service);

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
    seal: Envelope<Seal>,
}

const SCHEMA: &str = "kms-backup.v4";
/// Of before releases outside runs were kept: it ends before them.
const WITHOUT_RELEASES: &str = "kms-backup.v3";

fn refused(why: impl std::fmt::Display) -> Refusal {
    Refusal::new(Code::RecoveryRefused, format!("backup: {why}"))
}

fn file(path: &Path) -> R<Vec<u8>> {
    std::fs::read(path).map_err(|e| Refusal::new(Code::ConfigInvalid, format!("{}: {e}", path.display())))
}

/// What the seal covers besides the contents.
#[derive(Serialize)]
struct Context<'a> {
    schema: &'a str,
    kms: &'a str,
    provider: &'a str,
    at: Timestamp,
    receipts: u64,
    recovery_key: &'a str,
}

impl Context<'_> {
    /// Of the file that these, the wrapped key and the sealed contents make.
    fn digest(&self, jwe: &str, sealed: &[u8]) -> R<Digest> {
        let whole = (self, Digest::of(jwe.as_bytes()), Digest::of(sealed));
        Ok(Digest::of(&canonical::to_bytes(&whole)?))
    }
}

impl Sealed {
    fn context(&self) -> Context<'_> {
        let Sealed { schema, kms, provider, at, receipts, recovery_key, .. } = self;
        Context { schema, kms, provider, at: *at, receipts: *receipts, recovery_key }
    }

    /// Requires the signature of the key service whose key the operator names.
    fn check_signer(&self, kms_jwk: &Jwk) -> R<()> {
        let forged = |why: &dyn std::fmt::Display| {
            let sentence = format!("the backup is not of the key service that --kms-jwk names: {why}");
            Refusal::new(Code::BackupForged, sentence).at("kms_jwk")
        };
        let seal = self.seal.read_unverified().map_err(|e| forged(&e.sentence))?;
        let book = Signs { provider: &self.provider, jwk: kms_jwk };
        let seal = signing::verify_by(self.seal.clone(), &seal.registry, &book, &self.provider);
        let seal = seal.map_err(|e| forged(&e.sentence))?;
        if seal.backup_sha256 != self.context().digest(&self.jwe, &self.sealed.0)? {
            return Err(forged(&"it was changed"));
        }
        Ok(())
    }
}

/// The key that the operator knows the key service by.
struct Signs<'a> {
    provider: &'a str,
    jwk: &'a Jwk,
}

impl KeyBook for Signs<'_> {
    fn key(&self, kid: &KeyId, usage: Usage) -> Option<Jwk> {
        let known = usage == Usage::Service && kid.holder == self.provider;
        (known && kid.thumbprint == self.jwk.thumbprint()).then(|| self.jwk.clone())
    }
}

impl Kms {
    /// A backup of everything, sealed to a recovery key. The service may run meanwhile.
    pub fn backup(&self, recovery: &Jwk) -> R<Vec<u8>> {
        let now = self.now();
        let root = root::load(&self.config)?;
        let contents = self.store.transact(|c| {
            rows::check(c, &self.store.key, "", &[], now)?;
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
                state: service_state::table.select((service_state::name, service_state::value)).load(c)?,
                log_heads: log_head::table.load(c)?,
                log_lineage: log_lineage::table.find(1).select(log_lineage::lineage).first(c).optional()?,
                own_releases: own_release::all(c)?,
            })
        })?;
        let plain = postcard::to_allocvec(&contents).map_err(|e| Refusal::new(Code::Internal, e.to_string()))?;
        let plain = Zeroizing::new(plain);
        let key = Secret::random()?;
        let (provider, recovery_key) = (self.config.provider.to_string(), recovery.thumbprint());
        let context = Context {
            schema: SCHEMA,
            kms: &self.config.url,
            provider: &provider,
            at: now,
            receipts: contents.journal.len() as u64,
            recovery_key: &recovery_key,
        };
        let bound = canonical::to_bytes(&context)?;
        let jwe = signing::jose::wrap_key(key.expose(), recovery, &Digest::of(&bound).0)?;
        let sealed = key.seal(&plain, &bound)?;
        let seal = Seal {
            schema: "kms-backup-seal.v1".into(),
            registry: self.trust.registry.clone(),
            backup_sha256: context.digest(&jwe, &sealed)?,
        };
        canonical::to_bytes(&Sealed {
            schema: SCHEMA.into(),
            kms: self.config.url.clone(),
            at: now,
            receipts: context.receipts,
            seal: signing::sign(&seal, &self.signer, now)?,
            jwe,
            sealed: Bytes(sealed),
            provider,
            recovery_key,
        })
    }
}

/// Opens a backup with the recovery key, once it is known to be that key service's.
pub(crate) fn open(bytes: &[u8], recovery: &EncKey, kms_jwk: &Jwk) -> R<Contents> {
    let backup: Sealed = serde_json::from_slice(bytes).map_err(|_| refused("the file is none"))?;
    if ![SCHEMA, WITHOUT_RELEASES].contains(&backup.schema.as_str())
        || backup.recovery_key != recovery.jwk().thumbprint()
    {
        return Err(refused("it is sealed to another recovery key"));
    }
    backup.check_signer(kms_jwk)?;
    let bound = canonical::to_bytes(&backup.context())?;
    let key = signing::jose::unwrap_key(&backup.jwe, recovery, &Digest::of(&bound).0)
        .map_err(|_| refused("it was changed"))?;
    let plain = Secret::from_bytes(&key).unseal(&backup.sealed.0, &bound).ok_or_else(|| refused("it was changed"))?;
    contents(&backup.schema, &plain)
}

/// What was sealed, of either form.
fn contents(schema: &str, plain: &[u8]) -> R<Contents> {
    // An empty list is a zero.
    let end: &[u8] = if schema == WITHOUT_RELEASES { &[0] } else { &[] };
    let whole = Zeroizing::new([plain, end].concat());
    postcard::from_bytes(&whole).map_err(|_| refused("it is of another build"))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backup_of_before_releases_reads_as_one_without_any() {
        let whole = Contents {
            config: "a = 1".into(),
            trust: vec![1],
            root: [7; 32],
            sign_key: vec![2],
            import_key: vec![3],
            keks: vec![],
            data_keys: vec![],
            journal: vec![],
            runs: vec![],
            charges: vec![],
            gaps: vec![(1, 2, vec![3])],
            state: vec![("a".into(), "b".into())],
            log_heads: vec![],
            log_lineage: Some("lineage".into()),
            own_releases: vec![],
        };
        let bytes = postcard::to_allocvec(&whole).unwrap();
        let before = &bytes[..bytes.len() - 1];
        for (schema, plain) in [(SCHEMA, bytes.as_slice()), (WITHOUT_RELEASES, before)] {
            let read = contents(schema, plain).unwrap();
            assert_eq!((&read.log_lineage, &read.state), (&whole.log_lineage, &whole.state), "{schema}");
            assert!(read.own_releases.is_empty());
        }
        assert_eq!(contents(SCHEMA, before).err().unwrap().code, Code::RecoveryRefused);
    }
}
