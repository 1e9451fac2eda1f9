//! Counts for operators, in the text form of Prometheus. Nothing here names a participant, an instruction or an amount.

use std::time::{Duration, Instant};

use schemas::{Code, R};
use telemetry::count::{Answers, Count, Times, about, single, value};

use crate::store::Counts;

/// Calls of the adapter's own: to the payment system, and answers to the contract service.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Out {
    /// A batch is handed over.
    Submit,
    /// The payment system is asked how an instruction stands.
    Ask,
    /// The contract service is told.
    Answer,
}

impl Out {
    const ALL: [Out; 3] = [Out::Submit, Out::Ask, Out::Answer];

    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Out::Submit => "submit",
            Out::Ask => "ask",
            Out::Answer => "answer",
        }
    }
}

/// Paths that are answered, as this program knows them.
pub(crate) const PATHS: [&str; 4] = ["/webhooks", "/events", "/livez", "/readyz"];

/// All counts of a process since its start.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    answers: Answers,
    times: [Times; PATHS.len()],
    out: [Times; Out::ALL.len()],
    failures: [Count; Out::ALL.len()],
    taken: Count,
    heard: Count,
}

impl Metrics {
    /// A call was answered.
    pub fn answered(&self, path: &str, status: u16, code: Option<Code>, time: Duration) {
        self.answers.gave(status, code);
        if let Some(times) = PATHS.iter().position(|one| *one == path).and_then(|at| self.times.get(at)) {
            times.took(time);
        }
    }

    /// A delivery of the contract service was taken that is new.
    pub fn took(&self) {
        self.taken.add(1);
    }

    /// A call of the payment system was taken that is new.
    pub fn heard(&self) {
        self.heard.add(1);
    }

    /// Makes a call of the adapter's own.
    pub fn out<T>(&self, what: Out, call: impl FnOnce() -> R<T>) -> R<T> {
        let began = Instant::now();
        let done = call();
        let at = Out::ALL.iter().position(|one| *one == what);
        if let Some((times, failures)) = at.and_then(|at| Some((self.out.get(at)?, self.failures.get(at)?))) {
            times.took(began.elapsed());
            failures.add(u64::from(done.is_err()));
        }
        done
    }

    /// Everything, as text; of the database nothing where it does not answer.
    pub fn text(&self, kept: Option<&Counts>) -> String {
        let mut out = String::new();
        let (answers, refusals) = ("depa_payment_adapter_answers_total", "depa_payment_adapter_refusals_total");
        self.answers.write(&mut out, answers, refusals);
        let times = "depa_payment_adapter_call_seconds";
        about(&mut out, times, "histogram", "Time to the answer, by path.");
        for (path, one) in PATHS.iter().zip(&self.times) {
            one.write(&mut out, times, &format!("path=\"{path}\""));
        }
        let help = "Deliveries of the contract service that were new.";
        single(&mut out, "depa_payment_adapter_deliveries_total", "counter", help, self.taken.get());
        let help = "Calls of the payment system that were new.";
        single(&mut out, "depa_payment_adapter_events_total", "counter", help, self.heard.get());
        let times = "depa_payment_adapter_out_seconds";
        about(
            &mut out,
            times,
            "histogram",
            "Time of calls to the payment system (submit, ask) and to the contract service (answer).",
        );
        for (what, one) in Out::ALL.iter().zip(&self.out) {
            one.write(&mut out, times, &format!("call=\"{}\"", what.as_str()));
        }
        let failures = "depa_payment_adapter_out_failures_total";
        about(&mut out, failures, "counter", "Of these, the ones that failed.");
        for (what, count) in Out::ALL.iter().zip(&self.failures) {
            value(&mut out, failures, &format!("call=\"{}\"", what.as_str()), count.get());
        }
        if let Some(kept) = kept {
            stored(&mut out, kept);
        }
        out
    }
}

/// What follows from the database.
fn stored(out: &mut String, kept: &Counts) {
    let name = "depa_payment_adapter_instructions";
    about(out, name, "gauge", "Instructions by state; created ones wait to be handed over.");
    for (state, count) in &kept.instructions {
        value(out, name, &format!("state=\"{}\"", state.as_str()), count);
    }
    let help = "Answers that the contract service has not taken yet.";
    single(out, "depa_payment_adapter_unanswered", "gauge", help, kept.untaken);
    let help = "Answers that the contract service refused for good.";
    single(out, "depa_payment_adapter_answers_refused", "gauge", help, kept.refused);
    let help = "Movements of money that belong to no instruction.";
    single(out, "depa_payment_adapter_unmatched", "gauge", help, kept.unmatched);
}
