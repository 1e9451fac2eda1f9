//! May a stock confidential-container guest have a dataset's key, and what does that cost?
//!
//! Such a guest carries no Admission, no run key and no lease, and nobody here sees what it lets out. So the contract must
//! say so for the dataset, the guest's init-data must be one that the contract names, and the first fetch costs all that
//! is left of the contract's clause.

use schemas::Digest;
use schemas::contract::ContractDataset;
use schemas::privacy::{DatasetCharge, Mechanism};
use schemas::problem::{Code, R, Refusal};

use crate::accountant::RdpVector;
use crate::budget;
use crate::forms::ensure;
use crate::reals;

/// Most init-data documents that a contract may name for a dataset.
pub const MAX_INIT_DATA: usize = 16;

/// σ is looked for in steps of 10⁻⁶ up to this many.
const MOST_NOISE: u64 = 1_000_000_000_000;

/// Is the member `kbs` of a contracted dataset as it should be? Asked when a contract is registered.
pub fn form(terms: &ContractDataset) -> R<()> {
    let Some(kbs) = &terms.kbs else { return Ok(()) };
    let fine = kbs.init_data.len() <= MAX_INIT_DATA && kbs.init_data.is_sorted_by(|a, b| a < b);
    let sentence = "Digests of init-data stand in ascending order, each once, at most 16.";
    ensure(fine, Code::SchemaMismatch, "datasets.kbs.init_data", sentence)
}

/// Does the contract let a guest with this init-data have the key? Only for clauses of level 1: of the others a guest that
/// nobody watches could keep none.
pub fn allowed(terms: &ContractDataset, init_data: Option<&Digest>) -> R<()> {
    let id = &terms.dataset_id;
    let refused = |why: &str| Refusal::new(Code::KbsNotAllowed, format!("Dataset {id}: {why}.")).at("datasets.kbs");
    let kbs = terms.kbs.as_ref().ok_or_else(|| refused("the contract names no release by the KBS protocol"))?;
    if terms.privacy.level != 1 {
        return Err(refused("only a clause of level 1 can be spent by a guest that nobody watches"));
    }
    let named = init_data.map_or(kbs.init_data.is_empty(), |digest| kbs.init_data.contains(digest));
    let sentence = format!("Dataset {id}: the contract does not name the init-data that this guest was started with.");
    ensure(named, Code::KbsInitData, "init-data", sentence)
}

/// The charge of a fetch: all that the contract's own events leave of the dataset's clause, as one Gaussian release with
/// the least noise (in steps of 10⁻⁶) that still fits. Refused with `BUDGET_EXCEEDED` where less than a hundredth is
/// left: a key is not given for crumbs.
pub fn whole(terms: &ContractDataset, spent: &RdpVector) -> R<DatasetCharge> {
    let clause = &terms.privacy;
    let delta = budget::delta_atto(&clause.delta)?;
    let granted = budget::epsilon_micro(&clause.epsilon)?;
    let left = granted.saturating_sub(spent.epsilon_micro(delta));
    let sentence = format!("Dataset {}: of the contract's grant next to nothing is left.", terms.dataset_id);
    ensure(u128::from(left) * 100 >= u128::from(granted) && left > 0, Code::BudgetExceeded, "epsilon", sentence)?;
    let fits = |steps: u64| mechanisms(steps).filter(|m| fits(spent, m, clause));
    let (mut too_little, mut enough) = (0, MOST_NOISE);
    while enough - too_little > 1 {
        let middle = too_little + (enough - too_little) / 2;
        if fits(middle).is_some() { enough = middle } else { too_little = middle }
    }
    let exceeded = || Refusal::new(Code::BudgetExceeded, "Nothing fits beside what is spent.").at("epsilon");
    let mechanisms = fits(enough).ok_or_else(exceeded)?;
    Ok(DatasetCharge {
        dataset_id: terms.dataset_id.clone(),
        version: terms.version,
        family: terms.family.clone(),
        factor: 1,
        level: clause.level,
        epsilon_micro: budget::vector(&mechanisms)?.epsilon_micro(delta),
        mechanisms,
        delta: clause.delta.clone(),
    })
}

fn mechanisms(steps: u64) -> Option<Vec<Mechanism>> {
    let noise_multiplier = reals::from_units(steps.into(), 6)?;
    Some(vec![Mechanism::Gaussian { noise_multiplier }])
}

fn fits(spent: &RdpVector, mechanisms: &[Mechanism], clause: &schemas::privacy::Clause) -> bool {
    budget::vector(mechanisms).and_then(|cost| budget::fits(spent, &cost, clause, "the contract's grant")).is_ok()
}
