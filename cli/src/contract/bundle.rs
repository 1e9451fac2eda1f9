//! Contracts proved offline: every signature and every receipt in a bundle holds under pinned trust.

use schemas::contract::Contract;
use schemas::desk::{ContractBundle, ContractReceipt};
use schemas::event::Body;
use schemas::log::{Checkpoint, check_consistency};
use schemas::{Code, Entered, R, Refusal, canonical};
use signing::book::PinnedBook;
use signing::{Trust, note};

use crate::audit::quorum::{self, Cosigned};

/// A contract bundle opened under pinned trust: every signature and receipt in it holds.
#[derive(Debug)]
pub struct VerifiedBundle {
    /// The contracts, each signed by all its parties and entered in the log.
    pub contracts: Vec<Entered<Contract>>,
    /// Offers.
    pub offers: usize,
    /// Participants.
    pub participants: usize,
    /// Image sets.
    pub image_sets: usize,
    /// Pinned witnesses that cosigned the log of the contract.
    pub cosigned: Vec<Cosigned>,
}

/// Verifies a file of either form: a contract bundle, or the self-sufficient receipt of a contract.
pub fn verify_file(json: &[u8], trust: &Trust) -> R<VerifiedBundle> {
    let value = canonical::parse_value(json)?;
    let form = |e: serde_json::Error| Refusal::new(Code::ReceiptMismatch, format!("no bundle of a contract: {e}"));
    if value.get("applications").is_some() {
        return verify_receipt(&serde_json::from_value(value).map_err(form)?, trust);
    }
    verify_bundle(&serde_json::from_value(value).map_err(form)?, trust)
}

/// Verifies a contract bundle offline: participants by two SRO people, offers by their providers, image sets by two SRO
/// people, contracts by all their parties, every receipt by the log's key; and that each contract's offers are there.
pub fn verify_bundle(bundle: &ContractBundle, trust: &Trust) -> R<VerifiedBundle> {
    let trust = &trust.following_if(bundle.log_keys.as_ref())?;
    let mut book = PinnedBook::new(trust.clone());
    for participant in &bundle.participants {
        book.admit(participant.clone())?;
    }
    let mut offers = Vec::new();
    for logged in &bundle.offers {
        let offer = book.entered(logged.clone())?;
        if !offer.signed_by(&offer.provider) || offer.signers().len() != 1 {
            return Err(Refusal::new(Code::SignerNotParty, "an offer is signed by its provider alone"));
        }
        offers.push(offer);
    }
    for logged in &bundle.image_sets {
        let image_set = book.entered(logged.clone())?;
        trust.two_people(&image_set)?;
    }
    let mut contracts = Vec::new();
    for logged in &bundle.contracts {
        let contract = book.entered(logged.clone())?;
        trust.fully_signed(&contract)?;
        for terms in &contract.datasets {
            let pinned = offers.iter().find(|o| o.digest() == terms.offer_sha256);
            let missing = || {
                Refusal::new(Code::DatasetUnknown, format!("the offer of {} is not in the bundle", terms.dataset_id))
            };
            policies::registration::terms::dataset(terms, pinned.ok_or_else(missing)?)?;
        }
        contracts.push(contract);
    }
    if contracts.is_empty() {
        return Err(Refusal::new(Code::ContractUnknown, "the bundle holds no contract"));
    }
    Ok(VerifiedBundle {
        contracts,
        offers: offers.len(),
        participants: bundle.participants.len(),
        image_sets: bundle.image_sets.len(),
        cosigned: Vec::new(),
    })
}

/// Verifies the self-sufficient receipt of a contract (`depa-receipt+json`) offline: it is of the pinned registry and
/// log; each party applied, was verified by two SRO people and changed its keys as entered; the contract carries the
/// signatures of all its parties and stands in the log; and the log that holds it was cosigned by the pinned quorum.
pub fn verify_receipt(receipt: &ContractReceipt, trust: &Trust) -> R<VerifiedBundle> {
    let trust = &trust.following_if(receipt.log_keys.as_ref())?;
    if receipt.registry != trust.registry || receipt.origin != trust.origin {
        return Err(Refusal::new(Code::WrongRegistry, "the receipt is of another registry or log").at("registry"));
    }
    let mut book = PinnedBook::new(trust.clone());
    for participant in &receipt.participants {
        book.admit(participant.clone())?;
    }
    for logged in &receipt.applications {
        let of = |p: &schemas::bundle::BundledParticipant| p.application.digest() == logged.application.digest();
        if !receipt.participants.iter().any(of) {
            return Err(Refusal::new(Code::ReceiptMismatch, "an application of somebody who is no participant here"));
        }
        let body =
            Body::ParticipantApplied { application: logged.application.clone(), resolution: logged.resolution.clone() };
        note::verify_receipt(&logged.receipt, &body, &trust.origin, trust)?;
    }
    let contract = book.entered(receipt.contract.clone())?;
    trust.fully_signed(&contract)?;
    let cosigned = cosigned(receipt, trust)?;
    Ok(VerifiedBundle {
        contracts: vec![contract],
        offers: 0,
        participants: receipt.participants.len(),
        image_sets: 0,
        cosigned,
    })
}

/// The cosigned checkpoint is of the log in which the contract stands.
fn cosigned(receipt: &ContractReceipt, trust: &Trust) -> R<Vec<Cosigned>> {
    let Some(text) = &receipt.cosigned else {
        let own = Checkpoint::parse(&receipt.contract.receipt.checkpoint)?;
        return quorum::require(&own, trust);
    };
    let cosigned = note::verify_checkpoint(text, &trust.origin, trust)?;
    let own = Checkpoint::parse(&receipt.contract.receipt.checkpoint)?.head;
    let (old, new) = if own.size <= cosigned.head.size { (&own, &cosigned.head) } else { (&cosigned.head, &own) };
    check_consistency(old, new, &receipt.consistency)?;
    quorum::require(&cosigned, trust)
}
