//! The books, disputes and payouts as they are shown.

use serde::{Deserialize, Serialize};

use super::messages;
use crate::bundle::Logged;
use crate::dispute::{Dispute, DisputeAnswer, DisputeClose, DisputeRuling};
use crate::id::{ContractId, DatasetId, Did, DisputeId};
use crate::log::Receipt;
use crate::money::{Currency, Minor};
use crate::payout::{PayoutBatch, PrincipalPool};
use crate::time::Timestamp;

messages! {
    /// A transfer of the books. Its id is made of entry and leg, so it is the same in every reader of the log.
    JournalLine {
        /// 32 hex digits.
        id: String,
        /// Index of the entry that made it.
        index: u64,
        /// Which of that entry's transfers it is, from 0.
        leg: u16,
        /// When that entry was made.
        at: Timestamp,
        /// Why it was made.
        code: String,
        /// `posted`, `pending`, or `post` or `void` of a pending one.
        phase: String,
        /// The id of the pending transfer that it posts or voids.
        pending: Option<String>,
        /// Owner of the account debited.
        debit: Did,
        /// What that account holds.
        debit_kind: String,
        /// Owner of the account credited.
        credit: Did,
        /// What that account holds.
        credit_kind: String,
        /// ISO 4217.
        currency: Currency,
        /// Minor units.
        amount_minor: Minor,
        /// An obligation by its instruction id, a dispute, or a payout batch by its digest.
        reference: String,
        /// The contract; none of money in suspense and of payouts.
        contract: Option<ContractId>,
    }
    /// Transfers that the caller may read, in the order of the log.
    JournalPage {
        /// The transfers.
        transfers: Vec<JournalLine>,
        /// Where the next page begins.
        next: Option<String>,
    }
    /// A dispute.
    DisputeView {
        /// The dispute.
        dispute_id: DisputeId,
        /// `open`, `answered`, `ruled` or `closed`.
        state: String,
        /// The contract; none of money that nobody can place.
        contract: Option<ContractId>,
        /// The obligation that it is about, or that came with money in suspense.
        instruction_id: Option<String>,
        /// Who opened it; for money in suspense the payment service provider that holds it.
        opener: Did,
        /// ISO 4217.
        currency: Currency,
        /// The amount.
        amount_minor: Minor,
        /// Whether it is about money in suspense.
        suspense: bool,
        /// When it was opened.
        opened_at: Timestamp,
        /// From when on it can be ruled without an answer.
        answer_by: Timestamp,
        /// The ruling: `refund`, `release` or `stand`.
        ruling: Option<String>,
        /// What opened it; none where the service did by itself.
        dispute: Option<Logged<Dispute>>,
        /// The answer.
        answer: Option<Logged<DisputeAnswer>>,
        /// The ruling as signed.
        ruled: Option<Logged<DisputeRuling>>,
        /// Its end as signed.
        closed: Option<Logged<DisputeClose>>,
    }
    /// A page of the disputes that the caller may read about, by id.
    DisputeList {
        /// The disputes.
        disputes: Vec<DisputeView>,
        /// Where the next page begins; none on the last.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        next: Option<String>,
    }
    /// What became of an act on a dispute.
    DisputeReceipt {
        /// The dispute.
        dispute_id: DisputeId,
        /// Its state now.
        state: String,
        /// Receipt of the entry; none while a second SRO person must sign.
        receipt: Option<Receipt>,
    }
    /// The principals' part of a settled obligation.
    PoolPart {
        /// The obligation.
        instruction_id: String,
        /// ISO 4217.
        currency: Currency,
        /// Minor units.
        amount_minor: Minor,
        /// Whether a batch has split it.
        split: bool,
    }
    /// How the payouts of a dataset version stand.
    PayoutView {
        /// The dataset.
        dataset_id: DatasetId,
        /// Its version.
        version: u32,
        /// The offer's terms; none where the dataset has no pool.
        terms: Option<PrincipalPool>,
        /// Parts of settled obligations, oldest first.
        parts: Vec<PoolPart>,
        /// The batches so far, oldest first.
        batches: Vec<Logged<PayoutBatch>>,
    }
}
