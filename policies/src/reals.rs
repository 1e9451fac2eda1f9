//! Exact questions about decimal reals. Nothing here goes through a double, so a limit is a limit to the last digit.

use std::cmp::Ordering;

use schemas::text::Real;

/// Which of the two is greater, exactly.
pub(crate) fn order(a: &Real, b: &Real) -> Ordering {
    let ((a_whole, a_part), (b_whole, b_part)) = (parts(a), parts(b));
    let whole = a_whole.len().cmp(&b_whole.len()).then_with(|| a_whole.cmp(b_whole));
    // Trailing zeros say nothing; without them the longer of two equal beginnings is the greater.
    whole.then_with(|| a_part.trim_end_matches('0').cmp(b_part.trim_end_matches('0')))
}

/// Whether it is zero.
pub(crate) fn is_zero(real: &Real) -> bool {
    real.as_str().bytes().all(|b| matches!(b, b'0' | b'.'))
}

/// The value in units of 10^-`scale`, rounded down; `None` on overflow.
pub(crate) fn floor_units(real: &Real, scale: usize) -> Option<u64> {
    let (whole, part) = parts(real);
    let kept = part.get(..scale).unwrap_or(part);
    format!("{whole}{kept:0<scale$}").parse().ok()
}

/// Whether δ · n < 1, with δ rounded up at its eighteenth decimal.
pub(crate) fn is_below_one_over(delta: &Real, n: u64) -> bool {
    let product = delta.scaled_up(18).and_then(|atto| atto.checked_mul(u128::from(n)));
    product.is_some_and(|product| product < 1_000_000_000_000_000_000)
}

/// `real` divided by a dataset's factor, exactly; `None` for another factor than 1 or 2, or too many digits.
pub(crate) fn over(real: &Real, factor: u8) -> Option<Real> {
    match factor {
        1 => Some(real.clone()),
        2 => {
            let scale = parts(real).1.len();
            let digits = real.as_str().replace('.', "").parse::<u128>().ok()?.checked_mul(5)?;
            from_units(digits, scale + 1)
        }
        _ => None,
    }
}

/// The decimal of so many units of 10^-`scale`, without needless zeros.
pub(crate) fn from_units(units: u128, scale: usize) -> Option<Real> {
    let digits = format!("{units:0>width$}", width = scale + 1);
    let (whole, part) = digits.split_at_checked(digits.len() - scale)?;
    let part = part.trim_end_matches('0');
    Real::parse(&if part.is_empty() { whole.to_owned() } else { format!("{whole}.{part}") }).ok()
}

fn parts(real: &Real) -> (&str, &str) {
    real.as_str().split_once('.').unwrap_or((real.as_str(), ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn real(text: &str) -> Real {
        Real::parse(text).unwrap()
    }

    #[test]
    fn order_is_exact() {
        for (a, b, expected) in [
            ("1", "1.000", Ordering::Equal),
            ("0.1", "0.10000000000000000000000001", Ordering::Less),
            ("9", "10", Ordering::Less),
            ("1.5", "1.45", Ordering::Greater),
            ("0", "0.0", Ordering::Equal),
        ] {
            assert_eq!(order(&real(a), &real(b)), expected, "{a} {b}");
            assert_eq!(order(&real(b), &real(a)), expected.reverse(), "{b} {a}");
        }
    }

    #[test]
    fn units_round_down_and_one_over_n_is_open() {
        assert_eq!(floor_units(&real("1.9999999"), 6), Some(1_999_999));
        assert_eq!(floor_units(&real("2"), 3), Some(2000));
        assert_eq!(floor_units(&real("99999999999999999999"), 0), None);
        assert!(is_zero(&real("0.000")) && !is_zero(&real("0.0001")));
        assert!(is_below_one_over(&real("0.0099"), 100) && !is_below_one_over(&real("0.01"), 100));
        assert!(!is_below_one_over(&real("0.0099999999999999999999"), 100), "rounded up");
    }

    #[test]
    fn halves_are_exact() {
        for (whole, half) in [("4.101", "2.0505"), ("20", "10"), ("1.0", "0.5"), ("0.001", "0.0005"), ("15.3", "7.65")]
        {
            assert_eq!(over(&real(whole), 2).unwrap().as_str(), half);
            assert_eq!(over(&real(whole), 1).unwrap().as_str(), whole);
        }
        assert_eq!(over(&real("1"), 3), None);
        assert_eq!(from_units(1, 6).unwrap().as_str(), "0.000001");
    }
}
