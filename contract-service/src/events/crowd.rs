//! How many streams of events are open: in all, and of each participant, so that none takes the others' places.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard};

use schemas::id::Did;
use schemas::{Code, R, Refusal};

use crate::app::App;

/// Seconds after which it is worth asking for a further stream.
const AGAIN: u32 = 5;

/// Streams that are open, by whose they are; who has none is not among them.
#[derive(Default)]
pub struct Crowd(Mutex<HashMap<Did, usize>>);

/// The place of one stream. Dropped, it is free.
pub struct Seat {
    app: Arc<App>,
    whose: Did,
}

impl Seat {
    /// Takes a place: `RATE_LIMITED` where this participant has as many as one may have, `UNAVAILABLE` where all are taken.
    pub fn take(app: &Arc<App>, whose: &Did) -> R<Seat> {
        let limits = &app.config.limits;
        let mut open = app.listeners.open();
        let own = open.get(whose).copied().unwrap_or_default();
        if own >= limits.event_streams_each {
            let sentence = format!("you have {own} streams of events open, as many as one participant may; close some");
            return Err(Refusal::new(Code::RateLimited, sentence).after(AGAIN));
        }
        let most = u64::try_from(limits.event_streams).unwrap_or(u64::MAX);
        // Counted under the lock alone; others only read it.
        if app.metrics.streams.load(Ordering::Relaxed) >= most {
            let sentence = "too many streams of events are open; come again later";
            return Err(Refusal::new(Code::Unavailable, sentence).after(AGAIN));
        }
        app.metrics.streams.fetch_add(1, Ordering::Relaxed);
        open.insert(whose.clone(), own + 1);
        drop(open);
        Ok(Seat { app: app.clone(), whose: whose.clone() })
    }

    /// The service.
    pub fn app(&self) -> &Arc<App> {
        &self.app
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut open = self.app.listeners.open();
        self.app.metrics.streams.fetch_sub(1, Ordering::Relaxed);
        match open.get_mut(&self.whose) {
            Some(own) if *own > 1 => *own -= 1,
            _ => drop(open.remove(&self.whose)),
        }
    }
}

impl Crowd {
    fn open(&self) -> MutexGuard<'_, HashMap<Did, usize>> {
        self.0.lock().unwrap_or_else(|p| p.into_inner())
    }
}
