//! Log bodies: every signature inside one is verified before state is folded over it, in the service and in the audit.

use schemas::envelope::{Proposed, Usage, Verified};
use schemas::event::{Body, SroPerson};
use schemas::id::{Did, KeyId};
use schemas::jwk::Jwk;
use schemas::{Code, KeyBook, R, Refusal};

use crate::{book, check, document, scitt};

/// Verifies all signatures in a body with the keys known before its entry.
///
/// Whether the signers were the right ones is the fold's question (`policies::lifecycle`); here every signature that
/// is there must verify. For a contract signature the proposed payload is needed, which `proposed` finds by digest.
pub fn verify_body(
    body: Body,
    registry: &Did,
    keys: &dyn KeyBook,
    proposed: &dyn Fn(&schemas::Digest) -> Option<Proposed>,
) -> R<Verified<Body>> {
    match &body {
        Body::Genesis { registry_jwk, sro, succeeds, .. } => {
            check::public_key(registry_jwk)?;
            for person in sro {
                check::public_key(&person.jwk)?;
            }
            if let Some(succession) = succeeds {
                drop(document::verify(succession.clone(), registry, &People(sro))?);
            }
        }
        Body::ParticipantApplied { application, resolution } => {
            let application = book::verify_application(application.clone(), registry)?;
            if crate::did::is_web(&application.did) {
                let document = resolution.as_ref().map(|r| r.document.0.as_slice()).unwrap_or_default();
                crate::did::document_names_key(document, &application.did, &application.jwk)?;
            }
        }
        Body::ParticipantDecided { decision } => drop(document::verify(decision.clone(), registry, keys)?),
        Body::ImageSetApproved { image_set } => drop(document::verify(image_set.clone(), registry, keys)?),
        Body::DatasetRegistered { offer } => drop(document::verify(offer.clone(), registry, keys)?),
        Body::ContractProposed { contract } => drop(document::verify(contract.clone(), registry, keys)?),
        Body::ContractSigned { contract, signature } => {
            let unknown = || Refusal::new(Code::ContractUnknown, "no contract with this digest is proposed");
            let proposed = proposed(&contract.sha256).ok_or_else(unknown)?;
            document::verify_further::<schemas::contract::Contract>(&proposed, signature, registry, keys)?;
        }
        Body::ContractExecuted { contract } => drop(document::verify(contract.clone(), registry, keys)?),
        Body::ContractDeclined { decline } => drop(document::verify(decline.clone(), registry, keys)?),
        Body::ContractRevoked { revoke } => drop(document::verify(revoke.clone(), registry, keys)?),
        Body::RunOrdered { job } => drop(document::verify(job.clone(), registry, keys)?),
        Body::RunCheckedIn { run_jwk, enc_jwk, .. } => {
            check::public_key(run_jwk)?;
            enc_jwk.point(schemas::jwk::Curve::X25519)?;
        }
        Body::KmsStated { receipt } => drop(document::verify(receipt.clone(), registry, keys)?),
        Body::RunReported { event } => drop(document::verify(event.clone(), registry, keys)?),
        Body::RunAborted { abort } => drop(document::verify(abort.clone(), registry, keys)?),
        Body::RunCompleted { completion, .. } => {
            let completion = document::verify(completion.clone(), registry, keys)?;
            drop(document::verify(completion.certificate.clone(), registry, keys)?);
            for receipt in completion.release_receipts.iter().chain(&completion.commit_receipts) {
                drop(document::verify(receipt.clone(), registry, keys)?);
            }
        }
        Body::PaymentAnswered { callback } => drop(document::verify(callback.clone(), registry, keys)?),
        Body::RevenueStated { statement } => drop(document::verify(statement.clone(), registry, keys)?),
        Body::PaymentUnmatched { unmatched } => drop(document::verify(unmatched.clone(), registry, keys)?),
        Body::DisputeOpened { dispute } => drop(document::verify(dispute.clone(), registry, keys)?),
        Body::DisputeAnswered { answer } => drop(document::verify(answer.clone(), registry, keys)?),
        Body::DisputeRuled { ruling } => drop(document::verify(ruling.clone(), registry, keys)?),
        Body::DisputeClosed { close } => drop(document::verify(close.clone(), registry, keys)?),
        Body::PayoutEntered { batch } => drop(document::verify(batch.clone(), registry, keys)?),
        Body::ParticipantLeft { withdrawal } => drop(document::verify(withdrawal.clone(), registry, keys)?),
        Body::KeyChanged { event, resolution } => {
            let event = document::verify(event.clone(), registry, keys)?;
            book::verify_added_key(&event, resolution.as_ref(), registry)?;
        }
        Body::ImageSetRevoked { revocation } => drop(document::verify(revocation.clone(), registry, keys)?),
        Body::TemplateApproved { template } => drop(document::verify(template.clone(), registry, keys)?),
        Body::DataSchemaApproved { data_schema } => drop(document::verify(data_schema.clone(), registry, keys)?),
        Body::DatasetChanged { act } => drop(document::verify(act.clone(), registry, keys)?),
        Body::BudgetRenewed { renewal } => drop(document::verify(renewal.clone(), registry, keys)?),
        Body::ContractWithdrawn { withdraw } => drop(document::verify(withdraw.clone(), registry, keys)?),
        Body::ContractSuspended { suspend } => drop(document::verify(suspend.clone(), registry, keys)?),
        Body::ContractResumed { resume } => drop(document::verify(resume.clone(), registry, keys)?),
        Body::ContractTerminated { terminate } => drop(document::verify(terminate.clone(), registry, keys)?),
        Body::SubjectErased { erasure } => drop(document::verify(erasure.clone(), registry, keys)?),
        Body::LogKeyRotated { rotation } => {
            check::public_key(&document::verify(rotation.clone(), registry, keys)?.jwk)?;
        }
        Body::StatementRegistered { issuer, statement } => verify_statement(issuer, &statement.0, keys)?,
        Body::ModelHandedOver { .. }
        | Body::RunLost { .. }
        | Body::ContractTimed { .. }
        | Body::ContractCompleted { .. }
        | Body::PaymentsTimed { .. }
        | Body::PaymentRetried { .. }
        | Body::EscrowTimedOut { .. }
        | Body::DigestAnchored { .. }
        | Body::BodiesRead { .. }
        | Body::Erased { .. }
        | Body::TwinRoot { .. } => {}
    }
    Ok(Verified::vouched_by_signing(body))
}

/// Marks a contract that the writer itself put together from signatures, each of which [`verify_body`] verified when its
/// own entry (`contract_proposed`, `contract_signed`) was entered; no signature is verified a second time.
///
/// Sound because nothing here is trusted that was not verified: the fold refuses the entry unless payload and signatures
/// equal those it holds from the verified entries, byte for byte, so the mark covers nothing else. Replay, audit and
/// every relying party verify the executed contract in full. Any other body is refused.
pub fn assembled(body: Body) -> R<Verified<Body>> {
    match body {
        Body::ContractExecuted { .. } => Ok(Verified::vouched_by_signing(body)),
        _ => Err(Refusal::new(Code::Internal, "only an executed contract is put together from verified entries")),
    }
}

/// A statement stands in the log as it was signed, with nothing unprotected, under the issuer that signed it.
fn verify_statement(issuer: &Did, bytes: &[u8], keys: &dyn KeyBook) -> R<()> {
    let statement = scitt::read(bytes)?;
    if statement.stripped != bytes {
        return Err(Refusal::new(Code::CoseForm, "a statement enters the log with an empty unprotected header"));
    }
    if statement.issuer != *issuer {
        return Err(Refusal::new(Code::SignerNotParty, "the statement has another issuer"));
    }
    scitt::verify(&statement, keys).map(drop)
}

/// The SRO people of a genesis: whoever carries a closed log on is among them.
struct People<'a>(&'a [SroPerson]);

impl KeyBook for People<'_> {
    fn key(&self, kid: &KeyId, usage: Usage) -> Option<Jwk> {
        let person = self.0.iter().find(|p| usage == Usage::Party && p.did.as_str() == kid.holder);
        person.map(|p| p.jwk.clone())
    }
}

/// The book of a log before its first entry: it knows nobody.
pub struct NoKeys;

impl KeyBook for NoKeys {
    fn key(&self, _: &KeyId, _: Usage) -> Option<Jwk> {
        None
    }
}
