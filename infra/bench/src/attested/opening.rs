//! The AEAD stage of opening a dataset, beside `openssl speed` of the same cipher on the same machine.

use std::process::Command;
use std::time::{Duration, Instant};

use schemas::id::RunId;
use schemas::{Code, R, Refusal};
use sealing::DEFAULT_CHUNK;
use sealing::measure::AeadStage;

use super::{Plan, percentile};
use crate::process::once;
use crate::rows::{Better, Row};

/// Rounds, so that a slow second hits both alike.
const ROUNDS: u64 = 3;

/// Gigabytes per second of the last column that `openssl speed` prints, in thousands of bytes per second.
fn printed(words: &str) -> Option<f64> {
    let last = words.lines().rev().find(|line| line.starts_with("AES-256-GCM"))?;
    last.split_whitespace().last()?.strip_suffix('k')?.parse::<f64>().ok().map(|k| k / 1e6)
}

/// The cipher alone, in blocks of the size in which `openssl speed` is fastest.
fn openssl() -> R<f64> {
    let mut command = Command::new("openssl");
    // Counted in processor time, as without `-elapsed`.
    command.args(["speed", "-seconds", "1", "-evp", "aes-256-gcm", "-bytes", "16384"]);
    let words = once(&mut command)?;
    printed(&words).ok_or_else(|| Refusal::new(Code::PeerFault, format!("openssl speed printed {words}")))
}

/// Gigabytes per second of one core, by the median chunk: few are interrupted, however busy the machine. Reading is
/// left out.
fn stage(time: Duration) -> R<f64> {
    let mut stage = AeadStage::new(&RunId::new(uuid::Uuid::now_v7()), DEFAULT_CHUNK)?;
    let (began, mut millis) = (Instant::now(), Vec::new());
    while began.elapsed() < time {
        stage.read();
        let start = Instant::now();
        stage.open()?;
        millis.push(start.elapsed().as_secs_f64() * 1000.0);
    }
    Ok(f64::from(DEFAULT_CHUNK) / percentile(&mut millis, 500) / 1e6)
}

/// The best round of each, in turn.
pub fn measure(plan: &Plan) -> R<Vec<Row>> {
    let (mut ours, mut theirs) = (0.0f64, 0.0f64);
    for _ in 0..ROUNDS {
        theirs = theirs.max(openssl()?);
        ours = ours.max(stage(Duration::from_secs(plan.seconds.div_ceil(ROUNDS).min(2)))?);
    }
    let name = "opening: AEAD stage, chunks of 1 MiB, GB/s of one core";
    let goal = (0.7 * theirs * 1000.0).round() / 1000.0;
    Ok(vec![Row::new(name, ours, goal, Better::More).against(Some(theirs))])
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_last_column_is_read() {
        let words = "type          16384 bytes\nAES-256-GCM  6160449.54k\n";
        assert_eq!(super::printed(words), Some(6.16044954));
        assert_eq!(super::printed("AES-256-GCM  -\n"), None);
    }
}
