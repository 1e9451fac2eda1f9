//! Contracts outside their period, and everything else that time ends.

use std::sync::{Arc, Mutex};

use contract_client::{Act, Outgoing};
use depa::job::Drawn;
use schemas::bundle::JobBundle;
use schemas::contract::{ContractRef, ContractState};
use schemas::release::ContractStatus;
use schemas::{Code, R};

use super::judges::{each_kms_refuses, each_refuses};
use super::probe::Probe;
use super::scene::{Deal, Scene, refuses, to_folder};

/// An honest job of a contract, signed as if it were in force already.
fn ahead_of_time(scene: &Scene, contract: &ContractRef, seconds: i64) -> R<Deal> {
    let (house, person) = (&scene.house, &scene.house.tdc.person);
    let upload = scene.upload_folder();
    let mut form = house.job_form(&contract.id)?;
    to_folder(&mut form, &upload);
    let bundles = [depa::contract::bundle(person.desk()?, &contract.id)?];
    let active = ContractStatus { id: contract.id.clone(), sha256: contract.sha256, state: ContractState::Active };
    let then = person.now().plus_seconds(seconds);
    let made = depa::job::bundle(&form, &bundles, &[active], &person.key, &house.trust, &Drawn::fresh()?, then)?;
    Ok(Deal { contract: contract.clone(), bundle: made.bundle, upload })
}

#[test]
fn a_contract_counts_within_its_period_only() {
    let scene = Scene::new();
    let now = scene.house.tdc.person.now();
    let early = scene.house.signed_contract(|form| form.effective_from = Some(now.plus_seconds(600))).unwrap();
    assert_eq!(scene.state(&early), ContractState::Scheduled);
    // The consumer's own tool looks at the status list; others judge the period.
    refuses(Code::ContractNotYetValid, scene.house.job_with(&early.id, |_| {}));
    let early = ahead_of_time(&scene, &early, 600).unwrap();
    each_refuses(&scene, &early.bundle, Code::ContractNotYetValid);

    // In force for twenty minutes, ordered and admitted to check in, and then it is too late.
    let short = scene.deal_with(|form| form.expires_at = now.plus_seconds(1200));
    let waiting = Probe::arrives(&scene, &scene.again(&short)).unwrap();
    scene.clock.advance(1200);
    assert_eq!(scene.state(&short.contract), ContractState::Expired);
    each_refuses(&scene, &short.bundle, Code::ContractExpired);
    refuses(Code::ChallengeExpired, scene.desk().check_in(&waiting.check_in(|_| {})));
    let late = Probe::returns(&scene, &waiting.bundle).unwrap();
    refuses(Code::ContractExpired, scene.desk().check_in(&late.check_in(|_| {})));
    refuses(Code::ContractExpired, scene.house.job_with(&short.contract.id, |_| {}));
    scene.nothing_came_of(&short);

    // Meanwhile the other one came into force.
    assert_eq!(scene.state(&early.contract), ContractState::Active);
    scene.nothing_came_of(&early);
    scene.order_and_run(&early.bundle).unwrap();
}

#[test]
fn a_job_and_an_image_set_end_too() {
    let scene = Scene::new();
    let deal = scene.deal();
    let brief: JobBundle = scene
        .house
        .job_with(&deal.contract.id, |form| {
            to_folder(form, &deal.upload);
            form.expires_in_seconds = 300;
        })
        .unwrap()
        .bundle;
    scene.clock.advance(300);
    each_refuses(&scene, &brief, Code::JobExpired);
    // A day before its contract would end, the approval of the room does.
    let scene = Scene::new();
    let far = scene.house.tdc.person.now().plus_seconds(366 * 86_400);
    let deal = scene.deal_with(|form| form.expires_at = far.plus_seconds(86_400));
    scene.clock.advance(365 * 86_400);
    let late = ahead_of_time(&scene, &deal.contract, -86_400 * 2).unwrap();
    let fresh = scene.forged(&late, |job| job.expires_at = far);
    each_refuses(&scene, &fresh, Code::ImageSetNotApproved);
    scene.nothing_came_of(&deal);
}

#[test]
fn challenges_admissions_and_reservations_run_out() {
    let scene = Scene::new();
    let deal = scene.deal();
    let mut probe = Probe::admitted(&scene, &deal.bundle).unwrap();
    let kms = scene.house.tdps[0].kms.clone();
    let words = probe.reserve_words(&kms);
    scene.clock.advance(61);
    refuses(Code::AdmissionStale, probe.send_reserve(&kms, &words));
    let challenge = probe.challenge(&kms);
    scene.clock.advance(121);
    probe.admission = Some(probe.refresh().unwrap());
    refuses(Code::ChallengeExpired, probe.send_reserve(&kms, &probe.reserve_words_under(&challenge)));
    scene.nothing_came_of(&deal);
    let all = probe.reserve_all();
    assert_eq!(scene.states(&deal.contract), [["reserved"]; 3]);
    scene.clock.advance(601);
    probe.admission = Some(probe.refresh().unwrap());
    refuses(Code::ReservationExpired, probe.release(&kms, &all));
    // What was held is free again by itself.
    assert_eq!(scene.states(&deal.contract), [["expired"]; 3]);
    scene.nothing_came_of(&deal);
    each_kms_refuses(&scene, &scene.forged(&deal, |job| job.expires_at = scene.clock.now().whole()), Code::JobExpired);
}

/// A key service calls an Admission stale that was fresh when the room sent it: the room gets another one, shows fresh
/// evidence under a fresh challenge, and goes on, at reserve and at release.
#[test]
fn a_room_whose_admission_went_stale_on_the_way_gets_a_fresh_one_and_goes_on() {
    let scene = Scene::new();
    let deal = scene.deal();
    scene.house.tdc.orders(&deal.bundle).unwrap();
    let (clock, sent) = (scene.clock.clone(), Arc::new(Mutex::new(Vec::new())));
    let log = sent.clone();
    let mut room = scene.room();
    room.hook = Some(Arc::new(move |call: &mut Outgoing| {
        let act = ["challenges", "reservations", "release"].into_iter().find(|act| call.path.ends_with(act));
        let mut log = log.lock().unwrap();
        log.extend(act);
        // The first reservation and the first release are a minute under way.
        if act.is_some_and(|act| act != "challenges" && log.iter().filter(|sent| **sent == act).count() == 1) {
            clock.advance(61);
        }
        Act::Pass
    }));
    let (done, told) = scene.run(&deal.bundle, &room);
    done.unwrap();
    let count = |act| sent.lock().unwrap().iter().filter(|sent| **sent == act).count();
    // One of each was refused and asked again under a challenge of its own.
    assert_eq!((count("reservations"), count("release"), count("challenges")), (4, 4, 8), "{told:?}");
    assert_eq!(scene.states(&deal.contract), [["committed"]; 3]);
    assert_eq!(super::scene::models(&deal), 1);
}
