//! What lies on disk: keys under the root key, the journal, and a database that somebody touched.

use diesel::prelude::*;
use diesel::sqlite::SqliteConnection;
use kms_adapter::{Profile, Service, verify_log};
use schemas::contract::Assurance;
use schemas::id::DataKeyId;
use schemas::release::{KmsHead, KmsInfo};
use schemas::{Code, Digest, Envelope};
use sealing::DatasetKey;
use serde_json::Value;

use crate::keeping::put_file_back;
use crate::support::http;
use crate::support::papers::Table;
use crate::support::people::{People, software_root, uuid};
use crate::support::world::{prepare, sign_import};
use crate::support::{Room, World};

pub fn sql(world: &World, text: &str) -> usize {
    let mut connection = SqliteConnection::establish(world.database().to_str().unwrap()).unwrap();
    diesel::sql_query("PRAGMA busy_timeout = 5000").execute(&mut connection).unwrap();
    diesel::sql_query(text).execute(&mut connection).unwrap()
}

#[test]
fn any_column_of_a_key_row_is_covered() {
    for change in [
        "provider = 'did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp'",
        "dataset_id = 'dst_01900000-0000-7000-8000-000000000001'",
        "version = 2",
        "manifest_root = printf('%064d', 0)",
        "min_assurance = 'hardware'",
        "wrapped = zeroblob(60)",
        "import_sha256 = import_sha256 || '0'",
        "imported_at = imported_at + 1",
        "mac = zeroblob(32)",
        "mac = x''",
    ] {
        let world = World::new();
        let room = Room::new(&world);
        let reserved = room.reserve().unwrap();
        assert_eq!(sql(&world, &format!("UPDATE data_key SET {change}")), 1);
        world.refuses(Code::KeyRowTampered, || room.release(&reserved));
        world.refuses(Code::KeyRowTampered, || Room::new(&world).reserve());
        assert_eq!(world.charges(), ["reserved"], "{change}");
    }
}

#[test]
fn a_whole_row_of_another_key_does_not_fit() {
    let world = World::new();
    let room = Room::new(&world);
    let reserved = room.reserve().unwrap();
    let other = Table::new("other");
    let import = sign_import(&world.people, &other, &world.info, &DatasetKey::random().unwrap(), Assurance::Software);
    let _: Value = http::post(&world.at("/v1/keys"), &import).unwrap();
    let (ours, theirs) = (&world.tables[0].key_id, &other.key_id);
    for columns in ["wrapped", "wrapped, mac", "wrapped, mac, manifest_root"] {
        let from: Vec<String> = columns
            .split(", ")
            .map(|c| format!("{c} = (SELECT {c} FROM data_key WHERE key_id = '{theirs}')"))
            .collect();
        assert_eq!(sql(&world, &format!("UPDATE data_key SET {} WHERE key_id = '{ours}'", from.join(", "))), 1);
        world.refuses(Code::KeyRowTampered, || room.release(&reserved));
    }
}

#[test]
fn a_kek_row_is_covered_too() {
    let world = World::new();
    let room = Room::new(&world);
    let reserved = room.reserve().unwrap();
    assert_eq!(sql(&world, "UPDATE kek SET created_at = created_at + 1"), 1);
    world.refuses(Code::KeyRowTampered, || room.release(&reserved));
}

#[test]
fn a_fault_of_ours_tells_no_more_than_a_reference() {
    let world = World::new();
    sql(&world, "UPDATE data_key SET mac = zeroblob(32)");
    let refused = Room::new(&world).reserve().unwrap_err();
    let problem: Value = serde_json::from_str(&refused.text).unwrap();
    assert_eq!(problem["detail"], "The key service failed; its operator finds the cause under the reference.");
    assert_eq!(problem["instance"].as_str().unwrap().len(), 36);
}

#[test]
fn a_database_put_back_is_behind_the_log() {
    let mut world = World::new();
    let copy = |world: &World, from: &str, to: &str| {
        for end in ["", "-wal", "-shm"] {
            let at = |name: &str| world.config.dir.join(format!("{name}{end}"));
            let _ = std::fs::remove_file(at(to));
            if at(from).exists() {
                std::fs::copy(at(from), at(to)).unwrap();
            }
        }
    };
    world.stop();
    copy(&world, "kms.sqlite", "kept");
    world.restart().unwrap();
    let spent = Room::new(&world).reserve().unwrap();
    let logged = |a: &mut schemas::release::Admission| {
        a.kms_heads[1] = KmsHead { kms: a.kms_heads[1].kms.clone(), seq: 1, head: spent.digest() };
    };
    // The head of the log is a row of the journal: only the budget says no.
    world.refuses(Code::BudgetExceeded, || {
        let room = Room::new(&world);
        room.send_reserve(&room.reserve_request(logged))
    });
    world.stop();
    copy(&world, "kept", "kms.sqlite");
    // The whole folder was put back: without its newer checkpoints only the log knows.
    drop(std::fs::remove_file(world.config.checkpoints_file()));
    world.restart().unwrap();
    assert!(world.charges().is_empty());
    world.refuses(Code::KmsBehindLog, || {
        let room = Room::new(&world);
        room.send_reserve(&room.reserve_request(logged))
    });
    // Also once the sequence is reached again by another statement.
    let other = Room::new(&world);
    let reserved = other.reserve().unwrap();
    world.refuses(Code::KmsBehindLog, || other.send_release(&reserved, &other.release_request_with(&reserved, logged)));
    assert_eq!(world.charges(), ["reserved"]);
}

#[test]
fn the_journal_is_checked_at_each_start() {
    let mut world = World::new();
    let room = Room::new(&world);
    let reserved = room.reserve().unwrap();
    room.release(&reserved).unwrap();
    room.commit(b"model").unwrap();
    Room::new(&world).reserve().unwrap_err();
    world.stop();
    let report = verify_log(world.config.clone(), None).unwrap();
    assert_eq!((report.receipts, report.runs), (3, 1));
    let backup = std::fs::read(world.database()).unwrap();
    for change in [
        "UPDATE journal SET kind = 'refunded' WHERE seq = 3",
        "UPDATE journal SET prev = sha256 WHERE seq = 2",
        "UPDATE journal SET envelope = (SELECT envelope FROM journal WHERE seq = 1) WHERE seq = 2",
        "UPDATE run SET bundle = (SELECT envelope FROM journal WHERE seq = 1), mac = mac",
    ] {
        // A bundle is large and signed, so no MAC covers it; here nobody notices the change but the receipts.
        sql(&world, "DROP TRIGGER run_changed");
        sql(&world, change);
        let expected = if change.contains("bundle") { Code::Internal } else { Code::LogTampered };
        assert_eq!(verify_log(world.config.clone(), None).unwrap_err().code, expected, "{change}");
        assert_eq!(world.restart().unwrap_err().code, expected, "{change}");
        put_file_back(&world, &backup);
    }
    world.restart().unwrap();
    assert_eq!(world.charges(), ["committed"]);
}

/// What a later build's tables mean is not known here: the ledger is left alone.
#[test]
fn a_database_that_a_later_build_brought_on_is_not_opened() {
    let mut world = World::new();
    world.stop();
    sql(&world, "INSERT INTO __diesel_schema_migrations (version) VALUES ('9999')");
    let refused = world.restart().unwrap_err();
    assert_eq!(refused.code, Code::ConfigInvalid);
    assert!(refused.sentence.contains("9999"), "{refused}");
    sql(&world, "DELETE FROM __diesel_schema_migrations WHERE version = '9999'");
    world.restart().unwrap();
}

/// Nor is it gone on with where that happens while the service runs: not for an act, not for a read.
#[test]
fn a_running_service_stops_where_a_later_build_brings_its_database_on() {
    let world = World::new();
    let room = Room::new(&world);
    let reserved = room.reserve().unwrap();
    let request = room.release_request(&reserved);
    sql(&world, "INSERT INTO __diesel_schema_migrations (version) VALUES ('9999')");
    assert_eq!(room.send_release(&reserved, &request).unwrap_err().code, Code::Unavailable);
    assert_eq!(room.ask_challenge().unwrap_err().code, Code::Unavailable);
    assert_eq!(http::get::<Value>(&world.at("/readyz"), None).unwrap_err().code, Code::Unavailable);
    let _: Value = http::get(&world.at("/livez"), None).unwrap();
    // Nothing was written meanwhile, not even that the request came.
    sql(&world, "DELETE FROM __diesel_schema_migrations WHERE version = '9999'");
    room.send_release(&reserved, &request).unwrap();
    assert_eq!(world.charges(), ["charged"]);
}

/// What an older build left has no MACs: it gets them at the first start, and counts only as the receipts say it.
#[test]
fn rows_of_an_older_build_are_compared_with_their_receipts() {
    let mut world = World::new();
    let room = Room::new(&world);
    let reserved = room.reserve().unwrap();
    room.release(&reserved).unwrap();
    room.commit(b"model").unwrap();
    world.stop();
    let older = include_str!("../../migrations/sqlite/2026-11-21-310000_row_macs/down.sql");
    for statement in older.split(';').map(str::trim).filter(|statement| !statement.is_empty()) {
        sql(&world, statement);
    }
    sql(&world, "DELETE FROM __diesel_schema_migrations WHERE version = '20261121310000'");
    let backup = std::fs::read(world.database()).unwrap();
    let other = serde_json::to_string(schemas::Signer::jwk(&world.people.other_kms)).unwrap();
    let other_key = format!("UPDATE run SET run_jwk = '{other}'");
    for change in [
        "UPDATE run SET state = 'refunded'",
        "UPDATE run SET last_seq = 1",
        "DELETE FROM charge",
        "UPDATE charge SET event = CAST(replace(CAST(event AS TEXT), '\"steps\":50', '\"steps\":49') AS BLOB)",
        "UPDATE charge SET family = 'fam_01900000-0000-7000-8000-000000000001'",
        "UPDATE charge SET contract_id = 'ctr_01900000-0000-7000-8000-000000000001'",
        "UPDATE charge SET dataset_id = 'dst_01900000-0000-7000-8000-000000000001'",
        "UPDATE charge SET version = 2",
        "UPDATE charge SET tdc = 'did:web:nobody.example'",
        "UPDATE charge SET scope = 'did:web:nobody.example'",
        "UPDATE charge SET rdp = zeroblob(length(rdp))",
        "UPDATE run SET bundle = x''",
        "UPDATE run SET run_jwk = ''",
        &other_key,
    ] {
        sql(&world, change);
        assert_eq!(world.restart().unwrap_err().code, Code::LogTampered, "{change}");
        put_file_back(&world, &backup);
    }
    // The columns and the sums that hang together, but not with what was signed.
    for charge in ["rdp = zeroblob(length(rdp))", "family = 'fam_01900000-0000-7000-8000-000000000001'"] {
        sql(&world, &format!("UPDATE charge SET {charge}"));
        sql(&world, "UPDATE ledger SET rdp = zeroblob(length(rdp))");
        let refused = world.restart().unwrap_err();
        assert_eq!(refused.code, Code::LogTampered);
        assert!(refused.sentence.starts_with("the charges of "), "{refused}");
        put_file_back(&world, &backup);
    }
    world.restart().unwrap();
    assert_eq!(world.charges(), ["committed"]);
}

#[test]
fn keys_are_imported_once_by_their_owner_for_this_service() {
    let world = World::new();
    let import = |envelope: &Envelope<_>| http::post::<Value>(&world.at("/v1/keys"), envelope);
    // The same again changes nothing.
    assert_eq!(import(&world.import).unwrap()["key_id"], world.tables[0].key_id.as_str());
    let fresh = DatasetKey::random().unwrap();
    let again = sign_import(&world.people, &world.tables[0], &world.info, &fresh, Assurance::Software);
    world.refuses(Code::KeyExists, || import(&again));
    let renamed = Table { key_id: DataKeyId::new(uuid()), ..Table::new("a") };
    let renamed = Table { dataset_id: world.tables[0].dataset_id.clone(), ..renamed };
    let again = sign_import(&world.people, &renamed, &world.info, &fresh, Assurance::Software);
    world.refuses(Code::KeyExists, || import(&again));

    let table = Table::new("new");
    let good = sign_import(&world.people, &table, &world.info, &fresh, Assurance::Software);
    let mut forged = good.clone();
    forged.signatures[0].sig.0[7] ^= 1;
    world.refuses(Code::SignatureInvalid, || import(&forged));
    let document = good.read_unverified().unwrap();
    world.refuses(Code::SignerNotParty, || import(&People::sign(&document, &[&world.people.other_tdp])));
    let elsewhere = schemas::release::KeyImport { kms: "https://kms.other.example".into(), ..document.clone() };
    world.refuses(Code::SignatureContext, || import(&People::sign(&elsewhere, &[&world.people.tdp])));
    // Wrapped for another sealed object.
    let moved = schemas::release::KeyImport { manifest_root: Digest::of(b"other"), ..document };
    world.refuses(Code::JweRefused, || import(&People::sign(&moved, &[&world.people.tdp])));
    import(&good).unwrap();
}

#[test]
fn no_key_lies_in_the_clear() {
    let mut world = World::new();
    let room = Room::new(&world);
    let reserved = room.reserve().unwrap();
    room.release(&reserved).unwrap();
    world.stop();
    let secret = world.key.expose().to_vec();
    let texts = [
        secret.clone(),
        schemas::text::Bytes(secret.clone()).text().into_bytes(),
        format!("{}", Digest(secret.try_into().unwrap())).into_bytes(),
    ];
    let mut read = 0;
    for entry in std::fs::read_dir(&world.config.dir).unwrap() {
        let path = entry.unwrap().path();
        // SQLite takes its side files away when it closes; what is gone holds nothing.
        let (Ok(bytes), Ok(metadata)) = (std::fs::read(&path), std::fs::metadata(&path)) else { continue };
        read += 1;
        for text in &texts {
            assert!(!bytes.windows(text.len()).any(|w| w == text.as_slice()), "{}", path.display());
        }
        let mode = std::os::unix::fs::PermissionsExt::mode(&metadata.permissions());
        assert!(path.to_string_lossy().contains("sqlite") || mode & 0o077 == 0, "{} is open", path.display());
    }
    assert!(read >= 5, "keys, configuration and database lie here, {read} files were read");
}

#[test]
fn production_takes_no_software_evidence() {
    let people = People::new();
    let (dir, mut config) = prepare(&people, Profile::Demo);
    config.software_roots = vec![software_root().pin()];
    kms_adapter::init(&config).unwrap();
    config.proxied = true;
    // Same folder, production: refused with pins, and without them by a build that carries the attester.
    config.profile = Profile::Production;
    config.url = "https://kms.tdp.example".into();
    let start = |config: &kms_adapter::Config| Service::start(config.clone(), kms_adapter::system_clock());
    assert_eq!(start(&config).err().unwrap().code, Code::ProductionRefused);
    config.software_roots.clear();
    assert_eq!(start(&config).err().unwrap().code, Code::ProductionRefused);
    std::fs::remove_dir_all(dir).unwrap();

    // And the evidence itself fails under a production policy, pinned or not.
    let world = World::new();
    let room = Room::new(&world);
    let request = room.reserve_request(|_| ());
    let set = world.image_set.envelope.read_unverified().unwrap();
    let expected = attestation::Expected::from_transcript(&request.attested.transcript, &set).unwrap();
    let judge = |profile| {
        let level = attestation::Level::named("baseline").unwrap();
        let policy = attestation::PlatformPolicy::new(profile, level, vec![software_root().pin()]);
        attestation::appraise(&request.attested.evidence, &expected, &policy, world.now()).accepted
    };
    assert!(judge(attestation::Profile::Demo));
    assert!(!judge(attestation::Profile::Production));
}

#[test]
fn a_folder_is_made_once_and_belongs_to_its_keys() {
    let people = People::new();
    let (dir, config) = prepare(&people, Profile::Demo);
    kms_adapter::init(&config).unwrap();
    assert_eq!(kms_adapter::init(&config).unwrap_err().code, Code::ConfigInvalid);
    let start = || Service::start(config.clone(), kms_adapter::system_clock());
    let running = start().unwrap();
    let info: KmsInfo = http::get(&format!("{}/v1/kms", running.url()), None).unwrap();
    assert_eq!((info.profile.as_str(), info.evidence.len()), ("demo", 2));
    running.stop();
    // Another root key does not open the import key.
    std::fs::write(config.root_key_file(), [9; 32]).unwrap();
    assert_eq!(start().err().unwrap().code, Code::ConfigInvalid);
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn a_log_that_shows_two_roots_for_one_size_opens_nothing() {
    let world = World::new();
    world.refuses(Code::ConsistencyInvalid, || {
        let room = Room::new(&world);
        room.send_reserve(&room.reserve_request(|a| a.checkpoint.root = Digest([9; 32])))
    });
    // A larger head that nothing contradicts yet is taken; from then on its size has one root.
    let ahead = |root: u8| {
        move |a: &mut schemas::release::Admission| {
            a.checkpoint.size += 100;
            a.checkpoint.root = Digest([root; 32]);
        }
    };
    let room = Room::new(&world);
    room.send_reserve(&room.reserve_request(ahead(1))).unwrap();
    world.refuses(Code::ConsistencyInvalid, || {
        let room = Room::new(&world);
        room.send_reserve(&room.reserve_request(ahead(2)))
    });
}

#[test]
fn a_log_that_went_back_opens_nothing() {
    let world = World::new();
    let working = Room::new(&world);
    let ours = working.reserve().unwrap();
    working.release(&ours).unwrap();
    let longer = |a: &mut schemas::release::Admission| {
        a.checkpoint.size += 100;
        a.checkpoint.root = Digest([1; 32]);
    };
    let room = Room::new(&world);
    drop(room.send_reserve(&room.reserve_request(longer)));
    working.renew(working.status_list(vec![])).expect("a reader of the log may be a minute behind");
    world.pass(62);
    assert_eq!(working.renew(working.status_list(vec![])).unwrap_err().code, Code::CheckpointInvalid);
    world.refuses(Code::CheckpointInvalid, || {
        let room = Room::new(&world);
        room.reserve()
    });
}
