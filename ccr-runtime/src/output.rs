//! Sealing: a checked output is encrypted under a key of its own, and that key to the TDC alone.

use policies::accountant::pld;
use policies::output::CheckedOutput;
use schemas::certificate::{CertifiedDataset, ModelCertificate};
use schemas::pipeline::OutputKind;
use schemas::worker::{NoiseSampler, NoisedMetrics};
use schemas::{Code, Digest, Document, Envelope, R, Refusal, Timestamp};

use crate::admit::Admitted;
use crate::room::Room;
use crate::session::Session;

/// A sealed output, the model or the metrics, and what its recipient needs to open it.
#[derive(Debug)]
pub struct Sealed {
    /// The container.
    pub bytes: Vec<u8>,
    /// SHA-256 of it: what every key service commits to.
    pub sha256: Digest,
    /// The content key as JWE to the recipient of the job.
    pub content_key_jwe: String,
    /// SHA-256 of the output in the clear.
    pub model_sha256: Digest,
    /// Its size.
    pub model_bytes: u64,
    /// What drew the noise.
    pub noise: NoiseSampler,
    /// Noised metrics.
    pub metrics: Option<NoisedMetrics>,
}

/// Seals a checked output; nothing else can be sealed.
pub fn seal(checked: CheckedOutput, job: &Admitted, session: &Session) -> R<Sealed> {
    let (sealed, key) = sealing::seal_model(checked.content(), &session.run_id)?;
    let bound = sealing::wrap::content_key_context(&session.run_id);
    let content_key_jwe = signing::jose::wrap_key(key.expose(), &job.output.recipient_jwk, &bound)?;
    Ok(Sealed {
        sha256: Digest::of(&sealed.bytes),
        bytes: sealed.bytes,
        content_key_jwe,
        model_sha256: checked.sha256(),
        model_bytes: checked.content().len() as u64,
        noise: checked.noise(),
        metrics: checked.metrics().cloned(),
    })
}

/// The model certificate, signed by the run key.
pub fn certify(sealed: &Sealed, job: &Admitted, session: &Session, room: &Room) -> R<Envelope<ModelCertificate>> {
    let mut datasets: Vec<CertifiedDataset> = Vec::new();
    for wanted in job.datasets()? {
        let (id, version) = (&wanted.job.dataset_id, wanted.job.version);
        let charge = job.plan.charges.iter().find(|c| &c.dataset_id == id && c.version == version);
        let charge = charge.ok_or_else(|| Refusal::new(Code::Internal, "the plan lacks a dataset"))?;
        // Datasets at the same factor and δ cost the same, and this figure takes a second to work out.
        let same = |d: &&CertifiedDataset| d.charge.mechanisms == charge.mechanisms && d.charge.delta == charge.delta;
        let known = datasets.iter().find(same).map(|dataset| dataset.epsilon_pld_micro);
        let epsilon_pld_micro = known.unwrap_or_else(|| pld::epsilon_micro(charge));
        datasets.push(CertifiedDataset {
            dataset_id: id.clone(),
            version,
            manifest_root: wanted.terms.manifest_root,
            charge: charge.clone(),
            epsilon_pld_micro,
        });
    }
    let now: Timestamp = room.now().whole();
    let certificate = ModelCertificate {
        schema: ModelCertificate::SCHEMA.into(),
        registry: room.trust.registry.clone(),
        run_id: session.run_id.clone(),
        job_sha256: job.opened.job.digest(),
        contracts: job.contract_refs(),
        image_set_id: job.opened.job.image_set_id.clone(),
        members: session.members.clone(),
        member_rooms: session.member_rooms.clone(),
        assurance: session.admission.assurance,
        datasets,
        plan: job.plan.clone(),
        model_sha256: sealed.model_sha256,
        model_bytes: sealed.model_bytes,
        output_kind: (job.output.kind != OutputKind::Model).then_some(job.output.kind),
        metrics: sealed.metrics.clone(),
        noise: Some(sealed.noise),
        issued_at: now,
    };
    signing::sign(&certificate, &session.run_key, now)
}
