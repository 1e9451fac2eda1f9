//! What services of earlier releases left on the disk is opened by services of today: they carry the stores along, everything
//! reads as it was, the log goes on from the head that an auditor took then, and new entries are written.
//!
//! `tests/upgrade/make.sh` makes a fixture of each release. Addresses are part of what was signed, so the services come
//! up at the very ports of then; where somebody else has one of them for long, the test says NOT RUN.

use std::fs;
use std::io::BufReader;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use contract_client::Client;
use demo::house::process::{Process, once, sibling};
use depa::dataset::kms::Kms;
use depa::kms::ledger;
use depa::party::Applicant;
use schemas::Code;
use schemas::contract::ContractRef;
use schemas::id::{ContractId, RunId};
use schemas::party::Kind;
use schemas::release::ChallengeRequest;
use serde_json::Value;
use signing::{FileKey, Trust};

use crate::not_run;

/// How long somebody else may keep a port, and the witness may take to cosign.
const PATIENCE: Duration = Duration::from_secs(30);

/// A house that a release left, unpacked; the folder goes with it.
struct Left {
    dir: PathBuf,
    temporary: PathBuf,
    report: Value,
}

impl Left {
    fn unpack(fixture: &Path) -> Left {
        let temporary = std::env::temp_dir().join(format!("depa-upgrade-{}", depa::edge::fresh().simple()));
        fs::create_dir(&temporary).unwrap();
        once("tar", Command::new("tar").arg("-xpzf").arg(fixture).arg("-C").arg(&temporary)).unwrap();
        let dir = fs::read_dir(&temporary).unwrap().next().unwrap().unwrap().path();
        let report = serde_json::from_slice(&fs::read(dir.join("report.json")).unwrap()).unwrap();
        let left = Left { dir, temporary, report };
        for file in ["contract-service/config.toml", "witness/witness.toml", "icmr/kms/kms.toml"] {
            let text = fs::read_to_string(left.dir.join(file)).unwrap();
            // Deliveries of then are kept, whenever this is.
            let text = text.replace("keep_days = 90", "keep_days = 36500");
            fs::write(left.dir.join(file), text.replace("\"/house", &format!("\"{}", left.dir.display()))).unwrap();
        }
        left
    }

    fn text(&self, pointer: &str) -> &str {
        self.report.pointer(pointer).and_then(Value::as_str).unwrap()
    }

    fn number(&self, pointer: &str) -> u64 {
        self.report.pointer(pointer).and_then(Value::as_u64).unwrap()
    }

    /// The port that this key of a configuration names.
    fn port(&self, file: &str, key: &str) -> u16 {
        let text = fs::read_to_string(self.dir.join(file)).unwrap();
        let line = text.lines().find(|line| line.starts_with(&format!("{key} = "))).unwrap();
        line.trim_end_matches('"').rsplit_once(':').unwrap().1.parse().unwrap()
    }

    fn person(&self, name: &str) -> Arc<FileKey> {
        Arc::new(FileKey::load(&self.dir.join(name).join("signing.key")).unwrap())
    }

    /// Starts a binary of today on a folder of then.
    fn start(&self, name: &str, binary: &str, act: &str, (config, port, path): (&str, u16, &str)) -> Process {
        let mut command = Command::new(sibling(binary).unwrap());
        command.arg(act).arg("--config").arg(self.dir.join(config));
        let mut process = Process::start(name, &self.temporary, &mut command).unwrap();
        process.ready(port, path).unwrap();
        process
    }
}

impl Drop for Left {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.temporary));
    }
}

/// Whether a port is free now, or after a while.
fn becomes_free(port: u16) -> bool {
    let began = Instant::now();
    loop {
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return true;
        }
        if began.elapsed() > PATIENCE {
            return false;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Audits the log as a continuation of what was exported then; the newest head is cosigned a moment after it was made.
fn audited(asha: &Client, trust: &Trust, earlier: &str) -> depa::audit::Report {
    let began = Instant::now();
    loop {
        let mut bytes = Vec::new();
        depa::audit::export(asha, trust, &mut bytes).unwrap();
        let earlier = Some(earlier.to_owned());
        let options = depa::audit::Options { earlier, ..depa::audit::Options::default() };
        match depa::audit::verify(&mut BufReader::new(bytes.as_slice()), trust, &options, depa::edge::now()) {
            Ok(report) => return report,
            Err(refusal) if refusal.code == Code::CheckpointInvalid && began.elapsed() < PATIENCE => {
                std::thread::sleep(Duration::from_millis(100));
            }
            Err(refusal) => panic!("{refusal}"),
        }
    }
}

fn the_registry(left: &Left, port: u16) {
    let desk = Client::new(&format!("http://localhost:{port}"), None).unwrap();
    let trust = depa::trust::load(&left.dir.join("contract-service/trust.json")).unwrap();
    assert_eq!(depa::trust::fetch(&desk).unwrap(), trust);
    let [asha, tdc, psp] = ["sro-asha", "tdc", "psp"].map(|name| desk.acting_for(left.person(name)));

    let contract = ContractId::parse(left.text("/contract/id")).unwrap();
    let view = depa::contract::fetch(&tdc, &contract).unwrap();
    assert_eq!(view.sha256.to_string(), left.text("/contract/sha256"));
    let run = RunId::parse(left.text("/run/id")).unwrap();
    assert_eq!(serde_json::to_value(tdc.run(&run).unwrap().state).unwrap(), left.report["run"]["state"]);
    let owed = left.report["payments"].as_array().unwrap().len();
    assert!(owed > 0 && tdc.payments(Some(&contract)).unwrap().payments.len() >= owed);
    assert_eq!(psp.endpoints().unwrap().endpoints.len(), 1);
    assert!(!psp.deliveries().unwrap().deliveries.is_empty());

    let lab = FileKey::generate().unwrap();
    let applicant = Applicant { kind: Kind::Tdp, legal_name: "A laboratory".into(), jurisdiction: "IN".into() };
    let receipt = depa::party::apply(&desk, &applicant, &lab, &trust, depa::edge::now()).unwrap();
    assert!(receipt.index >= left.number("/log/size"), "entry {}", receipt.index);
    psp.create_endpoint("http://localhost:9/hooks", &["payment.instructed"]).unwrap();
    assert_eq!(psp.endpoints().unwrap().endpoints.len(), 2);

    let head: Value = serde_json::from_slice(&fs::read(left.dir.join("audit/head.json")).unwrap()).unwrap();
    let report = audited(&asha, &trust, head["checkpoint"].as_str().unwrap());
    assert_eq!(report.continues.map(|then| then.size), head["size"].as_u64());
    assert!(report.log.size > receipt.index);
    assert!(report.contracts.iter().any(|line| line.id == contract));
}

fn the_key_service(left: &Left, port: u16) {
    let kms = format!("http://localhost:{port}");
    let now = (depa::edge::fresh(), depa::edge::now());
    let ledgers = ledger::read(&Kms::new(&kms).unwrap(), &left.person("icmr"), now).unwrap().ledgers;
    let events: Vec<_> = ledgers.iter().flat_map(|ledger| &ledger.events).collect();
    assert_eq!(events.len(), 1);
    assert_eq!((events[0].run_id.as_str(), events[0].state.as_str()), (left.text("/run/id"), "committed"));
    // It writes: a challenge is kept until it is used.
    let asked = ChallengeRequest {
        run_id: Some(RunId::parse(left.text("/run/id")).unwrap()),
        job_sha256: schemas::Digest::of(b"a job"),
        contracts: vec![ContractRef {
            id: ContractId::parse(left.text("/contract/id")).unwrap(),
            sha256: schemas::Digest::parse(left.text("/contract/sha256")).unwrap(),
        }],
    };
    let body = serde_json::to_vec(&asked).unwrap();
    let answer = demo::house::wire::post(&kms, "/v1/challenges", &body).unwrap();
    assert_eq!(answer.status, 201, "{}", answer.json());
}

/// Says why where a port is taken.
fn opens(fixture: &Path) -> Result<(), String> {
    let left = Left::unpack(fixture);
    let desk = left.port("contract-service/config.toml", "bind");
    let witness = left.port("witness/witness.toml", "bind");
    let kms = left.port("icmr/kms/kms.toml", "listen");
    if let Some(port) = [desk, witness, kms].into_iter().find(|port| !becomes_free(*port)) {
        return Err(format!("port {port} is somebody else's"));
    }
    let config = |act: &str, file: &str, binary: &str| {
        once(act, Command::new(sibling(binary).unwrap()).arg(act).arg("--config").arg(left.dir.join(file))).unwrap()
    };
    // What an operator does first: the stores as they are, judged whole.
    config("verify-store", "contract-service/config.toml", "contract-service");
    let journal: Value = serde_json::from_str(&config("verify-log", "icmr/kms/kms.toml", "kms-adapter")).unwrap();
    assert!(journal["receipts"].as_u64().unwrap() > 0, "{journal}");

    let witness = left.start("witness", "contract-service", "witness", ("witness/witness.toml", witness, "/livez"));
    let service = left.start("desk", "contract-service", "serve", ("contract-service/config.toml", desk, "/readyz"));
    let keys = left.start("kms", "kms-adapter", "serve", ("icmr/kms/kms.toml", kms, "/readyz"));
    the_registry(&left, desk);
    the_key_service(&left, kms);
    for mut process in [keys, service, witness] {
        process.stop();
    }
    config("verify-store", "contract-service/config.toml", "contract-service");
    config("verify-log", "icmr/kms/kms.toml", "kms-adapter");
    Ok(())
}

#[test]
fn what_earlier_releases_left_on_the_disk_is_opened_and_goes_on() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("upgrade");
    let mut fixtures: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    fixtures.retain(|path| path.extension().is_some_and(|e| e == "gz"));
    fixtures.sort();
    assert!(!fixtures.is_empty());
    for binary in ["contract-service", "kms-adapter"] {
        if sibling(binary).is_err() {
            return not_run(
                "what_earlier_releases_left_on_the_disk_is_opened_and_goes_on",
                &format!("{binary} is not built"),
            );
        }
    }
    for fixture in fixtures {
        assert!(fs::metadata(&fixture).unwrap().len() <= 200_000, "{} is large", fixture.display());
        match opens(&fixture) {
            Ok(()) => println!("{}: opened, read, written on, verified", fixture.file_name().unwrap().display()),
            Err(why) => not_run("what_earlier_releases_left_on_the_disk_is_opened_and_goes_on", &why),
        }
    }
}
