//! Where randomness comes from, and how noise meets a sum.
//!
//! [`Streams`] cuts the one secret seed into independent streams by HKDF labels (ChaCha20, and for noise [`NoiseStream`]), so that a step asked for
//! again draws the very same numbers and no two uses share any. The streams of a run are bound to its public
//! configuration too (join, training, plan): an honest re-execution draws the same noise, one with another clipping norm
//! or learning rate draws noise that has nothing to do with it, so that two such models do not cancel it out.
//!
//! [`Grid`] rounds a clipped sum to a public grid and adds discrete Gaussians in integers; what follows (floats,
//! division, learning rate) is post-processing. That is the hardening against floating-point attacks (Mironov 2012; Jin
//! et al. 2021): whatever the data, a noised sum is an integer times γ, every integer is possible, and its probability
//! does not depend on how floats are spaced.
//!
//! Two samplers make the integers. Up to [`EXACT_COORDINATES`] parameters, a public figure, it is the exact one
//! ([`crate::gaussian`], some 200 ns a draw); above, where that would cost more than the gradients, it is the
//! [`crate::ziggurat`] on the same integers, 2^−90 from exact for one draw. Which of them ran is said in the outcome and
//! in the certificate.

use chacha20::ChaCha20Rng;
use chacha20::rand_core::{Rng, SeedableRng};
use hkdf::Hkdf;
use schemas::text::Real;
use schemas::worker::NoiseSampler;
use schemas::{Digest, R};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::fault::{internal, protocol};
use crate::gaussian::{DiscreteGaussian, next_bits};
use crate::lanes;
use crate::stream::{NoiseStream, WORDS};
use crate::ziggurat::Ziggurat;

/// The most parameters whose noise is drawn by the exact sampler: 4 ms a step.
pub const EXACT_COORDINATES: usize = 20_000;

/// Streams by label: key = HKDF-SHA256(salt `depa ccr-trainer v1`, seed, label), for the streams of a run with
/// a zero byte and the digest of its configuration behind the label.
pub struct Streams {
    seed: Hkdf<Sha256>,
    configuration: Option<Digest>,
}

impl Streams {
    /// Streams of a seed alone: the public one of initial weights.
    pub fn new(seed: &[u8]) -> Streams {
        Streams { seed: Hkdf::new(Some(b"depa ccr-trainer v1"), seed), configuration: None }
    }

    /// Streams of a run: of its secret seed and its public configuration ([`schemas::worker::configuration`]).
    pub fn of_run(seed: &[u8], configuration: Digest) -> Streams {
        Streams { configuration: Some(configuration), ..Streams::new(seed) }
    }

    /// Which rows enter a step: label `sampling/<step>`.
    pub fn sampling(&self, step: u32) -> R<ChaCha20Rng> {
        self.stream(&format!("sampling/{step}"))
    }

    /// The noise of one parameter in a step: label `noise/<step>/<parameter>`.
    pub fn noise(&self, step: u32, parameter: &str) -> R<NoiseStream> {
        Ok(NoiseStream::new(&*self.key(&format!("noise/{step}/{parameter}"))?))
    }

    /// The noise of the metrics: label `metrics`.
    pub fn metrics(&self) -> R<ChaCha20Rng> {
        self.stream("metrics")
    }

    /// Initial weights of one parameter: label `init/<parameter>`.
    pub fn init(&self, parameter: &str) -> R<ChaCha20Rng> {
        self.stream(&format!("init/{parameter}"))
    }

    fn stream(&self, label: &str) -> R<ChaCha20Rng> {
        Ok(ChaCha20Rng::from_seed(*self.key(label)?))
    }

    fn key(&self, label: &str) -> R<Zeroizing<[u8; 32]>> {
        let mut key = Zeroizing::new([0; 32]);
        let bound: &[&[u8]] = match &self.configuration {
            None => &[label.as_bytes()],
            Some(configuration) => &[label.as_bytes(), &[0], &configuration.0],
        };
        self.seed.expand_multi_info(bound, &mut *key).map_err(|_| internal("a stream could not be derived"))?;
        Ok(key)
    }
}

/// Poisson sampling: each row is taken with probability ⌊q · 2^64⌋ / 2^64, independently of all others.
#[derive(Clone)]
pub struct PoissonSampling {
    threshold: u128,
}

impl PoissonSampling {
    /// For a rate in (0, 1], taken exactly as its decimal string says.
    pub fn new(rate: &Real) -> R<PoissonSampling> {
        let (whole, part) = rate.as_str().split_once('.').unwrap_or((rate.as_str(), ""));
        let part = part.trim_end_matches('0');
        let bad = || protocol("the sample rate is above 0 and at most 1");
        match (whole, part) {
            ("1", "") => Ok(PoissonSampling { threshold: 1 << 64 }),
            ("0", digits) if !digits.is_empty() && digits.len() <= 38 => {
                let num: u128 = digits.parse().map_err(|_| bad())?;
                let (threshold, _) = next_bits(num, 10u128.pow(digits.len() as u32));
                Ok(PoissonSampling { threshold: u128::from(threshold) })
            }
            _ => Err(bad()),
        }
    }

    /// The rate.
    pub fn rate(&self) -> f64 {
        self.threshold as f64 * 2f64.powi(-64)
    }

    /// The rows of one step, in order; it may well be none.
    pub fn draw(&self, rows: usize, mut stream: ChaCha20Rng) -> Vec<i64> {
        (0..rows as i64).filter(|_| u128::from(stream.next_u64()) < self.threshold).collect()
    }
}

/// The grid that sums are rounded to, with the discrete Gaussian on it.
///
/// With clip bound C, noise multiplier σ and d coordinates: the unit is γ = 2^k, the largest power of two
/// ≤ σC · 2^−24. Rounding moves each of two neighbouring sums by at most γ/2 per coordinate, so the sensitivity grows
/// to C' = C + γ√d; the noise has σ' = ⌈σC'/γ⌉ units, so its share of the sensitivity is at least σ.
pub struct Grid {
    unit: f64,
    sampler: Sampler,
}

/// What draws the units of noise.
enum Sampler {
    Exact(DiscreteGaussian),
    Ziggurat(Ziggurat),
}

impl Grid {
    /// A grid for sums of `coordinates` numbers with norm at most `clip` per row.
    pub fn new(noise_multiplier: f64, clip: f64, coordinates: usize) -> R<Grid> {
        let bad = || protocol("no noise grid exists for this noise multiplier and clipping norm");
        let deviation = noise_multiplier * clip;
        if !(deviation.is_normal() && (1e-30..1e30).contains(&deviation)) {
            return Err(bad());
        }
        let unit = f64::from_bits((deviation.to_bits() >> 52) << 52) * 2f64.powi(-24);
        let enlarged = clip + unit * (coordinates as f64).sqrt();
        // The tiny factor stands for the rounding of this very line.
        let units = (noise_multiplier * enlarged / unit * (1.0 + 1e-12)).ceil();
        let sampler = if coordinates <= EXACT_COORDINATES {
            Sampler::Exact(DiscreteGaussian::new(units as u64, 1).ok_or_else(bad)?)
        } else {
            Sampler::Ziggurat(Ziggurat::new(units as u64).ok_or_else(bad)?)
        };
        Ok(Grid { unit, sampler })
    }

    /// Which sampler it draws from.
    pub fn sampler(&self) -> NoiseSampler {
        match self.sampler {
            Sampler::Exact(_) => NoiseSampler::DiscreteGaussian,
            Sampler::Ziggurat(_) => NoiseSampler::DiscreteGaussianZiggurat,
        }
    }

    /// Rounds every coordinate to the grid and adds its noise.
    pub fn add(&self, values: &mut [f64], mut stream: NoiseStream) {
        // The unit is a power of two: times its inverse is the division itself.
        let inverse = 1.0 / self.unit;
        match &self.sampler {
            Sampler::Exact(gaussian) => {
                for value in values {
                    *value = with_noise(*value * inverse, gaussian.draw(&mut stream)) * self.unit;
                }
            }
            Sampler::Ziggurat(ziggurat) => {
                let mut noise = [0.0; WORDS];
                for block in values.chunks_mut(WORDS) {
                    ziggurat.fill(&mut noise, &mut stream);
                    if lanes::all_below(block, inverse, SMALL) {
                        lanes::meet(block, &noise, self.unit, inverse, SHIFT);
                    } else {
                        for (value, noise) in block.iter_mut().zip(&noise) {
                            *value = with_noise(*value * inverse, *noise as i64) * self.unit;
                        }
                    }
                }
            }
        }
    }
}

/// 1.5 · 2^52: added to a double below [`SMALL`] and taken away, it leaves the nearest whole number, ties to even.
const SHIFT: f64 = 6_755_399_441_055_744.0;
/// 2^51.
const SMALL: f64 = 2_251_799_813_685_248.0;

/// `value` rounded to a whole number, ties to even, plus `noise`. Below 2^51 doubles do both exactly: adding and taking
/// away 1.5 · 2^52 leaves no place for a fraction. Beyond, integers do, and saturate.
#[inline]
fn with_noise(value: f64, noise: i64) -> f64 {
    if value.abs() < SMALL && noise.unsigned_abs() < 1 << 50 {
        (value + SHIFT) - SHIFT + noise as f64
    } else {
        (value.round_ties_even() as i64).saturating_add(noise) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_differ_by_label_and_repeat_by_seed() {
        let first = |seed: u8, step| Streams::new(&[seed; 32]).sampling(step).unwrap().next_u64();
        assert_eq!(first(1, 1), first(1, 1));
        assert_ne!(first(1, 1), first(1, 2));
        assert_ne!(first(1, 1), first(2, 1));
        let streams = Streams::new(&[1; 32]);
        let noise = streams.noise(1, "0.weight").unwrap().next_u64();
        assert_ne!(noise, streams.noise(1, "0.bias").unwrap().next_u64());
        assert_ne!(noise, streams.noise(2, "0.weight").unwrap().next_u64());
    }

    #[test]
    fn streams_of_a_run_are_bound_to_its_configuration() {
        let of = |seed: u8, configuration: u8| {
            let streams = Streams::of_run(&[seed; 32], Digest([configuration; 32]));
            let noise = streams.noise(1, "w").unwrap().next_u64();
            [noise, streams.sampling(1).unwrap().next_u64(), streams.metrics().unwrap().next_u64()]
        };
        assert_eq!(of(1, 1), of(1, 1));
        for other in [of(1, 2), of(2, 1)] {
            assert!(of(1, 1).iter().zip(other).all(|(a, b)| *a != b));
        }
        assert_ne!(of(1, 1)[1], Streams::new(&[1; 32]).sampling(1).unwrap().next_u64());
    }

    #[test]
    fn rounding_and_adding_is_that_of_integers() {
        let halves: Vec<f64> = (-9..9).map(|i| f64::from(i) / 2.0).collect();
        let near = |k| [-1.0, -0.5, -0.25, 0.25, 0.5, 1.5].map(|d| 2f64.powi(k) + d);
        let large: Vec<f64> = [49, 50, 51, 52, 60].into_iter().flat_map(near).flat_map(|x| [x, -x]).collect();
        let odd = [f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 1e300, -1e300, 5e-324, 0.499_999_999_999_999_94];
        for x in halves.iter().chain(&large).chain(&odd) {
            for noise in [0, 1, -1, 12_345_678_901, -(1 << 50), i64::MAX] {
                let expected = (x.round_ties_even() as i64).saturating_add(noise) as f64;
                assert_eq!(with_noise(*x, noise), expected, "{x} {noise}");
            }
        }
    }

    #[test]
    fn a_block_with_one_large_number_meets_the_same_noise() {
        let (grid, streams) = (Grid::new(1.0, 1.0, 1_000_000).unwrap(), Streams::new(&[5; 32]));
        let noised = |values: &[f64]| {
            let mut values = values.to_vec();
            grid.add(&mut values, streams.noise(1, "w").unwrap());
            values
        };
        let mut values: Vec<f64> = (0..600).map(|i| (f64::from(i) - 300.0) / 7.0).collect();
        let plain = noised(&values);
        (values[3], values[4], values[300]) = (f64::NAN, f64::NEG_INFINITY, 1e300);
        let odd = noised(&values);
        assert!(odd.iter().all(|v| v.is_finite()));
        assert!((0..600).filter(|at| ![3, 4, 300].contains(at)).all(|at| odd[at] == plain[at]));
    }

    #[test]
    fn the_sampler_follows_from_the_public_number_of_parameters() {
        let of = |coordinates| Grid::new(1.5, 1.0, coordinates).unwrap().sampler();
        assert_eq!([of(1), of(EXACT_COORDINATES)], [NoiseSampler::DiscreteGaussian; 2]);
        assert_eq!([of(EXACT_COORDINATES + 1), of(50_000_000)], [NoiseSampler::DiscreteGaussianZiggurat; 2]);
    }

    #[test]
    fn rates_are_exact_and_rows_independent() {
        let threshold = |text| PoissonSampling::new(&Real::parse(text).unwrap()).map(|p| p.threshold);
        assert_eq!(threshold("0.5").unwrap(), 1 << 63);
        assert_eq!(threshold("0.50").unwrap(), 1 << 63);
        assert_eq!(threshold("1").unwrap(), 1 << 64);
        assert_eq!(threshold("0.1").unwrap(), (1u128 << 64) / 10);
        for bad in ["0", "0.0", "1.1", "2"] {
            assert!(threshold(bad).is_err(), "{bad}");
        }
        let (rate, streams) = (PoissonSampling::new(&Real::parse("0.1").unwrap()).unwrap(), Streams::new(&[3; 32]));
        let (rows, steps) = (500, 2_000);
        let mut counts = vec![0u32; rows];
        for step in 0..steps {
            for row in rate.draw(rows, streams.sampling(step).unwrap()) {
                counts[row as usize] += 1;
            }
        }
        let mean = f64::from(counts.iter().sum::<u32>()) / rows as f64;
        let variance = counts.iter().map(|c| (f64::from(*c) - 200.0).powi(2)).sum::<f64>() / rows as f64;
        assert!((mean - 200.0).abs() < 2.0, "mean {mean}");
        assert!((variance - 180.0).abs() < 50.0, "variance {variance}"); // Binomial(2000, 0.1)
    }

    #[test]
    fn noise_on_the_grid_has_the_planned_deviation_and_no_memory() {
        noise_is_right(10);
        noise_is_right(1_000_000);
    }

    fn noise_is_right(coordinates: usize) {
        let (sigma, clip) = (4.1, 0.7);
        let grid = Grid::new(sigma, clip, coordinates).unwrap();
        assert!(grid.unit <= sigma * clip * 2f64.powi(-24) && grid.unit > sigma * clip * 2f64.powi(-26));
        let streams = Streams::new(&[5; 32]);
        let mut values = [vec![0.25; 100_000], vec![0.25; 100_000]];
        for (step, values) in values.iter_mut().enumerate() {
            grid.add(values, streams.noise(step as u32, "w").unwrap());
            assert!(values.iter().all(|v| (v / grid.unit).fract() == 0.0), "off the grid");
            let deviation = (values.iter().map(|v| (v - 0.25).powi(2)).sum::<f64>() / 1e5).sqrt();
            assert!((deviation / (sigma * clip) - 1.0).abs() < 0.01, "deviation {deviation}");
        }
        let product: f64 = values[0].iter().zip(&values[1]).map(|(a, b)| (a - 0.25) * (b - 0.25)).sum();
        assert!((product / 1e5 / (sigma * clip).powi(2)).abs() < 0.015, "steps are correlated");
    }
}
