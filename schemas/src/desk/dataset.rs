//! Registered datasets.

use serde::{Deserialize, Serialize};

use super::messages;
use crate::bundle::Logged;
use crate::dataset::DatasetOffer;

messages! {
    /// A registered dataset.
    DatasetView {
        /// The offer, with its receipt.
        offer: Logged<DatasetOffer>,
        /// `registered`, `suspended`, `deprecated` or `withdrawn`.
        state: String,
    }
    /// A page of datasets.
    DatasetList {
        /// The datasets.
        datasets: Vec<DatasetView>,
        /// Where the next page begins; none on the last.
        next: Option<String>,
    }
    /// Every offer of a dataset, oldest first.
    DatasetVersions {
        /// The offers.
        versions: Vec<DatasetView>,
    }
}
