//! Exact splits.

use schemas::{Code, R, Refusal};

/// Splits an amount by weights: whole minor units by rounding down, what is left one unit each to the largest remainders, the
/// earlier one first among equals. The parts add up to the amount, and none is a whole unit away from its exact share.
/// Refuses amounts below zero and weights that add up to nothing (`SCHEMA_MISMATCH`).
pub fn shares(amount: i64, weights: &[u64]) -> R<Vec<i64>> {
    let bad = |why: &str| Refusal::new(Code::SchemaMismatch, why.to_owned());
    let whole: i128 = weights.iter().map(|weight| i128::from(*weight)).sum();
    if amount < 0 || whole <= 0 {
        return Err(bad("an amount of 0 or more is split by weights that add up to more than 0"));
    }
    let exact = |weight: &u64| i128::from(amount) * i128::from(*weight);
    let mut parts = Vec::with_capacity(weights.len());
    let mut left = i128::from(amount);
    for weight in weights {
        let part = exact(weight) / whole;
        left -= part;
        parts.push(i64::try_from(part).map_err(|_| bad("a share is too large"))?);
    }
    // Fewer units are left than there are weights with a remainder.
    let mut order: Vec<(i128, usize)> =
        weights.iter().enumerate().map(|(at, weight)| (whole - exact(weight) % whole, at)).collect();
    order.sort_unstable();
    for (_, at) in order.into_iter().take(usize::try_from(left).unwrap_or(0)) {
        if let Some(part) = parts.get_mut(at) {
            *part += 1;
        }
    }
    Ok(parts)
}
