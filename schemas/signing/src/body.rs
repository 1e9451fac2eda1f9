//! Log bodies: every signature inside one is verified before state is folded over it, in the service and in the audit.

use schemas::envelope::{Usage, Verified};
use schemas::event::Body;
use schemas::id::{Did, KeyId};
use schemas::jwk::Jwk;
use schemas::{Envelope, KeyBook, R};

use crate::{book, check, jws};

/// Verifies all signatures in a body with the keys known before its entry.
///
/// Whether the signers were the right ones is the fold's question (`policies::lifecycle`); here every signature that
/// is there must verify. For a contract signature the proposed payload is needed, which `proposed` finds by digest.
pub fn verify_body(
    body: Body,
    registry: &Did,
    keys: &dyn KeyBook,
    proposed: &dyn Fn(&schemas::Digest) -> Option<Vec<u8>>,
) -> R<Verified<Body>> {
    match &body {
        Body::Genesis { registry_jwk, sro, .. } => {
            check::public_key(registry_jwk)?;
            for person in sro {
                check::public_key(&person.jwk)?;
            }
        }
        Body::ParticipantApplied { application, resolution } => {
            let application = book::verify_application(application.clone(), registry)?;
            if crate::did::is_web(&application.did) {
                let document = resolution.as_ref().map(|r| r.document.0.as_slice()).unwrap_or_default();
                crate::did::document_names_key(document, &application.did, &application.jwk)?;
            }
        }
        Body::ParticipantDecided { decision } => drop(jws::verify(decision.clone(), registry, keys)?),
        Body::ImageSetApproved { image_set } => drop(jws::verify(image_set.clone(), registry, keys)?),
        Body::DatasetRegistered { offer } => drop(jws::verify(offer.clone(), registry, keys)?),
        Body::ContractProposed { contract } => drop(jws::verify(contract.clone(), registry, keys)?),
        Body::ContractSigned { contract, signature } => {
            let unknown =
                || schemas::Refusal::new(schemas::Code::ContractUnknown, "no contract with this digest is proposed");
            let payload = proposed(&contract.sha256).ok_or_else(unknown)?;
            let envelope = Envelope::<schemas::contract::Contract>::new(payload, vec![signature.clone()]);
            drop(jws::verify(envelope, registry, keys)?);
        }
        Body::ContractExecuted { contract } => drop(jws::verify(contract.clone(), registry, keys)?),
        Body::ContractDeclined { decline } => drop(jws::verify(decline.clone(), registry, keys)?),
        Body::ContractRevoked { revoke } => drop(jws::verify(revoke.clone(), registry, keys)?),
        Body::RunOrdered { job } => drop(jws::verify(job.clone(), registry, keys)?),
        Body::RunCheckedIn { run_jwk, enc_jwk, .. } => {
            check::public_key(run_jwk)?;
            enc_jwk.point(schemas::jwk::Curve::X25519)?;
        }
        Body::KmsStated { receipt } => drop(jws::verify(receipt.clone(), registry, keys)?),
        Body::RunReported { event } => drop(jws::verify(event.clone(), registry, keys)?),
        Body::RunAborted { abort } => drop(jws::verify(abort.clone(), registry, keys)?),
        Body::RunCompleted { completion, .. } => {
            let completion = jws::verify(completion.clone(), registry, keys)?;
            drop(jws::verify(completion.certificate.clone(), registry, keys)?);
            for receipt in completion.release_receipts.iter().chain(&completion.commit_receipts) {
                drop(jws::verify(receipt.clone(), registry, keys)?);
            }
        }
        Body::PaymentAnswered { callback } => drop(jws::verify(callback.clone(), registry, keys)?),
        Body::ParticipantLeft { withdrawal } => drop(jws::verify(withdrawal.clone(), registry, keys)?),
        Body::KeyChanged { event, resolution } => {
            let event = jws::verify(event.clone(), registry, keys)?;
            book::verify_added_key(&event, resolution.as_ref(), registry)?;
        }
        Body::ImageSetRevoked { revocation } => drop(jws::verify(revocation.clone(), registry, keys)?),
        Body::TemplateApproved { template } => drop(jws::verify(template.clone(), registry, keys)?),
        Body::DataSchemaApproved { data_schema } => drop(jws::verify(data_schema.clone(), registry, keys)?),
        Body::DatasetChanged { act } => drop(jws::verify(act.clone(), registry, keys)?),
        Body::ContractWithdrawn { withdraw } => drop(jws::verify(withdraw.clone(), registry, keys)?),
        Body::ContractSuspended { suspend } => drop(jws::verify(suspend.clone(), registry, keys)?),
        Body::ContractResumed { resume } => drop(jws::verify(resume.clone(), registry, keys)?),
        Body::ContractTerminated { terminate } => drop(jws::verify(terminate.clone(), registry, keys)?),
        Body::SubjectErased { erasure } => drop(jws::verify(erasure.clone(), registry, keys)?),
        Body::LogKeyRotated { rotation } => {
            check::public_key(&jws::verify(rotation.clone(), registry, keys)?.jwk)?;
        }
        Body::StatementRegistered { .. } => {
            return Err(schemas::Refusal::new(schemas::Code::CoseForm, "SCITT statements are not offered yet"));
        }
        Body::ModelHandedOver { .. }
        | Body::ContractTimed { .. }
        | Body::ContractCompleted { .. }
        | Body::DigestAnchored { .. }
        | Body::BodiesRead { .. }
        | Body::Erased { .. }
        | Body::TwinRoot { .. } => {}
    }
    Ok(Verified::vouched_by_signing(body))
}

/// The book of a log before its first entry: it knows nobody.
pub struct NoKeys;

impl KeyBook for NoKeys {
    fn key(&self, _: &KeyId, _: Usage) -> Option<Jwk> {
        None
    }
}
