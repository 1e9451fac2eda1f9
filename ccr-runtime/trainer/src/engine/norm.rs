//! Squared norms of every row's gradient.
//!
//! With T positions, d inputs and p outputs, building a row's gradient takes T·d·p multiplications, the Gram form
//! Σ_{t,u} (a_t·a_u)(g_t·g_u) takes T²·(d+p): the cheaper one is taken. The Gram form adds numbers of both signs, so its
//! rounding could hide a part of the norm: it is raised by a bound of that rounding, u·(T+d+p) times (Σ_t |a_t| |g_t|)²,
//! since products that cancel round by what they are made of. What is built is summed as it was built ([`super::part`]).
//!
//! Where a square or a product is too small for the precision it is lost: every norm is raised by the most that may have
//! gone, a smallest normal number for each. No norm is 0, then, and times a huge factor it still counts. What is too
//! large is infinite, and such a row counts as zero.

use tch::{Kind, Tensor};

use super::part::{Outer, Part};
use super::{T, steps_first};
use crate::device;

/// Bytes of Gram matrices worked on at once.
const CHUNK: i64 = 16 << 20;

/// A vector's numbers.
pub fn numbers(t: &Tensor) -> T<Vec<f64>> {
    let count = t.numel();
    if t.kind() == Kind::Float {
        let mut numbers = vec![0f32; count];
        t.f_copy_data(&mut numbers, count)?;
        return Ok(numbers.into_iter().map(f64::from).collect());
    }
    let mut numbers = vec![0f64; count];
    t.f_copy_data(&mut numbers, count)?;
    Ok(numbers)
}

/// The smallest number that is not rounded coarsely.
fn tiny(kind: Kind) -> f64 {
    if kind == Kind::Double { f64::MIN_POSITIVE } else { f64::from(f32::MIN_POSITIVE) }
}

/// So many squares are added up before double precision takes over. One after the other they round the length by at most
/// half of 1,024 · 2^-24, which is 3·10^-5 and within the margin of the clip; a million of them would take 2·10^-3 off.
const PIECE: i64 = 1_024;

/// Σ x² over all but the rows, raised by what may have vanished.
pub fn squares(x: &Tensor) -> T<Vec<f64>> {
    let flat = if x.dim() == 2 { x.shallow_clone() } else { x.f_flatten(1, -1)? };
    let (rows, count) = flat.size2()?;
    let mut squares = vec![count.max(1) as f64 * tiny(x.kind()); usize::try_from(rows).unwrap_or(0)];
    let whole = if x.kind() == Kind::Double { 0 } else { count / PIECE };
    if whole > 0 {
        let pieces = flat.f_narrow(1, 0, whole * PIECE)?.f_reshape([rows, whole, PIECE])?;
        let lengths = numbers(&pieces.f_norm_scalaropt_dim(2, 2i64, false)?)?;
        for (square, of_row) in squares.iter_mut().zip(lengths.chunks(usize::try_from(whole).unwrap_or(1))) {
            *square += of_row.iter().map(|length| length * length).sum::<f64>();
        }
    }
    let rest = count - whole * PIECE;
    if rest > 0 || whole == 0 {
        let last = if whole == 0 { flat } else { flat.f_narrow(1, whole * PIECE, rest)? };
        let lengths = numbers(&last.f_norm_scalaropt_dim(2, 1i64, false)?)?;
        squares.iter_mut().zip(lengths).for_each(|(square, length)| *square += length * length);
    }
    Ok(squares)
}

/// The Gram form for a [n, positions, inputs] and g [n, positions, outputs], raised by what rounding may have taken and by
/// what may have vanished; and |a_t| |g_t| of every position of every row.
pub fn gram(a: &Tensor, g: &Tensor) -> T<(Vec<f64>, Vec<f64>)> {
    let ((_, positions, inputs), outputs) = (a.size3()?, g.size3()?.2);
    let g_kind = g.kind();
    let unit = if g.kind() == Kind::Double { 2f64.powi(-53) } else { 2f64.powi(-24) };
    let sum = |t: &Tensor| t.f_sum_dim_intlist(1i64, false, None::<Kind>);
    let left = a.f_bmm(&a.f_transpose(1, 2)?)?;
    let mut right = g.f_bmm(&g.f_transpose(1, 2)?)?;
    // Σ_t |a_t|² and Σ_t |g_t|², before the one takes up the other.
    let squares = |t: &Tensor| numbers(&sum(&t.f_diagonal(0, 1, 2)?)?);
    let of_both = squares(&left)?.into_iter().zip(squares(&right)?);
    let product = right.f_mul_(&left)?;
    let lengths = product.f_diagonal(0, 1, 2)?.f_sqrt()?;
    let (sums, lengths) = (numbers(&sum(&product.f_flatten(1, -1)?)?)?, numbers(&lengths)?);
    let of_rows = lengths.chunks(usize::try_from(positions).unwrap_or(1).max(1));
    let sizes = of_rows.map(|lengths| lengths.iter().sum::<f64>().powi(2));
    let rounding = unit * (positions + inputs + outputs) as f64;
    // What is no number stays none: `max` would make it 0.
    let raised = |(sum, size): (f64, f64)| if sum < 0.0 { rounding * size } else { sum + rounding * size };
    // A product of the one matrix that vanished stood beside one of the other, Σ_{t,u} |g_t||g_u| <= T Σ |g|² in all; what
    // of these squares vanished itself is far below the last term, and their rounding below the factor 2.
    let (t, d, p) = (positions as f64, inputs as f64, outputs as f64);
    let vanished = of_both.map(|(a, g)| tiny(g_kind) * t * 2.0 * (p * a + d * g + t));
    let norms = sums.into_iter().zip(sizes).map(raised).zip(vanished).map(|(norm, vanished)| norm + vanished).collect();
    Ok((norms, lengths))
}

/// How many multiplications take as long as one number that goes to memory, comes back for the norm and again for the sum.
const TRAFFIC: i64 = 30;

/// Whether norms of outer products over positions come from Gram matrices; else every row's gradient is built, which then
/// takes no more numbers than a and g together. It may take four times as many where that is faster by far: what is built
/// is the row's part of the sum already, so that the Gram matrices come on top of as many multiplications.
pub fn by_gram(a: &Tensor, g: &Tensor) -> T<bool> {
    let ((_, positions, p), d) = (g.size3()?, a.size3()?.2);
    let (both, built) = (positions * (d + p), d * p);
    Ok(both < built && (4 * both < built || positions * both <= TRAFFIC * built))
}

/// g [rows, positions, width] with all of a row's places of one token added up at the first of them, and 0 at the others:
/// a row's gradient of the table.
pub fn by_token(tokens: &Tensor, g: &Tensor) -> T<Tensor> {
    let (rows, positions, width) = g.size3()?;
    let slots = first_places(tokens)?;
    Tensor::f_embedding_dense_backward(g, &slots, rows * positions, -1, false)?.f_view([rows, positions, width])
}

/// For each token [rows, positions] a number: of the first place in its row that holds the same token, counted through
/// all rows. What is added up by these numbers is a row's gradient of the table without the zeros of other tokens.
fn first_places(tokens: &Tensor) -> T<Tensor> {
    let (rows, positions) = tokens.size2()?;
    let count = (rows * positions) as usize;
    let mut values = vec![0i64; count];
    tokens.f_contiguous()?.f_copy_data(&mut values, count)?;
    let mut order: Vec<(i64, usize)> = Vec::with_capacity(positions as usize);
    for (row, tokens) in values.chunks_mut(positions.max(1) as usize).enumerate() {
        let start = row as i64 * positions;
        order.clear();
        order.extend(tokens.iter().copied().zip(0..));
        order.sort_unstable();
        let mut first = None;
        for (token, place) in &order {
            let of = match first {
                Some((same, of)) if same == *token => of,
                _ => start + *place as i64,
            };
            first = Some((*token, of));
            if let Some(slot) = tokens.get_mut(*place) {
                *slot = of;
            }
        }
    }
    device::of(tokens).tensor(&values)?.f_view([rows, positions])
}

impl Part {
    /// The squared norm of every row's gradient; `None` for a plain sum.
    pub fn norms(&self) -> T<Option<Vec<f64>>> {
        let norms = match self {
            Part::Outer { weights, a, g } => outer(weights, a, g)?,
            Part::Built { weights, rows } => with_biases(weights, squares(rows)?)?,
            Part::Rows { rows, .. } => squares(rows)?,
            Part::Kept { norms, .. } | Part::Pieces { norms, .. } => norms.clone(),
            Part::Table { gathered, .. } => squares(gathered)?,
            Part::Total { .. } => return Ok(None),
        };
        Ok(Some(norms))
    }
}

fn outer(weights: &Outer, a: &Tensor, g: &Tensor) -> T<Vec<f64>> {
    let biases = weights.biases.len() as f64;
    if g.dim() == 2 {
        let of_g = squares(g)?.into_iter();
        if weights.weights.is_empty() {
            return Ok(of_g.map(|g| g * biases).collect());
        }
        return Ok(of_g.zip(squares(a)?).map(|(g, a)| g * (a + biases)).collect());
    }
    if weights.weights.is_empty() {
        let sums = weights.of_biases.as_ref().ok_or_else(|| super::broken("an outer product has weights"))?;
        return Ok(squares(sums)?.into_iter().map(|square| square * biases).collect());
    }
    let (rows, positions, outputs) = g.size3()?;
    // Brought into the rows' order once: the library's product would copy each twice, and once number by number.
    let in_order = |t: &Tensor| if steps_first(t) { t.f_contiguous() } else { Ok(t.shallow_clone()) };
    let copied = if steps_first(g) { positions * (a.size3()?.2 + outputs) } else { 0 };
    let mut sizes = Vec::with_capacity(usize::try_from(rows * positions).unwrap_or(0));
    let norms = in_chunks(2 * positions * positions + copied, rows, g, |first, n| {
        let (a, g) = (in_order(&a.f_narrow(0, first, n)?)?, in_order(&g.f_narrow(0, first, n)?)?);
        let (norms, lengths) = gram(&a, &g)?;
        sizes.extend(lengths);
        Ok(norms)
    })?;
    // Of the same a and g they are the same.
    drop(weights.sizes.set(sizes));
    with_biases(weights, norms)
}

/// The squared norms with those of the biases, where there are positions.
fn with_biases(weights: &Outer, norms: Vec<f64>) -> T<Vec<f64>> {
    let Some(sums) = &weights.of_biases else { return Ok(norms) };
    let biases = weights.biases.len() as f64;
    Ok(norms.into_iter().zip(squares(sums)?).map(|(norm, square)| norm + square * biases).collect())
}

/// Puts together what `of(first, n)` gives for pieces of the rows that take `numbers` numbers each.
fn in_chunks(numbers: i64, rows: i64, like: &Tensor, mut of: impl FnMut(i64, i64) -> T<Vec<f64>>) -> T<Vec<f64>> {
    let bytes = numbers.max(1) * if like.kind() == Kind::Double { 8 } else { 4 };
    let step = (device::of(like).at_once(CHUNK) / bytes).clamp(1, rows.max(1));
    if step >= rows {
        return of(0, rows);
    }
    let mut parts = Vec::new();
    let mut first = 0;
    while first < rows {
        let n = step.min(rows - first);
        parts.extend(of(first, n)?);
        first += n;
    }
    Ok(parts)
}
