//! Double entry over several runs, in every state of a payment.

use policies::lifecycle::{Account, AccountId, AccountKind, PaymentState};
use schemas::Digest;
use schemas::event::{Body, Obligation, PaymentResult};
use schemas::id::Did;
use schemas::money::Currency;

use crate::house::House;

fn balance(house: &House, owner: &Did, kind: AccountKind) -> (u128, u128) {
    let id = AccountId { owner: owner.clone(), currency: Currency::parse("INR").unwrap(), kind };
    let Account { debits_posted, credits_posted, .. } = house.registry.state().books().account(&id);
    (debits_posted.unsigned_abs(), credits_posted.unsigned_abs())
}

#[test]
fn debits_equal_credits_and_balances_are_what_is_open_and_paid() {
    let mut house = House::furnished();
    let mut owed: Vec<Obligation> = Vec::new();
    for _ in 0..3 {
        let run = house.running();
        let completion = house.completion(&run);
        let entry = house.complete(&run, &completion).unwrap();
        let Body::RunCompleted { obligations, .. } = entry.body else { panic!("another body") };
        owed.extend(obligations);
        house.registry.state().check_books().unwrap();
    }
    assert_eq!(owed.len(), 6);
    let (tdp, tdc) = (house.tdps[0].did().unwrap(), house.tdc.did().unwrap());
    assert_eq!(balance(&house, &tdp, AccountKind::Receivable), (1_500_000, 0));
    assert_eq!(balance(&house, &tdc, AccountKind::Payable), (0, 3_000_003));
    house.pays(&owed[0], PaymentResult::Settled).unwrap();
    house.pays(&owed[2], PaymentResult::Failed).unwrap();
    house.registry.state().check_books().unwrap();
    assert_eq!(balance(&house, &tdp, AccountKind::Receivable), (1_500_000, 500_000));
    assert_eq!(balance(&house, &tdp, AccountKind::Cash), (500_000, 0));
    assert_eq!(balance(&house, &tdc, AccountKind::Payable), (500_000, 3_000_003));
    assert_eq!(balance(&house, &tdc, AccountKind::Cash), (0, 500_000));
    let state = house.registry.state();
    let open: i64 =
        state.payments().filter(|p| p.state != PaymentState::Settled).map(|p| p.obligation.amount_minor.get()).sum();
    assert_eq!(open, 2_500_003);
    let ids: std::collections::BTreeSet<&str> = owed.iter().map(|o| o.instruction_id.as_str()).collect();
    assert_eq!(ids.len(), 6);
    assert!(state.payment(&Digest([0; 32]).to_string()).is_none());
}
