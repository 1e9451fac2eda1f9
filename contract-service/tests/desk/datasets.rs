//! Datasets over HTTP: suspended, withdrawn, found, shown to whom it concerns, out as Croissant and back.

use std::sync::Arc;

use schemas::dataset::{ColumnType, DatasetActKind, DatasetOffer};
use schemas::desk::{CroissantDraft, DatasetList, DatasetVersions, DatasetView, Receipted};
use schemas::rules::BUILT_IN_SCHEMA;
use schemas::text::Bytes;
use schemas::{Code, Digest, canonical};
use serde_json::Value;
use signing::FileKey;

use crate::house::House;
use crate::papers;
use crate::register::{by_two, code, get, http, post};

#[test]
fn datasets_are_suspended_resumed_and_withdrawn() {
    let house = House::furnished();
    let path = format!("/v1/datasets/{}/acts", papers::offer(&house, 0).dataset_id);
    let other = format!("/v1/datasets/{}/acts", papers::offer(&house, 1).dataset_id);
    let suspending = papers::dataset_act(&house, DatasetActKind::Suspend);
    let misplaced = post::<Receipted, _>(&house, &other, &house.sign(&suspending, &house.tdps[0]), 201);
    assert_eq!(misplaced.unwrap_err(), Code::SchemaMismatch);
    let foreign = post::<Receipted, _>(&house, &path, &house.sign(&suspending, &house.tdps[1]), 201);
    assert_eq!(foreign.unwrap_err(), Code::SignerNotParty);
    let by = || {
        let view: DatasetView = get(&house, path.trim_end_matches("/acts")).unwrap();
        (view.state, view.suspended_by, view.changed_by.is_some())
    };
    assert_eq!(by(), ("registered".into(), None, false));
    by_two(&house, &path, &suspending);
    assert_eq!(by(), ("suspended".into(), Some("sro".into()), true));
    house.skip(1);
    let resuming = papers::dataset_act(&house, DatasetActKind::Resume);
    let own = post::<Receipted, _>(&house, &path, &house.sign(&resuming, &house.tdps[0]), 201);
    assert_eq!(own.unwrap_err(), Code::Forbidden);
    assert_eq!(code(house.propose(&papers::contract(&house))), Code::DatasetNotAvailable);
    by_two(&house, &path, &resuming);
    assert_eq!(by(), ("registered".into(), None, true));
    house.skip(1);
    let paused = house.sign(&papers::dataset_act(&house, DatasetActKind::Suspend), &house.tdps[0]);
    post::<Receipted, _>(&house, &path, &paused, 201).unwrap();
    assert_eq!(by(), ("suspended".into(), Some("provider".into()), true));
    house.skip(1);
    let gone = house.sign(&papers::dataset_act(&house, DatasetActKind::Withdraw), &house.tdps[0]);
    post::<Receipted, _>(&house, &path, &gone, 201).unwrap();
    let left: DatasetList = get(&house, "/v1/datasets?state=registered").unwrap();
    assert_eq!(left.datasets.len(), 1);
    let mut next = papers::offer(&house, 0);
    (next.version, next.manifest_root) = (2, Digest([99; 32]));
    next.objects[0].url = "file:///data/next.sealed".into();
    house.client.register_dataset(&house.sign(&next, &house.tdps[0])).unwrap();
    let versions: DatasetVersions = get(&house, &path.replace("/acts", "/versions")).unwrap();
    let states: Vec<&str> = versions.versions.iter().map(|v| v.state.as_str()).collect();
    assert_eq!(states, ["withdrawn", "registered"]);
}

/// What anybody is told under this path.
fn text(house: &House, path: &str, accept: &str) -> String {
    let response = http().get(format!("{}{path}", house.url())).header("accept", accept).send().unwrap();
    assert_eq!(response.status().as_u16(), 200, "{path}");
    response.text().unwrap()
}

#[test]
fn where_a_key_lies_is_shown_to_those_who_contract_and_to_nobody_else() {
    let house = House::furnished();
    let offer = papers::offer(&house, 0);
    let id = &offer.dataset_id;
    let jwk = serde_json::to_value(&offer.key.kms_jwk).unwrap();
    let secrets = [offer.key.kms.as_str(), offer.key.key_id.as_str(), jwk["x"].as_str().unwrap()];
    let signed = offer_payload(&offer);
    for (path, accept) in [
        ("/v1/datasets".to_owned(), "application/json"),
        ("/v1/datasets?q=table&limit=200".to_owned(), "application/json"),
        (format!("/v1/datasets/{id}"), "application/json"),
        (format!("/v1/datasets/{id}/versions"), "application/json"),
        (format!("/v1/datasets/{id}/renewals"), "application/json"),
        (format!("/v1/datasets/{id}/croissant"), "application/ld+json"),
        (format!("/v1/datasets/{id}/croissant"), "application/ld+json;profile=\"http://www.w3.org/ns/dcat\""),
    ] {
        let told = text(&house, &path, accept);
        for secret in secrets {
            assert!(!told.contains(secret), "{path} tells {secret}");
        }
        assert!(!told.contains(&signed), "{path} holds the signed offer");
    }
    let ask = |who: &Arc<FileKey>| house.as_(who).signed_offer(id);
    assert_eq!(code(house.client.signed_offer(id)), Code::Unauthenticated);
    for stranger in [&house.tdps[1], &house.ccrp] {
        assert_eq!(code(ask(stranger)), Code::Forbidden);
    }
    // Its provider, and whoever may propose a contract.
    for who in [&house.tdps[0], &house.tdc] {
        assert_eq!(ask(who).unwrap().envelope.read_unverified().unwrap(), offer);
    }
    // Parties of a contract over it find it in the contract's own papers too.
    house.executed();
    for party in [&house.tdps[1], &house.ccrp] {
        assert_eq!(ask(party).unwrap().envelope.read_unverified().unwrap(), offer);
    }
    // An overseer's reading is entered first.
    let size = || text(&house, "/log/checkpoint", "*/*").lines().nth(1).unwrap().parse::<u64>().unwrap();
    let before = size();
    ask(&house.tdc).unwrap();
    assert_eq!(size(), before);
    ask(&house.sro[0]).unwrap();
    assert!(size() > before);
}

/// The first half of the signed bytes, as envelopes write them.
fn offer_payload(offer: &DatasetOffer) -> String {
    Bytes(canonical::to_bytes(offer).unwrap()).text()[..200].to_owned()
}

#[test]
fn datasets_are_found_by_what_they_are() {
    let house = House::furnished();
    let mut offer = papers::offer(&house, 1);
    offer.offer_version = 2;
    offer.reference.keywords = vec!["oncology".into(), "survival".into()];
    offer.payment[0].amount_minor = schemas::money::Minor::new(7).unwrap();
    house.client.register_dataset(&house.sign(&offer, &house.tdps[1])).unwrap();
    let found = |query: &str| -> Vec<String> {
        let list: DatasetList = get(&house, &format!("/v1/datasets?{query}")).unwrap();
        list.datasets.into_iter().map(|d| d.offer.name).collect()
    };
    let both = ["Table 0", "Table 1"];
    for (query, expected) in [
        ("", &both[..]),
        ("q=oncology%20TABLE", &both[1..]),
        ("q=nothing", &[]),
        ("column=x&column_type=number", &both),
        ("column=x&column_type=text", &[]),
        ("column=absent", &[]),
        ("purpose=TRAINING", &both),
        ("purpose=SALE", &[]),
        ("min_epsilon=1.0&max_epsilon=1.0", &both),
        ("min_epsilon=1.1", &[]),
        ("max_epsilon=0.9", &[]),
        ("max_price=7", &both[1..]),
        ("max_price=7&currency=EUR", &[]),
        ("state=suspended", &[]),
        ("state=registered", &both),
    ] {
        assert_eq!(found(query), expected, "{query}");
    }
    assert_eq!(found(&format!("provider={}", house.tdps[0].did().unwrap())), both[..1]);
    assert_eq!(found(&format!("data_schema={BUILT_IN_SCHEMA}")), both);
    let page: DatasetList = get(&house, "/v1/datasets?limit=1").unwrap();
    let rest: DatasetList = get(&house, &format!("/v1/datasets?limit=1&cursor={}", page.next.unwrap())).unwrap();
    assert_eq!((rest.datasets.len(), rest.next), (1, None));
    for (query, expected) in [
        ("min_epsilon=x", Code::MalformedNumber),
        ("max_price=-1", Code::MalformedNumber),
        ("state=odd", Code::SchemaMismatch),
        ("provider=x", Code::MalformedId),
        ("cursor=x", Code::MalformedId),
    ] {
        assert_eq!(get::<DatasetList>(&house, &format!("/v1/datasets?{query}")).unwrap_err(), expected, "{query}");
    }
}

/// An access token of somebody.
fn token(house: &House, who: &FileKey) -> String {
    let jti = uuid::Uuid::now_v7().to_string();
    let request = schemas::desk::TokenRequest {
        grant_type: "client_credentials".into(),
        client_assertion_type: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer".into(),
        client_assertion: signing::token::assertion(who, house.url(), jti, house.now()).unwrap(),
    };
    let response = http().post(format!("{}/oauth/token", house.url())).json(&request).send().unwrap();
    response.json::<schemas::desk::TokenAnswer>().unwrap().access_token
}

/// Sends a Croissant document in: status and answer.
fn imported(house: &House, token: Option<&str>, text: &str) -> (u16, String) {
    let request = http().post(format!("{}/v1/datasets/croissant", house.url()));
    let request = request.header("content-type", "application/ld+json").body(text.to_owned());
    let request = request.header("idempotency-key", uuid::Uuid::now_v7().to_string());
    let request = token.into_iter().fold(request, |request, token| request.bearer_auth(token));
    let response = request.send().unwrap();
    (response.status().as_u16(), response.text().unwrap())
}

#[test]
fn a_dataset_goes_out_as_croissant_and_comes_back_as_a_draft() {
    let house = House::furnished();
    let mut offer: DatasetOffer = papers::offer(&house, 0);
    offer.offer_version = 2;
    offer.reference.regions = vec!["IN".into(), "NP".into()];
    offer.statistics = Some(papers::statistics(&offer));
    let sealed = house.sign(&offer, &house.tdps[0]);
    post::<Receipted, _>(&house, "/v1/datasets", &sealed, 201).unwrap();
    let path = format!("/v1/datasets/{}/croissant", offer.dataset_id);
    let response = http().get(format!("{}{path}", house.url())).send().unwrap();
    assert_eq!(response.headers()["content-type"], "application/ld+json");
    let text = response.text().unwrap();
    if let Ok(file) = std::env::var("DEPA_CROISSANT_OUT") {
        std::fs::write(file, &text).unwrap();
    }
    let document: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(document["conformsTo"][0], "http://mlcommons.org/croissant/1.1");
    assert_eq!(document["distribution"][0]["depa:manifestRoot"], offer.manifest_root.to_string());
    assert_eq!(document["rai:dataLimitations"], offer.data_card.limitations);
    assert_eq!(document["usageInfo"]["@type"], "odrl:Offer");
    let dcat = http().get(format!("{}{path}", house.url()));
    let dcat = dcat.header("accept", "application/ld+json; profile=\"http://www.w3.org/ns/dcat#\"").send().unwrap();
    assert_eq!(dcat.json::<Value>().unwrap()["@type"], "dcat:Dataset");
    // Statistics are read with the dataset, and no list carries them.
    let one: DatasetView = get(&house, &format!("/v1/datasets/{}", offer.dataset_id)).unwrap();
    assert_eq!(one.offer.statistics, offer.statistics);
    let listed: DatasetList = get(&house, "/v1/datasets").unwrap();
    assert!(listed.datasets.iter().all(|one| one.offer.statistics.is_none()));
    let token = token(&house, &house.tdps[0]);
    let draft: CroissantDraft = serde_json::from_str(&imported(&house, Some(&token), &text).1).unwrap();
    assert_eq!(
        (&draft.name, &draft.columns, &draft.creators),
        (&offer.name, &offer.columns, &offer.reference.creators)
    );
    assert_eq!(draft.columns[1].column_type, ColumnType::Number);
    assert_eq!(draft.regions, offer.reference.regions);
    assert_eq!(draft.sealed, offer.objects);
    assert_eq!(draft.card.licence.as_deref(), Some(offer.data_card.licence.as_str()));
    assert!(draft.gaps.iter().any(|gap| gap.member == "payment"));
    assert_eq!(imported(&house, Some(&token), r#"{"name": "x"}"#).0, Code::CroissantInvalid.status());
    assert_eq!(imported(&house, None, &text).0, Code::Unauthenticated.status());
    assert_eq!(get::<Value>(&house, &path.replace("000", "fff")).unwrap_err(), Code::NotFound);
}
