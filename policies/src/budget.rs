//! The privacy budget: may a family be charged once more?
//!
//! A ledger belongs to one family and scope and holds mechanism events; their Rényi-DP vectors add up, and only the sum
//! is converted to ε, at the δ of the cap. Whole numbers, rounded against the spender; nothing wraps.

use schemas::privacy::{Clause, DatasetCharge, Mechanism, epsilon_words};
use schemas::problem::{Code, R, Refusal};
use schemas::text::Real;

use crate::accountant::{Event, RdpVector};
use crate::forms::ensure;
use crate::reals;

/// May this charge be added? Over all events of the family in the ledger's scope ε stays within `cap`, the clause of the
/// offer; over this contract's own events of it within `clause`, the contract's.
///
/// Both lists hold what is reserved or charged and not returned; the contract's events stand in the family's list too.
pub fn check(
    family: &[DatasetCharge],
    contract: &[DatasetCharge],
    cap: &Clause,
    clause: &Clause,
    new: &DatasetCharge,
) -> R<()> {
    let foreign = family.iter().chain(contract).any(|charge| charge.family != new.family);
    ensure(!foreign, Code::Internal, "family", "A ledger holds the charges of one family.")?;
    both_fit(&spent(family)?, &spent(contract)?, cap, clause, &vector(&new.mechanisms)?)
}

/// [`check`] for ledgers that keep their sums: of the family in the ledger's scope, and of this contract's own events.
///
/// A charge of level 0 always fits, since only law bounds it; it counts in the family's sum all the same, so that the
/// charges of other levels find it there. Offer and contract must both say so.
pub fn both_fit(family: &RdpVector, contract: &RdpVector, cap: &Clause, clause: &Clause, cost: &RdpVector) -> R<()> {
    if cap.level == Clause::LEGAL_ONLY && clause.level == Clause::LEGAL_ONLY {
        return Ok(());
    }
    fits(family, cost, cap, "the family's cap")?;
    fits(contract, cost, clause, "the contract's grant")
}

/// The Rényi-DP vector of all these charges, from their mechanisms; what a charge says it costs is not believed.
pub fn spent(charges: &[DatasetCharge]) -> R<RdpVector> {
    charges.iter().try_fold(RdpVector::zero(), |sum, charge| Ok(sum.compose(&vector(&charge.mechanisms)?)))
}

/// Does the cost fit beside what is spent? `whose` names the limit in the refusal.
pub fn fits(spent: &RdpVector, cost: &RdpVector, limit: &Clause, whose: &str) -> R<()> {
    let (cap, delta) = (epsilon_micro(&limit.epsilon)?, delta_atto(&limit.delta)?);
    let (before, after) = (spent.epsilon_micro(delta), spent.compose(cost).epsilon_micro(delta));
    let sentence = format!(
        "With it ε {} would be spent of {whose} {} at δ {}; ε {} is spent, {} is left.",
        text(after),
        limit.epsilon,
        limit.delta,
        text(before),
        text(cap.saturating_sub(before)),
    );
    ensure(after < RdpVector::INFINITE && after <= cap, Code::BudgetExceeded, "epsilon", sentence)
}

/// ε in 10⁻⁶ that these charges leave of a limit, at its δ.
pub fn left(charges: &[DatasetCharge], limit: &Clause) -> R<u64> {
    let before = spent(charges)?.epsilon_micro(delta_atto(&limit.delta)?);
    Ok(epsilon_micro(&limit.epsilon)?.saturating_sub(before))
}

/// The Rényi-DP vector of a list of mechanisms.
pub fn vector(mechanisms: &[Mechanism]) -> R<RdpVector> {
    RdpVector::of(&mechanisms.iter().map(Event::from).collect::<Vec<_>>())
}

/// A limit's ε in 10⁻⁶, rounded down.
pub fn epsilon_micro(epsilon: &Real) -> R<u64> {
    let micro = reals::floor_units(epsilon, 6).filter(|micro| *micro < RdpVector::INFINITE);
    micro.ok_or_else(|| Refusal::new(Code::EpsilonOutOfRange, "ε is too large.").at("epsilon"))
}

/// A limit's δ in 10⁻¹⁸, rounded down; 0 would never be reached and is refused.
pub fn delta_atto(delta: &Real) -> R<u64> {
    let atto = reals::floor_units(delta, 18).filter(|atto| (1..1_000_000_000_000_000_000).contains(atto));
    atto.ok_or_else(|| Refusal::new(Code::EpsilonOutOfRange, "δ must lie between 10^-18 and 1.").at("delta"))
}

fn text(micro: u64) -> String {
    match reals::from_units(micro.into(), 6) {
        Some(real) if micro < RdpVector::INFINITE => real.to_string(),
        _ => epsilon_words(micro),
    }
}
