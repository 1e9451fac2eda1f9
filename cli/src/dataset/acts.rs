//! Suspension, resumption and withdrawal of a dataset version.

use schemas::Timestamp;
use schemas::dataset::{DatasetAct, DatasetActKind};
use schemas::id::DatasetId;
use signing::Trust;

/// An act on a dataset version, not signed yet.
pub fn draft(
    (dataset_id, version): (DatasetId, u32),
    act: DatasetActKind,
    reason: &str,
    trust: &Trust,
    now: Timestamp,
) -> DatasetAct {
    DatasetAct {
        schema: "dataset-act.v1".into(),
        registry: trust.registry.clone(),
        dataset_id,
        version,
        act,
        reason: reason.to_owned(),
        at: now,
    }
}
