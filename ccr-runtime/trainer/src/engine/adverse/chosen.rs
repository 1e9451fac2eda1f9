//! Many rows that were chosen so that roundings lean one way with one of them, and the other way without it.

use tch::{Kind, Tensor};

use super::super::conv::Site;
use super::super::norm::squares;
use super::super::tape::Form;
use super::super::{Adding, Part};
use super::added;
use crate::per_sample::{Clipping, bound};

const WIDTH: i64 = 16;

/// Rows by their lengths, in periods: the first half of each are of length 1, and add up to a power of two; the others are,
/// `together` at a time, a little more than half of what single precision tells apart above it, and are rounded up to the
/// double of what they are. Without the first row of all the sum stays below that power, where they count as they are.
fn lengths(rows: i64, period: i64, together: i64) -> Tensor {
    let small = (period / 2) as f32 * 2f32.powi(-24) * (1.0 + 2f32.powi(-10)) / together as f32;
    let lengths: Vec<f32> = (0..rows).map(|row| if row % period < period / 2 { 1.0 } else { small }).collect();
    Tensor::from_slice(&lengths)
}

const KINDS: [&str; 8] =
    ["linear", "bias", "positions", "one position", "gain", "table", "convolution kept", "convolution"];

/// A part of this kind for rows whose gradients have these lengths, and all one direction.
fn part(kind: &str, lengths: &Tensor) -> Vec<Part> {
    let rows = lengths.size1().unwrap();
    let of = |form: Form, g: Tensor| tch::no_grad(|| Part::of(form, g).unwrap());
    let linear = |weight, bias, a: Tensor, g: Tensor| of(Form::Linear { weight, bias, a }, g);
    // Of length 1, each.
    let ones = Tensor::full([rows, WIDTH], 0.25, (Kind::Float, lengths.device()));
    let g = &ones * lengths.view([-1, 1]);
    let one = [rows, 1, WIDTH];
    let conv = |keep: bool| {
        let x = ones.view([rows, WIDTH, 1, 1]);
        let site = Site { weight: Some(0), bias: None, x, gram: false, keep, kernel: 1, stride: 1, padding: 0 };
        of(Form::Conv(site), g.view([rows, WIDTH, 1, 1]))
    };
    match kind {
        "linear" => linear(Some(0), None, ones, g),
        "bias" => linear(None, Some(0), ones, g),
        "positions" => {
            let twice = |t: &Tensor| t.view(one).expand([rows, 2, WIDTH], false).contiguous();
            linear(Some(0), None, twice(&ones), twice(&g) * 0.5)
        }
        "one position" => linear(Some(0), None, ones.view(one), g.view(one)),
        "gain" => of(Form::Direct { weight: 0 }, g),
        "table" => {
            let tokens = Tensor::ones([rows, 1], (Kind::Int64, lengths.device()));
            of(Form::Table { weight: 0, tokens, count: 3 }, g.view(one))
        }
        "convolution kept" => conv(true),
        _ => conv(false),
    }
}

/// How far the first of so many rows moves the sum, in clipping norms, as it is added up in single precision whatever there
/// is, and as it is added up in a training: the worst of many choices of rows and of all kinds of parts.
fn moved(rows: i64) -> [f64; 2] {
    // No row is clipped further.
    let clip = 1.001 / bound(1.0, true, rows as f64);
    let lengths = |period: i64, together: i64| lengths(rows, period, together);
    let mut worst = [0f64; 2];
    for kind in KINDS {
        let mut of_kind = [0f64; 2];
        for period in [64, 256, 512, 1_024, 4_096, 8_192, 16_384, 65_536].into_iter().filter(|period| *period <= rows) {
            for lengths in [1, 4, 16].map(|together| lengths(period, together)) {
                for (worst, adding) in of_kind.iter_mut().zip([Adding::Blocks(i64::MAX), Adding::of(rows as usize, 1)])
                {
                    let sum = |rows: &Tensor| added(part(kind, rows), Clipping { bound: 1.001, adding });
                    let (all, without) = (sum(&lengths), sum(&lengths.narrow(0, 1, rows - 1)));
                    let square: f64 = all.iter().zip(without).map(|(a, b)| (a - b) * (a - b)).sum();
                    *worst = worst.max(square.sqrt() / clip);
                }
            }
        }
        println!(
            "{rows} rows, {kind}: one moves the sum by {:.4} clipping norms, in blocks by {:.4}",
            of_kind[0], of_kind[1]
        );
        worst = [worst[0].max(of_kind[0]), worst[1].max(of_kind[1])];
    }
    worst
}

#[test]
fn one_of_many_chosen_rows_moves_the_sum_by_no_more_than_the_clipping_norm() {
    for rows in [512, 1_920, 8_192] {
        let [whole, blocks] = moved(rows);
        assert!(blocks <= 1.0, "{rows} rows: {blocks}");
        assert!(rows < 8_192 || whole > 1.0, "the rows are chosen well enough to tell: {whole}");
    }
}

/// As many as a step may have at all.
#[test]
#[ignore = "takes a minute"]
fn one_of_as_many_chosen_rows_as_a_step_may_have() {
    let [whole, blocks] = moved(49_152);
    assert!(blocks <= 1.0 && whole > 2.0, "{blocks} {whole}");
}

/// A million numbers of which the last ones vanish beside the first ones, in every lane of a kernel.
#[test]
fn the_norm_of_many_chosen_numbers_misses_nothing() {
    let (mut worst, mut whole) = (0f64, 0f64);
    for first in [1, 8, 16, 32, 64, 128, 1_024, 4_096] {
        let numbers: Vec<f32> = (0..1_000_000).map(|at| if at < first { 1.0 } else { 2f32.powf(-12.5) }).collect();
        let exact: f64 = numbers.iter().map(|number| f64::from(*number) * f64::from(*number)).sum();
        let t = Tensor::from_slice(&numbers).reshape([1, -1]);
        let off = |length: f64| 1.0 - length / exact.sqrt();
        worst = worst.max(off(squares(&t).unwrap()[0].sqrt()).abs());
        whole = whole.max(off(t.norm_scalaropt_dim(2, 1i64, false).double_value(&[0])));
    }
    println!("a norm is off by {worst:.1e}, as the library gives it too small by {whole:.1e}");
    assert!(worst < 3e-5 && whole > 1e-4, "{worst} {whole}");
}
