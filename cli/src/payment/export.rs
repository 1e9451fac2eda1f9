//! The books as a file: for accounting tools, and for an auditor to compare with the log.

use contract_client::Client;
use schemas::R;
use schemas::desk::{JournalLine, ObligationView};
use schemas::id::{ContractId, Did};
use serde::{Deserialize, Serialize};

/// Transfers and obligations that somebody may read.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Export {
    /// Always 1.
    pub v: u8,
    /// The transfers in the order of the log.
    pub transfers: Vec<JournalLine>,
    /// The obligations.
    pub obligations: Vec<ObligationView>,
}

/// Everything that the caller may read, of one contract or of one party's accounts if asked.
pub fn export(client: &Client, contract: Option<&ContractId>, party: Option<&Did>) -> R<Export> {
    let mut transfers = client.journal(contract)?;
    let mut obligations = client.payments(contract)?.payments;
    if let Some(party) = party {
        transfers.retain(|line| line.debit == *party || line.credit == *party);
        obligations.retain(|line| line.payer == *party || line.payee == *party);
    }
    Ok(Export { v: 1, transfers, obligations })
}
