//! Fast sampling of the discrete Gaussian N_Z(0, σ²) for a large whole σ, in integers: the ziggurat of Marsaglia and
//! Tsang (2000) on integer abscissae, as in the discrete ziggurat of Buchmann et al. (2013).
//!
//! Half the curve ρ(x) = exp(−x²/2σ²) is covered by 256 boxes of one area A: box i is X_i integers wide and A/X_i high,
//! and the boxes stand on each other. A draw takes a box, an integer of it and a height of it, each uniform, and is kept
//! where the height lies below the curve: so every integer comes with probability ∝ ρ(x), as in the exact sampler.
//!
//! What differs from exact, and by how much, for one draw in total variation: the tail beyond 13 σ is cut off (2^−125),
//! heights of boxes are rounded to 2^−108 (2^−96). A height is compared in doubles first; where these cannot tell, 128
//! bits of it are compared with the curve in fixed point, so that no float decides. 10^12 draws (a million parameters for
//! a million steps) are together within 10^−15 of exact: below every δ that a contract can name.
//!
//! A draw takes some 10 ns against 200 ns of [`crate::gaussian`]. The time depends on the value, as there.

use chacha20::ChaCha20Rng;
use chacha20::rand_core::Rng;

use crate::gaussian::next_bits;

/// Boxes, chosen by eight bits.
const BOXES: usize = 256;
/// Where the tail is cut, in σ.
const REACH: u64 = 13;
/// Bits behind the point of a height.
const HEIGHT_BITS: u32 = 108;
/// Bits behind the point inside the exponential.
const EXP_BITS: u32 = 124;
/// Bits of a draw's first word that choose the integer; one more is its sign.
const PLACE_BITS: u32 = 55;
/// Doubles whose relative distance is below this are not trusted to be in order.
const DOUBT: f64 = 1e-12;

/// One box.
struct Layer {
    /// Integers 0 .. width lie in it.
    width: u64,
    /// Integers below lie under the curve up to the top of the box.
    sure: u64,
    /// Words below this are drawn again, so that every integer is equally likely.
    again: u64,
    /// Bottom and height, with [`HEIGHT_BITS`].
    bottom: u128,
    height: u128,
    /// The same as doubles.
    bottom_near: f64,
    height_near: f64,
}

/// A sampler for one σ.
pub struct Ziggurat {
    layers: Vec<Layer>,
    /// 2 σ².
    exponent_den: u128,
}

impl Ziggurat {
    /// For σ from 2^20 to 2^27; none otherwise.
    pub fn new(sigma: u64) -> Option<Ziggurat> {
        if !((1 << 20)..=(1 << 27)).contains(&sigma) {
            return None;
        }
        // The least area, in integers times heights, with which the boxes reach the top of the curve.
        let exact = sigma as f64 * (std::f64::consts::PI / 2.0).sqrt() / BOXES as f64;
        let (mut low, mut high) = (exact as u64, (exact * 1.1) as u64);
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if covers(&layers(sigma, middle)) { high = middle } else { low = middle }
        }
        let layers = layers(sigma, high);
        covers(&layers).then_some(Ziggurat { layers, exponent_den: 2 * u128::from(sigma).pow(2) })
    }

    /// One draw.
    #[inline]
    pub fn draw(&self, rng: &mut ChaCha20Rng) -> i64 {
        loop {
            let word = rng.next_u64();
            let layer = &self.layers[(word >> PLACE_BITS) as usize & (BOXES - 1)];
            let mask = (1u64 << PLACE_BITS) - 1;
            let product = u128::from(word & mask) * u128::from(layer.width);
            if (product as u64) & mask < layer.again {
                continue;
            }
            let (size, negative) = ((product >> PLACE_BITS) as u64, word >> 63 == 1);
            if (size < layer.sure || self.below_curve(rng, layer, size)) && !(negative && size == 0) {
                return if negative { -(size as i64) } else { size as i64 };
            }
        }
    }

    /// Whether a uniform height of the box lies below the curve at `size`.
    #[cold]
    fn below_curve(&self, rng: &mut ChaCha20Rng, layer: &Layer, size: u64) -> bool {
        let drawn = rng.next_u64();
        let unit = 2f64.powi(-(HEIGHT_BITS as i32));
        let height = (layer.bottom_near + layer.height_near * (drawn as f64 * 2f64.powi(-64))) * unit;
        let square = u128::from(size).pow(2);
        let curve = (-(square as f64) / self.exponent_den as f64).exp();
        if (height - curve).abs() > DOUBT * (height + curve) {
            return height < curve;
        }
        let drawn = u128::from(drawn) << 64 | u128::from(rng.next_u64());
        let height = layer.bottom + product_high(layer.height, drawn);
        height < exp(square, self.exponent_den) >> (EXP_BITS - HEIGHT_BITS)
    }
}

/// Boxes of one area from the tail upwards, as many as there are until the top is passed.
fn layers(sigma: u64, area: u64) -> Vec<Layer> {
    let mut layers: Vec<Layer> = Vec::with_capacity(BOXES);
    let (mut width, mut bottom) = (REACH * sigma, 0u128);
    for _ in 0..BOXES {
        let height = (u128::from(area) << HEIGHT_BITS) / u128::from(width.max(1));
        let again = (1u64 << PLACE_BITS) % width.max(1);
        let (bottom_near, height_near) = (bottom as f64, height as f64);
        layers.push(Layer { width, sure: 0, again, bottom, height, bottom_near, height_near });
        bottom = bottom.saturating_add(height);
        // One integer more on either side than the doubles say: the curve falls by far more from one to the next than
        // they err.
        let next = reach(sigma, bottom);
        if let Some(layer) = layers.last_mut() {
            layer.sure = next.saturating_sub(2);
        }
        width = next + 1;
    }
    layers
}

/// The first integer at which the curve is not above a height, as doubles say.
fn reach(sigma: u64, height: u128) -> u64 {
    let height = height as f64 * 2f64.powi(-(HEIGHT_BITS as i32));
    if height >= 1.0 { 0 } else { (sigma as f64 * (-2.0 * height.ln()).sqrt()).ceil() as u64 }
}

fn covers(layers: &[Layer]) -> bool {
    layers.last().is_some_and(|last| last.bottom.saturating_add(last.height) >= 1 << HEIGHT_BITS)
}

/// exp(−num/den) with [`EXP_BITS`] behind the point, within 2^−115.
fn exp(num: u128, den: u128) -> u128 {
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
fn product_high(a: u128, b: u128) -> u128 {
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
    use chacha20::rand_core::SeedableRng;

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

    /// For every integer the boxes give it a share of ρ(x), no more and no less: coverage and order of the boxes, and
    /// that what is kept unseen lies below the curve.
    #[test]
    fn the_boxes_cover_the_curve_and_nothing_is_kept_above_it() {
        for sigma in [1u64 << 20, 17_000_001, 1 << 25, (1 << 27) - 3] {
            let ziggurat = Ziggurat::new(sigma).unwrap();
            let unit = 2f64.powi(-108);
            let area = ziggurat.layers[0].width as f64 * ziggurat.layers[0].height as f64 * unit;
            for step in 0..4_000u64 {
                let x = step * sigma / 400 + step % 7;
                let curve = (-(x as f64).powi(2) / ziggurat.exponent_den as f64).exp();
                let mut share = 0.0;
                for layer in ziggurat.layers.iter().filter(|layer| x < layer.width) {
                    let (bottom, height) = (layer.bottom as f64 * unit, layer.height as f64 * unit);
                    let below = (curve - bottom).clamp(0.0, height);
                    assert!(x >= layer.sure || below > height * (1.0 - 1e-9), "kept above the curve at {x} of {sigma}");
                    share += below / height / layer.width as f64 * area;
                }
                assert!((share - curve).abs() < 1e-9 * curve + 1e-30, "σ {sigma} x {x}: {share} of {curve}");
            }
        }
    }

    #[test]
    fn draws_follow_the_normal_distribution_in_value_and_in_their_last_bits() {
        let (sigma, count) = (20_000_003u64, 1_000_000);
        let (ziggurat, mut rng) = (Ziggurat::new(sigma).unwrap(), ChaCha20Rng::from_seed([3; 32]));
        let (mut bins, mut bits, mut square) = (vec![0f64; 62], vec![0f64; 64], 0.0);
        for _ in 0..count {
            let draw = ziggurat.draw(&mut rng);
            let x = draw as f64 / sigma as f64;
            square += x * x;
            bins[((x * 10.0).floor() + 31.0).clamp(0.0, 61.0) as usize] += 1.0;
            bits[draw.rem_euclid(64) as usize] += 1.0;
        }
        let deviation = (square / f64::from(count)).sqrt();
        assert!((deviation - 1.0).abs() < 0.003, "deviation {deviation}");
        let cdf = |x: f64| 0.5 * libm::erfc(-x / std::f64::consts::SQRT_2);
        let expected = |bin: usize| match bin {
            0 => cdf(-3.0),
            61 => 1.0 - cdf(3.0),
            bin => cdf((bin as f64 - 30.0) / 10.0) - cdf((bin as f64 - 31.0) / 10.0),
        };
        let chi = |seen: &[f64], expected: &dyn Fn(usize) -> f64| -> f64 {
            let of = |(at, n): (usize, &f64)| {
                let mean = expected(at) * f64::from(count);
                (n - mean).powi(2) / mean
            };
            seen.iter().enumerate().map(of).sum()
        };
        // 99.99 % points of chi-square with 61 and 63 degrees of freedom lie below 115.
        let (values, last) = (chi(&bins, &expected), chi(&bits, &|_| 1.0 / 64.0));
        assert!(values < 115.0 && last < 115.0, "chi-square {values} and {last}");
    }

    #[test]
    fn out_of_range_is_refused() {
        for sigma in [0, 1, (1 << 20) - 1, (1 << 27) + 1, u64::MAX] {
            assert!(Ziggurat::new(sigma).is_none(), "{sigma}");
        }
    }
}
