//! Matrices, sums and products: linear layers with their biases, norms with their scales, GELU and SiLU in pieces.

use std::f64::consts::FRAC_1_SQRT_2;
use std::rc::Rc;

use schemas::network::Layer;
use schemas::network::shape::Shape;
use schemas::{Code, R, Refusal};

use super::attention;
use super::attributes::Attributes;
use super::constant::{Constant, Data};
use super::import::{Act, Import, Value};
use super::nodes::shown;
use super::proto::NodeProto;
use super::{refused, shaping};
use crate::graph::Step;
use crate::weights::Tensor;

/// How near a written constant lies to what is meant (exporters round √2 to single precision).
const NEAR: f64 = 1e-4;

fn near(value: f64, meant: f64) -> bool {
    (value - meant).abs() < NEAR
}

fn size(number: usize) -> R<u32> {
    u32::try_from(number).map_err(|_| Refusal::new(Code::LimitExceeded, "a size is too large"))
}

/// A · Bᵀ + C with weights B and C.
pub fn gemm(import: &mut Import, node: &NodeProto) -> R<Value> {
    let mut attributes = Attributes::of(node);
    attributes.only("transA", &[0])?;
    let turned = attributes.int("transB", 0) == 1;
    let (alpha, beta) = (attributes.float("alpha", 1.0), attributes.float("beta", 1.0));
    attributes.end()?;
    if alpha != 1.0 || beta != 1.0 {
        return Err(import.unknown(node));
    }
    let weight = import.constant(node, 1)?.ok_or_else(|| import.unknown(node))?;
    let weight = if turned { (*weight).clone() } else { weight.transposed().ok_or_else(|| import.unknown(node))? };
    let act = import.act(node, 0)?;
    let bias = import.constant(node, 2)?;
    linear(import, node, act, &weight, bias.as_deref())
}

/// A matrix of weights behind an activation, or a product inside an attention.
pub fn matmul(import: &mut Import, node: &NodeProto) -> R<Value> {
    let weight = match (import.value(node, 0)?, import.value(node, 1)?) {
        (_, Value::Constant(weight)) => weight,
        (Value::Attention(one), Value::Attention(other)) => return attention::product(import, node, one, other),
        _ => return Err(import.unknown(node)),
    };
    let weight = weight.transposed().ok_or_else(|| import.unknown(node))?;
    if let Value::Attention(piece) = import.value(node, 0)? {
        let weight = import.weight(node, &weight, &weight.dims)?;
        return attention::closed(import, node, &piece, weight);
    }
    let act = import.act(node, 0)?;
    linear(import, node, act, &weight, None)
}

fn linear(import: &mut Import, node: &NodeProto, act: Act, weight: &Constant, bias: Option<&Constant>) -> R<Value> {
    let &[outputs, inputs] = weight.dims.as_slice() else { return Err(import.unknown(node)) };
    let mut parts = vec![("weight", import.weight(node, weight, &[outputs, inputs])?)];
    if let Some(bias) = bias {
        parts.push(("bias", import.weight(node, bias, &[outputs])?));
    }
    let layer = Layer::Linear { inputs: size(inputs)?, outputs: size(outputs)?, bias: bias.is_some() };
    import.layer(node, layer, act, parts)
}

/// A sum: a bias, learnt positions, a piece of GELU, or the end of a residual.
pub fn add(import: &mut Import, node: &NodeProto) -> R<Value> {
    if let Some(size) = arithmetic(import, node)? {
        return Ok(size);
    }
    match (import.value(node, 0)?, import.value(node, 1)?) {
        (Value::Act(one), Value::Act(other)) => {
            if one.shape != other.shape {
                let sentence = format!("{}: {} and {} are not equal", shown(node), one.shape, other.shape);
                return Err(Refusal::new(Code::ModelShape, sentence).at(shown(node)));
            }
            let value = import.graph.push(shown(node), Step::Add, vec![one.value, other.value])?;
            Ok(Value::Act(Act { value, shape: one.shape }))
        }
        (Value::Erf(act), Value::Constant(constant)) | (Value::Constant(constant), Value::Erf(act))
            if constant.scalar().is_some_and(|one| near(one, 1.0)) =>
        {
            Ok(Value::Phi(act, 1.0))
        }
        (Value::Act(act), Value::Constant(constant)) => shifted(import, node, 0, act, &constant),
        (Value::Constant(constant), Value::Act(act)) => shifted(import, node, 1, act, &constant),
        _ => Err(import.unknown(node)),
    }
}

/// The layer that gave an activation, if nobody else reads it.
fn giver(import: &Import, node: &NodeProto, at: usize, act: Act) -> Option<(usize, Layer)> {
    let giver = import.graph.giver(act.value).filter(|_| import.only_reader(node, at))?;
    match &import.graph.node(giver)?.step {
        Step::Layer(layer) => Some((giver, layer.clone())),
        _ => None,
    }
}

/// An activation plus a constant.
fn shifted(import: &mut Import, node: &NodeProto, at: usize, act: Act, constant: &Constant) -> R<Value> {
    let found = giver(import, node, at, act);
    let outputs = found.as_ref().and_then(|(_, layer)| match layer {
        Layer::Linear { outputs, .. }
        | Layer::LayerNorm { width: outputs }
        | Layer::Attention { width: outputs, .. } => Some((*outputs as usize, false)),
        Layer::Conv2d { channels_out, .. } | Layer::GroupNorm { channels: channels_out, .. } => {
            Some((*channels_out as usize, true))
        }
        _ => None,
    });
    if let (Some((giver, layer)), Some((outputs, picture))) = (found, outputs)
        && fits(constant, outputs, picture)
    {
        let more = import.weight(node, constant, &[outputs])?;
        let bare = matches!(layer, Layer::Linear { bias: false, .. } | Layer::Conv2d { bias: false, .. });
        let parts = import.weights.entry(giver).or_default();
        match parts.iter_mut().find(|(part, _)| ["bias", "proj.bias"].contains(part)) {
            Some((_, bias)) => bias.values.iter_mut().zip(&more.values).for_each(|(bias, more)| *bias += more),
            None => parts.push(("bias", more)),
        }
        if let (true, Some(changed)) = (bare, import.graph.node_mut(giver)) {
            changed.step = Step::Layer(biased(layer));
        }
        return Ok(Value::Act(act));
    }
    if let Shape::Sequence { length, width } = act.shape
        && constant.tail() == [length as usize, width as usize]
    {
        let weight = import.weight(node, constant, &[length as usize, width as usize])?;
        return import.layer(node, Layer::Positions { length, width }, act, vec![("weight", weight)]);
    }
    Err(import.unknown(node))
}

/// Whether a constant holds one number for every output: [n], or [n, 1, 1] for channels of a picture.
fn fits(constant: &Constant, outputs: usize, picture: bool) -> bool {
    let tail = constant.tail();
    // A single output leaves nothing but ones.
    let single = outputs == 1 && tail.is_empty();
    single || if picture { tail == [outputs, 1, 1] } else { tail == [outputs] }
}

fn biased(layer: Layer) -> Layer {
    match layer {
        Layer::Linear { inputs, outputs, .. } => Layer::Linear { inputs, outputs, bias: true },
        Layer::Conv2d { channels_in, channels_out, kernel, stride, padding, .. } => {
            Layer::Conv2d { channels_in, channels_out, kernel, stride, padding, bias: true }
        }
        other => other,
    }
}

/// A product: the scale of a norm, or a piece of GELU or SiLU.
pub fn mul(import: &mut Import, node: &NodeProto) -> R<Value> {
    if let Some(size) = arithmetic(import, node)? {
        return Ok(size);
    }
    match (import.value(node, 0)?, import.value(node, 1)?) {
        (Value::Constant(constant), other) | (other, Value::Constant(constant)) => {
            if let Some(factor) = constant.scalar()
                && let Some(value) = times(import, node, &other, factor)?
            {
                return Ok(value);
            }
            let at = usize::from(matches!(import.value(node, 0)?, Value::Constant(_)));
            match other {
                Value::Act(act) => stretched(import, node, at, act, &constant),
                _ => Err(import.unknown(node)),
            }
        }
        (Value::Phi(of, factor), Value::Act(act)) | (Value::Act(act), Value::Phi(of, factor)) if of == act => {
            gelu(import, node, act, factor)
        }
        (Value::Phi(of, one), Value::Scaled(act, other)) | (Value::Scaled(act, other), Value::Phi(of, one))
            if of == act =>
        {
            gelu(import, node, act, one * other)
        }
        (Value::Act(one), Value::Act(other)) => silu(import, node, one, other),
        _ => Err(import.unknown(node)),
    }
}

/// A piece times a number; `None` where that means nothing by itself.
fn times(import: &mut Import, node: &NodeProto, value: &Value, factor: f64) -> R<Option<Value>> {
    Ok(match value {
        Value::Act(act) if is_single_norm(import, *act) => None,
        Value::Act(act) => Some(Value::Scaled(*act, factor)),
        Value::Scaled(act, before) => Some(Value::Scaled(*act, before * factor)),
        Value::Phi(act, before) => Some(Value::Phi(*act, before * factor)),
        Value::Gelu(act, before) => Some(gelu(import, node, *act, before * factor)?),
        Value::Attention(piece) => attention::scaled(piece, factor),
        _ => None,
    })
}

/// Whether a norm of a single number gave this: one number times it is its scale.
fn is_single_norm(import: &Import, act: Act) -> bool {
    let step = import.graph.giver(act.value).and_then(|giver| import.graph.node(giver)).map(|node| &node.step);
    matches!(step, Some(Step::Layer(Layer::GroupNorm { channels: 1, .. } | Layer::LayerNorm { width: 1 })))
}

/// A quotient by a number.
pub fn div(import: &mut Import, node: &NodeProto) -> R<Value> {
    if let Some(size) = arithmetic(import, node)? {
        return Ok(size);
    }
    let by = import.constant(node, 1)?.and_then(|constant| constant.scalar()).filter(|by| *by != 0.0);
    let value = import.value(node, 0)?;
    match (by, &value) {
        (Some(by), Value::Constant(of)) => match of.scalar() {
            Some(of) => Ok(scalar(of / by)),
            None => Err(import.unknown(node)),
        },
        (Some(by), _) => times(import, node, &value, 1.0 / by)?.ok_or_else(|| import.unknown(node)),
        (None, _) => Err(import.unknown(node)),
    }
}

/// Whole arithmetic on members of a shape.
fn arithmetic(import: &Import, node: &NodeProto) -> R<Option<Value>> {
    Ok(shaping::arithmetic(&node.op_type, &import.value(node, 0)?, &import.value(node, 1)?))
}

/// A number that was computed from constants.
pub fn scalar(number: f64) -> Value {
    Value::Constant(Rc::new(Constant { name: String::new(), dims: Vec::new(), data: Data::Real(vec![number as f32]) }))
}

/// The root of a number: the scale of attention.
pub fn sqrt(import: &Import, node: &NodeProto) -> R<Value> {
    let number = import.constant(node, 0)?.and_then(|constant| constant.scalar()).filter(|number| *number > 0.0);
    number.map(|number| scalar(number.sqrt())).ok_or_else(|| import.unknown(node))
}

/// erf of x / √2.
pub fn erf(import: &mut Import, node: &NodeProto) -> R<Value> {
    match import.value(node, 0)? {
        Value::Scaled(act, factor) if near(factor, FRAC_1_SQRT_2) => Ok(Value::Erf(act)),
        _ => Err(import.unknown(node)),
    }
}

fn gelu(import: &mut Import, node: &NodeProto, act: Act, factor: f64) -> R<Value> {
    if near(factor, 0.5) { import.layer(node, Layer::Gelu {}, act, Vec::new()) } else { Ok(Value::Gelu(act, factor)) }
}

/// x times its own sigmoid.
fn silu(import: &mut Import, node: &NodeProto, one: Act, other: Act) -> R<Value> {
    for (at, gate, of) in [(0, one, other), (1, other, one)] {
        let Some((giver, Layer::Sigmoid {})) = giver(import, node, at, gate) else { continue };
        if let Some(changed) = import.graph.node_mut(giver).filter(|node| node.inputs == [of.value]) {
            changed.step = Step::Layer(Layer::Silu {});
            return Ok(Value::Act(gate));
        }
    }
    Err(refused(&shown(node), format!("{} multiplies two activations, which no network here does", shown(node))))
}

/// The scale of a norm that was written apart from it.
fn stretched(import: &mut Import, node: &NodeProto, at: usize, act: Act, constant: &Constant) -> R<Value> {
    let (giver, outputs, picture) = match giver(import, node, at, act) {
        Some((giver, Layer::GroupNorm { channels, .. })) => (giver, channels as usize, true),
        Some((giver, Layer::LayerNorm { width })) => (giver, width as usize, false),
        _ => return Err(import.unknown(node)),
    };
    if !fits(constant, outputs, picture) {
        return Err(import.unknown(node));
    }
    let scale = import.weight(node, constant, &[outputs])?;
    for (_, tensor) in import.weights.entry(giver).or_default() {
        tensor.values.iter_mut().zip(&scale.values).for_each(|(value, scale)| *value *= scale);
    }
    Ok(Value::Act(act))
}

/// Normalisation of a vector, or of every position of a sequence.
pub fn layer_norm(import: &mut Import, node: &NodeProto) -> R<Value> {
    let mut attributes = Attributes::of(node);
    let act = import.act(node, 0)?;
    let (width, last) = match act.shape {
        Shape::Vector { features } => (features, 1),
        Shape::Sequence { width, .. } => (width, 2),
        _ => return Err(import.unknown(node)),
    };
    attributes.only("axis", &[-1, last])?;
    attributes.only("stash_type", &[1])?;
    let epsilon = attributes.float("epsilon", 1e-5);
    if (epsilon - 1e-5).abs() > 1e-9 {
        return Err(attributes.refuse("epsilon is 10^-5 here"));
    }
    attributes.end()?;
    let wide = width as usize;
    let scale = import.constant(node, 1)?.ok_or_else(|| import.unknown(node))?;
    let scale = import.weight(node, &scale, &[wide])?;
    let shift = match import.constant(node, 2)? {
        Some(shift) => import.weight(node, &shift, &[wide])?,
        None => Tensor { shape: vec![wide], values: vec![0.0; wide] },
    };
    import.layer(node, Layer::LayerNorm { width }, act, vec![("weight", scale), ("bias", shift)])
}
