//! What a document sees as `input`: the run, its contracts and offers, its plan and charge, its evidence, the time.

use policies::budget::epsilon_micro;
use schemas::contract::{Assurance, Contract};
use schemas::dataset::DatasetOffer;
use schemas::evidence::{Appraisal, EvidenceKind, Verdict};
use schemas::id::{ContractId, DatasetId, Did, FamilyId, ImageSetId, RunId};
use schemas::job::JobSpec;
use schemas::privacy::Plan;
use schemas::text::Bytes;
use schemas::{Code, R, Refusal, Timestamp};
use serde::{Deserialize, Serialize};

/// The facts of one run at one key service. Every member stands in a signed document, follows from one by a rule of the
/// house, or is this service's own clock.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Facts {
    /// Version of this form, 1.
    pub v: u8,
    /// When the service judges the request.
    pub admitted_at: Timestamp,
    /// The same moment on the clock of the service's house.
    pub local: Local,
    /// The run.
    pub run_id: RunId,
    /// Who ordered it.
    pub tdc: Did,
    /// Who provides the room.
    pub ccrp: Did,
    /// The purpose.
    pub purpose: String,
    /// What the room has shown itself to be.
    pub evidence: Shown,
    /// Whether the training is with differential privacy; where it is not, no ε bounds what it costs.
    #[serde(default = "private")]
    pub private: bool,
    /// The datasets of the job in its order.
    pub datasets: Vec<Used>,
    /// The privacy plan of the run, with what each dataset is charged.
    pub plan: Plan,
    /// The job as its consumer signed it.
    pub job: JobSpec,
    /// The contracts of the job.
    pub contracts: Vec<Contract>,
    /// The offers that they pin.
    pub offers: Vec<DatasetOffer>,
}

/// Facts of before it was said are of private trainings: there were no others.
fn private() -> bool {
    true
}

/// Wall-clock time at a fixed distance from UTC; there is no daylight saving in it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Local {
    /// `2026-11-20`.
    pub date: String,
    /// `mon` to `sun`.
    pub weekday: String,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// Minutes east of UTC.
    pub utc_offset_minutes: i32,
}

/// What the evidence showed; it was accepted before any document is asked.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shown {
    /// Its kind.
    pub kind: EvidenceKind,
    /// Its assurance.
    pub assurance: Assurance,
    /// The image set that it was held against.
    pub image_set_id: ImageSetId,
    /// The launch measurement.
    pub measurement: Bytes,
    /// Names of the checks that do not apply to this kind of evidence.
    pub not_evaluated: Vec<String>,
}

/// A dataset of the job. ε in 10^-6, so that a document compares whole numbers.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Used {
    /// Whether its key is kept by the service that asks.
    pub own: bool,
    /// The dataset.
    pub dataset_id: DatasetId,
    /// Its version.
    pub version: u32,
    /// Its name in the pipeline.
    pub handle: String,
    /// Its family.
    pub family: FamilyId,
    /// Its provider.
    pub provider: Did,
    /// The contract under which it is used.
    pub contract_id: ContractId,
    /// What this run alone costs it; 2^53 − 1 where no ε bounds it.
    pub epsilon_micro: u64,
    /// What the contract grants for all its runs.
    pub contract_epsilon_micro: u64,
    /// The most that the offer lets any contract grant.
    pub cap_epsilon_micro: u64,
}

/// What the caller knows of a run.
pub struct Asked<'a> {
    /// The opened bundle.
    pub facts: &'a policies::Facts<'a>,
    /// Its plan.
    pub plan: &'a Plan,
    /// What its evidence showed.
    pub appraisal: &'a Appraisal,
    /// The run.
    pub run_id: &'a RunId,
    /// The datasets whose keys the caller keeps.
    pub own: &'a [DatasetId],
    /// The caller's clock.
    pub now: Timestamp,
    /// Minutes east of UTC where the caller's house stands, -1439 to 1439.
    pub utc_offset_minutes: i32,
}

impl Facts {
    /// The facts of a run.
    pub fn of(asked: &Asked<'_>) -> R<Facts> {
        let Asked { facts, plan, appraisal, .. } = asked;
        let mut datasets = Vec::new();
        for used in facts.datasets()? {
            let charge = plan.charges.iter().find(|charge| charge.dataset_id == used.job.dataset_id);
            let charge =
                charge.ok_or_else(|| Refusal::new(Code::Internal, "the plan does not charge every dataset"))?;
            datasets.push(Used {
                own: asked.own.contains(&used.job.dataset_id),
                dataset_id: used.job.dataset_id.clone(),
                version: used.job.version,
                handle: used.job.handle.clone(),
                family: used.terms.family.clone(),
                provider: used.terms.provider.clone(),
                contract_id: used.contract.contract_id.clone(),
                epsilon_micro: charge.epsilon_micro,
                contract_epsilon_micro: epsilon_micro(&used.terms.privacy.epsilon)?,
                cap_epsilon_micro: epsilon_micro(&used.offer.privacy_cap.epsilon)?,
            });
        }
        let job: &JobSpec = facts.job;
        let skipped = appraisal.checks.iter().filter(|check| check.verdict == Verdict::NotEvaluated);
        Ok(Facts {
            v: 1,
            admitted_at: asked.now,
            local: Local::at(asked.now, asked.utc_offset_minutes),
            run_id: asked.run_id.clone(),
            tdc: job.tdc.clone(),
            ccrp: job.ccrp.clone(),
            purpose: job.purpose.clone(),
            evidence: Shown {
                kind: appraisal.kind,
                assurance: appraisal.assurance,
                image_set_id: job.image_set_id.clone(),
                measurement: appraisal.measurement.clone(),
                not_evaluated: skipped.map(|check| check.name.clone()).collect(),
            },
            private: !plan.without_differential_privacy,
            datasets,
            plan: Plan::clone(plan),
            job: job.clone(),
            contracts: facts.contracts.iter().map(|contract| Contract::clone(contract)).collect(),
            offers: facts.offers.iter().map(|offer| DatasetOffer::clone(offer)).collect(),
        })
    }
}

impl Local {
    /// The time at so many minutes east of UTC.
    pub fn at(now: Timestamp, utc_offset_minutes: i32) -> Local {
        const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
        let shifted = now.whole().plus_seconds(i64::from(utc_offset_minutes) * 60);
        // 1970-01-01 was a Thursday.
        let seconds = shifted.seconds();
        let day = usize::try_from((seconds.div_euclid(86_400) + 3).rem_euclid(7)).unwrap_or(0);
        let of_day = seconds.rem_euclid(86_400);
        let small = |n: i64| u8::try_from(n).unwrap_or(0);
        Local {
            date: shifted.to_string().chars().take(10).collect(),
            weekday: DAYS.get(day).copied().unwrap_or("mon").to_owned(),
            hour: small(of_day / 3600),
            minute: small(of_day % 3600 / 60),
            utc_offset_minutes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_local_clock() {
        for (utc, offset, expected) in [
            ("2026-11-20T09:00:00Z", 0, ("2026-11-20", "fri", 9, 0)),
            ("2026-11-20T20:45:59Z", 330, ("2026-11-21", "sat", 2, 15)),
            ("2026-01-01T00:10:00Z", -60, ("2025-12-31", "wed", 23, 10)),
            ("1970-01-01T00:00:00Z", 0, ("1970-01-01", "thu", 0, 0)),
            ("2028-02-28T23:00:00Z", 120, ("2028-02-29", "tue", 1, 0)),
        ] {
            let local = Local::at(Timestamp::parse(utc).unwrap(), offset);
            assert_eq!((&*local.date, &*local.weekday, local.hour, local.minute), expected, "{utc} {offset}");
        }
    }
}
