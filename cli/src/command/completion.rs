//! Completion of commands in a shell.

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;
use schemas::R;
use serde_json::json;

use crate::output::Answer;

#[derive(Args)]
#[command(
    after_help = "Examples:\n  depa completion bash > ~/.local/share/bash-completion/completions/depa\n  depa completion zsh > ~/.zfunc/_depa"
)]
pub struct Completion {
    /// The shell.
    shell: Shell,
}

pub fn run(args: &Completion) -> R<Answer> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut super::Cli::command(), "depa", &mut script);
    let script = String::from_utf8_lossy(&script).into_owned();
    Ok(Answer::new(&json!({"shell": args.shell.to_string(), "script": script}), script))
}
