//! Squared norms of every row's gradient.
//!
//! With T positions, d inputs and p outputs, building a row's gradient takes T·d·p multiplications, the Gram form
//! Σ_{t,u} (a_t·a_u)(g_t·g_u) takes T²·(d+p): the cheaper one is taken. The Gram form adds numbers of both signs, so its
//! rounding could hide a part of the norm: it is raised by a bound of that rounding, u·(T+d+p) times the sum of the
//! absolute values, and so never too small.

use tch::{Kind, Tensor};

use super::T;
use super::part::{Outer, Part};

/// Bytes of Gram matrices or built gradients worked on at once.
const CHUNK: i64 = 16 << 20;

/// Σ x² over all but the rows.
pub fn squares(x: &Tensor) -> T<Tensor> {
    x.f_flatten(1, -1)?.f_norm_scalaropt_dim(2, 1i64, false)?.f_square()
}

/// The Gram form for a [n, positions, inputs] and g [n, positions, outputs].
pub fn gram(a: &Tensor, g: &Tensor) -> T<Tensor> {
    products(&a.f_bmm(&a.f_transpose(1, 2)?)?, g, a.size3()?.2)
}

/// Σ of `left` ∘ (g gᵀ) over positions, raised by what rounding may have taken; `left` was made of `inputs` products.
fn products(left: &Tensor, g: &Tensor, inputs: i64) -> T<Tensor> {
    let (_, positions, outputs) = g.size3()?;
    let unit = if g.kind() == Kind::Double { 2f64.powi(-53) } else { 2f64.powi(-24) };
    let product = g.f_bmm(&g.f_transpose(1, 2)?)?.f_mul(left)?.f_flatten(1, -1)?;
    let rounding = product.f_norm_scalaropt_dim(1, 1i64, false)?;
    let sum = product.f_sum_dim_intlist(1i64, false, None::<Kind>)?.f_clamp_min(0.0)?;
    sum.f_add(&rounding.f_mul_scalar(unit * (positions + inputs + outputs) as f64)?)
}

impl Part {
    /// The squared norm of every row's gradient; `None` for a plain sum.
    pub fn norms(&self) -> T<Option<Tensor>> {
        let norms = match self {
            Part::Outer { weights, a, g } => outer(weights, a, g)?,
            Part::Rows { rows, norms: None, .. } => squares(rows)?,
            Part::Rows { norms: Some(norms), .. } | Part::Again { norms, .. } => norms.shallow_clone(),
            Part::Table { tokens, g, .. } => in_chunks(g.size3()?.1.pow(2), g.size3()?.0, g.kind(), |first, n| {
                let tokens = tokens.f_narrow(0, first, n)?;
                let equal = tokens.f_unsqueeze(2)?.f_eq_tensor(&tokens.f_unsqueeze(1)?)?.f_to_kind(g.kind())?;
                products(&equal, &g.f_narrow(0, first, n)?, 1)
            })?,
            Part::Total { .. } => return Ok(None),
        };
        Ok(Some(norms))
    }
}

fn outer(weights: &Outer, a: &Tensor, g: &Tensor) -> T<Tensor> {
    let biases = weights.biases.len() as f64;
    if g.dim() == 2 {
        let of_g = squares(g)?;
        if weights.weights.is_empty() {
            return of_g.f_mul_scalar(biases);
        }
        let of_a = squares(a)?;
        return if biases > 0.0 { of_a.f_add_scalar(biases)?.f_mul(&of_g) } else { of_a.f_mul(&of_g) };
    }
    let (rows, positions, p) = g.size3()?;
    let d = a.size3()?.2;
    let of_biases = if weights.biases.is_empty() {
        None
    } else {
        Some(squares(&g.f_sum_dim_intlist(1i64, false, None::<Kind>)?)?.f_mul_scalar(biases)?)
    };
    if weights.weights.is_empty() {
        return of_biases.ok_or_else(|| super::broken("an outer product has weights"));
    }
    let by_gram = positions * (d + p) < d * p;
    let numbers = if by_gram { 2 * positions * positions } else { d * p };
    let norms = in_chunks(numbers, rows, g.kind(), |first, n| {
        let (a, g) = (a.f_narrow(0, first, n)?, g.f_narrow(0, first, n)?);
        if by_gram { gram(&a, &g) } else { squares(&g.f_transpose(1, 2)?.f_bmm(&a)?) }
    })?;
    match of_biases {
        Some(more) => norms.f_add(&more),
        None => Ok(norms),
    }
}

/// Puts together what `of(first, n)` gives for pieces of the rows that take `numbers` numbers each.
fn in_chunks(numbers: i64, rows: i64, kind: Kind, of: impl Fn(i64, i64) -> T<Tensor>) -> T<Tensor> {
    let bytes = numbers.max(1) * if kind == Kind::Double { 8 } else { 4 };
    let step = (CHUNK / bytes).clamp(1, rows.max(1));
    if step >= rows {
        return of(0, rows);
    }
    let mut parts = Vec::new();
    let mut first = 0;
    while first < rows {
        let n = step.min(rows - first);
        parts.push(of(first, n)?);
        first += n;
    }
    Tensor::f_cat(&parts, 0)
}
