//! Attacks on what a payment provider, a key service or a ruling says about money: one lie or one late word at a time.

use policies::Code;
use policies::instruction::Standing;
use policies::lifecycle::{AccountId, AccountKind, PaymentRow, PaymentState};
use policies::payment::Act;
use schemas::Digest;
use schemas::contract::{TermKind, Trigger};
use schemas::dispute::Ruling;
use schemas::event::{Body, PaymentResult};
use schemas::id::DisputeId;
use schemas::release::{KmsReceipt, KmsStatement};

use crate::contract_scene::{PSP, Scene, by_kms, receipt};
use crate::fixtures::{CCRP, TDC, did, expect, id, plan, provider, read};
use crate::log::by;
use crate::money_scene::{Money, inr};
use crate::payment_flow::{fee, minor, state, with};

fn suspense(scene: &Scene, psp: &str) -> i128 {
    let id = AccountId { owner: did(psp), currency: inr(), kind: AccountKind::Suspense };
    -scene.log.state.books().account(&id).balance()
}

/// Told about one instruction of the fee.
fn tell(scene: &mut Scene, instruction: &str, result: PaymentResult, said: &str) -> policies::R<()> {
    let row = scene.fee().clone();
    let body = scene.answered(&row, instruction, result, said);
    scene.log.enter(body)?;
    scene.check();
    Ok(())
}

fn refused(scene: &mut Scene, instruction: &str, result: PaymentResult, said: &str, what: &str) {
    let row = scene.fee().clone();
    let body = scene.answered(&row, instruction, result, said);
    scene.log.refused(body, Code::PaymentState, what);
}

fn deposit() -> Scene {
    let mut scene = with(TermKind::Escrow, Trigger::Completed, 700, None);
    scene.order();
    scene
}

/// A deposit that is blocked, and a run that it serves.
fn funded() -> Scene {
    let mut scene = deposit();
    scene.answer(PaymentResult::Blocked, "b").unwrap();
    scene.check_in().unwrap();
    scene
}

fn completed(mut scene: Scene) -> Scene {
    let body = scene.completed();
    scene.log.enter(body).unwrap();
    scene
}

fn standing(scene: &Scene) -> (PaymentState, Standing) {
    (state(scene), scene.fee().standing)
}

#[test]
fn an_instruction_goes_forwards_on_its_way_and_no_money_moves_by_it() {
    use PaymentResult::{Accepted, Failed, Returned, Settled, Submitted};
    let mut scene = with(TermKind::PerRun, Trigger::Completed, 900, None);
    scene.run().unwrap();
    let mut scene = completed(scene);
    let first = scene.fee().instruction_id().unwrap();
    let moved = |scene: &Scene| scene.log.state.books().transfers().count();
    let before = moved(&scene);
    assert_eq!(standing(&scene), (PaymentState::Instructed, Standing::Created));
    tell(&mut scene, &first, Submitted, "s").unwrap();
    assert_eq!(standing(&scene), (PaymentState::Instructed, Standing::Submitted));
    refused(&mut scene, &first, Submitted, "s again", "it stands there already");
    tell(&mut scene, &first, Accepted, "a").unwrap();
    assert_eq!(standing(&scene), (PaymentState::Instructed, Standing::Accepted));
    refused(&mut scene, &first, Submitted, "late", "backwards");
    assert_eq!(moved(&scene), before, "a word about the way moves no money");
    let row = scene.fee().clone();
    let Body::PaymentAnswered { callback } = scene.answered(&row, &first, Accepted, "more") else { panic!() };
    let mut other = callback.read_unverified().unwrap();
    other.amount_minor = minor(901);
    scene.log.refused(Body::PaymentAnswered { callback: by(&other, &[PSP]) }, Code::PaymentState, "another amount");

    tell(&mut scene, &first, Settled, "paid").unwrap();
    assert_eq!(standing(&scene), (PaymentState::Settled, Standing::Settled));
    refused(&mut scene, &first, Accepted, "late", "it is settled");
    tell(&mut scene, &first, Returned, "back").unwrap();
    assert_eq!(standing(&scene), (PaymentState::Due, Standing::Returned), "the booking is reversed");
    refused(&mut scene, &first, Accepted, "late", "it came back");
    scene.days(3);
    assert_eq!(scene.tick(), 1);
    assert_eq!(
        standing(&scene),
        (PaymentState::Instructed, Standing::Created),
        "a new instruction, from the beginning"
    );
    refused(&mut scene, &first, Accepted, "late", "of an old instruction");
    let second = scene.fee().instruction_id().unwrap();
    tell(&mut scene, &second, Accepted, "at once").unwrap();
    tell(&mut scene, &second, Failed, "no").unwrap();
    assert_eq!(standing(&scene), (PaymentState::Due, Standing::Failed));
    tell(&mut scene, &second, Settled, "after all").unwrap();
    assert_eq!(standing(&scene), (PaymentState::Settled, Standing::Settled));
}

#[test]
fn a_block_that_is_gone_came_back_and_what_is_told_beside_a_payment_is_not_its_way() {
    let mut scene = deposit();
    scene.answer(PaymentResult::Submitted, "s").unwrap();
    scene.answer(PaymentResult::Blocked, "b").unwrap();
    assert_eq!(standing(&scene), (PaymentState::Blocked, Standing::Settled));
    scene.answer(PaymentResult::Failed, "gone").unwrap();
    assert_eq!(standing(&scene), (PaymentState::Refunded, Standing::Returned));
    scene.check();

    let mut scene = completed(funded());
    let block = scene.fee().blocked_by.clone().unwrap();
    scene.answer(PaymentResult::Accepted, "a").unwrap();
    tell(&mut scene, &block, PaymentResult::Failed, "gone").unwrap();
    assert_eq!(standing(&scene), (PaymentState::Instructed, Standing::Accepted), "the payment goes on");
}

#[test]
fn a_key_service_does_not_set_its_own_bill() {
    let mut scene = Scene::signed(|contract| {
        let mut term = fee(contract, TermKind::PerEpsilon, Trigger::KeysReleased, 1);
        term.dataset_id = Some(contract.datasets[0].dataset_id.clone());
        contract.payment.push(term);
    });
    scene.run().unwrap();
    let house = scene.house();
    let released =
        || KmsStatement::Released { reservation_id: read(id("rsv", 1).into()), jwe_sha256: vec![Digest([1; 32])] };
    type Spoil = fn(&mut KmsReceipt);
    let spoilt: [(&str, Spoil); 7] = [
        ("ten times the ε", |r| r.charges[0].epsilon_micro *= 10),
        ("one more", |r| r.charges[0].epsilon_micro += 1),
        ("other mechanisms", |r| r.charges[0].mechanisms.clear()),
        ("another level", |r| r.charges[0].level = 0),
        ("another factor", |r| r.charges[0].factor = 2),
        ("no charge", |r| r.charges.clear()),
        ("a charge twice", |r| r.charges.push(r.charges[0].clone())),
    ];
    for (what, spoil) in spoilt {
        let mut forged = receipt(&house, 0, 1, Digest([0; 32]), released());
        spoil(&mut forged);
        scene.log.refused(Body::KmsStated { receipt: by_kms(&forged) }, Code::ReceiptMismatch, what);
    }
    (0..3).for_each(|n| scene.log.enter(scene.released(n)).unwrap());
    let micro = plan().charges[0].epsilon_micro;
    assert_eq!(scene.fee().obligation.amount_minor, minor(micro as i64), "what the plan charges");
    scene.check();
}

#[test]
fn no_model_is_handed_over_whose_deposit_is_gone() {
    let handed = Body::ModelHandedOver { run_id: read(id("run", 1).into()) };
    // What was paid came back: nothing is blocked for it any more.
    let mut scene = completed(funded());
    scene.answer(PaymentResult::Settled, "s").unwrap();
    scene.answer(PaymentResult::Returned, "back").unwrap();
    scene.log.refused(handed.clone(), Code::EscrowNotFunded, "paid and returned");
    scene.days(3);
    assert_eq!(scene.tick(), 1);
    scene.log.refused(handed.clone(), Code::EscrowNotFunded, "asked anew without a block");
    scene.answer(PaymentResult::Settled, "s2").unwrap();
    scene.log.enter(handed.clone()).unwrap();
    // A payment that failed is tried again out of the block, which stands.
    let mut scene = completed(funded());
    scene.answer(PaymentResult::Failed, "f").unwrap();
    scene.check();
    let block = scene.fee().blocked_by.clone().unwrap();
    let mut lapsed = completed(funded());
    lapsed.answer(PaymentResult::Failed, "f").unwrap();
    tell(&mut lapsed, &block, PaymentResult::Failed, "gone").unwrap();
    assert_eq!(state(&lapsed), PaymentState::Due, "it is owed all the same");
    lapsed.log.refused(handed.clone(), Code::EscrowNotFunded, "its block lapsed");
    lapsed.days(3);
    assert_eq!(lapsed.tick(), 1, "and asked again");
    scene.log.enter(handed.clone()).unwrap();
    // The block is gone while the payment out of it is under way: the payment goes on, and is waited for.
    let mut scene = completed(funded());
    let block = scene.fee().blocked_by.clone().unwrap();
    tell(&mut scene, &block, PaymentResult::Failed, "gone").unwrap();
    assert_eq!(state(&scene), PaymentState::Instructed);
    scene.check();
    scene.log.refused(handed.clone(), Code::EscrowNotFunded, "its block lapsed under way");
    refused(&mut scene, &block, PaymentResult::Failed, "gone again", "it lapses once");
    scene.answer(PaymentResult::Settled, "s").unwrap();
    scene.check();
    scene.log.enter(handed).unwrap();
}

#[test]
fn a_settlement_that_came_back_settles_no_later_attempt() {
    let mut scene = with(TermKind::PerRun, Trigger::Completed, 900, None);
    scene.run().unwrap();
    let mut scene = completed(scene);
    let first = scene.fee().instruction_id().unwrap();
    scene.answer(PaymentResult::Settled, "s0").unwrap();
    scene.answer(PaymentResult::Returned, "back").unwrap();
    scene.days(3);
    assert_eq!(scene.tick(), 1);
    let second = scene.fee().instruction_id().unwrap();
    assert_ne!(first, second);
    refused(&mut scene, &first, PaymentResult::Settled, "s0", "old news, signed anew");
    refused(&mut scene, &first, PaymentResult::Failed, "f0", "an old attempt's failure");
    refused(&mut scene, &first, PaymentResult::Returned, "back", "an old attempt's return");
    assert_eq!(state(&scene), PaymentState::Instructed);
    tell(&mut scene, &first, PaymentResult::Settled, "s0 again").unwrap();
    assert_eq!((state(&scene), suspense(&scene, PSP)), (PaymentState::Instructed, 900), "money, but not for this");
    tell(&mut scene, &second, PaymentResult::Settled, "s1").unwrap();
    assert_eq!(state(&scene), PaymentState::Settled);
    refused(&mut scene, &first, PaymentResult::Returned, "late", "another payment settled it");
    tell(&mut scene, &second, PaymentResult::Returned, "r1").unwrap();
    assert_eq!(state(&scene), PaymentState::Due);
}

#[test]
fn two_attempts_that_both_pay_are_one_payment_and_one_amount_in_suspense() {
    let mut scene = with(TermKind::PerRun, Trigger::Completed, 900, None);
    scene.run().unwrap();
    let mut scene = completed(scene);
    let first = scene.fee().instruction_id().unwrap();
    scene.answer(PaymentResult::Failed, "f0").unwrap();
    scene.days(3);
    assert_eq!(scene.tick(), 1);
    let second = scene.fee().instruction_id().unwrap();
    tell(&mut scene, &first, PaymentResult::Settled, "same").unwrap();
    // Also under the reference of the first: another instruction is another payment.
    tell(&mut scene, &second, PaymentResult::Settled, "same").unwrap();
    assert_eq!((state(&scene), suspense(&scene, PSP)), (PaymentState::Settled, 900));
    refused(&mut scene, &second, PaymentResult::Returned, "r", "the payment in suspense is not the one that stands");
    tell(&mut scene, &first, PaymentResult::Returned, "r").unwrap();
    assert_eq!(state(&scene), PaymentState::Due);
}

#[test]
fn a_block_belongs_to_its_own_instruction_and_a_second_one_goes_back() {
    let mut scene = deposit();
    let first = scene.fee().instruction_id().unwrap();
    scene.answer(PaymentResult::Failed, "f0").unwrap();
    scene.days(1);
    scene.log.now = scene.log.now.min(scene.house().job.expires_at.plus_seconds(-600));
    assert_eq!(scene.tick(), 1);
    let second = scene.fee().instruction_id().unwrap();
    tell(&mut scene, &first, PaymentResult::Blocked, "b0").unwrap();
    refused(&mut scene, &second, PaymentResult::Failed, "f1", "another instruction's block does not lapse by it");
    assert_eq!(state(&scene), PaymentState::Blocked);
    refused(&mut scene, &first, PaymentResult::Blocked, "b0 again", "blocked once");
    tell(&mut scene, &second, PaymentResult::Blocked, "b1").unwrap();
    let own = first.clone();
    assert_eq!((scene.log.state.payment(&own).unwrap().state, scene.fees().len()), (PaymentState::Blocked, 2));
    let surplus = |scene: &Scene| {
        let other = |row: &&&PaymentRow| row.obligation.instruction_id != own;
        (*scene.fees().iter().find(other).unwrap()).clone()
    };
    let row = surplus(&scene);
    assert_eq!((row.state, row.act, row.blocked_by.as_deref()), (PaymentState::Refunding, Act::Refund, Some(&*second)));
    let back = scene.answered(&row, &row.instruction_id().unwrap(), PaymentResult::Refunded, "u");
    scene.log.enter(back).unwrap();
    assert_eq!(
        (surplus(&scene).state, scene.log.state.payment(&first).unwrap().state),
        (PaymentState::Refunded, PaymentState::Blocked)
    );
    let own = scene.log.state.payment(&first).unwrap().clone();
    let lapsed = scene.answered(&own, &first, PaymentResult::Failed, "gone");
    scene.log.enter(lapsed).unwrap();
    assert_eq!(scene.log.state.payment(&first).unwrap().state, PaymentState::Refunded);
    scene.check();
}

#[test]
fn a_providers_reference_is_one_line_of_a_hundred_characters() {
    let mut scene = with(TermKind::PerRun, Trigger::Completed, 900, None);
    scene.run().unwrap();
    let mut scene = completed(scene);
    for (reference, code) in [
        (String::new(), Code::LimitExceeded),
        ("x".repeat(101), Code::LimitExceeded),
        ("a\nb".into(), Code::SchemaMismatch),
        ("a\u{1b}[2Jb".into(), Code::SchemaMismatch),
    ] {
        for result in [PaymentResult::Settled, PaymentResult::Failed] {
            expect(scene.answer(result, &reference), code, &reference);
        }
    }
    scene.answer(PaymentResult::Settled, &"é".repeat(100)).unwrap();
}

/// A ruling for the payer about the fee, and how it then stands.
fn refund(scene: Scene) -> Money {
    let mut money = Money { scene };
    let owed = money.scene.fee().obligation.clone();
    let dispute = money.dispute(9, &owed, TDC);
    money.enter(Body::DisputeOpened { dispute: by(&dispute, &[TDC]) }).unwrap();
    let answer = money.answer(&dispute.dispute_id, CCRP);
    money.enter(Body::DisputeAnswered { answer: by(&answer, &[CCRP]) }).unwrap();
    let ruled = money.ruled(&dispute.dispute_id, Ruling::Refund {});
    money.enter(ruled).unwrap();
    money.scene.check();
    money
}

fn is_told_to_refund(scene: &Scene) {
    let row = scene.fee();
    assert_eq!((row.state, row.act, row.attempt), (PaymentState::Refunding, Act::Refund, 0));
}

#[test]
fn a_ruling_on_a_deposit_is_final_by_the_providers_answer_alone() {
    let instructed = || completed(funded());
    let due = || {
        let mut scene = instructed();
        scene.answer(PaymentResult::Failed, "f").unwrap();
        scene
    };
    let paid = || {
        let mut scene = instructed();
        scene.answer(PaymentResult::Settled, "s").unwrap();
        scene
    };
    for (at, scene) in [funded(), due(), instructed(), paid()].into_iter().enumerate() {
        let from_block = at < 3;
        let mut money = refund(scene);
        is_told_to_refund(&money.scene);
        assert_eq!(money.scene.fee().blocked_by.is_some(), from_block, "row {at}");
        assert_eq!(
            money.scene.log.state.books().is_owed_back(&money.scene.fee().obligation.instruction_id),
            !from_block
        );
        // It failed, and is tried again.
        money.scene.answer(PaymentResult::Failed, "f1").unwrap();
        money.scene.days(3);
        assert_eq!(money.scene.tick(), 1, "row {at}");
        assert_eq!((state(&money.scene), money.scene.fee().attempt), (PaymentState::Refunding, 1));
        let done = if from_block { PaymentResult::Refunded } else { PaymentResult::Settled };
        money.scene.answer(done, "u").unwrap();
        assert_eq!(state(&money.scene), PaymentState::Refunded, "row {at}");
        money.scene.check();
    }
    // No model for a deposit that a ruling gave back.
    let mut money = refund(funded());
    let completed = money.scene.completed();
    money.scene.log.refused(completed, Code::EscrowNotFunded, "the SRO ruled for the payer");
    // What was paid comes back as the very payment, too.
    let scene = paid();
    let pay = scene.fee().instruction_id().unwrap();
    let mut money = refund(scene);
    tell(&mut money.scene, &pay, PaymentResult::Returned, "back").unwrap();
    assert_eq!(state(&money.scene), PaymentState::Refunded);
    // Paid out although it was ruled: that money is somebody's, and the block is still to go back.
    let scene = instructed();
    let pay = scene.fee().instruction_id().unwrap();
    let mut money = refund(scene);
    tell(&mut money.scene, &pay, PaymentResult::Settled, "s").unwrap();
    assert_eq!((state(&money.scene), suspense(&money.scene, PSP)), (PaymentState::Refunding, 700));
}

#[test]
fn a_block_goes_back_where_money_from_suspense_pays() {
    let mut scene = completed(funded());
    scene.answer(PaymentResult::Failed, "f").unwrap();
    let block = scene.fee().blocked_by.clone();
    let owed = scene.fee().obligation.instruction_id.clone();
    let mut money = Money { scene };
    let id: DisputeId = money.suspended("bank-1", 700);
    let body = money.ruled(&id, Ruling::Release { instruction_id: owed.clone() });
    money.enter(body).unwrap();
    money.scene.check();
    assert_eq!(money.scene.log.state.payment(&owed).unwrap().state, PaymentState::Settled);
    let other = |row: &&&PaymentRow| row.obligation.instruction_id != owed;
    let beside = (*money.scene.fees().iter().find(other).unwrap()).clone();
    assert_eq!((beside.state, beside.act, &beside.blocked_by), (PaymentState::Refunding, Act::Refund, &block));
    let escrow = AccountId { owner: did(TDC), currency: inr(), kind: AccountKind::Escrow };
    assert_eq!(money.scene.log.state.books().account(&escrow).balance(), 700);
    let back = money.scene.answered(&beside, &beside.instruction_id().unwrap(), PaymentResult::Refunded, "u");
    money.enter(back).unwrap();
    assert_eq!(money.scene.log.state.books().account(&escrow).balance(), 0);
}

#[test]
fn a_stranger_to_a_payment_does_not_hold_its_dispute() {
    let mut money = Money::owed();
    let owed = money.obligation(0);
    for who in [provider(1), CCRP.to_owned()] {
        let dispute = money.dispute(1, &owed, &who);
        money.scene.log.refused(Body::DisputeOpened { dispute: by(&dispute, &[&who]) }, Code::SignerNotParty, &who);
    }
    for (n, who) in [(1, provider(0)), (2, TDC.to_owned())] {
        let owed = money.obligation(n as usize - 1);
        let dispute = money.dispute(n, &owed, &who);
        money.enter(Body::DisputeOpened { dispute: by(&dispute, &[&who]) }).unwrap();
    }
}
