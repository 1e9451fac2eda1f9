//! Against a local Azure Blob Storage (azurite), which checks signatures. NOT RUN where it is not set up.

#![allow(clippy::unwrap_used)]

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use objects::{Files, Objects, PART, Patience, Store};
use schemas::bucket::BucketKind;
use schemas::{Code, R};
use serde_json::Value;

struct Azure {
    child: Child,
    say: Option<ChildStdin>,
    about: Value,
    dir: PathBuf,
}

impl Azure {
    fn start(test: &str) -> Option<Azure> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let azurite = root.join(".build/interop/azurite");
        if !azurite.join("node_modules/azurite").is_dir() {
            println!("NOT RUN {test}: there is no local Azure; sh infra/interop.sh azurite makes it");
            return None;
        }
        let mut child = Command::new("python3")
            .arg(root.join("infra/interop/azure_server.py"))
            .arg(azurite)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (say, mut line) = (child.stdin.take(), String::new());
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let dir = std::env::temp_dir().join(format!("objects-azure-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir(&dir).unwrap();
        Some(Azure { child, say, about: serde_json::from_str(&line).unwrap(), dir })
    }

    /// An account's store, with its own key or another.
    fn store(&self, place: usize, key: Option<&str>) -> Store {
        let text = |part: usize| self.about["keys"][place][part].as_str().unwrap().to_owned();
        let (account, key) = (text(0), key.map_or_else(|| text(1), str::to_owned));
        let file = self.dir.join(format!("{}.toml", uuid::Uuid::new_v4()));
        let mut made = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&file).unwrap();
        write!(made, "account_key = \"{key}\"").unwrap();
        Store {
            kind: BucketKind::Azure,
            buckets: vec!["sealed".into(), "nowhere".into()],
            region: None,
            endpoint: Some(format!("{}/{account}", self.about["host"].as_str().unwrap())),
            account: Some(account),
            credentials: Some(file),
            anonymous: false,
            instance: false,
            prefix: None,
            only: None,
        }
    }
}

fn reach(stores: Vec<Store>) -> Objects {
    Objects { files: Files::Below(vec![]), loopback: true, stores, patience: Patience::default() }
}

fn put(objects: &Objects, text: &str, bytes: &[u8]) -> R<()> {
    objects.write_new(text, &mut &bytes[..], bytes.len() as u64)
}

impl Drop for Azure {
    fn drop(&mut self) {
        // It ends with its standard input, and ends its own server then.
        drop(self.say.take());
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

fn code<T>(done: R<T>) -> Option<Code> {
    done.err().map(|refusal| refusal.code)
}

#[test]
fn azure_keeps_what_is_put_and_says_what_is_wrong() {
    let Some(azure) = Azure::start("azure_keeps_what_is_put_and_says_what_is_wrong") else { return };
    let objects = reach(vec![azure.store(0, None)]);
    let scene = [
        ("az://sealed/small", 1000),
        ("abfss://sealed@devstoreaccount1.dfs.core.windows.net/d/middle", PART as usize + 1),
        ("az://sealed/large", 3 * PART as usize + 7),
    ];
    for (text, length) in scene {
        let bytes: Vec<u8> = (0..length).map(|at| (at * 31 + at / 251) as u8).collect();
        put(&objects, text, &bytes).unwrap();
        assert!(objects.read(text, length as u64).unwrap() == bytes, "{text}");
        assert_eq!(code(objects.read(text, length as u64 - 1)), Some(Code::LimitExceeded), "{text}");
        assert_eq!(code(put(&objects, text, &bytes)), Some(Code::ObjectExists), "{text}");
    }
    assert_eq!(code(objects.read("az://sealed/nothing", 10)), Some(Code::ObjectMissing));
    assert_eq!(code(objects.read("az://nowhere/a", 10)), Some(Code::BucketMissing));
    let other = "abfss://sealed@otheraccount.dfs.core.windows.net/small";
    assert_eq!(code(objects.read(other, 1000)), Some(Code::AddressRefused));
    let wrong = reach(vec![azure.store(0, Some("d3Jvbmc="))]);
    assert_eq!(code(wrong.read("az://sealed/small", 1000)), Some(Code::StorageDenied));
}

#[test]
fn two_accounts_may_have_containers_of_one_name() {
    let Some(azure) = Azure::start("two_accounts_may_have_containers_of_one_name") else { return };
    let objects = reach(vec![azure.store(0, None), azure.store(1, None)]);
    let address = |place: usize| {
        let account = azure.about["keys"][place][0].as_str().unwrap();
        format!("abfss://sealed@{account}.dfs.core.windows.net/same")
    };
    for place in [0, 1] {
        put(&objects, &address(place), format!("of {place}").as_bytes()).unwrap();
    }
    for place in [0, 1] {
        assert_eq!(objects.read(&address(place), 100).unwrap(), format!("of {place}").as_bytes());
    }
    assert_eq!(code(objects.read("az://sealed/same", 100)), Some(Code::AddressRefused));
    let own = reach(vec![azure.store(1, None)]);
    assert_eq!(own.read("az://sealed/same", 100).unwrap(), b"of 1");
    // The key of one account opens nothing of the other.
    let key = azure.about["keys"][0][1].as_str().unwrap();
    let crossed = reach(vec![azure.store(1, Some(key))]);
    assert_eq!(code(crossed.read("az://sealed/same", 100)), Some(Code::StorageDenied));
}
