//! A UPI-shaped server: one transaction for each reference, questions and calls.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use payment_adapter::Engine;
use payment_adapter::config::{Config, Kind, UpiSettings};
use schemas::R;
use serde_json::{Value, json};

use super::{Ending, System, hmac};
use crate::scene::{Scene, posted};
use crate::server::{Call, Server};

#[derive(Default)]
struct Kept {
    /// What was asked for, how often it was paid, questions, calls taken.
    all: BTreeMap<String, (Value, usize, usize, usize)>,
    lost: bool,
    posts: usize,
}

pub struct UpiServer {
    pub server: Server,
    kept: Arc<Mutex<Kept>>,
    ending: Ending,
}

impl UpiServer {
    pub fn start(ending: Ending) -> UpiServer {
        let kept = Arc::new(Mutex::new(Kept { lost: ending != Ending::Lose, ..Kept::default() }));
        let shared = Arc::clone(&kept);
        let server = Server::start(move |call| answer(&mut shared.lock().unwrap(), &call, ending));
        UpiServer { server, kept, ending }
    }

    /// How often it was asked to pay.
    pub fn posts(&self) -> usize {
        self.kept.lock().unwrap().posts
    }

    pub fn paths(&self) -> Vec<Value> {
        self.kept.lock().unwrap().all.values().map(|(asked, ..)| asked.clone()).collect()
    }
}

fn shown(reference: &str, asked: &Value, status: &str) -> Value {
    json!({"reference": reference, "txn_id": format!("upi-{reference}"), "status": status, "amount": asked["amount"],
        "currency": "INR", "message": "as played"})
}

fn answer(kept: &mut Kept, call: &Call, ending: Ending) -> (u16, String) {
    assert_eq!(call.header("authorization"), Some("Bearer token-1"));
    if let Some(reference) = call.path.strip_prefix("/v1/transactions/") {
        let Some((asked, _, questions, _)) = kept.all.get_mut(reference) else { return (404, "{}".into()) };
        *questions += 1;
        let wait = if ending == Ending::Delay { 6 } else { 2 };
        let last = if ending == Ending::Fail { "FAILURE" } else { "SUCCESS" };
        let status = if *questions < wait { "ACCEPTED" } else { last };
        return (200, shown(reference, asked, status).to_string());
    }
    kept.posts += 1;
    let mut asked: Value = serde_json::from_slice(&call.body).unwrap();
    asked["path"] = json!(call.path);
    let reference = asked["reference"].as_str().unwrap().to_owned();
    let known = kept.all.entry(reference.clone()).or_insert_with(|| (asked.clone(), 1, 0, 0));
    if known.0 != asked {
        return (409, "{}".into());
    }
    if !std::mem::replace(&mut kept.lost, true) {
        return (502, String::new());
    }
    (201, shown(&reference, &asked, "PENDING").to_string())
}

impl System for UpiServer {
    fn name(&self) -> &'static str {
        "upi"
    }

    fn config(&self, scene: &Scene) -> Config {
        let own = toml::from_str("name = \"Payments Ltd\"\nvpa = \"payments@okbank\"").unwrap();
        let upi = UpiSettings {
            url: self.server.url.clone(),
            token_file: scene.dir.join("token"),
            secret_file: scene.dir.join("shared.secret"),
            own,
        };
        Config { upi: Some(upi), ..scene.config(Kind::Upi) }
    }

    fn paid(&self, id: &str) -> usize {
        self.kept.lock().unwrap().all.get(id).map_or(0, |(_, count, ..)| *count)
    }

    fn tell(&self, scene: &Scene, engine: &Engine) -> R<()> {
        let words: &[&str] = match self.ending {
            Ending::Return => &["SUCCESS", "REVERSED"],
            Ending::Duplicate => &["SUCCESS", "SUCCESS", "ACCEPTED"],
            _ => return Ok(()),
        };
        let open: Vec<(String, Value, usize)> = {
            let kept = self.kept.lock().unwrap();
            kept.all.iter().map(|(reference, (asked, _, _, said))| (reference.clone(), asked.clone(), *said)).collect()
        };
        for (reference, asked, said) in open {
            for (at, status) in words.iter().enumerate().skip(said) {
                let body = serde_json::to_vec(&shown(&reference, &asked, status)).unwrap();
                let time = scene.now().seconds().to_string();
                let secret = signing::webhook::secret_text(&crate::scene::SHARED);
                let signature = hmac(secret.as_bytes(), &[time.as_bytes(), b".", &body].concat());
                engine.hear(&posted(&[("x-timestamp", &time), ("x-signature", &signature)], body))?;
                self.kept.lock().unwrap().all.get_mut(&reference).unwrap().3 = at + 1;
            }
        }
        Ok(())
    }
}
