//! Who gets which part of an amount: shares by largest remainders, and the tax lines of each.

use schemas::contract::PaymentTerm;
use schemas::event::Line;
use schemas::id::Did;
use schemas::money::Minor;
use schemas::problem::{Code, R, Refusal};

use super::amount::{WHOLE, minor, rounded};

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
    let shares: Vec<u32> = term.payees.iter().map(|payee| payee.share_ppm).collect();
    if shares.is_empty() {
        return Ok(Vec::new());
    }
    let tax = term.pricing.as_ref().and_then(|pricing| pricing.tax.as_ref());
    let rounding = term.pricing.as_ref().and_then(|pricing| pricing.rounding).unwrap_or_default();
    let mut parts = Vec::new();
    for (payee, part) in term.payees.iter().zip(split(amount, &shares)?) {
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

/// Splits an amount by shares in parts per million: whole minor units by rounding down, what is left one unit each to the
/// largest remainders, the earlier payee first among equals. The parts add up to the amount.
pub fn split(amount: Minor, shares_ppm: &[u32]) -> R<Vec<Minor>> {
    let total: u64 = shares_ppm.iter().map(|share| u64::from(*share)).sum();
    if total != WHOLE as u64 {
        return Err(Refusal::new(Code::SchemaMismatch, "The shares of a term add up to 1,000,000 parts per million."));
    }
    let exact = |share: &u32| i128::from(amount.get()) * i128::from(*share);
    let mut parts: Vec<i128> = shares_ppm.iter().map(|share| exact(share) / WHOLE).collect();
    let left = i128::from(amount.get()) - parts.iter().sum::<i128>();
    let mut order: Vec<(i128, usize)> =
        shares_ppm.iter().enumerate().map(|(at, share)| (WHOLE - exact(share) % WHOLE, at)).collect();
    order.sort_unstable();
    for (_, at) in order.into_iter().take(usize::try_from(left).unwrap_or(0)) {
        if let Some(part) = parts.get_mut(at) {
            *part += 1;
        }
    }
    parts.into_iter().map(minor).collect()
}
