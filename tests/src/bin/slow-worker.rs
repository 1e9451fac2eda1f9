//! A worker that takes its data, reports one step and then trains for a very long time: for tests of what stops a run.

use std::io::{self, Read, Write};
use std::process::ExitCode;
use std::time::Duration;

use schemas::worker::{Report, Start};

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some("--library-paths") {
        return ExitCode::SUCCESS;
    }
    match work() {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn work() -> io::Result<()> {
    let (mut input, mut output) = (io::stdin().lock(), io::stdout().lock());
    let start: Start = serde_json::from_slice(&read(&mut input)?)?;
    for _ in &start.tables {
        read(&mut input)?;
    }
    say(&mut output, &Report::Ready {})?;
    say(&mut output, &Report::Progress { step: 1, steps: start.plan.steps })?;
    // Killed by the room long before.
    std::thread::sleep(Duration::from_secs(120));
    Ok(())
}

fn read(input: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    input.read_exact(&mut length)?;
    let mut bytes = vec![0; u32::from_be_bytes(length) as usize];
    input.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn say(output: &mut impl Write, report: &Report) -> io::Result<()> {
    let bytes = serde_json::to_vec(report)?;
    output.write_all(&(bytes.len() as u32).to_be_bytes())?;
    output.write_all(&bytes)?;
    output.flush()
}
