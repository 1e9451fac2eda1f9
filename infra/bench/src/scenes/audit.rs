//! The audit of a long log: tiles, both roots, all states and every signature.

use std::process::Command;

use schemas::{Code, R, Refusal};
use serde_json::Value;

use super::Plan;
use crate::peers::Peers;
use crate::process::{once, sibling};
use crate::rows::{Better, Row};

/// Seconds, as `depa audit bench` measures them on a log that it makes.
pub fn measure(plan: &Plan, _: &Peers) -> R<Vec<Row>> {
    let mut command = Command::new(sibling("depa")?);
    command.args(["audit", "bench", "--json", "--entries", &plan.entries.to_string()]);
    let words = once(&mut command)?;
    let bad = || Refusal::new(Code::PeerFault, format!("depa audit bench printed {words}"));
    let value: Value = serde_json::from_str(words.lines().last().unwrap_or_default()).map_err(|_| bad())?;
    let number = |name: &str| value.get(name).and_then(Value::as_f64).ok_or_else(bad);
    let million = 1_000_000.0 / plan.entries as f64;
    let all = Row::new(
        "audit of 1,000,000 entries: tiles, states and signatures, seconds",
        number("everything_seconds")? * million,
        60.0,
        Better::Less,
    );
    let states = number("states_seconds")? * million;
    Ok(vec![all, Row::beside("audit of 1,000,000 entries: without signatures, seconds", states)])
}
