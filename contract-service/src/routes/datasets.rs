//! Datasets: register an offer, read the register. Offers are public: the same terms for everyone.

use policies::lifecycle::{OfferRow, State};
use schemas::bundle::Logged;
use schemas::dataset::DatasetOffer;
use schemas::desk::{DatasetList, DatasetView, Receipted};
use schemas::event::Body;
use schemas::id::DatasetId;
use schemas::{Code, Envelope, R, Refusal};

use crate::app::App;
use crate::call::{Answer, Call, page_size};

/// Enters an offer.
pub fn register(app: &App, call: &Call) -> R<Answer> {
    let offer: Envelope<DatasetOffer> = call.read()?;
    let receipt = app.enter(Body::DatasetRegistered { offer })?.receipt;
    Answer::created(&Receipted { receipt })
}

/// A page of the newest offers, by dataset id; `cursor` is the last id of the page before.
pub fn list(app: &App, call: &Call) -> R<Answer> {
    let limit = page_size(call)?;
    let after = call.query.get("cursor").map(|text| DatasetId::parse(text)).transpose()?;
    let state = app.registry.state();
    let newest = state.offers().filter(|row| is_newest(&state, row));
    let mut rows = newest.filter(|row| after.as_ref().is_none_or(|after| row.offer.dataset_id > *after));
    let page: Vec<&OfferRow> = rows.by_ref().take(limit).collect();
    let more = rows.next().is_some();
    let next = page.last().filter(|_| more).map(|row| row.offer.dataset_id.to_string());
    let datasets = page.into_iter().map(|row| view(app, &state, row)).collect::<R<Vec<_>>>()?;
    Answer::ok(&DatasetList { datasets, next })
}

/// The newest offer of a dataset.
pub fn read(app: &App, call: &Call) -> R<Answer> {
    let id: DatasetId = call.param("id")?;
    let state = app.registry.state();
    let row = state.latest_offer(&id).ok_or_else(|| Refusal::new(Code::NotFound, "no such dataset is registered"))?;
    Answer::ok(&view(app, &state, row)?)
}

fn view(app: &App, state: &State, row: &OfferRow) -> R<DatasetView> {
    let offer = Logged { envelope: row.envelope.clone(), receipt: app.registry.receipt(row.index)? };
    let word = if is_newest(state, row) { "registered" } else { "deprecated" };
    Ok(DatasetView { offer, state: word.into() })
}

fn is_newest(state: &State, row: &OfferRow) -> bool {
    state.latest_offer(&row.offer.dataset_id).is_some_and(|newest| newest.sha256 == row.sha256)
}
