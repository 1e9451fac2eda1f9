//! An offer as Croissant, with the data card in the RAI vocabulary, terms of use as an ODRL offer, and our own terms
//! under `depa:`.

use schemas::R;
use schemas::dataset::{Column, ColumnType, DatasetOffer, Sample, SampleKind};
use serde_json::{Value, json};

use super::model::{Agent, Croissant, Field, FileObject, OneOrMany, RecordSet};
use crate::error::fault;

/// The version of the standard that is written.
pub(super) const CONFORMS: &str = "http://mlcommons.org/croissant/1.1";
const RAI: &str = "http://mlcommons.org/croissant/RAI/1.0";
/// The namespace of our own terms.
const DEPA: &str = "urn:depa:terms:";

/// The offer as a Croissant document; `page` is the address of the dataset in this service.
pub fn export(offer: &DatasetOffer, page: &str) -> R<Vec<u8>> {
    serde_json::to_vec(&document(offer, page)).map_err(fault)
}

fn document(offer: &DatasetOffer, page: &str) -> Croissant {
    let (card, reference) = (&offer.data_card, &offer.reference);
    let one = |text: &str| Some(OneOrMany::One(text.to_owned()));
    let agent = |name: &String| Agent::Named { kind: "sc:Organization".into(), name: name.clone() };
    let creators: Vec<Agent> = reference.creators.iter().map(agent).collect();
    let regions = reference.regions.iter().map(|code| json!({"@type": "sc:Place", "name": code}));
    Croissant {
        context: context(),
        kind: "sc:Dataset".into(),
        id: Some(page.to_owned()),
        conforms_to: OneOrMany::Many([CONFORMS, RAI, &reference.data_schema].map(|uri| json!(uri)).into()),
        name: offer.name.clone(),
        description: card.description.clone(),
        identifier: Some(json!(offer.dataset_id)),
        version: Some(json!(format!("{}.{}.0", offer.version, offer.offer_version))),
        license: OneOrMany::One(json!(card.licence)),
        url: Some(page.to_owned()),
        creator: OneOrMany::Many(creators),
        spatial: OneOrMany::Many(regions.collect()),
        keywords: OneOrMany::Many(reference.keywords.clone()),
        date_published: offer.offered_at.to_string().get(..10).map(str::to_owned),
        cite_as: Some(format!("{}: {}, version {}", reference.creators.join(", "), offer.name, offer.version)),
        // The ciphertext is known by its Merkle root, which is no digest of a file: without this word the standard
        // demands one. A next version may be sealed to the same address.
        is_live: Some(true),
        distribution: files(offer),
        record_set: vec![table(offer)],
        usage_info: Some(usage(offer, page)),
        collection: one(&card.collection),
        limitations: one(&card.limitations),
        use_cases: Some(OneOrMany::Many(offer.usage.purposes.clone())),
        personal: one(&card.personal_data),
        offer: Some(terms(offer)),
    }
}

/// Terms of the standard's context that are names alone.
const TERMS: [(&str, &str); 36] = [
    ("@language", "en"),
    ("@vocab", "https://schema.org/"),
    ("arrayShape", "cr:arrayShape"),
    ("citeAs", "cr:citeAs"),
    ("column", "cr:column"),
    ("conformsTo", "dct:conformsTo"),
    ("containedIn", "cr:containedIn"),
    ("cr", "http://mlcommons.org/croissant/"),
    ("dct", "http://purl.org/dc/terms/"),
    ("depa", DEPA),
    ("equivalentProperty", "cr:equivalentProperty"),
    ("extract", "cr:extract"),
    ("field", "cr:field"),
    ("fileObject", "cr:fileObject"),
    ("fileProperty", "cr:fileProperty"),
    ("fileSet", "cr:fileSet"),
    ("format", "cr:format"),
    ("includes", "cr:includes"),
    ("isArray", "cr:isArray"),
    ("isLiveDataset", "cr:isLiveDataset"),
    ("jsonPath", "cr:jsonPath"),
    ("key", "cr:key"),
    ("md5", "cr:md5"),
    ("odrl", "http://www.w3.org/ns/odrl/2/"),
    ("parentField", "cr:parentField"),
    ("path", "cr:path"),
    ("rai", "http://mlcommons.org/croissant/RAI/"),
    ("recordSet", "cr:recordSet"),
    ("references", "cr:references"),
    ("regex", "cr:regex"),
    ("repeated", "cr:repeated"),
    ("replace", "cr:replace"),
    ("samplingRate", "cr:samplingRate"),
    ("sc", "https://schema.org/"),
    ("separator", "cr:separator"),
    ("source", "cr:source"),
];

/// The standard's context with our own terms.
fn context() -> Value {
    let mut context = json!({
        "data": {"@id": "cr:data", "@type": "@json"},
        "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
        "description": {"@container": "@language"},
        "examples": {"@id": "cr:examples", "@type": "@json"},
        "name": {"@container": "@language"},
        "subField": "cr:subField",
        "transform": "cr:transform",
    });
    TERMS.iter().for_each(|(name, meaning)| context[*name] = json!(meaning));
    context
}

fn files(offer: &DatasetOffer) -> Vec<FileObject> {
    let sealed = offer.objects.iter().enumerate().map(|(n, object)| FileObject {
        id: format!("sealed-{n}"),
        kind: "cr:FileObject".into(),
        name: format!("sealed-{n}"),
        description: Some("Encrypted; opened only in a clean room under a contract.".into()),
        content_url: Some(object.url.clone()),
        content_size: Some(format!("{} B", object.bytes)),
        encoding_format: OneOrMany::One(object.media_type.clone()),
        manifest_root: Some(offer.manifest_root.to_string()),
        ..FileObject::default()
    });
    sealed.chain(offer.reference.sample.iter().map(sample)).collect()
}

fn sample(sample: &Sample) -> FileObject {
    let kind = match sample.kind {
        SampleKind::Synthetic => "synthetic",
        SampleKind::Consented => "consented",
    };
    FileObject {
        id: "sample".into(),
        kind: "cr:FileObject".into(),
        name: "sample".into(),
        description: Some("A sample that anyone may read; it is not the data.".into()),
        content_url: Some(sample.url.clone()),
        content_size: Some(format!("{} B", sample.bytes)),
        encoding_format: OneOrMany::One(sample.media_type.clone()),
        sha256: Some(sample.sha256.to_string()),
        sample: Some(kind.into()),
        ..FileObject::default()
    }
}

fn table(offer: &DatasetOffer) -> RecordSet {
    let field = |column: &Column| Field {
        id: format!("table/{}", column.name),
        kind: "cr:Field".into(),
        name: column.name.clone(),
        description: None,
        data_type: OneOrMany::One(match column.column_type {
            ColumnType::Text => "sc:Text".into(),
            ColumnType::Number => "sc:Float".into(),
            ColumnType::Image => "sc:ImageObject".into(),
        }),
        source: Some(json!({"fileObject": {"@id": "sealed-0"}, "extract": {"column": column.name}})),
        lower: column.lower.as_ref().map(|real| real.as_str().to_owned()),
        upper: column.upper.as_ref().map(|real| real.as_str().to_owned()),
    };
    RecordSet {
        id: "table".into(),
        kind: "cr:RecordSet".into(),
        name: "table".into(),
        field: offer.columns.iter().map(field).collect(),
    }
}

/// Use in a clean room for the offered purposes, against the offered price, and nothing else.
fn usage(offer: &DatasetOffer, page: &str) -> Value {
    let prices = offer.payment.iter().map(|term| {
        json!({"odrl:leftOperand": {"@id": "odrl:payAmount"}, "odrl:operator": {"@id": "odrl:eq"},
            "odrl:rightOperand": term.amount_minor.get().to_string(),
            "odrl:unit": format!("{} minor units", term.currency.as_str())})
    });
    let purposes = offer.usage.purposes.iter().map(|purpose| {
        json!({"odrl:leftOperand": {"@id": "odrl:purpose"}, "odrl:operator": {"@id": "odrl:eq"},
            "odrl:rightOperand": purpose})
    });
    json!({
        "@type": "odrl:Offer", "@id": format!("{page}#terms"), "odrl:assigner": offer.provider,
        "odrl:permission": {"odrl:action": {"@id": "odrl:use"}, "odrl:constraint": purposes.collect::<Vec<_>>(),
            "odrl:duty": {"odrl:action": {"@id": "odrl:compensate"}, "odrl:constraint": prices.collect::<Vec<_>>()}},
        "odrl:prohibition": {"odrl:action": {"@id": "odrl:distribute"}},
    })
}

fn terms(offer: &DatasetOffer) -> Value {
    let mut terms = json!({
        "depa:provider": offer.provider, "depa:family": offer.family,
        "depa:dataSchema": offer.reference.data_schema, "depa:publicRows": offer.public_rows.to_string(),
        "depa:epsilonCap": offer.privacy_cap.epsilon, "depa:deltaCap": offer.privacy_cap.delta,
        "depa:allowedColumns": offer.usage.allowed_columns, "depa:joinKeys": offer.usage.join_keys,
        "depa:targetColumns": offer.usage.target_columns,
        "depa:consentBasis": offer.reference.consent_basis_sha256,
    });
    if offer.privacy_cap.without_differential_privacy {
        terms["depa:withoutDifferentialPrivacy"] = "allowed".into();
    }
    terms
}
