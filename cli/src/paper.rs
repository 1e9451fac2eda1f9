//! Documents that are signed by one person or passed from hand to hand: everyone signs the same bytes, alone.

use schemas::contract::Contract;
use schemas::{Document, Envelope, R, Timestamp};
use signing::Signer;

/// The envelope with one more signature.
pub fn add_signature<T: Document>(envelope: &Envelope<T>, key: &dyn Signer, now: Timestamp) -> R<Envelope<T>> {
    let mut signed = envelope.clone();
    signed.signatures.push(signing::countersign(envelope, key, now)?);
    Ok(signed)
}

/// The form of a signature over a contract; both cover the same bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum SignatureForm {
    /// JWS.
    #[default]
    Jws,
    /// One signature of a COSE_Sign in the DEPA profile; the only form for a payload that is not canonical.
    Cose,
}

/// One party's signature over a contract. A COSE body header names the parties in the contract's order and its id as
/// feed, so that every party's tool writes the same one.
pub fn sign_contract(
    contract: &Envelope<Contract>,
    form: SignatureForm,
    key: &dyn Signer,
    now: Timestamp,
) -> R<schemas::envelope::PartySignature> {
    match form {
        SignatureForm::Jws => signing::countersign(contract, key, now),
        SignatureForm::Cose => {
            let document: Contract = schemas::canonical::parse_document(&contract.payload.0)?;
            let parties: Vec<_> = document.parties.iter().map(|p| p.did.clone()).collect();
            signing::cose::sign(contract, &parties, document.contract_id.as_str(), key)
        }
    }
}
