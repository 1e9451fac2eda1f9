//! A clean room's side of the run protocol.

use attestation::Attester;
use attestation::software::SoftwareAttester;
use schemas::bundle::Logged;
use schemas::contract::{Assurance, ContractState};
use schemas::event::{RunEvent, RunEventKind};
use schemas::evidence::Transcript;
use schemas::id::{ImageSetId, ReservationId, RunId};
use schemas::privacy::DatasetCharge;
use schemas::release::{
    Admission, Attested, Challenge, ChallengeRequest, ContractStatus, KmsHead, KmsReceipt, KmsStatement, Lease,
    RefundRequest, Release, ReleaseRequest, ReleasedDataset, RenewRequest, ReserveRequest, RunAct, RunRequest,
    StatusList,
};
use schemas::{Digest, Envelope, Signer};
use signing::FileKey;
use signing::jose::EncKey;

use super::http::{self, Answer};
use super::people::{ORIGIN, People, attester, uuid};
use super::world::{OTHER_KMS, World};

pub struct Room<'w> {
    pub world: &'w World,
    pub run_id: RunId,
    pub run_key: FileKey,
    pub enc: EncKey,
    pub attester: &'static SoftwareAttester,
}

impl<'w> Room<'w> {
    pub fn new(world: &'w World) -> Room<'w> {
        let run_id = RunId::new(uuid());
        let seed = signing::signer::random::<32>().unwrap();
        let run_key = FileKey::from_seed(run_id.as_str(), &seed);
        Room { world, run_id, run_key, enc: EncKey::generate().unwrap(), attester: attester() }
    }

    /// Other keys for the same run.
    pub fn rekeyed(&self) -> Room<'w> {
        let run_key = FileKey::from_seed(self.run_id.as_str(), &signing::signer::random::<32>().unwrap());
        Room { run_key, enc: EncKey::generate().unwrap(), run_id: self.run_id.clone(), ..*self }
    }

    pub fn job_sha256(&self) -> Digest {
        self.world.bundle.job.digest()
    }

    pub fn ask_challenge(&self) -> Answer<Envelope<Challenge>> {
        let request = ChallengeRequest {
            run_id: Some(self.run_id.clone()),
            job_sha256: self.job_sha256(),
            contracts: vec![self.world.contract.clone()],
        };
        http::post(&self.world.at("/v1/challenges"), &request)
    }

    pub fn challenge(&self) -> Challenge {
        self.ask_challenge().unwrap().read_unverified().unwrap()
    }

    pub fn admission_with(&self, change: impl FnOnce(&mut Admission)) -> Envelope<Admission> {
        let world = self.world;
        let mut admission = Admission {
            schema: "admission.v1".into(),
            registry: world.people.registry_did(),
            run_id: self.run_id.clone(),
            job_sha256: self.job_sha256(),
            issued_at: world.now(),
            contracts: vec![self.status(ContractState::Active)],
            image_set_id: world.image_set.envelope.read_unverified().unwrap().image_set_id,
            evidence_sha256: Digest::of(b"check-in"),
            assurance: Assurance::Software,
            run_jwk: self.run_key.jwk().clone(),
            enc_jwk: self.enc.jwk().clone(),
            checkpoint: world.log.lock().unwrap().head(),
            cosigned: None,
            kms_heads: vec![
                KmsHead { kms: OTHER_KMS.into(), seq: 0, head: Digest([0; 32]) },
                KmsHead { kms: world.url().into(), seq: 0, head: Digest([0; 32]) },
            ],
        };
        change(&mut admission);
        People::sign(&admission, &[&world.people.registry])
    }

    pub fn status(&self, state: ContractState) -> ContractStatus {
        ContractStatus { id: self.world.contract.id.clone(), sha256: self.world.contract.sha256, state }
    }

    pub fn transcript(&self, challenge: &Challenge, admission: &Envelope<Admission>) -> Transcript {
        Transcript {
            v: 1,
            aud: challenge.aud.clone(),
            nonce: challenge.nonce.clone(),
            challenge_id: challenge.challenge_id.clone(),
            run_id: self.run_id.clone(),
            job_sha256: self.job_sha256(),
            contracts: vec![self.world.contract.clone()],
            image_set_id: self.world.image_set.envelope.read_unverified().unwrap().image_set_id,
            enc_jwk: self.enc.jwk().clone(),
            run_jwk: self.run_key.jwk().clone(),
            admission_sha256: Some(admission.digest()),
            checkpoint: admission.read_unverified().unwrap().checkpoint,
        }
    }

    pub fn attest(&self, transcript: Transcript) -> Attested {
        Attested { evidence: self.attester.attest(&transcript).unwrap(), transcript }
    }

    pub fn reserve_request(&self, change: impl FnOnce(&mut Admission)) -> ReserveRequest {
        let challenge = self.challenge();
        let admission = self.admission_with(change);
        let attested = self.attest(self.transcript(&challenge, &admission));
        ReserveRequest { attested, admission, bundle: self.world.bundle.clone() }
    }

    pub fn send_reserve(&self, request: &ReserveRequest) -> Answer<Envelope<KmsReceipt>> {
        http::post(&self.world.at("/v1/reservations"), request)
    }

    pub fn reserve(&self) -> Answer<Envelope<KmsReceipt>> {
        self.send_reserve(&self.reserve_request(|_| ()))
    }

    /// What the other provider's key service says.
    pub fn other_reservation(&self, ours: &Envelope<KmsReceipt>) -> Envelope<KmsReceipt> {
        self.other_reservation_with(ours, |_| ())
    }

    pub fn other_reservation_with(
        &self,
        ours: &Envelope<KmsReceipt>,
        change: impl FnOnce(&mut KmsReceipt),
    ) -> Envelope<KmsReceipt> {
        let world = self.world;
        let ours = ours.read_unverified().unwrap();
        let table = &world.tables[1];
        let charge = DatasetCharge {
            dataset_id: table.dataset_id.clone(),
            family: table.family.clone(),
            ..ours.charges[0].clone()
        };
        let mut receipt = KmsReceipt {
            kms: OTHER_KMS.into(),
            provider: world.people.other_tdp.did().unwrap(),
            datasets: vec![ReleasedDataset {
                dataset_id: table.dataset_id.clone(),
                version: 1,
                contract: world.contract.clone(),
                manifest_root: table.manifest_root,
                key_id: table.key_id.clone(),
            }],
            charges: vec![charge],
            rules: Vec::new(),
            statement: KmsStatement::Reserved {
                reservation_id: ReservationId::new(uuid()),
                expires_at: world.now().plus_seconds(600),
            },
            ..ours
        };
        change(&mut receipt);
        People::sign(&receipt, &[&world.people.other_kms])
    }

    pub fn request(&self, act: RunAct) -> Envelope<RunRequest> {
        self.request_with(act, |_| ())
    }

    pub fn request_with(&self, act: RunAct, change: impl FnOnce(&mut RunRequest)) -> Envelope<RunRequest> {
        let mut request = RunRequest {
            schema: "run-request.v1".into(),
            registry: self.world.people.registry_did(),
            aud: self.world.url().into(),
            run_id: self.run_id.clone(),
            jti: uuid().simple().to_string(),
            issued_at: self.world.now(),
            request: act,
        };
        change(&mut request);
        People::sign(&request, &[&self.run_key])
    }

    pub fn release_request(&self, ours: &Envelope<KmsReceipt>) -> ReleaseRequest {
        self.release_request_with(ours, |_| ())
    }

    pub fn release_request_with(
        &self,
        ours: &Envelope<KmsReceipt>,
        change: impl FnOnce(&mut Admission),
    ) -> ReleaseRequest {
        let challenge = self.challenge();
        let admission = self.admission_with(change);
        let act =
            RunAct::Release { challenge_id: challenge.challenge_id.clone(), reservation_id: reservation_id(ours) };
        ReleaseRequest {
            request: self.request(act),
            attested: self.attest(self.transcript(&challenge, &admission)),
            admission,
            reservations: vec![ours.clone(), self.other_reservation(ours)],
            log_keys: None,
            maa_token: None,
        }
    }

    pub fn send_release(&self, ours: &Envelope<KmsReceipt>, request: &ReleaseRequest) -> Answer<Envelope<Release>> {
        http::post(&self.world.at(&format!("/v1/reservations/{}/release", reservation_id(ours))), request)
    }

    pub fn release(&self, ours: &Envelope<KmsReceipt>) -> Answer<Envelope<Release>> {
        self.send_release(ours, &self.release_request(ours))
    }

    pub fn status_list(&self, not_in_force: Vec<ContractStatus>) -> Envelope<StatusList> {
        self.status_list_with(not_in_force, Vec::new())
    }

    pub fn status_list_with(
        &self,
        not_in_force: Vec<ContractStatus>,
        image_sets_revoked: Vec<ImageSetId>,
    ) -> Envelope<StatusList> {
        let list = StatusList {
            schema: "status-list.v1".into(),
            registry: self.world.people.registry_did(),
            issued_at: self.world.now(),
            checkpoint: self.world.log.lock().unwrap().head(),
            not_in_force,
            image_sets_revoked,
        };
        People::sign(&list, &[&self.world.people.registry])
    }

    pub fn send_renew(&self, request: &RenewRequest) -> Answer<Envelope<Lease>> {
        http::post(&self.world.at(&format!("/v1/runs/{}/renew", self.run_id)), request)
    }

    pub fn renew(&self, status_list: Envelope<StatusList>) -> Answer<Envelope<Lease>> {
        self.send_renew(&RenewRequest { request: self.request(RunAct::Renew {}), status_list, log_keys: None })
    }

    pub fn send_commit(&self, request: &Envelope<RunRequest>) -> Answer<Envelope<KmsReceipt>> {
        http::post(&self.world.at(&format!("/v1/runs/{}/commit", self.run_id)), request)
    }

    pub fn commit(&self, output: &[u8]) -> Answer<Envelope<KmsReceipt>> {
        self.send_commit(&self.request(RunAct::Commit { output_sha256: Digest::of(output) }))
    }

    /// The logged abort of this run.
    pub fn aborted(&self, event: RunEventKind) -> RefundRequest {
        let event = RunEvent {
            schema: "run-event.v1".into(),
            registry: self.world.people.registry_did(),
            run_id: self.run_id.clone(),
            job_sha256: self.job_sha256(),
            event,
            at: self.world.now(),
        };
        let envelope = People::sign(&event, &[&self.run_key]);
        let mut log = self.world.log.lock().unwrap();
        let Logged { envelope, receipt } = log.enter(envelope, ORIGIN, &self.world.people.registry, self.world.now());
        RefundRequest { aborted: envelope, receipt, log_keys: None }
    }

    pub fn refund(&self, request: &RefundRequest) -> Answer<Envelope<KmsReceipt>> {
        http::post(&self.world.at(&format!("/v1/runs/{}/refund", self.run_id)), request)
    }

    /// The key of the first dataset in a release, opened under a transcript.
    pub fn open(&self, release: &Envelope<Release>, transcript: &Transcript) -> schemas::R<[u8; 32]> {
        let release = release.read_unverified().unwrap();
        let bound = Digest::of(&schemas::canonical::to_bytes(transcript).unwrap()).0;
        Ok(*signing::jose::unwrap_key(&release.jwe[0], &self.enc, &bound)?)
    }
}

pub fn reservation_id(receipt: &Envelope<KmsReceipt>) -> ReservationId {
    match receipt.read_unverified().unwrap().statement {
        KmsStatement::Reserved { reservation_id, .. } => reservation_id,
        other => panic!("no reservation: {other:?}"),
    }
}
