//! What belongs together in the log: an entry names one subject ([`State::subject`]), and the story of a contract is told of many.

use std::collections::BTreeSet;

use schemas::Digest;
use schemas::id::{ContractId, Did};
use schemas::job::JobSpec;

use super::{About, PaymentRow, State};

/// The subject of what becomes of a job's deposits where no run uses them.
pub(super) fn deposits(job_sha256: &Digest) -> String {
    format!("deposits of {job_sha256}")
}

impl State {
    /// The subjects of all that belongs to these contracts: they themselves, the jobs ordered under them that are wanted, with
    /// their runs; what is owed, by every instruction that was given about it; disputes about that.
    ///
    /// Work is in proportion to the orders, obligations and disputes that there are.
    pub fn story_of(&self, contracts: &BTreeSet<ContractId>, wanted: impl Fn(&JobSpec) -> bool) -> BTreeSet<String> {
        let mut subjects: BTreeSet<String> = contracts.iter().map(ToString::to_string).collect();
        for (sha256, order) in self.orders() {
            let under = order.job.contracts.iter().any(|contract| contracts.contains(&contract.id));
            if under && wanted(&order.job) {
                subjects.insert(order.job.job_id.to_string());
                subjects.insert(deposits(sha256));
                subjects.extend(order.runs.iter().map(ToString::to_string));
            }
        }
        let owed = |row: &PaymentRow| contracts.contains(&row.obligation.contract.id);
        subjects.extend(self.payments().filter(|row| owed(row)).map(|row| row.obligation.instruction_id.clone()));
        let later = self.instructions.iter().filter(|(_, of)| self.payments.get(of).is_some_and(owed));
        subjects.extend(later.map(|(id, _)| id.clone()));
        let about = self.disputes().filter(|row| match &row.about {
            About::Obligation(contract, _) => contracts.contains(&contract.id),
            About::Suspense(_) => self.paid_for(row).is_some_and(owed),
        });
        subjects.extend(about.map(|row| row.dispute_id.to_string()));
        subjects
    }

    /// The subjects of what a payment service provider carried out and holds: instructions that it paid, disputes that it
    /// opened.
    pub fn carried_out_by(&self, provider: &Did) -> BTreeSet<String> {
        let paid = self.payments().flat_map(|row| &row.paid).filter(|paid| paid.provider == *provider);
        let opened = self.disputes().filter(|row| row.opener == *provider);
        let disputes = opened.map(|row| row.dispute_id.to_string());
        paid.map(|paid| paid.instruction_id.clone()).chain(disputes).collect()
    }
}
