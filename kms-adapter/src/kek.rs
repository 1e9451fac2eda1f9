//! Rows of key-encryption keys: which versions there are, under which backend, and a MAC under the root key over every
//! column.

use diesel::prelude::*;
use schemas::{Code, R, Refusal, Timestamp};
use serde::{Deserialize, Serialize};

use crate::backend::{KekRef, Kind};
use crate::cupboard::{Cupboard, same_mac, tampered};
use crate::store::{Db, Store, Tx};
use crate::tables::kek;

/// A key-encryption key as the database has it.
#[derive(Clone, PartialEq, Eq, Queryable, Selectable, Insertable, AsChangeset, Serialize, Deserialize)]
#[diesel(table_name = kek)]
pub(crate) struct KekRow {
    pub version: i32,
    pub wrapped: Vec<u8>,
    pub created_at: i64,
    pub mac: Vec<u8>,
    pub backend: String,
    pub name: String,
    pub reference: String,
    pub state: String,
}

/// New data keys are wrapped under it.
pub(crate) const ACTIVE: &str = "active";
/// A newer one took its place; data keys may still be wrapped under it.
pub(crate) const RETIRED: &str = "retired";
/// Nothing is wrapped under it, and its backend has ended it.
pub(crate) const DESTROYED: &str = "destroyed";

impl KekRow {
    /// The key as its backend names it.
    pub fn reference(&self) -> KekRef {
        KekRef { name: self.name.clone(), version: self.reference.clone(), kept: self.wrapped.clone() }
    }
}

impl Cupboard {
    /// A new row, its MAC to be made.
    pub(crate) fn kek_row(&self, version: i32, key: KekRef, now: Timestamp) -> R<KekRow> {
        self.sealed(KekRow {
            version,
            wrapped: key.kept,
            created_at: now.micros(),
            mac: Vec::new(),
            backend: self.backend.kind().as_str().to_owned(),
            name: key.name,
            reference: key.version,
            state: ACTIVE.to_owned(),
        })
    }

    /// The row with the MAC that its other columns ask for.
    pub(crate) fn sealed(&self, mut row: KekRow) -> R<KekRow> {
        row.mac = self
            .mac
            .mac(&[
                b"kek/2",
                &row.version.to_be_bytes(),
                &row.wrapped,
                &row.created_at.to_be_bytes(),
                row.backend.as_bytes(),
                row.name.as_bytes(),
                row.reference.as_bytes(),
                row.state.as_bytes(),
            ])?
            .to_vec();
        Ok(row)
    }

    /// Requires the row's MAC. A row of an older build names no backend; it is the embedded one's.
    pub(crate) fn checked(&self, mut row: KekRow) -> R<KekRow> {
        let good = if row.name.is_empty() {
            let parts: [&[u8]; 4] = [b"kek", &row.version.to_be_bytes(), &row.wrapped, &row.created_at.to_be_bytes()];
            let good = same_mac(&self.mac.mac(&parts)?, &row.mac) && row.state == ACTIVE;
            row.backend = Kind::Embedded.as_str().to_owned();
            (row.name, row.reference) = (self.provider.to_string(), row.version.to_string());
            good
        } else {
            self.sealed(row.clone())?.mac == row.mac
        };
        if !good {
            return Err(tampered("the row of a key-encryption key"));
        }
        if row.backend != self.backend.kind().as_str() {
            let sentence =
                format!("a key-encryption key is kept by {}, which is not the configured backend", row.backend);
            return Err(Refusal::new(Code::ConfigInvalid, sentence).at("backend"));
        }
        Ok(row)
    }

    /// A version, its MAC checked.
    pub(crate) fn kek(&self, c: &mut Db, version: i32) -> Tx<KekRow> {
        let row = kek::table.find(version).select(KekRow::as_select()).first(c).optional()?;
        Ok(self.checked(row.ok_or_else(|| tampered("the row of a key-encryption key"))?)?)
    }

    /// All versions, the oldest first, their MACs checked.
    pub(crate) fn keks(&self, c: &mut Db) -> Tx<Vec<KekRow>> {
        let rows: Vec<KekRow> = kek::table.order(kek::version.asc()).select(KekRow::as_select()).load(c)?;
        Ok(rows.into_iter().map(|row| self.checked(row)).collect::<R<_>>()?)
    }

    /// The version under which new data keys are wrapped, made at first use.
    pub(crate) fn current_kek(&self, store: &Store, now: Timestamp) -> R<KekRow> {
        let active = |c: &mut Db| Ok(self.keks(c)?.into_iter().rev().find(|row| row.state == ACTIVE));
        if let Some(row) = store.transact(active)? {
            return Ok(row);
        }
        let made = self.backend.create_kek(&self.provider)?;
        store.transact(|c| {
            if let Some(row) = active(c)? {
                return Ok(row);
            }
            let row = self.kek_row(1, made, now)?;
            diesel::insert_into(kek::table).values(&row).execute(c)?;
            Ok(row)
        })
    }
}
