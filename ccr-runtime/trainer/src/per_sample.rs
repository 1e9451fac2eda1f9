//! The sum of clipped per-row gradients of a chunk, by the book-keeping of [`crate::engine`].
//!
//! **Why the move of the sum by one row stays within the clipping norm.** A row's own part is at most `clip` times the
//! margin: its norm is that of the very numbers that are added, where its gradient is built; of the product g aᵀ, where
//! there is one position; else it is the Gram form, raised by a bound of its rounding, so that nothing of a row hides where
//! its parts cancel. Norms are raised by what may vanish below the smallest normal number, so that no choice of weights
//! hides a gradient, and their squares meet in double precision, so that no number of them does.
//!
//! Beside its own part, one row more moves the others to other places of the sum, which rounds it differently. That is
//! bounded whatever the rows are ([`crate::engine::Adding`]): by [`MOVED`] of the clipping norm in single precision,
//! whatever number of rows there is; in double precision by N·(4,096 + N/4,096)·2^-53 for N rows, since physical chunks have
//! 4,096 rows at most.
//!
//! It also moves them to other lanes of the kernels, forward and backward, which rounds *their* gradients differently: by
//! at most r·clip each, with r measured for every layer below 10^-6 in single and 10^-15 in double precision
//! (`engine::oracle`): who stands beside a row changes no bit of its gradient, but its place and the number of rows may, in
//! chunks of few rows, in some LSTMs, and where a product is large enough with some rows and not with others to be made by
//! another library (`products`). This r is not proven: a
//! network is no continuous function of its weights at a ReLU's edge, where rounding may turn a unit on; such a row keeps
//! its bound but another direction.
//!
//! So the margin is, in double precision, 10^-5 and 2·10^-11 for every row that a step is expected to have at most; in
//! single precision √2 times [`MOVED`] (by rows, and by positions), 10^-4 for the norms, and 2·10^-6 for every such row: see [`bound`]. A step has twice as many
//! almost never.
//!
//! A row whose gradient is not finite counts as zero. It is no error, for that would depend on the data: the other rows
//! are worked through again without it, since 0·∞ is no number.

use std::f64::consts::SQRT_2;

use schemas::R;
use tch::{Kind, TchError, Tensor};

use crate::device::{self, Place};
use crate::engine::{Adding, MOVED, Mode, Part, Sink, T, Weighing};
use crate::fault::Hush;
use crate::lanes;
use crate::model::Leaves;

/// The share of the clipping norm lost for rounding in double precision, and in single precision, without any row.
const MARGINS: [f64; 2] = [1e-5, 1e-4];
/// The share lost for every row that a step is expected to have at most, in double and in single precision.
const ROUNDING: [f64; 2] = [2e-11, 2e-6];
/// No more than this share is lost for rows: a plan expects no more than `schemas::privacy::MOST_EXPECTED_ROWS`, where it is
/// reached.
const MOST: f64 = 0.1;

/// What rows are clipped to, below `clip` by the margin of the precision and of the rows that a step is expected to have at
/// most. What is added row by row and what is added position by position may each move the sum by [`MOVED`]; they are of
/// different weights, so that both come to √2 of it.
pub fn bound(clip: f64, single: bool, expected_rows: f64) -> f64 {
    let ([double, float], [per_double, per_float]) = (MARGINS, ROUNDING);
    let lost = |without: f64, per_row: f64| (without + per_row * expected_rows.max(0.0)).min(MOST);
    clip * (1.0 - if single { lost(float, per_float) + MOVED * SQRT_2 } else { lost(double, per_double) })
}

/// What the rows of a step are clipped to, and how they meet.
#[derive(Clone, Copy, Debug)]
pub struct Clipping {
    /// The norm.
    pub bound: f64,
    /// In which precision.
    pub adding: Adding,
}

/// Adds the clipped gradients of all rows of a chunk to `sums`: one vector per learnt parameter in the network's order.
pub fn add_clipped(leaves: &Leaves, x: &Tensor, y: &Tensor, clipping: Clipping, sums: &mut [Vec<f64>]) -> R<()> {
    let mut adder = Adder { sums, values: Vec::new() };
    clipped(leaves, x, y, clipping, &mut |place, sum| adder.add(place, sum)).hush()
}

/// The same without clipping: the plain gradient of the summed losses. For [`crate::plain`], comparison and measurement.
pub fn add_plain(leaves: &Leaves, x: &Tensor, y: &Tensor, sums: &mut [Vec<f64>]) -> R<()> {
    let mut adder = Adder { sums, values: Vec::new() };
    let whole = Weighing { factors: None, adding: Adding::Anyhow, bound: f64::INFINITY };
    for part in leaves.backward(x, y, Mode::Plain).hush()? {
        tch::no_grad(|| part.sums(whole, &mut |place, sum| adder.add(place, sum))).hush()?;
    }
    Ok(())
}

fn clipped(leaves: &Leaves, x: &Tensor, y: &Tensor, clipping: Clipping, sink: &mut Sink<'_>) -> T<()> {
    let (mut x, mut y) = (x.shallow_clone(), y.shallow_clone());
    loop {
        if x.size().first() == Some(&0) {
            return Ok(());
        }
        let parts = leaves.backward(&x, &y, Mode::PerRow)?;
        let squares = tch::no_grad(|| squared_norms(&parts))?;
        if squares.iter().all(|square| square.is_finite()) {
            return tch::no_grad(|| weighted(parts, &squares, clipping, (leaves.single(), leaves.place()), sink));
        }
        let kept: Vec<i64> = (0..).zip(&squares).filter(|(_, square)| square.is_finite()).map(|(row, _)| row).collect();
        let kept = device::of(&x).tensor(&kept)?;
        (x, y) = (x.f_index_select(0, &kept)?, y.f_index_select(0, &kept)?);
    }
}

/// Below so many numbers a second thread costs more than it takes over.
const ALONE: usize = 1 << 18;

/// Each row's squared gradient norm over all learnt weights together.
pub(crate) fn squared_norms(parts: &[Part]) -> T<Vec<f64>> {
    let threads = tch::get_num_threads();
    let alone = threads > 1 && parts.iter().all(|part| part.size() < ALONE);
    if alone {
        tch::set_num_threads(1);
    }
    let total = added(parts);
    if alone {
        tch::set_num_threads(threads);
    }
    total
}

fn added(parts: &[Part]) -> T<Vec<f64>> {
    let mut total: Option<Vec<f64>> = None;
    for norms in parts.iter().map(Part::norms) {
        let Some(norms) = norms? else { continue };
        match &mut total {
            Some(total) => total.iter_mut().zip(norms).for_each(|(total, norm)| *total += norm),
            None => total = Some(norms),
        }
    }
    total.ok_or_else(|| TchError::Torch("nothing is learnt".to_owned()))
}

/// The sum of the rows of parts, each clipped; the parts are single precision or not, and lie at a place.
pub(crate) fn weighted(
    parts: Vec<Part>,
    squares: &[f64],
    Clipping { bound, adding }: Clipping,
    (single, place): (bool, Place),
    sink: &mut Sink<'_>,
) -> T<()> {
    let factors = squares.iter().map(|square| (bound / (square.sqrt() + 1e-12)).min(1.0));
    let factors = match single {
        // Below the smallest normal number a factor would be rounded by up to the double of it.
        true => {
            let normal = |factor: f32| if factor < f32::MIN_POSITIVE { 0.0 } else { factor };
            place.tensor(&factors.map(|factor| normal(factor as f32)).collect::<Vec<_>>())?
        }
        false => place.tensor(&factors.collect::<Vec<_>>())?,
    };
    // Each part may round by its share: the parts of a row stand at right angles to each other, so that their roundings
    // add up as their squares do, and n of them come to what one of the whole bound would.
    let share = bound / (parts.len().max(1) as f64).sqrt();
    let weighing = Weighing { factors: Some(&factors), adding, bound: share };
    parts.into_iter().try_for_each(|part| part.sums(weighing, sink))
}

/// Where blocks and chunks meet: in double precision.
struct Adder<'a> {
    sums: &'a mut [Vec<f64>],
    /// Used again from one part to the next.
    values: Vec<f32>,
}

impl Adder<'_> {
    fn add(&mut self, place: usize, part: &Tensor) -> T<()> {
        let lost = || TchError::Torch("a sum has no parameter".to_owned());
        let sum = self.sums.get_mut(place).ok_or_else(lost)?;
        let (part, count) = (part.f_contiguous()?, sum.len());
        if part.kind() == Kind::Float {
            if self.values.len() < count {
                self.values.resize(count, 0.0);
            }
            let values = self.values.get_mut(..count).unwrap_or_default();
            part.f_copy_data(values, count)?;
            lanes::add(sum, values);
        } else {
            let mut values = vec![0f64; count];
            part.f_copy_data(&mut values, count)?;
            sum.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use chacha20::rand_core::Rng;
    use schemas::pipeline::Model;

    use super::*;
    use crate::model::Network;
    use crate::noise::Streams;

    fn models() -> [Model; 4] {
        let text = r#"{"input":{"kind":"image","channels":1,"height":2,"width":3},"layers":[
            {"op":"conv2d","channels_in":1,"channels_out":4,"kernel":2,"stride":1,"padding":1,"bias":true},
            {"op":"group_norm","groups":2,"channels":4},{"op":"relu"},{"op":"flatten"},
            {"op":"linear","inputs":48,"outputs":1,"bias":true}]}"#;
        let network = Model::Network { network: serde_json::from_str(text).unwrap() };
        [Model::LogisticRegression, Model::Mlp { hidden: vec![7] }, Model::Mlp { hidden: vec![16, 8, 4] }, network]
    }

    fn network(model: &Model) -> Network {
        let mut network = Network::new(model, 6, 3).unwrap();
        // Weights off zero, and large enough that some rows are clipped and some are not.
        for (place, value) in network.parameters.iter_mut().flat_map(|p| &mut p.values).enumerate() {
            *value = *value * 3.0 + ((place * 7 % 5) as f64 - 2.0) * 0.3;
        }
        network
    }

    fn rows(count: usize, label: &str) -> (Vec<f32>, Vec<f32>) {
        let mut stream = Streams::new(&[8; 32]).init(label).unwrap();
        let mut unit = || (stream.next_u64() >> 40) as f32 / (1u64 << 24) as f32;
        let x = (0..count * 6).map(|_| 2.0 * unit() - 1.0).collect();
        (x, (0..count).map(|_| unit().round()).collect())
    }

    fn clipped(network: &Network, x: &[f32], y: &[f32], clip: f64) -> Vec<f64> {
        let mut sums: Vec<Vec<f64>> = network.parameters.iter().map(|p| vec![0.0; p.values.len()]).collect();
        let x = Tensor::from_slice(x).reshape([-1, 6]).to_kind(Kind::Double);
        let clipping = Clipping { bound: bound(clip, network.single(), 50.0), adding: Adding::of(y.len(), 1) };
        add_clipped(&network.leaves().unwrap(), &x, &Tensor::from_slice(y), clipping, &mut sums).unwrap();
        sums.concat()
    }

    fn moved(a: &[f64], b: &[f64]) -> f64 {
        a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<f64>().sqrt()
    }

    #[test]
    fn one_row_moves_the_sum_by_at_most_the_clipping_norm() {
        let (count, mut worst) = (300, 0f64);
        for model in models() {
            let (network, clip) = (network(&model), 0.3);
            let (x, y) = rows(50, "sensitivity");
            let sum = clipped(&network, &x, &y, clip);
            let (mut extra, labels) = rows(count, "adversary");
            // Rows that stay within the bounds, rows far outside of them, and rows that are no numbers.
            extra.iter_mut().step_by(5).for_each(|v| *v *= 1e12);
            extra.iter_mut().skip(2 * count).step_by(11).for_each(|v| *v = f32::NAN);
            extra.iter_mut().skip(3 * count).step_by(13).for_each(|v| *v = f32::INFINITY);
            for (row, label) in extra.chunks(6).zip(labels) {
                let more = clipped(&network, &[&x[..], row].concat(), &[&y[..], &[label]].concat(), clip);
                let moved = moved(&more, &sum);
                worst = worst.max(moved / clip);
                assert!(moved <= clip, "{model:?} moved by {moved}");
            }
        }
        println!("{count} rows: the largest move is {worst:.9} of the clipping norm");
        assert!(worst > 0.99, "some row is clipped");
    }

    #[test]
    fn broken_rows_count_as_zero() {
        for model in models() {
            let network = network(&model);
            let (mut x, y) = rows(4, "broken");
            let sum = clipped(&network, &x[6..], &y[1..], 1.0);
            for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                x[2] = value;
                let with = clipped(&network, &x, &y, 1.0);
                assert!(with.iter().all(|v| v.is_finite()));
                // tanh turns an infinity into 1: such a row has a finite norm in deeper layers and is clipped.
                let moved = moved(&with, &sum);
                assert!(if value.is_nan() { moved < 1e-12 } else { moved <= 1.0 }, "{model:?} {value} {moved}");
            }
            x.fill(f32::NAN);
            assert!(clipped(&network, &x, &y, 1.0).iter().all(|v| *v == 0.0), "none is left");
        }
    }

    /// What the margin of single precision stands on: a row's own gradient, alone and among others, in any place.
    #[test]
    fn company_moves_a_row_by_less_than_the_margin_allows() {
        let [.., model] = models();
        let network = network(&model);
        let (x, y) = rows(64, "company");
        let alone: Vec<Vec<f64>> = x.chunks(6).zip(&y).map(|(x, y)| clipped(&network, x, &[*y], 0.3)).collect();
        let mut worst = 0f64;
        for count in [2, 17, 63] {
            let before = clipped(&network, &x[..6 * (count - 1)], &y[..count - 1], 0.3);
            let with = clipped(&network, &x[..6 * count], &y[..count], 0.3);
            let own: Vec<f64> = with.iter().zip(&before).map(|(a, b)| a - b).collect();
            worst = worst.max(moved(&own, &alone[count - 1]) / 0.3 / count as f64);
        }
        println!("rounding by company: {worst:.1e} of the bound for each row");
        assert!(worst < ROUNDING[1] / 2.0, "{worst:e}");
    }
}
