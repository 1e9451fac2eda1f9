//! Sealing against a key service that takes keys: the key goes there and nowhere else, and what was sealed opens.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use depa::dataset::kms::Kms;
use depa::dataset::seal::Job;
use depa::dataset::{self, Description};
use schemas::evidence::EvidenceKind;
use schemas::id::Did;
use schemas::release::{KeyImport, KmsInfo};
use schemas::{Code, Envelope, R, Signer as _, Timestamp, canonical};
use sealing::{DatasetKey, Manifest, Subject, manifest_path, open_bytes};
use signing::jose::{EncKey, unwrap_key};
use signing::{FileKey, Trust};
use tiny_http::{Response, Server};
use uuid::Uuid;

const CSV: &str = "name,phone,age\nAnn,1,30\nBob,2,40\n";
const COLUMNS: &str = "phone,age\n1,30\n2,40\n";

fn now() -> Timestamp {
    Timestamp::parse("2026-12-01T00:00:00Z").unwrap()
}

struct House {
    dir: PathBuf,
    tdp: FileKey,
    trust: Trust,
    import: Arc<EncKey>,
    taken: Arc<Mutex<Vec<Envelope<KeyImport>>>>,
    url: String,
}

impl Drop for House {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.dir));
    }
}

impl House {
    /// A key service of this provider (of the TDP's, if none); it refuses every key where `refuses`.
    fn new(provider: Option<Did>, refuses: bool) -> House {
        let dir = std::env::temp_dir().join(format!("depa-seal-{}", Uuid::now_v7()));
        std::fs::create_dir(&dir).unwrap();
        std::fs::write(dir.join("t.csv"), CSV).unwrap();
        let (tdp, import) = (FileKey::generate().unwrap(), Arc::new(EncKey::generate().unwrap()));
        let registry = Did::parse("did:web:sro.example").unwrap();
        let trust = Trust {
            registry,
            registry_jwk: tdp.jwk().clone(),
            origin: "sro.example/log".into(),
            sro: vec![],
            witnesses: vec![],
            quorum: 0,
            lineage: Default::default(),
        };
        let server = Server::http("127.0.0.1:0").unwrap();
        let url = format!("http://{}", server.server_addr());
        let info = KmsInfo {
            kms: url.clone(),
            provider: provider.unwrap_or_else(|| tdp.did().unwrap()),
            sign_jwk: tdp.jwk().clone(),
            import_jwk: import.jwk().clone(),
            evidence: vec![EvidenceKind::Software],
            profile: "demo".into(),
        };
        let taken = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&taken);
        std::thread::spawn(move || {
            for mut request in server.incoming_requests() {
                if request.url() == "/v1/kms" {
                    drop(request.respond(Response::from_data(canonical::to_bytes(&info).unwrap())));
                    continue;
                }
                let mut body = Vec::new();
                request.as_reader().read_to_end(&mut body).unwrap();
                let import: Envelope<KeyImport> = canonical::parse(&body).unwrap();
                let key_id = import.read_unverified().unwrap().key_id;
                kept.lock().unwrap().push(import);
                let refusal = schemas::Refusal::new(Code::Forbidden, "no").problem(None);
                let (status, answer) = match refuses {
                    true => (403, canonical::to_bytes(&refusal).unwrap()),
                    false => (201, canonical::to_bytes(&serde_json::json!({"key_id": key_id})).unwrap()),
                };
                drop(request.respond(Response::from_data(answer).with_status_code(status)));
            }
        });
        House { dir, tdp, trust, import, taken, url }
    }

    fn description(&self) -> Description {
        let text = format!(
            r#"
            name = "People"
            kms = "{}"
            min_assurance = "software"
            public_rows = 2
            columns = [{{ name = "phone", type = "text" }}, {{ name = "age", type = "number", lower = "0", upper = "120" }}]
            [usage]
            allowed_columns = ["age"]
            join_keys = ["phone"]
            [cap]
            epsilon = "1"
            delta = "0.01"
            scope = "per_tdc"
            [[price]]
            term_id = "p1"
            currency = "INR"
            amount_minor = 5
            [card]
            description = "a"
            collection = "a"
            limitations = "a"
            personal_data = "a"
            licence = "a"
            "#,
            self.url
        );
        toml::from_str(&text).unwrap()
    }

    fn seal(&self, out: &Path) -> R<dataset::SealedDataset> {
        let description = self.description();
        let job = Job { description: &description, csv: &self.dir.join("t.csv"), out, url: None };
        dataset::seal(&job, &Kms::new(&self.url)?, &self.tdp, &self.trust, &mut Uuid::now_v7, now())
    }

    fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.dir).unwrap();
        let mut names: Vec<String> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

#[test]
fn the_key_goes_to_the_own_key_service_and_opens_what_was_sealed() {
    let house = House::new(None, false);
    let out = house.dir.join("t.depa");
    let sealed = house.seal(&out).unwrap();
    assert_eq!(house.files(), ["t.csv", "t.depa", "t.depa.manifest.json"]);
    assert_eq!(sealed.url, format!("file://{}", std::fs::canonicalize(&out).unwrap().display()));

    let taken = house.taken.lock().unwrap();
    let [import] = taken.as_slice() else { panic!("one key") };
    let mut book = signing::book::PinnedBook::new(house.trust.clone());
    book.add_party(&house.tdp.did().unwrap(), schemas::party::Kind::Tdp, house.tdp.jwk().clone());
    let import = signing::verify(import.clone(), &house.trust.registry, &book).unwrap();
    assert_eq!((&import.kms, import.manifest_root, &import.key_id), (&house.url, sealed.manifest_root, &sealed.key_id));
    let bound = sealing::wrap::import_context(&sealed.key_id, &sealed.manifest_root);
    let key = unwrap_key(&import.jwe, &house.import, &bound).unwrap();

    let (object, manifest) = (std::fs::read(&out).unwrap(), std::fs::read(manifest_path(&out)).unwrap());
    assert_eq!(object.len() as u64, sealed.bytes);
    let subject = Subject::Dataset { id: sealed.dataset_id.clone(), version: 1 };
    let manifest = Manifest::parse(&manifest).unwrap();
    let opened =
        open_bytes(&object, &manifest, &sealed.manifest_root, &DatasetKey::from_bytes(*key), &subject).unwrap();
    assert_eq!(std::str::from_utf8(&opened).unwrap(), COLUMNS);
    // Neither the key nor a dropped column is on the disk.
    for name in house.files().iter().filter(|n| *n != "t.csv") {
        let bytes = std::fs::read(house.dir.join(name)).unwrap();
        assert!(!bytes.windows(32).any(|w| w == *key) && !bytes.windows(3).any(|w| w == b"Ann"), "{name}");
    }

    let offer = dataset::offer(&house.description(), &sealed, &house.tdp, &house.trust, now()).unwrap();
    let offer = offer.read_unverified().unwrap();
    assert_eq!((offer.manifest_root, offer.objects[0].bytes), (sealed.manifest_root, sealed.bytes));
    assert_eq!(offer.payment[0].payees[0].did, house.tdp.did().unwrap());
    // An offer that the register would refuse is not signed.
    let mut loose = house.description();
    loose.cap.delta = schemas::text::Real::parse("0.5").unwrap();
    let refused = dataset::offer(&loose, &sealed, &house.tdp, &house.trust, now()).unwrap_err();
    assert_eq!(refused.code, Code::DeltaTooLarge);
}

#[test]
fn nothing_stays_behind_when_the_key_service_refuses() {
    let house = House::new(None, true);
    assert_eq!(house.seal(&house.dir.join("t.depa")).unwrap_err().code, Code::Forbidden);
    assert_eq!(house.files(), ["t.csv"]);
}

#[test]
fn a_key_goes_to_no_other_providers_service_and_over_no_existing_file() {
    let other = House::new(Some(Did::parse("did:web:other.example").unwrap()), false);
    assert_eq!(other.seal(&other.dir.join("t.depa")).unwrap_err().code, Code::Forbidden);
    assert!(other.taken.lock().unwrap().is_empty());
    assert_eq!(other.files(), ["t.csv"]);

    let house = House::new(None, false);
    let out = house.dir.join("t.depa");
    house.seal(&out).unwrap();
    let before = std::fs::read(&out).unwrap();
    assert_eq!(house.seal(&out).unwrap_err().code, Code::ConfigInvalid);
    assert_eq!(std::fs::read(&out).unwrap(), before);
    assert_eq!(house.taken.lock().unwrap().len(), 1);
    assert!(Kms::new("http://kms.example").is_err());
}
