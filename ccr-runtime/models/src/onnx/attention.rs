//! Self-attention put together from its pieces: three linear layers (or a third each of one), heads, scores, softmax.
//!
//! What is known is what exporters write of softmax(Q Kᵀ / √d) V with Q, K and V from the same sequence, without a mask:
//! reshape to [samples, positions, heads, d], transpose, two products, transpose and reshape back, a linear layer.

use std::rc::Rc;

use schemas::R;
use schemas::network::Layer;
use schemas::network::shape::Shape;

use super::attributes::Attributes;
use super::import::{Act, Dim, Import, Value};
use super::proto::NodeProto;
use super::shaping;
use crate::graph::Step;
use crate::weights::Tensor;

/// Where queries, keys or values come from.
#[derive(Clone, PartialEq, Debug)]
pub struct Source {
    /// The output of a linear layer.
    linear: Act,
    /// Which third of it; all of it otherwise.
    third: Option<usize>,
}

/// How the four dimensions of a head stand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Order {
    /// [samples, positions, heads, d].
    Positions,
    /// [samples, heads, positions, d].
    Heads,
    /// [samples, heads, d, positions].
    Turned,
}

/// Queries, keys or values by head, times a number.
#[derive(Clone, PartialEq, Debug)]
pub struct Heads {
    source: Source,
    heads: u32,
    order: Order,
    factor: f64,
}

/// A piece of attention.
#[derive(Clone, PartialEq, Debug)]
pub enum Piece {
    /// A third of a linear layer's output.
    Third(Source),
    /// Queries, keys or values.
    Heads(Heads),
    /// Queries times keys, times a number.
    Scores(Rc<[Source; 2]>, u32, f64),
    /// Their softmax.
    Shares(Rc<[Source; 2]>, u32),
    /// Their product with the values: by head, or already by position.
    Context(Rc<[Source; 3]>, u32, Order),
    /// The heads of every position side by side, before the last linear layer.
    Joined(Rc<[Source; 3]>, u32),
}

/// The width of what a source gives at every position.
fn width(source: &Source) -> Option<u32> {
    let Shape::Sequence { width, .. } = source.linear.shape else { return None };
    Some(if source.third.is_some() { width / 3 } else { width })
}

/// A sequence cut into thirds of its width.
pub fn split(import: &mut Import, node: &NodeProto) -> R<()> {
    let mut attributes = Attributes::of(node);
    let axis = attributes.int("axis", 0);
    attributes.only("num_outputs", &[3])?;
    let sizes = attributes.ints("split");
    attributes.end()?;
    let sizes = sizes.or(import.constant(node, 1)?.and_then(|sizes| sizes.whole().map(<[i64]>::to_vec)));
    let act = import.act(node, 0)?;
    let Shape::Sequence { width, .. } = act.shape else { return Err(import.unknown(node)) };
    let even = sizes.is_none_or(|sizes| sizes == [i64::from(width) / 3; 3]);
    if ![2, -1].contains(&axis) || !width.is_multiple_of(3) || !even || node.output.len() != 3 {
        return Err(import.unknown(node));
    }
    for (third, name) in node.output.iter().enumerate() {
        let source = Source { linear: act, third: Some(third) };
        import.define(name, Value::Attention(Piece::Third(source)))?;
    }
    Ok(())
}

/// A third of a sequence's width, cut out by places that are written or computed.
pub fn slice(import: &Import, node: &NodeProto, act: Act) -> R<Value> {
    let Shape::Sequence { width, .. } = act.shape else { return Err(import.unknown(node)) };
    let number = |at: usize| import.maybe(node, at).map(|value| value.and_then(|value| shaping::single(&value)));
    let (start, end, axis, step) = (number(1)?, number(2)?, number(3)?, number(4)?.unwrap_or(1));
    let each = i64::from(width) / 3;
    let third = (0..3).find(|third| start == Some(third * each) && end == Some((third + 1) * each));
    match third.and_then(|third| usize::try_from(third).ok()) {
        Some(third) if width.is_multiple_of(3) && step == 1 && matches!(axis, Some(2 | -1)) => {
            Ok(Value::Attention(Piece::Third(Source { linear: act, third: Some(third) })))
        }
        _ => Err(import.unknown(node)),
    }
}

/// The shape of queries, keys or values by head.
pub fn dims(piece: &Piece) -> Option<Vec<Dim>> {
    let Piece::Heads(Heads { source, heads, order, .. }) = piece else { return None };
    let Shape::Sequence { length, .. } = source.linear.shape else { return None };
    let each = Dim::Size((width(source)? / heads).into());
    let (length, heads) = (Dim::Size(length.into()), Dim::Size((*heads).into()));
    Some(match order {
        Order::Positions => vec![Dim::Batch, length, heads, each],
        Order::Heads => vec![Dim::Batch, heads, length, each],
        Order::Turned => vec![Dim::Batch, heads, each, length],
    })
}

/// [samples, positions, heads, d] of a sequence: the beginning.
pub fn by_head(import: &Import, node: &NodeProto, source: Source, sizes: &[i64]) -> R<Value> {
    let Shape::Sequence { length, .. } = source.linear.shape else { return Err(import.unknown(node)) };
    let &[positions, heads, each] = sizes else { return Err(import.unknown(node)) };
    let whole = width(&source).map(i64::from) == heads.checked_mul(each) && positions == i64::from(length);
    match u32::try_from(heads) {
        Ok(heads) if whole && heads > 0 => {
            Ok(Value::Attention(Piece::Heads(Heads { source, heads, order: Order::Positions, factor: 1.0 })))
        }
        _ => Err(import.unknown(node)),
    }
}

/// A whole linear layer's output as a source.
pub fn whole(act: Act) -> Source {
    Source { linear: act, third: None }
}

/// A reshape of a piece: into heads, or of the context back to a sequence.
pub fn reshape(import: &Import, node: &NodeProto, piece: &Piece, sizes: &[i64]) -> R<Value> {
    match piece {
        Piece::Third(source) => by_head(import, node, source.clone(), sizes),
        Piece::Context(sources, heads, Order::Positions) => {
            let [first, ..] = sources.as_ref();
            let Shape::Sequence { length, .. } = first.linear.shape else { return Err(import.unknown(node)) };
            let back = [Some(i64::from(length)), width(first).map(i64::from)];
            if sizes.iter().map(|size| Some(*size)).eq(back) {
                return Ok(Value::Attention(Piece::Joined(sources.clone(), *heads)));
            }
            Err(import.unknown(node))
        }
        _ => Err(import.unknown(node)),
    }
}

/// One sample of a piece that a reshape may meet, as the sequence that it stands for.
pub fn sequence(piece: &Piece) -> Option<Shape> {
    let source = match piece {
        Piece::Third(source) => source,
        Piece::Context(sources, ..) => sources.first()?,
        _ => return None,
    };
    let Shape::Sequence { length, .. } = source.linear.shape else { return None };
    Some(Shape::Sequence { length, width: width(source)? })
}

/// Positions and heads exchanged.
pub fn transpose(import: &Import, node: &NodeProto, piece: Piece, order: &[i64]) -> R<Value> {
    let turned = match (piece, order) {
        (Piece::Heads(heads), order) => {
            let order = match (heads.order, order) {
                (Order::Positions, [0, 2, 1, 3]) => Order::Heads,
                (Order::Positions, [0, 2, 3, 1]) | (Order::Heads, [0, 1, 3, 2]) => Order::Turned,
                _ => return Err(import.unknown(node)),
            };
            Piece::Heads(Heads { order, ..heads })
        }
        (Piece::Context(sources, heads, Order::Heads), [0, 2, 1, 3]) => {
            Piece::Context(sources, heads, Order::Positions)
        }
        _ => return Err(import.unknown(node)),
    };
    Ok(Value::Attention(turned))
}

/// A piece times a number: the scale of the scores.
pub fn scaled(piece: &Piece, factor: f64) -> Option<Value> {
    Some(Value::Attention(match piece {
        Piece::Heads(heads) => Piece::Heads(Heads { factor: heads.factor * factor, ..heads.clone() }),
        Piece::Scores(sources, heads, before) => Piece::Scores(sources.clone(), *heads, before * factor),
        _ => return None,
    }))
}

/// Queries times keys, or shares times values.
pub fn product(import: &Import, node: &NodeProto, one: Piece, other: Piece) -> R<Value> {
    let piece = match (one, other) {
        (Piece::Heads(queries), Piece::Heads(keys))
            if queries.order == Order::Heads && keys.order == Order::Turned && queries.heads == keys.heads =>
        {
            let factor = queries.factor * keys.factor;
            Piece::Scores(Rc::new([queries.source, keys.source]), queries.heads, factor)
        }
        (Piece::Shares(sources, heads), Piece::Heads(values))
            if values.order == Order::Heads && values.heads == heads && values.factor == 1.0 =>
        {
            let [queries, keys] = sources.as_ref().clone();
            Piece::Context(Rc::new([queries, keys, values.source]), heads, Order::Heads)
        }
        _ => return Err(import.unknown(node)),
    };
    Ok(Value::Attention(piece))
}

/// The softmax of scores that are scaled by 1 / √d.
pub fn shares(import: &Import, node: &NodeProto, piece: &Piece, axis: i64) -> R<Value> {
    let Piece::Scores(sources, heads, factor) = piece else { return Err(import.unknown(node)) };
    let each = width(&sources[0]).map(|width| f64::from(width / heads));
    let usual = each.is_some_and(|each| (factor * each.sqrt() - 1.0).abs() < 1e-4);
    if usual && [3, -1].contains(&axis) {
        return Ok(Value::Attention(Piece::Shares(sources.clone(), *heads)));
    }
    Err(super::refused(&super::nodes::shown(node), "attention divides its scores by the root of a head's width"))
}

/// The last linear layer closes it: one layer with the weights of all four.
///
/// Its own bias comes behind it as a sum, and is folded in there.
pub fn closed(import: &mut Import, node: &NodeProto, piece: &Piece, weight: Tensor) -> R<Value> {
    let Piece::Joined(sources, heads) = piece else { return Err(import.unknown(node)) };
    let taken: Vec<(usize, Option<usize>)> = sources.iter().map(|s| (s.linear.value, s.third)).collect();
    if !taken.into_iter().all(|source| import.absorbed.insert(source)) {
        let sentence = "queries, keys and values share weights; give each its own";
        return Err(super::refused(&super::nodes::shown(node), sentence));
    }
    let (mut rows, mut shifts, mut reads) = (Vec::new(), Vec::new(), Vec::new());
    for source in sources.iter() {
        let wide = width(source).ok_or_else(|| import.unknown(node))? as usize;
        let giver = import.graph.giver(source.linear.value);
        let linear = giver.and_then(|giver| import.graph.node(giver).map(|node| (giver, node)));
        let Some((giver, linear)) = linear.filter(|(_, n)| matches!(n.step, Step::Layer(Layer::Linear { .. }))) else {
            return Err(import.unknown(node));
        };
        reads.push(linear.inputs.first().copied());
        let parts = import.weights.get(&giver).ok_or_else(|| import.unknown(node))?;
        let part = |name: &str| parts.iter().find(|(part, _)| *part == name).map(|(_, tensor)| tensor);
        let weight = part("weight").ok_or_else(|| import.unknown(node))?;
        // Self-attention: all three are as wide as what they read.
        if weight.shape.get(1) != Some(&wide) {
            return Err(import.unknown(node));
        }
        let first = source.third.unwrap_or(0) * wide;
        let cut = |values: &[f32], each: usize| values.get(first * each..(first + wide) * each).map(<[f32]>::to_vec);
        rows.extend(cut(&weight.values, wide).ok_or_else(|| import.unknown(node))?);
        match part("bias") {
            Some(bias) => shifts.extend(cut(&bias.values, 1).ok_or_else(|| import.unknown(node))?),
            None => shifts.extend(vec![0.0; wide]),
        }
    }
    let (Some(Some(value)), true) = (reads.first().copied(), reads.windows(2).all(|pair| pair[0] == pair[1])) else {
        return Err(import.unknown(node));
    };
    let [Source { linear, .. }, ..] = sources.as_ref();
    let (Shape::Sequence { length, .. }, Some(wide)) = (linear.shape, width(&sources[0])) else {
        return Err(import.unknown(node));
    };
    let size = wide as usize;
    if weight.shape != [size, size] {
        return Err(import.unknown(node));
    }
    let bias = Tensor { shape: vec![size], values: vec![0.0; size] };
    let parts = vec![
        ("qkv.weight", Tensor { shape: vec![3 * size, size], values: rows }),
        ("qkv.bias", Tensor { shape: vec![3 * size], values: shifts }),
        ("proj.weight", weight),
        ("proj.bias", bias),
    ];
    let act = Act { value, shape: Shape::Sequence { length, width: wide } };
    import.layer(node, Layer::Attention { width: wide, heads: *heads, causal: false }, act, parts)
}
