//! Privacy budgets, recomputed from the receipts in the log: what was released and not refunded, per family and scope.

use std::collections::BTreeMap;

use policies::lifecycle::State;
use schemas::contract::ContractRef;
use schemas::dataset::DatasetOffer;
use schemas::id::{Did, FamilyId, RunId};
use schemas::privacy::{Clause, DatasetCharge, Scope};
use schemas::release::{KmsReceipt, KmsStatement};
use schemas::{Code, Digest, R, Refusal};

/// One ledger of a family: for one consumer, or for all.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct LedgerKey {
    /// Who keeps it: a family's id is its provider's word, and another's use of it is another family.
    pub provider: Did,
    /// The family.
    pub family: FamilyId,
    /// The consumer of a `per_tdc` ledger.
    pub tdc: Option<Did>,
}

/// What a ledger holds.
#[derive(Clone, Debug)]
pub struct Ledger {
    /// Charges that stand.
    pub charges: Vec<Charged>,
    /// The cap with its renewals, of the offer that the last charge refers to.
    pub cap: Clause,
    /// Clauses of the contracts.
    pub clauses: BTreeMap<ContractRef, Clause>,
}

/// A charge that stands.
#[derive(Clone, Debug)]
pub struct Charged {
    /// Index of the entry that brought its receipt.
    pub index: u64,
    /// The run.
    pub run_id: RunId,
    /// The contract.
    pub contract: ContractRef,
    /// What it costs.
    pub charge: DatasetCharge,
}

/// All ledgers. Refuses a charge that went beyond the cap of its family or the clause of its contract.
pub fn recompute(state: &State) -> R<BTreeMap<LedgerKey, Ledger>> {
    let mut released: Vec<(u64, &KmsReceipt)> = Vec::new();
    for run in state.runs() {
        let receipts: Vec<_> = state.receipts_of(&run.run_id).collect();
        for row in &receipts {
            let is_release = matches!(row.receipt.statement, KmsStatement::Released { .. });
            let refunded = receipts.iter().any(|other| {
                matches!(other.receipt.statement, KmsStatement::Refunded { .. })
                    && other.receipt.kms == row.receipt.kms
                    && other.receipt.provider == row.receipt.provider
            });
            if is_release && !refunded {
                released.push((row.index, &row.receipt));
            }
        }
    }
    // A key service may wrap the same keys anew for a run: the first release counts.
    released.sort_by_key(|(index, receipt)| (receipt.at, receipt.seq, *index));
    let mut seen = std::collections::BTreeSet::new();
    let mut ledgers = BTreeMap::new();
    for (index, receipt) in released {
        if seen.insert((receipt.provider.clone(), receipt.kms.clone(), receipt.run_id.clone())) {
            charge(state, (index, receipt), &mut ledgers).map_err(|e| fault(index, &e))?;
        }
    }
    Ok(ledgers)
}

fn charge(state: &State, (index, receipt): (u64, &KmsReceipt), ledgers: &mut BTreeMap<LedgerKey, Ledger>) -> R<()> {
    let mismatch = |why: &str| Refusal::new(Code::LogTampered, why.to_owned());
    let run = state.require_run(&receipt.run_id)?;
    let tdc = &state.job_of(run)?.tdc;
    if receipt.charges.len() != receipt.datasets.len() {
        return Err(mismatch("a release charges other datasets than it releases"));
    }
    for (dataset, new) in receipt.datasets.iter().zip(&receipt.charges) {
        let contract = &state.contract_of(&dataset.contract)?.contract;
        let terms =
            contract.datasets.iter().find(|d| d.dataset_id == dataset.dataset_id && d.version == dataset.version);
        let terms = terms.ok_or_else(|| mismatch("a release of a dataset that its contract does not give"))?;
        let same = new.dataset_id == terms.dataset_id && new.version == terms.version && new.family == terms.family;
        if !same || new.delta != terms.privacy.delta {
            return Err(mismatch("a charge is not to the dataset's family at the contract's δ"));
        }
        let offer = offer(state, &terms.offer_sha256)?;
        let scoped = match terms.privacy.scope {
            Scope::PerTdc => Some(tdc.clone()),
            Scope::Global => None,
        };
        let key = LedgerKey { provider: terms.provider.clone(), family: terms.family.clone(), tdc: scoped };
        let ledger = ledgers.entry(key).or_insert_with(|| Ledger {
            charges: vec![],
            cap: offer.privacy_cap.clone(),
            clauses: BTreeMap::new(),
        });
        let all: Vec<DatasetCharge> = ledger.charges.iter().map(|one| one.charge.clone()).collect();
        // A contract's clause is per dataset: what this contract has spent of this dataset.
        let own: Vec<DatasetCharge> = ledger
            .charges
            .iter()
            .filter(|one| one.contract == dataset.contract && one.charge.dataset_id == new.dataset_id)
            .map(|one| one.charge.clone())
            .collect();
        let fits = |cap: Clause| policies::budget::check(&all, &own, &cap, &terms.privacy, new).map(|()| cap);
        let [standing, with_contested] = state.caps_at(index, offer, &terms.offer_sha256, tdc);
        ledger.cap = standing.and_then(fits).or_else(|why| with_contested.and_then(fits).map_err(|_| why))?;
        ledger.clauses.insert(dataset.contract.clone(), terms.privacy.clone());
        ledger.charges.push(Charged {
            index,
            run_id: receipt.run_id.clone(),
            contract: dataset.contract.clone(),
            charge: new.clone(),
        });
    }
    Ok(())
}

fn offer<'a>(state: &'a State, sha256: &Digest) -> R<&'a DatasetOffer> {
    let row = state.offer(sha256);
    row.map(|r| &r.offer)
        .ok_or_else(|| Refusal::new(Code::LogTampered, "a contract pins an offer that is not in the log"))
}

fn fault(index: u64, refusal: &Refusal) -> Refusal {
    Refusal::new(Code::LogTampered, format!("entry {index}: {}: {}", refusal.code, refusal.sentence))
}
