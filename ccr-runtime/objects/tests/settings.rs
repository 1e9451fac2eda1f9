//! Stores and credential files, one thing wrong at a time.

#![allow(clippy::unwrap_used)]

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use objects::{Direction, Files, Location, Objects, Patience, Store, Stores, store};
use schemas::bucket::BucketKind;
use schemas::{Code, R};

fn read(text: &str) -> Vec<Store> {
    toml::from_str::<Stores>(text).unwrap().stores
}

fn code<T>(done: R<T>) -> Option<Code> {
    done.err().map(|refusal| refusal.code)
}

const S3: &str = "[[stores]]\nkind = \"s3\"\nbuckets = [\"depa-sealed\"]\nregion = \"ap-south-1\"\nanonymous = true\n";
const AZURE: &str = "[[stores]]\nkind = \"azure\"\nbuckets = [\"sealed\"]\naccount = \"acct\"\ninstance = true\n";
const GCS: &str = "[[stores]]\nkind = \"gcs\"\nbuckets = [\"depa_sealed\"]\ncredentials = \"/run/gcs.json\"\n";

#[test]
fn stores_say_what_they_need_and_nothing_twice() {
    for good in [S3, AZURE, GCS, &[S3, AZURE, GCS].concat()] {
        store::check(&read(good), false).unwrap();
    }
    let own = |endpoint: &str| S3.replace("anonymous", &format!("endpoint = \"{endpoint}\"\nanonymous"));
    store::check(&read(&own("https://s3.example:9000/base")), false).unwrap();
    for bad in [
        S3.replace("anonymous = true", ""),
        S3.replace("anonymous", "instance = true\nanonymous"),
        S3.replace("region = \"ap-south-1\"", ""),
        S3.replace("ap-south-1", "evil.example/x"),
        S3.replace("depa-sealed", "depa/sealed"),
        S3.replace("[\"depa-sealed\"]", "[]"),
        S3.replace("anonymous", "account = \"acct\"\nanonymous"),
        AZURE.replace("account = \"acct\"", ""),
        AZURE.replace("acct", "evil.example"),
        GCS.replace("credentials = \"/run/gcs.json\"", "instance = true"),
        [S3, S3].concat(),
        own("https://user:pass@s3.example"),
        own("https://s3.example?x=1"),
        own("ftp://s3.example"),
        own("s3.example"),
    ] {
        assert_eq!(code(store::check(&read(&bad), true)), Some(Code::ConfigInvalid), "{bad}");
    }
    assert!(toml::from_str::<Stores>(&S3.replace("anonymous", "secret_access_key = \"x\"\nanonymous")).is_err());
}

#[test]
fn production_speaks_to_no_endpoint_in_the_clear() {
    let own = |endpoint: &str| read(&S3.replace("anonymous", &format!("endpoint = \"{endpoint}\"\nanonymous")));
    for endpoint in ["http://127.0.0.1:9000", "http://localhost:9000", "http://[::1]:9000"] {
        store::check(&own(endpoint), true).unwrap();
        assert_eq!(code(store::check(&own(endpoint), false)), Some(Code::ProductionRefused), "{endpoint}");
    }
    for endpoint in ["http://s3.example", "http://169.254.169.254", "http://127.0.0.1.evil.example"] {
        assert_eq!(code(store::check(&own(endpoint), true)), Some(Code::ProductionRefused), "{endpoint}");
    }
}

struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        let dir = std::env::temp_dir().join(format!("objects-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir_all(&dir).unwrap();
        Folder(dir)
    }

    /// The refusal of a read with these credentials. Nobody is called: the endpoint's port is closed.
    fn read(&self, kind: BucketKind, text: &str, mode: u32) -> schemas::Refusal {
        let file = self.0.join("credentials");
        std::fs::write(&file, text).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        let store = Store {
            kind,
            buckets: vec!["sealed".into()],
            account: (kind == BucketKind::Azure).then(|| "acct".into()),
            region: (kind == BucketKind::S3).then(|| "ap-south-1".into()),
            endpoint: Some("http://127.0.0.1:1".into()),
            credentials: Some(file),
            anonymous: false,
            instance: false,
            prefix: None,
            only: None,
        };
        let patience = Patience { pause: std::time::Duration::from_millis(1), ..Patience::default() };
        let objects = Objects { files: Files::Below(vec![]), loopback: true, stores: vec![store], patience };
        let scheme = match kind {
            BucketKind::S3 => "s3",
            BucketKind::Azure => "az",
            BucketKind::Gcs => "gs",
        };
        objects.read(&format!("{scheme}://sealed/a"), 10).unwrap_err()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn credentials_lie_in_a_file_that_nobody_else_reads_and_are_never_quoted() {
    let folder = Folder::new();
    let key = String::from_utf8(
        openssl::rsa::Rsa::generate(2048)
            .and_then(openssl::pkey::PKey::from_rsa)
            .unwrap()
            .private_key_to_pem_pkcs8()
            .unwrap(),
    )
    .unwrap();
    let google = serde_json::json!({
        "type": "service_account", "private_key": key, "private_key_id": "1", "client_email": "a@b.example",
    });
    let whole = [
        (BucketKind::S3, "access_key_id = \"AKIA\"\nsecret_access_key = \"5ec2e7\"\n".to_owned()),
        (BucketKind::Azure, "account_key = \"NWVjMmU3\"\n".to_owned()),
        (BucketKind::Azure, "sas = \"sv=2026-01-01&sig=5ec2e7\"\n".to_owned()),
        (BucketKind::Gcs, google.to_string()),
    ];
    for (kind, text) in &whole {
        // These open: what fails is the call that follows.
        assert_eq!(folder.read(*kind, text, 0o600).code, Code::PeerUnreachable, "{kind:?}");
        for mode in [0o604, 0o640, 0o644] {
            assert_eq!(folder.read(*kind, text, mode).code, Code::StorageCredential, "{kind:?} {mode:o}");
        }
    }
    for (kind, text) in [
        (BucketKind::S3, "access_key_id = \"5ec2e7\"\n"),
        (BucketKind::S3, "access_key_id = \"AKIA\"\nsecret_access_key = \"5ec2e7\"\nmore = 5ec2e7\n"),
        (BucketKind::S3, "5ec2e7"),
        (BucketKind::Azure, "account_key = \"NWVjMmU3\"\nsas = \"sig=5ec2e7\"\n"),
        (BucketKind::Azure, "account_key = \"5ec2e7 is no Base64\"\n"),
        (BucketKind::Azure, ""),
        (BucketKind::Gcs, "{\"type\": \"authorized_user\", \"refresh_token\": \"5ec2e7\"}"),
        (BucketKind::Gcs, "{\"type\": \"service_account\", \"private_key\": \"5ec2e7\"}"),
        (BucketKind::Gcs, "5ec2e7"),
    ] {
        let refusal = folder.read(kind, text, 0o600);
        assert_eq!(refusal.code, Code::StorageCredential, "{text}");
        assert!(!refusal.sentence.contains("5ec2e7"), "{refusal}");
    }
}

/// One bucket in two stores, with the lines that differ.
fn twice(one: &str, other: &str) -> String {
    [one, other].map(|more| S3.replace("anonymous", &format!("{more}\nanonymous"))).concat()
}

#[test]
fn a_bucket_is_listed_once_for_each_folder_and_direction() {
    for (one, other) in [
        ("prefix = \"data\"", "prefix = \"models\""),
        ("prefix = \"data\"", "prefix = \"data2\""),
        ("only = \"read\"", "only = \"write\""),
        ("prefix = \"a/b\"\nonly = \"read\"", "prefix = \"a\"\nonly = \"write\""),
    ] {
        store::check(&read(&twice(one, other)), false).unwrap();
    }
    for (one, other) in [
        ("", ""),
        ("prefix = \"data\"", ""),
        ("prefix = \"data\"", "prefix = \"data\""),
        ("prefix = \"data/a\"", "prefix = \"data\""),
        ("only = \"read\"", ""),
        ("only = \"write\"", "only = \"write\""),
    ] {
        assert_eq!(code(store::check(&read(&twice(one, other)), true)), Some(Code::ConfigInvalid), "{one} {other}");
    }
    for bad in ["", "/data", "data/", "data//a", "../a", "data/..", "d ata", "data?x"] {
        let text = S3.replace("anonymous", &format!("prefix = \"{bad}\"\nanonymous"));
        assert_eq!(code(store::check(&read(&text), true)), Some(Code::ConfigInvalid), "{bad}");
    }
    assert!(toml::from_str::<Stores>(&S3.replace("anonymous", "only = \"delete\"\nanonymous")).is_err());
}

fn reach(text: &str) -> Objects {
    Objects { files: Files::Below(vec![]), loopback: false, stores: read(text), patience: Patience::default() }
}

#[test]
fn a_store_gives_no_more_than_its_folder_and_direction() {
    let objects = reach(&twice("prefix = \"data\"\nonly = \"read\"", "prefix = \"models\"\nonly = \"write\""));
    let may = |text: &str, direction| Location::parse(text, &objects, direction).map(drop).map_err(|e| e.code);
    assert_eq!(may("s3://depa-sealed/data/a", Direction::Read), Ok(()));
    assert_eq!(may("s3://depa-sealed/models/run/a", Direction::Write), Ok(()));
    for (text, direction) in [
        ("s3://depa-sealed/data/a", Direction::Write),
        ("s3://depa-sealed/models/a", Direction::Read),
        ("s3://depa-sealed/a", Direction::Read),
        ("s3://depa-sealed/data", Direction::Read),
        ("s3://depa-sealed/data2/a", Direction::Read),
        ("s3://depa-sealed/data/../models/a", Direction::Write),
    ] {
        assert_eq!(may(text, direction), Err(Code::AddressRefused), "{text} {direction:?}");
    }
    // Nobody is called for what is refused.
    assert_eq!(code(objects.read("s3://depa-sealed/models/a", 10)), Some(Code::AddressRefused));
    assert_eq!(code(objects.write_new("s3://depa-sealed/data/a", &mut &b"x"[..], 1)), Some(Code::AddressRefused));
}

#[test]
fn of_two_accounts_with_one_container_the_address_says_which() {
    let text = [AZURE, &AZURE.replace("acct", "other")].concat();
    store::check(&read(&text), false).unwrap();
    assert_eq!(code(store::check(&read(&[AZURE, AZURE].concat()), false)), Some(Code::ConfigInvalid));
    let objects = reach(&text);
    let account = |text: &str| match Location::parse(text, &objects, Direction::Read) {
        Ok(Location::Bucket(_, store)) => Ok(store.account.clone().unwrap()),
        Ok(_) => Ok(String::new()),
        Err(refusal) => Err(refusal.code),
    };
    for name in ["acct", "other"] {
        assert_eq!(account(&format!("abfss://sealed@{name}.dfs.core.windows.net/a")), Ok(name.to_owned()));
    }
    assert_eq!(account("az://sealed/a"), Err(Code::AddressRefused));
    assert_eq!(account("abfss://sealed@third.dfs.core.windows.net/a"), Err(Code::AddressRefused));
}
