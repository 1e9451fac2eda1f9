//! A participant is let in, offers a dataset, and a contract is made and ended.

use super::{at, ccrp, contract_ref, dataset, digest, ed, image, kms, real, registry, tdc, tdp, uuid};
use schemas::contract::*;
use schemas::dataset::*;
use schemas::evidence::{EvidenceKind, ImageSet};
use schemas::id::*;
use schemas::money::{Currency, Minor};
use schemas::party::{Decision, Kind, Participant, ParticipantDecision};
use schemas::privacy::*;
use schemas::text::Bytes;

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

fn clause() -> Clause {
    Clause {
        unit: Unit::Principal,
        adjacency: Adjacency::AddRemove,
        epsilon: real("1.0"),
        delta: real("0.0000472"),
        accountant: Accountant::Rdp,
        scope: Scope::PerTdc,
        level: 1,
        without_differential_privacy: false,
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
            rules: Vec::new(),
        },
        privacy_cap: Clause { epsilon: real("3.0"), ..clause() },
        renewable_to: None,
        principal_pool: None,
        discounts: Vec::new(),
        statistics: None,
        payment: vec![PriceTerm {
            term_id: "run".into(),
            kind: TermKind::PerRun,
            payees: vec![Payee { did: tdp(), share_ppm: 1_000_000 }],
            currency: Currency::parse("INR").unwrap(),
            amount_minor: Minor::new(500_000).unwrap(),
            trigger: Trigger::Completed,
            pricing: None,
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
            kbs: None,
        }],
        compute: Compute {
            image_sets: vec![image()],
            evidence: vec![EvidenceKind::AzureSnp],
            platform_level: "baseline".into(),
            rooms_max: None,
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
            dataset_id: None,
            pricing: None,
            discount: None,
        }],
        revocation: Revocation {
            by: vec![Kind::Tdp, Kind::Sro],
            notice_seconds: 0,
            running: Running::Abort,
            conditions: vec![],
        },
        obligations: Obligations { risk_statement: "No attempt to single out a person will be made.".into() },
        max_runs: None,
        rules: Vec::new(),
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
