//! A worker that takes its data, reports one step and then trains for a very long time: for tests of what stops a run.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use house_tests::{say, worker};
use schemas::worker::{Report, Start};

fn main() -> ExitCode {
    worker(work)
}

fn work(start: &Start, output: &mut dyn Write) -> io::Result<()> {
    say(output, &Report::Ready {})?;
    say(output, &Report::Progress { step: 1, steps: start.plan.steps })?;
    // Killed by the room long before.
    std::thread::sleep(Duration::from_secs(120));
    Ok(())
}
