//! The transit engine of HashiCorp Vault and OpenBao: a derived, non-exportable AES-256-GCM key per key-encryption key,
//! which never leaves the vault. Every call names version, context and associated data; see their HTTP API, "Transit".

use std::path::PathBuf;

use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use schemas::id::Did;
use schemas::{Code, Digest, R, Refusal};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::json;
use zeroize::Zeroizing;

use super::outbound::{Answer, Asked, Limits, Outbound, Threads, secret_file};
use super::{KekRef, KeyBackend, Kind, enclosed};
use crate::secret::Secret;

const KEY_TYPE: &str = "aes256-gcm96";
/// The longest wrapped key that is kept or sent.
const WRAPPED_BYTES: usize = 1024;

/// The table `[transit]` of the configuration.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Base URL of the vault: `https:`, or `http:` to an agent on loopback; host and port only.
    pub url: String,
    /// File with the token, read anew for each call; mode 0600.
    pub token_file: PathBuf,
    /// PEM file of the authorities that may vouch for the vault; the machine's without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// Where the engine is mounted.
    #[serde(default = "defaults::mount")]
    pub mount: String,
    /// The vault's namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// What the names of keys begin with; a policy of the vault can name it.
    #[serde(default = "super::outbound::defaults::key_prefix")]
    pub key_prefix: String,
    /// Milliseconds of one attempt.
    #[serde(default = "super::outbound::defaults::timeout_ms")]
    pub timeout_ms: u32,
    /// Attempts in all; 429, 5xx and time-outs are tried again.
    #[serde(default = "super::outbound::defaults::attempts")]
    pub attempts: u32,
    /// Milliseconds before the second attempt, doubled for each further one.
    #[serde(default = "super::outbound::defaults::backoff_ms")]
    pub backoff_ms: u32,
}

mod defaults {
    pub fn mount() -> String {
        "transit".into()
    }
}

impl Settings {
    /// Refuses what would be unsafe or cannot work.
    pub fn check(&self) -> R<()> {
        let bad = |why: &str| Err(Refusal::new(Code::ConfigInvalid, format!("transit.{why}")).at("transit"));
        crate::config::loopback_or_tls(&self.url).map_err(|e| e.at("transit"))?;
        super::name::check_prefix(&self.key_prefix)?;
        let plain = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_/".contains(&b));
        if self.mount.is_empty() || !plain(&self.mount) || self.mount.starts_with('/') || self.mount.ends_with('/') {
            return bad("mount is letters, digits, - _ and /");
        }
        if self.namespace.as_ref().is_some_and(|name| name.is_empty() || !plain(name)) {
            return bad("namespace is letters, digits, - _ and /");
        }
        self.limits().check("transit")
    }

    fn limits(&self) -> Limits {
        Limits { timeout_ms: self.timeout_ms, attempts: self.attempts, backoff_ms: self.backoff_ms }
    }
}

/// The backend.
pub struct Transit {
    settings: Settings,
    outbound: Outbound,
    threads: Threads,
}

/// A key as the vault describes it.
#[derive(Deserialize)]
struct Described {
    #[serde(rename = "type")]
    kind: String,
    latest_version: u32,
    min_decryption_version: u32,
    #[serde(default)]
    min_available_version: u32,
    exportable: bool,
    allow_plaintext_backup: bool,
    derived: bool,
}

#[derive(Serialize)]
struct Sealing<'a> {
    plaintext: &'a str,
    context: String,
    associated_data: String,
    key_version: u32,
}

#[derive(Deserialize)]
struct Sealed {
    ciphertext: String,
}

#[derive(Deserialize)]
struct Opened {
    plaintext: String,
}

impl Transit {
    /// The backend with these settings. Asks nobody.
    pub fn new(settings: &Settings) -> R<Transit> {
        settings.check()?;
        let outbound = Outbound::new("the transit vault", settings.ca_file.as_deref(), None, settings.limits())?;
        Ok(Transit { settings: settings.clone(), outbound, threads: Threads::new()? })
    }

    fn headers(&self) -> R<HeaderMap> {
        let invalid = || Refusal::new(Code::ConfigInvalid, "a header of the vault cannot be made").at("transit");
        let token = secret_file(&self.settings.token_file, "transit.token_file")?;
        let mut token = HeaderValue::from_str(token.trim()).map_err(|_| invalid())?;
        token.set_sensitive(true);
        let mut headers = HeaderMap::new();
        headers.insert(HeaderName::from_static("x-vault-token"), token);
        headers.insert(HeaderName::from_static("x-vault-request"), HeaderValue::from_static("true"));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(name) = &self.settings.namespace {
            let name = HeaderValue::from_str(name).map_err(|_| invalid())?;
            headers.insert(HeaderName::from_static("x-vault-namespace"), name);
        }
        Ok(headers)
    }

    fn call(&self, method: Method, path: &str, body: Zeroizing<Vec<u8>>) -> R<Answer> {
        let url = format!("{}/v1/{path}", self.settings.url);
        let asked = Asked { method, url, headers: self.headers()?, body };
        let outbound = self.outbound.clone();
        self.outbound.wait(&self.threads, 1, async move { outbound.ask(&asked).await })
    }

    /// The path of an operation on a key. The name comes from a row with a MAC, and is checked all the same.
    fn at(&self, operation: &str, kek: &str) -> R<String> {
        super::name::check(kek)?;
        Ok(format!("{}/{operation}/{kek}", self.settings.mount))
    }

    fn get(&self, path: &str) -> R<Answer> {
        let answer = self.call(Method::GET, path, Zeroizing::default())?;
        if answer.status == 200 { Ok(answer) } else { Err(self.outbound.refused(answer.status)) }
    }

    fn send(&self, path: &str, body: &impl Serialize) -> R<Answer> {
        let body = serde_json::to_vec(body).map_err(|e| Refusal::new(Code::Internal, e.to_string()))?;
        self.call(Method::POST, path, Zeroizing::new(body))
    }

    fn post(&self, path: &str, body: &impl Serialize) -> R<Answer> {
        let answer = self.send(path, body)?;
        if (200..300).contains(&answer.status) { Ok(answer) } else { Err(self.outbound.refused(answer.status)) }
    }

    fn read<T: DeserializeOwned>(&self, answer: &Answer) -> R<T> {
        #[derive(Deserialize)]
        struct Data<T> {
            data: T,
        }
        let read: Data<T> = serde_json::from_slice(&answer.body)
            .map_err(|_| self.outbound.fault("gave an answer that cannot be read"))?;
        Ok(read.data)
    }

    fn described(&self, name: &str) -> R<Described> {
        let key: Described = self.read(&self.get(&self.at("keys", name)?)?)?;
        if key.kind != KEY_TYPE || !key.derived || key.exportable || key.allow_plaintext_backup {
            let did = format!("keeps a key that is no derived {KEY_TYPE}, or that may leave it");
            return Err(self.outbound.fault(&did));
        }
        Ok(key)
    }

    fn bound(aad: &[u8]) -> (String, String) {
        let encode = openssl::base64::encode_block;
        (encode(&Digest::of(aad).0), encode(aad))
    }
}

fn number(version: &str) -> R<u32> {
    version.parse().map_err(|_| Refusal::new(Code::KeyRowTampered, "a key-encryption key has no number"))
}

/// Requires that this is the text of a key wrapped under that version.
fn text_of<'a>(kek: &KekRef, wrapped: &'a [u8]) -> Option<&'a str> {
    let prefix = format!("vault:v{}:", kek.version);
    let text = std::str::from_utf8(wrapped).ok().filter(|text| text.len() <= WRAPPED_BYTES)?;
    let rest = text.strip_prefix(&prefix)?;
    let base64 = |b: u8| b.is_ascii_alphanumeric() || b"+/=".contains(&b);
    (!rest.is_empty() && rest.bytes().all(base64)).then_some(text)
}

impl KeyBackend for Transit {
    fn kind(&self) -> Kind {
        Kind::Transit
    }

    /// A key of a fresh name, so that nobody else's is taken over.
    fn create_kek(&self, _: &Did) -> R<KekRef> {
        let name = super::name::fresh(&self.settings.key_prefix)?;
        let body = json!({"type": KEY_TYPE, "derived": true, "exportable": false, "allow_plaintext_backup": false});
        self.post(&self.at("keys", &name)?, &body)?;
        if self.described(&name)?.latest_version != 1 {
            return Err(self.outbound.fault("had a key of a name that was just drawn"));
        }
        Ok(KekRef { name, version: "1".into(), kept: b"1".to_vec() })
    }

    /// Opens what it got before it gives it away: a key that cannot be opened again would be lost.
    fn wrap(&self, kek: &KekRef, key: &Secret, aad: &[u8]) -> R<Vec<u8>> {
        let plain = enclosed::enclose(kek, key, aad)?;
        let plain = Zeroizing::new(openssl::base64::encode_block(&plain));
        let (context, associated_data) = Transit::bound(aad);
        let body = Sealing { plaintext: &plain, context, associated_data, key_version: number(&kek.version)? };
        let sealed: Sealed = self.read(&self.post(&self.at("encrypt", &kek.name)?, &body)?)?;
        let wrapped = sealed.ciphertext.into_bytes();
        if text_of(kek, &wrapped).is_none() {
            return Err(self.outbound.fault("wrapped under another version than was named"));
        }
        let opened = self.unwrap(kek, &wrapped, aad)?;
        if !openssl::memcmp::eq(opened.expose(), key.expose()) {
            return Err(self.outbound.fault("wrapped something else than it was given"));
        }
        Ok(wrapped)
    }

    fn unwrap(&self, kek: &KekRef, wrapped: &[u8], aad: &[u8]) -> R<Secret> {
        let bad = || Refusal::new(Code::KeyRowTampered, "a wrapped key does not open");
        let text = text_of(kek, wrapped).ok_or_else(bad)?;
        let (context, associated) = Transit::bound(aad);
        let body = json!({"ciphertext": text, "context": context, "associated_data": associated});
        let answer = self.send(&self.at("decrypt", &kek.name)?, &body)?;
        match answer.status {
            200 => {}
            400 => return Err(bad()),
            status => return Err(self.outbound.refused(status)),
        }
        let plain = Zeroizing::new(self.read::<Opened>(&answer)?.plaintext);
        let plain = openssl::base64::decode_block(&plain).map_err(|_| self.outbound.fault("gave no Base64"))?;
        enclosed::disclose(kek, &Zeroizing::new(plain), aad)
    }

    /// The version before stays good. `kept` says from which number on versions are this row's: one that was made by a
    /// rotation that broke off goes with it.
    fn rotate(&self, kek: &KekRef) -> R<KekRef> {
        let before = number(&kek.version)?;
        self.post(&format!("{}/rotate", self.at("keys", &kek.name)?), &json!({}))?;
        let latest = self.described(&kek.name)?.latest_version;
        if latest <= before {
            return Err(self.outbound.fault("rotated no key"));
        }
        let kept = (before + 1).to_string().into_bytes();
        Ok(KekRef { name: kek.name.clone(), version: latest.to_string(), kept })
    }

    /// Trims the version away; the vault forgets its bytes. Refuses while an older version is in use, which would go too.
    fn destroy(&self, kek: &KekRef) -> R<()> {
        let ended = number(&kek.version)?;
        let first = number(std::str::from_utf8(&kek.kept).unwrap_or_default())?;
        let key = self.described(&kek.name)?;
        if key.min_available_version > ended {
            return Ok(());
        }
        if key.min_decryption_version < first {
            let sentence = "an older version of the key-encryption key is still there; end that one first";
            return Err(Refusal::new(Code::Unavailable, sentence));
        }
        if key.latest_version <= ended {
            return Err(self.outbound.fault("has no newer version of the key"));
        }
        let (at, next) = (self.at("keys", &kek.name)?, ended + 1);
        let least = json!({"min_decryption_version": next, "min_encryption_version": next});
        self.post(&format!("{at}/config"), &least)?;
        self.post(&format!("{at}/trim"), &json!({"min_available_version": next}))?;
        Ok(())
    }

    fn health(&self) -> R<()> {
        self.get("sys/health?standbyok=true&perfstandbyok=true").map(drop)
    }
}
