//! Every allowed layer against gradients of one row at a time by the tensor library itself.

mod cases;

use cases::cases;
use tch::{Kind, Tensor};

use super::Mode;
use crate::engine::{Adding, Weighing};
use crate::model::Network;
use crate::per_sample::{Clipping, add_clipped, squared_norms};

/// What both ways may differ by, relative to the larger.
const AGREED: f64 = 1e-5;
/// A norm from Gram matrices is raised by a bound of its rounding: by no more than this here, and such a row counts less.
const RAISED: f64 = 5e-5;

/// The gradient of one row, all learnt weights one after the other, by plain automatic differentiation.
fn alone(network: &Network, x: &Tensor, y: &Tensor) -> Vec<f64> {
    let leaves = network.leaves().unwrap();
    let mut gradients: Vec<Vec<f64>> = network.parameters.iter().map(|p| vec![0.0; p.values.len()]).collect();
    for part in leaves.backward(x, y, Mode::Oracle).unwrap() {
        let whole = Weighing { factors: None, adding: Adding::Anyhow, bound: f64::INFINITY };
        let mut sink = |place: usize, gradient: &Tensor| {
            let values = Vec::<f64>::try_from(gradient.reshape([-1]).to_kind(Kind::Double))?;
            gradients[place].iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
            Ok(())
        };
        part.sums(whole, &mut sink).unwrap();
    }
    gradients.concat()
}

fn clipping(bound: f64) -> Clipping {
    Clipping { bound, adding: Adding::of(32, 1) }
}

fn length(values: &[f64]) -> f64 {
    values.iter().map(|v| v * v).sum::<f64>().sqrt()
}

fn apart(a: &[f64], b: &[f64]) -> f64 {
    length(&a.iter().zip(b).map(|(a, b)| a - b).collect::<Vec<_>>()) / length(b).max(1e-12)
}

/// Row `place`'s own gradient as it goes into the sum: all other rows are weighed with zero.
fn own(network: &Network, x: &Tensor, y: &Tensor, place: i64) -> Vec<f64> {
    let mut sums: Vec<Vec<f64>> = network.parameters.iter().map(|p| vec![0.0; p.values.len()]).collect();
    let kind = if network.single() { Kind::Float } else { Kind::Double };
    let factors = Tensor::zeros([y.size()[0]], (kind, tch::Device::Cpu));
    let _ = factors.narrow(0, place, 1).fill_(1.0);
    let weighing = Weighing { factors: Some(&factors), adding: Adding::Anyhow, bound: 1.0 };
    for part in network.leaves().unwrap().backward(x, y, Mode::PerRow).unwrap() {
        let mut sink = |place: usize, gradient: &Tensor| {
            let values = Vec::<f64>::try_from(gradient.reshape([-1]).to_kind(Kind::Double))?;
            sums[place].iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
            Ok(())
        };
        tch::no_grad(|| part.sums(weighing, &mut sink)).unwrap();
    }
    sums.concat()
}

/// What the margin of the clip is left for (`per_sample`): whoever stands beside a row at its place of a chunk of this size
/// changes no bit of its gradient. Another place or size may, by other lanes of the kernels: for each layer it is told
/// from how many rows on it does not, which no promise of the tensor library stands behind.
#[test]
fn company_changes_no_bit_of_a_rows_gradient_and_place_and_number_little() {
    let mut worst = [0f64; 2];
    for case in cases() {
        let network = case.network();
        let (x, y) = case.rows(140);
        let put = |count: i64, place: i64, turn: i64| {
            let mut rows: Vec<i64> = (0..count).map(|at| 1 + (at + turn) % 139).collect();
            rows[place as usize] = 0;
            let rows = Tensor::from_slice(&rows);
            own(&network, &x.index_select(0, &rows), &y.index_select(0, &rows), place)
        };
        let same = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits() || a == b);
        for (count, place) in [(2, 1), (7, 3), (16, 15), (64, 0), (64, 40), (130, 99)] {
            let whole = put(count, place, 0);
            for turn in [1, 5, 77] {
                assert!(same(&put(count, place, turn), &whole), "{}: company at {place} of {count}", case.name);
            }
        }
        let first = put(64, 0, 0);
        let counts = [1, 2, 3, 4, 8, 10, 12, 15, 16, 17, 31, 63, 65, 130].map(|count| (count, 0));
        let places = [1, 7, 31, 32, 63].map(|place| (64, place));
        let mut differing = Vec::new();
        // As many as a chunk has elsewhere, where products are far beyond the size from which they are another library's.
        let many = (case.name == "wide mlp").then_some((1_024, 0));
        for (count, place) in counts.into_iter().chain(places).chain(many) {
            let moved = put(count, place, 0);
            let error = apart(&moved, &first);
            let worst = &mut worst[usize::from(network.single())];
            *worst = worst.max(error);
            if !same(&moved, &first) {
                differing.push((count, place));
            }
        }
        println!("{}: other bits with (rows, place) {differing:?}", case.name);
    }
    let [double, single] = worst;
    println!("place and number move a gradient by {double:.1e} of itself at most, in single precision by {single:.1e}");
    assert!(double < 1e-15 && single < 1e-6, "the margin stands on this");
}

#[test]
fn every_layer_agrees_with_one_row_at_a_time() {
    let (mut worst, mut worst_row) = (0f64, 0f64);
    for case in cases() {
        let network = case.network();
        let leaves = network.leaves().unwrap();
        for count in [1, 7, 32] {
            let (x, y) = case.rows(count);
            let each: Vec<Vec<f64>> =
                (0..count as i64).map(|i| alone(&network, &x.narrow(0, i, 1), &y.narrow(0, i, 1))).collect();
            // Unclipped, so without the norms that are raised on purpose: each row's gradient itself.
            for (place, gradient) in (0..).zip(&each) {
                let error = apart(&own(&network, &x, &y, place), gradient);
                worst_row = worst_row.max(error);
                assert!(error < AGREED, "{}: row {place} of {count} is off by {error:e}", case.name);
            }
            let mut lengths: Vec<f64> = each.iter().map(|g| length(g)).collect();
            let parts = leaves.backward(&x, &y, Mode::PerRow).unwrap();
            let norms: Vec<f64> = tch::no_grad(|| squared_norms(&parts)).unwrap().into_iter().map(f64::sqrt).collect();
            for (norm, length) in norms.iter().zip(&lengths) {
                let error = (norm - length) / length.max(1e-12);
                worst = worst.max(error.abs());
                assert!(
                    -AGREED < error && error < RAISED,
                    "{} with {count} rows: a norm is off by {error:e}",
                    case.name
                );
            }
            // Half of the rows are clipped.
            lengths.sort_by(f64::total_cmp);
            let bound = lengths[count / 2];
            let mut expected = vec![0.0; network.coordinates()];
            for gradient in &each {
                let scale = (bound / length(gradient)).min(1.0);
                expected.iter_mut().zip(gradient).for_each(|(sum, g)| *sum += scale * g);
            }
            let mut sums: Vec<Vec<f64>> = network.parameters.iter().map(|p| vec![0.0; p.values.len()]).collect();
            for adding in [Adding::Blocks(512), Adding::Blocks(5), Adding::Double] {
                sums.iter_mut().flatten().for_each(|sum| *sum = 0.0);
                add_clipped(&leaves, &x, &y, Clipping { bound, adding }, &mut sums).unwrap();
                let error = apart(&sums.concat(), &expected);
                worst = worst.max(error);
                assert!(error < RAISED, "{}, {count} rows, {adding:?}: the sum is off by {error:e}", case.name);
            }
        }
        println!("{}: {} numbers learnt", case.name, network.coordinates());
        println!("worst so far: a row's gradient {worst_row:.1e}, norms and clipped sums {worst:.1e}");
    }
}

#[test]
fn plain_sums_agree_too() {
    for case in cases() {
        let network = case.network();
        let (x, y) = case.rows(5);
        let mut expected = vec![0.0; network.coordinates()];
        for i in 0..5 {
            let gradient = alone(&network, &x.narrow(0, i, 1), &y.narrow(0, i, 1));
            expected.iter_mut().zip(gradient).for_each(|(sum, g)| *sum += g);
        }
        let mut sums: Vec<Vec<f64>> = network.parameters.iter().map(|p| vec![0.0; p.values.len()]).collect();
        crate::per_sample::add_plain(&network.leaves().unwrap(), &x, &y, &mut sums).unwrap();
        let error = apart(&sums.concat(), &expected);
        assert!(error < AGREED, "{}: {error:e}", case.name);
    }
}

#[test]
fn chunks_add_up_to_the_whole() {
    for case in cases() {
        let (network, (x, y)) = (case.network(), case.rows(23));
        let leaves = network.leaves().unwrap();
        let sum = |step: i64| {
            let mut sums: Vec<Vec<f64>> = network.parameters.iter().map(|p| vec![0.0; p.values.len()]).collect();
            for first in (0..23).step_by(step as usize) {
                let n = step.min(23 - first);
                let (x, y) = (x.narrow(0, first, n), y.narrow(0, first, n));
                add_clipped(&leaves, &x, &y, clipping(0.2), &mut sums).unwrap();
            }
            sums.concat()
        };
        let error = apart(&sum(5), &sum(23));
        assert!(error < AGREED, "{}: {error:e}", case.name);
    }
}

/// The library's own LSTM, with which nothing here is shared.
#[test]
fn an_lstm_is_the_lstm_of_the_library() {
    let case = cases().into_iter().find(|case| case.name == "lstm, then by position").unwrap();
    let (network, (x, _)) = (case.network(), case.rows(6));
    let tensor = |name: &str| {
        let p = network.parameters.iter().find(|p| p.name == name).unwrap();
        let shape: Vec<i64> = p.shape.iter().map(|n| *n as i64).collect();
        Tensor::from_slice(&p.values).to_kind(Kind::Float).reshape(shape)
    };
    let weights = ["0.ih.weight", "0.hh.weight", "0.ih.bias", "0.hh.bias"].map(tensor);
    let weights: Vec<&Tensor> = weights.iter().collect();
    let zero = Tensor::zeros([1, 6, 3], (Kind::Float, tch::Device::Cpu));
    let (states, _, _) = x.reshape([6, 5, 4]).lstm(&[&zero, &zero], &weights, true, 1, 0.0, false, false, true);
    let expected = states.reshape([6, 15]).linear(&tensor("2.weight"), Some(&tensor("2.bias")));
    let output = network.leaves().unwrap().output(&x).unwrap();
    assert!((output - expected).abs().max().double_value(&[]) < 1e-6);
}

/// The gradients of adapters beside weights that were loaded, not drawn.
#[test]
fn adapters_on_loaded_weights_agree_with_one_row_at_a_time() {
    for case in cases().into_iter().filter(|case| case.recipe.adapters.is_some()) {
        let recipe = schemas::recipe::Recipe { adapters: None, ..case.recipe.clone() };
        let source = Network::with(&case.model, Some(&recipe), case.features, 41).unwrap();
        let weights = crate::artifact::safetensors(&source).unwrap();
        let mut network = case.network();
        let frozen = network.frozen.clone();
        network.load(&weights).unwrap();
        assert_ne!(network.frozen, frozen, "{}", case.name);
        let (x, y) = case.rows(9);
        let each: Vec<Vec<f64>> = (0..9).map(|i| alone(&network, &x.narrow(0, i, 1), &y.narrow(0, i, 1))).collect();
        let bound = 0.5 * each.iter().map(|g| length(g)).sum::<f64>() / 9.0;
        let mut expected = vec![0.0; network.coordinates()];
        for gradient in &each {
            let scale = (bound / length(gradient)).min(1.0);
            expected.iter_mut().zip(gradient).for_each(|(sum, g)| *sum += scale * g);
        }
        let mut sums: Vec<Vec<f64>> = network.parameters.iter().map(|p| vec![0.0; p.values.len()]).collect();
        add_clipped(&network.leaves().unwrap(), &x, &y, clipping(bound), &mut sums).unwrap();
        let error = apart(&sums.concat(), &expected);
        println!("{}: {error:.1e}", case.name);
        assert!(error < AGREED, "{}: the sum is off by {error:e}", case.name);
    }
}
