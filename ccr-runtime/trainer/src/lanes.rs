//! Loops over all parameters, compiled for each width of vectors and taken by what the CPU has.
//!
//! Every number is reckoned for itself, in integers or in single operations of doubles that no compiler fuses: all
//! widths give the same bits.

use fearless_simd::{Level, Simd, dispatch};

/// `sums` plus numbers of single precision.
pub fn add(sums: &mut [f64], part: &[f32]) {
    #[inline(always)]
    fn add<S: Simd>(_: S, sums: &mut [f64], part: &[f32]) {
        sums.iter_mut().zip(part).for_each(|(sum, value)| *sum += f64::from(*value));
    }
    dispatch!(Level::new(), lanes => add(lanes, sums, part));
}

/// Each value less `rate` times its gradient, kept within ±`most`.
pub fn descend(values: &mut [f64], gradients: &[f64], rate: f64, most: f64) {
    #[inline(always)]
    fn descend<S: Simd>(_: S, values: &mut [f64], gradients: &[f64], rate: f64, most: f64) {
        for (value, gradient) in values.iter_mut().zip(gradients) {
            *value = (*value - rate * gradient).clamp(-most, most);
        }
    }
    dispatch!(Level::new(), lanes => descend(lanes, values, gradients, rate, most));
}

/// In single precision.
pub fn single(values: &[f64]) -> Vec<f32> {
    #[inline(always)]
    fn single<S: Simd>(_: S, values: &[f64]) -> Vec<f32> {
        values.iter().map(|value| *value as f32).collect()
    }
    dispatch!(Level::new(), lanes => single(lanes, values))
}

/// Whether every value is a number and smaller than `most` once divided by a unit, whose inverse is given.
pub fn all_below(values: &[f64], inverse: f64, most: f64) -> bool {
    #[inline(always)]
    fn all_below<S: Simd>(_: S, values: &[f64], inverse: f64, most: f64) -> bool {
        values.iter().fold(true, |all, value| all & ((value * inverse).abs() < most))
    }
    dispatch!(Level::new(), lanes => all_below(lanes, values, inverse, most))
}

/// Each value rounded to units plus so many units of noise; `shift` rounds by adding and taking away.
pub fn meet(values: &mut [f64], noise: &[f64], unit: f64, inverse: f64, shift: f64) {
    #[inline(always)]
    fn meet<S: Simd>(_: S, values: &mut [f64], noise: &[f64], unit: f64, inverse: f64, shift: f64) {
        for (value, noise) in values.iter_mut().zip(noise) {
            *value = ((*value * inverse + shift) - shift + noise) * unit;
        }
    }
    dispatch!(Level::new(), lanes => meet(lanes, values, noise, unit, inverse, shift));
}
