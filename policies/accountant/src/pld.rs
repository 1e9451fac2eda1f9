//! ε of one run by its privacy loss distribution: tighter than RDP, used for the report inside a run, never the ledger.
//!
//! Connect-the-dots discretisation (Doroshenko et al. 2022) of each neighbour direction, composition by FFT of the
//! exponentially tilted distribution. The tilt centres the transform on the answer, so that its rounding is small
//! against δ however small δ is. Every approximation errs upwards.

mod composition;

use rustfft::num_complex::Complex;
use schemas::privacy::DatasetCharge;

use super::gaussian::{self, upper_tail};
use super::rdp::log_sum;
use super::{Event, RdpVector, is_delta, is_noise, is_rate, micro_up};
use composition::{Composition, Part};

/// ε, rounded up to 10⁻⁶, of `steps` Poisson-sampled Gaussian steps at δ, add or remove one: an upper bound, close
/// to the exact value. None where a parameter is out of range; infinite where nothing bounds it.
pub fn epsilon(noise_multiplier: f64, sample_rate: f64, steps: u32, delta: f64) -> Option<f64> {
    epsilon_of(&[Event::SampledGaussian { noise_multiplier, sample_rate, steps }], delta)
}

/// The same of all these events together.
pub fn epsilon_of(events: &[Event], delta: f64) -> Option<f64> {
    if !is_delta(delta) {
        return None;
    }
    let (mut sampled, mut plain) = (Vec::new(), Vec::new());
    for event in events {
        let (sigma, rate, times) = match *event {
            Event::SampledGaussian { noise_multiplier, sample_rate, steps } => (noise_multiplier, sample_rate, steps),
            Event::Gaussian { noise_multiplier, count } => (noise_multiplier, 1.0, count),
            Event::WithoutPrivacy => return Some(f64::INFINITY),
        };
        if !is_noise(sigma) || !is_rate(rate) {
            return None;
        }
        match (rate, times) {
            (0.0, _) | (_, 0) => {}
            (1.0, _) => plain.push((sigma, times)),
            _ => sampled.push((Step { sigma, rate }, times)),
        }
    }
    let epsilon = match (&sampled[..], &plain[..]) {
        ([], []) => 0.0,
        ([], [(sigma, times)]) => gaussian::epsilon(*sigma, *times, delta)?,
        ([], _) => gaussian::epsilon(together(&plain), 1, delta)?,
        _ => {
            // Plain Gaussians are together one, whose row is always there.
            sampled.extend((!plain.is_empty()).then(|| (Step { sigma: together(&plain), rate: 1.0 }, 1)));
            directed(&sampled, Direction::Remove, delta).max(directed(&sampled, Direction::Add, delta))
        }
    };
    Some((epsilon * 1e6).ceil() / 1e6)
}

/// The ε of a charge's mechanisms at its δ in 10⁻⁶, rounded up; none where this accountant bounds nothing.
pub fn epsilon_micro(charge: &DatasetCharge) -> Option<u64> {
    let events: Vec<Event> = charge.mechanisms.iter().map(Event::from).collect();
    let micro = micro_up(epsilon_of(&events, charge.delta.value())?);
    (micro < RdpVector::INFINITE).then_some(micro)
}

/// The noise multiplier of the one Gaussian that tells as much as all of these.
fn together(plain: &[(f64, u32)]) -> f64 {
    plain.iter().map(|(sigma, times)| f64::from(*times) / sigma / sigma).sum::<f64>().powf(-0.5)
}

/// The smallest noise multiplier of three decimals with which `steps` sampled steps cost at most `target_epsilon` at
/// `delta` by this accountant; none where a parameter is out of range or 10⁶ does not reach the target.
///
/// What is returned has itself been accounted for. It is what a run needs if nothing is charged beside it: the plan of a
/// job is calibrated by RDP, since that is what its ledger charges, and since a transform may differ in its last bits
/// between machines, of which two must agree on a plan.
pub fn calibrate(target_epsilon: f64, delta: f64, sample_rate: f64, steps: u32) -> Option<f64> {
    if !(target_epsilon.is_finite() && target_epsilon > 0.0) {
        return None;
    }
    let reaches = |milli: u64| Some(epsilon(milli as f64 / 1000.0, sample_rate, steps, delta)? <= target_epsilon);
    let (mut low, mut high) = (0u64, 500);
    while !reaches(high)? {
        if high >= 1_000_000_000 {
            return None;
        }
        (low, high) = (high, high * 2);
    }
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if reaches(middle)? { high = middle } else { low = middle }
    }
    Some(high as f64 / 1000.0)
}

/// One direction, on the finest grid whose window fits.
fn directed(steps: &[(Step, u32)], direction: Direction, delta: f64) -> f64 {
    // Mass cut off per step: together 10⁻⁸ of δ.
    let all: f64 = steps.iter().map(|(_, times)| f64::from(*times)).sum();
    let reach = (-2.0 * libm::log(1e-8 * delta / all)).sqrt();
    let ranges: Vec<(f64, f64)> = steps.iter().map(|(step, _)| step.range(direction, reach)).collect();
    let widest = ranges.iter().map(|(low, high)| high - low).fold(0.0, f64::max);
    let mut width = steps.iter().map(|(step, _)| step.width()).fold(f64::INFINITY, f64::min);
    while width < 1e12 {
        if widest / width < MOST_POINTS as f64 {
            let parts = steps.iter().zip(&ranges).map(|((step, times), range)| Part {
                losses: Losses::of(step, direction, *range, width),
                times: *times,
            });
            if let Some(epsilon) = Composition::of(parts.collect(), width).epsilon(delta) {
                return epsilon;
            }
        }
        width *= 2.0;
    }
    f64::INFINITY
}

/// One step: with probability `rate` the row is there and moves a normal distribution of deviation `sigma` by 1.
#[derive(Clone, Copy)]
struct Step {
    sigma: f64,
    rate: f64,
}

/// Which neighbour is the observed one.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Direction {
    /// The row is there, the neighbour has it removed: loss ln(mixture/normal).
    Remove,
    /// The row is added by the neighbour: loss ln(normal/mixture).
    Add,
}

impl Step {
    /// ln of mixture over normal density at `x`.
    fn log_ratio(&self, x: f64) -> f64 {
        let s = (2.0 * x - 1.0) / 2.0 / self.sigma / self.sigma;
        if s > 30.0 {
            libm::log(self.rate) + s + libm::log1p((1.0 - self.rate) / self.rate * libm::exp(-s))
        } else {
            libm::log1p(self.rate * libm::expm1(s))
        }
    }

    /// The `x` at which the log ratio has this value; −∞ below its range.
    fn at_log_ratio(&self, value: f64) -> f64 {
        let log = if value > 30.0 {
            value - libm::log(self.rate) + libm::log1p(-(1.0 - self.rate) * libm::exp(-value))
        } else {
            let ratio = libm::expm1(value) / self.rate;
            if ratio <= -1.0 { f64::NEG_INFINITY } else { libm::log1p(ratio) }
        };
        self.sigma * self.sigma * log + 0.5
    }

    /// Losses between `reach` deviations below the one and above the other normal distribution.
    fn range(&self, direction: Direction, reach: f64) -> (f64, f64) {
        let low = self.log_ratio(-reach * self.sigma);
        let high = self.log_ratio(1.0 + reach * self.sigma);
        match direction {
            Direction::Remove => (low, high),
            Direction::Add => (-high, -low),
        }
    }

    /// A twentieth of the loss's deviation, for which the grid's own variance is no longer seen, between 10⁻⁵ and 10⁻⁴.
    fn width(&self) -> f64 {
        let deviation = self.rate * libm::expm1(1.0 / self.sigma / self.sigma).sqrt();
        (deviation / 20.0).clamp(1e-5, 1e-4)
    }
}

/// Both normal distributions cut at one place.
#[derive(Clone, Copy)]
struct Cut {
    /// Mass below and above of the distribution at 0.
    absent: (f64, f64),
    /// Mass below and above of the distribution at 1.
    present: (f64, f64),
}

impl Cut {
    fn at(x: f64, sigma: f64) -> Cut {
        let (u, v) = (x / sigma, (x - 1.0) / sigma);
        Cut { absent: (upper_tail(-u), upper_tail(u)), present: (upper_tail(-v), upper_tail(v)) }
    }

    /// Masses of the two distributions between this cut and one to its right, taken from the thinner tails.
    fn to(&self, other: &Cut) -> (f64, f64) {
        let between = |a: (f64, f64), b: (f64, f64)| (if a.0 > 0.5 { a.1 - b.1 } else { b.0 - a.0 }).max(0.0);
        (between(self.absent, other.absent), between(self.present, other.present))
    }
}

/// The discretised losses of one step.
struct Losses {
    width: f64,
    /// Grid index of the first mass.
    low: i64,
    mass: Vec<f64>,
    /// Mass of unbounded loss.
    infinite: f64,
}

impl Losses {
    /// Splits the mass of each cell between its two ends so that both neighbours keep their total: the curve of the
    /// result meets the true one on the grid and lies above it between.
    fn of(step: &Step, direction: Direction, range: (f64, f64), width: f64) -> Losses {
        let (low, high) = ((range.0 / width).floor() as i64, (range.1 / width).ceil() as i64);
        let cut = |index: i64| {
            let loss = index as f64 * width;
            Cut::at(step.at_log_ratio(if direction == Direction::Remove { loss } else { -loss }), step.sigma)
        };
        let mixture = |absent: f64, present: f64| (1.0 - step.rate) * absent + step.rate * present;
        let shrink = -libm::expm1(-width);
        let mut mass = vec![0.0; (high - low + 1) as usize];
        let mut left = cut(low);
        // Below the grid: counted at its lowest point.
        mass[0] = match direction {
            Direction::Remove => mixture(left.absent.0, left.present.0),
            Direction::Add => left.absent.1,
        };
        for (cell, index) in (low..high).enumerate() {
            let right = cut(index + 1);
            let (observed, other) = match direction {
                Direction::Remove => {
                    let (absent, present) = left.to(&right);
                    (mixture(absent, present), absent)
                }
                Direction::Add => {
                    let (absent, present) = right.to(&left);
                    (absent, mixture(absent, present))
                }
            };
            let upper = (observed - other * libm::exp(index as f64 * width)) / shrink;
            // What doubles cannot hold goes up entirely.
            let upper = if upper.is_finite() { upper.clamp(0.0, observed) } else { observed };
            mass[cell] += observed - upper;
            mass[cell + 1] += upper;
            left = right;
        }
        let infinite = match direction {
            Direction::Remove => mixture(left.absent.1, left.present.1),
            Direction::Add => left.absent.0,
        };
        Losses { width, low, mass, infinite }
    }

    /// ln Σ p·e^{λ·loss}.
    fn log_moment(&self, tilt: f64) -> f64 {
        let powers: Vec<f64> = (0..BLOCK).map(|at| libm::exp(tilt * self.width * at as f64)).collect();
        let logs: Vec<f64> = self
            .mass
            .chunks(BLOCK)
            .enumerate()
            .map(|(block, mass)| {
                let sum: f64 = mass.iter().zip(&powers).map(|(mass, power)| mass * power).sum();
                libm::log(sum) + tilt * self.loss(self.low + (block * BLOCK) as i64)
            })
            .collect();
        log_sum(&logs)
    }

    fn loss(&self, index: i64) -> f64 {
        index as f64 * self.width
    }

    fn lowest(&self) -> f64 {
        self.loss(self.low)
    }

    fn highest(&self) -> f64 {
        self.loss(self.low + self.mass.len() as i64 - 1)
    }

    /// The masses times e^{λ·loss}, scaled to sum to one, folded into so many places from the lowest on.
    fn tilted(&self, tilt: f64, length: usize) -> Vec<Complex<f64>> {
        let log_moment = self.log_moment(tilt);
        let mut wave = vec![Complex::new(0.0, 0.0); length];
        for (at, mass) in self.mass.iter().enumerate().filter(|(_, mass)| **mass > 0.0) {
            let tilted = libm::exp(libm::log(*mass) + tilt * self.loss(self.low + at as i64) - log_moment);
            wave[at % length].re += tilted;
        }
        wave
    }

    /// The tilt up to which the powers of one block stay within doubles.
    fn largest_tilt(&self) -> f64 {
        300.0 / self.width / BLOCK as f64
    }
}

/// Longest grid and transform.
const MOST_POINTS: usize = 1 << 21;
/// Grid points that share one exponential in a moment.
const BLOCK: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_costs_nothing_and_false_parameters_have_no_epsilon() {
        assert_eq!(epsilon(1.0, 0.0, 10, 1e-5), Some(0.0));
        assert_eq!(epsilon(1.0, 0.5, 0, 1e-5), Some(0.0));
        assert_eq!(epsilon(50.0, 0.01, 1, 0.5), Some(0.0));
        for (noise, rate, delta) in [
            (0.0, 0.1, 1e-5),
            (f64::NAN, 0.1, 1e-5),
            (f64::INFINITY, 0.1, 1e-5),
            (1.0, -0.1, 1e-5),
            (1.0, 1.1, 1e-5),
            (1.0, f64::NAN, 1e-5),
            (1.0, 0.1, 0.0),
            (1.0, 0.1, 1.0),
            (1.0, 0.1, f64::NAN),
        ] {
            assert_eq!(epsilon(noise, rate, 10, delta), None);
        }
    }

    #[test]
    fn near_full_rate_it_meets_the_closed_form() {
        for (noise, steps, delta) in
            [(1.0, 1, 1e-5), (20.0, 100, 1e-5), (0.5, 3, 1e-12), (5.0, 10, 1e-30), (30.0, 5, 0.01)]
        {
            let exact = gaussian::epsilon(noise, steps, delta).unwrap();
            let found = epsilon(noise, 1.0 - 1e-10, steps, delta).unwrap();
            assert!((found / exact - 1.0).abs() < 1e-4, "σ {noise} T {steps} δ {delta}: {found} against {exact}");
        }
    }

    #[test]
    fn one_step_meets_its_formula_in_both_directions() {
        let (sigma, rate, delta) = (1.0, 0.2, 1e-6);
        let step = Step { sigma, rate };
        let remove = |epsilon: f64| {
            let x = step.at_log_ratio(epsilon);
            rate * upper_tail((x - 1.0) / sigma) - (epsilon.exp() - 1.0 + rate) * upper_tail(x / sigma)
        };
        let add = |epsilon: f64| {
            let x = step.at_log_ratio(-epsilon);
            let kept = ((-epsilon).exp() - 1.0 + rate) * upper_tail(-x / sigma);
            epsilon.exp() * (kept - rate * upper_tail((1.0 - x) / sigma))
        };
        let found = directed(&[(step, 1)], Direction::Remove, delta);
        assert!(remove(found) <= delta && remove(found - 1e-5) > delta, "{found}");
        let found = directed(&[(step, 1)], Direction::Add, delta);
        assert!(add(found) <= delta && add(found - 1e-5) > delta, "{found}");
    }

    #[test]
    fn events_together_cost_more_than_each_and_less_than_their_rdp() {
        let training = Event::SampledGaussian { noise_multiplier: 4.1, sample_rate: 128.0 / 1695.0, steps: 198 };
        let metrics = Event::Gaussian { noise_multiplier: 10.5, count: 1 };
        let delta = 47.2e-6;
        let [alone, noised, both] =
            [&[training][..], &[metrics], &[training, metrics]].map(|events| epsilon_of(events, delta).unwrap());
        let rdp = RdpVector::of(&[training, metrics]).unwrap().epsilon(delta);
        assert!(alone.max(noised) < both && both < rdp, "{alone} {noised} {both} {rdp}");
        // Two halves are the whole, in either order, and a row that is always there is the plain mechanism.
        let half = Event::SampledGaussian { noise_multiplier: 4.1, sample_rate: 128.0 / 1695.0, steps: 99 };
        let halves = epsilon_of(&[metrics, half, half], delta).unwrap();
        assert!((halves - both).abs() < 1e-5, "{halves} {both}");
        let plain = [(3.0, 2), (7.0, 1)].map(|(noise_multiplier, count)| Event::Gaussian { noise_multiplier, count });
        let one = gaussian::epsilon((2.0f64 / 9.0 + 1.0 / 49.0).powf(-0.5), 1, delta).unwrap();
        assert!((epsilon_of(&plain, delta).unwrap() - one).abs() < 2e-6);
        assert_eq!(epsilon_of(&[], delta), Some(0.0));
        assert_eq!(epsilon_of(&[Event::Gaussian { noise_multiplier: 0.0, count: 1 }], delta), None);
        assert_eq!(epsilon_of(&[training, Event::WithoutPrivacy], delta), Some(f64::INFINITY));
    }

    #[test]
    fn a_mixture_meets_the_closed_form_where_there_is_one() {
        // Nearly full rate beside plain Gaussians: all of it is one Gaussian.
        let sampled = Event::SampledGaussian { noise_multiplier: 5.0, sample_rate: 1.0 - 1e-10, steps: 10 };
        let plain = Event::Gaussian { noise_multiplier: 2.0, count: 1 };
        let exact = gaussian::epsilon((10.0f64 / 25.0 + 0.25).powf(-0.5), 1, 1e-6).unwrap();
        let found = epsilon_of(&[sampled, plain], 1e-6).unwrap();
        assert!((found / exact - 1.0).abs() < 1e-4, "{found} {exact}");
    }

    #[test]
    fn lies_below_rdp_and_rises_with_steps() {
        for (sigma, rate, delta) in [(4.1, 128.0 / 1695.0, 47.2e-6), (0.6, 0.01, 1e-9), (20.0, 0.9, 1e-6)] {
            let mut before = 0.0;
            for steps in [1, 2, 10, 198] {
                let event = Event::SampledGaussian { noise_multiplier: sigma, sample_rate: rate, steps };
                let (rdp, pld) =
                    (RdpVector::of(&[event]).unwrap().epsilon(delta), epsilon(sigma, rate, steps, delta).unwrap());
                assert!(before < pld && pld < rdp, "σ {sigma} q {rate} T {steps}: {before} < {pld} < {rdp}");
                before = pld;
            }
        }
    }

    #[test]
    fn masses_sum_to_one_for_both_neighbours() {
        for direction in [Direction::Remove, Direction::Add] {
            let step = Step { sigma: 1.1, rate: 0.02 };
            let losses = Losses::of(&step, direction, step.range(direction, 9.0), 1e-4);
            let observed: f64 = losses.mass.iter().sum::<f64>() + losses.infinite;
            let other: f64 =
                losses.mass.iter().zip(losses.low..).map(|(mass, at)| mass * (-losses.loss(at)).exp()).sum();
            assert!((observed - 1.0).abs() < 1e-12 && (other - 1.0).abs() < 1e-9, "{direction:?}: {observed}, {other}");
        }
    }

    #[test]
    fn extremes_end_and_stay_above_zero() {
        for (noise, rate, steps, delta) in
            [(0.01, 0.5, 10, 1e-5), (0.2, 1e-6, 1000, 1e-5), (1e4, 0.001, 10, 1e-9), (2.0, 1e-9, 4_000_000_000, 1e-12)]
        {
            let epsilon = epsilon(noise, rate, steps, delta).unwrap();
            assert!(epsilon.is_finite() && epsilon > 0.0, "σ {noise} q {rate} T {steps}: {epsilon}");
        }
    }
}
