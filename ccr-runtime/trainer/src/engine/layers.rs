//! The layers as operations on tensors whose dimension 0 is the rows.

use schemas::network::Upsampling;
use tch::{Kind, Tensor};

use super::tape::{Form, Mode, Tape};
use super::{T, Weights, conv, lstm};

/// What normalising layers add to the variance.
const EPSILON: f64 = 1e-5;

/// A linear map and where its weights stand.
#[derive(Clone, PartialEq, Debug)]
pub struct Linear {
    /// Weight [outputs, inputs].
    pub weight: usize,
    /// Bias [outputs].
    pub bias: Option<usize>,
    /// Low-rank adapter: places of A [rank, inputs] and B [outputs, rank], and the factor of B A.
    pub adapter: Option<(usize, usize, f64)>,
}

/// A convolution and where its weights stand.
#[derive(Clone, PartialEq, Debug)]
pub struct Conv {
    /// Weight [channels out, channels in, kernel, kernel].
    pub weight: usize,
    /// Bias [channels out].
    pub bias: Option<usize>,
    /// Side of the kernel.
    pub kernel: i64,
    /// Step.
    pub stride: i64,
    /// Zeros around.
    pub padding: i64,
}

/// An LSTM and where its weights stand.
#[derive(Clone, PartialEq, Debug)]
pub struct Lstm {
    /// Input to gates: weight, bias.
    pub ih: (usize, usize),
    /// State to gates: weight, bias.
    pub hh: (usize, usize),
    /// Width of the state.
    pub hidden: i64,
}

/// One operation, with places of its weights among the network's.
#[derive(Clone, PartialEq, Debug)]
pub enum Op {
    /// See `schemas::network::Layer`, here and below.
    Linear(Linear),
    /// Convolution.
    Conv(Conv),
    /// Group norm: γ, β, groups.
    GroupNorm(usize, usize, i64),
    /// Layer norm: γ, β.
    LayerNorm(usize, usize),
    /// Embedding: the table.
    Embedding(usize),
    /// Learnt positions: the table.
    Positions(usize),
    /// Attention: qkv, proj, heads, causal.
    Attention(Linear, Linear, i64, bool),
    /// LSTM.
    Lstm(Lstm),
    /// max(0, x).
    Relu,
    /// With the slope below zero.
    LeakyRelu(f64),
    /// tanh.
    Tanh,
    /// x Φ(x).
    Gelu,
    /// σ.
    Sigmoid,
    /// x σ(x).
    Silu,
    /// To a vector.
    Flatten,
    /// Mean over pixels.
    GlobalAveragePool,
    /// Mean over positions.
    MeanTokens,
    /// The last position.
    LastToken,
    /// Largest of a window: kernel, stride.
    MaxPool(i64, i64),
    /// Mean of a window: kernel, stride.
    AvgPool(i64, i64),
    /// Enlarged.
    Upsample(i64, Upsampling),
    /// Body plus shortcut.
    Residual(Vec<Op>, Vec<Op>),
    /// Input beside body; whether the input comes first.
    Skip(Vec<Op>, bool),
}

/// Runs operations one after the other. `depth` 0 is the network itself, where an LSTM may cut the tape.
pub fn run(ops: &[Op], x: &Tensor, weights: &Weights<'_>, tape: &mut Tape, depth: u32) -> T<Tensor> {
    let mut x = x.shallow_clone();
    for op in ops {
        x = one(op, x, weights, tape, depth)?;
    }
    Ok(x)
}

fn one(op: &Op, x: Tensor, weights: &Weights<'_>, tape: &mut Tape, depth: u32) -> T<Tensor> {
    match op {
        Op::Linear(linear) => self::linear(linear, &x, weights, tape),
        Op::Conv(conv) => conv::forward(conv, &x, weights, tape),
        Op::GroupNorm(gamma, beta, groups) => group_norm(*gamma, *beta, *groups, &x, weights, tape),
        Op::LayerNorm(gamma, beta) => layer_norm(*gamma, *beta, &x, weights, tape),
        Op::Embedding(table) => embedding(*table, &x, weights, tape),
        Op::Positions(table) => {
            let [leaf] = tape.leaves(weights, [Some(*table)])?;
            let s = x.f_add(leaf.as_ref().unwrap_or(weights.get(*table)?))?;
            match weights.learnt(Some(*table)) {
                Some(weight) => tape.site(Form::Direct { weight }, s),
                None => Ok(s),
            }
        }
        Op::Attention(qkv, proj, heads, causal) => {
            let (rows, length, width) = x.size3()?;
            let parts = linear(qkv, &x, weights, tape)?
                .f_view([rows, length, 3, *heads, width / heads])?
                .f_permute([2, 0, 3, 1, 4])?
                .f_unbind(0)?;
            let [q, k, v] = &parts[..] else { return Err(super::broken("attention has three parts")) };
            let none = None::<&Tensor>;
            let mixed = Tensor::f_scaled_dot_product_attention(q, k, v, none, 0.0, *causal, None, false)?;
            let mixed = mixed.f_transpose(1, 2)?.f_reshape([rows, length, width])?;
            linear(proj, &mixed, weights, tape)
        }
        Op::Lstm(cell) if depth == 0 && tape.mode() != Mode::Oracle => lstm::forward(cell, &x, weights, tape),
        Op::Lstm(cell) => lstm::nested(cell, &x, weights, tape),
        Op::Relu => x.f_relu(),
        Op::LeakyRelu(slope) => x.f_prelu(&Tensor::f_full([1], *slope, (x.kind(), x.device()))?),
        Op::Tanh => x.f_tanh(),
        Op::Gelu => x.f_gelu("none"),
        Op::Sigmoid => x.f_sigmoid(),
        Op::Silu => x.f_silu(),
        Op::Flatten => x.f_flatten(1, -1),
        Op::GlobalAveragePool => x.f_mean_dim(&[2i64, 3][..], false, None::<Kind>),
        Op::MeanTokens => x.f_mean_dim(1i64, false, None::<Kind>),
        Op::LastToken => x.f_select(1, -1),
        Op::MaxPool(kernel, stride) => max_pool(*kernel, *stride, &x),
        Op::AvgPool(kernel, stride) => {
            x.f_avg_pool2d([*kernel, *kernel], [*stride, *stride], [0, 0], false, true, None::<i64>)
        }
        Op::Upsample(factor, mode) => {
            let (_, _, height, width) = x.size4()?;
            let size = [height * factor, width * factor];
            match mode {
                Upsampling::Nearest => x.f_upsample_nearest2d(size, None, None),
                Upsampling::Bilinear => x.f_upsample_bilinear2d(size, false, None, None),
            }
        }
        Op::Residual(body, shortcut) => {
            let path = run(body, &x, weights, tape, depth + 1)?;
            path.f_add(&run(shortcut, &x, weights, tape, depth + 1)?)
        }
        Op::Skip(body, input_first) => {
            let path = run(body, &x, weights, tape, depth + 1)?;
            if *input_first { Tensor::f_cat(&[&x, &path], 1) } else { Tensor::f_cat(&[&path, &x], 1) }
        }
    }
}

/// Largest of each window. The library's kernel for channels that lie last works on many of them at once, the other one
/// number by number.
fn max_pool(kernel: i64, stride: i64, x: &Tensor) -> T<Tensor> {
    let channels_last = x.f_permute([0, 2, 3, 1])?.f_contiguous()?.f_permute([0, 3, 1, 2])?;
    channels_last.f_max_pool2d([kernel, kernel], [stride, stride], [0, 0], [1, 1], false)?.f_contiguous()
}

/// W x + b on the last dimension, with its adapter.
fn linear(linear: &Linear, x: &Tensor, weights: &Weights<'_>, tape: &mut Tape) -> T<Tensor> {
    let s = affine(linear.weight, linear.bias, x, weights, tape)?;
    match linear.adapter {
        None => Ok(s),
        Some((a, b, factor)) => {
            let low = affine(a, None, x, weights, tape)?;
            s.f_add(&affine(b, None, &low, weights, tape)?.f_mul_scalar(factor)?)
        }
    }
}

fn affine(weight: usize, bias: Option<usize>, x: &Tensor, weights: &Weights<'_>, tape: &mut Tape) -> T<Tensor> {
    let [w_leaf, b_leaf] = tape.leaves(weights, [Some(weight), bias])?;
    let w = w_leaf.as_ref().unwrap_or(weights.get(weight)?);
    let b = match (&b_leaf, bias) {
        (Some(leaf), _) => Some(leaf),
        (None, Some(place)) => Some(weights.get(place)?),
        (None, None) => None,
    };
    let s = x.f_linear(w, b)?;
    match (weights.learnt(Some(weight)), weights.learnt(bias)) {
        (None, None) => Ok(s),
        (weight, bias) if tape.mode() == Mode::PerRow => tape.site(Form::Linear { weight, bias, a: x.f_detach()? }, s),
        _ => Ok(s),
    }
}

fn group_norm(gamma: usize, beta: usize, groups: i64, x: &Tensor, weights: &Weights<'_>, tape: &mut Tape) -> T<Tensor> {
    let [g_leaf, b_leaf] = tape.leaves(weights, [Some(gamma), Some(beta)])?;
    let g = g_leaf.as_ref().unwrap_or(weights.get(gamma)?);
    let b = b_leaf.as_ref().unwrap_or(weights.get(beta)?);
    let (rows, channels, height, width) = x.size4()?;
    let x = x.f_contiguous()?;
    let (s, mean, rstd) = x.f_native_group_norm(Some(g), Some(b), rows, channels, height * width, groups, EPSILON)?;
    match (weights.learnt(Some(gamma)), weights.learnt(Some(beta))) {
        (None, None) => Ok(s),
        (gamma, beta) if tape.mode() == Mode::PerRow => {
            let form =
                Form::GroupNorm { gamma, beta, x: x.f_detach()?, mean: mean.f_detach()?, rstd: rstd.f_detach()? };
            tape.site(form, s)
        }
        _ => Ok(s),
    }
}

fn layer_norm(gamma: usize, beta: usize, x: &Tensor, weights: &Weights<'_>, tape: &mut Tape) -> T<Tensor> {
    let [g_leaf, b_leaf] = tape.leaves(weights, [Some(gamma), Some(beta)])?;
    let g = g_leaf.as_ref().unwrap_or(weights.get(gamma)?);
    let b = b_leaf.as_ref().unwrap_or(weights.get(beta)?);
    let width = g.size1()?;
    let (s, mean, rstd) = x.f_native_layer_norm([width], Some(g), Some(b), EPSILON)?;
    match (weights.learnt(Some(gamma)), weights.learnt(Some(beta))) {
        (None, None) => Ok(s),
        (gamma, beta) if tape.mode() == Mode::PerRow => {
            let form =
                Form::LayerNorm { gamma, beta, x: x.f_detach()?, mean: mean.f_detach()?, rstd: rstd.f_detach()? };
            tape.site(form, s)
        }
        _ => Ok(s),
    }
}

/// Tokens come as numbers; one outside the table counts as 0.
fn embedding(table: usize, x: &Tensor, weights: &Weights<'_>, tape: &mut Tape) -> T<Tensor> {
    let [leaf] = tape.leaves(weights, [Some(table)])?;
    let w = leaf.as_ref().unwrap_or(weights.get(table)?);
    let (count, _) = w.size2()?;
    let known = x.f_ge(0.0)?.f_logical_and(&x.f_lt(count as f64)?)?.f_logical_not()?;
    let tokens = x.f_masked_fill(&known, 0.0)?.f_to_kind(Kind::Int64)?;
    let s = Tensor::f_embedding(w, &tokens, -1, false, false)?;
    match weights.learnt(Some(table)) {
        Some(weight) => tape.site(Form::Table { weight, tokens, count }, s),
        None => Ok(s),
    }
}
