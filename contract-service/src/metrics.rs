//! Counts for operators, in the text form of Prometheus. Written without locks; nothing here names a participant.

use std::fmt::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use schemas::{Code, R, Refusal};

use crate::app::App;
use crate::call::{Answer, Call};
use crate::route::Route;
use crate::serve::{Bounds, Desk, Serving, Verb};

/// Upper bounds of the time that calls take, in microseconds.
const BOUNDS: [u64; 10] = [1_000, 3_000, 10_000, 30_000, 60_000, 100_000, 300_000, 1_000_000, 3_000_000, 10_000_000];

/// Times of one kind of call.
#[derive(Default)]
struct Times {
    buckets: [AtomicU64; BOUNDS.len()],
    micros: AtomicU64,
    count: AtomicU64,
}

/// All counts.
pub struct Metrics {
    answers: [AtomicU64; 6],
    refusals: Vec<AtomicU64>,
    reads: Times,
    writes: Times,
    /// Streams of events that are open.
    pub streams: AtomicU64,
}

impl Default for Metrics {
    fn default() -> Metrics {
        Metrics {
            answers: Default::default(),
            refusals: Code::ALL.iter().map(|_| AtomicU64::new(0)).collect(),
            reads: Times::default(),
            writes: Times::default(),
            streams: AtomicU64::new(0),
        }
    }
}

impl Times {
    fn took(&self, micros: u64) {
        if let Some(bucket) = BOUNDS.iter().position(|bound| micros <= *bound).and_then(|at| self.buckets.get(at)) {
            add(bucket, 1);
        }
        add(&self.micros, micros);
        add(&self.count, 1);
    }

    fn write(&self, out: &mut String, kind: &str) {
        let mut sum = 0;
        for (bound, bucket) in BOUNDS.iter().zip(&self.buckets) {
            sum += read(bucket);
            let _ = writeln!(out, "depa_call_seconds_bucket{{kind=\"{kind}\",le=\"{}\"}} {sum}", seconds(*bound));
        }
        let count = read(&self.count);
        let _ = writeln!(out, "depa_call_seconds_bucket{{kind=\"{kind}\",le=\"+Inf\"}} {count}");
        let _ = writeln!(out, "depa_call_seconds_sum{{kind=\"{kind}\"}} {}", seconds(read(&self.micros)));
        let _ = writeln!(out, "depa_call_seconds_count{{kind=\"{kind}\"}} {count}");
    }
}

impl Metrics {
    /// Counts an answer. The time of a write is the time to its receipt.
    pub fn answered(&self, route: &Route, call: &Call, answer: &R<Answer>) {
        let status = answer.as_ref().map_or_else(|refusal| refusal.code.status(), |answer| answer.status);
        if let Some(class) = self.answers.get(usize::from(status / 100)) {
            add(class, 1);
        }
        if let Err(refusal) = answer
            && let Some(count) =
                Code::ALL.iter().position(|code| *code == refusal.code).and_then(|at| self.refusals.get(at))
        {
            add(count, 1);
        }
        let micros = call.began.map_or(0, |began| u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX));
        if route.verb == Verb::Get { &self.reads } else { &self.writes }.took(micros);
    }

    /// Everything, as text.
    pub fn text(&self, app: &App) -> String {
        let mut out = String::new();
        about(&mut out, "depa_answers_total", "counter", "Answers by class of status.");
        for (class, count) in self.answers.iter().enumerate().skip(2) {
            let _ = writeln!(out, "depa_answers_total{{class=\"{class}xx\"}} {}", read(count));
        }
        about(&mut out, "depa_refusals_total", "counter", "Refusals by code.");
        for (code, count) in Code::ALL.iter().zip(&self.refusals).filter(|(_, count)| read(count) > 0) {
            let _ = writeln!(out, "depa_refusals_total{{code=\"{code}\"}} {}", read(count));
        }
        about(&mut out, "depa_call_seconds", "histogram", "Time to the answer; of a write, to its receipt.");
        self.reads.write(&mut out, "read");
        self.writes.write(&mut out, "write");
        about(&mut out, "depa_event_streams", "gauge", "Streams of events that are open.");
        let _ = writeln!(out, "depa_event_streams {}", read(&self.streams));
        state(&mut out, app);
        work(&mut out, app);
        out
    }
}

/// Serves `/metrics` on a port of its own.
pub fn serve(app: &Arc<App>, bind: SocketAddr) -> R<Serving> {
    let wrong = |e| Refusal::new(Code::ConfigInvalid, format!("{bind} cannot be bound: {e}")).at("metrics_bind");
    let listener = TcpListener::bind(bind).map_err(wrong)?;
    let request = Duration::from_secs(5);
    let bounds = Bounds { body_bytes: 0, max_connections: 16, request, keep_alive: request, workers: 1 };
    Serving::start(Arc::new(Gauge(app.clone())), listener, bounds)
}

struct Gauge(Arc<App>);

impl Desk for Gauge {
    fn paths(&self) -> Vec<(Verb, &'static str)> {
        vec![(Verb::Get, "/metrics")]
    }

    fn answer(&self, _: Verb, _: &'static str, _: &Call) -> R<Answer> {
        let text = self.0.metrics.text(&self.0).into_bytes();
        Ok(Answer::of(200, "text/plain; version=0.0.4; charset=utf-8", "no-store", text))
    }

    fn media(&self, _: &'static str) -> Option<&'static [&'static str]> {
        None
    }
}

/// What follows from the state of the registry.
fn state(out: &mut String, app: &App) {
    let (state, now) = (app.registry.state(), app.now());
    if let Ok(Some(lag)) = app.pulse.lag() {
        about(out, "depa_writer_lag_seconds", "gauge", "Time that the writer needed for nothing at all.");
        let _ = writeln!(out, "depa_writer_lag_seconds {}", seconds(u64::try_from(lag).unwrap_or_default()));
    }
    about(out, "depa_log_size", "gauge", "Entries of the log.");
    let _ = writeln!(out, "depa_log_size {}", state.size());
    let mut contracts: std::collections::BTreeMap<String, u64> = std::collections::BTreeMap::new();
    for row in state.contracts() {
        *contracts.entry(crate::routes::word(&row.state(now)).unwrap_or_default()).or_default() += 1;
    }
    about(out, "depa_contracts", "gauge", "Contracts by state.");
    for (word, count) in contracts {
        let _ = writeln!(out, "depa_contracts{{state=\"{word}\"}} {count}");
    }
    let mut payments: std::collections::BTreeMap<String, u64> = std::collections::BTreeMap::new();
    for row in state.payments() {
        *payments.entry(crate::routes::word(&row.state).unwrap_or_default()).or_default() += 1;
    }
    about(out, "depa_payments", "gauge", "Obligations by state.");
    for (word, count) in payments {
        let _ = writeln!(out, "depa_payments{{state=\"{word}\"}} {count}");
    }
}

/// What follows from the work beside the calls: scrub, witnesses, messages, the writer.
fn work(out: &mut String, app: &App) {
    let scrub = app.registry.scrub_status();
    about(out, "depa_scrub_checked", "gauge", "Entries that the comparison of the whole log has reached in this pass.");
    let _ = writeln!(out, "depa_scrub_checked {}", scrub.checked);
    about(out, "depa_scrub_passes_total", "counter", "Comparisons of the whole log that came to the end.");
    let _ = writeln!(out, "depa_scrub_passes_total {}", scrub.passes);
    about(out, "depa_scrub_differences", "gauge", "1 where the comparison found something; the log is read-only then.");
    let _ = writeln!(out, "depa_scrub_differences {}", u8::from(scrub.first_difference.is_some()));
    about(out, "depa_witness_lag_entries", "gauge", "Entries that a witness has not cosigned yet.");
    let size = app.registry.state().size();
    for peer in &app.config.witnesses {
        if let Ok(seen) = app.registry.cosigned_size(&peer.name) {
            let _ =
                writeln!(out, "depa_witness_lag_entries{{witness=\"{}\"}} {}", peer.name, size.saturating_sub(seen));
        }
    }
    about(
        out,
        "depa_outbox_age_seconds",
        "gauge",
        "Age of the oldest message that is still to be delivered, by topic.",
    );
    for (topic, at) in app.registry.undelivered().unwrap_or_default() {
        let age = u64::try_from(app.now().micros() - at.micros()).unwrap_or_default();
        let _ = writeln!(out, "depa_outbox_age_seconds{{topic=\"{topic}\"}} {}", seconds(age));
    }
    app.deliveries.write(out);
    let pace = app.registry.writer_pace();
    about(out, "depa_writer_queue", "gauge", "Commands that wait for the writer.");
    let _ = writeln!(out, "depa_writer_queue {}", pace.waiting);
    about(out, "depa_writer_batches_total", "counter", "Transactions of the writer.");
    let _ = writeln!(out, "depa_writer_batches_total {}", pace.batches);
    about(out, "depa_writer_commands_total", "counter", "Commands in the transactions of the writer.");
    let _ = writeln!(out, "depa_writer_commands_total {}", pace.commands);
    about(out, "depa_writer_last_batch", "gauge", "Commands in the writer's last transaction.");
    let _ = writeln!(out, "depa_writer_last_batch {}", pace.last_batch);
}

fn about(out: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

fn add(count: &AtomicU64, more: u64) {
    count.fetch_add(more, Ordering::Relaxed);
}

fn read(count: &AtomicU64) -> u64 {
    count.load(Ordering::Relaxed)
}

/// Microseconds as seconds, exactly.
fn seconds(micros: u64) -> String {
    format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_stand_in_their_buckets() {
        let times = Times::default();
        for micros in [1, 1_000, 1_001, 20_000_000] {
            times.took(micros);
        }
        let mut text = String::new();
        times.write(&mut text, "read");
        for line in [
            "depa_call_seconds_bucket{kind=\"read\",le=\"0.001000\"} 2",
            "depa_call_seconds_bucket{kind=\"read\",le=\"10.000000\"} 3",
            "depa_call_seconds_bucket{kind=\"read\",le=\"+Inf\"} 4",
            "depa_call_seconds_sum{kind=\"read\"} 20.002002",
        ] {
            assert!(text.lines().any(|one| one == line), "{line} in {text}");
        }
    }
}
