//! A payment system that speaks signed webhooks.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use payment_adapter::Engine;
use payment_adapter::config::{Config, Kind, WebhookSettings};
use schemas::{R, Signer as _};
use serde_json::{Value, json};
use signing::webhook::{Verifier, public_text, secret_text, sign, verify};

use super::{Ending, System};
use crate::scene::{SHARED, Scene, posted};
use crate::server::Server;

#[derive(Default)]
struct Kept {
    /// Instruction, how often it was paid, answers said and taken.
    paid: BTreeMap<String, (Value, usize, usize)>,
    rounds: usize,
}

pub struct Hooks {
    server: Server,
    kept: Arc<Mutex<Kept>>,
    ending: Ending,
}

impl Hooks {
    pub fn start(scene: &Scene, ending: Ending) -> Hooks {
        let kept = Arc::new(Mutex::new(Kept::default()));
        let (shared, clock) = (Arc::clone(&kept), scene.clock());
        let public = public_text(scene.key.jwk()).unwrap();
        let lost = Mutex::new(ending == Ending::Lose);
        let server = Server::start(move |call| {
            let header = |name| call.header(name).unwrap();
            let (id, at, signature) = (header("webhook-id"), header("webhook-timestamp"), header("webhook-signature"));
            for check in [Verifier::Secret(&secret_text(&SHARED)), Verifier::Public(&public)] {
                verify(&check, id, at, signature, &call.body, clock()).unwrap();
            }
            let body: Value = serde_json::from_slice(&call.body).unwrap();
            let data = body["data"].clone();
            assert_eq!(id, format!("pay_{}", data["instruction_id"].as_str().unwrap()));
            // Each webhook-id counts once.
            shared.lock().unwrap().paid.entry(id.to_owned()).or_insert((data, 1, 0));
            if std::mem::take(&mut *lost.lock().unwrap()) { (502, String::new()) } else { (202, String::new()) }
        });
        Hooks { server, kept, ending }
    }
}

impl System for Hooks {
    fn name(&self) -> &'static str {
        "webhook"
    }

    fn config(&self, scene: &Scene) -> Config {
        let webhook = WebhookSettings { url: self.server.url.clone(), secret_file: scene.dir.join("shared.secret") };
        Config { webhook: Some(webhook), ..scene.config(Kind::Webhook) }
    }

    fn paid(&self, id: &str) -> usize {
        self.kept.lock().unwrap().paid.get(&format!("pay_{id}")).map_or(0, |(_, count, _)| *count)
    }

    fn tell(&self, scene: &Scene, engine: &Engine) -> R<()> {
        let words: &[&str] = match self.ending {
            Ending::Settle | Ending::Delay | Ending::Lose => &["accepted", "settled"],
            Ending::Fail => &["failed"],
            Ending::Return => &["settled", "returned"],
            Ending::Duplicate => &["settled", "settled", "accepted"],
        };
        self.kept.lock().unwrap().rounds += 1;
        if self.ending == Ending::Delay && self.kept.lock().unwrap().rounds < 6 {
            return Ok(());
        }
        let open: Vec<(String, Value, usize)> = self
            .kept
            .lock()
            .unwrap()
            .paid
            .iter()
            .map(|(id, (data, _, said))| (id.clone(), data.clone(), *said))
            .collect();
        for (id, data, said) in open {
            for (at, word) in words.iter().enumerate().skip(said) {
                let data = json!({"instruction_id": data["instruction_id"], "reference": format!("bank-{id}"),
                    "amount_minor": data["amount_minor"], "currency": data["currency"]});
                let body = serde_json::to_vec(&json!({"type": format!("payment.{word}"), "data": data})).unwrap();
                // A repetition has an id of its own: it is recognised by what it says.
                let (event, time) = (format!("evt_{at}_{id}"), scene.now().seconds());
                let signature = sign(&event, time, &body, &secret_text(&SHARED), &scene.key).unwrap();
                let time = time.to_string();
                let headers =
                    [("webhook-id", &*event), ("webhook-timestamp", &*time), ("webhook-signature", &*signature)];
                engine.hear(&posted(&headers, body))?;
                self.kept.lock().unwrap().paid.get_mut(&id).unwrap().2 = at + 1;
            }
        }
        Ok(())
    }
}
