//! The terms of a real job: what its image set, contracts and this room's profile ask of every room of the group.

use attestation::{Brought, PlatformPolicy};
use schemas::bundle::JobBundle;
use schemas::evidence::{Appraisal, ImageSet, Transcript};
use schemas::id::RunId;
use schemas::release::{Admission, Attested};
use schemas::{Envelope, R, Timestamp};
use serde::{Deserialize, Serialize};

use super::prove::{Occasion, Terms};
use crate::admit::{Admitted, admit, facts};
use crate::config::{Config, Profile};
use crate::room::Room;

/// What the leader brings, as text: everything else follows from it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Papers {
    /// The job with its contracts, offers and receipts.
    pub bundle: JobBundle,
    /// The newest Admission of the run.
    pub admission: Envelope<Admission>,
}

/// The terms of a job that a room has admitted.
pub(super) struct JobTerms<'a, J: AsRef<Admitted>> {
    pub job: J,
    pub occasion: Occasion,
    room: &'a Room,
}

impl AsRef<Admitted> for Admitted {
    fn as_ref(&self) -> &Admitted {
        self
    }
}

impl<'a, J: AsRef<Admitted>> JobTerms<'a, J> {
    pub fn new(job: J, run_id: &RunId, room: &'a Room) -> JobTerms<'a, J> {
        let occasion = Occasion {
            run_id: run_id.clone(),
            job_sha256: job.as_ref().opened.job.digest(),
            contracts: job.as_ref().contract_refs(),
            image_set_id: job.as_ref().opened.job.image_set_id.clone(),
        };
        JobTerms { job, occasion, room }
    }
}

impl<J: AsRef<Admitted>> Terms for JobTerms<'_, J> {
    fn occasion(&self) -> &Occasion {
        &self.occasion
    }

    fn image_set(&self) -> &ImageSet {
        &self.job.as_ref().opened.image_set
    }

    fn policies(&self) -> R<Vec<PlatformPolicy>> {
        let contracts = self.job.as_ref().opened.contracts.iter();
        let brought = self.room.config.platform.load(&self.room.trust)?;
        contracts.map(|contract| policy(&self.room.config, &brought, &contract.compute.platform_level)).collect()
    }

    fn allow(&self, appraisal: &Appraisal) -> R<()> {
        policies::release::evidence_allowed(&facts(&self.job.as_ref().opened), appraisal)
    }
}

/// What this room asks of another at a platform level: as its own profile says, with the platform data and collateral of
/// its configuration. In a demo the other must be under the same SIMULATED root.
fn policy(config: &Config, brought: &Brought, level: &str) -> R<PlatformPolicy> {
    let profile = match config.profile {
        Profile::Demo => attestation::Profile::Demo,
        Profile::Production => attestation::Profile::Production,
    };
    brought.policy(profile, level, roots(config)?)
}

#[cfg(feature = "software-attester")]
fn roots(config: &Config) -> R<Vec<schemas::Digest>> {
    let load = |folder: &std::path::PathBuf| Ok(attestation::software::SoftwareRoot::load(folder)?.pin());
    config.software_root.iter().map(load).collect()
}

#[cfg(not(feature = "software-attester"))]
fn roots(_: &Config) -> R<Vec<schemas::Digest>> {
    Ok(Vec::new())
}

/// Reads what a leader brought as a member: the room's own judgement of the job, and the registry's word that this very
/// leader was admitted with it.
pub(super) fn read<'a>(
    occasion: &Occasion,
    leader: &Attested,
    word: &str,
    room: &'a Room,
) -> R<JobTerms<'a, Box<Admitted>>> {
    let papers: Papers = schemas::canonical::parse(word.as_bytes())?;
    let job = Box::new(admit(papers.bundle, room)?);
    admitted(&papers.admission, &leader.transcript, &job, room.now())?;
    Ok(JobTerms::new(job, &occasion.run_id, room))
}

fn admitted(admission: &Envelope<Admission>, leader: &Transcript, job: &Admitted, now: Timestamp) -> R<()> {
    let registry = job.opened.book.trust().registry.clone();
    let admission = signing::verify_by(admission.clone(), &registry, &job.opened.book, registry.as_str())?;
    // The connection has a key of its own; the Admission names the one that data keys are wrapped to.
    let as_admitted = Transcript { enc_jwk: admission.enc_jwk.clone(), ..leader.clone() };
    policies::release::admission(&admission, &as_admitted, now)
}
