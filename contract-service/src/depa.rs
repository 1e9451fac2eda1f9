//! DEPA's event face: a thin view of the real thing under the names and in the envelopes of its specification. What
//! needs a signed document of ours is not done here; the answer says which route does it.

mod contracts;
mod event;
pub mod view;

pub use contracts::{commit, create, find, revoke, update, validate};

use policies::lifecycle::State;
use schemas::id::{ContractId, Did};
use schemas::{Code, R, Refusal, Timestamp};
use serde_json::{Value, json};

use crate::app::App;
use crate::call::{Answer, Call};
use event::{Bad, Event, opened, reply};

/// Types that a path takes, in the spelling of the OpenAPI text and of the diagrams, and the route that does the work.
type Known = (&'static [&'static str], &'static str);

const PROVISION: Known =
    (&["ccr.event.provision.init", "ccr.provision.init"], "a signed job is handed in at POST /v1/run-orders");
const ATTEST: Known = (
    &["ccr.event.attestation.request", "ccr.attest.init"],
    "a clean room shows its evidence at POST /v1/runs/challenges and POST /v1/runs",
);
const DATA: Known = (
    &[
        "ccr.event.data.prepare",
        "ccr.event.data.ready",
        "ccr.event.data.unavailable",
        "ccr.event.data.transmitted",
        "ccr.event.data.received",
        "ccr.data.registration.requested",
        "ccr.data.discovery",
    ],
    "datasets are registered at POST /v1/datasets and found at GET /v1/datasets",
);
const KEY: Known = (
    &[
        "ccr.event.key.release.initiate",
        "ccr.event.key.release.check",
        "ccr.event.key.release.request",
        "ccr.event.key.release.complete",
        "ccr.event.key.released",
        "ccr.event.key.received",
    ],
    "keys are released by key services; their signed receipts enter at POST /v1/runs/{id}/receipts",
);
const AUTHORIZE: Known = (
    &["ccr.event.authorization.request", "ccr.authorization.requested"],
    "a run that checked in gets its Admission at POST /v1/runs/{id}/admission",
);

/// How old an event may be whose answer tells something.
const FRESH_SECONDS: f64 = 300.0;

/// Provisioning.
pub fn provision(app: &App, call: &Call) -> R<Answer> {
    answered(app, call, PROVISION)
}

/// Attestation.
pub fn attest(app: &App, call: &Call) -> R<Answer> {
    answered(app, call, ATTEST)
}

/// Data.
pub fn data(app: &App, call: &Call) -> R<Answer> {
    answered(app, call, DATA)
}

/// Keys.
pub fn key(app: &App, call: &Call) -> R<Answer> {
    answered(app, call, KEY)
}

/// Authorisation; also contracts by event: `check` and `query` are answered, the rest needs signed documents.
pub fn authorize(app: &App, call: &Call) -> R<Answer> {
    answered(app, call, AUTHORIZE)
}

/// The same event gets the same answer: nothing is entered, so its id needs no memory.
fn answered(app: &App, call: &Call, known: Known) -> R<Answer> {
    let state = app.registry.state();
    let (kind, data) = match judged(&state, call, known, app.now()) {
        Ok(answer) => answer,
        Err(Bad { code, message }) => ("ccr.event.bad", json!({"code": code, "message": message})),
    };
    reply(app, call, kind, data)
}

fn judged(state: &State, call: &Call, (types, route): Known, now: Timestamp) -> Result<(&'static str, Value), Bad> {
    let (event, sender) = opened(state, &call.body)?;
    match event.kind.as_str() {
        "ccr.event.contract.check" | "ccr.event.contract.query" => checked(state, &event, &sender, now),
        "ccr.event.contract.propose" | "ccr.event.contract.accept" | "ccr.event.contract.revoke" => Err(Bad::new(
            501,
            "contracts are proposed at POST /v1/contracts, signed at POST /v1/contracts/{id}/signatures and revoked at \
             POST /v1/contracts/{id}/revoke, each by a signed document",
        )),
        kind if types.contains(&kind) => Err(Bad::new(501, route)),
        kind => Err(Bad::new(501, format!("{kind} is no event of this path"))),
    }
}

/// The state of a contract now, for its parties: what the SRO reads is entered, and that goes by its token. An event of
/// another time is an old one that somebody sends again.
fn checked(state: &State, event: &Event, sender: &Did, now: Timestamp) -> Result<(&'static str, Value), Bad> {
    if now.seconds_since(event.at()?).abs() > FRESH_SECONDS {
        return Err(Bad::new(506, "the event is of another time; make it anew"));
    }
    let data = event.json()?;
    let id = data.get("contract_id").and_then(Value::as_str).unwrap_or_default();
    let unknown = || Bad::new(502, "data names no contract of yours as contract_id");
    let row = ContractId::parse(id).ok().and_then(|id| state.contract_by_id(&id)).ok_or_else(unknown)?;
    if row.contract.role_of(sender).is_none() {
        return Err(unknown());
    }
    Ok(("ccr.event.contract.check.response", view::whole(state, row, now)))
}

/// What a reader sees who may not know a contract.
fn unknown() -> Refusal {
    Refusal::new(Code::ContractUnknown, "no such contract is known to you")
}
