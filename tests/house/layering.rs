//! The house keeps its shape: arrows, doors, forbidden calls, codes that are really provoked.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

/// The table between the arrow marks of ARCHITECTURE.md.
fn allowed() -> BTreeMap<String, BTreeSet<String>> {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let table = text.split("<!-- arrows -->").nth(1).unwrap().split("<!-- /arrows -->").next().unwrap();
    let rows = table.lines().filter(|l| l.starts_with("| ") && !l.starts_with("| crate"));
    rows.map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let on = cells[1].split(',').map(|d| d.trim().to_owned()).filter(|d| d != "–" && !d.is_empty());
        (cells[0].to_owned(), on.collect())
    })
    .collect()
}

/// Workspace crates and their normal dependencies on one another, besides `schemas`.
fn actual() -> BTreeMap<String, BTreeSet<String>> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let names: BTreeSet<String> = packages.iter().map(|p| p["name"].as_str().unwrap().to_owned()).collect();
    packages
        .iter()
        .map(|p| {
            let dependencies = p["dependencies"].as_array().unwrap().iter();
            let on = dependencies
                .filter(|d| d["kind"].as_str() != Some("dev"))
                .map(|d| d["name"].as_str().unwrap().to_owned())
                .filter(|d| names.contains(d) && d != "schemas");
            (p["name"].as_str().unwrap().to_owned(), on.collect())
        })
        .collect()
}

#[test]
fn arrows_of_the_architecture_equal_cargo_metadata() {
    let (allowed, actual) = (allowed(), actual());
    assert!(allowed.len() >= 14);
    for (name, on) in &actual {
        let permitted = allowed.get(name).unwrap_or_else(|| panic!("{name} is missing in ARCHITECTURE.md"));
        let more: Vec<_> = on.difference(permitted).collect();
        assert!(more.is_empty(), "{name} depends on {more:?}, which ARCHITECTURE.md does not allow");
        let fewer: Vec<_> = permitted.difference(on).collect();
        assert!(
            fewer.is_empty() || name == "house-tests" || name == "demo",
            "{name} no longer depends on {fewer:?}; take it out of ARCHITECTURE.md"
        );
    }
    for name in allowed.keys() {
        assert!(actual.contains_key(name), "ARCHITECTURE.md names {name}, which is no crate");
    }
}

/// Every Rust file of the workspace, as path from the root and text.
fn sources() -> Vec<(String, String)> {
    let mut files = Vec::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                if !name.starts_with('.') && name != "target" && name != "node_modules" {
                    folders.push(path);
                }
            } else if name.ends_with(".rs") {
                let text = fs::read_to_string(&path).unwrap();
                files.push((path.strip_prefix(root()).unwrap().to_string_lossy().into_owned(), text));
            }
        }
    }
    files
}

/// The part of a file before its tests.
fn product(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod ").next().unwrap_or(text)
}

fn is_test(path: &str) -> bool {
    path.contains("/tests/") || path.starts_with("tests/") || path.ends_with("/tests.rs") || path.contains("fixtures")
}

#[test]
fn only_signing_vouches_for_a_signature() {
    let mut callers = BTreeSet::new();
    for (path, text) in sources() {
        if !is_test(&path) && product(&text).contains("vouched_by_signing(") && path != "schemas/src/envelope.rs" {
            callers.insert(path);
        }
    }
    let inside: Vec<_> = callers.iter().filter(|p| !p.starts_with("schemas/signing/src/")).collect();
    assert!(inside.is_empty(), "Signed, Entered or Verified is made outside signing: {inside:?}");
    assert!(callers.len() >= 2, "the search found nothing, so it proves nothing");
}

/// Whether a line names a library, and not only something whose name ends like it.
fn names(line: &str, library: &str) -> bool {
    let before = |at: usize| line.get(..at).and_then(|l| l.chars().next_back());
    line.match_indices(library).any(|(at, _)| !before(at).is_some_and(|c| c.is_alphanumeric() || c == '_'))
}

#[test]
fn outside_libraries_stay_behind_their_doors() {
    let doors: [(&str, &[&str]); 14] = [
        ("regorus", &["policies/rego"]),
        ("josekit", &["schemas/signing"]),
        ("ed25519_dalek", &["schemas/signing"]),
        ("tch::", &["ccr-runtime/trainer"]),
        ("cryptoki", &["cli/hardware"]),
        ("tss_esapi", &["ccr-runtime/attesters"]),
        ("az_snp_vtpm", &["ccr-runtime/attesters"]),
        ("diesel", &["registry", "kms-adapter", "payment-adapter"]),
        ("quick_xml", &["payment-adapter"]),
        ("actix_web", &["contract-service", "kms-adapter", "payment-adapter"]),
        ("sqlparser", &["cli"]),
        ("prost", &["ccr-runtime/models"]),
        ("object_store", &["ccr-runtime/objects"]),
        ("opentelemetry", &["schemas/telemetry"]),
    ];
    for (library, rooms) in doors {
        let mut seen = false;
        for (path, text) in sources() {
            let uses = product(&text).lines().any(|l| !l.trim_start().starts_with("//") && names(l, library));
            if uses && !is_test(&path) {
                seen = true;
                assert!(rooms.iter().any(|r| path.starts_with(r)), "{path} uses {library}");
            }
        }
        assert!(seen, "nobody uses {library}: the search proves nothing");
    }
}

#[test]
fn words_and_rules_read_no_clock_and_do_no_io() {
    for (path, text) in sources() {
        let pure = (path.starts_with("schemas/src/")
            || path.starts_with("policies/src/")
            || path.starts_with("policies/accountant/src/"))
            && !is_test(&path);
        if !pure {
            continue;
        }
        for forbidden in [
            "SystemTime::now",
            "Instant::now",
            "std::fs",
            "std::net",
            "std::env::",
            "getrandom",
            "Uuid::now_v7",
            "Uuid::new_v4",
        ] {
            let found = product(&text).lines().any(|l| !l.trim_start().starts_with("//") && l.contains(forbidden));
            assert!(!found, "{path} uses {forbidden}");
        }
    }
}

#[test]
fn the_trainer_has_no_network_and_no_key() {
    let mut files = 0;
    for (path, text) in sources() {
        if path.starts_with("ccr-runtime/trainer/src/") && !is_test(&path) {
            files += 1;
            for forbidden in ["TcpStream", "UdpSocket", "UnixStream", "reqwest", "signing::", "DatasetKey"] {
                assert!(!product(&text).contains(forbidden), "{path} uses {forbidden}");
            }
        }
    }
    assert!(files > 3);
}

#[test]
fn every_refusal_code_stands_in_a_test_or_is_listed_as_unprovoked() {
    let tests: String = sources()
        .into_iter()
        // There codes are sorted into exit codes and next steps: all of them are named, and none comes about.
        .filter(|(path, _)| !["cli/src/exit.rs", "cli/src/next_step.rs"].contains(&path.as_str()))
        .map(|(path, text)| {
            if is_test(&path) {
                text
            } else {
                text.split_once("#[cfg(test)]\nmod ").map(|(_, t)| t.to_owned()).unwrap_or_default()
            }
        })
        .collect();
    // Codes whose cause a test cannot bring about honestly, each with its reason.
    let unprovoked: BTreeSet<&str> = fs::read_to_string(root().join("tests/unprovoked-codes.txt"))
        .unwrap()
        .lines()
        .filter(|l| !l.starts_with('#') && !l.trim().is_empty())
        .map(|l| l.split_whitespace().next().unwrap().to_owned())
        .map(|s| &*Box::leak(s.into_boxed_str()))
        .collect();
    let mut missing = Vec::new();
    for code in schemas::Code::ALL {
        let variant = format!("Code::{code:?}");
        // The variant must end there: `Code::KeyForm` is not provoked by `Code::KeyFormat`.
        let variant_found = tests
            .match_indices(&variant)
            .any(|(i, m)| !tests[i + m.len()..].starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_'));
        let text_found = tests.contains(&format!("\"{code}\""));
        let provoked = variant_found || text_found;
        if !provoked && !unprovoked.contains(code.as_str()) {
            missing.push(code.as_str());
        }
        assert!(
            !(provoked && unprovoked.contains(code.as_str())),
            "{code} is provoked now: take it off tests/unprovoked-codes.txt"
        );
    }
    assert!(missing.is_empty(), "no test provokes {missing:?}");
}

#[test]
fn the_repository_names_no_registry_host_and_no_path_of_a_machine() {
    let hosts = [
        ["crates", "io"].join("."),
        ["pypi", "org"].join("."),
        ["deb.debian", "org"].join("."),
        ["registry.npmjs", "org"].join("."),
    ];
    let machine = ["", "work", "main"].join("/");
    for (path, text) in sources() {
        for host in hosts.iter().chain([&machine]) {
            assert!(!text.contains(host.as_str()), "{path} names {host}");
        }
    }
}
