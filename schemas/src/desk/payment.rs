//! What is owed and paid.

use serde::{Deserialize, Serialize};

use super::messages;
use crate::contract::ContractRef;
use crate::digest::Digest;
use crate::event::Line;
use crate::id::{Did, RunId};
use crate::money::{Currency, Minor};
use crate::time::Timestamp;

messages! {
    /// An obligation with its state.
    ObligationView {
        /// The instruction.
        instruction_id: String,
        /// The contract.
        contract: ContractRef,
        /// The run.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        run_id: Option<RunId>,
        /// The job whose deposit it is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        job_sha256: Option<Digest>,
        /// The period, from 0.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        period: Option<u32>,
        /// The term.
        term_id: String,
        /// A tax line.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        line: Option<Line>,
        /// Who pays.
        payer: Did,
        /// Who is paid.
        payee: Did,
        /// ISO 4217.
        currency: Currency,
        /// Minor units.
        amount_minor: Minor,
        /// `asked`, `blocked`, `due`, `instructed`, `settled`, `refunding`, `refunded` or `void`.
        state: String,
        /// Where the instruction that was given last stands at the payment system, as its provider said: `created`, `submitted`,
        /// `accepted`, `settled`, `failed` or `returned`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        standing: Option<String>,
        /// The day by which it is to be paid.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        due_at: Option<Timestamp>,
        /// How often an instruction about it failed before the last one.
        #[serde(default, skip_serializing_if = "is_first")]
        attempt: u32,
    }
    /// What `payment.instructed` tells a payment provider.
    PaymentInstruction {
        /// This instruction; answers name it.
        instruction_id: String,
        /// The obligation, where this is not its first instruction.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        obligation_id: Option<String>,
        /// `block` or `refund`; to pay if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        act: Option<String>,
        /// The instruction that blocked the money, where it is paid or returned.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from_block: Option<String>,
        /// How often it failed before.
        #[serde(default, skip_serializing_if = "is_first")]
        attempt: u32,
        /// The day by which it is to be paid; at once if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        due_at: Option<Timestamp>,
        /// The contract.
        contract: ContractRef,
        /// The run.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        run_id: Option<RunId>,
        /// The job whose deposit it is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        job_sha256: Option<Digest>,
        /// The period, from 0.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        period: Option<u32>,
        /// The term.
        term_id: String,
        /// A tax line.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        line: Option<Line>,
        /// Who pays.
        payer: Did,
        /// Who is paid.
        payee: Did,
        /// ISO 4217.
        currency: Currency,
        /// What is to be paid, in minor units.
        amount_minor: Minor,
    }
    /// A page of the payments of the caller's contracts, by id.
    PaymentList {
        /// The payments.
        payments: Vec<ObligationView>,
        /// Where the next page begins; none on the last.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        next: Option<String>,
    }
    /// How a payment stands after a callback.
    PaymentAnswer {
        /// The obligation's state.
        state: String,
    }
}

fn is_first(attempt: &u32) -> bool {
    *attempt == 0
}
