//! `depa`: data on stdout, talk on stderr, stable exit codes. Arguments are read and results printed here; the library
//! does the work.

mod command;
mod output;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let cli = match command::Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            // Help and version are answers; anything else is a usage error.
            return ExitCode::from(if error.use_stderr() { depa::exit::USAGE } else { depa::exit::OK });
        }
    };
    let json = cli.global.json;
    match command::run(cli) {
        Ok(answer) => output::print(&answer, json),
        Err(refusal) => output::fail(&refusal, json),
    }
}
