mod look;
mod network;
mod seal;

use std::path::PathBuf;

use clap::Subcommand;
use depa::contract::text::evidence_kind;
use depa::{edge, model};
use schemas::certificate::ModelCertificate;
use schemas::id::RunId;
use schemas::weights::Weights;
use schemas::{Code, R, Refusal};
use serde_json::json;

use super::Global;
use crate::output::{Answer, say};

#[derive(Subcommand)]
pub enum Verb {
    #[command(flatten)]
    Network(network::Verb),
    /// Seal weights to fine-tune from and hand their key to your own key service.
    ///
    /// The key is never written to disk, and goes to attested rooms alone, for jobs that you signed and that name it.
    #[command(
        after_help = "Examples:\n  depa model seal weights.safetensors --kms https://kms.lab.example --out enc/weights.depa --record weights.json --key tdc.key --trust trust.json\n  \
                      depa model seal weights.safetensors --network network.json --fresh 6. --kms URL --out enc/weights.depa --record weights.json --key tdc.key --trust trust.json"
    )]
    Seal(seal::Seal),
    /// Put sealed weights where their record says that rooms fetch them from: a bucket, a file, an https: address.
    #[command(
        after_help = "Example:\n  depa model upload enc/weights.depa --record weights.json --stores stores.toml\n\nA file of stores: see depa dataset upload --help"
    )]
    Upload {
        /// The sealed object.
        object: PathBuf,
        /// What sealing left behind.
        #[arg(long)]
        record: PathBuf,
    },
    /// Fetch the model of a completed run, verify everything about it, and open it with your encryption key.
    #[command(
        after_help = "Example:\n  depa model download run_… --bundle job.bundle.json --open-with models.key --out model.safetensors --key tdc.key --trust trust.json --registry URL\n\nOf a job whose model stays inside:\n  depa model download run_… --bundle job.bundle.json --open-with models.key --out metrics.json --key tdc.key --trust trust.json --registry URL"
    )]
    Download {
        /// The run.
        #[arg(value_parser = super::id::<RunId>)]
        run: RunId,
        /// The job bundle that was ordered.
        #[arg(long)]
        bundle: PathBuf,
        /// Your encryption key.
        #[arg(long)]
        open_with: PathBuf,
        /// A new file: the model in safetensors, or metrics in JSON where the model stays inside. Its proof comes beside it.
        #[arg(long)]
        out: PathBuf,
    },
    /// Verify a model against its proof. Offline.
    #[command(
        after_help = "Example:\n  depa model verify model.safetensors --bundle job.bundle.json --trust trust.json"
    )]
    Verify {
        /// The model.
        model: PathBuf,
        /// Its proof; MODEL.proof.json otherwise.
        #[arg(long)]
        proof: Option<PathBuf>,
        /// The job bundle that was ordered.
        #[arg(long)]
        bundle: PathBuf,
    },
    #[command(flatten)]
    Look(look::Verb),
}

pub fn run(verb: Verb, global: &Global) -> R<Answer> {
    match verb {
        Verb::Look(verb) => look::run(verb, global),
        Verb::Network(verb) => network::run(verb),
        Verb::Seal(seal) => seal::run(seal, global),
        Verb::Upload { object, record } => {
            let weights: Weights = edge::read_json(&record)?;
            let unsealed = || Refusal::new(Code::WeightsUnsealed, "the record names no sealed object");
            let sealed = weights.sealed.ok_or_else(unsealed)?;
            let url = &sealed.object.url;
            let bytes = depa::upload::upload(&object, &sealed.manifest_root, url, &global.reach()?)?;
            let answer = json!({"weights_id": sealed.weights_id, "url": url, "bytes": bytes});
            Ok(Answer::new(&answer, format!("{bytes} bytes at {}", objects::place(url))))
        }
        Verb::Download { run, bundle, open_with, out } => {
            let (desk, key) = (global.desk_as()?.0, depa::keys::open_encryption(&open_with)?);
            let bundle = edge::read_json_of(&bundle, edge::BUNDLE)?;
            let (trust, reach) = (global.trust()?, global.reach()?);
            let got = model::download_from(&desk, &run, &bundle, &key, &trust, &out, &reach)?;
            say(&format!("wrote {} and {}", got.path.display(), got.proof.display()));
            Ok(Answer::new(&got, card(&got.certificate)))
        }
        Verb::Verify { model: path, proof, bundle } => {
            let proof = edge::read_json(&proof.unwrap_or_else(|| model::proof_path(&path)))?;
            let bundle = edge::read_json_of(&bundle, edge::BUNDLE)?;
            let certificate = model::verify(&edge::read(&path)?, &proof, &bundle, &global.trust()?)?;
            Ok(Answer::new(&certificate, format!("verified\n{}", card(&certificate))))
        }
    }
}

fn card(certificate: &ModelCertificate) -> String {
    let what = certificate.output_kind.map_or("model", |kind| kind.as_str());
    let mut lines = vec![format!("{what} sha256 {}, {} bytes", certificate.model_sha256, certificate.model_bytes)];
    lines.push(format!("made by {} on image set {}", certificate.run_id, certificate.image_set_id));
    if certificate.assurance == schemas::contract::Assurance::Software {
        lines.push("SIMULATED: the room was shown by software evidence".into());
    }
    for (place, evidence) in (1..).zip(&certificate.members) {
        let room = certificate.member_rooms.get(place - 1);
        let showed = room.map_or_else(String::new, |room| {
            let pcrs = room.pcr_sha256.map_or_else(String::new, |pcrs| format!(", PCRs {pcrs}"));
            format!(": {}, measured {}{pcrs}", evidence_kind(&room.evidence), room.measurement.text())
        });
        lines.push(format!("with member room {place}, evidence {evidence}{showed}"));
    }
    if certificate.plan.without_differential_privacy {
        lines.push(format!("TRAINED {}: it may repeat any row", schemas::privacy::WITHOUT_PRIVACY.to_uppercase()));
    }
    for dataset in &certificate.datasets {
        lines.push(format!("trained on {} v{}: {}", dataset.dataset_id, dataset.version, dataset.charge.words()));
    }
    if let Some(metrics) = &certificate.metrics {
        lines.push(format!("noised accuracy {}.{:04} %", metrics.accuracy_ppm / 10_000, metrics.accuracy_ppm % 10_000));
        if let Some(curve) = &metrics.curve {
            lines.push(format!("noised area under the curve {:.4}", f64::from(curve.auc_ppm) / 1e6));
        }
        if let Some(loss) = &metrics.loss {
            lines.push(format!("noised mean loss {:.4}", loss.mean_micro as f64 / 1e6));
        }
    }
    lines.join("\n")
}
