//! A provider's folder, a clock that the test moves, and messages as the contract service signs them.

use std::fs;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use contract_client::Clock;
use payment_adapter::config::{Config, Kind, Profile};
use payment_adapter::provider::Posted;
use schemas::desk::EndpointCreated;
use schemas::id::Did;
use schemas::{Signer as _, Timestamp};
use serde_json::{Value, json};
use signing::webhook::{public_text, secret_text, sign};
use signing::{FileKey, Trust};

use crate::desk::Desk;

pub const SECRET: [u8; 32] = [7; 32];
/// The secret that adapter and payment system share.
pub const SHARED: [u8; 32] = [9; 32];

pub fn registry() -> Did {
    Did::parse("did:web:sro.example").unwrap()
}

pub struct Scene {
    pub dir: PathBuf,
    pub desk: Desk,
    /// The contract service's key for this endpoint.
    pub sender: FileKey,
    /// The provider's own key.
    pub key: FileKey,
    seconds: Arc<AtomicI64>,
}

impl Scene {
    pub fn new() -> Scene {
        let dir = std::env::temp_dir().join(format!("payment-adapter-{}", uuid::Uuid::now_v7()));
        fs::create_dir_all(&dir).unwrap();
        let key = FileKey::generate().unwrap();
        key.save(&dir.join("psp.key")).unwrap();
        let sender = FileKey::generate().unwrap();
        let endpoint = EndpointCreated {
            endpoint_id: "whe_01900000-0000-7000-8000-000000000001".parse().unwrap(),
            secret: secret_text(&SECRET),
            public_key: public_text(sender.jwk()).unwrap(),
        };
        private(&dir.join("endpoint.json"), &serde_json::to_string(&endpoint).unwrap());
        private(&dir.join("shared.secret"), &secret_text(&SHARED));
        private(&dir.join("token"), "token-1");
        fs::write(dir.join("accounts.toml"), ACCOUNTS).unwrap();
        let trust = Trust {
            registry: registry(),
            registry_jwk: FileKey::generate().unwrap().jwk().clone(),
            origin: "sro.example/log".into(),
            sro: Vec::new(),
            witnesses: Vec::new(),
            quorum: 0,
            lineage: Default::default(),
        };
        fs::write(dir.join("trust.json"), serde_json::to_string(&trust).unwrap()).unwrap();
        let desk = Desk::open(key.jwk().clone());
        Scene { dir, desk, sender, key, seconds: Arc::new(AtomicI64::new(1_796_083_200)) }
    }

    pub fn clock(&self) -> Clock {
        let seconds = Arc::clone(&self.seconds);
        Arc::new(move || Timestamp::from_seconds(seconds.load(Ordering::SeqCst)))
    }

    pub fn now(&self) -> Timestamp {
        (self.clock())()
    }

    pub fn advance(&self, seconds: i64) {
        self.seconds.fetch_add(seconds, Ordering::SeqCst);
    }

    /// A configuration without the table of its payment system.
    pub fn config(&self, provider: Kind) -> Config {
        Config {
            profile: Profile::Demo,
            contract_service: self.desk.server.url.clone(),
            ca_file: None,
            trust: self.dir.join("trust.json"),
            key_file: self.dir.join("psp.key"),
            endpoint_files: vec![self.dir.join("endpoint.json")],
            bind: ([127, 0, 0, 1], 0).into(),
            metrics_bind: None,
            data_dir: self.dir.join("data"),
            accounts_file: Some(self.dir.join("accounts.toml")),
            wait_until_due: false,
            retry_seconds: vec![1],
            poll_seconds: 1,
            look_millis: 5,
            import_bytes: 1024 * 1024,
            telemetry: Default::default(),
            provider,
            webhook: None,
            pain001: None,
            upi: None,
            card_like: None,
            recording: None,
        }
    }

    /// A message as the contract service posts it.
    pub fn message(&self, id: &str, body: &Value) -> Posted {
        let at = self.now().seconds();
        let body = serde_json::to_vec(body).unwrap();
        let signature = sign(id, at, &body, &secret_text(&SECRET), &self.sender).unwrap();
        posted(&[("webhook-id", id), ("webhook-timestamp", &at.to_string()), ("webhook-signature", &signature)], body)
    }

    /// The message that instructs.
    pub fn instructs(&self, data: &Value) -> Posted {
        let id = format!("msg_{}", data["instruction_id"].as_str().unwrap());
        // A message keeps its bytes however often it is delivered.
        let first = "2026-12-01T00:00:00Z";
        self.message(&id, &json!({"type": "payment.instructed", "timestamp": first, "data": data}))
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

pub fn posted(headers: &[(&str, &str)], body: Vec<u8>) -> Posted {
    Posted { headers: headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(), body }
}

/// The `data` of an instruction; its id is made of the letter.
pub fn data(letter: char, amount: i64) -> Value {
    json!({
        "instruction_id": String::from(letter).repeat(32), "payer": "did:web:tdc.example", "payee": "did:web:tdp.example",
        "currency": "INR", "amount_minor": amount, "term_id": "p1",
        "contract": {"id": "ctr_01900000-0000-7000-8000-000000000001", "sha256": "00".repeat(32)},
    })
}

pub fn private(path: &Path, text: &str) {
    use std::io::Write as _;
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

pub const ACCOUNTS: &str = r#"
["did:web:tdc.example"]
name = "Models & Sons"
number = "99887766"
ifsc = "ICIC0000001"
vpa = "models@okbank"
payment_method = "pm_1"

["did:web:tdp.example"]
name = "Laboratories"
iban = "DE89370400440532013000"
bic = "COBADEFFXXX"
vpa = "labs@okbank"
destination = "acct_1"
"#;
