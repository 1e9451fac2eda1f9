//! One operation after the other: which function reads it.

use schemas::network::{Layer, refused as replacement};
use schemas::text::Real;
use schemas::{Code, R, Refusal};

use super::attributes::Attributes;
use super::constant::Constant;
use super::import::{Dim, Import, Value};
use super::proto::NodeProto;
use super::{affine, attention, form, picture, sequence, shaping};
use crate::graph::Step;
use crate::notice::Notice;

/// An operation as refusals call it: its operator and the beginning of its name.
pub fn shown(node: &NodeProto) -> String {
    let tame = |text: &str| text.chars().filter(|c| c.is_ascii_graphic()).take(60).collect::<String>();
    if node.name.is_empty() { tame(&node.op_type) } else { format!("{} ({})", tame(&node.op_type), tame(&node.name)) }
}

/// Reads one operation.
pub fn carry_out(import: &mut Import, node: &NodeProto) -> R<()> {
    let value = match node.op_type.as_str() {
        "LSTM" => return sequence::lstm(import, node),
        "Split" => return attention::split(import, node),
        "Constant" => constant(node)?,
        "Identity" => import.value(node, 0)?,
        "Cast" => cast(import, node)?,
        "Relu" | "Tanh" | "Sigmoid" | "LeakyRelu" | "Gelu" => activation(import, node)?,
        "Softmax" | "LogSoftmax" => softmax(import, node)?,
        "Gemm" => affine::gemm(import, node)?,
        "MatMul" => affine::matmul(import, node)?,
        "Add" => affine::add(import, node)?,
        "Mul" => affine::mul(import, node)?,
        "Div" => affine::div(import, node)?,
        "Erf" => affine::erf(import, node)?,
        "Sqrt" => affine::sqrt(import, node)?,
        "LayerNormalization" => affine::layer_norm(import, node)?,
        "Conv" => picture::conv(import, node)?,
        "MaxPool" | "AveragePool" => picture::pool(import, node)?,
        "GlobalAveragePool" => {
            let act = import.act(node, 0)?;
            import.layer(node, Layer::GlobalAveragePool {}, act, Vec::new())?
        }
        "GroupNormalization" => picture::group_norm(import, node)?,
        "InstanceNormalization" => picture::instance_norm(import, node)?,
        "Resize" | "Upsample" => picture::resize(import, node)?,
        "Concat" => concat(import, node)?,
        "Gather" => sequence::gather(import, node)?,
        "Transpose" => sequence::transpose(import, node)?,
        "Squeeze" => sequence::squeeze(import, node)?,
        "ReduceMean" => sequence::mean(import, node)?,
        "Flatten" => shaping::flatten(import, node)?,
        "Reshape" => shaping::reshape(import, node)?,
        "Shape" => shaping::shape(import, node)?,
        "Unsqueeze" => shaping::unsqueeze(import, node)?,
        "Slice" => shaping::slice(import, node)?,
        "ConstantOfShape" | "Expand" => shaping::zeros(import, node)?,
        operator => return Err(other(import, node, operator)),
    };
    match node.output.as_slice() {
        [output, rest @ ..] if rest.iter().all(String::is_empty) => import.define(output, value),
        _ => Err(form(&shown(node), format!("{} gives more than one value", shown(node)))),
    }
}

/// The refusal of an operator, with its replacement where one is known.
fn other(import: &Import, node: &NodeProto, operator: &str) -> Refusal {
    let what = shown(node);
    match replacement(operator) {
        Some(instead) => {
            let mixes = operator.to_ascii_lowercase().contains("batchnorm");
            let code = if mixes { Code::PipelineRowCoupling } else { Code::ModelLayer };
            Refusal::new(code, format!("{what} is refused; {instead}")).at(what)
        }
        None => import.unknown(node),
    }
}

fn constant(node: &NodeProto) -> R<Value> {
    let mut attributes = Attributes::of(node);
    let name = node.output.first().map(String::as_str).unwrap_or_default();
    let value = match attributes.tensor("value") {
        Some(tensor) => Constant::read(tensor, name)?,
        None => {
            let whole = match attributes.ints("value_ints") {
                Some(many) => many,
                None => vec![attributes.int("value_int", i64::MIN)],
            };
            let real = attributes.float("value_float", f32::NAN);
            let data = if real.is_nan() {
                super::constant::Data::Whole(whole)
            } else {
                super::constant::Data::Real(vec![real])
            };
            let length = match &data {
                super::constant::Data::Whole(many) => many.len(),
                super::constant::Data::Real(many) => many.len(),
            };
            if data == super::constant::Data::Whole(vec![i64::MIN]) {
                return Err(attributes.refuse("no value that is read here"));
            }
            Constant { name: name.to_owned(), dims: vec![length], data }
        }
    };
    attributes.end()?;
    Ok(Value::Constant(value.into()))
}

/// Whole numbers stay whole and reals stay reals; anything else would change values.
fn cast(import: &Import, node: &NodeProto) -> R<Value> {
    let mut attributes = Attributes::of(node);
    let to = attributes.int("to", 0);
    let value = import.value(node, 0)?;
    if let (1, Value::Dims(_), Some(size)) = (to, &value, shaping::single(&value)) {
        return Ok(affine::scalar(size as f64));
    }
    let tokens =
        matches!(&value, Value::Act(act) if matches!(act.shape, schemas::network::shape::Shape::Tokens { .. }));
    let whole = matches!(&value, Value::Dims(_)) || tokens;
    let whole = whole || matches!(&value, Value::Constant(constant) if constant.whole().is_some());
    let stays = if whole { [6, 7].contains(&to) } else { to == 1 };
    if stays { Ok(value) } else { Err(attributes.refuse("it changes the type of its values")) }
}

fn activation(import: &mut Import, node: &NodeProto) -> R<Value> {
    let mut attributes = Attributes::of(node);
    let act = import.act(node, 0)?;
    let layer = match node.op_type.as_str() {
        "Relu" => Layer::Relu {},
        "Tanh" => Layer::Tanh {},
        "Sigmoid" => Layer::Sigmoid {},
        "Gelu" => {
            attributes.only_word("approximate", &["none"])?;
            Layer::Gelu {}
        }
        _ => {
            let alpha = attributes.float("alpha", 0.01);
            let slope = (alpha >= 0.0).then(|| Real::parse(&format!("{alpha}")).ok()).flatten();
            Layer::LeakyRelu { slope: slope.ok_or_else(|| attributes.refuse("alpha is no number from 0"))? }
        }
    };
    attributes.end()?;
    import.layer(node, layer, act, Vec::new())
}

fn softmax(import: &mut Import, node: &NodeProto) -> R<Value> {
    let mut attributes = Attributes::of(node);
    let axis = attributes.int("axis", -1);
    attributes.end()?;
    if let Value::Attention(piece) = import.value(node, 0)? {
        return attention::shares(import, node, &piece, axis);
    }
    let act = import.act(node, 0)?;
    if node.output.first() != Some(&import.output) || ![1, -1].contains(&axis) {
        let sentence = format!("{} stands at the end of a model alone, over its classes", shown(node));
        return Err(super::refused(&shown(node), sentence));
    }
    import.notices.push(Notice::new(shown(node), "left off at the end: the loss takes logits"));
    Ok(Value::Act(act))
}

/// Images along their channels; members of a shape one after the other.
fn concat(import: &mut Import, node: &NodeProto) -> R<Value> {
    let mut attributes = Attributes::of(node);
    let axis = attributes.int("axis", 0);
    attributes.end()?;
    let values = (0..node.input.len()).map(|at| import.value(node, at)).collect::<R<Vec<_>>>()?;
    if let [Value::Act(one), Value::Act(other)] = values.as_slice() {
        if axis == 0 {
            let sentence = format!("{} runs along the samples: name axis 1", shown(node));
            return Err(Refusal::new(Code::PipelineRowCoupling, sentence).at(shown(node)));
        }
        if ![1, -3].contains(&axis) {
            return Err(import.unknown(node));
        }
        let shape = picture::beside(node, one.shape, other.shape)?;
        let value = import.graph.push(shown(node), Step::Concat, vec![one.value, other.value])?;
        return Ok(Value::Act(super::import::Act { value, shape }));
    }
    let mut dims = Vec::new();
    for value in &values {
        match value {
            Value::Dims(members) => dims.extend(members),
            Value::Constant(constant) => {
                let whole = constant.whole().ok_or_else(|| import.unknown(node))?;
                dims.extend(whole.iter().map(|size| Dim::Size(*size)));
            }
            _ => return Err(import.unknown(node)),
        }
    }
    Ok(Value::Dims(dims))
}
