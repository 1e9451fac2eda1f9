//! Disputes, and money that no instruction explains: each step, and each that is refused.

use policies::Code;
use policies::lifecycle::{AccountId, AccountKind, DisputeState, PaymentState};
use schemas::dispute::Ruling;
use schemas::event::Body;
use schemas::id::Did;
use schemas::money::Currency;

use crate::contract_scene::PSP;
use crate::fixtures::{CCRP, TDC, did, provider, read};
use crate::log::{SRO, by};
use crate::money_scene::{Money, dispute_id, inr, minor};

fn balance(money: &Money, owner: &str, kind: AccountKind) -> i128 {
    let id = AccountId { owner: did(owner), currency: inr(), kind };
    money.scene.log.state.books().account(&id).balance()
}

fn state(money: &Money, n: usize) -> PaymentState {
    money.scene.log.state.payment(&money.obligation(n).instruction_id).unwrap().state
}

#[test]
fn a_dispute_is_opened_answered_ruled_and_closed() {
    let mut money = Money::owed();
    let owed = money.obligation(0);
    let dispute = money.dispute(1, &owed, TDC);
    let contract = &money.scene.contract.contract_id.clone();
    assert!(!money.scene.log.state.disputed(contract));
    money.enter(Body::DisputeOpened { dispute: by(&dispute, &[TDC]) }).unwrap();
    assert!(money.scene.log.state.disputed(contract));
    let id = &dispute.dispute_id;
    let early = money.ruled(id, Ruling::Stand {});
    money.scene.log.refused(early, Code::DisputeState, "ruled before the other side could answer");
    let close = Body::DisputeClosed { close: by(&money.close(id), &[TDC]) };
    money.scene.log.refused(close.clone(), Code::DisputeState, "closed before it was ruled");
    let answer = Body::DisputeAnswered { answer: by(&money.answer(id, &provider(0)), &[&provider(0)]) };
    money.enter(answer.clone()).unwrap();
    money.scene.log.refused(answer, Code::DisputeState, "answered twice");
    let stand = money.ruled(id, Ruling::Stand {});
    money.enter(stand.clone()).unwrap();
    money.scene.log.refused(stand, Code::DisputeState, "ruled twice");
    assert_eq!(state(&money, 0), PaymentState::Instructed, "it stands");
    money.enter(close.clone()).unwrap();
    money.scene.log.refused(close, Code::DisputeState, "closed twice");
    assert_eq!(money.scene.log.state.dispute(id).unwrap().state, DisputeState::Closed);
    assert!(!money.scene.log.state.disputed(contract));
    let again = money.dispute(2, &owed, &provider(0));
    money.enter(Body::DisputeOpened { dispute: by(&again, &[&provider(0)]) }).unwrap();
}

#[test]
fn only_those_concerned_act_on_a_dispute() {
    let mut money = Money::owed();
    let owed = money.obligation(0);
    let good = money.dispute(1, &owed, TDC);
    let opened = |dispute: &schemas::dispute::Dispute, who: &str| Body::DisputeOpened { dispute: by(dispute, &[who]) };
    money.scene.log.refused(opened(&good, &provider(0)), Code::SignerNotParty, "signed by another");
    let stranger = money.dispute(1, &owed, PSP);
    money.scene.log.refused(opened(&stranger, PSP), Code::SignerNotParty, "no party of the contract");
    let mut unknown = good.clone();
    unknown.instruction_id = "B".repeat(32);
    money.scene.log.refused(opened(&unknown, TDC), Code::PaymentUnknown, "no such obligation");
    let mut elsewhere = good.clone();
    elsewhere.registry = did("did:web:other.example");
    money.scene.log.refused(opened(&elsewhere, TDC), Code::WrongRegistry, "another registry");
    money.enter(opened(&good, TDC)).unwrap();
    let mut twice = money.dispute(2, &owed, TDC);
    money.scene.log.refused(opened(&twice, TDC), Code::DisputeExists, "disputed already");
    twice.dispute_id = dispute_id(1);
    twice.instruction_id = money.obligation(1).instruction_id;
    money.scene.log.refused(opened(&twice, TDC), Code::DisputeExists, "one id twice");
    let answer =
        |who: &str, money: &Money| Body::DisputeAnswered { answer: by(&money.answer(&dispute_id(1), who), &[who]) };
    for (who, what) in [(TDC, "its opener"), (&*provider(1), "another provider"), (CCRP, "the room's provider")] {
        let body = answer(who, &money);
        money.scene.log.refused(body, Code::SignerNotParty, what);
    }
    let unknown = Body::DisputeAnswered { answer: by(&money.answer(&dispute_id(9), TDC), &[TDC]) };
    money.scene.log.refused(unknown, Code::DisputeUnknown, "no such dispute");
    let body = answer(&provider(0), &money);
    money.enter(body).unwrap();
    let ruling = money.ruling(&dispute_id(1), Ruling::Stand {});
    let one = Body::DisputeRuled { ruling: by(&ruling, &SRO[..1]) };
    money.scene.log.refused(one, Code::TwoPeopleNeeded, "one person rules");
    let party = Body::DisputeRuled { ruling: by(&ruling, &[SRO[0], TDC]) };
    money.scene.log.refused(party, Code::TwoPeopleNeeded, "a party rules");
    money.enter(Body::DisputeRuled { ruling: by(&ruling, &SRO[..2]) }).unwrap();
    let close = money.close(&dispute_id(1));
    let other = Body::DisputeClosed { close: by(&close, &[&provider(0)]) };
    money.scene.log.refused(other, Code::SignerNotParty, "closed by the other side");
    money.enter(Body::DisputeClosed { close: by(&close, &SRO[..2]) }).unwrap();
}

#[test]
fn a_silent_side_cannot_hold_up_a_ruling_for_ever() {
    let mut money = Money::owed();
    let dispute = money.dispute(1, &money.obligation(0), TDC);
    money.enter(Body::DisputeOpened { dispute: by(&dispute, &[TDC]) }).unwrap();
    money.scene.days(13);
    let early = money.ruled(&dispute.dispute_id, Ruling::Refund {});
    money.scene.log.refused(early, Code::DisputeState, "a day is left");
    money.scene.days(1);
    let ruled = money.ruled(&dispute.dispute_id, Ruling::Refund {});
    money.enter(ruled).unwrap();
}

#[test]
fn a_refund_undoes_what_is_owed_and_makes_owed_back_what_was_paid() {
    let mut money = Money::owed();
    let id = money.disputed(0);
    let ruled = money.ruled(&id, Ruling::Refund {});
    money.enter(ruled).unwrap();
    assert_eq!(state(&money, 0), PaymentState::Refunded);
    assert_eq!(balance(&money, &provider(0), AccountKind::Receivable), 0);
    // Money that comes all the same is money without a reason.
    let late = money.callback(&money.obligation(0), "settled", "late");
    money.enter(money.answered(&late)).unwrap();
    assert_eq!(balance(&money, PSP, AccountKind::Suspense), -500_000);

    money.settle(1);
    let id = money.disputed(1);
    let ruled = money.ruled(&id, Ruling::Refund {});
    money.enter(ruled).unwrap();
    assert_eq!(state(&money, 1), PaymentState::Refunding);
    assert_eq!(balance(&money, TDC, AccountKind::Receivable), 500_000, "owed back");
    let back = money.scene.log.state.payment(&money.obligation(1).instruction_id).unwrap().instruction_id().unwrap();
    let mut paid_back = money.callback(&money.obligation(1), "settled", "back");
    paid_back.instruction_id = back;
    money.enter(money.answered(&paid_back)).unwrap();
    assert_eq!(state(&money, 1), PaymentState::Refunded);
    assert_eq!(balance(&money, TDC, AccountKind::Receivable), 0, "paid back");
    let close = Body::DisputeClosed { close: by(&money.close(&id), &[TDC]) };
    money.enter(close).unwrap();
    let mut again = money.dispute(7, &money.obligation(1), TDC);
    again.reason = "Again".into();
    money.enter(Body::DisputeOpened { dispute: by(&again, &[TDC]) }).unwrap();
    money.scene.days(15);
    let twice = money.ruled(&again.dispute_id, Ruling::Refund {});
    money.scene.log.refused(twice, Code::DisputeRuling, "refunded twice");
}

#[test]
fn money_that_no_instruction_explains_is_entered_once_and_lies_in_suspense() {
    let mut money = Money::owed();
    let owed = money.obligation(0);
    let good = money.callback(&owed, "settled", "ref-0");
    let mut unknown = good.clone();
    unknown.instruction_id = "B".repeat(32);
    let mut failed = unknown.clone();
    failed.result = read("failed".into());
    let body = money.answered(&failed);
    money.scene.log.refused(body, Code::PaymentUnknown, "no money moved");
    let mut malformed = unknown.clone();
    malformed.instruction_id = "not an id".into();
    let body = money.answered(&malformed);
    money.scene.log.refused(body, Code::SchemaMismatch, "no instruction id");
    let mut nothing = unknown.clone();
    nothing.amount_minor = minor(0);
    let body = money.answered(&nothing);
    money.scene.log.refused(body, Code::SchemaMismatch, "nothing moved");
    let body = Body::PaymentAnswered { callback: by(&unknown, &[TDC]) };
    money.scene.log.refused(body, Code::ParticipantNotVerified, "no payment provider");

    money.enter(money.answered(&unknown)).unwrap();
    assert_eq!(balance(&money, PSP, AccountKind::Suspense), -500_000);
    assert_eq!(money.newest().state, DisputeState::Open);
    let body = money.answered(&unknown);
    money.scene.log.refused(body, Code::PaymentState, "the same again");
    let mut resigned = unknown.clone();
    resigned.at = money.scene.log.now;
    let body = money.answered(&resigned);
    money.scene.log.refused(body, Code::PaymentState, "the same reference again");

    let mut other = money.callback(&owed, "settled", "ref-1");
    other.amount_minor = minor(499_999);
    money.enter(money.answered(&other)).unwrap();
    let mut foreign = money.callback(&owed, "settled", "ref-2");
    foreign.currency = Currency::parse("EUR").unwrap();
    money.enter(money.answered(&foreign)).unwrap();
    assert_eq!(balance(&money, PSP, AccountKind::Suspense), -999_999);
    assert_eq!(state(&money, 0), PaymentState::Instructed, "none of it paid the obligation");

    money.enter(money.answered(&good)).unwrap();
    let mut second = good.clone();
    second.reference = "ref-3".into();
    money.enter(money.answered(&second)).unwrap();
    assert_eq!(balance(&money, PSP, AccountKind::Suspense), -1_499_999, "paid twice");
    let repeat = money.callback(&owed, "settled", "ref-0");
    let body = money.answered(&repeat);
    money.scene.log.refused(body, Code::PaymentState, "the same payment told again");
}

#[test]
fn an_amount_that_its_holder_states_is_entered_once() {
    let mut money = Money::owed();
    let good = money.unmatched("bank-1", 700);
    let stated = |unmatched: &_, who: &str| Body::PaymentUnmatched { unmatched: by(unmatched, &[who]) };
    money.scene.log.refused(stated(&good, TDC), Code::ParticipantNotVerified, "no payment provider");
    let mut unnamed = good.clone();
    unnamed.reference = String::new();
    money.scene.log.refused(stated(&unnamed, PSP), Code::LimitExceeded, "no reference");
    let mut nothing = good.clone();
    nothing.amount_minor = minor(0);
    money.scene.log.refused(stated(&nothing, PSP), Code::SchemaMismatch, "no money");
    money.enter(stated(&good, PSP)).unwrap();
    let psp: Did = did(PSP);
    assert!(money.scene.log.state.unmatched(&psp, "bank-1").is_some());
    money.scene.log.refused(stated(&good, PSP), Code::PaymentState, "the same again");
    let mut other = good.clone();
    other.amount_minor = minor(701);
    money.scene.log.refused(stated(&other, PSP), Code::PaymentState, "another amount under one reference");
}

#[test]
fn suspense_goes_back_or_pays_what_is_owed() {
    let mut money = Money::owed();
    let id = money.suspended("bank-1", 700);
    for (ruling, code, what) in [
        (Ruling::Stand {}, Code::DisputeRuling, "money does not stay in suspense"),
        (Ruling::Release { instruction_id: "B".repeat(32) }, Code::PaymentUnknown, "no such obligation"),
    ] {
        let body = money.ruled(&id, ruling);
        money.scene.log.refused(body, code, what);
    }
    let body = money.ruled(&id, Ruling::Refund {});
    money.enter(body).unwrap();
    assert_eq!(balance(&money, PSP, AccountKind::Suspense), 0);

    // What is missing is no longer owed.
    let release = |money: &Money, n: usize| Ruling::Release { instruction_id: money.obligation(n).instruction_id };
    let id = money.suspended("bank-2", 499_000);
    let body = money.ruled(&id, release(&money, 0));
    money.enter(body).unwrap();
    assert_eq!(state(&money, 0), PaymentState::Settled);
    assert_eq!(balance(&money, &provider(0), AccountKind::Cash), 499_000 - 49_900);
    assert_eq!(balance(&money, &provider(0), AccountKind::PrincipalPool), 49_900);
    assert_eq!(balance(&money, &provider(0), AccountKind::Receivable), 0);
    let id = money.suspended("bank-3", 1);
    let body = money.ruled(&id, release(&money, 0));
    money.scene.log.refused(body, Code::DisputeRuling, "it is paid");
    let body = money.ruled(&id, Ruling::Refund {});
    money.enter(body).unwrap();

    // What is too much goes back.
    let id = money.suspended("bank-4", 600_000);
    let body = money.ruled(&id, release(&money, 1));
    money.enter(body).unwrap();
    assert_eq!(balance(&money, &provider(1), AccountKind::Cash), 500_000);
    assert_eq!(balance(&money, PSP, AccountKind::Cash), 0);
    let id = money.disputed(1);
    let body = money.ruled(&id, Ruling::Refund {});
    money.scene.log.refused(body, Code::DisputeRuling, "a ruling paid it");

    let mut euros = money.unmatched("bank-5", 500_000);
    euros.currency = Currency::parse("EUR").unwrap();
    money.enter(Body::PaymentUnmatched { unmatched: by(&euros, &[PSP]) }).unwrap();
    money.scene.days(14);
    let id = money.newest().dispute_id;
    let body = money.ruled(&id, release(&money, 2));
    money.scene.log.refused(body, Code::DisputeRuling, "another currency");
    let id = money.disputed(2);
    let body = money.ruled(&id, release(&money, 2));
    money.scene.log.refused(body, Code::DisputeRuling, "nothing of it lies in suspense");
}
