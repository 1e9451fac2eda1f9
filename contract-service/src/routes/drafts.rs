//! Drafts: contracts being written, private to their owner and no part of the log; and contracts of DEPA's own shapes,
//! which become drafts.

use policies::draft;
use policies::lifecycle::State;
use registry::{Draft, DraftLine};
use schemas::depa::{DepaContract, DepaDataset};
use schemas::desk::{ContractChecked, DraftList, DraftOrigin, DraftRequest, DraftRow, DraftView, Fault};
use schemas::id::{ContractId, DatasetId, Did, DraftId, KeyId};
use schemas::jwk::Jwk;
use schemas::party::Kind;
use schemas::{Code, Digest, KeyBook, R, Refusal, canonical};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::contracts::fault;
use crate::app::App;
use crate::auth::roles::caller;
use crate::call::{Answer, Call, page_size};
use crate::error::fault as internal;
use crate::ids;

/// Media type of COSE messages.
pub const COSE: &str = "application/cose";

/// What a draft's row holds.
#[derive(Serialize, Deserialize)]
struct Kept {
    contract: Value,
    origin: Option<DraftOrigin>,
    notices: Vec<String>,
}

/// Keeps a new draft.
pub fn create(app: &App, call: &Call) -> R<Answer> {
    let owner = owner(app, call)?;
    let DraftRequest { contract } = call.read()?;
    let kept = Kept { contract: object(contract)?, origin: None, notices: Vec::new() };
    Answer::created(&keep(app, owner, None, 1, kept, None)?)
}

/// The caller's drafts.
pub fn list(app: &App, call: &Call) -> R<Answer> {
    let owner = owner(app, call)?;
    let limit = page_size(call)?;
    let skip = usize::try_from(call.number("cursor", 0)?).map_err(internal)?;
    let mut rows = app.registry.drafts(&owner, skip, limit + 1)?;
    let more = rows.len() > limit;
    rows.truncate(limit);
    let row = |d: DraftLine| DraftRow { draft_id: d.id, rev: d.rev, updated_at: d.updated_at };
    let drafts: Vec<DraftRow> = rows.into_iter().map(row).collect();
    let next = more.then(|| skip.saturating_add(drafts.len()).to_string());
    Answer::ok(&DraftList { drafts, next })
}

/// A draft, with what stands in the way of a proposal.
pub fn read(app: &App, call: &Call) -> R<Answer> {
    let draft = app.registry.get_draft(&owner(app, call)?, &id(call)?)?;
    Answer::ok(&view(app, draft)?)
}

/// The contract that a draft was made of, byte for byte.
pub fn original(app: &App, call: &Call) -> R<Answer> {
    let draft = app.registry.get_draft(&owner(app, call)?, &id(call)?)?;
    let none = || Refusal::new(Code::DraftUnknown, "this draft was not imported");
    Ok(Answer::of(200, "application/octet-stream", "no-store", draft.original.ok_or_else(none)?))
}

/// Writes a draft anew. `rev` in the query names the revision that the caller has read.
pub fn replace(app: &App, call: &Call) -> R<Answer> {
    let (owner, id) = (owner(app, call)?, id(call)?);
    let DraftRequest { contract } = call.read()?;
    let before = app.registry.get_draft(&owner, &id)?;
    let rev = call.number("rev", u64::from(before.rev))?;
    if rev != u64::from(before.rev) {
        return Err(Refusal::new(Code::PreconditionFailed, "the draft was changed meanwhile; read it again").at("rev"));
    }
    let Kept { origin, notices, .. } = kept(&before)?;
    let kept = Kept { contract: object(contract)?, origin, notices };
    Answer::ok(&keep(app, owner, Some(id), before.rev.saturating_add(1), kept, before.original)?)
}

/// Throws a draft away.
pub fn discard(app: &App, call: &Call) -> R<Answer> {
    app.registry.delete_draft(&owner(app, call)?, &id(call)?)?;
    Ok(Answer::empty())
}

/// What stands in the way of proposing a draft; nothing is entered.
pub fn check(app: &App, call: &Call) -> R<Answer> {
    let draft = app.registry.get_draft(&owner(app, call)?, &id(call)?)?;
    Answer::ok(&ContractChecked { refusals: faults(app, &kept(&draft)?, draft.original.as_deref()) })
}

/// Makes a draft of a contract in one of DEPA's shapes, as JSON or inside a COSE message, whose every signature is
/// verified. It is kept byte for byte.
pub fn import(app: &App, call: &Call) -> R<Answer> {
    let owner = owner(app, call)?;
    let cose = call.header("content-type").is_some_and(|media| media.starts_with(COSE));
    Answer::created(&imported(app, owner, &call.body, cose)?)
}

/// [`import`] of these bytes.
pub fn imported(app: &App, owner: Did, body: &[u8], cose: bool) -> R<DraftView> {
    let state = app.registry.state();
    let (payload, signed_by) = if cose { opened(&state, body)? } else { (body.to_vec(), Vec::new()) };
    let depa = DepaContract::read(&payload)?;
    let made = draft::of_depa(&depa, app.did(), &ContractId::new(ids::uuid(app.now())?));
    let name = |d: &DepaDataset| d.name.clone().or(d.id.clone()).unwrap_or_default();
    let origin = DraftOrigin {
        form: "depa".into(),
        foreign_id: depa.id.clone(),
        sha256: Digest::of(body),
        signed_by,
        datasets: depa.datasets.iter().map(name).collect(),
    };
    let kept = Kept { contract: made.contract, origin: Some(origin), notices: made.notices };
    keep(app, owner, None, 1, kept, Some(body.to_vec()))
}

/// The payload of a COSE message and who signed it.
fn opened(state: &State, body: &[u8]) -> R<(Vec<u8>, Vec<Did>)> {
    let message = signing::cose::read(body)?;
    let signers = signing::cose::verify_all(&message, &|did, key| party_key(state, did, key))?;
    Ok((message.payload, signers))
}

/// A participant's key by the last part of a kid: its thumbprint, in whatever form the tool writes it.
fn party_key(state: &State, did: &Did, key: &str) -> Option<Jwk> {
    state.key(&KeyId::new(did, key), schemas::envelope::Usage::Party)
}

fn keep(
    app: &App,
    owner: Did,
    id: Option<String>,
    rev: u32,
    mut kept: Kept,
    original: Option<Vec<u8>>,
) -> R<DraftView> {
    let state = app.registry.state();
    let offer = |id: &DatasetId| state.latest_offer(id).map(|row| (row.sha256, &row.offer));
    draft::supply(&mut kept.contract, offer);
    let body = serde_json::to_string(&kept).map_err(internal)?;
    if body.len() > 2 * canonical::MAX_DOCUMENT {
        return Err(Refusal::new(Code::BodyTooLarge, "a draft has at most 512 KiB"));
    }
    let now = app.now();
    let id = id.map_or_else(|| Ok(DraftId::new(ids::uuid(now)?).to_string()), R::Ok)?;
    let draft = Draft { id, owner, updated_at: now, rev, body, original };
    app.registry.put_draft(&draft)?;
    view(app, draft)
}

fn view(app: &App, draft: Draft) -> R<DraftView> {
    let kept = kept(&draft)?;
    let refusals = faults(app, &kept, draft.original.as_deref());
    let Kept { contract, origin, notices } = kept;
    Ok(DraftView {
        draft_id: draft.id,
        rev: draft.rev,
        updated_at: draft.updated_at,
        contract,
        origin,
        notices,
        refusals,
    })
}

/// Every refusal that this draft would meet. While it still is what was imported, also the verdict on that.
fn faults(app: &App, kept: &Kept, original: Option<&[u8]>) -> Vec<Fault> {
    let (state, now) = (app.registry.state(), app.now());
    let refusals = match draft::complete(&kept.contract) {
        Ok(contract) => state.contract_faults(&contract, now),
        Err(open) => {
            let mut all = original.map(|bytes| verdict(&state, kept, bytes, now)).unwrap_or_default();
            all.extend(open);
            all
        }
    };
    refusals.into_iter().map(fault).collect()
}

fn verdict(state: &State, kept: &Kept, bytes: &[u8], now: schemas::Timestamp) -> Vec<Refusal> {
    let payload = signing::cose::read(bytes).map_or_else(|_| bytes.to_vec(), |message| message.payload);
    let Ok(depa) = DepaContract::read(&payload) else { return Vec::new() };
    let terms = kept.contract.get("datasets").and_then(Value::as_array);
    // The draft's datasets stand in the order of the file's.
    let rows = |dataset: &DepaDataset| {
        let n = depa.datasets.iter().position(|other| other == dataset)?;
        let id = DatasetId::parse(terms?.get(n)?.get("dataset_id")?.as_str()?).ok()?;
        state.latest_offer(&id).map(|row| row.offer.public_rows)
    };
    draft::verdict(&depa, rows, now)
}

fn kept(draft: &Draft) -> R<Kept> {
    serde_json::from_str(&draft.body).map_err(internal)
}

fn object(contract: Value) -> R<Value> {
    if contract.is_object() {
        return Ok(contract);
    }
    Err(Refusal::new(Code::SchemaMismatch, "a draft holds an object with members of contract.v1").at("contract"))
}

/// Drafts are written by TDCs and TDPs.
fn owner(app: &App, call: &Call) -> R<Did> {
    let caller = caller(app, call, &app.registry.state())?;
    match caller.kind() {
        Kind::Tdc | Kind::Tdp => Ok(caller.did().clone()),
        _ => Err(Refusal::new(Code::Forbidden, "drafts are written by data consumers and data providers")),
    }
}

fn id(call: &Call) -> R<String> {
    let text = call.params.get("id").map(String::as_str).unwrap_or_default();
    DraftId::parse(text)
        .map(|id| id.to_string())
        .map_err(|_| Refusal::new(Code::DraftUnknown, "there is no such draft"))
}
