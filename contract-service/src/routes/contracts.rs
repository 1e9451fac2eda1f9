//! Contracts: propose, counter, sign, read; other acts are in `contract_acts`. Foreign and unknown contracts look alike:
//! 404.

use std::sync::Arc;

use policies::lifecycle::{ContractRow, State};
use schemas::bundle::{BundledParticipant, Logged, LoggedKeyEvent};
use schemas::contract::{Contract, ContractRef, ContractState};
use schemas::desk::{
    ContractBundle, ContractChecked, ContractEvent, ContractEvents, ContractList, ContractSignature, ContractView,
    Fault, Receipted,
};
use schemas::envelope::Verified;
use schemas::event::Body;
use schemas::id::{ContractId, DatasetId, Did, ImageSetId};
use schemas::party::Kind;
use schemas::{Code, Digest, Envelope, R, Refusal, Timestamp};

use super::contract_acts;
use crate::app::App;
use crate::auth::oversight;
use crate::auth::roles::caller;
use crate::call::{Answer, Call, page_size};
use crate::people::presence;
use crate::serve::Reply;

/// Enters a proposal with the proposer's signature.
pub fn propose(app: &App, call: &Call) -> R<Answer> {
    if call.header("content-type").is_some_and(|media| media.starts_with(super::drafts::COSE)) {
        return propose_cose(app, call);
    }
    let contract: Envelope<Contract> = call.read()?;
    let sha256 = contract.digest();
    contract_acts::enter(app, &sha256, Body::ContractProposed { contract })
}

/// A COSE message over a `contract.v1`: proposes it with the first signature, unless it is proposed already, and enters
/// every further one that is not there yet. A message over one of DEPA's shapes goes to `/v1/drafts/import`.
fn propose_cose(app: &App, call: &Call) -> R<Answer> {
    let whole: Envelope<Contract> = signing::cose::read(&call.body)?.envelope()?;
    signing::verify(whole.clone(), app.did(), &*app.registry.state())?;
    presence::of_signers(app, &whole.signatures)?;
    let (sha256, id) = (whole.digest(), whole.read_unverified()?.contract_id);
    let contract = ContractRef { id, sha256 };
    let mut answer = None;
    for signature in whole.signatures {
        let state = app.registry.state();
        let entered = state.contract(&sha256).map(|row| row.signatures.clone());
        let body = match entered {
            None => Body::ContractProposed { contract: Envelope::new(whole.payload.0.clone(), vec![signature]) },
            Some(there) if there.iter().any(|s| s.kid == signature.kid) => continue,
            Some(_) => Body::ContractSigned { contract: contract.clone(), signature },
        };
        answer = Some(contract_acts::enter(app, &sha256, body)?);
    }
    answer.ok_or_else(|| Refusal::new(Code::SignerTwice, "all of these have signed already"))
}

/// Enters a further party's signature; the last one brings the contract into force. Holds no thread while the writer
/// works.
pub fn sign(app: &Arc<App>, call: &Call, reply: Reply) {
    match signed(app, call) {
        Ok((sha256, body)) => {
            let answering = app.clone();
            app.registry.append_then(body, app.now(), move |entry| {
                reply.give(entry.and_then(|entry| contract_acts::entered(&answering, &sha256, entry)));
            });
        }
        Err(refusal) => reply.give(Err(refusal)),
    }
}

fn signed(app: &App, call: &Call) -> R<(Digest, Verified<Body>)> {
    let id: ContractId = call.param("id")?;
    let ContractSignature { contract_sha256, signature } = call.read()?;
    let contract = ContractRef { id, sha256: contract_sha256 };
    let signer = [signature.clone()];
    let body = app.registry.verify(Body::ContractSigned { contract, signature })?;
    // A countersignature of the SRO is an act of the SRO; it is seldom, and its one look at the sessions is worth no thread.
    presence::of_signers(app, &signer)?;
    Ok((contract_sha256, body))
}

/// What stands in the way of proposing this contract; nothing is entered and no signature asked for.
pub fn check(app: &App, call: &Call) -> R<Answer> {
    let contract: Contract = call.read()?;
    let refusals = app.registry.state().contract_faults(&contract, app.now());
    Answer::ok(&ContractChecked { refusals: refusals.into_iter().map(fault).collect() })
}

/// A refusal in a list of them.
pub fn fault(refusal: Refusal) -> Fault {
    Fault { code: refusal.code.to_string(), detail: refusal.sentence, field: refusal.field }
}

/// A page of the caller's contracts by id, each in its version in force, else the newest; `state`, `party`, `dataset` and `q` (a part of an id)
/// choose among them. Asked for a state, a next version that is proposed and in it stands for its contract.
pub fn list(app: &App, call: &Call) -> R<Answer> {
    let state = app.registry.state();
    let caller = caller(app, call, &state)?;
    let (now, limit) = (app.now(), page_size(call)?);
    let wish = Wish::read(call)?;
    let after = call.query.get("cursor").map(|text| ContractId::parse(text)).transpose()?;
    let own = state.contracts_after(after.as_ref()).filter(|row| caller.reads(&row.contract));
    let mut rows = own.filter_map(|row| wish.version(&state, row, now));
    let page: Vec<&ContractRow> = rows.by_ref().take(limit).collect();
    let more = rows.next().is_some();
    let next = page.last().filter(|_| more).map(|row| row.contract.contract_id.to_string());
    let contracts = page.into_iter().map(|row| schemas::desk::ContractRow {
        contract_id: row.contract.contract_id.clone(),
        sha256: row.sha256,
        state: row.state(now),
    });
    Answer::ok(&ContractList { contracts: contracts.collect(), next })
}

/// Which contracts a caller wants to see.
struct Wish {
    state: Option<ContractState>,
    party: Option<Did>,
    dataset: Option<DatasetId>,
    part: Option<String>,
}

impl Wish {
    fn read(call: &Call) -> R<Wish> {
        let text = |name: &str| call.query.get(name).filter(|text| !text.is_empty());
        let bad = |_| Refusal::new(Code::SchemaMismatch, "there is no such state of a contract").at("state");
        let word = |text: &String| serde_json::from_value(serde_json::Value::String(text.clone())).map_err(bad);
        Ok(Wish {
            state: text("state").map(word).transpose()?,
            party: text("party").map(|text| Did::parse(text)).transpose()?,
            dataset: text("dataset").map(|text| DatasetId::parse(text)).transpose()?,
            part: text("q").cloned(),
        })
    }

    /// The version of this contract that is wished for: the one in force, else one that is proposed to take its place.
    fn version<'s>(&self, state: &'s State, row: &'s ContractRow, now: Timestamp) -> Option<&'s ContractRow> {
        use ContractState::{AwaitingSro, PartiallySigned, Proposed};
        let open = [Proposed, PartiallySigned, AwaitingSro];
        let next = row.amendment.and_then(|sha256| state.contract(&sha256));
        let next = next.filter(|next| self.state.is_some() && open.contains(&next.state(now)));
        [Some(row), next].into_iter().flatten().find(|row| self.fits(row, row.state(now)))
    }

    fn fits(&self, row: &ContractRow, state: ContractState) -> bool {
        let contract = &row.contract;
        self.state.is_none_or(|wanted| wanted == state)
            && self.party.as_ref().is_none_or(|did| contract.role_of(did).is_some())
            && self.dataset.as_ref().is_none_or(|id| contract.datasets.iter().any(|d| d.dataset_id == *id))
            && self.part.as_ref().is_none_or(|part| contract.contract_id.as_str().contains(part.as_str()))
    }
}

/// A contract with the signatures so far.
pub fn read(app: &App, call: &Call) -> R<Answer> {
    let state = app.registry.state();
    let row = readable(app, call, &state)?;
    let executed = row.executed.map(|index| app.receipt(index)).transpose()?;
    Answer::ok(&ContractView {
        contract: row.envelope(),
        sha256: row.sha256,
        state: row.state(app.now()),
        rev: state.contract_rev(&row.contract.contract_id),
        amendment: row.amendment,
        executed,
    })
}

/// A page of a contract's entries with their receipts, oldest first.
pub fn events(app: &App, call: &Call) -> R<Answer> {
    let state = app.registry.state();
    let row = readable(app, call, &state)?;
    let limit = page_size(call)?;
    let from = call.number("cursor", 0)?;
    let mut indices = state.contract_entries(&row.contract.contract_id).iter().filter(|index| **index >= from);
    let page: Vec<u64> = indices.by_ref().take(limit).copied().collect();
    let next = indices.next().map(u64::to_string);
    let event = |index: u64| {
        let gone = || Refusal::new(Code::NotFound, "the entry is not there");
        let entry = app.registry.entries(index, 1)?.pop().ok_or_else(gone)?;
        Ok(ContractEvent { index, at: entry.record.at, body: entry.body, receipt: app.receipt(index)? })
    };
    Answer::ok(&ContractEvents { events: page.into_iter().map(event).collect::<R<_>>()?, next })
}

/// The receipt of the fully signed contract.
pub fn receipt(app: &App, call: &Call) -> R<Answer> {
    let state = app.registry.state();
    let row = readable(app, call, &state)?;
    let open = || Refusal::new(Code::ContractNotActive, "the contract is not fully signed yet");
    Answer::ok(&Receipted { receipt: app.receipt(row.executed.ok_or_else(open)?)? })
}

/// A fully signed contract with offers, parties and image sets: what a job bundle is made of.
pub fn bundle(app: &App, call: &Call) -> R<Answer> {
    let state = app.registry.state();
    let row = readable(app, call, &state)?;
    let open = || Refusal::new(Code::ContractNotActive, "the contract is not fully signed yet");
    let receipt = app.registry.receipt(row.executed.ok_or_else(open)?)?;
    let contracts = vec![Logged { envelope: row.envelope(), receipt }];
    let offers = row.contract.datasets.iter().map(|d| {
        let offer =
            state.offer(&d.offer_sha256).ok_or_else(|| Refusal::new(Code::DatasetUnknown, "an offer is missing"))?;
        Ok(Logged { envelope: offer.envelope.clone(), receipt: app.registry.receipt(offer.index)? })
    });
    let participants = row.contract.parties.iter().map(|p| participant(app, &state, &p.did));
    let image_sets = row.contract.compute.image_sets.iter().map(|id| image_set(app, &state, id));
    let consumes = |did: &Did| row.contract.in_role(Kind::Tdc).any(|tdc| tdc == did);
    let renewals = row.contract.datasets.iter().flat_map(|d| state.standing_renewals_of(&d.offer_sha256));
    let renewals = renewals.filter(|row| row.renewal.tdc.as_ref().is_none_or(consumes));
    Answer::ok(&ContractBundle {
        contracts,
        offers: offers.collect::<R<_>>()?,
        participants: participants.collect::<R<_>>()?,
        image_sets: image_sets.collect::<R<_>>()?,
        renewals: renewals.map(|row| super::datasets::renewal(app, row)).collect::<R<_>>()?,
        log_keys: app.lineage(),
    })
}

pub(super) fn participant(app: &App, state: &State, did: &Did) -> R<BundledParticipant> {
    let missing = || Refusal::new(Code::ParticipantNotVerified, format!("{did} is not verified"));
    let row = state.participant(did).ok_or_else(missing)?;
    let (index, envelope) = row.decision.as_ref().ok_or_else(missing)?;
    let decision = Logged { envelope: envelope.clone(), receipt: app.registry.receipt(*index)? };
    let key_events = row.key_events.iter().map(|(index, event)| {
        let added = row.keys.iter().find(|key| key.active_from == *index);
        let resolution = added.and_then(|key| key.resolution.clone());
        Ok(LoggedKeyEvent { event: event.clone(), resolution, receipt: app.registry.receipt(*index)? })
    });
    let key_events = key_events.collect::<R<Vec<_>>>()?;
    Ok(BundledParticipant { application: row.application.clone(), decision, key_events })
}

fn image_set(app: &App, state: &State, id: &ImageSetId) -> R<Logged<schemas::evidence::ImageSet>> {
    let missing = || Refusal::new(Code::ImageSetUnknown, format!("{id} is not approved"));
    let row = state.image_set(id).ok_or_else(missing)?;
    Ok(Logged { envelope: row.envelope.clone(), receipt: app.registry.receipt(row.index)? })
}

/// The status list: every fully signed contract that is not in force, signed now.
pub fn status_list(app: &App, _: &Call) -> R<Answer> {
    Answer::ok(&app.status_list()?)
}

fn readable<'a>(app: &App, call: &Call, state: &'a State) -> R<&'a ContractRow> {
    let caller = caller(app, call, state)?;
    let id: ContractId = call.param("id")?;
    let version = call.query.get("version").map(|text| Digest::parse(text)).transpose()?;
    let found = match version {
        Some(sha256) => state.contract(&sha256).filter(|row| row.contract.contract_id == id),
        None => state.contract_by_id(&id),
    };
    let row = found.filter(|row| caller.reads(&row.contract)).ok_or_else(unknown)?;
    oversight::enter(app, &caller, row.proposed, 1)?;
    Ok(row)
}

/// What those read who may not know the contract.
pub fn unknown() -> Refusal {
    Refusal::new(Code::ContractUnknown, "no such contract is known to you")
}
