//! Contracts that arrive as COSE_Sign: every signature is verified, the body stays private, the public log gets the
//! salted record. A `contract.v1` is proposed and signed; a contract in DEPA's own shape is anchored and kept as a draft.

use policies::lifecycle::State;
use schemas::contract::{Contract, ContractRef};
use schemas::depa::DepaContract;
use schemas::envelope::{PartySignature, Usage};
use schemas::event::Body;
use schemas::id::{Did, KeyId};
use schemas::jwk::Jwk;
use schemas::party::Kind;
use schemas::{Code, Digest, Document as _, Envelope, KeyBook as _, R, Refusal};
use signing::cose::{self, CoseMessage};

use crate::app::App;
use crate::auth::oversight;
use crate::auth::roles::caller;
use crate::call::Call;
use crate::people::presence;
use crate::routes::drafts;

/// Takes a contract in; answers with the index of the entry that the message made.
pub fn take(app: &App, bytes: &[u8]) -> R<u64> {
    let message = cose::read(bytes)?;
    if message.content_type == Contract::PAYLOAD_TYPE {
        return sign(app, &message);
    }
    draft(app, &message, bytes)
}

/// Proposes with the first signature, or adds to a proposal what it does not have yet.
fn sign(app: &App, message: &CoseMessage) -> R<u64> {
    let envelope: Envelope<Contract> = message.envelope()?;
    let state = app.registry.state();
    // All signatures first: nothing is entered of a message of which a part is bad.
    drop(signing::verify(envelope.clone(), app.did(), state.as_ref())?);
    presence::of_signers(app, &envelope.signatures)?;
    let reference = ContractRef { id: envelope.read_unverified()?.contract_id, sha256: envelope.digest() };
    let known = signers(&state, &reference.sha256);
    let mut fresh = envelope.signatures.iter().filter(|s| !known.contains(&s.kid.holder)).cloned();
    let first = fresh.next();
    let first =
        first.ok_or_else(|| Refusal::new(Code::SignerTwice, "every signer of this message has signed already"))?;
    let first = if known.is_empty() {
        let contract = Envelope::new(envelope.payload.0.clone(), vec![first]);
        app.enter(Body::ContractProposed { contract })?
    } else {
        app.enter(signed(&reference, first))?
    };
    for signature in fresh {
        app.enter(signed(&reference, signature))?;
    }
    Ok(first.receipt.index)
}

fn signed(contract: &ContractRef, signature: PartySignature) -> Body {
    Body::ContractSigned { contract: contract.clone(), signature }
}

/// Who has signed a contract that is proposed; nobody where it is not.
fn signers(state: &State, sha256: &Digest) -> Vec<String> {
    let row = state.contract(sha256);
    row.map(|row| row.envelope().signatures.iter().map(|s| s.kid.holder.clone()).collect()).unwrap_or_default()
}

/// A contract in DEPA's own shape: its signatures verify, it becomes a draft of each provider and consumer who signed, and
/// its digest is anchored. The body stays private; what is no contract is anchored alone.
fn draft(app: &App, message: &CoseMessage, bytes: &[u8]) -> R<u64> {
    let state = app.registry.state();
    let signers = cose::verify_all(message, &|did, key| known(&state, did, key))?;
    let by = signers.first().cloned().ok_or_else(|| Refusal::new(Code::SignatureMissing, "nobody signed"))?;
    if DepaContract::read(&message.payload).is_ok() {
        for owner in &signers {
            let kind = state.participant(owner).map(|row| row.participant.kind);
            if matches!(kind, Some(Kind::Tdc | Kind::Tdp)) && !app.registry.has_draft_of(owner, bytes)? {
                drafts::imported(app, owner.clone(), bytes, true)?;
            }
        }
    }
    Ok(app.enter(Body::DigestAnchored { by, sha256: Digest::of(bytes) })?.receipt.index)
}

/// The active document key of a DID that a kid names: by RFC 7638 thumbprint.
fn known(state: &State, did: &Did, key: &str) -> Option<Jwk> {
    state.key(&KeyId::new(did, key), Usage::Party)
}

/// A contract as COSE_Sign with receipts (label 493), for its parties and the SRO; unknown to everyone else.
pub fn message(app: &App, call: &Call, index: u64, receipts: &[Vec<u8>]) -> R<Vec<u8>> {
    let unknown = || Refusal::new(Code::NotFound, "there is no such entry");
    let state = app.registry.state();
    let entry = app.registry.entries(index, 1)?.pop().filter(|e| e.index == index).ok_or_else(unknown)?;
    let sha256 = match &entry.body {
        Body::ContractProposed { contract } | Body::ContractExecuted { contract } => contract.digest(),
        Body::ContractSigned { contract, .. } => contract.sha256,
        _ => return Err(unknown()),
    };
    let row = state.contract(&sha256).ok_or_else(unknown)?;
    let reader = caller(app, call, &state).map_err(|_| unknown())?;
    if !reader.reads(&row.contract) {
        return Err(unknown());
    }
    let message = cose::write(&row.envelope(), receipts)?;
    oversight::enter(app, &reader, row.proposed, 1)?;
    Ok(message)
}
