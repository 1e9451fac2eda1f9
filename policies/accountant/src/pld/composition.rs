//! What all steps lose together: by FFT of the exponentially tilted losses, every allowance against the spender.

use rustfft::FftPlanner;
use rustfft::num_complex::Complex;

use super::{Losses, MOST_POINTS};

/// Losses of one kind of step, and how many steps there are.
pub(super) struct Part {
    pub(super) losses: Losses,
    pub(super) times: u32,
}

/// Independent parts on one grid.
pub(super) struct Composition {
    parts: Vec<Part>,
    width: f64,
}

impl Composition {
    /// Of parts that were all made with this width.
    pub(super) fn of(parts: Vec<Part>, width: f64) -> Composition {
        Composition { parts, width }
    }

    /// ln Σ p·e^{λ·loss} of all steps.
    fn log_moment(&self, tilt: f64) -> f64 {
        self.sum(|losses| losses.log_moment(tilt))
    }

    fn sum(&self, of: impl Fn(&Losses) -> f64) -> f64 {
        self.parts.iter().map(|part| f64::from(part.times) * of(&part.losses)).sum()
    }

    fn loss(&self, index: i64) -> f64 {
        index as f64 * self.width
    }

    fn largest_tilt(&self) -> f64 {
        self.parts.iter().map(|part| part.losses.largest_tilt()).fold(f64::INFINITY, f64::min)
    }

    /// ε at δ; none where the transform would be too long.
    ///
    /// The first tilt is aimed at the Chernoff bound of ε, which is far off where rare large losses matter; then the
    /// allowance for rounding counts, and the next tilt is aimed at the ε just found. Each pass is a bound by itself.
    pub(super) fn epsilon(&self, delta: f64) -> Option<f64> {
        let bound = |tilt: f64| (self.log_moment(tilt) - libm::log(delta)) / tilt;
        let first = least(1.15, self.largest_tilt(), bound).1;
        let mut best = self.found(&self.window(first, delta)?, delta);
        for _ in 0..RETRIES {
            if best.rounding < 1e-4 || best.epsilon.is_infinite() {
                break;
            }
            let tilt = least(1.15, self.largest_tilt(), |tilt| self.log_moment(tilt) - tilt * best.epsilon).1;
            let Some(window) = self.window(tilt, delta) else { break };
            let next = self.found(&window, delta);
            if next.epsilon >= best.epsilon {
                break;
            }
            best = next;
        }
        Some(best.epsilon)
    }

    /// The window of the composed losses at this tilt by Chernoff bounds; none where the transform would be too long.
    fn window(&self, tilt: f64, delta: f64) -> Option<Window> {
        let largest_tilt = self.largest_tilt();
        let log_moment = self.log_moment(tilt);
        let crude = (log_moment - libm::log(delta)) / tilt;
        let beyond = |towards: f64| {
            let bound = |s: f64| (self.log_moment(tilt + towards * s) - log_moment - libm::log(TAIL)) / s;
            least(1.35, largest_tilt, bound).0
        };
        // Up to where the answer surely lies, down to 0 at least.
        let high = beyond(1.0).max(crude).min(self.sum(Losses::highest));
        let low = (-beyond(-1.0)).min(0.0).max(self.sum(Losses::lowest));
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
    /// Forward, the transform errs by about √log₂(length) · 2⁻⁵² in each coefficient X of one step of a part; the power
    /// makes times · |X|^(times−1) times that of it, and the other parts their coefficients times that; backward, root
    /// mean squares are norms.
    fn compose(&self, window: &Window) -> (Vec<f64>, f64) {
        let length = window.length;
        let mut planner = FftPlanner::new();
        let (forward, backward) = (planner.plan_fft_forward(length), planner.plan_fft_inverse(length));
        let waves: Vec<Vec<Complex<f64>>> = self
            .parts
            .iter()
            .map(|part| {
                let mut wave = part.losses.tilted(window.tilt, length);
                forward.process(&mut wave);
                wave
            })
            .collect();
        let once = f64::EPSILON * libm::log2(length as f64).sqrt();
        let mut whole = vec![Complex::new(1.0, 0.0); length];
        let mut error = once;
        for (at, part) in self.parts.iter().enumerate() {
            // All but one step of this part.
            let mut squares = 0.0;
            for (place, product) in whole.iter_mut().enumerate() {
                let others = waves.iter().zip(&self.parts).enumerate().filter(|(other, _)| *other != at);
                let others: f64 = others.map(|(_, (wave, part))| wave[place].powu(part.times).norm()).product();
                let rest = waves[at][place].powu(part.times.saturating_sub(1));
                squares += (rest.norm() * others).powi(2);
                *product *= rest * waves[at][place];
            }
            error += once * f64::from(part.times) * (squares / length as f64).sqrt();
        }
        backward.process(&mut whole);
        let lowest: i64 = self.parts.iter().map(|part| i64::from(part.times) * part.losses.low).sum();
        whole.rotate_left((window.first - lowest).rem_euclid(length as i64) as usize);
        (whole.iter().map(|value| value.re.max(0.0) / length as f64).collect(), error)
    }

    /// The least ε whose δ, all allowances included, is at most `delta`. Everything is counted in units of `delta`.
    fn found(&self, window: &Window, delta: f64) -> Found {
        let (masses, error) = self.compose(window);
        let infinite = self.sum(|losses| losses.infinite) / delta + window.tail;
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

/// Tilted mass left outside the window at each end.
const TAIL: f64 = 1e-10;
/// Most passes with another tilt.
const RETRIES: usize = 6;
