//! The README names every code that a rule of this crate refuses with.

use std::fs;
use std::path::Path;

use policies::Code;

#[test]
fn every_code_of_a_rule_stands_in_the_readme() {
    let room = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = fs::read_to_string(room.join("README.md")).unwrap();
    let mut sources = String::new();
    for folder in ["src", "src/registration", "src/pipeline"] {
        for file in fs::read_dir(room.join(folder)).unwrap() {
            let path = file.unwrap().path();
            // The fold has rules of its own, written down with it.
            let fold = path.file_name().is_some_and(|name| name == "lifecycle.rs");
            if path.is_file() && !fold {
                sources.push_str(&fs::read_to_string(path).unwrap());
            }
        }
    }
    let used = |code: &&Code| {
        let name = format!("Code::{code:?}");
        sources.match_indices(&name).any(|(at, _)| !sources[at + name.len()..].starts_with(char::is_alphanumeric))
    };
    let missing: Vec<_> = Code::ALL.iter().filter(used).filter(|c| !readme.contains(&format!("`{c}`"))).collect();
    assert!(missing.is_empty(), "README.md does not name {missing:?}");
}
