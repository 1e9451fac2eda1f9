//! Live progress of a run on stderr: steps and ε, which follow from the plan alone.

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use contract_client::Client;
use schemas::desk::RunStep;
use schemas::id::RunId;

use crate::output::say;

/// Cells of the bar.
const WIDTH: usize = 30;

/// Follows a run in a thread of its own until it has trained. Whoever cannot hear the room is told of states alone.
pub fn follow(desk: Client, run: RunId, at_most: Duration) {
    std::thread::spawn(move || {
        let live = std::io::stderr().is_terminal();
        let mut tenths = None;
        let _ = desk.follow_steps(&run, at_most, &mut |step| {
            let done = u64::from(step.step) * 10 / u64::from(step.steps.max(1));
            let ended = step.step >= step.steps;
            if live {
                // One line that is written over.
                let end = if ended { "\n" } else { "" };
                let _ = write!(std::io::stderr().lock(), "\r{}{end}", bar(step));
            } else if tenths.replace(done) != Some(done) {
                say(&format!("{run}: {}", words(step)));
            }
            !ended
        });
    });
}

fn words(step: &RunStep) -> String {
    let epsilon = match step.epsilon_micro {
        Some(micro) => format!(", ε {}.{:04}", micro / 1_000_000, micro % 1_000_000 / 100),
        None => String::new(),
    };
    format!("step {} of {}{epsilon}", step.step, step.steps)
}

fn bar(step: &RunStep) -> String {
    let full = (u64::from(step.step) * WIDTH as u64 / u64::from(step.steps.max(1))).min(WIDTH as u64) as usize;
    format!("[{}{}] {}", "#".repeat(full), " ".repeat(WIDTH - full), words(step))
}

#[cfg(test)]
mod tests {
    use schemas::Timestamp;

    use super::*;

    #[test]
    fn progress_is_step_and_epsilon() {
        let run_id = RunId::parse("run_01900000-0000-7000-8000-000000000001").unwrap();
        let at = Timestamp::from_seconds(0);
        let step = RunStep { run_id, step: 50, steps: 100, epsilon_micro: Some(1_230_045), at };
        assert_eq!(words(&step), "step 50 of 100, ε 1.2300");
        assert_eq!(bar(&step), format!("[{}{}] step 50 of 100, ε 1.2300", "#".repeat(15), " ".repeat(15)));
    }
}
