//! What the demo says: one line per step, a progress bar while the room trains. Talk goes to stderr, data to stdout.

use std::io::{IsTerminal as _, Write as _};
use std::time::Instant;

/// Says what happens, and keeps the time of every step.
#[derive(Debug)]
pub struct Narrator {
    quiet: bool,
    began: Instant,
    since: Instant,
    number: u32,
    seconds: Vec<(String, f64)>,
    bar: Option<u32>,
}

impl Narrator {
    /// A narrator that talks on stderr.
    pub fn new() -> Narrator {
        Narrator {
            quiet: false,
            began: Instant::now(),
            since: Instant::now(),
            number: 0,
            seconds: Vec::new(),
            bar: None,
        }
    }

    /// A narrator that only keeps the time: for tests.
    pub fn silent() -> Narrator {
        Narrator { quiet: true, ..Narrator::new() }
    }

    /// Ends a step: `name` is its key in the report, `made` what was made with its short digest, `readers` who can read it.
    pub fn step(&mut self, name: &str, made: &str, readers: &str) {
        self.number += 1;
        let took = self.lap(name);
        self.end_bar();
        self.line(&format!("{:>2}  {made}", self.number));
        self.line(&format!("      read by: {readers}  ({took:.1} s)"));
    }

    /// A heading.
    pub fn part(&mut self, title: &str) {
        self.end_bar();
        self.line(&format!("\n{title}"));
    }

    /// A line of talk.
    pub fn line(&mut self, text: &str) {
        if !self.quiet {
            eprintln!("{text}");
        }
    }

    /// Progress of the training: public figures only.
    pub fn progress(&mut self, step: u32, steps: u32, epsilon: f64) {
        let percent = step.saturating_mul(100).checked_div(steps).unwrap_or(100).min(100);
        if self.quiet || self.bar == Some(percent) {
            return;
        }
        let terminal = std::io::stderr().is_terminal();
        if !terminal && self.bar.is_some_and(|last| percent < last + 20 && percent < 100) {
            return;
        }
        self.bar = Some(percent);
        let full = (percent / 4) as usize;
        let text = format!(
            "    training [{}{}] step {step} of {steps}, ε {epsilon:.3}",
            "#".repeat(full),
            ".".repeat(25 - full)
        );
        if terminal {
            eprint!("\r{text}");
            let _ = std::io::stderr().flush();
        } else {
            eprintln!("{text}");
        }
    }

    fn end_bar(&mut self) {
        if self.bar.take().is_some() && !self.quiet && std::io::stderr().is_terminal() {
            eprintln!();
        }
    }

    /// Takes the time since the last step, under this name; several laps of one name add up.
    pub fn lap(&mut self, name: &str) -> f64 {
        let took = self.since.elapsed().as_secs_f64();
        self.since = Instant::now();
        match self.seconds.iter_mut().find(|(known, _)| known == name) {
            Some((_, total)) => *total += took,
            None => self.seconds.push((name.to_owned(), took)),
        }
        took
    }

    /// Seconds of every step in order, and in all.
    pub fn seconds(&self) -> serde_json::Map<String, serde_json::Value> {
        let round = |s: f64| serde_json::json!((s * 1000.0).round() / 1000.0);
        let mut all: serde_json::Map<String, serde_json::Value> =
            self.seconds.iter().map(|(name, s)| (name.clone(), round(*s))).collect();
        all.insert("total".into(), round(self.began.elapsed().as_secs_f64()));
        all
    }
}

impl Default for Narrator {
    fn default() -> Narrator {
        Narrator::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_is_timed_once_by_name() {
        let mut narrator = Narrator::silent();
        narrator.step("house", "a house", "everyone");
        narrator.step("sign", "one", "parties");
        narrator.step("sign", "two", "parties");
        let seconds = narrator.seconds();
        assert_eq!(seconds.keys().map(String::as_str).collect::<Vec<_>>(), ["house", "sign", "total"]);
    }
}
