//! The sum of clipped per-row gradients by book-keeping, without ever building a row's gradient.
//!
//! For a linear layer with input a and g = ∂ℓ/∂(pre-activation), a row's gradient is the outer product g aᵀ with bias g:
//! its squared norm is |g|² (|a|² + 1), and the clipped sum over rows is (c∘g)ᵀ a with bias Σ c g. One backward pass to
//! the pre-activations gives every row's g, since no layer mixes rows (Li et al. 2022, Bu et al. 2023).
//!
//! All of it runs in double precision, for the sensitivity's sake: one row more moves the others to other lanes of the
//! kernels, which rounds *their* gradients differently. In single precision (10^-7 a row) a large batch could so move
//! the sum by more than the margin below; in double (10^-15 a row) it cannot.

use schemas::R;
use tch::{Kind, Reduction, Tensor};

use crate::fault::Hush;
use crate::model::{Leaves, Tape};

/// Rows are clipped to this share of the clipping norm, so that rounding cannot carry the sum's move above it.
const MARGIN: f64 = 1.0 - 1e-5;

/// Adds the clipped gradients of all rows of a chunk to `sums`, one vector per parameter in the network's order.
///
/// A row whose gradient is not finite counts as zero; it is no error, for that would depend on the data.
pub fn add_clipped(leaves: &Leaves, x: &Tensor, y: &Tensor, clip: f64, sums: &mut [Vec<f64>]) -> R<()> {
    let layers = backward(leaves.tape(x)?, y)?;
    let norms = squared_norms(&layers)?;
    let broken = norms.f_isfinite().and_then(|finite| finite.f_logical_not()?.f_unsqueeze(1)).hush()?;
    let scale = norms
        .f_sqrt()
        .and_then(|n| {
            n.f_add_scalar(1e-12)?.f_reciprocal()?.f_mul_scalar(clip * MARGIN)?.f_clamp_max(1.0)?.f_unsqueeze(1)
        })
        .and_then(|scale| scale.f_masked_fill(&broken, 0.0))
        .hush()?;
    for ((a, g), sums) in layers.iter().zip(sums.chunks_mut(2)) {
        let g = g.f_masked_fill(&broken, 0.0).and_then(|g| g.f_mul(&scale)).hush()?;
        let a = a.f_masked_fill(&broken, 0.0).hush()?;
        let weight = g.f_tr().and_then(|g| g.f_matmul(&a)).hush()?;
        let bias = g.f_sum_dim_intlist(0i64, false, Kind::Double).hush()?;
        for (sum, part) in sums.iter_mut().zip([weight, bias]) {
            add(sum, &part)?;
        }
    }
    Ok(())
}

/// Per layer (a, g).
fn backward(tape: Tape, y: &Tensor) -> R<Vec<(Tensor, Tensor)>> {
    let losses = tape.logits.f_binary_cross_entropy_with_logits::<Tensor>(y, None, None, Reduction::None).hush()?;
    let (inputs, outputs): (Vec<Tensor>, Vec<Tensor>) = tape.layers.into_iter().unzip();
    // The root is a vector and is seeded with ones: row i of every gradient is that of row i's own loss.
    let gradients = Tensor::f_run_backward(&[losses], &outputs, false, false).hush()?;
    Ok(inputs.into_iter().zip(gradients).collect())
}

/// Each row's squared gradient norm over all layers together.
fn squared_norms(layers: &[(Tensor, Tensor)]) -> R<Tensor> {
    let square = |t: &Tensor| t.f_square()?.f_sum_dim_intlist(1i64, false, Kind::Double);
    let mut total = Tensor::f_from_slice(&[0f64]).hush()?;
    for (a, g) in layers {
        let layer = square(a).and_then(|a| a.f_add_scalar(1.0)).and_then(|a| square(g)?.f_mul(&a)).hush()?;
        total = total.f_add(&layer).hush()?;
    }
    Ok(total)
}

fn add(sum: &mut [f64], part: &Tensor) -> R<()> {
    let mut values = vec![0f64; sum.len()];
    part.f_contiguous().and_then(|part| part.f_copy_data(&mut values, sum.len())).hush()?;
    for (sum, value) in sum.iter_mut().zip(values) {
        *sum += value;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use chacha20::rand_core::Rng;
    use schemas::pipeline::Model;

    use super::*;
    use crate::model::Network;
    use crate::noise::Streams;

    fn models() -> [Model; 3] {
        [Model::LogisticRegression, Model::Mlp { hidden: vec![7] }, Model::Mlp { hidden: vec![16, 8, 4] }]
    }

    fn network(model: &Model, features: usize) -> Network {
        let mut network = Network::new(model, features, 3).unwrap();
        // Weights off zero, and large enough that some rows are clipped and some are not.
        for (place, value) in network.parameters.iter_mut().flat_map(|p| &mut p.values).enumerate() {
            *value = *value * 3.0 + ((place * 7 % 5) as f64 - 2.0) * 0.3;
        }
        network
    }

    fn rows(count: usize, features: usize, label: &str) -> (Vec<f32>, Vec<f32>) {
        let mut stream = Streams::new(&[8; 32]).init(label).unwrap();
        let mut unit = || (stream.next_u64() >> 40) as f32 / (1u64 << 24) as f32;
        let x = (0..count * features).map(|_| 2.0 * unit() - 1.0).collect();
        (x, (0..count).map(|_| unit().round()).collect())
    }

    fn tensors(x: &[f32], y: &[f32]) -> (Tensor, Tensor) {
        let features = (x.len() / y.len()) as i64;
        (
            Tensor::from_slice(x).reshape([-1, features]).to_kind(Kind::Double),
            Tensor::from_slice(y).to_kind(Kind::Double),
        )
    }

    fn zeros(network: &Network) -> Vec<Vec<f64>> {
        network.parameters.iter().map(|p| vec![0.0; p.values.len()]).collect()
    }

    fn clipped(network: &Network, x: &[f32], y: &[f32], clip: f64) -> Vec<f64> {
        let mut sums = zeros(network);
        let (x, y) = tensors(x, y);
        add_clipped(&network.leaves().unwrap(), &x, &y, clip, &mut sums).unwrap();
        sums.concat()
    }

    /// The oracle: the plain gradient of one row with respect to the weights themselves.
    fn one_row(network: &Network, x: &[f32], y: f32) -> Vec<f64> {
        let leaves = network.leaves().unwrap();
        let weights: Vec<Tensor> = leaves.0.iter().flat_map(|(w, b)| [w.shallow_clone(), b.shallow_clone()]).collect();
        for weight in &weights {
            let _ = weight.set_requires_grad(true);
        }
        let (x, y) = tensors(x, &[y]);
        let mut h = x;
        for (place, (weight, bias)) in leaves.0.iter().enumerate() {
            h = if place == 0 { h } else { h.tanh() }.linear(weight, Some(bias));
        }
        let loss = h.reshape([-1]).binary_cross_entropy_with_logits::<Tensor>(&y, None, None, Reduction::Sum);
        let gradients = Tensor::run_backward(&[loss], &weights, false, false);
        gradients.iter().flat_map(|g| Vec::<f64>::try_from(g.reshape([-1])).unwrap()).collect()
    }

    fn norm(values: &[f64]) -> f64 {
        values.iter().map(|v| v * v).sum::<f64>().sqrt()
    }

    #[test]
    fn clipped_sums_agree_with_one_row_at_a_time() {
        for model in models() {
            for count in [1, 7, 32] {
                let (network, clip) = (network(&model, 6), 0.8);
                let (x, y) = rows(count, 6, "agree");
                let mut expected = vec![0.0; network.coordinates()];
                let mut both = [false; 2];
                for (x, y) in x.chunks(6).zip(&y) {
                    let gradient = one_row(&network, x, *y);
                    let scale = (clip * MARGIN / norm(&gradient)).min(1.0);
                    both[usize::from(scale < 1.0)] = true;
                    expected.iter_mut().zip(gradient).for_each(|(sum, g)| *sum += scale * g);
                }
                let sum = clipped(&network, &x, &y, clip);
                let difference: Vec<f64> = sum.iter().zip(&expected).map(|(a, b)| a - b).collect();
                let error = norm(&difference) / norm(&expected);
                assert!(error < 1e-9, "{model:?} with {count} rows: {error:e}");
                assert!(count < 32 || both == [true; 2], "clipped and unclipped rows are both wanted");
            }
        }
    }

    #[test]
    fn one_row_moves_the_sum_by_at_most_the_clipping_norm() {
        for model in models() {
            let (network, clip) = (network(&model, 6), 0.3);
            let (x, y) = rows(50, 6, "sensitivity");
            let sum = clipped(&network, &x, &y, clip);
            let (mut extra, labels) = rows(300, 6, "adversary");
            // Rows that stay within the bounds, rows far outside of them, and rows that are no numbers.
            extra.iter_mut().step_by(5).for_each(|v| *v *= 1e12);
            extra.iter_mut().skip(600).step_by(11).for_each(|v| *v = f32::NAN);
            extra.iter_mut().skip(900).step_by(13).for_each(|v| *v = f32::INFINITY);
            for (row, label) in extra.chunks(6).zip(labels) {
                let more = clipped(&network, &[&x[..], row].concat(), &[&y[..], &[label]].concat(), clip);
                let moved = norm(&more.iter().zip(&sum).map(|(a, b)| a - b).collect::<Vec<_>>());
                assert!(moved <= clip, "{model:?} moved by {moved}");
            }
        }
    }

    #[test]
    fn broken_rows_count_as_zero() {
        for model in models() {
            let network = network(&model, 6);
            let (mut x, y) = rows(4, 6, "broken");
            let sum = clipped(&network, &x[6..], &y[1..], 1.0);
            for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                x[2] = value;
                let with = clipped(&network, &x, &y, 1.0);
                assert!(with.iter().all(|v| v.is_finite()));
                // tanh turns an infinity into 1: such a row has a finite norm in deeper layers and is clipped.
                let moved = norm(&with.iter().zip(&sum).map(|(a, b)| a - b).collect::<Vec<_>>());
                assert!(if value.is_nan() { moved < 1e-12 } else { moved <= 1.0 }, "{model:?} {value} {moved}");
            }
        }
    }
}
