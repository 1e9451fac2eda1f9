//! Runs of several rooms as processes: the contract service, three key services, the provider's agent, a `ccr` for each
//! room, and the real worker in each. NOT RUN where a binary is not built, or this machine lends no network devices or
//! user namespaces.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::OpenOptions;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use demo::House;
use demo::data;
use demo::house::process::sibling;
use demo::narrate::Narrator;
use demo::steps;
use depa::job::Prepared;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use schemas::contract::ContractRef;
use schemas::id::RunId;
use schemas::text::Real;
use schemas::worker::Report;
use serde_json::Value;

use crate::{not_run, real_worker};

const STEPS: u32 = 40;

/// Whether this machine lends network devices.
pub fn device_lent(test: &str) -> bool {
    let lent = OpenOptions::new().read(true).write(true).open("/dev/net/tun").is_ok();
    if !lent {
        not_run(test, "this machine lends no network devices");
    }
    lent
}

/// The worker under a known seed, where this machine has all that rooms as processes need.
fn seeded_worker(test: &str) -> Option<PathBuf> {
    for binary in ["depa", "contract-service", "kms-adapter", "ccr"] {
        if sibling(binary).is_err() {
            not_run(test, &format!("{binary} is not built"));
            return None;
        }
    }
    let Some(real) = real_worker() else {
        not_run(test, "ccr-trainer is not built");
        return None;
    };
    if !device_lent(test) {
        return None;
    }
    // A worker that finds itself in no network of its own says so before it reads anything.
    let said = Command::new(&real).arg("--apart").stdin(Stdio::null()).stderr(Stdio::null()).output().unwrap().stdout;
    let said: Report = serde_json::from_slice(said.get(4..).unwrap()).unwrap();
    if !matches!(&said, Report::Failed { code, .. } if code == "WORKER_PROTOCOL") {
        not_run(test, "this machine lends no user namespaces");
        return None;
    }
    // It becomes the worker that lies beside it.
    let beside = real.with_file_name(format!("seeded-{test}-{}", std::process::id()));
    std::fs::copy(env!("CARGO_BIN_EXE_seeded-worker"), &beside).unwrap();
    Some(beside)
}

/// A house of processes, up to the offers, whose contract pays for several runs of at most so many rooms.
fn house(worker: &Path, rooms: u32) -> (House, ContractRef) {
    let mut house = House::start_with(None, worker).unwrap();
    house.verify_participants().unwrap();
    house.approve_room().unwrap();
    let (tables, ten) = (data::generate(data::SEED, 300), Real::parse("10").unwrap());
    for tdp in &house.tdps {
        let offered = tdp.offers_with(tables.of(tdp.kind), |d| d.cap.epsilon = ten.clone()).unwrap();
        house.offers.push(offered);
    }
    let contract = house.signed_contract(|form| {
        form.datasets.iter_mut().for_each(|d| d.epsilon = ten.clone());
        form.compute.rooms_max = Some(rooms);
    });
    (house, contract.unwrap())
}

/// Orders a run of so many rooms.
fn ordered(house: &House, contract: &ContractRef, rooms: Option<u32>, steps: u32) -> Prepared {
    let prepared = house.job_with(&contract.id, |form| (form.rooms, form.training.steps) = (rooms, steps)).unwrap();
    house.tdc.orders(&prepared.bundle).unwrap();
    prepared
}

/// The tensors of a model in safetensors.
fn weights(model: &Path) -> BTreeMap<String, Vec<f32>> {
    let model = std::fs::read(model).unwrap();
    let (length, rest) = model.split_first_chunk::<8>().unwrap();
    let (header, data) = rest.split_at(u64::from_le_bytes(*length) as usize);
    let header: BTreeMap<String, Value> = serde_json::from_slice(header).unwrap();
    let tensors = header.into_iter().filter(|(name, _)| name != "__metadata__");
    tensors
        .map(|(name, tensor)| {
            assert_eq!(tensor["dtype"], "F32");
            let at = |n: usize| tensor["data_offsets"][n].as_u64().unwrap() as usize;
            let values = data[at(0)..at(1)].chunks(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
            (name, values)
        })
        .collect()
}

fn said<'a>(lines: &'a [Value], job: &str, word: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["job_sha256"] == job && line["event"] == word).collect()
}

/// Waits until the agent has said this of a job.
fn heard(house: &mut House, job: &str, word: &str) -> Value {
    let began = Instant::now();
    loop {
        let lines = house.processes().unwrap().agent_says();
        if let Some(line) = said(&lines, job, word).first() {
            return (*line).clone();
        }
        assert!(began.elapsed() < Duration::from_secs(240), "no {word}: {lines:?}");
        house.processes().unwrap().alive().unwrap();
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// How many workers of this name there are: each has its process that passes on.
fn working(worker: &Path) -> usize {
    let name = worker.as_os_str().as_encoded_bytes();
    let of = |pid: &u32| std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.starts_with(name));
    let all =
        std::fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    all.filter(of).count()
}

/// Waits until none is left, and removes its file.
fn none_is_left(worker: &Path) {
    let began = Instant::now();
    while working(worker) > 0 {
        assert!(began.elapsed() < Duration::from_secs(60), "a worker is left");
        std::thread::sleep(Duration::from_millis(50));
    }
    std::fs::remove_file(worker).unwrap();
}

/// The same job by one room and by two, each a process with a worker of its own, through every real service. Real runs
/// draw a seed each, so no two give the same weights; here the workers are told one seed, and nothing else differs.
#[test]
fn two_rooms_as_processes_carry_out_the_run_of_one() {
    let test = "two_rooms_as_processes_carry_out_the_run_of_one";
    let Some(worker) = seeded_worker(test) else { return };
    let (mut house, contract) = house(&worker, 2);
    house.open_for_business().unwrap();
    let mut models = Vec::new();
    for (rooms, steps) in [(None, STEPS), (Some(2), STEPS), (Some(2), STEPS + 1)] {
        let prepared = ordered(&house, &contract, rooms, steps);
        let run = steps::room(&mut house, &prepared, &mut Narrator::silent()).unwrap();
        let payments = house.wait_until_settled(&contract.id, Duration::from_secs(60)).unwrap();
        let payments: Vec<_> =
            payments.into_iter().filter(|payment| payment.run_id.as_ref() == Some(&run.run_id)).collect();
        let owed: BTreeSet<&str> = payments.iter().map(|p| p.instruction_id.as_str()).collect();
        assert_eq!((payments.len(), owed.len()), (4, 4), "three providers and the rooms', once each");
        assert!(payments.iter().all(|p| p.state == "settled"));
        let model = house.tdc.downloads(&run.run_id, &prepared.bundle).unwrap();
        assert_eq!(house.tdc.person.desk().unwrap().run(&run.run_id).unwrap().state, "delivered");
        let (members, showed) = (&model.certificate.members, &model.certificate.member_rooms);
        let beside = rooms.map_or(0, |rooms| rooms as usize - 1);
        assert_eq!((members.len(), showed.len()), (beside, beside));
        let simulated = schemas::evidence::EvidenceKind::Software;
        assert!(showed.iter().all(|room| room.evidence == simulated && room.pcr_sha256.is_some()));
        let job = prepared.bundle.job.digest().to_string();
        heard(&mut house, &job, "agent_ended");
        let lines = house.processes().unwrap().agent_says();
        let told: Vec<&str> =
            said(&lines, &job, "agent_member_said").iter().filter_map(|line| line["says"]["event"].as_str()).collect();
        assert_eq!(said(&lines, &job, "agent_member").len(), beside);
        assert_eq!(told, if beside == 1 { vec!["met", "over"] } else { vec![] });
        models.push(weights(&model.path));
    }
    let [one, two, longer] = &models[..] else { panic!() };
    let apart = |a: &BTreeMap<String, Vec<f32>>, b: &BTreeMap<String, Vec<f32>>| {
        assert!(a.keys().eq(b.keys()));
        let pairs = a.values().flatten().zip(b.values().flatten());
        pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
    };
    let largest = apart(one, two);
    println!("two rooms beside one, as processes: largest difference of a weight {largest:.3e}");
    assert!(largest <= 1e-5, "{largest}");
    assert!(one.values().flatten().any(|w| w.abs() > 1e-3), "something was learnt or noised");
    assert!(apart(two, longer) > 1e-5, "another configuration gives other noise");
    let (_, audit) = steps::audit(&house, &mut Narrator::silent()).unwrap();
    assert!(audit.verified);
    none_is_left(&worker);
}

/// The consumer aborts while two rooms train: both end, their workers with them, and the charge stands.
#[test]
fn an_abort_ends_every_room_of_a_run() {
    let test = "an_abort_ends_every_room_of_a_run";
    let Some(worker) = seeded_worker(test) else { return };
    let (mut house, contract) = house(&worker, 2);
    house.open_for_business().unwrap();
    let prepared = ordered(&house, &contract, Some(2), 50_000);
    let job = prepared.bundle.job.digest().to_string();
    let run = RunId::parse(heard(&mut house, &job, "checked_in")["run_id"].as_str().unwrap()).unwrap();
    let member = heard(&mut house, &job, "agent_member")["pid"].as_u64().unwrap();
    heard(&mut house, &job, "training");
    assert_eq!(working(&worker), 2);
    let tdc = &house.tdc.person;
    depa::run::abort(tdc.desk().unwrap(), &run, "enough", &tdc.key, tdc.trust().unwrap(), tdc.now()).unwrap();
    let ended = heard(&mut house, &job, "agent_ended");
    assert_ne!(ended["exit"], 0);
    let lines = house.processes().unwrap().agent_says();
    assert_eq!(said(&lines, &job, "agent_stops_room").len(), 1);
    assert_eq!(said(&lines, &job, "agent_member_ended").len(), 1);
    assert!(!Path::new(&format!("/proc/{member}")).exists());
    let view = house.tdc.person.desk().unwrap().run(&run).unwrap();
    assert_eq!(view.state, "aborted");
    none_is_left(&worker);
}

/// A `ccr` of this test, and its lines.
struct Room(Child, BufReader<ChildStdout>);

impl Room {
    fn start(house: &House, arguments: &[&str]) -> Room {
        let mut command = Command::new(sibling("ccr").unwrap());
        let config = house.ccrp.config_file();
        let (verb, rest) = arguments.split_first().unwrap();
        command.arg(verb).arg("--config").arg(config).args(rest).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.stderr(Stdio::null()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Room(child, lines)
    }

    fn line(&mut self) -> Value {
        let mut line = String::new();
        self.1.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }

    /// SIGTERM, and the last word with the exit code.
    fn stopped(mut self) -> (Value, Option<i32>) {
        kill(Pid::from_raw(self.0.id() as i32), Signal::SIGTERM).unwrap();
        let mut rest = String::new();
        self.1.read_to_string(&mut rest).unwrap();
        let last = serde_json::from_str(rest.lines().last().unwrap()).unwrap();
        (last, self.0.wait().unwrap().code())
    }
}

/// SIGTERM in the middle of a meeting whose other side says nothing: either room ends by its own code, and the run of the
/// one that leads is aborted with nothing charged.
#[test]
fn a_room_that_is_told_to_stop_while_it_meets_stops() {
    let test = "a_room_that_is_told_to_stop_while_it_meets_stops";
    let Some(worker) = seeded_worker(test) else { return };
    let (house, contract) = house(&worker, 2);

    let mut member = Room::start(&house, &["member", "--listen", "127.0.0.1:0"]);
    let listening = member.line();
    assert_eq!(listening["event"], "listening");
    let mut caller = TcpStream::connect(listening["address"].as_str().unwrap()).unwrap();
    // Half of a first message: the member reads on.
    std::io::Write::write_all(&mut caller, &[0, 0]).unwrap();
    std::thread::sleep(Duration::from_millis(500));
    let (last, exit) = member.stopped();
    assert_eq!((last["event"].as_str(), last["code"].as_str(), exit), (Some("refused"), Some("ROOM_STOPPED"), Some(5)));
    assert!(matches!(caller.read(&mut [0; 8]), Ok(0) | Err(_)), "the member hung up");

    let prepared = ordered(&house, &contract, Some(2), STEPS);
    let bundle = house.dir.join("silent.bundle.json");
    std::fs::write(&bundle, schemas::canonical::to_bytes(&prepared.bundle).unwrap()).unwrap();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let bundle = bundle.to_str().unwrap();
    let mut leader = Room::start(&house, &["run", "--bundle", bundle, "--member", &address]);
    assert_eq!(leader.line()["event"], "admitted");
    let run = RunId::parse(leader.line()["run_id"].as_str().unwrap()).unwrap();
    let _called = silent.accept().unwrap();
    let (last, exit) = leader.stopped();
    assert_eq!((last["event"].as_str(), last["code"].as_str(), exit), (Some("refused"), Some("ROOM_STOPPED"), Some(5)));
    assert_eq!(house.tdc.person.desk().unwrap().run(&run).unwrap().state, "aborted");

    // One that nobody calls gives up when it was told to.
    let mut alone = Room::start(&house, &["member", "--listen", "127.0.0.1:0", "--within", "1"]);
    assert_eq!(alone.line()["event"], "listening");
    assert_eq!(alone.line()["code"], "TIMEOUT");
    assert_eq!(alone.0.wait().unwrap().code(), Some(9));
    none_is_left(&worker);
}
