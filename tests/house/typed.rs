//! The command line as somebody types it: `depa` as a process, against the house of a test.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use demo::House;
use demo::actors::Person;
use schemas::Code;
use serde_json::Value;

/// Somebody at a terminal, in a folder of its own.
pub struct Hand<'h> {
    depa: PathBuf,
    house: &'h House,
    key: PathBuf,
    dir: PathBuf,
}

impl<'h> Hand<'h> {
    /// This person's, with the binary that is called.
    pub fn of(depa: &Path, house: &'h House, person: &Person) -> Hand<'h> {
        let dir = person.dir.join("typed");
        std::fs::create_dir_all(&dir).unwrap();
        Hand { depa: depa.to_owned(), house, key: person.key_file(), dir }
    }

    /// A file in the folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Types a line.
    pub fn types(&self, line: &str) -> Output {
        let mut command = Command::new(&self.depa);
        for name in ["DEPA_CA", "DEPA_STORES", "DEPA_PROFILE", "DEPA_PROFILES", "XDG_CONFIG_HOME"] {
            command.env_remove(name);
        }
        command.env("DEPA_REGISTRY", &self.house.url).env("DEPA_TRUST", &self.house.trust_file);
        command.env("DEPA_KEY", &self.key).env("HOME", &self.dir).current_dir(&self.dir);
        command.args(line.split_whitespace()).stdin(Stdio::null()).output().unwrap()
    }

    /// Types a line that does what it says; returns what people read.
    #[track_caller]
    pub fn reads(&self, line: &str) -> String {
        let output = self.types(line);
        assert!(output.status.success(), "{line}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// The same for programs.
    #[track_caller]
    pub fn json(&self, line: &str) -> Value {
        serde_json::from_str(&self.reads(&format!("{line} --json"))).unwrap()
    }

    /// Types a line that is refused with this code, and the exit code that belongs to it.
    #[track_caller]
    pub fn refused(&self, line: &str, code: Code) {
        let output = self.types(&format!("{line} --json"));
        let told: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{line}: {output:?}"));
        assert_eq!(told["error"]["code"].as_str(), Some(code.as_str()), "{line}: {told}");
        assert_eq!(output.status.code(), Some(i32::from(depa::exit::of_code(code))), "{line}: {told}");
    }

    /// A file of the folder as it is, changed, under another name.
    pub fn spoil(&self, name: &str, other: &str, change: impl FnOnce(&mut Value)) {
        let text = std::fs::read(self.file(name)).unwrap();
        let mut value: Value = serde_json::from_slice(&text).unwrap();
        let before = value.clone();
        change(&mut value);
        assert_ne!(value, before, "{name} is as it was");
        std::fs::write(self.file(other), value.to_string()).unwrap();
    }
}
