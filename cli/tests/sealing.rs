//! Sealing against a key service that takes keys: the key goes there and nowhere else, and what was sealed opens.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use depa::dataset::charge::{Account, Outgoing, let_out};
use depa::dataset::kms::Kms;
use depa::dataset::seal::Job;
use depa::dataset::{self, Description, verify};
use depa::exit;
use schemas::contract::Assurance;
use schemas::dataset::DatasetOffer;
use schemas::evidence::EvidenceKind;
use schemas::id::{DataKeyId, DatasetId, Did, FamilyId};
use schemas::own_release::{Charging, OwnRelease, OwnReleaseCharged, OwnReleaseRequest, ReleasedKind};
use schemas::privacy::Mechanism;
use schemas::release::{KeyImport, KmsInfo};
use schemas::statistics::{Statistics, StatisticsTerms};
use schemas::{Code, Digest, Envelope, R, Signer as _, Timestamp, canonical};
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

/// A file whose charge the key service does not answer about.
const LOST: &[u8] = b"lost";

struct House {
    dir: PathBuf,
    tdp: Arc<FileKey>,
    trust: Trust,
    import: Arc<EncKey>,
    taken: Arc<Mutex<Vec<Envelope<KeyImport>>>>,
    /// What was let out and charged.
    charged: Arc<Mutex<Vec<OwnRelease>>>,
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
        let charged = Arc::new(Mutex::new(Vec::new()));
        let entered = Arc::clone(&charged);
        std::thread::spawn(move || {
            for mut request in server.incoming_requests() {
                if request.url() == "/v1/kms" {
                    drop(request.respond(Response::from_data(canonical::to_bytes(&info).unwrap())));
                    continue;
                }
                let mut body = Vec::new();
                request.as_reader().read_to_end(&mut body).unwrap();
                if request.url() == "/v1/budget/releases" {
                    let asked: OwnReleaseRequest = canonical::parse(&body).unwrap();
                    let release = asked.release.read_unverified().unwrap();
                    let answer = OwnReleaseCharged {
                        file_sha256: release.file_sha256,
                        charge: release.charge.clone(),
                        at: release.at,
                    };
                    let full = schemas::Refusal::new(Code::BudgetExceeded, "full").problem(None);
                    let gone = schemas::Refusal::new(Code::Unavailable, "gone").problem(None);
                    let (status, answer) = match refuses {
                        _ if release.file_sha256 == Digest::of(LOST) => (503, canonical::to_bytes(&gone).unwrap()),
                        true => (409, canonical::to_bytes(&full).unwrap()),
                        false => (200, canonical::to_bytes(&answer).unwrap()),
                    };
                    entered.lock().unwrap().extend((!refuses).then_some(release));
                    drop(request.respond(Response::from_data(answer).with_status_code(status)));
                    continue;
                }
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
        House { dir, tdp: Arc::new(tdp), trust, import, taken, charged, url }
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
    // Statistics of this very table go along.
    let terms = StatisticsTerms { epsilon: schemas::text::Real::parse("0.5").unwrap(), bins: 4 };
    let table = house.dir.join("t.csv");
    let mut made =
        dataset::profile::profile(&house.description(), &table, &terms, None, &mut depa::edge::words()).unwrap();
    let mut draft = dataset::draft(&house.description(), &sealed, house.tdp.did().unwrap(), &house.trust, now());
    draft.statistics = Some(made.clone());
    let uncharged = dataset::sign(&draft, &house.tdp, &house.trust, now()).unwrap_err();
    assert_eq!((uncharged.code, uncharged.field.as_deref()), (Code::OfferInvalid, Some("statistics")));
    made.ledger = Some(Charging::Charged);
    draft.statistics = Some(made.clone());
    let offer = dataset::sign(&draft, &house.tdp, &house.trust, now()).unwrap().read_unverified().unwrap();
    assert_eq!(offer.statistics, Some(made));
    draft.columns[1].upper = Some(schemas::text::Real::parse("121").unwrap());
    assert_eq!(dataset::sign(&draft, &house.tdp, &house.trust, now()).unwrap_err().code, Code::OfferInvalid);
}

#[test]
fn nothing_stays_behind_when_the_key_service_refuses() {
    let house = House::new(None, true);
    assert_eq!(house.seal(&house.dir.join("t.depa")).unwrap_err().code, Code::Forbidden);
    assert_eq!(house.files(), ["t.csv"]);
}

#[test]
fn a_table_with_more_people_than_it_is_described_with_is_not_sealed_and_no_key_is_made() {
    let house = House::new(None, false);
    let (table, out) = (house.dir.join("t.csv"), house.dir.join("t.depa"));
    std::fs::write(&table, format!("{CSV}Cat,3,50\n")).unwrap();
    let refused = house.seal(&out).unwrap_err();
    assert_eq!(refused.code, Code::PublicCountExceeded);
    assert!(!refused.sentence.contains('3') && refused.sentence.contains("phone"), "no number of the table: {refused}");
    assert_eq!((house.files(), house.taken.lock().unwrap().len()), (vec!["t.csv".to_owned()], 0));
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

/// An offer of a sealed table whose key this house's key service has.
fn offered(house: &House) -> Envelope<DatasetOffer> {
    let sealed = dataset::SealedDataset {
        dataset_id: DatasetId::new(Uuid::now_v7()),
        version: 1,
        family: FamilyId::new(Uuid::now_v7()),
        url: "file:///data/t.depa".into(),
        bytes: 100,
        manifest_root: Digest::of(b"t"),
        kms: house.url.clone(),
        kms_jwk: house.tdp.jwk().clone(),
        key_id: DataKeyId::new(Uuid::now_v7()),
        min_assurance: Assurance::Software,
        media_type: "text/csv".into(),
    };
    dataset::offer(&house.description(), &sealed, &house.tdp, &house.trust, now()).unwrap()
}

fn account(house: &House) -> R<Account> {
    Account::open(Kms::new(&house.url)?, house.tdp.clone(), offered(house), None)
}

#[test]
fn what_is_let_out_is_charged_first_and_not_written_where_that_is_refused() {
    let mechanism = Mechanism::Gaussian { noise_multiplier: schemas::text::Real::parse("10").unwrap() };
    let outgoing = Outgoing { kind: ReleasedKind::Profile, file: b"noised", mechanism: &mechanism };
    let house = House::new(None, false);
    let (out, account) = (house.dir.join("profile.json"), account(&house).unwrap());
    let charged = let_out(&outgoing, Some(&account), &out, now()).unwrap().unwrap();
    assert_eq!(std::fs::read(&out).unwrap(), b"noised");
    let entered = house.charged.lock().unwrap().clone();
    let [release] = entered.as_slice() else { panic!("one charge") };
    assert_eq!((release.file_sha256, &release.kms), (Digest::of(b"noised"), &house.url));
    assert_eq!((&release.charge, &release.charge.mechanisms), (&charged.charge, &vec![mechanism.clone()]));
    // What cannot be written is not charged.
    for place in [out.clone(), house.dir.join("nowhere/profile.json")] {
        let refused = let_out(&outgoing, Some(&account), &place, now()).unwrap_err();
        assert_eq!(refused.code, Code::ConfigInvalid);
    }
    assert_eq!(house.charged.lock().unwrap().len(), 1);
    let_out(&outgoing, None, &house.dir.join("uncharged.json"), now()).unwrap();
    assert_eq!(house.charged.lock().unwrap().len(), 1);

    // No room in the ledger: nothing is written.
    let full = House::new(None, true);
    let out = full.dir.join("profile.json");
    let refused = let_out(&outgoing, Some(&self::account(&full).unwrap()), &out, now()).unwrap_err();
    assert_eq!((refused.code, out.exists()), (Code::BudgetExceeded, false));
    assert_eq!(full.files(), ["t.csv"], "nothing of it stays");

    // Whether it was charged stays open: the file waits, since another one would be charged again.
    let lost = Outgoing { file: LOST, ..outgoing };
    let refused = let_out(&lost, Some(&self::account(&full).unwrap()), &out, now()).unwrap_err();
    let waiting = full.dir.join("profile.json.uncharged");
    assert_eq!((refused.code, out.exists()), (Code::Unavailable, false));
    assert!(refused.sentence.contains(waiting.to_str().unwrap()), "{refused}");
    assert_eq!(std::fs::read(&waiting).unwrap(), LOST);
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&waiting.metadata().unwrap().permissions()) & 0o777, 0o600);
}

#[test]
fn an_account_is_the_signers_own_at_the_key_service_that_the_offer_names() {
    let (house, other) = (House::new(None, false), House::new(None, false));
    let open = |kms: &House, key: &House, offer: &House| {
        let account = Account::open(Kms::new(&kms.url).unwrap(), key.tdp.clone(), offered(offer), None);
        account.map(drop).map_err(|refusal| refusal.code)
    };
    assert_eq!(open(&house, &house, &house), Ok(()));
    assert_eq!(open(&house, &other, &house), Err(Code::SignerNotParty), "signed by somebody else");
    assert_eq!(open(&other, &house, &house), Err(Code::Forbidden), "somebody else's key service");
    let twin = House::new(Some(house.tdp.did().unwrap()), false);
    assert_eq!(open(&twin, &house, &house), Err(Code::ConfigInvalid), "another one than the offer names");
    let account = account(&house).unwrap();
    account.is_of(&house.description()).unwrap();
    account.has_key("phone").unwrap();
    assert_eq!(account.has_key("age").unwrap_err().field.as_deref(), Some("column"));
    let spoils: [fn(&mut Description); 5] = [
        |d| d.dataset_id = Some(DatasetId::new(Uuid::now_v7())),
        |d| d.public_rows += 1,
        |d| d.columns[0].name = "mobile".into(),
        |d| d.columns[1].upper = None,
        |d| d.columns.truncate(1),
    ];
    for spoil in spoils {
        let mut other = house.description();
        spoil(&mut other);
        let refused = account.is_of(&other).unwrap_err();
        assert_eq!((refused.code, refused.field.as_deref()), (Code::ConfigInvalid, Some("offer")));
    }
}

/// `depa dataset profile` by the binary, into this file.
fn profile(house: &House, name: &str, args: &[&str]) -> (Option<i32>, String, PathBuf) {
    let (form, out) = (house.dir.join("form.json"), house.dir.join(name));
    std::fs::write(&form, serde_json::to_vec(&house.description()).unwrap()).unwrap();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_depa"));
    for variable in ["DEPA_REGISTRY", "DEPA_TRUST", "DEPA_KEY", "DEPA_PROFILE"] {
        command.env_remove(variable);
    }
    command.env("DEPA_PROFILES", house.dir.join("profiles.toml")).args(["dataset", "profile"]).arg(&form);
    command.arg("--csv").arg(house.dir.join("t.csv")).args(["--epsilon", "0.5", "--out"]).arg(&out).args(args);
    let done = command.output().unwrap();
    (done.status.code(), String::from_utf8(done.stderr).unwrap(), out)
}

#[test]
fn a_profile_is_charged_or_says_that_it_is_not() {
    let house = House::new(None, false);
    let written = |out: &Path| -> Statistics { canonical::parse(&std::fs::read(out).unwrap()).unwrap() };
    let (code, told, out) = profile(&house, "a.json", &[]);
    assert_eq!((code, out.exists()), (Some(2), false));
    assert!(told.contains("--kms URL --offer FILE") && told.contains("--uncharged"), "{told}");
    let (code, told, out) = profile(&house, "b.json", &["--uncharged"]);
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("WARNING"), "{told}");
    assert_eq!(written(&out).ledger, Some(Charging::Uncharged));
    let (code, ..) = profile(&house, "c.json", &["--uncharged", "--kms", &house.url]);
    assert_eq!(code, Some(2), "one of both");

    let (key, offer) = (house.dir.join("tdp.key"), house.dir.join("offer.json"));
    house.tdp.save(&key).unwrap();
    std::fs::write(&offer, serde_json::to_vec(&offered(&house)).unwrap()).unwrap();
    let named = ["--kms", &house.url, "--offer", offer.to_str().unwrap(), "--key", key.to_str().unwrap()];
    let (code, told, out) = profile(&house, "d.json", &named);
    assert_eq!(code, Some(0), "{told}");
    assert_eq!(written(&out).ledger, Some(Charging::Charged));
    let entered = house.charged.lock().unwrap().clone();
    let [release] = entered.as_slice() else { panic!("one charge") };
    assert_eq!(release.file_sha256, Digest::of(&std::fs::read(&out).unwrap()));
    assert_eq!(release.charge.mechanisms, [written(&out).charge]);
    assert!(told.contains(release.charge.family.as_str()), "{told}");
    // One that was made uncharged is charged by itself, at what its ε costs and no less.
    let charged = |file: &Path| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_depa"));
        command.env("DEPA_PROFILES", house.dir.join("profiles.toml")).args(["dataset", "charge"]).arg(file).args(named);
        command.output().unwrap().status.code()
    };
    let uncharged = house.dir.join("b.json");
    assert_eq!((charged(&uncharged), house.charged.lock().unwrap().len()), (Some(0), 2));
    let mut cheap = written(&uncharged);
    cheap.charge = Mechanism::Gaussian { noise_multiplier: schemas::text::Real::parse("1000").unwrap() };
    let file = house.dir.join("cheap.json");
    std::fs::write(&file, canonical::to_bytes(&cheap).unwrap()).unwrap();
    assert_eq!((charged(&file), house.charged.lock().unwrap().len()), (Some(2), 2));
    // Without an offer, the record of the sealing does; without either nobody knows the family.
    let (code, told, _) = profile(&house, "e.json", &["--kms", &house.url, "--key", key.to_str().unwrap()]);
    assert!(code == Some(2) && told.contains("--offer FILE"), "{told}");
}
