//! The documents of the load: three providers with an offer each, one consumer, one clean-room provider.

use schemas::contract::*;
use schemas::dataset::{
    Column, ColumnType, DataCard, DatasetOffer, OfferKey, PriceTerm, Reference, SealedObject, Usage,
};
use schemas::evidence::{EvidenceKind, ImageSet};
use schemas::id::{ContractId, DataKeyId, DatasetId, Did, FamilyId, ImageSetId};
use schemas::money::{Currency, Minor};
use schemas::party::{Kind, Participant};
use schemas::privacy::{Accountant, Adjacency, Clause, Scope, Unit};
use schemas::text::{Bytes, Real};
use schemas::{Digest, R, Signer as _, Timestamp};
use signing::FileKey;
use uuid::Uuid;

/// An application.
pub fn participant(registry: &Did, key: &FileKey, kind: Kind, name: &str, now: Timestamp) -> R<Participant> {
    Ok(Participant {
        schema: "participant.v1".into(),
        registry: registry.clone(),
        did: key.did()?,
        kind,
        legal_name: name.into(),
        jurisdiction: "IN".into(),
        jwk: key.jwk().clone(),
        applied_at: now,
    })
}

/// A software image set: the load never runs a room.
pub fn image_set(registry: &Did, now: Timestamp) -> ImageSet {
    let pcrs = ["4", "7", "9", "11", "12"].map(|n| (n.to_owned(), Digest([7; 32]))).into();
    ImageSet {
        schema: "image-set.v1".into(),
        registry: registry.clone(),
        image_set_id: ImageSetId::new(Uuid::now_v7()),
        name: "bench room (SIMULATED)".into(),
        profile: EvidenceKind::Software,
        pcrs,
        measurements: vec![Bytes(vec![1; 48])],
        id_key_digests: vec![],
        host_data: None,
        valid_from: now,
        valid_to: now.plus_seconds(90 * 86_400),
    }
}

fn clause() -> R<Clause> {
    Ok(Clause {
        unit: Unit::Principal,
        adjacency: Adjacency::AddRemove,
        epsilon: Real::parse("1.0")?,
        delta: Real::parse("0.0000472")?,
        accountant: Accountant::Rdp,
        scope: Scope::PerTdc,
        level: 1,
        without_differential_privacy: false,
    })
}

/// A provider's offer.
pub fn offer(registry: &Did, key: &FileKey, kms: &FileKey, n: usize, now: Timestamp) -> R<DatasetOffer> {
    let did = key.did()?;
    let number = |name: &str| -> R<Column> {
        let bound = |text| Real::parse(text).map(Some);
        Ok(Column { name: name.into(), column_type: ColumnType::Number, lower: bound("0")?, upper: bound("9")? })
    };
    Ok(DatasetOffer {
        schema: "dataset-offer.v1".into(),
        registry: registry.clone(),
        dataset_id: DatasetId::new(Uuid::now_v7()),
        version: 1,
        offer_version: 1,
        family: FamilyId::new(Uuid::now_v7()),
        provider: did.clone(),
        name: format!("Table {n}"),
        reference: Reference::plain(format!("Provider {n}")),
        columns: vec![
            Column { name: "k".into(), column_type: ColumnType::Text, lower: None, upper: None },
            number("x")?,
            number("y")?,
        ],
        objects: vec![SealedObject {
            url: format!("file:///data/{n}.sealed"),
            bytes: 4096,
            media_type: "text/csv".into(),
        }],
        manifest_root: Digest::of(format!("table {n}").as_bytes()),
        key: OfferKey {
            kms: format!("http://127.0.0.1:90{n:02}"),
            kms_jwk: kms.jwk().clone(),
            key_id: DataKeyId::new(Uuid::now_v7()),
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
        privacy_cap: clause()?,
        renewable_to: None,
        principal_pool: None,
        discounts: Vec::new(),
        statistics: None,
        payment: vec![PriceTerm {
            term_id: "p1".into(),
            kind: TermKind::PerRun,
            payees: vec![Payee { did, share_ppm: 1_000_000 }],
            currency: Currency::parse("INR")?,
            amount_minor: Minor::new(500_000)?,
            trigger: Trigger::Completed,
            pricing: None,
        }],
        data_card: DataCard {
            description: "Made for measuring".into(),
            collection: "Generated".into(),
            limitations: "Not real".into(),
            personal_data: "None".into(),
            licence: "CC0".into(),
        },
        offered_at: now,
    })
}

/// Who signs a contract, and over what.
pub struct Ground {
    /// The registry.
    pub registry: Did,
    /// Offers with their digests.
    pub offers: Vec<(DatasetOffer, Digest)>,
    /// The consumer.
    pub tdc: Did,
    /// The clean-room provider.
    pub ccrp: Did,
    /// The approved image set.
    pub image_set: ImageSetId,
}

/// A contract of all offers; a fresh id each time.
pub fn contract(ground: &Ground, now: Timestamp) -> Contract {
    let datasets = ground.offers.iter().map(|(o, sha256)| ContractDataset {
        dataset_id: o.dataset_id.clone(),
        version: o.version,
        family: o.family.clone(),
        provider: o.provider.clone(),
        offer_sha256: *sha256,
        manifest_root: o.manifest_root,
        key: ContractKey { kms: o.key.kms.clone(), key_id: o.key.key_id.clone(), min_assurance: o.key.min_assurance },
        public_rows: o.public_rows,
        allowed_columns: o.usage.allowed_columns.clone(),
        join_keys: o.usage.join_keys.clone(),
        target_columns: o.usage.target_columns.clone(),
        privacy: o.privacy_cap.clone(),
        kbs: None,
    });
    let terms = ground.offers.iter().flat_map(|(o, _)| &o.payment).enumerate();
    let payment = terms.map(|(n, price)| PaymentTerm {
        term_id: format!("p{n}"),
        kind: price.kind,
        payer: ground.tdc.clone(),
        payees: price.payees.clone(),
        currency: price.currency,
        amount_minor: price.amount_minor,
        trigger: price.trigger,
        dataset_id: None,
        pricing: None,
        discount: None,
    });
    let mut parties: Vec<Party> =
        ground.offers.iter().map(|(o, _)| Party { did: o.provider.clone(), role: Kind::Tdp }).collect();
    parties.push(Party { did: ground.tdc.clone(), role: Kind::Tdc });
    parties.push(Party { did: ground.ccrp.clone(), role: Kind::Ccrp });
    Contract {
        schema: "contract.v1".into(),
        registry: ground.registry.clone(),
        contract_id: ContractId::new(Uuid::now_v7()),
        version: 1,
        supersedes: None,
        template: "training-v1".into(),
        parties,
        purpose: "TRAINING".into(),
        jurisdiction: "IN".into(),
        effective_from: now,
        expires_at: now.plus_seconds(30 * 86_400),
        datasets: datasets.collect(),
        compute: Compute {
            image_sets: vec![ground.image_set.clone()],
            evidence: vec![EvidenceKind::Software],
            platform_level: "baseline".into(),
            rooms_max: None,
        },
        outputs: Outputs {
            kinds: vec!["model".into()],
            recipient: ground.tdc.clone(),
            release: "encrypted_to_recipient".into(),
        },
        payment: payment.collect(),
        revocation: Revocation { by: vec![Kind::Tdp], notice_seconds: 0, running: Running::Abort, conditions: vec![] },
        obligations: Obligations { risk_statement: "None; made for measuring.".into() },
        max_runs: None,
        rules: Vec::new(),
    }
}
