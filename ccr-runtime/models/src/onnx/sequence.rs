//! Operations on sequences: embedding, LSTM, the last position, the mean over positions.

use schemas::network::Layer;
use schemas::network::shape::Shape;
use schemas::{Code, R, Refusal};

use super::attributes::Attributes;
use super::constant::Constant;
use super::import::{Act, Dim, Import, Value};
use super::nodes::shown;
use super::proto::NodeProto;
use super::{attention, form, refused};
use crate::weights::Tensor;

fn size(number: usize) -> R<u32> {
    u32::try_from(number).map_err(|_| Refusal::new(Code::LimitExceeded, "a size is too large"))
}

/// Rows of a matrix by tokens: an embedding. One position of a sequence: the last. Members of a shape.
pub fn gather(import: &mut Import, node: &NodeProto) -> R<Value> {
    let mut attributes = Attributes::of(node);
    let axis = attributes.int("axis", 0);
    attributes.end()?;
    let index = |import: &Import| import.constant(node, 1).map(|at| at.and_then(|at| at.scalar()).map(|at| at as i64));
    match import.value(node, 0)? {
        Value::Constant(table) if axis == 0 => {
            let act = import.act(node, 1)?;
            let &[count, width] = table.dims.as_slice() else { return Err(import.unknown(node)) };
            let weight = import.weight(node, &table, &[count, width])?;
            let layer = Layer::Embedding { count: size(count)?, width: size(width)? };
            import.layer(node, layer, act, vec![("weight", weight)])
        }
        Value::Dims(dims) if axis == 0 => {
            let at = index(import)?.ok_or_else(|| import.unknown(node))?;
            let length = dims.len() as i64;
            let at = usize::try_from(if at < 0 { at + length } else { at }).ok();
            let dim = at.and_then(|at| dims.get(at)).ok_or_else(|| import.unknown(node))?;
            Ok(Value::Dims(vec![*dim]))
        }
        Value::Act(act) if axis == 1 || axis == -2 => last(import, node, act, index(import)?),
        Value::TimeFirst(act) if axis == 0 => last(import, node, act, index(import)?),
        // One direction: its state is the only one.
        Value::LastState(act) if axis == 0 && matches!(index(import)?, Some(0 | -1)) => {
            import.layer(node, Layer::LastToken {}, act, Vec::new())
        }
        Value::Act(_) if axis == 0 => {
            let sentence = format!("{} picks samples out of the batch", shown(node));
            Err(Refusal::new(Code::PipelineRowCoupling, sentence).at(shown(node)))
        }
        _ => Err(import.unknown(node)),
    }
}

fn last(import: &mut Import, node: &NodeProto, act: Act, at: Option<i64>) -> R<Value> {
    let Shape::Sequence { length, .. } = act.shape else { return Err(import.unknown(node)) };
    if at == Some(-1) || at == Some(i64::from(length) - 1) {
        return import.layer(node, Layer::LastToken {}, act, Vec::new());
    }
    Err(refused(&shown(node), format!("{} picks another position than the last", shown(node))))
}

/// Samples and positions exchanged, or a matrix of weights turned.
pub fn transpose(import: &mut Import, node: &NodeProto) -> R<Value> {
    let mut attributes = Attributes::of(node);
    let order = attributes.ints("perm").unwrap_or_default();
    attributes.end()?;
    match (import.value(node, 0)?, order.as_slice()) {
        (Value::Constant(matrix), [] | [1, 0]) => {
            Ok(Value::Constant(matrix.transposed().ok_or_else(|| import.unknown(node))?.into()))
        }
        (Value::Act(act), [1, 0, 2]) if matches!(act.shape, Shape::Sequence { .. }) => Ok(Value::TimeFirst(act)),
        (Value::TimeFirst(act), [1, 0, 2]) => Ok(Value::Act(act)),
        (Value::Attention(piece), order) => attention::transpose(import, node, piece, order),
        _ => Err(import.unknown(node)),
    }
}

/// Axes by attribute (before operator set 13 or 18) or by input.
fn axes(import: &Import, node: &NodeProto, attributes: &mut Attributes<'_>) -> R<Option<Vec<i64>>> {
    let given = attributes.ints("axes");
    let constant = import.constant(node, 1)?;
    Ok(given.or_else(|| constant.and_then(|axes| axes.whole().map(<[i64]>::to_vec))))
}

/// Takes a dimension of size 1 away.
pub fn squeeze(import: &mut Import, node: &NodeProto) -> R<Value> {
    let mut attributes = Attributes::of(node);
    let axes = axes(import, node, &mut attributes)?;
    attributes.end()?;
    match (import.value(node, 0)?, axes.as_deref()) {
        (Value::Directed(act), Some([1])) => Ok(Value::TimeFirst(act)),
        (Value::Directed(act), Some([2])) => Ok(Value::Act(act)),
        (Value::LastState(act), Some([0])) => import.layer(node, Layer::LastToken {}, act, Vec::new()),
        // What global pools leave of an image.
        (Value::Act(act), Some([2, 3] | [-2, -1] | [3] | [2] | [-1])) if matches!(act.shape, Shape::Vector { .. }) => {
            Ok(Value::Act(act))
        }
        (Value::Dims(dims), _) => Ok(Value::Dims(dims)),
        _ => Err(import.unknown(node)),
    }
}

/// The mean over the pixels of an image, or over the positions of a sequence.
pub fn mean(import: &mut Import, node: &NodeProto) -> R<Value> {
    let mut attributes = Attributes::of(node);
    let axes = axes(import, node, &mut attributes)?.unwrap_or_default();
    let keeps = attributes.int("keepdims", 1) == 1;
    attributes.only("noop_with_empty_axes", &[0])?;
    attributes.end()?;
    let act = import.act(node, 0)?;
    let layer = match (act.shape, axes.as_slice()) {
        (Shape::Image { .. }, [2, 3] | [-2, -1] | [3, 2] | [-1, -2]) => Layer::GlobalAveragePool {},
        (Shape::Sequence { .. }, [1] | [-2]) if !keeps => Layer::MeanTokens {},
        (_, axes) if axes.is_empty() || axes.contains(&0) => {
            let sentence = format!("{} runs along the samples of the batch", shown(node));
            return Err(Refusal::new(Code::PipelineRowCoupling, sentence).at(shown(node)));
        }
        _ => return Err(import.unknown(node)),
    };
    import.layer(node, layer, act, Vec::new())
}

/// One LSTM layer, forward, from zero states.
pub fn lstm(import: &mut Import, node: &NodeProto) -> R<()> {
    let mut attributes = Attributes::of(node);
    attributes.only_word("direction", &["forward"])?;
    attributes.only("input_forget", &[0])?;
    let hidden = attributes.int("hidden_size", 0);
    let samples_first = attributes.int("layout", 0) == 1;
    attributes.end()?;
    let act = match (import.value(node, 0)?, samples_first) {
        (Value::TimeFirst(act), false) | (Value::Act(act), true) => act,
        _ => return Err(import.unknown(node)),
    };
    let Shape::Sequence { length, width } = act.shape else { return Err(import.unknown(node)) };
    let hidden = u32::try_from(hidden).ok().filter(|hidden| *hidden > 0);
    let hidden = hidden.ok_or_else(|| form(&shown(node), format!("{} has no hidden_size", shown(node))))?;
    // 4 is the length of each sequence, 5 and 6 are the first states, 7 are peepholes.
    let bare = import.maybe(node, 4)?.is_none() && import.maybe(node, 7)?.is_none();
    if !bare || !zero(import.maybe(node, 5)?) || !zero(import.maybe(node, 6)?) {
        let sentence = format!("{} has lengths, peepholes or first states other than zero", shown(node));
        return Err(refused(&shown(node), sentence));
    }
    let (wide, state) = (width as usize, hidden as usize);
    let mut parts = Vec::new();
    for (part, at, columns) in [("ih.weight", 1, wide), ("hh.weight", 2, state)] {
        let constant = import.constant(node, at)?.ok_or_else(|| import.unknown(node))?;
        let tensor = import.weight(node, &constant, &[4 * state, columns])?;
        parts.push((part, Tensor { values: ours(&tensor.values, state * columns), ..tensor }));
    }
    let biases = match import.constant(node, 3)? {
        Some(biases) => import.weight(node, &biases, &[8 * state])?.values,
        None => vec![0.0; 8 * state],
    };
    for (part, half) in ["ih.bias", "hh.bias"].into_iter().zip(biases.chunks_exact(4 * state)) {
        parts.push((part, Tensor { shape: vec![4 * state], values: ours(half, state) }));
    }
    let value = import.layer(node, Layer::Lstm { inputs: width, hidden }, act, parts)?;
    let Value::Act(Act { value, .. }) = value else { return Err(import.unknown(node)) };
    let out = Act { value, shape: Shape::Sequence { length, width: hidden } };
    for (name, value) in node.output.iter().zip([Value::Directed(out), Value::LastState(out)]) {
        if !name.is_empty() {
            import.define(name, value)?;
        }
    }
    Ok(())
}

/// Whether first states are zero, or absent.
fn zero(state: Option<Value>) -> bool {
    match state {
        None | Some(Value::Zeros) => true,
        Some(Value::Constant(constant)) => Constant::is_zero(&constant),
        _ => false,
    }
}

/// Gates in the order i, o, f, c become i, f, c, o.
fn ours(values: &[f32], gate: usize) -> Vec<f32> {
    let gate_of = |at: usize| values.get(at * gate..(at + 1) * gate).unwrap_or_default();
    [0, 2, 3, 1].into_iter().flat_map(gate_of).copied().collect()
}

/// The shape of a sequence that stands with its positions first.
pub fn time_first(act: Act) -> Option<Vec<Dim>> {
    let Shape::Sequence { length, width } = act.shape else { return None };
    Some(vec![Dim::Size(length.into()), Dim::Batch, Dim::Size(width.into())])
}
