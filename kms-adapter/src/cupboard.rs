//! The embedded key backend: root key → KEK of the TDP → one data key per dataset version, all AES-256-GCM, and a MAC
//! under the root key over every column of a key's row, checked before anything is unwrapped.
//!
//! A trait appears here with the second backend.

use diesel::prelude::*;
use diesel::sqlite::SqliteConnection;
use schemas::contract::Assurance;
use schemas::id::{DataKeyId, DatasetId, Did};
use schemas::release::KeyImport;
use schemas::{Code, Digest, R, Refusal, Timestamp, canonical};
use sealing::DatasetKey;
use serde_json::json;

use crate::secret::Secret;
use crate::store::Tx;
use crate::tables::{data_key, kek};

/// The keys by which data keys are kept.
pub(crate) struct Cupboard {
    provider: Did,
    wrap: Secret,
    mac: Secret,
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = kek)]
struct KekRow {
    version: i32,
    wrapped: Vec<u8>,
    created_at: i64,
    mac: Vec<u8>,
}

/// A data key at rest.
#[derive(Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = data_key)]
pub(crate) struct KeyRow {
    pub key_id: String,
    pub provider: String,
    pub dataset_id: String,
    pub version: i64,
    pub manifest_root: String,
    pub min_assurance: String,
    pub kek_version: i32,
    pub wrapped: Vec<u8>,
    pub import_sha256: String,
    pub imported_at: i64,
    pub mac: Vec<u8>,
}

fn tampered(what: &str) -> Refusal {
    Refusal::new(Code::KeyRowTampered, format!("{what} was changed outside this service"))
}

fn assurance_text(assurance: Assurance) -> &'static str {
    match assurance {
        Assurance::Software => "software",
        Assurance::Hardware => "hardware",
    }
}

/// Compares in constant time; a MAC of another length is none.
fn same_mac(ours: &[u8; 32], found: &[u8]) -> bool {
    <[u8; 32]>::try_from(found).is_ok_and(|found| openssl::memcmp::eq(ours, &found))
}

impl KeyRow {
    /// The associated data of the wrap.
    fn context(&self) -> R<Vec<u8>> {
        canonical::to_bytes(&json!({
            "use": "depa/dek/1", "provider": self.provider, "dataset": self.dataset_id, "version": self.version,
            "manifest_root": self.manifest_root, "min_assurance": self.min_assurance, "key_id": self.key_id,
        }))
    }

    /// Whether this is the key of that version of the dataset.
    pub fn is_of(&self, dataset: &DatasetId, version: u32, manifest_root: &Digest) -> bool {
        self.dataset_id == dataset.as_str()
            && self.version == i64::from(version)
            && self.manifest_root == manifest_root.to_string()
    }

    /// The least assurance that opens it, as imported.
    pub fn min_assurance(&self) -> R<Assurance> {
        match self.min_assurance.as_str() {
            "software" => Ok(Assurance::Software),
            "hardware" => Ok(Assurance::Hardware),
            _ => Err(tampered("the row of a data key")),
        }
    }
}

impl Cupboard {
    /// The cupboard under a root key.
    pub fn new(provider: &Did, root: &Secret) -> R<Cupboard> {
        Ok(Cupboard {
            provider: provider.clone(),
            wrap: root.derive("depa/kms/kek-wrap/1")?,
            mac: root.derive("depa/kms/row-mac/1")?,
        })
    }

    fn row_mac(&self, row: &KeyRow) -> R<[u8; 32]> {
        self.mac.mac(&[
            b"data_key",
            row.key_id.as_bytes(),
            row.provider.as_bytes(),
            row.dataset_id.as_bytes(),
            &row.version.to_be_bytes(),
            row.manifest_root.as_bytes(),
            row.min_assurance.as_bytes(),
            &row.kek_version.to_be_bytes(),
            &row.wrapped,
            row.import_sha256.as_bytes(),
            &row.imported_at.to_be_bytes(),
        ])
    }

    fn kek_mac(&self, row: &KekRow) -> R<[u8; 32]> {
        self.mac.mac(&[b"kek", &row.version.to_be_bytes(), &row.wrapped, &row.created_at.to_be_bytes()])
    }

    fn kek_context(&self, version: i32) -> R<Vec<u8>> {
        canonical::to_bytes(&json!({"use": "depa/kek/1", "provider": self.provider, "version": version}))
    }

    fn open_kek(&self, row: &KekRow) -> R<Secret> {
        if !same_mac(&self.kek_mac(row)?, &row.mac) {
            return Err(tampered("the row of a key-encryption key"));
        }
        self.wrap.unwrap(&row.wrapped, &self.kek_context(row.version)?)
    }

    /// The newest KEK, made at first use.
    fn current_kek(&self, c: &mut SqliteConnection, now: Timestamp) -> Tx<(i32, Secret)> {
        let newest = kek::table.order(kek::version.desc()).select(KekRow::as_select()).first(c).optional()?;
        if let Some(row) = newest {
            return Ok((row.version, self.open_kek(&row)?));
        }
        let secret = Secret::random()?;
        let wrapped = self.wrap.wrap(secret.expose(), &self.kek_context(1)?)?;
        let mut row = KekRow { version: 1, wrapped, created_at: now.micros(), mac: Vec::new() };
        row.mac = self.kek_mac(&row)?.to_vec();
        diesel::insert_into(kek::table).values(&row).execute(c)?;
        Ok((1, secret))
    }

    /// Stores a data key under the TDP's KEK. The same import again changes nothing; another one is refused.
    pub fn store(
        &self,
        c: &mut SqliteConnection,
        import: &KeyImport,
        import_sha256: Digest,
        key: &DatasetKey,
        now: Timestamp,
    ) -> Tx<()> {
        let same_key = data_key::table.find(import.key_id.as_str()).select(KeyRow::as_select()).first(c).optional()?;
        if let Some(row) = same_key {
            self.check(&row)?;
            if row.import_sha256 == import_sha256.to_string() {
                return Ok(());
            }
            return Err(Refusal::new(Code::KeyExists, format!("{} is another key already", import.key_id)).into());
        }
        let (dataset, version) = (import.dataset_id.as_str(), i64::from(import.version));
        let taken = data_key::table.filter(data_key::dataset_id.eq(dataset).and(data_key::version.eq(version)));
        if taken.count().get_result::<i64>(c)? > 0 {
            let sentence = format!("version {version} of {dataset} has a key already; seal a new version");
            return Err(Refusal::new(Code::KeyExists, sentence).into());
        }
        let (kek_version, kek) = self.current_kek(c, now)?;
        let mut row = KeyRow {
            key_id: import.key_id.to_string(),
            provider: import.provider.to_string(),
            dataset_id: dataset.to_owned(),
            version,
            manifest_root: import.manifest_root.to_string(),
            min_assurance: assurance_text(import.min_assurance).to_owned(),
            kek_version,
            wrapped: Vec::new(),
            import_sha256: import_sha256.to_string(),
            imported_at: now.micros(),
            mac: Vec::new(),
        };
        row.wrapped = kek.wrap(key.expose(), &row.context()?)?;
        row.mac = self.row_mac(&row)?.to_vec();
        diesel::insert_into(data_key::table).values(&row).execute(c)?;
        Ok(())
    }

    fn check(&self, row: &KeyRow) -> R<()> {
        if !same_mac(&self.row_mac(row)?, &row.mac) || row.provider != self.provider.as_str() {
            return Err(tampered("the row of a data key"));
        }
        Ok(())
    }

    /// The row of a key, its MAC checked; nothing is unwrapped.
    pub fn row(&self, c: &mut SqliteConnection, key_id: &DataKeyId) -> Tx<KeyRow> {
        let row = data_key::table.find(key_id.as_str()).select(KeyRow::as_select()).first(c).optional()?;
        let row = row.ok_or_else(|| Refusal::new(Code::KeyUnknown, format!("{key_id} is not kept here")))?;
        self.check(&row)?;
        Ok(row)
    }

    /// Unwraps the data key of a row that [`Cupboard::row`] gave.
    pub fn open(&self, c: &mut SqliteConnection, row: &KeyRow) -> Tx<DatasetKey> {
        self.check(row)?;
        let of_kek = kek::table.find(row.kek_version).select(KekRow::as_select()).first(c).optional()?;
        let kek = self.open_kek(&of_kek.ok_or_else(|| tampered("the row of a key-encryption key"))?)?;
        let key = kek.unwrap(&row.wrapped, &row.context()?)?;
        Ok(DatasetKey::from_bytes(*key.expose()))
    }
}
