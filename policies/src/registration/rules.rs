//! The form of what the SRO lays down: templates, data schemas, erasures, the log's next key.

use schemas::dataset::DatasetOffer;
use schemas::id::Did;
use schemas::problem::{Code, R};
use schemas::rules::{BUILT_IN_SCHEMA, BUILT_IN_TEMPLATE, DataSchema, Erasure, ImageSetRevocation, LogKey, Template};
use schemas::time::Timestamp;

use super::{act, offer, same_registry};
use crate::forms::{count, country, ensure, is_token, is_web_object, text, unique, written};
use crate::reals;

/// A contract template.
pub fn template(template: &Template, registry: &Did, now: Timestamp) -> R<()> {
    same_registry(&template.registry, registry)?;
    let sentence = "A template is named like oncology-v2: at most 32 of a-z, 0-9 and -, ending in -v and a number.";
    let named = is_token(&template.template) && is_versioned(&template.template);
    ensure(named && template.template != BUILT_IN_TEMPLATE, Code::SchemaMismatch, "template", sentence)?;
    text(&template.title, 200, "title")?;
    let web = is_web_object(&template.text_url);
    ensure(web, Code::AddressRefused, "text_url", "A legal text lies at an https: address.")?;
    crate::forms::purposes(&template.purposes, "purposes")?;
    ensure(template.jurisdictions.len() <= 250, Code::LimitExceeded, "jurisdictions", "At most 250 are allowed.")?;
    template.jurisdictions.iter().try_for_each(|code| country(code, "jurisdictions"))?;
    ensure(unique(&template.jurisdictions), Code::SchemaMismatch, "jurisdictions", "A jurisdiction stands twice.")?;
    let days = (1..=3653).contains(&template.max_days);
    ensure(days, Code::LimitExceeded, "max_days", "A period has between 1 and 3653 days.")?;
    let days = (1..=365).contains(&template.lapse_days);
    ensure(days, Code::LimitExceeded, "lapse_days", "A proposal lapses after 1 to 365 days.")?;
    crate::forms::rules(&template.rules, "rules")?;
    written(template.at, now, "at")
}

/// `…-v<number>`, the number without leading zeros.
fn is_versioned(name: &str) -> bool {
    let Some((stem, number)) = name.rsplit_once("-v") else { return false };
    let stem = !stem.is_empty() && !stem.contains('_');
    stem && number.parse::<u32>().is_ok_and(|n| n.to_string() == number)
}

/// A data schema. Its columns follow the rules of an offer's columns.
pub fn data_schema(schema: &DataSchema, registry: &Did, now: Timestamp) -> R<()> {
    same_registry(&schema.registry, registry)?;
    let sentence = "A data schema is named by a URI of its own, at most 200 characters.";
    ensure(is_uri(&schema.uri) && schema.uri != BUILT_IN_SCHEMA, Code::SchemaMismatch, "uri", sentence)?;
    text(&schema.title, 200, "title")?;
    offer::columns(&schema.columns)?;
    written(schema.at, now, "at")
}

/// A URI by its form: a scheme, then graphic ASCII.
pub(super) fn is_uri(uri: &str) -> bool {
    let scheme = uri.split_once(':').is_some_and(|(scheme, rest)| {
        let known = scheme.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        known && scheme.starts_with(|c: char| c.is_ascii_lowercase()) && !rest.is_empty()
    });
    scheme && uri.len() <= 200 && uri.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'"' | b'<' | b'>' | b'\\'))
}

/// Do an offer's columns fit the data schema that it names: each required one, of its type, within its bounds?
pub fn fits(offer: &DatasetOffer, schema: &DataSchema) -> R<()> {
    for wanted in &schema.columns {
        let refuse = |ok, why: &str| {
            let sentence = format!("Column {} of the data schema {}.", wanted.name, why);
            ensure(ok, Code::DataSchemaMismatch, "columns", sentence)
        };
        let Some(column) = offer.columns.iter().find(|c| c.name == wanted.name) else {
            return refuse(false, "is missing");
        };
        refuse(column.column_type == wanted.column_type, "is of another type")?;
        if let (Some(lower), Some(upper)) = (&wanted.lower, &wanted.upper) {
            let (Some(low), Some(high)) = (&column.lower, &column.upper) else {
                return refuse(false, "has bounds, the offer's has none");
            };
            let within = reals::order(low, lower).is_ge() && reals::order(high, upper).is_le();
            refuse(within, "has narrower bounds")?;
        }
    }
    Ok(())
}

/// The end of an image set's approval.
pub fn image_set_revocation(revocation: &ImageSetRevocation, registry: &Did, now: Timestamp) -> R<()> {
    same_registry(&revocation.registry, registry)?;
    act(&revocation.reason, revocation.at, now)
}

/// An erasure. Which entries it may name is the fold's question.
pub fn erasure(erasure: &Erasure, registry: &Did, now: Timestamp) -> R<()> {
    same_registry(&erasure.registry, registry)?;
    act(&erasure.reason, erasure.at, now)?;
    count(erasure.entries.len(), 4096, "entries")?;
    let ascending = erasure.entries.is_sorted() && unique(&erasure.entries);
    ensure(ascending, Code::SchemaMismatch, "entries", "Entries are named ascending, each once.")
}

/// The registry's next key: one that may sign, with an overlap of at most 90 days.
pub fn log_key(key: &LogKey, registry: &Did, now: Timestamp) -> R<()> {
    same_registry(&key.registry, registry)?;
    key.jwk.point(schemas::jwk::Curve::Ed25519).map_err(|refusal| refusal.at("jwk"))?;
    let timely = now < key.overlap_until && key.overlap_until <= now.plus_seconds(90 * 86_400);
    let sentence = "Old and new key both sign for some time, at most 90 days from now.";
    ensure(timely, Code::SchemaMismatch, "overlap_until", sentence)?;
    written(key.at, now, "at")
}
