//! The whole key service on `azure-skr`: the room brings its own MAA token, the vault wraps the key-encryption key to the
//! room, and the data key opens with both halves, in the room alone.

use kms_adapter::backend::Kind;
use kms_adapter::backend::azure::Settings;
use kms_adapter::{Config, Kms};
use openssl::pkey::{PKey, Private};
use schemas::event::RunEventKind;
use schemas::evidence::Evidence;
use schemas::release::{KmsReceipt, Release, ReleaseRequest};
use schemas::{Code, Envelope};
use sealing::DatasetKey;
use sealing::gate::Gated;
use serde_json::{Value, json};

use crate::azure_cloud::{COMPLIANT, Cloud, b64, rsa};
use crate::server::folder;
use crate::service::{ATTEMPTS, TIMEOUT_MS, goes_on, world};
use crate::support::http::Answer;
use crate::support::world::clock_of;
use crate::support::{Room, World};

fn azure() -> (Cloud, impl Fn(&mut Config) + 'static) {
    let cloud = Cloud::new();
    let settings = Settings {
        timeout_ms: TIMEOUT_MS,
        attempts: ATTEMPTS as u32,
        policy_file: Some(cloud.policy_file()),
        maa: Some(cloud.url()),
        maa_keys_file: Some(cloud.keys_file()),
        ..cloud.settings()
    };
    let config = move |config: &mut Config| {
        config.backend = Kind::AzureSkr;
        config.azure = Some(settings.clone());
    };
    (cloud, config)
}

struct House {
    cloud: Cloud,
    world: World,
    transport: PKey<Private>,
}

/// The runtime data in the HCL blob of this evidence.
fn runtime(evidence: &Evidence) -> Value {
    let length = u32::from_le_bytes(evidence.report.0[1232..1236].try_into().unwrap()) as usize;
    serde_json::from_slice(&evidence.report.0[1236..1236 + length]).unwrap()
}

impl House {
    fn new() -> House {
        let (cloud, config) = azure();
        let world = world(config);
        House { cloud, world, transport: rsa() }
    }

    /// What MAA is asked for a room with this evidence.
    fn asked(&self, evidence: &Evidence) -> Value {
        let now = self.world.now().seconds();
        json!({"status": COMPLIANT, "nbf": now - 60, "exp": now + 28_800, "runtime": runtime(evidence)})
    }

    fn request(&self, room: &Room, reserved: &Envelope<KmsReceipt>) -> ReleaseRequest {
        let mut request = room.release_request(reserved);
        let asked = self.asked(&request.attested.evidence);
        request.maa_token = Some(self.cloud.token_of(&self.transport, &asked));
        request
    }

    fn release(&self, room: &Room, reserved: &Envelope<KmsReceipt>) -> Answer<Envelope<Release>> {
        room.send_release(reserved, &self.request(room, reserved))
    }

    /// The data key as the room opens it.
    fn open(
        &self,
        room: &Room,
        request: &ReleaseRequest,
        release: &Envelope<Release>,
        transport: &PKey<Private>,
    ) -> schemas::R<DatasetKey> {
        let half = DatasetKey::from_bytes(room.open(release, &request.attested.transcript)?);
        let gated = release.read_unverified()?.gated;
        assert_eq!(gated.len(), 1);
        assert!(!half.is_same(&self.world.key), "the key service's half alone is no key");
        Gated::unseal(&gated[0], &half)?.open(transport)
    }

    /// Refused with this code before the vault is asked.
    fn stops(&self, what: &str, code: Code, room: &Room, reserved: &Envelope<KmsReceipt>, token: Option<String>) {
        self.cloud.server.taken();
        let mut request = room.release_request(reserved);
        request.maa_token = token;
        self.world.refuses(code, || room.send_release(reserved, &request));
        assert!(self.cloud.server.taken().is_empty(), "{what}: the vault heard of it");
    }

    /// The same with a token for this very request that was changed before MAA signed it.
    fn stops_changed(
        &self,
        what: &str,
        code: Code,
        room: &Room,
        reserved: &Envelope<KmsReceipt>,
        token: impl Fn(Value) -> String,
    ) {
        let mut request = room.release_request(reserved);
        request.maa_token = Some(token(self.asked(&request.attested.evidence)));
        self.cloud.server.taken();
        self.world.refuses(code, || room.send_release(reserved, &request));
        assert!(self.cloud.server.taken().is_empty(), "{what}: the vault heard of it");
    }
}

#[test]
fn the_room_opens_with_both_halves_and_nobody_with_one() {
    let house = House::new();
    let room = Room::new(&house.world);
    let reserved = room.reserve().unwrap();
    let request = house.request(&room, &reserved);
    house.cloud.server.taken();
    let release = room.send_release(&reserved, &request).unwrap();
    let asked = house.cloud.server.taken();
    assert!(asked.iter().any(|r| r.path.contains("/release")), "{asked:?}");
    assert!(house.open(&room, &request, &release, &house.transport).unwrap().is_same(&house.world.key));
    let stranger = house.open(&room, &request, &release, &rsa());
    assert_eq!(stranger.unwrap_err().code, Code::PeerFault, "the transport key is the token's alone");
    goes_on(&house.world, &room);
}

#[test]
fn new_keys_over_old_ones_need_a_token_of_the_operators_machine() {
    let mut house = House::new();
    let (reserved, run_id, run_key, enc, attester) = {
        let room = Room::new(&house.world);
        let reserved = room.reserve().unwrap();
        let refused = Kms::open(house.world.config.clone(), clock_of(&house.world)).unwrap().rotate_kek();
        assert_eq!(refused.unwrap_err().code, Code::ConfigInvalid, "this service opens no data key");
        let request = house.request(&room, &reserved);
        let release = room.send_release(&reserved, &request).unwrap();
        assert!(house.open(&room, &request, &release, &house.transport).unwrap().is_same(&house.world.key));
        let Room { run_id, run_key, enc, attester, .. } = room;
        (reserved, run_id, run_key, enc, attester)
    };
    house.world.stop();
    let machine = rsa();
    let write = |name: &str, text: &[u8]| {
        let path = folder().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        Some(path)
    };
    let mut config = house.world.config.clone();
    let azure = config.azure.as_mut().unwrap();
    azure.token_file = write("token", house.cloud.token(&machine, COMPLIANT).as_bytes());
    azure.transport_key_file = write("key", &machine.private_key_to_pem_pkcs8().unwrap());
    let done = Kms::open(config, clock_of(&house.world)).unwrap().rotate_kek().unwrap();
    assert_eq!((done.version, done.rewrapped, done.destroyed, done.resumed), (2, 1, vec![1], true));
    house.world.restart().unwrap();
    let room = Room { world: &house.world, run_id, run_key, enc, attester };
    let request = house.request(&room, &reserved);
    let release = room.send_release(&reserved, &request).unwrap();
    assert!(house.open(&room, &request, &release, &house.transport).unwrap().is_same(&house.world.key));
}

#[test]
fn a_token_counts_for_its_own_room_transcript_instance_and_time() {
    let house = House::new();
    let (room, other) = (Room::new(&house.world), Room::new(&house.world));
    let reserved = room.reserve().unwrap();
    let stops = |what, code, token| house.stops(what, code, &room, &reserved, token);
    stops("none", Code::MaaTokenMissing, None);
    for (what, token) in [
        ("empty", String::new()),
        ("two parts", "a.b".into()),
        ("no JSON", "a.b.c".into()),
        ("too long", format!("a.b.{}", "c".repeat(32 * 1024))),
        ("no claims of a machine", house.cloud.token(&house.transport, COMPLIANT)),
    ] {
        stops(what, Code::MaaTokenForm, Some(token));
    }
    let theirs = other.reserve_request(|_| ()).attested.evidence;
    let token = house.cloud.token_of(&house.transport, &house.asked(&theirs));
    stops("another room's", Code::MaaTokenMismatch, Some(token));
    let earlier = house.request(&room, &reserved).maa_token;
    stops("another transcript's of this room", Code::MaaTokenMismatch, earlier);

    let changed =
        |what, code, token: &dyn Fn(Value) -> String| house.stops_changed(what, code, &room, &reserved, token);
    let sign = |asked: &Value| house.cloud.token_of(&house.transport, asked);
    let now = house.world.now().seconds();
    let at = |name: &'static str, when: i64| {
        move |mut asked: Value| {
            asked[name] = json!(when);
            asked
        }
    };
    changed("expired", Code::MaaTokenExpired, &|asked| sign(&at("exp", now)(asked)));
    changed("not yet", Code::MaaTokenExpired, &|asked| sign(&at("nbf", now + 60)(asked)));
    let key = b64(&rsa().rsa().unwrap().n().to_vec());
    changed("another machine that repeats our user data", Code::MaaTokenMismatch, &|mut asked| {
        asked["runtime"]["keys"][0]["n"] = json!(key);
        sign(&asked)
    });
    changed("no attestation key", Code::MaaTokenMismatch, &|mut asked| {
        asked["runtime"]["keys"] = json!([]);
        sign(&asked)
    });
    let foreign = Cloud::new();
    changed("another instance's", Code::MaaTokenIssuer, &|asked| foreign.token_of(&house.transport, &asked));
    let url = house.cloud.url();
    changed("another instance's under the name of ours", Code::MaaTokenSignature, &|mut asked| {
        asked["iss"] = json!(url);
        foreign.token_of(&house.transport, &asked)
    });
    changed("a payload that was not signed", Code::MaaTokenSignature, &|asked| {
        let token = sign(&asked);
        let mut parts: Vec<&str> = token.split('.').collect();
        let later = sign(&at("exp", now + 99_999)(asked));
        parts[1] = later.split('.').nth(1).unwrap();
        parts.join(".")
    });
    // What only the vault's policy sees.
    house.world.refuses(Code::PeerFault, || {
        let mut request = room.release_request(&reserved);
        let mut asked = house.asked(&request.attested.evidence);
        asked["status"] = json!("none");
        request.maa_token = Some(sign(&asked));
        room.send_release(&reserved, &request)
    });
    assert_eq!(house.world.charges(), ["reserved"]);
    house.release(&room, &reserved).unwrap();
    assert_eq!(house.world.charges(), ["charged"]);
}

#[test]
fn a_vault_that_fails_or_lies_gives_no_key_and_costs_nothing() {
    let house = House::new();
    let room = Room::new(&house.world);
    let reserved = room.reserve().unwrap();
    for (what, reply, code, again) in crate::service::faults() {
        let request = house.request(&room, &reserved);
        house.cloud.server.taken();
        house.cloud.server.always(Some(reply));
        house.world.refuses(code, || room.send_release(&reserved, &request));
        let asked = house.cloud.server.taken().len();
        house.cloud.server.honest();
        assert!(if again { (1..=ATTEMPTS).contains(&asked) } else { asked == 1 }, "{what}: asked {asked} times");
    }
    type Twist = fn(&mut Value, &mut Value);
    let lies: [(&str, Twist); 5] = [
        ("no nonce", |_, p| p["request"]["nonce"] = Value::Null),
        ("another key", |_, p| p["response"]["key"]["key"]["kid"] = json!("https://tdp.vault.test/keys/other/0123")),
        ("another policy", |_, p| p["response"]["key"]["release_policy"]["data"] = json!(b64(b"{}"))),
        ("not exportable", |_, p| p["response"]["key"]["attributes"]["exportable"] = json!(false)),
        ("no algorithm", |h, _| h["alg"] = json!("none")),
    ];
    for (what, lie) in lies {
        house.cloud.state().twist = Some(Box::new(lie));
        house.world.refuses(Code::PeerFault, || house.release(&room, &reserved));
        assert_eq!(house.world.charges(), ["reserved"], "{what}");
    }
    house.cloud.state().twist = None;
    house.release(&room, &reserved).unwrap();
    assert_eq!(house.world.charges(), ["charged"]);
}

/// What the vault put inside its ciphertext this service cannot see. The room sees it, and before any step of training
/// the charge comes back.
#[test]
fn another_key_inside_is_seen_by_the_room_and_the_charge_comes_back() {
    let house = House::new();
    let room = Room::new(&house.world);
    let reserved = room.reserve().unwrap();
    house.cloud.state().other_key = true;
    let request = house.request(&room, &reserved);
    let release = room.send_release(&reserved, &request).unwrap();
    assert_eq!(house.open(&room, &request, &release, &house.transport).unwrap_err().code, Code::PeerFault);
    assert_eq!(house.world.charges(), ["charged"]);
    room.refund(&room.aborted(RunEventKind::Aborted { steps_run: 0, code: "PEER_FAULT".into() })).unwrap();
    assert_eq!(house.world.charges(), ["refunded"]);
}
