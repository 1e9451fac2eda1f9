//! A provider's key service from its operator's side: what a reservation would meet there, and what a known-good room
//! measures to.

pub mod kbs;
pub mod ledger;

use std::path::Path;
use std::process::{Command, Stdio};

use schemas::evidence::ImageSet;
use schemas::id::ImageSetId;
use schemas::text::Bytes;
use schemas::{Code, Digest, Envelope, R, Refusal, Timestamp};
use serde::{Deserialize, Serialize};
use signing::Trust;
use uuid::Uuid;

use crate::image_set::Measurement;

/// A check of a dry run at a key service.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// What is asked.
    pub check: String,
    /// `passed`, `refused`, `not_reached` or `not_looked_at`.
    pub verdict: String,
    /// The code that a room would be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Why, for the operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// What a dry run came to.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DryRun {
    /// Whether a reservation would be made.
    pub would_reserve: bool,
    /// The checks in their order.
    pub checks: Vec<Check>,
}

/// Asks a `kms-adapter` binary, which opens its own folder; nothing is entered there and no key is opened.
pub fn explain(binary: &Path, config: &Path, bundle: &Path) -> R<DryRun> {
    let fault = |why: String| Refusal::new(Code::ConfigInvalid, format!("{} explain: {why}", binary.display()));
    let answer = Command::new(binary)
        .args(["explain", "--config"])
        .arg(config)
        .arg(bundle)
        .stdin(Stdio::null())
        .output()
        .map_err(|e| fault(format!("cannot be started: {e}")))?;
    if answer.stdout.is_empty() {
        return Err(fault(String::from_utf8_lossy(&answer.stderr).trim().to_owned()));
    }
    serde_json::from_slice(&answer.stdout).map_err(|e| fault(format!("gave an answer that is not understood: {e}")))
}

impl DryRun {
    /// The code with which the reservation would be refused.
    pub fn code(&self) -> Option<Code> {
        self.checks.iter().find_map(|check| check.code.as_deref()).and_then(Code::parse)
    }

    /// One line per check.
    pub fn text(&self) -> String {
        let line = |check: &Check| {
            let why = match (&check.code, &check.why) {
                (Some(code), Some(why)) => format!(": {code}: {why}"),
                (Some(code), None) => format!(": {code}"),
                _ => String::new(),
            };
            format!("{:<13}  {}{why}", check.verdict, check.check)
        };
        self.checks.iter().map(line).collect::<Vec<_>>().join("\n")
    }
}

/// Drafts an image set of what rooms of one image measured to, without a signature.
///
/// Machines of one image may differ in launch measurement and id key (the paravisor's): all of them are allowed. What
/// identifies the image itself, its PCRs and host data, must be the same in each.
pub fn collect(
    name: &str,
    rooms: &[Measurement],
    days: u32,
    trust: &Trust,
    id: Uuid,
    now: Timestamp,
) -> R<Envelope<ImageSet>> {
    let differ = |field: &str| {
        Refusal::new(Code::ConfigInvalid, format!("the rooms differ in {field}: they are not of one image")).at(field)
    };
    let Some((first, others)) = rooms.split_first() else {
        return Err(Refusal::new(Code::ConfigInvalid, "at least one room's values are needed"));
    };
    for (field, same) in [
        ("evidence", others.iter().all(|room| room.evidence == first.evidence)),
        ("pcrs", others.iter().all(|room| room.pcrs == first.pcrs)),
        ("host_data", others.iter().all(|room| room.host_data == first.host_data)),
    ] {
        if !same {
            return Err(differ(field));
        }
    }
    let every = |list: fn(&Measurement) -> &Vec<Bytes>| {
        let mut all: Vec<Bytes> = Vec::new();
        for value in rooms.iter().flat_map(list) {
            if !all.contains(value) {
                all.push(value.clone());
            }
        }
        all
    };
    let set = ImageSet {
        schema: "image-set.v1".into(),
        registry: trust.registry.clone(),
        image_set_id: ImageSetId::new(id),
        name: name.to_owned(),
        profile: first.evidence,
        pcrs: first.pcrs.clone(),
        measurements: every(|room| &room.measurements),
        id_key_digests: every(|room| &room.id_key_digests),
        host_data: first.host_data.filter(|data| *data != Digest([0; 32])),
        valid_from: now,
        valid_to: now.plus_seconds(i64::from(days) * 86_400),
    };
    policies::registration::image_set(&set, &trust.registry, now)?;
    Envelope::draft(&set)
}
