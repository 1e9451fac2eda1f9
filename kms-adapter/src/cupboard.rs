//! Data keys at rest: one for each dataset version, wrapped by the key backend, with a MAC under the root key over every
//! column of the row, checked before anything is unwrapped, and a commitment to the key, checked after.
//!
//! The backend is asked outside of transactions; what it gave is entered only on the row that it was asked for.

use diesel::prelude::*;
use schemas::contract::Assurance;
use schemas::id::{DataKeyId, DatasetId, Did, WeightsId};
use schemas::release::KeyImport;
use schemas::weights::WeightsImport;
use schemas::{Code, Digest, R, Refusal, Timestamp, canonical};
use sealing::DatasetKey;
use serde::{Deserialize, Serialize};
use serde_json::json;
use zeroize::Zeroizing;

use crate::backend::{Caller, KeyBackend, Opened};
use crate::kek::{ACTIVE, KekRow};
use crate::secret::Secret;
use crate::store::{Db, Store, Tx};
use crate::tables::data_key;

/// The keys by which data keys are kept.
pub(crate) struct Cupboard {
    pub provider: Did,
    pub backend: Box<dyn KeyBackend>,
    pub mac: Secret,
}

/// A data key at rest.
#[derive(Clone, PartialEq, Eq, Queryable, Selectable, Insertable, AsChangeset, Serialize, Deserialize)]
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
    /// Empty in rows of an older build.
    pub commitment: Vec<u8>,
}

/// A key that comes in, and of what.
pub(crate) struct Incoming<'a> {
    key_id: &'a DataKeyId,
    provider: &'a Did,
    /// A dataset or weights: their ids never look alike.
    subject: &'a str,
    version: u32,
    manifest_root: &'a Digest,
    min_assurance: Assurance,
}

impl<'a> From<&'a KeyImport> for Incoming<'a> {
    fn from(import: &'a KeyImport) -> Incoming<'a> {
        Incoming {
            key_id: &import.key_id,
            provider: &import.provider,
            subject: import.dataset_id.as_str(),
            version: import.version,
            manifest_root: &import.manifest_root,
            min_assurance: import.min_assurance,
        }
    }
}

impl<'a> From<&'a WeightsImport> for Incoming<'a> {
    fn from(import: &'a WeightsImport) -> Incoming<'a> {
        Incoming {
            key_id: &import.key_id,
            provider: &import.provider,
            subject: import.weights_id.as_str(),
            version: 1,
            manifest_root: &import.manifest_root,
            min_assurance: import.min_assurance,
        }
    }
}

pub(crate) fn tampered(what: &str) -> Refusal {
    Refusal::new(Code::KeyRowTampered, format!("{what} was changed outside this service"))
}

fn assurance_text(assurance: Assurance) -> &'static str {
    match assurance {
        Assurance::Software => "software",
        Assurance::Hardware => "hardware",
    }
}

/// Compares in constant time; a MAC of another length is none.
pub(crate) fn same_mac(ours: &[u8; 32], found: &[u8]) -> bool {
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

    /// Whether this is the key of these weights.
    pub fn is_of_weights(&self, weights: &WeightsId, manifest_root: &Digest) -> bool {
        self.dataset_id == weights.as_str() && self.version == 1 && self.manifest_root == manifest_root.to_string()
    }

    /// Whether both rows keep the same data key for the same use, whatever it is wrapped under now.
    pub fn same_key(&self, other: &KeyRow) -> bool {
        let rewrapped = KeyRow {
            kek_version: other.kek_version,
            wrapped: other.wrapped.clone(),
            mac: other.mac.clone(),
            commitment: other.commitment.clone(),
            ..self.clone()
        };
        rewrapped == *other
    }

    /// The least assurance that opens it, as imported.
    pub fn min_assurance(&self) -> R<Assurance> {
        match self.min_assurance.as_str() {
            "software" => Ok(Assurance::Software),
            "hardware" => Ok(Assurance::Hardware),
            _ => Err(tampered("the row of a data key")),
        }
    }

    fn commitment_of(&self, key: &Secret) -> R<[u8; 32]> {
        key.mac(&[b"depa/dek/commitment/1", self.key_id.as_bytes()])
    }
}

impl Cupboard {
    /// The cupboard under a root key, with a backend for what lies in it.
    pub fn new(provider: &Did, root: &Secret, backend: Box<dyn KeyBackend>) -> R<Cupboard> {
        Ok(Cupboard { provider: provider.clone(), backend, mac: root.derive("depa/kms/row-mac/1")? })
    }

    fn row_mac(&self, row: &KeyRow) -> R<[u8; 32]> {
        let (version, kek, at) =
            (row.version.to_be_bytes(), row.kek_version.to_be_bytes(), row.imported_at.to_be_bytes());
        let mut parts: Vec<&[u8]> = vec![
            b"data_key",
            row.key_id.as_bytes(),
            row.provider.as_bytes(),
            row.dataset_id.as_bytes(),
            &version,
            row.manifest_root.as_bytes(),
            row.min_assurance.as_bytes(),
            &kek,
            &row.wrapped,
            row.import_sha256.as_bytes(),
            &at,
        ];
        if !row.commitment.is_empty() {
            parts.push(&row.commitment);
        }
        self.mac.mac(&parts)
    }

    /// The row with this key wrapped under that key-encryption key. Asks the backend.
    pub fn wrapped(&self, mut row: KeyRow, kek: &KekRow, key: &Secret) -> R<KeyRow> {
        row.kek_version = kek.version;
        row.commitment = row.commitment_of(key)?.to_vec();
        row.wrapped = self.backend.wrap(&kek.reference(), key, &row.context()?)?;
        self.maced(row)
    }

    /// The row with the MAC that its other columns ask for.
    pub fn maced(&self, mut row: KeyRow) -> R<KeyRow> {
        row.mac = self.row_mac(&row)?.to_vec();
        Ok(row)
    }

    /// Stores a data key under the TDP's KEK. The same import again changes nothing; another one is refused.
    pub fn store(
        &self,
        store: &Store,
        import: &Incoming<'_>,
        import_sha256: Digest,
        key: &DatasetKey,
        now: Timestamp,
    ) -> R<()> {
        if store.transact(|c| self.stored(c, import, import_sha256))? {
            return Ok(());
        }
        let kek = self.current_kek(store, now)?;
        let bare = KeyRow {
            key_id: import.key_id.to_string(),
            provider: import.provider.to_string(),
            dataset_id: import.subject.to_owned(),
            version: i64::from(import.version),
            manifest_root: import.manifest_root.to_string(),
            min_assurance: assurance_text(import.min_assurance).to_owned(),
            kek_version: 0,
            wrapped: Vec::new(),
            import_sha256: import_sha256.to_string(),
            imported_at: now.micros(),
            mac: Vec::new(),
            commitment: Vec::new(),
        };
        let key = Secret::from_bytes(&Zeroizing::new(*key.expose()));
        let row = self.wrapped(bare, &kek, &key)?;
        store.transact(|c| {
            if self.stored(c, import, import_sha256)? {
                return Ok(());
            }
            if self.kek(c, kek.version)?.state != ACTIVE {
                let sentence = "the key-encryption key was replaced meanwhile; send the key again";
                return Err(Refusal::new(Code::Unavailable, sentence).into());
            }
            diesel::insert_into(data_key::table).values(&row).execute(c)?;
            Ok(())
        })
    }

    /// Whether this import was stored before; refuses one that contradicts what is kept.
    fn stored(&self, c: &mut Db, import: &Incoming<'_>, import_sha256: Digest) -> Tx<bool> {
        let same_key = data_key::table.find(import.key_id.as_str()).select(KeyRow::as_select()).first(c).optional()?;
        if let Some(row) = same_key {
            self.check(&row)?;
            if row.import_sha256 == import_sha256.to_string() {
                return Ok(true);
            }
            return Err(Refusal::new(Code::KeyExists, format!("{} is another key already", import.key_id)).into());
        }
        let (dataset, version) = (import.subject, i64::from(import.version));
        let taken = data_key::table.filter(data_key::dataset_id.eq(dataset).and(data_key::version.eq(version)));
        if taken.count().get_result::<i64>(c)? > 0 {
            let sentence = format!("version {version} of {dataset} has a key already; seal a new version");
            return Err(Refusal::new(Code::KeyExists, sentence).into());
        }
        Ok(false)
    }

    /// Requires the row's MAC and provider.
    pub fn check(&self, row: &KeyRow) -> R<()> {
        if !same_mac(&self.row_mac(row)?, &row.mac) || row.provider != self.provider.as_str() {
            return Err(tampered("the row of a data key"));
        }
        Ok(())
    }

    /// The row of a key, its MAC checked; nothing is unwrapped.
    pub fn row(&self, c: &mut Db, key_id: &DataKeyId) -> Tx<KeyRow> {
        let row = data_key::table.find(key_id.as_str()).select(KeyRow::as_select()).first(c).optional()?;
        let row = row.ok_or_else(|| Refusal::new(Code::KeyUnknown, format!("{key_id} is not kept here")))?;
        self.check(&row)?;
        Ok(row)
    }

    /// Unwraps the data key of a row that [`Cupboard::row`] gave, under the row of its KEK. Asks the backend.
    pub fn open(&self, row: &KeyRow, kek: &KekRow) -> R<Secret> {
        self.check(row)?;
        self.committed(row, self.backend.unwrap(&kek.reference(), &row.wrapped, &row.context()?)?)
    }

    /// As [`Cupboard::open`], for a room. A key that opens in the room alone meets its commitment there: the container's.
    pub fn open_for(&self, row: &KeyRow, kek: &KekRow, room: &Caller<'_>) -> R<Opened> {
        self.check(row)?;
        match self.backend.open_for(&kek.reference(), &row.wrapped, &row.context()?, room)? {
            Opened::Key(key) => self.committed(row, key).map(Opened::Key),
            gated => Ok(gated),
        }
    }

    fn committed(&self, row: &KeyRow, key: Secret) -> R<Secret> {
        let committed = row.commitment.is_empty() || same_mac(&row.commitment_of(&key)?, &row.commitment);
        if !committed {
            return Err(Refusal::new(Code::KeyRowTampered, "the key backend answered with another key"));
        }
        Ok(key)
    }
}
