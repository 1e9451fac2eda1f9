//! A clean room of the tests: checks in with real software evidence, and brings the papers of a run.

use attestation::Attester;
use policies::Facts;
use schemas::bundle::JobBundle;
use schemas::certificate::{CertifiedDataset, ModelCertificate};
use schemas::contract::{Assurance, ContractRef};
use schemas::desk::CheckIn;
use schemas::event::*;
use schemas::evidence::Transcript;
use schemas::id::{ReservationId, RunId};
use schemas::job::JobSpec;
use schemas::jwk::Jwk;
use schemas::privacy::Plan;
use schemas::release::*;
use schemas::{Digest, Envelope, R, Signer};
use signing::FileKey;
use uuid::Uuid;

use crate::house::{House, platform};
use crate::papers;

/// A run that checked in.
pub struct Run {
    pub run_id: RunId,
    pub job: JobSpec,
    pub job_sha256: Digest,
    pub key: FileKey,
    pub enc_jwk: Jwk,
    pub plan: Plan,
    pub admission: Envelope<Admission>,
}

/// What a room holds before it checks in.
pub struct Arrival {
    pub challenge: Challenge,
    pub transcript: Transcript,
    pub key: FileKey,
}

impl House {
    /// The bundle of a job as its TDC makes it.
    pub fn bundle_of(&self, job: &JobSpec) -> JobBundle {
        let bundle = self.as_(&self.tdc).contract_bundle(&job.contracts[0].id).unwrap();
        JobBundle {
            job: self.sign(job, &self.tdc),
            contracts: bundle.contracts,
            offers: bundle.offers,
            participants: bundle.participants,
            image_set: bundle.image_sets[0].clone(),
            renewals: bundle.renewals.clone(),
            log_keys: bundle.log_keys,
        }
    }

    pub fn bundle(&self, contract: &ContractRef) -> JobBundle {
        self.bundle_of(&papers::job(self, contract))
    }

    /// A challenge, and the transcript that answers it.
    pub fn arrive(&self, bundle: &JobBundle) -> Arrival {
        let job = bundle.job.read_unverified().unwrap();
        let request =
            ChallengeRequest { run_id: None, job_sha256: bundle.job.digest(), contracts: job.contracts.clone() };
        let challenge = self.client.run_challenge(&request).unwrap();
        let challenge = signing::verify(challenge, &self.registry(), self.trust()).unwrap();
        let key = FileKey::from_seed(challenge.run_id.as_str(), &signing::signer::random().unwrap());
        let transcript = Transcript {
            v: 1,
            aud: self.url().to_owned(),
            nonce: challenge.nonce.clone(),
            challenge_id: challenge.challenge_id.clone(),
            run_id: challenge.run_id.clone(),
            job_sha256: bundle.job.digest(),
            contracts: job.contracts,
            image_set_id: papers::image_set_id(),
            enc_jwk: signing::jose::EncKey::generate().unwrap().jwk().clone(),
            run_jwk: key.jwk().clone(),
            admission_sha256: None,
            checkpoint: challenge.checkpoint.clone().unwrap(),
        };
        Arrival { challenge: (*challenge).clone(), transcript, key }
    }

    pub fn check_in(&self, arrival: &Arrival, bundle: &JobBundle) -> R<Envelope<Admission>> {
        self.client.check_in(&self.check_in_words(arrival, bundle))
    }

    pub fn check_in_words(&self, arrival: &Arrival, bundle: &JobBundle) -> CheckIn {
        let evidence = platform().1.attest(&arrival.transcript).unwrap();
        let attested = Attested { transcript: arrival.transcript.clone(), evidence };
        CheckIn { attested, bundle: bundle.clone(), lease_token: None }
    }

    /// A run of a fresh contract, checked in.
    pub fn running(&self) -> Run {
        let bundle = self.bundle(&self.executed());
        self.client.order_run(&bundle).unwrap();
        let arrival = self.arrive(&bundle);
        let admission = self.check_in(&arrival, &bundle).unwrap();
        self.run_of(arrival, &bundle, admission)
    }

    pub fn run_of(&self, arrival: Arrival, bundle: &JobBundle, admission: Envelope<Admission>) -> Run {
        let opened = signing::open_bundle(bundle.clone(), self.trust()).unwrap();
        let facts = Facts {
            job: &opened.job,
            contracts: &opened.contracts,
            offers: &opened.offers,
            image_set: &opened.image_set,
        };
        Run {
            run_id: arrival.challenge.run_id,
            job: (*opened.job).clone(),
            job_sha256: bundle.job.digest(),
            key: arrival.key,
            enc_jwk: arrival.transcript.enc_jwk,
            plan: policies::privacy::plan(&facts).unwrap(),
            admission,
        }
    }

    /// The next receipt of KMS `n`, signed; its journal moves on.
    pub fn says(&mut self, n: usize, run: &Run, statement: KmsStatement) -> Envelope<KmsReceipt> {
        let offer = papers::offer(self, n);
        let (seq, head) = self.journals[n];
        let receipt = KmsReceipt {
            schema: "kms-receipt.v1".into(),
            registry: self.registry(),
            kms: papers::kms_url(n),
            provider: offer.provider,
            seq: seq + 1,
            prev: head,
            at: self.now(),
            run_id: run.run_id.clone(),
            job_sha256: run.job_sha256,
            run_jwk_thumbprint: run.key.jwk().thumbprint(),
            enc_jwk_thumbprint: run.enc_jwk.thumbprint(),
            image_set_id: papers::image_set_id(),
            assurance: Assurance::Software,
            transcript_sha256: Digest([4; 32]),
            evidence_sha256: Digest([5; 32]),
            datasets: vec![ReleasedDataset {
                dataset_id: offer.dataset_id,
                version: 1,
                contract: run.job.contracts[0].clone(),
                manifest_root: offer.manifest_root,
                key_id: offer.key.key_id,
            }],
            charges: vec![run.plan.charges[n].clone()],
            rules: Vec::new(),
            checks: vec!["signature".into()],
            statement,
        };
        let envelope = self.sign(&receipt, &self.kms[n]);
        self.journals[n] = (receipt.seq, envelope.digest());
        envelope
    }

    pub fn both_say(&mut self, run: &Run, statement: &KmsStatement) -> Vec<Envelope<KmsReceipt>> {
        (0..2).map(|n| self.says(n, run, statement.clone())).collect()
    }

    pub fn completion(&mut self, run: &Run) -> Completion {
        let output = Digest([77; 32]);
        let release_receipts = self.both_say(run, &released());
        let commit_receipts = self.both_say(run, &KmsStatement::Committed { output_sha256: output });
        let certified = |n: usize| {
            let offer = papers::offer(self, n);
            let (manifest_root, charge) = (offer.manifest_root, run.plan.charges[n].clone());
            CertifiedDataset {
                dataset_id: offer.dataset_id,
                version: 1,
                manifest_root,
                charge,
                epsilon_pld_micro: None,
            }
        };
        let certificate = ModelCertificate {
            schema: "certificate.v1".into(),
            registry: self.registry(),
            run_id: run.run_id.clone(),
            job_sha256: run.job_sha256,
            contracts: run.job.contracts.clone(),
            image_set_id: papers::image_set_id(),
            members: Vec::new(),
            member_rooms: Vec::new(),
            assurance: Assurance::Software,
            datasets: vec![certified(0), certified(1)],
            plan: run.plan.clone(),
            model_sha256: Digest([78; 32]),
            model_bytes: 1000,
            output_kind: None,
            metrics: None,
            noise: None,
            issued_at: self.now(),
        };
        Completion {
            schema: "completion.v1".into(),
            registry: self.registry(),
            run_id: run.run_id.clone(),
            job_sha256: run.job_sha256,
            contracts: run.job.contracts.clone(),
            image_set_id: papers::image_set_id(),
            steps: run.plan.steps,
            output: CompletedOutput {
                kind: "model".into(),
                sha256: output,
                bytes: 1200,
                url: "file:///out/model".into(),
            },
            certificate: self.sign(&certificate, &run.key),
            content_key_jwe: "a.b.c.d.e".into(),
            release_receipts,
            commit_receipts,
            at: self.now(),
        }
    }

    pub fn event(&self, run: &Run, event: RunEventKind) -> Envelope<RunEvent> {
        let (run_id, job_sha256) = (run.run_id.clone(), run.job_sha256);
        let event = RunEvent {
            schema: "run-event.v1".into(),
            registry: self.registry(),
            run_id,
            job_sha256,
            event,
            at: self.now(),
        };
        self.sign(&event, &run.key)
    }

    pub fn refresh_words(&self, run: &Run) -> RunRequest {
        RunRequest {
            schema: "run-request.v1".into(),
            registry: self.registry(),
            aud: self.url().to_owned(),
            run_id: run.run_id.clone(),
            jti: Uuid::now_v7().to_string(),
            issued_at: self.now(),
            request: RunAct::RefreshAdmission {},
        }
    }

    pub fn step_words(&self, run: &Run, step: u32) -> RunRequest {
        RunRequest { request: RunAct::Progress { step }, ..self.refresh_words(run) }
    }

    pub fn callback(&self, obligation: &Obligation, result: PaymentResult) -> Envelope<PaymentCallback> {
        let callback = PaymentCallback {
            schema: "payment-callback.v1".into(),
            registry: self.registry(),
            instruction_id: obligation.instruction_id.clone(),
            result,
            reference: format!("UTR{}", &obligation.instruction_id[..12]),
            amount_minor: obligation.amount_minor,
            currency: obligation.currency,
            at: self.now(),
        };
        self.sign(&callback, &self.psp)
    }
}

pub fn released() -> KmsStatement {
    KmsStatement::Released { reservation_id: ReservationId::new(Uuid::now_v7()), jwe_sha256: vec![Digest([6; 32])] }
}
