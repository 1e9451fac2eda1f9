//! Entries that change no state: SCITT statements, anchored digests, readings of private bodies, the second tree's root.

use schemas::R;
use schemas::id::Did;
use schemas::text::Bytes;

use super::{State, transition};

impl State {
    pub(super) fn check_registered_statement(&self, _: &Did, _: &Bytes) -> R<()> {
        Err(transition("not offered yet"))
    }

    pub(super) fn check_anchor(&self, _: &Did) -> R<()> {
        Err(transition("not offered yet"))
    }

    pub(super) fn check_reading(&self, _: &Did, _: u64, _: u64) -> R<()> {
        Err(transition("not offered yet"))
    }

    pub(super) fn check_twin(&self, _: u64) -> R<()> {
        Err(transition("not offered yet"))
    }
}
