//! Double entry over several runs, in every state of a payment.

use policies::lifecycle::{Account, AccountId, AccountKind, PaymentState};
use schemas::dispute::{Dispute, DisputeAnswer, DisputeRuling, Ruling};
use schemas::event::{Body, Obligation, PaymentResult};
use schemas::id::{Did, DisputeId};
use schemas::money::Currency;
use schemas::{Digest, Document};

use crate::house::{House, uuid};
use crate::papers;
use crate::queues::{endpoint, lease};

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

#[test]
fn a_ruling_for_the_payer_tells_the_payment_provider_to_pay_back() {
    let mut house = House::furnished();
    let run = house.running();
    let completion = house.completion(&run);
    house.complete(&run, &completion).unwrap();
    let owed = house.registry.state().payments().next().unwrap().obligation.clone();
    house.pays(&owed, PaymentResult::Settled).unwrap();
    let psp = house.psp.did().unwrap();
    house.registry.add_endpoint(&endpoint(&psp, &["payment.instructed"])).unwrap();
    let later = |seconds| house.now().plus_seconds(seconds);
    house.registry.dispatch(later(1)).unwrap();
    lease(&house.registry, 100, later(1));

    let payee = house.tdps.iter().find(|tdp| tdp.did().unwrap() == owed.payee).unwrap();
    let dispute_id = DisputeId::new(uuid());
    let dispute = Dispute {
        schema: Dispute::SCHEMA.into(),
        registry: papers::registry(),
        dispute_id: dispute_id.clone(),
        contract: owed.contract.clone(),
        instruction_id: owed.instruction_id.clone(),
        opener: house.tdc.did().unwrap(),
        reason: "Nothing came".into(),
        at: house.now(),
    };
    house.enter(Body::DisputeOpened { dispute: house.sign(&dispute, &house.tdc) }).unwrap();
    let answer = DisputeAnswer {
        schema: DisputeAnswer::SCHEMA.into(),
        registry: papers::registry(),
        dispute_id: dispute_id.clone(),
        by: owed.payee.clone(),
        reason: "It did".into(),
        at: house.now(),
    };
    house.enter(Body::DisputeAnswered { answer: house.sign(&answer, payee) }).unwrap();
    let ruling = DisputeRuling {
        schema: DisputeRuling::SCHEMA.into(),
        registry: papers::registry(),
        dispute_id,
        ruling: Ruling::Refund {},
        reason: "It did not".into(),
        at: house.now(),
    };
    house.enter(Body::DisputeRuled { ruling: house.by_sro(&ruling) }).unwrap();
    let state = house.registry.state();
    let row = state.payment(&owed.instruction_id).unwrap();
    assert_eq!(row.state, PaymentState::Refunding);
    house.registry.dispatch(later(2)).unwrap();
    let told: Vec<serde_json::Value> = lease(&house.registry, 100, later(2))
        .iter()
        .map(|delivery| serde_json::from_str::<serde_json::Value>(&delivery.payload).unwrap()["data"].clone())
        .collect();
    let [back] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!(back["instruction_id"], row.instruction_id().unwrap().as_str());
    assert_eq!((&back["payer"], &back["payee"]), (&serde_json::json!(owed.payee), &serde_json::json!(owed.payer)));
    assert_eq!((back.get("act"), back.get("from_block")), (None, None), "a payment the other way");
    // It is so after a start, too: the kept state has every member.
    house.reopen().unwrap();
    assert_eq!(house.registry.state().payment(&owed.instruction_id).unwrap().state, PaymentState::Refunding);
    house.registry.state().check_books().unwrap();
}
