//! A clean room in the hands of a test: every message of the run protocol can be made, changed, kept and sent again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use attestation::Attester;
use contract_client::Client;
use schemas::bundle::JobBundle;
use schemas::contract::{Assurance, ContractState};
use schemas::desk::CheckIn;
use schemas::event::{RunEvent, RunEventKind};
use schemas::evidence::Transcript;
use schemas::id::RunId;
use schemas::job::JobSpec;
use schemas::log::{CheckpointRef, Receipt};
use schemas::release::{
    Admission, Attested, Challenge, ChallengeRequest, ContractStatus, KmsHead, KmsReceipt, KmsStatement, Lease,
    Release, ReleaseRequest, RenewRequest, ReserveRequest, RunAct, RunRequest, StatusList,
};
use schemas::{Digest, Document, Envelope, R, Signer, canonical};
use signing::FileKey;
use signing::jose::EncKey;

use super::scene::Scene;

/// A run as a room sees it.
pub struct Probe<'s> {
    pub scene: &'s Scene,
    pub bundle: JobBundle,
    pub job: JobSpec,
    pub run_id: RunId,
    pub run_key: FileKey,
    pub enc: EncKey,
    pub attester: Arc<dyn Attester>,
    pub admission: Option<Envelope<Admission>>,
    arrival: Option<Challenge>,
}

/// A run whose scene is being changed.
pub struct Kept {
    bundle: JobBundle,
    job: JobSpec,
    run_id: RunId,
    run_key: FileKey,
    enc: EncKey,
    attester: Arc<dyn Attester>,
    admission: Option<Envelope<Admission>>,
}

impl Kept {
    /// The run again, in the scene as it is now.
    pub fn back(self, scene: &Scene) -> Probe<'_> {
        let Kept { bundle, job, run_id, run_key, enc, attester, admission } = self;
        Probe { scene, bundle, job, run_id, run_key, enc, attester, admission, arrival: None }
    }
}

impl<'s> Probe<'s> {
    /// Lets go of the scene.
    pub fn kept(self) -> Kept {
        let Probe { bundle, job, run_id, run_key, enc, attester, admission, .. } = self;
        Kept { bundle, job, run_id, run_key, enc, attester, admission }
    }

    /// A room that the front desk has not seen: what is left when the desk is passed by.
    pub fn unseen(scene: &'s Scene, bundle: &JobBundle) -> Probe<'s> {
        Probe::of(scene, bundle, RunId::new(uuid::Uuid::now_v7()))
    }

    fn of(scene: &'s Scene, bundle: &JobBundle, run_id: RunId) -> Probe<'s> {
        let run_key = FileKey::from_seed(run_id.as_str(), &signing::signer::random().unwrap());
        Probe {
            scene,
            bundle: bundle.clone(),
            job: bundle.job.read_unverified().unwrap(),
            run_id,
            run_key,
            enc: EncKey::generate().unwrap(),
            attester: scene.attester.clone(),
            admission: None,
            arrival: None,
        }
    }

    /// Orders the job and takes a challenge of the front desk.
    pub fn arrives(scene: &'s Scene, bundle: &JobBundle) -> R<Probe<'s>> {
        scene.house.tdc.orders(bundle)?;
        Probe::returns(scene, bundle)
    }

    /// Takes a challenge of the front desk for a job that was ordered before.
    pub fn returns(scene: &'s Scene, bundle: &JobBundle) -> R<Probe<'s>> {
        let contracts = bundle.job.read_unverified()?.contracts;
        let request = ChallengeRequest { run_id: None, job_sha256: bundle.job.digest(), contracts };
        let challenge = scene.desk().run_challenge(&request)?.read_unverified()?;
        let mut probe = Probe::of(scene, bundle, challenge.run_id.clone());
        probe.arrival = Some(challenge);
        Ok(probe)
    }

    /// Arrives and checks in.
    pub fn admitted(scene: &'s Scene, bundle: &JobBundle) -> R<Probe<'s>> {
        let mut probe = Probe::arrives(scene, bundle)?;
        probe.admission = Some(scene.desk().check_in(&probe.check_in(|_| {}))?);
        Ok(probe)
    }

    /// What the room sends to check in, under a transcript that was changed before it was attested.
    pub fn check_in(&self, change: impl FnOnce(&mut Transcript)) -> CheckIn {
        let challenge = self.arrival.clone().unwrap();
        let mut transcript = self.transcript(&challenge, None, challenge.checkpoint.clone().unwrap());
        change(&mut transcript);
        CheckIn { attested: self.attest(transcript), bundle: self.bundle.clone(), lease_token: None }
    }

    fn transcript(&self, challenge: &Challenge, admission: Option<Digest>, checkpoint: CheckpointRef) -> Transcript {
        Transcript {
            v: 1,
            aud: challenge.aud.clone(),
            nonce: challenge.nonce.clone(),
            challenge_id: challenge.challenge_id.clone(),
            run_id: self.run_id.clone(),
            job_sha256: self.bundle.job.digest(),
            contracts: self.job.contracts.clone(),
            image_set_id: self.job.image_set_id.clone(),
            enc_jwk: self.enc.jwk().clone(),
            run_jwk: self.run_key.jwk().clone(),
            admission_sha256: admission,
            checkpoint,
        }
    }

    pub fn attest(&self, transcript: Transcript) -> Attested {
        Attested { evidence: self.attester.attest(&transcript).unwrap(), transcript }
    }

    /// An Admission that the registry's key signed although the front desk admitted nobody: all contracts active.
    pub fn forges_admission(&mut self) {
        let now = self.scene.clock.now();
        let active = |c: &schemas::contract::ContractRef| ContractStatus {
            id: c.id.clone(),
            sha256: c.sha256,
            state: ContractState::Active,
        };
        let never = |url: &String| KmsHead { kms: url.clone(), seq: 0, head: Digest([0; 32]) };
        let admission = Admission {
            schema: Admission::SCHEMA.into(),
            registry: self.scene.house.trust.registry.clone(),
            run_id: self.run_id.clone(),
            job_sha256: self.bundle.job.digest(),
            issued_at: now,
            contracts: self.job.contracts.iter().map(active).collect(),
            image_set_id: self.job.image_set_id.clone(),
            evidence_sha256: Digest::of(b"whatever"),
            assurance: Assurance::Software,
            run_jwk: self.run_key.jwk().clone(),
            enc_jwk: self.enc.jwk().clone(),
            checkpoint: self.newest_head(),
            kms_heads: self.services().iter().map(never).collect(),
            cosigned: None,
        };
        self.admission = Some(signing::sign(&admission, &self.scene.registry_key(), now).unwrap());
    }

    /// The head of the log as it is: a key service takes no word about an older one.
    fn newest_head(&self) -> CheckpointRef {
        let trust = &self.scene.house.trust;
        let note = self.scene.desk().checkpoint().unwrap();
        signing::note::verify_checkpoint(&note, &trust.origin, trust).unwrap().head
    }

    /// The key services of the house, in the order of its providers.
    pub fn services(&self) -> Vec<String> {
        self.scene.house.tdps.iter().map(|t| t.kms.clone()).collect()
    }

    /// A challenge of a key service.
    pub fn challenge(&self, kms: &str) -> Challenge {
        let request = ChallengeRequest {
            run_id: Some(self.run_id.clone()),
            job_sha256: self.bundle.job.digest(),
            contracts: self.job.contracts.clone(),
        };
        let answer: Envelope<Challenge> = client(kms).post_once("/v1/challenges", &request).unwrap();
        answer.read_unverified().unwrap()
    }

    /// Transcript for a key service under one of its challenges.
    pub fn kms_transcript(&self, challenge: &Challenge) -> Transcript {
        let admission = self.admission.as_ref().unwrap();
        let checkpoint = admission.read_unverified().unwrap().checkpoint;
        self.transcript(challenge, Some(admission.digest()), checkpoint)
    }

    /// What the room sends to reserve, under a fresh challenge.
    pub fn reserve_words(&self, kms: &str) -> ReserveRequest {
        self.reserve_words_under(&self.challenge(kms))
    }

    pub fn reserve_words_under(&self, challenge: &Challenge) -> ReserveRequest {
        ReserveRequest {
            attested: self.attest(self.kms_transcript(challenge)),
            admission: self.admission.clone().unwrap(),
            bundle: self.bundle.clone(),
        }
    }

    pub fn send_reserve(&self, kms: &str, words: &ReserveRequest) -> R<Envelope<KmsReceipt>> {
        client(kms).post_once("/v1/reservations", words)
    }

    /// Reserves at one key service.
    pub fn reserve(&self, kms: &str) -> R<Envelope<KmsReceipt>> {
        self.send_reserve(kms, &self.reserve_words(kms))
    }

    /// Reserves at all key services and tells the front desk.
    pub fn reserve_all(&self) -> Vec<Envelope<KmsReceipt>> {
        let all: Vec<_> = self.services().iter().map(|kms| self.reserve(kms).unwrap()).collect();
        self.scene.desk().kms_receipts(&self.run_id, &all).unwrap();
        all
    }

    /// A request signed by the run key.
    pub fn request(&self, act: RunAct, aud: &str) -> Envelope<RunRequest> {
        let now = self.scene.clock.now();
        let request = RunRequest {
            schema: RunRequest::SCHEMA.into(),
            registry: self.scene.house.trust.registry.clone(),
            aud: aud.into(),
            run_id: self.run_id.clone(),
            jti: uuid::Uuid::new_v4().to_string(),
            issued_at: now,
            request: act,
        };
        signing::sign(&request, &self.run_key, now).unwrap()
    }

    /// What the room sends for the keys of its own reservation at a key service.
    pub fn release_words(&self, kms: &str, all: &[Envelope<KmsReceipt>]) -> ReleaseRequest {
        let challenge = self.challenge(kms);
        let reservation_id = reservation(kms, all);
        let act = RunAct::Release { challenge_id: challenge.challenge_id.clone(), reservation_id };
        ReleaseRequest {
            request: self.request(act, kms),
            attested: self.attest(self.kms_transcript(&challenge)),
            admission: self.admission.clone().unwrap(),
            reservations: all.to_vec(),
            log_keys: None,
            maa_token: None,
        }
    }

    /// Sends it to an address: the key service's own, or a relay's.
    pub fn send_release(
        &self,
        kms: &str,
        address: &str,
        all: &[Envelope<KmsReceipt>],
        words: &ReleaseRequest,
    ) -> R<Release> {
        let path = format!("/v1/reservations/{}/release", reservation(kms, all));
        client(address).post_once::<_, Envelope<Release>>(&path, words)?.read_unverified()
    }

    /// Asks for the keys of one key service.
    pub fn release(&self, kms: &str, all: &[Envelope<KmsReceipt>]) -> R<Release> {
        self.send_release(kms, kms, all, &self.release_words(kms, all))
    }

    /// Gets the keys of all key services and tells the front desk.
    pub fn release_all(&self, all: &[Envelope<KmsReceipt>]) -> Vec<Envelope<KmsReceipt>> {
        let released: Vec<_> = self.services().iter().map(|kms| self.release(kms, all).unwrap().receipt).collect();
        self.scene.desk().kms_receipts(&self.run_id, &released).unwrap();
        released
    }

    /// Asks a key service for another lease under this status list.
    pub fn renew(&self, kms: &str, status_list: Envelope<StatusList>) -> R<Envelope<Lease>> {
        let words = RenewRequest { request: self.request(RunAct::Renew {}, kms), status_list, log_keys: None };
        client(kms).post_once(&format!("/v1/runs/{}/renew", self.run_id), &words)
    }

    /// Fixes an output at a key service.
    pub fn commit(&self, kms: &str, output_sha256: Digest) -> R<Envelope<KmsReceipt>> {
        let words = self.request(RunAct::Commit { output_sha256 }, kms);
        client(kms).post_once(&format!("/v1/runs/{}/commit", self.run_id), &words)
    }

    /// Asks the front desk for a fresh Admission.
    pub fn refresh(&self) -> R<Envelope<Admission>> {
        let desk = self.scene.desk();
        desk.refresh_admission(&self.run_id, &self.request(RunAct::RefreshAdmission {}, desk.url()))
    }

    /// Reports an event to the log.
    pub fn reports(&self, event: RunEventKind) -> R<(Envelope<RunEvent>, Receipt)> {
        let now = self.scene.clock.now();
        let event = RunEvent {
            schema: RunEvent::SCHEMA.into(),
            registry: self.scene.house.trust.registry.clone(),
            run_id: self.run_id.clone(),
            job_sha256: self.bundle.job.digest(),
            event,
            at: now,
        };
        let envelope = signing::sign(&event, &self.run_key, now)?;
        let receipt = self.scene.desk().report(&self.run_id, &envelope)?;
        Ok((envelope, receipt))
    }
}

/// The id of the reservation of one key service.
pub fn reservation(kms: &str, all: &[Envelope<KmsReceipt>]) -> schemas::id::ReservationId {
    let own = all.iter().map(|r| r.read_unverified().unwrap()).find(|r| r.kms == kms).unwrap();
    match own.statement {
        KmsStatement::Reserved { reservation_id, .. } => reservation_id,
        other => panic!("no reservation: {other:?}"),
    }
}

/// A client of one key service, or of a relay before it; kept, since making one takes longer than most calls.
pub fn client(url: &str) -> Client {
    static KEPT: Mutex<BTreeMap<String, Client>> = Mutex::new(BTreeMap::new());
    let mut kept = KEPT.lock().unwrap_or_else(|e| e.into_inner());
    kept.entry(url.to_owned()).or_insert_with(|| Client::new(url, None).unwrap()).clone()
}

/// The context to which the keys of a release are bound.
pub fn bound(transcript: &Transcript) -> [u8; 32] {
    Digest::of(&canonical::to_bytes(transcript).unwrap()).0
}
