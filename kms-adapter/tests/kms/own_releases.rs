//! What the provider lets out itself, outside any run: charged beside training, against the same cap, once.

use schemas::id::{Did, FamilyId};
use schemas::own_release::{OwnRelease, OwnReleaseCharged, OwnReleaseRequest, ReleasedKind};
use schemas::privacy::{Clause, Mechanism, Scope};
use schemas::{Code, Digest};
use serde_json::Value;

use crate::support::http::Answer;
use crate::support::papers::{clause, real};
use crate::support::people::{People, uuid};
use crate::support::{Changes, Room, World, http};

/// The provider's act about a file whose noise has this multiplier, spoilt before it is signed.
pub fn act(world: &World, file: &str, noise: &str, spoil: impl FnOnce(&mut OwnRelease)) -> OwnReleaseRequest {
    let offer = world.bundle.offers[0].envelope.clone();
    let mechanisms = vec![Mechanism::Gaussian { noise_multiplier: real(noise) }];
    let mut release = OwnRelease {
        schema: "own-release.v1".into(),
        registry: world.people.registry_did(),
        kms: world.info.kms.clone(),
        provider: world.people.tdp.did().unwrap(),
        kind: ReleasedKind::Profile,
        file_sha256: Digest::of(file.as_bytes()),
        offer_sha256: offer.digest(),
        charge: policies::own_release::charge(&offer.read_unverified().unwrap(), mechanisms).unwrap(),
        at: world.now(),
    };
    spoil(&mut release);
    OwnReleaseRequest { release: People::sign(&release, &[&world.people.tdp]), offer, renewals: vec![] }
}

pub fn charge(world: &World, request: &OwnReleaseRequest) -> Answer<OwnReleaseCharged> {
    http::post(&world.at("/v1/budget/releases"), request)
}

/// Digests of the charged files, as the first ledger shows them.
pub fn files(world: &World) -> Vec<String> {
    let ledger = &world.budget()["ledgers"][0];
    let all = ledger["releases"].as_array().cloned().unwrap_or_default();
    all.iter().map(|release| release["file_sha256"].as_str().unwrap().to_owned()).collect()
}

/// An offer whose cap is all that the contract grants: ε 1.0.
fn narrow(scope: Scope) -> World {
    World::with(Changes {
        offer: Box::new(move |o| o.privacy_cap = Clause { scope, ..clause("1.0") }),
        contract: Box::new(move |c| c.datasets[0].privacy.scope = scope),
        ..Changes::default()
    })
}

/// Asserts a refusal with this code that charged nothing.
fn refuses(world: &World, code: Code, request: &OwnReleaseRequest) -> String {
    let before = files(world);
    let refused = charge(world, request).expect_err("a refusal is expected");
    assert_eq!(refused.code, code, "{}", refused.text);
    assert_eq!(files(world), before, "a refusal changed the ledger");
    refused.text
}

#[test]
fn what_is_let_out_counts_before_and_after_training() {
    for scope in [Scope::PerTdc, Scope::Global] {
        // Before: a run that fits alone does not fit beside it.
        let world = narrow(scope);
        let charged = charge(&world, &act(&world, "a", "4", |_| ())).unwrap();
        assert_eq!((charged.file_sha256, charged.at), (Digest::of(b"a"), world.now()));
        let ledger = world.budget()["ledgers"][0].clone();
        assert_eq!((&ledger["scope"], ledger["events"].as_array().unwrap().len()), (&"*".into(), 0), "{ledger}");
        assert!(ledger["epsilon_micro"].as_u64().unwrap().abs_diff(charged.charge.epsilon_micro) <= 1, "{ledger}");
        let release = &ledger["releases"][0];
        assert_eq!((&release["kind"], &release["kept"]), (&"profile".into(), &"enforced budget".into()));
        world.refuses(Code::BudgetExceeded, || Room::new(&world).reserve());
        // After: it is refused beside a run, and one with more noise is not.
        let world = narrow(scope);
        Room::new(&world).reserve().unwrap();
        let alone = world.budget()["ledgers"][0]["epsilon_micro"].as_u64().unwrap();
        let text = refuses(&world, Code::BudgetExceeded, &act(&world, "a", "4", |_| ()));
        let tdc = world.people.tdc.did().unwrap();
        assert!(text.contains(if scope == Scope::Global { "all consumers" } else { tdc.as_str() }), "{text}");
        charge(&world, &act(&world, "b", "40", |_| ())).unwrap();
        let ledgers = world.budget()["ledgers"].as_array().unwrap().clone();
        assert_eq!((ledgers.len(), ledgers[0]["releases"].as_array().unwrap().len()), (1, 1), "{ledgers:?}");
        assert!(ledgers[0]["epsilon_micro"].as_u64().unwrap() > alone);
    }
}

#[test]
fn a_reservation_that_ran_out_makes_room_again() {
    let world = narrow(Scope::PerTdc);
    Room::new(&world).reserve().unwrap();
    refuses(&world, Code::BudgetExceeded, &act(&world, "a", "4", |_| ()));
    world.pass(600);
    charge(&world, &act(&world, "a", "4", |_| ())).unwrap();
    assert_eq!(world.charges(), ["expired"]);
}

#[test]
fn a_file_is_charged_once_and_never_otherwise() {
    let world = World::new();
    let request = act(&world, "a", "10", |_| ());
    let first = charge(&world, &request).unwrap();
    let spent = || world.budget()["ledgers"][0]["epsilon_micro"].clone();
    let before = spent();
    world.pass(60);
    assert_eq!(charge(&world, &request).unwrap(), first);
    assert_eq!(charge(&world, &act(&world, "a", "10", |_| ())).unwrap(), first, "signed anew");
    assert_eq!(spent(), before);
    refuses(&world, Code::IdempotencyKeyReused, &act(&world, "a", "20", |_| ()));
    refuses(&world, Code::IdempotencyKeyReused, &act(&world, "a", "10", |r| r.kind = ReleasedKind::Sketch));
    charge(&world, &act(&world, "b", "10", |_| ())).unwrap();
    assert_ne!(spent(), before, "another file is another charge");
    assert_eq!(files(&world).len(), 2);
}

/// What was refused for want of room, and kept by somebody, is not charged when there is room.
#[test]
fn an_act_is_shown_within_the_hour_or_never() {
    let world = narrow(Scope::PerTdc);
    Room::new(&world).reserve().unwrap();
    let refused = act(&world, "a", "4", |_| ());
    refuses(&world, Code::BudgetExceeded, &refused);
    world.pass(3_601);
    refuses(&world, Code::SchemaMismatch, &refused);
    let fresh = act(&world, "a", "4", |_| ());
    let charged = charge(&world, &fresh).unwrap();
    world.pass(3_601);
    assert_eq!(charge(&world, &fresh).unwrap(), charged, "what is charged is answered at any age");
}

#[test]
fn an_act_that_is_spoilt_in_one_thing_charges_nothing() {
    let world = World::new();
    let request = |spoil: fn(&mut OwnRelease)| act(&world, "a", "10", spoil);
    fn nobody() -> Did {
        Did::parse("did:web:nobody.example").unwrap()
    }
    refuses(&world, Code::SignatureContext, &request(|r| r.kms = "https://kms.other.example".into()));
    refuses(&world, Code::SignatureContext, &request(|r| r.provider = nobody()));
    refuses(&world, Code::WrongRegistry, &request(|r| r.registry = nobody()));
    refuses(&world, Code::TermsNotOffer, &request(|r| r.offer_sha256 = Digest::of(b"other")));
    refuses(&world, Code::TermsNotOffer, &request(|r| r.charge.epsilon_micro = 1));
    refuses(&world, Code::TermsNotOffer, &request(|r| r.charge.family = FamilyId::new(uuid())));
    refuses(&world, Code::LimitExceeded, &request(|r| r.charge.mechanisms.clear()));
    refuses(&world, Code::SchemaMismatch, &request(|r| r.at = r.at.plus_seconds(3600)));
    refuses(&world, Code::BudgetExceeded, &act(&world, "a", "0.5", |_| ()));
    let unbounded = Mechanism::WithoutDifferentialPrivacy { steps: 1 };
    let offer = world.bundle.offers[0].envelope.read_unverified().unwrap();
    let raw = policies::own_release::charge(&offer, vec![unbounded]).unwrap();
    refuses(&world, Code::BudgetExceeded, &act(&world, "a", "10", |r| r.charge = raw));

    let good = act(&world, "a", "10", |_| ());
    let document = good.release.read_unverified().unwrap();
    let signed = |key| OwnReleaseRequest { release: People::sign(&document, &[key]), ..good.clone() };
    refuses(&world, Code::SignerNotParty, &signed(&world.people.tdc));
    let mut forged = good.clone();
    forged.release.signatures[0].sig.0[7] ^= 1;
    refuses(&world, Code::SignatureInvalid, &forged);
    // The other provider's offer names neither this provider nor this service.
    let foreign = OwnReleaseRequest { offer: world.bundle.offers[1].envelope.clone(), ..good.clone() };
    refuses(&world, Code::SignerNotParty, &foreign);
    let unknown: Answer<Value> =
        http::post(&world.at("/v1/budget/releases"), &serde_json::json!({"release": good.release}));
    assert_eq!(unknown.unwrap_err().code, Code::SchemaMismatch);
    charge(&world, &good).unwrap();
}

#[test]
fn what_law_alone_bounds_is_entered_and_refused_by_no_sum() {
    let world = World::with(Changes {
        offer: Box::new(|o| o.privacy_cap.level = 0),
        contract: Box::new(|c| c.datasets[0].privacy.level = 0),
        ..Changes::default()
    });
    charge(&world, &act(&world, "a", "0.5", |_| ())).unwrap();
    let ledger = world.budget()["ledgers"][0].clone();
    assert!(ledger["epsilon_micro"].as_u64().unwrap() > 2_000_000, "{ledger}");
    assert_eq!(ledger["releases"][0]["kept"], "legal only");
}
