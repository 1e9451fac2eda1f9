//! What the stand-in workers of the house tests share: the frames of `schemas::worker`. The tests live in `house/`.

use std::io::{self, Read, Write};
use std::process::ExitCode;

use schemas::worker::{Report, Start};

/// Carries out the work of a stand-in worker, after it has taken its tables. It loads no library that would have to be
/// measured, so `--library-paths` names none.
pub fn worker(work: impl FnOnce(&Start, &mut dyn Write) -> io::Result<()>) -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some("--library-paths") {
        return ExitCode::SUCCESS;
    }
    let (mut input, mut output) = (io::stdin().lock(), io::stdout().lock());
    match start(&mut input).and_then(|start| work(&start, &mut output)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn start(input: &mut impl Read) -> io::Result<Start> {
    let start: Start = serde_json::from_slice(&read(input)?)?;
    for _ in 0..start.tables.len() + usize::from(start.training.weights.is_some()) {
        read(input)?;
    }
    Ok(start)
}

fn read(input: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    input.read_exact(&mut length)?;
    let mut bytes = vec![0; u32::from_be_bytes(length) as usize];
    input.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// Writes a raw frame.
pub fn write(output: &mut dyn Write, bytes: &[u8]) -> io::Result<()> {
    output.write_all(&(bytes.len() as u32).to_be_bytes())?;
    output.write_all(bytes)?;
    output.flush()
}

/// Writes a report.
pub fn say(output: &mut dyn Write, report: &Report) -> io::Result<()> {
    write(output, &serde_json::to_vec(report)?)
}
