//! Disputes about money: opened and answered by parties, ruled by two people of the SRO.

use contract_client::Client;
use schemas::desk::{DisputeReceipt, DisputeView, ObligationView};
use schemas::dispute::{Dispute, DisputeAnswer, DisputeClose, DisputeRuling, Ruling};
use schemas::id::{ContractId, DisputeId};
use schemas::{Document, Envelope, R, Timestamp};
use signing::{Signer, Trust};

/// Disputes of one contract, or all that the caller may read about.
pub fn list(client: &Client, contract: Option<&ContractId>) -> R<Vec<DisputeView>> {
    Ok(client.disputes(contract)?.disputes)
}

/// Opens a dispute about an obligation, as a party of its contract.
pub fn open(
    client: &Client,
    payment: &ObligationView,
    (dispute_id, reason): (DisputeId, &str),
    key: &dyn Signer,
    (trust, now): (&Trust, Timestamp),
) -> R<DisputeReceipt> {
    let dispute = Dispute {
        schema: Dispute::SCHEMA.into(),
        registry: trust.registry.clone(),
        dispute_id,
        contract: payment.contract.clone(),
        instruction_id: payment.instruction_id.clone(),
        opener: key.did()?,
        reason: reason.to_owned(),
        at: now,
    };
    client.open_dispute(&signing::sign(&dispute, key, now)?)
}

/// Answers a dispute, as the other side.
pub fn answer(
    client: &Client,
    (dispute_id, reason): (&DisputeId, &str),
    key: &dyn Signer,
    (trust, now): (&Trust, Timestamp),
) -> R<DisputeReceipt> {
    let answer = DisputeAnswer {
        schema: DisputeAnswer::SCHEMA.into(),
        registry: trust.registry.clone(),
        dispute_id: dispute_id.clone(),
        by: key.did()?,
        reason: reason.to_owned(),
        at: now,
    };
    client.answer_dispute(dispute_id, &signing::sign(&answer, key, now)?)
}

/// Drafts a ruling, which two people of the SRO sign.
pub fn ruling(
    dispute_id: &DisputeId,
    ruling: Ruling,
    reason: &str,
    (trust, now): (&Trust, Timestamp),
) -> R<Envelope<DisputeRuling>> {
    Envelope::draft(&DisputeRuling {
        schema: DisputeRuling::SCHEMA.into(),
        registry: trust.registry.clone(),
        dispute_id: dispute_id.clone(),
        ruling,
        reason: reason.to_owned(),
        at: now,
    })
}

/// Drafts the end of a ruled dispute, which two people of the SRO sign, or its opener.
pub fn closing(dispute_id: &DisputeId, reason: &str, (trust, now): (&Trust, Timestamp)) -> R<Envelope<DisputeClose>> {
    Envelope::draft(&DisputeClose {
        schema: DisputeClose::SCHEMA.into(),
        registry: trust.registry.clone(),
        dispute_id: dispute_id.clone(),
        reason: reason.to_owned(),
        at: now,
    })
}

/// Closes a ruled dispute, as its opener.
pub fn close(client: &Client, draft: &Envelope<DisputeClose>, key: &dyn Signer, now: Timestamp) -> R<DisputeReceipt> {
    let signed = crate::paper::add_signature(draft, key, now)?;
    client.close_dispute(&signed.read_unverified()?.dispute_id, &signed)
}
