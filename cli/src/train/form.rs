//! The form of a rehearsal: the `[training]` of a job's form, over tables that lie here.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::job::form::TrainingForm;

/// The form, in TOML or JSON.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LocalForm {
    /// The join in SQL, as in a job's form.
    #[serde(default)]
    pub sql: Option<String>,
    /// Instead of SQL: tables of one schema whose rows stand one below the other.
    #[serde(default)]
    pub union: Vec<String>,
    /// The tables by the names that SQL or union use.
    pub tables: BTreeMap<String, LocalTable>,
    /// The training, word for word that of a job's form.
    pub training: TrainingForm,
}

/// A table.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LocalTable {
    /// Its description, the same that `depa dataset seal` reads; relative to the form.
    pub description: PathBuf,
    /// The file, unless one is given with `--table`; relative to the form.
    #[serde(default)]
    pub file: Option<PathBuf>,
}
