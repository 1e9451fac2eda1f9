//! Run orders and runs: ordered, checked in, reported, aborted, completed, handed over.

use schemas::contract::{Assurance, Contract, ContractRef};
use schemas::envelope::Envelope;
use schemas::event::{Body, Completion, Obligation, RunEvent, RunEventKind};
use schemas::evidence::Platform;
use schemas::id::{ImageSetId, RunId};
use schemas::job::JobSpec;
use schemas::jwk::Jwk;
use schemas::party::Kind;
use schemas::privacy::DatasetCharge;
use schemas::{Code, Digest, R, Refusal, Timestamp};
use serde::{Deserialize, Serialize};

use super::{State, read, transition};

/// Where a run stands (`contract-service.md` 5.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// Checked in.
    Attested,
    /// Every KMS of the job has reserved.
    Reserved,
    /// The room holds the keys.
    KeysReleased,
    /// Training began.
    Training,
    /// Every KMS of the job has the output's digest.
    Committed,
    /// A completion is entered and what it owes is instructed.
    Completed,
    /// The TDC has the content key.
    Delivered,
    /// Ended without output.
    Aborted,
}

/// An ordered job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OrderRow {
    /// As signed by the TDC.
    pub envelope: Envelope<JobSpec>,
    /// The same, read.
    pub job: JobSpec,
    /// Index of its entry.
    pub index: u64,
    /// Its runs in order; only the last can be alive.
    pub runs: Vec<RunId>,
    /// Ids of its deposits.
    #[serde(default)]
    pub deposits: Vec<String>,
}

/// How a run was ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum AbortFact {
    /// The room gave up.
    ByRoom {
        /// Index of the entry.
        index: u64,
        /// SHA-256 of the signed event; a refund names it.
        sha256: Digest,
        /// Steps carried out.
        steps_run: u32,
        /// Why, as the code of a refusal: at most 64 characters of the room's word.
        code: String,
    },
    /// TDC, a TDP or two SRO people stopped it.
    FromOutside {
        /// Index of the entry.
        index: u64,
    },
    /// Nothing was heard of it any more.
    Silent {
        /// Index of the entry.
        index: u64,
    },
}

/// No code has more characters.
const LONGEST_CODE: usize = 64;

/// Whether this is the form of a stable code: people are shown it, so it is no place for text of a room's own choice.
fn is_code(text: &str) -> bool {
    let of_code = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_';
    (1..=LONGEST_CODE).contains(&text.len()) && text.bytes().all(of_code)
}

/// A run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunRow {
    /// The run.
    pub run_id: RunId,
    /// The job.
    pub job_sha256: Digest,
    /// What it showed to be.
    pub image_set_id: ImageSetId,
    /// SHA-256 of its check-in evidence.
    pub evidence_sha256: Digest,
    /// How strong that was.
    pub assurance: Assurance,
    /// Names of the checks that passed.
    pub checks: Vec<String>,
    /// What was read off its platform; none where the entry does not say.
    pub platform: Option<Box<Platform>>,
    /// Its signing key.
    pub run_jwk: Jwk,
    /// Its key for wrapped keys.
    pub enc_jwk: Jwk,
    /// When it checked in.
    pub checked_in_at: Timestamp,
    /// Index of that entry.
    pub index: u64,
    /// The state.
    pub state: RunState,
    /// How it was ended without output.
    pub aborted: Option<AbortFact>,
    /// The completion as signed, with the index and time of its entry.
    pub completion: Option<(u64, Timestamp, Envelope<Completion>)>,
    /// Index of the hand-over.
    pub delivered: Option<u64>,
    /// Ids of what it owes, in the order in which it arose, and of the deposits that serve it.
    pub owed: Vec<String>,
    /// What its plan charges each dataset, in the job's order.
    pub(super) planned: Vec<DatasetCharge>,
    /// Terms of its contracts that have fallen due for it, each with the entry that brought it.
    pub(super) charged: Vec<(Digest, String, u64)>,
    /// Ids of the obligations that the completion's entry lists.
    pub(super) listed: Vec<String>,
    /// What key services stated about it, in the order of the log.
    pub(super) receipts: Vec<(Digest, u64)>,
}

impl RunRow {
    /// Whether it may still complete.
    pub fn alive(&self) -> bool {
        self.state < RunState::Completed
    }

    /// Whether what it was charged cannot come back any more: it has ended, and not by its room before the first step.
    pub fn charge_stands(&self) -> bool {
        !self.alive() && !matches!(self.aborted, Some(AbortFact::ByRoom { steps_run: 0, .. }))
    }
}

impl State {
    /// The ordered job with this digest.
    pub fn order(&self, job_sha256: &Digest) -> Option<&OrderRow> {
        self.orders.get(job_sha256)
    }

    /// All ordered jobs.
    pub fn orders(&self) -> impl DoubleEndedIterator<Item = (&Digest, &OrderRow)> {
        self.orders.iter()
    }

    /// The run with this id.
    pub fn run(&self, id: &RunId) -> Option<&RunRow> {
        self.runs.get(id)
    }

    /// All runs; ids of version 7 sort by time.
    pub fn runs(&self) -> impl DoubleEndedIterator<Item = &RunRow> {
        self.runs.iter().map(|(_, row)| row)
    }

    /// The run, or `RUN_UNKNOWN`.
    pub fn require_run(&self, id: &RunId) -> R<&RunRow> {
        self.runs.get(id).ok_or_else(|| Refusal::new(Code::RunUnknown, format!("{id} has not checked in")))
    }

    /// The job of a run.
    pub fn job_of(&self, run: &RunRow) -> R<&JobSpec> {
        self.order(&run.job_sha256)
            .map(|o| &o.job)
            .ok_or_else(|| Refusal::new(Code::Internal, "a run without its order"))
    }

    /// The contracts of a job, in its order.
    pub fn contracts_of(&self, job: &JobSpec) -> R<Vec<(ContractRef, &Contract)>> {
        job.contracts.iter().map(|r| Ok((r.clone(), &*self.contract_of(r)?.contract))).collect()
    }

    /// Requires that every contract of the job is in force for its purpose.
    pub fn require_in_force(&self, job: &JobSpec, now: Timestamp) -> R<()> {
        for reference in &job.contracts {
            let row = self.contract_of(reference)?;
            crate::gate::in_force(&row.contract, row.state(now), &job.purpose, now)?;
        }
        Ok(())
    }

    /// Requires that a run may go on as it stands: until it holds all its keys, every contract must be in force; from then
    /// on one that ended may let it finish.
    pub fn require_goes_on(&self, run: &RunRow, now: Timestamp) -> R<()> {
        let job = self.job_of(run)?;
        if run.state >= RunState::KeysReleased {
            self.require_may_finish(job, now)
        } else {
            self.require_in_force(job, now)
        }
    }

    /// Requires that every contract of the job is in force, or ended in a way that lets this run finish.
    pub(super) fn require_may_finish(&self, job: &JobSpec, now: Timestamp) -> R<()> {
        for reference in &job.contracts {
            let row = self.contract_of(reference)?;
            crate::gate::may_go_on(&row.contract, row.state_for_runs(now), &job.purpose, now)?;
        }
        Ok(())
    }

    /// Requires that every dataset of the job may be used now: neither suspended nor withdrawn.
    pub fn require_datasets(&self, job: &JobSpec) -> R<()> {
        job.datasets.iter().try_for_each(|d| self.require_dataset_available(&d.dataset_id, d.version))
    }

    /// A job is ordered once: the signed bytes are no ticket for a second run at the TDC's cost.
    pub(super) fn check_order(&self, envelope: &Envelope<JobSpec>, now: Timestamp) -> R<()> {
        let job = read(envelope)?;
        self.signed_only_by(envelope, job.tdc.as_str())?;
        if self.orders.contains(&envelope.digest()) {
            return Err(transition("this job is ordered already; a further run needs a newly signed job"));
        }
        crate::registration::job(&job, self.registry()?, now)?;
        let mismatch = |why: &str| Refusal::new(Code::JobMismatch, why.to_owned());
        for (_, contract) in self.contracts_of(&job)? {
            if contract.role_of(&job.tdc) != Some(Kind::Tdc) || contract.role_of(&job.ccrp) != Some(Kind::Ccrp) {
                return Err(mismatch("TDC and clean-room provider of the job are not those of its contracts"));
            }
            if !contract.compute.image_sets.contains(&job.image_set_id) {
                return Err(mismatch("a contract does not name the job's image set").at("image_set_id"));
            }
        }
        for wanted in &job.datasets {
            let contracted = self.contracts_of(&job)?.into_iter().flat_map(|(_, c)| &c.datasets);
            let found = contracted.filter(|d| d.dataset_id == wanted.dataset_id && d.version == wanted.version).count();
            if found != 1 {
                return Err(mismatch("each dataset of a job stands in exactly one of its contracts").at("datasets"));
            }
        }
        self.require_datasets(&job)?;
        self.require_in_force(&job, now)?;
        job.contracts.iter().try_for_each(|reference| self.run_planned(self.contract_of(reference)?))
    }

    pub(super) fn fold_order(&mut self, index: u64, envelope: &Envelope<JobSpec>) -> R<()> {
        let row = OrderRow {
            envelope: envelope.clone(),
            job: read(envelope)?,
            index,
            runs: Vec::new(),
            deposits: Vec::new(),
        };
        for reference in &row.job.contracts {
            if let Some(contract) = self.contracts.get_mut(&reference.sha256) {
                contract.waiting.push(envelope.digest());
            }
        }
        self.orders.put(envelope.digest(), row);
        self.ask_deposits(index, &envelope.digest())
    }

    pub(super) fn check_check_in(&self, body: &Body, now: Timestamp) -> R<()> {
        let Body::RunCheckedIn { run_id, job_sha256, image_set_id, assurance, run_jwk, enc_jwk, .. } = body else {
            return Ok(());
        };
        let unknown = || Refusal::new(Code::JobMismatch, "no such job is ordered");
        let order = self.orders.get(job_sha256).ok_or_else(unknown)?;
        if self.runs.contains(run_id) {
            return Err(Refusal::new(Code::RunState, format!("{run_id} has checked in already")));
        }
        if order.runs.iter().filter_map(|id| self.runs.get(id)).any(|run| run.state != RunState::Aborted) {
            return Err(Refusal::new(
                Code::RunState,
                "the order has a run already; it must be aborted before another one starts",
            ));
        }
        if order.job.expires_at <= now {
            return Err(Refusal::new(Code::JobExpired, "the job's time is over"));
        }
        if order.envelope.signatures.iter().any(|s| self.contested(&s.kid, order.index)) {
            return Err(Refusal::new(Code::KeyNotActive, "the key that signed the order is reported compromised"));
        }
        self.require_in_force(&order.job, now)?;
        self.require_datasets(&order.job)?;
        order.job.contracts.iter().try_for_each(|reference| self.run_planned(self.contract_of(reference)?))?;
        if *image_set_id != order.job.image_set_id {
            return Err(
                Refusal::new(Code::MeasurementNotAllowed, "the room is not of the job's image set").at("image_set_id")
            );
        }
        self.require_image_set(image_set_id, now)?;
        self.require_funded(order)?;
        for (_, contract) in self.contracts_of(&order.job)? {
            contract.parties.iter().try_for_each(|p| self.require_verified(&p.did, p.role))?;
            let wanted =
                contract.datasets.iter().filter(|d| order.job.datasets.iter().any(|j| j.dataset_id == d.dataset_id));
            if wanted.map(|d| d.key.min_assurance).max().is_some_and(|min| *assurance < min) {
                return Err(Refusal::new(Code::AssuranceTooLow, "a dataset of the job asks for stronger evidence"));
            }
        }
        if self.run_keys.contains(&run_jwk.thumbprint()) || self.run_keys.contains(&enc_jwk.thumbprint()) {
            return Err(Refusal::new(Code::RunKeyMismatch, "a run brings fresh keys"));
        }
        Ok(())
    }

    /// A run that checks in today has a plan by today's rules: bills and what key services state are held against it.
    pub(super) fn check_planned(&self, job: &Digest) -> R<()> {
        self.orders.get(job).map_or(Ok(()), |order| self.plan_charges(&order.job).map(drop))
    }

    pub(super) fn fold_check_in(&mut self, index: u64, at: Timestamp, body: &Body) -> R<()> {
        let Body::RunCheckedIn {
            run_id,
            job_sha256,
            image_set_id,
            evidence_sha256,
            checks,
            assurance,
            run_jwk,
            enc_jwk,
            platform,
        } = body
        else {
            return Ok(());
        };
        let mut contracts = Vec::new();
        // What was let in by the rules of its day stands, without a plan where today's make none.
        let planned = self.orders.get(job_sha256).and_then(|order| self.plan_charges(&order.job).ok());
        if let Some(order) = self.orders.get_mut(job_sha256) {
            order.runs.push(run_id.clone());
            contracts.extend(order.job.contracts.iter().map(|reference| reference.sha256));
        }
        for sha256 in contracts {
            if let Some(row) = self.contracts.get_mut(&sha256) {
                row.runs.push(run_id.clone());
                row.waiting.retain(|job| job != job_sha256);
                self.at_work.put(sha256, ());
            }
        }
        self.run_keys.put(run_jwk.thumbprint(), run_id.clone());
        self.run_keys.put(enc_jwk.thumbprint(), run_id.clone());
        let row = RunRow {
            run_id: run_id.clone(),
            job_sha256: *job_sha256,
            image_set_id: image_set_id.clone(),
            evidence_sha256: *evidence_sha256,
            assurance: *assurance,
            checks: checks.clone(),
            platform: platform.clone(),
            run_jwk: run_jwk.clone(),
            enc_jwk: enc_jwk.clone(),
            checked_in_at: at,
            index,
            state: RunState::Attested,
            aborted: None,
            completion: None,
            delivered: None,
            owed: Vec::new(),
            planned: planned.unwrap_or_default(),
            charged: Vec::new(),
            listed: Vec::new(),
            receipts: Vec::new(),
        };
        self.runs.put(run_id.clone(), row);
        self.living.put(run_id.clone(), ());
        self.use_deposits(index, job_sha256, run_id);
        Ok(())
    }

    pub(super) fn check_report(&self, envelope: &Envelope<RunEvent>) -> R<()> {
        let event = read(envelope)?;
        let run = self.require_run(&event.run_id)?;
        self.signed_only_by(envelope, event.run_id.as_str())?;
        if event.job_sha256 != run.job_sha256 {
            return Err(Refusal::new(Code::JobMismatch, "the event names another job").at("job_sha256"));
        }
        let may = match event.event {
            RunEventKind::KeysReleased {} => run.state < RunState::KeysReleased,
            RunEventKind::Training {} => run.state == RunState::KeysReleased,
            RunEventKind::Aborted { ref code, .. } if !is_code(code) => {
                let sentence = format!("a code is A to Z, digits and _, at most {LONGEST_CODE} of them");
                return Err(Refusal::new(Code::SchemaMismatch, sentence).at("event.code"));
            }
            RunEventKind::Aborted { .. } => run.alive(),
        };
        if may { Ok(()) } else { Err(Refusal::new(Code::RunState, "the event does not fit the state of the run")) }
    }

    pub(super) fn fold_report(&mut self, index: u64, at: Timestamp, envelope: &Envelope<RunEvent>) -> R<()> {
        let event = read(envelope)?;
        if let Some(run) = self.runs.get_mut(&event.run_id) {
            match &event.event {
                RunEventKind::KeysReleased {} => run.state = RunState::KeysReleased,
                RunEventKind::Training {} => run.state = RunState::Training,
                RunEventKind::Aborted { steps_run, code } => {
                    run.state = RunState::Aborted;
                    // Entries of before codes were looked at may hold any text.
                    let code = if is_code(code) { code.clone() } else { Code::Internal.as_str().to_owned() };
                    let sha256 = envelope.digest();
                    run.aborted = Some(AbortFact::ByRoom { index, sha256, steps_run: *steps_run, code });
                    self.living.remove(&event.run_id);
                }
            }
        }
        match event.event {
            RunEventKind::KeysReleased {} => self.owe_released(index, at, &event.run_id),
            RunEventKind::Training {} => Ok(()),
            RunEventKind::Aborted { .. } => self.return_deposits(index, &event.run_id),
        }
    }

    pub(super) fn check_hand_over(&self, id: &RunId) -> R<()> {
        let run = self.require_run(id)?;
        match run.state {
            RunState::Completed => self.require_run_funded(run),
            RunState::Delivered => Err(Refusal::new(Code::RunState, "the content key was handed over already")),
            _ => Err(Refusal::new(
                Code::KeyWithheld,
                "the content key is handed out after the completion and its payments",
            )),
        }
    }

    pub(super) fn fold_hand_over(&mut self, index: u64, id: &RunId) -> R<()> {
        if let Some(run) = self.runs.get_mut(id) {
            run.state = RunState::Delivered;
            run.delivered = Some(index);
        }
        Ok(())
    }

    pub(super) fn fold_completion(
        &mut self,
        index: u64,
        at: Timestamp,
        envelope: &Envelope<Completion>,
        owed: &[Obligation],
    ) -> R<()> {
        let completion = read(envelope)?;
        self.enter_receipts(index, &completion)?;
        if let Some(run) = self.runs.get_mut(&completion.run_id) {
            run.state = RunState::Completed;
            run.listed = owed.iter().map(|o| o.instruction_id.clone()).collect();
            run.completion = Some((index, at, envelope.clone()));
        }
        self.living.remove(&completion.run_id);
        self.owe_completed(index, at, &completion)
    }
}
