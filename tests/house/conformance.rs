//! The list of conformance is complete, and every test that it names exists.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

fn collect(folder: &Path, tests: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && !name.starts_with('.') && name != "target" {
            collect(&path, tests);
        } else if name.ends_with(".rs") {
            let text = fs::read_to_string(&path).unwrap();
            for after in text.split("#[test]").skip(1) {
                let name = after.split_once("fn ").and_then(|(_, rest)| rest.split_once('('));
                tests.extend(name.map(|(name, _)| name.to_owned()));
            }
        }
    }
}

#[test]
fn every_requirement_has_its_test_or_the_reason_why_not() {
    let text = fs::read_to_string(root().join("CONFORMANCE.md")).unwrap();
    let rows: Vec<Vec<&str>> = text
        .lines()
        .filter(|l| l.starts_with("| CS") || l.starts_with("| D") || l.starts_with("| $"))
        .map(|l| l.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    let ids: Vec<&str> = rows.iter().map(|row| row[0]).collect();
    let contract_service = (1..=17).map(|n| format!("CS{n}"));
    let wanted: Vec<String> =
        contract_service.chain((1..=4).map(|n| format!("D{n}"))).chain((1..=4).map(|n| format!("${n}"))).collect();
    assert_eq!(ids, wanted);
    let mut tests = BTreeSet::new();
    collect(&root(), &mut tests);
    for row in &rows {
        let named: Vec<&str> = row[3].split('`').skip(1).step_by(2).collect();
        assert!(!named.is_empty() || row[3].starts_with("not offered"), "{}: {}", row[0], row[3]);
        for name in named {
            assert!(tests.contains(name), "{}: there is no test {name}", row[0]);
        }
    }
}
