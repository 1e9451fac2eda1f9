//! The disk is full, the file of the database is gone, or its tables are of a later build: clean refusals, reads where they can
//! be, and recovery.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, SqliteConnection};
use registry::Registry;
use schemas::event::Body;
use schemas::party::Kind;
use schemas::{Code, R};
use signing::FileKey;

use crate::house::{House, folder, options, start};
use crate::papers;

fn apply(registry: &Registry) -> R<registry::Entry> {
    let who = FileKey::generate()?;
    let application = signing::sign(&papers::participant(&who, Kind::Tdp), &who, start())?;
    registry.append(registry.verify(Body::ParticipantApplied { application, resolution: None })?, start())
}

/// A small file system of its own; gone with its end.
struct Small(PathBuf);

impl Small {
    fn mount() -> Option<Small> {
        let dir = folder();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=16m", "tmpfs"]).arg(&dir).stderr(Stdio::null());
        let mounted = mount.status().is_ok_and(|status| status.success());
        if mounted {
            return Some(Small(dir));
        }
        std::fs::remove_dir_all(dir).unwrap();
        None
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(&self.0).status());
        drop(std::fs::remove_dir_all(&self.0));
    }
}

#[test]
fn a_full_disk_refuses_cleanly_and_writes_go_on_when_there_is_room() {
    let Some(small) = Small::mount() else {
        return println!("NOT RUN registry on a full disk: no right to mount a small file system here");
    };
    let ballast = small.0.join("ballast");
    std::fs::write(&ballast, vec![1u8; 6 << 20]).unwrap();
    let registry = Registry::open(options(&small.0), start()).unwrap();
    let (mut entered, mut fill) = (1, 0);
    for _ in 0..3 {
        // Fill what is left but for a little, then enter until nothing fits any more.
        let full = loop {
            let piece = small.0.join(format!("fill{fill}"));
            fill += 1;
            if std::fs::write(&piece, vec![2u8; 256 << 10]).is_err() {
                break apply(&registry);
            }
        };
        let refusal = match full {
            Err(refusal) => refusal,
            Ok(_) => {
                entered += 1;
                (0..10_000)
                    .find_map(|_| match apply(&registry) {
                        Ok(_) => {
                            entered += 1;
                            None
                        }
                        Err(refusal) => Some(refusal),
                    })
                    .expect("the disk never became full")
            }
        };
        assert_eq!(refusal.code, Code::Unavailable);
        let size = registry.head().unwrap().size;
        assert!(registry.receipt(size - 1).is_ok() && registry.entries(0, 10).is_ok(), "reads go on");
        for n in 0..fill {
            drop(std::fs::remove_file(small.0.join(format!("fill{n}"))));
        }
        apply(&registry).unwrap();
        entered += 1;
    }
    std::fs::remove_file(ballast).unwrap();
    let state = registry.state();
    drop(registry);
    let registry = Registry::open(options(&small.0), start()).unwrap();
    assert_eq!(registry.state(), state);
    assert_eq!(registry.state().participants().count(), entered - 1);
    assert_eq!(registry.scrub().unwrap().first_difference, None);
    drop(registry);
}

/// Nobody else opens a file that is in use, but an operator's hand does.
#[test]
fn tables_that_a_later_build_brought_on_meanwhile_are_written_no_more() {
    let house = House::empty();
    let mut database = SqliteConnection::establish(&house.database().to_string_lossy()).unwrap();
    let later = "INSERT INTO __diesel_schema_migrations (version) VALUES ('9999')";
    database.batch_execute(&format!("PRAGMA busy_timeout = 5000; {later}")).unwrap();
    assert_eq!(apply(&house.registry).unwrap_err().code, Code::NotWriter);
    let did = house.tdc.did().unwrap();
    assert_eq!(house.registry.use_jti(&did, "a", start(), start()).unwrap_err().code, Code::NotWriter);
    let refused = house.registry.fresh().unwrap_err();
    assert_eq!(refused.code, Code::ReadOnly);
    assert!(refused.sentence.contains("later build"), "{refused}");
    assert_eq!((house.registry.head().unwrap().size, house.registry.entries(0, 2).unwrap().len()), (2, 2));
}

#[test]
fn a_database_that_was_taken_away_is_not_written_into_nowhere() {
    let house = House::empty();
    let (file, aside) = (house.database(), house.dir.join("aside"));
    std::fs::rename(&file, &aside).unwrap();
    assert_eq!(apply(&house.registry).unwrap_err().code, Code::Unavailable);
    let did = house.tdc.did().unwrap();
    assert_eq!(house.registry.use_jti(&did, "a", start(), start()).unwrap_err().code, Code::Unavailable);
    assert_eq!(house.registry.head().unwrap().size, 2);
    // Soon nothing is said of the log any more, and again when the file is back.
    let soon = |wanted: Option<Code>| {
        let began = std::time::Instant::now();
        while house.registry.fresh().err().map(|e| e.code) != wanted {
            assert!(began.elapsed().as_secs() < 30, "{wanted:?} does not come");
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
    };
    soon(Some(Code::Unavailable));
    // Another file in its place is not ours.
    std::fs::write(&file, b"").unwrap();
    assert_eq!(apply(&house.registry).unwrap_err().code, Code::Unavailable);
    std::fs::rename(&aside, &file).unwrap();
    assert_eq!(apply(&house.registry).unwrap().receipt.index, 2);
    soon(None);
}
