//! Explain: what a reservation of this job would meet here, check by check, for the operator. A room is told a code and
//! no more; whoever runs this holds the service's folder.
//!
//! A dry run has no room and no Admission: evidence, challenge and the contracts' states are not looked at, and the
//! evidence is taken to be as strong as the image set's kind can be. Nothing is entered.

use std::collections::BTreeSet;

use schemas::bundle::JobBundle;
use schemas::evidence::{Appraisal, ImageSet};
use schemas::id::RunId;
use schemas::renewal::BudgetRenewal;
use schemas::text::Bytes;
use schemas::{Code, Digest, R, Refusal};
use serde::Serialize;
use signing::OpenedBundle;

use crate::audit;
use crate::budget::{self, Line};
use crate::judge::{OwnDataset, facts, job_if_in_force};
use crate::kms::Kms;
use crate::run;
use crate::store::Fault;

/// What a check came to.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Explained {
    /// What is asked.
    pub check: &'static str,
    /// `passed`, `refused`, `not_reached`, or `not_looked_at` in a dry run.
    pub verdict: &'static str,
    /// The code that a room would be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<&'static str>,
    /// Why, for the operator.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// The checks in their order; after a refusal the rest is not reached.
struct Course {
    done: Vec<Explained>,
    over: bool,
}

impl Course {
    fn ask<T>(&mut self, check: &'static str, act: impl FnOnce() -> R<T>) -> Option<T> {
        if self.over {
            self.done.push(Explained { check, verdict: "not_reached", code: None, why: None });
            return None;
        }
        match act() {
            Ok(value) => {
                self.done.push(Explained { check, verdict: "passed", code: None, why: None });
                Some(value)
            }
            Err(refusal) => {
                self.over = true;
                let why = Some(refusal.sentence.clone());
                self.done.push(Explained { check, verdict: "refused", code: Some(refusal.code.as_str()), why });
                None
            }
        }
    }

    /// What a check that passed rests on, for the operator.
    fn because(&mut self, why: Option<String>) {
        if let Some(last) = self.done.last_mut().filter(|last| last.verdict == "passed") {
            last.why = why;
        }
    }

    /// As [`Course::ask`], but what comes after is asked all the same.
    fn note(&mut self, check: &'static str, act: impl FnOnce() -> R<()>) {
        self.ask(check, act);
        self.over = false;
    }

    fn skip(&mut self, check: &'static str) {
        self.done.push(Explained { check, verdict: "not_looked_at", code: None, why: None });
    }
}

impl Kms {
    /// Every check of a reservation of this bundle's job, with its verdict.
    pub fn explain(&self, bundle: JobBundle) -> Vec<Explained> {
        let now = self.now();
        let mut course = Course { done: Vec::new(), over: false };
        course.note("the service has caught up with the log", || self.store.transact(audit::check_caught_up));
        course.skip("challenge, transcript and evidence of the room");
        course.skip("Admission of the contract service");
        let opened = course.ask("signatures, receipts and documents of the bundle", || {
            let trust = self.trust(bundle.log_keys.as_ref())?;
            signing::open_bundle(bundle, &trust)
        });
        let opened = opened.as_ref();
        course.ask("contracts, period, purpose and image set, if the contracts are in force", || {
            let opened = opened.ok_or_else(unreached)?;
            job_if_in_force(opened, now)
        });
        let own: Option<Vec<OwnDataset>> = course.ask("datasets, pinned keys and rows of the data keys", || {
            let opened = opened.ok_or_else(unreached)?;
            self.own_datasets(opened, opened.image_set.profile.assurance())
        });
        let plan =
            course.ask("pipeline and privacy plan", || policies::privacy::plan(&facts(opened.ok_or_else(unreached)?)));
        course.ask("rules documents of the provider and the SRO", || {
            let (opened, own, plan) = (
                opened.ok_or_else(unreached)?,
                own.as_ref().ok_or_else(unreached)?,
                plan.as_ref().ok_or_else(unreached)?,
            );
            let run_id = RunId::new(uuid::Uuid::now_v7());
            self.ask_rules(&facts(opened), own, plan, &supposed(&opened.image_set), &run_id, now).map(drop)
        });
        course.ask("budget of the family and grant of the contract", || {
            let (opened, own, plan) =
                (opened.ok_or_else(unreached)?, own.as_ref().ok_or_else(unreached)?, plan.ok_or_else(unreached)?);
            let charges: Vec<_> = plan
                .charges
                .iter()
                .filter(|charge| own.iter().any(|d| d.released.dataset_id == charge.dataset_id))
                .cloned()
                .collect();
            let lines: Vec<Line> = budget::lines(own, &charges)?;
            let mut fits = false;
            let undone = self.store.transact::<()>(|c| {
                run::expire(c, now)?;
                budget::take(c, opened.job.tdc.as_str(), &lines)?;
                fits = true;
                // Rolled back: this was a question.
                Err(Fault::Refused(unreached()))
            });
            if fits { Ok(()) } else { undone }
        });
        course.because(opened.zip(own.as_ref()).and_then(|(opened, own)| renewed(opened, own)));
        course.done
    }
}

/// The caps that renewals raised in this consumer's ledgers, in words; none where there are no such renewals.
fn renewed(opened: &OpenedBundle, own: &[OwnDataset]) -> Option<String> {
    let ours = |r: &&schemas::Entered<BudgetRenewal>| r.tdc.as_ref().is_none_or(|tdc| *tdc == opened.job.tdc);
    let said = |dataset: &OwnDataset| {
        let id = &dataset.released.dataset_id;
        let own = opened.renewals.iter().filter(ours).filter(|r| r.dataset_id == *id);
        let numbers: BTreeSet<u32> = own.map(|r| r.number).collect();
        let words = if numbers.len() == 1 { "1 renewal".to_owned() } else { format!("{} renewals", numbers.len()) };
        (!numbers.is_empty()).then(|| format!("{id}: the cap is ε {} with {words} shown", dataset.cap.epsilon))
    };
    let all: Vec<String> = own.iter().filter_map(said).collect();
    (!all.is_empty()).then(|| all.join("; "))
}

/// What a room of this image set would show at best.
fn supposed(image_set: &ImageSet) -> Appraisal {
    Appraisal {
        kind: image_set.profile,
        assurance: image_set.profile.assurance(),
        accepted: true,
        checks: Vec::new(),
        measurement: image_set.measurements.first().cloned().unwrap_or_else(|| Bytes(Vec::new())),
        pcr_sha256: Digest([0; 32]),
        evidence_sha256: Digest([0; 32]),
        record: Default::default(),
    }
}

fn unreached() -> Refusal {
    Refusal::new(Code::Internal, "this check needs one that was refused")
}
