//! Counts of deliveries for operators. Nothing here names a participant.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

use registry::Attempt;

/// Upper bounds of times, in milliseconds.
const BOUNDS: [u64; 9] = [5, 20, 50, 100, 200, 500, 1_000, 5_000, 15_000];

/// Times, by bounds.
#[derive(Default)]
struct Times {
    buckets: [AtomicU64; BOUNDS.len()],
    millis: AtomicU64,
    count: AtomicU64,
}

impl Times {
    fn took(&self, millis: u64) {
        if let Some(bucket) = BOUNDS.iter().position(|bound| millis <= *bound).and_then(|at| self.buckets.get(at)) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        self.millis.fetch_add(millis, Ordering::Relaxed);
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    fn write(&self, out: &mut String, name: &str) {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let seconds = |millis: u64| format!("{}.{:03}", millis / 1_000, millis % 1_000);
        let mut sum = 0;
        for (bound, bucket) in BOUNDS.iter().zip(&self.buckets) {
            sum += read(bucket);
            let _ = writeln!(out, "{name}_bucket{{le=\"{}\"}} {sum}", seconds(*bound));
        }
        let count = read(&self.count);
        let _ = writeln!(out, "{name}_bucket{{le=\"+Inf\"}} {count}");
        let _ = writeln!(out, "{name}_sum {}", seconds(read(&self.millis)));
        let _ = writeln!(out, "{name}_count {count}");
    }
}

/// All counts of deliveries.
#[derive(Default)]
pub struct Counts {
    delivered: AtomicU64,
    retried: AtomicU64,
    dead: AtomicU64,
    switched_off: AtomicU64,
    attempts: Times,
    first: Times,
    under_way: AtomicU64,
}

impl Counts {
    /// An attempt ended after so many milliseconds; a first attempt so many after its message was made.
    pub fn ended(&self, attempt: Attempt, millis: u32, first: Option<u64>) {
        let kind = match attempt {
            Attempt::Delivered { .. } => &self.delivered,
            Attempt::Retry { .. } => &self.retried,
            Attempt::Dead { .. } => &self.dead,
        };
        kind.fetch_add(1, Ordering::Relaxed);
        self.attempts.took(u64::from(millis));
        if let Some(millis) = first {
            self.first.took(millis);
        }
    }

    /// Endpoints that were switched off.
    pub fn switched_off(&self, count: usize) {
        self.switched_off.fetch_add(count as u64, Ordering::Relaxed);
    }

    /// Deliveries that are under way.
    pub fn under_way(&self, count: u32) {
        self.under_way.store(u64::from(count), Ordering::Relaxed);
    }

    /// Everything, as text for Prometheus.
    pub fn write(&self, out: &mut String) {
        let name = "depa_webhook_attempts_total";
        let _ =
            writeln!(out, "# HELP {name} Attempts to deliver, by what became of the delivery.\n# TYPE {name} counter");
        for (kind, count) in [("delivered", &self.delivered), ("retry", &self.retried), ("dead", &self.dead)] {
            let count = count.load(Ordering::Relaxed);
            let _ = writeln!(out, "{name}{{result=\"{kind}\"}} {count}");
        }
        let plain = [
            ("depa_webhook_endpoints_switched_off_total", "counter", "Endpoints switched off.", &self.switched_off),
            ("depa_webhook_under_way", "gauge", "Deliveries that are under way.", &self.under_way),
        ];
        for (name, kind, help, count) in plain {
            let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
            let _ = writeln!(out, "{name} {}", count.load(Ordering::Relaxed));
        }
        let times = [
            ("depa_webhook_attempt_seconds", "Time of attempts.", &self.attempts),
            (
                "depa_webhook_first_attempt_seconds",
                "From a message's making to the end of its first attempt.",
                &self.first,
            ),
        ];
        for (name, help, times) in times {
            let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} histogram");
            times.write(out, name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_are_counted_by_their_end_and_time() {
        let counts = Counts::default();
        counts.ended(Attempt::Delivered { status: 200 }, 5, Some(60));
        counts.ended(Attempt::Dead { status: None, gone: false }, 20_000, None);
        let mut text = String::new();
        counts.write(&mut text);
        for line in [
            "depa_webhook_attempts_total{result=\"delivered\"} 1",
            "depa_webhook_attempts_total{result=\"retry\"} 0",
            "depa_webhook_attempts_total{result=\"dead\"} 1",
            "depa_webhook_attempt_seconds_bucket{le=\"0.005\"} 1",
            "depa_webhook_attempt_seconds_bucket{le=\"15.000\"} 1",
            "depa_webhook_attempt_seconds_bucket{le=\"+Inf\"} 2",
            "depa_webhook_attempt_seconds_sum 20.005",
            "depa_webhook_first_attempt_seconds_bucket{le=\"0.100\"} 1",
        ] {
            assert!(text.lines().any(|one| one == line), "{line} in {text}");
        }
    }
}
