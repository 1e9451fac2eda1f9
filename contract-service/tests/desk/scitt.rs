//! SCITT as its three kinds of clients see it: statements, receipts of both forms, contracts, errors in their own words.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ciborium::Value;
use schemas::contract::Contract;
use schemas::party::Kind;
use schemas::{Document as _, Envelope};
use signing::{FileKey, cose, scitt};

use crate::house::House;
use crate::papers;
use crate::wire::{es256, get, hear, http, record, register, statement, token};

const RECEIPT: &str = "application/scitt-receipt+cose";
const STATEMENT: &str = "application/scitt-statement+cose";

/// A service with one verified issuer.
fn house() -> House {
    let house = House::empty();
    house.admit(&house.tdps[0], Kind::Tdp);
    house
}

fn index_of(location: &str) -> u64 {
    location.rsplit_once("/entries/1.").unwrap().1.parse().unwrap()
}

#[test]
fn scrapi_gets_a_receipt_at_once_and_a_transparent_statement_later() {
    let house = house();
    let message = statement(&house.tdps[0], "models/safe", b"{}");
    let heard = register(&house, &message, RECEIPT);
    assert_eq!((heard.status, heard.media.as_str()), (201, RECEIPT), "{}", String::from_utf8_lossy(&heard.body));
    let index = index_of(heard.headers["location"].to_str().unwrap());
    let own = &house.trust().registry_jwk;
    let tree = scitt::receipt::verify(&heard.body, &record(&house, index), own).unwrap();
    assert!(tree.size > index);
    assert!(scitt::receipt::verify(&heard.body, &record(&house, index - 1), own).is_err(), "of another entry");

    let path = format!("/entries/1.{index}");
    let transparent = get(&house, &path, STATEMENT);
    assert_eq!((transparent.status, transparent.media.as_str()), (200, STATEMENT));
    let read = scitt::read(&transparent.body).unwrap();
    assert_eq!((read.stripped.as_slice(), read.receipts.len()), (message.as_slice(), 2));
    scitt::receipt::verify(&read.receipts[0], &record(&house, index), own).unwrap();
    let (leaf, _) = scitt::ccf::verify(&read.receipts[1], &read.digest(), &es256(&house)).unwrap();
    assert!(leaf.evidence.starts_with(&format!("ce:1.{index}:")));
    let ccf = get(&house, &format!("{path}?vds=2"), RECEIPT);
    scitt::ccf::verify(&ccf.body, &read.digest(), &es256(&house)).unwrap();

    let asynchronous = statement(&house.tdps[0], "models/other", b"{}");
    let post = http().post(format!("{}/entries?api-version=2026-03-26", house.url())).header("prefer", "respond-async");
    let heard = hear(post.header("content-type", "application/cose").body(asynchronous));
    assert_eq!(heard.status, 303);
    assert!(index_of(heard.headers["location"].to_str().unwrap()) > index);
}

#[test]
fn pyscitt_gets_operations_in_cbor_and_ccf_receipts_only() {
    let house = house();
    let message = statement(&house.tdps[0], "models/safe", b"{}");
    let heard = register(&house, &message, "*/*");
    assert_eq!((heard.status, heard.media.as_str()), (202, "application/cbor"));
    let id = heard.word("OperationId");
    let operation = get(&house, &format!("/operations/{id}"), "*/*");
    assert_eq!((operation.word("Status"), operation.word("EntryId")), ("succeeded".into(), id.clone()));
    let transparent = get(&house, &format!("/entries/{id}/statement"), "*/*");
    assert_eq!((transparent.status, transparent.media.as_str()), (200, "application/cose"));
    let read = scitt::read(&transparent.body).unwrap();
    assert_eq!(read.receipts.len(), 1);
    scitt::ccf::verify(&read.receipts[0], &read.digest(), &es256(&house)).unwrap();
    let receipt = get(&house, &format!("/entries/{id}"), "*/*");
    scitt::ccf::verify(&receipt.body, &read.digest(), &es256(&house)).unwrap();
    let mut tampered = receipt.body.clone();
    let last = tampered.len() - 1;
    tampered[last] ^= 1;
    assert!(scitt::ccf::verify(&tampered, &read.digest(), &es256(&house)).is_err());
    assert_eq!(get(&house, &format!("/entries/{id}/receipt"), "*/*").media, "application/cbor");
    // What the statement carried unprotected is not part of it.
    let again = scitt::with_receipts(&message, &[receipt.body]).unwrap();
    let heard = register(&house, &again, "*/*");
    assert_eq!(heard.status, 202);
}

#[test]
fn the_ledgers_scripts_bring_contracts_that_stay_private() {
    let house = House::furnished();
    let contract = papers::contract(&house);
    let mut envelope = Envelope::draft(&contract).unwrap();
    let parties: Vec<_> = contract.parties.iter().map(|p| p.did.clone()).collect();
    for who in [&house.tdc, &house.tdps[0]] {
        let signature = cose::sign(&envelope, &parties, "contracts/1", &**who).unwrap();
        envelope.signatures.push(signature);
    }
    let message = cose::write(&envelope, &[]).unwrap();
    let heard = register(&house, &message, "*/*");
    assert_eq!((heard.status, heard.media.as_str()), (202, "application/json"), "{}", heard.json());
    let id = heard.json()["operationId"].as_str().unwrap().to_owned();
    let operation = get(&house, &format!("/operations/{id}"), "*/*").json();
    assert_eq!((operation["status"].as_str(), operation["entryId"].as_str()), (Some("succeeded"), Some(id.as_str())));

    let listed = get(&house, "/entries/txIds", "*/*").json();
    assert!(listed["transactionIds"].as_array().unwrap().contains(&serde_json::json!(id)), "{listed}");
    let head = schemas::log::Checkpoint::parse(&house.client.checkpoint().unwrap()).unwrap().head.size;
    let public: Vec<u8> = (0..head).flat_map(|n| record(&house, n)).collect();
    let public = String::from_utf8_lossy(&public).into_owned();
    assert!(!public.contains(contract.contract_id.as_str()) && !public.contains(parties[0].as_str()));

    // Strangers see nothing, parties the message with its receipt.
    let path = format!("/entries/{id}?embedReceipt=true");
    let hidden = get(&house, &path, "*/*");
    assert_eq!((hidden.status, hidden.json()["error"]["code"].as_str()), (404, Some("NotFound")));
    let bearer = token(&house, &house.tdps[1]);
    let shown = hear(http().get(format!("{}{path}", house.url())).bearer_auth(bearer));
    assert_eq!((shown.status, shown.media.as_str()), (200, "application/cose"));
    let read = cose::read(&shown.body).unwrap();
    assert_eq!((read.signatures.len(), read.receipts.len()), (2, 1));
    assert_eq!(read.content_type, Contract::PAYLOAD_TYPE);

    // The other two sign through the same door; the same message twice is refused.
    let again = register(&house, &message, "*/*");
    assert_eq!((again.status, again.json()["error"]["code"].as_str()), (409, Some("InvalidInput")));
    for who in [&house.tdps[1], &house.ccrp] {
        let signature = cose::sign(&envelope, &parties, "contracts/1", &**who).unwrap();
        envelope.signatures.push(signature);
    }
    assert_eq!(register(&house, &cose::write(&envelope, &[]).unwrap(), "*/*").status, 202);
    let view = house.as_(&house.tdc).contract(&contract.contract_id).unwrap();
    assert_eq!(view.state, schemas::contract::ContractState::Active);
    assert_eq!(view.contract.signatures.len(), 4);
}

/// A contract in DEPA's own shape: its bytes are signed as they come.
#[derive(serde::Serialize, serde::Deserialize)]
struct Depa {
    registry: schemas::id::Did,
}

impl schemas::Document for Depa {
    const SCHEMA: &'static str = "depa";
    const PAYLOAD_TYPE: &'static str = "application/json";
    const USAGE: schemas::envelope::Usage = schemas::envelope::Usage::Party;

    fn schema(&self) -> &str {
        "depa"
    }

    fn registry(&self) -> &schemas::id::Did {
        &self.registry
    }
}

#[test]
fn a_contract_in_depas_shape_becomes_the_signers_draft_and_its_digest_is_anchored() {
    let house = House::furnished();
    let payload = serde_json::json!({"registry": house.registry(), "id": "f4f72a88-bab1-11ed-afa1-0242ac120002", "schemaVersion": "0.1",
        "startTime": "2023-03-14T00:00:00.000Z", "expiryTime": "2024-03-14T00:00:00.000Z", "tdc": "", "tdps": [],
        "ccrp": "did:web:ccrp.example", "datasets": [], "purpose": "TRAINING", "constraints": [],
        "terms": {"payment": {}, "revocation": {}}});
    let mut envelope: Envelope<Depa> = Envelope::new(payload.to_string().into_bytes(), Vec::new());
    let signers = [&house.tdps[0], &house.tdc, &house.ccrp];
    let parties: Vec<_> = signers.iter().map(|who| who.did().unwrap()).collect();
    for who in signers {
        let signature = cose::sign(&envelope, &parties, "contracts/2", &**who).unwrap();
        envelope.signatures.push(signature);
    }
    let message = cose::write(&envelope, &[]).unwrap();
    let drafts = |who: &std::sync::Arc<FileKey>| {
        let bearer = token(&house, who);
        let heard = hear(http().get(format!("{}/v1/drafts", house.url())).bearer_auth(&bearer));
        (heard.json()["drafts"].as_array().unwrap().clone(), bearer)
    };
    let mut forged = message.clone();
    let last = forged.len() - 1;
    forged[last] ^= 1;
    assert_eq!(register(&house, &forged, "*/*").status, 422);
    assert!(drafts(&house.tdc).0.is_empty(), "nothing is kept of a message of which a signature is bad");

    let heard = register(&house, &message, "*/*");
    assert_eq!(heard.status, 202, "{}", heard.json());
    for who in [&house.tdps[0], &house.tdc] {
        let (rows, bearer) = drafts(who);
        assert_eq!(rows.len(), 1);
        let path = format!("{}/v1/drafts/{}", house.url(), rows[0]["draft_id"].as_str().unwrap());
        let draft = hear(http().get(&path).bearer_auth(&bearer)).json();
        assert_eq!(draft["origin"]["foreign_id"], payload["id"]);
        assert_eq!(draft["origin"]["signed_by"].as_array().unwrap().len(), 3);
        let original = hear(http().get(format!("{path}/original")).bearer_auth(&bearer));
        assert_eq!(original.body, message, "kept byte for byte");
    }
    assert!(drafts(&house.tdps[1]).0.is_empty(), "who did not sign gets none");
    // The public log has the digest's salted record and nothing of the body; nobody reads the body there.
    let id = heard.json()["operationId"].as_str().unwrap().to_owned();
    let index: u64 = id.rsplit_once('.').unwrap().1.parse().unwrap();
    let public = String::from_utf8(record(&house, index)).unwrap();
    assert!(public.contains("digest_anchored") && !public.contains("did:"), "{public}");
    assert_eq!(get(&house, &format!("/entries/{id}"), "application/json").status, 404);
    // The same message again makes no second draft.
    assert_eq!(register(&house, &message, "*/*").status, 202);
    assert_eq!(drafts(&house.tdc).0.len(), 1);
}

#[test]
fn what_is_refused_is_refused_in_the_clients_words() {
    let house = house();
    let title = |message: &[u8]| {
        let heard = register(&house, message, "*/*");
        assert_eq!(heard.media, "application/concise-problem-details+cbor");
        (heard.status, heard.word(-1), heard.word(-2))
    };
    let good = statement(&house.tdps[0], "models/safe", b"{}");
    let stranger = statement(&FileKey::generate().unwrap(), "models/safe", b"{}");
    assert_eq!((title(&stranger).0, title(&stranger).1), (422, "SIGNER_UNKNOWN".into()));
    let mut altered = good.clone();
    let last = altered.len() - 1;
    altered[last] ^= 1;
    assert_eq!(title(&altered).1, "SIGNATURE_INVALID");
    assert_eq!(title(b"rubbish").1, "COSE_FORM");
    let (status, code, detail) = title(&statement(&house.tdps[0], "models/big", &vec![b' '; 61 * 1024]));
    assert_eq!((status, code.as_str()), (413, "BODY_TOO_LARGE"));
    assert!(detail.contains("258"), "{detail}");

    for (path, accept) in [("/entries/1.99", "*/*"), ("/entries/2.0", RECEIPT), ("/operations/1.99", "*/*")] {
        let heard = get(&house, path, accept);
        assert_eq!((heard.status, heard.word(-1).as_str()), (404, "NOT_FOUND"), "{path}");
    }
    let json = get(&house, "/entries/1.99/receipt", "application/json");
    assert_eq!((json.status, json.json()["error"]["code"].as_str()), (404, Some("NotFound")));
    // Entries that are no statements have receipts, since the tiles are public, but show no body.
    assert_eq!(get(&house, "/entries/1.1", "*/*").status, 200);
    assert_eq!(get(&house, "/entries/1.1/statement", "*/*").status, 404);
    let media = http().post(format!("{}/entries", house.url())).body(good).header("content-type", "text/plain");
    assert_eq!(hear(media).status, 415);
}

#[test]
fn keys_and_parameters_belong_together() {
    let house = house();
    let keys = get(&house, "/.well-known/scitt-keys", "*/*").cbor();
    let keys = keys.as_array().unwrap();
    assert_eq!(keys.len(), 2);
    let kid_of = |key: &Value| {
        let found = key.as_map().unwrap().iter().find(|(label, _)| *label == Value::from(2)).unwrap();
        found.1.as_bytes().unwrap().clone()
    };
    assert_eq!(kid_of(&keys[0]), cose::thumbprint(&house.trust().registry_jwk).unwrap().0);
    for key in keys {
        let kid = kid_of(key);
        let one = get(&house, &format!("/.well-known/scitt-keys/{}", URL_SAFE_NO_PAD.encode(&kid)), "*/*");
        assert_eq!((one.status, &one.cbor()), (200, key));
    }
    assert_eq!(get(&house, "/.well-known/scitt-keys/none", "*/*").status, 404);

    let jwk = es256(&house);
    let parameters = get(&house, "/parameters", "*/*").json();
    let certificate = STANDARD.decode(parameters["serviceCertificate"].as_str().unwrap()).unwrap();
    let spki = signing::ec_key::spki(&jwk).unwrap();
    assert!(certificate.windows(spki.len()).any(|part| part == spki), "the certificate holds the key of receipts");
    assert_eq!(parameters["serviceId"].as_str().unwrap(), signing::ec_key::ccf_kid(&jwk).unwrap());
    assert_eq!(get(&house, "/parameters/historic", "*/*").json()["parameters"][0], parameters);

    let configuration = get(&house, "/.well-known/transparency-configuration", "application/cbor");
    assert_eq!(configuration.word("jwks_uri"), format!("{}/jwks", house.url()));
    assert_eq!(get(&house, "/version", "*/*").json()["version"], env!("CARGO_PKG_VERSION"));
    let issuer = house.tdps[0].did().unwrap();
    let issuers = get(&house, "/did", "*/*").json();
    assert_eq!(issuers["issuers"], serde_json::json!([issuer]));
    assert_eq!(get(&house, &format!("/did/{issuer}"), "*/*").json()["id"], serde_json::json!(issuer));
    assert_eq!(get(&house, "/did/did:key:z6Mkother", "*/*").status, 404);
    assert_eq!(get(&house, "/configuration", "*/*").json()["service_identifier"], serde_json::json!(house.registry()));
}
