//! Files below the storage roots, and nothing else.

#![allow(clippy::unwrap_used)]

use objects::{Direction, Files, Location, Objects, Patience};
use schemas::Code;

fn below(roots: Vec<std::path::PathBuf>) -> Objects {
    Objects { files: Files::Below(roots), loopback: false, stores: vec![], patience: Patience::default() }
}

#[test]
fn only_allowed_places_are_locations() {
    let objects = below(vec!["/storage/a".into()]);
    for good in ["file:///storage/a/x", "https://tdp.example/x"] {
        assert!(Location::parse(good, &objects, Direction::Read).is_ok(), "{good}");
    }
    for bad in [
        "file:///etc/passwd",
        "file:///storage/a/../../etc/passwd",
        "file:///storage/a/%2e%2e/%2e%2e/etc/passwd",
        "file:///storage/ab",
        "http://tdp.example/x",
        "http://127.0.0.1/x",
        "https://localhost/x",
        "ftp://tdp.example/x",
        "x",
    ] {
        let code = Location::parse(bad, &objects, Direction::Read).err().map(|refusal| refusal.code);
        assert_eq!(code, Some(Code::AddressRefused), "{bad}");
    }
}

#[test]
fn links_lead_nowhere_pipes_are_not_waited_for_and_nothing_is_replaced() {
    let dir = std::env::temp_dir().join(format!("objects-files-{}", uuid::Uuid::new_v4()));
    let (root, outside) = (dir.join("root"), dir.join("outside"));
    for folder in [&root, &outside] {
        std::fs::create_dir_all(folder).unwrap();
        std::fs::write(folder.join("x"), b"abc").unwrap();
    }
    std::os::unix::fs::symlink(&outside, root.join("way")).unwrap();
    std::os::unix::fs::symlink(root.join("x"), root.join("here")).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(root.join("pipe")).status().unwrap().success());
    let objects = below(vec![root.clone()]);
    let place = |name: &str| format!("file://{}/{name}", root.display());
    let read = |name: &str| objects.read(&place(name), 10).map_err(|e| e.code);
    assert_eq!(read("x").unwrap(), b"abc");
    assert_eq!(read("here").unwrap(), b"abc");
    assert_eq!(read("way/x"), Err(Code::AddressRefused));
    assert_eq!(read("pipe"), Err(Code::PeerUnreachable));
    assert_eq!(read("missing"), Err(Code::PeerUnreachable));
    assert_eq!(objects.read(&place("x"), 2).map_err(|e| e.code), Err(Code::LimitExceeded));
    let write = |name: &str| objects.write_new(&place(name), &mut &b"new"[..], 3).map_err(|e| e.code);
    assert_eq!(write("y"), Ok(()));
    assert_eq!(read("y").unwrap(), b"new");
    assert_eq!(write("x"), Err(Code::ObjectExists));
    assert_eq!(write("way/y"), Err(Code::AddressRefused));
    assert_eq!(write("nowhere/y"), Err(Code::UploadFailed));
    let short = objects.write_new(&place("z"), &mut &b"ab"[..], 3).map_err(|e| e.code);
    assert_eq!(short, Err(Code::ObjectTruncated));
    // What was cut short leaves nothing under its name, and nothing beside it; what another writer left is not touched.
    let left = || {
        let names = std::fs::read_dir(&root).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with('z')).collect::<Vec<_>>()
    };
    assert_eq!(left(), Vec::<String>::new());
    struct Broken;
    impl std::io::Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::BrokenPipe.into())
        }
    }
    assert!(objects.write_new(&place("z"), &mut Broken, 3).is_err());
    assert_eq!(left(), Vec::<String>::new());
    let stale = format!("z.{}-0.partial", std::process::id());
    std::fs::write(root.join(&stale), b"half").unwrap();
    assert_eq!(write("z"), Ok(()));
    assert_eq!(read("z").unwrap(), b"new");
    assert_eq!(std::fs::read(root.join(&stale)).unwrap(), b"half");
    assert_eq!(left().len(), 2);
    std::fs::remove_dir_all(dir).unwrap();
}
