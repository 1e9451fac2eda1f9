//! The terms of a table that nobody has signed, from the description that its provider would seal it with: what the
//! rules look at, with names in the place of keys and digests.

use policies::TableUse;
use schemas::contract::{ContractDataset, ContractKey};
use schemas::dataset::Column;
use schemas::id::{DataKeyId, DatasetId, Did, FamilyId};
use schemas::job::JobDataset;
use schemas::privacy::{Accountant, Adjacency, Clause, Unit};
use schemas::{Digest, R};
use uuid::Uuid;

use crate::dataset::Description;
use crate::sql;

/// A described table as the rules see it.
pub(super) struct Terms {
    pub(super) description: Description,
    pub(super) columns: Vec<Column>,
    terms: ContractDataset,
}

impl Terms {
    /// A rehearsal `without differential privacy` is planned as if every provider allowed it: the samples are the caller's
    /// own, and no contract follows from it.
    pub(super) fn new(place: usize, mut description: Description, private: bool) -> R<Terms> {
        if !private {
            (description.cap.level, description.cap.without_differential_privacy) = (Clause::LEGAL_ONLY, true);
        }
        let id = Uuid::from_u128(place as u128 + 1);
        let (usage, cap) = (&description.usage, &description.cap);
        let terms = ContractDataset {
            dataset_id: description.dataset_id.clone().unwrap_or_else(|| DatasetId::new(id)),
            version: description.version,
            family: description.family.clone().unwrap_or_else(|| FamilyId::new(id)),
            provider: Did::parse("did:web:local.invalid")?,
            offer_sha256: Digest([0; 32]),
            manifest_root: Digest([0; 32]),
            key: ContractKey {
                kms: description.kms.clone(),
                key_id: DataKeyId::new(id),
                min_assurance: description.min_assurance,
            },
            public_rows: description.public_rows,
            allowed_columns: usage.allowed_columns.clone(),
            join_keys: usage.join_keys.clone(),
            target_columns: usage.target_columns.clone(),
            privacy: Clause {
                unit: Unit::Principal,
                adjacency: Adjacency::AddRemove,
                epsilon: cap.epsilon.clone(),
                delta: cap.delta.clone(),
                accountant: Accountant::Rdp,
                scope: cap.scope,
                level: cap.level,
                without_differential_privacy: cap.without_differential_privacy,
            },
            kbs: None,
        };
        let column = |c: &crate::dataset::form::ColumnForm| Column {
            name: c.name.clone(),
            column_type: c.column_type,
            lower: c.lower.clone(),
            upper: c.upper.clone(),
        };
        let columns = description.columns.iter().map(column).collect();
        Ok(Terms { description, columns, terms })
    }

    pub(super) fn dataset(&self, handle: &str) -> JobDataset {
        let (dataset_id, version) = (self.terms.dataset_id.clone(), self.terms.version);
        JobDataset { dataset_id, version, handle: handle.to_owned() }
    }

    pub(super) fn used<'a>(&'a self, job: &'a JobDataset) -> TableUse<'a> {
        TableUse { job, terms: &self.terms, columns: &self.columns }
    }

    pub(super) fn sql_table(&self, name: &str) -> sql::Table {
        sql::Table {
            name: name.to_owned(),
            allowed: self.terms.allowed_columns.clone(),
            keys: self.terms.join_keys.clone(),
            targets: self.terms.target_columns.clone(),
        }
    }
}
