//! What a report says of itself, unjudged: for attesters, which wait until it carries their data, and for the capture
//! of reference values. A relying party calls [`appraise`](crate::appraise()) instead.

use schemas::Digest;
use schemas::evidence::EvidenceKind;
use schemas::problem::{Code, R, Refusal};
use schemas::text::Bytes;
use serde_json::Value;

use crate::snp::{hcl, report};

/// Fields of a report that nobody has judged.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Shown {
    /// The launch measurement, 48 bytes.
    pub measurement: Bytes,
    /// The digest of the id key, 48 bytes.
    pub id_key_digest: Bytes,
    /// The host data, 32 bytes.
    pub host_data: Digest,
    /// The user data: of the runtime data, or of a bare report; empty where the runtime data names none.
    pub user_data: Vec<u8>,
}

/// Reads an HCL blob (Azure, software) or a bare report. Says nothing about who signed it.
pub fn shown(kind: EvidenceKind, blob: &[u8]) -> R<Shown> {
    let unreadable = |why: String| Refusal::new(Code::EvidenceForm, format!("the report cannot be read: {why}"));
    let (bytes, var_data) = match kind {
        EvidenceKind::Snp => (blob, None),
        EvidenceKind::AzureSnp | EvidenceKind::Software => {
            let hcl = hcl::Hcl::read(blob).map_err(unreadable)?;
            (hcl.report, Some(hcl.var_data))
        }
    };
    let report = report::Report::read(bytes).map_err(unreadable)?;
    let user_data = match var_data {
        None => report.report_data.to_vec(),
        Some(var_data) => {
            let runtime = schemas::canonical::parse_value(var_data)?;
            let text = runtime.get("user-data").and_then(Value::as_str).unwrap_or_default();
            hex::decode(text).map_err(|_| unreadable("user data is not hexadecimal".to_owned()))?
        }
    };
    let host_data = report.host_data.try_into().map_err(|_| unreadable("host data".to_owned()))?;
    Ok(Shown {
        measurement: Bytes(report.measurement.to_vec()),
        id_key_digest: Bytes(report.id_key_digest.to_vec()),
        host_data: Digest(host_data),
        user_data,
    })
}
