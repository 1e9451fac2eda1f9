//! What stands beside the log: keys and challenges that count once, first signatures, the order queue, deliveries.

use std::collections::BTreeSet;

use registry::{
    Attempt, Begun, Endpoint, Finished, LeasedDelivery, OPEN_CHALLENGES, OrderState, PING, Registry, StoredChallenge,
    TOPICS, Wish,
};
use schemas::bundle::{JobBundle, Logged};
use schemas::event::{Body, PaymentResult};
use schemas::id::{ChallengeId, Did, EndpointId, RunId};
use schemas::party::Decision;
use schemas::text::Bytes;
use schemas::{Code, Digest, Timestamp, canonical};
use serde_json::Value;
use signing::FileKey;

use crate::house::{House, start, uuid};
use crate::papers;

#[test]
fn an_idempotency_key_answers_the_same_request_and_no_other() {
    let house = House::empty();
    let registry = &house.registry;
    let (one, two) = (Digest::of(b"one"), Digest::of(b"two"));
    let begin = |client: &str, request: &Digest, after: i64| {
        registry.begin_request(client, "POST /v1/x", "k", request, start().plus_seconds(after))
    };
    assert_eq!(begin("a", &one, 0).unwrap(), Begun::Fresh);
    assert_eq!(begin("a", &one, 1).unwrap(), Begun::Running);
    assert_eq!(begin("b", &two, 1).unwrap(), Begun::Fresh);
    assert_eq!(begin("a", &two, 1).unwrap_err().code, Code::IdempotencyKeyReused);
    registry.finish_request("a", "POST /v1/x", "k", 201, b"{}").unwrap();
    assert_eq!(begin("a", &one, 2).unwrap(), Begun::Answered { status: 201, answer: b"{}".to_vec() });
    registry.forget_request("a", "POST /v1/x", "k").unwrap();
    assert!(matches!(begin("a", &one, 3).unwrap(), Begun::Answered { .. }), "an answer is not forgotten");
    registry.forget_request("b", "POST /v1/x", "k").unwrap();
    assert_eq!(begin("b", &one, 3).unwrap(), Begun::Fresh);
    assert_eq!(begin("b", &one, 70).unwrap(), Begun::Fresh, "lost with its process");
    assert_eq!(begin("a", &two, 86_500).unwrap(), Begun::Fresh, "a day later");
}

#[test]
fn an_assertion_is_used_once_also_by_many_at_once() {
    let house = House::empty();
    let issuer = house.tdc.did().unwrap();
    let used = |n: i64| {
        house.registry.use_jti(&issuer, "0123456789abcdef", start().plus_seconds(120), start().plus_seconds(n))
    };
    let codes: Vec<Option<Code>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..16).map(|_| scope.spawn(|| used(0).err().map(|e| e.code))).collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    });
    assert_eq!(codes.iter().filter(|c| c.is_none()).count(), 1);
    assert!(codes.iter().flatten().all(|c| *c == Code::TokenReplayed));
    house.registry.use_jti(&house.ccrp.did().unwrap(), "0123456789abcdef", start().plus_seconds(120), start()).unwrap();
}

fn challenge(house: &House) -> StoredChallenge {
    StoredChallenge {
        challenge_id: ChallengeId::new(uuid()),
        nonce: Bytes(vec![7; 32]),
        run_id: RunId::new(uuid()),
        job_sha256: Digest([1; 32]),
        contracts: vec![schemas::contract::ContractRef { id: house.draft().contract_id, sha256: Digest([2; 32]) }],
        expires_at: start().plus_seconds(120),
        checkpoint: house.registry.head().unwrap(),
    }
}

#[test]
fn a_challenge_is_consumed_once_and_in_time() {
    let mut house = House::empty();
    let (one, late) = (challenge(&house), challenge(&house));
    house.registry.issue_challenge(&one, start()).unwrap();
    house.registry.issue_challenge(&late, start()).unwrap();
    let consume = |house: &House, c: &StoredChallenge, after: i64| {
        house.registry.consume_challenge(&c.challenge_id, start().plus_seconds(after))
    };
    assert_eq!(consume(&house, &one, 119).unwrap(), one);
    assert_eq!(consume(&house, &one, 119).unwrap_err().code, Code::ChallengeUsed);
    assert_eq!(consume(&house, &late, 120).unwrap_err().code, Code::ChallengeExpired);
    assert_eq!(consume(&house, &late, 1).unwrap_err().code, Code::ChallengeUsed, "an expired one is used up too");
    house.reopen().unwrap();
    assert_eq!(consume(&house, &one, 119).unwrap_err().code, Code::ChallengeUsed, "also after a restart");
    let unknown = challenge(&house);
    assert_eq!(consume(&house, &unknown, 1).unwrap_err().code, Code::ChallengeUnknown);
}

#[test]
fn two_hundred_challenges_of_a_contract_may_be_open() {
    let house = House::empty();
    for _ in 0..OPEN_CHALLENGES {
        house.registry.issue_challenge(&challenge(&house), start()).unwrap();
    }
    assert_eq!(house.registry.issue_challenge(&challenge(&house), start()).unwrap_err().code, Code::RateLimited);
    let mut other = challenge(&house);
    other.contracts[0].sha256 = Digest([3; 32]);
    house.registry.issue_challenge(&other, start()).unwrap();
    house.registry.issue_challenge(&challenge(&house), start().plus_seconds(121)).unwrap();
}

#[test]
fn first_signatures_wait_for_the_second_person() {
    let mut house = House::empty();
    house.apply(&house.tdc, schemas::party::Kind::Tdc).unwrap();
    let state = house.registry.state();
    let document = papers::decision(state.participant(&house.tdc.did().unwrap()).unwrap(), Decision::Verified, start());
    let (first, second) = (house.sign(&document, &house.sro[0]), house.sign(&document, &house.sro[1]));
    for _ in 0..2 {
        assert_eq!(house.registry.collect(&first, start()).unwrap().signatures.len(), 1);
    }
    house.reopen().unwrap();
    let both = house.registry.collect(&second, start()).unwrap();
    assert_eq!(both.signatures.len(), 2);
    house.enter(Body::ParticipantDecided { decision: both }).unwrap();
    assert_eq!(house.registry.collect(&second, start()).unwrap().signatures.len(), 1, "entering drops what was kept");
    let later = start().plus_seconds(8 * 86_400);
    assert_eq!(house.registry.collect(&first, later).unwrap().signatures.len(), 1, "after a week it is forgotten");
}

/// The key of a kept signature may end before the second person signs: the first one signs again, under the key it has now.
#[test]
fn who_signs_again_under_another_key_is_known_by_the_newer_signature() {
    let house = House::empty();
    house.apply(&house.tdc, schemas::party::Kind::Tdc).unwrap();
    let state = house.registry.state();
    let document = papers::decision(state.participant(&house.tdc.did().unwrap()).unwrap(), Decision::Verified, start());
    let next = FileKey::generate_for(&house.sro[0].did().unwrap()).unwrap();
    let (first, second) = (house.sign(&document, &house.sro[0]), house.sign(&document, &house.sro[1]));
    let anew = house.sign(&document, &next);
    let collect = |envelope, after| house.registry.collect(envelope, start().plus_seconds(after)).unwrap().signatures;
    assert_eq!(collect(&first, 0), first.signatures);
    assert_eq!(collect(&anew, 60), anew.signatures, "the old one is not kept beside it");
    assert_eq!(collect(&anew, 61), anew.signatures);
    let acts = house.registry.pending_acts(start().plus_seconds(61)).unwrap();
    assert_eq!(
        acts.iter().map(|act| (&act.signatures, act.since)).collect::<Vec<_>>(),
        [(&anew.signatures, start())],
        "its week goes on"
    );
    assert_eq!(collect(&second, 62), [anew.signatures[0].clone(), second.signatures[0].clone()]);
}

#[test]
fn an_order_is_leased_by_one_agent_until_a_run_checks_in() {
    let mut house = House::furnished();
    let (contract, _) = house.executed();
    let job = house.sign(&house.job(&contract), &house.tdc);
    let state = house.registry.state();
    let row = state.image_set(&papers::image_set_id()).unwrap();
    let receipt = house.registry.receipt(row.index).unwrap();
    let bundle = JobBundle {
        job: job.clone(),
        contracts: vec![],
        offers: vec![],
        participants: vec![],
        image_set: Logged { envelope: row.envelope.clone(), receipt },
        renewals: vec![],
        log_keys: None,
    };
    let entry = house.registry.order(&bundle, house.now()).unwrap();
    assert!(matches!(entry.body, Body::RunOrdered { .. }));
    assert_eq!(house.registry.order(&bundle, house.now()).unwrap_err().code, Code::StateTransition);
    house.reopen().unwrap();
    let (registry, sha256, ccrp) = (&house.registry, job.digest(), house.ccrp.did().unwrap());
    let at = |n: i64| start().plus_seconds(1000 + n);
    assert_eq!(registry.order_state(&sha256, at(0)).unwrap(), Some(OrderState::Requested));
    assert_eq!(registry.order_state(&Digest([0; 32]), at(0)).unwrap(), None);
    assert!(registry.lease_order(&house.tdc.did().unwrap(), 60, at(0)).unwrap().is_none());
    let lease = registry.lease_order(&ccrp, 60, at(0)).unwrap().unwrap();
    assert_eq!(schemas::canonical::parse::<JobBundle>(&lease.bundle).unwrap(), bundle);
    assert_eq!(registry.order_bundle(&sha256).unwrap().as_ref(), Some(&lease.bundle));
    assert!(registry.lease_order(&ccrp, 60, at(59)).unwrap().is_none());
    registry.require_lease(&sha256, &lease.lease_token, at(59)).unwrap();
    assert_eq!(registry.require_lease(&sha256, "other", at(1)).unwrap_err().code, Code::LeaseExpired);
    assert_eq!(registry.require_lease(&sha256, &lease.lease_token, at(60)).unwrap_err().code, Code::LeaseExpired);
    assert_eq!(registry.order_state(&sha256, at(59)).unwrap(), Some(OrderState::Leased));
    assert_eq!(registry.order_state(&sha256, at(60)).unwrap(), Some(OrderState::Requested));
    assert!(registry.lease_order(&ccrp, 60, at(60)).unwrap().is_some());
    house.run_of(job);
    assert_eq!(house.registry.order_state(&sha256, at(500)).unwrap(), Some(OrderState::Started));
    assert!(house.registry.lease_order(&ccrp, 60, at(500)).unwrap().is_none());
}

pub fn endpoint(owner: &Did, events: &[&str]) -> Endpoint {
    Endpoint {
        endpoint_id: EndpointId::new(uuid()),
        owner: owner.clone(),
        url: "https://hooks.example/x".into(),
        events: events.iter().map(|e| (*e).to_owned()).collect(),
        secret: b"a secret of at least 24 bytes".to_vec(),
        seed: [5; 32],
        created_at: start(),
        disabled_at: None,
        ordered: false,
        paused_at: None,
        disabled_why: None,
        failing_since: None,
        former: None,
    }
}

/// A wish for everything that is due, of every endpoint.
pub fn lease(registry: &Registry, most: u32, now: Timestamp) -> Vec<LeasedDelivery> {
    let listeners = registry.listeners().unwrap();
    let wish = |e: &std::sync::Arc<Endpoint>| Wish { endpoint_id: e.endpoint_id.clone(), most, ordered: e.ordered };
    let wishes: Vec<Wish> = listeners.all().filter(|e| e.paused_at.is_none()).map(wish).collect();
    let deliveries = registry.lease_deliveries(&wishes, 30, now).unwrap().deliveries;
    deliveries.iter().for_each(as_listed);
    deliveries
}

/// A message holds the members that its kind is listed with: all, but those that may be missing, and no other.
fn as_listed(delivery: &LeasedDelivery) {
    let body: Value = canonical::parse_value(delivery.payload.as_bytes()).unwrap();
    let listed = TOPICS.iter().find(|topic| topic.name == delivery.topic.as_str()).map(|topic| topic.holds);
    let holds: &[&str] = listed.unwrap_or_else(|| {
        assert_eq!(delivery.topic, PING, "no listed kind");
        &["endpoint_id"]
    });
    let found: BTreeSet<&str> = body["data"].as_object().unwrap().keys().map(String::as_str).collect();
    let always: BTreeSet<&str> = holds.iter().copied().filter(|member| !member.ends_with('?')).collect();
    let listed: BTreeSet<&str> = holds.iter().map(|member| member.trim_end_matches('?')).collect();
    assert!(always.is_subset(&found) && found.is_subset(&listed), "{}: {found:?}", delivery.topic);
}

/// The end of an attempt, as it is written down.
pub fn ended(delivery: &LeasedDelivery, attempt: Attempt) -> Finished {
    Finished {
        delivery_id: delivery.delivery_id.clone(),
        lease_token: delivery.lease_token.clone(),
        endpoint_id: delivery.endpoint_id.clone(),
        attempt,
        millis: 7,
        answer: Some("an answer".into()),
        history: delivery.history.clone(),
    }
}

#[test]
fn what_an_entry_tells_reaches_those_concerned_once() {
    let mut house = House::furnished();
    let all = ["payment.instructed", "run.completed", "contract.activated", "contract.revoked"];
    let (tdp, ccrp, psp) = (house.tdps[0].did().unwrap(), house.ccrp.did().unwrap(), house.psp.did().unwrap());
    house.registry.add_endpoint(&endpoint(&tdp, &all)).unwrap();
    house.registry.add_endpoint(&endpoint(&ccrp, &["run.completed"])).unwrap();
    let run = house.running();
    let completion = house.completion(&run);
    house.complete(&run, &completion).unwrap();
    assert_eq!(house.complete(&run, &completion).unwrap_err().code, Code::CompletionExists);
    house.reopen().unwrap();
    let now = start().plus_seconds(5000);
    // contract.activated and run.completed to the TDP, run.completed to the room provider; payments wait for a PSP.
    assert_eq!(house.registry.dispatch(now).unwrap().count(), 3);
    assert_eq!(house.registry.dispatch(now).unwrap().count(), 0);
    let to = endpoint(&psp, &["payment.instructed"]);
    house.registry.add_endpoint(&to).unwrap();
    assert_eq!(house.registry.dispatch(now).unwrap().count(), 3, "both to the PSP, its own to the TDP");
    assert_eq!(house.registry.dispatch(now).unwrap().count(), 0);

    let leased = lease(&house.registry, 100, now);
    assert_eq!(leased.len(), 6);
    assert!(lease(&house.registry, 100, now).is_empty());
    let to_psp: Vec<_> = leased.iter().filter(|d| d.endpoint_id == to.endpoint_id).collect();
    assert_eq!(to_psp.len(), 2);
    let owed = house.registry.state();
    for delivery in &to_psp {
        let message: serde_json::Value = serde_json::from_str(&delivery.payload).unwrap();
        assert_eq!(message["type"], "payment.instructed");
        assert!(message["timestamp"].is_string() && !delivery.message_id.contains('.'));
        let row = owed.payment(message["data"]["instruction_id"].as_str().unwrap()).unwrap();
        assert_eq!(serde_json::to_value(&row.obligation).unwrap(), message["data"]);
    }
    let finish = |n: usize, attempt| {
        house.registry.finish_deliveries(vec![ended(&leased[n], attempt)], 432_000, now).unwrap().lost == 0
    };
    assert!(finish(0, Attempt::Delivered { status: 200 }));
    assert!(!finish(0, Attempt::Delivered { status: 200 }), "the lease is over");
    assert!(finish(1, Attempt::Retry { status: Some(503), not_before: now.plus_seconds(5) }));
    assert!(finish(2, Attempt::Dead { status: None, gone: false }));
    assert!(lease(&house.registry, 100, now.plus_seconds(4)).is_empty());
    let again = lease(&house.registry, 100, now.plus_seconds(5));
    assert_eq!((again.len(), again[0].attempts), (1, 1));
    assert_eq!(again[0].delivery_id, leased[1].delivery_id);
    // Leases that ran out come back; what is delivered or dead does not.
    assert_eq!(lease(&house.registry, 100, now.plus_seconds(60)).len(), 4);
    let mut states = Vec::new();
    for owner in [&tdp, &ccrp, &psp] {
        states.extend(house.registry.deliveries(owner, &Default::default(), 50).unwrap().into_iter().map(|d| d.state));
    }
    states.sort_unstable();
    assert_eq!(states, ["dead", "delivered", "pending", "pending", "pending", "pending"]);
    house.pays(&owed.payments().next().unwrap().obligation.clone(), PaymentResult::Settled).unwrap();
}

#[test]
fn endpoints_are_limited_and_can_be_switched_off_and_show_no_secret() {
    let house = House::empty();
    let owner = house.tdc.did().unwrap();
    for _ in 0..20 {
        house.registry.add_endpoint(&endpoint(&owner, &["run.completed"])).unwrap();
    }
    assert_eq!(house.registry.add_endpoint(&endpoint(&owner, &[])).unwrap_err().code, Code::LimitExceeded);
    let all = house.registry.endpoints(&owner).unwrap();
    house.registry.disable_endpoint(&all[0].endpoint_id, "why", start()).unwrap();
    assert_eq!(house.registry.endpoints(&owner).unwrap().iter().filter(|e| e.disabled_at.is_some()).count(), 1);
    house.registry.add_endpoint(&endpoint(&owner, &[])).unwrap();
    assert!(!format!("{:?}", all[0]).contains("secret"));
}
