//! Further versions of a contract: a counter-offer to an open proposal, an amendment of one in force. Prices are the
//! offer's: a version changes none of them unless the provider registered a newer offer, open to all.

use contract_client::Client;
use schemas::contract::Contract;
use schemas::{Code, Envelope, R, Refusal, Timestamp};
use signing::Trust;

use super::form::{ContractForm, draft};

/// Drafts the next version of a contract from a form: the same id, the next number, pinned to the version before it.
pub fn next(
    client: &Client,
    before: &Envelope<Contract>,
    form: &ContractForm,
    trust: &Trust,
    now: Timestamp,
) -> R<Envelope<Contract>> {
    let old = before.read_unverified()?;
    if old.registry != trust.registry {
        return Err(Refusal::new(Code::WrongRegistry, "the contract counts in another registry").at("registry"));
    }
    let offers: R<Vec<_>> =
        form.datasets.iter().map(|d| crate::dataset::verified_offer(client, trust, &d.dataset_id)).collect();
    let mut contract = draft(form, &offers?, trust, old.contract_id.clone(), now)?;
    contract.version = old.version + 1;
    contract.supersedes = Some(before.digest());
    Envelope::draft(&contract)
}

/// What the next version changes: the names of the members that differ, outermost only.
pub fn changes(before: &Contract, after: &Contract) -> R<Vec<String>> {
    let value = |c: &Contract| serde_json::to_value(c).map_err(|e| Refusal::new(Code::Internal, e.to_string()));
    let (before, after) = (value(before)?, value(after)?);
    let Some(members) = after.as_object() else { return Ok(vec![]) };
    let own = ["version", "supersedes"];
    let mut names: Vec<String> =
        members.keys().filter(|k| before.get(k.as_str()) != members.get(*k)).cloned().collect();
    names.retain(|name| !own.contains(&name.as_str()));
    Ok(names)
}
