//! One fake of Azure behind TLS: Key Vault with its challenge, Microsoft Azure Attestation, and the metadata service.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard};

use kms_adapter::backend::azure::{KeyKind, Settings};
use openssl::base64::{decode_block, encode_block};
use openssl::cipher::Cipher;
use openssl::cipher_ctx::{CipherCtx, CipherCtxFlags};
use openssl::encrypt::{Decrypter, Encrypter};
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Private, Public};
use openssl::rand::rand_bytes;
use openssl::rsa::{Padding, Rsa};
use openssl::sign::{Signer, Verifier};
use openssl::x509::X509;
use serde_json::{Value, json};

use crate::server::{Authority, Reply, Request, Server, folder};

pub const HOST: &str = "tdp.vault.test";
const BEARER: &str = "Bearer imds-token";
pub const COMPLIANT: &str = "azure-compliant-cvm";

type Twist = Box<dyn FnMut(&mut Value, &mut Value) + Send>;

struct Key {
    version: String,
    rsa: PKey<Private>,
    body: Value,
    enabled: bool,
}

/// What the fake knows.
pub struct State {
    keys: HashMap<String, Vec<Key>>,
    url: String,
    maa: PKey<Private>,
    /// Signs releases.
    pub signer: PKey<Private>,
    pub chain: Vec<X509>,
    /// Changes header and payload of a release before it is signed.
    pub twist: Option<Twist>,
    /// Has another key released in place of the right one.
    pub other_key: bool,
}

/// The fake and its server.
pub struct Cloud {
    pub server: Server,
    pub authority: Authority,
    state: Arc<Mutex<State>>,
}

pub fn rsa() -> PKey<Private> {
    PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap()
}

/// The key that a vault makes as its `nth`: the same in every vault, since large keys take seconds to find.
fn nth_key(nth: usize, bits: u32) -> PKey<Private> {
    type Found = HashMap<(usize, u32), PKey<Private>>;
    static FOUND: LazyLock<Mutex<Found>> = LazyLock::new(Mutex::default);
    let mut found = FOUND.lock().unwrap();
    let make = || PKey::from_rsa(Rsa::generate(bits).unwrap()).unwrap();
    found.entry((nth, bits)).or_insert_with(make).clone()
}

pub fn b64(bytes: &[u8]) -> String {
    encode_block(bytes).replace('+', "-").replace('/', "_").trim_end_matches('=').to_owned()
}

fn unb64(text: &str) -> Vec<u8> {
    let text = text.trim_end_matches('=').replace('-', "+").replace('_', "/");
    decode_block(&format!("{text}{}", "=".repeat((4 - text.len() % 4) % 4))).unwrap_or_default()
}

fn hex<const N: usize>() -> String {
    let mut bytes = [0; N];
    rand_bytes(&mut bytes).unwrap();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn jws(header: &Value, payload: &Value, key: &PKey<Private>) -> String {
    let signed = format!("{}.{}", b64(header.to_string().as_bytes()), b64(payload.to_string().as_bytes()));
    let mut signer = Signer::new(MessageDigest::sha256(), key).unwrap();
    format!("{signed}.{}", b64(&signer.sign_oneshot_to_vec(signed.as_bytes()).unwrap()))
}

fn error(status: u16, code: &str) -> Reply {
    Reply::Json(status, json!({"error": {"code": code, "message": "no"}}))
}

impl Cloud {
    pub fn new() -> Cloud {
        // Before anybody waits for the vault.
        (0..2).for_each(|nth| drop(nth_key(nth, 2048)));
        let (authority, signer) = (Authority::new(), rsa());
        let chain = vec![authority.issue(HOST, &signer), authority.certificate.clone()];
        let state = State {
            keys: HashMap::new(),
            url: String::new(),
            maa: rsa(),
            signer,
            chain,
            twist: None,
            other_key: false,
        };
        let state = Arc::new(Mutex::new(state));
        let inside = state.clone();
        let server = Server::by(&authority, HOST, move |request| inside.lock().unwrap().answer(request));
        state.lock().unwrap().url = format!("https://{HOST}:{}", server.address.port());
        Cloud { server, authority, state }
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub fn settings(&self) -> Settings {
        let url = self.state().url.clone();
        Settings {
            vault: url.clone(),
            address: Some([127, 0, 0, 1].into()),
            ca_file: Some(self.server.ca_file.clone()),
            client_id: None,
            imds_url: url,
            key_prefix: "depa-kek".into(),
            key_type: KeyKind::RsaHsm,
            key_bits: 2048,
            timeout_ms: 20_000,
            attempts: 3,
            backoff_ms: 1,
            policy_file: None,
            token_file: None,
            transport_key_file: None,
            maa: None,
            maa_keys_file: None,
        }
    }

    /// A release policy that asks MAA of this fake for a compliant machine.
    pub fn policy_file(&self) -> PathBuf {
        let path = folder().join("policy.json");
        let claim = json!({"claim": "x-ms-isolation-tee.x-ms-compliance-status", "equals": COMPLIANT});
        let rule = json!({"authority": self.state().url, "allOf": [claim]});
        std::fs::write(&path, json!({"version": "1.0.0", "anyOf": [rule]}).to_string()).unwrap();
        path
    }

    /// The keys of MAA, as its `/certs` would give them.
    pub fn keys_file(&self) -> PathBuf {
        let path = folder().join("maa-keys.json");
        let key = self.state().maa.rsa().unwrap();
        let jwk = json!({"kty": "RSA", "kid": "maa", "n": b64(&key.n().to_vec()), "e": b64(&key.e().to_vec())});
        std::fs::write(&path, json!({"keys": [jwk]}).to_string()).unwrap();
        path
    }

    pub fn url(&self) -> String {
        self.state().url.clone()
    }

    /// A token of MAA, asked for over TLS as a machine would.
    pub fn token(&self, transport: &PKey<Private>, status: &str) -> String {
        self.token_of(transport, &json!({"status": status}))
    }

    /// The same with more that is asked for: `runtime` (of the HCL report), `nbf`, `exp`, `iss`.
    pub fn token_of(&self, transport: &PKey<Private>, more: &Value) -> String {
        let ca = reqwest::Certificate::from_pem(&std::fs::read(&self.server.ca_file).unwrap()).unwrap();
        let client = reqwest::blocking::Client::builder()
            .tls_certs_only([ca])
            .no_proxy()
            .resolve(HOST, ([127, 0, 0, 1], 0).into())
            .build()
            .unwrap();
        let url = format!("{}/attest/SevSnpVm?api-version=2022-08-01", self.state().url);
        let key = transport.rsa().unwrap();
        let mut asked = more.clone();
        (asked["n"], asked["e"]) = (json!(b64(&key.n().to_vec())), json!(b64(&key.e().to_vec())));
        let answer: Value = client.post(url).json(&asked).send().unwrap().json().unwrap();
        answer["token"].as_str().unwrap().to_owned()
    }
}

impl State {
    fn answer(&mut self, request: &Request) -> Reply {
        let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
        assert!(query.contains("api-version="), "{}", request.path);
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        match (request.method.as_str(), parts.as_slice()) {
            ("GET", ["metadata", "identity", "oauth2", "token"]) => State::identity(request, query),
            ("POST", ["attest", "SevSnpVm"]) => self.attest(&request.json()),
            _ if request.header("authorization").is_empty() => {
                let challenge = "Bearer authorization=\"https://login.test/tenant\", resource=\"https://vault.test\"";
                assert!(request.body.is_empty(), "nothing is sent before the vault said whose it is");
                Reply::With(401, vec![("WWW-Authenticate", challenge.into())], Vec::new())
            }
            _ if request.header("authorization") != BEARER => error(403, "Forbidden"),
            ("POST", ["keys", name, "create"]) => self.create(name, &request.json()),
            ("GET", ["keys", _]) => error(404, "KeyNotFound"),
            ("POST", ["keys", name, version, "unwrapkey"]) => self.unwrap(name, version, &request.json()),
            ("POST", ["keys", name, version, "release"]) => self.release(name, version, &request.json()),
            ("PATCH", ["keys", name, version]) => self.change(name, version, &request.json()),
            _ => error(404, "NotFound"),
        }
    }

    fn identity(request: &Request, query: &str) -> Reply {
        if request.header("metadata") != "true" || !query.contains("resource=https%3A%2F%2Fvault.test") {
            return error(400, "invalid_request");
        }
        let body = json!({"access_token": "imds-token", "expires_in": "86000", "expires_on": "4102444800",
            "not_before": "0", "resource": "https://vault.test", "token_type": "Bearer"});
        Reply::Json(200, body)
    }

    fn attest(&self, asked: &Value) -> Reply {
        let transport = json!({"kty": "RSA", "kid": "TpmEphemeralEncryptionKey", "n": asked["n"], "e": asked["e"]});
        let mut claims = json!({"iss": self.url, "x-ms-isolation-tee": {"x-ms-compliance-status": asked["status"]},
            "x-ms-runtime": {"keys": [transport]}});
        for name in ["iss", "nbf", "exp"] {
            if !asked[name].is_null() {
                claims[name] = asked[name].clone();
            }
        }
        if asked["runtime"].is_object() {
            claims["x-ms-isolation-tee"]["x-ms-runtime"] = asked["runtime"].clone();
        }
        let header = json!({"alg": "RS256", "typ": "JWT", "jku": format!("{}/certs", self.url), "kid": "maa"});
        Reply::Json(200, json!({"token": jws(&header, &claims, &self.maa)}))
    }

    fn described(&self, name: &str, key: &Key) -> Value {
        let public = key.rsa.rsa().unwrap();
        let kid = format!("{}/keys/{name}/{}", self.url, key.version);
        let mut body = json!({
            "key": {"kid": kid, "kty": key.body["kty"], "key_ops": key.body["key_ops"],
                "n": b64(&public.n().to_vec()), "e": b64(&public.e().to_vec())},
            "attributes": {"enabled": key.enabled, "created": 1_700_000_000, "updated": 1_700_000_000,
                "exportable": key.body["attributes"]["exportable"].as_bool().unwrap_or(false)},
        });
        if key.body["release_policy"].is_object() {
            body["release_policy"] = key.body["release_policy"].clone();
        }
        body
    }

    fn create(&mut self, name: &str, body: &Value) -> Reply {
        let made = self.keys.values().map(Vec::len).sum();
        let rsa = nth_key(made, body["key_size"].as_u64().unwrap() as u32);
        let key = Key { version: hex::<16>(), rsa, body: body.clone(), enabled: true };
        let described = self.described(name, &key);
        self.keys.entry(name.to_owned()).or_default().push(key);
        Reply::Json(200, described)
    }

    fn find(&self, name: &str, version: &str) -> Option<&Key> {
        self.keys.get(name)?.iter().find(|key| key.version == version && key.enabled)
    }

    fn unwrap(&mut self, name: &str, version: &str, body: &Value) -> Reply {
        let Some(key) = self.find(name, version) else { return error(403, "Forbidden") };
        let may = key.body["key_ops"].as_array().unwrap().contains(&json!("unwrapKey"));
        if !may || body["alg"] != "RSA-OAEP-256" {
            return error(403, "Forbidden");
        }
        let mut with = Decrypter::new(&key.rsa).unwrap();
        with.set_rsa_padding(Padding::PKCS1_OAEP).unwrap();
        with.set_rsa_oaep_md(MessageDigest::sha256()).unwrap();
        with.set_rsa_mgf1_md(MessageDigest::sha256()).unwrap();
        let mut plain = vec![0; 4096];
        match with.decrypt(&unb64(body["value"].as_str().unwrap()), &mut plain) {
            Ok(length) => {
                let kid = format!("{}/keys/{name}/{version}", self.url);
                Reply::Json(200, json!({"kid": kid, "value": b64(&plain[..length])}))
            }
            Err(_) => error(400, "BadParameter"),
        }
    }

    fn change(&mut self, name: &str, version: &str, body: &Value) -> Reply {
        let keys = self.keys.get_mut(name).unwrap();
        let at = keys.iter().position(|key| key.version == version).unwrap();
        keys[at].enabled = body["attributes"]["enabled"].as_bool().unwrap();
        Reply::Json(200, self.described(name, &self.keys[name][at]))
    }

    /// The transport key of a token that the policy accepts.
    fn attested(&self, token: &str, policy: &Value) -> Option<PKey<Public>> {
        let (signed, signature) = token.rsplit_once('.')?;
        let mut verifier = Verifier::new(MessageDigest::sha256(), &self.maa).unwrap();
        if !verifier.verify_oneshot(&unb64(signature), signed.as_bytes()).unwrap_or(false) {
            return None;
        }
        let claims: Value = serde_json::from_slice(&unb64(signed.split_once('.')?.1)).ok()?;
        let policy: Value = serde_json::from_slice(&unb64(policy["data"].as_str()?)).ok()?;
        let rule = &policy["anyOf"][0];
        let (claim, wanted) = (rule["allOf"][0]["claim"].as_str()?, &rule["allOf"][0]["equals"]);
        let found = claim.split('.').fold(&claims, |at, name| &at[name]);
        if claims["iss"] != rule["authority"] || found != wanted {
            return None;
        }
        let jwk = &claims["x-ms-runtime"]["keys"][0];
        let number = |name: &str| openssl::bn::BigNum::from_slice(&unb64(jwk[name].as_str().unwrap())).unwrap();
        PKey::from_rsa(Rsa::from_public_components(number("n"), number("e")).unwrap()).ok()
    }

    fn release(&mut self, name: &str, version: &str, body: &Value) -> Reply {
        let Some(key) = self.find(name, version) else { return error(403, "Forbidden") };
        let policy = &key.body["release_policy"];
        let Some(to) = self.attested(body["target"].as_str().unwrap(), policy) else {
            return error(403, "Forbidden");
        };
        let inner = if self.other_key { rsa() } else { key.rsa.clone() };
        let ciphertext = wrapped_for(&to, &inner.private_key_to_pkcs8().unwrap());
        let hsm = json!({"schema_version": "1.0", "header": {"alg": "dir", "enc": "CKM_RSA_AES_KEY_WRAP"},
            "ciphertext": b64(&ciphertext)});
        let kid = format!("{}/keys/{name}/{version}", self.url);
        let mut payload = json!({
            "request": {"api-version": "2025-07-01", "enc": body["enc"], "kid": kid, "nonce": body["nonce"]},
            "response": {"key": {
                "key": {"kid": kid, "kty": "RSA-HSM", "key_ops": key.body["key_ops"],
                    "key_hsm": b64(hsm.to_string().as_bytes())},
                "attributes": {"enabled": true, "exportable": true}, "release_policy": policy,
            }},
        });
        let chain: Vec<String> = self.chain.iter().map(|c| encode_block(&c.to_der().unwrap())).collect();
        let mut header = json!({"alg": "RS256", "kid": "release", "x5c": chain});
        if let Some(twist) = &mut self.twist {
            twist(&mut header, &mut payload);
        }
        Reply::Json(200, json!({"value": jws(&header, &payload, &self.signer)}))
    }
}

/// RSA-OAEP(AES key) ‖ AES-KWP(bytes).
fn wrapped_for(to: &PKey<Public>, bytes: &[u8]) -> Vec<u8> {
    let mut aes = [0; 32];
    rand_bytes(&mut aes).unwrap();
    let mut with = Encrypter::new(to).unwrap();
    with.set_rsa_padding(Padding::PKCS1_OAEP).unwrap();
    with.set_rsa_oaep_md(MessageDigest::sha256()).unwrap();
    with.set_rsa_mgf1_md(MessageDigest::sha256()).unwrap();
    let mut first = vec![0; to.size()];
    let length = with.encrypt(&aes, &mut first).unwrap();
    first.truncate(length);
    let mut context = CipherCtx::new().unwrap();
    context.set_flags(CipherCtxFlags::FLAG_WRAP_ALLOW);
    context.encrypt_init(Some(Cipher::aes_256_wrap_pad()), Some(&aes), None).unwrap();
    let mut second = Vec::new();
    context.cipher_update_vec(bytes, &mut second).unwrap();
    context.cipher_final_vec(&mut second).unwrap();
    [first, second].concat()
}
