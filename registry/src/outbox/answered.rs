//! Whether an instruction to pay still goes out: the one question, asked when a delivery is taken.

use std::sync::Arc;

use policies::lifecycle::{PaymentRow, PaymentState, State};
use schemas::R;
use schemas::id::EndpointId;
use schemas::party::Kind;

use crate::Registry;
use crate::listeners::Listeners;
use crate::topics::OWED;

/// What is known about answers now.
pub(super) struct Answered {
    state: Arc<State>,
    listeners: Arc<Listeners>,
}

impl Answered {
    pub(super) fn of(registry: &Registry) -> R<Answered> {
        // The listeners first: whoever listens is known to the state.
        let listeners = registry.listeners()?;
        Ok(Answered { state: registry.state(), listeners })
    }

    /// Whether a message to this endpoint is an instruction to pay for its owner, a payment service provider, that has its
    /// answer: another payment system would pay it twice. Payer and payee are told of it in any case.
    pub(super) fn goes_no_more(&self, endpoint: &EndpointId, topic: &str, instruction: &str) -> bool {
        // One that the state does not know yet has only just been entered.
        OWED.contains(&topic)
            && self.pays(endpoint)
            && self.state.payment(instruction).is_some()
            && !self.waits(instruction)
    }

    /// Whether the endpoint's owner is a payment service provider, verified or not.
    fn pays(&self, endpoint: &EndpointId) -> bool {
        let owner = self.listeners.owner(endpoint).and_then(|owner| self.state.participant(owner));
        owner.is_some_and(|row| row.participant.kind == Kind::Psp)
    }

    /// Whether this is the newest instruction about an obligation, and waits for its answer.
    fn waits(&self, instruction: &str) -> bool {
        let waits = |row: &PaymentRow| {
            matches!(row.state, PaymentState::Asked | PaymentState::Instructed | PaymentState::Refunding)
                && row.instruction_id().is_ok_and(|id| id == instruction)
        };
        self.state.payment(instruction).is_some_and(waits)
    }
}
