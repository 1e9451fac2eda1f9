//! The key of a consumer's weights at its own key service: to the attested room that carries out a job of its own which
//! names this very key, and to nobody else.

use std::path::PathBuf;

use kms_adapter::{Config, Profile, Running, Service};
use schemas::contract::{Assurance, ContractState};
use schemas::dataset::{OfferKey, SealedObject};
use schemas::id::{DataKeyId, WeightsId};
use schemas::job::JobSpec;
use schemas::pipeline::Stage;
use schemas::release::{Challenge, ChallengeRequest, KeyImport, KmsInfo};
use schemas::weights::{MEDIA_TYPE, SealedWeights, Weights, WeightsImport, WeightsRelease, WeightsRequest};
use schemas::{Code, Digest, Envelope, Signer as _, canonical};
use sealing::DatasetKey;
use serde_json::Value;
use signing::FileKey;

use crate::support::http::{self, Answer};
use crate::support::people::{changed_attester, software_root, uuid};
use crate::support::world::{OTHER_KMS, clock_of, prepare};
use crate::support::{People, Room, World, start};

type Owner = fn(&People) -> &FileKey;

/// The key service of one party, with the key of some weights in it.
struct Lab {
    owner: Owner,
    dir: PathBuf,
    _running: Running,
    info: KmsInfo,
    key: DatasetKey,
    sealed: SealedWeights,
}

impl Drop for Lab {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

impl Lab {
    /// The consumer's own.
    fn new(world: &World) -> Lab {
        Lab::of(world, |people| &people.tdc, Assurance::Software)
    }

    fn of(world: &World, owner: Owner, least: Assurance) -> Lab {
        let (dir, config) = prepare(&world.people, Profile::Demo);
        let pins = vec![software_root().pin()];
        let config = Config { provider: owner(&world.people).did().unwrap(), software_roots: pins, ..config };
        kms_adapter::init(&config).unwrap();
        let running = Service::start(config, clock_of(world)).unwrap();
        let info: KmsInfo = http::get(&format!("{}/v1/kms", running.url()), None).unwrap();
        let key = OfferKey {
            kms: info.kms.clone(),
            kms_jwk: info.sign_jwk.clone(),
            key_id: DataKeyId::new(uuid()),
            min_assurance: Assurance::Software,
        };
        let sealed = SealedWeights {
            weights_id: WeightsId::new(uuid()),
            object: SealedObject { url: "file:///w.depa".into(), bytes: 1000, media_type: MEDIA_TYPE.into() },
            manifest_root: Digest::of(b"weights"),
            key,
        };
        let lab = Lab { owner, dir, _running: running, info, key: DatasetKey::random().unwrap(), sealed };
        let _: Value = lab.import(&lab.import_with(world, |import| import.min_assurance = least)).unwrap();
        lab
    }

    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.info.kms)
    }

    fn import_with(&self, world: &World, change: impl FnOnce(&mut WeightsImport)) -> Envelope<WeightsImport> {
        let bound = sealing::wrap::weights_context(&self.sealed.key.key_id, &self.sealed.manifest_root);
        let mut import = WeightsImport {
            schema: "weights-key.v1".into(),
            registry: world.people.registry_did(),
            kms: self.info.kms.clone(),
            key_id: self.sealed.key.key_id.clone(),
            provider: (self.owner)(&world.people).did().unwrap(),
            weights_id: self.sealed.weights_id.clone(),
            manifest_root: self.sealed.manifest_root,
            min_assurance: Assurance::Software,
            jwe: signing::jose::wrap_key(self.key.expose(), &self.info.import_jwk, &bound).unwrap(),
            at: start(),
        };
        change(&mut import);
        People::sign(&import, &[(self.owner)(&world.people)])
    }

    fn import(&self, import: &Envelope<WeightsImport>) -> Answer<Value> {
        http::post(&self.at("/v1/weights/keys"), import)
    }

    /// What a room of this world asks here.
    fn request(&self, room: &Room<'_>) -> WeightsRequest {
        let question = ChallengeRequest {
            run_id: Some(room.run_id.clone()),
            job_sha256: room.job_sha256(),
            contracts: vec![room.world.contract.clone()],
        };
        let challenge: Envelope<Challenge> = http::post(&self.at("/v1/challenges"), &question).unwrap();
        let admission = room.admission_with(|_| ());
        let attested = room.attest(room.transcript(&challenge.read_unverified().unwrap(), &admission));
        WeightsRequest { attested, admission, bundle: room.world.bundle.clone(), maa_token: None }
    }

    fn send(&self, request: &WeightsRequest) -> Answer<Envelope<WeightsRelease>> {
        http::post(&self.at("/v1/weights/release"), request)
    }

    fn ask(&self, world: &World) -> Answer<Envelope<WeightsRelease>> {
        self.send(&self.request(&Room::new(world)))
    }

    /// Refused with this code, and nothing of a key in the answer.
    #[track_caller]
    fn refuses(&self, world: &World, code: Code) {
        let refused = self.ask(world).expect_err("a refusal is expected");
        assert_eq!(refused.code, code, "{}", refused.text);
        assert!(!refused.text.contains("eyJ"), "{}", refused.text);
    }
}

/// The job of the world, changed and signed again by its consumer.
fn job(world: &mut World, change: impl FnOnce(&mut JobSpec)) {
    let mut job = world.bundle.job.read_unverified().unwrap();
    change(&mut job);
    world.bundle.job = People::sign(&job, &[&world.people.tdc]);
}

/// The job of the world begins with these weights.
fn begins_with(world: &mut World, sealed: Option<SealedWeights>) {
    job(world, |job| {
        for stage in &mut job.stages {
            if let Stage::Train(training) = stage {
                training.weights =
                    Some(Weights { sha256: Digest::of(b"clear"), fresh: vec![], sealed: sealed.clone() });
            }
        }
    });
}

/// A world whose job begins with the weights of its consumer's own key service.
fn made() -> (World, Lab) {
    let mut world = World::new();
    let lab = Lab::new(&world);
    begins_with(&mut world, Some(lab.sealed.clone()));
    (world, lab)
}

#[test]
fn the_key_of_weights_goes_to_the_room_of_its_owners_job() {
    let (world, lab) = made();
    let room = Room::new(&world);
    let request = lab.request(&room);
    let release = lab.send(&request).unwrap();
    let told = release.read_unverified().unwrap();
    let bound = Digest::of(&canonical::to_bytes(&request.attested.transcript).unwrap());
    assert!(told.answers(&request.attested.transcript, &bound, &lab.sealed));
    let key = signing::jose::unwrap_key(&told.jwe, &room.enc, &bound.0).unwrap();
    assert_eq!(&*key, lab.key.expose());
    // Signed by the key that the job pins.
    assert_eq!(release.signatures[0].kid.thumbprint, lab.sealed.key.kms_jwk.thumbprint());
    // The same bytes again are refused; with fresh evidence the key is wrapped again, and another room has its own.
    assert_eq!(lab.send(&request).unwrap_err().code, Code::ChallengeUsed);
    assert_ne!(lab.send(&lab.request(&room)).unwrap().read_unverified().unwrap().jwe, told.jwe);
    // Nothing is charged anywhere, and a run of this job reserves its data as ever.
    assert!(world.charges().is_empty());
    Room::new(&world).reserve().unwrap();
}

#[test]
fn weights_of_others_and_other_weights_are_refused() {
    // A key service that serves somebody else than the job's consumer, even where the job names it.
    let mut world = World::new();
    let foreign = Lab::of(&world, |people| &people.other_tdp, Assurance::Software);
    begins_with(&mut world, Some(foreign.sealed.clone()));
    foreign.refuses(&world, Code::WeightsForeign);

    let (mut world, lab) = made();
    let mut spoilt = |code: Code, spoil: &dyn Fn(&mut SealedWeights)| {
        let mut sealed = lab.sealed.clone();
        spoil(&mut sealed);
        begins_with(&mut world, Some(sealed));
        lab.refuses(&world, code);
    };
    spoilt(Code::JobMismatch, &|sealed| sealed.key.kms = OTHER_KMS.into());
    spoilt(Code::JobMismatch, &|sealed| sealed.key.kms_jwk = FileKey::generate().unwrap().jwk().clone());
    spoilt(Code::KeyUnknown, &|sealed| sealed.key.key_id = DataKeyId::new(uuid()));
    spoilt(Code::KeyUnknown, &|sealed| sealed.manifest_root = Digest::of(b"others"));
    spoilt(Code::KeyUnknown, &|sealed| sealed.weights_id = WeightsId::new(uuid()));
    spoilt(Code::AssuranceTooLow, &|sealed| sealed.key.min_assurance = Assurance::Hardware);
    spoilt(Code::AddressRefused, &|sealed| sealed.object.url = "ftp://w".into());
    spoilt(Code::AddressRefused, &|sealed| sealed.key.kms = "http://kms.example".into());
    spoilt(Code::LimitExceeded, &|sealed| sealed.object.bytes = 66 << 20);
    begins_with(&mut world, None);
    lab.refuses(&world, Code::WeightsUnsealed);
    let (mut world, lab) = made();
    job(&mut world, |job| {
        for stage in &mut job.stages {
            if let Stage::Train(training) = stage {
                training.weights = None;
            }
        }
    });
    lab.refuses(&world, Code::JobMismatch);

    // As imported, the key asks for hardware, whatever the job says.
    let mut world = World::new();
    let strict = Lab::of(&world, |people| &people.tdc, Assurance::Hardware);
    begins_with(&mut world, Some(strict.sealed.clone()));
    strict.refuses(&world, Code::AssuranceTooLow);
}

/// A data key that lies in the same cupboard is no key of weights: it is had for its price alone.
#[test]
fn a_data_key_does_not_leave_as_weights() {
    let mut world = World::new();
    let lab = Lab::new(&world);
    let table = &world.tables[0];
    let bound = sealing::wrap::import_context(&table.key_id, &table.manifest_root);
    let import = KeyImport {
        schema: "kms-key.v1".into(),
        registry: world.people.registry_did(),
        kms: lab.info.kms.clone(),
        key_id: table.key_id.clone(),
        provider: world.people.tdc.did().unwrap(),
        dataset_id: table.dataset_id.clone(),
        version: 1,
        manifest_root: table.manifest_root,
        min_assurance: Assurance::Software,
        jwe: signing::jose::wrap_key(lab.key.expose(), &lab.info.import_jwk, &bound).unwrap(),
        at: start(),
    };
    let _: Value = http::post(&lab.at("/v1/keys"), &People::sign(&import, &[&world.people.tdc])).unwrap();
    let mut sealed = lab.sealed.clone();
    (sealed.key.key_id, sealed.manifest_root) = (table.key_id.clone(), table.manifest_root);
    begins_with(&mut world, Some(sealed));
    lab.refuses(&world, Code::KeyUnknown);
}

/// The room is judged as it is for data.
#[test]
fn a_room_or_contract_that_gets_no_data_gets_no_weights() {
    let (world, lab) = made();
    let changed = Room { attester: changed_attester(), ..Room::new(&world) };
    assert_eq!(lab.send(&lab.request(&changed)).unwrap_err().code, Code::EvidenceRefused);

    let room = Room::new(&world);
    let other = lab.request(&Room::new(&world));
    let mut mixed = lab.request(&room);
    mixed.admission = other.admission;
    assert_eq!(lab.send(&mixed).unwrap_err().code, Code::TranscriptMismatch);

    let mut revoked = lab.request(&room);
    revoked.admission = room.admission_with(|admission| admission.contracts[0].state = ContractState::Revoked);
    revoked.attested.transcript.admission_sha256 = Some(revoked.admission.digest());
    revoked.attested = room.attest(revoked.attested.transcript);
    assert_eq!(lab.send(&revoked).unwrap_err().code, Code::ContractRevoked);

    let late = lab.request(&room);
    world.pass(61);
    assert_eq!(lab.send(&late).unwrap_err().code, Code::AdmissionStale);

    // A job that another one signed: nobody but the consumer orders its weights.
    let mut world = world;
    let job = world.bundle.job.read_unverified().unwrap();
    world.bundle.job = People::sign(&job, &[&world.people.tdp]);
    lab.refuses(&world, Code::SignerNotParty);
}

#[test]
fn an_import_of_weights_is_its_owners_and_stays() {
    let (world, lab) = made();
    let code = |import: &Envelope<WeightsImport>| lab.import(import).map(drop).map_err(|refused| refused.code);
    assert_eq!(code(&lab.import_with(&world, |_| ())), Err(Code::KeyExists), "another wrapping is another import");
    let fresh = |import: &mut WeightsImport| {
        (import.key_id, import.weights_id) = (DataKeyId::new(uuid()), WeightsId::new(uuid()));
        let bound = sealing::wrap::weights_context(&import.key_id, &import.manifest_root);
        import.jwe = signing::jose::wrap_key(lab.key.expose(), &lab.info.import_jwk, &bound).unwrap();
    };
    let twice = lab.import_with(&world, fresh);
    assert_eq!((code(&twice), code(&twice)), (Ok(()), Ok(())), "the same bytes again change nothing");
    let elsewhere = lab.import_with(&world, |import| import.kms = OTHER_KMS.into());
    assert_eq!(code(&elsewhere), Err(Code::SignatureContext));
    let as_data = lab.import_with(&world, |import| {
        fresh(import);
        let bound = sealing::wrap::import_context(&import.key_id, &import.manifest_root);
        import.jwe = signing::jose::wrap_key(lab.key.expose(), &lab.info.import_jwk, &bound).unwrap();
    });
    assert_eq!(code(&as_data), Err(Code::JweRefused));
    let import = lab.import_with(&world, fresh).read_unverified().unwrap();
    assert_eq!(code(&People::sign(&import, &[&world.people.tdp])), Err(Code::SignerNotParty));
    let second = lab.import_with(&world, |import| {
        fresh(import);
        import.weights_id = lab.sealed.weights_id.clone();
    });
    assert_eq!(code(&second), Err(Code::KeyExists), "one key for one sealing");
}
