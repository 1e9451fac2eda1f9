//! From a quantity to an amount: steps of the price, discount, floor and cap, in this order. Each run, period and
//! statement is rounded once, as its term says.

use schemas::contract::{PaymentTerm, Pricing, Rounding, TermKind};
use schemas::money::Minor;
use schemas::problem::R;
use serde::{Deserialize, Serialize};

use super::too_large;

/// What a term was owed for under a contract so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Units.
    pub units: u64,
    /// Runs, periods or statements.
    pub times: u32,
}

impl Tally {
    /// After a further occasion.
    pub fn and(self, units: u64) -> Tally {
        Tally { units: self.units.saturating_add(units), times: self.times.saturating_add(1) }
    }
}

/// What `units` more cost after `before`. Refuses what no document can hold.
pub fn amount(term: &PaymentTerm, before: Tally, units: u64) -> R<Minor> {
    let none = Pricing::default();
    let pricing = term.pricing.as_ref().unwrap_or(&none);
    if term.kind == TermKind::Free {
        return minor(0);
    }
    let rounding = pricing.rounding.unwrap_or_default();
    let price = stepped(term, pricing, before.units, units)?;
    // One division in all: units times price, less the discount, over units of the price and parts of a million.
    let left = left(term, before.times);
    let numerator = price.checked_mul(left).ok_or_else(|| too_large("units"))?;
    let denominator = i128::from(pricing.unit_count.unwrap_or(1).max(1)) * WHOLE;
    within(pricing, rounded(numerator, denominator, rounding))
}

/// What a period owes whose revenue is stated, after so many periods `before`: the share less the discount, at least the
/// floor. Of a period that the contract covers in part alone the floor is that part, here in `part` of how many; share and
/// cap are whole.
pub fn revenue(term: &PaymentTerm, before: u32, revenue: Minor, part: (i64, i64)) -> R<Minor> {
    let none = Pricing::default();
    let pricing = term.pricing.as_ref().unwrap_or(&none);
    let rounding = pricing.rounding.unwrap_or_default();
    // 2^53 times twice a million: far within 128 bits.
    let share = i128::from(revenue.get()) * i128::from(pricing.share_ppm.unwrap_or(0)) * left(term, before);
    let (covered, whole) = (i128::from(part.0.max(0)), i128::from(part.1.max(1)));
    let least = pricing.floor_minor.map_or(0, |least| i128::from(least.get()));
    let floor = rounded(least * covered.min(whole), whole, rounding);
    let bounded = Pricing { floor_minor: Some(minor(floor)?), ..pricing.clone() };
    within(&bounded, rounded(share, WHOLE * WHOLE, rounding))
}

/// What a discount leaves of a price after so many occasions, in parts per million.
fn left(term: &PaymentTerm, before: u32) -> i128 {
    let off = term.discount.as_ref().filter(|d| d.after_runs.is_none_or(|runs| before >= runs));
    WHOLE - i128::from(off.map_or(0, |discount| discount.off_ppm))
}

/// The most that one occasion of at most `units` may cost, at any time of the contract: every unit at the dearest step, without
/// discount. Refused where no document can hold it, so that a contract that is registered never owes more than can be
/// written.
pub fn worst(term: &PaymentTerm, units: u64) -> R<Minor> {
    let mut dearest = PaymentTerm { discount: None, ..term.clone() };
    if let Some(pricing) = &mut dearest.pricing {
        let steps = std::mem::take(&mut pricing.tiers);
        dearest.amount_minor = steps.iter().map(|tier| tier.amount_minor).fold(term.amount_minor, Ord::max);
    }
    amount(&dearest, Tally::default(), units)
}

/// Units times the price of the step that each falls into.
fn stepped(term: &PaymentTerm, pricing: &Pricing, before: u64, units: u64) -> R<i128> {
    let end = before.checked_add(units).ok_or_else(|| too_large("units"))?;
    let first = [(0, term.amount_minor)];
    let steps: Vec<(u64, Minor)> =
        first.into_iter().chain(pricing.tiers.iter().map(|tier| (tier.from, tier.amount_minor))).collect();
    let mut sum = 0_i128;
    for (at, (from, price)) in steps.iter().enumerate() {
        let to = steps.get(at + 1).map_or(u64::MAX, |(next, _)| *next);
        let inside = end.min(to).saturating_sub(before.max(*from));
        let cost = i128::from(inside).checked_mul(i128::from(price.get())).ok_or_else(|| too_large("units"))?;
        sum = sum.checked_add(cost).ok_or_else(|| too_large("units"))?;
    }
    Ok(sum)
}

/// A quotient of numbers that are not negative, with its fraction ended.
pub(super) fn rounded(numerator: i128, denominator: i128, rounding: Rounding) -> i128 {
    let (whole, rest) = (numerator / denominator, numerator % denominator);
    let more = match rounding {
        Rounding::Down => false,
        Rounding::Up => rest > 0,
        Rounding::HalfUp => rest >= denominator - rest,
    };
    whole + i128::from(more)
}

fn within(pricing: &Pricing, amount: i128) -> R<Minor> {
    let floor = pricing.floor_minor.map_or(0, |least| i128::from(least.get()));
    let cap = pricing.cap_minor.map_or(i128::MAX, |most| i128::from(most.get()));
    minor(amount.max(floor).min(cap))
}

pub(super) fn minor(amount: i128) -> R<Minor> {
    i64::try_from(amount).ok().and_then(|amount| Minor::new(amount).ok()).ok_or_else(|| too_large("minor units"))
}

pub(super) const WHOLE: i128 = 1_000_000;
