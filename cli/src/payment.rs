//! Payments of the caller's contracts.

use contract_client::Client;
use schemas::R;
use schemas::desk::ObligationView;
use schemas::id::ContractId;

/// Payments of one contract, or of all of the caller's.
pub fn list(client: &Client, contract: Option<&ContractId>) -> R<Vec<ObligationView>> {
    Ok(client.payments(contract)?.payments)
}
