//! A dataset in a list: what people look for first, beside the signed offer.

use schemas::R;
use schemas::bundle::Logged;
use schemas::dataset::DatasetOffer;
use schemas::desk::DatasetView;
use schemas::id::{DatasetId, Did};
use serde::Serialize;

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
    /// The signed offer with its receipt.
    pub offer: Logged<DatasetOffer>,
}

impl DatasetLine {
    /// Reads what the service answered; `MALFORMED_JSON` and its like where that is no offer.
    pub fn of(view: DatasetView) -> R<DatasetLine> {
        let DatasetView { offer, state } = view;
        let read = offer.envelope.read_unverified()?;
        Ok(DatasetLine {
            dataset_id: read.dataset_id,
            version: read.version,
            offer_version: read.offer_version,
            name: read.name,
            provider: read.provider,
            public_rows: read.public_rows,
            state,
            offer,
        })
    }

    /// One line of text.
    pub fn text(&self) -> String {
        let DatasetLine { dataset_id, version, name, provider, public_rows, state, .. } = self;
        format!("{dataset_id} v{version} {name} ({public_rows} people) by {provider}: {state}")
    }
}
