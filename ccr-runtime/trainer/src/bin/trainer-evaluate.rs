//! `trainer-evaluate`: the trainer's arithmetic on the held-out part of samples, for `depa train local`. It says exact
//! figures, so it is never part of a room.

use std::io::{self, BufReader, BufWriter};
use std::process::ExitCode;

use ccr_trainer::{evaluate, settle};

fn main() -> ExitCode {
    settle::environment();
    std::panic::set_hook(Box::new(|_| eprintln!("trainer-evaluate: internal fault")));
    settle::threads(settle::THREADS);
    let mut input = BufReader::new(io::stdin().lock());
    let mut output = BufWriter::new(io::stdout().lock());
    if evaluate::serve(&mut input, &mut output) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
