//! Networks as data: made, judged and brought in from other descriptions. Offline; no key is needed.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use depa::edge;
use models::kind::{self, Kind};
use models::reference::{self, Options, Public};
use models::weights::{self, Tensors};
use models::{Notice, card, onnx, ready};
use schemas::network::{Input, Network};
use schemas::pipeline::Model;
use schemas::text::Real;
use schemas::{Code, R, Refusal, canonical};
use serde_json::{Value, json};

use crate::output::{Answer, say};

#[derive(Subcommand)]
pub enum Verb {
    /// Write a ready-made network: mlp, covid, cnn, cifar-cnn, resnet20, unet, lstm, transformer.
    #[command(after_help = "Examples:\n  depa model new cnn\n  depa model new resnet20 --out network.json")]
    New {
        /// Its name.
        name: String,
        /// A new file; otherwise the network is printed.
        #[arg(long)]
        out: Option<PathBuf>,
    },
    /// Judge a network: shapes, parameters, memory of one sample. Reads a network or an ONNX file.
    #[command(
        after_help = "Operations: linear, conv2d, group_norm, layer_norm, embedding, positions, attention, lstm, relu, leaky_relu, tanh,\n\
                      gelu, sigmoid, silu, flatten, global_average_pool, mean_tokens, last_token, max_pool, avg_pool, upsample,\n\
                      residual, skip. What mixes samples (batch normalisation) is refused.\n\n\
                      Examples:\n  depa model check network.json\n  depa model check network.json --weights weights.safetensors --json"
    )]
    Check {
        /// The network.
        file: PathBuf,
        /// Its weights: names, shapes and types are compared with the network's parameters.
        #[arg(long)]
        weights: Option<PathBuf>,
    },
    /// Make a network of an ONNX file, or of the reference's model_config, train_config or pipeline_config; of its trees,
    /// the model of a job's training.
    #[command(
        after_help = "Examples:\n  depa model import model.onnx --out network.json --weights weights.safetensors\n  \
                      depa model import model_config.json --input image:3x32x32 --out network.json\n  \
                      depa model import train_config.json --input vector:9 --rows 2119 --out network.json --recipe recipe.json\n  \
                      depa model import model_config.json --input image:1x64x64 --from state.safetensors --out network.json --weights weights.safetensors"
    )]
    Import(Import),
}

#[derive(clap::Args)]
pub struct Import {
    /// The file.
    file: PathBuf,
    /// The network, or the trees: a new file.
    #[arg(long)]
    out: PathBuf,
    /// What a sample is, where the file does not say: vector:N, image:CxHxW, tokens:LENGTHxVOCABULARY, sequence:LENGTHxWIDTH.
    #[arg(long, value_parser = input)]
    input: Option<Input>,
    /// The weights under the network's names: a new file.
    #[arg(long)]
    weights: Option<PathBuf>,
    /// Weights of a model_config under the reference's names, in safetensors.
    #[arg(long, requires = "weights")]
    from: Option<PathBuf>,
    /// Loss, optimiser, schedule and figures of a train_config: a new file.
    #[arg(long)]
    recipe: Option<PathBuf>,
    /// Public number of rows, from which steps and sampling rate follow.
    #[arg(long)]
    rows: Option<u64>,
    /// Number of classes, where the file holds no model_config.
    #[arg(long)]
    classes: Option<u32>,
    /// Replace what cannot be trained privately (batch normalisation, dropout) and say so, instead of refusing it.
    #[arg(long)]
    replace: bool,
}

pub fn run(verb: Verb) -> R<Answer> {
    match verb {
        Verb::New { name, out } => {
            let network = ready::named(&name)?;
            match out {
                Some(path) => {
                    edge::write_json(&path, &network)?;
                    Ok(Answer::new(&network, format!("wrote {}", path.display())))
                }
                None => Ok(Answer::value(&network)),
            }
        }
        Verb::Check { file, weights } => {
            let bytes = edge::read(&file)?;
            let network = match kind::of(&bytes)? {
                Kind::Onnx => onnx::import(&bytes, None)?.network,
                _ => card::network(&bytes)?,
            };
            let shapes = network.shapes()?;
            let mut text = card::table(&shapes);
            if let Some(weights) = weights {
                weights::check(&edge::read(&weights)?, &shapes)?;
                text.push_str("\nthe weights fit");
            }
            Ok(Answer::new(&shapes, text))
        }
        Verb::Import(import) => import.run(),
    }
}

impl Import {
    fn run(&self) -> R<Answer> {
        let bytes = edge::read(&self.file)?;
        match kind::of(&bytes)? {
            Kind::Onnx => {
                let read = onnx::import(&bytes, self.input.clone())?;
                self.done(&read.network, Some(&read.weights), &read.notices)
            }
            Kind::Json => self.json(&canonical::parse_loose(&bytes)?),
            Kind::Safetensors => {
                let sentence = "these are weights alone; give the model_config, and the weights with --from";
                Err(Refusal::new(Code::ModelFormat, sentence))
            }
        }
    }

    /// A description of the reference.
    fn json(&self, value: &Value) -> R<Answer> {
        if reference::is_trees(value) {
            return self.trees(value);
        }
        let options = Options { replace: self.replace };
        let trains = value.get("pipeline").is_some() || value.get("config").is_some();
        if !trains {
            let missing = || Refusal::new(Code::ConfigInvalid, "a model_config needs --input").at("input");
            let read = reference::model(value, self.input.clone().ok_or_else(missing)?, &options)?;
            let weights = self.renamed(&read.paths)?;
            return self.done(&read.network, weights.as_ref(), &read.notices);
        }
        let public = Public { input: self.input.clone(), classes: self.classes, rows: self.rows };
        let read = reference::training(value, &public, &options)?;
        if let Some(path) = &self.recipe {
            edge::write_json(path, &read)?;
            say(&format!("wrote {}", path.display()));
        }
        match &read.model {
            Some(model) => self.done(&model.network, self.renamed(&model.paths)?.as_ref(), &read.notices),
            None => {
                tell(&read.notices);
                let sentence = "the file names a model of its own and describes none; import that file";
                Err(Refusal::new(Code::ModelForm, sentence).at("model_config"))
            }
        }
    }

    /// An ensemble of trees: no network, but members of a job's training.
    fn trees(&self, value: &Value) -> R<Answer> {
        let read = reference::trees(value)?;
        tell(&read.notices);
        edge::write_json(&self.out, &Model::Trees { trees: read.trees.clone() })?;
        let mut lines = vec![format!("{} trees of depth {}; in a job's [training]:", read.steps, read.trees.depth)];
        lines.push(format!("steps = {}", read.steps));
        let figures = [
            ("sample_rate", Some(&read.sample_rate)),
            ("clipping_norm", Some(&read.clipping_norm)),
            ("learning_rate", Some(&read.learning_rate)),
            ("epsilon", read.epsilon.as_ref()),
            ("delta", read.delta.as_ref()),
        ];
        let line = |(member, real): (&str, Option<&Real>)| Some(format!("{member} = \"{}\"", real?));
        lines.extend(figures.into_iter().filter_map(line));
        lines.push(format!("wrote {}", self.out.display()));
        if let Some(path) = &self.recipe {
            edge::write_json(path, &read)?;
            lines.push(format!("wrote {}", path.display()));
        }
        Ok(Answer::new(&read, lines.join("\n")))
    }

    fn renamed(&self, paths: &std::collections::BTreeMap<String, String>) -> R<Option<Tensors>> {
        let read = |path: &PathBuf| weights::renamed(weights::read(&edge::read(path)?)?, paths);
        self.from.as_ref().map(read).transpose()
    }

    fn done(&self, network: &Network, tensors: Option<&Tensors>, notices: &[Notice]) -> R<Answer> {
        let shapes = network.shapes()?;
        let bytes = tensors.map(weights::write).transpose()?;
        if let Some(bytes) = &bytes {
            weights::check(bytes, &shapes)?;
        }
        tell(notices);
        edge::write_json(&self.out, network)?;
        let mut wrote: Vec<&Path> = vec![&self.out];
        if let (Some(path), Some(bytes)) = (&self.weights, &bytes) {
            edge::write_private(path, bytes)?;
            wrote.push(path);
        }
        let value = json!({"network": network, "notices": notices, "parameters": shapes.parameter_count});
        let wrote: Vec<String> = wrote.iter().map(|path| format!("wrote {}", path.display())).collect();
        Ok(Answer::new(&value, format!("{}\n{}", card::table(&shapes), wrote.join("\n"))))
    }
}

fn tell(notices: &[Notice]) {
    for notice in notices {
        say(&format!("{}: {}", notice.field, notice.sentence));
    }
}

/// `image:3x32x32` and the like.
fn input(text: &str) -> Result<Input, String> {
    let form = || "vector:N, image:CxHxW, tokens:LENGTHxVOCABULARY or sequence:LENGTHxWIDTH".to_owned();
    let (kind, sizes) = text.split_once(':').ok_or_else(form)?;
    let sizes: Vec<u32> = sizes.split('x').map(|n| n.parse().map_err(|_| form())).collect::<Result<_, _>>()?;
    match (kind, sizes.as_slice()) {
        ("vector", &[features]) => Ok(Input::Vector { features }),
        ("image", &[channels, height, width]) => Ok(Input::Image { channels, height, width }),
        ("tokens", &[length, vocabulary]) => Ok(Input::Tokens { length, vocabulary }),
        ("sequence", &[length, width]) => Ok(Input::Sequence { length, width }),
        _ => Err(form()),
    }
}
