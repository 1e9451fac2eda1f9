//! The way to a data key: appraisal of evidence, reserve and release, opening of the dataset.

mod appraisal;
mod opening;
mod release;
mod stream;

use nix::sys::resource::{UsageWho, getrusage};
use schemas::{Code, R, Refusal};

use crate::rows::Row;

/// How much is measured.
pub struct Plan {
    /// Seconds of load for each figure.
    pub seconds: u64,
    /// Runs that reserve and release.
    pub runs: usize,
    /// Bytes of the streamed dataset.
    pub stream: u64,
}

type Scene = fn(&Plan) -> R<Vec<Row>>;

/// Every scene by its name. The stream comes first: its memory is counted from what the process holds by then.
pub const ALL: &[(&str, Scene)] = &[
    ("stream", stream::measure),
    ("appraisal", appraisal::measure),
    ("opening", opening::measure),
    ("release", release::measure),
];

fn fault(e: impl std::fmt::Display) -> Refusal {
    Refusal::new(Code::ConfigInvalid, e.to_string())
}

/// Seconds of processor time used so far, the kernel's for it included.
fn processor(who: UsageWho) -> R<f64> {
    let usage = getrusage(who).map_err(fault)?;
    let seconds = |t: nix::sys::time::TimeVal| t.tv_sec() as f64 + t.tv_usec() as f64 / 1e6;
    Ok(seconds(usage.user_time()) + seconds(usage.system_time()))
}

/// A percentile of times in milliseconds, which need not be sorted.
fn percentile(millis: &mut [f64], per_mille: usize) -> f64 {
    millis.sort_unstable_by(f64::total_cmp);
    let at = (millis.len() * per_mille / 1000).min(millis.len().saturating_sub(1));
    millis.get(at).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    #[test]
    fn percentiles_are_of_the_sorted_times() {
        let mut times: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert_eq!((super::percentile(&mut times, 500), super::percentile(&mut times, 990)), (51.0, 100.0));
        assert!(super::percentile(&mut [], 500).is_nan());
    }
}
