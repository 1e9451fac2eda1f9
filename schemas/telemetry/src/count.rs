//! Counts in the text form of Prometheus, written without locks. Labels are words of this program: a state, a code, a kind
//! of call. Nothing here names a participant.

use std::fmt::{Display, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use schemas::Code;

/// Upper bounds of times, in microseconds.
const BOUNDS: [u64; 10] = [1_000, 3_000, 10_000, 30_000, 60_000, 100_000, 300_000, 1_000_000, 3_000_000, 10_000_000];

/// The two lines above the values of a metric.
pub fn about(out: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

/// One value; labels as `state="open"`, or none.
pub fn value(out: &mut String, name: &str, labels: &str, value: impl Display) {
    let _ = match labels {
        "" => writeln!(out, "{name} {value}"),
        _ => writeln!(out, "{name}{{{labels}}} {value}"),
    };
}

/// A metric with one value, whole.
pub fn single(out: &mut String, name: &str, kind: &str, help: &str, number: impl Display) {
    about(out, name, kind, help);
    value(out, name, "", number);
}

/// Something that is counted.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// So many more.
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    /// How many there were.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How long something takes.
#[derive(Debug, Default)]
pub struct Times {
    buckets: [Count; BOUNDS.len()],
    micros: Count,
    count: Count,
}

impl Times {
    /// It took this long once.
    pub fn took(&self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        if let Some(bucket) = BOUNDS.iter().position(|bound| micros <= *bound).and_then(|at| self.buckets.get(at)) {
            bucket.add(1);
        }
        self.micros.add(micros);
        self.count.add(1);
    }

    /// The values of a histogram; labels as `kind="read"`, or none.
    pub fn write(&self, out: &mut String, name: &str, labels: &str) {
        let comma = if labels.is_empty() { "" } else { "," };
        let mut sum = 0;
        for (bound, bucket) in BOUNDS.iter().zip(&self.buckets) {
            sum += bucket.get();
            value(out, &format!("{name}_bucket"), &format!("{labels}{comma}le=\"{}\"", seconds(*bound)), sum);
        }
        let count = self.count.get();
        value(out, &format!("{name}_bucket"), &format!("{labels}{comma}le=\"+Inf\""), count);
        value(out, &format!("{name}_sum"), labels, seconds(self.micros.get()));
        value(out, &format!("{name}_count"), labels, count);
    }
}

/// Microseconds as seconds, exactly.
fn seconds(micros: u64) -> String {
    format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000)
}

/// Answers by class of status, and refusals by code.
#[derive(Debug)]
pub struct Answers {
    classes: [Count; 6],
    codes: Vec<Count>,
}

impl Default for Answers {
    fn default() -> Answers {
        Answers { classes: Default::default(), codes: Code::ALL.iter().map(|_| Count::default()).collect() }
    }
}

impl Answers {
    /// An answer was given.
    pub fn gave(&self, status: u16, code: Option<Code>) {
        if let Some(class) = self.classes.get(usize::from(status / 100)) {
            class.add(1);
        }
        let at = code.and_then(|code| Code::ALL.iter().position(|one| *one == code));
        if let Some(count) = at.and_then(|at| self.codes.get(at)) {
            count.add(1);
        }
    }

    /// Both metrics under these names.
    pub fn write(&self, out: &mut String, answers: &str, refusals: &str) {
        about(out, answers, "counter", "Answers by class of status.");
        for (class, count) in self.classes.iter().enumerate().skip(2) {
            value(out, answers, &format!("class=\"{class}xx\""), count.get());
        }
        about(out, refusals, "counter", "Refusals by code.");
        for (code, count) in Code::ALL.iter().zip(&self.codes).filter(|(_, count)| count.get() > 0) {
            value(out, refusals, &format!("code=\"{code}\""), count.get());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_stand_in_their_buckets() {
        let times = Times::default();
        for micros in [1, 1_000, 1_001, 20_000_000] {
            times.took(Duration::from_micros(micros));
        }
        let mut text = String::new();
        times.write(&mut text, "t_seconds", "kind=\"read\"");
        times.write(&mut text, "u_seconds", "");
        for line in [
            "t_seconds_bucket{kind=\"read\",le=\"0.001000\"} 2",
            "t_seconds_bucket{kind=\"read\",le=\"10.000000\"} 3",
            "t_seconds_bucket{kind=\"read\",le=\"+Inf\"} 4",
            "t_seconds_sum{kind=\"read\"} 20.002002",
            "u_seconds_bucket{le=\"0.003000\"} 3",
            "u_seconds_count 4",
        ] {
            assert!(text.lines().any(|one| one == line), "{line} in {text}");
        }
    }

    #[test]
    fn answers_are_counted_by_class_and_code() {
        let answers = Answers::default();
        answers.gave(200, None);
        answers.gave(429, Some(Code::RateLimited));
        answers.gave(429, Some(Code::RateLimited));
        answers.gave(999, None);
        let mut text = String::new();
        answers.write(&mut text, "a_total", "r_total");
        let values: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        let expected = [
            "a_total{class=\"2xx\"} 1",
            "a_total{class=\"3xx\"} 0",
            "a_total{class=\"4xx\"} 2",
            "a_total{class=\"5xx\"} 0",
            "r_total{code=\"RATE_LIMITED\"} 2",
        ];
        assert_eq!(values, expected);
    }
}
