//! The parts of an offer that no run reads: data schema, creators, keywords, countries, sample, consent.

use schemas::dataset::{DatasetOffer, Sample, SampleKind};
use schemas::problem::{Code, R};

use super::rules::is_uri;
use crate::forms::{count, country, ensure, is_web_object, text, unique};

/// A reference within its limits, whose sample is not the data as far as the offer itself tells.
pub(super) fn reference(offer: &DatasetOffer) -> R<()> {
    let reference = &offer.reference;
    let sentence = "A data schema is named by its URI, at most 200 characters.";
    ensure(is_uri(&reference.data_schema), Code::SchemaMismatch, "reference.data_schema", sentence)?;
    count(reference.creators.len(), 16, "reference.creators")?;
    reference.creators.iter().try_for_each(|name| text(name, 200, "reference.creators"))?;
    ensure(unique(&reference.creators), Code::OfferInvalid, "reference.creators", "A creator stands twice.")?;
    let few = reference.keywords.len() <= 16;
    ensure(few, Code::LimitExceeded, "reference.keywords", "An offer has at most 16 keywords.")?;
    reference.keywords.iter().try_for_each(|word| text(word, 40, "reference.keywords"))?;
    ensure(unique(&reference.keywords), Code::OfferInvalid, "reference.keywords", "A keyword stands twice.")?;
    let few = reference.regions.len() <= 32;
    ensure(few, Code::LimitExceeded, "reference.regions", "An offer names at most 32 countries.")?;
    reference.regions.iter().try_for_each(|code| country(code, "reference.regions"))?;
    ensure(unique(&reference.regions), Code::OfferInvalid, "reference.regions", "A country stands twice.")?;
    reference.sample.as_ref().map_or(Ok(()), |shown| sample(offer, shown))
}

fn sample(offer: &DatasetOffer, sample: &Sample) -> R<()> {
    let field = "reference.sample";
    let web = is_web_object(&sample.url);
    ensure(web, Code::AddressRefused, field, "A sample lies at an https: address.")?;
    let sized = (1..=1 << 30).contains(&sample.bytes);
    ensure(sized, Code::OfferInvalid, field, "A sample has between 1 byte and 1 GiB.")?;
    text(&sample.media_type, 100, field)?;
    let data = sample.sha256 == offer.manifest_root || offer.objects.iter().any(|object| object.url == sample.url);
    ensure(!data, Code::SampleIsData, field, "The sample is the sealed data itself.")?;
    let consented = sample.kind != SampleKind::Consented || offer.reference.consent_basis_sha256.is_some();
    let sentence = "A sample of real rows names the consent record under which they are shown.";
    ensure(consented, Code::OfferInvalid, "reference.consent_basis_sha256", sentence)
}
