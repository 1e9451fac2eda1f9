//! Deliveries in the database: order per contract, leases, endpoints that fail, what is sent again, what is forgotten.

use std::collections::{BTreeMap, BTreeSet};

use registry::{Asked, Attempt, DISABLED, Endpoint, Former, LeasedDelivery, PING, Wish};
use schemas::event::PaymentResult;
use schemas::party::Decision;
use schemas::{Code, Timestamp, canonical};
use serde_json::Value;

use crate::house::{House, start};
use crate::queues::{ended, endpoint, lease};

/// Seconds after which an endpoint that takes nothing is switched off.
const PATIENCE: i64 = 120 * 3600;

fn at(seconds: i64) -> Timestamp {
    start().plus_seconds(100_000 + seconds)
}

/// A house with two contracts in force, and an endpoint of the first provider for all that concerns contracts.
fn told(ordered: bool) -> (House, Endpoint) {
    let house = House::furnished();
    let to = Endpoint { ordered, ..endpoint(&house.tdps[0].did().unwrap(), &["contract.*"]) };
    house.registry.add_endpoint(&to).unwrap();
    house.executed();
    house.executed();
    while house.registry.dispatch(at(0)).unwrap().more {}
    (house, to)
}

fn finish(house: &House, deliveries: &[LeasedDelivery], attempt: Attempt, now: Timestamp) -> registry::Ended {
    let finished = deliveries.iter().map(|one| ended(one, attempt)).collect();
    house.registry.finish_deliveries(finished, PATIENCE, now).unwrap()
}

const TAKEN: Attempt = Attempt::Delivered { status: 204 };
const DEAD: Attempt = Attempt::Dead { status: Some(500), gone: false };

/// The contract that a message is about, and the index of its entry.
fn about(delivery: &LeasedDelivery) -> (String, u64) {
    let body: Value = canonical::parse_value(delivery.payload.as_bytes()).unwrap();
    let data = &body["data"];
    (data["contract"]["id"].as_str().unwrap().to_owned(), data["index"].as_u64().unwrap())
}

#[test]
fn an_ordered_endpoint_gets_one_after_the_other_of_each_contract() {
    let (house, to) = told(true);
    let mut seen: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    let mut rounds = 0;
    loop {
        let now = at(1000 * rounds);
        let leased = lease(&house.registry, 100, now);
        if leased.is_empty() {
            break;
        }
        let contracts: BTreeSet<String> = leased.iter().map(|one| about(one).0).collect();
        assert_eq!(contracts.len(), leased.len(), "one of each contract");
        assert!(lease(&house.registry, 100, now).is_empty(), "nothing before these are done");
        if rounds == 1 {
            // One of them has to wait: only its own contract waits with it.
            assert_eq!(leased.len(), 2);
            finish(&house, &leased[..1], Attempt::Retry { status: None, not_before: at(1900) }, now);
            finish(&house, &leased[1..], TAKEN, now);
            let others = lease(&house.registry, 100, now);
            assert_eq!(others.iter().map(|one| about(one).0).collect::<Vec<_>>(), [about(&leased[1]).0]);
            finish(&house, &others, TAKEN, now);
            seen.entry(about(&others[0]).0).or_default().extend([about(&leased[1]).1, about(&others[0]).1]);
            let wish = Wish { endpoint_id: to.endpoint_id.clone(), most: 100, ordered: true };
            let looked = house.registry.lease_deliveries(&[wish], 30, at(1899)).unwrap();
            finish(&house, &looked.deliveries, TAKEN, at(1899));
            looked.deliveries.iter().for_each(|one| seen.entry(about(one).0).or_default().push(about(one).1));
        } else {
            leased.iter().for_each(|one| seen.entry(about(one).0).or_default().push(about(one).1));
            // What is given up holds nothing up either.
            finish(&house, &leased, if rounds == 0 { DEAD } else { TAKEN }, now);
        }
        rounds += 1;
    }
    assert_eq!(seen.len(), 2);
    for (contract, indices) in seen {
        assert!(indices.len() >= 4 && indices.is_sorted(), "{contract}: {indices:?}");
    }
}

#[test]
fn an_endpoint_without_order_gets_everything_at_once_and_knows_when_the_next_is_due() {
    let (house, to) = told(false);
    let leased = lease(&house.registry, 100, at(0));
    assert!(leased.len() > 2);
    finish(&house, &leased, Attempt::Retry { status: Some(503), not_before: at(5) }, at(0));
    let wish = [Wish { endpoint_id: to.endpoint_id.clone(), most: 100, ordered: false }];
    let early = house.registry.lease_deliveries(&wish, 30, at(4)).unwrap();
    assert!(early.deliveries.is_empty());
    assert_eq!(early.next, [(to.endpoint_id.clone(), Some(at(5)))]);
    let again = house.registry.lease_deliveries(&wish, 30, at(5)).unwrap();
    assert_eq!((again.deliveries.len(), again.deliveries[0].attempts), (leased.len(), 1));
    assert_eq!(again.next, [(to.endpoint_id, None)]);
}

#[test]
fn what_a_process_had_taken_when_it_died_comes_again() {
    let (mut house, _) = told(false);
    let leased = lease(&house.registry, 100, at(0));
    house.reopen().unwrap();
    let sqlite = crate::database::url(&house.dir).starts_with("sqlite");
    let released = house.registry.release_leases().unwrap();
    assert_eq!(released, if sqlite { leased.len() } else { 0 });
    let now = if sqlite { at(1) } else { at(30) };
    let again = lease(&house.registry, 100, now);
    let ids = |all: &[LeasedDelivery]| all.iter().map(|one| one.message_id.clone()).collect::<BTreeSet<_>>();
    assert_eq!(ids(&again), ids(&leased));
    // The end of the lost attempt, should it come after all, changes nothing.
    assert_eq!(finish(&house, &leased, TAKEN, now).lost, leased.len());
    assert_eq!(finish(&house, &again, TAKEN, now).lost, 0);
}

#[test]
fn an_endpoint_that_takes_nothing_for_long_is_switched_off_and_its_owner_told() {
    let (house, to) = told(false);
    let owner = to.owner.clone();
    let other = endpoint(&owner, &["webhook.*"]);
    house.registry.add_endpoint(&other).unwrap();
    let own = |id: &schemas::id::EndpointId| {
        house.registry.endpoints(&owner).unwrap().into_iter().find(|e| e.endpoint_id == *id).unwrap()
    };
    let retry = |seconds| Attempt::Retry { status: None, not_before: at(seconds) };
    let leased = lease(&house.registry, 1, at(0));
    assert_eq!(finish(&house, &leased, retry(10), at(0)).disabled, BTreeSet::new());
    assert_eq!(own(&to.endpoint_id).failing_since, Some(at(0)));
    // One that is taken begins the count anew.
    let leased = lease(&house.registry, 1, at(10));
    finish(&house, &leased, TAKEN, at(10));
    assert_eq!(own(&to.endpoint_id).failing_since, None);
    let leased = lease(&house.registry, 1, at(20));
    finish(&house, &leased, retry(30), at(20));
    let almost = 20 + PATIENCE - 1;
    let leased = lease(&house.registry, 1, at(almost));
    assert_eq!(finish(&house, &leased, retry(almost), at(almost)).disabled, BTreeSet::new());
    let leased = lease(&house.registry, 1, at(20 + PATIENCE));
    let ended = finish(&house, &leased, retry(almost), at(20 + PATIENCE));
    assert_eq!(ended.disabled, BTreeSet::from([to.endpoint_id.clone()]));
    let off = own(&to.endpoint_id);
    assert!(off.disabled_at.is_some() && off.disabled_why.unwrap().starts_with("nothing was taken since"));
    let later = at(30 + PATIENCE);
    house.registry.dispatch(later).unwrap();
    let leased = lease(&house.registry, 100, later);
    assert_eq!(
        leased.iter().map(|one| (one.topic.as_str(), &one.endpoint_id)).collect::<Vec<_>>(),
        [(DISABLED, &other.endpoint_id)]
    );
    assert!(leased[0].payload.contains(to.endpoint_id.as_str()));
    // Switched on again it gets what waits.
    house.registry.resume_endpoint(&own(&to.endpoint_id)).unwrap();
    assert!(!lease(&house.registry, 100, later).is_empty());
    assert_eq!((own(&to.endpoint_id).failing_since, own(&to.endpoint_id).disabled_at), (None, None));
}

#[test]
fn an_endpoint_that_is_gone_is_switched_off_at_once() {
    let (house, to) = told(false);
    let leased = lease(&house.registry, 1, at(0));
    let ended = finish(&house, &leased, Attempt::Dead { status: Some(410), gone: true }, at(0));
    assert_eq!(ended.disabled, BTreeSet::from([to.endpoint_id.clone()]));
    assert!(lease(&house.registry, 100, at(1)).is_empty());
    let own = house.registry.endpoints(&to.owner).unwrap();
    assert_eq!(own[0].disabled_why.as_deref(), Some("it answered 410 Gone"));
}

#[test]
fn what_was_sent_or_given_up_can_be_sent_again_also_to_a_later_endpoint() {
    let (house, to) = told(false);
    let registry = &house.registry;
    let leased = lease(registry, 100, at(0));
    let (dead, taken) = leased.split_at(2);
    finish(&house, dead, DEAD, at(0));
    finish(&house, taken, TAKEN, at(0));
    assert!(lease(registry, 100, at(1)).is_empty());
    let recovered = registry.recover_dead(&to.endpoint_id, None, at(1)).unwrap();
    assert_eq!((recovered.deliveries, recovered.more), (2, false));
    let again = lease(registry, 100, at(1));
    assert_eq!((again.len(), again[0].attempts), (2, 0), "from the beginning of the schedule");
    finish(&house, &again, TAKEN, at(1));
    assert_eq!(registry.recover_dead(&to.endpoint_id, None, at(2)).unwrap().deliveries, 0);
    registry.replay_delivery(&taken[0].delivery_id, at(2)).unwrap();
    let again = lease(registry, 100, at(2));
    assert_eq!(again.iter().map(|one| &one.message_id).collect::<Vec<_>>(), [&taken[0].message_id], "under its old id");
    finish(&house, &again, TAKEN, at(2));
    // Another endpoint of the same owner, made later, and one of somebody whom most of it does not concern.
    let late = endpoint(&to.owner, &["*"]);
    registry.add_endpoint(&late).unwrap();
    let replayed = registry.replay_since(&late, start(), at(3)).unwrap();
    let sent = lease(registry, 1000, at(3));
    assert_eq!(replayed.deliveries as usize, sent.len());
    assert!(sent.len() >= leased.len() && sent.iter().all(|one| one.endpoint_id == late.endpoint_id));
    let stranger = endpoint(&house.psp.did().unwrap(), &["contract.*"]);
    registry.add_endpoint(&stranger).unwrap();
    assert_eq!(registry.replay_since(&stranger, start(), at(3)).unwrap().deliveries, 0);
    assert_eq!(registry.replay_since(&late, at(1_000_000), at(3)).unwrap().deliveries, 0);
}

#[test]
fn an_instruction_that_has_its_answer_goes_out_no_more() {
    let mut house = House::furnished();
    let psp = house.psp.did().unwrap();
    let to = endpoint(&psp, &["payment.instructed"]);
    house.registry.add_endpoint(&to).unwrap();
    let run = house.running();
    let completion = house.completion(&run);
    house.complete(&run, &completion).unwrap();
    house.registry.dispatch(at(0)).unwrap();
    let leased = lease(&house.registry, 100, at(0));
    assert_eq!(leased.len(), 2);
    finish(&house, &leased, DEAD, at(0));
    let instructed = |delivery: &LeasedDelivery| {
        let body: Value = canonical::parse_value(delivery.payload.as_bytes()).unwrap();
        let id = body["data"]["instruction_id"].as_str().unwrap();
        house.registry.state().payment(id).unwrap().obligation.clone()
    };
    house.pays(&instructed(&leased[0]), PaymentResult::Settled).unwrap();
    // Given up and answered: it is not sent once more, by itself or among others.
    let refused = house.registry.replay_delivery(&leased[0].delivery_id, at(1)).unwrap_err();
    assert_eq!(refused.code, Code::PaymentState);
    assert_eq!(house.registry.recover_dead(&to.endpoint_id, None, at(1)).unwrap().deliveries, 2);
    let again = lease(&house.registry, 100, at(1));
    assert_eq!(again.iter().map(|one| &one.delivery_id).collect::<Vec<_>>(), [&leased[1].delivery_id]);
    let given_up = house.registry.delivery(&psp, &leased[0].delivery_id).unwrap();
    assert_eq!((given_up.state, given_up.attempts), ("dead", 0));
    assert!(given_up.last_answer.unwrap().contains("has its answer"));
    let retry = Attempt::Retry { status: None, not_before: at(2) };
    finish(&house, &again, retry, at(1));
    // Nor by sending everything again, to this endpoint or to another of a provider's; the payer is told all the same.
    let tdc = house.tdc.did().unwrap();
    let payer = endpoint(&tdc, &["payment.instructed"]);
    house.registry.add_endpoint(&payer).unwrap();
    for endpoint in [&to, &payer] {
        assert_eq!(house.registry.replay_since(endpoint, start(), at(1)).unwrap().deliveries, 2);
    }
    let sent = lease(&house.registry, 100, at(1));
    let to_whom = |id| sent.iter().filter(|one| one.endpoint_id == id).count();
    assert_eq!((to_whom(to.endpoint_id.clone()), to_whom(payer.endpoint_id.clone())), (1, 2));
    finish(&house, &sent, retry, at(1));
    house.registry.delete_endpoint(&payer.endpoint_id, at(1)).unwrap();
    // What waits at an endpoint that was switched off is given up, if it was answered meanwhile.
    house.registry.pause_endpoint(&to.endpoint_id, at(1)).unwrap();
    house.pays(&instructed(&leased[1]), PaymentResult::Settled).unwrap();
    let own = house.registry.endpoints(&psp).unwrap().remove(0);
    house.registry.resume_endpoint(&own).unwrap();
    assert!(lease(&house.registry, 100, at(2)).is_empty());
    let dead = Asked { state: Some("dead".into()), ..Asked::default() };
    assert_eq!(house.registry.deliveries(&psp, &dead, 50).unwrap().len(), 2);
}

/// [`lease`] compares each message with the list; here are many kinds of them.
#[test]
fn messages_hold_what_their_kind_is_listed_with() {
    let mut house = House::furnished();
    for who in [&house.tdc, &house.tdps[0], &house.psp] {
        house.registry.add_endpoint(&endpoint(&who.did().unwrap(), &["*"])).unwrap();
    }
    let run = house.running();
    let completion = house.completion(&run);
    house.complete(&run, &completion).unwrap();
    house.decide(&house.tdc, Decision::Suspended).unwrap();
    while house.registry.dispatch(at(0)).unwrap().more {}
    let told: BTreeSet<String> = lease(&house.registry, 100, at(0)).into_iter().map(|one| one.topic).collect();
    for kind in [
        "participant.suspended",
        "contract.proposed",
        "contract.signed",
        "contract.activated",
        "contract.suspended",
        "run.attested",
        "run.completed",
        "payment.instructed",
    ] {
        assert!(told.contains(kind), "{kind}: {told:?}");
    }
}

#[test]
fn how_far_a_payment_is_is_told_to_payer_and_payee_and_to_nobody_else() {
    let mut house = House::furnished();
    let run = house.running();
    let completion = house.completion(&run);
    house.complete(&run, &completion).unwrap();
    house.registry.dispatch(at(0)).unwrap();
    let owed = house.registry.state().payments().next().unwrap().obligation.clone();
    let listens = |who| {
        let to = endpoint(&who, &["payment.*"]);
        house.registry.add_endpoint(&to).unwrap();
        to.endpoint_id
    };
    let parties = [listens(owed.payer.clone()), listens(owed.payee.clone())];
    listens(house.psp.did().unwrap());
    for (result, topic) in [
        (PaymentResult::Submitted, "payment.submitted"),
        (PaymentResult::Accepted, "payment.accepted"),
        (PaymentResult::Settled, "payment.settled"),
        (PaymentResult::Returned, "payment.returned"),
    ] {
        house.pays(&owed, result).unwrap();
        house.registry.dispatch(at(1)).unwrap();
        let sent = lease(&house.registry, 100, at(1));
        // Beside it goes what waits until a payment service provider listens.
        let told = sent.iter().filter(|one| one.topic != "payment.instructed");
        let to: Vec<_> = told.map(|one| (one.topic.as_str(), one.endpoint_id.clone())).collect();
        assert_eq!(to.len(), 2, "{topic}");
        assert!(parties.iter().all(|party| to.contains(&(topic, party.clone()))), "{topic}: {to:?}");
        finish(&house, &sent, TAKEN, at(1));
    }
}

#[test]
fn pauses_rotations_tests_and_the_end_of_an_endpoint() {
    let (house, to) = told(false);
    let registry = &house.registry;
    let own = || registry.endpoints(&to.owner).unwrap();
    let changes = registry.webhook_changes();
    registry.pause_endpoint(&to.endpoint_id, at(0)).unwrap();
    assert!(registry.webhook_changes() > changes && lease(registry, 100, at(0)).is_empty());
    registry.resume_endpoint(&own()[0]).unwrap();
    assert!(!lease(registry, 100, at(0)).is_empty());

    registry.rotate_endpoint(&own()[0], &[9; 32], &[9; 32], at(60), at(0)).unwrap();
    let rotated = own().remove(0);
    let former = Former { secret: to.secret.clone(), seed: to.seed, until: at(60) };
    assert_eq!(
        (rotated.secret.as_slice(), rotated.seed, rotated.former.as_ref()),
        ([9u8; 32].as_slice(), [9; 32], Some(&former))
    );
    assert!(!format!("{rotated:?} {former:?}").contains("[9"), "Debug shows no secret");
    // The time of the first secret was promised: it is not cut short by another rotation, unless all end at once.
    let rotate = |endpoint: &Endpoint, until, now| {
        registry.rotate_endpoint(endpoint, &[8; 32], &[8; 32], at(until), at(now)).map_err(|e| e.code)
    };
    assert_eq!(rotate(&rotated, 200, 59), Err(Code::StateTransition));
    assert_eq!(own()[0], rotated);
    assert_eq!(rotate(&to, 200, 60), Err(Code::StateTransition), "somebody rotated meanwhile");
    rotate(&rotated, 59, 59).unwrap();
    assert_eq!(own()[0].secret, [8; 32]);
    assert_eq!(own()[0].former.as_ref().map(|former| former.until), Some(at(59)), "its time is over");
    registry.rotate_endpoint(&own()[0], &[7; 32], &[7; 32], at(200), at(60)).unwrap();

    registry.change_endpoint(&to.endpoint_id, "https://other.example/", &["run.*".into()], true).unwrap();
    let changed = own().remove(0);
    assert_eq!((changed.url.as_str(), changed.ordered), ("https://other.example/", true));
    assert!(changed.wants("run.completed") && !changed.wants("contract.signed") && !changed.wants("runs"));

    // A test and what is sent again name the endpoint at which something waits, and have nobody look at all endpoints.
    drop(registry.stirred());
    let changes = registry.webhook_changes();
    let ping = registry.ping_endpoint(&changed, "msg_test", at(40)).unwrap();
    registry.replay_delivery(&ping, at(40)).unwrap();
    registry.replay_since(&changed, at(1_000_000), at(40)).unwrap();
    registry.recover_dead(&changed.endpoint_id, None, at(40)).unwrap();
    assert_eq!(registry.webhook_changes(), changes);
    assert_eq!(registry.stirred(), BTreeSet::from([to.endpoint_id.clone()]));
    assert!(registry.stirred().is_empty());
    let row = registry.delivery(&to.owner, &ping).unwrap();
    assert_eq!((row.topic.as_str(), row.state, row.message_id.as_str()), (PING, "pending", "msg_test"));
    assert!(registry.delivery(&house.tdc.did().unwrap(), &ping).is_err(), "of others nobody learns");

    registry.delete_endpoint(&to.endpoint_id, at(50)).unwrap();
    assert!(own().is_empty() && registry.listeners().unwrap().all().next().is_none());
    assert!(registry.deliveries(&to.owner, &Asked::default(), 50).unwrap().is_empty());
    assert!(registry.delivery(&to.owner, &ping).is_err());
}

#[test]
fn deliveries_are_listed_page_by_page_with_what_happened() {
    let (house, to) = told(false);
    let registry = &house.registry;
    let leased = lease(registry, 100, at(0));
    finish(&house, &leased[..1], DEAD, at(0));
    finish(&house, &leased[1..], TAKEN, at(0));
    let list = |asked: &Asked, limit| registry.deliveries(&to.owner, asked, limit).unwrap();
    let all = list(&Asked::default(), 50);
    assert_eq!(all.len(), leased.len());
    let mut paged = Vec::new();
    let mut asked = Asked::default();
    loop {
        let page = list(&asked, 2);
        let Some(last) = page.last() else { break };
        asked.before = Some(last.cursor.clone());
        paged.extend(page);
    }
    assert_eq!(paged, all);
    let dead = list(&Asked { state: Some("dead".into()), ..Asked::default() }, 50);
    assert_eq!(dead.iter().map(|one| &one.delivery_id).collect::<Vec<_>>(), [&leased[0].delivery_id]);
    assert_eq!(
        (dead[0].last_status, dead[0].last_millis, dead[0].last_answer.as_deref()),
        (Some(500), Some(7), Some("an answer"))
    );
    let none = Asked { endpoint: Some(endpoint(&to.owner, &[]).endpoint_id), ..Asked::default() };
    assert!(list(&none, 50).is_empty());
    assert!(registry.deliveries(&house.tdc.did().unwrap(), &Asked::default(), 50).unwrap().is_empty());
}

#[test]
fn what_is_old_is_forgotten_and_what_waits_is_not() {
    let (house, to) = told(false);
    let registry = &house.registry;
    let leased = lease(registry, 100, at(0));
    finish(&house, &leased[1..], TAKEN, at(0));
    assert_eq!(registry.tidy_deliveries(start()).unwrap(), 0);
    while registry.tidy_deliveries(at(3600)).unwrap() > 0 {}
    let left = registry.deliveries(&to.owner, &Asked::default(), 50).unwrap();
    assert_eq!(left.iter().map(|one| &one.delivery_id).collect::<Vec<_>>(), [&leased[0].delivery_id]);
    // Its message stays with it; the others are gone.
    assert_eq!(registry.replay_since(&to, start(), at(3600)).unwrap().deliveries, 1);
}

#[test]
fn what_waits_too_long_at_an_endpoint_that_takes_nothing_is_forgotten_but_instructions_to_pay() {
    let mut house = House::furnished();
    let (psp, tdp) = (house.psp.did().unwrap(), house.tdps[0].did().unwrap());
    let (pays, listens) = (endpoint(&psp, &["payment.*"]), endpoint(&tdp, &["*"]));
    let off = endpoint(&tdp, &["*"]);
    for one in [&pays, &listens, &off] {
        house.registry.add_endpoint(one).unwrap();
    }
    let run = house.running();
    let completion = house.completion(&run);
    house.complete(&run, &completion).unwrap();
    while house.registry.dispatch(at(0)).unwrap().more {}
    let registry = &house.registry;
    registry.pause_endpoint(&pays.endpoint_id, at(0)).unwrap();
    registry.pause_endpoint(&listens.endpoint_id, at(0)).unwrap();
    let forgets = || while registry.tidy_deliveries(at(3600)).unwrap() > 0 {};
    let waits = |owner: &schemas::id::Did, endpoint: &Endpoint| {
        let asked = Asked { endpoint: Some(endpoint.endpoint_id.clone()), ..Asked::default() };
        registry.deliveries(owner, &asked, 1000).unwrap().into_iter().map(|one| one.topic).collect::<Vec<_>>()
    };
    assert!(waits(&tdp, &listens).len() > 2 && waits(&tdp, &off).len() > 2);
    forgets();
    assert_eq!(waits(&tdp, &listens), Vec::<String>::new());
    assert!(waits(&tdp, &off).len() > 2, "it is switched on and goes on trying");
    assert_eq!(waits(&psp, &pays), ["payment.instructed", "payment.instructed"]);
    registry.disable_endpoint(&off.endpoint_id, "its owner switched it off", at(0)).unwrap();
    forgets();
    assert_eq!(waits(&tdp, &off), Vec::<String>::new());
    registry.resume_endpoint(&registry.endpoints(&psp).unwrap()[0]).unwrap();
    assert_eq!(lease(registry, 100, at(3600)).len(), 2);
}

#[test]
fn endpoints_that_are_switched_off_are_bounded_too_and_those_that_are_deleted_leave_nothing() {
    let house = House::furnished();
    let (registry, owner) = (&house.registry, house.tdc.did().unwrap());
    let add = || {
        let one = endpoint(&owner, &["*"]);
        registry.add_endpoint(&one).map(|()| one)
    };
    let mut all = Vec::new();
    for _ in 0..100 {
        let one = add().unwrap();
        registry.disable_endpoint(&one.endpoint_id, "its owner switched it off", at(0)).unwrap();
        all.push(one);
    }
    assert_eq!(add().unwrap_err().code, Code::LimitExceeded);
    registry.delete_endpoint(&all[0].endpoint_id, at(0)).unwrap();
    let last = add().unwrap();
    registry.ping_endpoint(&last, "msg_last", at(0)).unwrap();
    registry.delete_endpoint(&last.endpoint_id, at(1)).unwrap();
    assert_eq!(registry.endpoints(&owner).unwrap().len(), 99);
    while registry.tidy_deliveries(at(3600)).unwrap() > 0 {}
    // Nothing refers to it: the same id could be made again.
    registry.add_endpoint(&last).unwrap();
}
