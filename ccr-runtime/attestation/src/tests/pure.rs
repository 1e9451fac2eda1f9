//! The verifier reads no file, clock or network and cannot index out of bounds: its sources do not say how.

use super::*;

/// The sources that judge, without tests and without the software attester, which makes evidence.
fn sources() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut folders, mut out) = (vec![root.clone()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
            if name.starts_with("tests") || name.starts_with("software") {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else {
                let text = fs::read_to_string(&path).unwrap();
                out.push((name, text.split("\nmod tests {").next().unwrap().to_owned()));
            }
        }
    }
    out
}

#[test]
fn the_verifier_does_no_input_or_output() {
    let sources = sources();
    assert!(sources.len() >= 18, "{}", sources.len());
    let forbidden = [
        "std::fs",
        "std::net",
        "std::time",
        "std::env",
        "std::process",
        "std::thread",
        "std::io",
        "SystemTime",
        "Instant",
        "getrandom",
        "rand_bytes",
        "println!",
        "set_default_paths",
        "tss_esapi",
        "unsafe",
        ".unwrap()",
        ".expect(\"",
        "panic!",
        "unreachable!",
        "todo!",
    ];
    for (name, text) in &sources {
        for word in forbidden {
            assert!(!text.contains(word), "{name} says {word}");
        }
    }
}

/// Parsers take parts by `get`, never by an index that could lie outside.
#[test]
fn parsers_index_nothing() {
    for (name, text) in sources() {
        for (at, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            let bytes = code.as_bytes();
            let indexed = (1..bytes.len()).any(|i| {
                let before = bytes[i - 1];
                bytes[i] == b'[' && (before.is_ascii_alphanumeric() || matches!(before, b'_' | b')' | b']'))
            });
            assert!(!indexed, "{name}:{}: {line}", at + 1);
        }
    }
}

/// No TPM library, no client of any service, no other crate of this house but the words.
#[test]
fn the_crate_depends_on_little() {
    let manifest = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")).unwrap();
    let dependencies = manifest.split("[dependencies]").nth(1).unwrap().split("\n[").next().unwrap();
    let names: Vec<&str> = dependencies
        .lines()
        .filter_map(|l| l.split(['.', ' ', '=']).next())
        .filter(|n| !n.is_empty() && !n.starts_with('#'))
        .collect();
    assert_eq!(names, ["getrandom", "hex", "openssl", "schemas", "serde_json", "zeroize"]);
}
