//! Counts for operators, in the text form of Prometheus. They are this process's own, since its start; the ledger and the
//! journal are what counts. Nothing here names a participant, a run or a dataset, and no budget's figure stands here.

use std::time::Duration;

use schemas::Code;
use telemetry::count::{Answers, Count, Times, about, single, value};

use crate::kms::Kms;

/// Kinds of calls.
const ACTS: [&str; 13] = [
    "challenge",
    "reserve",
    "release",
    "renew",
    "commit",
    "refund",
    "import",
    "weights",
    "budget",
    "own_release",
    "kbs",
    "read",
    "other",
];

/// All counts.
#[derive(Default)]
pub(crate) struct Metrics {
    answers: Answers,
    done: [Count; ACTS.len()],
    times: [Times; ACTS.len()],
    appends: Count,
    backend: Times,
    backend_failures: Count,
}

/// What a route is for.
fn act(route: &str) -> &'static str {
    match route {
        "/v1/challenges" => "challenge",
        "/v1/reservations" => "reserve",
        "/v1/reservations/{id}/release" => "release",
        "/v1/runs/{id}/renew" => "renew",
        "/v1/runs/{id}/commit" => "commit",
        "/v1/runs/{id}/refund" => "refund",
        "/v1/keys" | "/v1/weights/keys" => "import",
        "/v1/weights/release" => "weights",
        "/v1/budget" => "budget",
        "/v1/budget/releases" => "own_release",
        "/v1/kms" | "/.well-known/did.json" | "/livez" | "/readyz" | "/openapi.json" => "read",
        path if crate::kbs::face::is_of_face(path) => "kbs",
        _ => "other",
    }
}

impl Metrics {
    /// A call of a route was answered.
    pub fn answered(&self, route: &str, status: u16, code: Option<Code>, time: Duration) {
        self.answers.gave(status, code);
        let act = act(route);
        let Some(at) = ACTS.iter().position(|one| *one == act) else { return };
        if let Some(times) = self.times.get(at) {
            times.took(time);
        }
        if let Some(done) = self.done.get(at).filter(|_| (200..300).contains(&status)) {
            done.add(1);
        }
    }

    /// So many lines were entered into the budget's ledger.
    pub fn appended(&self, lines: usize) {
        self.appends.add(lines as u64);
    }

    /// The key backend was asked.
    pub fn backend(&self, time: Duration, failed: bool) {
        self.backend.took(time);
        self.backend_failures.add(u64::from(failed));
    }

    /// Everything, as text; with the receipts of the journal that its newest signed checkpoint covers.
    fn text(&self, checkpoint: i64) -> String {
        let mut out = String::new();
        self.answers.write(&mut out, "depa_kms_answers_total", "depa_kms_refusals_total");
        let done = "depa_kms_acts_total";
        about(
            &mut out,
            done,
            "counter",
            "Calls that were answered as asked, by act; of a release, keys that were handed out.",
        );
        for (act, count) in ACTS.iter().zip(&self.done) {
            value(&mut out, done, &format!("act=\"{act}\""), count.get());
        }
        let times = "depa_kms_call_seconds";
        about(&mut out, times, "histogram", "Time to the answer, by act.");
        for (act, one) in ACTS.iter().zip(&self.times) {
            one.write(&mut out, times, &format!("act=\"{act}\""));
        }
        let help = "Lines entered into the budget's ledger.";
        single(&mut out, "depa_kms_budget_appends_total", "counter", help, self.appends.get());
        let help = "Receipts of the journal that its newest signed checkpoint covers.";
        single(&mut out, "depa_kms_journal_checkpoint", "gauge", help, checkpoint);
        let backend = "depa_kms_backend_seconds";
        about(&mut out, backend, "histogram", "Time of the key backend to open a data key.");
        self.backend.write(&mut out, backend, "");
        let help = "Data keys that the key backend did not open.";
        single(&mut out, "depa_kms_backend_failures_total", "counter", help, self.backend_failures.get());
        out
    }
}

impl Kms {
    /// The counts, as `/metrics` shows them.
    pub(crate) fn counted(&self) -> String {
        let checkpoint = *self.exported.lock().unwrap_or_else(|e| e.into_inner());
        self.metrics.text(checkpoint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_is_an_act_with_a_name() {
        for route in crate::routes::list() {
            assert_ne!(act(route.path), "other", "{}", route.path);
            assert!(ACTS.contains(&act(route.path)), "{}", route.path);
        }
        assert_eq!(act("/v1/keys/did:web:somebody.example"), "other");
    }
}
