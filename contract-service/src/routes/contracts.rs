//! Contracts: propose, sign, decline, revoke, read. Foreign and unknown contracts look alike: 404.

use policies::lifecycle::{ContractRow, State};
use schemas::bundle::{BundledParticipant, Logged};
use schemas::contract::{Contract, ContractDecline, ContractRef, ContractRevoke};
use schemas::desk::{ContractAnswer, ContractBundle, ContractList, ContractSignature, ContractView};
use schemas::event::Body;
use schemas::id::{ContractId, Did, ImageSetId};
use schemas::{Code, Digest, Envelope, R, Refusal};

use crate::app::App;
use crate::auth::oversight;
use crate::auth::roles::caller;
use crate::call::{Answer, Call};

/// Enters a proposal with the proposer's signature.
pub fn propose(app: &App, call: &Call) -> R<Answer> {
    let contract: Envelope<Contract> = call.read()?;
    let sha256 = contract.digest();
    act(app, &sha256, Body::ContractProposed { contract })
}

/// Enters a further party's signature; the last one brings the contract into force.
pub fn sign(app: &App, call: &Call) -> R<Answer> {
    let id: ContractId = call.param("id")?;
    let ContractSignature { contract_sha256, signature } = call.read()?;
    let contract = ContractRef { id, sha256: contract_sha256 };
    act(app, &contract_sha256, Body::ContractSigned { contract, signature })
}

/// Enters a party's refusal to sign.
pub fn decline(app: &App, call: &Call) -> R<Answer> {
    let decline: Envelope<ContractDecline> = call.read()?;
    let meant = decline.read_unverified()?.contract;
    same(call, &meant)?;
    act(app, &meant.sha256, Body::ContractDeclined { decline })
}

/// Enters a revocation by a party that may, or by two SRO people.
pub fn revoke(app: &App, call: &Call) -> R<Answer> {
    let revoke: Envelope<ContractRevoke> = call.read()?;
    let meant = revoke.read_unverified()?.contract;
    same(call, &meant)?;
    act(app, &meant.sha256, Body::ContractRevoked { revoke })
}

fn act(app: &App, sha256: &Digest, body: Body) -> R<Answer> {
    let entry = app.enter(body)?;
    let executed = entry.follow_up.map(|next| next.receipt);
    let state = app.registry.state();
    let now = state.contract_state(sha256, app.now()).ok_or_else(unknown)?;
    Answer::created(&ContractAnswer { receipt: entry.receipt, state: now, executed })
}

fn same(call: &Call, meant: &ContractRef) -> R<()> {
    if call.param::<ContractId>("id")? == meant.id {
        return Ok(());
    }
    Err(Refusal::new(Code::SchemaMismatch, "the document names another contract than the path").at("contract.id"))
}

/// The caller's contracts.
pub fn list(app: &App, call: &Call) -> R<Answer> {
    let state = app.registry.state();
    let caller = caller(app, call, &state)?;
    let now = app.now();
    let own = state.contracts().filter(|row| caller.reads(&row.contract));
    let contracts = own.map(|row| schemas::desk::ContractRow {
        contract_id: row.contract.contract_id.clone(),
        sha256: row.sha256,
        state: row.state(now),
    });
    Answer::ok(&ContractList { contracts: contracts.collect() })
}

/// A contract with the signatures so far.
pub fn read(app: &App, call: &Call) -> R<Answer> {
    let state = app.registry.state();
    let row = readable(app, call, &state)?;
    let executed = row.executed.map(|index| app.receipt(index)).transpose()?;
    Answer::ok(&ContractView { contract: row.envelope(), sha256: row.sha256, state: row.state(app.now()), executed })
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
    Answer::ok(&ContractBundle {
        contracts,
        offers: offers.collect::<R<_>>()?,
        participants: participants.collect::<R<_>>()?,
        image_sets: image_sets.collect::<R<_>>()?,
    })
}

pub(super) fn participant(app: &App, state: &State, did: &Did) -> R<BundledParticipant> {
    let missing = || Refusal::new(Code::ParticipantNotVerified, format!("{did} is not verified"));
    let row = state.participant(did).ok_or_else(missing)?;
    let (index, envelope) = row.decision.as_ref().ok_or_else(missing)?;
    let decision = Logged { envelope: envelope.clone(), receipt: app.registry.receipt(*index)? };
    Ok(BundledParticipant { application: row.application.clone(), decision, key_events: Vec::new() })
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
    let row = state.contract_by_id(&id).filter(|row| caller.reads(&row.contract)).ok_or_else(unknown)?;
    oversight::enter(app, &caller, row.proposed, 1)?;
    Ok(row)
}

fn unknown() -> Refusal {
    Refusal::new(Code::ContractUnknown, "no such contract is known to you")
}
