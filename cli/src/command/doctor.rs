use std::path::PathBuf;

use clap::Args;
use depa::doctor::{Patient, examine};
use depa::edge;
use schemas::{Code, R, Refusal};

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
    let named = patient.registry.is_some() || patient.kms.is_some() || patient.trust.is_some();
    if !named && patient.keys.is_empty() {
        let sentence = "name what to look at: depa doctor --registry URL --key FILE --kms URL, or depa login first";
        return Err(global.unread.clone().unwrap_or_else(|| Refusal::new(Code::ConfigInvalid, sentence)));
    }
    let findings = examine(&patient, edge::now());
    let line = |f: &depa::doctor::Finding| format!("{} {}: {}", if f.ok { "ok  " } else { "FAIL" }, f.name, f.detail);
    let text: Vec<String> = findings.iter().map(line).collect();
    let mut answer = Answer::new(&findings, text.join("\n"));
    if findings.iter().any(|f| !f.ok) {
        answer.exit = depa::exit::OTHER;
    }
    Ok(answer)
}
