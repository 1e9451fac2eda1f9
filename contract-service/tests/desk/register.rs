//! Participants and rules of the SRO over HTTP.

use std::sync::Arc;

use reqwest::blocking::Client as Http;
use schemas::desk::{DataSchemaList, ImageSetList, ParticipantList, Receipted, TemplateList, TwoPeople};
use schemas::envelope::Document;
use schemas::id::Did;
use schemas::party::{Decision, Kind, ParticipantWithdrawal};
use schemas::problem::Problem;
use schemas::rules::{DataSchema, Erasure, ImageSetRevocation, Template};
use schemas::{Code, Digest, Envelope, R, canonical};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use signing::FileKey;

use crate::house::House;
use crate::papers;

pub(crate) fn code<T: std::fmt::Debug>(outcome: R<T>) -> Code {
    outcome.unwrap_err().code
}

pub(crate) fn http() -> Http {
    Http::builder().no_proxy().build().unwrap()
}

pub(crate) fn get<T: DeserializeOwned>(house: &House, path: &str) -> Result<T, Code> {
    let response = http().get(format!("{}{path}", house.url())).send().unwrap();
    match response.status().as_u16() {
        200 => Ok(response.json().unwrap()),
        _ => Err(Code::parse(&response.json::<Problem>().unwrap().code).unwrap()),
    }
}

/// Posts a signed document and reads what a success of this status says.
pub(crate) fn post<T: DeserializeOwned, D>(
    house: &House,
    path: &str,
    document: &Envelope<D>,
    status: u16,
) -> Result<T, Code> {
    let key = uuid::Uuid::now_v7().to_string();
    let request = http().post(format!("{}{path}", house.url())).header("content-type", "application/json");
    let response = request.header("idempotency-key", key).body(canonical::to_bytes(document).unwrap()).send().unwrap();
    if response.status().as_u16() >= 400 {
        return Err(Code::parse(&response.json::<Problem>().unwrap().code).unwrap());
    }
    assert_eq!(response.status().as_u16(), status);
    Ok(response.json().unwrap())
}

/// First one person of the SRO, then another.
pub(crate) fn by_two<D: Document>(house: &House, path: &str, document: &D) {
    let first: TwoPeople = post(house, path, &house.sign(document, &house.sro[0]), 202).unwrap();
    assert_eq!((first.signatures, first.receipt), (1, None));
    let second: Value = post(house, path, &house.sign(document, &house.sro[1]), 201).unwrap();
    assert!(second["receipt"].is_object());
}

#[test]
fn participants_are_listed_and_leave() {
    let house = House::furnished();
    let page: ParticipantList = get(&house, "/v1/participants?limit=2").unwrap();
    assert_eq!(page.participants.len(), 2);
    let next: ParticipantList = get(&house, &format!("/v1/participants?cursor={}", page.next.unwrap())).unwrap();
    assert_eq!((next.participants.len(), next.next), (3, None));
    let tdps: ParticipantList = get(&house, "/v1/participants?kind=tdp&state=verified").unwrap();
    assert_eq!(tdps.participants.len(), 2);
    let key = FileKey::generate().unwrap();
    let mut applicant = papers::participant(&house, &key, Kind::Auditor);
    applicant.legal_name = "Audit Office".into();
    house.client.apply(&house.sign(&applicant, &key)).unwrap();
    for query in ["state=applied", "q=AUDIT%20off", "kind=auditor"] {
        let found: ParticipantList = get(&house, &format!("/v1/participants?{query}")).unwrap();
        assert_eq!(
            found.participants.iter().map(|p| p.did.clone()).collect::<Vec<_>>(),
            [key.did().unwrap()],
            "{query}"
        );
    }
    for (query, expected) in [
        ("kind=king", Code::SchemaMismatch),
        ("state=gone", Code::SchemaMismatch),
        ("cursor=x", Code::MalformedId),
        ("limit=0", Code::LimitExceeded),
    ] {
        assert_eq!(get::<ParticipantList>(&house, &format!("/v1/participants?{query}")).unwrap_err(), expected);
    }
    let long = "q".repeat(201);
    assert_eq!(get::<ParticipantList>(&house, &format!("/v1/participants?q={long}")).unwrap_err(), Code::LimitExceeded);
    let withdrawal = ParticipantWithdrawal {
        schema: "participant-withdrawal.v1".into(),
        registry: house.registry(),
        participant: house.psp.did().unwrap(),
        reason: "We close".into(),
        at: house.now(),
    };
    let forged =
        post::<Receipted, _>(&house, "/v1/participants/withdrawals", &house.sign(&withdrawal, &house.tdc), 201);
    assert_eq!(forged.unwrap_err(), Code::SignerNotParty);
    house.client.withdraw_participant(&house.sign(&withdrawal, &house.psp)).unwrap();
    let gone: ParticipantList = get(&house, "/v1/participants?state=withdrawn").unwrap();
    assert_eq!(gone.participants.len(), 1);
    assert_eq!(code(house.as_(&house.psp).payments(None)), Code::Unauthenticated);
}

#[test]
fn look_alikes_are_refused_over_http() {
    let house = House::furnished();
    let taken = papers::participant(&house, &house.tdc, Kind::Tdc).legal_name;
    let key = FileKey::generate().unwrap();
    let mut applicant = papers::participant(&house, &key, Kind::Tdc);
    applicant.legal_name = taken.to_uppercase();
    assert_eq!(code(house.client.apply(&house.sign(&applicant, &key))), Code::LookAlike);
    let key = FileKey::generate_for(&Did::parse("did:web:xn--cme-5cd.example").unwrap()).unwrap();
    let applicant = papers::participant(&house, &key, Kind::Tdc);
    assert_eq!(code(house.client.apply(&house.sign(&applicant, &key))), Code::LookAlike);
}

#[test]
fn what_one_person_of_the_sro_began_waits_for_the_second_to_read_and_to_sign() {
    let house = House::furnished();
    let queue = |who: &Arc<FileKey>| house.as_(who).pending_acts();
    for stranger in [&house.tdc, &house.tdps[0], &house.ccrp] {
        assert_eq!(code(queue(stranger)), Code::Forbidden);
    }
    assert!(queue(&house.sro[1]).unwrap().acts.is_empty());
    let decision = house.decision(&house.tdps[0], Kind::Tdp, Decision::Suspended);
    let first = house.sign(&decision, &house.sro[0]);
    let path = "/v1/participants/decisions";
    let waiting: TwoPeople = post(&house, path, &first, 202).unwrap();
    assert_eq!(waiting.receipt, None);
    // Both read the very bytes that were signed, and by whom.
    for who in &house.sro {
        let [act] = queue(who).unwrap().acts.try_into().unwrap();
        assert_eq!((act.payload, act.signatures), (first.payload.clone(), first.signatures.clone()));
        assert_eq!(act.payload_type, <schemas::party::ParticipantDecision as Document>::PAYLOAD_TYPE);
        assert_eq!(act.until, act.since.plus_seconds(7 * 24 * 3600));
    }
    // It waits no longer once it stands in the log.
    let second: Envelope<schemas::party::ParticipantDecision> = house.sign(&decision, &house.sro[1]);
    post::<TwoPeople, _>(&house, path, &second, 201).unwrap();
    assert!(queue(&house.sro[0]).unwrap().acts.is_empty());
    // What nobody signs with is forgotten after a week.
    let again = house.decision(&house.tdps[1], Kind::Tdp, Decision::Suspended);
    post::<TwoPeople, _>(&house, path, &house.sign(&again, &house.sro[0]), 202).unwrap();
    assert_eq!(queue(&house.sro[1]).unwrap().acts.len(), 1);
    house.skip(7 * 24 * 3600 + 1);
    assert!(queue(&house.sro[1]).unwrap().acts.is_empty());
}

#[test]
fn the_sro_lays_down_templates_schemas_and_revokes_image_sets() {
    let house = House::furnished();
    let template: Template = serde_json::from_value(json!({"schema": "template.v1", "registry": house.registry(),
        "template": "oncology-v2", "title": "Oncology", "text_url": "https://sro.example/t.pdf",
        "text_sha256": Digest([4; 32]), "purposes": ["TRAINING"], "jurisdictions": [], "max_days": 365,
        "lapse_days": 14, "sro_countersigns": false, "risk_statement": true, "at": house.now()}))
    .unwrap();
    let stranger = post::<TwoPeople, _>(&house, "/v1/templates", &house.sign(&template, &house.tdc), 202);
    assert_eq!(stranger.unwrap_err(), Code::Forbidden);
    by_two(&house, "/v1/templates", &template);
    assert_eq!(get::<TemplateList>(&house, "/v1/templates").unwrap().templates.len(), 1);
    assert!(get::<Value>(&house, "/v1/templates/oncology-v2").is_ok());
    assert_eq!(get::<Value>(&house, "/v1/templates/none-v1").unwrap_err(), Code::NotFound);
    let schema: DataSchema = serde_json::from_value(json!({"schema": "data-schema.v1", "registry": house.registry(),
        "uri": "urn:sro:tests", "title": "Tests", "at": house.now(),
        "columns": [{"name": "k", "type": "text", "lower": null, "upper": null}]}))
    .unwrap();
    by_two(&house, "/v1/data-schemas", &schema);
    assert_eq!(get::<DataSchemaList>(&house, "/v1/data-schemas?uri=urn:sro:tests").unwrap().data_schemas.len(), 1);
    assert_eq!(get::<DataSchemaList>(&house, "/v1/data-schemas?uri=urn:other").unwrap().data_schemas.len(), 0);
    let revocation = ImageSetRevocation {
        schema: "image-set-revocation.v1".into(),
        registry: house.registry(),
        image_set_id: papers::image_set_id(),
        reason: "A hole".into(),
        at: house.now(),
    };
    let standing: ImageSetList = get(&house, "/v1/image-sets?state=approved").unwrap();
    assert_eq!(standing.image_sets.len(), 1);
    by_two(&house, "/v1/image-sets/revocations", &revocation);
    let revoked: ImageSetList = get(&house, "/v1/image-sets").unwrap();
    assert_eq!(revoked.image_sets[0].state, "revoked");
    assert!(revoked.image_sets[0].revocation.is_some() && revoked.next.is_none());
    assert_eq!(get::<ImageSetList>(&house, "/v1/image-sets?state=odd").unwrap_err(), Code::SchemaMismatch);
    assert_eq!(code(house.propose(&papers::contract(&house))), Code::ImageSetNotApproved);
}

#[test]
fn a_rejected_applicant_is_erased() {
    let house = House::furnished();
    let key = FileKey::generate().unwrap();
    let applied = house.client.apply(&house.sign(&papers::participant(&house, &key, Kind::Tdp), &key)).unwrap();
    let rejected = house.client.decide(&house.by_sro(&house.decision(&key, Kind::Tdp, Decision::Rejected))).unwrap();
    let erasure = |entries: Vec<u64>| Erasure {
        schema: "erasure.v1".into(),
        registry: house.registry(),
        entries,
        reason: "Asked for".into(),
        at: house.now(),
    };
    let half = house.by_sro(&erasure(vec![applied.index]));
    assert_eq!(post::<TwoPeople, _>(&house, "/v1/erasures", &half, 201).unwrap_err(), Code::SchemaMismatch);
    by_two(&house, "/v1/erasures", &erasure(vec![applied.index, rejected.receipt.unwrap().index]));
    assert_eq!(code(house.client.participant(&key.did().unwrap())), Code::NotFound);
}
