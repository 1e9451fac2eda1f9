//! Datasets: sealed by their provider, offered in a signed document, found by consumers.

pub mod acts;
pub mod charge;
pub mod forget;
pub mod form;
pub mod init;
pub mod kms;
pub mod line;
pub mod profile;
pub mod record;
pub mod renewal;
pub mod sample;
pub mod seal;
pub mod sketch;
pub mod verify;

use contract_client::Client;
use schemas::bundle::Logged;
use schemas::contract::Payee;
use schemas::dataset::{DatasetOffer, OfferKey, PriceTerm, Reference, SealedObject, Usage};
use schemas::desk::DatasetView;
use schemas::id::{DatasetId, Did};
use schemas::log::Receipt;
use schemas::privacy::{Accountant, Adjacency, Clause, Unit};
use schemas::{Code, Entered, Envelope, R, Refusal, Timestamp};
use signing::book::PinnedBook;
use signing::{Signer, Trust};

pub use form::{ColumnForm, Description};
pub use line::DatasetLine;
pub use seal::{SealedDataset, seal};

/// Builds and signs the offer of a sealed dataset. The rules of the register are asked before signing.
pub fn offer(
    description: &Description,
    sealed: &SealedDataset,
    key: &dyn Signer,
    trust: &Trust,
    now: Timestamp,
) -> R<Envelope<DatasetOffer>> {
    sign(&draft(description, sealed, key.did()?, trust, now), key, trust, now)
}

/// Signs an offer that the register would take.
pub fn sign(offer: &DatasetOffer, key: &dyn Signer, trust: &Trust, now: Timestamp) -> R<Envelope<DatasetOffer>> {
    policies::registration::offer(offer, &trust.registry, now)?;
    signing::sign(offer, key, now)
}

/// The offer of a sealed dataset, without statistics.
pub fn draft(
    description: &Description,
    sealed: &SealedDataset,
    provider: Did,
    trust: &Trust,
    now: Timestamp,
) -> DatasetOffer {
    let usage = &description.usage;
    let payment = description.price.iter().map(|p| PriceTerm {
        term_id: p.term_id.clone(),
        kind: p.kind,
        payees: match p.payees.is_empty() {
            true => vec![Payee { did: provider.clone(), share_ppm: 1_000_000 }],
            false => p.payees.clone(),
        },
        currency: p.currency,
        amount_minor: p.amount_minor,
        trigger: p.trigger,
        pricing: p.pricing.clone(),
    });
    DatasetOffer {
        schema: "dataset-offer.v1".into(),
        registry: trust.registry.clone(),
        dataset_id: sealed.dataset_id.clone(),
        version: sealed.version,
        offer_version: description.offer_version,
        family: sealed.family.clone(),
        name: description.name.clone(),
        reference: description.reference.clone().unwrap_or_else(|| Reference::plain(provider.to_string())),
        columns: description.columns.iter().map(ColumnForm::public).collect(),
        objects: vec![SealedObject {
            url: sealed.url.clone(),
            bytes: sealed.bytes,
            media_type: sealed.media_type.clone(),
        }],
        manifest_root: sealed.manifest_root,
        key: OfferKey {
            kms: sealed.kms.clone(),
            kms_jwk: sealed.kms_jwk.clone(),
            key_id: sealed.key_id.clone(),
            min_assurance: sealed.min_assurance,
        },
        public_rows: description.public_rows,
        usage: Usage {
            purposes: usage.purposes.clone(),
            allowed_columns: usage.allowed_columns.clone(),
            join_keys: usage.join_keys.clone(),
            target_columns: usage.target_columns.clone(),
            rules: usage.rules.clone(),
        },
        privacy_cap: Clause {
            unit: Unit::Principal,
            adjacency: Adjacency::AddRemove,
            epsilon: description.cap.epsilon.clone(),
            delta: description.cap.delta.clone(),
            accountant: Accountant::Rdp,
            scope: description.cap.scope,
            level: description.cap.level,
            without_differential_privacy: description.cap.without_differential_privacy,
        },
        renewable_to: description.cap.renewable_to.clone(),
        payment: payment.collect(),
        discounts: description.discounts.clone(),
        statistics: None,
        principal_pool: description.principal_pool.clone(),
        data_card: description.card.clone(),
        offered_at: now,
        provider,
    }
}

/// Registers a signed offer.
pub fn publish(client: &Client, offer: &Envelope<DatasetOffer>) -> R<Receipt> {
    client.register_dataset(offer)
}

/// All registered datasets.
pub fn list(client: &Client) -> R<Vec<DatasetLine>> {
    let mut all = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let page = client.datasets(cursor.as_deref())?;
        all.extend(page.datasets.into_iter().map(DatasetLine::of));
        match page.next {
            Some(next) if all.len() < MAX_LISTED => cursor = Some(next),
            _ => return Ok(all),
        }
    }
}

/// The newest version of a dataset, as the register shows it; nothing is verified.
pub fn show(client: &Client, id: &DatasetId) -> R<DatasetView> {
    client.dataset(id)
}

/// The newest offer of a dataset with every signature and receipt verified under pinned trust: the provider is
/// verified by two SRO people and signed the offer, and the offer stands in the log. The client acts for somebody who may
/// read where the key lies: the provider, a consumer, a party of a contract over the dataset.
pub fn verified_offer(client: &Client, trust: &Trust, id: &DatasetId) -> R<Entered<DatasetOffer>> {
    let logged = client.signed_offer(id)?;
    let provider = logged.envelope.read_unverified()?.provider;
    let party = client.participant(&provider)?;
    let unverified = || Refusal::new(Code::ParticipantNotVerified, format!("{provider} is not verified by the SRO"));
    let decision = party.decision.ok_or_else(unverified)?;
    let offer = enter_offer(logged, party.application, decision, trust)?;
    if &offer.dataset_id != id {
        return Err(Refusal::new(Code::PeerFault, "the service answered with another dataset"));
    }
    Ok(offer)
}

fn enter_offer(
    offer: Logged<DatasetOffer>,
    application: Envelope<schemas::party::Participant>,
    decision: Logged<schemas::party::ParticipantDecision>,
    trust: &Trust,
) -> R<Entered<DatasetOffer>> {
    let sha256 = application.digest();
    let application = signing::book::verify_application(application, &trust.registry)?;
    let origin = trust.origin.as_str();
    let decision = signing::entered(decision, &trust.registry, trust, origin, trust)?;
    trust.two_people(&decision)?;
    let about = decision.participant == application.did && decision.participant_sha256 == sha256;
    if !about || decision.decision != schemas::party::Decision::Verified {
        let sentence = format!("{} is not verified by the SRO", application.did);
        return Err(Refusal::new(Code::ParticipantNotVerified, sentence));
    }
    let mut book = PinnedBook::new(trust.clone());
    book.add_party(&application.did, application.kind, application.jwk.clone());
    let offer = signing::entered(offer, &trust.registry, &book, origin, trust)?;
    if !offer.signed_by(&offer.provider) || offer.signers().len() != 1 {
        return Err(Refusal::new(Code::SignerNotParty, "an offer is signed by its provider alone"));
    }
    Ok(offer)
}

/// The most datasets that `list` collects.
const MAX_LISTED: usize = 10_000;
