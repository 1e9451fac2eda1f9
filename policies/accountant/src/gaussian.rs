//! The plain Gaussian mechanism of sensitivity 1: its RDP and its exact ε.

use super::{is_delta, is_noise};

/// RDP of one release at this order, α/(2σ²); none where σ is not a finite number above 0 or the order not above 1.
pub fn rdp(noise_multiplier: f64, order: f64) -> Option<f64> {
    let valid = is_noise(noise_multiplier) && order > 1.0 && order.is_finite();
    valid.then(|| order / 2.0 / noise_multiplier / noise_multiplier)
}

/// ε of `count` releases at this δ by the closed form (Balle and Wang 2018), its last digits rounded up.
///
/// None where a parameter is out of range.
pub fn epsilon(noise_multiplier: f64, count: u32, delta: f64) -> Option<f64> {
    if !is_noise(noise_multiplier) || !is_delta(delta) {
        return None;
    }
    let shift = f64::from(count).sqrt() / noise_multiplier;
    if shift == 0.0 || delta_at(shift, 0.0) <= delta {
        return Some(0.0);
    }
    let (mut low, mut high) = (0.0, 1.0);
    while delta_at(shift, high) > delta {
        (low, high) = (high, high * 2.0);
        if high > LARGEST {
            return Some(f64::INFINITY);
        }
    }
    while high - low > 1e-12 * high {
        let middle = low + (high - low) / 2.0;
        if delta_at(shift, middle) > delta { low = middle } else { high = middle }
    }
    Some(high)
}

/// Mass of the standard normal distribution above `x`, accurate far out.
pub(super) fn upper_tail(x: f64) -> f64 {
    0.5 * libm::erfc(x * std::f64::consts::FRAC_1_SQRT_2)
}

/// δ(ε) of two normal distributions of deviation 1 that lie `shift` apart.
fn delta_at(shift: f64, epsilon: f64) -> f64 {
    let first = upper_tail(epsilon / shift - shift / 2.0);
    let second = libm::exp(epsilon) * upper_tail(epsilon / shift + shift / 2.0);
    // Beyond the range of doubles the second term is left out, which only raises δ.
    if second.is_finite() { first - second } else { first }
}

/// ε above which the answer is "infinite".
const LARGEST: f64 = 1e15;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rdp_is_the_known_fraction() {
        assert_eq!(rdp(2.0, 8.0), Some(1.0));
        for (noise, order) in [(0.0, 2.0), (-1.0, 2.0), (f64::NAN, 2.0), (1.0, 1.0), (1.0, f64::INFINITY)] {
            assert_eq!(rdp(noise, order), None);
        }
    }

    #[test]
    fn epsilon_matches_published_figures() {
        for (noise, count, expected) in [(1.0, 1, 4.377178095681137), (20.0, 100, 1.9930914044151198)] {
            let epsilon = epsilon(noise, count, 1e-5).unwrap();
            assert!((epsilon - expected).abs() < 1e-9, "σ {noise}: {epsilon} against {expected}");
        }
        assert_eq!(epsilon(1.0, 0, 1e-5), Some(0.0));
        assert_eq!(epsilon(1e6, 1, 0.5), Some(0.0));
        assert!(epsilon(0.01, 1, 1e-5).is_some_and(|high| high > 5000.0 && high < 5500.0));
        assert_eq!(epsilon(1e-100, 1, 1e-5), Some(f64::INFINITY));
        for (noise, delta) in [(0.0, 0.1), (f64::NAN, 0.1), (1.0, 0.0), (1.0, 1.0), (1.0, f64::NAN)] {
            assert_eq!(epsilon(noise, 1, delta), None);
        }
    }
}
