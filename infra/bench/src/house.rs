//! A contract service of this run with everybody in it: two SRO people, three providers, consumer, clean-room provider.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use contract_client::Client;
use schemas::id::Did;
use schemas::party::{Decision, Kind, ParticipantDecision};
use schemas::{Code, Document, Envelope, R, Refusal, Timestamp};
use serde_json::{Value, json};
use signing::{FileKey, Trust};

use crate::http::{Connection, render};
use crate::load::runtime;
use crate::papers::{self, Ground};
use crate::process::{Folder, Process, free_port, once, sibling};

/// A running service and its people.
pub struct House {
    /// The service.
    pub service: Process,
    /// Its port.
    pub port: u16,
    /// Its trust.
    pub trust: Trust,
    /// Its origin's host and port.
    pub host: String,
    /// A client of nobody.
    pub client: Client,
    /// The offers' providers.
    pub tdps: Vec<Arc<FileKey>>,
    /// The consumer.
    pub tdc: Arc<FileKey>,
    /// The clean-room provider.
    pub ccrp: Arc<FileKey>,
    /// What contracts are made of.
    pub ground: Ground,
    sro: [Arc<FileKey>; 2],
    // Last: the folder goes when the process has ended.
    folder: Folder,
}

/// Starts the service of this folder and waits until it takes connections.
fn serve(folder: &Path, port: u16) -> R<Process> {
    let mut serve = Command::new(sibling("contract-service")?);
    serve.arg("serve").arg("--config").arg(folder.join("sro").join("config.toml")).env("RUST_LOG", "warn");
    // Nobody is slowed down here: the load comes from one address and one holder.
    for class in ["ANONYMOUS_WRITES", "TOKENS", "APPLICATIONS", "READS", "WRITES"] {
        serve.env(format!("DEPA_CONTRACT_SERVICE__RATES__{class}"), "{ per_second = 0, burst = 0 }");
    }
    serve.env("DEPA_CONTRACT_SERVICE__WEBHOOKS__PING_SECONDS", "0");
    let mut service = Process::start("contract-service", &mut serve, &folder.join("service.log"))?;
    service.listening(port)?;
    Ok(service)
}

/// The time now, in whole seconds.
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_seconds(i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}

fn both<T: Document>(document: &T, sro: &[Arc<FileKey>; 2]) -> R<Envelope<T>> {
    let mut envelope = signing::sign(document, &*sro[0], now())?;
    envelope.signatures.push(signing::countersign(&envelope, &*sro[1], now())?);
    Ok(envelope)
}

impl House {
    /// Starts the service in a folder of its own and lets everybody in.
    pub fn open() -> R<House> {
        let folder = Folder::new()?;
        let (port, key) = (free_port()?, || FileKey::generate().map(Arc::new));
        let (sro, binary) = ([key()?, key()?], sibling("contract-service")?);
        let host = format!("localhost:{port}");
        let dir = folder.0.join("sro");
        let mut init = Command::new(&binary);
        init.arg("init").arg("--dir").arg(&dir).arg("--url").arg(format!("http://{host}"));
        for (name, key) in ["Asha", "Bela"].iter().zip(&sro) {
            init.arg("--sro").arg(format!("{name}={}", key.did()?));
        }
        once(&mut init)?;
        let service = serve(&folder.0, port)?;
        let client = Client::new(&format!("http://{host}"), None)?;
        let trust = client.trust()?;
        let (tdps, tdc, ccrp) = ([key()?, key()?, key()?], key()?, key()?);
        let names = ["First Hospital", "Second Clinic", "Third Laboratory"];
        for (tdp, name) in tdps.iter().zip(names) {
            admit(&client, &trust.registry, &sro, tdp, Kind::Tdp, name)?;
        }
        admit(&client, &trust.registry, &sro, &tdc, Kind::Tdc, "Research House")?;
        admit(&client, &trust.registry, &sro, &ccrp, Kind::Ccrp, "Cloud Rooms")?;
        let image_set = papers::image_set(&trust.registry, now());
        client.approve_image_set(&both(&image_set, &sro)?)?;
        let mut offers = Vec::new();
        for (n, tdp) in tdps.iter().enumerate() {
            let kms = FileKey::generate_for(&tdp.did()?)?;
            let offer = papers::offer(&trust.registry, tdp, &kms, n, now())?;
            let envelope = signing::sign(&offer, &**tdp, now())?;
            client.register_dataset(&envelope)?;
            offers.push((offer, envelope.digest()));
        }
        let ground = Ground {
            registry: trust.registry.clone(),
            offers,
            tdc: tdc.did()?,
            ccrp: ccrp.did()?,
            image_set: image_set.image_set_id,
        };
        let tdps = tdps.to_vec();
        Ok(House { service, port, trust, host, client, tdps, tdc, ccrp, ground, sro, folder })
    }

    /// Lets one more participant in.
    pub fn admit(&self, kind: Kind, name: &str) -> R<Arc<FileKey>> {
        let key = FileKey::generate().map(Arc::new)?;
        admit(&self.client, &self.trust.registry, &self.sro, &key, kind, name)?;
        Ok(key)
    }

    /// Ends the service without a word.
    pub fn kill(&mut self) -> R<()> {
        self.service.kill()
    }

    /// Starts the service again after [`House::kill`].
    pub fn start(&mut self) -> R<()> {
        self.service = serve(&self.folder.0, self.port)?;
        Ok(())
    }

    /// A ten-minute token of this holder.
    pub fn token(&self, key: &FileKey) -> R<String> {
        let jti = uuid::Uuid::now_v7().simple().to_string();
        let assertion = signing::token::assertion(key, &format!("http://{}", self.host), jti, now())?;
        let body = json!({
            "grant_type": "client_credentials", "client_assertion": assertion,
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        });
        let request = render("POST", "/oauth/token", &self.host, &[], body.to_string().as_bytes());
        let answer = runtime()?.block_on(async { Connection::open(self.port, 1).await?.send(&request).await })?;
        let value: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let token = value.get("access_token").and_then(Value::as_str).map(str::to_owned);
        token.ok_or_else(|| Refusal::new(Code::PeerFault, format!("no token: {value}")))
    }
}

fn admit(client: &Client, registry: &Did, sro: &[Arc<FileKey>; 2], key: &FileKey, kind: Kind, name: &str) -> R<()> {
    let application = signing::sign(&papers::participant(registry, key, kind, name, now())?, key, now())?;
    let participant_sha256 = application.digest();
    client.apply(&application)?;
    let decision = ParticipantDecision {
        schema: "participant-decision.v1".into(),
        registry: registry.clone(),
        participant: key.did()?,
        participant_sha256,
        decision: Decision::Verified,
        reason: "Made for measuring".into(),
        decided_at: now(),
    };
    client.decide(&both(&decision, sro)?).map(drop)
}
