//! Transfers: one amount from one account to another, for good or pending; never changed.

use schemas::{Digest, R, Timestamp, canonical};
use serde::{Deserialize, Serialize};

use super::account::AccountId;

/// Where a transfer stands: the entry of the log that made it, and which of that entry's transfers it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    /// Index of the entry.
    pub index: u64,
    /// From 0.
    pub leg: u16,
}

impl Place {
    /// The id of the transfer that stands here: 32 hex digits of SHA-256 over the canonical list of a fixed word, index and
    /// leg. The same in every reader of the log.
    pub fn id(&self) -> R<String> {
        let digest = Digest::of(&canonical::to_bytes(&("depa-transfer.v1", self.index, self.leg))?);
        Ok(digest.to_string().chars().take(32).collect())
    }
}

/// How a transfer counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// At once and for good.
    Posted,
    /// Until another one posts or voids it.
    Pending,
    /// Makes good the pending one that stands there.
    Post(Place),
    /// Undoes the pending one that stands there.
    Void(Place),
}

/// Why a transfer was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TransferCode {
    /// The payer's money is blocked.
    Blocked,
    /// An obligation is owed.
    Owed,
    /// The payer pays it.
    Pays,
    /// The payee gets it.
    Gets,
    /// A part of what a provider got is its principals'.
    SetAside,
    /// That part is the provider's again, since the money went back.
    SetBack,
    /// It is no longer owed.
    Undone,
    /// Blocked money goes back to the payer.
    Unblocked,
    /// The payer has its money back.
    PaysBack,
    /// The payee has given it back.
    GivesBack,
    /// By a ruling the payee owes it back.
    OwedBack,
    /// What is owed back by a ruling leaves the payee.
    BackPaid,
    /// And reaches the payer.
    BackGot,
    /// Money that nothing explains.
    Suspended,
    /// Money in suspense leaves it by a ruling.
    Released,
    /// What a ruling no longer holds the payer to.
    WrittenOff,
    /// Paid out to principals.
    PaidOut,
}

impl TransferCode {
    /// The code as it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            TransferCode::Blocked => "blocked",
            TransferCode::Owed => "owed",
            TransferCode::Pays => "pays",
            TransferCode::Gets => "gets",
            TransferCode::SetAside => "set_aside",
            TransferCode::SetBack => "set_back",
            TransferCode::Undone => "undone",
            TransferCode::Unblocked => "unblocked",
            TransferCode::PaysBack => "pays_back",
            TransferCode::GivesBack => "gives_back",
            TransferCode::OwedBack => "owed_back",
            TransferCode::BackPaid => "back_paid",
            TransferCode::BackGot => "back_got",
            TransferCode::Suspended => "suspended",
            TransferCode::Released => "released",
            TransferCode::WrittenOff => "written_off",
            TransferCode::PaidOut => "paid_out",
        }
    }
}

/// One amount from one account to another of the same currency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transfer {
    /// The account debited.
    pub debit: AccountId,
    /// The account credited.
    pub credit: AccountId,
    /// Minor units, above 0.
    pub amount: i64,
    /// How it counts.
    pub phase: Phase,
    /// Why it was made.
    pub code: TransferCode,
    /// What it is about: an obligation by its instruction id, a dispute, or a batch by its digest.
    pub reference: String,
    /// When its entry was made.
    pub at: Timestamp,
}
