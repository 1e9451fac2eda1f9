//! Offers, contract and job of the test world: our provider's table `a` and the other provider's table `b`, joined by
//! `person`, trained privately.

use schemas::contract::{
    Assurance, Compute, Contract, ContractDataset, ContractKey, ContractRef, Obligations, Outputs, Party, PaymentTerm,
    Revocation, Running, TermKind, Trigger,
};
use schemas::dataset::{Column, ColumnType, DataCard, DatasetOffer, OfferKey, Reference, SealedObject, Usage};
use schemas::evidence::EvidenceKind;
use schemas::id::{ContractId, DataKeyId, DatasetId, FamilyId, ImageSetId, JobId};
use schemas::job::{JobDataset, JobSpec};
use schemas::jwk::Jwk;
use schemas::money::{Currency, Minor};
use schemas::party::Kind;
use schemas::pipeline::{ColumnRef, Feature, Join, JoinKind, JoinStep, Model, Output, OutputKind, Stage, Training};
use schemas::privacy::{Accountant, Adjacency, Clause, Scope, Unit};
use schemas::text::{Bytes, Real};
use schemas::{Digest, Signer};
use signing::FileKey;

use super::people::{People, start, uuid};

pub fn real(text: &str) -> Real {
    Real::parse(text).unwrap()
}

pub fn clause(epsilon: &str) -> Clause {
    Clause {
        unit: Unit::Principal,
        adjacency: Adjacency::AddRemove,
        epsilon: real(epsilon),
        delta: real("0.00005"),
        accountant: Accountant::Rdp,
        scope: Scope::PerTdc,
        level: 1,
        without_differential_privacy: false,
    }
}

/// A provider's table with its key.
pub struct Table {
    pub dataset_id: DatasetId,
    pub family: FamilyId,
    pub key_id: DataKeyId,
    pub manifest_root: Digest,
}

impl Table {
    pub fn new(name: &str) -> Table {
        Table {
            dataset_id: DatasetId::new(uuid()),
            family: FamilyId::new(uuid()),
            key_id: DataKeyId::new(uuid()),
            manifest_root: Digest::of(name.as_bytes()),
        }
    }
}

pub fn offer(people: &People, provider: &FileKey, table: &Table, kms: &str, kms_jwk: &Jwk) -> DatasetOffer {
    let number = |name: &str| Column {
        name: name.into(),
        column_type: ColumnType::Number,
        lower: Some(real("0")),
        upper: Some(real("100")),
    };
    let text = |name: &str| Column { name: name.into(), column_type: ColumnType::Text, lower: None, upper: None };
    DatasetOffer {
        schema: "dataset-offer.v1".into(),
        registry: people.registry_did(),
        dataset_id: table.dataset_id.clone(),
        version: 1,
        offer_version: 1,
        family: table.family.clone(),
        provider: provider.did().unwrap(),
        name: "A table".into(),
        reference: Reference::plain("Example Ltd"),
        columns: vec![text("person"), number("age"), number("secret"), text("outcome")],
        objects: vec![SealedObject { url: "file:///data/a.depa".into(), bytes: 1000, media_type: "text/csv".into() }],
        manifest_root: table.manifest_root,
        key: OfferKey {
            kms: kms.into(),
            kms_jwk: kms_jwk.clone(),
            key_id: table.key_id.clone(),
            min_assurance: Assurance::Software,
        },
        public_rows: 2000,
        usage: Usage {
            purposes: vec!["TRAINING".into()],
            allowed_columns: vec!["age".into()],
            join_keys: vec!["person".into()],
            target_columns: vec!["outcome".into()],
            rules: Vec::new(),
        },
        privacy_cap: clause("2.0"),
        renewable_to: None,
        principal_pool: None,
        discounts: Vec::new(),
        statistics: None,
        payment: vec![],
        data_card: DataCard {
            description: "d".into(),
            collection: "c".into(),
            limitations: "l".into(),
            personal_data: "p".into(),
            licence: "l".into(),
        },
        offered_at: start(),
    }
}

pub fn contracted(offer: &DatasetOffer, offer_sha256: Digest) -> ContractDataset {
    ContractDataset {
        dataset_id: offer.dataset_id.clone(),
        version: offer.version,
        family: offer.family.clone(),
        provider: offer.provider.clone(),
        offer_sha256,
        manifest_root: offer.manifest_root,
        key: ContractKey {
            kms: offer.key.kms.clone(),
            key_id: offer.key.key_id.clone(),
            min_assurance: offer.key.min_assurance,
        },
        public_rows: offer.public_rows,
        allowed_columns: offer.usage.allowed_columns.clone(),
        join_keys: offer.usage.join_keys.clone(),
        target_columns: offer.usage.target_columns.clone(),
        privacy: clause("1.0"),
        kbs: None,
    }
}

pub fn contract(people: &People, datasets: Vec<ContractDataset>, image_set: &ImageSetId) -> Contract {
    let party = |key: &FileKey, role| Party { did: key.did().unwrap(), role };
    Contract {
        schema: "contract.v1".into(),
        registry: people.registry_did(),
        contract_id: ContractId::new(uuid()),
        version: 1,
        supersedes: None,
        template: "training-v1".into(),
        parties: vec![
            party(&people.tdp, Kind::Tdp),
            party(&people.other_tdp, Kind::Tdp),
            party(&people.tdc, Kind::Tdc),
            party(&people.ccrp, Kind::Ccrp),
        ],
        purpose: "TRAINING".into(),
        jurisdiction: "IN".into(),
        effective_from: start().plus_seconds(-3600),
        expires_at: start().plus_seconds(30 * 86_400),
        datasets,
        compute: Compute {
            image_sets: vec![image_set.clone()],
            evidence: vec![EvidenceKind::Software],
            platform_level: "baseline".into(),
            rooms_max: None,
        },
        outputs: Outputs {
            kinds: vec!["model".into()],
            recipient: people.tdc.did().unwrap(),
            release: "encrypted_to_recipient".into(),
        },
        payment: vec![PaymentTerm {
            term_id: "p1".into(),
            kind: TermKind::Free,
            payer: people.tdc.did().unwrap(),
            payees: vec![],
            currency: Currency::parse("INR").unwrap(),
            amount_minor: Minor::new(0).unwrap(),
            trigger: Trigger::Completed,
            dataset_id: None,
            pricing: None,
            discount: None,
        }],
        revocation: Revocation { by: vec![Kind::Tdp], notice_seconds: 0, running: Running::Abort, conditions: vec![] },
        obligations: Obligations { risk_statement: "understood".into() },
        max_runs: None,
        rules: Vec::new(),
    }
}

fn column(handle: &str, column: &str) -> ColumnRef {
    ColumnRef { handle: handle.into(), column: column.into() }
}

pub fn stages(people: &People) -> (Join, Training, Output) {
    let (age_a, age_b, target) = (column("a", "age"), column("b", "age"), column("a", "outcome"));
    let join = Join {
        name: "joined".into(),
        first: "a".into(),
        steps: vec![JoinStep {
            handle: "b".into(),
            kind: JoinKind::Inner,
            left: column("a", "person"),
            right: column("b", "person"),
        }],
        projection: vec![column("a", "person"), age_a.clone(), age_b.clone(), target.clone()],
        filters: vec![],
        aggregates: vec![],
    };
    let feature = |column| Feature { column, lower: real("0"), upper: real("100"), form: None };
    let training = Training {
        name: "model".into(),
        input: "joined".into(),
        private: true,
        model: Model::LogisticRegression,
        features: vec![feature(age_a), feature(age_b)],
        target,
        positive: "yes".into(),
        principal: column("a", "person"),
        epsilon: Some(real("0.9")),
        delta: Some(real("0.00005")),
        steps: 50,
        sample_rate: real("0.05"),
        clipping_norm: real("1.0"),
        learning_rate: real("0.5"),
        split_salt: Bytes(vec![3; 32]),
        train_ppm: 700_000,
        init_seed: 1,
        metrics: None,
        recipe: None,
        labels: None,
        weights: None,
    };
    let output = Output {
        input: "model".into(),
        kind: OutputKind::Model,
        recipient: people.tdc.did().unwrap(),
        recipient_jwk: signing::jose::EncKey::generate().unwrap().jwk().clone(),
        upload: "file:///out/model.depa".into(),
    };
    (join, training, output)
}

pub fn job(people: &People, contracts: Vec<ContractRef>, tables: [&Table; 2], image_set: &ImageSetId) -> JobSpec {
    let (join, training, output) = stages(people);
    let dataset = |table: &Table, handle: &str| JobDataset {
        dataset_id: table.dataset_id.clone(),
        version: 1,
        handle: handle.into(),
    };
    JobSpec {
        schema: "job.v1".into(),
        registry: people.registry_did(),
        job_id: JobId::new(uuid()),
        tdc: people.tdc.did().unwrap(),
        ccrp: people.ccrp.did().unwrap(),
        contracts,
        image_set_id: image_set.clone(),
        purpose: "TRAINING".into(),
        datasets: vec![dataset(tables[0], "a"), dataset(tables[1], "b")],
        stages: vec![Stage::Join(join), Stage::Train(training), Stage::Output(output)],
        rooms: None,
        expires_at: start().plus_seconds(7 * 86_400),
    }
}

/// The key of a FileKey, for offers.
pub fn jwk(key: &FileKey) -> Jwk {
    key.jwk().clone()
}
