//! `azure-skr` against the fake of Azure: a key that the vault releases to attested hardware alone, and every lie about it.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use kms_adapter::backend::azure::{AzureSkr, AzureWrap, Grant, Settings};
use kms_adapter::backend::{KekRef, KeyBackend};
use kms_adapter::{Config, Secret};
use openssl::pkey::{PKey, Private};
use openssl::x509::X509;
use schemas::Code;
use schemas::id::Did;
use serde_json::{Value, json};

use crate::azure_cloud::{COMPLIANT, Cloud, HOST, b64, rsa};
use crate::azure_wrap::code;
use crate::server::{Authority, Reply, folder};

struct House {
    cloud: Cloud,
    backend: AzureSkr,
    transport: PKey<Private>,
}

fn provider() -> Did {
    Did::parse("did:web:tdp.example").unwrap()
}

fn settings(cloud: &Cloud) -> Settings {
    Settings { policy_file: Some(cloud.policy_file()), ..cloud.settings() }
}

fn grant(token: &str, key: &PKey<Private>) -> Grant {
    Grant::new(token, &key.private_key_to_pem_pkcs8().unwrap()).unwrap()
}

impl House {
    fn new() -> House {
        let cloud = Cloud::new();
        let backend = AzureSkr::new(&settings(&cloud)).unwrap();
        House { cloud, backend, transport: rsa() }
    }

    fn grant(&self) -> Grant {
        grant(&self.cloud.token(&self.transport, COMPLIANT), &self.transport)
    }

    fn wrapped(&self) -> (KekRef, Secret, Vec<u8>) {
        let (kek, key) = (self.backend.create_kek(&provider()).unwrap(), Secret::random().unwrap());
        let wrapped = self.backend.wrap(&kek, &key, b"aad").unwrap();
        (kek, key, wrapped)
    }
}

#[test]
fn attested_hardware_and_this_service_together_open_a_key() {
    let house = House::new();
    let (kek, key, wrapped) = house.wrapped();
    let made = house.cloud.server.taken().pop().unwrap().json();
    assert_eq!((&made["attributes"]["exportable"], &made["key_ops"]), (&json!(true), &json!(["wrapKey"])));
    assert_eq!(made["release_policy"]["immutable"], true);
    let grant = house.grant();
    assert_eq!(house.backend.unwrap_under(&grant, &kek, &wrapped, b"aad").unwrap().expose(), key.expose());
    assert_eq!(code(house.backend.unwrap_under(&grant, &kek, &wrapped, b"other")), Code::KeyRowTampered);
    let next = house.backend.rotate(&kek).unwrap();
    assert_eq!(code(house.backend.unwrap_under(&grant, &next, &wrapped, b"aad")), Code::KeyRowTampered);
    house.backend.health().unwrap();
    house.backend.destroy(&kek).unwrap();
    assert_eq!(code(house.backend.unwrap_under(&grant, &kek, &wrapped, b"aad")), Code::PeerFault);
}

#[test]
fn the_configured_token_and_key_are_a_grant() {
    let cloud = Cloud::new();
    let transport = rsa();
    let write = |name: &str, text: &[u8]| -> PathBuf {
        let path = folder().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path
    };
    let token = cloud.token(&transport, COMPLIANT);
    let files = Settings {
        token_file: Some(write("token", token.as_bytes())),
        transport_key_file: Some(write("key", &transport.private_key_to_pem_pkcs8().unwrap())),
        ..settings(&cloud)
    };
    let backend = AzureSkr::new(&files).unwrap();
    let (kek, key) = (backend.create_kek(&provider()).unwrap(), Secret::random().unwrap());
    let wrapped = backend.wrap(&kek, &key, b"aad").unwrap();
    assert_eq!(backend.unwrap(&kek, &wrapped, b"aad").unwrap().expose(), key.expose());
    cloud.server.taken();
    let without = AzureSkr::new(&settings(&cloud)).unwrap();
    assert_eq!(code(without.unwrap(&kek, &wrapped, b"aad")), Code::ConfigInvalid);
    let open = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(files.transport_key_file.as_ref().unwrap(), open).unwrap();
    assert_eq!(code(backend.unwrap(&kek, &wrapped, b"aad")), Code::ConfigInvalid);
    assert!(cloud.server.taken().is_empty());
}

#[test]
fn a_token_that_the_policy_does_not_accept_releases_nothing() {
    let house = House::new();
    let (kek, _, wrapped) = house.wrapped();
    let good = house.cloud.token(&house.transport, COMPLIANT);
    let (signed, _) = good.rsplit_once('.').unwrap();
    let stranger = Cloud::new();
    for token in [
        house.cloud.token(&house.transport, "none"),
        format!("{signed}.{}", b64(&[7; 256])),
        stranger.token(&house.transport, COMPLIANT),
    ] {
        house.cloud.server.taken();
        let released = house.backend.unwrap_under(&grant(&token, &house.transport), &kek, &wrapped, b"aad");
        assert_eq!(code(released), Code::PeerFault);
        assert_eq!(house.cloud.server.taken().len(), 1, "not tried again");
    }
    let wrong_key = house.backend.unwrap_under(&grant(&good, &rsa()), &kek, &wrapped, b"aad");
    assert_eq!(code(wrong_key), Code::PeerFault, "wrapped to the key of the token alone");
    let pem = house.transport.private_key_to_pem_pkcs8().unwrap();
    for token in ["", "a.b", "a.b.c.d", "a.b.c\nd", &format!("a.b.{}", "c".repeat(40_000))] {
        assert_eq!(code(Grant::new(token, &pem)), Code::ConfigInvalid);
    }
    assert_eq!(code(Grant::new(&good, b"no key")), Code::ConfigInvalid);
    assert_eq!(format!("{:?}", house.grant()), "Grant(hidden)");
}

#[test]
fn an_exportable_key_without_our_policy_is_refused() {
    type Change = fn(&mut Value);
    let changes: [(&str, Change); 5] = [
        ("no policy", |b| b["release_policy"] = Value::Null),
        ("a policy without data", |b| b["release_policy"]["data"] = Value::Null),
        ("a policy that may change", |b| b["release_policy"]["immutable"] = json!(false)),
        ("another policy", |b| b["release_policy"]["data"] = json!(b64(b"{\"version\":\"1.0.0\",\"anyOf\":[]}"))),
        ("not exportable", |b| b["attributes"]["exportable"] = json!(false)),
    ];
    for (what, change) in changes {
        let house = House::new();
        house.cloud.server.lie(move |request, reply| match reply {
            Reply::Json(200, mut body) if request.path.contains("/create") => {
                change(&mut body);
                Reply::Json(200, body)
            }
            reply => reply,
        });
        assert_eq!(code(house.backend.create_kek(&provider())), Code::PeerFault, "{what}");
    }
    // A key of the other backend, which was made without a policy.
    let house = House::new();
    let plain = AzureWrap::new(&house.cloud.settings()).unwrap();
    let kek = plain.create_kek(&provider()).unwrap();
    let wrapped = plain.wrap(&kek, &Secret::random().unwrap(), b"aad").unwrap();
    let grant = house.grant();
    house.cloud.server.taken();
    assert_eq!(code(house.backend.unwrap_under(&grant, &kek, &wrapped, b"aad")), Code::KeyRowTampered);
    assert!(house.cloud.server.taken().is_empty());
}

#[test]
fn a_policy_that_asks_for_nothing_is_refused() {
    let cloud = Cloud::new();
    let claim = json!({"claim": "a", "equals": "b"});
    for policy in [
        json!({}),
        json!({"version": "1.0.0", "anyOf": []}),
        json!({"version": "1.0.0", "anyOf": [{"authority": "https://maa.test"}]}),
        json!({"version": "1.0.0", "anyOf": [{"authority": "https://maa.test", "allOf": []}]}),
        json!({"version": "1.0.0", "anyOf": [{"authority": "http://maa.test", "allOf": [claim]}]}),
        json!({"version": "0.2", "anyOf": [{"authority": "https://maa.test", "allOf": [claim]}]}),
    ] {
        let with = settings(&cloud);
        std::fs::write(with.policy_file.as_ref().unwrap(), policy.to_string()).unwrap();
        assert_eq!(code(AzureSkr::new(&with)), Code::ConfigInvalid, "{policy}");
    }
    let without = Settings { policy_file: None, ..cloud.settings() };
    assert_eq!(code(AzureSkr::new(&without)), Code::ConfigInvalid);
    let half = Settings { token_file: Some("token".into()), ..settings(&cloud) };
    assert_eq!(code(AzureSkr::new(&half)), Code::ConfigInvalid);
    assert_eq!(code(AzureWrap::new(&settings(&cloud))), Code::ConfigInvalid, "of no use to the other backend");
}

#[test]
fn a_lying_release_gives_no_key() {
    type Twist = fn(&mut Value, &mut Value);
    fn key(payload: &mut Value) -> &mut Value {
        &mut payload["response"]["key"]
    }
    let lies: [(&str, Twist); 13] = [
        ("another algorithm", |h, _| h["alg"] = json!("RS512")),
        ("no algorithm", |h, _| h["alg"] = json!("none")),
        ("no chain", |h, _| h["x5c"] = json!([])),
        ("a chain of nothing", |h, _| h["x5c"] = json!(["AAAA"])),
        ("another request", |_, p| p["request"]["nonce"] = json!("0")),
        ("no nonce", |_, p| p["request"]["nonce"] = Value::Null),
        ("another wrapping", |_, p| p["request"]["enc"] = json!("CKM_RSA_AES_KEY_WRAP")),
        ("another key", |_, p| key(p)["key"]["kid"] = json!("https://tdp.vault.test/keys/other/0123")),
        ("another version", |_, p| p["request"]["kid"] = json!("https://tdp.vault.test/keys/depa-kek/0123")),
        ("another policy", |_, p| key(p)["release_policy"]["data"] = json!(b64(b"{}"))),
        ("not exportable", |_, p| key(p)["attributes"]["exportable"] = json!(false)),
        ("no ciphertext", |_, p| key(p)["key"]["key_hsm"] = json!(b64(b"{\"ciphertext\":\"\"}"))),
        ("other ciphertext", |_, p| {
            let text = format!("{{\"ciphertext\":\"{}\"}}", b64(&[7; 1500]));
            key(p)["key"]["key_hsm"] = json!(b64(text.as_bytes()));
        }),
    ];
    let house = House::new();
    let (kek, good, wrapped) = house.wrapped();
    let grant = house.grant();
    let open = || house.backend.unwrap_under(&grant, &kek, &wrapped, b"aad");
    for (what, twist) in lies {
        house.cloud.state().twist = Some(Box::new(twist));
        assert_eq!(code(open()), Code::PeerFault, "{what}");
    }
    house.cloud.state().twist = None;
    house.cloud.state().other_key = true;
    assert_eq!(code(open()), Code::PeerFault, "the private half of another key");
    house.cloud.state().other_key = false;
    assert_eq!(open().unwrap().expose(), good.expose());
}

#[test]
fn only_the_vault_itself_signs_its_releases() {
    let house = House::new();
    let (kek, good, wrapped) = house.wrapped();
    let grant = house.grant();
    let open = || house.backend.unwrap_under(&grant, &kek, &wrapped, b"aad");
    let (stranger, other_key) = (Authority::new(), rsa());
    let change = |signer: &PKey<Private>, chain: Vec<X509>| {
        let mut state = house.cloud.state();
        (state.signer, state.chain) = (signer.clone(), chain);
    };
    let signer = house.cloud.state().signer.clone();
    let chain = house.cloud.state().chain.clone();
    let by = |chain| {
        change(&other_key, chain);
        code(open())
    };
    let ours = house.cloud.authority.certificate.clone();
    assert_eq!(by(vec![house.cloud.authority.issue("evil.vault.test", &other_key), ours.clone()]), Code::PeerFault);
    assert_eq!(by(vec![stranger.issue(HOST, &other_key), stranger.certificate.clone()]), Code::PeerFault);
    assert_eq!(by(vec![stranger.issue(HOST, &other_key), ours]), Code::PeerFault);
    assert_eq!(by(chain.clone()), Code::PeerFault, "the right chain, another key's signature");
    change(&signer, chain);
    assert_eq!(open().unwrap().expose(), good.expose());
    house.cloud.server.lie(|request, reply| match reply {
        Reply::Json(200, body) if request.path.contains("/release") => {
            let value = body["value"].as_str().unwrap();
            let (rest, signature) = value.rsplit_once('.').unwrap();
            let payload = rest.split_once('.').unwrap().0;
            Reply::Json(200, json!({"value": format!("{payload}.{}.{signature}", b64(b"{}"))}))
        }
        reply => reply,
    });
    assert_eq!(code(open()), Code::PeerFault, "another payload");
}

#[test]
fn the_table_is_read_and_what_is_unknown_or_unsafe_refused() {
    let file = r#"
profile = "demo"
url = "http://127.0.0.1:8451"
dir = "kms"
provider = "did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp"
trust = "trust.json"
"#;
    let read = |text: &str| Config::read(&format!("{file}{text}"), std::iter::empty());
    let wrap = "backend = \"azure-wrap\"\n[azure]\nvault = \"https://tdp.vault.azure.net\"\n";
    let config = read(wrap).unwrap();
    assert_eq!(Config::read(&config.to_toml().unwrap(), std::iter::empty()).unwrap(), config);
    assert_eq!(config.azure.unwrap().imds_url, "http://169.254.169.254");
    for line in [
        "colour = \"red\"",
        "imds_url = \"http://imds.example\"",
        "key_type = \"oct\"",
        "key_bits = 1024",
        "attempts = 0",
        "policy_file = \"policy.json\"",
        "key_prefix = \"a_b\"",
    ] {
        assert_eq!(code(read(&format!("{wrap}{line}"))), Code::ConfigInvalid, "{line}");
    }
    for vault in ["http://127.0.0.1:1", "https://tdp.vault.azure.net/", "tdp"] {
        assert_eq!(code(read(&wrap.replace("https://tdp.vault.azure.net", vault))), Code::ConfigInvalid, "{vault}");
    }
    assert_eq!(code(read(&wrap.replace("azure-wrap", "azure-skr"))), Code::ConfigInvalid, "a policy is missing");
    assert!(read(&format!("{}policy_file = \"p\"", wrap.replace("azure-wrap", "azure-skr"))).is_ok());
    assert_eq!(code(read("backend = \"azure-wrap\"")), Code::ConfigInvalid);
    assert_eq!(code(read(&wrap.replace("azure-wrap", "transit"))), Code::ConfigInvalid);
}
