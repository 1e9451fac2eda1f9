//! Rényi differential privacy: one Poisson-sampled Gaussian step, and the way from RDP to ε.

use std::f64::consts::PI;

use super::{gaussian, is_delta, is_noise, is_rate};

/// RDP of one step of the sampled Gaussian mechanism at this order (Mironov, Talwar, Zhang 2019, add or remove one).
///
/// Whole orders by the closed form, others by integrating the definition; where σ is too small for that, by
/// interpolation between whole orders, an upper bound, and never above the RDP without sampling. None where σ is not a finite number above 0, q not in
/// [0, 1] or the order not in (1, 65536].
pub fn sampled_gaussian(noise_multiplier: f64, sample_rate: f64, order: f64) -> Option<f64> {
    let valid_order = order > 1.0 && order <= LARGEST_ORDER;
    if !is_noise(noise_multiplier) || !is_rate(sample_rate) || !valid_order {
        return None;
    }
    if sample_rate == 0.0 {
        return Some(0.0);
    }
    if sample_rate == 1.0 {
        return gaussian::rdp(noise_multiplier, order);
    }
    let log_moment = if order.fract() == 0.0 {
        whole(noise_multiplier, sample_rate, order)
    } else {
        let step = (noise_multiplier / 4.0).min(0.125);
        let points = (2.0 * REACH + order / noise_multiplier) / step;
        if points <= MOST_POINTS {
            fractional(noise_multiplier, sample_rate, order, step)
        } else {
            interpolated(noise_multiplier, sample_rate, order)
        }
    };
    Some((log_moment / (order - 1.0)).min(gaussian::rdp(noise_multiplier, order)?))
}

/// ε at δ of RDP `nats` at one order (Canonne, Kamath, Steinke 2020, proposition 12), never below 0.
///
/// None where the order is not above 1.01, δ not inside (0, 1) or `nats` not a number of at least 0.
pub fn epsilon(nats: f64, order: f64, delta: f64) -> Option<f64> {
    let valid_order = order > 1.01 && order.is_finite();
    if !valid_order || !is_delta(delta) || nats.is_nan() || nats < 0.0 {
        return None;
    }
    // RDP bounds the KL divergence, and that the total variation, at or below which δ needs no ε.
    if delta * delta + libm::expm1(-nats) > 0.0 {
        return Some(0.0);
    }
    let epsilon = nats + libm::log1p(-1.0 / order) - (libm::log(delta) + libm::log(order)) / (order - 1.0);
    Some(epsilon.max(0.0))
}

/// ln of the sum of the exponentials; −∞ of nothing.
pub(super) fn log_sum(logs: &[f64]) -> f64 {
    let largest = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if largest.is_infinite() {
        return largest;
    }
    largest + libm::log(logs.iter().map(|log| libm::exp(log - largest)).sum())
}

/// ln E[(P/Q)^α] under Q for whole α.
///
/// The terms 0 and 1 of the binomial sum carry no noise factor; taking the whole binomial sum, 1, away from all terms
/// leaves positive terms only, so that even a moment of 1 + 10⁻²⁰ keeps its digits.
fn whole(sigma: f64, rate: f64, order: f64) -> f64 {
    let (log_rate, log_rest) = (libm::log(rate), libm::log1p(-rate));
    let mut log_binomial = 0.0;
    let logs: Vec<f64> = (1..=order as u32)
        .map(f64::from)
        .map(|k| {
            log_binomial += libm::log((order - k + 1.0) / k);
            let weight = log_binomial + (order - k) * log_rest + k * log_rate;
            weight + log_expm1((k - 1.0) * k / 2.0 / sigma / sigma)
        })
        .collect();
    softplus(log_sum(&logs))
}

/// ln E[(P/Q)^α] under Q for any α, by the trapezium rule in units of σ.
///
/// With P/Q = 1 + w and E[w] = 0 the moment is 1 + E[(1+w)^α − 1 − αw], whose integrand is never negative. It is
/// analytic to a distance of π·σ of these units from the real line, which with steps of σ/4 leaves the rule an error
/// below 10⁻³⁰.
fn fractional(sigma: f64, rate: f64, order: f64, step: f64) -> f64 {
    let points = ((2.0 * REACH + order / sigma) / step).ceil() as u32;
    let logs: Vec<f64> = (0..=points)
        .map(|point| {
            let x = f64::from(point) * step - REACH;
            log_excess(x / sigma - 0.5 / sigma / sigma, rate, order) - x * x / 2.0
        })
        .collect();
    softplus(log_sum(&logs) + libm::log(step / (2.0 * PI).sqrt()))
}

/// ln E[(P/Q)^α], which is convex in α, between its neighbours at whole orders: an upper bound.
fn interpolated(sigma: f64, rate: f64, order: f64) -> f64 {
    let (below, part) = (order.floor(), order.fract());
    let at_below = if below == 1.0 { 0.0 } else { whole(sigma, rate, below) };
    (1.0 - part) * at_below + part * whole(sigma, rate, below + 1.0)
}

/// ln((1+w)^α − 1 − αw) for w = q(e^s − 1).
fn log_excess(s: f64, rate: f64, order: f64) -> f64 {
    if s > 30.0 {
        let log_ratio = libm::log(rate) + s + libm::log1p((1.0 - rate) / rate * libm::exp(-s));
        return large_excess(log_ratio, order);
    }
    let w = rate * libm::expm1(s);
    if order * w.abs() < 0.1 {
        // The binomial series from its second term on.
        let mut term = order * (order - 1.0) / 2.0 * w * w;
        let mut sum = term;
        for k in 2..20 {
            term *= (order - f64::from(k)) / f64::from(k + 1) * w;
            sum += term;
        }
        return libm::log(sum);
    }
    let log_ratio = libm::log1p(w);
    if order * log_ratio > 30.0 {
        return large_excess(log_ratio, order);
    }
    libm::log(libm::expm1(order * log_ratio) - order * w)
}

/// The same from l = ln(1+w) > 0: αl + ln(1 − α e^{−(α−1)l} + (α−1) e^{−αl}).
fn large_excess(log_ratio: f64, order: f64) -> f64 {
    let once = libm::exp(-(order - 1.0) * log_ratio);
    let rest = 1.0 - order * once + (order - 1.0) * once * libm::exp(-log_ratio);
    if rest > 0.0 { order * log_ratio + libm::log(rest) } else { f64::NEG_INFINITY }
}

/// ln(1 + e^x).
fn softplus(x: f64) -> f64 {
    if x > 30.0 { x + libm::log1p(libm::exp(-x)) } else { libm::log1p(libm::exp(x)) }
}

/// ln(e^x − 1) for x ≥ 0.
fn log_expm1(x: f64) -> f64 {
    if x > 30.0 { x + libm::log1p(-libm::exp(-x)) } else { libm::log(libm::expm1(x)) }
}

/// Half-width of the range of integration beyond the two centres, in deviations: e^{−98} lies outside.
const REACH: f64 = 14.0;
/// Points beyond which interpolation replaces integration (σ below about 0.04 at order 11).
const MOST_POINTS: f64 = 40_000.0;
/// The closed form has as many terms as the order.
const LARGEST_ORDER: f64 = 65_536.0;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ORDERS;

    #[test]
    fn never_falls_with_the_order() {
        for sigma in [0.01, 0.1, 0.3, 0.55, 1.0, 4.1, 30.0, 1000.0] {
            for rate in [1e-8, 1e-5, 0.004, 0.0755, 0.5, 0.9, 0.999_999, 1.0] {
                let mut before = 0.0;
                for order in ORDERS {
                    let now = sampled_gaussian(sigma, rate, order).unwrap();
                    assert!(
                        now.is_finite() && now >= before * (1.0 - 1e-9),
                        "σ {sigma} q {rate} α {order}: {now} after {before}"
                    );
                    assert!(now <= gaussian::rdp(sigma, order).unwrap() * (1.0 + 1e-9), "sampling adds no cost");
                    before = now;
                }
                assert!(before > 0.0);
            }
        }
    }

    #[test]
    fn falls_with_noise_and_rises_with_the_rate() {
        for order in ORDERS {
            let at = |sigma, rate| sampled_gaussian(sigma, rate, order).unwrap();
            assert!(at(1.0, 0.01) > at(1.001, 0.01), "α {order}");
            assert!(at(1.0, 0.01) < at(1.0, 0.01001), "α {order}");
        }
    }

    #[test]
    fn no_rate_costs_nothing_and_full_rate_is_the_gaussian() {
        for order in ORDERS {
            assert_eq!(sampled_gaussian(1.5, 0.0, order), Some(0.0));
            assert_eq!(sampled_gaussian(1.5, 1.0, order), gaussian::rdp(1.5, order));
            let near = sampled_gaussian(1.5, 1.0 - 1e-12, order).unwrap();
            assert!((near / gaussian::rdp(1.5, order).unwrap() - 1.0).abs() < 1e-9, "α {order}");
        }
    }

    #[test]
    fn integration_meets_the_closed_form_and_stays_below_interpolation() {
        for (sigma, rate) in [(0.3, 0.001), (0.8, 0.01), (5.0, 0.2), (30.0, 0.01), (10.0, 1e-9)] {
            for order in [2.0, 3.0, 7.0, 11.0] {
                let (sum, integral) =
                    (whole(sigma, rate, order), fractional(sigma, rate, order, f64::min(sigma / 4.0, 0.125)));
                assert!((sum / integral - 1.0).abs() < 1e-11, "σ {sigma} q {rate} α {order}: {sum} against {integral}");
                let between = sampled_gaussian(sigma, rate, order - 0.5).unwrap() * (order - 1.5);
                assert!(between <= interpolated(sigma, rate, order - 0.5));
            }
        }
    }

    #[test]
    fn false_parameters_have_no_rdp() {
        for sigma in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(sampled_gaussian(sigma, 0.1, 2.0), None);
        }
        for (rate, order) in
            [(-0.1, 2.0), (1.1, 2.0), (f64::NAN, 2.0), (0.1, 1.0), (0.1, f64::NAN), (0.1, f64::INFINITY)]
        {
            assert_eq!(sampled_gaussian(1.0, rate, order), None);
        }
        assert_eq!(sampled_gaussian(1e-200, 0.1, 1.5), Some(f64::INFINITY));
        assert_eq!(epsilon(1.0, 1.01, 1e-5), None);
        assert_eq!(epsilon(f64::NAN, 2.0, 1e-5), None);
        assert_eq!(epsilon(1.0, 2.0, 1.0), None);
    }

    #[test]
    fn conversion_knows_when_delta_is_enough() {
        assert_eq!(epsilon(1e-12, 2.0, 1e-5), Some(0.0));
        let epsilon = epsilon(1.0, 2.0, 1e-5).unwrap();
        assert!((epsilon - (1.0 + 0.5f64.ln() - (2e-5f64).ln())).abs() < 1e-12);
    }
}
