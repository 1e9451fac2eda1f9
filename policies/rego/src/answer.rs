//! What a document may say, read strictly: a word of the wrong type is a refusal, never a yes.

use regorus::Value;
use schemas::text::Real;
use schemas::{Code, R, Refusal};
use serde::{Deserialize, Serialize};

/// The most codes of one answer.
pub const MAX_CODES: usize = 16;
/// The longest lease that an obligation may name, in seconds: a day.
const MAX_LEASE: u32 = 86_400;

/// What may leave the room, from the wider to the stricter.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutputPolicy {
    /// The model with its noised metrics, as contracted.
    Model,
    /// The model alone; a job that asks for metrics is refused.
    ModelWithoutMetrics,
}

/// What an allowed run is held to besides the contract. Several combine by the stricter value.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Obligations {
    /// Seconds after which keys must be wiped unless renewed, at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_s: Option<u32>,
    /// The most ε that this run may cost any dataset of the provider, at the contract's δ.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epsilon_max: Option<Real>,
    /// What may leave the room.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_policy: Option<OutputPolicy>,
}

impl Obligations {
    /// Both at once: the stricter of each.
    pub fn and(self, other: Obligations) -> R<Obligations> {
        let epsilon_max = match (self.epsilon_max, other.epsilon_max) {
            (Some(a), Some(b)) => {
                let first = policies::budget::epsilon_micro(&a)? <= policies::budget::epsilon_micro(&b)?;
                Some(if first { a } else { b })
            }
            (a, b) => a.or(b),
        };
        let lease_s = self.lease_s.into_iter().chain(other.lease_s).min();
        let output_policy = self.output_policy.into_iter().chain(other.output_policy).max();
        Ok(Obligations { lease_s, epsilon_max, output_policy })
    }

    /// The lease that is given: the service's own, or less.
    pub fn lease(&self, own: u32) -> u32 {
        self.lease_s.map_or(own, |lease| lease.min(own))
    }
}

/// What one document said.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Answer {
    /// Whether it allows.
    pub allow: bool,
    /// Why not, in codes of its author.
    pub deny: Vec<String>,
    /// What it holds an allowed run to.
    pub obligations: Obligations,
}

fn wrong(what: &str) -> Refusal {
    Refusal::new(Code::RulesAnswer, format!("A rules document answered wrongly: {what}."))
}

/// `allow`: true or false, nothing else.
pub(crate) fn allow(value: &Value) -> R<bool> {
    match value {
        Value::Bool(allow) => Ok(*allow),
        Value::Undefined => {
            Err(Refusal::new(Code::RulesUndefined, "A rules document did not say whether it allows the run."))
        }
        _ => Err(wrong("allow is not true or false")),
    }
}

/// `deny`: a set or list of codes.
pub(crate) fn deny(value: &Value) -> R<Vec<String>> {
    let items: Vec<&Value> = match value {
        Value::Undefined => return Ok(Vec::new()),
        Value::Set(set) => set.iter().take(MAX_CODES + 1).collect(),
        Value::Array(list) => list.iter().take(MAX_CODES + 1).collect(),
        _ => return Err(wrong("deny is no set of codes")),
    };
    if items.len() > MAX_CODES {
        return Err(wrong("deny has more than 16 codes"));
    }
    items.into_iter().map(code).collect()
}

/// `[A-Z][A-Z0-9_]{0,63}`: fit for a log and for a stranger's eyes.
fn code(value: &Value) -> R<String> {
    let Value::String(text) = value else { return Err(wrong("a code of deny is no text")) };
    let formed = (1..=64).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_uppercase())
        && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
    if formed { Ok(text.to_string()) } else { Err(wrong("a code of deny is not in UPPER_SNAKE")) }
}

/// `obligations`: an object of the three known members.
pub(crate) fn obligations(value: &Value) -> R<Obligations> {
    let members = match value {
        Value::Undefined => return Ok(Obligations::default()),
        Value::Object(members) => members,
        _ => return Err(wrong("obligations is no object")),
    };
    let mut read = Obligations::default();
    for (name, value) in members.iter() {
        let Value::String(name) = name else { return Err(wrong("an obligation has no name")) };
        match (name.as_ref(), value) {
            ("lease_s", Value::Number(number)) => {
                let lease = number.as_u64().and_then(|s| u32::try_from(s).ok()).filter(|s| (1..=MAX_LEASE).contains(s));
                read.lease_s = Some(lease.ok_or_else(|| wrong("lease_s is no number of seconds up to a day"))?);
            }
            ("epsilon_max", Value::String(text)) => {
                let epsilon = Real::parse(text).map_err(|_| wrong("epsilon_max is no decimal"))?;
                policies::budget::epsilon_micro(&epsilon).map_err(|_| wrong("epsilon_max is too large"))?;
                read.epsilon_max = Some(epsilon);
            }
            ("epsilon_max", _) => return Err(wrong("epsilon_max is a decimal in quotes, like \"0.5\"")),
            ("output_policy", Value::String(text)) => {
                read.output_policy = Some(match text.as_ref() {
                    "model" => OutputPolicy::Model,
                    "model_without_metrics" => OutputPolicy::ModelWithoutMetrics,
                    _ => return Err(wrong("output_policy is model or model_without_metrics")),
                });
            }
            _ => return Err(wrong("an obligation is unknown or of the wrong type")),
        }
    }
    Ok(read)
}
