//! Contracts: drafted from a form, signed alone and offline by every party over the same bytes, and handed in.

pub mod acts;
pub mod bundle;
pub mod check;
pub mod form;
pub mod text;
pub mod version;
pub mod wait;

use contract_client::Client;
use schemas::contract::{Contract, ContractDecline, ContractRef, ContractRevoke, ContractState};
use schemas::desk::{ContractAnswer, ContractBundle, ContractSignature, ContractView};
use schemas::id::ContractId;
use schemas::{Code, Envelope, R, Refusal, Timestamp};
use signing::{Signer, Trust};
use uuid::Uuid;

use crate::paper::SignatureForm;

pub use bundle::{VerifiedBundle, verify_bundle};
pub use form::{ContractForm, draft};
pub use text::plain_language;

/// Drafts the contract of a form: the pinned facts are copied from the datasets' verified offers.
pub fn new(client: &Client, form: &ContractForm, trust: &Trust, id: Uuid, now: Timestamp) -> R<Envelope<Contract>> {
    let offers: R<Vec<_>> =
        form.datasets.iter().map(|d| crate::dataset::verified_offer(client, trust, &d.dataset_id)).collect();
    let contract = draft(form, &offers?, trust, ContractId::new(id), now)?;
    Envelope::draft(&contract)
}

/// One party's signature, made offline: nothing is sent. Refuses a contract of another registry, or of which the signer
/// is no party.
pub fn sign(contract: &Envelope<Contract>, key: &dyn Signer, trust: &Trust, now: Timestamp) -> R<ContractSignature> {
    sign_as(contract, SignatureForm::Jws, key, trust, now)
}

/// [`sign`] in this form. A payload that is not canonical can be signed by COSE alone.
pub fn sign_as(
    contract: &Envelope<Contract>,
    form: SignatureForm,
    key: &dyn Signer,
    trust: &Trust,
    now: Timestamp,
) -> R<ContractSignature> {
    let document: Contract = match form {
        SignatureForm::Jws => contract.read_unverified()?,
        SignatureForm::Cose => schemas::canonical::parse_document(&contract.payload.0)?,
    };
    if document.registry != trust.registry {
        let sentence = format!("the contract counts in {}, your trust file pins {}", document.registry, trust.registry);
        return Err(Refusal::new(Code::WrongRegistry, sentence).at("registry"));
    }
    let did = key.did()?;
    if document.role_of(&did).is_none() {
        return Err(Refusal::new(Code::SignerNotParty, format!("{did} is no party of this contract")).at("parties"));
    }
    let signature = crate::paper::sign_contract(contract, form, key, now)?;
    Ok(ContractSignature { contract_sha256: contract.digest(), signature })
}

/// Hands in a signature. The first one proposes the contract and needs its bytes; a further one names them by digest.
pub fn submit(
    client: &Client,
    contract: &Envelope<Contract>,
    signature: &ContractSignature,
    first: bool,
) -> R<ContractAnswer> {
    if signature.contract_sha256 != contract.digest() {
        return Err(
            Refusal::new(Code::SignatureInvalid, "the signature is over another contract").at("contract_sha256")
        );
    }
    if first {
        return client.propose(&Envelope::new(contract.payload.0.clone(), vec![signature.signature.clone()]));
    }
    let id = contract.read_unverified()?.contract_id;
    client.sign_contract(&id, signature.contract_sha256, signature.signature.clone())
}

/// The contract with the signatures so far; refused unless the bytes have the digest and id that the service names.
pub fn fetch(client: &Client, id: &ContractId) -> R<ContractView> {
    let view = client.contract(id)?;
    if view.contract.digest() != view.sha256 || &view.contract.read_unverified()?.contract_id != id {
        return Err(Refusal::new(Code::PeerFault, "the service answered with another contract"));
    }
    Ok(view)
}

/// The state of a contract now.
pub fn state(client: &Client, id: &ContractId) -> R<ContractState> {
    Ok(client.contract(id)?.state)
}

/// A contract in force with everything around it.
pub fn bundle(client: &Client, id: &ContractId) -> R<ContractBundle> {
    client.contract_bundle(id)
}

/// A drafted revocation without a signature.
pub fn draft_revoke(
    contract: &ContractRef,
    reason: &str,
    trust: &Trust,
    now: Timestamp,
) -> R<Envelope<ContractRevoke>> {
    Envelope::draft(&ContractRevoke {
        schema: "contract-revoke.v1".into(),
        registry: trust.registry.clone(),
        contract: contract.clone(),
        reason: reason.to_owned(),
        cause: schemas::contract::Cause::AtWill,
        revoked_at: now,
    })
}

/// The revocation with one more signature. A party signs alone; two SRO people pass the file from one to the other.
pub fn sign_revoke(revoke: &Envelope<ContractRevoke>, key: &dyn Signer, now: Timestamp) -> R<Envelope<ContractRevoke>> {
    let mut signed = revoke.clone();
    signed.signatures.push(signing::countersign(revoke, key, now)?);
    Ok(signed)
}

/// Hands in a signed revocation.
pub fn revoke(client: &Client, revoke: &Envelope<ContractRevoke>) -> R<ContractAnswer> {
    client.revoke(&revoke.read_unverified()?.contract.id, revoke)
}

/// Declines to sign.
pub fn decline(
    client: &Client,
    contract: &ContractRef,
    reason: &str,
    key: &dyn Signer,
    trust: &Trust,
    now: Timestamp,
) -> R<ContractAnswer> {
    let document = ContractDecline {
        schema: "contract-decline.v1".into(),
        registry: trust.registry.clone(),
        contract: contract.clone(),
        reason: reason.to_owned(),
        declined_at: now,
    };
    client.decline(&contract.id, &signing::sign(&document, key, now)?)
}
