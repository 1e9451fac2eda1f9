//! What a reading replaced or left out, said to the reader before anything is signed.

use serde::Serialize;

/// One replacement.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Notice {
    /// The member or operation concerned, `dataset_config.splits.random_state` or `layers.dropout`.
    pub field: String,
    /// What became of it.
    pub sentence: String,
}

impl Notice {
    /// A notice.
    pub fn new(field: impl Into<String>, sentence: impl Into<String>) -> Notice {
        Notice { field: field.into(), sentence: sentence.into() }
    }
}
