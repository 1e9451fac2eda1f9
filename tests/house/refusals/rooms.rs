//! A run by several rooms through the real services: the members prove themselves before anything is reserved, one that
//! does not is no member, and the certificate names what they showed.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use attestation::software::{SoftwareAttester, SoftwareRoot};
use ccr_runtime::group::member::{Told, serve};
use ccr_runtime::{Completed, Progress, Room};
use schemas::{Code, Digest, R};

use super::judges::each_refuses;
use super::scene::{Deal, Scene, Shown, calm, refuses, to_folder};
use crate::rooms::device_lent;

/// A deal whose job asks for so many rooms.
fn deal(scene: &Scene, rooms: u32) -> Deal {
    let contract = scene.house.signed_contract(|form| form.compute.rooms_max = Some(rooms)).unwrap();
    let upload = scene.upload_folder();
    let job = |form: &mut depa::job::form::JobForm| {
        to_folder(form, &upload);
        form.rooms = Some(rooms);
    };
    let bundle = scene.house.job_with(&contract.id, job).unwrap().bundle;
    Deal { contract, bundle, upload }
}

struct Ran {
    done: R<Completed>,
    progress: Vec<Progress>,
    members: Vec<(R<()>, Vec<Told>)>,
}

/// Orders a run and carries it out with member rooms, each as it was changed.
fn with_members(scene: &Scene, deal: &Deal, members: &[&(dyn Fn(&mut Room) + Sync)]) -> Ran {
    led(scene, deal, scene.room(), members)
}

/// The same by this room.
fn led(scene: &Scene, deal: &Deal, mut leader: Room, members: &[&(dyn Fn(&mut Room) + Sync)]) -> Ran {
    scene.house.tdc.orders(&deal.bundle).unwrap();
    std::thread::scope(|scope| {
        let mut started = Vec::new();
        for change in members {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            leader.members.push(listener.local_addr().unwrap().to_string());
            let stop = Arc::default();
            let told_to_stop = Arc::clone(&stop);
            started.push((
                stop,
                scope.spawn(move || {
                    let mut room = scene.room();
                    room.stop = told_to_stop;
                    change(&mut room);
                    let mut told = Vec::new();
                    (serve(&listener, &room, None, &mut |what| told.push(what)), told)
                }),
            ));
        }
        let (done, progress) = scene.run(&deal.bundle, &leader);
        if done.is_err() {
            // Whoever was not called would wait for ever.
            started.iter().for_each(|(stop, _)| stop.store(true, Ordering::SeqCst));
        }
        Ran { done, progress, members: started.into_iter().map(|(_, room)| room.join().unwrap()).collect() }
    })
}

#[test]
fn three_rooms_carry_out_one_run_and_the_certificate_names_them() {
    if !device_lent("three_rooms_carry_out_one_run_and_the_certificate_names_them") {
        return;
    }
    let scene = Scene::new();
    let deal = deal(&scene, 3);
    let Ran { done, members, .. } = with_members(&scene, &deal, &[&|_| {}, &|_| {}]);
    let done = done.unwrap();
    for (at, (ended, told)) in members.into_iter().enumerate() {
        ended.unwrap();
        assert!(
            matches!(&told[..], [Told::Met { run, place }, Told::Over]
            if *run == done.run_id && (place.index as usize, place.rooms) == (at + 1, 3)),
            "{told:?}"
        );
    }
    assert_eq!(scene.states(&deal.contract), [["committed"], ["committed"], ["committed"]], "one run, one charge");
    let tdc = &scene.house.tdc;
    let out = tdc.person.dir.join("rooms.safetensors");
    let (desk, trust) = (tdc.person.desk().unwrap(), tdc.person.trust().unwrap());
    let model = depa::model::download(desk, &done.run_id, &deal.bundle, &tdc.enc, trust, &out).unwrap();
    let [first, second] = model.certificate.members[..] else { panic!("{:?}", model.certificate.members) };
    assert_ne!(first, second);
    // What they showed to be: as the image set says, and SIMULATED.
    let set = deal.bundle.image_set.envelope.read_unverified().unwrap();
    let showed = &model.certificate.member_rooms;
    assert_eq!(showed.len(), 2);
    for room in showed {
        assert_eq!(room.evidence, schemas::evidence::EvidenceKind::Software);
        assert!(set.measurements.contains(&room.measurement) && room.pcr_sha256.is_some());
    }
}

#[test]
fn a_job_for_another_number_of_rooms_is_not_begun() {
    let scene = calm();
    refuses(Code::LimitExceeded, scene.house.job_with(&scene.deal().contract.id, |form| form.rooms = Some(17)));
    let deal = deal(&scene, 3);
    let Ran { done, progress, .. } = with_members(&scene, &deal, &[&|_| {}]);
    refuses(Code::GroupIncomplete, done);
    assert!(matches!(progress[..], [Progress::Admitted { .. }]), "no run was checked in: {progress:?}");
    scene.nothing_came_of(&deal);
}

#[test]
fn a_contract_that_says_nothing_of_rooms_lets_a_run_take_one() {
    let scene = calm();
    let deal = scene.deal();
    refuses(Code::RoomsNotAllowed, scene.house.job_with(&deal.contract.id, |form| form.rooms = Some(2)));
    each_refuses(&scene, &scene.forged(&deal, |job| job.rooms = Some(2)), Code::RoomsNotAllowed);
    scene.nothing_came_of(&deal);
}

#[test]
fn a_member_of_other_code_gets_nothing_and_nothing_is_reserved() {
    if !device_lent("a_member_of_other_code_gets_nothing_and_nothing_is_reserved") {
        return;
    }
    let scene = calm();
    let deal = deal(&scene, 2);
    let root = SoftwareRoot::load(&scene.house.ccrp.root).unwrap();
    let other = Arc::new(SoftwareAttester::new(root, Digest([9; 32])).unwrap());
    let Ran { done, progress, members } =
        with_members(&scene, &deal, &[&move |room| room.attester = Box::new(Shown(other.clone()))]);
    refuses(Code::MeasurementNotAllowed, done);
    assert!(!progress.iter().any(|told| matches!(told, Progress::Reserved { .. })), "{progress:?}");
    assert!(matches!(&members[0].1[..], [Told::Refused(refusal)] if refusal.code == Code::MeasurementNotAllowed));
    scene.nothing_came_of(&deal);
}

#[test]
fn a_leader_of_other_code_meets_no_member() {
    if !device_lent("a_leader_of_other_code_meets_no_member") {
        return;
    }
    // The services would refuse it too; here the member does, with the run admitted in an honest room's name.
    let scene = calm();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let deal = deal(&scene, 2);
    scene.house.tdc.orders(&deal.bundle).unwrap();
    let root = SoftwareRoot::load(&scene.house.ccrp.root).unwrap();
    let mut leader = scene.room();
    leader.members.push(listener.local_addr().unwrap().to_string());
    leader.attester = Box::new(Turning(scene.attester.clone(), SoftwareAttester::new(root, Digest([9; 32])).unwrap()));
    let member = scene.room();
    std::thread::scope(|scope| {
        let stop = member.stop.clone();
        let refused = scope.spawn(move || {
            let mut told = Vec::new();
            refuses(Code::RoomStopped, serve(&listener, &member, None, &mut |what| told.push(what)));
            told
        });
        refuses(Code::MeasurementNotAllowed, scene.run(&deal.bundle, &leader).0);
        stop.store(true, Ordering::SeqCst);
        let told = refused.join().unwrap();
        assert!(
            matches!(&told[..], [Told::Refused(refusal)] if refusal.code == Code::MeasurementNotAllowed),
            "{told:?}"
        );
    });
    scene.nothing_came_of(&deal);
}

/// What vouches for a platform is the operator's, as at the services: here the services know of nothing that speaks against
/// these rooms, and one of the rooms does.
#[test]
fn a_room_on_a_chip_that_does_not_count_is_refused_on_either_side() {
    if !device_lent("a_room_on_a_chip_that_does_not_count_is_refused_on_either_side") {
        return;
    }
    let scene = calm();
    type Spoil = fn(&mut collateral::Settings);
    let spoils: [Spoil; 2] =
        [|platform| platform.chips_allowed = Some([Digest([9; 32])].into()), |platform| platform.crl_required = true];
    for spoil in spoils {
        let deal = deal(&scene, 2);
        let mut leader = scene.room();
        spoil(&mut leader.config.platform);
        let Ran { done, members, .. } = led(&scene, &deal, leader, &[&|_| {}]);
        refuses(Code::EvidenceRefused, done);
        assert!(matches!(&members[0].1[..], [Told::Refused(refusal)] if refusal.code == Code::EvidenceRefused));
        scene.nothing_came_of(&deal);

        let deal = self::deal(&scene, 2);
        let Ran { done, members, .. } = with_members(&scene, &deal, &[&move |room| spoil(&mut room.config.platform)]);
        refuses(Code::EvidenceRefused, done);
        assert!(matches!(&members[0].1[..], [Told::Refused(refusal)] if refusal.code == Code::EvidenceRefused));
        scene.nothing_came_of(&deal);
    }
}

#[test]
fn a_member_that_hangs_up_costs_nothing() {
    if !device_lent("a_member_that_hangs_up_costs_nothing") {
        return;
    }
    let scene = calm();
    let deal = deal(&scene, 2);
    scene.house.tdc.orders(&deal.bundle).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut leader = scene.room();
    leader.members.push(listener.local_addr().unwrap().to_string());
    std::thread::scope(|scope| {
        scope.spawn(move || drop(listener.accept().unwrap()));
        refuses(Code::GroupMemberLost, scene.run(&deal.bundle, &leader).0);
    });
    scene.nothing_came_of(&deal);
}

/// Shows approved code to the contract service, and other code to everybody else.
struct Turning(Arc<SoftwareAttester>, SoftwareAttester);

impl attestation::Attester for Turning {
    fn kind(&self) -> schemas::evidence::EvidenceKind {
        self.0.kind()
    }
    fn attest(&self, t: &schemas::evidence::Transcript) -> R<schemas::evidence::Evidence> {
        if t.aud.starts_with("http") { self.0.attest(t) } else { self.1.attest(t) }
    }
}
