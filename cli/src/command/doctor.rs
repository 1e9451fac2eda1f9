use std::path::PathBuf;

use clap::Args;
use depa::doctor::{Patient, examine};
use depa::edge;
use schemas::R;

use super::Global;
use crate::output::Answer;

#[derive(Args)]
#[command(
    after_help = "Example:\n  depa doctor --registry URL --trust trust.json --key tdp.key --kms https://kms.tdp.example"
)]
pub struct Doctor {
    /// Base URL of a key service.
    #[arg(long)]
    kms: Option<String>,
    /// Further key files.
    #[arg(long = "key-file")]
    key_files: Vec<PathBuf>,
}

pub fn run(args: &Doctor, global: &Global) -> R<Answer> {
    let mut keys = args.key_files.clone();
    keys.extend(global.named(global.key.clone(), "--key", "DEPA_KEY").ok());
    let (registry, ca, trust) = (global.url(), global.authorities()?, global.trust_path().ok());
    let patient = Patient { registry, ca, kms: args.kms.clone(), trust, keys };
    let findings = examine(&patient, edge::now());
    let line = |f: &depa::doctor::Finding| format!("{} {}: {}", if f.ok { "ok  " } else { "FAIL" }, f.name, f.detail);
    let text: Vec<String> = findings.iter().map(line).collect();
    let text =
        if text.is_empty() { "nothing was named to look at; see depa doctor --help".into() } else { text.join("\n") };
    let mut answer = Answer::new(&findings, text);
    if findings.iter().any(|f| !f.ok) {
        answer.exit = depa::exit::OTHER;
    }
    Ok(answer)
}
