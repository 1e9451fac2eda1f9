//! The transit backend against the fake vault.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use kms_adapter::Secret;
use kms_adapter::backend::transit::{Settings, Transit};
use kms_adapter::backend::{KekRef, KeyBackend};
use openssl::base64::encode_block;
use schemas::id::Did;
use schemas::{Code, R};
use serde_json::{Value, json};

use crate::server::{Reply, Server, folder};
use crate::vault::{TOKEN, Vault};

const ATTEMPTS: u32 = 3;

/// A vault, and a backend that talks to it.
struct House {
    server: Server,
    backend: Transit,
    token_file: PathBuf,
}

pub fn settings(server: &Server) -> Settings {
    let token_file = folder().join("token");
    write_token(&token_file, TOKEN);
    Settings {
        url: server.url(),
        token_file,
        ca_file: Some(server.ca_file.clone()),
        mount: "keys-of-tdp".into(),
        namespace: Some("depa".into()),
        key_prefix: "depa-kek".into(),
        timeout_ms: 20_000,
        attempts: ATTEMPTS,
        backoff_ms: 1,
    }
}

fn write_token(path: &PathBuf, token: &str) {
    std::fs::write(path, format!("{token}\n")).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

impl House {
    fn new() -> House {
        House::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut Settings)) -> House {
        let mut vault = Vault::default();
        let server = Server::start(move |request| vault.answer(request));
        let mut settings = settings(&server);
        change(&mut settings);
        let backend = Transit::new(&settings).unwrap();
        House { server, backend, token_file: settings.token_file }
    }

    fn kek(&self) -> KekRef {
        let kek = self.backend.create_kek(&Did::parse("did:web:tdp.example").unwrap()).unwrap();
        self.server.taken();
        kek
    }

    /// A key-encryption key, a key and its wrap.
    fn wrapped(&self) -> (KekRef, Secret, Vec<u8>) {
        let (kek, key) = (self.kek(), Secret::random().unwrap());
        let wrapped = self.backend.wrap(&kek, &key, b"aad").unwrap();
        self.server.taken();
        (kek, key, wrapped)
    }
}

/// The code of a refusal that tells neither token nor key.
fn code<T>(result: R<T>) -> Code {
    let refusal = result.map(drop).unwrap_err();
    assert!(!refusal.sentence.contains(TOKEN) && !refusal.sentence.contains("vault:v"), "{}", refusal.sentence);
    refusal.code
}

#[test]
fn a_key_opens_under_its_own_version_and_context_only() {
    let house = House::new();
    let (first, key, wrapped) = house.wrapped();
    assert!(wrapped.starts_with(b"vault:v1:") && first.name.starts_with("depa-kek-"));
    assert_eq!(house.backend.unwrap(&first, &wrapped, b"aad").unwrap().expose(), key.expose());
    let request = house.server.taken().remove(0);
    assert_eq!(request.json()["associated_data"], encode_block(b"aad"));
    assert!(!request.json()["context"].as_str().unwrap().is_empty());
    house.backend.health().unwrap();
    let refused = |kek: &KekRef, wrapped: &[u8], aad: &[u8]| code(house.backend.unwrap(kek, wrapped, aad));
    assert_eq!(refused(&first, &wrapped, b"other"), Code::KeyRowTampered);
    assert_eq!(refused(&house.kek(), &wrapped, b"aad"), Code::KeyRowTampered, "another key");
    for at in 0..wrapped.len() {
        let mut spoilt = wrapped.clone();
        spoilt[at] = if spoilt[at] == b'A' { b'B' } else { b'A' };
        assert_eq!(refused(&first, &spoilt, b"aad"), Code::KeyRowTampered, "byte {at}");
    }
}

#[test]
fn versions_follow_each_other_and_end_in_order() {
    let house = House::new();
    let (first, key, wrapped) = house.wrapped();
    let second = house.backend.rotate(&first).unwrap();
    let third = house.backend.rotate(&second).unwrap();
    assert_eq!((second.version.as_str(), third.version.as_str()), ("2", "3"));
    assert_eq!(house.backend.unwrap(&first, &wrapped, b"aad").unwrap().expose(), key.expose());
    assert_eq!(code(house.backend.unwrap(&second, &wrapped, b"aad")), Code::KeyRowTampered);
    let rewrapped = house.backend.wrap(&third, &key, b"aad").unwrap();
    assert!(rewrapped.starts_with(b"vault:v3:"));
    assert_eq!(code(house.backend.destroy(&second)), Code::Unavailable, "the first is still there");
    assert_eq!(house.backend.unwrap(&first, &wrapped, b"aad").unwrap().expose(), key.expose());
    for kek in [&first, &first, &second, &first] {
        house.backend.destroy(kek).unwrap();
    }
    assert_eq!(code(house.backend.unwrap(&first, &wrapped, b"aad")), Code::KeyRowTampered);
    assert_eq!(house.backend.unwrap(&third, &rewrapped, b"aad").unwrap().expose(), key.expose());
    assert_eq!(code(house.backend.destroy(&third)), Code::PeerFault, "nothing newer");
}

#[test]
fn a_rotation_that_broke_off_leaves_nothing_in_the_way() {
    let house = House::new();
    let first = house.kek();
    house.backend.rotate(&first).unwrap();
    let next = house.backend.rotate(&first).unwrap();
    assert_eq!(next.version, "3", "the row of the second was never written");
    let last = house.backend.rotate(&next).unwrap();
    house.backend.destroy(&first).unwrap();
    house.backend.destroy(&next).unwrap();
    let key = Secret::random().unwrap();
    let wrapped = house.backend.wrap(&last, &key, b"aad").unwrap();
    assert_eq!(house.backend.unwrap(&last, &wrapped, b"aad").unwrap().expose(), key.expose());
}

#[test]
fn what_passes_is_tried_again_and_what_does_not_is_not() {
    let house = House::new();
    let (kek, key, wrapped) = house.wrapped();
    let unwrap = || house.backend.unwrap(&kek, &wrapped, b"aad");
    let busy = Reply::With(429, vec![("Retry-After", "0".into())], Vec::new());
    let down = Reply::Json(500, json!({"errors": ["internal"]}));
    house.server.next([busy.clone(), down.clone()]);
    assert_eq!(unwrap().unwrap().expose(), key.expose());
    assert_eq!(house.server.taken().len(), 3);
    for reply in [busy, down, Reply::Json(503, json!({"errors": ["Vault is sealed"]}))] {
        house.server.always(Some(reply));
        assert_eq!(code(unwrap()), Code::PeerFault);
        assert_eq!(house.server.taken().len(), ATTEMPTS as usize);
        assert_eq!(code(house.backend.health()), Code::PeerFault);
        house.server.taken();
    }
    for status in [401, 403, 404, 405, 418] {
        house.server.always(Some(Reply::Json(status, json!({"errors": ["permission denied"]}))));
        assert_eq!(code(unwrap()), Code::PeerFault, "{status}");
        assert_eq!(house.server.taken().len(), 1, "{status} is not tried again");
        assert_eq!(code(house.backend.wrap(&kek, &key, b"aad")), Code::PeerFault, "{status}");
        house.server.taken();
    }
    house.server.honest();
    assert_eq!(unwrap().unwrap().expose(), key.expose());
}

#[test]
fn a_silent_vault_is_a_time_out_after_few_attempts() {
    let house = House::with(|settings| settings.timeout_ms = 500);
    house.server.always(Some(Reply::Silence));
    let kek = KekRef { name: "depa-kek-1".into(), version: "1".into(), kept: b"1".to_vec() };
    assert_eq!(code(house.backend.unwrap(&kek, b"vault:v1:AAAA", b"aad")), Code::Timeout);
    assert!(house.server.taken().len() <= ATTEMPTS as usize);
}

#[test]
fn redirects_are_not_followed() {
    let (house, other) = (House::new(), Server::start(|_| Reply::Json(200, json!({}))));
    let (kek, _, wrapped) = house.wrapped();
    for status in [301, 302, 307, 308] {
        let to = vec![("Location", format!("{}/v1/keys-of-tdp/decrypt/{}", other.url(), kek.name))];
        house.server.always(Some(Reply::With(status, to, Vec::new())));
        assert_eq!(code(house.backend.unwrap(&kek, &wrapped, b"aad")), Code::PeerFault);
    }
    assert_eq!(house.server.taken().len(), 4);
    assert!(other.taken().is_empty(), "the token went nowhere else");
}

#[test]
fn a_lying_vault_gives_no_key() {
    let house = House::new();
    let (kek, key, wrapped) = house.wrapped();
    let plain = |bytes: &[u8]| json!({"data": {"plaintext": encode_block(bytes)}});
    let whole = [b"DWK1", &key.expose()[..], &[7; 32]].concat();
    let lies: Vec<(&str, Reply, Code)> = vec![
        ("the key alone", Reply::Json(200, plain(key.expose())), Code::KeyRowTampered),
        ("another code", Reply::Json(200, plain(&whole)), Code::KeyRowTampered),
        ("nothing", Reply::Json(200, plain(b"")), Code::KeyRowTampered),
        ("no Base64", Reply::Json(200, json!({"data": {"plaintext": "%%"}})), Code::PeerFault),
        ("no plaintext", Reply::Json(200, json!({"data": {}})), Code::PeerFault),
        ("no JSON", Reply::With(200, Vec::new(), b"{\"data\":{\"plaint".to_vec()), Code::PeerFault),
        ("less than announced", Reply::Cut(b"{\"data\":{\"plaintext\":\"".to_vec()), Code::PeerFault),
        ("too much", Reply::With(200, Vec::new(), vec![b' '; 65 * 1024]), Code::PeerFault),
        ("an empty success", Reply::With(204, Vec::new(), Vec::new()), Code::PeerFault),
    ];
    for (what, reply, expected) in lies {
        house.server.next([reply]);
        assert_eq!(code(house.backend.unwrap(&kek, &wrapped, b"aad")), expected, "{what}");
        assert_eq!(house.server.taken().len(), 1, "{what} is not tried again");
    }
    assert_eq!(house.backend.unwrap(&kek, &wrapped, b"aad").unwrap().expose(), key.expose());
}

#[test]
fn the_plaintext_of_another_use_does_not_pass() {
    let house = House::new();
    let (kek, _, wrapped) = house.wrapped();
    let other = house.backend.wrap(&kek, &Secret::random().unwrap(), b"other").unwrap();
    // A vault that opens another of our own wraps, whatever it is asked for.
    let mut vault_answer = None;
    house.server.taken();
    house.backend.unwrap(&kek, &other, b"other").unwrap();
    let genuine = house.server.taken().remove(0);
    house.server.lie(move |request, reply| {
        if request.body == genuine.body {
            vault_answer = Some(reply.clone());
        }
        vault_answer.clone().unwrap_or(reply)
    });
    house.backend.unwrap(&kek, &other, b"other").unwrap();
    assert_eq!(code(house.backend.unwrap(&kek, &wrapped, b"aad")), Code::KeyRowTampered);
}

#[test]
fn what_cannot_be_opened_again_is_not_kept() {
    let house = House::new();
    let (kek, key, wrapped) = house.wrapped();
    let answers: [(Value, Code); 4] = [
        (json!("vault:v2:AAAA"), Code::PeerFault),
        (json!("AAAA"), Code::PeerFault),
        (json!("vault:v1:AAAA"), Code::KeyRowTampered),
        (json!(String::from_utf8(wrapped).unwrap()), Code::KeyRowTampered),
    ];
    for (text, expected) in answers {
        house.server.next([Reply::Json(200, json!({"data": {"ciphertext": text}}))]);
        assert_eq!(code(house.backend.wrap(&kek, &key, b"another aad")), expected, "{text}");
    }
}

#[test]
fn a_key_that_may_leave_the_vault_is_refused() {
    for (name, value) in [
        ("exportable", json!(true)),
        ("allow_plaintext_backup", json!(true)),
        ("derived", json!(false)),
        ("type", json!("rsa-4096")),
        ("latest_version", json!(7)),
    ] {
        let house = House::new();
        house.server.lie(move |_, reply| match reply {
            Reply::Json(200, mut body) => {
                body["data"][name] = value.clone();
                Reply::Json(200, body)
            }
            reply => reply,
        });
        let made = house.backend.create_kek(&Did::parse("did:web:tdp.example").unwrap());
        assert_eq!(code(made), Code::PeerFault, "{name}");
    }
}

#[test]
fn only_the_named_authority_vouches_for_the_vault() {
    let (stranger, elsewhere) = (Server::start(|_| Reply::Silence), Server::named("vault.example", |_| Reply::Silence));
    let by_stranger = House::with(|settings| settings.ca_file = Some(stranger.ca_file.clone()));
    assert_eq!(code(by_stranger.backend.health()), Code::PeerUnreachable);
    let mut other_name = settings(&elsewhere);
    other_name.attempts = 1;
    assert_eq!(code(Transit::new(&other_name).unwrap().health()), Code::PeerUnreachable);
    let mut nobody = settings(&stranger);
    nobody.url = "https://localhost:1".into();
    assert_eq!(code(Transit::new(&nobody).unwrap().health()), Code::PeerUnreachable);
    assert!(stranger.taken().is_empty() && elsewhere.taken().is_empty());
}

#[test]
fn the_token_is_private_and_read_anew() {
    let house = House::new();
    let (kek, key, wrapped) = house.wrapped();
    write_token(&house.token_file, "another");
    assert_eq!(code(house.backend.unwrap(&kek, &wrapped, b"aad")), Code::PeerFault);
    write_token(&house.token_file, TOKEN);
    assert_eq!(house.backend.unwrap(&kek, &wrapped, b"aad").unwrap().expose(), key.expose());
    house.server.taken();
    std::fs::set_permissions(&house.token_file, std::fs::Permissions::from_mode(0o640)).unwrap();
    assert_eq!(code(house.backend.unwrap(&kek, &wrapped, b"aad")), Code::ConfigInvalid);
    std::fs::remove_file(&house.token_file).unwrap();
    assert_eq!(code(house.backend.unwrap(&kek, &wrapped, b"aad")), Code::ConfigInvalid);
    assert!(house.server.taken().is_empty());
}
