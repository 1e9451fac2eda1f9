//! A job, and what a room asks for and is told.

use super::{at, ccrp, contract_ref, dataset, digest, ecdh, ed, head, image, kms, real, registry, run, tdc, uuid};
use schemas::contract::*;
use schemas::event::*;
use schemas::id::*;
use schemas::job::{JobDataset, JobSpec};
use schemas::pipeline::*;
use schemas::release::*;
use schemas::text::Bytes;

fn column(name: &str) -> ColumnRef {
    ColumnRef { handle: "a".into(), column: name.into() }
}

pub fn job() -> JobSpec {
    let join = Join {
        name: "joined".into(),
        first: "a".into(),
        steps: vec![],
        projection: vec![column("ct_value"), column("result")],
        filters: vec![Filter { column: column("ct_value"), op: Comparison::Ge, value: "10".into() }],
        aggregates: vec![],
    };
    let training = Training {
        name: "model".into(),
        input: "joined".into(),
        private: true,
        model: Model::LogisticRegression,
        features: vec![Feature { column: column("ct_value"), lower: real("10"), upper: real("40"), form: None }],
        target: column("result"),
        positive: "1".into(),
        principal: column("mobile"),
        epsilon: Some(real("1.0")),
        delta: Some(real("0.0000472")),
        steps: 198,
        sample_rate: real("0.0755162"),
        clipping_norm: real("1.0"),
        learning_rate: real("0.5"),
        split_salt: Bytes(vec![1; 32]),
        train_ppm: 800_000,
        init_seed: 1,
        metrics: Some(Metrics { noise_multiplier: real("20"), curve: None, loss: None }),
        recipe: None,
        labels: None,
        weights: None,
    };
    JobSpec {
        schema: "job.v1".into(),
        registry: registry(),
        job_id: JobId::new(uuid(7)),
        tdc: tdc(),
        ccrp: ccrp(),
        contracts: vec![contract_ref()],
        image_set_id: image(),
        purpose: "TRAINING".into(),
        datasets: vec![JobDataset { dataset_id: dataset(), version: 1, handle: "a".into() }],
        stages: vec![
            Stage::Join(join),
            Stage::Train(training),
            Stage::Output(Output {
                input: "model".into(),
                kind: OutputKind::Model,
                recipient: tdc(),
                recipient_jwk: ecdh(),
                upload: "https://models.example/inbox".into(),
            }),
        ],
        rooms: None,
        expires_at: at("2026-12-31T00:00:00Z"),
    }
}

pub fn challenge() -> Challenge {
    Challenge {
        schema: "kms-challenge.v1".into(),
        registry: registry(),
        challenge_id: ChallengeId::new(uuid(8)),
        nonce: Bytes(vec![2; 32]),
        aud: kms(),
        run_id: run(),
        job_sha256: digest(9),
        expires_at: at("2026-12-02T10:02:00Z"),
        checkpoint: None,
    }
}

fn status(state: ContractState) -> ContractStatus {
    ContractStatus { id: contract_ref().id, sha256: contract_ref().sha256, state }
}

pub fn admission() -> Admission {
    Admission {
        schema: "admission.v1".into(),
        registry: registry(),
        run_id: run(),
        job_sha256: digest(9),
        issued_at: at("2026-12-02T10:00:01Z"),
        contracts: vec![status(ContractState::Active)],
        image_set_id: image(),
        evidence_sha256: digest(10),
        assurance: Assurance::Hardware,
        run_jwk: ed(),
        enc_jwk: ecdh(),
        checkpoint: head(),
        kms_heads: vec![KmsHead { kms: kms(), seq: 41, head: digest(11) }],
        cosigned: None,
    }
}

pub fn status_list() -> StatusList {
    StatusList {
        schema: "status-list.v1".into(),
        registry: registry(),
        issued_at: at("2027-01-10T08:00:02Z"),
        checkpoint: head(),
        not_in_force: vec![status(ContractState::Revoked)],
        image_sets_revoked: vec![image()],
    }
}

pub fn run_request() -> RunRequest {
    RunRequest {
        schema: "run-request.v1".into(),
        registry: registry(),
        aud: kms(),
        run_id: run(),
        jti: "8d6f2a51-6a1c-4c7e-9b0d-5c2f0a9c1e77".into(),
        issued_at: at("2026-12-02T10:00:03Z"),
        request: RunAct::Release {
            challenge_id: ChallengeId::new(uuid(8)),
            reservation_id: ReservationId::new(uuid(9)),
        },
    }
}

pub fn run_event() -> RunEvent {
    RunEvent {
        schema: "run-event.v1".into(),
        registry: registry(),
        run_id: run(),
        job_sha256: digest(9),
        event: RunEventKind::Aborted { steps_run: 0, code: "SEALED_TAMPERED".into() },
        at: at("2026-12-02T10:00:06Z"),
    }
}

pub fn abort() -> Abort {
    Abort {
        schema: "abort.v1".into(),
        registry: registry(),
        run_id: run(),
        reason: "ordered by mistake".into(),
        at: at("2026-12-02T10:00:20Z"),
    }
}
