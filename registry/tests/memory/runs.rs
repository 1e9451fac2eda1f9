//! The walk of a run through the log, and the papers it brings.

use std::sync::OnceLock;

use policies::TableUse;
use policies::lifecycle::{PaymentState, RunState};
use registry::Entry;
use schemas::certificate::{CertifiedDataset, ModelCertificate};
use schemas::contract::{Assurance, ContractRef};
use schemas::event::*;
use schemas::id::{JobId, ReservationId, RunId};
use schemas::job::{JobDataset, JobSpec};
use schemas::jwk::Jwk;
use schemas::pipeline::{ColumnRef, Feature, Join, JoinKind, JoinStep, Model, Output, OutputKind, Stage, Training};
use schemas::privacy::{DatasetCharge, Plan};
use schemas::release::{KmsReceipt, KmsStatement, ReleasedDataset};
use schemas::text::{Bytes, Real};
use schemas::{Code, Digest, Envelope, R, Signer};
use signing::FileKey;

use crate::house::{House, uuid};
use crate::papers;

/// Steps of every training here.
const STEPS: u32 = 198;

/// A run of a job, as the room holds it.
pub struct Run {
    pub job: Envelope<JobSpec>,
    pub run_id: RunId,
    pub key: FileKey,
    pub enc_jwk: Jwk,
}

impl Run {
    /// A name for a run that never was.
    pub fn name() -> RunId {
        RunId::new(uuid())
    }
}

fn real(text: &str) -> Real {
    Real::parse(text).unwrap()
}

fn column(handle: &str, column: &str) -> ColumnRef {
    ColumnRef { handle: handle.into(), column: column.into() }
}

fn join() -> Join {
    Join {
        name: "j".into(),
        first: "t0".into(),
        steps: vec![JoinStep {
            handle: "t1".into(),
            kind: JoinKind::Inner,
            left: column("t0", "k"),
            right: column("t1", "k"),
        }],
        projection: vec![column("t0", "x"), column("t0", "y"), column("t1", "x")],
        filters: vec![],
        aggregates: vec![],
    }
}

fn training() -> Training {
    let feature =
        |handle: &str| Feature { column: column(handle, "x"), lower: real("0"), upper: real("9"), form: None };
    Training {
        name: "m".into(),
        input: "j".into(),
        private: true,
        model: Model::LogisticRegression,
        features: vec![feature("t0"), feature("t1")],
        target: column("t0", "y"),
        positive: "1".into(),
        principal: column("t0", "k"),
        epsilon: Some(real("1.0")),
        delta: Some(real("0.00001")),
        steps: STEPS,
        sample_rate: real("0.1"),
        clipping_norm: real("1.0"),
        learning_rate: real("0.5"),
        split_salt: Bytes(vec![7; 32]),
        train_ppm: 800_000,
        init_seed: 1,
        metrics: None,
        recipe: None,
        labels: None,
        weights: None,
    }
}

impl House {
    pub fn job(&self, contract: &ContractRef) -> JobSpec {
        let offers = [self.offer(0), self.offer(1)].map(|o| o.read_unverified().unwrap());
        let dataset =
            |n: usize| JobDataset { dataset_id: offers[n].dataset_id.clone(), version: 1, handle: format!("t{n}") };
        let output = Output {
            input: "m".into(),
            kind: OutputKind::Model,
            recipient: self.tdc.did().unwrap(),
            recipient_jwk: Jwk::x25519([9; 32]),
            upload: "file:///out".into(),
        };
        JobSpec {
            schema: "job.v1".into(),
            registry: papers::registry(),
            job_id: JobId::new(uuid()),
            tdc: self.tdc.did().unwrap(),
            ccrp: self.ccrp.did().unwrap(),
            contracts: vec![contract.clone()],
            image_set_id: papers::image_set_id(),
            purpose: "TRAINING".into(),
            datasets: vec![dataset(0), dataset(1)],
            stages: vec![Stage::Join(join()), Stage::Train(training()), Stage::Output(output)],
            rooms: None,
            expires_at: crate::house::start().plus_seconds(86_400),
        }
    }

    pub fn ordered(&self, contract: &ContractRef) -> Envelope<JobSpec> {
        let job = self.sign(&self.job(contract), &self.tdc);
        self.enter(Body::RunOrdered { job: job.clone() }).unwrap();
        job
    }

    pub fn check_in(&self, job: &Envelope<JobSpec>) -> Body {
        let run_id = RunId::new(uuid());
        let key = FileKey::from_seed(run_id.as_str(), &Digest::of(run_id.as_str().as_bytes()).0);
        Body::RunCheckedIn {
            job_sha256: job.digest(),
            image_set_id: papers::image_set_id(),
            evidence_sha256: Digest([3; 32]),
            checks: vec!["signature".into()],
            assurance: Assurance::Software,
            run_jwk: key.jwk().clone(),
            enc_jwk: Jwk::x25519(Digest::of(run_id.as_str().as_bytes()).0),
            platform: None,
            run_id,
        }
    }

    /// A run that checked in under a fresh contract.
    pub fn running(&self) -> Run {
        let (contract, _) = self.executed();
        self.run_of(self.ordered(&contract))
    }

    pub fn run_of(&self, job: Envelope<JobSpec>) -> Run {
        let body = self.check_in(&job);
        let Body::RunCheckedIn { run_id, enc_jwk, .. } = &body else { unreachable!() };
        let key = FileKey::from_seed(run_id.as_str(), &Digest::of(run_id.as_str().as_bytes()).0);
        let run = Run { job, run_id: run_id.clone(), key, enc_jwk: enc_jwk.clone() };
        self.enter(body).unwrap();
        run
    }

    /// What the rules plan for such a job: reckoned once, since it is the same in every house but for the families.
    pub fn plan(&self) -> Plan {
        static PLAN: OnceLock<Plan> = OnceLock::new();
        let mut plan = PLAN.get_or_init(|| self.reckoned()).clone();
        for (n, charge) in plan.charges.iter_mut().enumerate() {
            charge.family = self.offer(n).read_unverified().unwrap().family;
        }
        plan
    }

    fn reckoned(&self) -> Plan {
        let contract = self.draft();
        let job = self.job(&ContractRef { id: contract.contract_id, sha256: Digest([0; 32]) });
        let offers = [0, 1].map(|n| self.offer(n).read_unverified().unwrap());
        let tables = job.datasets.iter().zip(&contract.datasets).zip(&offers);
        let uses: Vec<_> = tables.map(|((job, terms), o)| TableUse { job, terms, columns: &o.columns }).collect();
        policies::privacy::rehearsal(&join(), &training(), &uses).unwrap()
    }

    pub fn charge(&self, n: usize) -> DatasetCharge {
        self.plan().charges[n].clone()
    }

    /// The next receipt of KMS `n`, not yet signed.
    pub fn receipt(&mut self, n: usize, run: &Run, statement: KmsStatement) -> KmsReceipt {
        let job = run.job.read_unverified().unwrap();
        let offer = self.offer(n).read_unverified().unwrap();
        let (seq, head) = self.journals[n];
        KmsReceipt {
            schema: "kms-receipt.v1".into(),
            registry: papers::registry(),
            kms: papers::kms_url(n),
            provider: offer.provider,
            seq: seq + 1,
            prev: head,
            at: self.now(),
            run_id: run.run_id.clone(),
            job_sha256: run.job.digest(),
            run_jwk_thumbprint: run.key.jwk().thumbprint(),
            enc_jwk_thumbprint: run.enc_jwk.thumbprint(),
            image_set_id: papers::image_set_id(),
            assurance: Assurance::Software,
            transcript_sha256: Digest([4; 32]),
            evidence_sha256: Digest([5; 32]),
            datasets: vec![ReleasedDataset {
                dataset_id: offer.dataset_id,
                version: 1,
                contract: job.contracts[0].clone(),
                manifest_root: offer.manifest_root,
                key_id: offer.key.key_id,
            }],
            charges: vec![self.charge(n)],
            rules: Vec::new(),
            checks: Vec::new(),
            statement,
        }
    }

    /// Signs a receipt and moves the journal on.
    pub fn state_receipt(&mut self, n: usize, receipt: &KmsReceipt) -> Envelope<KmsReceipt> {
        let envelope = self.sign(receipt, &self.kms[n]);
        self.journals[n] = (receipt.seq, envelope.digest());
        envelope
    }

    pub fn says(&mut self, n: usize, run: &Run, statement: KmsStatement) -> Envelope<KmsReceipt> {
        let receipt = self.receipt(n, run, statement);
        self.state_receipt(n, &receipt)
    }

    /// Receipts of both KMSs.
    pub fn both_say(&mut self, run: &Run, statement: &KmsStatement) -> Vec<Envelope<KmsReceipt>> {
        (0..2).map(|n| self.says(n, run, statement.clone())).collect()
    }

    pub fn completion(&mut self, run: &Run) -> Completion {
        let output = Digest([77; 32]);
        let release_receipts = self.both_say(run, &released());
        let commit_receipts = self.both_say(run, &KmsStatement::Committed { output_sha256: output });
        let job = run.job.read_unverified().unwrap();
        let offers = [self.offer(0), self.offer(1)].map(|o| o.read_unverified().unwrap());
        let certified = |n: usize| CertifiedDataset {
            dataset_id: offers[n].dataset_id.clone(),
            version: 1,
            manifest_root: offers[n].manifest_root,
            charge: self.charge(n),
            epsilon_pld_micro: None,
        };
        let certificate = ModelCertificate {
            schema: "certificate.v1".into(),
            registry: papers::registry(),
            run_id: run.run_id.clone(),
            job_sha256: run.job.digest(),
            contracts: job.contracts.clone(),
            image_set_id: papers::image_set_id(),
            members: Vec::new(),
            member_rooms: Vec::new(),
            assurance: Assurance::Software,
            datasets: vec![certified(0), certified(1)],
            plan: self.plan(),
            model_sha256: Digest([78; 32]),
            model_bytes: 1000,
            output_kind: None,
            metrics: None,
            noise: None,
            issued_at: self.now(),
        };
        Completion {
            schema: "completion.v1".into(),
            registry: papers::registry(),
            run_id: run.run_id.clone(),
            job_sha256: run.job.digest(),
            contracts: job.contracts,
            image_set_id: papers::image_set_id(),
            steps: STEPS,
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

    pub fn complete(&self, run: &Run, completion: &Completion) -> R<Entry> {
        self.enter(Body::RunCompleted { completion: self.sign(completion, &run.key), obligations: vec![] })
    }

    pub fn report(&self, run: &Run, event: RunEventKind) -> R<Entry> {
        self.enter(Body::RunReported { event: self.event(run, event) })
    }

    pub fn event(&self, run: &Run, event: RunEventKind) -> Envelope<RunEvent> {
        let event = RunEvent {
            schema: "run-event.v1".into(),
            registry: papers::registry(),
            run_id: run.run_id.clone(),
            job_sha256: run.job.digest(),
            event,
            at: self.now(),
        };
        self.sign(&event, &run.key)
    }

    pub fn callback(&self, obligation: &Obligation, result: PaymentResult) -> PaymentCallback {
        PaymentCallback {
            schema: "payment-callback.v1".into(),
            registry: papers::registry(),
            instruction_id: obligation.instruction_id.clone(),
            result,
            reference: "UTR1".into(),
            amount_minor: obligation.amount_minor,
            currency: obligation.currency,
            at: self.now(),
        }
    }

    pub fn pays(&self, obligation: &Obligation, result: PaymentResult) -> R<Entry> {
        self.enter(Body::PaymentAnswered { callback: self.sign(&self.callback(obligation, result), &self.psp) })
    }
}

pub fn reserved(house: &House) -> KmsStatement {
    KmsStatement::Reserved { reservation_id: ReservationId::new(uuid()), expires_at: house.now() }
}

pub fn released() -> KmsStatement {
    KmsStatement::Released { reservation_id: ReservationId::new(uuid()), jwe_sha256: vec![Digest([6; 32])] }
}

pub fn aborted(steps_run: u32) -> RunEventKind {
    RunEventKind::Aborted { steps_run, code: "WORKER_FAILED".into() }
}

#[test]
fn a_run_goes_its_way_and_ends_in_payments_and_a_handed_over_key() {
    let mut house = House::furnished();
    let run = house.running();
    let state = |house: &House| house.registry.state().run(&run.run_id).unwrap().state;
    assert_eq!(state(&house), RunState::Attested);
    for n in 0..2 {
        let statement = reserved(&house);
        let receipt = house.says(n, &run, statement);
        house.enter(Body::KmsStated { receipt }).unwrap();
    }
    assert_eq!(state(&house), RunState::Reserved);
    house.report(&run, RunEventKind::KeysReleased {}).unwrap();
    house.report(&run, RunEventKind::Training {}).unwrap();
    assert_eq!(house.enter(Body::ModelHandedOver { run_id: run.run_id.clone() }).unwrap_err().code, Code::KeyWithheld);
    let completion = house.completion(&run);
    for receipt in &completion.commit_receipts {
        house.enter(Body::KmsStated { receipt: receipt.clone() }).unwrap();
    }
    assert_eq!(state(&house), RunState::Committed);
    let entry = house.complete(&run, &completion).unwrap();
    assert_eq!(state(&house), RunState::Completed);
    let Body::RunCompleted { obligations, .. } = &entry.body else { panic!("another body") };
    let owed: Vec<i64> = obligations.iter().map(|o| o.amount_minor.get()).collect();
    assert_eq!(owed, [500_000, 500_001]);
    let now = house.registry.state();
    assert!(now.payments().all(|p| p.state == PaymentState::Instructed && p.index == entry.receipt.index));
    house.pays(&obligations[0], PaymentResult::Failed).unwrap();
    house.pays(&obligations[0], PaymentResult::Settled).unwrap();
    house.pays(&obligations[1], PaymentResult::Settled).unwrap();
    assert!(house.registry.state().payments().all(|p| p.state == PaymentState::Settled));
    house.enter(Body::ModelHandedOver { run_id: run.run_id.clone() }).unwrap();
    assert_eq!(state(&house), RunState::Delivered);
    assert_eq!(house.registry.state().receipts_of(&run.run_id).count(), 6);
    house.registry.state().check_books().unwrap();
    let head = house.registry.state().kms_head(&house.tdps[0].did().unwrap(), &papers::kms_url(0));
    assert_eq!((head.seq, head.head), house.journals[0]);
}
