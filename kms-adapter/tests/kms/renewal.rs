//! Renewals of a budget at a key service: a cap that rises by a logged word, and by nothing else.

use schemas::Code;
use schemas::Signer as _;
use schemas::bundle::Logged;
use schemas::event::Body;
use schemas::privacy::{Clause, Scope};
use schemas::renewal::BudgetRenewal;
use signing::FileKey;

use crate::keeping::{catch_up, kms, page, put_back, stated};
use crate::own_releases::{act, charge};
use crate::support::papers::{clause, real};
use crate::support::people::{ORIGIN, People, start, uuid};
use crate::support::{Changes, Room, World};

/// An offer of ε 1.0 that may be renewed to 3.0, and a contract that grants all of it.
fn renewable(scope: Scope) -> World {
    World::with(Changes {
        offer: Box::new(move |o| {
            o.privacy_cap = Clause { scope, ..clause("1.0") };
            o.renewable_to = Some(real("3.0"));
        }),
        contract: Box::new(move |c| c.datasets[0].privacy = Clause { scope, ..clause("3.0") }),
        ..Changes::default()
    })
}

/// A renewal of the first offer by ε 0.4, spoilt before it is signed and entered.
fn renewal_by(
    world: &World,
    key: &FileKey,
    number: u32,
    spoil: impl FnOnce(&mut BudgetRenewal),
) -> Logged<BudgetRenewal> {
    let mut renewal = BudgetRenewal {
        schema: "budget-renewal.v1".into(),
        registry: world.people.registry_did(),
        provider: world.people.tdp.did().unwrap(),
        family: world.tables[0].family.clone(),
        dataset_id: world.tables[0].dataset_id.clone(),
        offer_sha256: world.bundle.offers[0].envelope.digest(),
        tdc: None,
        number,
        epsilon: real("0.4"),
        reason: "The second year of the study".into(),
        at: start(),
    };
    spoil(&mut renewal);
    let envelope = People::sign(&renewal, &[key]);
    world.log.lock().unwrap().enter(envelope, ORIGIN, &world.people.registry, start())
}

fn renewal(world: &World, number: u32) -> Logged<BudgetRenewal> {
    renewal_by(world, &world.people.tdp, number, |_| ())
}

#[test]
fn a_renewal_lets_one_more_run_fit_and_forgets_nothing() {
    let mut world = renewable(Scope::Global);
    Room::new(&world).reserve().unwrap();
    world.refuses(Code::BudgetExceeded, || Room::new(&world).reserve());
    world.bundle.renewals = vec![renewal(&world, 1)];
    Room::new(&world).reserve().unwrap();
    world.refuses(Code::BudgetExceeded, || Room::new(&world).reserve());
    let ledger = &world.budget()["ledgers"][0];
    assert_eq!(ledger["events"].as_array().unwrap().len(), 2, "what was spent before the renewal still counts");
    assert!(ledger["epsilon_micro"].as_u64().unwrap() > 1_000_000);
    // Who does not show the renewal has the cap of the offer.
    world.bundle.renewals.clear();
    world.refuses(Code::BudgetExceeded, || Room::new(&world).reserve());
}

/// What is let out outside runs has the cap that its provider's renewals make.
#[test]
fn a_renewal_lets_one_more_file_fit() {
    let world = renewable(Scope::Global);
    charge(&world, &act(&world, "a", "4", |_| ())).unwrap();
    let mut second = act(&world, "b", "5", |_| ());
    assert_eq!(charge(&world, &second).unwrap_err().code, Code::BudgetExceeded);
    let forged = renewal_by(&world, &world.people.other_tdp, 1, |_| ());
    second.renewals = vec![forged.envelope];
    assert_eq!(charge(&world, &second).unwrap_err().code, Code::SignerNotParty);
    let of_another = renewal_by(&world, &world.people.tdp, 1, |r| r.offer_sha256 = schemas::Digest::of(b"other"));
    second.renewals = vec![of_another.envelope];
    assert_eq!(charge(&world, &second).unwrap_err().code, Code::BudgetExceeded);
    second.renewals = vec![renewal(&world, 1).envelope];
    charge(&world, &second).unwrap();
}

#[test]
fn the_same_renewal_twice_counts_once() {
    let mut world = renewable(Scope::Global);
    let first = renewal(&world, 1);
    let resent = renewal_by(&world, &world.people.tdp, 1, |r| r.at = start().plus_seconds(1));
    // The same words under two receipts, as a log would hold them that took them twice.
    let again = world.log.lock().unwrap().enter(first.envelope.clone(), ORIGIN, &world.people.registry, start());
    world.bundle.renewals = vec![first.clone(), first.clone(), again];
    Room::new(&world).reserve().unwrap();
    Room::new(&world).reserve().unwrap();
    world.refuses(Code::BudgetExceeded, || Room::new(&world).reserve());
    // Signed anew under the same number: one of them is not to be had.
    world.bundle.renewals = vec![first, resent];
    world.refuses(Code::BudgetRenewalInvalid, || Room::new(&world).reserve());
}

#[test]
fn a_renewal_of_anything_else_is_refused() {
    let mut world = renewable(Scope::Global);
    Room::new(&world).reserve().unwrap();
    let other = world.people.other_tdp.did().unwrap();
    let theirs = world.bundle.offers[1].envelope.digest();
    type Spoil = Box<dyn FnOnce(&mut BudgetRenewal)>;
    let consumer = world.people.tdc.did().unwrap();
    let spoilt: Vec<(Code, Spoil)> = vec![
        (Code::BudgetRenewalInvalid, Box::new(|r| r.family = schemas::id::FamilyId::new(uuid()))),
        (Code::BudgetRenewalInvalid, Box::new(|r| r.dataset_id = schemas::id::DatasetId::new(uuid()))),
        (Code::BudgetRenewalInvalid, Box::new(move |r| r.offer_sha256 = theirs)),
        (Code::BudgetRenewalInvalid, Box::new(|r| r.offer_sha256 = schemas::Digest([1; 32]))),
        (Code::BudgetRenewalInvalid, Box::new(move |r| r.tdc = Some(consumer))),
        (Code::BudgetRenewalInvalid, Box::new(|r| r.number = 0)),
        (Code::WrongRegistry, Box::new(|r| r.registry = "did:web:other.example".parse().unwrap())),
        (Code::EpsilonOutOfRange, Box::new(|r| r.epsilon = real("0.0000001"))),
        (Code::EpsilonOutOfRange, Box::new(|r| r.epsilon = real("99999999999999999999999999999999999999"))),
        (Code::BudgetRenewalTooLarge, Box::new(|r| r.epsilon = real("900"))),
        (Code::BudgetRenewalTooLarge, Box::new(|r| r.epsilon = real("2.000001"))),
        (Code::SignerNotParty, Box::new(move |r| r.provider = other)),
    ];
    for (code, spoil) in spoilt {
        world.bundle.renewals = vec![renewal_by(&world, &world.people.tdp, 1, spoil)];
        world.refuses(code, || Room::new(&world).reserve());
    }
    // Signed by another provider about itself, and by the consumer in the provider's name.
    let their_name = world.people.other_tdp.did().unwrap();
    let foreign = renewal_by(&world, &world.people.other_tdp, 1, |r| r.provider = their_name);
    let taken = renewal_by(&world, &world.people.tdc, 1, |_| ());
    for (code, renewal) in [(Code::BudgetRenewalInvalid, foreign), (Code::SignerNotParty, taken)] {
        world.bundle.renewals = vec![renewal];
        world.refuses(code, || Room::new(&world).reserve());
    }
    // Not in the log: the receipt is of another entry; one byte of the words is another.
    let mut unlogged = renewal(&world, 1);
    unlogged.receipt = world.bundle.offers[0].receipt.clone();
    let mut changed = renewal(&world, 1);
    let at = changed.envelope.payload.0.iter().position(|byte| *byte == b'4').unwrap();
    changed.envelope.payload.0[at] = b'9';
    for (code, renewal) in [(Code::ReceiptMismatch, unlogged), (Code::SignatureInvalid, changed)] {
        world.bundle.renewals = vec![renewal];
        world.refuses(code, || Room::new(&world).reserve());
    }
}

#[test]
fn an_offer_that_does_not_say_so_is_never_renewed() {
    let mut world = World::with(Changes {
        offer: Box::new(|o| o.privacy_cap = Clause { scope: Scope::Global, ..clause("1.0") }),
        contract: Box::new(|c| c.datasets[0].privacy.scope = Scope::Global),
        ..Changes::default()
    });
    world.bundle.renewals = vec![renewal(&world, 1)];
    world.refuses(Code::BudgetNotRenewable, || Room::new(&world).reserve());
}

/// By law alone, or with the model inside: a registry that let such an offer in does not make it renewable here.
#[test]
fn a_budget_of_another_level_is_never_renewed() {
    let mut world = World::with(Changes {
        offer: Box::new(|o| {
            o.privacy_cap = Clause { scope: Scope::Global, level: 0, ..clause("1.0") };
            o.renewable_to = Some(real("3.0"));
        }),
        contract: Box::new(|c| c.datasets[0].privacy = Clause { scope: Scope::Global, level: 0, ..clause("1.0") }),
        ..Changes::default()
    });
    world.bundle.renewals = vec![renewal(&world, 1)];
    world.refuses(Code::BudgetNotRenewable, || Room::new(&world).reserve());
    world.bundle.renewals.clear();
    Room::new(&world).reserve().unwrap();
}

#[test]
fn what_an_amended_contract_spent_before_counts_in_its_renewed_budget() {
    let mut world = World::with(Changes {
        offer: Box::new(|o| {
            o.privacy_cap = Clause { scope: Scope::Global, ..clause("1.0") };
            o.renewable_to = Some(real("3.0"));
        }),
        contract: Box::new(|c| c.datasets[0].privacy.scope = Scope::Global),
        ..Changes::default()
    });
    Room::new(&world).reserve().unwrap();
    // The cap rises; the grant of the contract, spent, does not.
    world.bundle.renewals = vec![renewal(&world, 1)];
    world.refuses(Code::BudgetExceeded, || Room::new(&world).reserve());
    // A grant of 1.4 in the next version of the contract: one more run, not two of them.
    world.amend(|c| c.datasets[0].privacy.epsilon = real("1.4"));
    Room::new(&world).reserve().unwrap();
    world.refuses(Code::BudgetExceeded, || Room::new(&world).reserve());
    assert_eq!(world.charges(), ["reserved", "reserved"]);
}

#[test]
fn of_many_rooms_that_show_one_renewal_at_once_one_gets_what_it_gave() {
    let mut world = renewable(Scope::Global);
    Room::new(&world).reserve().unwrap();
    world.bundle.renewals = vec![renewal(&world, 1)];
    let rooms: Vec<Room> = (0..16).map(|_| Room::new(&world)).collect();
    let requests: Vec<_> = rooms.iter().map(|room| room.reserve_request(|_| ())).collect();
    let codes: Vec<_> = std::thread::scope(|scope| {
        let send = |(room, request)| move || Room::send_reserve(room, request).map_err(|refused| refused.code);
        let threads: Vec<_> = rooms.iter().zip(&requests).map(|pair| scope.spawn(send(pair))).collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    });
    let full = codes.iter().filter(|c| matches!(c, Err(Code::BudgetExceeded))).count();
    assert_eq!((codes.iter().filter(|c| c.is_ok()).count(), full), (1, 15), "{codes:?}");
    assert_eq!(world.charges(), ["reserved", "reserved"]);
}

#[test]
fn a_bundle_brings_every_renewal_of_a_ledger_and_not_thousands() {
    let mut world = renewable(Scope::Global);
    let small = |number| renewal_by(&world, &world.people.tdp, number, |r| r.epsilon = real("0.025"));
    let all: Vec<_> = (1..=16).map(small).collect();
    world.bundle.renewals = all.clone();
    // A cap of 1.4 after sixteen of them.
    Room::new(&world).reserve().unwrap();
    Room::new(&world).reserve().unwrap();
    world.refuses(Code::BudgetExceeded, || Room::new(&world).reserve());
    world.bundle.renewals = all.iter().cycle().take(257).cloned().collect();
    world.refuses(Code::LimitExceeded, || Room::new(&world).reserve());
}

#[test]
fn where_each_consumer_has_a_ledger_the_renewal_of_another_raises_nothing() {
    let mut world = renewable(Scope::PerTdc);
    Room::new(&world).reserve().unwrap();
    let (ours, theirs) = (world.people.tdc.did().unwrap(), world.people.ccrp.did().unwrap());
    world.bundle.renewals = vec![renewal_by(&world, &world.people.tdp, 1, |r| r.tdc = Some(theirs))];
    world.refuses(Code::BudgetExceeded, || Room::new(&world).reserve());
    let own = renewal_by(&world, &world.people.tdp, 1, |r| r.tdc = Some(ours));
    world.bundle.renewals.push(own);
    Room::new(&world).reserve().unwrap();
    world.refuses(Code::BudgetExceeded, || Room::new(&world).reserve());
}

#[test]
fn a_key_that_the_service_does_not_pin_renews_nothing() {
    // The SRO vouches for another key of the same provider than the one that its key service pins.
    let (pinned, vouched) = ([3; 32], [4; 32]);
    let did = "did:web:tdp.example";
    let mut world = World::with(Changes {
        offer: Box::new(|o| o.renewable_to = Some(real("3.0"))),
        provider: Box::new(move || FileKey::from_seed(did, &pinned)),
        impostor: Some(FileKey::from_seed(did, &vouched)),
        config: Box::new(move |c| c.provider_jwk = Some(FileKey::from_seed(did, &pinned).jwk().clone())),
        ..Changes::default()
    });
    let consumer = world.people.tdc.did().unwrap();
    let key = FileKey::from_seed(did, &vouched);
    world.bundle.renewals = vec![renewal_by(&world, &key, 1, |r| r.tdc = Some(consumer))];
    let refused = Room::new(&world).reserve().unwrap_err();
    assert_eq!(refused.code, Code::SignerUnknown);
    assert!(refused.text.contains("renewal"), "{}", refused.text);
}

#[test]
fn a_database_put_back_neither_forgets_nor_doubles_a_renewal() {
    let mut world = renewable(Scope::Global);
    let (recovery_key, parts) = kms_adapter::recovery::make(2, 3).unwrap();
    world.bundle.renewals = vec![renewal(&world, 1)];
    let run = |world: &World| {
        let room = Room::new(world);
        let reserved = room.reserve().unwrap();
        let released = room.release(&reserved).unwrap().read_unverified().unwrap().receipt;
        [reserved, released]
    };
    let first = run(&world);
    let yesterday = kms(&world).backup(&recovery_key).unwrap();
    // Today the renewed part is spent.
    let second = run(&world);
    world.refuses(Code::BudgetExceeded, || Room::new(&world).reserve());
    let mut bodies = vec![Body::RunOrdered { job: world.bundle.job.clone() }];
    bodies.extend(first.iter().chain(&second).map(stated));
    let pages = [page(&world, &bodies)];
    put_back(&mut world, &yesterday, &parts[..2], "kms2");
    world.refuses(Code::KmsBehindLog, || Room::new(&world).reserve());
    catch_up(&mut world, &pages, false).unwrap();
    assert_eq!(world.charges(), ["charged", "charged"]);
    world.refuses(Code::BudgetExceeded, || Room::new(&world).reserve());
    // The next renewal adds to the first, which was not forgotten.
    let next = renewal_by(&world, &world.people.tdp, 2, |r| r.epsilon = real("0.25"));
    world.bundle.renewals.push(next);
    Room::new(&world).reserve().unwrap();
    world.refuses(Code::BudgetExceeded, || Room::new(&world).reserve());
}

#[test]
fn a_dry_run_tells_the_operator_of_the_renewals() {
    let mut world = renewable(Scope::Global);
    Room::new(&world).reserve().unwrap();
    let asked = |world: &mut World| {
        world.stop();
        let all = kms(world).explain(world.bundle.clone());
        world.restart().unwrap();
        all.into_iter().find(|e| e.check.starts_with("budget")).unwrap()
    };
    let full = asked(&mut world);
    assert_eq!((full.verdict, full.code), ("refused", Some("BUDGET_EXCEEDED")));
    world.bundle.renewals = vec![renewal(&world, 1)];
    let renewed = asked(&mut world);
    assert_eq!(renewed.verdict, "passed");
    let why = renewed.why.unwrap();
    assert!(why.contains("1 renewal") && why.contains("ε 1.4"), "{why}");
    // Of another consumer's ledger nothing is told.
    let mut world = renewable(Scope::PerTdc);
    let (ours, theirs) = (world.people.tdc.did().unwrap(), world.people.ccrp.did().unwrap());
    let of = |who: &schemas::id::Did, number| {
        let who = who.clone();
        renewal_by(&world, &world.people.tdp, number, |r| r.tdc = Some(who))
    };
    let (first, second) = (of(&theirs, 1), of(&theirs, 2));
    let own = of(&ours, 1);
    world.bundle.renewals = vec![first, second];
    assert_eq!(asked(&mut world).why, None);
    world.bundle.renewals.push(own);
    let why = asked(&mut world).why.unwrap();
    assert!(why.contains("1 renewal") && why.contains("ε 1.4"), "{why}");
}
