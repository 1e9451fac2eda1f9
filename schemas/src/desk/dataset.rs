//! Registered datasets.

use serde::{Deserialize, Serialize};

use super::messages;
use crate::bundle::Logged;
use crate::dataset::DatasetOffer;
use crate::renewal::BudgetRenewal;

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
    /// The renewals of a dataset's privacy budget, offer by offer.
    BudgetRenewals {
        /// Each with its receipt.
        renewals: Vec<Logged<BudgetRenewal>>,
    }
    /// Every offer of a dataset, oldest first.
    DatasetVersions {
        /// The offers.
        versions: Vec<DatasetView>,
    }
}
