//! The privacy accountant: what a run's mechanisms cost, as a Rényi-DP vector of whole numbers, and ε of it.
//!
//! A ledger keeps one [`RdpVector`] on the fixed grid [`ORDERS`]; charging is adding, and only the sum is converted
//! to ε. Every rounding is against the spender. All functions are pure and use one software math library, so the room
//! that runs and the KMS that charges get the same integers. [`pld`] is the tighter accountant of one run's report.

use schemas::privacy::{DatasetCharge, Mechanism};
use schemas::problem::{Code, R, Refusal};
use serde::{Deserialize, Deserializer, Serialize};

pub use calibration::calibrate;

mod calibration;
pub mod gaussian;
pub mod pld;
pub mod rdp;

/// Name of the grid of orders; a ledger says it so that vectors of two grids are never added.
pub const GRID_NAME: &str = "orders-2026-1";

/// The orders of the grid: 1.1 to 11.0 by 0.1, 12 to 63, 128, 256, 512, 1024.
pub const ORDERS: [f64; 156] = orders();

/// One release of noised data, as the accountant sees it.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Event {
    /// Poisson-sampled Gaussian steps (DP-SGD).
    SampledGaussian {
        /// Noise standard deviation over sensitivity.
        noise_multiplier: f64,
        /// Probability with which each row enters a step, independently.
        sample_rate: f64,
        /// Number of steps.
        steps: u32,
    },
    /// Plain Gaussian releases.
    Gaussian {
        /// Noise standard deviation over sensitivity.
        noise_multiplier: f64,
        /// Number of releases.
        count: u32,
    },
    /// A release without differential privacy: nothing bounds it, and it absorbs every sum.
    WithoutPrivacy,
}

impl From<&Mechanism> for Event {
    fn from(mechanism: &Mechanism) -> Event {
        match mechanism {
            Mechanism::SampledGaussian { noise_multiplier, sample_rate, steps } => Event::SampledGaussian {
                noise_multiplier: noise_multiplier.value(),
                sample_rate: sample_rate.value(),
                steps: *steps,
            },
            Mechanism::Gaussian { noise_multiplier } => {
                Event::Gaussian { noise_multiplier: noise_multiplier.value(), count: 1 }
            }
            Mechanism::WithoutDifferentialPrivacy { .. } => Event::WithoutPrivacy,
        }
    }
}

impl Event {
    /// RDP of the whole event at one order; none where a parameter is out of range.
    pub fn rdp(&self, order: f64) -> Option<f64> {
        match *self {
            Event::SampledGaussian { noise_multiplier, sample_rate, steps } => {
                Some(times(rdp::sampled_gaussian(noise_multiplier, sample_rate, order)?, steps))
            }
            Event::Gaussian { noise_multiplier, count } => Some(times(gaussian::rdp(noise_multiplier, order)?, count)),
            Event::WithoutPrivacy => Some(f64::INFINITY),
        }
    }
}

/// RDP at each order of [`ORDERS`] in 10⁻⁹ nats, rounded up; [`RdpVector::INFINITE`] means "no bound".
///
/// In documents it is a plain list of 156 integers.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize)]
#[serde(transparent)]
pub struct RdpVector(Vec<u64>);

impl RdpVector {
    /// The largest integer of a document, 2⁵³ − 1; stands for infinity and absorbs every addition.
    pub const INFINITE: u64 = DatasetCharge::UNBOUNDED;

    /// The vector of nothing spent.
    pub fn zero() -> RdpVector {
        RdpVector(vec![0; ORDERS.len()])
    }

    /// The composition of the events. Each event is composed exactly and rounded up once, whatever its steps.
    pub fn of(events: &[Event]) -> R<RdpVector> {
        events.iter().try_fold(RdpVector::zero(), |sum, event| Ok(sum.compose(&RdpVector::one(event)?)))
    }

    /// The vector of these entries, in the order of the grid; refuses another length or an entry above 2⁵³ − 1.
    pub fn new(entries: Vec<u64>) -> R<RdpVector> {
        if entries.len() != ORDERS.len() {
            let sentence = format!("An RDP vector on {GRID_NAME} has {} entries, not {}.", ORDERS.len(), entries.len());
            return Err(Refusal::new(Code::SchemaMismatch, sentence));
        }
        if entries.iter().any(|entry| *entry > RdpVector::INFINITE) {
            return Err(Refusal::new(Code::SchemaMismatch, "An RDP vector's entry exceeds 2^53 - 1."));
        }
        Ok(RdpVector(entries))
    }

    /// The entries, in the order of the grid.
    pub fn entries(&self) -> &[u64] {
        &self.0
    }

    /// Both together. What would pass the largest integer is infinite; nothing wraps.
    #[must_use]
    pub fn compose(&self, other: &RdpVector) -> RdpVector {
        let add = |(a, b): (&u64, &u64)| a.saturating_add(*b).min(RdpVector::INFINITE);
        RdpVector(self.0.iter().zip(&other.0).map(add).collect())
    }

    /// ε in nats at this δ: the least over all orders (Canonne, Kamath, Steinke 2020). Infinite where no order bounds
    /// it, or where δ is not inside (0, 1).
    pub fn epsilon(&self, delta: f64) -> f64 {
        let finite = ORDERS.iter().zip(&self.0).filter(|(_, entry)| **entry < RdpVector::INFINITE);
        finite
            .filter_map(|(order, entry)| rdp::epsilon(*entry as f64 / UNITS, *order, delta))
            .fold(f64::INFINITY, f64::min)
    }

    /// ε in 10⁻⁶ rounded up at δ in 10⁻¹⁸; [`RdpVector::INFINITE`] where nothing bounds it.
    pub fn epsilon_micro(&self, delta_atto: u64) -> u64 {
        micro_up(self.epsilon(delta_atto as f64 * 1e-18))
    }

    fn one(event: &Event) -> R<RdpVector> {
        ORDERS
            .iter()
            .map(|order| event.rdp(*order).map(|nats| units_up(nats, UNITS)))
            .collect::<Option<Vec<u64>>>()
            .map(RdpVector)
            .ok_or_else(|| out_of_range(event))
    }
}

impl Default for RdpVector {
    fn default() -> RdpVector {
        RdpVector::zero()
    }
}

impl<'de> Deserialize<'de> for RdpVector {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<RdpVector, D::Error> {
        RdpVector::new(Vec::deserialize(input)?).map_err(serde::de::Error::custom)
    }
}

/// ε in 10⁻⁶ rounded up; [`RdpVector::INFINITE`] for infinity and for what is not a number.
pub fn micro_up(epsilon: f64) -> u64 {
    units_up(epsilon, 1e6)
}

/// Whether this can be a noise multiplier.
pub(crate) fn is_noise(noise_multiplier: f64) -> bool {
    noise_multiplier.is_finite() && noise_multiplier > 0.0
}

/// Whether this can be a sampling rate.
pub(crate) fn is_rate(sample_rate: f64) -> bool {
    (0.0..=1.0).contains(&sample_rate)
}

/// Whether this can be a δ.
pub(crate) fn is_delta(delta: f64) -> bool {
    delta > 0.0 && delta < 1.0
}

/// `count` times the same; nothing done costs nothing, even where once costs infinitely much.
fn times(nats: f64, count: u32) -> f64 {
    if count == 0 { 0.0 } else { nats * f64::from(count) }
}

/// `value` in parts of 1/`units`, rounded up with room for the last digits of the arithmetic.
fn units_up(value: f64, units: f64) -> u64 {
    let up = (value * units * (1.0 + SLACK)).ceil();
    if up.is_nan() { RdpVector::INFINITE } else { (up.max(0.0) as u64).min(RdpVector::INFINITE) }
}

fn out_of_range(event: &Event) -> Refusal {
    let (noise_multiplier, field) = match *event {
        Event::SampledGaussian { noise_multiplier, sample_rate, .. } if !is_rate(sample_rate) => {
            (noise_multiplier, "sample_rate")
        }
        Event::SampledGaussian { noise_multiplier, .. } | Event::Gaussian { noise_multiplier, .. } => {
            (noise_multiplier, "noise_multiplier")
        }
        // It has no parameter that could be out of range.
        Event::WithoutPrivacy => (0.0, "noise_multiplier"),
    };
    let sentence = match field {
        "sample_rate" => "The sampling rate must lie between 0 and 1.".to_owned(),
        _ => format!("The noise multiplier must be a finite number above 0, not {noise_multiplier}."),
    };
    Refusal::new(Code::EpsilonOutOfRange, sentence).at(field)
}

const fn orders() -> [f64; 156] {
    let mut grid = [0.0; 156];
    let mut at = 0;
    while at < grid.len() {
        grid[at] = match at {
            0..100 => (11 + at) as f64 / 10.0,
            100..152 => (at - 88) as f64,
            _ => (1 << (at - 145)) as f64,
        };
        at += 1;
    }
    grid
}

/// Parts of a nat in one entry of a vector.
const UNITS: f64 = 1e9;
/// Relative error that the arithmetic is granted before rounding up.
const SLACK: f64 = 1e-10;

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(noise_multiplier: f64, sample_rate: f64, steps: u32) -> Event {
        Event::SampledGaussian { noise_multiplier, sample_rate, steps }
    }

    #[test]
    fn the_grid_is_the_named_one() {
        assert_eq!((ORDERS[0], ORDERS[9], ORDERS[99], ORDERS[100]), (1.1, 2.0, 11.0, 12.0));
        assert_eq!(ORDERS[151..], [63.0, 128.0, 256.0, 512.0, 1024.0]);
        assert!(ORDERS.windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn vectors_round_up_once_per_event() {
        let event = steps(1.3, 0.01, 1000);
        let vector = RdpVector::of(&[event]).unwrap();
        for (order, entry) in ORDERS.iter().zip(vector.entries()) {
            let exact = event.rdp(*order).unwrap() * 1e9;
            assert!(*entry as f64 >= exact && (*entry as f64) < exact * (1.0 + 2e-10) + 1.0, "order {order}");
        }
        assert!(vector.entries().is_sorted());
        assert_eq!(RdpVector::of(&[steps(1e6, 1e-6, 1)]).unwrap().entries()[0], 1, "the least charge is one unit");
        assert_eq!(RdpVector::of(&[steps(1.0, 0.0, 9), steps(1.0, 0.5, 0)]).unwrap(), RdpVector::zero());
    }

    #[test]
    fn composition_adds_and_infinity_absorbs() {
        let (a, b) = (steps(1.0, 0.01, 10), Event::Gaussian { noise_multiplier: 20.0, count: 2 });
        let sum = RdpVector::of(&[a, b]).unwrap();
        assert_eq!(sum, RdpVector::of(&[b]).unwrap().compose(&RdpVector::of(&[a]).unwrap()));
        let infinite = RdpVector::of(&[Event::Gaussian { noise_multiplier: 1e-200, count: 1 }]).unwrap();
        assert_eq!(infinite.compose(&sum), infinite);
        assert_eq!(infinite.epsilon(1e-5), f64::INFINITY);
        assert_eq!(infinite.epsilon_micro(10_000_000_000_000), RdpVector::INFINITE);
        assert_eq!(RdpVector::of(&[a, Event::WithoutPrivacy, b]).unwrap(), infinite);
    }

    #[test]
    fn epsilon_rounds_up_and_refuses_a_false_delta() {
        let vector = RdpVector::of(&[steps(4.1, 128.0 / 1695.0, 198)]).unwrap();
        let (epsilon, micro) = (vector.epsilon(47.2e-6), vector.epsilon_micro(47_200_000_000_000));
        assert!(micro as f64 >= epsilon * 1e6 && (micro as f64) < epsilon * 1e6 + 1.01);
        for delta in [0.0, 1.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(vector.epsilon(delta), f64::INFINITY, "{delta}");
        }
        assert_eq!(RdpVector::zero().epsilon(1e-9), 0.0);
        assert!(vector.epsilon(1e-6) > epsilon);
    }

    #[test]
    fn false_parameters_are_refused_with_their_field() {
        for noise in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let refusal = RdpVector::of(&[steps(noise, 0.1, 1)]).unwrap_err();
            assert_eq!((refusal.code, refusal.field.as_deref()), (Code::EpsilonOutOfRange, Some("noise_multiplier")));
            assert!(RdpVector::of(&[Event::Gaussian { noise_multiplier: noise, count: 1 }]).is_err());
        }
        for rate in [-0.1, 1.1, f64::NAN] {
            let refusal = RdpVector::of(&[steps(1.0, rate, 1)]).unwrap_err();
            assert_eq!((refusal.code, refusal.field.as_deref()), (Code::EpsilonOutOfRange, Some("sample_rate")));
        }
    }

    #[test]
    fn a_vector_is_a_plain_list_of_the_right_length() {
        let vector = RdpVector::of(&[steps(1.0, 0.01, 10)]).unwrap();
        let text = serde_json::to_string(&vector).unwrap();
        assert!(text.starts_with('[') && !text.contains('.'));
        assert_eq!(serde_json::from_str::<RdpVector>(&text).unwrap(), vector);
        assert!(serde_json::from_str::<RdpVector>("[1,2]").is_err());
        assert!(serde_json::from_str::<RdpVector>(&text.replacen('[', "[9007199254740992,", 1)).is_err());
        let mut entries = vector.entries().to_vec();
        entries[0] = RdpVector::INFINITE + 1;
        assert!(RdpVector::new(entries).is_err());
    }
}
