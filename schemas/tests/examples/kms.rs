//! What a key service takes, states and hands out.

use super::{at, contract_ref, dataset, digest, ecdh, ed, envelope, image, kms, real, registry, run, tdc, tdp, uuid};
use schemas::contract::*;
use schemas::id::*;
use schemas::own_release::*;
use schemas::privacy::*;
use schemas::release::*;
use schemas::weights::*;

pub fn charge() -> DatasetCharge {
    DatasetCharge {
        dataset_id: dataset(),
        version: 1,
        family: FamilyId::new(uuid(5)),
        factor: 1,
        level: 1,
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
        rules: vec![digest(31), digest(32)],
        checks: vec!["chain_root".into(), "signature".into(), "measurement".into()],
        statement: KmsStatement::Released { reservation_id: ReservationId::new(uuid(9)), jwe_sha256: vec![digest(14)] },
    }
}

pub fn release() -> Release {
    Release {
        schema: "kms-release.v1".into(),
        registry: registry(),
        jwe: vec!["header.key.iv.text.tag".into()],
        gated: vec![],
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

pub fn weights_import() -> WeightsImport {
    WeightsImport {
        schema: "weights-key.v1".into(),
        registry: registry(),
        kms: "https://kms.lab.example".into(),
        key_id: DataKeyId::new(uuid(40)),
        provider: tdc(),
        weights_id: WeightsId::new(uuid(41)),
        manifest_root: digest(42),
        min_assurance: Assurance::Hardware,
        jwe: "header.key.iv.text.tag".into(),
        at: at("2026-11-21T10:59:00Z"),
    }
}

pub fn weights_release() -> WeightsRelease {
    WeightsRelease {
        schema: "weights-release.v1".into(),
        registry: registry(),
        kms: "https://kms.lab.example".into(),
        provider: tdc(),
        run_id: run(),
        job_sha256: digest(11),
        transcript_sha256: digest(12),
        weights_id: WeightsId::new(uuid(41)),
        manifest_root: digest(42),
        key_id: DataKeyId::new(uuid(40)),
        jwe: "header.key.iv.text.tag".into(),
        gated: None,
        at: at("2026-12-02T10:00:12Z"),
    }
}

pub fn own_release() -> OwnRelease {
    OwnRelease {
        schema: "own-release.v1".into(),
        registry: registry(),
        kms: kms(),
        provider: tdp(),
        kind: ReleasedKind::Profile,
        file_sha256: digest(43),
        offer_sha256: digest(6),
        charge: DatasetCharge {
            mechanisms: vec![Mechanism::Gaussian { noise_multiplier: real("9.999999") }],
            epsilon_micro: 334_512,
            ..charge()
        },
        at: at("2026-11-20T11:30:00Z"),
    }
}
