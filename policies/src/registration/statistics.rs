//! Statistics that an offer carries: of its own columns, between their public bounds, few enough to be read with it.
//!
//! That the ledger was charged with them is their provider's word: its own key service keeps the ledger, and shows it to nobody
//! else. What is refused here is a file that says itself that nothing was charged.

use schemas::dataset::{ColumnType, DatasetOffer};
use schemas::own_release::Charging;
use schemas::privacy::Mechanism;
use schemas::problem::{Code, R};
use schemas::statistics::{Histogram, Statistics};

use crate::forms::{ensure, unique};

const FIELD: &str = "statistics";
/// The most counts of all histograms together.
const MOST_COUNTS: usize = 4_096;

/// Statistics of this very offer, whose charge pays for their ε; or none.
pub(super) fn statistics(offer: &DatasetOffer) -> R<()> {
    let Some(found) = &offer.statistics else { return Ok(()) };
    let invalid = |ok, sentence: &str| ensure(ok, Code::OfferInvalid, FIELD, sentence);
    invalid(found.schema == Statistics::SCHEMA, "Statistics are what depa dataset profile has made.")?;
    let terms = found.terms.has_epsilon() && found.terms.has_bins();
    invalid(terms, "Statistics have an ε from 0.01 to 10, and 1 to 100 bins.")?;
    invalid(is_paid(found), "The charge of statistics pays for their ε, and the columns share it.")?;
    let sentence = "The ledger is charged before statistics go along: make them with depa dataset profile --kms.";
    invalid(found.ledger == Some(Charging::Charged), sentence)?;
    let rows = found.public_rows == offer.public_rows;
    invalid(rows, "Statistics are described with the offer's own public count of principals.")?;
    let few = found.columns.iter().map(|column| column.counts.len()).sum::<usize>() <= MOST_COUNTS;
    let sentence = format!("Statistics have at most {MOST_COUNTS} counts; make them with fewer bins.");
    ensure(few, Code::LimitExceeded, FIELD, sentence)?;
    invalid(unique(found.columns.iter().map(|column| &column.name)), "A column stands twice in the statistics.")?;
    found.columns.iter().try_for_each(|column| {
        let sentence = format!("The statistics of {} are not of the offer's column of that name.", column.name);
        invalid(is_of(column, offer, found.terms.bins), &sentence)
    })
}

/// Whether the ledger would be charged at least what one person's ε costs: a Gaussian release of noise multiplier 1/ε,
/// which the columns share.
fn is_paid(found: &Statistics) -> bool {
    let Mechanism::Gaussian { noise_multiplier } = &found.charge else { return false };
    let (noise, epsilon) = (noise_multiplier.value(), found.terms.epsilon.value());
    noise > 0.0 && noise * epsilon <= 1.0 && found.epsilon_per_column.value() * found.columns.len() as f64 <= epsilon
}

/// Whether this is a histogram of a column of the offer: of its type, between its bounds, with as many counts as its kind has.
fn is_of(found: &Histogram, offer: &DatasetOffer, bins: u32) -> bool {
    let Some(column) = offer.columns.iter().find(|column| column.name == found.name) else { return false };
    let counts = if column.column_type == ColumnType::Number { bins as usize } else { 1 };
    let same = (found.column_type, &found.lower, &found.upper) == (column.column_type, &column.lower, &column.upper);
    same && column.column_type != ColumnType::Image
        && (column.column_type == ColumnType::Text || column.lower.is_some())
        && found.counts.len() == counts
        && (column.column_type == ColumnType::Number || found.mean.is_none())
}
