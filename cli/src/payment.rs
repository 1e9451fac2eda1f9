//! Payments of the caller's contracts.

pub mod dispute;
pub mod export;
pub mod hledger;
pub mod payout;

use contract_client::Client;
use policies::payment::Estimate;
use schemas::bundle::JobBundle;
use schemas::contract::{Contract, ContractRef};
use schemas::desk::ObligationView;
use schemas::id::ContractId;
use schemas::log::Receipt;
use schemas::money::{Currency, Minor};
use schemas::term::RevenueStatement;
use schemas::{Code, R, Refusal, Timestamp};
use signing::{Signer, Trust};

use crate::table::Table;

/// An amount for people, in the major unit of its currency: `INR 5000.00`. Programs read minor units.
pub fn amount(minor: Minor, currency: Currency) -> String {
    format!("{currency} {}", hledger::decimal(i128::from(minor.get()), currency))
}

/// Payments of one contract, or of all of the caller's.
pub fn list(client: &Client, contract: Option<&ContractId>) -> R<Vec<ObligationView>> {
    Ok(client.payments(contract)?.payments)
}

/// Payments as a table; under `there` where the last instruction stands at the payment system, where that says more.
pub fn table(payments: &[ObligationView]) -> Table<6> {
    let rows = payments.iter().map(|one| {
        let there = one.standing.clone().filter(|standing| *standing != one.state).unwrap_or_default();
        let amount = amount(one.amount_minor, one.currency);
        [one.instruction_id.clone(), amount, one.state.clone(), there, occasion(one), one.payee.to_string()]
    });
    Table::new(["payment", "amount", "state", "there", "for", "to"], rows).numbers(&["amount"])
}

/// What it is owed for.
fn occasion(payment: &ObligationView) -> String {
    match (&payment.run_id, payment.job_sha256, payment.period) {
        (Some(run), None, _) => run.to_string(),
        (run, Some(job), _) => {
            let taken = run.as_ref().map(|run| format!(", {run}")).unwrap_or_default();
            format!("deposit of job {}{taken}", job.short())
        }
        (None, None, Some(period)) => format!("period {period}"),
        (None, None, None) => payment.contract.id.to_string(),
    }
}

/// What a run of a bundle's job would cost, term by term; `seconds` how long it is thought to take. Offline.
pub fn due(bundle: &JobBundle, seconds: Option<u64>, trust: &Trust) -> R<Vec<Estimate>> {
    let opened = signing::open_bundle(bundle.clone(), trust)?;
    let facts = policies::Facts {
        job: &opened.job,
        contracts: &opened.contracts,
        offers: &opened.offers,
        image_set: &opened.image_set,
    };
    let plan = policies::privacy::plan(&facts)?;
    let refs: Vec<ContractRef> =
        opened.contracts.iter().map(|c| ContractRef { id: c.contract_id.clone(), sha256: c.digest() }).collect();
    let pairs: Vec<(&ContractRef, &Contract)> = refs.iter().zip(&opened.contracts).map(|(r, c)| (r, &***c)).collect();
    policies::payment::estimate(&opened.job, &pairs, &plan.charges, seconds)
}

/// Signs and enters what the consumer earned in a period: contract, term and period, and the revenue in minor units of the
/// term's currency.
pub fn state_revenue(
    client: &Client,
    key: &dyn Signer,
    trust: &Trust,
    (contract, term_id, period): (&ContractId, &str, u32),
    revenue_minor: Minor,
    now: Timestamp,
) -> R<Receipt> {
    let bundle = client.contract_bundle(contract)?;
    let unknown = || Refusal::new(Code::PaymentUnknown, format!("contract {contract} has no term {term_id}"));
    let logged = bundle.contracts.last().ok_or_else(unknown)?;
    let document = logged.envelope.read_unverified()?;
    let term = document.payment.iter().find(|term| term.term_id == term_id).ok_or_else(unknown)?;
    let statement = RevenueStatement {
        schema: "revenue-statement.v1".into(),
        registry: trust.registry.clone(),
        contract: ContractRef { id: contract.clone(), sha256: logged.envelope.digest() },
        term_id: term_id.to_owned(),
        period,
        revenue_minor,
        currency: term.currency,
        at: now.whole(),
    };
    Ok(client.revenue_statement(&signing::sign(&statement, key, now)?)?.receipt)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_read_amounts_with_the_digits_of_their_currency() {
        let of = |minor, code: &str| amount(Minor::new(minor).unwrap(), Currency::parse(code).unwrap());
        assert_eq!([of(500_000, "INR"), of(7, "INR")], ["INR 5000.00", "INR 0.07"]);
        assert_eq!([of(500_000, "JPY"), of(1_234, "KWD")], ["JPY 500000", "KWD 1.234"]);
    }

    #[test]
    fn payments_stand_under_one_another_with_what_they_are_for() {
        let run = "run_01900000-0000-7000-8000-000000000001";
        let payment = |letter: &str, amount: i64, more: serde_json::Value| -> ObligationView {
            let id = "ctr_01900000-0000-7000-8000-000000000001";
            let mut view = serde_json::json!({"instruction_id": letter.repeat(4), "term_id": "p0",
                "contract": {"id": id, "sha256": schemas::Digest([1; 32])}, "payer": "did:web:tdc.example",
                "payee": "did:web:tdp.example", "currency": "INR", "amount_minor": amount, "state": "instructed"});
            view.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            serde_json::from_value(view).unwrap()
        };
        let all = [
            payment("A", 500_000, serde_json::json!({"run_id": run, "standing": "submitted"})),
            payment("B", 7, serde_json::json!({"period": 3, "state": "settled", "standing": "settled"})),
            payment("C", 1_234_567, serde_json::json!({"job_sha256": schemas::Digest([2; 32]), "state": "asked"})),
            payment("D", 1, serde_json::json!({})),
        ];
        let text = table(&all).text();
        let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[0], ["payment", "amount", "state", "there", "for", "to"]);
        assert_eq!(lines[1], ["AAAA", "INR", "5000.00", "instructed", "submitted", run, "did:web:tdp.example"]);
        assert_eq!(lines[2], ["BBBB", "INR", "0.07", "settled", "period", "3", "did:web:tdp.example"]);
        assert_eq!(lines[3][..7], ["CCCC", "INR", "12345.67", "asked", "deposit", "of", "job"]);
        assert_eq!(lines[4][4], all[3].contract.id.to_string());
        assert_eq!(table(&[]).text(), "none");
    }
}
