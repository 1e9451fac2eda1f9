//! Deliveries of the contract service and calls of payment systems: one thing is spoilt at a time.

use payment_adapter::Engine;
use payment_adapter::config::Config;
use payment_adapter::provider::Posted;
use schemas::{Code, Signer as _};
use serde_json::json;
use signing::FileKey;
use signing::webhook::{secret_text, sign};

use crate::scene::{Scene, data, posted, private};
use crate::systems::{Cards, Ending, Hooks, Simulated, System, UpiServer, hmac};

fn engine(scene: &Scene) -> Engine {
    Engine::open(&Simulated::new(Ending::Settle).config(scene), scene.clock()).unwrap()
}

/// The same call with a header or the body changed.
fn with(call: &Posted, name: &str, value: &str) -> Posted {
    let mut call = call.clone();
    match call.headers.iter_mut().find(|(n, _)| n == name) {
        Some((_, old)) => *old = value.to_owned(),
        None => call.body = value.as_bytes().to_vec(),
    }
    call
}

fn without(call: &Posted, name: &str) -> Posted {
    let mut call = call.clone();
    call.headers.retain(|(n, _)| n != name);
    call
}

#[test]
fn a_delivery_counts_by_its_signature_and_once() {
    let scene = Scene::new();
    let engine = engine(&scene);
    let good = scene.instructs(&data('A', 5));
    let signature = good.header("webhook-signature").unwrap().to_owned();
    let (v1, v1a) = signature.split_once(' ').unwrap();
    let stranger = FileKey::generate().unwrap();
    let at = scene.now().seconds();
    let other = |secret: [u8; 32], key: &FileKey| sign("msg_x", at, b"{}", &secret_text(&secret), key).unwrap();
    let body = String::from_utf8(good.body.clone()).unwrap();
    let spoilt = [
        with(&good, "webhook-id", "msg_other"),
        with(&good, "webhook-id", ""),
        with(&good, "webhook-timestamp", &(at + 1).to_string()),
        with(&good, "webhook-timestamp", "now"),
        with(&good, "webhook-signature", ""),
        with(&good, "webhook-signature", &other([8; 32], &stranger)),
        with(&good, "webhook-signature", &v1.replace("v1,", "v1a,")),
        with(&good, "body", &body.replace(":5,", ":6,")),
        with(&good, "body", &format!("{body} ")),
        without(&good, "webhook-signature"),
        without(&good, "webhook-id"),
        without(&good, "webhook-timestamp"),
    ];
    for (at, call) in spoilt.iter().enumerate() {
        assert_eq!(engine.take(call).unwrap_err().code, Code::SignatureInvalid, "spoilt {at}");
    }
    assert!(engine.status().unwrap().instructions.is_empty());
    // Either version of the signature is enough.
    assert!(engine.take(&with(&good, "webhook-signature", v1)).unwrap());
    assert!(!engine.take(&with(&good, "webhook-signature", v1a)).unwrap(), "the id counts once");
    assert!(!engine.take(&good).unwrap());
    assert_eq!(engine.status().unwrap().instructions.len(), 1);
    // Five minutes, either way.
    let late = scene.instructs(&data('B', 5));
    scene.advance(301);
    assert_eq!(engine.take(&late).unwrap_err().code, Code::SignatureInvalid);
    scene.advance(-602);
    assert_eq!(engine.take(&late).unwrap_err().code, Code::SignatureInvalid);
    scene.advance(301);
    assert!(engine.take(&late).unwrap());
}

#[test]
fn an_id_that_comes_with_other_bytes_or_an_instruction_with_another_payment_is_refused() {
    let scene = Scene::new();
    let engine = engine(&scene);
    assert!(engine.take(&scene.instructs(&data('A', 5))).unwrap());
    let replayed = scene.instructs(&data('A', 6));
    assert_eq!(engine.take(&replayed).unwrap_err().code, Code::RequestReplayed);
    let told = |data: &serde_json::Value| json!({"type": "payment.instructed", "data": data});
    let changed = scene.message("msg_2", &told(&data('A', 6)));
    assert_eq!(engine.take(&changed).unwrap_err().code, Code::PaymentState);
    let mut elsewhere = data('A', 5);
    elsewhere["payee"] = json!("did:web:thief.example");
    assert_eq!(engine.take(&scene.message("msg_3", &told(&elsewhere))).unwrap_err().code, Code::PaymentState);
    // The same instruction under another message is the same one.
    assert!(engine.take(&scene.message("msg_4", &told(&data('A', 5)))).unwrap());
    let status = engine.status().unwrap();
    assert_eq!((status.instructions.len(), status.instructions[0].amount_minor), (1, 5));
    // Other news of the contract service are acknowledged, and what is no instruction is not.
    assert!(engine.take(&scene.message("msg_5", &json!({"type": "run.completed", "data": {}}))).unwrap());
    let none = scene.message("msg_6", &json!({"type": "payment.instructed", "data": {"instruction_id": "x"}}));
    assert_eq!(engine.take(&none).unwrap_err().code, Code::SchemaMismatch);
    let empty = scene.message("msg_7", &json!({"type": "payment.instructed"}));
    assert_eq!(engine.take(&empty).unwrap_err().code, Code::SchemaMismatch);
}

#[test]
fn a_secret_is_changed_with_both_in_force() {
    let scene = Scene::new();
    let second = FileKey::generate().unwrap();
    let endpoint = json!({"endpoint_id": "whe_01900000-0000-7000-8000-000000000002", "secret": secret_text(&[5; 32]),
        "public_key": signing::webhook::public_text(second.jwk()).unwrap()});
    let path = scene.dir.join("second.json");
    private(&path, &endpoint.to_string());
    let mut config = Simulated::new(Ending::Settle).config(&scene);
    let now = scene.now().seconds();
    let body = serde_json::to_vec(&json!({"type": "payment.instructed", "data": data('B', 5)})).unwrap();
    let signature = sign("msg_b", now, &body, &secret_text(&[5; 32]), &second).unwrap();
    let time = now.to_string();
    let headers = [("webhook-id", "msg_b"), ("webhook-timestamp", &*time), ("webhook-signature", &*signature)];
    let new = posted(&headers, body);
    let before = Engine::open(&config, scene.clock()).unwrap();
    assert_eq!(before.take(&new).unwrap_err().code, Code::SignatureInvalid);
    config.endpoint_files.push(path.clone());
    let during = Engine::open(&config, scene.clock()).unwrap();
    assert!(during.take(&new).unwrap() && during.take(&scene.instructs(&data('A', 5))).unwrap());
    config.endpoint_files.remove(0);
    let after = Engine::open(&config, scene.clock()).unwrap();
    assert_eq!(after.take(&scene.instructs(&data('C', 5))).unwrap_err().code, Code::SignatureInvalid);
    // The file holds secrets.
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(Engine::open(&config, scene.clock()).err().unwrap().code, Code::ConfigInvalid);
}

#[test]
fn calls_of_a_payment_system_count_by_their_signature_and_their_time() {
    let scene = Scene::new();
    let secret = secret_text(&crate::scene::SHARED);
    let now = scene.now().seconds();
    let id = "A".repeat(32);
    let upi = |time: i64, status: &str, secret: &str| {
        let body = json!({"reference": id, "txn_id": "upi-1", "status": status, "amount": "0.05", "currency": "INR"});
        let (body, time) = (serde_json::to_vec(&body).unwrap(), time.to_string());
        let code = hmac(secret.as_bytes(), &[time.as_bytes(), b".", &body].concat());
        posted(&[("x-timestamp", &time), ("x-signature", &code)], body)
    };
    let cards = |time: i64, secret: &str| {
        let object = json!({"id": "pi_1", "status": "succeeded", "amount": 5, "currency": "inr",
            "metadata": {"instruction_id": id}});
        let body = json!({"id": "evt_1", "type": "payment_intent.succeeded", "data": {"object": object}});
        let body = serde_json::to_vec(&body).unwrap();
        let code = hmac(secret.as_bytes(), &[time.to_string().as_bytes(), b".", &body].concat());
        posted(&[("stripe-signature", &format!("t={time},v1={code}"))], body)
    };
    let hook = |time: i64, secret: &str| {
        let data = json!({"instruction_id": id, "amount_minor": 5, "currency": "INR"});
        let body = serde_json::to_vec(&json!({"type": "payment.settled", "data": data})).unwrap();
        let signature = sign("evt_1", time, &body, secret, &scene.key).unwrap();
        let time = time.to_string();
        posted(&[("webhook-id", "evt_1"), ("webhook-timestamp", &time), ("webhook-signature", &signature)], body)
    };
    let other = secret_text(&[1; 32]);
    type Made<'a> = Box<dyn Fn(i64, &str) -> Posted + 'a>;
    let systems: Vec<(Box<dyn System>, Made, &str)> = vec![
        (Box::new(UpiServer::start(Ending::Settle)), Box::new(|t, s| upi(t, "SUCCESS", s)), "x-signature"),
        (Box::new(Cards::start(Ending::Settle)), Box::new(cards), "stripe-signature"),
        (Box::new(Hooks::start(&scene, Ending::Settle)), Box::new(hook), "webhook-signature"),
    ];
    for (system, made, signature) in &systems {
        let mut config = system.config(&scene);
        config.data_dir = scene.dir.join(system.name());
        let engine = Engine::open(&config, scene.clock()).unwrap();
        engine.take(&scene.instructs(&data('A', 5))).unwrap();
        engine.pay().unwrap();
        let good = made(now, &secret);
        let refused = [
            made(now, &other),
            made(now - 301, &secret),
            made(now + 301, &secret),
            with(&good, "body", &String::from_utf8(good.body.clone()).unwrap().replace("AAAA", "BBBB")),
            with(&good, signature, "t=1,v1=00"),
            without(&good, signature),
        ];
        for (at, call) in refused.iter().enumerate() {
            assert_eq!(engine.hear(call).unwrap_err().code, Code::SignatureInvalid, "{} {at}", system.name());
        }
        assert_ne!(engine.status().unwrap().state_of(&id), Some("settled"), "{}", system.name());
        assert!(engine.hear(&good).unwrap(), "{}", system.name());
        assert_eq!(engine.status().unwrap().state_of(&id), Some("settled"), "{}", system.name());
        assert!(!engine.hear(&good).unwrap(), "{}: an event counts once", system.name());
    }
    // Who makes no calls is not heard, whatever it brings.
    let engine = engine(&scene);
    assert_eq!(engine.hear(&cards(now, &secret)).unwrap_err().code, Code::NotFound);
}

#[test]
fn other_amounts_strange_ids_and_words_out_of_order_pay_nothing_and_lose_no_money() {
    let scene = Scene::new();
    let cards = Cards::start(Ending::Settle);
    let engine = Engine::open(&cards.config(&scene), scene.clock()).unwrap();
    engine.take(&scene.instructs(&data('A', 5))).unwrap();
    let event = |event: &str, kind: &str, id: &str, status: &str, amount: i64, currency: &str| {
        let object = json!({"id": format!("pi_{event}"), "status": status, "amount": amount, "amount_refunded": amount,
            "currency": currency, "metadata": {"instruction_id": id}});
        crate::systems::event(event, kind, &object, scene.now().seconds())
    };
    let (a, stranger) = ("A".repeat(32), "Z".repeat(32));
    let succeeded = "payment_intent.succeeded";
    // Before it was handed over nothing can have been paid: the money is nobody's.
    assert!(engine.hear(&event("1", succeeded, &a, "succeeded", 5, "inr")).unwrap());
    engine.pay().unwrap();
    for (at, id, amount, currency) in [("2", &a, 6, "inr"), ("3", &a, 5, "usd"), ("4", &stranger, 5, "inr")] {
        assert!(engine.hear(&event(at, succeeded, id, "succeeded", amount, currency)).unwrap());
    }
    // Money back before any was paid.
    assert!(engine.hear(&event("5", "charge.refunded", &a, "succeeded", 5, "inr")).unwrap());
    // A failure of something that nobody knows, or of another amount, moves none.
    assert!(engine.hear(&event("6", "payment_intent.payment_failed", &stranger, "canceled", 5, "inr")).unwrap());
    assert!(engine.hear(&event("7", "payment_intent.payment_failed", &a, "canceled", 6, "inr")).unwrap());
    let status = engine.status().unwrap();
    assert_eq!(status.state_of(&a), Some("accepted"));
    let mut whys: Vec<(&str, &str)> = status.unmatched.iter().map(|u| (u.why.as_str(), u.direction.as_str())).collect();
    whys.sort_unstable();
    let expected =
        [("amount", "paid"), ("currency", "paid"), ("state", "paid"), ("state", "returned"), ("unknown", "paid")];
    assert_eq!(whys, expected);
    // The same event id with other words is refused.
    let replayed = engine.hear(&event("7", succeeded, &a, "succeeded", 5, "inr")).unwrap_err();
    assert_eq!(replayed.code, Code::RequestReplayed);
    // Settled in the end, then told so under another reference: paid twice.
    assert!(engine.hear(&event("8", succeeded, &a, "succeeded", 5, "inr")).unwrap());
    assert!(engine.hear(&event("9", succeeded, &a, "succeeded", 5, "inr")).unwrap());
    let status = engine.status().unwrap();
    assert_eq!(status.state_of(&a), Some("settled"));
    assert_eq!(status.unmatched.iter().filter(|u| u.why == "twice").count(), 1);
    // The contract service is told of each, once, and of the settlement.
    engine.answer().unwrap();
    engine.answer().unwrap();
    assert_eq!(scene.desk.unmatched().len(), 6);
    assert_eq!(scene.desk.callbacks().len(), 1);
}

#[test]
fn an_answer_that_the_log_contradicts_is_put_aside_for_people_and_others_are_repeated() {
    let scene = Scene::new();
    let system = Simulated::new(Ending::Settle);
    let engine = Engine::open(&system.config(&scene), scene.clock()).unwrap();
    engine.take(&scene.instructs(&data('A', 5))).unwrap();
    engine.pay().unwrap();
    engine.look().unwrap();
    scene.desk.troubles(3, 0);
    for expected in [1, 2, 3] {
        engine.answer().unwrap();
        assert_eq!(scene.desk.calls(), expected);
        assert_eq!(engine.status().unwrap().answers_open, 1);
        scene.advance(2);
    }
    engine.answer().unwrap();
    assert_eq!(engine.status().unwrap().answers_open, 0);
    engine.take(&scene.instructs(&data('B', 5))).unwrap();
    engine.pay().unwrap();
    engine.look().unwrap();
    scene.desk.refuses(Code::PaymentState, "result");
    engine.answer().unwrap();
    let status = engine.status().unwrap();
    assert_eq!((status.answers_open, status.answers_refused), (0, 1));
    assert_eq!(status.answers.len(), 1);
    let shown = &status.answers[0];
    assert_eq!((shown.code.as_deref(), shown.refused), (Some("PAYMENT_STATE"), true));
    assert_eq!(shown.subject, format!("{}:settled", "B".repeat(32)));
    let calls = scene.desk.calls();
    scene.advance(100_000);
    assert_eq!((engine.answer().unwrap(), scene.desk.calls()), (0, calls), "it is not sent again");
}

#[test]
fn a_refusal_that_may_end_is_shown_and_the_answer_sent_again_until_it_is_taken() {
    for (code, field) in [
        (Code::Forbidden, "signer"),
        (Code::Unavailable, ""),
        (Code::SchemaMismatch, "at"),
        (Code::KeyNotActive, ""),
        (Code::SignerUnknown, ""),
    ] {
        let scene = Scene::new();
        let system = Simulated::new(Ending::Settle);
        let engine = Engine::open(&system.config(&scene), scene.clock()).unwrap();
        engine.take(&scene.instructs(&data('A', 5))).unwrap();
        engine.pay().unwrap();
        engine.look().unwrap();
        scene.desk.refuses(code, field);
        engine.answer().unwrap();
        let status = engine.status().unwrap();
        assert_eq!((status.answers_open, status.answers_refused), (1, 0), "{code}");
        assert_eq!(status.answers[0].code.as_deref(), Some(code.as_str()));
        scene.desk.relents();
        scene.advance(3);
        engine.answer().unwrap();
        assert_eq!(engine.status().unwrap().answers, [], "{code}");
        assert_eq!(scene.desk.callbacks().len(), 1, "{code}");
    }
}

#[test]
fn an_answer_whose_key_is_refused_is_signed_anew_with_the_key_of_now() {
    let scene = Scene::new();
    let config = Simulated::new(Ending::Settle).config(&scene);
    // The provider's key was changed at the registry before the answer was taken.
    let old = FileKey::from_seed(scene.key.kid().holder.as_str(), &[3; 32]);
    let file = scene.dir.join("old.key");
    old.save(&file).unwrap();
    let before = Engine::open(&Config { key_file: file, ..config.clone() }, scene.clock()).unwrap();
    before.take(&scene.instructs(&data('A', 5))).unwrap();
    before.pay().unwrap();
    before.look().unwrap();
    scene.desk.refuses(Code::KeyNotActive, "");
    before.answer().unwrap();
    assert_eq!(before.status().unwrap().answers_open, 1);
    drop(before);
    scene.desk.relents();
    scene.advance(3);
    let after = Engine::open(&config, scene.clock()).unwrap();
    after.answer().unwrap();
    assert_eq!(scene.desk.callbacks().len(), 1, "the desk checks the signature with the new key");
}

#[test]
fn a_folder_of_another_provider_or_registry_and_a_strange_database_are_refused() {
    let scene = Scene::new();
    let config = Simulated::new(Ending::Settle).config(&scene);
    drop(Engine::open(&config, scene.clock()).unwrap());
    let file = scene.dir.join("other.key");
    FileKey::generate().unwrap().save(&file).unwrap();
    let refused = |config: &Config| Engine::open(config, scene.clock()).err().expect("it opened").code;
    assert_eq!(refused(&Config { key_file: file, ..config.clone() }), Code::ConfigInvalid);
    let text = std::fs::read_to_string(&config.trust).unwrap().replace("did:web:sro.example", "did:web:other.example");
    let trust = scene.dir.join("other-trust.json");
    std::fs::write(&trust, text).unwrap();
    assert_eq!(refused(&Config { trust, ..config.clone() }), Code::ConfigInvalid);
    drop(Engine::open(&config, scene.clock()).unwrap());
    // Somebody else's tables, one that a later build made, and no database at all.
    let database = config.data_dir.join("payments.sqlite");
    let change = |sql: &str| {
        use diesel::Connection as _;
        use diesel::connection::SimpleConnection as _;
        let mut db = diesel::sqlite::SqliteConnection::establish(&database.to_string_lossy()).unwrap();
        db.batch_execute(sql).unwrap();
    };
    // The later one comes while this one runs: nothing is taken, and it is not ready.
    let engine = Engine::open(&config, scene.clock()).unwrap();
    change("INSERT INTO __diesel_schema_migrations (version) VALUES ('9999')");
    assert_eq!(engine.take(&scene.instructs(&data('A', 5))).unwrap_err().code, Code::Unavailable);
    assert_eq!(engine.ready().unwrap_err().code, Code::Unavailable);
    assert!(engine.pay().is_err() && engine.status().is_err());
    drop(engine);
    assert_eq!(refused(&config), Code::ConfigInvalid);
    change("DELETE FROM __diesel_schema_migrations WHERE version = '9999'");
    assert!(Engine::open(&config, scene.clock()).unwrap().status().unwrap().instructions.is_empty());
    // Of before the head of the file said whose it is.
    change("PRAGMA application_id = 0");
    drop(Engine::open(&config, scene.clock()).unwrap());
    change("PRAGMA application_id = 7");
    assert_eq!(refused(&config), Code::ConfigInvalid);
    for suffix in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(config.data_dir.join(format!("payments.sqlite{suffix}")));
    }
    change("CREATE TABLE instructions (id TEXT)");
    assert_eq!(refused(&config), Code::ConfigInvalid);
    std::fs::write(&database, "no database, but more than a hundred bytes of something else entirely. ".repeat(9))
        .unwrap();
    assert_eq!(refused(&config), Code::ConfigInvalid);
}
