//! Entries that change no state: SCITT statements, anchored digests, readings of private bodies, the second tree's root.

use schemas::id::Did;
use schemas::party::Kind;
use schemas::text::Bytes;
use schemas::{Code, R, Refusal};

use super::{ParticipantState, State, transition};

/// The most bytes of a public statement; an entry of the log has at most 65,535.
const MAX_STATEMENT: usize = 60 * 1024;

impl State {
    /// A statement is registered for a verified participant. Its signature and form were verified before.
    pub(super) fn check_registered_statement(&self, issuer: &Did, statement: &Bytes) -> R<()> {
        self.stands(issuer)?;
        if statement.0.is_empty() || statement.0.len() > MAX_STATEMENT {
            return Err(Refusal::new(Code::LimitExceeded, "a statement has between 1 byte and 60 KiB").at("statement"));
        }
        Ok(())
    }

    /// A verified participant anchors a digest of its own.
    pub(super) fn check_anchor(&self, by: &Did) -> R<()> {
        self.stands(by)
    }

    /// An SRO person or a verified auditor read entries that are there.
    pub(super) fn check_reading(&self, by: &Did, from: u64, count: u64) -> R<()> {
        if !self.is_sro(by.as_str()) {
            self.require_verified(by, Kind::Auditor)?;
        }
        let end = from.checked_add(count).filter(|end| count > 0 && *end <= self.size);
        end.map(drop).ok_or_else(|| Refusal::new(Code::LimitExceeded, "these entries are not there").at("from"))
    }

    /// The root covers every entry before it. Which root that is, a replay knows.
    pub(super) fn check_twin(&self, size: u64) -> R<()> {
        if size != self.size {
            return Err(transition("the second tree's root covers exactly the entries before it").at("size"));
        }
        Ok(())
    }

    fn stands(&self, did: &Did) -> R<()> {
        match self.participant(did) {
            Some(row) if row.state == ParticipantState::Verified => Ok(()),
            _ => Err(Refusal::new(Code::ParticipantNotVerified, format!("{did} is not verified"))),
        }
    }
}
