//! Convolutions: patches of a few rows at a time, so that what is unfolded stays in the cache.

use tch::Tensor;

use super::layers::Conv;
use super::tape::{Form, Mode, Tape};
use super::{T, Weights};

/// Bytes of unfolded patches worked on at once.
const CHUNK: i64 = 4 << 20;

/// A convolution on the tape.
pub struct Site {
    /// The weight, if it is learnt.
    pub weight: Option<usize>,
    /// The bias, if it is learnt.
    pub bias: Option<usize>,
    /// Input, without its history.
    pub x: Tensor,
    /// The weight as the graph's leaf, if the sum is to be made by a second backward pass.
    pub leaf: Option<Tensor>,
    /// Whether norms come from Gram matrices over positions, else from the rows' gradients.
    pub gram: bool,
    /// Side of the kernel.
    pub kernel: i64,
    /// Step.
    pub stride: i64,
    /// Zeros around.
    pub padding: i64,
}

/// The convolution of `x`, on the tape if its weights are learnt.
pub fn forward(conv: &Conv, x: &Tensor, weights: &Weights<'_>, tape: &mut Tape) -> T<Tensor> {
    let Conv { kernel, stride, padding, .. } = *conv;
    let [w_leaf, b_leaf] = tape.leaves(weights, [Some(conv.weight), conv.bias])?;
    let w = w_leaf.as_ref().unwrap_or(weights.get(conv.weight)?);
    let b = match (&b_leaf, conv.bias) {
        (Some(leaf), _) => Some(leaf),
        (None, Some(place)) => Some(weights.get(place)?),
        (None, None) => None,
    };
    let steps = [stride, stride];
    let around = [padding, padding];
    let (weight, bias) = (weights.learnt(Some(conv.weight)), weights.learnt(conv.bias));
    if tape.mode() != Mode::PerRow || (weight, bias) == (None, None) {
        return x.f_conv2d(w, b, steps, around, [1, 1], 1);
    }
    let (rows, channels, height, width) = x.size4()?;
    let outputs = w.size4()?.0;
    let positions = |side: i64| (side + 2 * padding - kernel) / stride + 1;
    let (l, patch) = (positions(height) * positions(width), channels * kernel * kernel);
    // The factor 2 stands for the traffic of unfolding a second time.
    let gram = 2 * l * (patch + outputs) < patch * outputs;
    let kept = weight.is_none() || (!gram && tape.keep(rows * patch * outputs));
    let leaf = if kept { None } else { Some(w.f_detach()?.f_set_requires_grad(true)?) };
    let s = x.f_conv2d(leaf.as_ref().unwrap_or(w), b, steps, around, [1, 1], 1)?;
    let site = Site { weight, bias, x: x.f_detach()?, leaf, gram, kernel, stride, padding };
    tape.site(Form::Conv(site), s)
}

/// What the rows' gradients of a weight come to.
pub struct Unfolded {
    /// Squared norm of each row.
    pub norms: Vec<f64>,
    /// [rows, channels out, kernel, kernel, channels in], if they were to be kept.
    pub rows: Option<Tensor>,
}

/// Works through the rows of a convolution with g [rows, channels out, height, width].
pub fn unfolded(site: &Site, g: &Tensor) -> T<Unfolded> {
    let (rows, outputs, out_h, out_w) = g.size4()?;
    let channels = site.x.size4()?.1;
    let (k, stride, l) = (site.kernel, site.stride, out_h * out_w);
    let patch = channels * k * k;
    let g = g.f_contiguous()?.f_view([rows, outputs, l])?;
    let plain = k == 1 && stride == 1 && site.padding == 0;
    let x = if plain {
        site.x.f_reshape([rows, channels, l])?
    } else {
        let (pad, (_, _, height, width)) = (site.padding, site.x.size4()?);
        let options = (site.x.kind(), site.x.device());
        let padded = Tensor::f_zeros([rows, height + 2 * pad, width + 2 * pad, channels], options)?;
        padded.f_narrow(1, pad, height)?.f_narrow(2, pad, width)?.f_copy_(&site.x.f_permute([0, 2, 3, 1])?)?;
        padded
    };
    let bytes = l * patch * if x.kind() == tch::Kind::Double { 8 } else { 4 };
    let step = (CHUNK / bytes.max(1)).clamp(1, rows);
    let kept = match site.leaf {
        None => Some(Tensor::f_empty([rows, outputs, patch], (x.kind(), x.device()))?),
        Some(_) => None,
    };
    let mut norms = Vec::with_capacity(usize::try_from(rows).unwrap_or(0));
    let mut first = 0;
    while first < rows {
        let n = step.min(rows - first);
        let part = g.f_narrow(0, first, n)?;
        let u = if plain {
            x.f_narrow(0, first, n)?.f_transpose(1, 2)?
        } else {
            let (_, high, wide, c) = x.size4()?;
            let strides = [high * wide * c, stride * wide * c, stride * c, wide * c, 1];
            x.f_as_strided([n, out_h, out_w, k, k * c], strides, first * high * wide * c)?.f_reshape([n, l, patch])?
        };
        let squares = if site.gram {
            super::norm::gram(&u, &part.f_transpose(1, 2)?)?
        } else {
            let gradients = match &kept {
                Some(kept) => part.f_bmm_out(&kept.f_narrow(0, first, n)?, &u)?,
                None => part.f_bmm(&u)?,
            };
            super::norm::squares(&gradients)?
        };
        norms.extend(squares);
        first += n;
    }
    let rows = match kept {
        Some(kept) => Some(kept.f_view([rows, outputs, k, k, channels])?),
        None => None,
    };
    Ok(Unfolded { norms, rows })
}
