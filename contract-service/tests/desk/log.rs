//! The log as others see it: tiles of records, receipts in all their forms, anchors.

use std::io::Read as _;
use std::sync::Arc;

use schemas::dataset::DatasetActKind;
use schemas::desk::{ContractEvent, ContractReceipt};
use schemas::event::{Abort, Body};
use schemas::log::{Record, leaf_hash};
use schemas::party::Kind;
use schemas::{Code, Digest, Signer as _, canonical};
use signing::tlog_proof::TlogProof;
use signing::{FileKey, scitt, verify_receipt};

use crate::house::House;
use crate::papers;
use crate::wire::{Heard, es256, get, hear, http, record, token};

#[test]
fn tiles_of_records_hash_to_the_tiles_of_the_tree() {
    let house = House::empty();
    house.admit(&house.tdps[0], Kind::Tdp);
    let size = schemas::log::Checkpoint::parse(&house.client.checkpoint().unwrap()).unwrap().head.size;
    let hashes = house.client.tile(&format!("0/000.p/{size}")).unwrap();
    for (n, hash) in hashes.chunks(32).enumerate() {
        let record = record(&house, n as u64);
        assert_eq!(leaf_hash(&record).0, hash, "entry {n}");
        let read: Record = canonical::parse_canonical(&record).unwrap();
        assert_eq!(read.v, 1);
    }
    let path = format!("{}/log/tile/entries/000.p/{size}", house.url());
    let plain = hear(http().get(&path));
    let packed = hear(http().get(&path).header("accept-encoding", "gzip"));
    assert_eq!((plain.status, packed.status), (200, 200));
    assert_eq!(packed.headers["content-encoding"], "gzip");
    assert_eq!(plain.headers["cache-control"], "public, max-age=31536000, immutable");
    let mut opened = Vec::new();
    flate2::read::GzDecoder::new(packed.body.as_slice()).read_to_end(&mut opened).unwrap();
    assert!(opened == plain.body && packed.body.len() < plain.body.len());
    for bad in [format!("000.p/{}", size + 1), "000".into(), "001.p/1".into(), "0".into(), "000.p/0".into()] {
        assert_eq!(get(&house, &format!("/log/tile/entries/{bad}"), "*/*").status, 404, "{bad}");
    }
}

#[test]
fn a_receipt_has_many_forms_and_each_verifies() {
    let house = House::furnished();
    let reference = house.executed();
    let view = house.as_(&house.tdc).contract(&reference.id).unwrap();
    let index = view.executed.unwrap().index;
    let bearer = token(&house, &house.tdc);
    let ask = |query: &str, accept: &str| {
        let url = format!("{}/v1/log/receipts/{index}{query}", house.url());
        hear(http().get(url).bearer_auth(&bearer).header("accept", accept))
    };
    let (trust, body) = (house.trust(), Body::ContractExecuted { contract: view.contract.clone() });
    let proof = ask("", "text/plain");
    assert!(proof.media.starts_with("text/plain"), "{}", proof.media);
    let proof = TlogProof::parse(std::str::from_utf8(&proof.body).unwrap()).unwrap();
    assert_eq!(proof.extra.as_deref(), Some(record(&house, index).as_slice()));
    proof.verify(leaf_hash(&record(&house, index)), &trust.origin, &trust.registry_jwk).unwrap();
    assert!(proof.verify(leaf_hash(b"other"), &trust.origin, &trust.registry_jwk).is_err());
    assert_eq!(ask("?form=tlog-proof", "*/*").status, 200);

    let one = ask("", "application/scitt-receipt+cose");
    scitt::receipt::verify(&one.body, &record(&house, index), &trust.registry_jwk).unwrap();
    let two = ask("?form=cose&vds=2", "*/*");
    let claims = canonical::parse_canonical::<Record>(&record(&house, index)).unwrap().body_sha256;
    scitt::ccf::verify(&two.body, &claims, &es256(&house)).unwrap();
    assert!(scitt::ccf::verify(&two.body, &Digest([0; 32]), &es256(&house)).is_err());

    let bundle = ask("?form=bundle", "*/*");
    assert_eq!(bundle.media, "application/depa-receipt+json");
    let bundle: ContractReceipt = serde_json::from_slice(&bundle.body).unwrap();
    verify_receipt(&bundle.contract.receipt, &body, &trust.origin, &trust.registry_jwk).unwrap();
    assert_eq!((bundle.participants.len(), bundle.applications.len()), (4, 4));
    for applied in bundle.applications {
        let (application, resolution) = (applied.application, applied.resolution);
        let body = Body::ParticipantApplied { application, resolution };
        verify_receipt(&applied.receipt, &body, &trust.origin, &trust.registry_jwk).unwrap();
    }
    assert_eq!(bundle.cosigned, None, "no witness is configured");
    let other = hear(http().get(format!("{}/v1/log/receipts/0?form=bundle", house.url())).bearer_auth(&bearer));
    assert_eq!((other.status, other.json()["code"].as_str()), (406, Some(Code::NotAcceptable.as_str())));
    assert_eq!(ask("?form=pdf", "*/*").status, 406);
}

/// What the service answers to somebody under this path.
fn asked(house: &House, path: &str, who: &Arc<FileKey>) -> Heard {
    hear(http().get(format!("{}{path}", house.url())).bearer_auth(token(house, who)))
}

#[test]
fn an_entry_says_why_to_those_whom_it_concerns_alone() {
    let house = House::furnished();
    let stranger = Arc::new(FileKey::generate().unwrap());
    house.admit(&stranger, Kind::Tdp);
    let run = house.running();
    let (run_id, reason) = (run.run_id.clone(), "Consent was withdrawn".to_owned());
    let abort = Abort { schema: "abort.v1".into(), registry: house.registry(), run_id, reason, at: house.now() };
    let abort = house.sign(&abort, &house.tdps[1]);
    house.client.abort_run(&run.run_id, &abort).unwrap();
    let index =
        asked(&house, &format!("/v1/runs/{}/record", run.run_id), &house.tdc).json()["aborted"].as_u64().unwrap();
    let path = format!("/v1/log/entries/{index}");
    let told: ContractEvent = serde_json::from_slice(&asked(&house, &path, &house.tdc).body).unwrap();
    assert_eq!((told.index, &told.body), (index, &Body::RunAborted { abort }));
    let trust = house.trust();
    verify_receipt(&told.receipt, &told.body, &trust.origin, &trust.registry_jwk).unwrap();
    // Foreign entries and those that are not there look alike.
    for (who, path) in
        [(&stranger, path.as_str()), (&house.tdc, "/v1/log/entries/1000000"), (&house.tdc, "/v1/log/entries/x")]
    {
        let refused = asked(&house, path, who);
        assert_eq!((refused.status, refused.json()["code"].as_str()), (404, Some(Code::NotFound.as_str())), "{path}");
    }
    assert_eq!(get(&house, &path, "*/*").status, 401);
    // An offer says where its key lies: its receipt is everybody's, its words are read where they are told apart.
    let offer = papers::offer(&house, 0);
    let offered = get(&house, &format!("/v1/datasets/{}", offer.dataset_id), "*/*").json()["receipt"]["index"].clone();
    for who in [&stranger, &house.tdc, &house.tdps[0], &house.sro[0]] {
        assert_eq!(asked(&house, &format!("/v1/log/receipts/{offered}"), who).status, 200);
        let refused = asked(&house, &format!("/v1/log/entries/{offered}"), who);
        assert_eq!((refused.status, refused.json()["code"].as_str()), (404, Some(Code::NotFound.as_str())));
        assert!(!String::from_utf8_lossy(&refused.body).contains(&offer.key.kms));
    }
    // That an overseer reads it stands in the log; of what is everybody's nothing does.
    let act = papers::dataset_act(&house, DatasetActKind::Suspend);
    let act = house.sign(&act, &house.tdps[0]);
    house.client.change_dataset(&act).unwrap();
    let dataset = get(&house, &format!("/v1/datasets/{}", offer.dataset_id), "*/*").json();
    let paused = format!("/v1/log/entries/{}", dataset["changed_by"].as_u64().unwrap());
    let told: ContractEvent = serde_json::from_slice(&asked(&house, &paused, &stranger).body).unwrap();
    assert_eq!(told.body, Body::DatasetChanged { act });
    for path in [&path, &paused] {
        assert_eq!(asked(&house, path, &house.sro[0]).status, 200);
    }
    let (reader, log) = (house.sro[0].did().unwrap(), house.as_(&house.sro[1]).export(0, 500).unwrap().entries);
    let readings = log.iter().filter_map(|entry| match &entry.body {
        Body::BodiesRead { by, from, count } if *by == reader => Some((*from, *count)),
        _ => None,
    });
    assert_eq!(readings.collect::<Vec<_>>(), [(index, 1)]);
}

#[test]
fn digests_are_anchored_in_the_holders_name() {
    let house = House::empty();
    house.admit(&house.tdps[0], Kind::Tdp);
    let bearer = token(&house, &house.tdps[0]);
    let sha256 = Digest([7; 32]);
    let post = |bearer: Option<&str>, key: &str| {
        let post = http().post(format!("{}/v1/log/anchors", house.url())).header("idempotency-key", key);
        let post = post.json(&serde_json::json!({"sha256": sha256}));
        hear(match bearer {
            Some(bearer) => post.bearer_auth(bearer),
            None => post,
        })
    };
    assert_eq!(post(None, "k0").status, 401);
    let heard = post(Some(&bearer), "k1");
    assert_eq!(heard.status, 201, "{}", heard.json());
    let receipt: schemas::desk::Receipted = serde_json::from_slice(&heard.body).unwrap();
    let body = Body::DigestAnchored { by: house.tdps[0].did().unwrap(), sha256 };
    let trust = house.trust();
    verify_receipt(&receipt.receipt, &body, &trust.origin, &trust.registry_jwk).unwrap();
    assert_eq!(trust.registry_jwk, *signing::FileKey::load(&house.config.key_file).unwrap().jwk());
}
