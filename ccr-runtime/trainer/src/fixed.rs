//! Products of 128 bits and the exponential in fixed point, for comparisons that no float may decide.

use crate::gaussian::next_bits;

/// Bits behind the point inside the exponential.
pub const EXP_BITS: u32 = 124;

/// exp(−num/den) with [`EXP_BITS`] behind the point, within 2^−115.
pub fn exp(num: u128, den: u128) -> u128 {
    let one = 1u128 << EXP_BITS;
    let (high, rest) = next_bits(num % den, den);
    let (low, _) = next_bits(rest, den);
    let fraction = (u128::from(high) << 64 | u128::from(low)) >> (128 - EXP_BITS);
    let once = exp_unit(one);
    (0..num / den).fold(exp_unit(fraction), |power, _| product(power, once))
}

/// exp(−x) for x from 0 to 1 by its series.
fn exp_unit(x: u128) -> u128 {
    let one = 1u128 << EXP_BITS;
    let (mut sum, mut term, mut less) = ([one, 0], one, 1);
    for k in 1..=40u128 {
        term = product(term, x) / k;
        sum[less] += term;
        less = 1 - less;
    }
    sum[0].saturating_sub(sum[1])
}

/// Product of two numbers with [`EXP_BITS`] behind the point, each below 16.
fn product(a: u128, b: u128) -> u128 {
    let (high, low) = widening(a, b);
    high << (128 - EXP_BITS) | low >> EXP_BITS
}

/// The upper 128 bits of a product.
pub fn product_high(a: u128, b: u128) -> u128 {
    widening(a, b).0
}

fn widening(a: u128, b: u128) -> (u128, u128) {
    let half = u128::from(u64::MAX);
    let ((a1, a0), (b1, b0)) = ((a >> 64, a & half), (b >> 64, b & half));
    let (mid, carry) = (a1 * b0).overflowing_add(a0 * b1);
    let (low, more) = (a0 * b0).overflowing_add(mid << 64);
    (a1 * b1 + (mid >> 64) + (u128::from(carry) << 64) + u128::from(more), low)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exponential_is_right_to_a_hundred_bits() {
        // e^−1 to 37 decimals, as ⌊e^−1 · 10^37⌋.
        let digits = 3_678_794_411_714_423_215_955_237_701_614_608_674u128;
        let ours = exp(1, 1);
        // Compare ours/2^124 with digits/10^37 by cross-multiplying the upper halves.
        let scaled = product_high(ours << 4, 10u128.pow(37));
        assert!(scaled.abs_diff(digits) <= 10, "{scaled} against {digits}");
        for (num, den) in [(0, 1), (1, 3), (7, 2), (85, 1), (1 << 56, (1 << 50) + 12_345)] {
            let close = exp(num, den) as f64 * 2f64.powi(-124);
            let float = (-(num as f64) / den as f64).exp();
            assert!((close - float).abs() <= 1e-13 * float + 2f64.powi(-115), "{num}/{den}: {close} {float}");
        }
        for (a, b) in [(3, 8), (1, 9), (25, 7)] {
            let (whole, parts) = (exp(a + b, 5), product(exp(a, 5), exp(b, 5)));
            assert!(whole.abs_diff(parts) < 1 << 12, "{a} {b}");
        }
    }
}
