//! Statements of revenue over HTTP: the consumer's alone, once its period is over, and what is due follows from them.

use schemas::contract::{ContractRef, Payee, Pricing, TermKind, Trigger};
use schemas::desk::ObligationView;
use schemas::event::{Body, PaymentResult};
use schemas::id::{ContractId, Did};
use schemas::money::{Currency, Minor};
use schemas::term::RevenueStatement;
use schemas::{Code, Digest, Document, R};
use signing::FileKey;
use uuid::Uuid;

use crate::deposits::obligation;
use crate::house::{House, reference};
use crate::papers;

/// Seconds of a period of ten days.
const PERIOD: i64 = 10 * 86_400;

/// One thing changed, the code that it is refused with, and what it is.
type Spoilt = (fn(&mut RevenueStatement), Code, &'static str);

fn minor(amount: i64) -> Minor {
    Minor::new(amount).unwrap()
}

/// A contract in force that gives the provider of rooms a tenth of the revenue of every ten days, at least 500.
fn sharing(house: &House) -> ContractRef {
    let mut contract = papers::contract(house);
    let mut term = contract.payment[0].clone();
    (term.term_id, term.kind, term.trigger) = ("share".into(), TermKind::RevenueShare, Trigger::Completed);
    term.amount_minor = minor(0);
    term.payees = vec![Payee { did: house.ccrp.did().unwrap(), share_ppm: 1_000_000 }];
    term.pricing = Some(Pricing {
        period_days: Some(10),
        share_ppm: Some(100_000),
        floor_minor: Some(minor(500)),
        ..Pricing::default()
    });
    contract.payment.push(term);
    let contract = house.propose(&contract).unwrap();
    for who in [&house.tdps[0], &house.tdps[1], &house.ccrp] {
        house.countersign(&contract, who).unwrap();
    }
    reference(&contract)
}

fn statement(house: &House, contract: &ContractRef, period: u32, revenue: i64) -> RevenueStatement {
    RevenueStatement {
        schema: RevenueStatement::SCHEMA.into(),
        registry: house.registry(),
        contract: contract.clone(),
        term_id: "share".into(),
        period,
        revenue_minor: minor(revenue),
        currency: Currency::parse("INR").unwrap(),
        at: house.now(),
    }
}

fn refused(house: &House, statement: &RevenueStatement, who: &FileKey) -> Code {
    house.client.revenue_statement(&house.sign(statement, who)).unwrap_err().code
}

/// What is owed for periods, in their order.
fn owed(house: &House, contract: &ContractRef) -> R<Vec<ObligationView>> {
    let mut all = house.as_(&house.tdc).payments(Some(&contract.id))?.payments;
    all.sort_by_key(|view| view.period);
    Ok(all)
}

#[test]
fn a_statement_is_the_consumer_s_and_owes_the_share_or_the_minimum() {
    let house = House::furnished();
    let contract = sharing(&house);
    assert_eq!(refused(&house, &statement(&house, &contract, 0, 9_000), &house.tdc), Code::PaymentState, "too early");
    house.skip(PERIOD);
    let good = statement(&house, &contract, 0, 9_000);
    for stranger in [&house.tdps[0], &house.ccrp, &house.psp, &house.sro[0]] {
        assert_eq!(refused(&house, &good, stranger), Code::SignerNotParty);
    }
    let rows: [Spoilt; 9] = [
        (|s| s.registry = Did::parse("did:web:other.example").unwrap(), Code::WrongRegistry, "another registry"),
        (|s| s.at = s.at.plus_seconds(3_600), Code::SchemaMismatch, "written tomorrow"),
        (|s| s.currency = Currency::parse("EUR").unwrap(), Code::PaymentState, "another currency"),
        (|s| s.period = 1, Code::PaymentState, "a period that is not over"),
        (|s| s.period = 3, Code::PaymentState, "a period after the contract"),
        (|s| s.term_id = "p0".into(), Code::PaymentState, "a term that shares nothing"),
        (|s| s.term_id = "none".into(), Code::PaymentUnknown, "no such term"),
        (|s| s.contract.sha256 = Digest([1; 32]), Code::ContractUnknown, "no such version"),
        (|s| s.contract.id = ContractId::new(Uuid::now_v7()), Code::ContractUnknown, "no such contract"),
    ];
    for (spoil, expected, what) in rows {
        let mut bad = good.clone();
        spoil(&mut bad);
        assert_eq!(refused(&house, &bad, &house.tdc), expected, "{what}");
    }
    assert!(owed(&house, &contract).unwrap().is_empty(), "nothing of it was entered");

    let signed = house.sign(&good, &house.tdc);
    let receipt = house.client.revenue_statement(&signed).unwrap().receipt;
    let trust = house.trust();
    let body = Body::RevenueStated { statement: signed.clone() };
    signing::verify_receipt(&receipt, &body, &trust.origin, &trust.registry_jwk).unwrap();
    let due = owed(&house, &contract).unwrap();
    let [first] = due.as_slice() else { panic!("{due:?}") };
    assert_eq!((first.amount_minor, first.period, first.state.as_str()), (minor(900), Some(0), "instructed"));
    assert_eq!((&first.payer, &first.payee), (&house.tdc.did().unwrap(), &house.ccrp.did().unwrap()));
    assert_eq!((first.term_id.as_str(), &first.run_id), ("share", &None));
    // It is stated once, by the same words or by others.
    assert_eq!(house.client.revenue_statement(&signed).unwrap_err().code, Code::PaymentState);
    assert_eq!(refused(&house, &statement(&house, &contract, 0, 1), &house.tdc), Code::PaymentState);
    let callback = house.callback(&obligation(first), PaymentResult::Settled);
    assert_eq!(house.client.payment_callback(&callback).unwrap().state, "settled");

    // Of little revenue the minimum is due.
    house.skip(PERIOD);
    house.client.revenue_statement(&house.sign(&statement(&house, &contract, 1, 1_000), &house.tdc)).unwrap();
    let amounts: Vec<i64> = owed(&house, &contract).unwrap().iter().map(|view| view.amount_minor.get()).collect();
    assert_eq!(amounts, [900, 500]);
    // Strangers read nothing of it.
    assert!(house.as_(&house.psp).payments(None).unwrap().payments.is_empty());
}
