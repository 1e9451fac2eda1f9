//! Rooms of this process that show SIMULATED evidence, and trainings by one and by several of them.

use std::fmt::Write as _;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use attestation::software::{SoftwareAttester, SoftwareRoot, id_key_digest, image_set_pcrs, launch_measurement};
use attestation::{Level, PlatformPolicy, Profile};
use ccr_runtime::Clock;
use ccr_runtime::checkpoint::Vault;
use ccr_runtime::group::handshake::{Link, Own, Word, answer, call};
use ccr_runtime::group::lead::Gathered;
use ccr_runtime::group::member::take_part;
use ccr_runtime::group::patience::Patience;
use ccr_runtime::group::prove::{Challenges, Occasion, Place, Terms};
use ccr_runtime::open::Table;
use ccr_runtime::secret::RunSecret;
use ccr_runtime::worker::Delivered;
use ccr_runtime::worker::supervise::{Watch, Work, supervise};
use schemas::evidence::{Appraisal, ImageSet};
use schemas::id::RunId;
use schemas::jwk::Jwk;
use schemas::worker::{Device, Report, Start};
use schemas::{Digest, R, Timestamp};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::way::Way;

pub const STEPS: u32 = 60;
pub const PATIENCE: Duration = Duration::from_secs(60);
const CODE: Digest = Digest([7; 32]);

/// The worker under a name of its own, so that a test kills no other's.
pub struct Trainer(PathBuf);

/// A link or, where the machine allows none, a copy.
fn linked(built: &Path, copy: &Path) -> std::io::Result<()> {
    std::fs::hard_link(built, copy).or_else(|_| std::fs::copy(built, copy).map(drop))
}

impl Trainer {
    pub fn named(test: &str) -> Option<Trainer> {
        let mut folder = std::env::current_exe().unwrap();
        folder.pop();
        folder.pop();
        let built = folder.join("ccr-trainer");
        let copy = folder.join(format!("ccr-group-{test}-{}", std::process::id()));
        if !built.is_file() || linked(&built, &copy).is_err() {
            println!("NOT RUN {test}: ccr-trainer is not built");
            return None;
        }
        if let Some(what) = missing(&copy) {
            println!("NOT RUN {test}: this machine lends no {what}");
            let _ = std::fs::remove_file(&copy);
            return None;
        }
        Some(Trainer(copy))
    }

    /// The processes of this binary.
    pub fn processes(&self) -> Vec<i32> {
        let name = self.0.as_os_str().as_encoded_bytes();
        let ours = |pid: &i32| std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.starts_with(name));
        let all = std::fs::read_dir("/proc").unwrap().flatten();
        all.filter_map(|process| process.file_name().to_str()?.parse().ok()).filter(ours).collect()
    }

    /// SIGKILL to each of them.
    pub fn kill(&self) {
        for pid in self.processes() {
            let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL);
        }
    }
}

impl Drop for Trainer {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// What a group of this worker lacks on this machine. One that finds itself in no network of its own says so before it reads
/// anything.
fn missing(worker: &std::path::Path) -> Option<&'static str> {
    if std::fs::OpenOptions::new().read(true).write(true).open("/dev/net/tun").is_err() {
        return Some("network devices");
    }
    let mut asked = Command::new(worker);
    let said = asked.arg("--apart").stdin(Stdio::null()).stderr(Stdio::null()).output().unwrap().stdout;
    let said: Report = serde_json::from_slice(said.get(4..).unwrap()).unwrap();
    let apart = matches!(&said, Report::Failed { code, .. } if code == "WORKER_PROTOCOL");
    if apart { None } else { Some("user namespaces") }
}

fn table() -> String {
    (0..1_500).fold(String::from("id,x,z,y\n"), |mut table, i| {
        let (x, z) = (f64::from(i * 37 % 101) / 101.0, f64::from(i * 53 % 97) / 97.0);
        writeln!(table, "{i},{x},{z},{}", if x + 0.3 * z > 0.7 { "yes" } else { "no" }).unwrap();
        table
    })
}

/// A training of this model over one table.
pub fn start(model: &Value) -> Start {
    let column = |name: &str| json!({"handle": "t", "column": name});
    let bytes32 = "A".repeat(43);
    let feature = |name: &str| json!({"column": column(name), "lower": "0", "upper": "1"});
    serde_json::from_value(json!({
        "v": 1,
        "tables": [{"handle": "t", "bytes": table().len(), "columns": ["id", "x", "z", "y"], "public_rows": 1_500}],
        "join": {"name": "j", "first": "t", "steps": [],
            "projection": [column("id"), column("x"), column("z"), column("y")], "filters": []},
        "training": {
            "name": "m", "input": "j", "private": true, "model": model,
            "features": [feature("x"), feature("z")], "target": column("y"),
            "positive": "yes", "principal": column("id"), "epsilon": "1.0", "delta": "0.00001", "steps": STEPS,
            "sample_rate": "0.1", "clipping_norm": "1.0", "learning_rate": "0.5", "split_salt": bytes32,
            "train_ppm": 800_000, "init_seed": 5, "metrics": {"noise_multiplier": "10"}
        },
        "plan": {
            "noise_multiplier": "2.0", "sample_rate": "0.1", "steps": STEPS, "expected_batch": "120",
            "metrics_noise_multiplier": "10", "charges": []
        },
        "seed": bytes32
    }))
    .unwrap()
}

fn id(kind: &str) -> String {
    format!("{kind}_01900000-0000-7000-8000-000000000001")
}

pub fn run() -> RunId {
    RunId::parse(&id("run")).unwrap()
}

fn now() -> Timestamp {
    Timestamp::parse("2026-11-21T12:00:00Z").unwrap()
}

static ATTESTER: LazyLock<(SoftwareAttester, Digest)> = LazyLock::new(|| {
    let root = SoftwareRoot::create_with(2048, now()).unwrap();
    let pin = root.pin();
    (SoftwareAttester::new(root, CODE).unwrap(), pin)
});

struct Job(Occasion, ImageSet);

impl Job {
    fn new() -> Job {
        let set: ImageSet = serde_json::from_value(json!({
            "schema": "image-set.v1", "registry": "did:web:sro.example", "image_set_id": id("img"), "name": "test",
            "profile": "software", "pcrs": image_set_pcrs(&CODE), "measurements": [launch_measurement()],
            "id_key_digests": [id_key_digest()], "host_data": null,
            "valid_from": "2026-01-01T00:00:00Z", "valid_to": "2099-01-01T00:00:00Z"
        }))
        .unwrap();
        let contracts = serde_json::from_value(json!([{"id": id("ctr"), "sha256": "ab".repeat(32)}])).unwrap();
        let image_set_id = set.image_set_id.clone();
        Job(Occasion { run_id: run(), job_sha256: Digest([5; 32]), contracts, image_set_id }, set)
    }
}

impl Terms for Job {
    fn occasion(&self) -> &Occasion {
        &self.0
    }
    fn image_set(&self) -> &ImageSet {
        &self.1
    }
    fn policies(&self) -> R<Vec<PlatformPolicy>> {
        Ok(vec![PlatformPolicy::new(Profile::Demo, Level::named("baseline")?, vec![ATTESTER.1])])
    }
    fn allow(&self, _: &Appraisal) -> R<()> {
        Ok(())
    }
}

/// Two rooms that have met over this way: the leader's side, and the member's.
pub fn meet(index: u32, rooms: u32, way: Way) -> (Link, Link) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = way.to(listener.local_addr().unwrap());
    let clock: Clock = Arc::new(now);
    std::thread::scope(|scope| {
        let clock = &clock;
        let member = scope.spawn(move || {
            let run_jwk = Jwk::ed25519([8; 32]);
            let own = Own { attester: &ATTESTER.0, clock, run_jwk: &run_jwk, patience: Patience::default() };
            answer(listener.accept().unwrap().0, &own, |_, _, _| Ok(Job::new())).unwrap().0
        });
        let run_jwk = Jwk::ed25519([9; 32]);
        let own = Own { attester: &ATTESTER.0, clock, run_jwk: &run_jwk, patience: Patience::default() };
        let log = schemas::log::CheckpointRef { size: 1, root: Digest([1; 32]) };
        let word = Word { text: String::new(), admission: (Digest([2; 32]), log) };
        let stream = TcpStream::connect(address).unwrap();
        let leader = call(stream, Place { index, rooms }, &own, &word, &mut Challenges::default(), &Job::new());
        (leader.unwrap(), member.join().unwrap())
    })
}

fn work<'a>(trainer: &'a Trainer, start: &Start, vault: &'a Vault) -> Work<'a> {
    let tables = vec![Table { handle: "t".into(), bytes: Zeroizing::new(table().into_bytes()) }];
    Work { trainer: &trainer.0, start: start.clone(), tables, weights: None, vault, patience: PATIENCE, apart: false }
}

fn vault(start: &Start) -> Vault {
    Vault::new(&RunSecret::draw().unwrap(), &run(), Digest([5; 32]), start.configuration().unwrap())
}

/// A training by one room.
pub fn alone(trainer: &Trainer, start: &Start, watch: Watch<'_>) -> (R<Delivered>, u32) {
    supervise(work(trainer, start, &vault(start)), watch)
}

/// How a training by several rooms ended.
pub struct Ended {
    pub leader: R<Delivered>,
    pub steps: u32,
    pub members: Vec<R<()>>,
}

/// A training by several rooms; the last member is at the end of this way, the others' are open.
pub fn together(trainer: &Trainer, start: &Start, rooms: u32, way: &dyn Fn() -> Way, watch: Watch<'_>) -> Ended {
    together_with(trainer, trainer, start, rooms, way, watch)
}

/// The same where the members have another worker.
pub fn together_with(
    trainer: &Trainer,
    of_members: &Trainer,
    start: &Start,
    rooms: u32,
    way: &dyn Fn() -> Way,
    watch: Watch<'_>,
) -> Ended {
    std::thread::scope(|scope| {
        let (mut links, mut members) = (Vec::new(), Vec::new());
        for index in 1..rooms {
            let (leader, member) = meet(index, rooms, if index + 1 == rooms { way() } else { Way::open() });
            links.push(leader);
            let worker = (of_members.0.as_path(), Device::Cpu);
            members.push(scope.spawn(move || take_part(member, &run(), worker, PATIENCE, &mut |_| Ok(()))));
        }
        let vault = vault(start);
        let (leader, steps) = Gathered::new(links, 60).train(work(trainer, start, &vault), watch);
        Ended { leader, steps, members: members.into_iter().map(|member| member.join().unwrap()).collect() }
    })
}
