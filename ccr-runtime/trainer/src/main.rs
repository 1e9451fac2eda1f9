//! `ccr-trainer`: the worker of the sealed room. The work is in the library half of this package.

use std::io::{self, BufReader, BufWriter, Write};
use std::process::ExitCode;

use ccr_trainer::device::Place;
use ccr_trainer::{confine, session, settle};
use schemas::R;

const HELP: &str = "ccr-trainer: private training inside a clean room; started by `ccr`, not by hand.

usage: ccr-trainer                  speak the worker protocol on stdin and stdout (schemas::worker)
       ccr-trainer --apart          the same; refuse where this machine gives it no network namespace of its own
       ccr-trainer --library-paths  print the paths of the loaded libtorch files, one per line
       ccr-trainer --device auto|cpu|cuda  print where tensors would lie; refuse a card that is not there
       ccr-trainer --version
       ccr-trainer --help

exit: 0 a model was delivered (or plain text asked for), 1 the work was refused or failed, 2 wrong arguments";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args_os().skip(1).map(|a| a.to_string_lossy().into_owned()).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => work(false),
        ["--apart"] => work(true),
        ["--version"] => print(&format!("ccr-trainer {}", env!("CARGO_PKG_VERSION"))),
        ["--help"] => print(HELP),
        ["--library-paths"] => print(&confine::library_paths().join("\n")),
        ["--device", asked] => Place::named(asked).map_or_else(unknown, device),
        _ => unknown(),
    }
}

fn work(apart: bool) -> ExitCode {
    settle::environment();
    // A panic's text may hold shapes or values; outside only this line is seen, and a `Failed` report.
    std::panic::set_hook(Box::new(|_| eprintln!("ccr-trainer: internal fault")));
    for line in confine::confine() {
        eprintln!("ccr-trainer: {line}");
    }
    let mut output = BufWriter::new(io::stdout().lock());
    if let Some(refusal) = confine::apart().err().filter(|_| apart) {
        session::refuse(&mut output, refusal);
        return ExitCode::FAILURE;
    }
    let mut input = BufReader::new(io::stdin().lock());
    if session::serve(&mut input, &mut output) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn unknown() -> ExitCode {
    eprintln!("ccr-trainer: unknown arguments; try --help");
    ExitCode::from(2)
}

fn device(found: R<Place>) -> ExitCode {
    match found {
        Ok(place) => print(place.name()),
        Err(refusal) => {
            eprintln!("ccr-trainer: {refusal}");
            ExitCode::FAILURE
        }
    }
}

fn print(text: &str) -> ExitCode {
    match writeln!(io::stdout().lock(), "{text}") {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
