//! The sum of the rows' gradients, each by its factor.
//!
//! A row's parts may cancel: its gradient is small, its parts are not, and added one by one to the other rows they would
//! round these away. So what was built for a norm is what is added here. Where nothing was built the norm comes from Gram
//! matrices, which are raised by a share of what cancels.

use tch::{Kind, Tensor};

use super::part::{Outer, Part};
use super::{T, conv};

impl Part {
    /// Σ_i c_i · gradient of row i, for each weight of this part: its place and the sum in the weight's shape.
    /// Without factors every row counts whole.
    pub fn sums(self, factors: Option<&Tensor>) -> T<Vec<(usize, Tensor)>> {
        match self {
            Part::Outer { weights, a, g } => outer(&weights, &a, g, factors),
            Part::Rows { weight, rows } => Ok(vec![(weight, weighted(&rows, factors)?)]),
            Part::Kept { weight, site, kept, .. } => Ok(vec![(weight, conv::kept_sum(&site, &kept, factors)?)]),
            Part::Again { weight, s, g, leaf, .. } => {
                let seed = scaled(&g, factors)?;
                // A root of one number: the seed meets s inside, and the graph ends at the leaf alone.
                let root = tch::with_grad(|| s.f_mul(&seed)?.f_sum(None::<Kind>))?;
                let mut sums = Tensor::f_run_backward(&[&root], &[&leaf], true, false)?;
                sums.pop().map(|sum| vec![(weight, sum)]).ok_or_else(|| super::broken("a gradient is missing"))
            }
            Part::Pieces { weight, site, g, .. } => Ok(vec![(weight, conv::sum(&site, &g, factors)?)]),
            Part::Table { weight, tokens, gathered, count } => {
                let scaled = scaled(&gathered, factors)?;
                let sum = Tensor::f_embedding_dense_backward(&scaled, &tokens, count, -1, false)?;
                Ok(vec![(weight, sum)])
            }
            Part::Total { weight, gradient } => Ok(vec![(weight, gradient)]),
        }
    }
}

/// Every row of `t` by its factor.
fn scaled(t: &Tensor, factors: Option<&Tensor>) -> T<Tensor> {
    let Some(factors) = factors else { return Ok(t.shallow_clone()) };
    let mut shape = vec![1; t.dim()];
    if let Some(rows) = shape.first_mut() {
        *rows = -1;
    }
    t.f_mul(&factors.f_view(&shape[..])?)
}

/// The sum over the rows, each by its factor.
pub fn weighted(rows: &Tensor, factors: Option<&Tensor>) -> T<Tensor> {
    let size = rows.size();
    let flat = rows.f_flatten(1, -1)?;
    let sum = match factors {
        Some(factors) => flat.f_tr()?.f_mv(factors)?,
        None => flat.f_sum_dim_intlist(0i64, false, None::<Kind>)?,
    };
    sum.f_reshape(size.get(1..).unwrap_or_default())
}

fn outer(weights: &Outer, a: &Tensor, g: Tensor, factors: Option<&Tensor>) -> T<Vec<(usize, Tensor)>> {
    let mut sums = Vec::new();
    // An LSTM's tensors lie steps first in memory: flattened in that order nothing is copied.
    let steps_first = g.dim() == 3 && g.stride().first() < g.stride().get(1);
    let flat = |t: &Tensor| {
        let width = t.size().last().copied().unwrap_or(1);
        let t = if steps_first { t.f_transpose(0, 1)? } else { t.shallow_clone() };
        t.f_reshape([-1, width])
    };
    let width = |t: &Tensor| t.size().last().copied().unwrap_or(1);
    if !weights.weights.is_empty() {
        // Either of both may take the factors: the narrower one, which also comes first, for the product's sake.
        let whole = if let Some(built) = &weights.built {
            weighted(built, factors)?
        } else if width(a) < width(&g) {
            flat(&scaled(a, factors)?)?.f_tr()?.f_matmul(&flat(&g)?)?.f_tr()?
        } else {
            flat(&scaled(&g, factors)?)?.f_tr()?.f_matmul(&flat(a)?)?
        };
        for (weight, first, inputs) in &weights.weights {
            sums.push((*weight, whole.f_narrow(1, *first, *inputs)?));
        }
    }
    if !weights.biases.is_empty() {
        let sum = weighted(weights.of_biases.as_ref().unwrap_or(&g), factors)?;
        sums.extend(weights.biases.iter().map(|bias| (*bias, sum.shallow_clone())));
    }
    Ok(sums)
}
