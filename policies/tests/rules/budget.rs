//! The budget: sums of Rényi-DP vectors against caps.

use policies::budget::{check, fits, left, spent, vector};
use policies::{Code, R};
use schemas::privacy::{Clause, DatasetCharge, Mechanism};

use crate::fixtures::{House, clause, expect, plan, real};

/// What the job of the house costs its first dataset: ε 1.0.
fn charge() -> DatasetCharge {
    plan().charges.remove(0)
}

fn judge(family: usize, contract: usize, cap: &Clause, clause: &Clause) -> R<()> {
    let charge = charge();
    check(&vec![charge.clone(); family], &vec![charge.clone(); contract], cap, clause, &charge)
}

#[test]
fn runs_fit_until_the_family_cap_or_the_contracts_grant_is_reached() {
    let (wide, one) = (clause("3.0", "0.0000472"), clause("1.0", "0.0000472"));
    assert_eq!(judge(0, 0, &one, &one), Ok(()), "the first run of a grant of exactly one");
    assert_eq!(judge(3, 0, &wide, &one), Ok(()), "other contracts' runs do not use up this one's grant");
    expect(judge(1, 1, &wide, &one), Code::BudgetExceeded, "a second run of this contract");
    expect(judge(1, 0, &one, &wide), Code::BudgetExceeded, "a second run of the family");
    assert_eq!(judge(1, 1, &wide, &wide), Ok(()), "two runs within both");
}

#[test]
fn refusals_name_what_is_left() {
    let one = clause("1.2", "0.0000472");
    let refusal = judge(1, 0, &one, &clause("9", "0.0000472")).unwrap_err();
    assert!(refusal.sentence.contains("the family's cap 1.2"), "{refusal}");
    let micro = left(&[charge()], &one).unwrap();
    assert!((200_000..201_000).contains(&micro));
    assert!(refusal.sentence.contains(&format!("0.{micro} is left")), "{refusal}");
    let refusal = judge(0, 1, &clause("9", "0.0000472"), &one).unwrap_err();
    assert!(refusal.sentence.contains("the contract's grant"), "{refusal}");
    assert_eq!(left(&[charge(), charge()], &one).unwrap(), 0);
}

#[test]
fn composition_costs_less_than_the_sum() {
    let both = spent(&[charge(), charge()]).unwrap().epsilon_micro(47_200_000_000_000);
    assert!(both > charge().epsilon_micro && both < 2 * charge().epsilon_micro);
    assert_eq!(spent(&[]).unwrap().epsilon_micro(47_200_000_000_000), 0);
}

#[test]
fn nothing_wraps_and_nothing_is_believed() {
    let loud = Mechanism::Gaussian { noise_multiplier: real("0.00000000000000000001") };
    let mut endless = charge();
    (endless.mechanisms, endless.epsilon_micro) = (vec![loud], 0);
    let wide = clause("999", "0.0000472");
    expect(
        check(&[], &[], &wide, &wide, &endless),
        Code::BudgetExceeded,
        "what a charge says of itself does not count",
    );
    expect(
        check(&vec![endless; 3], &[], &wide, &wide, &charge()),
        Code::BudgetExceeded,
        "an endless ledger stays full",
    );
    let mut none = charge();
    none.mechanisms = vec![Mechanism::Gaussian { noise_multiplier: real("0") }];
    expect(check(&[], &[], &wide, &wide, &none), Code::EpsilonOutOfRange, "no noise at all");
}

#[test]
fn limits_that_are_no_limits_are_refused() {
    let cost = vector(&charge().mechanisms).unwrap();
    let none = spent(&[]).unwrap();
    for (epsilon, delta) in [("99999999999999999999", "0.1"), ("1", "0"), ("1", "0.0000000000000000001"), ("1", "1")] {
        let limit = clause(epsilon, delta);
        expect(fits(&none, &cost, &limit, "the cap"), Code::EpsilonOutOfRange, &format!("ε {epsilon}, δ {delta}"));
    }
    expect(fits(&none, &cost, &clause("0", "0.0000472"), "the cap"), Code::BudgetExceeded, "a cap of 0");
    expect(fits(&none, &cost, &clause("0.9999999", "0.000001"), "the cap"), Code::BudgetExceeded, "at a lower δ");
}

#[test]
fn ledgers_of_two_families_are_not_mixed() {
    let (mut foreign, wide) = (charge(), clause("9", "0.0000472"));
    foreign.family = House::new().offers[1].family.clone();
    expect(check(&[foreign], &[], &wide, &wide, &charge()), Code::Internal, "two families");
}
