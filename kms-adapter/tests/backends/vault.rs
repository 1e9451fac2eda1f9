//! A fake of the transit engine: derived AES-256-GCM keys in versions, as their HTTP API describes them.

use std::collections::HashMap;

use openssl::base64::{decode_block, encode_block};
use openssl::rand::rand_bytes;
use openssl::sha::sha256;
use openssl::symm::{Cipher, decrypt_aead, encrypt_aead};
use serde_json::{Value, json};

use crate::server::{Reply, Request};

pub const TOKEN: &str = "hvs.test-token";

#[derive(Default)]
pub struct Vault {
    keys: HashMap<String, Key>,
}

struct Key {
    versions: Vec<[u8; 32]>,
    least: u64,
    available: u64,
}

fn random() -> [u8; 32] {
    let mut bytes = [0; 32];
    rand_bytes(&mut bytes).unwrap();
    bytes
}

fn error(status: u16, why: &str) -> Reply {
    Reply::Json(status, json!({"errors": [why]}))
}

fn bytes(body: &Value, name: &str) -> Vec<u8> {
    decode_block(body[name].as_str().unwrap_or_default()).unwrap_or_default()
}

impl Vault {
    pub fn answer(&mut self, request: &Request) -> Reply {
        let path = request.path.split('?').next().unwrap();
        if path == "/v1/sys/health" {
            return Reply::Json(200, json!({"sealed": false}));
        }
        if request.header("x-vault-token") != TOKEN || request.header("x-vault-namespace") != "depa" {
            return error(403, "permission denied");
        }
        let Some(rest) = path.strip_prefix("/v1/keys-of-tdp/") else { return error(404, "no handler") };
        let (parts, body) = (rest.split('/').collect::<Vec<_>>(), request.json());
        match (request.method.as_str(), parts.as_slice()) {
            ("POST", ["keys", name]) => {
                assert_eq!(body["type"], "aes256-gcm96");
                let fresh = || Key { versions: vec![random()], least: 1, available: 0 };
                self.keys.entry(name.to_string()).or_insert_with(fresh);
                self.described(name)
            }
            ("GET", ["keys", name]) => self.described(name),
            ("POST", ["keys", name, act]) => self.change(name, act, &body),
            ("POST", ["encrypt", name]) => self.encrypt(name, &body),
            ("POST", ["decrypt", name]) => self.decrypt(name, &body),
            _ => error(405, "unsupported operation"),
        }
    }

    fn described(&self, name: &str) -> Reply {
        let Some(key) = self.keys.get(name) else { return error(404, "") };
        Reply::Json(
            200,
            json!({"request_id": "1", "data": {"name": name, "type": "aes256-gcm96", "derived": true,
                "exportable": false, "allow_plaintext_backup": false, "latest_version": key.versions.len(),
                "min_decryption_version": key.least, "min_available_version": key.available, "keys": {}}}),
        )
    }

    fn change(&mut self, name: &str, act: &str, body: &Value) -> Reply {
        let Some(key) = self.keys.get_mut(name) else { return error(404, "") };
        match act {
            "rotate" => key.versions.push(random()),
            "config" => {
                assert_eq!(body["min_decryption_version"], body["min_encryption_version"]);
                key.least = body["min_decryption_version"].as_u64().unwrap();
            }
            "trim" => {
                let next = body["min_available_version"].as_u64().unwrap();
                if next > key.least {
                    return error(400, "minimum available version cannot be greater than minimum decryption version");
                }
                key.available = next;
            }
            _ => return error(404, ""),
        }
        Reply::With(204, Vec::new(), Vec::new())
    }

    fn cipher_key(key: &Key, version: usize, body: &Value) -> Option<[u8; 32]> {
        let context = bytes(body, "context");
        let usable = version as u64 >= key.least && !context.is_empty();
        usable.then(|| key.versions.get(version - 1).map(|of| sha256(&[&of[..], &context].concat()))).flatten()
    }

    fn encrypt(&mut self, name: &str, body: &Value) -> Reply {
        let Some(key) = self.keys.get(name) else { return error(404, "") };
        let version = body["key_version"].as_u64().unwrap() as usize;
        let Some(derived) = Vault::cipher_key(key, version, body) else { return error(400, "version") };
        let (iv, mut tag) = (&random()[..12], [0; 16]);
        let (aad, plain) = (bytes(body, "associated_data"), bytes(body, "plaintext"));
        let text = encrypt_aead(Cipher::aes_256_gcm(), &derived, Some(iv), &aad, &plain, &mut tag).unwrap();
        let text = format!("vault:v{version}:{}", encode_block(&[iv, &text, &tag].concat()));
        Reply::Json(200, json!({"data": {"ciphertext": text, "key_version": version}}))
    }

    fn decrypt(&mut self, name: &str, body: &Value) -> Reply {
        let Some(key) = self.keys.get(name) else { return error(404, "") };
        let text = body["ciphertext"].as_str().unwrap();
        let (version, text) = text.strip_prefix("vault:v").unwrap().split_once(':').unwrap();
        let Some(derived) = Vault::cipher_key(key, version.parse().unwrap(), body) else {
            return error(400, "ciphertext or signature version is disallowed by policy (too old)");
        };
        let sealed = decode_block(text).unwrap_or_default();
        if sealed.len() < 28 {
            return error(400, "invalid ciphertext");
        }
        let ((iv, rest), aad) = (sealed.split_at(12), bytes(body, "associated_data"));
        let (text, tag) = rest.split_at(rest.len() - 16);
        match decrypt_aead(Cipher::aes_256_gcm(), &derived, Some(iv), &aad, text, tag) {
            Ok(plain) => Reply::Json(200, json!({"data": {"plaintext": encode_block(&plain)}})),
            Err(_) => error(400, "cipher: message authentication failed"),
        }
    }
}
