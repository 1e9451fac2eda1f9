//! The log's next key, end to end: made, put in use by two people, used for everything from that entry on.

use schemas::desk::TwoPeople;
use schemas::log::Checkpoint;
use schemas::party::Kind;
use schemas::rules::LogKey;
use schemas::{Code, Envelope, R, Signer as _};
use signing::{FileKey, note, scitt};

use crate::house::House;
use crate::papers;
use crate::wire::{get, hear, http, record, register, statement, token};

const OVERLAP: i64 = 3_600;

/// Makes the next key beside the key file, as the command does.
fn next(house: &House) -> FileKey {
    let key = FileKey::generate_for(&house.registry()).unwrap();
    key.save(&house.config.key_file.with_extension("next.key")).unwrap();
    key
}

fn rotation(house: &House, next: &FileKey) -> LogKey {
    LogKey {
        schema: "log-key.v1".into(),
        registry: house.registry(),
        replaces: house.trust().registry_jwk.thumbprint(),
        jwk: next.jwk().clone(),
        overlap_until: house.now().plus_seconds(OVERLAP),
        at: house.now(),
    }
}

fn signed_by(house: &House, key: &schemas::jwk::Jwk) -> bool {
    let text = house.client.checkpoint().unwrap();
    note::verify_checkpoint(&text, &house.trust().origin, key).is_ok()
}

fn apply(house: &House) -> R<schemas::log::Receipt> {
    let who = FileKey::generate().unwrap();
    house.client.apply(&house.sign(&papers::participant(house, &who, Kind::Tdp), &who))
}

fn by(house: &House, who: usize, rotation: &LogKey) -> Envelope<LogKey> {
    house.sign(rotation, &house.sro[who])
}

#[test]
fn two_people_put_the_next_key_in_use_and_everything_is_signed_by_it() {
    let mut house = House::furnished();
    let old = house.trust().registry_jwk.clone();
    let pinned = contract_service::trust(&house.config).unwrap();
    assert_eq!(pinned.registry_jwk, old);
    let contract = house.executed();
    let before_change = house.bundle(&contract);
    assert!(before_change.log_keys.is_none() && house.client.log_keys().unwrap().is_plain());
    let stranger = FileKey::generate_for(&house.registry()).unwrap();
    let unknown = house.client.rotate_log_key(&by(&house, 0, &rotation(&house, &stranger))).unwrap_err();
    assert_eq!(unknown.code, Code::KeyUnknown, "a key that the service does not hold");
    let bearer = token(&house, &house.tdps[0]);
    let message = statement(&house.tdps[0], "models/before", b"{}");
    let before = register(&house, &message, "application/scitt-receipt+cose");
    assert_eq!(before.status, 201);
    let at: u64 = before.headers["location"].to_str().unwrap().rsplit_once("1.").unwrap().1.parse().unwrap();

    let key = next(&house);
    let rotation = rotation(&house, &key);
    let party = house.client.rotate_log_key(&house.sign(&rotation, &house.tdc)).unwrap_err();
    assert_eq!(party.code, Code::Forbidden);
    let first: TwoPeople = house.client.rotate_log_key(&by(&house, 0, &rotation)).unwrap();
    assert_eq!((first.signatures, first.receipt.is_none()), (1, true));
    assert!(signed_by(&house, &old) && !signed_by(&house, key.jwk()), "one person changes nothing");
    let second: TwoPeople = house.client.rotate_log_key(&by(&house, 1, &rotation)).unwrap();
    let receipt = second.receipt.unwrap();
    let note = Checkpoint::parse(&receipt.checkpoint).unwrap().text();
    for key in [&old, key.jwk()] {
        note::verify_checkpoint(&note, &house.trust().origin, key).unwrap();
    }

    // Who pins the old key verifies receipts during the overlap; documents are the new key's at once.
    let receipt = apply(&house).unwrap();
    note::verify_checkpoint(&receipt.checkpoint, &house.trust().origin, &old).unwrap();
    let list = house.client.status_list().unwrap();
    assert_eq!(list.signatures[0].kid.thumbprint, key.jwk().thumbprint());
    let trust: signing::Trust = serde_json::from_slice(&get(&house, "/v1/trust", "*/*").body).unwrap();
    assert_eq!(trust.registry_jwk, *key.jwk());
    let read = |bearer: &str| hear(http().get(format!("{}/v1/contracts", house.url())).bearer_auth(bearer)).status;
    assert_eq!((read(&bearer), read(&token(&house, &house.tdps[0]))), (200, 200), "tokens of both keys count");
    let keys = get(&house, "/.well-known/scitt-keys", "*/*").cbor();
    assert_eq!(keys.as_array().unwrap().len(), 3, "both keys of the log, and that of the second tree");
    let message = statement(&house.tdps[0], "models/after", b"{}");
    let after = register(&house, &message, "application/scitt-receipt+cose");
    let now: u64 = after.headers["location"].to_str().unwrap().rsplit_once("1.").unwrap().1.parse().unwrap();
    scitt::receipt::verify(&before.body, &record(&house, at), &old).unwrap();
    scitt::receipt::verify(&after.body, &record(&house, now), key.jwk()).unwrap();
    assert!(scitt::receipt::verify(&after.body, &record(&house, now), &old).is_err());

    house.skip(OVERLAP);
    apply(&house).unwrap();
    assert!(signed_by(&house, key.jwk()) && !signed_by(&house, &old), "the overlap is over");
    // Who pins the old key goes on by the lineage, which the service shows and puts into what it hands out.
    let lineage = house.client.log_keys().unwrap();
    let followed = pinned.following(&lineage).unwrap();
    assert_eq!(followed.key_in_use(), key.jwk());
    note::verify_checkpoint(&house.client.checkpoint().unwrap(), &pinned.origin, &followed).unwrap();
    assert_eq!(contract_service::trust(&house.config).unwrap().registry_jwk, *key.jwk(), "of the key in use");
    let bundle = house.bundle(&contract);
    assert_eq!(bundle.log_keys.as_ref(), Some(&lineage));
    signing::open_bundle(bundle.clone(), &pinned).unwrap();
    let without = schemas::bundle::JobBundle { log_keys: None, ..bundle.clone() };
    assert_eq!(signing::open_bundle(without, &pinned).unwrap_err().code, Code::CheckpointInvalid);
    signing::open_bundle(before_change.clone(), &followed).unwrap();
    for bundle in [&before_change, &bundle] {
        house.client.order_run(bundle).expect("the service takes receipts of both keys");
    }
    // The files stay as they are, or the new one takes the place of the old one.
    house.restart();
    assert_eq!(house.trust().registry_jwk, *key.jwk());
    apply(&house).unwrap();
    let (file, beside) = (house.config.key_file.clone(), house.config.key_file.with_extension("next.key"));
    let aside = file.with_extension("old");
    drop(house.running.take());
    std::fs::rename(&beside, &aside).unwrap();
    let refused = contract_service::Service::start(house.config.clone(), house.clock()).map(drop).unwrap_err();
    assert_eq!(refused.code, Code::ConfigInvalid);
    assert!(refused.sentence.contains(&key.jwk().thumbprint()), "{refused}");
    std::fs::rename(&file, &beside).unwrap();
    std::fs::rename(&aside, &file).unwrap();
    house.restart();
    assert_eq!(house.trust().registry_jwk, *key.jwk());
    apply(&house).unwrap();
    assert!(signed_by(&house, key.jwk()));
}
