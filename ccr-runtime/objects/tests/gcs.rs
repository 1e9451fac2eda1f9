//! Against a local Google Cloud Storage (`infra/interop/gcs_server.py`: moto behind Google's own tokens and conditions).
//! NOT RUN where it is not set up.

#![allow(clippy::unwrap_used)]

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use objects::{Files, Objects, PART, Patience, Store};
use schemas::bucket::BucketKind;
use schemas::{Code, R};
use serde_json::Value;

const MOST: u64 = 32 << 20;

struct Gcs {
    child: Child,
    told: BufReader<ChildStdout>,
    say: Option<ChildStdin>,
    about: Value,
    dir: PathBuf,
}

impl Gcs {
    fn start(test: &str) -> Option<Gcs> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let python = root.join(".build/interop/objects/bin/python");
        if !python.exists() {
            println!("NOT RUN {test}: there is no local GCS; sh infra/interop.sh makes it");
            return None;
        }
        let mut child = Command::new(python)
            .arg(root.join("infra/interop/gcs_server.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (say, mut told) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        let mut line = String::new();
        told.read_line(&mut line).unwrap();
        let dir = std::env::temp_dir().join(format!("objects-gcs-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir(&dir).unwrap();
        Some(Gcs { child, told, say, about: serde_json::from_str(&line).unwrap(), dir })
    }

    /// What a service account reaches, with one member of its key file changed.
    fn reach(&self, user: &str, change: Option<(&str, &str)>) -> Objects {
        let mut key = self.about[user].clone();
        if let Some((member, value)) = change {
            key[member] = value.into();
        }
        let file = self.dir.join(format!("{}.json", uuid::Uuid::new_v4()));
        let mut made = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&file).unwrap();
        made.write_all(key.to_string().as_bytes()).unwrap();
        let store = Store {
            kind: BucketKind::Gcs,
            buckets: ["depa-sealed", "depa-other", "depa-nowhere"].map(str::to_owned).to_vec(),
            account: None,
            region: None,
            endpoint: self.about["endpoint"].as_str().map(str::to_owned),
            credentials: Some(file),
            anonymous: false,
            instance: false,
            prefix: None,
            only: None,
        };
        Objects { files: Files::Below(vec![]), loopback: true, stores: vec![store], patience: Patience::default() }
    }

    fn does(&mut self, command: &str) -> String {
        let say = self.say.as_mut().unwrap();
        writeln!(say, "{command}").unwrap();
        say.flush().unwrap();
        let mut line = String::new();
        self.told.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }
}

impl Drop for Gcs {
    fn drop(&mut self) {
        drop(self.say.take());
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

fn put(objects: &Objects, text: &str, bytes: &[u8]) -> R<()> {
    objects.write_new(text, &mut &bytes[..], bytes.len() as u64)
}

fn code<T>(done: R<T>) -> Option<Code> {
    done.err().map(|refusal| refusal.code)
}

#[test]
fn gcs_keeps_what_is_put_and_says_what_is_wrong() {
    let Some(mut gcs) = Gcs::start("gcs_keeps_what_is_put_and_says_what_is_wrong") else { return };
    let (writer, reader) = (gcs.reach("writer", None), gcs.reach("reader", None));
    // One call; many parts on the way back; many parts on both ways.
    for (key, length) in [("small", 1000), ("d/e=1/middle", PART as usize + 1), ("large", 3 * PART as usize + 7)] {
        let text = format!("gs://depa-sealed/{key}");
        let bytes: Vec<u8> = (0..length).map(|at| (at * 31 + at / 251) as u8).collect();
        put(&writer, &text, &bytes).unwrap();
        assert!(reader.read(&text, MOST).unwrap() == bytes, "{key}");
        assert_eq!(code(put(&writer, &text, b"other")), Some(Code::ObjectExists), "{key}");
        assert_eq!(code(put(&writer, &text, &vec![7; 3 * PART as usize])), Some(Code::ObjectExists), "{key}");
        assert_eq!(code(reader.read(&text, length as u64 - 1)), Some(Code::LimitExceeded), "{key} above its limit");
    }
    assert_eq!(code(reader.read("gs://depa-sealed/nothing", MOST)), Some(Code::ObjectMissing));
    assert_eq!(code(reader.read("gs://depa-nowhere/a", MOST)), Some(Code::BucketMissing));
    assert_eq!(code(reader.read("gs://depa-other/a", MOST)), Some(Code::StorageDenied));
    assert_eq!(code(put(&reader, "gs://depa-sealed/b", b"x")), Some(Code::StorageDenied));
    // Another's key, another's name.
    let key = gcs.about["reader"]["private_key"].as_str().unwrap();
    for change in [("private_key", key), ("client_email", "reader@depa-test.iam.gserviceaccount.com")] {
        let refusal = gcs.reach("writer", Some(change)).read("gs://depa-sealed/small", MOST).unwrap_err();
        assert_eq!(refusal.code, Code::StorageDenied, "{}", change.0);
        assert!(!refusal.sentence.contains("PRIVATE"), "{refusal}");
    }
    // Another object comes in place of the one that is being read.
    let mut parts = 0;
    let done = reader.read_to("gs://depa-sealed/large", MOST, &mut |_, _| {
        parts += 1;
        assert_eq!(gcs.does(&format!("replace large {}", 3 * PART + 7)), "done");
        Ok(())
    });
    assert_eq!((code(done), parts), (Some(Code::ObjectChanged), 1));
}
