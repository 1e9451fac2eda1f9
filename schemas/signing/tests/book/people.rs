//! The SRO's people change keys: a relying party that pinned the first ones follows by the lineage, and refuses the rest.

use schemas::bundle::LoggedKeyEvent;
use schemas::event::Body;
use schemas::lineage::LogLineage;
use schemas::party::{Decision, KeyAct, KeyEvent, KeyUse, ParticipantDecision};
use schemas::{Code, Envelope, R};
use signing::book::PinnedBook;
use signing::{FileKey, Trust};

use crate::keys::{now, registry};
use crate::world::{World, add, example, first, signed, thumbprint};

fn event(person: &FileKey, act: KeyAct, by: &[&FileKey]) -> Envelope<KeyEvent> {
    let event = KeyEvent {
        schema: "key-event.v1".into(),
        registry: registry(),
        participant: person.did().unwrap(),
        event: act,
        reason: "yearly change".into(),
        at: now(),
    };
    signed(&event, by)
}

fn enter(world: &mut World, event: Envelope<KeyEvent>) -> (Envelope<KeyEvent>, usize) {
    let index = world.append(&Body::KeyChanged { event: event.clone(), resolution: None });
    (event, index)
}

/// The lineage with receipts under the newest head.
fn lineage(world: &World, events: &[(Envelope<KeyEvent>, usize)]) -> LogLineage {
    let logged = |(event, index): &(Envelope<KeyEvent>, usize)| LoggedKeyEvent {
        event: event.clone(),
        resolution: None,
        receipt: world.receipt(*index),
    };
    LogLineage {
        origin: world.trust().origin,
        first: world.trust().registry_jwk,
        links: vec![],
        succeeds: None,
        people: events.iter().map(logged).collect(),
    }
}

fn second(world: &World) -> FileKey {
    FileKey::from_seed(world.people[0].did().unwrap().as_str(), &[77; 32])
}

fn uses() -> Vec<KeyUse> {
    vec![KeyUse::Document, KeyUse::Api]
}

/// Whether a decision that these signed, entered now, counts.
fn decides(world: &mut World, trust: &Trust, by: &[&FileKey]) -> R<()> {
    let mut participant = world.participant();
    let decision = ParticipantDecision {
        participant: world.did.clone(),
        participant_sha256: participant.application.digest(),
        decision: Decision::Verified,
        registry: registry(),
        ..example("participant-decision")
    };
    participant.decision.envelope = signed(&decision, by);
    let at = world.append(&Body::ParticipantDecided { decision: participant.decision.envelope.clone() });
    participant.decision.receipt = world.receipt(at);
    participant.key_events.clear();
    PinnedBook::new(trust.clone()).admit(participant)
}

#[test]
fn a_person_s_new_key_counts_from_its_entry_on_and_the_old_one_up_to_its_end() {
    let mut world = World::new();
    let new = second(&world);
    let old = |world: &World| FileKey::from_seed(world.people[0].did().unwrap().as_str(), &[1; 32]);
    let (old, other) = (old(&world), crate::world::person(2));
    let pinned = world.trust();
    decides(&mut world, &pinned, &[&old, &other]).unwrap();
    let early = world.participant();
    let adding = event(&old, add(&new, uses()), &[&old, &other]);
    let adding = enter(&mut world, adding);
    let retiring = event(&old, KeyAct::Retire { thumbprint: thumbprint(&old) }, &[&new, &other]);
    let retiring = enter(&mut world, retiring);
    let bare = world.trust();
    assert_eq!(decides(&mut world, &bare, &[&new, &other]).unwrap_err().code, Code::SignerUnknown, "not shown");
    let shown = lineage(&world, &[adding.clone(), retiring.clone()]);
    let trust = bare.following(&shown).unwrap();
    decides(&mut world, &trust, &[&new, &other]).unwrap();
    assert_eq!(decides(&mut world, &trust, &[&old, &other]).unwrap_err().code, Code::SignerUnknown, "its end stands");
    assert_eq!(decides(&mut world, &trust, &[&old, &new]).unwrap_err().code, Code::SignerUnknown, "one person");
    let mut book = PinnedBook::new(trust.clone());
    let mut early = early;
    early.decision.receipt = world.receipt(usize::try_from(early.decision.receipt.index).unwrap());
    book.admit(early).unwrap();
    // Less than that changes nothing; something else is refused.
    let less = lineage(&world, std::slice::from_ref(&adding));
    assert_eq!(trust.following(&less).unwrap(), trust);
    let third = FileKey::from_seed(old.did().unwrap().as_str(), &[78; 32]);
    let fork = event(&old, add(&third, uses()), &[&old, &other]);
    let fork = enter(&mut world, fork);
    let forked = lineage(&world, &[adding, fork]);
    assert_eq!(trust.following(&forked).unwrap_err().code, Code::ConsistencyInvalid);
    let plain = lineage(&world, &[]);
    assert_eq!(trust.following(&plain).unwrap(), trust, "nothing is taken back");
}

#[test]
fn a_compromised_persons_key_loses_what_was_entered_since() {
    let mut world = World::new();
    let (old, other, new) = (crate::world::person(1), crate::world::person(2), second(&World::new()));
    world.offer(&first());
    let adding = event(&old, add(&new, uses()), &[&old, &other]);
    let adding = enter(&mut world, adding);
    let before = world.participant();
    let since = u64::try_from(world.records.len()).unwrap();
    let after = world.participant();
    let act = KeyAct::Compromise { thumbprint: thumbprint(&old), since_index: since };
    let report = event(&old, act, &[&new, &other]);
    let report = enter(&mut world, report);
    let trust = world.trust().following(&lineage(&world, &[adding, report])).unwrap();
    let admit = |mut participant: schemas::bundle::BundledParticipant| {
        let index = participant.decision.receipt.index;
        participant.decision.receipt = world.receipt(usize::try_from(index).unwrap());
        PinnedBook::new(trust.clone()).admit(participant)
    };
    admit(before).unwrap();
    assert_eq!(admit(after).unwrap_err().code, Code::SignerUnknown, "the decision is taken again");
}

#[test]
fn a_change_of_a_persons_key_is_refused_for_one_thing_at_a_time() {
    let mut world = World::new();
    let (old, other, new) = (crate::world::person(1), crate::world::person(2), second(&World::new()));
    world.offer(&first());
    let stranger = FileKey::generate().unwrap();
    let mut refused = |event: Envelope<KeyEvent>| {
        let entered = enter(&mut world, event);
        world.trust().following(&lineage(&world, &[entered])).unwrap_err().code
    };
    assert_eq!(refused(event(&old, add(&new, uses()), &[&old])), Code::TwoPeopleNeeded);
    assert_eq!(refused(event(&old, add(&new, uses()), &[&old, &stranger])), Code::SignerUnknown);
    assert_eq!(refused(event(&old, add(&new, uses()), &[&new, &other])), Code::SignerUnknown, "the key brings itself");
    let theirs = FileKey::generate_for(&stranger.did().unwrap()).unwrap();
    assert_eq!(refused(event(&stranger, add(&theirs, uses()), &[&old, &other])), Code::SignerNotParty);
    assert_eq!(refused(event(&old, add(&stranger, uses()), &[&old, &other])), Code::SignerNotParty, "another's key");
    let good = enter(&mut world, event(&old, add(&new, uses()), &[&old, &other]));
    world.trust().following(&lineage(&world, std::slice::from_ref(&good))).unwrap();
    let spoilt = |spoil: fn(&mut LoggedKeyEvent)| {
        let mut shown = lineage(&world, std::slice::from_ref(&good));
        spoil(&mut shown.people[0]);
        world.trust().following(&shown).unwrap_err().code
    };
    assert_eq!(spoilt(|e| e.receipt.path[0].0[0] ^= 1), Code::InclusionInvalid);
    assert_eq!(spoilt(|e| e.receipt.body_salt.0[0] ^= 1), Code::ReceiptMismatch);
    let twice = lineage(&world, &[good.clone(), good.clone()]);
    assert_eq!(world.trust().following(&twice).unwrap_err().code, Code::ReceiptMismatch);
    let mut many = lineage(&world, std::slice::from_ref(&good));
    many.people = vec![many.people[0].clone(); 257];
    assert_eq!(world.trust().following(&many).unwrap_err().code, Code::LimitExceeded);
}
