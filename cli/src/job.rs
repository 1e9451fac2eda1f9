//! Jobs: a form with SQL becomes a signed, typed job in a bundle that room and key services can check alone.

pub mod form;
pub(crate) mod join;
pub(crate) mod training;

use schemas::bundle::JobBundle;
use schemas::contract::{Contract, ContractDataset, ContractRef, ContractState};
use schemas::dataset::DatasetOffer;
use schemas::desk::ContractBundle;
use schemas::event::Obligation;
use schemas::id::JobId;
use schemas::job::{JobDataset, JobSpec};
use schemas::jwk::Jwk;
use schemas::pipeline::{Output, OutputKind, Stage};
use schemas::privacy::Plan;
use schemas::release::ContractStatus;
use schemas::{Code, R, Refusal, Timestamp};
use signing::{Signer, Trust};
use uuid::Uuid;

pub use form::{JobForm, column};

use crate::sql;

/// What is drawn for a job: its id and the public salt of its split.
#[derive(Clone, Debug)]
pub struct Drawn {
    /// The job's id.
    pub job: Uuid,
    /// Public salt of the split, used where the form names none.
    pub split_salt: [u8; 32],
}

impl Drawn {
    /// Draws both.
    pub fn fresh() -> R<Drawn> {
        Ok(Drawn { job: crate::edge::fresh(), split_salt: signing::signer::random()? })
    }
}

/// What a run of a job would cost, by the same function that room and key services apply.
#[derive(Clone, PartialEq, Debug, serde::Serialize)]
pub struct Estimate {
    /// The privacy plan: σ, steps, and the charge to every dataset.
    pub plan: Plan,
    /// What the first run under the contracts owes when it completes, deposits with it and without what counts hours; the
    /// run's id is not known yet, so instruction ids are left out.
    pub payments: Vec<Due>,
    /// The same by term: what is expected, at most, beforehand, and also if the run fails.
    pub terms: Vec<policies::payment::Estimate>,
}

/// An amount that a completed run owes.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
pub struct Due {
    /// Who is paid.
    pub payee: schemas::id::Did,
    /// ISO 4217.
    pub currency: schemas::money::Currency,
    /// Minor units.
    pub amount_minor: schemas::money::Minor,
}

/// A signed job in its bundle, with its estimate.
#[derive(Clone, PartialEq, Debug)]
pub struct Prepared {
    /// The bundle.
    pub bundle: JobBundle,
    /// What a run of it would cost.
    pub estimate: Estimate,
}

/// Builds, judges and signs a job. The signed bytes are handed out only if every rule of room and key services says yes
/// at `now`: contracts in force, pipeline allowed, privacy within every clause.
pub fn bundle(
    form: &JobForm,
    contracts: &[ContractBundle],
    states: &[ContractStatus],
    key: &dyn Signer,
    trust: &Trust,
    drawn: &Drawn,
    now: Timestamp,
) -> R<Prepared> {
    let agreed = Agreed::read(contracts)?;
    let trust = &contracts.iter().try_fold(trust.clone(), |trust, b| trust.following_if(b.log_keys.as_ref()))?;
    let job = job(form, &agreed, key, trust, drawn, now)?;
    let image_sets = contracts.iter().flat_map(|b| &b.image_sets);
    let mut image_set = None;
    for logged in image_sets {
        if logged.envelope.read_unverified()?.image_set_id == form.image_set_id {
            image_set = Some(logged.clone());
        }
    }
    let unknown =
        || Refusal::new(Code::ImageSetUnknown, format!("no contract allows {}", form.image_set_id)).at("image_set_id");
    let mut participants: Vec<_> = Vec::new();
    for participant in contracts.iter().flat_map(|b| &b.participants) {
        if !participants.contains(participant) {
            participants.push(participant.clone());
        }
    }
    let mut offers: Vec<_> = Vec::new();
    for offer in contracts.iter().flat_map(|b| &b.offers) {
        if !offers.contains(offer) {
            offers.push(offer.clone());
        }
    }
    let mut renewals: Vec<_> = Vec::new();
    for renewal in contracts.iter().flat_map(|b| &b.renewals) {
        if !renewals.contains(renewal) {
            renewals.push(renewal.clone());
        }
    }
    let bundle = JobBundle {
        job: signing::sign(&job, key, now)?,
        contracts: contracts.iter().flat_map(|b| b.contracts.iter().cloned()).collect(),
        offers,
        participants,
        image_set: image_set.ok_or_else(unknown)?,
        renewals,
        log_keys: trust.lineage.shown().cloned(),
    };
    let estimate = estimate(&bundle, Some(states), trust, now)?;
    Ok(Prepared { bundle, estimate })
}

/// Judges a bundle as room and key services will, and computes its cost. Without `states` contracts count as active:
/// whether one was revoked only the registry can say.
pub fn estimate(bundle: &JobBundle, states: Option<&[ContractStatus]>, trust: &Trust, now: Timestamp) -> R<Estimate> {
    let opened = signing::open_bundle(bundle.clone(), trust)?;
    let facts = policies::Facts {
        job: &opened.job,
        contracts: &opened.contracts,
        offers: &opened.offers,
        image_set: &opened.image_set,
    };
    let active = || {
        let status = |c: &schemas::Entered<Contract>| ContractStatus {
            id: c.contract_id.clone(),
            sha256: c.digest(),
            state: ContractState::Active,
        };
        opened.contracts.iter().map(status).collect::<Vec<_>>()
    };
    policies::registration::job(&opened.job, &trust.registry, now)?;
    policies::gate::job(&facts, &states.map_or_else(active, <[_]>::to_vec), now)?;
    let plan = policies::privacy::plan(&facts)?;
    let refs: Vec<ContractRef> =
        opened.contracts.iter().map(|c| ContractRef { id: c.contract_id.clone(), sha256: c.digest() }).collect();
    let pairs: Vec<(&ContractRef, &Contract)> = refs.iter().zip(&opened.contracts).map(|(r, c)| (r, &***c)).collect();
    let terms = policies::payment::estimate(&opened.job, &pairs, &plan.charges, None)?;
    // Any run id gives the same payees and amounts.
    let run = schemas::id::RunId::new(Uuid::nil());
    let payments = policies::payment::first_run(&run, &opened.job, &pairs, &plan.charges)?;
    let due = |o: Obligation| Due { payee: o.payee, currency: o.currency, amount_minor: o.amount_minor };
    Ok(Estimate { plan, payments: payments.into_iter().map(due).collect(), terms })
}

/// Contracts and offers of a job, read; every signature is verified later, with the finished bundle.
struct Agreed {
    contracts: Vec<(ContractRef, Contract)>,
    offers: Vec<DatasetOffer>,
}

impl Agreed {
    fn read(bundles: &[ContractBundle]) -> R<Agreed> {
        let mut agreed = Agreed { contracts: Vec::new(), offers: Vec::new() };
        for bundle in bundles {
            for logged in &bundle.contracts {
                let contract = logged.envelope.read_unverified()?;
                let reference = ContractRef { id: contract.contract_id.clone(), sha256: logged.envelope.digest() };
                agreed.contracts.push((reference, contract));
            }
            for logged in &bundle.offers {
                agreed.offers.push(logged.envelope.read_unverified()?);
            }
        }
        agreed.contracts.sort_by(|a, b| a.0.cmp(&b.0));
        agreed.contracts.dedup_by(|a, b| a.0 == b.0);
        Ok(agreed)
    }

    fn dataset(&self, id: &schemas::id::DatasetId) -> R<&ContractDataset> {
        let mut found = self.contracts.iter().flat_map(|(_, c)| &c.datasets).filter(|d| &d.dataset_id == id);
        match (found.next(), found.next()) {
            (Some(one), None) => Ok(one),
            (None, _) => {
                Err(Refusal::new(Code::DatasetUnknown, format!("no contract of the job gives {id}")).at("tables"))
            }
            _ => Err(Refusal::new(Code::JobMismatch, format!("{id} stands in more than one contract")).at("tables")),
        }
    }

    /// The model, where every contract lets it out.
    fn output(&self) -> OutputKind {
        let model = OutputKind::Model.as_str();
        let open = self.contracts.iter().all(|(_, c)| c.outputs.kinds.iter().any(|kind| kind == model));
        if open { OutputKind::Model } else { OutputKind::Metrics }
    }

    fn offer(&self, terms: &ContractDataset) -> R<&DatasetOffer> {
        let found = self.offers.iter().find(|o| o.dataset_id == terms.dataset_id && o.version == terms.version);
        found.ok_or_else(|| {
            Refusal::new(Code::DatasetUnknown, format!("the offer of {} is not there", terms.dataset_id))
        })
    }
}

/// The job of a form: SQL or union made into the typed join, bounds taken from the offers' public schemas.
fn job(form: &JobForm, agreed: &Agreed, key: &dyn Signer, trust: &Trust, drawn: &Drawn, now: Timestamp) -> R<JobSpec> {
    let mut tables = Vec::new();
    for (name, id) in &form.tables {
        let terms = agreed.dataset(id)?;
        tables.push(sql::Table {
            name: name.clone(),
            allowed: terms.allowed_columns.clone(),
            keys: terms.join_keys.clone(),
            targets: terms.target_columns.clone(),
        });
    }
    let needed = training::needed(&form.training)?;
    let parsed = join::join(form.sql.as_deref(), &form.union, &tables, &needed)?;
    let mut datasets = Vec::new();
    let mut by_handle = Vec::new();
    for (handle, table) in &parsed.tables {
        let id = form.tables.get(table).ok_or_else(|| Refusal::new(Code::Internal, "a table has no dataset"))?;
        let terms = agreed.dataset(id)?;
        datasets.push(JobDataset { dataset_id: id.clone(), version: terms.version, handle: handle.clone() });
        by_handle.push((handle.as_str(), agreed.offer(terms)?.columns.as_slice()));
    }
    let training = training::training(&form.training, &parsed.join.projection, &by_handle, &drawn.split_salt)?;
    let tdc = key.did()?;
    let output = Output {
        input: TRAINED.into(),
        kind: agreed.output(),
        recipient: tdc.clone(),
        recipient_jwk: form.output.recipient_jwk.clone(),
        upload: form.output.upload.clone(),
    };
    Ok(JobSpec {
        schema: "job.v1".into(),
        registry: trust.registry.clone(),
        job_id: JobId::new(drawn.job),
        tdc,
        ccrp: ccrp(agreed)?,
        contracts: agreed.contracts.iter().map(|(r, _)| r.clone()).collect(),
        image_set_id: form.image_set_id.clone(),
        purpose: form.purpose.clone(),
        datasets,
        stages: vec![Stage::Join(parsed.join), Stage::Train(training), Stage::Output(output)],
        rooms: form.rooms,
        expires_at: now.plus_seconds(i64::from(form.expires_in_seconds)),
    })
}

fn ccrp(agreed: &Agreed) -> R<schemas::id::Did> {
    let first = agreed.contracts.first().and_then(|(_, c)| c.in_role(schemas::party::Kind::Ccrp).next());
    first
        .cloned()
        .ok_or_else(|| Refusal::new(Code::ContractUnknown, "a job needs at least one contract").at("contracts"))
}

/// The states of a job's contracts: those that the status list names, and active for the rest.
pub fn states(list: &schemas::release::StatusList, contracts: &[ContractBundle]) -> R<Vec<ContractStatus>> {
    let mut states = Vec::new();
    for logged in contracts.iter().flat_map(|b| &b.contracts) {
        let (id, sha256) = (logged.envelope.read_unverified()?.contract_id, logged.envelope.digest());
        let listed = list.not_in_force.iter().find(|s| s.id == id && s.sha256 == sha256);
        states.push(ContractStatus { id, sha256, state: listed.map_or(ContractState::Active, |s| s.state) });
    }
    Ok(states)
}

/// The recipient's key of an encryption key file, as a job form names it.
pub fn recipient(key: &signing::jose::EncKey) -> Jwk {
    key.jwk().clone()
}

pub(crate) const JOINED: &str = "joined";
const TRAINED: &str = "model";
