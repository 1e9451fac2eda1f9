//! What witnesses say against this log. While one of them knows more of it, or another history, nothing is written.

use std::collections::BTreeMap;
use std::sync::Mutex;

use schemas::{Code, R, Refusal};

use crate::app::App;

/// Objections of witnesses, by name.
#[derive(Default)]
pub struct Alarm {
    objections: Mutex<BTreeMap<String, String>>,
}

impl Alarm {
    /// The first objection that stands.
    pub fn objection(&self) -> Option<String> {
        let objections = self.objections.lock().unwrap_or_else(|e| e.into_inner());
        objections.iter().next().map(|(name, why)| format!("{name}: {why}"))
    }

    /// Refuses with `READ_ONLY` while an objection stands.
    pub fn silent(&self) -> R<()> {
        self.objection().map_or(Ok(()), |why| Err(Refusal::new(Code::ReadOnly, why)))
    }

    fn raise(&self, witness: &str, why: String) {
        let mut objections = self.objections.lock().unwrap_or_else(|e| e.into_inner());
        objections.insert(witness.to_owned(), why);
    }

    /// A witness cosigned: what it held against the log is settled.
    pub fn settle(&self, witness: &str) {
        self.objections.lock().unwrap_or_else(|e| e.into_inner()).remove(witness);
    }
}

impl App {
    /// A witness has cosigned more entries than this log has: it was restored from an old state.
    pub fn behind(&self, witness: &str, size: u64, own: u64) -> R<()> {
        if size > own {
            let why = format!(
                "this log has {own} entries, the witness has seen {size}: restore the rest from a mirror; reads go on"
            );
            self.alarm.raise(witness, why);
        }
        Ok(())
    }

    /// A witness has cosigned another history of this log.
    pub fn diverged(&self, witness: &str) {
        self.alarm.raise(witness, "the witness has cosigned another history of this log; reads go on".into());
    }
}
