//! Convolutions: patches of a few rows at a time, so that what is unfolded stays in the cache.

use tch::{Kind, Tensor};

use super::layers::Conv;
use super::sum::{Weighing, block, scaled};
use super::tape::{Form, Mode, Tape};
use super::{T, Weights, norm};
use crate::device;

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
    /// Whether norms come from Gram matrices over positions, else from the rows' gradients.
    pub gram: bool,
    /// Whether the rows' gradients are kept for the sum, else built once more.
    pub keep: bool,
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
    let keep = weight.is_some() && !gram && tape.keep(rows * patch * outputs);
    let s = x.f_conv2d(w, b, steps, around, [1, 1], 1)?;
    let site = Site { weight, bias, x: x.f_detach()?, gram, keep, kernel, stride, padding };
    tape.site(Form::Conv(site), s)
}

/// What the rows' gradients of a weight come to.
pub struct Unfolded {
    /// Squared norm of each row.
    pub norms: Vec<f64>,
    /// [slabs, rows, channels out, numbers of a slab], if they were to be kept: see [`Site::slabs`].
    pub kept: Option<Tensor>,
}

impl Site {
    /// How many slabs a row's gradient comes in. Where the kernel goes on place by place, what it sees in its second row is
    /// what it sees in its first, one row of the picture further on: unfolded along the width alone, the picture serves every
    /// row of the kernel, each of which gives a slab.
    fn slabs(&self) -> i64 {
        if !self.gram && self.stride == 1 { self.kernel } else { 1 }
    }

    /// The sum of slabs [slabs, channels out, numbers of a slab] in the weight's shape.
    fn whole(&self, slabs: &Tensor) -> T<Tensor> {
        let (outputs, k) = (slabs.size3()?.1, self.kernel);
        slabs.f_transpose(0, 1)?.f_reshape([outputs, k, k, -1])?.f_permute([0, 3, 1, 2])
    }
}

/// Every row's norm, and its gradient if it is kept, for g [rows, channels out, height, width].
pub fn unfolded(site: &Site, g: &Tensor) -> T<Unfolded> {
    let (rows, outputs, _, _) = g.size4()?;
    let channels = site.x.size4()?.1;
    let (slabs, patch) = (site.slabs(), channels * site.kernel * site.kernel);
    let kept = match site.keep {
        true => Some(Tensor::f_empty([slabs, rows, outputs, patch / slabs], (site.x.kind(), site.x.device()))?),
        false => None,
    };
    let mut norms = vec![0.0; usize::try_from(rows).unwrap_or(0)];
    pieces(site, &site.x, g, |first, n, part, slab, u| {
        let squares = match (site.gram, &kept) {
            (true, _) => norm::gram(u, &part.f_transpose(1, 2)?)?.0,
            (false, Some(kept)) => norm::squares(&part.f_bmm_out(&kept.f_select(0, slab)?.f_narrow(0, first, n)?, u)?)?,
            (false, None) => norm::squares(&part.f_bmm(u)?)?,
        };
        let of_piece = norms.iter_mut().skip(usize::try_from(first).unwrap_or(0));
        of_piece.zip(squares).for_each(|(norm, square)| *norm += square);
        Ok(())
    })?;
    Ok(Unfolded { norms, kept })
}

/// The sum of the rows' gradients that [`unfolded`] kept, each by its factor, in the weight's shape: one part a block.
pub fn kept_sum(site: &Site, kept: &Tensor, weighing: Weighing<'_>, sink: &mut dyn FnMut(&Tensor) -> T<()>) -> T<()> {
    for (first, n) in weighing.adding.blocks(kept.size4()?.1, kept.kind()) {
        let factors = weighing.narrow(first, n)?;
        let of = |rows: &Tensor| block(&rows.f_narrow(0, first, n)?, factors.as_ref(), weighing.adding);
        let sums = kept.f_unbind(0)?.iter().map(of).collect::<T<Vec<_>>>()?;
        sink(&site.whole(&Tensor::f_stack(&sums, 0)?)?)?;
    }
    Ok(())
}

/// The sum of the rows' gradients that [`unfolded`] measured, each by its factor, in the weight's shape: one part a block.
pub fn sum(site: &Site, g: &Tensor, weighing: Weighing<'_>, sink: &mut dyn FnMut(&Tensor) -> T<()>) -> T<()> {
    let weighing = if site.gram { weighing.by_position() } else { weighing };
    let (rows, outputs, _, _) = g.size4()?;
    let (slabs, patch) = (site.slabs(), site.x.size4()?.1 * site.kernel * site.kernel);
    let kind = if weighing.adding.doubles(g.kind()) { Kind::Double } else { g.kind() };
    if !site.gram {
        return built_again(site, g, weighing, sink);
    }
    for (from, count) in weighing.adding.blocks(rows, g.kind()) {
        let sum = Tensor::f_zeros([slabs, outputs, patch / slabs], (kind, g.device()))?;
        let (x, g) = (site.x.f_narrow(0, from, count)?, g.f_narrow(0, from, count)?);
        pieces(site, &x, &g, |first, n, part, slab, u| {
            let part = scaled(&part.f_to_kind(kind)?, weighing.narrow(from + first, n)?.as_ref())?;
            let part = part.f_transpose(0, 1)?.f_reshape([outputs, -1])?;
            let u = u.f_to_kind(kind)?.f_reshape([-1, patch])?;
            sum.f_select(0, slab)?.f_addmm_(&part, &u).map(drop)
        })?;
        sink(&site.whole(&sum)?)?;
    }
    Ok(())
}

/// The same where rows are built. They are built just as [`unfolded`] built them for their norms, piece by piece: what
/// cancels inside a row must cancel in its sum as it did in its norm, to the last bit, and another partition of the rows may
/// have another kernel add it up. Only what was built is cut into blocks.
fn built_again(site: &Site, g: &Tensor, weighing: Weighing<'_>, sink: &mut dyn FnMut(&Tensor) -> T<()>) -> T<()> {
    let slabs = usize::try_from(site.slabs()).unwrap_or(1);
    // Of a piece each slab gives its blocks; the last slab makes them whole.
    let mut of_piece: Vec<Vec<Tensor>> = Vec::new();
    pieces(site, &site.x, g, |first, n, part, slab, u| {
        let built = part.f_bmm(u)?;
        for (at, (from, count)) in weighing.adding.blocks(n, g.kind()).enumerate() {
            let factors = weighing.narrow(first + from, count)?;
            let sum = block(&built.f_narrow(0, from, count)?, factors.as_ref(), weighing.adding)?;
            match of_piece.get_mut(at) {
                Some(sums) if slab > 0 => sums.push(sum),
                _ => of_piece.push(vec![sum]),
            }
        }
        if of_piece.first().is_some_and(|sums| sums.len() == slabs) {
            for sums in of_piece.drain(..) {
                sink(&site.whole(&Tensor::f_stack(&sums, 0)?)?)?;
            }
        }
        Ok(())
    })
}

/// Works through the rows a few at a time: `work` takes the first, how many, their g [n, channels out, positions], and for
/// each slab its number and the patches that it is made of [n, positions, numbers].
fn pieces(
    site: &Site,
    x: &Tensor,
    g: &Tensor,
    mut work: impl FnMut(i64, i64, &Tensor, i64, &Tensor) -> T<()>,
) -> T<()> {
    let (rows, outputs, out_h, out_w) = g.size4()?;
    let (_, channels, height, width) = x.size4()?;
    let (k, stride, l) = (site.kernel, site.stride, out_h * out_w);
    let (slabs, patch) = (site.slabs(), channels * k * k);
    let g = g.f_contiguous()?.f_view([rows, outputs, l])?;
    let plain = k == 1 && stride == 1 && site.padding == 0;
    let x = if plain {
        x.f_reshape([rows, channels, l])?
    } else {
        let (pad, options) = (site.padding, (x.kind(), x.device()));
        let padded = Tensor::f_empty([rows, height + 2 * pad, width + 2 * pad, channels], options)?;
        for (dimension, first) in [(1, 0), (1, height + pad), (2, 0), (2, width + pad)] {
            let _ = padded.f_narrow(dimension, first, pad)?.f_zero_()?;
        }
        padded.f_narrow(1, pad, height)?.f_narrow(2, pad, width)?.f_copy_(&x.f_permute([0, 2, 3, 1])?)?;
        padded
    };
    let places = if slabs > 1 { (out_h + k - 1) * out_w } else { l };
    let bytes = places * patch / slabs * if x.kind() == Kind::Double { 8 } else { 4 };
    let step = (device::of(&x).at_once(CHUNK) / bytes.max(1)).clamp(1, rows);
    let mut first = 0;
    while first < rows {
        let n = step.min(rows - first);
        let part = g.f_narrow(0, first, n)?;
        if plain {
            work(first, n, &part, 0, &x.f_narrow(0, first, n)?.f_transpose(1, 2)?)?;
        } else {
            let (_, high, wide, c) = x.size4()?;
            let picture = high * wide * c;
            if slabs > 1 {
                let seen = x.f_as_strided([n, high, out_w, k * c], [picture, wide * c, c, 1], first * picture)?;
                let seen = seen.f_reshape([n, high * out_w, k * c])?;
                for slab in 0..slabs {
                    work(first, n, &part, slab, &seen.f_narrow(1, slab * out_w, l)?)?;
                }
            } else {
                let strides = [picture, stride * wide * c, stride * c, wide * c, 1];
                let seen = x.f_as_strided([n, out_h, out_w, k, k * c], strides, first * picture)?;
                work(first, n, &part, 0, &seen.f_reshape([n, l, patch])?)?;
            }
        }
        first += n;
    }
    Ok(())
}
