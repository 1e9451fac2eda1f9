//! May this offer enter the register?

use std::collections::BTreeSet;

use schemas::dataset::{Column, ColumnType, DatasetOffer, Usage};
use schemas::id::Did;
use schemas::jwk::Curve;
use schemas::privacy::Clause;
use schemas::problem::{Code, R};
use schemas::time::Timestamp;

use super::pricing::{self, Price};
use super::{reference, same_registry, statistics};
use crate::forms::{count, ensure, is_name, is_object_url, is_service_url, is_token, text, unique, written};
use crate::reals;

/// A TDP's offer: names, public schema with bounds, usage within the schema, a privacy cap, prices, addresses.
pub fn offer(offer: &DatasetOffer, registry: &Did, now: Timestamp) -> R<()> {
    same_registry(&offer.registry, registry)?;
    let sentence = "Versions count from 1.";
    ensure(offer.version >= 1 && offer.offer_version >= 1, Code::OfferInvalid, "version", sentence)?;
    text(&offer.name, 200, "name")?;
    columns(&offer.columns)?;
    objects(offer)?;
    reference::reference(offer)?;
    ensure(is_service_url(&offer.key.kms), Code::AddressRefused, "key.kms", "A key service has an https: base URL.")?;
    offer.key.kms_jwk.point(Curve::Ed25519).map_err(|refusal| refusal.at("key.kms_jwk"))?;
    let rows = (1..=MAX_ROWS).contains(&offer.public_rows);
    ensure(rows, Code::OfferInvalid, "public_rows", "The public count of principals lies between 1 and 10^12.")?;
    usage(&offer.usage, &offer.columns)?;
    clause(&offer.privacy_cap, offer.public_rows, "privacy_cap")?;
    crate::renewal::ceiling(offer)?;
    prices(offer)?;
    super::money::principal_pool(offer)?;
    statistics::statistics(offer)?;
    let card = &offer.data_card;
    for (words, field) in [
        (&card.description, "data_card.description"),
        (&card.collection, "data_card.collection"),
        (&card.limitations, "data_card.limitations"),
        (&card.personal_data, "data_card.personal_data"),
        (&card.licence, "data_card.licence"),
    ] {
        text(words, 4000, field)?;
    }
    written(offer.offered_at, now, "offered_at")
}

/// A privacy clause by itself: ε in (0, 1000], δ in (0, 1/`public_rows`), level 0, 1 or 2, without privacy at 0 alone.
pub(super) fn clause(clause: &Clause, public_rows: u64, field: &str) -> R<()> {
    let at = |member: &str| format!("{field}.{member}");
    let sentence = "The levels are 0 (legal only), 1 (enforced budget) and 2 (the model stays inside).";
    ensure(clause.level <= Clause::STAYS_INSIDE, Code::PrivacyClauseMissing, &at("level"), sentence)?;
    let sentence = "Training without differential privacy costs more than any budget: only a clause of level 0, which law \
                    alone keeps, may allow it.";
    let kept = !clause.without_differential_privacy || clause.allows_without_privacy();
    ensure(kept, Code::NotPrivateEnforced, &at("without_differential_privacy"), sentence)?;
    let epsilon = !reals::is_zero(&clause.epsilon) && reals::floor_units(&clause.epsilon, 0).is_some_and(|e| e < 1000);
    ensure(epsilon, Code::EpsilonOutOfRange, &at("epsilon"), "ε must be above 0 and below 1000.")?;
    ensure(!reals::is_zero(&clause.delta), Code::EpsilonOutOfRange, &at("delta"), "δ must be above 0.")?;
    let sentence = format!("δ {} is not below 1/{public_rows}.", clause.delta);
    ensure(reals::is_below_one_over(&clause.delta, public_rows), Code::DeltaTooLarge, &at("delta"), sentence)
}

/// Columns of a public schema: names and bounds.
pub(super) fn columns(columns: &[Column]) -> R<()> {
    count(columns.len(), 512, "columns")?;
    ensure(unique(columns.iter().map(|c| &c.name)), Code::OfferInvalid, "columns", "A column stands twice.")?;
    for column in columns {
        let sentence = "A column is named by a letter or _ and up to 63 letters, digits or _.";
        ensure(is_name(&column.name), Code::OfferInvalid, "columns", sentence)?;
        let bounded = match (&column.lower, &column.upper) {
            (None, None) => true,
            (Some(lower), Some(upper)) => column.column_type != ColumnType::Text && reals::order(lower, upper).is_lt(),
            _ => false,
        };
        let sentence = format!(
            "Column {}: a number or picture has both bounds, lower below upper, or none; text none.",
            column.name
        );
        ensure(bounded, Code::OfferInvalid, "columns", sentence)?;
    }
    Ok(())
}

fn objects(offer: &DatasetOffer) -> R<()> {
    let [object] = offer.objects.as_slice() else {
        return ensure(false, Code::OfferInvalid, "objects", "A dataset has exactly one sealed object.");
    };
    let sentence = "A sealed object lies at a file:, https:, s3:, az:, abfss: or gs: address.";
    ensure(is_object_url(&object.url), Code::AddressRefused, "objects", sentence)?;
    let sized = (1..=1 << 40).contains(&object.bytes);
    ensure(sized, Code::OfferInvalid, "objects", "A sealed object has between 1 byte and 1 TiB.")?;
    text(&object.media_type, 100, "objects")
}

fn usage(usage: &Usage, columns: &[Column]) -> R<()> {
    crate::forms::purposes(&usage.purposes, "usage.purposes")?;
    let names: BTreeSet<&str> = columns.iter().map(|c| c.name.as_str()).collect();
    let lists = [
        (&usage.allowed_columns, "usage.allowed_columns"),
        (&usage.join_keys, "usage.join_keys"),
        (&usage.target_columns, "usage.target_columns"),
    ];
    for (list, field) in lists {
        ensure(unique(list), Code::OfferInvalid, field, "A column stands twice.")?;
        let unknown = list.iter().find(|name| !names.contains(name.as_str()));
        let sentence = format!("{} is no column of the public schema.", unknown.map_or("", |name| name));
        ensure(unknown.is_none(), Code::OfferInvalid, field, sentence)?;
    }
    let empty = usage.allowed_columns.is_empty() && usage.target_columns.is_empty();
    ensure(!empty, Code::OfferInvalid, "usage.allowed_columns", "An offer lets at least one column be used.")?;
    let sentence = "An offer names the key of its principals: privacy is counted per principal.";
    ensure(!usage.join_keys.is_empty(), Code::OfferInvalid, "usage.join_keys", sentence)?;
    crate::forms::rules(&usage.rules, "usage.rules")
}

fn prices(offer: &DatasetOffer) -> R<()> {
    let field = "payment";
    ensure(offer.payment.len() <= 16, Code::LimitExceeded, field, "An offer has at most 16 price terms.")?;
    let ids = offer.payment.iter().map(|t| &t.term_id);
    let good = unique(ids.clone()) && ids.into_iter().all(|id| is_token(id));
    ensure(good, Code::OfferInvalid, field, "A term id is 1 to 32 of a-z, 0-9, _ and -, and stands once.")?;
    for term in &offer.payment {
        let sentence = |why| format!("Term {}: {why}", term.term_id);
        let checked = pricing::form(Price {
            kind: term.kind,
            amount: term.amount_minor,
            payees: &term.payees,
            trigger: term.trigger,
            pricing: term.pricing.as_ref(),
        });
        ensure(checked.is_ok(), Code::OfferInvalid, field, checked.err().map(sentence).unwrap_or_default())?;
    }
    let field = "discounts";
    ensure(offer.discounts.len() <= 16, Code::LimitExceeded, field, "An offer has at most 16 discounts.")?;
    let sentence = "A discount id stands twice.";
    ensure(unique(offer.discounts.iter().map(|d| &d.discount_id)), Code::OfferInvalid, field, sentence)?;
    for discount in &offer.discounts {
        let checked = pricing::discount(discount);
        let sentence = |why| format!("Discount {}: {why}", discount.discount_id);
        ensure(checked.is_ok(), Code::OfferInvalid, field, checked.err().map(sentence).unwrap_or_default())?;
    }
    Ok(())
}

/// The largest public count of principals.
const MAX_ROWS: u64 = 1_000_000_000_000;
