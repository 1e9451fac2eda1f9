//! Who gets which part of an amount: shares by largest remainders, and the tax lines of each.

use schemas::contract::PaymentTerm;
use schemas::event::Line;
use schemas::id::Did;
use schemas::money::Minor;
use schemas::problem::{Code, R, Refusal};

use super::amount::{WHOLE, minor, rounded};
use crate::money::shares;

/// A part of an amount.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Part {
    /// The payee whose part it is, or is taxed.
    pub payee: Did,
    /// The price itself, or a tax.
    pub line: Option<Line>,
    /// Who is paid.
    pub to: Did,
    /// Minor units.
    pub amount: Minor,
}

/// The parts of an amount of a term. Prices and withheld taxes add up to the amount; added taxes come on top.
pub fn parts(term: &PaymentTerm, amount: Minor) -> R<Vec<Part>> {
    let ppm: Vec<u32> = term.payees.iter().map(|payee| payee.share_ppm).collect();
    if ppm.is_empty() {
        return Ok(Vec::new());
    }
    let tax = term.pricing.as_ref().and_then(|pricing| pricing.tax.as_ref());
    let rounding = term.pricing.as_ref().and_then(|pricing| pricing.rounding).unwrap_or_default();
    let mut parts = Vec::new();
    for (payee, part) in term.payees.iter().zip(split(amount, &ppm)?) {
        let of = |ppm: u32| minor(rounded(i128::from(part.get()) * i128::from(ppm), WHOLE, rounding));
        let line = |line, to: &Did, amount| Part { payee: payee.did.clone(), line, to: to.clone(), amount };
        let Some(tax) = tax else {
            parts.push(line(None, &payee.did, part));
            continue;
        };
        let withheld = tax.tds_payee.as_ref().map(|to| of(tax.tds_ppm).map(|amount| (to, amount))).transpose()?;
        let net = i128::from(part.get()) - withheld.map_or(0, |(_, amount)| i128::from(amount.get()));
        parts.push(line(None, &payee.did, minor(net)?));
        parts.extend(withheld.map(|(to, amount)| line(Some(Line::Tds), to, amount)));
        parts.push(line(Some(Line::Gst), tax.gst_payee.as_ref().unwrap_or(&payee.did), of(tax.gst_ppm)?));
    }
    Ok(parts)
}

/// Splits an amount by shares in parts per million, as [`shares`] does: the parts add up to the amount.
pub fn split(amount: Minor, shares_ppm: &[u32]) -> R<Vec<Minor>> {
    let weights: Vec<u64> = shares_ppm.iter().map(|share| u64::from(*share)).collect();
    if weights.iter().map(|weight| i128::from(*weight)).sum::<i128>() != WHOLE {
        return Err(Refusal::new(Code::SchemaMismatch, "The shares of a term add up to 1,000,000 parts per million."));
    }
    shares(amount.get(), &weights)?.into_iter().map(Minor::new).collect()
}
