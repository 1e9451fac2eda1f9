//! Golden documents about disputes and payouts.

use schemas::dispute::{Dispute, DisputeAnswer, DisputeClose, DisputeRuling, PaymentUnmatched};
use schemas::payout::PayoutBatch;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{contract_ref, dataset, digest, registry, tdc, tdp, uuid};

const AT: &str = "2026-12-01T10:00:00Z";

fn read<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

fn dispute_id() -> String {
    format!("dsp_{}", uuid(9))
}

pub fn dispute() -> Dispute {
    read(json!({"schema": "dispute.v1", "registry": registry(), "dispute_id": dispute_id(),
        "contract": contract_ref(), "instruction_id": "A".repeat(32), "opener": tdc(),
        "reason": "It was paid twice", "at": AT}))
}

pub fn dispute_answer() -> DisputeAnswer {
    read(json!({"schema": "dispute-answer.v1", "registry": registry(), "dispute_id": dispute_id(), "by": tdp(),
        "reason": "It came once", "at": AT}))
}

pub fn dispute_ruling() -> DisputeRuling {
    read(json!({"schema": "dispute-ruling.v1", "registry": registry(), "dispute_id": dispute_id(),
        "ruling": {"is": "release", "instruction_id": "A".repeat(32)}, "reason": "The reference was mistyped", "at": AT}))
}

pub fn dispute_close() -> DisputeClose {
    read(json!({"schema": "dispute-close.v1", "registry": registry(), "dispute_id": dispute_id(),
        "reason": "All is done", "at": AT}))
}

pub fn payment_unmatched() -> PaymentUnmatched {
    read(json!({"schema": "payment-unmatched.v1", "registry": registry(), "reference": "UTR-17",
        "instruction_id": "INVOICE 7", "amount_minor": 99_900, "currency": "INR", "direction": "paid", "at": AT}))
}

pub fn payout_batch() -> PayoutBatch {
    read(json!({"schema": "payout-batch.v1", "registry": registry(), "provider": tdp(), "dataset_id": dataset(),
        "version": 1, "currency": "INR", "seq": 2, "previous": digest(31), "weights_sha256": digest(32),
        "settled": ["A".repeat(32), "B".repeat(32)], "pool_minor": 100_000, "carried_in_minor": 70,
        "paid_minor": 100_000, "carried_out_minor": 70, "principals": 5000, "paid_principals": 4990,
        "root": digest(33), "at": AT}))
}
