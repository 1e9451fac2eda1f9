//! One golden document per schema, of one imaginary agreement.

mod register;

pub use register::*;
use schemas::certificate::{CertifiedDataset, ModelCertificate};
use schemas::contract::*;
use schemas::dataset::*;
use schemas::envelope::{Form, PartySignature};
use schemas::event::*;
use schemas::evidence::{EvidenceKind, ImageSet};
use schemas::id::*;
use schemas::job::{JobDataset, JobSpec};
use schemas::jwk::{Curve, Jwk};
use schemas::log::CheckpointRef;
use schemas::money::{Currency, Minor};
use schemas::party::{Decision, Kind, Participant, ParticipantDecision};
use schemas::pipeline::*;
use schemas::privacy::*;
use schemas::release::*;
use schemas::text::{Bytes, Real};
use schemas::worker::NoisedMetrics;
use schemas::{Digest, Envelope, Timestamp};

fn uuid(n: u128) -> uuid::Uuid {
    uuid::Uuid::from_u128(0x0190_a000_0000_7000_8000_0000_0000_0000 + n)
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn real(text: &str) -> Real {
    Real::parse(text).unwrap()
}

fn registry() -> Did {
    Did::parse("did:web:sro.example").unwrap()
}

fn tdp() -> Did {
    Did::parse("did:web:hospital.example").unwrap()
}

fn tdc() -> Did {
    Did::parse("did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp").unwrap()
}

fn ccrp() -> Did {
    Did::parse("did:web:cloud.example").unwrap()
}

fn ed() -> Jwk {
    let x = Bytes::parse("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo").unwrap();
    Jwk::Okp { crv: Curve::Ed25519, x }
}

fn ecdh() -> Jwk {
    Jwk::x25519([9; 32])
}

fn digest(n: u8) -> Digest {
    Digest([n; 32])
}

fn contract_ref() -> ContractRef {
    ContractRef { id: ContractId::new(uuid(1)), sha256: digest(1) }
}

fn run() -> RunId {
    RunId::new(uuid(2))
}

fn dataset() -> DatasetId {
    DatasetId::new(uuid(3))
}

fn image() -> ImageSetId {
    ImageSetId::new(uuid(4))
}

fn kms() -> String {
    "https://kms.hospital.example".into()
}

fn head() -> CheckpointRef {
    CheckpointRef { size: 5310, root: digest(2) }
}

/// An envelope whose signature is a placeholder: examples show shapes, `signing` shows signatures.
fn envelope<T: schemas::Document>(document: &T) -> Envelope<T> {
    let mut envelope = Envelope::draft(document).unwrap();
    envelope.signatures.push(PartySignature {
        form: Form::Jws,
        protected: Bytes(b"{}".to_vec()),
        kid: KeyId::new(tdp(), ed().thumbprint()),
        sig: Bytes(vec![0; 64]),
    });
    envelope
}

fn clause() -> Clause {
    Clause {
        unit: Unit::Principal,
        adjacency: Adjacency::AddRemove,
        epsilon: real("1.0"),
        delta: real("0.0000472"),
        accountant: Accountant::Rdp,
        scope: Scope::PerTdc,
        level: 1,
    }
}

pub fn participant() -> Participant {
    Participant {
        schema: "participant.v1".into(),
        registry: registry(),
        did: tdp(),
        kind: Kind::Tdp,
        legal_name: "District Hospital".into(),
        jurisdiction: "IN".into(),
        jwk: ed(),
        applied_at: at("2026-11-20T09:00:00Z"),
    }
}

pub fn decision() -> ParticipantDecision {
    ParticipantDecision {
        schema: "participant-decision.v1".into(),
        registry: registry(),
        participant: tdp(),
        participant_sha256: digest(3),
        decision: Decision::Verified,
        reason: "registration papers checked".into(),
        decided_at: at("2026-11-20T10:00:00Z"),
    }
}

pub fn image_set() -> ImageSet {
    ImageSet {
        schema: "image-set.v1".into(),
        registry: registry(),
        image_set_id: image(),
        name: "clean room 0.1.0, Azure".into(),
        profile: EvidenceKind::AzureSnp,
        pcrs: ["4", "7", "9", "11", "12"].iter().map(|i| ((*i).into(), digest(4))).collect(),
        measurements: vec![Bytes(vec![5; 48])],
        id_key_digests: vec![Bytes(vec![6; 48])],
        host_data: None,
        valid_from: at("2026-11-20T00:00:00Z"),
        valid_to: at("2027-11-20T00:00:00Z"),
    }
}

pub fn offer() -> DatasetOffer {
    DatasetOffer {
        schema: "dataset-offer.v1".into(),
        registry: registry(),
        dataset_id: dataset(),
        version: 1,
        offer_version: 1,
        family: FamilyId::new(uuid(5)),
        provider: tdp(),
        name: "Test results 2026".into(),
        reference: Reference::plain("Example Ltd"),
        columns: vec![
            Column { name: "mobile".into(), column_type: ColumnType::Text, lower: None, upper: None },
            Column {
                name: "ct_value".into(),
                column_type: ColumnType::Number,
                lower: Some(real("10")),
                upper: Some(real("40")),
            },
            Column {
                name: "result".into(),
                column_type: ColumnType::Number,
                lower: Some(real("0")),
                upper: Some(real("1")),
            },
        ],
        objects: vec![SealedObject {
            url: "https://data.hospital.example/results-1.sealed".into(),
            bytes: 361_713,
            media_type: "text/csv".into(),
        }],
        manifest_root: digest(7),
        key: OfferKey {
            kms: kms(),
            kms_jwk: ed(),
            key_id: DataKeyId::new(uuid(6)),
            min_assurance: Assurance::Hardware,
        },
        public_rows: 2119,
        usage: Usage {
            purposes: vec!["TRAINING".into()],
            allowed_columns: vec!["ct_value".into(), "result".into()],
            join_keys: vec!["mobile".into()],
            target_columns: vec!["result".into()],
        },
        privacy_cap: Clause { epsilon: real("3.0"), ..clause() },
        payment: vec![PriceTerm {
            term_id: "run".into(),
            kind: TermKind::PerRun,
            payees: vec![Payee { did: tdp(), share_ppm: 1_000_000 }],
            currency: Currency::parse("INR").unwrap(),
            amount_minor: Minor::new(500_000).unwrap(),
            trigger: Trigger::Completed,
        }],
        data_card: DataCard {
            description: "Laboratory results of one district".into(),
            collection: "routine tests".into(),
            limitations: "not a random sample".into(),
            personal_data: "health data under pseudonymous keys".into(),
            licence: "by contract only".into(),
        },
        offered_at: at("2026-11-20T11:00:00Z"),
    }
}

pub fn contract() -> Contract {
    let offer = offer();
    Contract {
        schema: "contract.v1".into(),
        registry: registry(),
        contract_id: ContractId::new(uuid(1)),
        version: 1,
        supersedes: None,
        template: "training-v1".into(),
        parties: vec![
            Party { did: tdp(), role: Kind::Tdp },
            Party { did: tdc(), role: Kind::Tdc },
            Party { did: ccrp(), role: Kind::Ccrp },
        ],
        purpose: "TRAINING".into(),
        jurisdiction: "IN".into(),
        effective_from: at("2026-12-01T00:00:00Z"),
        expires_at: at("2027-12-01T00:00:00Z"),
        datasets: vec![ContractDataset {
            dataset_id: dataset(),
            version: 1,
            family: offer.family,
            provider: tdp(),
            offer_sha256: digest(8),
            manifest_root: offer.manifest_root,
            key: ContractKey { kms: kms(), key_id: offer.key.key_id, min_assurance: Assurance::Hardware },
            public_rows: 2119,
            allowed_columns: offer.usage.allowed_columns,
            join_keys: offer.usage.join_keys,
            target_columns: offer.usage.target_columns,
            privacy: clause(),
        }],
        compute: Compute {
            image_sets: vec![image()],
            evidence: vec![EvidenceKind::AzureSnp],
            platform_level: "baseline".into(),
        },
        outputs: Outputs { kinds: vec!["model".into()], recipient: tdc(), release: "encrypted_to_recipient".into() },
        payment: vec![PaymentTerm {
            term_id: "run".into(),
            kind: TermKind::PerRun,
            payer: tdc(),
            payees: vec![Payee { did: tdp(), share_ppm: 1_000_000 }],
            currency: Currency::parse("INR").unwrap(),
            amount_minor: Minor::new(500_000).unwrap(),
            trigger: Trigger::Completed,
        }],
        revocation: Revocation {
            by: vec![Kind::Tdp, Kind::Sro],
            notice_seconds: 0,
            running: Running::Abort,
            conditions: vec![],
        },
        obligations: Obligations { risk_statement: "No attempt to single out a person will be made.".into() },
        max_runs: None,
    }
}

pub fn revoke() -> ContractRevoke {
    ContractRevoke {
        schema: "contract-revoke.v1".into(),
        registry: registry(),
        contract: contract_ref(),
        reason: "consent withdrawn".into(),
        cause: schemas::contract::Cause::AtWill,
        revoked_at: at("2027-01-10T08:00:00Z"),
    }
}

pub fn decline() -> ContractDecline {
    ContractDecline {
        schema: "contract-decline.v1".into(),
        registry: registry(),
        contract: contract_ref(),
        reason: "purpose too wide".into(),
        declined_at: at("2026-11-25T08:00:00Z"),
    }
}

/// Acts on contracts that say the same: contract, cause, reason, time.
macro_rules! contract_acts {
    ($($name:ident $type:ident $schema:literal $cause:ident $reason:literal;)*) => {$(
        pub fn $name() -> $type {
            $type {
                schema: $schema.into(),
                registry: registry(),
                contract: contract_ref(),
                cause: Cause::$cause,
                reason: $reason.into(),
                at: at("2026-12-10T08:00:00Z"),
            }
        }
    )*};
}

contract_acts! {
    withdraw ContractWithdraw "contract-withdraw.v1" AtWill "a better offer is being written";
    suspend ContractSuspend "contract-suspend.v1" SecurityIncident "a key may be lost";
    resume ContractResume "contract-resume.v1" SecurityIncident "the key was found";
    terminate ContractTerminate "contract-terminate.v1" AtWill "the work is done";
}

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
    };
    let training = Training {
        name: "model".into(),
        input: "joined".into(),
        private: true,
        model: Model::LogisticRegression,
        features: vec![Feature { column: column("ct_value"), lower: real("10"), upper: real("40") }],
        target: column("result"),
        positive: "1".into(),
        principal: column("mobile"),
        epsilon: real("1.0"),
        delta: real("0.0000472"),
        steps: 198,
        sample_rate: real("0.0755162"),
        clipping_norm: real("1.0"),
        learning_rate: real("0.5"),
        split_salt: Bytes(vec![1; 32]),
        train_ppm: 800_000,
        init_seed: 1,
        metrics: Some(Metrics { noise_multiplier: real("20") }),
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

fn charge() -> DatasetCharge {
    DatasetCharge {
        dataset_id: dataset(),
        version: 1,
        family: FamilyId::new(uuid(5)),
        factor: 1,
        mechanisms: vec![
            Mechanism::SampledGaussian { noise_multiplier: real("4.12"), sample_rate: real("0.0755162"), steps: 198 },
            Mechanism::Gaussian { noise_multiplier: real("20") },
        ],
        epsilon_micro: 999_871,
        delta: real("0.0000472"),
    }
}

pub fn kms_receipt() -> KmsReceipt {
    KmsReceipt {
        schema: "kms-receipt.v1".into(),
        registry: registry(),
        kms: kms(),
        provider: tdp(),
        seq: 42,
        prev: digest(11),
        at: at("2026-12-02T10:00:04Z"),
        run_id: run(),
        job_sha256: digest(9),
        run_jwk_thumbprint: ed().thumbprint(),
        enc_jwk_thumbprint: ecdh().thumbprint(),
        image_set_id: image(),
        assurance: Assurance::Hardware,
        transcript_sha256: digest(12),
        evidence_sha256: digest(13),
        datasets: vec![ReleasedDataset {
            dataset_id: dataset(),
            version: 1,
            contract: contract_ref(),
            manifest_root: digest(7),
            key_id: DataKeyId::new(uuid(6)),
        }],
        charges: vec![charge()],
        statement: KmsStatement::Released { reservation_id: ReservationId::new(uuid(9)), jwe_sha256: vec![digest(14)] },
    }
}

pub fn release() -> Release {
    Release {
        schema: "kms-release.v1".into(),
        registry: registry(),
        jwe: vec!["header.key.iv.text.tag".into()],
        receipt: envelope(&kms_receipt()),
        lease_seconds: 30,
    }
}

pub fn lease() -> Lease {
    Lease {
        schema: "kms-lease.v1".into(),
        registry: registry(),
        run_id: run(),
        at: at("2026-12-02T10:00:14Z"),
        lease_seconds: 30,
    }
}

pub fn key_import() -> KeyImport {
    KeyImport {
        schema: "kms-key.v1".into(),
        registry: registry(),
        kms: kms(),
        key_id: DataKeyId::new(uuid(6)),
        provider: tdp(),
        dataset_id: dataset(),
        version: 1,
        manifest_root: digest(7),
        min_assurance: Assurance::Hardware,
        jwe: "header.key.iv.text.tag".into(),
        at: at("2026-11-20T10:59:00Z"),
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

pub fn certificate() -> ModelCertificate {
    ModelCertificate {
        schema: "certificate.v1".into(),
        registry: registry(),
        run_id: run(),
        job_sha256: digest(9),
        contracts: vec![contract_ref()],
        image_set_id: image(),
        assurance: Assurance::Hardware,
        datasets: vec![CertifiedDataset {
            dataset_id: dataset(),
            version: 1,
            manifest_root: digest(7),
            charge: charge(),
        }],
        plan: Plan {
            noise_multiplier: real("4.12"),
            sample_rate: real("0.0755162"),
            steps: 198,
            expected_batch: real("128.01"),
            metrics_noise_multiplier: Some(real("20")),
            charges: vec![charge()],
        },
        model_sha256: digest(15),
        model_bytes: 264,
        metrics: Some(NoisedMetrics {
            true_positives: 118,
            false_positives: -7,
            true_negatives: 301,
            false_negatives: 22,
            accuracy_ppm: 965_000,
        }),
        issued_at: at("2026-12-02T10:01:00Z"),
    }
}

pub fn completion() -> Completion {
    let commit =
        KmsReceipt { seq: 43, statement: KmsStatement::Committed { output_sha256: digest(16) }, ..kms_receipt() };
    Completion {
        schema: "completion.v1".into(),
        registry: registry(),
        run_id: run(),
        job_sha256: digest(9),
        contracts: vec![contract_ref()],
        image_set_id: image(),
        steps: 198,
        output: CompletedOutput {
            kind: "model".into(),
            sha256: digest(16),
            bytes: 1024,
            url: "https://models.example/inbox/run.sealed".into(),
        },
        certificate: envelope(&certificate()),
        content_key_jwe: "header.key.iv.text.tag".into(),
        release_receipts: vec![envelope(&kms_receipt())],
        commit_receipts: vec![envelope(&commit)],
        at: at("2026-12-02T10:01:02Z"),
    }
}

pub fn payment_callback() -> PaymentCallback {
    PaymentCallback {
        schema: "payment-callback.v1".into(),
        registry: registry(),
        instruction_id: "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".into(),
        result: PaymentResult::Settled,
        reference: "UTR 123456".into(),
        amount_minor: Minor::new(500_000).unwrap(),
        currency: Currency::parse("INR").unwrap(),
        at: at("2026-12-03T09:00:00Z"),
    }
}
