//! What owners do with their endpoints and deliveries, and what receivers may do to them.

use std::io::Read as _;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use contract_client::{Client, EndpointAct, wish};
use schemas::desk::{DeliveryView, EndpointCreated, EndpointRotated};
use schemas::id::EndpointId;
use schemas::problem::Problem;
use schemas::{Code, R};
use signing::webhook::{Verifier, verify};

use crate::catcher::{Catcher, Seen, eventually};
use crate::house::House;
use crate::http;

fn code<T: std::fmt::Debug>(outcome: R<T>) -> Code {
    outcome.unwrap_err().code
}

fn holds(seen: &Seen, verifier: &Verifier, house: &House) -> bool {
    let header = |name: &str| seen.header(name).unwrap();
    let (id, at, signatures) = (header("webhook-id"), header("webhook-timestamp"), header("webhook-signature"));
    verify(verifier, id, at, signatures, &seen.body, house.now()).is_ok()
}

fn kind(seen: &Seen) -> String {
    let body: serde_json::Value = serde_json::from_slice(&seen.body).unwrap();
    body["type"].as_str().unwrap().to_owned()
}

/// Sends a test to an endpoint and waits until it was taken.
fn pinged(client: &Client, endpoint: &EndpointCreated) -> DeliveryView {
    let ping = client.ping_endpoint(&endpoint.endpoint_id).unwrap();
    let now = || client.delivery(&ping.delivery_id).unwrap();
    assert!(eventually(|| now().state == "delivered"), "{:?}", now());
    now()
}

#[test]
fn a_test_is_delivered_whatever_the_endpoint_listens_to_and_shows_how_it_went() {
    let house = House::furnished();
    let catcher = Catcher::start(|_| (200, "thank you\u{7}".into()));
    let tdc = house.as_(&house.tdc);
    let endpoint = tdc.create_endpoint(&catcher.url("/hook"), &["run.completed"]).unwrap();
    let done = pinged(&tdc, &endpoint);
    let seen = catcher.seen();
    assert_eq!((seen.len(), kind(&seen[0]).as_str()), (1, "webhook.ping"));
    assert!(holds(&seen[0], &Verifier::Secret(&endpoint.secret), &house));
    assert_eq!((done.status, done.attempts, done.answer.as_deref()), (Some(200), 1, Some("thank you")));
    assert_eq!((done.event.as_str(), done.subject.as_str()), ("webhook.ping", endpoint.endpoint_id.as_str()));
    assert_eq!(
        done.history.iter().map(|one| (one.status, Some(one.millis))).collect::<Vec<_>>(),
        [(Some(200), done.millis)]
    );
    let psp = house.as_(&house.psp);
    assert_eq!(code(psp.delivery(&done.delivery_id)), Code::NotFound);
    assert_eq!(code(psp.replay_delivery(&done.delivery_id)), Code::NotFound);
    assert_eq!(code(psp.ping_endpoint(&endpoint.endpoint_id)), Code::NotFound);
}

#[test]
fn an_endpoint_is_tested_once_in_ten_seconds() {
    let house = House::furnished();
    let catcher = Catcher::start(|_| (204, String::new()));
    let (tdc, token) = (house.as_(&house.tdc), http::bearer(&house, &house.tdc));
    let made = |path| tdc.create_endpoint(&catcher.url(path), &["run.completed"]).unwrap().endpoint_id;
    let (one, other) = (made("/one"), made("/other"));
    let ping = |id: &EndpointId| {
        let path = format!("/v1/webhooks/endpoints/{id}/ping");
        http::post(&house, &path, b"").bearer_auth(&token).send().unwrap()
    };
    assert_eq!(ping(&one).status(), 201);
    house.skip(3);
    let refused = ping(&one);
    assert_eq!(http::header(&refused, "retry-after"), "7");
    assert_eq!(http::code(refused), Code::RateLimited);
    assert_eq!(ping(&other).status(), 201, "another endpoint has a time of its own");
    house.skip(7);
    assert_eq!(ping(&one).status(), 201);
    assert!(eventually(|| catcher.seen().len() == 3));
}

#[test]
fn a_secret_is_shown_once_and_kept_with_no_idempotency_key() {
    let house = House::furnished();
    let (tdc, token) = (house.as_(&house.tdc), http::bearer(&house, &house.tdc));
    let send = |path: &str, key: &str, body: String, tag: Option<&str>| {
        let request = http::client().post(format!("{}{path}", house.url())).bearer_auth(&token).body(body);
        let request = request.header("content-type", "application/json").header("idempotency-key", key);
        tag.into_iter().fold(request, |request, tag| request.header("if-match", tag)).send().unwrap()
    };
    let wish = |url: &str| serde_json::to_string(&wish(url, &["run.*"], false)).unwrap();
    let create = |url: &str| send("/v1/webhooks/endpoints", "k1", wish(url), None);
    let made: EndpointCreated = create("http://localhost:9/").json().unwrap();
    let told_of = |problem: Problem| {
        assert_eq!((problem.code.as_str(), problem.status), ("SECRET_SHOWN", 409));
        assert!(problem.detail.contains(&format!("{}/rotate", made.endpoint_id)), "{}", problem.detail);
    };
    told_of(create("http://localhost:9/").json().unwrap());
    assert_eq!(http::code(create("http://localhost:10/")), Code::IdempotencyKeyReused);
    assert_eq!(tdc.endpoints().unwrap().endpoints.len(), 1, "it took effect once");
    let path = format!("/v1/webhooks/endpoints/{}", made.endpoint_id);
    let tag = http::header(&http::get(&house, &path).bearer_auth(&token).send().unwrap(), "etag");
    let rotate = || send(&format!("{path}/rotate"), "k2", r#"{"overlap_seconds":0}"#.into(), Some(&tag));
    let rotated: EndpointRotated = rotate().json().unwrap();
    assert_ne!(rotated.secret, made.secret);
    told_of(rotate().json().unwrap());
    if house.config.database.is_some() {
        return;
    }
    let mut stored = Vec::new();
    for file in std::fs::read_dir(&house.config.data_dir).unwrap() {
        stored.extend(std::fs::read(file.unwrap().path()).unwrap_or_default());
    }
    let holds = |text: &str| stored.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(holds(made.endpoint_id.as_str()) && holds(&rotated.public_key), "the search looks where the answers are");
    assert!(!holds("whsec_"));
}

#[test]
fn endpoints_are_changed_paused_resumed_disabled_and_deleted() {
    let house = House::furnished();
    let (first, second) = (Catcher::start(|_| (204, String::new())), Catcher::start(|_| (204, String::new())));
    let tdc = house.as_(&house.tdc);
    let made = tdc.create_endpoint_of(&wish(&first.url("/"), &["contract.*"], false)).unwrap();
    let id = &made.endpoint_id;
    let view = tdc.endpoint(id).unwrap();
    assert_eq!((view.state.as_str(), view.ordered, view.public_key == made.public_key), ("active", false, true));
    // Paused, it gets nothing; resumed elsewhere, all that was meant for it.
    assert_eq!(tdc.switch_endpoint(id, EndpointAct::Pause).unwrap().state, "paused");
    house.executed();
    let waiting = || tdc.deliveries_of(Some(id), Some("pending"), None, None).unwrap().deliveries;
    assert!(eventually(|| waiting().len() >= 5));
    assert!(first.seen().is_empty());
    let changed = tdc.change_endpoint(id, &wish(&second.url("/"), &["contract.*"], true)).unwrap();
    assert!(changed.ordered && changed.state == "paused");
    assert_eq!(tdc.switch_endpoint(id, EndpointAct::Resume).unwrap().state, "active");
    assert!(eventually(|| waiting().is_empty() && second.seen().len() >= 5));
    assert!(first.seen().is_empty());
    let order: Vec<u64> = second
        .seen()
        .iter()
        .map(|seen| serde_json::from_slice::<serde_json::Value>(&seen.body).unwrap()["data"]["index"].as_u64().unwrap())
        .collect();
    assert!(order.is_sorted(), "{order:?}");
    // A page at a time.
    let page = tdc.deliveries_of(None, None, Some(2), None).unwrap();
    assert_eq!(page.deliveries.len(), 2);
    let next = tdc.deliveries_of(None, None, Some(200), page.next.as_deref()).unwrap();
    assert!(next.deliveries.len() >= 3 && next.next.is_none());
    assert!(next.deliveries.iter().all(|one| page.deliveries.iter().all(|first| first.delivery_id != one.delivery_id)));
    // Disabled, it refuses what would send something.
    let off = tdc.switch_endpoint(id, EndpointAct::Disable).unwrap();
    assert_eq!((off.state.as_str(), off.disabled_why.as_deref()), ("disabled", Some("its owner switched it off")));
    assert_eq!(code(tdc.ping_endpoint(id)), Code::StateTransition);
    assert_eq!(code(tdc.replay_endpoint(id, house.now())), Code::StateTransition);
    assert_eq!(code(tdc.recover_endpoint(id, None)), Code::StateTransition);
    assert_eq!(code(tdc.replay_delivery(&page.deliveries[0].delivery_id)), Code::StateTransition);
    assert_eq!(code(tdc.switch_endpoint(id, EndpointAct::Pause)), Code::StateTransition);
    assert_eq!(tdc.switch_endpoint(id, EndpointAct::Resume).unwrap().disabled_why, None);
    tdc.delete_endpoint(id).unwrap();
    assert_eq!(code(tdc.endpoint(id)), Code::NotFound);
    assert!(tdc.endpoints().unwrap().endpoints.is_empty() && tdc.deliveries().unwrap().deliveries.is_empty());
}

#[test]
fn a_rotation_signs_with_both_secrets_for_its_time() {
    let house = House::furnished();
    let catcher = Catcher::start(|_| (204, String::new()));
    let tdc = house.as_(&house.tdc);
    let old = tdc.create_endpoint(&catcher.url("/"), &["run.completed"]).unwrap();
    let new = tdc.rotate_endpoint(&old.endpoint_id, 3600).unwrap();
    assert_eq!(new.former_until, house.now().plus_seconds(3600));
    assert!(new.secret != old.secret && new.public_key != old.public_key);
    assert_eq!(tdc.endpoint(&old.endpoint_id).unwrap().former_until, Some(new.former_until));
    assert_eq!(code(tdc.rotate_endpoint(&old.endpoint_id, 60)), Code::StateTransition, "its time was promised");
    let all = |seen: &Seen| {
        [
            Verifier::Secret(&new.secret),
            Verifier::Public(&new.public_key),
            Verifier::Secret(&old.secret),
            Verifier::Public(&old.public_key),
        ]
        .map(|verifier| holds(seen, &verifier, &house))
    };
    pinged(&tdc, &old);
    assert_eq!(all(&catcher.seen()[0]), [true; 4]);
    assert_eq!(catcher.seen()[0].header("webhook-signature").unwrap().split(' ').count(), 4);
    house.skip(3601);
    pinged(&house.as_(&house.tdc), &old);
    assert_eq!(all(&catcher.seen()[1]), [true, true, false, false]);
    let tdc = house.as_(&house.tdc);
    assert_eq!(tdc.endpoint(&old.endpoint_id).unwrap().former_until, None);
    assert_eq!(code(tdc.rotate_endpoint(&old.endpoint_id, 7 * 86_400 + 1)), Code::LimitExceeded);
    // A secret that leaked is replaced at once, also during a rotation.
    tdc.rotate_endpoint(&old.endpoint_id, 60).unwrap();
    let last = tdc.rotate_endpoint(&old.endpoint_id, 0).unwrap();
    house.skip(10);
    pinged(&house.as_(&house.tdc), &old);
    assert_eq!(all(&catcher.seen()[2]), [false; 4]);
    assert!(holds(&catcher.seen()[2], &Verifier::Secret(&last.secret), &house));
}

#[test]
fn what_was_given_up_is_recovered_and_what_was_sent_is_sent_again() {
    let house = House::with(|config| {
        config.webhooks.retry_seconds = vec![0];
    })
    .furnish();
    let catcher = Catcher::start(|n| if n < 2 { (500, String::new()) } else { (204, String::new()) });
    let tdc = house.as_(&house.tdc);
    let made = tdc.create_endpoint(&catcher.url("/"), &["contract.activated", "contract.signed"]).unwrap();
    house.executed();
    let of = |state: &str| tdc.deliveries_of(None, Some(state), None, None).unwrap().deliveries;
    assert!(eventually(|| of("dead").len() == 2 && of("delivered").len() == 2));
    let dead = of("dead");
    assert_eq!(tdc.recover_endpoint(&made.endpoint_id, None).unwrap().deliveries, 2);
    assert!(eventually(|| of("delivered").len() == 4));
    let ids: Vec<String> = catcher.seen().iter().map(|s| s.header("webhook-id").unwrap().to_owned()).collect();
    assert_eq!(ids.len(), 6);
    assert!(dead.iter().all(|one| ids[..2].contains(&one.message_id) && ids[4..].contains(&one.message_id)));
    let one = &of("delivered")[0];
    tdc.replay_delivery(&one.delivery_id).unwrap();
    assert!(eventually(|| catcher.seen().len() == 7));
    assert_eq!(catcher.seen()[6].header("webhook-id"), Some(one.message_id.as_str()));
    assert!(eventually(|| of("delivered").len() == 4));
    // Everything since the beginning, also to an endpoint that was made only now.
    let late = Catcher::start(|_| (204, String::new()));
    let another = tdc.create_endpoint(&late.url("/"), &["*"]).unwrap();
    let replayed = tdc.replay_endpoint(&another.endpoint_id, crate::house::start()).unwrap();
    assert!(replayed.deliveries >= 5 && !replayed.more, "{replayed:?}");
    assert!(eventually(|| late.seen().len() as u64 == replayed.deliveries));
}

#[test]
fn a_receiver_that_has_too_much_rests_and_nobody_else_does() {
    let house = House::with(|config| config.webhooks.jitter_percent = 0).furnish();
    let busy = Catcher::start(|n| if n == 0 { (429, "retry-after: 60\r\n".into()) } else { (204, String::new()) });
    let free = Catcher::start(|_| (204, String::new()));
    let (tdp, tdc) = (house.as_(&house.tdps[0]), house.as_(&house.tdc));
    tdp.create_endpoint_of(&wish(&busy.url("/"), &["contract.*"], true)).unwrap();
    tdc.create_endpoint(&free.url("/"), &["contract.*"]).unwrap();
    house.executed();
    assert!(eventually(|| free.seen().len() == 5 && busy.seen().len() == 1));
    // Not after the five seconds of the schedule, but after the minute that it asked for.
    house.skip(30);
    assert!(eventually(|| house.as_(&house.tdc).deliveries().is_ok()));
    pinged(&house.as_(&house.tdc), &house.as_(&house.tdc).create_endpoint(&free.url("/"), &["run.completed"]).unwrap());
    assert_eq!(busy.seen().len(), 1);
    house.skip(31);
    assert!(eventually(|| busy.seen().len() == 6));
}

/// A receiver that takes a connection, reads, and never answers; how many came and how many were let go.
fn hangs() -> (String, Arc<AtomicUsize>, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://localhost:{}/", listener.local_addr().unwrap().port());
    let (came, left) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let counts = (Arc::clone(&came), Arc::clone(&left));
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            counts.0.fetch_add(1, Ordering::SeqCst);
            let left = Arc::clone(&counts.1);
            std::thread::spawn(move || {
                let mut buffer = [0; 4096];
                while stream.read(&mut buffer).is_ok_and(|read| read > 0) {}
                left.fetch_add(1, Ordering::SeqCst);
            });
        }
    });
    (url, came, left)
}

#[test]
fn receivers_that_never_answer_hold_up_nobody_else() {
    let house = House::furnished();
    let good = Catcher::start(|_| (204, String::new()));
    let (url, came, left) = hangs();
    let owners = [&house.tdps[0], &house.tdps[1], &house.tdc].map(|who| house.as_(who));
    for owner in &owners {
        for _ in 0..19 {
            owner.create_endpoint(&url, &["contract.*"]).unwrap();
        }
    }
    owners[0].create_endpoint(&good.url("/"), &["contract.*"]).unwrap();
    house.executed();
    assert!(eventually(|| good.seen().len() == 5), "{} came", good.seen().len());
    assert_eq!(left.load(Ordering::SeqCst), 0, "the good one waited for none of those that hang");
    assert!(eventually(|| came.load(Ordering::SeqCst) >= 57), "every endpoint is tried");
}

#[test]
fn redirects_lead_nowhere_and_long_answers_are_cut() {
    let house = House::furnished();
    let canary = Catcher::start(|_| (200, String::new()));
    let inside = format!("location: {}\r\n", canary.url("/latest/meta-data"));
    let moved = Catcher::start(move |_| (302, inside.clone()));
    let long = Catcher::start(|_| (200, "x".repeat(1_000_000)));
    let tdc = house.as_(&house.tdc);
    let ping = |catcher: &Catcher| {
        let made = tdc.create_endpoint(&catcher.url("/"), &["run.completed"]).unwrap();
        let id = tdc.ping_endpoint(&made.endpoint_id).unwrap().delivery_id;
        assert!(eventually(|| !tdc.delivery(&id).unwrap().history.is_empty()));
        tdc.delivery(&id).unwrap()
    };
    let first = ping(&moved);
    assert_eq!((first.state.as_str(), first.status, canary.seen().len()), ("pending", Some(302), 0));
    let second = ping(&long);
    assert_eq!((second.state.as_str(), second.answer.map(|text| text.len())), ("delivered", Some(512)));
}

#[test]
fn wishes_that_cannot_be_met_are_refused_by_their_codes() {
    let house = House::furnished();
    let tdc = house.as_(&house.tdc);
    let url = "http://localhost:9/";
    for events in
        [&["contract"][..], &["contract."], &["contract*"], &["none.*"], &["**"], &["run.*", "nothing"], &[".*"]]
    {
        assert_eq!(code(tdc.create_endpoint(url, events)), Code::SchemaMismatch, "{events:?}");
    }
    for url in [
        "https://hooks.example:22/",
        "https://hooks.example:6379/",
        "https://[::ffff:a9fe:a9fe]/",
        "http://hooks.example/",
    ] {
        assert_eq!(code(tdc.create_endpoint(url, &["run.*"])), Code::AddressRefused, "{url}");
    }
    let made = tdc.create_endpoint(url, &["run.*"]).unwrap();
    let id = &made.endpoint_id;
    assert_eq!(code(tdc.change_endpoint(id, &wish("https://10.0.0.1/", &["run.*"], false))), Code::AddressRefused);
    assert_eq!(code(tdc.change_endpoint(id, &wish(url, &[], false))), Code::SchemaMismatch);
    assert_eq!(code(tdc.deliveries_of(None, Some("lost"), None, None)), Code::SchemaMismatch);
    assert_eq!(code(tdc.deliveries_of(None, None, None, Some("x"))), Code::MalformedId);
    assert_eq!(code(tdc.deliveries_of(None, None, Some(201), None)), Code::LimitExceeded);
    assert_eq!(code(tdc.delivery("dlv_none")), Code::NotFound);
    assert_eq!(code(tdc.replay_delivery("dlv_none")), Code::NotFound);
    let other = house.as_(&house.psp);
    assert_eq!(code(other.delete_endpoint(id)), Code::NotFound);
    assert_eq!(code(other.rotate_endpoint(id, 0)), Code::NotFound);
    assert_eq!(code(other.replay_endpoint(id, house.now())), Code::NotFound);
    assert_eq!(tdc.endpoint(id).unwrap().state, "active");
}
