//! How many people two providers' tables share, estimated before anyone signs, from sketches that are private already
//! when they leave their owner.
//!
//! **Construction.** Both providers agree on a session text, which is public, and a number of buckets. HMAC-SHA256, keyed
//! with the session, maps each distinct join key to a bucket and a sign; a key adds its sign to its bucket's count (a
//! count sketch: Alon, Gibbons, Matias, Szegedy 1999; Charikar, Chen, Farach-Colton 2002). Then every count gets noise of
//! its own: the difference of two geometric variables, P(k) ∝ aᵏ (Ghosh, Roughgarden, Sundararajan 2009). Nobody is
//! trusted with anything before that, and a sketch holds no key and no hash of one.
//!
//! **Guarantee.** One person is one key and moves one count by 1. The probability of any count then changes by a factor
//! of at most 1/a, exactly: a = T/2⁶⁴ with a whole T ≥ 2⁶⁴·e^−ε, and samples are drawn by comparing whole 64-bit numbers
//! with T. So a sketch is ε-private for one person more or less, without δ. Its Rényi cost at every order is at most that
//! of a Gaussian release of noise multiplier 1/ε (Bun and Steinke 2016, Proposition 1.4), the form in which a family's
//! ledger counts it. A second sketch of the same table, in another session or the same, costs as much again.
//!
//! **Estimate.** A key of both tables has the same bucket and sign in both; all else has mean 0. The sum over buckets of
//! the products of the counts is thus an unbiased estimate of the overlap, and its deviation follows from the spread of
//! the products. About rows · ε² / 2 buckets are best; then the deviation is near 3 √rows at ε = 1.

mod keys;

use std::collections::BTreeSet;

use hmac::{Hmac, KeyInit, Mac};
use policies::accountant::gaussian;
use schemas::own_release::Charging;
use schemas::privacy::Mechanism;
use schemas::text::Real;
use schemas::{Code, R, Refusal};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

pub use keys::keys;

/// A source of uniform 64-bit numbers.
pub type Words<'a> = &'a mut dyn FnMut() -> R<u64>;

/// The form of a sketch.
const SCHEMA: &str = "overlap-sketch.v1";
/// Fewer buckets tell nothing.
const FEWEST_BUCKETS: u32 = 16;
/// More would only add noise to any table that fits a room.
const MOST_BUCKETS: u32 = 1 << 22;
/// What is hashed, apart from other uses of the session.
const LABEL: &[u8] = b"depa overlap sketch v1\0";
/// 95 % of a normal distribution lie within so many deviations.
const NORMAL_95: f64 = 1.96;

/// What two sketches must agree on to be compared, and what they cost.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Terms {
    /// The text both providers agreed on, public, at least 16 characters.
    pub session: String,
    /// A power of two from 16 to 2^22, about rows · ε² / 2.
    pub buckets: u32,
    /// ε of one person, from 0.01 to 10.
    pub epsilon: Real,
}

/// A sketch: noised counts, and nothing else of the table.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sketch {
    /// `overlap-sketch.v1`.
    pub schema: String,
    /// How it was made.
    pub terms: Terms,
    /// What its family's ledger must be charged with.
    pub charge: Mechanism,
    /// Whether it was; sketches of before it was written do not say.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub ledger: Option<Charging>,
    /// One noised count per bucket.
    pub counts: Vec<i64>,
}

/// What two sketches say.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Overlap {
    /// Keys in both tables, estimated without bias; noise can make it negative.
    pub estimate: f64,
    /// Lower end of the 95 % interval, at least 0.
    pub low: f64,
    /// Upper end, at least 0.
    pub high: f64,
}

/// Sketches the distinct keys, empty ones left out. `words` must be secret and never used again.
pub fn sketch<'a>(keys: impl Iterator<Item = &'a str>, terms: &Terms, words: Words<'_>) -> R<Sketch> {
    terms.check()?;
    let mut counts = vec![0i64; terms.buckets as usize];
    for key in keys.filter(|key| !key.is_empty()).collect::<BTreeSet<_>>() {
        let (bucket, sign) = terms.place(key)?;
        if let Some(count) = counts.get_mut(bucket) {
            *count += sign;
        }
    }
    let threshold = threshold(&terms.epsilon);
    for count in &mut counts {
        *count += noise(threshold, words)?;
    }
    let charge = charge(&terms.epsilon)?;
    Ok(Sketch { schema: SCHEMA.to_owned(), terms: terms.clone(), charge, ledger: None, counts })
}

/// The overlap of two sketches of one session.
pub fn overlap(one: &Sketch, other: &Sketch) -> R<Overlap> {
    for sketch in [one, other] {
        sketch.terms.check()?;
        let whole = sketch.schema == SCHEMA && sketch.counts.len() == sketch.terms.buckets as usize;
        if !whole {
            return Err(invalid("a sketch is not whole").at("counts"));
        }
    }
    let same = (&one.terms.session, one.terms.buckets) == (&other.terms.session, other.terms.buckets);
    if !same {
        return Err(invalid("the sketches are of two sessions or differ in buckets").at("terms"));
    }
    let products: Vec<f64> = one.counts.iter().zip(&other.counts).map(|(a, b)| *a as f64 * *b as f64).collect();
    let (buckets, estimate) = (products.len() as f64, products.iter().sum::<f64>());
    let spread = products.iter().map(|p| (p - estimate / buckets).powi(2)).sum::<f64>() * buckets / (buckets - 1.0);
    let reach = NORMAL_95 * spread.sqrt();
    Ok(Overlap { estimate, low: (estimate - reach).max(0.0), high: (estimate + reach).max(0.0) })
}

impl Terms {
    /// Refuses terms out of range.
    fn check(&self) -> R<()> {
        let (buckets, epsilon) = (self.buckets, self.epsilon.value());
        if self.session.chars().count() < 16 {
            return Err(invalid("a session has at least 16 characters").at("session"));
        }
        if !buckets.is_power_of_two() || !(FEWEST_BUCKETS..=MOST_BUCKETS).contains(&buckets) {
            return Err(invalid("buckets are a power of two from 16 to 4194304").at("buckets"));
        }
        if !(0.01..=10.0).contains(&epsilon) {
            return Err(invalid("ε lies between 0.01 and 10").at("epsilon"));
        }
        Ok(())
    }

    /// Bucket and sign of a key.
    fn place(&self, key: &str) -> R<(usize, i64)> {
        let keyed = Hmac::<Sha256>::new_from_slice(self.session.as_bytes());
        let keyed = keyed.map_err(|_| Refusal::new(Code::Internal, "a session cannot key a hash"))?;
        let tag = keyed.chain_update(LABEL).chain_update(key.as_bytes()).finalize().into_bytes();
        let [a, b, c, d, sign, ..] = tag[..] else {
            return Err(Refusal::new(Code::Internal, "a tag has 32 bytes"));
        };
        let bucket = u32::from_be_bytes([a, b, c, d]) & (self.buckets - 1);
        Ok((bucket as usize, if sign & 1 == 1 { 1 } else { -1 }))
    }
}

/// T: the least whole number that is surely not below 2⁶⁴ e^−ε; e^−ε is computed to 10^−15 of itself at worst.
pub(crate) fn threshold(epsilon: &Real) -> u64 {
    ((-epsilon.value()).exp() * (1.0 + 1e-14) * 2f64.powi(64)).ceil() as u64
}

/// What an ε-private release costs in a ledger: a Gaussian release of noise multiplier 1/ε, rounded down.
///
/// # Errors
/// Of an ε that has no charge: none above 0, or so small or large that its noise has none.
pub fn charge(epsilon: &Real) -> R<Mechanism> {
    let millionths = (1e6 / epsilon.value() * (1.0 - 1e-12)).floor() as u64;
    let noise_multiplier = Real::parse(&format!("{}.{:06}", millionths / 1_000_000, millionths % 1_000_000))?;
    gaussian::rdp(noise_multiplier.value(), 2.0).ok_or_else(|| invalid("ε has no charge").at("epsilon"))?;
    Ok(Mechanism::Gaussian { noise_multiplier })
}

/// The difference of two geometric variables of ratio T/2⁶⁴.
pub(crate) fn noise(threshold: u64, words: Words<'_>) -> R<i64> {
    let mut geometric = || -> R<i64> {
        let mut successes = 0;
        while words()? < threshold {
            successes += 1;
        }
        Ok(successes)
    };
    Ok(geometric()? - geometric()?)
}

fn invalid(sentence: &str) -> Refusal {
    Refusal::new(Code::ConfigInvalid, sentence)
}

#[cfg(test)]
mod tests;
