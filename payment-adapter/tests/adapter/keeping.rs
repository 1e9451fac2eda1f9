//! Backups of the adapter's database, and what is put back.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use diesel::Connection as _;
use diesel::connection::SimpleConnection as _;
use payment_adapter::config::Config;
use payment_adapter::{Engine, backup, check, restore};
use schemas::Code;
use serde_json::Value;

use crate::scene::{Scene, data};
use crate::systems::{Ending, Simulated, System as _};

/// A folder with this many instructions, and a backup of it.
fn kept(scene: &Scene, letters: &str) -> (Config, PathBuf) {
    let config = Simulated::new(Ending::Delay).config(scene);
    let engine = Engine::open(&config, scene.clock()).unwrap();
    for letter in letters.chars() {
        assert!(engine.take(&scene.instructs(&data(letter, 5))).unwrap());
    }
    let out = scene.dir.join("payments.backup");
    // The adapter has its database open meanwhile.
    let checked = backup(&config, &out).unwrap();
    assert_eq!(checked.instructions, i64::try_from(letters.len()).unwrap());
    assert_eq!(checked.provider, Some(scene.key.did().unwrap().to_string()));
    (config, out)
}

/// The same adapter with another folder.
fn elsewhere(scene: &Scene, config: &Config, name: &str) -> Config {
    Config { data_dir: scene.dir.join(name), ..config.clone() }
}

fn change(database: &Path, sql: &str) {
    let mut db = diesel::sqlite::SqliteConnection::establish(&database.to_string_lossy()).unwrap();
    db.batch_execute(sql).unwrap();
}

#[test]
fn a_backup_of_a_serving_adapter_comes_back_as_it_was() {
    let scene = Scene::new();
    let (config, out) = kept(&scene, "AB");
    let engine = Engine::open(&config, scene.clock()).unwrap();
    let before = engine.status().unwrap();
    // What comes afterwards is not in it.
    engine.take(&scene.instructs(&data('C', 7))).unwrap();
    assert_eq!(std::fs::metadata(&out).unwrap().permissions().mode() & 0o777, 0o600, "its owner's alone");
    let again = elsewhere(&scene, &config, "restored");
    let checked = restore(&again, &out, &scene.clock()).unwrap();
    assert_eq!((checked, check(&out).unwrap().instructions), (check(&out).unwrap(), 2));
    let back = Engine::open(&again, scene.clock()).unwrap();
    assert_eq!(back.status().unwrap(), before);
    let database = again.data_dir.join("payments.sqlite");
    assert_eq!(std::fs::metadata(&database).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!again.data_dir.join("payments.sqlite.part").exists());
    // What it knows is taken once, what it lost is taken again.
    assert!(!back.take(&scene.instructs(&data('A', 5))).unwrap());
    assert!(back.take(&scene.instructs(&data('C', 7))).unwrap());
}

#[test]
fn no_file_is_overwritten_and_no_folder_that_is_in_use_or_full() {
    let scene = Scene::new();
    let (config, out) = kept(&scene, "A");
    let bytes = std::fs::read(&out).unwrap();
    assert_eq!(backup(&config, &out).unwrap_err().code, Code::ConfigInvalid, "a file stands there");
    assert_eq!(std::fs::read(&out).unwrap(), bytes);
    let nothing = elsewhere(&scene, &config, "nothing");
    let new = scene.dir.join("new.backup");
    assert_eq!(backup(&nothing, &new).unwrap_err().code, Code::ConfigInvalid, "there is no database");
    assert!(!new.exists() && !nothing.data_dir.exists());
    // A folder with a database, or with what one left behind.
    let refused = restore(&config, &out, &scene.clock()).unwrap_err();
    assert_eq!((refused.code, refused.field.as_deref()), (Code::ConfigInvalid, Some("data_dir")));
    for left in ["payments.sqlite-wal", "payments.sqlite-shm"] {
        let folder = elsewhere(&scene, &config, left);
        std::fs::create_dir(&folder.data_dir).unwrap();
        std::fs::write(folder.data_dir.join(left), "x").unwrap();
        assert_eq!(restore(&folder, &out, &scene.clock()).unwrap_err().code, Code::ConfigInvalid, "{left}");
        assert!(!folder.data_dir.join("payments.sqlite").exists());
    }
    // Somebody serves the folder.
    let served = elsewhere(&scene, &config, "served");
    let running = payment_adapter::start(&served, scene.clock()).unwrap();
    assert_eq!(restore(&served, &out, &scene.clock()).unwrap_err().code, Code::StoreInUse);
    running.stop();
}

#[test]
fn a_backup_that_cannot_be_believed_puts_nothing_back() {
    let scene = Scene::new();
    let (config, out) = kept(&scene, "ABC");
    let whole = std::fs::read(&out).unwrap();
    let spoilt = scene.dir.join("spoilt.backup");
    let page = 4096;
    let mut damaged = whole.clone();
    damaged[page..2 * page].fill(0);
    let cases: [(&str, Vec<u8>); 4] = [
        ("a page that is gone", damaged),
        ("its second half is gone", whole[..whole.len() / 2].to_vec()),
        ("no database", b"instructions, settled, 12".repeat(300)),
        ("nothing", Vec::new()),
    ];
    let target = elsewhere(&scene, &config, "restored");
    let refuses = |why: &str| {
        assert_eq!(check(&spoilt).unwrap_err().code, Code::RecoveryRefused, "{why}");
        assert_eq!(restore(&target, &spoilt, &scene.clock()).unwrap_err().code, Code::RecoveryRefused, "{why}");
        let left: Vec<_> = std::fs::read_dir(&target.data_dir).unwrap().map(|f| f.unwrap().file_name()).collect();
        assert!(left.iter().all(|name| name == "serve.lock"), "{why}: {left:?}");
    };
    for (why, bytes) in cases {
        std::fs::write(&spoilt, bytes).unwrap();
        refuses(why);
    }
    std::fs::write(&spoilt, &whole).unwrap();
    change(&spoilt, "INSERT INTO __diesel_schema_migrations (version) VALUES ('9999')");
    refuses("a later build brought it on");
    std::fs::write(&spoilt, &whole).unwrap();
    change(&spoilt, "PRAGMA application_id = 7");
    refuses("another program's");
    // The bare file of a copied folder: what lies beside it would be lost.
    let wal = scene.dir.join("payments.backup-wal");
    std::fs::write(&wal, "x").unwrap();
    assert_eq!(restore(&target, &out, &scene.clock()).unwrap_err().code, Code::RecoveryRefused);
    std::fs::remove_file(wal).unwrap();
    restore(&target, &out, &scene.clock()).unwrap();
}

#[test]
fn a_backup_of_another_provider_is_refused() {
    let (scene, other) = (Scene::new(), Scene::new());
    let (_, out) = kept(&scene, "A");
    let config = Simulated::new(Ending::Settle).config(&other);
    let refused = restore(&config, &out, &other.clock()).unwrap_err();
    assert_eq!(refused.code, Code::ConfigInvalid);
    assert!(refused.sentence.contains(scene.key.did().unwrap().as_str()), "{refused}");
    assert!(!config.data_dir.join("payments.sqlite").exists());
}

/// One of a build before folders had an owner comes back too, and is brought up to date.
#[test]
fn a_backup_of_an_earlier_build_is_brought_on() {
    let scene = Scene::new();
    let (config, out) = kept(&scene, "A");
    change(&out, include_str!("../../migrations/0002_owner/down.sql"));
    change(&out, "DELETE FROM __diesel_schema_migrations WHERE version = '0002'");
    assert_eq!(check(&out).unwrap().provider, None);
    let target = elsewhere(&scene, &config, "restored");
    restore(&target, &out, &scene.clock()).unwrap();
    assert_eq!(Engine::open(&target, scene.clock()).unwrap().status().unwrap().instructions.len(), 1);
}

#[test]
fn the_command_line_backs_up_checks_and_puts_back() {
    let scene = Scene::new();
    let (config, _) = kept(&scene, "AB");
    let file = scene.dir.join("adapter.toml");
    std::fs::write(&file, config.to_toml().unwrap()).unwrap();
    let run = |args: &[&str]| {
        let done = Command::new(env!("CARGO_BIN_EXE_payment-adapter")).args(args).output().unwrap();
        let told = String::from_utf8([done.stdout, done.stderr].concat()).unwrap();
        (done.status.code().unwrap(), told)
    };
    let (config, out) = (file.to_str().unwrap(), scene.dir.join("second.backup"));
    let out = out.to_str().unwrap();
    let (code, told) = run(&["backup", "--config", config, "--out", out]);
    assert!(code == 0 && told.contains("2 instructions"), "{told}");
    let (code, told) = run(&["backup", "--config", config, "--out", out]);
    assert!(code == 2 && told.starts_with("CONFIG_INVALID"), "{told}");
    let (code, told) = run(&["check", out, "--json"]);
    let checked: Value = serde_json::from_str(&told).unwrap();
    assert_eq!((code, &checked["instructions"]), (0, &Value::from(2)));
    let (code, told) = run(&["restore", "--config", config, "--backup", out]);
    assert!(code == 2 && told.contains("is there already"), "{told}");
    std::fs::rename(scene.dir.join("data"), scene.dir.join("lost")).unwrap();
    let (code, told) = run(&["restore", "--config", config, "--backup", out]);
    assert!(code == 0 && told.starts_with("put back"), "{told}");
    let (code, told) = run(&["check", config]);
    assert!(code == 10 && told.starts_with("RECOVERY_REFUSED"), "{told}");
}
