//! The same offer as a DCAT 3 dataset, for data catalogues.

use schemas::R;
use schemas::dataset::DatasetOffer;
use serde_json::json;

use crate::error::fault;

/// The offer as `dcat:Dataset`.
pub fn dcat(offer: &DatasetOffer, page: &str) -> R<Vec<u8>> {
    let distribution = offer.objects.iter().map(|object| {
        json!({"@type": "dcat:Distribution", "dcat:accessURL": {"@id": object.url},
            "dcat:mediaType": object.media_type, "dcat:byteSize": object.bytes})
    });
    let creators = offer.reference.creators.iter().map(|name| json!({"@type": "foaf:Agent", "foaf:name": name}));
    let regions = offer.reference.regions.iter().map(|code| json!({"@type": "dct:Location", "dct:identifier": code}));
    let document = json!({
        "@context": {"dcat": "http://www.w3.org/ns/dcat#", "dct": "http://purl.org/dc/terms/",
            "foaf": "http://xmlns.com/foaf/0.1/", "odrl": "http://www.w3.org/ns/odrl/2/"},
        "@id": page, "@type": "dcat:Dataset", "dct:identifier": offer.dataset_id, "dct:title": offer.name,
        "dct:description": offer.data_card.description, "dct:creator": creators.collect::<Vec<_>>(),
        "dct:spatial": regions.collect::<Vec<_>>(),
        "dct:publisher": {"@id": offer.provider}, "dct:issued": offer.offered_at,
        "dct:conformsTo": {"@id": offer.reference.data_schema}, "dct:license": offer.data_card.licence,
        "dcat:version": offer.version.to_string(), "dcat:keyword": offer.reference.keywords,
        "dcat:landingPage": {"@id": page}, "dcat:distribution": distribution.collect::<Vec<_>>(),
        "odrl:hasPolicy": {"@id": format!("{page}/croissant#terms")},
    });
    serde_json::to_vec(&document).map_err(fault)
}
