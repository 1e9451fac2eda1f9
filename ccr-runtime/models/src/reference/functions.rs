//! Functions that a `forward` may call, and the activations and pools that classes wrap.

use schemas::network::{Layer, Upsampling, refused};
use schemas::{Code, R, Refusal};
use serde_json::{Map, Value, json};

use super::classes::{Made, unknown};
use super::forward::Options;
use super::params::Params;
use crate::notice::Notice;

/// What a function becomes.
pub enum Called {
    /// One value to one value.
    Made(Made),
    /// Values one after the other along the channels.
    Concat,
    /// Two values added.
    Add,
}

/// Arguments that would reach files or devices: refused by name, as in the reference.
const FORBIDDEN: [&str; 7] = ["out", "file", "filename", "path", "dir", "directory", "map_location"];

/// The operation behind a dotted name, `F.relu` or `torch.flatten`.
pub fn call(name: &str, given: Map<String, Value>, options: &Options, notices: &mut Vec<Notice>) -> R<Called> {
    let short = ["torch.nn.functional.", "F.", "torch."].iter().find_map(|prefix| name.strip_prefix(prefix));
    let Some(short) = short.filter(|short| !short.is_empty() && !short.contains('.')) else {
        let sentence = format!("{name} is neither a layer nor a function of torch");
        return Err(Refusal::new(Code::ModelLayer, sentence).at(name));
    };
    if let Some(argument) = given.keys().find(|key| FORBIDDEN.contains(&key.as_str())) {
        return Err(Refusal::new(Code::ModelLayer, format!("{name}: the argument {argument} is forbidden")).at(name));
    }
    let mut params = Params::new(name, given);
    if let Some(instead) = refused(short) {
        if options.replace && short.contains("dropout") {
            notices.push(Notice::new(name, format!("left out: {instead}")));
            return Ok(Called::Made(Made::Nothing));
        }
        let code = if short.contains("batch_norm") { Code::PipelineRowCoupling } else { Code::ModelLayer };
        return Err(Refusal::new(code, format!("{name} is refused; {instead}")).at(name));
    }
    let called = match short {
        "cat" | "concat" => {
            within_samples(name, params.take("dim"), &[1, -3])?;
            Called::Concat
        }
        "add" => {
            params.only("alpha", &[json!(1)])?;
            Called::Add
        }
        "softmax" | "log_softmax" => {
            within_samples(name, params.take("dim"), &[1, -1])?;
            Called::Made(Made::Softmax)
        }
        _ => Called::Made(activation_or_pool(short, &mut params)?.ok_or_else(|| unknown(name, short))?),
    };
    params.end()?;
    Ok(called)
}

/// Activations, pools and forms by their function's name; `None` for a name that is none of them.
pub fn activation_or_pool(short: &str, params: &mut Params) -> R<Option<Made>> {
    params.ignore("inplace");
    let layer = match short {
        "relu" => Layer::Relu {},
        "leaky_relu" => Layer::LeakyRelu { slope: params.real("negative_slope", 0.01)? },
        "tanh" => Layer::Tanh {},
        "sigmoid" => Layer::Sigmoid {},
        "silu" => Layer::Silu {},
        "gelu" => {
            params.only("approximate", &[json!("none")])?;
            Layer::Gelu {}
        }
        "max_pool2d" | "avg_pool2d" => pool(short, params)?,
        "adaptive_avg_pool2d" => {
            params.only("output_size", &[json!(1), json!([1, 1])])?;
            Layer::GlobalAveragePool {}
        }
        "interpolate" => upsample(params)?,
        "flatten" | "nn_flatten" => {
            // torch.flatten begins with the samples unless it is told otherwise; the class begins behind them.
            let start = params.take("start_dim").or_else(|| (short == "nn_flatten").then(|| json!(1)));
            within_samples("flatten", start, &[1])?;
            params.only("end_dim", &[json!(-1)])?;
            Layer::Flatten {}
        }
        "mean" => mean(params)?,
        _ => return Ok(None),
    };
    Ok(Some(Made::Layer(layer)))
}

/// Refuses an operation that runs along dimension 0, where the samples are; absent means 0 in torch.
fn within_samples(name: &str, dim: Option<Value>, allowed: &[i64]) -> R<()> {
    let dim = dim.as_ref().map_or(Some(0), Value::as_i64);
    match dim {
        Some(dim) if allowed.contains(&dim) => Ok(()),
        Some(0) => {
            let sentence =
                format!("{name} runs along dimension 0, where the samples are: name dimension {}", allowed[0]);
            Err(Refusal::new(Code::PipelineRowCoupling, sentence).at(name))
        }
        _ => {
            let sentence = format!("{name} can only run along dimension {} here", allowed[0]);
            Err(Refusal::new(Code::ModelForm, sentence).at(name))
        }
    }
}

fn pool(short: &str, params: &mut Params) -> R<Layer> {
    let missing = params.refuse("kernel_size is missing");
    let kernel = params.square("kernel_size")?.ok_or(missing)?;
    let stride = params.square("stride")?.unwrap_or(kernel);
    params.only("padding", &[json!(0), json!([0, 0])])?;
    params.only("ceil_mode", &[json!(false)])?;
    if short == "max_pool2d" {
        params.only("dilation", &[json!(1), json!([1, 1])])?;
        params.only("return_indices", &[json!(false)])?;
        return Ok(Layer::MaxPool { kernel, stride });
    }
    params.only("count_include_pad", &[json!(true), json!(false)])?;
    params.only("divisor_override", &[])?;
    Ok(Layer::AvgPool { kernel, stride })
}

fn upsample(params: &mut Params) -> R<Layer> {
    let missing = params.refuse("scale_factor is missing");
    let factor = params.square("scale_factor")?.ok_or(missing)?;
    params.only("align_corners", &[json!(false)])?;
    params.only("antialias", &[json!(false)])?;
    params.only("recompute_scale_factor", &[json!(false)])?;
    let mode = match params.word("mode")?.as_deref() {
        None | Some("nearest") => Upsampling::Nearest,
        Some("bilinear") => Upsampling::Bilinear,
        Some(other) => return Err(params.refuse(format!("{other} is not known; nearest and bilinear are"))),
    };
    Ok(Layer::Upsample { factor, mode })
}

/// The mean over the pixels of an image, or over the positions of a sequence.
fn mean(params: &mut Params) -> R<Layer> {
    params.only("keepdim", &[json!(false)])?;
    let dims = match params.take("dim") {
        Some(Value::Array(dims)) => dims,
        Some(dim) => vec![dim],
        None => Vec::new(),
    };
    let dims: Vec<i64> = dims.iter().filter_map(Value::as_i64).collect();
    match dims.as_slice() {
        [2, 3] | [-2, -1] | [3, 2] | [-1, -2] => Ok(Layer::GlobalAveragePool {}),
        [1] | [-2] => Ok(Layer::MeanTokens {}),
        [] => within_samples("torch.mean", None, &[1]).map(|()| Layer::MeanTokens {}),
        dims if dims.contains(&0) => within_samples("torch.mean", None, &[1]).map(|()| Layer::MeanTokens {}),
        _ => Err(params.refuse("a mean runs over [2, 3] of an image or over 1 of a sequence")),
    }
}
