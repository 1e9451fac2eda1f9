//! ε of one run by its privacy loss distribution: tighter than RDP, used for the report inside a run, never the ledger.
//!
//! Connect-the-dots discretisation (Doroshenko et al. 2022) of each neighbour direction, composition by FFT of the
//! exponentially tilted distribution. The tilt centres the transform on the answer, so that its rounding is small
//! against δ however small δ is. Every approximation errs upwards.

use rustfft::FftPlanner;
use rustfft::num_complex::Complex;

use super::gaussian::{self, upper_tail};
use super::rdp::log_sum;
use super::{is_delta, is_noise, is_rate};

/// ε, rounded up to 10⁻⁶, of `steps` Poisson-sampled Gaussian steps at δ, add or remove one: an upper bound, close
/// to the exact value. None where a parameter is out of range; infinite where nothing bounds it.
pub fn epsilon(noise_multiplier: f64, sample_rate: f64, steps: u32, delta: f64) -> Option<f64> {
    if !is_noise(noise_multiplier) || !is_rate(sample_rate) || !is_delta(delta) {
        return None;
    }
    let epsilon = if sample_rate == 0.0 || steps == 0 {
        0.0
    } else if sample_rate == 1.0 {
        gaussian::epsilon(noise_multiplier, steps, delta)?
    } else {
        let step = Step { sigma: noise_multiplier, rate: sample_rate };
        let remove = directed(&step, Direction::Remove, steps, delta);
        remove.max(directed(&step, Direction::Add, steps, delta))
    };
    Some((epsilon * 1e6).ceil() / 1e6)
}

/// One direction, on the finest grid whose window fits.
fn directed(step: &Step, direction: Direction, steps: u32, delta: f64) -> f64 {
    // Mass cut off per step: together 10⁻⁸ of δ.
    let reach = (-2.0 * libm::log(1e-8 * delta / f64::from(steps))).sqrt();
    let (lowest, highest) = step.range(direction, reach);
    let mut width = step.width();
    while width < 1e12 {
        if (highest - lowest) / width < MOST_POINTS as f64 {
            let losses = Losses::of(step, direction, (lowest, highest), width);
            if let Some(epsilon) = losses.composed(steps, delta) {
                return epsilon;
            }
        }
        width *= 2.0;
    }
    f64::INFINITY
}

/// One step: with probability `rate` the row is there and moves a normal distribution of deviation `sigma` by 1.
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

    /// The tilt up to which the powers of one block stay within doubles.
    fn largest_tilt(&self) -> f64 {
        300.0 / self.width / BLOCK as f64
    }

    /// ε of `steps` steps; none where the transform would be too long.
    ///
    /// The first tilt is aimed at the Chernoff bound of ε, which is far off where rare large losses matter; then the
    /// allowance for rounding counts, and the next tilt is aimed at the ε just found. Each pass is a bound by itself.
    fn composed(&self, steps: u32, delta: f64) -> Option<f64> {
        let times = f64::from(steps);
        let bound = |tilt: f64| (times * self.log_moment(tilt) - libm::log(delta)) / tilt;
        let first = least(1.15, self.largest_tilt(), bound).1;
        let mut best = self.epsilon(&self.window(first, steps, delta)?, steps, delta);
        for _ in 0..RETRIES {
            if best.rounding < 1e-4 || best.epsilon.is_infinite() {
                break;
            }
            let tilt = least(1.15, self.largest_tilt(), |tilt| times * self.log_moment(tilt) - tilt * best.epsilon).1;
            let Some(window) = self.window(tilt, steps, delta) else { break };
            let next = self.epsilon(&window, steps, delta);
            if next.epsilon >= best.epsilon {
                break;
            }
            best = next;
        }
        Some(best.epsilon)
    }

    /// The window of the composed losses at this tilt by Chernoff bounds; none where the transform would be too long.
    fn window(&self, tilt: f64, steps: u32, delta: f64) -> Option<Window> {
        let times = f64::from(steps);
        let largest_tilt = self.largest_tilt();
        let log_moment = times * self.log_moment(tilt);
        let crude = (log_moment - libm::log(delta)) / tilt;
        let beyond = |towards: f64| {
            let bound = |s: f64| (times * self.log_moment(tilt + towards * s) - log_moment - libm::log(TAIL)) / s;
            least(1.35, largest_tilt, bound).0
        };
        // Up to where the answer surely lies, down to 0 at least.
        let high = beyond(1.0).max(crude).min(times * self.loss(self.low + self.mass.len() as i64 - 1));
        let low = (-beyond(-1.0)).min(0.0).max(times * self.loss(self.low));
        if !(high.is_finite() && low.is_finite() && log_moment.is_finite()) {
            return None;
        }
        let points = (high - low) / self.width + 3.0;
        if points > MOST_POINTS as f64 {
            return None;
        }
        let length = (points.ceil() as usize).next_power_of_two();
        let tail = TAIL * libm::exp((log_moment - tilt * high - libm::log(delta)).min(700.0));
        Some(Window { tilt, log_moment, first: (low / self.width).floor() as i64, length, tail })
    }

    /// The composed and tilted masses over the window, from its first index on, and the norm of their errors.
    ///
    /// Forward, the transform errs by about √log₂(length) · 2⁻⁵² in each coefficient X of the one step; the power
    /// makes steps · |X|^(steps−1) times that of it; backward, root mean squares are norms.
    fn compose(&self, window: &Window, steps: u32) -> (Vec<f64>, f64) {
        let length = window.length;
        let log_once = window.log_moment / f64::from(steps);
        let mut wave = vec![Complex::new(0.0, 0.0); length];
        for (at, mass) in self.mass.iter().enumerate().filter(|(_, mass)| **mass > 0.0) {
            let tilted = libm::exp(libm::log(*mass) + window.tilt * self.loss(self.low + at as i64) - log_once);
            wave[at % length].re += tilted;
        }
        let mut planner = FftPlanner::new();
        planner.plan_fft_forward(length).process(&mut wave);
        let mut squares = 0.0;
        for value in &mut wave {
            let power = value.powu(steps.saturating_sub(1));
            squares += power.norm_sqr();
            *value *= power;
        }
        planner.plan_fft_inverse(length).process(&mut wave);
        let turn = (window.first - i64::from(steps) * self.low).rem_euclid(length as i64) as usize;
        wave.rotate_left(turn);
        let once = f64::EPSILON * libm::log2(length as f64).sqrt();
        let error = once * (f64::from(steps) * (squares / length as f64).sqrt() + 1.0);
        (wave.iter().map(|value| value.re.max(0.0) / length as f64).collect(), error)
    }

    /// The least ε whose δ, all allowances included, is at most `delta`. Everything is counted in units of `delta`.
    fn epsilon(&self, window: &Window, steps: u32, delta: f64) -> Found {
        let (masses, error) = self.compose(window, steps);
        let infinite = f64::from(steps) * self.infinite / delta + window.tail;
        let rounding = error * self.weights(window.tilt);
        let fade = libm::exp(-self.width);
        // Σ p and Σ p·e^{ε−loss} over the losses above ε.
        let (mut above, mut discounted) = (0.0, 0.0);
        let top = window.first + masses.len() as i64 - 1;
        for (index, tilted) in (0..=top).rev().zip(masses.iter().rev()) {
            let loss = self.loss(index);
            let scale = libm::exp((window.log_moment - window.tilt * loss - libm::log(delta)).min(700.0));
            let certain = infinite + rounding * scale;
            if certain + above - discounted > 1.0 {
                let rounding = rounding * scale;
                if index == top {
                    return Found { epsilon: f64::INFINITY, rounding };
                }
                // Between this point and the one above, δ(ε) = certain + above − discounted·e^{ε−loss}.
                let rest = libm::log((certain + above - 1.0) / discounted);
                let part = if rest.is_nan() { self.width } else { rest.clamp(0.0, self.width) };
                return Found { epsilon: loss + part, rounding };
            }
            above += tilted * scale;
            discounted = (discounted + tilted * scale) * fade;
        }
        Found { epsilon: 0.0, rounding: 0.0 }
    }

    /// Norm of the weights e^{−λx}(1 − e^{−x}) with which masses at distance x above ε enter δ(ε), on the grid: by
    /// Cauchy and Schwarz, errors of the masses change δ by no more than their norm times this.
    fn weights(&self, tilt: f64) -> f64 {
        let twice = 2.0 * tilt;
        let integral = 2.0 / twice / (twice + 1.0) / (twice + 2.0);
        let largest = 1.0 / (tilt + 1.0) / (tilt + 1.0);
        (integral / self.width + largest).sqrt()
    }
}

/// Where and how tilted the composed losses are computed.
struct Window {
    tilt: f64,
    /// ln of the composed moment at the tilt.
    log_moment: f64,
    first: i64,
    length: usize,
    /// Mass above the window, in units of δ.
    tail: f64,
}

/// The answer of one pass.
struct Found {
    epsilon: f64,
    /// The part of δ that was set aside for the rounding of the transform.
    rounding: f64,
}

/// Least value and its place of a function that falls and then rises, along 10⁻³·growthᵏ.
fn least(growth: f64, largest: f64, function: impl Fn(f64) -> f64) -> (f64, f64) {
    let mut place = 1e-3;
    let mut best = (f64::INFINITY, place);
    while place <= largest {
        let value = function(place);
        if value > best.0 {
            break;
        }
        if value < best.0 {
            best = (value, place);
        }
        place *= growth;
    }
    best
}

/// Longest grid and transform.
const MOST_POINTS: usize = 1 << 21;
/// Tilted mass left outside the window at each end.
const TAIL: f64 = 1e-10;
/// Most passes with another tilt.
const RETRIES: usize = 6;
/// Grid points that share one exponential in a moment.
const BLOCK: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accountant::{Event, RdpVector};

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
        let found = directed(&step, Direction::Remove, 1, delta);
        assert!(remove(found) <= delta && remove(found - 1e-5) > delta, "{found}");
        let found = directed(&step, Direction::Add, 1, delta);
        assert!(add(found) <= delta && add(found - 1e-5) > delta, "{found}");
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
