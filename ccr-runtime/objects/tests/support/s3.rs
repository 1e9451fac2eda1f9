//! A real S3 (moto, from `sh infra/interop.sh`) that checks signatures and permissions; none where it is not there.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use objects::Store;
use schemas::bucket::BucketKind;
use serde_json::Value;

/// The server, with bucket `depa-sealed`.
pub struct S3 {
    child: Child,
    told: BufReader<ChildStdout>,
    say: Option<ChildStdin>,
    about: Value,
    dir: PathBuf,
}

impl S3 {
    /// Starts one, or says NOT RUN.
    pub fn start(test: &str) -> Option<S3> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = root.ancestors().find(|folder| folder.join("infra/interop").is_dir()).unwrap();
        let python = root.join(".build/interop/objects/bin/python");
        if !python.exists() {
            println!("NOT RUN {test}: there is no local S3; sh infra/interop.sh makes it");
            return None;
        }
        let mut child = Command::new(python)
            .arg(root.join("infra/interop/s3_server.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (say, mut told) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        let mut line = String::new();
        told.read_line(&mut line).unwrap();
        let dir = std::env::temp_dir().join(format!("objects-s3-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir(&dir).unwrap();
        Some(S3 { child, told, say, about: serde_json::from_str(&line).unwrap(), dir })
    }

    /// The store of `depa-sealed`, `depa-other` and `depa-nowhere` for `writer` (everything in the first) or `reader`.
    pub fn store(&self, user: &str) -> Store {
        self.store_with(user, |_| {})
    }

    /// The same with changed credentials.
    pub fn store_with(&self, user: &str, spoil: impl FnOnce(&mut Value)) -> Store {
        let mut keys = self.about[user].clone();
        spoil(&mut keys);
        let file = self.dir.join(format!("{}.toml", uuid::Uuid::new_v4()));
        let lines = ["access_key_id", "secret_access_key"].map(|name| format!("{name} = {}\n", keys[name]));
        let mut made = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&file).unwrap();
        made.write_all(lines.concat().as_bytes()).unwrap();
        let text = |name: &str| self.about[name].as_str().map(str::to_owned);
        Store {
            kind: BucketKind::S3,
            buckets: ["depa-sealed", "depa-other", "depa-nowhere"].map(str::to_owned).to_vec(),
            account: None,
            region: text("region"),
            endpoint: text("endpoint"),
            credentials: Some(file),
            anonymous: false,
            instance: false,
            prefix: None,
            only: None,
        }
    }

    /// Has the server do something, and gives its answer.
    #[allow(dead_code)]
    pub fn does(&mut self, command: &str) -> String {
        let say = self.say.as_mut().unwrap();
        writeln!(say, "{command}").unwrap();
        say.flush().unwrap();
        let mut line = String::new();
        self.told.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        drop(self.say.take());
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}
