//! The adapter as a process that is killed at random.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use payment_adapter::{Config, Engine};
use schemas::event::PaymentResult;
use schemas::{Code, Timestamp};
use serde_json::{Value, json};
use signing::webhook::{secret_text, sign};

use crate::drain::answered_at_the_end;
use crate::scene::{SECRET, SHARED, Scene, data};
use crate::systems::{Cards, Ending, Simulated, System, UpiServer, event};

const PATIENCE: Duration = Duration::from_secs(120);

struct Served {
    child: Child,
    url: String,
}

impl Served {
    fn start(config: &std::path::Path) -> Served {
        let mut command = Command::new(env!("CARGO_BIN_EXE_payment-adapter"));
        command.args(["serve", "--config"]).arg(config).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let said: Value = serde_json::from_str(&line).unwrap();
        Served { child, url: said["url"].as_str().unwrap().to_owned() }
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn now() -> Timestamp {
    (contract_client::system_clock())()
}

/// A delivery as the contract service would make it now: its headers and its body.
fn delivery(scene: &Scene, data: &Value) -> ([(&'static str, String); 3], Vec<u8>) {
    let body = serde_json::to_vec(&json!({"type": "payment.instructed", "data": data})).unwrap();
    let (id, at) = (format!("msg_{}", data["instruction_id"].as_str().unwrap()), now().seconds());
    let signature = sign(&id, at, &body, &secret_text(&SECRET), &scene.sender).unwrap();
    ([("webhook-id", id), ("webhook-timestamp", at.to_string()), ("webhook-signature", signature)], body)
}

/// Posts a delivery; whether it was acknowledged.
fn deliver(scene: &Scene, url: &str, data: &Value) -> bool {
    let (headers, body) = delivery(scene, data);
    let client = reqwest::blocking::Client::builder().no_proxy().timeout(Duration::from_secs(5)).build().unwrap();
    let request = client.post(format!("{url}/webhooks"));
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, value));
    request.body(body).send().is_ok_and(|answer| answer.status().is_success())
}

/// A configuration in a file, with this much haste.
fn written(scene: &Scene, config: Config) -> std::path::PathBuf {
    let path = scene.dir.join("adapter.toml");
    let config = Config { retry_seconds: vec![0], poll_seconds: 0, look_millis: 5, ..config };
    std::fs::write(&path, config.to_toml().unwrap()).unwrap();
    path
}

fn instructions(count: u8) -> Vec<Value> {
    let letter = |at: u8| char::from(b'A' + at % 26);
    let made = |at: u8| {
        let mut data = data('A', i64::from(at) + 1);
        data["instruction_id"] = json!(format!("{}{}", letter(at / 26), String::from(letter(at)).repeat(31)));
        data
    };
    (0..count).map(made).collect()
}

#[test]
fn through_fifty_random_kills_each_instruction_is_paid_once_and_answered_once() {
    let scene = Scene::new();
    let upi = UpiServer::start(Ending::Duplicate);
    let config = written(&scene, upi.config(&scene));
    let all = instructions(60);
    let id = |data: &Value| data["instruction_id"].as_str().unwrap().to_owned();
    let mut served = Some(Served::start(&config));
    let (mut waiting, mut kills): (Vec<&Value>, usize) = (all.iter().rev().collect(), 0);
    let began = Instant::now();
    loop {
        let running = served.take().unwrap_or_else(|| Served::start(&config));
        // Some deliveries; those that are not acknowledged come again.
        for _ in 0..3 {
            if let Some(data) = waiting.pop().filter(|data| !deliver(&scene, &running.url, data)) {
                waiting.push(data);
            }
        }
        if kills < 50 {
            let [random] = signing::signer::random::<1>().unwrap();
            std::thread::sleep(Duration::from_millis(u64::from(random) % 60));
            running.kill();
            kills += 1;
            continue;
        }
        let done = waiting.is_empty() && all.iter().all(|data| !scene.desk.results(&id(data)).is_empty());
        if done {
            break;
        }
        assert!(began.elapsed() < PATIENCE, "{} of {} answered", scene.desk.callbacks().len(), all.len());
        std::thread::sleep(Duration::from_millis(20));
        served = Some(running);
    }
    for data in &all {
        assert_eq!(upi.paid(&id(data)), 1, "{data}");
        assert_eq!(scene.desk.results(&id(data)), [PaymentResult::Settled], "{data}");
        let told = scene.desk.callbacks().into_iter().find(|c| c.instruction_id == id(data)).unwrap();
        assert_eq!(json!(told.amount_minor), data["amount_minor"]);
    }
    println!("50 kills, {} payments, each once; {} calls at the contract service", all.len(), scene.desk.calls());
    assert!(scene.desk.unmatched().is_empty());
}

#[test]
fn one_process_serves_a_folder_and_the_command_line_says_how_things_stand() {
    let scene = Scene::new();
    let config = written(&scene, Simulated::new(Ending::Settle).config(&scene));
    let served = Served::start(&config);
    assert!(deliver(&scene, &served.url, &data('A', 5)));
    let run = |args: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_payment-adapter"))
            .args(args)
            .arg("--config")
            .arg(&config)
            .output()
            .unwrap();
        let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
        (output.status.code().unwrap(), out, err)
    };
    let (code, _, err) = run(&["serve"]);
    assert_eq!(code, 1);
    assert!(err.contains(&Code::StoreInUse.to_string()), "{err}");
    let began = Instant::now();
    let shown = loop {
        let (code, out, err) = run(&["status", "--json"]);
        assert_eq!(code, 0, "{err}");
        let shown: Value = serde_json::from_str(&out).unwrap();
        if shown["instructions"][0]["state"] == "settled" && shown["answers_open"] == 0 {
            break shown;
        }
        assert!(began.elapsed() < PATIENCE, "{shown}");
    };
    assert_eq!(shown["instructions"].as_array().unwrap().len(), 1);
    let (_, text, _) = run(&["status"]);
    assert!(text.lines().any(|l| l.split_whitespace().eq(["settled", "1"])), "{text}");
    // Files are read while it serves; a bad one is refused with its code.
    let bad = scene.dir.join("bad.xml");
    std::fs::write(&bad, "<!DOCTYPE x><x/>").unwrap();
    let (code, _, err) = run(&["import", bad.to_str().unwrap()]);
    assert_eq!(code, 10);
    assert!(err.starts_with("PAYMENT_FILE"), "{err}");
    let (_, help, _) = run(&["--help"]);
    assert!(help.contains("Examples:"), "{help}");
    served.kill();
    // Nothing was told to the log but by the adapter's own key, and it stands there once.
    assert_eq!(scene.desk.results(&"A".repeat(32)), [PaymentResult::Settled]);
    let engine = Engine::open(&Config::load(&config, std::iter::empty()).unwrap(), scene.clock()).unwrap();
    assert_eq!(engine.status().unwrap().answers_refused, 0);
}

/// Told to end, the adapter answers the delivery that is under way, takes nothing new and ends well; what it acknowledged
/// is paid by the next one.
#[test]
fn an_adapter_that_is_told_to_end_answers_what_is_under_way() {
    let scene = Scene::new();
    let config = written(&scene, Simulated::new(Ending::Settle).config(&scene));
    let mut served = Served::start(&config);
    let (headers, body) = delivery(&scene, &data('A', 5));
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let address = served.url.strip_prefix("http://").unwrap().to_owned();
    let answer = answered_at_the_end(&mut served.child, &address, ("/webhooks", &headers), &body);
    assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");
    let next = Served::start(&config);
    let began = Instant::now();
    while scene.desk.results(&"A".repeat(32)) != [PaymentResult::Settled] {
        assert!(began.elapsed() < PATIENCE, "what was acknowledged is not paid");
        std::thread::sleep(Duration::from_millis(20));
    }
    next.kill();
}

#[test]
fn healthy_asks_the_adapter_that_its_configuration_names() {
    let scene = Scene::new();
    let config = written(&scene, Simulated::new(Ending::Settle).config(&scene));
    let served = Served::start(&config);
    let at = served.url.strip_prefix("http://").unwrap().to_owned();
    let asked = |bind: &str| {
        let mut healthy = Command::new(env!("CARGO_BIN_EXE_payment-adapter"));
        healthy.args(["healthy", "--config"]).arg(&config).env("DEPA_PAYMENTS__BIND", bind);
        let done = healthy.output().unwrap();
        let told = String::from_utf8([done.stdout, done.stderr].concat()).unwrap();
        assert_eq!(told.lines().count(), 1, "one sentence: {told}");
        (done.status.code(), told)
    };
    let (code, told) = asked(&at);
    assert!(code == Some(0) && told == format!("http://{at}/readyz answers that the service is well\n"), "{told}");
    for (bind, why) in [("127.0.0.1:0", "names no port"), ("192.0.2.1:80", "CONFIG_INVALID")] {
        let (code, told) = asked(bind);
        assert!(code == Some(1) && told.starts_with("UNAVAILABLE") && told.contains(why), "{told}");
    }
    served.kill();
    let (code, told) = asked(&at);
    assert!(code == Some(1) && told.contains("cannot be reached"), "{told}");
}

#[test]
fn no_secret_stands_in_the_log_at_its_most_talkative() {
    let scene = Scene::new();
    let cards = Cards::start(Ending::Settle);
    let config = written(&scene, cards.config(&scene));
    let log = scene.dir.join("log");
    let mut command = Command::new(env!("CARGO_BIN_EXE_payment-adapter"));
    command.args(["serve", "--config"]).arg(&config).env("RUST_LOG", "trace").stdout(Stdio::piped());
    let mut child = command.stderr(std::fs::File::create(&log).unwrap()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    let said: Value = serde_json::from_str(&line).unwrap();
    let served = Served { child, url: said["url"].as_str().unwrap().to_owned() };
    assert!(deliver(&scene, &served.url, &data('A', 5)));
    let began = Instant::now();
    while cards.made().is_empty() {
        assert!(began.elapsed() < PATIENCE);
        std::thread::sleep(Duration::from_millis(20));
    }
    // A call that is refused, and one that is not.
    let object = cards.made().remove(0);
    for (at, status) in [(0, 401), (now().seconds(), 204)] {
        let call = event("evt_1", "payment_intent.succeeded", &object, at);
        let client = reqwest::blocking::Client::builder().no_proxy().build().unwrap();
        let request =
            call.headers.iter().fold(client.post(format!("{}/events", served.url)), |r, (n, v)| r.header(n, v));
        assert_eq!(request.body(call.body.clone()).send().unwrap().status().as_u16(), status);
    }
    served.kill();
    let log = std::fs::read_to_string(log).unwrap();
    assert!(log.lines().count() > 20, "it is talkative: {log}");
    let key = std::fs::read_to_string(scene.dir.join("psp.key")).unwrap();
    let key: Value = serde_json::from_str(&key).unwrap();
    for secret in ["token-1", &secret_text(&SECRET), &secret_text(&SHARED), key["d"].as_str().unwrap()] {
        let secret = secret.trim_start_matches("whsec_");
        assert!(!log.contains(secret), "{secret} stands in the log");
    }
}
