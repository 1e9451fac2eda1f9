//! What is owed and paid.

use serde::{Deserialize, Serialize};

use super::messages;
use crate::contract::ContractRef;
use crate::id::{Did, RunId};
use crate::money::{Currency, Minor};

messages! {
    /// An obligation with its state.
    ObligationView {
        /// The instruction.
        instruction_id: String,
        /// The contract.
        contract: ContractRef,
        /// The run.
        run_id: RunId,
        /// The term.
        term_id: String,
        /// Who pays.
        payer: Did,
        /// Who is paid.
        payee: Did,
        /// ISO 4217.
        currency: Currency,
        /// Minor units.
        amount_minor: Minor,
        /// `due`, `instructed` or `settled`.
        state: String,
    }
    /// Payments of the caller's contracts.
    PaymentList {
        /// The payments.
        payments: Vec<ObligationView>,
    }
    /// How a payment stands after a callback.
    PaymentAnswer {
        /// `settled` or `due`.
        state: String,
    }
}
