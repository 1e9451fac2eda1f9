//! The adapter's own simulation.

use payment_adapter::Engine;
use payment_adapter::config::{Config, Kind, RecordingSettings};
use payment_adapter::provider::recording::{Line, Recording};
use schemas::R;

use super::{Ending, System};
use crate::scene::Scene;

pub struct Simulated {
    ending: Ending,
    journal: std::sync::Mutex<Option<std::path::PathBuf>>,
}

impl Simulated {
    pub fn new(ending: Ending) -> Simulated {
        Simulated { ending, journal: std::sync::Mutex::new(None) }
    }
}

impl System for Simulated {
    fn name(&self) -> &'static str {
        "recording"
    }

    fn config(&self, scene: &Scene) -> Config {
        let word = match self.ending {
            Ending::Settle => "settle",
            Ending::Fail => "fail",
            Ending::Return => "return",
            Ending::Duplicate => "duplicate",
            Ending::Delay => "delay 5",
            Ending::Lose => "lose",
        };
        let journal = scene.dir.join("recording.jsonl");
        *self.journal.lock().unwrap() = Some(journal.clone());
        let recording = Some(RecordingSettings { journal, script: vec![word.into()] });
        Config { recording, ..scene.config(Kind::Recording) }
    }

    fn paid(&self, id: &str) -> usize {
        let Some(journal) = self.journal.lock().unwrap().clone() else { return 0 };
        let lines = Recording::new(journal, &[]).unwrap().lines().unwrap();
        lines.iter().filter(|l| matches!(l, Line::Paid { id: paid, .. } if paid == id)).count()
    }

    fn tell(&self, _: &Scene, _: &Engine) -> R<()> {
        Ok(())
    }
}
