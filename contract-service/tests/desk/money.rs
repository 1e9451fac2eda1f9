//! The books, disputes and money that nobody can place, as callers see them.

use schemas::desk::JournalLine;
use schemas::dispute::{Direction, Dispute, DisputeAnswer, DisputeClose, DisputeRuling, PaymentUnmatched, Ruling};
use schemas::event::{Obligation, PaymentResult};
use schemas::id::DisputeId;
use schemas::money::Minor;
use schemas::{Code, Document, Refusal};

use crate::house::House;
use crate::http::{bearer, code as http_code, get, header};

fn code<T: std::fmt::Debug>(result: Result<T, Refusal>) -> Code {
    result.unwrap_err().code
}

/// A completed run and what it owes.
fn owed() -> (House, Vec<Obligation>) {
    let mut house = House::furnished();
    let run = house.running();
    let completion = house.completion(&run);
    let done = house.client.complete(&run.run_id, &house.sign(&completion, &run.key)).unwrap();
    (house, done.obligations)
}

fn dispute(house: &House, obligation: &Obligation) -> Dispute {
    Dispute {
        schema: Dispute::SCHEMA.into(),
        registry: house.registry(),
        dispute_id: DisputeId::new(uuid::Uuid::now_v7()),
        contract: obligation.contract.clone(),
        instruction_id: obligation.instruction_id.clone(),
        opener: house.tdc.did().unwrap(),
        reason: "It was paid twice".into(),
        at: house.now(),
    }
}

fn answer(house: &House, id: &DisputeId, by: &signing::FileKey) -> DisputeAnswer {
    DisputeAnswer {
        schema: DisputeAnswer::SCHEMA.into(),
        registry: house.registry(),
        dispute_id: id.clone(),
        by: by.did().unwrap(),
        reason: "It came once".into(),
        at: house.now(),
    }
}

fn ruling(house: &House, id: &DisputeId, ruling: Ruling) -> DisputeRuling {
    DisputeRuling {
        schema: DisputeRuling::SCHEMA.into(),
        registry: house.registry(),
        dispute_id: id.clone(),
        ruling,
        reason: "Looked at".into(),
        at: house.now(),
    }
}

#[test]
fn a_dispute_goes_its_way_before_the_eyes_of_those_concerned() {
    let (house, obligations) = owed();
    let document = dispute(&house, &obligations[0]);
    let id = document.dispute_id.clone();
    let opened = house.client.open_dispute(&house.sign(&document, &house.tdc)).unwrap();
    assert_eq!((opened.state.as_str(), opened.receipt.is_some()), ("open", true));
    let spoilt = answer(&house, &DisputeId::new(uuid::Uuid::now_v7()), &house.tdps[0]);
    let refused = house.client.answer_dispute(&id, &house.sign(&spoilt, &house.tdps[0]));
    assert_eq!(code(refused), Code::SchemaMismatch, "the path names another dispute");
    let payee = house.tdps.iter().find(|tdp| tdp.did().unwrap() == obligations[0].payee).unwrap();
    let answered = house.client.answer_dispute(&id, &house.sign(&answer(&house, &id, payee), payee)).unwrap();
    assert_eq!(answered.state, "answered");

    // The parties and the SRO read about it, nobody else.
    for who in [&house.tdc, payee, &house.sro[0]] {
        let view = house.as_(who).dispute(&id).unwrap();
        assert_eq!((view.amount_minor, view.suspense), (obligations[0].amount_minor, false));
        assert!(view.dispute.is_some() && view.answer.is_some() && view.ruled.is_none());
        let listed = house.as_(who).disputes(Some(&obligations[0].contract.id)).unwrap().disputes;
        assert_eq!(listed.iter().map(|view| &view.dispute_id).collect::<Vec<_>>(), [&view.dispute_id]);
    }
    assert_eq!(code(house.as_(&house.psp).dispute(&id)), Code::DisputeUnknown);
    assert!(house.as_(&house.psp).disputes(None).unwrap().disputes.is_empty());

    // One person's signature waits for a second one's.
    let draft = ruling(&house, &id, Ruling::Refund {});
    let first = house.client.rule_dispute(&id, &house.sign(&draft, &house.sro[0])).unwrap();
    assert_eq!((first.state.as_str(), first.receipt), ("answered", None));
    let second = house.client.rule_dispute(&id, &house.sign(&draft, &house.sro[1])).unwrap();
    assert_eq!((second.state.as_str(), second.receipt.is_some()), ("ruled", true));
    let payments = house.as_(&house.tdc).payments(None).unwrap().payments;
    let refunded = payments.iter().find(|p| p.instruction_id == obligations[0].instruction_id).unwrap();
    assert_eq!(refunded.state, "refunded");
    let close = DisputeClose {
        schema: DisputeClose::SCHEMA.into(),
        registry: house.registry(),
        dispute_id: id.clone(),
        reason: "Done".into(),
        at: house.now(),
    };
    assert_eq!(house.client.close_dispute(&id, &house.sign(&close, &house.tdc)).unwrap().state, "closed");
}

#[test]
fn money_without_a_reason_is_taken_once_and_shown_to_its_holder() {
    let (house, obligations) = owed();
    let mut unknown = obligations[0].clone();
    unknown.instruction_id = "A".repeat(32);
    let callback = house.callback(&unknown, PaymentResult::Settled);
    for _ in 0..2 {
        assert_eq!(house.client.payment_callback(&callback).unwrap().state, "suspense", "the same again");
    }
    let unmatched = PaymentUnmatched {
        schema: PaymentUnmatched::SCHEMA.into(),
        registry: house.registry(),
        reference: "bank-1".into(),
        instruction_id: None,
        amount_minor: Minor::new(700).unwrap(),
        currency: obligations[0].currency,
        direction: Direction::Returned,
        at: house.now(),
    };
    let signed = house.sign(&unmatched, &house.psp);
    let first = house.client.payment_unmatched(&signed).unwrap();
    let again = house.client.payment_unmatched(&signed).unwrap();
    assert_eq!((first.dispute_id.clone(), first.state.as_str()), (again.dispute_id, "open"));
    assert!(first.receipt.is_some() && again.receipt.is_none(), "entered once");
    let other = PaymentUnmatched { amount_minor: Minor::new(701).unwrap(), ..unmatched };
    assert_eq!(code(house.client.payment_unmatched(&house.sign(&other, &house.psp))), Code::PaymentState);
    let seen = house.as_(&house.psp).disputes(None).unwrap().disputes;
    assert_eq!(seen.len(), 2);
    assert!(seen.iter().all(|view| view.suspense && view.contract.is_none()), "{seen:?}");
    assert!(house.as_(&house.tdc).disputes(None).unwrap().disputes.is_empty());
}

#[test]
fn payments_and_disputes_come_in_pages() {
    let (house, obligations) = owed();
    let (tdc, psp) = (house.as_(&house.tdc), house.as_(&house.psp));
    let all = tdc.payments(None).unwrap();
    assert!(all.payments.len() >= 2 && all.next.is_none());
    let (mut paged, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let page = tdc.payments_page(None, Some(1), cursor.as_deref()).unwrap();
        assert_eq!(page.payments.len(), 1);
        paged.extend(page.payments);
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(paged, all.payments, "each once, in the same order");
    for name in ["A", "B"] {
        let mut unknown = obligations[0].clone();
        unknown.instruction_id = name.repeat(32);
        house.client.payment_callback(&house.callback(&unknown, PaymentResult::Settled)).unwrap();
    }
    let all = psp.disputes(None).unwrap().disputes;
    let first = psp.disputes_page(None, Some(1), None).unwrap();
    let last = psp.disputes_page(None, Some(1), first.next.as_deref()).unwrap();
    assert_eq!((all.len(), last.next), (2, None));
    assert_eq!([first.disputes, last.disputes].concat(), all);

    let token = bearer(&house, &house.tdc);
    let ask = |path: &str| get(&house, path).bearer_auth(&token).send().unwrap();
    let contract = &obligations[0].contract.id;
    let link = header(&ask(&format!("/v1/payments?limit=1&contract={contract}")), "link");
    let next = format!("</v1/payments?contract={contract}&limit=1&cursor={}>; rel=\"next\"", paged[0].instruction_id);
    assert_eq!(link, next);
    assert_eq!(header(&ask("/v1/payments"), "link"), "", "a list as long as a page has no next one");
    for bad in ["/v1/payments?limit=201", "/v1/disputes?limit=0"] {
        assert_eq!(http_code(ask(bad)), Code::LimitExceeded, "{bad}");
    }
    assert_eq!(http_code(ask("/v1/disputes?cursor=x")), Code::MalformedId);
}

#[test]
fn everyone_reads_the_transfers_that_are_its_own() {
    let (house, obligations) = owed();
    for obligation in &obligations {
        house.client.payment_callback(&house.callback(obligation, PaymentResult::Settled)).unwrap();
    }
    let all = house.as_(&house.sro[0]).journal(None).unwrap();
    // Owed, two pending, two posted, for each obligation.
    assert_eq!(all.len(), 5 * obligations.len());
    let ids: std::collections::BTreeSet<&str> = all.iter().map(|line| line.id.as_str()).collect();
    assert_eq!(ids.len(), all.len());
    assert_eq!(house.as_(&house.tdc).journal(Some(&obligations[0].contract.id)).unwrap(), all);
    assert_eq!(house.as_(&house.tdps[0]).journal(None).unwrap(), all, "a party of the contract");
    assert!(house.as_(&house.psp).journal(None).unwrap().is_empty());
    let sums = |of: fn(&JournalLine) -> bool| -> i64 {
        all.iter().filter(|line| of(line)).map(|line| line.amount_minor.get()).sum()
    };
    let owed: i64 = obligations.iter().map(|o| o.amount_minor.get()).sum();
    assert_eq!(sums(|line| line.code == "owed"), owed);
    assert_eq!(sums(|line| line.code == "pays" && line.phase == "post"), owed);
    assert_eq!(sums(|line| line.code == "gets" && line.phase == "post"), owed);
}
