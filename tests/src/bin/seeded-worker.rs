//! The real worker under a seed that everybody knows: two runs of one configuration then give the same model, which real
//! ones never do. It lies beside `ccr-trainer`, becomes it, and leaves a process behind that changes the seed in the first
//! frame and passes all else on, in both directions. For tests alone: a room that runs it measures to something else.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode, Stdio};

use schemas::text::Bytes;
use schemas::worker::{SeedBytes, Start};

const PASS_ON: &str = "--pass-on";

fn main() -> ExitCode {
    let passes = std::env::args().nth(1).as_deref() == Some(PASS_ON);
    match if passes { pass_on() } else { become_worker() } {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn become_worker() -> io::Result<()> {
    let own = std::env::current_exe()?;
    let mut worker = Command::new(own.with_file_name("ccr-trainer"));
    worker.args(std::env::args_os().skip(1));
    // Whoever only asks something has no work on standard input.
    if std::env::args().skip(1).all(|argument| argument == "--apart") {
        let (theirs, ours) = UnixStream::pair()?;
        let passes =
            Command::new(own).arg(PASS_ON).stdout(Stdio::from(OwnedFd::from(ours))).stderr(Stdio::null()).spawn();
        drop(passes?);
        worker.stdin(Stdio::from(OwnedFd::from(theirs)));
    }
    Err(worker.exec())
}

/// Standard input is `ccr`'s end, a pipe or a socket; standard output is the worker's, a socket.
fn pass_on() -> io::Result<()> {
    let mut room = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let mut worker = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    let mut length = [0; 4];
    room.read_exact(&mut length)?;
    let mut frame = vec![0; u32::from_be_bytes(length) as usize];
    room.read_exact(&mut frame)?;
    let mut start: Start = serde_json::from_slice(&frame)?;
    start.seed = SeedBytes(Bytes(vec![7; 32]));
    house_tests::write(&mut worker, &serde_json::to_vec(&start)?)?;
    let (mut back, mut said) = (room.try_clone()?, worker.try_clone()?);
    std::thread::spawn(move || {
        let _ = carry(&mut said, &mut back);
        // The worker is gone.
        std::process::exit(0);
    });
    carry(&mut room, &mut worker)
}

/// As it comes: a packet waits for no other.
fn carry(from: &mut File, to: &mut File) -> io::Result<()> {
    let mut buffer = vec![0; 1 << 16];
    loop {
        match from.read(&mut buffer)? {
            0 => return Ok(()),
            count => to.write_all(buffer.get(..count).unwrap_or_default())?,
        }
    }
}
