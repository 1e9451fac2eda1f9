//! The sum of the rows' gradients, each by its factor, in blocks that meet in double precision ([`super::adding`]).
//!
//! A row's parts may cancel: its gradient is small, its parts are not, and added one by one to the other rows they would
//! round these away. So what was built for a norm is what is added here. Where nothing was built the norm comes from Gram
//! matrices; there the parts' own sizes say how many of them may meet before double precision takes over.

use tch::{Kind, Tensor};

use super::adding::{Adding, GROUP, rounding};
use super::norm::numbers;
use super::part::{Outer, Part};
use super::{T, conv, steps_first, stretch};
use crate::device;

/// Takes a part of a weight's sum: its place, and the part in the weight's shape. All parts of a place are the sum.
pub type Sink<'a> = dyn FnMut(usize, &Tensor) -> T<()> + 'a;

/// Bytes of double precision that are made at once.
const CHUNK: i64 = 4 << 20;

/// The rows that are added: each by its factor, or whole.
#[derive(Clone, Copy)]
pub struct Weighing<'a> {
    /// One number for each row.
    pub factors: Option<&'a Tensor>,
    /// In which precision.
    pub adding: Adding,
    /// What no row exceeds with its factor, as a norm.
    pub bound: f64,
}

impl Weighing<'_> {
    /// The factors of a stretch of rows.
    pub fn narrow(&self, first: i64, n: i64) -> T<Option<Tensor>> {
        self.factors.map(|factors| stretch(factors, first, n)).transpose()
    }

    /// The same where positions of rows meet one by one, not the rows as they were clipped.
    pub fn by_position(self) -> Self {
        match self.adding {
            Adding::Anyhow => self,
            _ => Weighing { adding: Adding::Double, ..self },
        }
    }
}

impl Part {
    /// Σ_i c_i · gradient of row i, for each weight of this part.
    pub fn sums(self, weighing: Weighing<'_>, sink: &mut Sink<'_>) -> T<()> {
        match self {
            Part::Outer { weights, a, g } => outer(&weights, &a, &g, weighing, sink),
            Part::Built { weights, rows } => built(&weights, &rows, weighing, sink),
            Part::Rows { weight, rows } => weighted(&rows, weighing, &mut |sum| sink(weight, sum)),
            Part::Kept { weight, site, kept, .. } => {
                conv::kept_sum(&site, &kept, weighing, &mut |sum| sink(weight, sum))
            }
            Part::Pieces { weight, site, g, .. } => conv::sum(&site, &g, weighing, &mut |sum| sink(weight, sum)),
            Part::Table { weight, tokens, gathered, count } => {
                table(&tokens, &gathered, count, weighing, &mut |sum| sink(weight, sum))
            }
            Part::Total { weight, gradient } => sink(weight, &gradient),
        }
    }
}

/// Every row of `t` by its factor.
pub fn scaled(t: &Tensor, factors: Option<&Tensor>) -> T<Tensor> {
    let Some(factors) = factors else { return Ok(t.shallow_clone()) };
    let mut shape = vec![1; t.dim()];
    if let Some(rows) = shape.first_mut() {
        *rows = -1;
    }
    t.f_mul(&factors.f_view(&shape[..])?)
}

fn double(t: &Tensor) -> T<Tensor> {
    t.f_to_kind(Kind::Double)
}

/// The sum over the rows, each by its factor, one part for each group of blocks.
pub fn weighted(rows: &Tensor, weighing: Weighing<'_>, sink: &mut dyn FnMut(&Tensor) -> T<()>) -> T<()> {
    let count = rows.size().first().copied().unwrap_or(0);
    let sum_of = |(first, n)| {
        let factors = weighing.narrow(first, n)?;
        block(&stretch(rows, first, n)?, factors.as_ref(), weighing.adding)
    };
    grouped(weighing.adding.blocks(count, rows.kind()), sum_of, sink)
}

/// The sums of blocks, as many of them together as may meet in single precision.
fn grouped(
    mut blocks: impl Iterator<Item = (i64, i64)>,
    sum_of: impl Fn((i64, i64)) -> T<Tensor>,
    sink: &mut dyn FnMut(&Tensor) -> T<()>,
) -> T<()> {
    while let Some(first) = blocks.next() {
        let mut sum = sum_of(first)?;
        for next in blocks.by_ref().take(GROUP - 1) {
            sum = sum.f_add_(&sum_of(next)?)?;
        }
        sink(&sum)?;
    }
    Ok(())
}

/// The same of one block.
pub fn block(rows: &Tensor, factors: Option<&Tensor>, adding: Adding) -> T<Tensor> {
    let size = rows.size();
    let flat = if rows.dim() == 2 { rows.shallow_clone() } else { rows.f_flatten(1, -1)? };
    let sum = match factors {
        Some(factors) if adding.doubles(rows.kind()) => {
            let (count, numbers) = flat.size2()?;
            let sum = Tensor::f_zeros([numbers], (Kind::Double, flat.device()))?;
            let factors = double(factors)?;
            pieces(count, numbers, &flat, |first, n| {
                let part = double(&flat.f_narrow(0, first, n)?)?;
                sum.shallow_clone().f_addmv_(&part.f_tr()?, &factors.f_narrow(0, first, n)?).map(drop)
            })?;
            sum
        }
        Some(factors) => flat.f_tr()?.f_mv(factors)?,
        None => flat.f_sum_dim_intlist(0i64, false, None::<Kind>)?,
    };
    if size.len() == 2 { Ok(sum) } else { sum.f_reshape(size.get(1..).unwrap_or_default()) }
}

/// Calls `work` for pieces of the rows that take [`CHUNK`] in double precision, with so many numbers a row.
fn pieces(rows: i64, numbers: i64, like: &Tensor, mut work: impl FnMut(i64, i64) -> T<()>) -> T<()> {
    let step = (device::of(like).at_once(CHUNK) / 8 / numbers.max(1)).clamp(1, rows.max(1));
    let mut first = 0;
    while first < rows {
        let n = step.min(rows - first);
        work(first, n)?;
        first += n;
    }
    Ok(())
}

fn outer(weights: &Outer, a: &Tensor, g: &Tensor, weighing: Weighing<'_>, sink: &mut Sink<'_>) -> T<()> {
    if !weights.weights.is_empty() {
        let sizes = weights.sizes.get().map(Vec::as_slice);
        products(a, g, sizes, weighing, &mut |whole| of_weights(weights, whole, sink))?;
    }
    of_biases(weights, weights.of_biases.as_ref().unwrap_or(g), weighing, sink)
}

fn built(weights: &Outer, rows: &Tensor, weighing: Weighing<'_>, sink: &mut Sink<'_>) -> T<()> {
    weighted(rows, weighing, &mut |whole| of_weights(weights, whole, sink))?;
    weights.of_biases.as_ref().map_or(Ok(()), |sums| of_biases(weights, sums, weighing, sink))
}

/// Each weight's part of a sum of all weights side by side.
fn of_weights(weights: &Outer, whole: &Tensor, sink: &mut Sink<'_>) -> T<()> {
    weights.weights.iter().try_for_each(|(weight, first, inputs)| match *inputs == width(whole) {
        true => sink(*weight, whole),
        false => sink(*weight, &whole.f_narrow(1, *first, *inputs)?),
    })
}

/// The biases' sum of their rows' gradients.
fn of_biases(weights: &Outer, rows: &Tensor, weighing: Weighing<'_>, sink: &mut Sink<'_>) -> T<()> {
    if weights.biases.is_empty() {
        return Ok(());
    }
    weighted(rows, weighing, &mut |sum| weights.biases.iter().try_for_each(|bias| sink(*bias, sum)))
}

/// Σ_i c_i Σ_t g_t a_tᵀ, where no row's own was built.
fn products(
    a: &Tensor,
    g: &Tensor,
    sizes: Option<&[f64]>,
    weighing: Weighing<'_>,
    sink: &mut dyn FnMut(&Tensor) -> T<()>,
) -> T<()> {
    let rows = g.size().first().copied().unwrap_or(0);
    let each = sizes.map_or(Ok(None), |sizes| by_sizes(sizes, rows, weighing))?;
    let weighing = match each {
        Some(each) => Weighing { adding: Adding::Blocks(each), ..weighing },
        None if g.dim() == 3 => weighing.by_position(),
        None => weighing,
    };
    if weighing.adding.doubles(g.kind()) {
        let (d, p) = (width(a), width(g));
        let first_is_a = d < p;
        let shape = if first_is_a { [d, p] } else { [p, d] };
        let mut sum = Tensor::f_zeros(shape, (Kind::Double, g.device()))?;
        let numbers = (g.numel() + a.numel()) as i64 / rows.max(1);
        pieces(rows, numbers, g, |first, n| {
            let factors = weighing.narrow(first, n)?.map(|factors| double(&factors)).transpose()?;
            let (a, g) = (double(&a.f_narrow(0, first, n)?)?, double(&g.f_narrow(0, first, n)?)?);
            let (left, right) = if first_is_a { (a, g) } else { (g, a) };
            let steps_first = steps_first(&right);
            let left = flat(&scaled(&left, factors.as_ref())?, steps_first)?;
            sum.f_addmm_(&left.f_tr()?, &flat(&right, steps_first)?).map(drop)
        })?;
        return sink(&if first_is_a { sum.f_tr()? } else { sum });
    }
    // Either of both may take the factors: the narrower one, which also comes first, for the product's sake.
    let first_is_a = width(a) < width(g);
    let product = |(first, n)| {
        let factors = weighing.narrow(first, n)?;
        let (a, g) = (stretch(a, first, n)?, stretch(g, first, n)?);
        let steps_first = steps_first(&g);
        let (left, right) = if first_is_a { (a, g) } else { (g, a) };
        let left = flat(&scaled(&left, factors.as_ref())?, steps_first)?;
        left.f_tr()?.f_matmul(&flat(&right, steps_first)?)
    };
    grouped(weighing.adding.blocks(rows, g.kind()), product, &mut |sum| {
        if first_is_a { sink(&sum.f_tr()?) } else { sink(sum) }
    })
}

/// The most blocks of positions that cost less than double precision.
const MOST_BLOCKS: i64 = 8;
/// What a size may have been that came out as 0: the root of the smallest normal number of single precision, and more.
const VANISHED: f64 = 2e-19;

/// How many rows may be a block where their positions meet one by one, as far as the sizes |a_t| |g_t| of all rows'
/// positions allow any.
fn by_sizes(sizes: &[f64], rows: i64, weighing: Weighing<'_>) -> T<Option<i64>> {
    let (Some(factors), Adding::Blocks(most)) = (weighing.factors, weighing.adding) else { return Ok(None) };
    let positions = sizes.len() as i64 / rows.max(1);
    let of_rows = sizes.chunks(usize::try_from(positions).unwrap_or(1).max(1)).zip(numbers(factors)?);
    // A size whose square vanished is not none.
    let weighed = of_rows.flat_map(|(sizes, factor)| sizes.iter().map(move |size| factor * (size + VANISHED)));
    let mut sizes: Vec<f64> = weighed.collect();
    let blocks = std::iter::successors(Some(1), |count| Some(count * 2)).take_while(|count| *count <= MOST_BLOCKS);
    for count in blocks {
        let each = (rows / count + i64::from(rows % count > 0)).max(1);
        let blocks = sizes.chunks_mut((each * positions).max(1) as usize);
        let mut allowed = blocks.map(|block| {
            let rows = block.len() as i64 / positions.max(1);
            rounding(block) <= weighing.adding.allowed(rows, weighing.bound)
        });
        if each <= most && allowed.all(|allowed| allowed) {
            return Ok(Some(each));
        }
    }
    Ok(None)
}

fn width(t: &Tensor) -> i64 {
    t.size().last().copied().unwrap_or(1)
}

/// All positions of all rows one after the other.
fn flat(t: &Tensor, steps_first: bool) -> T<Tensor> {
    if t.dim() == 2 {
        return Ok(t.shallow_clone());
    }
    let width = width(t);
    let t = if steps_first { t.f_transpose(0, 1)? } else { t.shallow_clone() };
    t.f_reshape([-1, width])
}

/// The sum for each token of a table; of `gathered` each row's places of one token are one.
fn table(
    tokens: &Tensor,
    gathered: &Tensor,
    count: i64,
    weighing: Weighing<'_>,
    sink: &mut dyn FnMut(&Tensor) -> T<()>,
) -> T<()> {
    let (rows, positions, width) = gathered.size3()?;
    // A block gives numbers for every token of the table: of several blocks each costs more than double precision.
    if weighing.adding.blocks(rows, gathered.kind()).count() <= 1 && !weighing.adding.doubles(gathered.kind()) {
        let scaled = scaled(gathered, weighing.factors)?;
        return sink(&Tensor::f_embedding_dense_backward(&scaled, tokens, count, -1, false)?);
    }
    // As many rows at once as hold about the table's numbers.
    let at_once = ((count * width).max(CHUNK / 8) / (positions * width).max(1)).clamp(1, rows.max(1));
    let mut first = 0;
    while first < rows {
        let n = at_once.min(rows - first);
        let factors = weighing.narrow(first, n)?.map(|factors| double(&factors)).transpose()?;
        let scaled = scaled(&double(&gathered.f_narrow(0, first, n)?)?, factors.as_ref())?;
        sink(&Tensor::f_embedding_dense_backward(&scaled, &tokens.f_narrow(0, first, n)?, count, -1, false)?)?;
        first += n;
    }
    Ok(())
}
