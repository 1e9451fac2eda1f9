use std::path::PathBuf;

use clap::Subcommand;
use depa::{exit, policy};
use policies_rego::cases::SAMPLE;
use schemas::{Code, R};
use serde_json::{Value, json};

use super::Global;
use crate::output::Answer;

#[derive(Subcommand)]
pub enum Verb {
    /// Run the cases of rules documents: `x.cases.toml` beside `x.rego`. The exit code is 0 only if all pass.
    #[command(
        after_help = "A case changes facts and names the verdict that it expects:\n\n  [[case]]\n  name = \"at night\"\n  \
                            set = { \"local.hour\" = 3 }\n  allow = false\n  deny = [\"OUTSIDE_HOURS\"]\n\n\
                            Examples:\n  depa policy test hours.rego\n  depa policy test rules/*.rego --json"
    )]
    Test {
        /// The documents.
        #[arg(required = true)]
        documents: Vec<PathBuf>,
        /// The cases of the one document, if they lie elsewhere.
        #[arg(long, value_name = "FILE")]
        cases: Option<PathBuf>,
    },
    /// Check a document's form and print the digest by which offers and contracts name it.
    #[command(after_help = "A key service finds it in its rules_dir under that name.\n\nExample:\n  \
                            cp hours.rego \"rules/$(depa policy digest hours.rego).rego\"")]
    Digest {
        /// The document.
        document: PathBuf,
    },
    /// Ask a document about facts: what it says, and what a key service would make of it. 6 if the run would be refused.
    #[command(
        after_help = "Examples:\n  depa policy explain hours.rego\n  depa policy explain hours.rego --facts facts.json --json"
    )]
    Explain {
        /// The document.
        document: PathBuf,
        /// Facts of a run; the sample without it.
        #[arg(long, value_name = "FILE")]
        facts: Option<PathBuf>,
    },
    /// Print sample facts of a run: everything that a document sees.
    #[command(after_help = "Example:\n  depa policy facts > facts.json")]
    Facts,
}

pub fn run(verb: Verb, _: &Global) -> R<Answer> {
    match verb {
        Verb::Test { documents, cases } => {
            if cases.is_some() && documents.len() != 1 {
                return Err(schemas::Refusal::new(Code::ConfigInvalid, "--cases is for one document").at("cases"));
            }
            let tested = documents.iter().map(|d| policy::test(d, cases.as_deref())).collect::<R<Vec<_>>>()?;
            let text = tested.iter().map(policy::Tested::text).collect::<Vec<_>>().join("\n");
            let passed = tested.iter().all(policy::Tested::passed);
            let mut answer = Answer::new(&json!({"passed": passed, "documents": tested}), text);
            if !passed {
                answer.exit = exit::OTHER;
            }
            Ok(answer)
        }
        Verb::Digest { document } => {
            let digest = policy::read(&document)?.digest();
            Ok(Answer::new(&json!({"digest": digest, "file": format!("{digest}.rego")}), digest.to_string()))
        }
        Verb::Explain { document, facts } => {
            let explained = policy::explain(&policy::read(&document)?, &policy::facts(facts.as_deref())?)?;
            let mut answer = Answer::new(&explained, explained.text());
            if !explained.granted {
                answer.exit = exit::POLICY;
            }
            Ok(answer)
        }
        Verb::Facts => {
            let value: Value = serde_json::from_str(SAMPLE).unwrap_or(Value::Null);
            Ok(Answer::new(&value, SAMPLE))
        }
    }
}
