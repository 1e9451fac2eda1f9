//! One process at a time has a database of SQLite; the next one is told which, and a killed one is in nobody's way.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use registry::Registry;
use schemas::Code;
use schemas::log::Checkpoint;

use crate::house::{folder, options, start};

const DIR: &str = "DEPA_REGISTRY_LOCK_DIR";

/// The child: opens, says so, and stays.
#[test]
fn child() {
    let Ok(dir) = std::env::var(DIR) else {
        return;
    };
    let _registry = Registry::open(options(&PathBuf::from(dir)), start()).unwrap();
    println!("\nopened");
    std::thread::sleep(std::time::Duration::from_secs(120));
}

#[test]
fn a_database_that_is_open_elsewhere_is_refused_and_its_process_is_named() {
    let dir = folder();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["locked::child", "--exact", "--nocapture"])
        .env(DIR, &dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.any(|line| line == "opened"));
    let options = options(&dir);
    let named = format!("process {} ", child.id());

    let second = Registry::open(options.clone(), start()).map(drop).unwrap_err();
    assert_eq!(second.code, Code::StoreInUse);
    assert!(second.sentence.contains(&named), "{second}");
    // What only reads is done beside it.
    let head = Registry::inspect(&options).unwrap();
    assert_eq!(head.size, 2);
    let file = dir.join("backup");
    assert_eq!(registry::backup(&options.url, &file).unwrap(), head);
    // What writes is not, and changes nothing.
    let restored = registry::restore(&file, &options.url).unwrap_err();
    assert_eq!(restored.code, Code::StoreInUse);
    let note = signing::note::sign_checkpoint(&options.origin, &head, &*options.signer).unwrap();
    let note = Checkpoint::parse(&note.text()).unwrap();
    let refilled = Registry::restore_from(&options, [], &note, None).unwrap_err();
    assert_eq!(refilled.code, Code::StoreInUse);

    child.kill().unwrap();
    child.wait().unwrap();
    let back = Registry::open(options.clone(), start()).unwrap();
    assert_eq!(back.head().unwrap(), head, "a killed process is in nobody's way");
    let here = Registry::open(options.clone(), start()).map(drop).unwrap_err();
    assert!(here.sentence.contains(&format!("process {} ", std::process::id())), "{here}");
    drop(back);
    drop(Registry::open(options, start()).unwrap());
    std::fs::remove_dir_all(dir).unwrap();
}
