//! What a living run's room says of its progress, as it says it: server-sent events.

use std::io::{BufRead as _, BufReader, Read as _};
use std::time::Duration;

use schemas::R;
use schemas::desk::RunStep;
use schemas::id::RunId;

use crate::http::{Call, Client};

/// The most that is read of one stream.
const MOST: u64 = 64 * 1024 * 1024;

impl Client {
    /// Tells each step that the room of a run says it has done, until `tell` wants no more, the service ends the stream or
    /// `at_most` is over. Steps follow from the plan alone; nothing in them depends on a row of data.
    pub fn follow_steps(&self, run: &RunId, at_most: Duration, tell: &mut dyn FnMut(&RunStep) -> bool) -> R<()> {
        let path = format!("/v1/runs/{run}/events");
        let call = Call::get(&path).with_token();
        let access = self.access()?;
        let stream = self.stream(&call, &self.access_headers(&access, &call)?, at_most)?;
        let mut step = false;
        for line in BufReader::new(stream.take(MOST)).lines() {
            // A stream that breaks off is no failure of the run.
            let Ok(line) = line else { return Ok(()) };
            match line.split_once(": ") {
                Some(("event", kind)) => step = kind == "run_step",
                Some(("data", data)) if step => {
                    let Ok(told) = serde_json::from_str::<RunStep>(data) else { continue };
                    if told.run_id == *run && !tell(&told) {
                        return Ok(());
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }
}
