//! Waiting for the others: until a contract has a wanted state.

use std::time::{Duration, Instant};

use contract_client::Client;
use schemas::contract::ContractState;
use schemas::desk::ContractView;
use schemas::id::ContractId;
use schemas::{Code, R, Refusal};

/// States from which a contract does not come back.
const ENDED: [ContractState; 7] = [
    ContractState::Declined,
    ContractState::Withdrawn,
    ContractState::Lapsed,
    ContractState::Revoked,
    ContractState::Expired,
    ContractState::Completed,
    ContractState::Superseded,
];

/// Polls until the contract has the wanted state, telling each other one that it passes.
///
/// # Errors
/// `CONTRACT_NOT_ACTIVE` where it has ended otherwise, `TIMEOUT` after `at_most`: the contract stands as it is.
pub fn wait(
    client: &Client,
    id: &ContractId,
    wanted: ContractState,
    at_most: Duration,
    tell: &mut dyn FnMut(ContractState),
) -> R<ContractView> {
    let end = Instant::now() + at_most;
    let (mut last, mut pause) = (None, Duration::from_millis(200));
    loop {
        let view = client.contract(id)?;
        if view.state == wanted {
            return Ok(view);
        }
        if last.replace(view.state) != Some(view.state) {
            tell(view.state);
        }
        let state = serde_json::to_value(view.state).ok();
        let state = state.as_ref().and_then(serde_json::Value::as_str).unwrap_or_default();
        if ENDED.contains(&view.state) {
            return Err(Refusal::new(Code::ContractNotActive, format!("{id} is {state}, for good")));
        }
        if Instant::now() + pause > end {
            return Err(Refusal::new(Code::Timeout, format!("{id} is {state} still; wait for it again")));
        }
        std::thread::sleep(pause);
        pause = (pause * 3 / 2).min(Duration::from_secs(2));
    }
}
