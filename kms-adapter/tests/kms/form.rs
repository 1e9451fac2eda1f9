//! The HTTP face: paths, methods, media types, sizes and strict JSON.

use schemas::Code;
use schemas::text::Bytes;
use serde_json::{Value, json};

use crate::support::people::uuid;
use crate::support::{Changes, Room, World, http};

#[test]
fn bodies_are_read_strictly() {
    let world = World::new();
    let room = Room::new(&world);
    let good = serde_json::to_string(&room.reserve_request(|_| ())).unwrap();
    let paths = ["/v1/reservations", "/v1/challenges", "/v1/keys"];
    let send = |path: &str, body: &str| {
        http::post_bytes::<Value>(&world.at(path), body.as_bytes().to_vec(), "application/json")
    };
    for path in paths {
        for (body, code) in [
            ("", Code::MalformedJson),
            ("{", Code::MalformedJson),
            ("{} {}", Code::MalformedJson),
            ("\u{feff}{}", Code::MalformedJson),
            (r#"{"a":1,"a":1}"#, Code::DuplicateMember),
            (r#"{"a":1.5}"#, Code::MalformedNumber),
            (r#"{"a":9007199254740992}"#, Code::MalformedNumber),
            ("{}", Code::SchemaMismatch),
            ("[]", Code::SchemaMismatch),
        ] {
            world.refuses(code, || send(path, body));
        }
        let deep = format!("{}{}", "[".repeat(64), "]".repeat(64));
        world.refuses(Code::MalformedJson, || send(path, &deep));
    }
    world.refuses(Code::DuplicateMember, || send("/v1/reservations", &good.replacen("\"v\":1", "\"v\":1,\"v\":1", 1)));
    world.refuses(Code::SchemaMismatch, || send("/v1/reservations", &good.replacen("\"v\":1", "\"v\":1,\"w\":1", 1)));
    // None of these used the challenge up.
    assert!(send("/v1/reservations", &good).is_ok());
}

#[test]
fn bodies_have_limits() {
    let world = World::new();
    let large = |bytes: usize| format!("\"{}\"", "a".repeat(bytes)).into_bytes();
    let send = |path: &str, bytes| http::post_bytes::<Value>(&world.at(path), large(bytes), "application/json");
    world.refuses(Code::BodyTooLarge, || send("/v1/reservations", 2 * 1024 * 1024));
    world.refuses(Code::SchemaMismatch, || send("/v1/reservations", 1024 * 1024));
    world.refuses(Code::BodyTooLarge, || send("/v1/challenges", 512 * 1024));
    world.refuses(Code::BodyTooLarge, || send("/v1/keys", 512 * 1024));
    // Evidence has a limit of its own.
    let room = Room::new(&world);
    let mut request = room.reserve_request(|_| ());
    request.attested.evidence.certificates[0] = Bytes(vec![0; 70_000]);
    world.refuses(Code::EvidenceRefused, || room.send_reserve(&request));
}

#[test]
fn paths_methods_and_media_types() {
    let world = World::new();
    let post = |path: &str, media: &str| http::post_bytes::<Value>(&world.at(path), b"{}".to_vec(), media);
    world.refuses(Code::MediaType, || post("/v1/reservations", "text/plain"));
    world.refuses(Code::MethodNotAllowed, || http::get::<Value>(&world.at("/v1/reservations"), None));
    world.refuses(Code::MethodNotAllowed, || post("/v1/kms", "application/json"));
    let json = "application/json";
    for path in
        ["/", "/v1", "/v1/reservations/", "/v2/kms", "/v1/runs/x", "/%2e%2e/root.key", "/v1/kms/..%00", "/v1/%c0%af"]
    {
        world.refuses(Code::NotFound, || post(path, json));
    }
    let request = Room::new(&world).request(schemas::release::RunAct::Renew {});
    for id in ["x", "..", "%2e%2e%2froot.key", "run_", "rsv_01900000-0000-7000-8000-000000000001"] {
        let refused = http::post::<Value>(&world.at(&format!("/v1/runs/{id}/commit")), &request).unwrap_err();
        assert!(matches!(refused.code, Code::MalformedId | Code::NotFound), "{id}: {}", refused.code);
    }
}

#[test]
fn health_and_identity() {
    let world = World::new();
    for path in ["/livez", "/readyz"] {
        let _: Value = http::get(&world.at(path), None).unwrap();
    }
    assert_eq!(world.info.kms, world.url());
    // A did:key provider has no did:web document.
    world.refuses(Code::NotFound, || http::get::<Value>(&world.at("/.well-known/did.json"), None));
}

#[test]
fn the_did_web_document_names_the_providers_key() {
    use schemas::Signer;
    let key = signing::FileKey::generate().unwrap();
    let did = schemas::id::Did::parse("did:web:tdp.example").unwrap();
    let people = crate::support::People::new();
    let (dir, mut config) = crate::support::world::prepare(&people, kms_adapter::Profile::Demo);
    config.provider = did.clone();
    config.provider_jwk = Some(key.jwk().clone());
    kms_adapter::init(&config).unwrap();
    let running = kms_adapter::Service::start(config, kms_adapter::system_clock()).unwrap();
    let document: Value = http::get(&format!("{}/.well-known/did.json", running.url()), None).unwrap();
    signing::did::document_names_key(document.to_string().as_bytes(), &did, key.jwk()).unwrap();
    running.stop();
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn the_ledger_is_for_its_owner() {
    let world = World::new();
    Room::new(&world).reserve().unwrap();
    let ask = |token: &str| http::get::<Value>(&world.at("/v1/budget"), Some(token));
    let assertion = |key: &signing::FileKey, aud: &str| {
        signing::token::assertion(key, aud, uuid().simple().to_string(), world.now()).unwrap()
    };
    assert_eq!(http::get::<Value>(&world.at("/v1/budget"), None).unwrap_err().code, Code::Unauthenticated);
    assert_eq!(ask("x").unwrap_err().code, Code::Unauthenticated);
    assert_eq!(ask(&assertion(&world.people.tdc, world.url())).unwrap_err().code, Code::Unauthenticated);
    assert_eq!(
        ask(&assertion(&world.people.tdp, "https://elsewhere.example")).unwrap_err().code,
        Code::Unauthenticated
    );
    let token = assertion(&world.people.tdp, world.url());
    ask(&token).unwrap();
    assert_eq!(ask(&token).unwrap_err().code, Code::TokenReplayed);
    let old = assertion(&world.people.tdp, world.url());
    world.pass(121);
    assert_eq!(ask(&old).unwrap_err().code, Code::Unauthenticated);
}

#[test]
fn challenge_requests_have_a_form() {
    let world = World::with(Changes::default());
    let contract = json!({"id": world.contract.id, "sha256": world.contract.sha256});
    let run = schemas::id::RunId::new(uuid());
    let job = world.bundle.job.digest();
    let send = |body: Value| http::post::<Value>(&world.at("/v1/challenges"), &body);
    let refuses = |code, body: Value| world.refuses(code, || send(body));
    refuses(Code::SchemaMismatch, json!({"run_id": null, "job_sha256": job, "contracts": [contract]}));
    refuses(Code::LimitExceeded, json!({"run_id": run, "job_sha256": job, "contracts": []}));
    refuses(Code::LimitExceeded, json!({"run_id": run, "job_sha256": job, "contracts": [contract, contract]}));
    refuses(Code::SchemaMismatch, json!({"run_id": "run_x", "job_sha256": job, "contracts": [contract]}));
    send(json!({"run_id": run, "job_sha256": job, "contracts": [contract]})).unwrap();
}
