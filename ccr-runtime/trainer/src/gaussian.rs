//! Exact sampling of the discrete Gaussian N_Z(0, σ²) in integers: Canonne, Kamath, Steinke, "The Discrete Gaussian
//! for Differential Privacy" (2020), algorithms 1 to 3.
//!
//! No float decides a sample: where the bits of doubles are not enough for a comparison, [`bernoulli`] goes on in `u128`. The time
//! of a draw depends on its value, so draws are made in bulk and no times are published.

use chacha20::rand_core::Rng;

/// A discrete Gaussian with σ = `num` / `den`.
pub struct DiscreteGaussian {
    /// num².
    variance_num: u128,
    /// den².
    variance_den: u128,
    /// Scale of the discrete Laplace that is rejected from: ⌊σ⌋ + 1.
    scale: u64,
    /// 2 (num · den · scale)²: the denominator of the rejection's exponent.
    exponent_den: u128,
}

impl DiscreteGaussian {
    /// A sampler for σ = `num` / `den`; none if either is 0 or (num · den · (σ + 1))² is beyond 2^109, which leaves
    /// σ up to about 10^8 for den = 1 and 10^6 for den = 100.
    pub fn new(num: u64, den: u64) -> Option<DiscreteGaussian> {
        let scale = num.checked_div(den)?.checked_add(1)?;
        let product = u128::from(num).checked_mul(u128::from(den))?.checked_mul(u128::from(scale))?;
        if product == 0 || product >= 1 << 54 {
            return None;
        }
        Some(DiscreteGaussian {
            variance_num: u128::from(num).pow(2),
            variance_den: u128::from(den).pow(2),
            scale,
            exponent_den: 2 * product * product,
        })
    }

    /// One draw.
    pub fn draw(&self, rng: &mut impl Rng) -> i64 {
        loop {
            let (negative, size) = laplace(rng, self.scale);
            if self.accepts(rng, size) {
                return if negative { -size } else { size };
            }
        }
    }

    /// Bernoulli(exp(−(|y| − σ²/t)² / 2σ²)) with t the scale; all over the common denominator.
    fn accepts(&self, rng: &mut impl Rng, size: i64) -> bool {
        let reach = u128::from(size.unsigned_abs())
            .checked_mul(self.variance_den)
            .and_then(|v| v.checked_mul(u128::from(self.scale)));
        // A product beyond u128 means an exponent above 2^17: probability 0 to more digits than there are draws.
        let distance = reach.map(|reach| reach.abs_diff(self.variance_num));
        match distance.and_then(|d| d.checked_mul(d)) {
            Some(exponent_num) => bernoulli_exp(rng, exponent_num, self.exponent_den),
            None => false,
        }
    }
}

/// The discrete Laplace of integer scale: sign and size, P(x) ∝ exp(−|x| / scale).
fn laplace(rng: &mut impl Rng, scale: u64) -> (bool, i64) {
    loop {
        let part = below(rng, scale);
        if !bernoulli_exp_unit(rng, u128::from(part), u128::from(scale)) {
            continue;
        }
        let mut whole = 0u64;
        while bernoulli_exp_unit(rng, 1, 1) {
            whole += 1;
        }
        let size = i64::try_from(u128::from(part) + u128::from(scale) * u128::from(whole)).unwrap_or(i64::MAX);
        let negative = rng.next_u64() & 1 == 1;
        if !(negative && size == 0) {
            return (negative, size);
        }
    }
}

/// True with probability exp(−num/den).
fn bernoulli_exp(rng: &mut impl Rng, num: u128, den: u128) -> bool {
    // Most exponents are below 1: no division for them.
    let (whole, rest) = if num < den { (0, num) } else { (num / den, num % den) };
    for _ in 0..whole {
        if !bernoulli_exp_unit(rng, 1, 1) {
            return false;
        }
    }
    bernoulli_exp_unit(rng, rest, den)
}

/// True with probability exp(−num/den) for num ≤ den: the first failure among Bernoulli(num / (den · k)) is odd.
fn bernoulli_exp_unit(rng: &mut impl Rng, num: u128, den: u128) -> bool {
    let mut k = 1;
    while bernoulli(rng, num, den.saturating_mul(k)) {
        k += 1;
    }
    k % 2 == 1
}

/// True with probability num/den exactly, for num ≤ den < 2^127: is a uniform real U = 0.u₁u₂… below num/den?
///
/// The first 64 bits decide unless they lie within 2^15 units of the float quotient (whose error, with that of the drawn
/// bits as a float, is below 2^14); then long division yields the true bits, as many as are needed.
fn bernoulli(rng: &mut impl Rng, num: u128, den: u128) -> bool {
    if num >= den {
        return true;
    }
    let mut drawn = rng.next_u64();
    let quotient = near(num) / near(den) * TWO_64;
    let distance = drawn as f64 - quotient;
    if distance.abs() > 32_768.0 {
        return distance < 0.0;
    }
    let mut rest = num;
    loop {
        let (bits, left) = next_bits(rest, den);
        if drawn != bits {
            return drawn < bits;
        }
        if left == 0 {
            return false;
        }
        rest = left;
        drawn = rng.next_u64();
    }
}

/// 2^64.
const TWO_64: f64 = 18_446_744_073_709_551_616.0;

/// The number as a double, by halves: two roundings at most, 2^−52 of it, in a fifth of the time.
fn near(number: u128) -> f64 {
    (number >> 64) as u64 as f64 * TWO_64 + number as u64 as f64
}

/// ⌊rest · 2^64 / den⌋ and what is left over, for rest < den < 2^127.
pub fn next_bits(rest: u128, den: u128) -> (u64, u128) {
    let (mut bits, mut left) = (0u64, rest);
    for _ in 0..64 {
        left <<= 1;
        bits <<= 1;
        if left >= den {
            left -= den;
            bits |= 1;
        }
    }
    (bits, left)
}

/// A uniform integer below `bound` (at least 1), by rejection.
fn below(rng: &mut impl Rng, bound: u64) -> u64 {
    let mask = u64::MAX.checked_shr(bound.saturating_sub(1).leading_zeros()).unwrap_or(0);
    loop {
        let drawn = rng.next_u64() & mask;
        if drawn < bound {
            return drawn;
        }
    }
}

#[cfg(test)]
mod tests {
    use chacha20::ChaCha20Rng;
    use chacha20::rand_core::SeedableRng;

    use super::*;

    fn draws(num: u64, den: u64, count: usize, seed: u8) -> Vec<i64> {
        let gaussian = DiscreteGaussian::new(num, den).unwrap();
        let mut rng = ChaCha20Rng::from_seed([seed; 32]);
        (0..count).map(|_| gaussian.draw(&mut rng)).collect()
    }

    #[test]
    fn mean_and_deviation_are_right_for_small_rational_and_grid_sized_sigma() {
        for (num, den) in [(1, 1), (450, 100), (37, 1), (1 << 24, 1), (34_359_739, 1)] {
            let sigma = num as f64 / den as f64;
            let values = draws(num, den, 300_000, 7);
            let n = values.len() as f64;
            let mean = values.iter().map(|v| *v as f64).sum::<f64>() / n;
            let deviation = (values.iter().map(|v| (*v as f64).powi(2)).sum::<f64>() / n).sqrt();
            assert!(mean.abs() < 0.01 * sigma, "mean {mean} at {sigma}");
            assert!((deviation / sigma - 1.0).abs() < 0.01, "deviation {deviation} at {sigma}");
        }
    }

    #[test]
    fn small_sigma_passes_chi_square() {
        for (num, den, seed) in [(1, 1, 1), (2, 1, 2), (5, 2, 3), (325, 100, 4)] {
            let (count, sigma) = (400_000, num as f64 / den as f64);
            let weight = |x: i64| (-((x * x) as f64) / (2.0 * sigma * sigma)).exp();
            let total: f64 = (-200..=200).map(weight).sum();
            let edge = (3.0 * sigma) as i64;
            let values = draws(num, den, count, seed);
            let mut chi = 0.0;
            for x in -edge..=edge {
                let expected = weight(x) / total * count as f64;
                let seen = values.iter().filter(|v| **v == x).count() as f64;
                chi += (seen - expected).powi(2) / expected;
            }
            // 99.99 % point of chi-square with k degrees of freedom lies below k + 4 sqrt(2k) + 10.
            let k = (2 * edge + 1) as f64;
            assert!(chi < k + 4.0 * (2.0 * k).sqrt() + 10.0, "chi-square {chi} with {k} cells at {sigma}");
        }
    }

    #[test]
    fn comparisons_are_exact_where_floats_are_not() {
        assert_eq!(next_bits(1, 3), (0x5555_5555_5555_5555, 1));
        assert_eq!(next_bits(1, 2), (1 << 63, 0));
        let mut rng = ChaCha20Rng::from_seed([9; 32]);
        let hits = (0..200_000).filter(|_| bernoulli(&mut rng, 1, 3)).count();
        assert!((hits as f64 / 200_000.0 - 1.0 / 3.0).abs() < 0.005);
        assert!(!(0..1_000).any(|_| bernoulli(&mut rng, 0, 5)));
        assert!((0..1_000).all(|_| bernoulli(&mut rng, 5, 5)));
        assert!((0..1_000).all(|_| below(&mut rng, 1) == 0 && below(&mut rng, 3) < 3));
    }

    #[test]
    fn out_of_range_is_refused() {
        for (num, den) in [(0, 1), (1, 0), (1 << 40, 1), (u64::MAX, 1), (1 << 27, 1 << 27)] {
            assert!(DiscreteGaussian::new(num, den).is_none(), "{num}/{den}");
        }
    }
}
