//! Keys that are swapped in transit: whoever sits on the line gets no key, and none that passes by opens for it.

use contract_client::Client;
use schemas::{Code, Digest};
use serde_json::Value;
use signing::jose::{EncKey, unwrap_key};

use super::probe::{Probe, bound, client};
use super::relay::Relay;
use super::scene::{calm, refuses};

/// Puts another encryption key into every transcript that passes.
fn swaps(enc: &EncKey) -> impl Fn(&mut Value) + Send + 'static {
    let jwk = serde_json::to_value(enc.jwk()).unwrap();
    move |body| {
        if let Some(slot) = body.pointer_mut("/attested/transcript/enc_jwk") {
            *slot = jwk.clone();
        }
    }
}

#[test]
fn a_key_swapped_before_the_front_desk() {
    let scene = calm();
    let deal = scene.deal();
    scene.house.tdc.orders(&deal.bundle).unwrap();
    let mine = EncKey::generate().unwrap();
    let relay = Relay::before(&scene.house.url, swaps(&mine));
    let mut room = scene.room();
    room.desk = Client::new(&relay.url, None).unwrap().with_clock(scene.house.clock.clone());
    let (done, told) = scene.run(&deal.bundle, &room);
    refuses(Code::EvidenceRefused, done);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(relay.seen().iter().any(|body| body.contains("attested")), "the check-in passed the relay");
    scene.nothing_came_of(&deal);
}

#[test]
fn a_key_swapped_before_a_key_service() {
    let scene = calm();
    let deal = scene.deal();
    let probe = Probe::admitted(&scene, &deal.bundle).unwrap();
    let mine = EncKey::generate().unwrap();
    for tdp in &scene.house.tdps {
        let relay = Relay::before(&tdp.kms, swaps(&mine));
        let sent = client(&relay.url).post_once::<_, schemas::Envelope<schemas::release::KmsReceipt>>(
            "/v1/reservations",
            &probe.reserve_words(&tdp.kms),
        );
        // The Admission names the honest key.
        refuses(Code::RunKeyMismatch, sent);
    }
    // With a contract service that was taken over and admits the other key, the evidence still names the honest one.
    let mut rogue = Probe::unseen(&scene, &deal.bundle);
    let honest = std::mem::replace(&mut rogue.enc, mine);
    rogue.forges_admission();
    for tdp in &scene.house.tdps {
        let mut words = rogue.reserve_words(&tdp.kms);
        let mut attested = words.attested.transcript.clone();
        attested.enc_jwk = honest.jwk().clone();
        words.attested.evidence = rogue.attest(attested).evidence;
        refuses(Code::EvidenceRefused, rogue.send_reserve(&tdp.kms, &words));
    }
    scene.nothing_came_of(&deal);
}

#[test]
fn a_key_swapped_at_release_and_what_a_faithful_relay_sees() {
    let scene = calm();
    let deal = scene.deal();
    let probe = Probe::admitted(&scene, &deal.bundle).unwrap();
    let all = probe.reserve_all();
    let kms = scene.house.tdps[0].kms.clone();
    let mine = EncKey::generate().unwrap();
    let relay = Relay::before(&kms, swaps(&mine));
    let words = probe.release_words(&kms, &all);
    refuses(Code::RunKeyMismatch, probe.send_release(&kms, &relay.url, &all, &words));
    assert_eq!(scene.states(&deal.contract)[0], ["reserved"], "no key has left, nothing is charged");

    // Byte for byte, and the key arrives; but what passed opens for nobody else.
    let relay = Relay::honest(&kms);
    let words = probe.release_words(&kms, &all);
    let release = probe.send_release(&kms, &relay.url, &all, &words).unwrap();
    let seen = relay.seen().concat();
    assert!(seen.contains(&schemas::text::Bytes(schemas::canonical::to_bytes(&release).unwrap()).text()));
    let [jwe] = release.jwe.as_slice() else { panic!("one dataset, one key") };
    let transcript = bound(&words.attested.transcript);
    let key = unwrap_key(jwe, &probe.enc, &transcript).unwrap();
    let hex: String = key.iter().map(|b| format!("{b:02x}")).collect();
    for spelling in [hex, schemas::text::Bytes(key.to_vec()).text()] {
        assert!(!seen.contains(&spelling), "the key passed in the clear");
    }
    refuses(Code::JweRefused, unwrap_key(jwe, &mine, &transcript));
    // Nor for the room itself under another transcript: a token lifted to another run is nothing.
    refuses(Code::JweRefused, unwrap_key(jwe, &probe.enc, &Digest::of(b"another transcript").0));
    scene.nothing_left(&deal);
}

#[test]
fn no_key_leaves_before_every_key_service_has_reserved() {
    let scene = calm();
    let deal = scene.deal();
    let probe = Probe::admitted(&scene, &deal.bundle).unwrap();
    let all = probe.reserve_all();
    let kms = scene.house.tdps[0].kms.clone();
    refuses(Code::ReservationsIncomplete, probe.release(&kms, &all[..2]));
    let doubled = [all[0].clone(), all[1].clone(), all[1].clone()];
    refuses(Code::ReservationsIncomplete, probe.release(&kms, &doubled));
    let mut forged = all.clone();
    forged[2].signatures[0].sig.0[5] ^= 1;
    refuses(Code::SignatureInvalid, probe.release(&kms, &forged));
    // Another run's reservations.
    let second = Probe::admitted(&scene, &scene.again(&scene.deal())).unwrap();
    let mut foreign = all.clone();
    foreign[2] = second.reserve_all().remove(2);
    refuses(Code::RunKeyMismatch, probe.release(&kms, &foreign));
    assert_eq!(scene.states(&deal.contract), [["reserved"]; 3]);
    scene.nothing_left(&deal);
}
