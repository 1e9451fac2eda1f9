//! Models: fetched sealed, opened with the TDC's own key, and proved to be what a run under the contracts made.

use std::path::{Path, PathBuf};

use contract_client::Client;
use objects::Objects;
use schemas::bundle::JobBundle;
use schemas::certificate::ModelCertificate;
use schemas::contract::ContractRef;
use schemas::event::{Body, Completion, Obligation};
use schemas::id::RunId;
use schemas::jwk::Jwk;
use schemas::log::Receipt;
use schemas::pipeline::{OutputKind, Stage};
use schemas::{Code, Digest, Envelope, R, Refusal, Signed};
use sealing::DatasetKey;
use serde::{Deserialize, Serialize};
use signing::Trust;
use signing::jose::EncKey;

use crate::{edge, fetch};

/// What proves a model, together with the job bundle and the pinned trust. Kept beside the model.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proof {
    /// The run's signing key; every key service of the job attests its thumbprint.
    pub run_jwk: Jwk,
    /// The completion, signed by it, with the model certificate in it.
    pub completion: Envelope<Completion>,
    /// Receipt of the completion's entry in the log.
    pub receipt: Receipt,
    /// What that entry lists as owed; reckoned from the contracts where absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub listed: Vec<Obligation>,
}

/// A downloaded model, or metrics.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Model {
    /// What it is: the model, or metrics alone where the model stays inside.
    pub kind: OutputKind,
    /// Where it was written, readable by its owner alone: safetensors, or canonical JSON for metrics.
    pub path: PathBuf,
    /// Where its proof was written.
    pub proof: PathBuf,
    /// SHA-256 of the model in the clear.
    pub sha256: Digest,
    /// Its certificate.
    pub certificate: ModelCertificate,
}

/// Where the proof of a model lies.
pub fn proof_path(model: &Path) -> PathBuf {
    let mut name = model.as_os_str().to_owned();
    name.push(".proof.json");
    name.into()
}

/// Fetches the model of a completed run, verifies everything about it, opens it and writes it to a new file.
pub fn download(client: &Client, run: &RunId, bundle: &JobBundle, key: &EncKey, trust: &Trust, out: &Path) -> R<Model> {
    download_from(client, run, bundle, key, trust, out, &fetch::reach(None)?)
}

/// The same where the model may lie in a bucket.
pub fn download_from(
    client: &Client,
    run: &RunId,
    bundle: &JobBundle,
    key: &EncKey,
    trust: &Trust,
    out: &Path,
    reach: &Objects,
) -> R<Model> {
    let view = client.run(run)?;
    let not_yet = || {
        Refusal::new(Code::KeyWithheld, format!("{run} is {}; its model is there once it has completed", view.state))
    };
    let (completion, receipt) =
        (view.completion.clone().ok_or_else(not_yet)?, view.receipt.clone().ok_or_else(not_yet)?);
    let proof = Proof { run_jwk: view.run_jwk.clone(), completion, receipt, listed: view.listed.clone() };
    let (completion, certificate) = check(&proof, bundle, trust)?;
    if &completion.run_id != run {
        return Err(Refusal::new(Code::CompletionMismatch, "the completion is of another run"));
    }
    let kind = named_as(&completion, out)?;
    let handed = client.content_key(run)?;
    let same = handed.content_key_jwe == completion.content_key_jwe
        && handed.output == completion.output
        && handed.certificate == completion.certificate;
    if !same {
        return Err(Refusal::new(Code::CompletionMismatch, "what is handed over is not what the completion names"));
    }
    let sealed = fetch::fetch(&completion.output.url, completion.output.bytes, reach)?;
    if Digest::of(&sealed) != completion.output.sha256 {
        return Err(Refusal::new(Code::SealedTampered, "the sealed model is not the one that the completion names"));
    }
    let bound = sealing::wrap::content_key_context(run);
    let content_key = DatasetKey::from_slice(&*signing::jose::unwrap_key(&handed.content_key_jwe, key, &bound)?)?;
    let model = sealing::open_model(&sealed, &content_key, run)?;
    certified(&model, &certificate)?;
    edge::write_private(out, &model)?;
    edge::write_json(&proof_path(out), &proof)?;
    let certificate = (*certificate).clone();
    Ok(Model { kind, path: out.to_owned(), proof: proof_path(out), sha256: certificate.model_sha256, certificate })
}

/// What the output is, under a file name that does not call it something else.
fn named_as(completion: &Completion, out: &Path) -> R<OutputKind> {
    let kind = [OutputKind::Model, OutputKind::Metrics].into_iter().find(|k| k.as_str() == completion.output.kind);
    let unknown = || Refusal::new(Code::CompletionMismatch, "the completion names an unknown kind of output");
    let kind = kind.ok_or_else(unknown)?;
    let tensors = out.extension().is_some_and(|extension| extension == "safetensors");
    if kind == OutputKind::Metrics && tensors {
        let sentence = "the model stayed inside; what left are metrics in JSON: name the file .json";
        return Err(Refusal::new(Code::ConfigInvalid, sentence).at("out"));
    }
    Ok(kind)
}

/// Verifies a model in the clear against its proof, its job bundle and the pinned trust. Offline.
pub fn verify(model: &[u8], proof: &Proof, bundle: &JobBundle, trust: &Trust) -> R<ModelCertificate> {
    let (_, certificate) = check(proof, bundle, trust)?;
    certified(model, &certificate)?;
    Ok((*certificate).clone())
}

fn certified(model: &[u8], certificate: &ModelCertificate) -> R<()> {
    if Digest::of(model) == certificate.model_sha256 && model.len() as u64 == certificate.model_bytes {
        return Ok(());
    }
    Err(Refusal::new(Code::CompletionMismatch, "the model is not the one that its certificate names"))
}

/// In this order:
///
/// 1. the bundle: every signature and receipt under the pinned trust;
/// 2. completion and certificate signed by the run key, every KMS receipt by the key service that an offer pins;
/// 3. the completion fits job and contracts, and every key service attests this run key;
/// 4. completion and payments stand in the log, as one entry;
/// 5. the sealed model lies where the signed job wanted it.
fn check(proof: &Proof, bundle: &JobBundle, trust: &Trust) -> R<(Signed<Completion>, Signed<ModelCertificate>)> {
    let opened = signing::open_bundle(bundle.clone(), trust)?;
    let run = proof.completion.read_unverified()?.run_id;
    let mut book = opened.book.clone();
    book.set_run(run.clone(), proof.run_jwk.clone());

    let completion = signing::verify_by(proof.completion.clone(), &trust.registry, &book, run.as_str())?;
    let certificate = signing::verify_by(completion.certificate.clone(), &trust.registry, &book, run.as_str())?;
    for receipt in completion.release_receipts.iter().chain(&completion.commit_receipts) {
        let provider = receipt.read_unverified()?.provider;
        signing::verify_by(receipt.clone(), &trust.registry, &book, provider.as_str())?;
    }

    let view = policies::RunView {
        run_id: run.clone(),
        job_sha256: opened.job.digest(),
        run_jwk_thumbprint: proof.run_jwk.thumbprint(),
        image_set_id: opened.image_set.image_set_id.clone(),
    };
    let contracts: Vec<_> = opened.contracts.iter().map(|c| &***c).collect();
    policies::completion::decide(&completion, &opened.job, &contracts, &view)?;

    let refs: Vec<ContractRef> =
        opened.contracts.iter().map(|c| ContractRef { id: c.contract_id.clone(), sha256: c.digest() }).collect();
    let mut pairs: Vec<_> = refs.iter().zip(contracts).collect();
    pairs.sort_by(|a, b| a.0.cmp(b.0));
    let mut charges = Vec::new();
    for receipt in &completion.release_receipts {
        charges.extend(receipt.read_unverified()?.charges);
    }
    let (job, steps) = (&*opened.job, Some(completion.steps));
    let facts = policies::payment::RunFacts { run: &run, job, steps, charges: &charges, time: None };
    // Where a price depends on earlier runs the log alone can say what was owed; its entry stands under the receipt.
    let obligations = policies::payment::listed(&facts, &pairs)?.unwrap_or_else(|| proof.listed.clone());
    let body = Body::RunCompleted { completion: proof.completion.clone(), obligations };
    signing::verify_receipt(&proof.receipt, &body, &trust.origin, trust)?;

    let wanted = opened.job.stages.iter().find_map(|stage| match stage {
        Stage::Output(output) => Some(output.upload.trim_end_matches('/').to_owned()),
        Stage::Join(_) | Stage::Train(_) => None,
    });
    let inside = wanted
        .is_some_and(|folder| completion.output.url.strip_prefix(&folder).is_some_and(|rest| rest.starts_with('/')));
    if !inside || completion.output.url.split('/').any(|part| part == "..") {
        return Err(Refusal::new(Code::AddressRefused, "the sealed model does not lie where the job wanted it"));
    }
    Ok((completion, certificate))
}
