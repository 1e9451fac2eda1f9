//! A dataset in a list: what people look for first, beside the public offer.

use schemas::Digest;
use schemas::desk::{DatasetView, PublicOffer};
use schemas::id::{DatasetId, Did};
use serde::Serialize;

use crate::table::Table;

/// A registered dataset, read from its offer and not verified.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct DatasetLine {
    /// The dataset.
    pub dataset_id: DatasetId,
    /// Its version.
    pub version: u32,
    /// Version of its terms.
    pub offer_version: u32,
    /// Its name.
    pub name: String,
    /// Whose it is.
    pub provider: Did,
    /// The public count of people.
    pub public_rows: u64,
    /// `registered`, `suspended`, `deprecated` or `withdrawn`.
    pub state: String,
    /// The offer, but for where its key lies.
    pub offer: PublicOffer,
    /// SHA-256 of the signed offer.
    pub sha256: Digest,
}

impl DatasetLine {
    /// What the service answered, as a line.
    pub fn of(view: DatasetView) -> DatasetLine {
        let DatasetView { offer, sha256, state, .. } = view;
        DatasetLine {
            dataset_id: offer.dataset_id.clone(),
            version: offer.version,
            offer_version: offer.offer_version,
            name: offer.name.clone(),
            provider: offer.provider.clone(),
            public_rows: offer.public_rows,
            state,
            offer,
            sha256,
        }
    }

    /// The lines as a table.
    pub fn table(lines: &[DatasetLine]) -> Table<7> {
        let rows = lines.iter().map(|line| {
            let DatasetLine { dataset_id, version, offer_version, name, provider, public_rows, state, .. } = line;
            [
                dataset_id.to_string(),
                version.to_string(),
                offer_version.to_string(),
                public_rows.to_string(),
                state.clone(),
                provider.to_string(),
                name.clone(),
            ]
        });
        Table::new(["dataset", "version", "terms", "people", "state", "provider", "name"], rows)
            .numbers(&["version", "terms", "people"])
    }
}
