//! A card-shaped server: idempotency keys that it may forget, search by metadata, signed events.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use payment_adapter::Engine;
use payment_adapter::config::{CardSettings, Config, Kind};
use schemas::R;
use serde_json::{Value, json};

use super::{Ending, System, hmac};
use crate::scene::{Scene, posted};
use crate::server::{Call, Server};

#[derive(Default)]
struct Kept {
    /// Objects by their id, in the order in which they were made.
    made: Vec<Value>,
    /// Idempotency keys with the form that they came with, and the object that was made.
    keys: BTreeMap<String, (String, String)>,
    /// Events taken for each object.
    said: BTreeMap<String, usize>,
    lost: bool,
    forgets: bool,
    rounds: usize,
}

pub struct Cards {
    server: Server,
    kept: Arc<Mutex<Kept>>,
    ending: Ending,
}

impl Cards {
    pub fn start(ending: Ending) -> Cards {
        let kept = Arc::new(Mutex::new(Kept { lost: ending != Ending::Lose, ..Kept::default() }));
        let shared = Arc::clone(&kept);
        let server = Server::start(move |call| answer(&mut shared.lock().unwrap(), &call));
        Cards { server, kept, ending }
    }

    /// Idempotency keys are forgotten at once, as after a day.
    pub fn forgets(&self) {
        self.kept.lock().unwrap().forgets = true;
    }

    /// What was made.
    pub fn made(&self) -> Vec<Value> {
        self.kept.lock().unwrap().made.clone()
    }
}

fn form(body: &str) -> BTreeMap<String, String> {
    let url = reqwest::Url::parse(&format!("http://localhost/?{body}")).unwrap();
    url.query_pairs().map(|(n, v)| (n.into_owned(), v.into_owned())).collect()
}

fn answer(kept: &mut Kept, call: &Call) -> (u16, String) {
    assert_eq!(call.header("authorization"), Some("Bearer token-1"));
    let (path, query) = call.path.split_once('?').unwrap_or((&call.path, ""));
    let parts: Vec<&str> = path.trim_start_matches("/v1/").split('/').collect();
    if call.method == "GET" && parts[1] == "search" {
        let query = form(query)["query"].clone();
        let id = query.strip_prefix("metadata['instruction_id']:'").unwrap().trim_end_matches('\'').to_owned();
        let found: Vec<&Value> =
            kept.made.iter().filter(|o| o["metadata"]["instruction_id"] == id && o["in"] == parts[0]).collect();
        return (200, json!({"data": found}).to_string());
    }
    if call.method == "GET" {
        let found = kept.made.iter().find(|o| o["id"] == parts[1]).unwrap();
        return (200, found.to_string());
    }
    let text = String::from_utf8(call.body.clone()).unwrap();
    let key = call.header("idempotency-key").unwrap().to_owned();
    if let Some((before, id)) = kept.keys.get(&key).filter(|_| !kept.forgets) {
        if *before != text {
            return (400, json!({"error": {"type": "idempotency_error"}}).to_string());
        }
        return (200, kept.made.iter().find(|o| o["id"] == **id).unwrap().to_string());
    }
    let form = form(&text);
    let id = format!("{}_{}", &parts[0][..2], kept.made.len());
    let member = |name: &str| form.get(name).cloned();
    let status = (parts[0] != "transfers").then_some("processing");
    kept.made.push(json!({
        "id": id, "in": parts[0], "amount": form["amount"].parse::<i64>().unwrap(), "status": status,
        "currency": member("currency").unwrap_or("inr".into()), "destination": member("destination"),
        "payment_intent": member("payment_intent"), "transfer_to": member("transfer_data[destination]"),
        "metadata": {"instruction_id": form["metadata[instruction_id]"]}, "weight": 0.5,
    }));
    kept.keys.insert(key, (text, id));
    if !std::mem::replace(&mut kept.lost, true) {
        return (502, String::new());
    }
    (200, kept.made.last().unwrap().to_string())
}

/// An event with its signature at this time.
pub fn event(id: &str, kind: &str, object: &Value, seconds: i64) -> payment_adapter::provider::Posted {
    let body = serde_json::to_vec(&json!({"id": id, "type": kind, "data": {"object": object}})).unwrap();
    let secret = signing::webhook::secret_text(&crate::scene::SHARED);
    let code = hmac(secret.as_bytes(), &[seconds.to_string().as_bytes(), b".", &body].concat());
    posted(&[("stripe-signature", &format!("t={seconds},v1={},v1={code}", "0".repeat(64)))], body)
}

impl System for Cards {
    fn name(&self) -> &'static str {
        "card_like"
    }

    fn config(&self, scene: &Scene) -> Config {
        let cards = CardSettings {
            url: self.server.url.clone(),
            key_file: scene.dir.join("token"),
            secret_file: scene.dir.join("shared.secret"),
        };
        Config { card_like: Some(cards), ..scene.config(Kind::CardLike) }
    }

    fn paid(&self, id: &str) -> usize {
        self.made().iter().filter(|o| o["metadata"]["instruction_id"] == id).count()
    }

    fn tell(&self, scene: &Scene, engine: &Engine) -> R<()> {
        let words: &[(&str, &str)] = match self.ending {
            Ending::Settle | Ending::Delay | Ending::Lose => &[("payment_intent.succeeded", "succeeded")],
            Ending::Fail => &[("payment_intent.payment_failed", "requires_payment_method")],
            Ending::Return => &[("payment_intent.succeeded", "succeeded"), ("charge.refunded", "succeeded")],
            Ending::Duplicate => &[
                ("payment_intent.succeeded", "succeeded"),
                ("payment_intent.succeeded", "succeeded"),
                ("payment_intent.processing", "processing"),
            ],
        };
        self.kept.lock().unwrap().rounds += 1;
        if self.ending == Ending::Delay && self.kept.lock().unwrap().rounds < 6 {
            return Ok(());
        }
        for made in self.made() {
            let id = made["id"].as_str().unwrap().to_owned();
            let said = self.kept.lock().unwrap().said.get(&id).copied().unwrap_or(0);
            for (at, (kind, status)) in words.iter().enumerate().skip(said) {
                let mut object = made.clone();
                object["status"] = json!(status);
                if *kind == "payment_intent.payment_failed" {
                    object["last_payment_error"] = json!({"message": "Your card was declined."});
                }
                if *kind == "charge.refunded" {
                    object = json!({"id": "ch_1", "payment_intent": id, "amount": made["amount"],
                        "amount_refunded": made["amount"], "currency": made["currency"], "metadata": made["metadata"]});
                } else if let Some(kept) = self.kept.lock().unwrap().made.iter_mut().find(|o| o["id"] == *id) {
                    kept["status"] = json!(status);
                }
                engine.hear(&event(&format!("evt_{id}_{at}"), kind, &object, scene.now().seconds()))?;
                self.kept.lock().unwrap().said.insert(id.clone(), at + 1);
            }
        }
        Ok(())
    }
}
