//! DEPA's upper-case words for states (`depa-spec.md` 5): a view that no rule reads, each with our own word beside it.

use policies::lifecycle::{ContractRow, ParticipantState, PaymentState, RunState, State};
use schemas::Timestamp;
use schemas::contract::{CompletedReason, ContractState};
use schemas::dataset::DatasetState;
use serde_json::{Value, json};

/// A contract as DEPA sees it.
pub fn contract(row: &ContractRow, now: Timestamp) -> Value {
    let state = row.state(now);
    let reason = row.ended.and_then(|end| end.completed);
    let contract = &row.contract;
    let in_role = |role| contract.in_role(role).map(|did| json!({"id": did})).collect::<Vec<_>>();
    use schemas::party::Kind::{Ccrp, Tdc, Tdp};
    json!({
        "id": contract.contract_id, "version": contract.version, "schemaVersion": contract.schema,
        "startTime": contract.effective_from, "expiryTime": contract.expires_at, "jurisdiction": contract.jurisdiction,
        "purpose": contract.purpose, "tdps": in_role(Tdp), "tdc": in_role(Tdc).pop(), "ccrp": in_role(Ccrp).pop(),
        "state": contract_word(state, reason), "reason": contract_reason(state), "contract_state": state,
    })
}

/// A contract with its participants, datasets, runs and payments, each in DEPA's word.
pub fn whole(state: &State, row: &ContractRow, now: Timestamp) -> Value {
    let contract = &row.contract;
    let participants = contract.parties.iter().map(|party| {
        let word = state.participant(&party.did).map(|row| participant_word(row.state));
        json!({"id": party.did, "state": word})
    });
    let datasets = contract.datasets.iter().map(|d| {
        let word = state.dataset_state(&d.dataset_id, d.version).map(dataset_word);
        json!({"id": d.dataset_id, "version": d.version, "state": word})
    });
    let runs = row.runs.iter().filter_map(|id| state.run(id)).map(|run| {
        let paid = state.payments_of(&run.run_id);
        let payments = paid.map(|p| json!({"id": p.obligation.instruction_id, "state": payment_word(p.state)}));
        json!({"id": run.run_id, "state": run_word(run.state), "payments": payments.collect::<Vec<_>>()})
    });
    let mut seen = self::contract(row, now);
    seen["participants"] = participants.collect();
    seen["datasets"] = datasets.collect();
    seen["runs"] = runs.collect();
    seen
}

/// The word for a contract's state.
pub fn contract_word(state: ContractState, completed: Option<CompletedReason>) -> &'static str {
    use ContractState::*;
    match state {
        Proposed => "PROPOSED",
        PartiallySigned | AwaitingSro | Scheduled => "PARTIALLY_SIGNED",
        Active => "ACTIVE",
        Completed if completed == Some(CompletedReason::Budget) => "EXHAUSTED",
        Expired | Completed => "EXPIRED",
        Revoked | Suspended => "REVOKED",
        Superseded => "SUPERSEDED",
        Declined | Withdrawn | Lapsed => "REJECTED",
    }
}

/// What the word alone does not say.
fn contract_reason(state: ContractState) -> Option<&'static str> {
    match state {
        ContractState::Suspended => Some("suspended"),
        ContractState::Withdrawn => Some("withdrawn"),
        ContractState::Lapsed => Some("lapsed"),
        _ => None,
    }
}

/// The word for a participant's state.
pub fn participant_word(state: ParticipantState) -> &'static str {
    match state {
        ParticipantState::Applied => "REQUESTED",
        ParticipantState::Verified => "VERIFIED",
        ParticipantState::Suspended => "SUSPENDED",
        ParticipantState::Rejected | ParticipantState::Withdrawn => "REVOKED",
    }
}

/// The word for a dataset version's state.
pub fn dataset_word(state: DatasetState) -> &'static str {
    match state {
        DatasetState::Registered | DatasetState::Deprecated => "REGISTERED",
        DatasetState::Suspended => "SUSPENDED",
        DatasetState::Withdrawn => "WITHDRAWN",
    }
}

/// The word for a run's state.
pub fn run_word(state: RunState) -> &'static str {
    match state {
        RunState::Attested => "ATTESTED",
        RunState::Reserved => "KEY_CHECKED",
        RunState::KeysReleased => "KEY_RELEASED",
        RunState::Training | RunState::Committed => "TRAINING",
        RunState::Completed => "RELEASE_AUTHORISED",
        RunState::Delivered => "MODEL_SHARED",
        RunState::Aborted => "ABORTED",
    }
}

/// The word for a payment's state.
pub fn payment_word(state: PaymentState) -> &'static str {
    match state {
        PaymentState::Asked | PaymentState::Void => "TERMS_AGREED",
        PaymentState::Blocked => "BLOCKED",
        PaymentState::Due | PaymentState::Instructed | PaymentState::Refunding => "RELEASED",
        PaymentState::Settled => "SETTLED",
        PaymentState::Refunded => "REFUNDED",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_has_its_word() {
        use ContractState::*;
        let rows = [
            (Proposed, "PROPOSED"),
            (PartiallySigned, "PARTIALLY_SIGNED"),
            (AwaitingSro, "PARTIALLY_SIGNED"),
            (Scheduled, "PARTIALLY_SIGNED"),
            (Active, "ACTIVE"),
            (Suspended, "REVOKED"),
            (Declined, "REJECTED"),
            (Withdrawn, "REJECTED"),
            (Lapsed, "REJECTED"),
            (Revoked, "REVOKED"),
            (Expired, "EXPIRED"),
            (Completed, "EXPIRED"),
            (Superseded, "SUPERSEDED"),
        ];
        for (state, word) in rows {
            assert_eq!(contract_word(state, Some(CompletedReason::Runs)), word, "{state:?}");
        }
        assert_eq!(contract_word(Completed, Some(CompletedReason::Budget)), "EXHAUSTED");
        assert_eq!(contract_reason(Suspended), Some("suspended"));
        assert_eq!((contract_reason(Lapsed), contract_reason(Active)), (Some("lapsed"), None));
        assert_eq!(participant_word(ParticipantState::Rejected), "REVOKED");
        assert_eq!(dataset_word(DatasetState::Deprecated), "REGISTERED");
        assert_eq!(run_word(RunState::Reserved), "KEY_CHECKED");
        assert_eq!(run_word(RunState::Committed), "TRAINING");
        assert_eq!(payment_word(PaymentState::Due), "RELEASED");
    }
}
