//! Is this completion the end of that run? Only then does it enter the log, fall payments due and the model go out.

use schemas::certificate::ModelCertificate;
use schemas::contract::Contract;
use schemas::digest::Digest;
use schemas::envelope::Envelope;
use schemas::event::Completion;
use schemas::id::{ImageSetId, RunId};
use schemas::job::JobSpec;
use schemas::pipeline::{OutputKind, Stage};
use schemas::privacy::DatasetCharge;
use schemas::problem::{Code, R, Refusal};
use schemas::release::{KmsReceipt, KmsStatement};
use schemas::worker::NoiseSampler;

use crate::forms::{ensure, is_object_url, unique};
use crate::output::MAX_MODEL;
use crate::receipts::Run;

/// A run as its check-in stands in the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RunView {
    /// The run.
    pub run_id: RunId,
    /// The job.
    pub job_sha256: Digest,
    /// RFC 7638 thumbprint of the run's signing key.
    pub run_jwk_thumbprint: String,
    /// What it showed to be.
    pub image_set_id: ImageSetId,
}

/// Is this the completion of this run of this job under these contracts? Signatures on it, its certificate and its
/// receipts were verified before (`signing::verify_body`); here is judged what they say and who said it:
///
/// 1. completion, run and job agree: run, job, registry, image set, contracts;
/// 2. every dataset of the job is named by exactly one release receipt and exactly one commit receipt of its own key
///    service, all of this run and run key, each commit naming the sealed output;
/// 3. the certificate is this run's, names the datasets' manifest roots, and its plan and charges are those that the
///    key services charged; the steps are the plan's and the job's. Whether the training was private is as the job says, in plan,
///    charges and noise alike;
/// 4. the certificate names every room that the job asks for beside the one that signs, each once.
pub fn decide(completion: &Completion, job: &JobSpec, contracts: &[&Contract], run: &RunView) -> R<()> {
    same_run(completion, job, run)?;
    let view = Run { job, contracts, view: run };
    let releases = receipts(&completion.release_receipts, "release_receipts", &view, |receipt| {
        let KmsStatement::Released { jwe_sha256, .. } = &receipt.statement else { return false };
        jwe_sha256.len() == receipt.datasets.len()
    })?;
    let commits = receipts(
        &completion.commit_receipts,
        "commit_receipts",
        &view,
        |receipt| matches!(&receipt.statement, KmsStatement::Committed { output_sha256 } if *output_sha256 == completion.output.sha256),
    )?;
    let statements = releases.iter().chain(&commits);
    let sentence = "A statement of a key service stands twice.";
    let once = unique(statements.clone().map(|r| (&r.kms, r.seq)));
    ensure(once, Code::CompletionReceipts, "commit_receipts", sentence)?;
    certificate(completion, &view, &statements.collect::<Vec<_>>())
}

fn same_run(completion: &Completion, job: &JobSpec, run: &RunView) -> R<()> {
    for (same, field) in [
        (completion.registry == job.registry, "registry"),
        (completion.run_id == run.run_id, "run_id"),
        (completion.job_sha256 == run.job_sha256, "job_sha256"),
        (completion.image_set_id == run.image_set_id && run.image_set_id == job.image_set_id, "image_set_id"),
        (completion.contracts == job.contracts, "contracts"),
    ] {
        mismatch(same, field, format!("The completion's {field} is not that of the run."))?;
    }
    let output = &completion.output;
    let wanted = job.stages.iter().find_map(|stage| match stage {
        Stage::Output(output) => Some(output.kind),
        Stage::Join(_) | Stage::Train(_) => None,
    });
    let kind = wanted.is_some_and(|kind| kind != OutputKind::Table && kind.as_str() == output.kind);
    mismatch(kind, "output.kind", "A run's output is the model or the metrics, as its job says.")?;
    mismatch(output.bytes > 0, "output.bytes", "The sealed output is empty.")?;
    let sentence = "The sealed output lies at a file:, https:, s3:, az:, abfss: or gs: address.";
    mismatch(is_object_url(&output.url), "output.url", sentence)?;
    let key = (1..=16 << 10).contains(&completion.content_key_jwe.len());
    mismatch(key, "content_key_jwe", "The completion carries the wrapped content key of the model.")
}

fn receipts(
    envelopes: &[Envelope<KmsReceipt>],
    field: &str,
    run: &Run<'_>,
    states: impl Fn(&KmsReceipt) -> bool,
) -> R<Vec<KmsReceipt>> {
    let refuse = |sentence: String| Refusal::new(Code::CompletionReceipts, format!("Receipts: {sentence}.")).at(field);
    let mut read = Vec::new();
    for envelope in envelopes {
        let receipt = envelope.read_unverified()?;
        let own = matches!(envelope.signatures.as_slice(), [one] if one.kid.holder == receipt.provider.as_str());
        if !own {
            return Err(refuse(format!(
                "a receipt of {} is not signed by the key service of its provider",
                receipt.kms
            )));
        }
        if !states(&receipt) {
            return Err(refuse(format!("a receipt of {} does not state what is needed", receipt.kms)));
        }
        read.push(receipt);
    }
    run.covered_by(&read.iter().collect::<Vec<_>>()).map_err(refuse)?;
    Ok(read)
}

fn certificate(completion: &Completion, run: &Run<'_>, statements: &[&KmsReceipt]) -> R<()> {
    let certificate = completion.certificate.read_unverified()?;
    let signed = matches!(completion.certificate.signatures.as_slice(), [one]
        if one.kid.holder == run.view.run_id.as_str() && one.kid.thumbprint == run.view.run_jwk_thumbprint);
    let metrics = certificate.metrics.as_ref();
    let charged = (certificate.plan.curve.is_some(), certificate.plan.loss.is_some());
    let without = certificate.plan.without_differential_privacy;
    let trainings = run.job.stages.iter().filter_map(|stage| match stage {
        Stage::Train(training) => Some(training),
        Stage::Join(_) | Stage::Output(_) => None,
    });
    let ordered = trainings.clone().any(|training| !training.private);
    for (same, field) in [
        (signed, "certificate.signatures"),
        (certificate.registry == completion.registry, "certificate.registry"),
        (certificate.run_id == completion.run_id, "certificate.run_id"),
        (certificate.job_sha256 == completion.job_sha256, "certificate.job_sha256"),
        (certificate.contracts == completion.contracts, "certificate.contracts"),
        (certificate.image_set_id == completion.image_set_id, "certificate.image_set_id"),
        (certificate.plan.steps == completion.steps, "steps"),
        (trainings.clone().all(|training| training.steps == completion.steps), "steps"),
        (statements.iter().all(|r| r.assurance == certificate.assurance), "certificate.assurance"),
        ((1..=MAX_MODEL as u64).contains(&certificate.model_bytes), "certificate.model_bytes"),
        (certificate.output_kind.is_none_or(|kind| kind.as_str() == completion.output.kind), "certificate.output_kind"),
        (certificate.metrics.is_some() == certificate.plan.metrics_noise_multiplier.is_some(), "certificate.metrics"),
        (metrics.is_none_or(|m| (m.curve.is_some(), m.loss.is_some()) == charged), "certificate.metrics"),
        (without == ordered && certificate.plan.charges.iter().all(|c| c.is_private() != without), "certificate.plan"),
        ((certificate.noise == Some(NoiseSampler::WithoutNoise)) == without, "certificate.noise"),
    ] {
        mismatch(same, field, format!("The certificate and the completion disagree about {field}."))?;
    }
    member_rooms(&certificate, run.job)?;
    certified_datasets(&certificate, run, statements)
}

/// Every room of the run is named by its evidence, so that an auditor sees each; what they showed to be is said of all of
/// them, or of none in certificates of before it was said.
fn member_rooms(certificate: &ModelCertificate, job: &JobSpec) -> R<()> {
    let beside = job.rooms.map_or(0, |rooms| rooms.saturating_sub(1)) as usize;
    let named = certificate.members.len() == beside && unique(&certificate.members);
    let sentence = "The certificate names each room of the job beside the one that signs, once.";
    mismatch(named, "certificate.members", sentence)?;
    let said = certificate.member_rooms.is_empty() || certificate.member_rooms.len() == beside;
    let sentence = "The certificate says of all its rooms what they showed to be, or of none.";
    mismatch(said, "certificate.member_rooms", sentence)
}

fn certified_datasets(certificate: &ModelCertificate, run: &Run<'_>, statements: &[&KmsReceipt]) -> R<()> {
    let field = "certificate.datasets";
    let named = certificate.datasets.iter().map(|d| (&d.dataset_id, d.version));
    let all = named.eq(run.job.datasets.iter().map(|d| (&d.dataset_id, d.version)));
    mismatch(all, field, "The certificate names the datasets of the job, in its order.")?;
    let planned = certificate.plan.charges.iter().eq(certificate.datasets.iter().map(|d| &d.charge));
    mismatch(planned, field, "The charges of the certificate's datasets are those of its plan.")?;
    for dataset in &certificate.datasets {
        let terms = run.terms(&dataset.dataset_id, dataset.version).map(|(_, terms)| terms);
        let root = terms.map(|terms| terms.manifest_root);
        let sentence = format!("The certificate names another sealed object for dataset {}.", dataset.dataset_id);
        mismatch(root == Some(dataset.manifest_root), field, sentence)?;
        let level = terms.map(|terms| terms.privacy.level) == Some(dataset.charge.level);
        let sentence = format!("The certificate names another privacy level for dataset {}.", dataset.dataset_id);
        mismatch(level, field, sentence)?;
        let here = |c: &&DatasetCharge| c.dataset_id == dataset.dataset_id && c.version == dataset.version;
        let charged = statements.iter().flat_map(|r| &r.charges).filter(here).all(|charge| *charge == dataset.charge);
        let own = here(&&dataset.charge) && charged;
        let sentence =
            format!("The certificate names another charge than the key service for dataset {}.", dataset.dataset_id);
        mismatch(own, field, sentence)?;
    }
    Ok(())
}

fn mismatch(ok: bool, field: &str, sentence: impl Into<String>) -> R<()> {
    ensure(ok, Code::CompletionMismatch, field, sentence)
}
