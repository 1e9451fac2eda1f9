//! The form of a price: which members belong to which kind, and that it never owes more than can be written.

use schemas::contract::{Discount, Payee, PaymentTerm, Pricing, Tax, TermKind, Tier, Trigger};
use schemas::money::Minor;

use crate::forms::{is_token, unique};
use crate::payment;

/// The members of a price, of an offer or a contract.
#[derive(Clone, Copy)]
pub(super) struct Price<'p> {
    pub kind: TermKind,
    pub amount: Minor,
    pub payees: &'p [Payee],
    pub trigger: Trigger,
    pub pricing: Option<&'p Pricing>,
}

/// Whether the members fit the kind, and each other.
pub(super) fn form(price: Price<'_>) -> Result<(), &'static str> {
    shares(price)?;
    if price.kind == TermKind::Free {
        return if price.pricing.is_none() { Ok(()) } else { Err("A free term has no pricing.") };
    }
    let none = Pricing::default();
    let pricing = price.pricing.unwrap_or(&none);
    let counts = matches!(
        price.kind,
        TermKind::PerEpoch | TermKind::PerRecord | TermKind::PerEpsilon | TermKind::PerComputeHour
    );
    let periodic = matches!(price.kind, TermKind::Subscription | TermKind::RevenueShare);
    let late = matches!(price.kind, TermKind::PerEpoch | TermKind::PerComputeHour) || periodic;
    let rules = [
        (!late || price.trigger == Trigger::Completed, "What is known at completion alone has the trigger completed."),
        (
            pricing.unit_count.is_none_or(|n| counts && (1..=MAX_UNITS).contains(&n)),
            "Only what is counted has a unit_count, from 1 to 10^12.",
        ),
        (pricing.tiers.is_empty() || counts || price.kind == TermKind::PerRun, "Only what is counted has tiers."),
        (ascending(&pricing.tiers), "Up to 8 tiers begin at ascending quantities from 1 on."),
        (
            pricing.period_days.is_some() == periodic,
            "A subscription or share of revenue has period_days, and nothing else.",
        ),
        (pricing.period_days.is_none_or(|days| (1..=366).contains(&days)), "A period has 1 to 366 days."),
        (
            (price.kind == TermKind::RevenueShare) == pricing.share_ppm.is_some(),
            "A share of revenue has share_ppm, and nothing else.",
        ),
        (
            pricing.share_ppm.is_none_or(|ppm| (1..=1_000_000).contains(&ppm)),
            "A share of revenue is 1 to 1,000,000 parts per million.",
        ),
        (pricing.due_days.is_none_or(|days| days <= 366), "An amount is due within 366 days."),
        (bounds(pricing), "The floor is not above the cap, and the cap not 0."),
        (
            price.kind != TermKind::Escrow || (pricing.cap_minor.is_none() && pricing.floor_minor.is_none()),
            "A deposit is one amount, without cap and floor.",
        ),
        (
            pricing.tax.as_ref().is_none_or(taxed),
            "Tax is 1 to 1,000,000 parts per million on top, or less than that withheld for a payee that is named.",
        ),
    ];
    rules.into_iter().find(|(kept, _)| !kept).map_or(Ok(()), |(_, sentence)| Err(sentence))
}

/// Shares of payees: each once, none empty, 1,000,000 in all. A free term and a share of revenue have the amount 0, others
/// more.
fn shares(price: Price<'_>) -> Result<(), &'static str> {
    if price.kind == TermKind::Free {
        return if price.amount.get() == 0 { Ok(()) } else { Err("A free term has the amount 0.") };
    }
    if (price.amount.get() == 0) != (price.kind == TermKind::RevenueShare) {
        return Err("Only a free term and a share of revenue have the amount 0.");
    }
    let total: u64 = price.payees.iter().map(|p| u64::from(p.share_ppm)).sum();
    if total != 1_000_000 || price.payees.iter().any(|p| p.share_ppm == 0) {
        return Err("The shares of a term add up to 1,000,000 parts per million, none of them 0.");
    }
    if !unique(price.payees.iter().map(|p| &p.did)) { Err("A payee stands twice in a term.") } else { Ok(()) }
}

/// A discount by itself.
pub(super) fn discount(discount: &Discount) -> Result<(), &'static str> {
    if !is_token(&discount.discount_id) {
        return Err("A discount id is 1 to 32 of a-z, 0-9, _ and -.");
    }
    if !(1..1_000_000).contains(&discount.off_ppm) {
        return Err("A discount is 1 to 999,999 parts per million.");
    }
    if discount.purpose.is_none() && discount.after_runs.is_none() {
        return Err("A discount is for a purpose, or after a number of runs: whoever meets that gets it.");
    }
    if discount.after_runs == Some(0) { Err("A discount after no run is a lower price.") } else { Ok(()) }
}

/// Whether the most that the term may ever owe at one occasion can be written; `rows` are the contracted records.
pub(super) fn bounded(term: &PaymentTerm, rows: u64) -> bool {
    let units = match term.kind {
        TermKind::PerEpoch => u64::from(u32::MAX),
        TermKind::PerRecord => rows,
        TermKind::PerEpsilon => 1_000_000_000,
        TermKind::PerComputeHour => 10 * 366 * 86_400,
        _ => 1,
    };
    let taxed = |amount| payment::parts(term, amount).map(drop);
    payment::worst(term, units).and_then(taxed).is_ok()
}

fn ascending(tiers: &[Tier]) -> bool {
    let from = tiers.iter().map(|tier| tier.from);
    tiers.len() <= 8 && from.clone().all(|from| from > 0) && from.clone().zip(from.skip(1)).all(|(a, b)| a < b)
}

fn bounds(pricing: &Pricing) -> bool {
    let ordered = pricing.floor_minor.zip(pricing.cap_minor).is_none_or(|(floor, cap)| floor <= cap);
    ordered && pricing.cap_minor.is_none_or(|cap| cap.get() > 0)
}

fn taxed(tax: &Tax) -> bool {
    let added = tax.gst_ppm <= 1_000_000 && (tax.gst_ppm > 0 || tax.gst_payee.is_none());
    let withheld = tax.tds_ppm < 1_000_000 && (tax.tds_ppm > 0) == tax.tds_payee.is_some();
    added && withheld && (tax.gst_ppm > 0 || tax.tds_ppm > 0)
}

/// The most units of one price.
const MAX_UNITS: u64 = 1_000_000_000_000;
