//! The worker `ccr-trainer`: started with nothing but a pipe pair, watched, stopped when the lease is lost.
//!
//! It gets data, plan and one seed; no key, no network, no environment, no argument that depends on the run. In profile
//! `production` it refuses where the machine gives it no network namespace of its own. Where its
//! process dies, another goes on from the last checkpoint, under the same seed: the model and its ε are what they would
//! have been. The death of this room ends the run, which stays charged.

pub mod device;
mod process;
pub mod supervise;

use std::time::Duration;

use policies::accountant::{Event, RdpVector};
use schemas::event::RunEventKind;
use schemas::text::Bytes;
use schemas::worker::{Outcome, Report, SeedBytes, Start, TableFormat, TableHead};
use schemas::{Code, R, Refusal};
use zeroize::Zeroizing;

use crate::admit::Admitted;
use crate::checkpoint::Vault;
use crate::config::Profile;
use crate::lease::Lease;
use crate::open::Table;
use crate::room::{Progress, Room};
use crate::run::Tell;
use crate::session::Session;
use crate::steps::Teller;
use crate::weights;
use supervise::{Work, reached, supervise};

/// Checkpoints of one training, whatever its length: a public figure.
const CHECKPOINTS: u32 = 20;

/// What a worker delivered; `policies::output` judges it before anything else happens.
pub struct Delivered {
    /// Its words.
    pub outcome: Outcome,
    /// The model in the clear.
    pub model: Zeroizing<Vec<u8>>,
}

fn failed(why: &str) -> Refusal {
    Refusal::new(Code::WorkerProtocol, format!("worker: {why}"))
}

/// Trains: starts the worker, hands it the tables and the weights to begin with, follows its reports.
pub fn train(
    job: &Admitted,
    session: &mut Session,
    data: Vec<Table>,
    weights: Option<weights::File>,
    lease: &Lease,
    room: &Room,
    tell: Tell<'_>,
) -> R<Delivered> {
    crate::report::event(job, session, room, RunEventKind::Training {})?;
    let start = start_message(job, session, &data, room)?;
    let vault = Vault::new(&session.secret, &session.run_id, job.opened.job.digest(), start.configuration()?);
    let patience = Duration::from_secs(room.config.worker_timeout_seconds);
    let apart = room.config.profile == Profile::Production || session.group.is_some();
    let work = Work { trainer: &room.config.trainer, start, tables: data, weights, vault: &vault, patience, apart };
    let group = session.group.take();
    let mut teller = Teller::new(room.desk.clone(), session.run_id.clone());
    let watch: supervise::Watch<'_> = &mut |report| {
        if let Some(report) = report {
            session.steps_run = session.steps_run.max(reached(report));
        }
        if lease.is_lost() {
            return Err(crate::run::lease_lost(lease.cause()));
        }
        room.goes_on()?;
        if let Some(Report::Progress { step, .. }) = report {
            teller.at(*step, |act| session.request(act, &room.config.contract_service, room));
            tell(Progress::Training { step: *step, steps: job.plan.steps, epsilon: epsilon_at(job, *step) });
        }
        Ok(())
    };
    let (delivered, steps) = match group {
        Some(group) => group.train(work, watch),
        None => supervise(work, watch),
    };
    session.steps_run = session.steps_run.max(steps);
    delivered
}

fn start_message(job: &Admitted, session: &Session, data: &[Table], room: &Room) -> R<Start> {
    let datasets = job.datasets()?;
    let mut tables = Vec::new();
    for table in data {
        let wanted = datasets.iter().find(|d| d.job.handle == table.handle);
        let wanted = wanted.ok_or_else(|| failed("a table has no contract"))?;
        let columns = wanted.offer.columns.iter().map(|c| c.name.clone()).collect();
        let media_type = wanted.offer.objects.first().map_or("", |object| object.media_type.as_str());
        let format = TableFormat::of_media_type(media_type);
        let (handle, bytes) = (table.handle.clone(), table.bytes.len() as u64);
        tables.push(TableHead { handle, bytes, columns, format, public_rows: wanted.terms.public_rows });
    }
    let seed = session.secret.worker_seed(&job.opened.job.digest())?;
    Ok(Start {
        v: 1,
        tables,
        join: job.join.clone(),
        training: job.training.clone(),
        plan: job.plan.clone(),
        seed: SeedBytes(Bytes(seed.to_vec())),
        checkpoint_every: Some(job.plan.steps.div_ceil(CHECKPOINTS).max(1)),
        resume: None,
        group: None,
        device: room.config.device(),
    })
}

/// ε of the training after `step` steps at the plan's δ: a public figure, for people only. Infinite where the training is
/// without differential privacy.
fn epsilon_at(job: &Admitted, step: u32) -> f64 {
    let plan = &job.plan;
    let Some(delta) = job.training.delta.as_ref().filter(|_| !plan.without_differential_privacy) else {
        return f64::INFINITY;
    };
    let spent = Event::SampledGaussian {
        noise_multiplier: plan.noise_multiplier.value(),
        sample_rate: plan.sample_rate.value(),
        steps: step.max(1),
    };
    RdpVector::of(&[spent]).map_or(f64::INFINITY, |v| v.epsilon(delta.value()))
}
