//! `depa model seal`: weights to fine-tune from, in the clear nowhere but here and in the attested room.

use std::path::PathBuf;

use depa::dataset::kms::Kms;
use depa::{edge, weights};
use models::card;
use schemas::R;
use schemas::contract::Assurance;

use super::super::Global;
use super::super::seal::Places;
use crate::output::{Answer, say};

#[derive(clap::Args)]
pub struct Seal {
    /// The weights: safetensors in single precision (F32). Pickles and TorchScript are refused.
    file: PathBuf,
    /// Base URL of your own key service, which will hold the key.
    #[arg(long, value_name = "URL")]
    kms: String,
    #[command(flatten)]
    places: Places,
    /// The network: names, shapes and types are compared with its parameters.
    #[arg(long, value_name = "FILE")]
    network: Option<PathBuf>,
    /// A prefix of parameters that the file does not give, such as a new last layer (6.): they begin from the job's
    /// init_seed and are learnt. Adapters of a recipe need not be named. Once per prefix.
    #[arg(long, value_name = "PREFIX")]
    fresh: Vec<String>,
    /// The least assurance of a room that gets the key: hardware, or software in demos.
    #[arg(long, default_value = "hardware", value_parser = assurance)]
    min_assurance: Assurance,
}

fn assurance(text: &str) -> Result<Assurance, String> {
    match text {
        "hardware" => Ok(Assurance::Hardware),
        "software" => Ok(Assurance::Software),
        _ => Err("hardware or software is expected".into()),
    }
}

pub fn run(seal: Seal, global: &Global) -> R<Answer> {
    let Places { out, url, record } = seal.places;
    let network = seal.network.as_ref().map(|path| card::network(&edge::read(path)?)).transpose()?;
    let (key, trust, kms) = (global.key()?, global.trust()?, Kms::new(&seal.kms)?);
    let job = weights::Job {
        file: &seal.file,
        network: network.as_ref(),
        fresh: seal.fresh,
        min_assurance: seal.min_assurance,
        out: &out,
        url,
    };
    let sealed = weights::seal(&job, &kms, &key, &trust, &mut edge::fresh, edge::now())?;
    edge::write_json(&record, &sealed)?;
    say(&format!("the key is at {} only; put the record into a job with depa job bundle --weights", kms.url()));
    Ok(Answer::new(&sealed, format!("sealed {}\nsha256 in the clear {}", out.display(), sealed.sha256)))
}
