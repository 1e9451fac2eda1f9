mod acts;
mod drafts;
mod read;
mod version;
mod wait;

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};
use depa::paper::SignatureForm;
use depa::table::Table;
use depa::{contract, edge};
use schemas::contract::{Contract, ContractRef};
use schemas::desk::{ContractAnswer, ContractRow, ContractSignature};
use schemas::id::ContractId;
use schemas::{Envelope, R};
use serde_json::json;

use super::Global;
use crate::output::{Answer, word};

/// The form of a signature.
#[derive(Clone, Copy, ValueEnum)]
pub enum Form {
    /// JWS over canonical bytes.
    Jws,
    /// COSE in the DEPA profile.
    Cose,
}

#[derive(Subcommand)]
pub enum Verb {
    /// Draft a contract from a form; what the offers pin is fetched, verified and copied.
    #[command(
        after_help = concat!("Example:\n  depa contract new contract.toml --out contract.json --key tdc.key --trust trust.json --registry URL\n\nA form with everything that is needed:\n\n", include_str!("../../samples/contract.toml"))
    )]
    New {
        /// The form (TOML, or JSON).
        form: PathBuf,
        /// The draft: a new file.
        #[arg(long)]
        out: PathBuf,
    },
    /// Fetch a contract with the signatures so far.
    #[command(after_help = "Example:\n  depa contract fetch ctr_… --out contract.json --key tdp.key --registry URL")]
    Fetch {
        /// The contract.
        #[arg(value_parser = super::id::<ContractId>)]
        id: ContractId,
        /// A new file.
        #[arg(long)]
        out: PathBuf,
    },
    /// List the contracts that you are a party of, as a person of the SRO all of them.
    #[command(after_help = "Example:\n  depa contract list --key tdp.key --registry URL")]
    List,
    /// Show a contract in plain language with its digest: a file, or an id at the registry.
    #[command(
        after_help = "Examples:\n  depa contract show contract.json\n  depa contract show ctr_… --key tdp.key --registry URL"
    )]
    Show {
        /// A file, or an id.
        contract: String,
    },
    /// Sign a contract offline: file in, signature file out. Nothing is sent.
    #[command(
        after_help = "Examples:\n  depa contract sign contract.json --out tdp.signature.json --key tdp.key --trust trust.json\n  depa contract sign contract.json --form cose --out tdp.signature.json --key tdp.key --trust trust.json"
    )]
    Sign {
        /// The contract.
        contract: PathBuf,
        /// The signature: a new file.
        #[arg(long)]
        out: PathBuf,
        /// The form of the signature; the bytes that are signed are the same.
        #[arg(long, default_value = "jws")]
        form: Form,
    },
    /// Propose a drafted contract with your own signature: the first one.
    #[command(
        after_help = "Example:\n  depa contract propose contract.json --signature tdc.signature.json --registry URL"
    )]
    Propose {
        /// The contract.
        contract: PathBuf,
        /// Your signature over it.
        #[arg(long)]
        signature: PathBuf,
    },
    /// Hand in a further signature.
    #[command(
        after_help = "Example:\n  depa contract submit contract.json --signature tdp.signature.json --registry URL"
    )]
    Submit {
        /// The contract.
        contract: PathBuf,
        /// The signature over it.
        #[arg(long)]
        signature: PathBuf,
    },
    /// Fetch a contract in force with everything that proves it.
    #[command(
        after_help = "Example:\n  depa contract bundle ctr_… --out contract.bundle.json --key tdc.key --registry URL"
    )]
    Bundle {
        /// The contract.
        #[arg(value_parser = super::id::<ContractId>)]
        id: ContractId,
        /// A new file.
        #[arg(long)]
        out: PathBuf,
    },
    /// Refuse to sign; the contract never comes into force.
    #[command(
        after_help = "Example:\n  depa contract decline contract.json --reason 'price' --key tdp.key --trust trust.json --registry URL"
    )]
    Decline {
        /// The contract.
        contract: PathBuf,
        /// One sentence of reason.
        #[arg(long)]
        reason: String,
    },
    #[command(flatten)]
    Read(read::Verb),
    /// Keep drafts at the registry, private to you.
    #[command(
        subcommand,
        after_help = "Examples:\n  depa contract draft list --key tdc.key --registry URL\n  depa contract draft save draft.json --key tdc.key --registry URL"
    )]
    Draft(drafts::Verb),
    #[command(flatten)]
    Version(version::Verb),
    #[command(flatten)]
    Act(acts::Verb),
    #[command(flatten)]
    Waiting(wait::Verb),
}

pub fn run(verb: Verb, global: &Global) -> R<Answer> {
    match verb {
        Verb::New { form, out } => {
            let form = edge::read_form(&form)?;
            let draft = contract::new(&global.desk_as()?.0, &form, &global.trust()?, edge::fresh(), edge::now())?;
            edge::write_json(&out, &draft)?;
            described(&draft)
        }
        Verb::Fetch { id, out } => {
            let view = contract::fetch(&global.desk_as()?.0, &id)?;
            edge::write_json(&out, &view.contract)?;
            described(&view.contract)
        }
        Verb::List => {
            let list = global.desk_as()?.0.contracts()?;
            let row = |c: &ContractRow| [c.contract_id.to_string(), c.sha256.short(), word(&c.state)];
            let table = Table::new(["contract", "sha256", "state"], list.contracts.iter().map(row));
            Ok(Answer::new(&list, table.text()))
        }
        Verb::Show { contract: named } => match ContractId::parse(&named) {
            Ok(id) => {
                let view = contract::fetch(&global.desk_as()?.0, &id)?;
                let text = format!("{}State: {}", contract::plain_language(&view.contract)?, word(&view.state));
                Ok(Answer::new(&view, text))
            }
            Err(_) => {
                let envelope: Envelope<Contract> = edge::read_json(named.as_ref())?;
                let text = contract::plain_language(&envelope)?;
                Ok(Answer::new(&json!({"sha256": envelope.digest(), "contract": envelope.read_unverified()?}), text))
            }
        },
        Verb::Sign { contract: path, out, form } => {
            let form = match form {
                Form::Jws => SignatureForm::Jws,
                Form::Cose => SignatureForm::Cose,
            };
            let (key, trust) = (global.key()?, global.trust()?);
            let signature = contract::sign_as(&edge::read_json(&path)?, form, &key, &trust, edge::now())?;
            edge::write_json(&out, &signature)?;
            let text = format!("signed {}\nby {}", signature.contract_sha256, signature.signature.kid.holder);
            Ok(Answer::new(
                &json!({"contract_sha256": signature.contract_sha256, "kid": signature.signature.kid}),
                text,
            ))
        }
        Verb::Propose { contract: path, signature } => submit(global, &path, &signature, true),
        Verb::Submit { contract: path, signature } => submit(global, &path, &signature, false),
        Verb::Bundle { id, out } => {
            let bundle = contract::bundle(&global.desk_as()?.0, &id)?;
            edge::write_json(&out, &bundle)?;
            Ok(Answer::new(
                &json!({"contract_id": id, "out": out}),
                format!("wrote {}; check it with depa audit verify-contract", out.display()),
            ))
        }
        Verb::Decline { contract: path, reason } => {
            let (desk, key) = global.desk_as()?;
            acted(&contract::decline(&desk, &reference(&path)?, &reason, &key, &global.trust()?, edge::now())?)
        }
        Verb::Read(verb) => read::run(verb, global),
        Verb::Draft(verb) => drafts::run(verb, global),
        Verb::Version(verb) => version::run(verb, global),
        Verb::Act(verb) => acts::run(verb, global),
        Verb::Waiting(verb) => wait::run(verb, global),
    }
}

fn submit(global: &Global, contract: &std::path::Path, signature: &std::path::Path, first: bool) -> R<Answer> {
    let (contract, signature): (Envelope<Contract>, ContractSignature) =
        (edge::read_json(contract)?, edge::read_json(signature)?);
    acted(&contract::submit(&global.desk()?, &contract, &signature, first)?)
}

pub(super) fn reference(path: &std::path::Path) -> R<ContractRef> {
    let envelope: Envelope<Contract> = edge::read_json(path)?;
    Ok(ContractRef { id: envelope.read_unverified()?.contract_id, sha256: envelope.digest() })
}

fn described(envelope: &Envelope<Contract>) -> R<Answer> {
    let id = envelope.read_unverified()?.contract_id;
    let text = format!("{id}\nsha256 {}\nread it before you sign: depa contract show FILE", envelope.digest());
    Ok(Answer::new(
        &json!({"contract_id": id, "sha256": envelope.digest(), "signatures": envelope.signatures.len()}),
        text,
    ))
}

pub(super) fn acted(answer: &ContractAnswer) -> R<Answer> {
    let executed = answer.executed.as_ref().map_or(String::new(), |r| format!("; all have signed, entry {}", r.index));
    Ok(Answer::new(answer, format!("{}, entry {} of the log{executed}", word(&answer.state), answer.receipt.index)))
}
