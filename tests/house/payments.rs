//! A payment service provider that runs the payment adapter: from a completed run to payments that stand in the log.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use demo::house::process::sibling;
use demo::{House, data};
use schemas::contract::ContractRef;
use serde_json::Value;

use crate::{echo_worker, not_run};

const PATIENCE: Duration = Duration::from_secs(120);
/// How long a delivery is held while nobody takes it; the contract service waits 15 s.
const HELD: Duration = Duration::from_secs(12);

/// What stands before the adapter: it holds a delivery while the adapter is being restarted, and brings each twice.
struct Ingress {
    url: String,
    behind: Arc<Mutex<String>>,
    stop: Arc<AtomicBool>,
}

impl Ingress {
    fn start() -> Ingress {
        let server = Arc::new(tiny_http::Server::http("127.0.0.1:0").unwrap());
        let url = format!("http://localhost:{}", server.server_addr().to_ip().unwrap().port());
        let (behind, stop) = (Arc::new(Mutex::new(String::new())), Arc::new(AtomicBool::new(false)));
        // Deliveries come side by side.
        for _ in 0..4 {
            let (server, behind, stop) = (Arc::clone(&server), Arc::clone(&behind), Arc::clone(&stop));
            std::thread::spawn(move || {
                while !stop.load(Ordering::SeqCst) {
                    let Ok(Some(request)) = server.recv_timeout(Duration::from_millis(50)) else { continue };
                    pass_on(request, &behind);
                }
            });
        }
        Ingress { url, behind, stop }
    }
}

impl Drop for Ingress {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
    }
}

fn pass_on(mut request: tiny_http::Request, behind: &Mutex<String>) {
    let mut body = Vec::new();
    request.as_reader().read_to_end(&mut body).unwrap();
    let client = reqwest::blocking::Client::builder().no_proxy().timeout(Duration::from_secs(3)).build().unwrap();
    let (mut taken, began) = (0, Instant::now());
    while taken < 2 && began.elapsed() < HELD {
        let url = format!("{}/webhooks", behind.lock().unwrap().clone());
        let signed = |name: &str| {
            let header = request.headers().iter().find(|h| h.field.as_str().as_str().eq_ignore_ascii_case(name));
            header.map(|h| h.value.as_str().to_owned()).unwrap_or_default()
        };
        let call = ["webhook-id", "webhook-timestamp", "webhook-signature"]
            .iter()
            .fold(client.post(url), |call, name| call.header(*name, signed(name)));
        if call.body(body.clone()).send().is_ok_and(|answer| answer.status().is_success()) {
            taken += 1;
        } else {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    let _ = request.respond(tiny_http::Response::empty(if taken > 0 { 204 } else { 503 }));
}

struct Adapter(Child);

impl Adapter {
    fn start(binary: &Path, config: &Path, ingress: &Ingress) -> Adapter {
        let mut command = Command::new(binary);
        command.args(["serve", "--config"]).arg(config).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let said: Value = serde_json::from_str(&line).unwrap();
        *ingress.behind.lock().unwrap() = said["url"].as_str().unwrap().to_owned();
        Adapter(child)
    }
}

impl Drop for Adapter {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A run that completed in a house of its own, and a provider whose adapter is configured and not started.
struct Owed {
    house: House,
    contract: ContractRef,
    ingress: Ingress,
    config: PathBuf,
}

/// Everybody goes by the machine's clock, since the adapter is a process of its own.
fn owed(script: &[&str]) -> Owed {
    let tables = data::generate(data::SEED, 300);
    let mut house = House::in_process(contract_client::system_clock(), echo_worker()).unwrap();
    house.verify_participants().unwrap();
    house.approve_room().unwrap();
    let ingress = Ingress::start();
    house.psp.subscribe(&format!("{}/webhooks", ingress.url)).unwrap();
    house.seal_and_offer(&tables).unwrap();
    let contract = house.active_contract().unwrap();
    let job = house.job_with(&contract.id, |_| {}).unwrap();
    house.order_and_run(&job.bundle).unwrap();

    let dir = house.psp.person.dir.join("adapter");
    std::fs::create_dir_all(&dir).unwrap();
    let config = dir.join("payment-adapter.toml");
    let text = format!(
        "profile = \"demo\"\ncontract_service = {:?}\ntrust = {:?}\nkey_file = {:?}\nendpoint_files = [{:?}]\n\
         bind = \"127.0.0.1:0\"\ndata_dir = \"data\"\nretry_seconds = [0]\npoll_seconds = 0\nlook_millis = 5\n\
         provider = \"recording\"\n[recording]\njournal = \"recording.jsonl\"\nscript = {script:?}\n",
        house.url,
        house.trust_file,
        house.psp.person.key_file(),
        house.psp.endpoint_file(),
    );
    std::fs::write(&config, text).unwrap();
    Owed { house, contract, ingress, config }
}

/// What the payment system paid, by instruction.
fn paid(owed: &Owed) -> BTreeMap<String, Vec<i64>> {
    let journal = std::fs::read_to_string(owed.config.with_file_name("recording.jsonl")).unwrap();
    let mut paid: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for line in journal.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
        if line["what"] == "paid" {
            let id = line["id"].as_str().unwrap().to_owned();
            paid.entry(id).or_default().push(line["amount_minor"].as_i64().unwrap());
        }
    }
    paid
}

#[test]
#[ignore = "long: a house and a process that is killed; not in the gate"]
fn a_completed_run_is_paid_once_through_fifty_kills_of_the_payment_adapter() {
    let name = "a_completed_run_is_paid_once_through_fifty_kills_of_the_payment_adapter";
    let Ok(binary) = sibling("payment-adapter") else { return not_run(name, "payment-adapter is not built") };
    let owed = owed(&["refuse 3", "lose", "delay 9", "duplicate"]);
    for _ in 0..50 {
        let adapter = Adapter::start(&binary, &owed.config, &owed.ingress);
        let [random] = signing::signer::random::<1>().unwrap();
        std::thread::sleep(Duration::from_millis(u64::from(random) / 2));
        // SIGKILL.
        drop(adapter);
    }
    let _adapter = Adapter::start(&binary, &owed.config, &owed.ingress);
    let settled = owed.house.wait_until_settled(&owed.contract.id, PATIENCE).unwrap();
    let paid = paid(&owed);
    assert_eq!(paid.len(), settled.len());
    assert!(!settled.is_empty());
    for payment in &settled {
        let amounts = paid.get(&payment.instruction_id);
        assert_eq!(amounts, Some(&vec![payment.amount_minor.get()]), "{}", payment.instruction_id);
    }
    println!("50 kills; {} payments of one run, each once", settled.len());
}

#[test]
fn money_that_came_back_is_due_again_in_the_log() {
    let name = "money_that_came_back_is_due_again_in_the_log";
    let Ok(binary) = sibling("payment-adapter") else { return not_run(name, "payment-adapter is not built") };
    let owed = owed(&["return"]);
    let _adapter = Adapter::start(&binary, &owed.config, &owed.ingress);
    let began = Instant::now();
    loop {
        let desk = owed.house.tdc.person.desk().unwrap();
        let payments = depa::payment::list(desk, Some(&owed.contract.id)).unwrap();
        let states: Vec<&str> = payments.iter().map(|p| p.state.as_str()).collect();
        if !states.is_empty() && states.iter().all(|state| *state == "due") {
            assert!(
                payments.iter().all(|p| p.standing.as_deref() == Some("returned")),
                "it did not fail: it came back"
            );
            break;
        }
        assert!(began.elapsed() < PATIENCE, "{states:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(paid(&owed).values().all(|amounts| amounts.len() == 1));
}

#[test]
fn money_that_fits_no_instruction_lies_in_suspense_under_a_dispute() {
    let name = "money_that_fits_no_instruction_lies_in_suspense_under_a_dispute";
    let Ok(binary) = sibling("payment-adapter") else { return not_run(name, "payment-adapter is not built") };
    let owed = owed(&["other_amount"]);
    let _adapter = Adapter::start(&binary, &owed.config, &owed.ingress);
    let list = || depa::payment::list(owed.house.tdc.person.desk().unwrap(), Some(&owed.contract.id)).unwrap();
    let expected = list().len();
    assert!(expected > 0);
    let began = Instant::now();
    loop {
        let disputes = owed.house.psp.person.desk().unwrap().disputes(None).unwrap().disputes;
        if disputes.len() == expected {
            break;
        }
        assert!(began.elapsed() < PATIENCE, "{} of {expected}", disputes.len());
        std::thread::sleep(Duration::from_millis(50));
    }
    // Nothing counts as paid by it.
    assert!(list().iter().all(|payment| payment.state == "instructed"));
}
