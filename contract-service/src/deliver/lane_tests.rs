use schemas::id::Did;

use super::*;

fn endpoint(n: u128) -> Endpoint {
    Endpoint {
        endpoint_id: EndpointId::new(uuid::Uuid::from_u128(n)),
        owner: Did::parse("did:web:tdc.example").unwrap(),
        url: "https://hooks.example/".into(),
        events: vec!["*".into()],
        secret: vec![7; 32],
        seed: [7; 32],
        created_at: Timestamp::from_seconds(0),
        disabled_at: None,
        ordered: false,
        paused_at: None,
        disabled_why: None,
        failing_since: None,
        former: None,
    }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

fn lanes(at_once: u32, endpoints: impl Iterator<Item = Endpoint>) -> Lanes {
    let mut lanes = Lanes::new(at_once);
    lanes.sync(&endpoints.collect::<Vec<_>>().into(), |_| None);
    lanes
}

/// Begins what is wished; returns how many of each.
fn begin(lanes: &mut Lanes, now: Timestamp) -> Vec<(EndpointId, u32)> {
    let wishes = lanes.wishes(usize::MAX, now);
    for wish in &wishes {
        (0..wish.most).for_each(|_| drop(lanes.begun(&wish.endpoint_id)));
    }
    wishes.into_iter().map(|wish| (wish.endpoint_id, wish.most)).collect()
}

const QUICKLY: Went = Went { taken: true, millis: 5, busy: false, rests_until: None };
const FAILED: Went = Went { taken: false, millis: 15_000, busy: false, rests_until: None };

#[test]
fn a_quick_endpoint_gets_more_places_and_a_failing_one_a_single_one() {
    let one = endpoint(1).endpoint_id;
    let mut lanes = lanes(512, std::iter::once(endpoint(1)));
    let mut given = Vec::new();
    for _ in 0..7 {
        let (_, most) = begin(&mut lanes, at(1))[0].clone();
        (0..most).for_each(|_| lanes.ended(&one, QUICKLY));
        lanes.written(most as usize);
        given.push(most);
    }
    assert_eq!((given[0], given[6]), (FIRST, MOST), "{given:?}");
    assert_eq!(begin(&mut lanes, at(1)), [(one.clone(), MOST)]);
    (0..MOST).for_each(|_| lanes.ended(&one, FAILED));
    assert_eq!(begin(&mut lanes, at(1)), [(one, 1)]);
}

#[test]
fn endpoints_that_hang_leave_half_of_all_places_to_those_that_answer() {
    let good = endpoint(0).endpoint_id;
    let mut lanes = lanes(64, (0..=100).map(endpoint));
    // The good one has shown itself; a hundred others take whatever they can get and never answer.
    lanes.begun(&good);
    lanes.ended(&good, QUICKLY);
    for _ in 0..5 {
        begin(&mut lanes, at(1));
    }
    let hang: u32 = lanes.lanes.iter().filter(|(id, _)| **id != good).map(|(_, lane)| lane.under_way).sum();
    assert_eq!(hang, 32);
    assert!(lanes.lanes[&good].under_way > 0);
    lanes.ended(&good, QUICKLY);
    assert!(begin(&mut lanes, at(1)).iter().any(|(id, _)| *id == good));
}

#[test]
fn every_endpoint_gets_its_turn() {
    let mut lanes = lanes(512, (0..10).map(endpoint));
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..10 {
        let wishes = lanes.wishes(3, at(1));
        assert_eq!(wishes.len(), 3);
        seen.extend(wishes.into_iter().map(|wish| wish.endpoint_id));
    }
    assert_eq!(seen.len(), 10);
}

#[test]
fn what_is_paused_rests_or_has_nothing_due_gets_nothing() {
    let (one, two, three) = (endpoint(1), endpoint(2), endpoint(3));
    let paused = Endpoint { paused_at: Some(at(0)), ..one };
    let mut lanes = lanes(512, [paused, two.clone(), three.clone()].into_iter());
    lanes.begun(&two.endpoint_id);
    lanes.ended(&two.endpoint_id, Went { busy: true, rests_until: Some(at(60)), ..FAILED });
    assert_eq!(lanes.strikes(&two.endpoint_id), 1);
    let named = |wishes: Vec<Wish>| wishes.into_iter().map(|wish| wish.endpoint_id).collect::<Vec<_>>();
    assert_eq!(named(lanes.wishes(9, at(59))), std::slice::from_ref(&three.endpoint_id));
    lanes.idle(&three.endpoint_id, Some(at(70)));
    assert_eq!(named(lanes.wishes(9, at(60))), std::slice::from_ref(&two.endpoint_id));
    lanes.idle(&two.endpoint_id, None);
    assert_eq!(named(lanes.wishes(9, at(70))), std::slice::from_ref(&three.endpoint_id));
    // What happens during a look is not forgotten by its result.
    lanes.due(&two.endpoint_id, at(65));
    lanes.idle(&two.endpoint_id, None);
    lanes.idle(&three.endpoint_id, None);
    assert_eq!(named(lanes.wishes(9, at(70))), [two.endpoint_id]);
}

#[test]
fn ends_that_are_not_written_down_hold_new_deliveries_back() {
    let one = endpoint(1).endpoint_id;
    let mut lanes = lanes(2, std::iter::once(endpoint(1)));
    for _ in 0..8 {
        lanes.begun(&one);
        lanes.ended(&one, QUICKLY);
    }
    assert_eq!((lanes.unwritten(), lanes.wishes(9, at(1))), (8, vec![]));
    lanes.written(8);
    assert_eq!(lanes.wishes(9, at(1))[0].most, 2);
}
