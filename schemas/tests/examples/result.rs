//! What comes of a run: certificate, completion, payment.

use super::kms::{charge, kms_receipt};
use super::{at, contract_ref, dataset, digest, envelope, image, real, registry, run};
use schemas::certificate::{CertifiedDataset, ModelCertificate};
use schemas::contract::*;
use schemas::event::*;
use schemas::money::{Currency, Minor};
use schemas::privacy::*;
use schemas::release::*;
use schemas::term::RevenueStatement;
use schemas::worker::NoisedMetrics;

pub fn certificate() -> ModelCertificate {
    ModelCertificate {
        schema: "certificate.v1".into(),
        registry: registry(),
        run_id: run(),
        job_sha256: digest(9),
        contracts: vec![contract_ref()],
        image_set_id: image(),
        members: Vec::new(),
        member_rooms: Vec::new(),
        assurance: Assurance::Hardware,
        datasets: vec![CertifiedDataset {
            dataset_id: dataset(),
            version: 1,
            manifest_root: digest(7),
            charge: charge(),
            epsilon_pld_micro: None,
        }],
        plan: Plan {
            without_differential_privacy: false,
            noise_multiplier: real("4.12"),
            sample_rate: real("0.0755162"),
            steps: 198,
            expected_batch: real("128.01"),
            most_expected_batch: None,
            metrics_noise_multiplier: Some(real("20")),
            curve: None,
            loss: None,
            charges: vec![charge()],
        },
        model_sha256: digest(15),
        model_bytes: 264,
        output_kind: None,
        metrics: Some(NoisedMetrics {
            true_positives: 118,
            false_positives: -7,
            true_negatives: 301,
            false_negatives: 22,
            accuracy_ppm: 965_000,
            curve: None,
            loss: None,
        }),
        noise: None,
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

pub fn revenue_statement() -> RevenueStatement {
    RevenueStatement {
        schema: "revenue-statement.v1".into(),
        registry: registry(),
        contract: contract_ref(),
        term_id: "p2".into(),
        period: 0,
        revenue_minor: Minor::new(12_500_000).unwrap(),
        currency: Currency::parse("INR").unwrap(),
        at: at("2027-01-05T09:00:00Z"),
    }
}
