//! What the gradients of one layer's weights are made of, once the backward pass has given g.

use std::cell::OnceCell;

use tch::{Kind, Tensor};

use super::tape::Form;
use super::{T, conv, norm};
use crate::device;

/// The gradients of one tensor of weights, or of a layer's.
pub enum Part {
    /// Row i's gradient is Σ_t g_t a_tᵀ, with a [rows, (positions,) inputs] and g alike; the bias's is Σ_t g_t.
    Outer { weights: Outer, a: Tensor, g: Tensor },
    /// The same where that is cheaper than Gram matrices: every row's gradient of all weights side by side, [rows, outputs,
    /// inputs]. What it was made of is let go.
    Built { weights: Outer, rows: Tensor },
    /// Row i's gradient itself, [rows, …].
    Rows { weight: usize, rows: Tensor },
    /// The same of a convolution, in slabs ([`conv::Unfolded::kept`]), with its norms.
    Kept { weight: usize, norms: Vec<f64>, site: conv::Site, kept: Tensor },
    /// Norms are known; what they were made of is unfolded once more, a few rows at a time, for the sum.
    Pieces { weight: usize, norms: Vec<f64>, site: conv::Site, g: Tensor },
    /// Rows of a table by tokens [rows, positions]; g [rows, positions, width], gathered within each row.
    Table { weight: usize, tokens: Tensor, gathered: Tensor, count: i64 },
    /// The sum over all rows: plain training.
    Total { weight: usize, gradient: Tensor },
}

/// Whose gradients an outer product is: each with the inputs it reads, and the biases, whose gradients are equal.
pub struct Outer {
    /// Place of the weight, first input, inputs.
    pub weights: Vec<(usize, i64, i64)>,
    /// Places of biases.
    pub biases: Vec<usize>,
    /// Every row's gradient of a bias, Σ_t g_t, if there are biases and positions.
    pub of_biases: Option<Tensor>,
    /// |a_t| |g_t| of every position of every row, where Gram matrices gave the norms, once they have.
    pub sizes: OnceCell<Vec<f64>>,
}

impl Part {
    /// An outer product of a [rows, (positions,) inputs] and g alike.
    pub fn outer(weights: Vec<(usize, i64, i64)>, biases: Vec<usize>, a: Tensor, g: Tensor) -> T<Part> {
        let positions = g.dim() == 3;
        let of_biases = match positions && !biases.is_empty() {
            true => Some(g.f_sum_dim_intlist(1i64, false, None::<Kind>)?),
            false => None,
        };
        let weights = Outer { weights, biases, of_biases, sizes: OnceCell::new() };
        if positions && !weights.weights.is_empty() && !norm::by_gram(&a, &g)? {
            return Ok(Part::Built { weights, rows: g.f_transpose(1, 2)?.f_bmm(&a)? });
        }
        Ok(Part::Outer { weights, a, g })
    }

    /// How many numbers its norms are made of.
    pub fn size(&self) -> usize {
        match self {
            Part::Outer { a, g, .. } => a.numel() + g.numel(),
            Part::Built { rows, .. } | Part::Rows { rows, .. } => rows.numel(),
            Part::Table { gathered, .. } => gathered.numel(),
            Part::Kept { .. } | Part::Pieces { .. } | Part::Total { .. } => 0,
        }
    }

    /// The parts of one layer.
    pub fn of(form: Form, g: Tensor) -> T<Vec<Part>> {
        let rows = |weight: Option<usize>, rows: T<Tensor>| -> T<Option<Part>> {
            let Some(weight) = weight else { return Ok(None) };
            Ok(Some(Part::Rows { weight, rows: rows? }))
        };
        let parts = match form {
            Form::Linear { weight, bias, a } => {
                let inputs = a.size().last().copied().unwrap_or(0);
                let weights = weight.map(|weight| (weight, 0, inputs)).into_iter().collect();
                vec![Part::outer(weights, bias.into_iter().collect(), a, g.f_contiguous()?)?]
            }
            Form::Conv(site) => convolution(site, g)?,
            Form::GroupNorm { gamma, beta, x, mean, rstd } => {
                let (n, channels, height, width) = x.size4()?;
                let groups = mean.size2()?.1;
                let flat = [n, groups, channels / groups, height * width];
                let (sums, products) = over_pixels(&g.f_reshape(flat)?, &x.f_reshape(flat)?)?;
                let centred = products.f_sub(&sums.f_mul(&mean.f_unsqueeze(2)?)?)?;
                let scaled = centred.f_mul(&rstd.f_unsqueeze(2)?).and_then(|t| t.f_reshape([n, channels]));
                [rows(gamma, scaled)?, rows(beta, sums.f_reshape([n, channels]))?].into_iter().flatten().collect()
            }
            Form::LayerNorm { gamma, beta, x, mean, rstd } => {
                let of_beta = match g.dim() {
                    2 => g.shallow_clone(),
                    _ => g.f_sum_dim_intlist(1i64, false, None::<Kind>)?,
                };
                [rows(gamma, of_gamma(&x, &mean, &rstd, &g))?, rows(beta, Ok(of_beta))?].into_iter().flatten().collect()
            }
            Form::Table { weight, tokens, count } => {
                let gathered = norm::by_token(&tokens, &g)?;
                vec![Part::Table { weight, tokens, gathered, count }]
            }
            Form::Direct { weight } => rows(Some(weight), Ok(g))?.into_iter().collect(),
            Form::Cell { learnt, a, h } => {
                let inputs = a.size3()?.2;
                learnt.part(&Tensor::f_cat(&[a, h], 2)?, inputs, g)?.into_iter().collect()
            }
        };
        Ok(parts)
    }
}

/// Bytes of a normalising layer's input worked on at once: what a core's cache holds.
const CHUNK: i64 = 512 << 10;

/// Every row's gradient of a layer norm's γ, Σ_t g_t ∘ (x_t − mean_t) · rstd_t, a few rows at a time.
fn of_gamma(x: &Tensor, mean: &Tensor, rstd: &Tensor, g: &Tensor) -> T<Tensor> {
    if x.dim() == 2 {
        return x.f_sub(mean)?.f_mul_(rstd)?.f_mul_(g);
    }
    let (count, positions, width) = x.size3()?;
    let options = (x.kind(), x.device());
    let bytes = positions * width * if x.kind() == Kind::Double { 8 } else { 4 };
    let step = (device::of(x).at_once(CHUNK) / bytes.max(1)).clamp(1, count.max(1));
    let normal = Tensor::f_empty([step, positions, width], options)?;
    let sums = Tensor::f_empty([count, width], options)?;
    let mut first = 0;
    while first < count {
        let n = step.min(count - first);
        let part = |t: &Tensor| t.f_narrow(0, first, n);
        let mut normal = part(x)?.f_sub_out(&normal.f_narrow(0, 0, n)?, &part(mean)?)?;
        let normal = normal.f_mul_(&part(rstd)?)?.f_mul_(&part(g)?)?;
        let _ = normal.f_sum_intlist_out(&part(&sums)?, 1i64, false, None::<Kind>)?;
        first += n;
    }
    Ok(sums)
}

/// Σ g and Σ g ∘ x over the pixels of each channel, both [rows, groups, channels of a group, pixels], a few rows at a time.
fn over_pixels(g: &Tensor, x: &Tensor) -> T<(Tensor, Tensor)> {
    let (count, groups, channels, pixels) = g.size4()?;
    let options = (g.kind(), g.device());
    let bytes = groups * channels * pixels * if g.kind() == Kind::Double { 8 } else { 4 };
    let step = (device::of(g).at_once(CHUNK) / bytes.max(1)).clamp(1, count.max(1));
    let product = Tensor::f_empty([step, groups, channels, pixels], options)?;
    let (sums, products) =
        (Tensor::f_empty([count, groups, channels], options)?, Tensor::f_empty([count, groups, channels], options)?);
    let mut first = 0;
    while first < count {
        let n = step.min(count - first);
        let part = |t: &Tensor| t.f_narrow(0, first, n);
        let of_part = part(g)?;
        let _ = of_part.f_sum_intlist_out(&part(&sums)?, 3i64, false, None::<Kind>)?;
        let product = of_part.f_mul_out(&product.f_narrow(0, 0, n)?, &part(x)?)?;
        let _ = product.f_sum_intlist_out(&part(&products)?, 3i64, false, None::<Kind>)?;
        first += n;
    }
    Ok((sums, products))
}

fn convolution(site: conv::Site, g: Tensor) -> T<Vec<Part>> {
    let mut parts = Vec::new();
    if let Some(weight) = site.bias {
        let rows = g.f_sum_dim_intlist(&[2i64, 3][..], false, None::<Kind>)?;
        parts.push(Part::Rows { weight, rows });
    }
    let Some(weight) = site.weight else { return Ok(parts) };
    let conv::Unfolded { norms, kept } = conv::unfolded(&site, &g)?;
    parts.push(match kept {
        Some(kept) => Part::Kept { weight, norms, site, kept },
        None => Part::Pieces { weight, norms, site, g },
    });
    Ok(parts)
}
