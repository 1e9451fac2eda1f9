//! DEPA's contract endpoints: a contract in its shape becomes a draft; contracts are found and validated; what needs a
//! signature is told where it is given.

use schemas::contract::ContractState;
use schemas::id::{ContractId, Did};
use schemas::{Code, R, Refusal};
use serde_json::json;

use super::{event, unknown, view};
use crate::app::App;
use crate::auth::oversight;
use crate::auth::roles::caller;
use crate::call::{Answer, Call, page_size};
use crate::routes::drafts;

/// Makes a draft of the contract. The `auth_key` of the path is no credential here: paths stand in logs; the token of
/// the caller counts.
pub fn create(app: &App, call: &Call) -> R<Answer> {
    drafts::import(app, call).map(|mut answer| {
        answer.status = 200;
        answer
    })
}

/// Contracts to which the caller is a party, by DEPA's parameters: `contract_id`, `tdp`, `tdc` and the day on which it begins or ends.
pub fn find(app: &App, call: &Call) -> R<Answer> {
    let state = app.registry.state();
    let caller = caller(app, call, &state)?;
    let (now, limit) = (app.now(), page_size(call)?);
    let text = |name: &str| call.query.get(name).filter(|text| !text.is_empty());
    let parties = ["tdp", "tdc"].map(|name| text(name).map(|did| Did::parse(did)).transpose());
    let [tdp, tdc] = parties;
    let (tdp, tdc) = (tdp?, tdc?);
    let on = |name: &str, at: schemas::Timestamp| text(name).is_none_or(|day| at.to_string().starts_with(day.as_str()));
    let fits = |contract: &schemas::contract::Contract| {
        let id = text("contract_id").is_none_or(|id| contract.contract_id.as_str() == id);
        let party = |did: &Option<Did>| did.as_ref().is_none_or(|did| contract.role_of(did).is_some());
        let period = on("start_date", contract.effective_from) && on("expiry_date", contract.expires_at);
        id && party(&tdp) && party(&tdc) && period
    };
    let own = state.contracts().filter(|row| row.contract.role_of(caller.did()).is_some() && fits(&row.contract));
    let contracts: Vec<_> = own.take(limit).map(|row| view::contract(row, now)).collect();
    Answer::ok(&json!({ "contracts": contracts }))
}

/// Whether a contract may be used now: 200, or 400 with why not.
pub fn validate(app: &App, call: &Call) -> R<Answer> {
    let state = app.registry.state();
    let caller = caller(app, call, &state)?;
    let id: ContractId = call.param("contract_id").map_err(|_| unknown())?;
    let row = state.contract_by_id(&id).filter(|row| caller.reads(&row.contract)).ok_or_else(unknown)?;
    oversight::enter(app, &caller, row.proposed, 1)?;
    let now = app.now();
    let valid = row.state(now) == ContractState::Active;
    let seen = view::whole(&state, row, now);
    Answer::json(if valid { 200 } else { 400 }, &json!({"valid": valid, "contract": seen}))
}

/// A change of a contract is a newer version, signed by its parties.
pub fn update(app: &App, call: &Call) -> R<Answer> {
    elsewhere(app, call, "a newer version with supersedes is proposed at POST /v1/contracts and signed by all parties")
}

/// A signature is given under the contract's own bytes.
pub fn commit(app: &App, call: &Call) -> R<Answer> {
    elsewhere(app, call, "a contract is signed at POST /v1/contracts/{id}/signatures, by a signature over its bytes")
}

/// A revocation is a signed document.
pub fn revoke(app: &App, call: &Call) -> R<Answer> {
    elsewhere(app, call, "a contract is revoked at POST /v1/contracts/{id}/revoke, by a signed contract-revoke.v1")
}

fn elsewhere(app: &App, call: &Call, message: &str) -> R<Answer> {
    caller(app, call, &app.registry.state())?;
    if call.params.values().any(|part| part.len() > 256) {
        return Err(Refusal::new(Code::LimitExceeded, "a part of the path has at most 256 characters"));
    }
    event::reply(app, call, "ccr.event.bad", json!({"code": 501, "message": message}))
}
