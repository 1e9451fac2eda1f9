//! Admission by the room itself: it believes no service about the job, but checks every signature, receipt and rule.

use std::collections::BTreeMap;

use policies::{DatasetUse, Facts, pipeline, privacy};
use schemas::R;
use schemas::bundle::JobBundle;
use schemas::contract::{ContractRef, ContractState};
use schemas::id::Did;
use schemas::pipeline::{Join, Output, Training};
use schemas::privacy::Plan;
use schemas::release::ContractStatus;
use signing::OpenedBundle;

use crate::room::Room;

/// A job that the room would carry out.
#[derive(Debug)]
pub struct Admitted {
    /// The bundle as it came; sent on to the services.
    pub bundle: JobBundle,
    /// The bundle, every signature and receipt verified.
    pub opened: OpenedBundle,
    /// The privacy plan.
    pub plan: Plan,
    /// The join of the pipeline.
    pub join: Join,
    /// The training of the pipeline.
    pub training: Training,
    /// The output of the pipeline.
    pub output: Output,
}

/// Verifies the bundle under the pinned trust and judges it by the rules that the key services apply too.
pub fn admit(bundle: JobBundle, room: &Room) -> R<Admitted> {
    let opened = signing::open_bundle(bundle.clone(), &room.trust)?;
    let now = room.now();
    let facts = facts(&opened);
    // Whether a contract was revoked only the registry can say, at check-in; here the period is judged.
    let states: Vec<ContractStatus> = opened
        .contracts
        .iter()
        .map(|c| ContractStatus { id: c.contract_id.clone(), sha256: c.digest(), state: ContractState::Active })
        .collect();
    policies::gate::job(&facts, &states, now)?;
    let stages = pipeline::decide(&facts)?;
    let (join, training, output) = (stages.join.clone(), stages.training.clone(), stages.output.clone());
    let plan = privacy::plan(&facts)?;
    Ok(Admitted { bundle, opened, plan, join, training, output })
}

/// The facts that rules judge.
pub fn facts(opened: &OpenedBundle) -> Facts<'_> {
    Facts { job: &opened.job, contracts: &opened.contracts, offers: &opened.offers, image_set: &opened.image_set }
}

impl Admitted {
    /// Contracts by id and digest, sorted by id.
    pub fn contract_refs(&self) -> Vec<ContractRef> {
        let mut refs: Vec<ContractRef> = self
            .opened
            .contracts
            .iter()
            .map(|c| ContractRef { id: c.contract_id.clone(), sha256: c.digest() })
            .collect();
        refs.sort();
        refs
    }

    /// The datasets of the job in its order, each with its contract and offer.
    pub fn datasets(&self) -> R<Vec<DatasetUse<'_>>> {
        facts(&self.opened).datasets()
    }

    /// Every key service of the job, each with the TDP it serves.
    pub fn kms(&self) -> R<BTreeMap<String, Did>> {
        Ok(self.datasets()?.into_iter().map(|d| (d.terms.key.kms.clone(), d.terms.provider.clone())).collect())
    }
}
