//! Which entries of the log tell of a contract, a dataset or a participant. What belongs together is known to the state, and
//! where it stands to an index: the log is not read for it.

use std::collections::BTreeSet;

use policies::lifecycle::{ContractRow, State};
use schemas::contract::Contract;
use schemas::id::{ContractId, DatasetId, Did};
use schemas::job::JobSpec;
use schemas::{Code, R, Refusal};
use serde::{Deserialize, Serialize};

use super::contracts;
use crate::app::App;
use crate::auth::roles::{Caller, caller};
use crate::call::{Answer, Call};

/// What may be looked for.
pub const QUERY: &[&str] = &["contract", "dataset", "party", "from"];
/// The most entries of one answer.
const MOST: u64 = 20_000;

/// Entries of the log that are about what was asked for, by index. No body.
#[derive(Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LogStory {
    /// Their indices, oldest first.
    entries: Vec<u64>,
    /// Where to ask `from` for the rest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    next: Option<u64>,
}

/// The entries about a contract with its jobs, runs, payments and disputes; about a dataset and the budget that it shares
/// with its family; about a party and its contracts. Several together: what is about all of them. They are told by index
/// alone, as `/v1/events` tells them, so that an overseer asks is not entered.
pub fn entries(app: &App, call: &Call) -> R<Answer> {
    let state = app.registry.state();
    let caller = caller(app, call, &state)?;
    let wish = Wish::read(call, &state)?;
    let subjects: Vec<String> = wish.subjects(&state, &caller)?.into_iter().collect();
    let mut entries = app.registry.entries_about(&subjects, call.number("from", 0)?, MOST + 1)?;
    let next = if entries.len() as u64 > MOST { entries.pop() } else { None };
    Answer::ok(&LogStory { entries, next })
}

struct Wish {
    contract: Option<ContractId>,
    /// The dataset that is asked for, and those that share its budget.
    family: Option<BTreeSet<DatasetId>>,
    party: Option<Did>,
}

impl Wish {
    fn read(call: &Call, state: &State) -> R<Wish> {
        let text = |name: &str| call.query.get(name).filter(|text| !text.is_empty());
        let dataset = text("dataset").map(|text| DatasetId::parse(text)).transpose()?;
        let wish = Wish {
            contract: text("contract").map(|text| ContractId::parse(text)).transpose()?,
            family: dataset.map(|id| family(state, &id)).transpose()?,
            party: text("party").map(|text| Did::parse(text)).transpose()?,
        };
        if wish.contract.is_none() && wish.family.is_none() && wish.party.is_none() {
            return Err(Refusal::new(Code::SchemaMismatch, "say of which contract, dataset or party").at("contract"));
        }
        Ok(wish)
    }

    fn subjects(&self, state: &State, caller: &Caller) -> R<BTreeSet<String>> {
        let readable = |row: &&ContractRow| caller.reads(&row.contract);
        let looked: Vec<&ContractRow> = match &self.contract {
            Some(id) => vec![state.contract_by_id(id).filter(readable).ok_or_else(contracts::unknown)?],
            None => state.contracts().filter(readable).collect(),
        };
        let fitting = looked.into_iter().filter(|row| self.fits(&row.contract));
        let contracts: BTreeSet<ContractId> = fitting.map(|row| row.contract.contract_id.clone()).collect();
        let mut subjects = state.story_of(&contracts, |job| self.uses(job));
        match (&self.contract, &self.family, &self.party) {
            (Some(_), ..) => {}
            (None, Some(family), party) => {
                // Its offers say how large the budget is: they concern its provider, and whoever has a contract over it.
                let provides = |did: &Did| family.iter().any(|id| provider(state, id) == Some(did));
                if party.as_ref().is_none_or(|did| provides(did) || !contracts.is_empty()) {
                    family.iter().for_each(|id| subjects.extend(of_dataset(state, caller, id)));
                }
            }
            (None, None, Some(did)) => subjects.extend(of_party(state, caller, did)),
            (None, None, None) => {}
        }
        Ok(subjects)
    }

    fn fits(&self, contract: &Contract) -> bool {
        self.party.as_ref().is_none_or(|did| contract.role_of(did).is_some())
            && self.family.as_ref().is_none_or(|all| contract.datasets.iter().any(|d| all.contains(&d.dataset_id)))
    }

    fn uses(&self, job: &JobSpec) -> bool {
        self.family.as_ref().is_none_or(|all| job.datasets.iter().any(|d| all.contains(&d.dataset_id)))
    }
}

/// The datasets of the family of this one, itself among them: what a run of one takes is gone for all.
fn family(state: &State, id: &DatasetId) -> R<BTreeSet<DatasetId>> {
    let missing = || Refusal::new(Code::NotFound, "no such dataset is registered").at("dataset");
    let family = &state.latest_offer(id).ok_or_else(missing)?.offer.family;
    let offers = state.offers().filter(|row| row.offer.family == *family);
    Ok(offers.map(|row| row.offer.dataset_id.clone()).collect())
}

fn provider<'s>(state: &'s State, id: &DatasetId) -> Option<&'s Did> {
    state.latest_offer(id).map(|row| &row.offer.provider)
}

/// What is about a dataset by itself; how its principals are paid is its provider's business and the SRO's.
fn of_dataset(state: &State, caller: &Caller, id: &DatasetId) -> Vec<String> {
    let own = caller.is_sro() || provider(state, id) == Some(caller.did());
    let payouts = own.then(|| format!("{id}/payouts"));
    std::iter::once(id.to_string()).chain(payouts).collect()
}

/// What is about a participant beside its contracts, as far as it is the caller's business.
fn of_party(state: &State, caller: &Caller, did: &Did) -> BTreeSet<String> {
    let mut subjects = BTreeSet::from([did.to_string(), format!("{did}/statements")]);
    if caller.is_sro() || caller.did() == did {
        subjects.insert(format!("{did}/anchors"));
    }
    if caller.is_sro() {
        subjects.insert(format!("{did}/reads"));
    }
    if caller.oversees() {
        subjects.extend(state.carried_out_by(did));
    }
    let offers = state.offers().filter(|row| row.offer.provider == *did);
    let datasets: BTreeSet<&DatasetId> = offers.map(|row| &row.offer.dataset_id).collect();
    datasets.into_iter().for_each(|id| subjects.extend(of_dataset(state, caller, id)));
    subjects
}
