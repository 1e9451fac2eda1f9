//! Calibration: the least noise with which a training keeps to an ε.

use super::{Event, ORDERS, RdpVector, UNITS, is_delta, is_rate, micro_up, rdp, units_up};

/// The smallest noise multiplier of three decimals with which `steps` sampled steps, charged at σ/`factor`, together
/// with `other` cost at most `target_epsilon` at `delta`, ε counted in 10⁻⁶ rounded up.
///
/// None where a parameter is out of range or no noise multiplier up to 10⁶ reaches the target. What is returned has
/// itself been accounted for and found within the target, never just its neighbour.
pub fn calibrate(
    target_epsilon: f64,
    delta: f64,
    sample_rate: f64,
    steps: u32,
    other: &RdpVector,
    factor: f64,
) -> Option<f64> {
    let positive = |value: f64| value.is_finite() && value > 0.0;
    if !positive(target_epsilon) || !positive(factor) || !is_delta(delta) || !is_rate(sample_rate) {
        return None;
    }
    // Floor: a target between two millionths is not reached by the upper one. Capped so that "infinite" never passes.
    let target = ((target_epsilon * 1e6) as u64).min(RdpVector::INFINITE - 1);
    let search = Search { target, delta, sample_rate, steps, other, factor };
    // `low` never reaches the target (0 is no noise), `high` does, at the order `at`.
    let (mut low, mut high) = (0, 1000);
    let mut at = loop {
        match search.best(high) {
            Some(at) => break at,
            None if high == LARGEST_MILLI => return None,
            None => (low, high) = (high, (high * 2).min(LARGEST_MILLI)),
        }
    };
    // The least noise at one order takes one order's arithmetic; the others are asked only whether one does with less.
    loop {
        let mut fails = low;
        while high - fails > 1 {
            let middle = fails + (high - fails) / 2;
            if search.reaches(middle, at) { high = middle } else { fails = middle }
        }
        if fails == low {
            return Some(high as f64 / 1000.0);
        }
        match search.best(fails) {
            Some(better) => (high, at) = (fails, better),
            None => return Some(high as f64 / 1000.0),
        }
    }
}

/// What a noise multiplier must reach.
struct Search<'a> {
    /// ε in 10⁻⁶.
    target: u64,
    delta: f64,
    sample_rate: f64,
    steps: u32,
    other: &'a RdpVector,
    factor: f64,
}

impl Search<'_> {
    /// The order with the least ε at this noise multiplier in thousandths; none where the target is not reached.
    ///
    /// Orders that cannot win cost no arithmetic: ε at an order rises with the cost there, and [`Floor`] bounds that
    /// cost from below.
    fn best(&self, milli: u64) -> Option<usize> {
        let mut floor = Floor::default();
        let (mut best, mut least) = (None, f64::INFINITY);
        for (at, order) in ORDERS.iter().enumerate() {
            let wins = |epsilon: f64| epsilon < least && micro_up(epsilon) <= self.target;
            if !wins(self.epsilon(floor.at(self, milli, at), at)) {
                continue;
            }
            let cost = self.cost(milli, *order)?;
            floor.seen(cost);
            let epsilon = self.epsilon(cost, at);
            if wins(epsilon) {
                (best, least) = (Some(at), epsilon);
            }
        }
        best
    }

    fn reaches(&self, milli: u64, at: usize) -> bool {
        self.cost(milli, ORDERS[at]).is_some_and(|cost| micro_up(self.epsilon(cost, at)) <= self.target)
    }

    /// The training's entry of the vector at an order; none where this is no noise multiplier.
    fn cost(&self, milli: u64, order: f64) -> Option<u64> {
        let noise_multiplier = milli as f64 / 1000.0 / self.factor;
        let event = Event::SampledGaussian { noise_multiplier, sample_rate: self.sample_rate, steps: self.steps };
        event.rdp(order).map(|nats| units_up(nats, UNITS))
    }

    /// ε at one order of such a cost together with the others; as [`RdpVector::epsilon`] has it.
    fn epsilon(&self, cost: u64, at: usize) -> f64 {
        let other = self.other.entries().get(at).copied().unwrap_or(RdpVector::INFINITE);
        let sum = cost.saturating_add(other);
        if sum >= RdpVector::INFINITE {
            return f64::INFINITY;
        }
        rdp::epsilon(sum as f64 / UNITS, ORDERS[at], self.delta).unwrap_or(f64::INFINITY)
    }
}

/// What the training costs at least at an order, from what it costs at others.
///
/// RDP never falls with the order. Between whole orders, whose closed form is cheap, it is bounded better: the log
/// moment K(α) = (α − 1)·RDP(α) is convex, so that a line through its values at two neighbouring whole orders lies
/// below it everywhere outside of them. Both are granted an error that is far larger than the arithmetic's.
#[derive(Default)]
struct Floor {
    /// The largest entry so far, at lower orders.
    reached: f64,
    /// K at 0, 1, 2, …, 13, in parts of a nat.
    moments: Vec<f64>,
}

impl Floor {
    fn seen(&mut self, cost: u64) {
        self.reached = self.reached.max(cost as f64 * (1.0 - GRANTED) - 1.0);
    }

    fn at(&mut self, search: &Search<'_>, milli: u64, at: usize) -> u64 {
        let order = ORDERS[at];
        let chord =
            if order.fract() == 0.0 || order > LAST_WHOLE - 2.0 { 0.0 } else { self.chord(search, milli, order) };
        self.reached.max(chord) as u64
    }

    fn chord(&mut self, search: &Search<'_>, milli: u64, order: f64) -> f64 {
        if self.moments.is_empty() {
            let moment = |whole: u32| {
                let order = f64::from(whole);
                let finite = search.cost(milli, order).filter(|cost| *cost < RdpVector::INFINITE);
                finite.map_or(f64::INFINITY, |cost| (order - 1.0) * cost as f64)
            };
            self.moments = [0.0, 0.0].into_iter().chain((2..=LAST_WHOLE as u32).map(moment)).collect();
        }
        let (below, part) = (order.floor() as usize, order.fract());
        let k = |whole: usize| self.moments.get(whole).copied().unwrap_or_default();
        let left = k(below) + (k(below) - k(below - 1)) * part;
        let right = k(below + 1) - (k(below + 2) - k(below + 1)) * (1.0 - part);
        // Rounding up moved each value by at most 13 units and 10⁻¹⁰ of itself. What is not a number bounds nothing.
        let error = GRANTED * k(below + 2) + 100.0;
        (left.max(right) - error) / (order - 1.0)
    }
}

/// Largest noise multiplier that calibration tries, in thousandths.
const LARGEST_MILLI: u64 = 1_000_000_000;
/// The last whole order whose moment bounds fractional ones.
const LAST_WHOLE: f64 = 13.0;
/// Relative error that a bound is granted.
const GRANTED: f64 = 1e-6;

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(noise_multiplier: f64, sample_rate: f64, steps: u32) -> Event {
        Event::SampledGaussian { noise_multiplier, sample_rate, steps }
    }

    /// The plain way: at each noise multiplier the whole vector, bisected.
    fn plainly(target: f64, delta: f64, rate: f64, count: u32, other: &RdpVector, factor: f64) -> Option<f64> {
        let target = ((target * 1e6) as u64).min(RdpVector::INFINITE - 1);
        let reached = |milli: u64| {
            RdpVector::of(&[steps(milli as f64 / 1000.0 / factor, rate, count)])
                .is_ok_and(|cost| micro_up(cost.compose(other).epsilon(delta)) <= target)
        };
        let (mut low, mut high) = (0, 1000);
        while !reached(high) {
            if high == LARGEST_MILLI {
                return None;
            }
            (low, high) = (high, (high * 2).min(LARGEST_MILLI));
        }
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if reached(middle) { high = middle } else { low = middle }
        }
        Some(high as f64 / 1000.0)
    }

    /// Compares the two ways: alone, and beside a metrics release at factor 2. Gives how often noise was found.
    fn compared(target: f64, delta: f64, rate: f64, count: u32) -> usize {
        let metrics = RdpVector::of(&[Event::Gaussian { noise_multiplier: 20.0, count: 1 }]).unwrap();
        let beside = [(RdpVector::zero(), 1.0), (metrics, 2.0)];
        let agreed = beside.iter().filter_map(|(other, factor)| {
            let found = calibrate(target, delta, rate, count, other, *factor);
            let plain = plainly(target, delta, rate, count, other, *factor);
            assert_eq!(found, plain, "ε {target} δ {delta} q {rate} T {count} factor {factor}");
            found
        });
        agreed.count()
    }

    const TARGETS: [f64; 8] = [0.000_3, 0.05, 0.9, 1.0, 2.5, 8.0, 40.0, 900.0];
    const DELTAS: [f64; 4] = [1e-15, 1e-9, 0.000_05, 0.2];
    const RATES: [f64; 5] = [1e-6, 0.001, 0.075_516, 0.6, 1.0];
    const COUNTS: [u32; 4] = [0, 1, 198, 50_000];

    #[test]
    fn skipping_orders_changes_no_result() {
        let mut found = 0;
        for (row, target) in TARGETS.into_iter().enumerate() {
            for (column, rate) in RATES.into_iter().enumerate() {
                // Every fourth pair of δ and count for each ε and rate, another one each time.
                let at = row + column;
                found += compared(target, DELTAS[at % 4], rate, COUNTS[(at / 4 + row) % 4]);
            }
        }
        assert!(found >= 40, "{found} noise multipliers compared");
    }

    #[test]
    #[ignore = "640 settings, minutes: the whole grid"]
    fn skipping_orders_changes_no_result_on_the_whole_grid() {
        let mut found = 0;
        for target in TARGETS {
            for delta in DELTAS {
                for rate in RATES {
                    found += COUNTS.map(|count| compared(target, delta, rate, count)).iter().sum::<usize>();
                }
            }
        }
        assert!(found >= 640, "{found} noise multipliers compared");
    }

    #[test]
    fn a_bound_lies_below_what_an_order_costs() {
        let none = RdpVector::zero();
        for (sigma, rate) in [(20, 0.01), (300, 0.001), (700, 0.2), (1000, 0.0755), (4100, 0.0755), (50_000, 0.9)] {
            let search = Search { target: 1, delta: 1e-5, sample_rate: rate, steps: 198, other: &none, factor: 1.0 };
            let mut floor = Floor::default();
            for (at, order) in ORDERS.into_iter().enumerate() {
                let (bound, cost) = (floor.at(&search, sigma, at), search.cost(sigma, order).unwrap());
                assert!(bound <= cost, "σ {sigma} q {rate} α {order}: {bound} above {cost}");
                if order.fract() == 0.0 {
                    floor.seen(cost);
                }
            }
            assert!(floor.reached > 0.0 && floor.moments.len() == 14);
        }
    }

    #[test]
    fn calibration_is_the_smallest_and_never_overshoots() {
        let (rate, delta) = (128.0 / 1695.0, 0.0000472);
        for (target, expected) in [(0.5, 7.507), (1.0, 4.100), (1.5, 2.922)] {
            let sigma = calibrate(target, delta, rate, 198, &RdpVector::zero(), 1.0).unwrap();
            assert!((sigma - expected).abs() < 0.002, "ε {target}: σ {sigma}, expected {expected}");
            let spent = |sigma| RdpVector::of(&[steps(sigma, rate, 198)]).unwrap().epsilon(delta);
            assert!(spent(sigma) <= target, "ε {target}: σ {sigma} costs {}", spent(sigma));
            assert!(spent(sigma - 0.001) > target - 1e-6, "ε {target}: σ {sigma} is not the smallest");
        }
    }

    #[test]
    fn calibration_counts_the_factor_and_the_others() {
        let (rate, delta, none) = (0.05, 1e-5, RdpVector::zero());
        let single = calibrate(1.0, delta, rate, 100, &none, 1.0).unwrap();
        let double = calibrate(1.0, delta, rate, 100, &none, 2.0).unwrap();
        assert!((double - 2.0 * single).abs() <= 0.002, "{double} against twice {single}");
        let metrics = RdpVector::of(&[Event::Gaussian { noise_multiplier: 20.0, count: 1 }]).unwrap();
        let with = calibrate(1.0, delta, rate, 100, &metrics, 1.0).unwrap();
        assert!(with > single);
        let total = RdpVector::of(&[steps(with, rate, 100)]).unwrap().compose(&metrics);
        assert!(total.epsilon(delta) <= 1.0);
        let loud = RdpVector::of(&[Event::Gaussian { noise_multiplier: 1.0, count: 1 }]).unwrap();
        assert_eq!(calibrate(1.0, delta, rate, 100, &loud, 1.0), None);
    }

    #[test]
    fn calibration_refuses_false_parameters() {
        let none = RdpVector::zero();
        for target in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(calibrate(target, 1e-5, 0.1, 10, &none, 1.0), None);
        }
        for delta in [0.0, 1.0, f64::NAN] {
            assert_eq!(calibrate(1.0, delta, 0.1, 10, &none, 1.0), None);
        }
        for (rate, factor) in [(-0.1, 1.0), (1.1, 1.0), (f64::NAN, 1.0), (0.1, 0.0), (0.1, f64::NAN)] {
            assert_eq!(calibrate(1.0, 1e-5, rate, 10, &none, factor), None);
        }
    }
}
