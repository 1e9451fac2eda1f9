//! Weights and rows that were chosen so that a norm misses what the sum holds: each moves the clipped sum by no more than
//! the clipping norm.

mod chosen;

use tch::{Device, Kind, Tensor};

use super::conv::Site;
use super::norm::by_gram;
use super::tape::Form;
use super::{Adding, Part};
use crate::device::Place;
use crate::model::Network;
use crate::per_sample::{Clipping, add_clipped, bound, squared_norms, weighted};

const ROWS: i64 = 64;
/// Of the rows the one that goes.
const ONE: i64 = 31;

/// The clipped sum of parts, all weights one after the other.
fn clipped(parts: Vec<Part>, clip: f64) -> Vec<f64> {
    added(parts, Clipping { bound: bound(clip, true, ROWS as f64), adding: Adding::of(ROWS as usize, 1) })
}

fn added(parts: Vec<Part>, clipping: Clipping) -> Vec<f64> {
    tch::no_grad(|| {
        let squares = squared_norms(&parts).unwrap();
        assert!(squares.iter().all(|square| square.is_finite()));
        let mut sums: Vec<Vec<f64>> = Vec::new();
        let mut sink = |place: usize, part: &Tensor| {
            sums.resize(sums.len().max(place + 1), vec![]);
            let numbers = numbers(part);
            sums[place].resize(numbers.len(), 0.0);
            sums[place].iter_mut().zip(numbers).for_each(|(sum, number)| *sum += number);
            Ok(())
        };
        weighted(parts, &squares, clipping, (true, Place::default()), &mut sink).unwrap();
        sums.concat()
    })
}

fn numbers(t: &Tensor) -> Vec<f64> {
    Vec::<f64>::try_from(t.reshape([-1]).to_kind(Kind::Double)).unwrap()
}

/// How far the sum of all rows is from the one without row [`ONE`], in clipping norms.
fn moved(of: impl Fn(&dyn Fn(&Tensor) -> Tensor) -> Vec<f64>) -> f64 {
    let kept: Vec<i64> = (0..ROWS).filter(|row| *row != ONE).collect();
    let kept = Tensor::from_slice(&kept);
    let (all, without) = (of(&|t| t.shallow_clone()), of(&|t| t.index_select(0, &kept)));
    all.iter().zip(without).map(|(a, b)| (a - b) * (a - b)).sum::<f64>().sqrt()
}

/// Any numbers, and in row [`ONE`] `first` at the first of 16 places and `last` at the last.
fn parts(width: i64, first: f64, last: f64) -> Tensor {
    let numbers: Vec<f32> = (0..ROWS * 16 * width).map(|i| (i * 7919 % 1009) as f32 / 1009.0 - 0.3).collect();
    let t = Tensor::from_slice(&numbers).reshape([ROWS, 16, width]);
    let mut row = t.select(0, ONE);
    let _ = row.zero_();
    let _ = row.select(0, 0).fill_(first);
    let _ = row.select(0, 15).fill_(last);
    t
}

#[test]
fn numbers_whose_squares_vanish_still_count() {
    let text = r#"{"input":{"kind":"vector","features":64},"layers":[
        {"op":"linear","inputs":64,"outputs":64,"bias":false},{"op":"linear","inputs":64,"outputs":64,"bias":false},
        {"op":"linear","inputs":64,"outputs":1,"bias":false}]}"#;
    let model = schemas::pipeline::Model::Network { network: serde_json::from_str(text).unwrap() };
    let recipe: schemas::recipe::Recipe = serde_json::from_value(serde_json::json!({
        "loss": {"kind": "binary_cross_entropy"}, "optimizer": {"kind": "sgd", "momentum": "0", "weight_decay": "0"},
        "schedule": {"kind": "constant"}, "frozen": ["0.", "2."]
    }))
    .unwrap();
    let mut network = Network::with(&model, Some(&recipe), 64, 1).unwrap();
    network.parameters[0].values.fill(0.0);
    for frozen in &mut network.frozen {
        let last = frozen.name.starts_with("2.");
        let place = |i: usize| if last { 4e-23 } else { f64::from(i.is_multiple_of(65)) * 1e18 };
        frozen.values.iter_mut().enumerate().for_each(|(i, value)| *value = place(i));
    }
    let clip = 1e-6;
    let mut sums = vec![vec![0.0; 64 * 64]];
    let x = Tensor::ones([1, 64], (Kind::Double, Device::Cpu));
    let leaves = network.leaves().unwrap();
    let clipping = Clipping { bound: bound(clip, true, 1.0), adding: Adding::of(1, 1) };
    add_clipped(&leaves, &x, &Tensor::from_slice(&[1f32]), clipping, &mut sums).unwrap();
    let moved = sums[0].iter().map(|v| v * v).sum::<f64>().sqrt() / clip;
    println!("one row moves the sum by {moved:.3e} clipping norms");
    assert!(moved <= 1.0 + 1e-4, "{moved}");
}

#[test]
fn a_gram_matrix_whose_numbers_vanish_still_counts() {
    let of = |value: f64, width: i64| Tensor::full([1, 2, width], value, (Kind::Float, Device::Cpu));
    for (a, g) in [(1e16, 2e-23), (2e-23, 1e16)] {
        let form = Form::Linear { weight: Some(0), bias: None, a: of(a, 64) };
        let g = of(g, 64);
        let moved = clipped(Part::of(form, g).unwrap(), 1e-7);
        let moved = moved.iter().map(|v| v * v).sum::<f64>().sqrt() / 1e-7;
        println!("one row moves the sum by {moved:.3e} clipping norms");
        assert!(moved <= 1.0 + 1e-4, "{moved}");
    }
}

#[test]
fn a_factor_too_small_to_be_exact_is_none() {
    let of = || Tensor::full([1, 1], 1e19, (Kind::Float, Device::Cpu));
    let clip = 7.5e-8;
    let form = Form::Linear { weight: Some(0), bias: None, a: of() };
    let moved = clipped(Part::of(form, of()).unwrap(), clip)[0] / clip;
    println!("one row moves the sum by {moved:.3e} clipping norms");
    assert!(moved <= 1.0 + 1e-4, "{moved}");
}

#[test]
fn what_cancels_inside_a_row_takes_nothing_of_the_others() {
    let (a, g) = (parts(4, 1e10, 1e10), parts(4, 1e10, -1e10));
    let of_linear = moved(|rows| {
        let form = Form::Linear { weight: Some(0), bias: Some(1), a: rows(&a) };
        clipped(Part::of(form, rows(&g)).unwrap(), 1.0)
    });
    let tokens = Tensor::from_slice(&[1i64]).expand([ROWS, 16], false).contiguous();
    let of_table = moved(|rows| {
        let form = Form::Table { weight: 0, tokens: rows(&tokens), count: 3 };
        clipped(Part::of(form, rows(&g)).unwrap(), 1.0)
    });
    let image = |t: &Tensor| t.transpose(1, 2).contiguous().reshape([-1, 4, 4, 4]);
    let of_convolution = moved(|rows| {
        let (x, g) = (image(&rows(&a)), image(&rows(&g)));
        let site = Site { weight: Some(0), bias: None, x, gram: false, keep: false, kernel: 1, stride: 1, padding: 0 };
        clipped(Part::of(Form::Conv(site), g).unwrap(), 1.0)
    });
    println!("clipping norms: linear {of_linear:.4}, table {of_table:.4}, convolution {of_convolution:.4}");
    for moved in [of_linear, of_table, of_convolution] {
        assert!(moved <= 1.0 + 1e-4, "{moved}");
    }
}

/// Where norms come from Gram matrices nothing is built for a row, so that its parts meet the other rows one by one. Where
/// they are large beside what is left of them they do so in double precision. And its norm was raised by a share of what
/// cancels, so that none of it hides: it moves the sum by no more than the clipping norm, whatever of the row is left, and
/// takes next to nothing of the others.
#[test]
fn what_cancels_inside_a_row_takes_nothing_where_nothing_is_built() {
    const WIDTH: i64 = 128;
    let image = |t: &Tensor| t.transpose(1, 2).contiguous().reshape([-1, WIDTH, 4, 4]);
    let (mut taken, mut worst) = ([0f64; 3], 0f64);
    for left in [0.0, 1e-6, 1e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 0.1, 1.0] {
        let (a, g) = (parts(WIDTH, 1e4, 1e4), parts(WIDTH, 1e4, -1e4 * (1.0 - left)));
        assert!(by_gram(&a, &g).unwrap());
        let outer = |a: Tensor, g: Tensor| clipped(vec![Part::outer(vec![(0, 0, WIDTH)], vec![], a, g).unwrap()], 1.0);
        // Positions of a row one after the other, as most layers have them; and steps first, as an LSTM has.
        let steps_first = |t: &Tensor| t.transpose(0, 1).contiguous().transpose(0, 1);
        let moves = [
            moved(|rows| outer(rows(&a), rows(&g))),
            moved(|rows| outer(steps_first(&rows(&a)), steps_first(&rows(&g)))),
            moved(|rows| {
                let (x, g) = (image(&rows(&a)), image(&rows(&g)));
                let (gram, keep) = (true, false);
                let site = Site { weight: Some(0), bias: None, x, gram, keep, kernel: 1, stride: 1, padding: 0 };
                clipped(Part::of(Form::Conv(site), g).unwrap(), 1.0)
            }),
        ];
        if left == 0.0 {
            taken = moves;
        }
        println!("left {left:e}: moves by {moves:.7?} clipping norms");
        worst = moves.into_iter().fold(worst, f64::max);
    }
    assert!(taken.iter().all(|taken| *taken <= 1e-3), "what a row of nothing takes of others: {taken:?}");
    assert!(worst > 0.98 && worst <= 1.0, "{worst}");
}
