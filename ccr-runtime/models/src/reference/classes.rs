//! Classes of `torch.nn` that are layers here, with the arguments that keep their meaning.

use schemas::network::{Layer, refused};
use schemas::{Code, R, Refusal};
use serde_json::{Map, Value, json};

use super::forward::Options;
use super::functions;
use super::params::Params;
use crate::notice::Notice;

/// What a class becomes.
pub enum Made {
    /// A layer.
    Layer(Layer),
    /// Nothing: its output is its input.
    Nothing,
    /// A layer whose result is a pair, of which only the first part is used.
    First(Layer),
    /// Softmax, which only the end of a model may have.
    Softmax,
}

/// The layer that `class` with these arguments is. `name` is the layer's own name, for refusals.
pub fn layer(
    name: &str,
    class: &str,
    given: Map<String, Value>,
    options: &Options,
    notices: &mut Vec<Notice>,
) -> R<Made> {
    let kind = class.strip_prefix("torch.").unwrap_or(class);
    let Some(kind) = kind.strip_prefix("nn.") else {
        let sentence = format!("{name}: {class} is no class of torch.nn");
        return Err(Refusal::new(Code::ModelLayer, sentence).at(name));
    };
    let mut params = Params::new(format!("{name} ({class})"), given);
    if let Some(instead) = refused(kind) {
        return replaced(name, kind, instead, params, options, notices);
    }
    let made = match kind {
        "Linear" => linear(&mut params)?,
        "Conv2d" => conv(&mut params)?,
        "GroupNorm" => {
            params.usual_epsilon()?;
            params.only("affine", &[json!(true)])?;
            Made::Layer(Layer::GroupNorm {
                groups: params.count("num_groups")?,
                channels: params.count("num_channels")?,
            })
        }
        "LayerNorm" => {
            params.usual_epsilon()?;
            params.only("elementwise_affine", &[json!(true)])?;
            params.only("bias", &[json!(true)])?;
            let missing = params.refuse("normalized_shape is missing");
            Made::Layer(Layer::LayerNorm { width: params.square("normalized_shape")?.ok_or(missing)? })
        }
        "Embedding" => {
            let (count, width) = (params.count("num_embeddings")?, params.count("embedding_dim")?);
            Made::Layer(Layer::Embedding { count, width })
        }
        "LSTM" => lstm(&mut params)?,
        "Identity" => Made::Nothing,
        "Softmax" | "LogSoftmax" => {
            params.only("dim", &[json!(1), json!(-1)])?;
            Made::Softmax
        }
        _ => match functions::activation_or_pool(&snake(kind), &mut params)? {
            Some(made) => made,
            None => return Err(unknown(name, class)),
        },
    };
    params.end()?;
    Ok(made)
}

/// A refusal of an operation that no network here has.
pub fn unknown(name: &str, class: &str) -> Refusal {
    let sentence = format!(
        "{name}: {class} is not among the operations that are trained here; see `depa model check --help` for them"
    );
    Refusal::new(Code::ModelLayer, sentence).at(name)
}

/// The function that a class wraps: `LeakyReLU` is `leaky_relu`.
fn snake(class: &str) -> String {
    match class {
        "ReLU" => "relu".into(),
        "LeakyReLU" => "leaky_relu".into(),
        "GELU" => "gelu".into(),
        "SiLU" => "silu".into(),
        "MaxPool2d" => "max_pool2d".into(),
        "AvgPool2d" => "avg_pool2d".into(),
        "AdaptiveAvgPool2d" => "adaptive_avg_pool2d".into(),
        "Upsample" | "UpsamplingNearest2d" => "interpolate".into(),
        "Flatten" => "nn_flatten".into(),
        other => other.to_ascii_lowercase(),
    }
}

fn linear(params: &mut Params) -> R<Made> {
    let (inputs, outputs) = (params.count("in_features")?, params.count("out_features")?);
    Ok(Made::Layer(Layer::Linear { inputs, outputs, bias: params.flag("bias", true)? }))
}

fn conv(params: &mut Params) -> R<Made> {
    let (channels_in, channels_out) = (params.count("in_channels")?, params.count("out_channels")?);
    let missing = params.refuse("kernel_size is missing");
    let kernel = params.square("kernel_size")?.ok_or(missing)?;
    let stride = params.square("stride")?.unwrap_or(1);
    for name in ["dilation", "groups"] {
        params.only(name, &[json!(1), json!([1, 1])])?;
    }
    params.only("padding_mode", &[json!("zeros")])?;
    let padding = match params.take("padding") {
        None => 0,
        Some(Value::String(word)) if word == "valid" => 0,
        Some(Value::String(word)) if word == "same" && stride == 1 && kernel % 2 == 1 => kernel / 2,
        Some(value) => {
            let mut one = Params::new("padding", [("padding".to_owned(), value)].into_iter().collect());
            let unfit = params.refuse("padding is the same whole number on all sides");
            one.square("padding")?.ok_or(unfit)?
        }
    };
    let bias = params.flag("bias", true)?;
    Ok(Made::Layer(Layer::Conv2d { channels_in, channels_out, kernel, stride, padding, bias }))
}

fn lstm(params: &mut Params) -> R<Made> {
    let (inputs, hidden) = (params.count("input_size")?, params.count("hidden_size")?);
    params.only("num_layers", &[json!(1)])?;
    params.only("bias", &[json!(true)])?;
    params.only("dropout", &[json!(0)])?;
    params.only("bidirectional", &[json!(false)])?;
    params.only("proj_size", &[json!(0)])?;
    if !params.flag("batch_first", false)? {
        return Err(params.refuse("batch_first must be true: samples come first here"));
    }
    Ok(Made::First(Layer::Lstm { inputs, hidden }))
}

/// What mixes samples, or has no gradient of one sample: refused with its replacement, or replaced where that is asked.
fn replaced(
    name: &str,
    kind: &str,
    instead: &str,
    mut params: Params,
    options: &Options,
    notices: &mut Vec<Notice>,
) -> R<Made> {
    let mixes = kind.to_ascii_lowercase().contains("batchnorm");
    if !options.replace {
        let code = if mixes { Code::PipelineRowCoupling } else { Code::ModelLayer };
        return Err(Refusal::new(code, format!("{name}: {kind} is refused; {instead}")).at(name));
    }
    let (made, sentence) = match kind {
        "BatchNorm2d" => {
            let channels = params.count("num_features")?;
            let groups = groups(channels);
            (
                Made::Layer(Layer::GroupNorm { groups, channels }),
                format!("{kind} mixes samples and was replaced by group_norm with {groups} groups"),
            )
        }
        "BatchNorm1d" => (
            Made::Layer(Layer::LayerNorm { width: params.count("num_features")? }),
            format!("{kind} mixes samples and was replaced by layer_norm"),
        ),
        "InstanceNorm2d" => {
            let channels = params.count("num_features")?;
            let sentence = format!("{kind} was replaced by group_norm with one group for every channel");
            (Made::Layer(Layer::GroupNorm { groups: channels, channels }), sentence)
        }
        _ if kind.to_ascii_lowercase().contains("dropout") => {
            (Made::Nothing, format!("{kind} was left out: {instead}"))
        }
        _ => return Err(Refusal::new(Code::ModelLayer, format!("{name}: {kind} is refused; {instead}")).at(name)),
    };
    notices.push(Notice::new(name, sentence));
    Ok(made)
}

/// The largest divisor of the channels up to 32, the groups of Wu and He 2018.
pub fn groups(channels: u32) -> u32 {
    (1..=32.min(channels)).rev().find(|groups| channels.is_multiple_of(*groups)).unwrap_or(1)
}
