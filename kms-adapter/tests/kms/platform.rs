//! What counts as a trustworthy platform, from files: signed platform data, revocation lists, chips.

use std::path::PathBuf;

use attestation::{Expected, Level, PlatformPolicy, Profile, appraise};
use schemas::platform::{PlatformData, PlatformRules};
use schemas::{Code, Digest};
use signing::FileKey;

use crate::support::papers::clause;
use crate::support::people::{People, software_root, uuid};
use crate::support::{Changes, Room, World};

fn embedded() -> PlatformRules {
    serde_json::from_str(include_str!("../../../ccr-runtime/attestation/data/amd.json")).unwrap()
}

/// Rules of this version that ask for this SNP firmware on Milan; the software platform has 24.
fn rules(version: u32, snp: u8) -> PlatformRules {
    let mut rules = embedded();
    rules.version = version;
    let asked = rules.requirements.iter_mut().find(|r| r.id == "sb_3019_milan").unwrap();
    asked.tcb.as_mut().unwrap().snp = snp;
    rules
}

fn file(world: &World, name: &str, rules: PlatformRules, people: usize) -> PathBuf {
    let sro: Vec<&FileKey> = world.people.sro.iter().take(people).collect();
    signed(world, name, rules, &sro)
}

fn signed(world: &World, name: &str, rules: PlatformRules, people: &[&FileKey]) -> PathBuf {
    let data = PlatformData { schema: "platform-data.v1".into(), registry: world.people.registry_did(), rules };
    let path = world.dir.join(name);
    std::fs::write(&path, serde_json::to_vec(&People::sign(&data, people)).unwrap()).unwrap();
    path
}

fn restarted(world: &mut World) -> schemas::R<()> {
    world.stop();
    world.restart()
}

#[test]
fn newer_signed_platform_data_raises_the_minimum_and_older_is_refused() {
    let mut world = World::new();
    Room::new(&world).reserve().unwrap();
    // The same minimum under a newer version: nothing changes for the room.
    world.config.platform.data = Some(file(&world, "same.json", rules(2, 24), 2));
    restarted(&mut world).unwrap();
    world.refuses(Code::BudgetExceeded, || Room::new(&world).reserve());
    // A higher one: what the room shows is not enough, whatever its contract names.
    world.config.platform.data = Some(file(&world, "higher.json", rules(3, 25), 2));
    restarted(&mut world).unwrap();
    world.refuses(Code::EvidenceRefused, || Room::new(&world).reserve());

    // Older than what was in force: the file of before, and none at all.
    world.config.platform.data = Some(world.dir.join("same.json"));
    assert_eq!(restarted(&mut world).unwrap_err().code, Code::ConfigInvalid);
    world.config.platform.data = None;
    assert_eq!(restarted(&mut world).unwrap_err().code, Code::ConfigInvalid);
    // Of the version compiled in with other rules, by one person, of another registry's people.
    world.config.platform.data = Some(file(&world, "changed.json", rules(1, 25), 2));
    assert_eq!(restarted(&mut world).unwrap_err().code, Code::ConfigInvalid);
    world.config.platform.data = Some(file(&world, "one.json", rules(4, 24), 1));
    assert_eq!(restarted(&mut world).unwrap_err().code, Code::TwoPeopleNeeded);
    let stranger = FileKey::generate().unwrap();
    world.config.platform.data =
        Some(signed(&world, "stranger.json", rules(4, 24), &[&world.people.sro[0], &stranger]));
    assert!(restarted(&mut world).is_err());

    world.config.platform.data = Some(file(&world, "newest.json", rules(4, 24), 2));
    restarted(&mut world).unwrap();
    world.refuses(Code::BudgetExceeded, || Room::new(&world).reserve());
}

#[test]
fn a_level_that_newer_data_brings_may_be_asked_for() {
    let mut world = World::new();
    world.config.platform_level = "house".into();
    assert_eq!(restarted(&mut world).unwrap_err().code, Code::ConfigInvalid);
    let mut rules = rules(2, 24);
    let mut level = rules.levels[0].clone();
    level.name = "house".into();
    rules.levels.push(level);
    world.config.platform.data = Some(file(&world, "house.json", rules, 2));
    restarted(&mut world).unwrap();
    Room::new(&world).reserve().unwrap();
    world.config.platform_level = "mansion".into();
    assert_eq!(restarted(&mut world).unwrap_err().code, Code::ConfigInvalid);
}

/// The chip that the software platform shows.
fn chip(world: &World) -> Digest {
    let room = Room::new(world);
    let request = room.reserve_request(|_| ());
    let set = world.image_set.envelope.read_unverified().unwrap();
    let expected = Expected::from_transcript(&request.attested.transcript, &set).unwrap();
    let roots = vec![software_root().pin()];
    let policy = PlatformPolicy::new(Profile::Demo, Level::named("baseline").unwrap(), roots);
    let appraisal = appraise(&request.attested.evidence, &expected, &policy, world.now());
    appraisal.record.chip_id_sha256.unwrap()
}

/// A room that has its keys, as its run goes on when the service is started anew.
struct Going {
    run_id: schemas::id::RunId,
    run_key: [u8; 32],
}

impl Going {
    /// Reserves and releases.
    fn on(world: &World, run_key: [u8; 32]) -> Going {
        let going = Going { run_id: schemas::id::RunId::new(uuid()), run_key };
        let room = going.room(world);
        let reserved = room.reserve().unwrap();
        room.release(&reserved).unwrap();
        going
    }

    fn room<'w>(&self, world: &'w World) -> Room<'w> {
        let run_key = FileKey::from_seed(self.run_id.as_str(), &self.run_key);
        Room { run_id: self.run_id.clone(), run_key, ..Room::new(world) }
    }

    fn renews(&self, world: &World) -> Result<(), Code> {
        let room = self.room(world);
        room.renew(room.status_list(vec![])).map(drop).map_err(|refused| refused.code)
    }
}

/// A renewal carries no evidence: what the room showed at its release is judged by the platform data of now.
#[test]
fn a_platform_that_is_denied_after_the_release_ends_the_run_at_its_next_renewal() {
    let mut world = World::new();
    let (chip, going) = (chip(&world), Going::on(&world, [9; 32]));
    assert_eq!(going.renews(&world), Ok(()));
    let plain = world.config.platform.clone();
    // Newer data that asks for no more.
    world.config.platform.data = Some(file(&world, "same.json", rules(2, 24), 2));
    restarted(&mut world).unwrap();
    assert_eq!(going.renews(&world), Ok(()));
    world.config.platform.chips_denied = [chip].into();
    restarted(&mut world).unwrap();
    assert_eq!(going.renews(&world), Err(Code::EvidenceRefused), "the chip was revoked");
    world.config.platform = collateral::Settings { data: world.config.platform.data.clone(), ..plain };
    world.config.platform.crl_required = true;
    restarted(&mut world).unwrap();
    assert_eq!(going.renews(&world), Err(Code::EvidenceRefused), "no list of this root is there");
    world.config.platform.crl_required = false;
    restarted(&mut world).unwrap();
    assert_eq!(going.renews(&world), Ok(()), "what is taken back lets the run go on while its lease lives");
    world.config.platform.data = Some(file(&world, "higher.json", rules(3, 25), 2));
    restarted(&mut world).unwrap();
    assert_eq!(going.renews(&world), Err(Code::EvidenceRefused), "the minimum rose");
}

#[test]
fn a_renewal_stands_on_what_its_own_release_showed() {
    let world = World::with(Changes {
        offer: Box::new(|o| o.privacy_cap = clause("10.0")),
        contract: Box::new(|c| c.datasets[0].privacy = clause("10.0")),
        ..Changes::default()
    });
    let (first, second) = (Going::on(&world, [8; 32]), Going::on(&world, [9; 32]));
    let sql = |text: &str| crate::store::sql(&world, text);
    assert_eq!((first.renews(&world), second.renews(&world)), (Ok(()), Ok(())));
    let (one, two) = (&first.run_id, &second.run_id);
    let swap = "UPDATE shown SET attested = (SELECT attested FROM shown WHERE run_id";
    assert_eq!(sql(&format!("{swap} = '{two}') WHERE run_id = '{one}'")), 1);
    assert_eq!(first.renews(&world), Err(Code::EvidenceRefused), "another run's");
    assert_eq!(sql(&format!("UPDATE shown SET attested = x'00' WHERE run_id = '{one}'")), 1);
    assert_eq!(first.renews(&world), Err(Code::EvidenceRefused), "nothing that reads");
    assert_eq!(sql(&format!("DELETE FROM shown WHERE run_id = '{one}'")), 1);
    assert_eq!(first.renews(&world), Err(Code::EvidenceRefused), "nothing at all");
    assert_eq!(second.renews(&world), Ok(()));
    // With the commit it is kept no longer.
    second.room(&world).commit(b"model").unwrap();
    assert_eq!(sql("DELETE FROM shown"), 0);
}

/// A room that died renews no more: what it showed is not kept for it.
#[test]
fn what_a_room_showed_goes_with_its_lease() {
    let world = World::new();
    let going = Going::on(&world, [9; 32]);
    let kept = || crate::store::sql(&world, "UPDATE shown SET attested = attested");
    // The service looks every half second; what a living lease needs stays.
    std::thread::sleep(std::time::Duration::from_millis(1200));
    assert_eq!((kept(), going.renews(&world)), (1, Ok(())));
    world.pass(30 + 61);
    let begun = std::time::Instant::now();
    while kept() > 0 {
        assert!(begun.elapsed() < std::time::Duration::from_secs(30), "it is still kept");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    assert_eq!(going.renews(&world), Err(Code::LeaseExpired));
    assert_eq!(world.charges(), ["charged"]);
}

#[test]
fn chips_and_revocation_lists_are_the_operators() {
    let mut world = World::new();
    let chip = chip(&world);
    let plain = world.config.platform.clone();
    world.config.platform.chips_denied = [chip].into();
    restarted(&mut world).unwrap();
    world.refuses(Code::EvidenceRefused, || Room::new(&world).reserve());

    world.config.platform = plain.clone();
    world.config.platform.chips_allowed = Some([Digest::of(b"another chip")].into());
    restarted(&mut world).unwrap();
    world.refuses(Code::EvidenceRefused, || Room::new(&world).reserve());

    // No list of this root is there.
    world.config.platform = plain.clone();
    world.config.platform.crl_required = true;
    restarted(&mut world).unwrap();
    world.refuses(Code::EvidenceRefused, || Room::new(&world).reserve());

    // What is no list stops the start, as does a file that is not there.
    world.config.platform = plain.clone();
    world.config.platform.crls = vec![world.config.trust.clone()];
    assert_eq!(restarted(&mut world).unwrap_err().code, Code::ConfigInvalid);
    world.config.platform.crls = vec![world.dir.join("nowhere.crl")];
    assert_eq!(restarted(&mut world).unwrap_err().code, Code::ConfigInvalid);
    world.config.platform = plain.clone();
    world.config.platform.vtpm_roots = vec![world.config.trust.clone()];
    assert_eq!(restarted(&mut world).unwrap_err().code, Code::ConfigInvalid);

    world.config.platform = plain;
    world.config.platform.chips_allowed = Some([chip].into());
    restarted(&mut world).unwrap();
    Room::new(&world).reserve().unwrap();
}

#[test]
fn the_version_and_ids_of_the_guest_are_the_operators() {
    let mut world = World::new();
    let plain = world.config.platform.clone();
    // The software platform shows version 10 and ids of zero.
    world.config.platform.guest_min_svn = 11;
    restarted(&mut world).unwrap();
    world.refuses(Code::EvidenceRefused, || Room::new(&world).reserve());
    for set in [(|p, ids| p.guest_family_ids = ids) as fn(&mut collateral::Settings, Option<Vec<String>>), |p, ids| {
        p.guest_image_ids = ids
    }] {
        world.config.platform = plain.clone();
        set(&mut world.config.platform, Some(vec!["09".repeat(16)]));
        restarted(&mut world).unwrap();
        world.refuses(Code::EvidenceRefused, || Room::new(&world).reserve());
        for bad in ["", "00", "+0000000000000000000000000000000", "zz000000000000000000000000000000"] {
            set(&mut world.config.platform, Some(vec![bad.into()]));
            assert_eq!(restarted(&mut world).unwrap_err().code, Code::ConfigInvalid, "{bad}");
        }
    }
    world.config.platform = plain;
    world.config.platform.guest_min_svn = 10;
    world.config.platform.guest_family_ids = Some(vec!["09".repeat(16), "00".repeat(16)]);
    restarted(&mut world).unwrap();
    Room::new(&world).reserve().unwrap();
}
