//! The whole key service on the transit engine of the fake vault.

use kms_adapter::Config;
use kms_adapter::backend::Kind;
use kms_adapter::backend::transit::Settings;
use openssl::base64::encode_block;
use schemas::Code;
use serde_json::{Value, json};

use crate::server::{Reply, Server};
use crate::service::{ATTEMPTS, Bare, TIMEOUT_MS, each_fault, faults, goes_on, opens, world};
use crate::support::{Room, World};
use crate::transit;
use crate::vault::Vault;

fn vault() -> (Server, impl Fn(&mut Config) + 'static) {
    let mut vault = Vault::default();
    let server = Server::start(move |request| vault.answer(request));
    let settings = Settings { timeout_ms: TIMEOUT_MS, attempts: ATTEMPTS as u32, ..transit::settings(&server) };
    let config = move |config: &mut Config| {
        config.backend = Kind::Transit;
        config.transit = Some(settings.clone());
    };
    (server, config)
}

/// Changes good answers to a path.
fn twist(server: &Server, part: &'static str, change: impl Fn(&mut Value) + Send + 'static) {
    server.lie(move |request, reply| match reply {
        Reply::Json(200, mut body) if request.path.contains(part) => {
            change(&mut body);
            Reply::Json(200, body)
        }
        reply => reply,
    });
}

fn started() -> (Server, World) {
    let (server, config) = vault();
    let world = world(config);
    (server, world)
}

#[test]
fn a_key_goes_in_and_out_once_the_room_was_judged() {
    let (server, world) = started();
    let paths: Vec<String> = server.taken().into_iter().map(|r| r.path).collect();
    assert!(paths.iter().any(|path| path.contains("/encrypt/")), "{paths:?}");
    let room = Room::new(&world);
    let reserved = room.reserve().unwrap();
    assert!(server.taken().is_empty(), "nothing is unwrapped to reserve");
    opens(&world, &room, &reserved);
    let asked = server.taken();
    assert!(asked.len() == 1 && asked[0].path.contains("/decrypt/"), "{asked:?}");
    goes_on(&world, &room);
}

#[test]
fn a_vault_that_fails_or_lies_gives_no_key_and_costs_nothing() {
    let (server, world) = started();
    let room = Room::new(&world);
    let reserved = room.reserve().unwrap();
    each_fault(&world, &server, ATTEMPTS, || room.release(&reserved));
    twist(&server, "/decrypt/", |body| body["data"]["plaintext"] = json!(encode_block(&[7; 68])));
    world.refuses(Code::KeyRowTampered, || room.release(&reserved));
    twist(&server, "/decrypt/", |body| body["data"]["plaintext"] = Value::Null);
    world.refuses(Code::PeerFault, || room.release(&reserved));
    server.honest();
    assert_eq!(world.charges(), ["reserved"]);
    opens(&world, &room, &reserved);
    assert_eq!(world.charges(), ["charged"]);
    let next = Room::new(&world);
    let reserved = next.reserve().unwrap();
    drop(server);
    world.refuses(Code::PeerUnreachable, || next.release(&reserved));
    assert_eq!(world.charges(), ["charged", "reserved"]);
}

#[test]
fn a_key_that_may_leave_the_vault_keeps_nothing() {
    let (server, config) = vault();
    let bare = Bare::new(config);
    for (what, member, value) in [
        ("exportable", "exportable", json!(true)),
        ("may be backed up in clear", "allow_plaintext_backup", json!(true)),
        ("not derived", "derived", json!(false)),
        ("another type", "type", json!("rsa-2048")),
    ] {
        twist(&server, "/keys/", move |body| body["data"][member] = value.clone());
        bare.refuses(Code::PeerFault, what);
    }
    server.honest();
    for (what, reply, code, _) in faults().into_iter().filter(|fault| fault.2 != Code::Timeout) {
        server.always(Some(reply));
        bare.refuses(code, what);
    }
    server.always(Some(Reply::Json(500, json!({}))));
    assert!(bare.ready().is_err(), "not ready while the vault is not");
    server.honest();
    bare.import().unwrap();
}
