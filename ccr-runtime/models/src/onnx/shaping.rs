//! Flattening and what leads to it: shapes that are read, taken apart and put together.
//!
//! A reshape must keep the samples apart: its first dimension stays theirs.

use schemas::network::Layer;
use schemas::network::shape::Shape;
use schemas::{Code, R, Refusal};

use super::attributes::Attributes;
use super::import::{Act, Dim, Import, Value};
use super::nodes::shown;
use super::proto::NodeProto;
use super::{attention, picture, sequence};

fn coupling(node: &NodeProto) -> Refusal {
    let sentence =
        format!("{} folds samples into one another: the first dimension stays that of the samples", shown(node));
    Refusal::new(Code::PipelineRowCoupling, sentence).at(shown(node))
}

/// The sizes of one sample.
fn sizes(shape: Shape) -> Vec<i64> {
    match shape {
        Shape::Vector { features } => vec![features.into()],
        Shape::Image { channels, height, width } => vec![channels.into(), height.into(), width.into()],
        Shape::Tokens { length, .. } => vec![length.into()],
        Shape::Sequence { length, width } => vec![length.into(), width.into()],
    }
}

/// Every sample as a vector.
pub fn flatten(import: &mut Import, node: &NodeProto) -> R<Value> {
    let mut attributes = Attributes::of(node);
    let axis = attributes.int("axis", 1);
    attributes.end()?;
    let act = import.act(node, 0)?;
    match axis {
        1 => flat(import, node, act),
        0 => Err(coupling(node)),
        _ => Err(import.unknown(node)),
    }
}

fn flat(import: &mut Import, node: &NodeProto, act: Act) -> R<Value> {
    match act.shape {
        Shape::Vector { .. } => Ok(Value::Act(act)),
        _ => import.layer(node, Layer::Flatten {}, act, Vec::new()),
    }
}

/// A new shape: flattening, the shape it has already, or a piece of a group norm.
pub fn reshape(import: &mut Import, node: &NodeProto) -> R<Value> {
    let mut attributes = Attributes::of(node);
    attributes.only("allowzero", &[0])?;
    attributes.end()?;
    let target: Vec<Dim> = match import.value(node, 1)? {
        Value::Dims(dims) => dims,
        Value::Constant(constant) => {
            constant.whole().ok_or_else(|| import.unknown(node))?.iter().map(|size| Dim::Size(*size)).collect()
        }
        _ => return Err(import.unknown(node)),
    };
    match import.value(node, 0)? {
        Value::Act(act) => {
            let rest = per_sample(import, node, act.shape, &target)?;
            let own = sizes(act.shape);
            if let (Shape::Sequence { .. }, [_, _, _]) = (act.shape, rest.as_slice()) {
                return attention::by_head(import, node, attention::whole(act), &rest);
            }
            match (act.shape, rest.as_slice()) {
                (_, rest) if rest == own.as_slice() => Ok(Value::Act(act)),
                (_, [_]) => flat(import, node, act),
                (Shape::Image { channels, .. }, &[groups, _]) => {
                    let groups = u32::try_from(groups).ok().filter(|g| *g > 0 && channels.is_multiple_of(*g));
                    Ok(Value::Grouped(act, groups.ok_or_else(|| import.unknown(node))?))
                }
                // A pooled image is a vector here and [channels, 1, 1] there.
                (Shape::Vector { features }, [first, ones @ ..])
                    if *first == i64::from(features) && ones.iter().all(|one| *one == 1) =>
                {
                    Ok(Value::Act(act))
                }
                _ => Err(import.unknown(node)),
            }
        }
        Value::Attention(piece) => {
            let shape = attention::sequence(&piece).ok_or_else(|| import.unknown(node))?;
            let rest = per_sample(import, node, shape, &target)?;
            attention::reshape(import, node, &piece, &rest)
        }
        Value::Normed(act, groups, scale, shift) => {
            let rest = per_sample(import, node, act.shape, &target)?;
            if rest != sizes(act.shape) {
                return Err(import.unknown(node));
            }
            picture::ungrouped(import, node, act, groups, &scale, &shift)
        }
        _ => Err(import.unknown(node)),
    }
}

/// The sizes of one sample behind a reshape, every −1 and 0 worked out.
fn per_sample(import: &Import, node: &NodeProto, shape: Shape, target: &[Dim]) -> R<Vec<i64>> {
    let numbers = i64::try_from(shape.numbers()).map_err(|_| import.unknown(node))?;
    let own = sizes(shape);
    let (first, rest) = target.split_first().ok_or_else(|| coupling(node))?;
    let mut open = None;
    let mut sizes = Vec::with_capacity(rest.len());
    for (at, dim) in rest.iter().enumerate() {
        match dim {
            Dim::Batch => return Err(coupling(node)),
            Dim::Size(-1) if open.is_none() => {
                open = Some(at);
                sizes.push(1);
            }
            Dim::Size(0) => sizes.push(own.get(at).copied().ok_or_else(|| import.unknown(node))?),
            Dim::Size(size) if *size > 0 => sizes.push(*size),
            Dim::Size(_) => return Err(import.unknown(node)),
        }
    }
    let product =
        sizes.iter().try_fold(1i64, |product, size| product.checked_mul(*size)).ok_or_else(|| import.unknown(node))?;
    // With −1 in front the rest must make up a whole sample; else the −1 behind it does.
    let samples = match first {
        Dim::Batch | Dim::Size(0) => true,
        Dim::Size(-1) => open.is_none(),
        Dim::Size(size) => import.batch == Some(*size),
    };
    if let Some(size) = open.and_then(|at| sizes.get_mut(at)) {
        *size = numbers.checked_div(product).unwrap_or(0);
    }
    let filled = sizes.iter().try_fold(1i64, |product, size| product.checked_mul(*size));
    if samples && filled == Some(numbers) { Ok(sizes) } else { Err(coupling(node)) }
}

/// The shape of a value.
pub fn shape(import: &mut Import, node: &NodeProto) -> R<Value> {
    let mut attributes = Attributes::of(node);
    attributes.only("start", &[0])?;
    attributes.end()?;
    match import.value(node, 0)? {
        Value::Act(act) => {
            let sizes = sizes(act.shape).into_iter().map(Dim::Size);
            Ok(Value::Dims([Dim::Batch].into_iter().chain(sizes).collect()))
        }
        Value::TimeFirst(act) => Ok(Value::Dims(sequence::time_first(act).ok_or_else(|| import.unknown(node))?)),
        Value::Attention(piece) => Ok(Value::Dims(attention::dims(&piece).ok_or_else(|| import.unknown(node))?)),
        _ => Err(import.unknown(node)),
    }
}

/// A member of a shape as a shape of one member; a constant with more ones around it.
pub fn unsqueeze(import: &mut Import, node: &NodeProto) -> R<Value> {
    match import.value(node, 0)? {
        Value::Dims(dims) => Ok(Value::Dims(dims)),
        Value::Constant(constant) if constant.scalar().is_some() => Ok(Value::Constant(constant)),
        _ => Err(import.unknown(node)),
    }
}

/// Some members of a shape, one after the other.
pub fn slice(import: &mut Import, node: &NodeProto) -> R<Value> {
    let dims = match import.value(node, 0)? {
        Value::Dims(dims) => dims,
        Value::Act(act) => return attention::slice(import, node, act),
        _ => return Err(import.unknown(node)),
    };
    let number = |at: usize| import.constant(node, at).map(|c| c.and_then(|c| c.scalar()).map(|n| n as i64));
    let (start, end) = (number(1)?, number(2)?);
    let (axis, step) = (number(3)?.unwrap_or(0), number(4)?.unwrap_or(1));
    let length = dims.len() as i64;
    let place = |at: i64| usize::try_from(if at < 0 { at.saturating_add(length) } else { at.min(length) }).ok();
    let range = start.and_then(place).zip(end.and_then(place)).filter(|_| axis == 0 && step == 1);
    let members = range.and_then(|(start, end)| dims.get(start..end)).ok_or_else(|| import.unknown(node))?;
    Ok(Value::Dims(members.to_vec()))
}

/// Zeros of a shape that is computed: the first states of an LSTM.
pub fn zeros(import: &mut Import, node: &NodeProto) -> R<Value> {
    let mut attributes = Attributes::of(node);
    let zero = if node.op_type == "Expand" {
        import.constant(node, 0)?.is_some_and(|constant| constant.is_zero())
    } else {
        let value =
            attributes.tensor("value").map(|tensor| super::constant::Constant::read(tensor, "value")).transpose()?;
        value.is_none_or(|value| value.is_zero())
    };
    attributes.end()?;
    if zero { Ok(Value::Zeros) } else { Err(import.unknown(node)) }
}

/// The only number that is computed from a shape or written as a constant.
pub fn single(value: &Value) -> Option<i64> {
    match value {
        Value::Dims(dims) => match dims.as_slice() {
            [Dim::Size(size)] => Some(*size),
            _ => None,
        },
        Value::Constant(constant) => match constant.whole()? {
            [number] => Some(*number),
            _ => None,
        },
        _ => None,
    }
}

/// Whole arithmetic on two such numbers, of which at least one is a member of a shape; `None` for other values.
pub fn arithmetic(operator: &str, one: &Value, other: &Value) -> Option<Value> {
    if !matches!(one, Value::Dims(_)) && !matches!(other, Value::Dims(_)) {
        return None;
    }
    let (one, other) = (single(one)?, single(other)?);
    let result = match operator {
        "Add" => one.checked_add(other),
        "Mul" => one.checked_mul(other),
        _ => one.checked_div(other),
    };
    result.map(|size| Value::Dims(vec![Dim::Size(size)]))
}
