//! The log's key changes while a run is on: room and key services follow, and the run ends as if nothing had been.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use contract_client::{Act, Outgoing};
use schemas::Signer as _;
use schemas::rules::LogKey;
use signing::FileKey;

use super::scene::{Scene, models};

/// Seconds for which the old key's heads still count.
const OVERLAP: i64 = 3_600;

/// Two people of the SRO put another key in use.
fn rotate(scene: &Scene) -> impl Fn() + Send + Sync + 'static {
    let file = scene.house.dir.join("contract-service").join("registry.key");
    let trust = scene.house.trust.clone();
    let clock = scene.clock.clone();
    let people = scene.house.sro.people.each_ref().map(|p| (p.key.clone(), p.desk().unwrap().clone()));
    move || {
        let next = FileKey::generate_for(&trust.registry).unwrap();
        next.save(&file.with_extension("next.key")).unwrap();
        let change = LogKey {
            schema: "log-key.v1".into(),
            registry: trust.registry.clone(),
            replaces: trust.registry_jwk.thumbprint(),
            jwk: next.jwk().clone(),
            overlap_until: clock.now().plus_seconds(OVERLAP),
            at: clock.now(),
        };
        for (at, (key, desk)) in people.iter().enumerate() {
            let signed = signing::sign(&change, &**key, clock.now()).unwrap();
            assert_eq!(desk.rotate_log_key(&signed).unwrap().receipt.is_some(), at == 1);
        }
    }
}

/// The key is changed when the room first asks for the thing that `act` names.
fn changed_at(act: &'static str) {
    let scene = Scene::new();
    let deal = scene.deal();
    scene.house.tdc.orders(&deal.bundle).unwrap();
    let old = scene.house.trust.registry_jwk.clone();
    let (rotate, asked) = (rotate(&scene), Arc::new(AtomicU32::new(0)));
    let seen = asked.clone();
    let mut room = scene.room();
    room.hook = Some(Arc::new(move |call: &mut Outgoing| {
        if call.path.ends_with(act) && seen.fetch_add(1, Ordering::SeqCst) == 0 {
            rotate();
        }
        Act::Pass
    }));
    let (done, told) = scene.run(&deal.bundle, &room);
    done.unwrap_or_else(|refusal| panic!("{act}: {refusal}: {told:?}"));
    assert!(asked.load(Ordering::SeqCst) > 0, "the key was changed");
    assert_eq!(scene.states(&deal.contract), [["committed"]; 3]);
    assert_eq!(models(&deal), 1);
    // Documents are the new key's, and whoever pinned the old one is led there.
    let followed = scene.house.trust.following(&scene.desk().log_keys().unwrap()).unwrap();
    let signed_by = scene.desk().status_list().unwrap().signatures[0].kid.thumbprint.clone();
    assert_eq!(signed_by, followed.key_in_use().thumbprint());
    assert_ne!(signed_by, old.thumbprint());
}

#[test]
fn between_the_reservations_of_one_run() {
    changed_at("reservations");
}

#[test]
fn between_the_reservations_and_the_keys() {
    changed_at("release");
}

#[test]
fn between_the_keys_and_the_completion() {
    changed_at("commit");
}
