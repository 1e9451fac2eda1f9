//! Disputes about money: opened and answered by parties, ruled by two people of the SRO.

use contract_client::Client;
use schemas::desk::{DisputeReceipt, DisputeView, ObligationView};
use schemas::dispute::{Dispute, DisputeAnswer, DisputeClose, DisputeRuling, Ruling};
use schemas::id::{ContractId, DisputeId};
use schemas::{Document, Envelope, R, Timestamp};
use signing::{Signer, Trust};

use super::amount;
use crate::table::Table;

/// Disputes of one contract, or all that the caller may read about.
pub fn list(client: &Client, contract: Option<&ContractId>) -> R<Vec<DisputeView>> {
    Ok(client.disputes(contract)?.disputes)
}

/// Disputes as a table.
pub fn table(disputes: &[DisputeView]) -> Table<5> {
    let rows = disputes.iter().map(|one| {
        let about = match (&one.instruction_id, one.suspense) {
            (Some(id), true) => format!("in suspense, came for {id}"),
            (None, true) => "in suspense".to_owned(),
            (id, false) => format!("obligation {}", id.as_deref().unwrap_or_default()),
        };
        let (amount, ruling) = (amount(one.amount_minor, one.currency), one.ruling.clone().unwrap_or_default());
        [one.dispute_id.to_string(), amount, one.state.clone(), ruling, about]
    });
    Table::new(["dispute", "amount", "state", "ruling", "about"], rows).numbers(&["amount"])
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disputes_stand_under_one_another_with_what_they_are_about() {
        let dispute =
            |amount: i64, state: &str, about: Option<&str>, suspense: bool, ruling: Option<&str>| -> DisputeView {
                let id = "dsp_01900000-0000-7000-8000-000000000001";
                serde_json::from_value(serde_json::json!({"dispute_id": id, "state": state, "contract": null,
                "instruction_id": about, "opener": "did:web:tdc.example", "currency": "INR", "amount_minor": amount,
                "suspense": suspense, "opened_at": "2026-12-01T10:00:00Z", "answer_by": "2026-12-08T10:00:00Z",
                "ruling": ruling, "dispute": null, "answer": null, "ruled": null, "closed": null}))
                .unwrap()
            };
        let all = [
            dispute(500_000, "ruled", Some("AAAA"), false, Some("stand")),
            dispute(7, "open", Some("BBBB"), true, None),
            dispute(7, "open", None, true, None),
        ];
        let text = table(&all).text();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 4, "{text}");
        assert!(lines[1].ends_with("  INR 5000.00  ruled  stand   obligation AAAA"), "{text}");
        assert!(lines[2].ends_with("     INR 0.07  open           in suspense, came for BBBB"), "{text}");
        assert!(lines[3].ends_with("in suspense"), "{text}");
        assert_eq!(table(&[]).text(), "none");
    }
}
