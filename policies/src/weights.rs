//! May the key of a consumer's weights go to this run? They are the consumer's own, so no contract of another party has a
//! say in it beyond the job's: what is asked is that the consumer itself signed this job, which names exactly this key.

use schemas::contract::Assurance;
use schemas::id::{Did, KeyId};
use schemas::jwk::{Curve, Jwk};
use schemas::problem::{Code, R, Refusal};
use schemas::weights::{SealedWeights, Weights};

use crate::facts::Facts;
use crate::forms::{ensure, is_object_url, is_service_url};
use crate::pipeline;

/// The key service that is asked, as it knows itself.
#[derive(Clone, Copy, Debug)]
pub struct Keeper<'a> {
    /// Its base URL.
    pub url: &'a str,
    /// Whom it serves.
    pub provider: &'a Did,
    /// That one's key, as this service pins it.
    pub pinned: &'a KeyId,
    /// The key that signs its answers.
    pub sign_jwk: &'a Jwk,
}

/// The weights of a job: sealed, at an address a room may read, of a size that a model may have.
pub(crate) fn in_a_job(weights: &Weights) -> R<()> {
    let sentence = "A job names its weights by a sealed object and the consumer's own key service.";
    let sealed = weights.sealed.as_ref();
    let sealed = sealed.ok_or_else(|| Refusal::new(Code::WeightsUnsealed, sentence).at("weights.sealed"))?;
    let sentence = "Weights are fetched from a file:, https:, s3:, az:, abfss: or gs: address.";
    ensure(is_object_url(&sealed.object.url), Code::AddressRefused, "weights.sealed.object", sentence)?;
    let key = &sealed.key;
    ensure(
        is_service_url(&key.kms),
        Code::AddressRefused,
        "weights.sealed.key",
        "A key service has an https: base URL.",
    )?;
    key.kms_jwk.point(Curve::Ed25519).map_err(|refusal| refusal.at("weights.sealed.key.kms_jwk"))?;
    SealedWeights::in_size(sealed.object.bytes)
}

/// The weights of this job, if their key is this service's to give, in this order:
///
/// 1. the pipeline is allowed, and its training begins with sealed weights;
/// 2. this service serves the job's consumer, whom the job's one signature is of, by the key that this service pins;
/// 3. the job names this service by its address and the key that signs its answers;
/// 4. the evidence is as strong as the job asks.
pub fn key<'a>(facts: &Facts<'a>, keeper: &Keeper<'_>, shown: Assurance) -> R<&'a SealedWeights> {
    let training = pipeline::decide(facts)?.training;
    let none = || Refusal::new(Code::JobMismatch, "The job begins with no weights.").at("weights");
    let sealed = training.weights.as_ref().and_then(|weights| weights.sealed.as_ref()).ok_or_else(none)?;
    let job = facts.job;
    let sentence = "The key of weights goes to jobs of the consumer whose key service this is, and to no other.";
    ensure(job.tdc == *keeper.provider, Code::WeightsForeign, "tdc", sentence)?;
    // The SRO vouches for keys; for its own consumer's signature this service needs nobody's word.
    let sentence = "The job is not signed by the key that this service pins.";
    let pinned = matches!(job.signers(), [one] if one == keeper.pinned);
    ensure(pinned, Code::SignerUnknown, "provider_jwk", sentence)?;
    let named = sealed.key.kms == keeper.url && sealed.key.kms_jwk == *keeper.sign_jwk;
    let sentence = "The job names another key service for its weights.";
    ensure(named, Code::JobMismatch, "weights.sealed.key", sentence)?;
    let sentence = "The key of the weights asks for stronger evidence.";
    ensure(shown >= sealed.key.min_assurance, Code::AssuranceTooLow, "evidence.kind", sentence)?;
    Ok(sealed)
}
