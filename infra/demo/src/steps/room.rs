//! The room's part of a walk: what it tells becomes steps, its training a bar.

use std::time::{Duration, Instant};

use depa::job::Prepared;
use schemas::desk::RunView;
use schemas::id::RunId;
use schemas::{Code, R, Refusal};
use serde_json::Value;

use super::fault;
use crate::house::{House, Roles};
use crate::narrate::Narrator;

/// How long a run may take.
const RUN: Duration = Duration::from_secs(600);

/// Has the rooms of an ordered job carried out; in a house of processes by its agent. Returns the completed run.
pub fn room(house: &mut House, prepared: &Prepared, narrator: &mut Narrator) -> R<RunView> {
    let run = match &house.roles {
        Roles::Processes(_) => watch(house, prepared, narrator)?,
        Roles::InProcess(_) => {
            let room = house.room()?;
            let mut told = Told::default();
            let run = ccr_runtime::run(prepared.bundle.clone(), &room, &mut |p| told.progress(&p, narrator))?.run_id;
            told.finish(narrator);
            run
        }
    };
    house.tdc.person.desk()?.run(&run)
}

/// Follows the run by what the agent writes, until the room has completed or refused.
fn watch(house: &mut House, prepared: &Prepared, narrator: &mut Narrator) -> R<RunId> {
    let job = prepared.bundle.job.digest().to_string();
    let began = Instant::now();
    let (mut seen, mut told) = (0, Told::default());
    loop {
        let processes = house.processes().ok_or_else(|| fault("a house without processes is not watched"))?;
        processes.alive()?;
        let lines = processes.agent_says();
        for line in lines.get(seen..).unwrap_or_default() {
            if line.get("job_sha256").and_then(Value::as_str) != Some(&job) {
                continue;
            }
            if let Some(run) = told.line(line, narrator)? {
                told.finish(narrator);
                return Ok(run);
            }
        }
        seen = lines.len();
        if began.elapsed() > RUN {
            return Err(Refusal::new(Code::Timeout, "the run is not completed after ten minutes"));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// What the room told so far: its acts become steps, its training a bar.
#[derive(Default)]
struct Told {
    reserved: usize,
    released: usize,
    training: bool,
    trained: bool,
}

impl Told {
    /// One line of the agent; the run's id once it has completed.
    fn line(&mut self, line: &Value, narrator: &mut Narrator) -> R<Option<RunId>> {
        let text = |name: &str| line.get(name).and_then(Value::as_str).unwrap_or_default();
        match text("event") {
            "admitted" => self.admitted(narrator),
            "checked_in" => self.checked_in(text("run_id"), narrator),
            "reserved" => self.reserved += 1,
            "released" => self.released(narrator),
            "opened" => self.opened(narrator),
            "training" => {
                let number = |name: &str| line.get(name).and_then(Value::as_u64).unwrap_or(0) as u32;
                self.training(number("step"), number("steps"), text("epsilon").parse().unwrap_or(f64::NAN), narrator);
            }
            "committed" => self.committed(text("output_sha256"), narrator),
            "completed" => return RunId::parse(text("run_id")).map(Some),
            "refused" => {
                let code = Code::parse(text("code")).unwrap_or(Code::PeerFault);
                return Err(Refusal::new(code, format!("the room refused: {}", text("sentence"))));
            }
            "agent_failed" | "agent_ended" if text("event") == "agent_failed" || !self.trained => {
                return Err(Refusal::new(Code::WorkerFailed, format!("the room ended early: {line}")));
            }
            _ => {}
        }
        Ok(None)
    }

    /// The same from a room in this process.
    fn progress(&mut self, progress: &ccr_runtime::Progress, narrator: &mut Narrator) {
        use ccr_runtime::Progress;
        match progress {
            Progress::Admitted { .. } => self.admitted(narrator),
            Progress::CheckedIn { run } => self.checked_in(run.as_str(), narrator),
            Progress::Reserved { .. } => self.reserved += 1,
            Progress::Released { .. } => self.released(narrator),
            Progress::Opened { .. } => self.opened(narrator),
            Progress::Training { step, steps, epsilon } => self.training(*step, *steps, *epsilon, narrator),
            Progress::Committed { output } => self.committed(&output.to_string(), narrator),
            Progress::Weights { .. } | Progress::Uploaded { .. } => {}
        }
    }

    fn admitted(&self, narrator: &mut Narrator) {
        narrator.step("admit", "the room checked contracts, receipts, pipeline and privacy plan itself", "itself");
    }

    fn checked_in(&self, run: &str, narrator: &mut Narrator) {
        narrator.step(
            "check_in",
            &format!("the room showed SIMULATED evidence to the registry and was admitted as {run}"),
            "parties, SRO",
        );
    }

    fn released(&mut self, narrator: &mut Narrator) {
        self.released += 1;
        if self.released == 1 {
            narrator.step(
                "reserve",
                &format!("{} key services appraised the evidence and reserved budget", self.reserved),
                "each provider",
            );
        }
    }

    fn opened(&self, narrator: &mut Narrator) {
        let made = format!("{} key services wrapped their keys to the attested room; the charges stand", self.released);
        narrator.step("release", &made, "the room");
        narrator.step(
            "open_data",
            "the tables are decrypted in memory, every chunk checked against the contract",
            "the room",
        );
    }

    fn training(&mut self, step: u32, steps: u32, epsilon: f64, narrator: &mut Narrator) {
        // The worker reads and joins its tables before its first step; the first word comes after a hundredth of the steps.
        if !std::mem::replace(&mut self.training, true) {
            narrator.lap("join");
        }
        narrator.progress(step, steps, epsilon);
        if step == steps && !self.trained {
            self.trained = true;
            narrator.step(
                "train",
                &format!("a model is trained with differential privacy: {steps} steps, ε {epsilon:.4}"),
                "the room",
            );
        }
    }

    fn committed(&self, output: &str, narrator: &mut Narrator) {
        let short = output.get(..12).unwrap_or(output);
        narrator.step(
            "commit",
            &format!("every key service fixed the sealed model {short} as the only output"),
            "each provider",
        );
    }

    fn finish(&self, narrator: &mut Narrator) {
        narrator.step(
            "complete",
            "the sealed model is stored; completion and payments stand in the log as one entry",
            "parties, SRO",
        );
    }
}
