//! The service as a process of its own: what other commands may do beside it, and that no answer leaves before its bytes
//! are on the disk.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use schemas::log::Checkpoint;
use schemas::party::{Kind, Participant};
use schemas::rules::LogSucceeded;
use schemas::{Envelope, R};
use signing::FileKey;

use crate::catcher::eventually;
use crate::drain::answered_at_the_end;
use crate::house::House;
use crate::http::{client, get, post};
use crate::papers;
use crate::process::{SERVICE, config, ready, serve, unserved};

fn command(house: &House, words: &[&str]) -> Output {
    Command::new(SERVICE).args(words).arg("--config").arg(config(house)).output().unwrap()
}

/// An application of somebody new, written now.
fn application(house: &House) -> Envelope<Participant> {
    let who = FileKey::generate().unwrap();
    let document = Participant { applied_at: house.now(), ..papers::participant(house, &who, Kind::Tdp) };
    house.sign(&document, &who)
}

fn apply(house: &House) -> R<()> {
    house.client.apply(&application(house)).map(drop)
}

/// Each SRO person's signature of a succession of this log, as files.
fn succession(house: &House) -> Vec<PathBuf> {
    let origin = house.config.origin().unwrap();
    let document = LogSucceeded {
        schema: "log-succeeded.v1".into(),
        registry: house.config.did().unwrap(),
        old_checkpoint: house.client.checkpoint().unwrap(),
        new_origin: format!("{origin}2"),
        new_key: None,
        old_origin: origin,
        kept: 1,
        reason: "to see whether it is refused".into(),
        at: house.now(),
    };
    let mut files = Vec::new();
    for (n, person) in house.sro.iter().enumerate() {
        let signed: Envelope<LogSucceeded> = house.sign(&document, person);
        files.push(house.dir.join(format!("by-{n}.json")));
        std::fs::write(&files[n], serde_json::to_vec(&signed).unwrap()).unwrap();
    }
    files
}

#[test]
fn beside_a_running_service_no_other_process_writes() {
    let house = unserved();
    let service = serve(&house, Command::new(SERVICE));
    apply(&house).unwrap();
    let backup = house.dir.join("beside.backup");
    let backup = backup.to_str().unwrap();
    let made = command(&house, &["backup", "--to", backup]);
    assert!(made.status.success(), "a backup only reads: {}", String::from_utf8_lossy(&made.stderr));
    let signed = succession(&house);
    let signed: Vec<&str> = signed.iter().map(|file| file.to_str().unwrap()).collect();
    let writers: [&[&str]; 4] = [
        &["verify-store"],
        &["serve"],
        &["restore", "--from", backup],
        &["succeed", "--signed", signed[0], "--signed", signed[1]],
    ];
    for words in writers {
        // A second service would bind another address first.
        let mut refused = Command::new(SERVICE);
        refused.env("DEPA_CONTRACT_SERVICE__BIND", "127.0.0.1:0").args(words).arg("--config").arg(config(&house));
        let refused = refused.output().unwrap();
        let told = String::from_utf8_lossy(&refused.stderr);
        assert_eq!(refused.status.code(), Some(1), "{words:?}: {told}");
        assert!(told.contains("STORE_IN_USE"), "{words:?}: {told}");
        assert!(told.contains(&format!("process {} (contract-service serve)", service.0.id())), "{words:?}: {told}");
        apply(&house).unwrap();
    }
    assert!(ready(&house), "nobody fenced the service");
    drop(service);
    let checked = command(&house, &["verify-store"]);
    assert!(checked.status.success(), "after kill -9: {}", String::from_utf8_lossy(&checked.stderr));
    let again = serve(&house, Command::new(SERVICE));
    apply(&house).unwrap();
    drop(again);
}

/// Told to end, the service answers what is under way, takes nothing new, lets go of its log and ends well.
#[test]
fn a_service_that_is_told_to_end_answers_what_is_under_way() {
    let house = unserved();
    let mut service = serve(&house, Command::new(SERVICE));
    let body = serde_json::to_vec(&application(&house)).unwrap();
    let address = house.url().trim_start_matches("http://").to_owned();
    let call = ("/v1/participants", &[("idempotency-key", "drain")][..]);
    let answer = answered_at_the_end(&mut service.0, &address, call, &body);
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    drop(service);
    let checked = command(&house, &["verify-store"]);
    assert!(checked.status.success(), "the log is let go: {}", String::from_utf8_lossy(&checked.stderr));
    let again = serve(&house, Command::new(SERVICE));
    let size = Checkpoint::parse(&house.client.checkpoint().unwrap()).unwrap().head.size;
    assert!(size > 2, "what was answered stands in the log: {size}");
    drop(again);
}

/// Who went round the lock took the log away: the service is not ready, signs nothing and writes nothing.
#[test]
fn a_service_whose_log_was_taken_over_is_not_ready() {
    let house = House::empty();
    assert!(ready(&house));
    std::fs::remove_file(house.config.data_dir.join("registry.sqlite.lock")).unwrap();
    let options = contract_service::keep::options(&house.config).unwrap();
    let other = registry::Registry::open(options, house.now()).unwrap();
    assert!(eventually(|| get(&house, "/readyz").send().unwrap().status() == 503));
    assert_eq!(get(&house, "/v1/status-list").send().unwrap().status(), 503);
    let body = serde_json::to_vec(&application(&house)).unwrap();
    let refused = post(&house, "/v1/participants", &body).send().unwrap();
    assert_eq!(refused.status(), 503);
    assert_eq!(get(&house, "/log/checkpoint").send().unwrap().status(), 200, "reads go on");
    assert_eq!(other.head().unwrap().size, 2);
}

/// Threats F4, of the whole service: between the write of an entry to the database and the answer that holds its receipt
/// stands a sync of the file that was written.
#[test]
fn no_answer_with_a_receipt_leaves_before_its_bytes_are_synced() {
    let house = unserved();
    let trace = house.dir.join("trace");
    let probe = Command::new("strace").args(["-f", "-o"]).arg(&trace).arg("true").stderr(Stdio::null()).status();
    if !probe.is_ok_and(|status| status.success()) {
        println!("NOT RUN no_answer_with_a_receipt_leaves_before_its_bytes_are_synced: strace may not trace here");
        return;
    }
    let mut strace = Command::new("strace");
    strace.args(["-f", "-y", "-s", "64", "-e"]);
    strace.arg("trace=write,writev,sendto,sendmsg,fsync,fdatasync,pwrite64,pwritev");
    strace.arg("-o").arg(&trace).arg(SERVICE);
    let service = serve(&house, strace);
    // One caller at a time, on one connection: with several, another commit's bytes would look like a failure.
    let calls = client();
    for _ in 0..20 {
        let request = calls.post(format!("{}/v1/participants", house.url())).json(&application(&house));
        let request = request.header("idempotency-key", uuid::Uuid::now_v7().to_string());
        assert_eq!(request.send().unwrap().status(), 201);
    }
    drop(service);
    let text = std::fs::read_to_string(&trace).unwrap();
    assert_eq!(judge(&text), (20, 0), "answers, and of these too early");
    let unsynced: String = text.lines().filter(|l| !l.contains("sync")).map(|l| format!("{l}\n")).collect();
    assert_eq!(judge(&unsynced), (20, 20), "the oracle sees a missing sync");
}

/// What `healthy` says of a configuration under this address, and its exit code.
fn healthy(config: &Path, words: &[&str], bind: Option<&str>) -> (Option<i32>, String) {
    let mut asked = Command::new(SERVICE);
    asked.arg("healthy").args(words).arg("--config").arg(config);
    bind.map(|bind| asked.env("DEPA_CONTRACT_SERVICE__BIND", bind));
    let done = asked.output().unwrap();
    let told = String::from_utf8([done.stdout, done.stderr].concat()).unwrap();
    assert_eq!(told.lines().count(), 1, "one sentence: {told}");
    (done.status.code(), told)
}

#[test]
fn healthy_asks_the_service_that_its_configuration_names() {
    let house = unserved();
    let file = config(&house);
    let (code, told) = healthy(&file, &[], None);
    assert!(code == Some(1) && told.contains("UNAVAILABLE") && told.contains("cannot be reached"), "{told}");
    let service = serve(&house, Command::new(SERVICE));
    let (code, told) = healthy(&file, &[], None);
    assert!(code == Some(0) && told.ends_with("/readyz answers that the service is well\n"), "{told}");
    // The environment counts as it does for serve; and no fault of the configuration ends with another number.
    for (words, bind, why) in [
        (&[][..], Some("127.0.0.1:0"), "names no port"),
        (&[][..], Some("\"0.0.0.0:80\""), "CONFIG_INVALID"),
        (&["--witness"][..], None, "CONFIG_INVALID"),
    ] {
        let (code, told) = healthy(&file, words, bind);
        assert!(code == Some(1) && told.contains(why), "{told}");
    }
    assert_eq!(healthy(&house.dir.join("nowhere.toml"), &[], None).0, Some(1));
    drop(service);
    assert_eq!(healthy(&file, &[], None).0, Some(1));
}

#[test]
fn healthy_asks_a_witness_too() {
    let house = House::empty();
    let trust = house.dir.join("sro/trust.json");
    let dir = house.dir.join("asked");
    let (witness, _) = contract_service::init_witness(&dir, "witness.example/asked", &[&trust]).unwrap();
    let running = contract_service::RunningWitness::start(&witness, contract_service::system_clock()).unwrap();
    let bind = running.url.strip_prefix("http://").unwrap().to_owned();
    let asked = || healthy(&dir.join("witness.toml"), &["--witness"], Some(&bind));
    let (code, told) = asked();
    assert!(code == Some(0) && told.contains("/livez"), "{told}");
    drop(running);
    assert_eq!(asked().0, Some(1));
}

/// Counts answers to posts in a trace, and those that left while a file of the database had bytes that were not synced.
fn judge(trace: &str) -> (u32, u32) {
    let (mut dirty, mut answers, mut early) = (false, 0, 0);
    for line in trace.lines() {
        let database = line.contains("registry.sqlite>") || line.contains("registry.sqlite-wal>");
        if line.contains("\"HTTP/1.1 201") {
            answers += 1;
            early += u32::from(dirty);
        } else if line.contains("sync resumed") || line.contains("sync(") && database && !line.contains("unfinished") {
            dirty = false;
        } else if line.contains("write") && database {
            dirty = true;
        }
    }
    (answers, early)
}
