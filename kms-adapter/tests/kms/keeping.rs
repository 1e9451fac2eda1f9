//! Keys and journal over years: backups, restores, new keys over old data, and a journal that lost its end.

use kms_adapter::recovery::{self, Part};
use kms_adapter::{Config, Kms, Service, restore, rotate_root, verify_log};
use schemas::event::{Body, RunEventKind};
use schemas::release::{KmsHead, KmsReceipt};
use schemas::{Code, Digest, Envelope};
use serde_json::{Value, json};

use crate::own_releases::{act, charge, files};
use crate::support::people::{ORIGIN, People};
use crate::support::world::clock_of;
use crate::support::{Room, World, http};

/// A page of the log as the contract service gives it to the provider.
pub fn page(world: &World, bodies: &[Body]) -> Vec<u8> {
    let mut log = world.log.lock().unwrap();
    let event = |body: &Body| {
        let index = log.append(body, "run", world.now());
        let receipt = log.receipt(index, ORIGIN, &world.people.registry);
        json!({"index": index, "at": world.now(), "body": body, "receipt": receipt})
    };
    let events: Vec<Value> = bodies.iter().map(event).collect();
    serde_json::to_vec(&json!({"events": events, "next": null})).unwrap()
}

pub fn stated(receipt: &Envelope<KmsReceipt>) -> Body {
    Body::KmsStated { receipt: receipt.clone() }
}

pub fn kms(world: &World) -> Kms {
    Kms::open(world.config.clone(), clock_of(world)).unwrap()
}

/// The world's key service out of a backup, in another folder, as its operator starts it: with the file of what was let out
/// outside runs.
pub fn put_back(world: &mut World, backup: &[u8], parts: &[Part], name: &str) {
    let releases = std::fs::read(world.config.dir.join("releases.jsonl")).unwrap();
    put_back_bare(world, backup, parts, name);
    world.stop();
    std::fs::write(world.config.dir.join("releases.jsonl"), releases).unwrap();
    world.restart().unwrap();
}

/// The same without that file.
fn put_back_bare(world: &mut World, backup: &[u8], parts: &[Part], name: &str) {
    world.stop();
    let database = crate::database::url();
    let file = restore(backup, parts, &world.info.sign_jwk, &world.dir.join(name), database).unwrap();
    let mut config = Config::load(&file).unwrap();
    config.listen = world.config.listen;
    world.config = config;
    world.running = Some(Service::start(world.config.clone(), clock_of(world)).unwrap());
}

pub fn catch_up(world: &mut World, pages: &[Vec<u8>], accept: bool) -> schemas::R<kms_adapter::CaughtUp> {
    world.stop();
    let done = kms(world).catch_up(pages, accept);
    world.restart().unwrap();
    done
}

#[test]
fn yesterdays_database_cannot_resurrect_budget() {
    let mut world = World::new();
    let (recovery_key, parts) = recovery::make(2, 3).unwrap();
    let yesterday = kms(&world).backup(&recovery_key).unwrap();
    // Today: a run is released and committed, and the log hears of it.
    let room = Room::new(&world);
    let reserved = room.reserve().unwrap();
    let released = room.release(&reserved).unwrap().read_unverified().unwrap().receipt;
    let committed = room.commit(b"model").unwrap();
    let run_id = room.run_id.to_string();
    let all = page(
        &world,
        &[Body::RunOrdered { job: world.bundle.job.clone() }, stated(&reserved), stated(&released), stated(&committed)],
    );
    put_back(&mut world, &yesterday, &parts[..2], "kms2");
    assert!(world.charges().is_empty(), "the database of yesterday knows nothing");
    // Whatever the Admission says of the log: nothing is reserved before it has caught up.
    world.refuses(Code::KmsBehindLog, || Room::new(&world).reserve());
    // Pages that lack what was said in between do not open it.
    let partial = page(&world, &[stated(&committed)]);
    let done = catch_up(&mut world, &[partial], false).unwrap();
    assert_eq!((done.imported, done.missing.clone(), done.opened), (1, vec![1, 2], false));
    world.refuses(Code::KmsBehindLog, || Room::new(&world).reserve());
    let done = catch_up(&mut world, std::slice::from_ref(&all), false).unwrap();
    assert_eq!((done.imported, done.missing, done.opened), (2, vec![], true));
    assert_eq!(world.charges(), ["committed"]);
    let ledger = &world.budget()["ledgers"][0];
    assert_eq!(ledger["events"][0]["run_id"], run_id);
    assert!(ledger["epsilon_micro"].as_u64().unwrap() > 800_000);
    world.refuses(Code::BudgetExceeded, || Room::new(&world).reserve());
    // Again changes nothing, and the journal hangs together.
    assert_eq!(catch_up(&mut world, &[all], false).unwrap().imported, 0);
    world.stop();
    assert_eq!(verify_log(world.config.clone(), None).unwrap().receipts, 3);
}

#[test]
fn after_a_restore_the_journal_goes_on_beyond_what_may_have_been_said() {
    let mut world = World::with(small());
    let (recovery_key, parts) = recovery::make(2, 2).unwrap();
    let room = Room::new(&world);
    let reserved = room.reserve().unwrap();
    let backup = kms(&world).backup(&recovery_key).unwrap();
    // Released after the backup, and nobody tells the log.
    room.release(&reserved).unwrap();
    let Room { run_id, run_key, enc, .. } = room;
    put_back(&mut world, &backup, &parts, "kms2");
    // What was reserved counts for good: it does not run out.
    world.pass(3600);
    assert_eq!(world.charges(), ["charged"]);
    assert!(catch_up(&mut world, &[], false).unwrap().opened);
    let next = Room::new(&world).reserve().unwrap().read_unverified().unwrap();
    assert_eq!((next.seq, next.prev), (1001, reserved.digest()), "1 to 1000 are not used again");
    assert_eq!(world.charges(), ["charged", "reserved"]);
    let old = Room { world: &world, run_id, run_key, enc, attester: crate::support::people::attester() };
    world.refuses(Code::LeaseExpired, || old.commit(b"model"));
    // A backup of a journal that went on so goes back as well.
    let again = kms(&world).backup(&recovery_key).unwrap();
    put_back(&mut world, &again, &parts, "kms3");
    let done = catch_up(&mut world, &[], false).unwrap();
    assert_eq!((done.missing, done.opened), (vec![], true));
    assert_eq!(world.charges(), ["charged", "charged"]);
    world.stop();
    assert_eq!(verify_log(world.config.clone(), None).unwrap().receipts, 2);
}

#[test]
fn numbers_count_as_left_free_only_where_the_chain_goes_on() {
    let mut world = World::new();
    let (recovery_key, parts) = recovery::make(2, 2).unwrap();
    let backup = kms(&world).backup(&recovery_key).unwrap();
    let signer = signing::FileKey::load(&world.config.sign_key_file()).unwrap();
    let first = Room::new(&world).reserve().unwrap().read_unverified().unwrap();
    let said = |prev: Digest| stated(&People::sign(&KmsReceipt { seq: 1000, prev, ..first.clone() }, &[&signer]));
    let pages = |world: &World, prev| [page(world, &[said(prev)])];
    put_back(&mut world, &backup, &parts, "kms2");
    let unchained = pages(&world, Digest([9; 32]));
    let done = catch_up(&mut world, &unchained, false).unwrap();
    assert_eq!((done.imported, done.missing, done.opened), (1, (1..1000).collect(), false));
    world.refuses(Code::KmsBehindLog, || Room::new(&world).reserve());
    // After the start of the journal nothing was said before this one.
    put_back(&mut world, &backup, &parts, "kms3");
    let chained = pages(&world, Digest([0; 32]));
    let done = catch_up(&mut world, &chained, false).unwrap();
    assert_eq!((done.imported, done.missing, done.opened), (1, vec![], true));
}

/// Many runs fit.
pub fn small() -> crate::support::Changes {
    crate::support::Changes {
        job: Box::new(|j| match &mut j.stages[1] {
            schemas::pipeline::Stage::Train(t) => t.epsilon = Some(crate::support::papers::real("0.3")),
            other => panic!("{other:?}"),
        }),
        ..crate::support::Changes::default()
    }
}

#[test]
fn receipts_that_are_not_ours_come_back_as_nothing() {
    let mut world = World::new();
    let room = Room::new(&world);
    let reserved = room.reserve().unwrap();
    let theirs = room.other_reservation(&reserved);
    let pages = [page(&world, &[stated(&theirs)])];
    assert_eq!(catch_up(&mut world, &pages, false).unwrap().imported, 0, "another key service's");
    let room = Room::new(&world);
    let forged = room.other_reservation_with(&reserved, |r| {
        *r = KmsReceipt { seq: 2, ..reserved.read_unverified().unwrap() };
    });
    let pages = [page(&world, &[stated(&forged)])];
    assert_eq!(catch_up(&mut world, &pages, false).unwrap_err().code, Code::SignerNotParty);
    // A job that the log does not hold names no consumer.
    let mut unlogged: Value =
        serde_json::from_slice(&page(&world, &[Body::RunOrdered { job: world.bundle.job.clone() }])).unwrap();
    unlogged["events"][0]["receipt"]["index"] = json!(0);
    let pages = [serde_json::to_vec(&unlogged).unwrap()];
    assert_eq!(catch_up(&mut world, &pages, false).unwrap_err().code, Code::InclusionInvalid);
    assert_eq!(world.charges(), ["reserved"]);
}

#[test]
fn a_backup_opens_with_enough_parts_and_unchanged_only() {
    let mut world = World::new();
    let (recovery_key, parts) = recovery::make(2, 3).unwrap();
    let (_, others) = recovery::make(2, 3).unwrap();
    let backup = kms(&world).backup(&recovery_key).unwrap();
    let text = String::from_utf8(backup.clone()).unwrap();
    assert!(!text.contains("BEGIN") && text.contains("kms-backup.v4"));
    world.stop();
    let jwk = &world.info.sign_jwk;
    let back = |bytes: &[u8], parts: &[Part]| restore(bytes, parts, jwk, &world.dir.join("x"), None).unwrap_err().code;
    assert_eq!(back(&backup, &parts[..1]), Code::RecoveryRefused);
    assert_eq!(back(&backup, &others[..2]), Code::RecoveryRefused);
    for (from, to) in [
        ("\"receipts\":0", "\"receipts\":1"),
        ("\"sealed\":\"", "\"sealed\":\"AAAA"),
        ("\"at\":\"2026", "\"at\":\"2025"),
        ("\"jwe\":\"", "\"jwe\":\"AAAA"),
        ("\"kms\":\"http", "\"kms\":\"https"),
    ] {
        assert_eq!(back(text.replacen(from, to, 1).as_bytes(), &parts[..2]), Code::BackupForged, "{from}");
    }
    assert!(!world.dir.join("x").exists(), "a refused restore leaves nothing");
    restore(&backup, &parts[1..], jwk, &world.dir.join("x"), None).unwrap();
    let again = restore(&backup, &parts[1..], jwk, &world.dir.join("x"), None);
    assert_eq!(again.unwrap_err().code, Code::ConfigInvalid);
}

#[test]
fn a_new_kek_wraps_the_same_keys_and_the_old_one_ends() {
    let world = World::new();
    let room = Room::new(&world);
    let reserved = room.reserve().unwrap();
    let done = kms(&world).rotate_kek().unwrap();
    assert_eq!((done.version, done.rewrapped, done.destroyed, done.resumed), (2, 1, vec![1], false));
    let request = room.release_request(&reserved);
    let release = room.send_release(&reserved, &request).unwrap();
    assert_eq!(&room.open(&release, &request.attested.transcript).unwrap(), world.key.expose());
    assert_eq!(kms(&world).rotate_kek().unwrap().version, 3);
}

#[test]
fn a_new_root_key_opens_what_the_old_one_kept_and_the_old_one_nothing_more() {
    let mut world = World::new();
    let room = Room::new(&world);
    let reserved = room.reserve().unwrap();
    let Room { run_id, run_key, enc, .. } = room;
    world.stop();
    let before = world.config.clone();
    let phrase = world.dir.join("phrase");
    std::fs::write(&phrase, "correct horse battery staple\n").unwrap();
    let passphrase = format!("passphrase:{}", phrase.display());
    let mode = |bits| std::fs::set_permissions(&phrase, std::os::unix::fs::PermissionsExt::from_mode(bits)).unwrap();
    mode(0o640);
    assert_eq!(rotate_root(&world.config, &passphrase).unwrap_err().code, Code::ConfigInvalid, "others may read it");
    mode(0o600);
    for to in [format!("file:{}", world.dir.join("root-2.key").display()), passphrase] {
        assert_eq!(rotate_root(&world.config, "drawer:2").unwrap_err().code, Code::ConfigInvalid);
        world.config = rotate_root(&world.config, &to).unwrap();
        let old = Service::start(before.clone(), clock_of(&world)).err().unwrap();
        assert_eq!(old.code, Code::ConfigInvalid, "{old}");
    }
    world.restart().unwrap();
    let room = Room { world: &world, run_id, run_key, enc, attester: crate::support::people::attester() };
    let request = room.release_request(&reserved);
    let release = room.send_release(&reserved, &request).unwrap();
    assert_eq!(&room.open(&release, &request.attested.transcript).unwrap(), world.key.expose());
    world.stop();
    std::fs::write(&phrase, "correct horse battery stable\n").unwrap();
    assert_eq!(world.restart().unwrap_err().code, Code::ConfigInvalid, "another passphrase");
    std::fs::write(&phrase, "short\n").unwrap();
    assert_eq!(world.restart().unwrap_err().code, Code::ConfigInvalid, "a short passphrase");
}

/// What the provider let out itself is in the backup; the log never heard of it.
#[test]
fn files_outside_runs_come_back_with_the_backup() {
    let mut world = World::new();
    let (recovery_key, parts) = recovery::make(2, 2).unwrap();
    charge(&world, &act(&world, "a", "10", |_| ())).unwrap();
    let backup = kms(&world).backup(&recovery_key).unwrap();
    charge(&world, &act(&world, "b", "10", |_| ())).unwrap();
    let kept = std::fs::read(world.config.dir.join("releases.jsonl")).unwrap();
    put_back_bare(&mut world, &backup, &parts, "kms2");
    assert_eq!(files(&world).len(), 1);
    // Nothing is charged on a ledger that may lack something; and without the file it lacks something, for all one knows.
    assert_eq!(charge(&world, &act(&world, "c", "10", |_| ())).unwrap_err().code, Code::KmsBehindLog);
    let done = catch_up(&mut world, &[], false).unwrap();
    assert_eq!((done.releases_missing, done.opened), (true, false));
    // What came after the backup, from the file that was kept elsewhere.
    world.stop();
    std::fs::write(world.config.dir.join("releases.jsonl"), &kept).unwrap();
    world.restart().unwrap();
    assert_eq!(files(&world).len(), 2);
    let done = catch_up(&mut world, &[], false).unwrap();
    assert_eq!((done.releases_missing, done.opened), (false, true));
    charge(&world, &act(&world, "c", "10", |_| ())).unwrap();
    world.stop();
    verify_log(world.config.clone(), None).unwrap();
    // Where no copy was kept its operator says so, and the file begins anew with what the backup knew.
    world.restart().unwrap();
    put_back_bare(&mut world, &backup, &parts, "kms3");
    let done = catch_up(&mut world, &[], true).unwrap();
    assert_eq!((done.releases_missing, done.opened), (true, true));
    let kept = std::fs::read_to_string(world.config.dir.join("releases.jsonl")).unwrap();
    assert_eq!((kept.lines().count(), files(&world).len()), (1, 1));
}

/// The log hears of no file outside runs: one beside the database tells it what it lacks.
#[test]
fn a_database_that_was_put_back_learns_charged_files_from_the_file_beside_it() {
    if crate::database::url().is_some() {
        return;
    }
    let mut world = World::new();
    let before = database_of(&mut world);
    let first = charge(&world, &act(&world, "a", "10", |_| ())).unwrap();
    charge(&world, &act(&world, "b", "10", |_| ())).unwrap();
    world.stop();
    let beside = world.config.dir.join("releases.jsonl");
    let whole = std::fs::read_to_string(&beside).unwrap();
    // A line that stands twice counts once, and the end of one that broke off was answered to nobody.
    let mut lines: Vec<String> = whole.lines().map(str::to_owned).collect();
    lines.push(lines[0].clone());
    lines.push(lines[0][..100].to_owned());
    std::fs::write(&beside, lines.join("\n")).unwrap();
    put_file_back(&world, &before);
    world.restart().unwrap();
    assert_eq!(files(&world).len(), 2);
    // They are there as if nothing had happened, and the file goes on in the place of what broke off.
    assert_eq!(charge(&world, &act(&world, "a", "10", |_| ())).unwrap().charge, first.charge);
    charge(&world, &act(&world, "d", "10", |_| ())).unwrap();
    world.stop();
    put_file_back(&world, &before);
    world.restart().unwrap();
    assert_eq!(files(&world).len(), 3);
    // What the database has and the file lost is written into it again.
    world.stop();
    std::fs::remove_file(&beside).unwrap();
    world.restart().unwrap();
    assert_eq!(std::fs::read_to_string(&beside).unwrap().lines().count(), 3);
}

/// A service that read less of the file than it has would forget what was spent.
#[test]
fn a_file_of_releases_that_cannot_be_believed_lets_no_service_start() {
    if crate::database::url().is_some() {
        return;
    }
    let mut world = World::new();
    let before = database_of(&mut world);
    charge(&world, &act(&world, "a", "10", |_| ())).unwrap();
    let foreign =
        People::sign(&act(&world, "c", "10", |_| ()).release.read_unverified().unwrap(), &[&world.people.tdc]);
    world.stop();
    let beside = world.config.dir.join("releases.jsonl");
    let whole = std::fs::read(&beside).unwrap();
    let spoilt = |line: &[u8]| [line, b"\n", &whole].concat();
    let mut bit = whole.clone();
    bit[20] ^= 0x80;
    let cases = [
        (spoilt(b"{}"), Code::LogTampered),
        (spoilt(&whole[..100]), Code::LogTampered),
        (bit, Code::LogTampered),
        (spoilt(&serde_json::to_vec(&foreign).unwrap()), Code::SignerNotParty),
    ];
    for (bytes, code) in cases {
        std::fs::write(&beside, &bytes).unwrap();
        put_file_back(&world, &before);
        let refused = world.restart().unwrap_err();
        assert_eq!(refused.code, code, "{refused}");
        assert!(refused.sentence.contains("line 1 of"), "{refused}");
    }
    // A folder in the file's place stands for whatever cannot be read.
    std::fs::remove_file(&beside).unwrap();
    std::fs::create_dir(&beside).unwrap();
    assert_eq!(world.restart().unwrap_err().code, Code::Unavailable);
    std::fs::remove_dir(&beside).unwrap();
    std::fs::write(&beside, &whole).unwrap();
    world.restart().unwrap();
    assert_eq!(files(&world).len(), 1);
}

/// What cannot be kept beside the database is not charged.
#[test]
fn an_act_that_cannot_be_kept_charges_nothing() {
    let world = World::new();
    let beside = world.config.dir.join("releases.jsonl");
    std::fs::remove_file(&beside).unwrap();
    std::fs::create_dir(&beside).unwrap();
    let request = act(&world, "a", "10", |_| ());
    assert_eq!(charge(&world, &request).unwrap_err().code, Code::Unavailable);
    assert!(files(&world).is_empty());
    std::fs::remove_dir(&beside).unwrap();
    charge(&world, &request).unwrap();
    assert_eq!((files(&world).len(), std::fs::read_to_string(&beside).unwrap().lines().count()), (1, 1));
}

/// The database as it is now, for [`put_file_back`].
fn database_of(world: &mut World) -> Vec<u8> {
    world.stop();
    let database = std::fs::read(world.database()).unwrap();
    world.restart().unwrap();
    database
}

/// Puts the database of before back under a service that does not run.
pub fn put_file_back(world: &World, before: &[u8]) {
    for end in ["-wal", "-shm"] {
        drop(std::fs::remove_file(world.config.dir.join(format!("kms.sqlite{end}"))));
    }
    std::fs::write(world.database(), before).unwrap();
}

#[test]
fn a_journal_that_lost_its_end_is_noticed_and_opens_nothing() {
    if crate::database::url().is_some() {
        return;
    }
    let mut world = World::new();
    let before = database_of(&mut world);
    let room = Room::new(&world);
    let reserved = room.reserve().unwrap();
    room.release(&reserved).unwrap();
    world.pass(61);
    kms(&world).keep_up().unwrap();
    let kept = std::fs::read(world.config.checkpoints_file()).unwrap();
    world.stop();
    put_file_back(&world, &before);
    assert_eq!(verify_log(world.config.clone(), None).unwrap_err().code, Code::LogTampered);
    // The checkpoints of the folder are gone as well: those that were kept elsewhere tell.
    std::fs::remove_file(world.config.checkpoints_file()).unwrap();
    put_file_back(&world, &before);
    verify_log(world.config.clone(), None).unwrap();
    let elsewhere = world.dir.join("elsewhere.jsonl");
    std::fs::write(&elsewhere, &kept).unwrap();
    assert_eq!(verify_log(world.config.clone(), Some(&elsewhere)).unwrap_err().code, Code::LogTampered);
    // In the folder, they hold the service back.
    std::fs::write(world.config.checkpoints_file(), &kept).unwrap();
    world.restart().unwrap();
    world.refuses(Code::KmsBehindLog, || Room::new(&world).reserve());
    // What the checkpoint names was said; its numbers are missing, and are not used again.
    let done = catch_up(&mut world, &[], false).unwrap();
    assert_eq!((done.missing, done.opened), (vec![1, 2], false));
    world.refuses(Code::KmsBehindLog, || Room::new(&world).reserve());
    assert!(catch_up(&mut world, &[], true).unwrap().opened);
    let next = Room::new(&world).reserve().unwrap().read_unverified().unwrap();
    assert_eq!(next.seq, 1002);
    world.pass(61);
    kms(&world).keep_up().unwrap();
    world.stop();
    assert_eq!(verify_log(world.config.clone(), None).unwrap().receipts, 1, "the new checkpoints are exported");
}

#[test]
fn an_unauthenticated_peer_asks_so_often_and_no_more() {
    let changes = crate::support::Changes {
        config: Box::new(|c| (c.challenges_per_minute, c.open_challenges_per_contract) = (5, 1000)),
        ..crate::support::Changes::default()
    };
    let world = World::with(changes);
    let room = Room::new(&world);
    // The count recovers by the clock of the machine, so how many pass depends on its pace.
    let refused = (0..500).find_map(|_| room.ask_challenge().err()).expect("no end of challenges");
    assert_eq!(refused.code, Code::RateLimited, "{}", refused.text);
    // Others of its requests are not counted.
    let _: Value = http::get(&world.at("/v1/kms"), None).unwrap();
}

#[test]
fn the_logged_head_holds_after_a_restore_too() {
    let mut world = World::new();
    let (recovery_key, parts) = recovery::make(2, 2).unwrap();
    let backup = kms(&world).backup(&recovery_key).unwrap();
    let room = Room::new(&world);
    let reserved = room.reserve().unwrap();
    room.release(&reserved).unwrap();
    room.refund(&room.aborted(RunEventKind::Aborted { steps_run: 0, code: "TIMEOUT".into() })).unwrap();
    put_back(&mut world, &backup, &parts, "kms2");
    // Accepting that nothing is known does not help against the log's own word.
    assert!(catch_up(&mut world, &[], true).unwrap().opened);
    let logged = |a: &mut schemas::release::Admission| {
        a.kms_heads[1] = KmsHead { kms: a.kms_heads[1].kms.clone(), seq: 1, head: reserved.digest() };
    };
    world.refuses(Code::KmsBehindLog, || {
        let room = Room::new(&world);
        room.send_reserve(&room.reserve_request(logged))
    });
}
