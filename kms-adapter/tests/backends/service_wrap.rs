//! The whole key service on `azure-wrap`, against the fake of Key Vault and the metadata service over TLS.

use kms_adapter::Config;
use kms_adapter::backend::Kind;
use kms_adapter::backend::azure::Settings;
use schemas::Code;
use serde_json::{Value, json};

use crate::azure_cloud::{Cloud, b64};
use crate::server::Reply;
use crate::service::{ATTEMPTS, Bare, TIMEOUT_MS, each_fault, faults, goes_on, opens, world};
use crate::support::{Room, World};

fn azure() -> (Cloud, impl Fn(&mut Config) + 'static) {
    let cloud = Cloud::new();
    let settings = Settings { timeout_ms: TIMEOUT_MS, attempts: ATTEMPTS as u32, ..cloud.settings() };
    let config = move |config: &mut Config| {
        config.backend = Kind::AzureWrap;
        config.azure = Some(settings.clone());
    };
    (cloud, config)
}

fn started() -> (Cloud, World) {
    let (cloud, config) = azure();
    let world = world(config);
    (cloud, world)
}

/// Changes good answers to paths with this end.
pub fn twist(cloud: &Cloud, end: &'static str, change: impl Fn(&mut Value) + Send + 'static) {
    cloud.server.lie(move |request, reply| match reply {
        Reply::Json(200, mut body) if request.path.split('?').next().unwrap().ends_with(end) => {
            change(&mut body);
            Reply::Json(200, body)
        }
        reply => reply,
    });
}

#[test]
fn a_key_goes_in_and_out_once_the_room_was_judged() {
    let (cloud, world) = started();
    let room = Room::new(&world);
    cloud.server.taken();
    let reserved = room.reserve().unwrap();
    assert!(cloud.server.taken().is_empty(), "nothing is unwrapped to reserve");
    opens(&world, &room, &reserved);
    let asked = cloud.server.taken();
    assert!(asked.iter().any(|r| r.path.contains("/unwrapkey")), "{asked:?}");
    goes_on(&world, &room);
}

#[test]
fn a_vault_that_fails_or_lies_gives_no_key_and_costs_nothing() {
    let (cloud, world) = started();
    let room = Room::new(&world);
    let reserved = room.reserve().unwrap();
    each_fault(&world, &cloud.server, ATTEMPTS, || room.release(&reserved));
    type Change = fn(&mut Value);
    let lies: [(Change, Code); 4] = [
        (|b| b["value"] = json!(b64(&[7; 68])), Code::KeyRowTampered),
        (|b| b["value"] = Value::Null, Code::PeerFault),
        (|b| b["kid"] = json!("https://tdp.vault.test/keys/other/0123"), Code::PeerFault),
        (|b| b["kid"] = Value::Null, Code::PeerFault),
    ];
    for (lie, code) in lies {
        twist(&cloud, "/unwrapkey", lie);
        world.refuses(code, || room.release(&reserved));
        cloud.server.honest();
    }
    assert_eq!(world.charges(), ["reserved"]);
    opens(&world, &room, &reserved);
    assert_eq!(world.charges(), ["charged"]);
    let next = Room::new(&world);
    let reserved = next.reserve().unwrap();
    drop(cloud);
    world.refuses(Code::PeerUnreachable, || next.release(&reserved));
    assert_eq!(world.charges(), ["charged", "reserved"]);
}

#[test]
fn a_key_that_may_leave_the_vault_keeps_nothing() {
    let (cloud, config) = azure();
    let bare = Bare::new(config);
    cloud.server.lie(|request, reply| match request.path.starts_with("/metadata") {
        true => Reply::Json(404, json!({"error": "identity_not_found"})),
        false => reply,
    });
    bare.refuses(Code::PeerFault, "no identity");
    twist(&cloud, "/create", |b| b["attributes"]["exportable"] = json!(true));
    bare.refuses(Code::PeerFault, "exportable");
    twist(&cloud, "/create", |b| b["key"]["kty"] = json!("RSA"));
    bare.refuses(Code::PeerFault, "another type");
    cloud.server.honest();
    for (what, reply, code, _) in faults().into_iter().filter(|fault| fault.2 != Code::Timeout) {
        cloud.server.always(Some(reply));
        bare.refuses(code, what);
    }
    cloud.server.honest();
    bare.import().unwrap();
    bare.ready().unwrap();
}
