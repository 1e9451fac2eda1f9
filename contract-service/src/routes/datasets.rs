//! Datasets: register an offer, change a version, search and read the register, Croissant in and out. Offers are
//! public, the same terms for everyone, but for where their keys lie: see [`super::offers`].

use policies::lifecycle::{OfferRow, RenewalRow, State};
use schemas::bundle::Logged;
use schemas::dataset::{ColumnType, DatasetAct, DatasetOffer, DatasetState};
use schemas::desk::{BudgetRenewals, DatasetList, DatasetVersions, DatasetView, Receipted};
use schemas::event::Body;
use schemas::id::{DatasetId, Did};
use schemas::renewal::BudgetRenewal;
use schemas::text::Real;
use schemas::{Code, Envelope, R, Refusal};

use super::two_people::{self, Collected};
use crate::app::App;
use crate::call::{Answer, Call, page_size};
use crate::croissant;

/// Enters an offer.
pub fn register(app: &App, call: &Call) -> R<Answer> {
    let offer: Envelope<DatasetOffer> = call.read()?;
    let receipt = app.enter(Body::DatasetRegistered { offer })?.receipt;
    Answer::created(&Receipted { receipt })
}

/// Suspends, resumes or withdraws a version, by its provider or by two SRO people.
pub fn change(app: &App, call: &Call) -> R<Answer> {
    let act: Envelope<DatasetAct> = call.read()?;
    if act.read_unverified()?.dataset_id != call.param("id")? {
        return Err(Refusal::new(Code::SchemaMismatch, "the act is about another dataset").at("dataset_id"));
    }
    let body: fn(Envelope<DatasetAct>) -> Body = |act| Body::DatasetChanged { act };
    match two_people::collect(app, act, Some(&body))? {
        Collected::Waiting(signatures) => two_people::waiting(signatures),
        Collected::Ready(act) => {
            let receipt = app.enter(body(act))?.receipt;
            Answer::created(&Receipted { receipt })
        }
    }
}

/// Renews a privacy budget: by the provider of the offer, within what the offer says beforehand.
pub fn renew(app: &App, call: &Call) -> R<Answer> {
    let renewal: Envelope<BudgetRenewal> = call.read()?;
    if renewal.read_unverified()?.dataset_id != call.param("id")? {
        return Err(Refusal::new(Code::SchemaMismatch, "the renewal is about another dataset").at("dataset_id"));
    }
    let receipt = app.enter(Body::BudgetRenewed { renewal })?.receipt;
    Answer::created(&Receipted { receipt })
}

/// The renewals of a dataset's budget, offer by offer.
pub fn renewals(app: &App, call: &Call) -> R<Answer> {
    let state = app.registry.state();
    let id = found(&state, call)?.offer.dataset_id.clone();
    let rows = state.offers_of(&id).flat_map(|offer| state.renewals_of(&offer.sha256));
    Answer::ok(&BudgetRenewals { renewals: rows.map(|row| renewal(app, row)).collect::<R<_>>()? })
}

/// A renewal with its receipt.
pub(super) fn renewal(app: &App, row: &RenewalRow) -> R<Logged<BudgetRenewal>> {
    Ok(Logged { envelope: row.envelope.clone(), receipt: app.registry.receipt(row.index)? })
}

/// What a search may ask for.
pub const QUERY: &[&str] = &[
    "limit",
    "cursor",
    "q",
    "provider",
    "column",
    "column_type",
    "purpose",
    "data_schema",
    "min_epsilon",
    "max_epsilon",
    "state",
    "max_price",
    "currency",
];

/// A page of the newest offers that fit the query, by dataset id; `cursor` is the last id of the page before. Statistics
/// are left out: they are read with the dataset.
pub fn list(app: &App, call: &Call) -> R<Answer> {
    let limit = page_size(call)?;
    let after = call.query.get("cursor").map(|text| DatasetId::parse(text)).transpose()?;
    let search = Search::read(call)?;
    let state = app.registry.state();
    let newest = state.newest_offers(after.as_ref());
    let mut rows = newest.filter(|row| search.fits(&state, row));
    let page: Vec<&OfferRow> = rows.by_ref().take(limit).collect();
    let more = rows.next().is_some();
    let next = page.last().filter(|_| more).map(|row| row.offer.dataset_id.to_string());
    let mut datasets = page.into_iter().map(|row| view(app, &state, row)).collect::<R<Vec<_>>>()?;
    datasets.iter_mut().for_each(|one| one.offer.statistics = None);
    Answer::ok(&DatasetList { datasets, next })
}

/// The newest offer of a dataset.
pub fn read(app: &App, call: &Call) -> R<Answer> {
    let state = app.registry.state();
    Answer::ok(&view(app, &state, found(&state, call)?)?)
}

/// Every offer of a dataset, oldest first.
pub fn versions(app: &App, call: &Call) -> R<Answer> {
    let state = app.registry.state();
    let id = found(&state, call)?.offer.dataset_id.clone();
    let versions = state.offers_of(&id).map(|row| view(app, &state, row)).collect::<R<Vec<_>>>()?;
    Answer::ok(&DatasetVersions { versions })
}

/// The newest offer as Croissant, or as DCAT where the caller accepts that profile.
pub fn export(app: &App, call: &Call) -> R<Answer> {
    let state = app.registry.state();
    let offer = &found(&state, call)?.offer;
    let page = format!("{}/v1/datasets/{}", app.url(), offer.dataset_id);
    let dcat = call.header("accept").is_some_and(|accept| accept.contains("http://www.w3.org/ns/dcat"));
    let body = if dcat { croissant::dcat(offer, &page)? } else { croissant::export(offer, &page)? };
    Ok(Answer::of(200, croissant::LD_JSON, "no-cache", body).with("vary", "accept"))
}

/// The beginning of an offer, from a Croissant document. Nothing is signed or entered.
pub fn import(_: &App, call: &Call) -> R<Answer> {
    Answer::ok(&croissant::import(&call.body)?)
}

pub(super) fn found<'s>(state: &'s State, call: &Call) -> R<&'s OfferRow> {
    let id: DatasetId = call.param("id")?;
    state.latest_offer(&id).ok_or_else(|| Refusal::new(Code::NotFound, "no such dataset is registered"))
}

fn view(app: &App, state: &State, row: &OfferRow) -> R<DatasetView> {
    let of_version = state.dataset_acts(&row.offer.dataset_id, row.offer.version);
    let stands = state_of(state, row);
    let by = of_version.and_then(|acts| acts.suspended).filter(|_| stands == DatasetState::Suspended);
    Ok(DatasetView {
        offer: row.offer.clone().into(),
        sha256: row.sha256,
        receipt: app.registry.receipt(row.index)?,
        state: super::word(&stands)?,
        suspended_by: by.map(|by| super::word(&by)).transpose()?,
        changed_by: of_version.and_then(|acts| acts.acts.last().copied()),
    })
}

/// The state of the version; an offer whose terms were replaced is deprecated as well.
fn state_of(state: &State, row: &OfferRow) -> DatasetState {
    let newest = state.latest_offer(&row.offer.dataset_id).is_some_and(|newest| newest.sha256 == row.sha256);
    match state.dataset_state(&row.offer.dataset_id, row.offer.version) {
        Some(DatasetState::Registered) | None if !newest => DatasetState::Deprecated,
        Some(word) => word,
        None => DatasetState::Registered,
    }
}

/// What a dataset must have to be listed.
struct Search {
    words: super::Words,
    provider: Option<Did>,
    column: Option<String>,
    column_type: Option<ColumnType>,
    purpose: Option<String>,
    data_schema: Option<String>,
    min_epsilon: Option<Real>,
    max_epsilon: Option<Real>,
    state: Option<DatasetState>,
    max_price: Option<u64>,
    currency: Option<String>,
}

impl Search {
    fn read(call: &Call) -> R<Search> {
        let text = |name: &str| call.query.get(name).cloned();
        let real = |name: &str| text(name).map(|t| Real::parse(&t).map_err(|e| e.at(name))).transpose();
        let max_price = text("max_price").map(|_| call.number("max_price", 0)).transpose()?;
        Ok(Search {
            words: super::words(call)?,
            provider: text("provider").map(|t| Did::parse(&t).map_err(|e| e.at("provider"))).transpose()?,
            column: text("column"),
            column_type: super::choice(call, "column_type")?,
            purpose: text("purpose"),
            data_schema: text("data_schema"),
            min_epsilon: real("min_epsilon")?,
            max_epsilon: real("max_epsilon")?,
            state: super::choice(call, "state")?,
            max_price,
            currency: text("currency"),
        })
    }

    fn fits(&self, state: &State, row: &OfferRow) -> bool {
        let offer = &row.offer;
        let cap = offer.privacy_cap.epsilon.value();
        self.provider.as_ref().is_none_or(|did| offer.provider == *did)
            && self.has_column(offer)
            && self.purpose.as_ref().is_none_or(|purpose| offer.usage.purposes.contains(purpose))
            && self.data_schema.as_ref().is_none_or(|uri| offer.reference.data_schema == *uri)
            && self.min_epsilon.as_ref().is_none_or(|least| cap >= least.value())
            && self.max_epsilon.as_ref().is_none_or(|most| cap <= most.value())
            && self.state.is_none_or(|wanted| state_of(state, row) == wanted)
            && self.is_paid(offer)
            && self.has_words(offer)
    }

    fn has_column(&self, offer: &DatasetOffer) -> bool {
        if self.column.is_none() && self.column_type.is_none() {
            return true;
        }
        offer.columns.iter().any(|column| {
            self.column.as_ref().is_none_or(|name| column.name == *name)
                && self.column_type.is_none_or(|kind| column.column_type == kind)
        })
    }

    /// The sum of all terms of the offer, each counted once, in the currency asked for.
    fn is_paid(&self, offer: &DatasetOffer) -> bool {
        let other = |currency: &String| offer.payment.iter().any(|term| term.currency.as_str() != currency.as_str());
        let sum: u128 = offer.payment.iter().map(|term| u128::from(term.amount_minor.get().unsigned_abs())).sum();
        !self.currency.as_ref().is_some_and(other) && self.max_price.is_none_or(|most| sum <= u128::from(most))
    }

    fn has_words(&self, offer: &DatasetOffer) -> bool {
        let (reference, card) = (&offer.reference, &offer.data_card);
        let mut texts = vec![offer.name.as_str(), card.description.as_str()];
        texts.extend(reference.keywords.iter().chain(&reference.creators).map(String::as_str));
        self.words.fit(&texts)
    }
}
