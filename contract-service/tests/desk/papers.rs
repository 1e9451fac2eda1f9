//! Valid documents, to be spoilt one thing at a time.

use attestation::software::{id_key_digest, image_set_pcrs, launch_measurement};
use schemas::contract::*;
use schemas::dataset::{
    Column, ColumnType, DataCard, DatasetAct, DatasetActKind, DatasetOffer, OfferKey, PriceTerm, Reference,
    SealedObject, Usage,
};
use schemas::evidence::{EvidenceKind, ImageSet};
use schemas::id::{ContractId, DataKeyId, DatasetId, FamilyId, ImageSetId, JobId};
use schemas::job::{JobDataset, JobSpec};
use schemas::jwk::Jwk;
use schemas::money::{Currency, Minor};
use schemas::party::{Decision, Kind, Participant, ParticipantDecision};
use schemas::pipeline::*;
use schemas::privacy::{Accountant, Adjacency, Clause, Scope, Unit};
use schemas::statistics::Statistics;
use schemas::text::{Bytes, Real};
use schemas::{Digest, Envelope, Signer};
use signing::FileKey;
use uuid::Uuid;

use crate::house::{House, start};

fn fixed(n: u128) -> Uuid {
    Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0000 + n)
}

fn real(text: &str) -> Real {
    Real::parse(text).unwrap()
}

/// The measurement of the approved room.
pub fn measurement() -> Digest {
    Digest([1; 32])
}

/// No two participants may look alike.
fn legal_name(who: &FileKey) -> String {
    let did = who.did().unwrap();
    format!("Example {} Ltd", &did.as_str()[did.as_str().len() - 16..])
}

pub fn participant(house: &House, who: &FileKey, kind: Kind) -> Participant {
    Participant {
        schema: "participant.v1".into(),
        registry: house.registry(),
        did: who.did().unwrap(),
        kind,
        legal_name: legal_name(who),
        jurisdiction: "IN".into(),
        jwk: who.jwk().clone(),
        applied_at: start(),
    }
}

pub fn decision(house: &House, who: &FileKey, application: Digest, decision: Decision) -> ParticipantDecision {
    ParticipantDecision {
        schema: "participant-decision.v1".into(),
        registry: house.registry(),
        participant: who.did().unwrap(),
        participant_sha256: application,
        decision,
        reason: "Papers seen".into(),
        decided_at: house.now(),
    }
}

/// About the first version of the first dataset.
pub fn dataset_act(house: &House, act: DatasetActKind) -> DatasetAct {
    DatasetAct {
        schema: "dataset-act.v1".into(),
        registry: house.registry(),
        dataset_id: offer(house, 0).dataset_id,
        version: 1,
        act,
        reason: "A look at consent".into(),
        at: house.now(),
    }
}

pub fn image_set_id() -> ImageSetId {
    ImageSetId::new(fixed(7))
}

pub fn image_set(house: &House) -> ImageSet {
    ImageSet {
        schema: "image-set.v1".into(),
        registry: house.registry(),
        image_set_id: image_set_id(),
        name: "room 0.1".into(),
        profile: EvidenceKind::Software,
        pcrs: image_set_pcrs(&measurement()),
        measurements: vec![launch_measurement()],
        id_key_digests: vec![id_key_digest()],
        host_data: None,
        valid_from: start(),
        valid_to: start().plus_seconds(90 * 86_400),
    }
}

pub fn clause() -> Clause {
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

pub fn kms_url(n: usize) -> String {
    format!("http://127.0.0.1:90{n:02}")
}

/// Statistics of the first two columns of an offer of this house.
pub fn statistics(offer: &DatasetOffer) -> Statistics {
    let made = serde_json::json!({"schema": "dataset-profile.v1", "terms": {"epsilon": "0.1", "bins": 2},
        "epsilon_per_column": "0.05", "charge": {"mechanism": "gaussian", "noise_multiplier": "9.999999"},
        "ledger": "charged", "public_rows": offer.public_rows, "columns": [
        {"name": "k", "type": "text", "counts": [2101], "missing": -4},
        {"name": "x", "type": "number", "lower": "0", "upper": "9", "counts": [1300, 790], "missing": 11, "mean": "4.2500"}]});
    serde_json::from_value(made).unwrap()
}

pub fn offer(house: &House, n: usize) -> DatasetOffer {
    let (did, kms) = (house.tdps[n].did().unwrap(), &house.kms[n]);
    let number = |name: &str| Column {
        name: name.into(),
        column_type: ColumnType::Number,
        lower: Some(real("0")),
        upper: Some(real("9")),
    };
    DatasetOffer {
        schema: "dataset-offer.v1".into(),
        registry: house.registry(),
        dataset_id: DatasetId::new(fixed(100 + n as u128)),
        version: 1,
        offer_version: 1,
        family: FamilyId::new(fixed(200 + n as u128)),
        provider: did.clone(),
        name: format!("Table {n}"),
        reference: Reference::plain("Example Ltd"),
        columns: vec![
            Column { name: "k".into(), column_type: ColumnType::Text, lower: None, upper: None },
            number("x"),
            number("y"),
        ],
        objects: vec![SealedObject {
            url: format!("file:///data/{n}.sealed"),
            bytes: 4096,
            media_type: "text/csv".into(),
        }],
        manifest_root: Digest([50 + n as u8; 32]),
        key: OfferKey {
            kms: kms_url(n),
            kms_jwk: kms.jwk().clone(),
            key_id: DataKeyId::new(fixed(300 + n as u128)),
            min_assurance: Assurance::Software,
        },
        public_rows: 2119,
        usage: Usage {
            purposes: vec!["TRAINING".into()],
            allowed_columns: vec!["x".into()],
            join_keys: vec!["k".into()],
            target_columns: vec!["y".into()],
            rules: Vec::new(),
        },
        privacy_cap: clause(),
        renewable_to: None,
        principal_pool: None,
        discounts: Vec::new(),
        statistics: None,
        payment: vec![PriceTerm {
            term_id: "p1".into(),
            kind: TermKind::PerRun,
            payees: vec![Payee { did, share_ppm: 1_000_000 }],
            currency: Currency::parse("INR").unwrap(),
            amount_minor: Minor::new(500_000 + n as i64).unwrap(),
            trigger: Trigger::Completed,
            pricing: None,
        }],
        data_card: DataCard {
            description: "d".into(),
            collection: "c".into(),
            limitations: "l".into(),
            personal_data: "p".into(),
            licence: "x".into(),
        },
        offered_at: start(),
    }
}

pub fn contract(house: &House) -> Contract {
    let offers = [offer(house, 0), offer(house, 1)];
    let (tdc, ccrp) = (house.tdc.did().unwrap(), house.ccrp.did().unwrap());
    let datasets = offers.iter().map(|o| ContractDataset {
        dataset_id: o.dataset_id.clone(),
        version: o.version,
        family: o.family.clone(),
        provider: o.provider.clone(),
        offer_sha256: Envelope::draft(o).unwrap().digest(),
        manifest_root: o.manifest_root,
        key: ContractKey { kms: o.key.kms.clone(), key_id: o.key.key_id.clone(), min_assurance: o.key.min_assurance },
        public_rows: o.public_rows,
        allowed_columns: o.usage.allowed_columns.clone(),
        join_keys: o.usage.join_keys.clone(),
        target_columns: o.usage.target_columns.clone(),
        privacy: o.privacy_cap.clone(),
        kbs: None,
    });
    let payment = offers.iter().enumerate().map(|(n, o)| PaymentTerm {
        term_id: format!("p{n}"),
        kind: TermKind::PerRun,
        payer: tdc.clone(),
        payees: o.payment[0].payees.clone(),
        currency: o.payment[0].currency,
        amount_minor: o.payment[0].amount_minor,
        trigger: Trigger::Completed,
        dataset_id: None,
        pricing: None,
        discount: None,
    });
    let mut parties: Vec<Party> = offers.iter().map(|o| Party { did: o.provider.clone(), role: Kind::Tdp }).collect();
    parties.push(Party { did: tdc.clone(), role: Kind::Tdc });
    parties.push(Party { did: ccrp, role: Kind::Ccrp });
    Contract {
        schema: "contract.v1".into(),
        registry: house.registry(),
        contract_id: ContractId::new(Uuid::now_v7()),
        version: 1,
        supersedes: None,
        template: "training-v1".into(),
        parties,
        purpose: "TRAINING".into(),
        jurisdiction: "IN".into(),
        effective_from: start(),
        expires_at: start().plus_seconds(30 * 86_400),
        datasets: datasets.collect(),
        compute: Compute {
            image_sets: vec![image_set_id()],
            evidence: vec![EvidenceKind::Software],
            platform_level: "baseline".into(),
            rooms_max: None,
        },
        outputs: Outputs {
            kinds: vec!["model".into()],
            recipient: tdc.clone(),
            release: "encrypted_to_recipient".into(),
        },
        payment: payment.collect(),
        revocation: Revocation { by: vec![Kind::Tdp], notice_seconds: 0, running: Running::Abort, conditions: vec![] },
        obligations: Obligations { risk_statement: "r".into() },
        max_runs: None,
        rules: Vec::new(),
    }
}

pub fn revoke(house: &House, contract: &ContractRef) -> ContractRevoke {
    ContractRevoke {
        schema: "contract-revoke.v1".into(),
        registry: house.registry(),
        contract: contract.clone(),
        reason: "No longer wanted".into(),
        cause: schemas::contract::Cause::AtWill,
        revoked_at: house.now(),
    }
}

pub fn job(house: &House, contract: &ContractRef) -> JobSpec {
    let column = |handle: &str, column: &str| ColumnRef { handle: handle.into(), column: column.into() };
    let feature =
        |handle: &str| Feature { column: column(handle, "x"), lower: real("0"), upper: real("9"), form: None };
    let offers = [offer(house, 0), offer(house, 1)];
    let dataset =
        |n: usize| JobDataset { dataset_id: offers[n].dataset_id.clone(), version: 1, handle: format!("t{n}") };
    let tdc = house.tdc.did().unwrap();
    let join = Join {
        name: "joined".into(),
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
    };
    let train = Training {
        name: "model".into(),
        input: "joined".into(),
        private: true,
        model: Model::LogisticRegression,
        features: vec![feature("t0"), feature("t1")],
        target: column("t0", "y"),
        positive: "1".into(),
        principal: column("t0", "k"),
        epsilon: Some(real("1.0")),
        delta: Some(real("0.0000472")),
        steps: 20,
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
    };
    let output = Output {
        input: "model".into(),
        kind: OutputKind::Model,
        recipient: tdc.clone(),
        recipient_jwk: Jwk::x25519([9; 32]),
        upload: "file:///out".into(),
    };
    JobSpec {
        schema: "job.v1".into(),
        registry: house.registry(),
        job_id: JobId::new(Uuid::now_v7()),
        tdc,
        ccrp: house.ccrp.did().unwrap(),
        contracts: vec![contract.clone()],
        image_set_id: image_set_id(),
        purpose: "TRAINING".into(),
        datasets: vec![dataset(0), dataset(1)],
        stages: vec![Stage::Join(join), Stage::Train(train), Stage::Output(output)],
        rooms: None,
        expires_at: house.now().plus_seconds(86_400),
    }
}
