//! Sealing against a key service that takes keys: the key goes there and nowhere else, and what was sealed opens.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use depa::dataset::kms::Kms;
use depa::dataset::seal::Job;
use depa::dataset::{self, Description, verify};
use depa::exit;
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

/// Object, manifest, record and offer agree or the one that does not is named; one thing is spoiled at a time.
#[test]
fn a_sealed_dataset_is_checked_without_its_key() {
    let house = House::new(None, false);
    let out = house.dir.join("t.depa");
    let sealed = house.seal(&out).unwrap();
    let key = |envelope| verify::signed_offer(envelope, None);
    let offer = dataset::offer(&house.description(), &sealed, &house.tdp, &house.trust, now()).unwrap();
    let signed = key(offer.clone()).unwrap();
    let list = manifest_path(&out);
    let checked = verify::verify(&out, &list, Some(&sealed), Some(&signed)).unwrap();
    assert_eq!((checked.bytes, checked.manifest_root, checked.chunks), (sealed.bytes, sealed.manifest_root, 1));
    assert_eq!(checked.plaintext_bytes, COLUMNS.len() as u64);
    assert!(checked.text().contains(offer.digest().to_string().as_str()), "{}", checked.text());
    let alone = verify::verify(&out, &list, None, None).unwrap();
    assert!(alone.offer.is_none() && alone.text().contains("nothing signed"), "{}", alone.text());

    // The object.
    let spoilt = house.dir.join("spoilt.depa");
    let whole = std::fs::read(&out).unwrap();
    let with = |bytes: &[u8]| {
        std::fs::write(&spoilt, bytes).unwrap();
        verify::verify(&spoilt, &list, None, None).unwrap_err()
    };
    let mut flipped = whole.clone();
    *flipped.last_mut().unwrap() ^= 1;
    let refusal = with(&flipped);
    assert!(refusal.code == Code::SealedTampered && refusal.sentence.starts_with("chunk 0"), "{refusal}");
    assert_eq!(exit::of(&refusal), exit::VERIFICATION);
    assert_eq!(with(&whole[..whole.len() - 1]).code, Code::SealedTruncated);
    assert_eq!(with(&[&whole[..], b"x"].concat()).code, Code::SealedForm);
    // The manifest.
    let other = house.dir.join("other.depa");
    house.seal(&other).unwrap();
    let refusal = verify::verify(&out, &manifest_path(&other), None, None).unwrap_err();
    assert!(refusal.code == Code::SealedTampered && refusal.sentence.starts_with("the header"), "{refusal}");
    // The record.
    type Spoil = fn(&mut dataset::SealedDataset);
    let spoils: [(Spoil, Code, &str); 4] = [
        (|r| r.version = 2, Code::SealedWrongObject, "version 2"),
        (|r| r.dataset_id = schemas::id::DatasetId::new(Uuid::now_v7()), Code::SealedWrongObject, "the record is of"),
        (|r| r.manifest_root = schemas::Digest([7; 32]), Code::SealedTampered, "manifest root"),
        (|r| r.bytes += 1, Code::SealedTampered, "bytes"),
    ];
    for (spoil, code, names) in spoils {
        let mut record = sealed.clone();
        spoil(&mut record);
        let refusal = verify::verify(&out, &list, Some(&record), Some(&signed)).unwrap_err();
        assert!(refusal.code == code && refusal.sentence.contains(names), "{refusal}");
        // The same said by a provider who signed it.
        let offer = dataset::offer(&house.description(), &record, &house.tdp, &house.trust, now()).unwrap();
        let refusal = verify::verify(&out, &list, None, Some(&key(offer).unwrap())).unwrap_err();
        assert!(refusal.code == code && refusal.sentence.starts_with("the offer "), "{refusal}");
    }
    // The signature.
    let mut unsigned = offer.clone();
    unsigned.signatures.clear();
    assert_eq!(key(unsigned).unwrap_err().code, Code::SignatureMissing);
    let mut altered = offer.clone();
    altered.signatures[0].sig.0[0] ^= 1;
    assert_eq!(key(altered).unwrap_err().code, Code::SignatureInvalid);
    let somebody = FileKey::generate().unwrap();
    let mut others = offer.clone();
    others.signatures = vec![signing::countersign(&offer, &somebody, now()).unwrap()];
    assert_eq!(key(others).unwrap_err().code, Code::SignerNotParty);
    assert!(verify::signed_offer(offer, Some(somebody.jwk().clone())).is_err(), "another key signed");
}

#[test]
fn a_key_that_the_did_does_not_encode_is_named() {
    let house = House::new(None, false);
    let record = house.seal(&house.dir.join("t.depa")).unwrap();
    // And a key that the holder of a did:key entered later, as browsers' are.
    for did in [Did::parse("did:web:lab.example").unwrap(), house.tdp.did().unwrap()] {
        let tdp = FileKey::generate_for(&did).unwrap();
        let offer = dataset::offer(&house.description(), &record, &tdp, &house.trust, now()).unwrap();
        let refusal = verify::signed_offer(offer.clone(), None).unwrap_err();
        assert!(refusal.code == Code::ConfigInvalid && refusal.sentence.contains("--provider-jwk"), "{refusal}");
        assert_eq!(verify::signed_offer(offer.clone(), Some(tdp.jwk().clone())).unwrap().provider, did);
        let other = FileKey::generate().unwrap();
        assert!(verify::signed_offer(offer, Some(other.jwk().clone())).is_err());
    }
}
