//! A worker that is killed at any moment is followed by one that ends with the very same model (R14, M7): the real
//! `ccr-trainer` under the supervision that a room uses. NOT RUN where that binary is not built.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ccr_runtime::checkpoint::Vault;
use ccr_runtime::open::Table;
use ccr_runtime::secret::RunSecret;
use ccr_runtime::worker::Delivered;
use ccr_runtime::worker::supervise::{MOST_DEATHS, Work, supervise};
use policies::output;
use schemas::id::RunId;
use schemas::pipeline::OutputKind;
use schemas::worker::{Report, Start};
use schemas::{Code, Digest, R, Refusal};
use serde_json::json;
use zeroize::Zeroizing;

const STEPS: u32 = 120;
const JOB: Digest = Digest([5; 32]);

/// The worker under a name of its own, so that a test kills no other's. A link, not a copy: a file that was just written
/// cannot be executed while a process that another test forked meanwhile still holds it open for writing.
struct Trainer(PathBuf);

/// A link or, where the machine allows none, a copy.
fn linked(built: &Path, copy: &Path) -> std::io::Result<()> {
    std::fs::hard_link(built, copy).or_else(|_| std::fs::copy(built, copy).map(drop))
}

impl Trainer {
    fn named(test: &str) -> Option<Trainer> {
        let mut folder = std::env::current_exe().unwrap();
        folder.pop();
        folder.pop();
        let built = folder.join("ccr-trainer");
        let copy = folder.join(format!("ccr-resume-{test}-{}", std::process::id()));
        if !built.is_file() || linked(&built, &copy).is_err() {
            println!("NOT RUN {test}: ccr-trainer is not built");
            return None;
        }
        Some(Trainer(copy))
    }

    /// SIGKILL to every process of this binary; how many there were.
    fn kill(&self) -> usize {
        let processes = std::fs::read_dir("/proc").unwrap().flatten();
        let name = self.0.as_os_str().as_encoded_bytes();
        let ours =
            processes.filter(|p| std::fs::read(p.path().join("cmdline")).is_ok_and(|line| line.starts_with(name)));
        let pids: Vec<i32> = ours.filter_map(|p| p.file_name().to_str()?.parse().ok()).collect();
        for pid in &pids {
            let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(*pid), nix::sys::signal::Signal::SIGKILL);
        }
        pids.len()
    }
}

impl Drop for Trainer {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn table() -> String {
    (0..1_500).fold(String::from("id,x,y\n"), |mut table, i| {
        let x = f64::from(i * 37 % 101) / 101.0;
        writeln!(table, "{i},{x},{}", if x > 0.6 { "yes" } else { "no" }).unwrap();
        table
    })
}

fn start() -> Start {
    let column = |name: &str| json!({"handle": "t", "column": name});
    let bytes32 = "A".repeat(43);
    serde_json::from_value(json!({
        "v": 1,
        "tables": [{"handle": "t", "bytes": table().len(), "columns": ["id", "x", "y"], "public_rows": 1_500}],
        "join": {"name": "j", "first": "t", "steps": [], "projection": [column("id"), column("x"), column("y")],
            "filters": []},
        "training": {
            "name": "m", "input": "j", "private": true, "model": {"kind": "mlp", "hidden": [64, 32]},
            "features": [{"column": column("x"), "lower": "0", "upper": "1"}], "target": column("y"),
            "positive": "yes", "principal": column("id"), "epsilon": "1.0", "delta": "0.00001", "steps": STEPS,
            "sample_rate": "0.1", "clipping_norm": "1.0", "learning_rate": "0.5", "split_salt": bytes32,
            "train_ppm": 800_000, "init_seed": 5, "metrics": {"noise_multiplier": "10"}
        },
        "plan": {
            "noise_multiplier": "2.0", "sample_rate": "0.1", "steps": STEPS, "expected_batch": "120",
            "metrics_noise_multiplier": "10", "charges": []
        },
        "seed": bytes32,
        "checkpoint_every": 7
    }))
    .unwrap()
}

fn vault(start: &Start, secret: &RunSecret) -> Vault {
    let run = RunId::parse("run_01900000-0000-7000-8000-000000000001").unwrap();
    Vault::new(secret, &run, JOB, start.configuration().unwrap())
}

fn train(trainer: &Path, watch: &mut dyn FnMut(Option<&Report>) -> R<()>) -> (R<Delivered>, u32) {
    train_from(start(), trainer, watch)
}

fn train_from(start: Start, trainer: &Path, watch: &mut dyn FnMut(Option<&Report>) -> R<()>) -> (R<Delivered>, u32) {
    let secret = RunSecret::draw().unwrap();
    let vault = vault(&start, &secret);
    let tables = vec![Table { handle: "t".into(), bytes: Zeroizing::new(table().into_bytes()) }];
    supervise(
        Work { trainer, start, tables, weights: None, vault: &vault, patience: Duration::from_secs(120), apart: false },
        watch,
    )
}

fn step(report: &Report) -> u32 {
    match report {
        Report::Progress { step, .. } => *step,
        Report::Done(_) => STEPS,
        _ => 0,
    }
}

/// Kills after the given steps, in order; returns what was delivered and how many were killed.
fn train_killed(trainer: &Trainer, moments: &[u32]) -> (Delivered, usize) {
    killed_from(start, trainer, moments)
}

fn killed_from(start: fn() -> Start, trainer: &Trainer, moments: &[u32]) -> (Delivered, usize) {
    let mut left = moments.to_vec();
    left.reverse();
    let mut killed = 0;
    let (delivered, steps) = train_from(start(), &trainer.0, &mut |report| {
        if let Some(report) = report
            && left.last().is_some_and(|moment| step(report) >= *moment)
        {
            // What a dead worker had said is heard too, but it dies once.
            let dead = trainer.kill();
            killed += dead;
            (dead > 0).then(|| left.pop());
        }
        Ok(())
    });
    assert_eq!(steps, STEPS);
    (delivered.unwrap(), killed)
}

#[test]
fn a_killed_worker_is_followed_by_one_that_ends_with_the_same_bits() {
    let Some(trainer) = Trainer::named("killed") else { return };
    let begun = Instant::now();
    let (whole, _) = train_killed(&trainer, &[]);
    println!("uninterrupted: {:.2} s", begun.elapsed().as_secs_f64());
    assert_eq!((whole.outcome.steps, whole.outcome.noise_draws), (STEPS, STEPS));
    let mut all = 0;
    // Before the first step, on and beside checkpoints, twice and five times in one run, at the last step.
    for moments in [&[0][..], &[1], &[6], &[7], &[8], &[50, 51], &[13, 40, 41, 77, 119], &[0, 0, 0], &[119], &[120]] {
        let begun = Instant::now();
        let (resumed, killed) = train_killed(&trainer, moments);
        println!("killed after {moments:?}: {killed} processes, {:.2} s", begun.elapsed().as_secs_f64());
        assert_eq!(*resumed.model, *whole.model, "weights after {moments:?}");
        assert_eq!(resumed.outcome, whole.outcome, "outcome after {moments:?}");
        all += killed;
    }
    assert!(all >= 15, "only {all} processes were killed");
}

/// The same rows for an ensemble, a tree a step.
fn start_of_trees() -> Start {
    let mut start = start();
    let model = json!({"kind": "trees", "trees": {"depth": 3, "features_per_tree": 1, "regularization": "1"}});
    start.training.model = serde_json::from_value(model).unwrap();
    start
}

/// Trees keep no checkpoint: whoever follows begins again, draws the same noise and grows the same.
#[test]
fn a_killed_worker_that_grows_trees_is_followed_to_the_same_bits() {
    let Some(trainer) = Trainer::named("trees") else { return };
    let (whole, _) = killed_from(start_of_trees, &trainer, &[]);
    assert_eq!((whole.outcome.steps, whole.outcome.noise_draws), (STEPS, STEPS));
    let mut all = 0;
    for moments in [&[0][..], &[1], &[60, 90], &[119], &[0, 0, 0]] {
        let (resumed, killed) = killed_from(start_of_trees, &trainer, moments);
        assert_eq!(*resumed.model, *whole.model, "trees after {moments:?}");
        assert_eq!(resumed.outcome, whole.outcome, "outcome after {moments:?}");
        all += killed;
    }
    // They grow so fast that one may be done before it is killed.
    assert!(all >= 4, "only {all} processes were killed");
}

#[test]
#[ignore = "minutes: one run per step of the training"]
fn a_worker_killed_after_any_step_is_followed_to_the_same_bits() {
    let Some(trainer) = Trainer::named("every-step") else { return };
    let (whole, _) = train_killed(&trainer, &[]);
    for moment in 0..=STEPS {
        let (resumed, _) = train_killed(&trainer, &[moment]);
        assert_eq!((&*resumed.model, &resumed.outcome), (&*whole.model, &whole.outcome), "after {moment}");
    }
}

/// The same at instants that no report marks, in the middle of a step or of a frame.
#[test]
fn a_worker_killed_at_any_instant_ends_with_the_same_bits() {
    let Some(trainer) = Trainer::named("instants") else { return };
    let (whole, _) = train_killed(&trainer, &[]);
    let mut killed = 0;
    for instant in [40u64, 170, 230, 310, 420] {
        let (delivered, _) = std::thread::scope(|scope| {
            let killer = scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(instant));
                trainer.kill()
            });
            let trained = train(&trainer.0, &mut |_| Ok(()));
            killed += killer.join().unwrap();
            trained
        });
        let delivered = delivered.unwrap();
        assert_eq!((&*delivered.model, &delivered.outcome), (&*whole.model, &whole.outcome), "after {instant} ms");
    }
    println!("{killed} processes killed at instants");
}

#[test]
fn deaths_are_counted_and_the_last_one_ends_the_run_as_failed_and_charged() {
    let Some(trainer) = Trainer::named("deaths") else { return };
    let mut killed = 0;
    let (delivered, steps) = train(&trainer.0, &mut |report| {
        if matches!(report, Some(Report::Progress { .. })) {
            killed += trainer.kill();
        }
        Ok(())
    });
    assert_eq!(delivered.map(|_| ()).unwrap_err().code, Code::WorkerFailed);
    assert!(killed > MOST_DEATHS as usize && steps > 0, "{killed} killed, {steps} steps: nothing comes back");
}

#[test]
fn a_room_that_stops_starts_no_successor() {
    let Some(trainer) = Trainer::named("stopped") else { return };
    let (delivered, steps) = train(&trainer.0, &mut |report| match report {
        Some(Report::Progress { step: 30.., .. }) => {
            trainer.kill();
            Err(Refusal::new(Code::RoomStopped, "told to stop"))
        }
        _ => Ok(()),
    });
    assert_eq!(delivered.map(|_| ()).unwrap_err().code, Code::RoomStopped);
    assert!(steps >= 30 && trainer.kill() == 0);
}

/// A model whose first steps were another configuration's does not leave.
#[test]
fn an_outcome_of_another_configuration_is_refused_at_output() {
    let Some(trainer) = Trainer::named("output") else { return };
    let (delivered, _) = train_killed(&trainer, &[]);
    let start = start();
    let judge = |configuration: Digest| {
        let (outcome, model) = (delivered.outcome.clone(), delivered.model.to_vec());
        output::decide(outcome, model, &start.plan, &configuration, OutputKind::Model)
    };
    judge(start.configuration().unwrap()).unwrap();
    for spoil in [
        |s: &mut Start| s.training.learning_rate = schemas::text::Real::parse("0.4").unwrap(),
        |s: &mut Start| s.plan.noise_multiplier = schemas::text::Real::parse("1.9").unwrap(),
        |s: &mut Start| s.join.name = "other".into(),
    ] {
        let mut other = start.clone();
        spoil(&mut other);
        let refusal = judge(other.configuration().unwrap()).unwrap_err();
        assert_eq!((refusal.code, refusal.field.as_deref()), (Code::OutputRefused, Some("configuration")));
    }
}
