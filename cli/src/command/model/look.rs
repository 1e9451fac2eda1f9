//! A downloaded model is looked at: verified first, always.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use depa::{edge, model, model_card};
use schemas::R;
use schemas::bundle::JobBundle;
use schemas::certificate::ModelCertificate;
use serde_json::json;

use super::super::Global;
use crate::output::Answer;

#[derive(Subcommand)]
pub enum Verb {
    /// Open a downloaded model: verify it against its proof, then list its tensors. Offline.
    #[command(after_help = "Example:\n  depa model open model.safetensors --bundle job.bundle.json --trust trust.json")]
    Open(Which),
    /// Write the model card of a downloaded model, in Markdown. Offline.
    #[command(
        after_help = "Examples:\n  depa model card model.safetensors --bundle job.bundle.json --trust trust.json\n  depa model card model.safetensors --bundle job.bundle.json --out card.md --trust trust.json"
    )]
    Card {
        #[command(flatten)]
        which: Which,
        /// A new file; stdout otherwise.
        #[arg(long)]
        out: Option<PathBuf>,
    },
}

/// A model with what proves it.
#[derive(Args)]
pub struct Which {
    /// The model.
    model: PathBuf,
    /// Its proof; MODEL.proof.json otherwise.
    #[arg(long)]
    proof: Option<PathBuf>,
    /// The job bundle that was ordered.
    #[arg(long)]
    bundle: PathBuf,
}

impl Which {
    fn verified(&self, global: &Global) -> R<(Vec<u8>, JobBundle, ModelCertificate)> {
        let proof = self.proof.clone().unwrap_or_else(|| model::proof_path(&self.model));
        let (bytes, bundle) = (edge::read(&self.model)?, edge::read_json_of(&self.bundle, edge::BUNDLE)?);
        let certificate = model::verify(&bytes, &edge::read_json(&proof)?, &bundle, &global.trust()?)?;
        Ok((bytes, bundle, certificate))
    }
}

pub fn run(verb: Verb, global: &Global) -> R<Answer> {
    match verb {
        Verb::Open(which) => {
            let (bytes, _, certificate) = which.verified(global)?;
            let tensors = model_card::tensors(&bytes)?;
            let mut lines = vec!["verified".to_owned()];
            lines.extend(tensors.iter().map(|t| format!("{} {} {:?}", t.name, t.dtype, t.shape)));
            Ok(Answer::new(&json!({"tensors": tensors, "certificate": certificate}), lines.join("\n")))
        }
        Verb::Card { which, out } => {
            let (_, bundle, certificate) = which.verified(global)?;
            let card = model_card::card(&certificate, &bundle, &global.trust()?, &super::card(&certificate))?;
            let Some(out) = out else { return Ok(Answer::new(&json!({"card": card}), card)) };
            edge::write_new(&out, card.as_bytes())?;
            Ok(Answer::new(&json!({"out": out}), format!("wrote {}", out.display())))
        }
    }
}
