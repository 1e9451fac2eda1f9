//! Keys of participants: added, retired, revoked, reported compromised; and participants who leave.

use schemas::envelope::Envelope;
use schemas::party::{KeyEvent, ParticipantWithdrawal, Resolution};
use schemas::{R, Timestamp};

use super::{State, transition};

impl State {
    pub(super) fn check_key_event(&self, _: &Envelope<KeyEvent>, _: Timestamp) -> R<()> {
        Err(transition("not offered yet"))
    }

    pub(super) fn fold_key_event(&mut self, _: u64, _: &Envelope<KeyEvent>, _: &Option<Resolution>) -> R<()> {
        Err(transition("not offered yet"))
    }

    pub(super) fn check_withdrawal(&self, _: &Envelope<ParticipantWithdrawal>, _: Timestamp) -> R<()> {
        Err(transition("not offered yet"))
    }

    pub(super) fn fold_withdrawal(&mut self, _: u64, _: &Envelope<ParticipantWithdrawal>) -> R<()> {
        Err(transition("not offered yet"))
    }
}
