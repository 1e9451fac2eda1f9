//! The root key as a credential that systemd hands over: the binary starts with it, and says by its own code what is wrong
//! with another.

use std::fs::{self, Permissions};
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use kms_adapter::{Config, Profile};
use schemas::Code;
use schemas::release::KmsInfo;

use crate::support::cut::config_file;
use crate::support::world::prepare;
use crate::support::{People, http};

struct Folder {
    dir: PathBuf,
    config: PathBuf,
    key: Vec<u8>,
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// Ends a process that a test started.
struct Started(Child);

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Folder {
    fn new() -> Folder {
        let (dir, config) = prepare(&People::new(), Profile::Demo);
        kms_adapter::init(&config).unwrap();
        let key = fs::read(config.root_key_file()).unwrap();
        fs::remove_file(config.root_key_file()).unwrap();
        let config = Config { root_key: Some("credential:depa-root".into()), ..config };
        let folder = Folder { config: config_file(&dir, &config), dir, key };
        fs::create_dir(folder.credentials()).unwrap();
        folder
    }

    fn credentials(&self) -> PathBuf {
        self.dir.join("credentials")
    }

    fn credential(&self, bytes: &[u8], mode: u32) {
        let path = self.credentials().join("depa-root");
        drop(fs::remove_file(&path));
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    }

    fn serve(&self, credentials: Option<&Path>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kms-adapter"));
        command.args(["serve", "--config"]).arg(&self.config).env_remove("CREDENTIALS_DIRECTORY");
        if let Some(folder) = credentials {
            command.env("CREDENTIALS_DIRECTORY", folder);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn refuses(&self, code: Code, what: &str) {
        let done = self.serve(Some(&self.credentials())).output().unwrap();
        let words = String::from_utf8_lossy(&done.stderr);
        assert!(done.stdout.is_empty() && words.contains(code.as_str()), "{what}: {words}");
        assert_eq!(done.status.code(), Some(2), "{what}: {words}");
    }
}

#[test]
fn the_service_starts_with_its_credential() {
    let folder = Folder::new();
    // As systemd leaves it for a user of its own: an access list's mask shows as the group's right to read.
    for mode in [0o400, 0o440] {
        folder.credential(&folder.key, mode);
        let mut started = Started(folder.serve(Some(&folder.credentials())).spawn().unwrap());
        let mut line = String::new();
        BufReader::new(started.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let told: serde_json::Value = serde_json::from_str(&line).expect("the service did not start");
        let info: KmsInfo = http::get(&format!("{}/v1/kms", told["url"].as_str().unwrap()), None).unwrap();
        assert_eq!(info.profile, "demo");
    }
}

#[test]
fn a_credential_that_is_no_key_of_its_own_is_refused() {
    let folder = Folder::new();
    folder.refuses(Code::RootKeyMissing, "none of this name");
    let alone = folder.serve(None).output().unwrap();
    let words = String::from_utf8_lossy(&alone.stderr);
    assert!(words.contains("ROOT_KEY_MISSING") && alone.status.code() == Some(2), "no folder: {words}");
    for mode in [0o404, 0o444, 0o644, 0o402] {
        folder.credential(&folder.key, mode);
        folder.refuses(Code::RootKeyExposed, &format!("{mode:o}"));
    }
    for length in [0, 1, 31, 33, 64] {
        folder.credential(&folder.key.iter().copied().cycle().take(length).collect::<Vec<u8>>(), 0o400);
        folder.refuses(Code::RootKeyForm, &format!("{length} bytes"));
    }
    folder.credential(&[9; 32], 0o400);
    folder.refuses(Code::ConfigInvalid, "another key");
}
