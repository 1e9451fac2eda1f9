//! Payouts to data principals: what is set aside, and batches that split it.

use policies::Code;
use policies::lifecycle::{AccountId, AccountKind};
use schemas::event::Body;
use schemas::payout::{PayoutBatch, PrincipalPool};

use crate::fixtures::{House, REGISTRY, TDC, did, expect, now, provider};
use crate::log::by;
use crate::money_scene::{Money, entered, inr, minor, people};

fn pool(money: &Money) -> i128 {
    let id = AccountId { owner: did(&provider(0)), currency: inr(), kind: AccountKind::PrincipalPool };
    money.scene.log.state.books().account(&id).balance()
}

#[test]
fn the_principals_part_is_set_aside_once_and_set_back_with_the_money() {
    let mut money = Money::owed();
    assert_eq!(pool(&money), 0, "nothing is paid yet");
    money.settle(0);
    money.settle(1);
    assert_eq!(pool(&money), 50_000, "a tenth of what provider 0 got, nothing of provider 1");
    let returned = money.callback(&money.obligation(0), "returned", "back-0");
    money.enter(money.answered(&returned)).unwrap();
    assert_eq!(pool(&money), 0);
}

#[test]
fn money_that_comes_back_after_its_batch_is_the_provider_s_to_bear() {
    let mut money = Money::owed();
    money.settle(0);
    let (batch, _) = money.batch(&people(20));
    money.enter(entered(&batch)).unwrap();
    assert_eq!(pool(&money), i128::from(batch.carried_out_minor.get()));
    let returned = money.callback(&money.obligation(0), "returned", "back-0");
    money.enter(money.answered(&returned)).unwrap();
    assert_eq!(pool(&money), i128::from(batch.carried_out_minor.get()), "the batch stands");
}

#[test]
fn a_batch_is_entered_once_and_follows_on_the_one_before() {
    let mut money = Money::owed();
    money.settle(0);
    let (good, _) = money.batch(&people(20));
    assert!(good.paid_minor.get() > 0 && good.pool_minor == minor(50_000), "{good:?}");
    let mut refused = |spoil: &dyn Fn(&mut PayoutBatch), code, what: &str| {
        let mut bad = good.clone();
        spoil(&mut bad);
        money.scene.log.refused(entered(&bad), code, what);
    };
    refused(&|b| b.registry = did("did:web:other.example"), Code::WrongRegistry, "another registry");
    refused(&|b| b.at = b.at.plus_seconds(3_600), Code::SchemaMismatch, "of tomorrow");
    refused(&|b| b.provider = did(TDC), Code::ParticipantNotVerified, "no data provider");
    refused(&|b| b.provider = did(&provider(1)), Code::PayoutPool, "another's dataset");
    refused(&|b| b.version = 2, Code::PayoutPool, "no such version");
    refused(&|b| b.currency = schemas::money::Currency::parse("EUR").unwrap(), Code::PayoutPool, "another currency");
    refused(&|b| b.settled = vec!["B".repeat(32)], Code::PayoutPool, "nothing was set aside for it");
    refused(&|b| b.settled.push(b.settled[0].clone()), Code::SchemaMismatch, "one part twice");
    refused(&|b| b.settled.clear(), Code::SchemaMismatch, "of nothing");
    refused(&|b| b.seq = 2, Code::PayoutChain, "a gap");
    refused(&|b| b.previous = Some(schemas::Digest([1; 32])), Code::PayoutChain, "after another batch");
    let carries = |b: &mut PayoutBatch| {
        b.carried_in_minor = minor(1);
        b.paid_minor = minor(b.paid_minor.get() + 1);
    };
    refused(&carries, Code::PayoutChain, "carried in from nowhere");
    let larger = |b: &mut PayoutBatch| {
        b.pool_minor = minor(50_001);
        b.paid_minor = minor(b.paid_minor.get() + 1);
    };
    refused(&larger, Code::PayoutSums, "a larger pool than the parts");
    refused(&|b| b.paid_minor = minor(0), Code::PayoutSums, "it does not add up");
    refused(&|b| b.paid_principals = 3, Code::PayoutPrincipals, "three are paid");
    let other = Body::PayoutEntered { batch: by(&good, &[TDC]) };
    money.scene.log.refused(other, Code::SignerNotParty, "signed by another");

    money.enter(entered(&good)).unwrap();
    money.scene.log.refused(entered(&good), Code::PayoutExists, "the same again");
    let mut next = good.clone();
    next.seq = 2;
    next.previous = Some(money.scene.log.state.payouts(&good.dataset_id, 1).last().unwrap().envelope.digest());
    next.carried_in_minor = good.carried_out_minor;
    next.carried_out_minor = minor(good.carried_out_minor.get() * 2);
    money.scene.log.refused(entered(&next), Code::PayoutExists, "its part is split already");
    let mut weighed = next.clone();
    weighed.weights_sha256 = schemas::Digest([9; 32]);
    money.scene.log.refused(entered(&weighed), Code::PayoutChain, "other weights");
}

#[test]
fn an_offer_s_pool_is_one() {
    let registry = did(REGISTRY);
    let judge = |pool: PrincipalPool| {
        let mut offer = House::new().offers[0].clone();
        offer.principal_pool = Some(pool);
        policies::registration::offer(&offer, &registry, now())
    };
    let good = PrincipalPool { ppm: 1, minimum_minor: minor(0), at_least: 10 };
    judge(good.clone()).unwrap();
    expect(judge(PrincipalPool { ppm: 0, ..good.clone() }), Code::OfferInvalid, "no share");
    expect(judge(PrincipalPool { ppm: 1_000_001, ..good.clone() }), Code::OfferInvalid, "more than all");
    expect(judge(PrincipalPool { at_least: 9, ..good.clone() }), Code::OfferInvalid, "among nine");
    expect(judge(PrincipalPool { at_least: 2_120, ..good }), Code::OfferInvalid, "more than there are");
}
