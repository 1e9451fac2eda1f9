//! Valid documents, to be spoilt one thing at a time.

use std::collections::BTreeMap;

use policies::lifecycle::ParticipantRow;
use schemas::contract::*;
use schemas::dataset::{
    Column, ColumnType, DataCard, DatasetOffer, OfferKey, PriceTerm, Reference, SealedObject, Usage,
};
use schemas::evidence::{EvidenceKind, ImageSet};
use schemas::id::{ContractId, DataKeyId, DatasetId, Did, FamilyId, ImageSetId};
use schemas::money::{Currency, Minor};
use schemas::party::{Decision, Kind, Participant, ParticipantDecision};
use schemas::privacy::{Accountant, Adjacency, Clause, Scope, Unit};
use schemas::text::{Bytes, Real};
use schemas::{Digest, Envelope, Signer, Timestamp};
use signing::FileKey;
use uuid::Uuid;

use crate::house::{start, uuid};

pub fn registry() -> Did {
    Did::parse("did:web:sro.example").unwrap()
}

fn fixed(n: u128) -> Uuid {
    Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0000 + n)
}

pub fn participant(who: &FileKey, kind: Kind) -> Participant {
    Participant {
        schema: "participant.v1".into(),
        registry: registry(),
        did: who.did().unwrap(),
        kind,
        // No two names may look alike.
        legal_name: format!("Example {}", Digest::of(who.jwk().thumbprint().as_bytes())),
        jurisdiction: "IN".into(),
        jwk: who.jwk().clone(),
        applied_at: start(),
    }
}

pub fn decision(row: &ParticipantRow, decision: Decision, at: Timestamp) -> ParticipantDecision {
    ParticipantDecision {
        schema: "participant-decision.v1".into(),
        registry: registry(),
        participant: row.participant.did.clone(),
        participant_sha256: row.application.digest(),
        decision,
        reason: "Papers seen".into(),
        decided_at: at,
    }
}

pub fn image_set_id() -> ImageSetId {
    ImageSetId::new(fixed(7))
}

pub fn image_set() -> ImageSet {
    let pcrs = ["4", "7", "9", "11", "12"].iter().map(|i| ((*i).to_owned(), Digest([9; 32])));
    ImageSet {
        schema: "image-set.v1".into(),
        registry: registry(),
        image_set_id: image_set_id(),
        name: "room 0.1".into(),
        profile: EvidenceKind::Software,
        pcrs: pcrs.collect::<BTreeMap<_, _>>(),
        measurements: vec![Bytes(vec![8; 48])],
        id_key_digests: vec![],
        host_data: None,
        valid_from: start(),
        valid_to: start().plus_seconds(90 * 86_400),
    }
}

pub fn clause() -> Clause {
    Clause {
        unit: Unit::Principal,
        adjacency: Adjacency::AddRemove,
        epsilon: Real::parse("1.0").unwrap(),
        delta: Real::parse("0.00001").unwrap(),
        accountant: Accountant::Rdp,
        scope: Scope::PerTdc,
        level: 1,
        without_differential_privacy: false,
    }
}

pub fn kms_url(n: usize) -> String {
    format!("http://127.0.0.1:90{n:02}")
}

pub fn offer(n: usize, tdp: &FileKey, kms: &FileKey) -> DatasetOffer {
    let did = tdp.did().unwrap();
    let number = |name: &str| Column {
        name: name.into(),
        column_type: ColumnType::Number,
        lower: Real::parse("0").ok(),
        upper: Real::parse("9").ok(),
    };
    DatasetOffer {
        schema: "dataset-offer.v1".into(),
        registry: registry(),
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

pub fn contract(offers: [Envelope<DatasetOffer>; 2], tdc: &Did, ccrp: &Did) -> Contract {
    let read: Vec<DatasetOffer> = offers.iter().map(|o| o.read_unverified().unwrap()).collect();
    let datasets = offers.iter().zip(&read).map(|(envelope, o)| ContractDataset {
        dataset_id: o.dataset_id.clone(),
        version: o.version,
        family: o.family.clone(),
        provider: o.provider.clone(),
        offer_sha256: envelope.digest(),
        manifest_root: o.manifest_root,
        key: ContractKey { kms: o.key.kms.clone(), key_id: o.key.key_id.clone(), min_assurance: o.key.min_assurance },
        public_rows: o.public_rows,
        allowed_columns: o.usage.allowed_columns.clone(),
        join_keys: o.usage.join_keys.clone(),
        target_columns: o.usage.target_columns.clone(),
        privacy: o.privacy_cap.clone(),
        kbs: None,
    });
    let payment = read.iter().enumerate().map(|(n, o)| PaymentTerm {
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
    let mut parties: Vec<Party> = read.iter().map(|o| Party { did: o.provider.clone(), role: Kind::Tdp }).collect();
    parties.push(Party { did: tdc.clone(), role: Kind::Tdc });
    parties.push(Party { did: ccrp.clone(), role: Kind::Ccrp });
    Contract {
        schema: "contract.v1".into(),
        registry: registry(),
        contract_id: ContractId::new(uuid()),
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
