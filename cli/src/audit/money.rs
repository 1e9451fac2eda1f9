//! Books that somebody shows, compared with those that follow from a verified log.

use schemas::{Code, R, Refusal};
use serde::Serialize;

use super::report::Report;
use crate::payment::export::Export;

/// How much of the log's money an export shows. There is none of an export that differs.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Compared {
    /// Transfers that are the log's, of how many.
    pub transfers: (usize, usize),
    /// Obligations that are the log's, of how many.
    pub obligations: (usize, usize),
}

/// Each transfer that is shown is one of the log's, and stands once (`BOOKS_TRANSFER`); each obligation has the payer, payee,
/// currency and amount that fell due (`BOOKS_OBLIGATION`). The first that differs is named. An export of one party shows
/// fewer than there are.
pub fn compare(report: &Report, shown: &Export) -> R<Compared> {
    let whole = shown.transfers.len() >= report.transfers.len();
    policies::money::compare(&report.transfers, &shown.transfers, whole)?;
    for line in &shown.obligations {
        let id = &line.instruction_id;
        let known = report.payments.iter().find(|own| own.instruction_id == *id);
        let same = known.is_some_and(|own| {
            (&own.payer, &own.payee, own.currency, own.amount_minor)
                == (&line.payer, &line.payee, line.currency, line.amount_minor)
        });
        if !same {
            let sentence = format!("obligation {id} is not what falls due by the log");
            return Err(Refusal::new(Code::BooksObligation, sentence));
        }
    }
    Ok(Compared {
        transfers: (shown.transfers.len(), report.transfers.len()),
        obligations: (shown.obligations.len(), report.payments.len()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::report::{Counted, PaymentLine};
    use policies::lifecycle::{PaymentState, State};
    use policies::money::{AccountId, AccountKind, Books, Phase, Transfer, TransferCode, line};
    use schemas::contract::ContractRef;
    use schemas::desk::ObligationView;
    use schemas::id::Did;
    use schemas::log::CheckpointRef;
    use schemas::money::{Currency, Minor};
    use schemas::{Digest, Timestamp};

    fn did(name: &str) -> Did {
        Did::parse(&format!("did:web:{name}.example")).unwrap()
    }

    /// A report with one obligation and its transfer, and an export of just that.
    fn scene() -> (Report, Export) {
        let (now, currency) = (Timestamp::from_micros(0), Currency::parse("INR").unwrap());
        let head = CheckpointRef { size: 0, root: Digest([0; 32]) };
        let mut report =
            Report::of(&State::new(), &head, None, None, Counted::default(), std::collections::BTreeMap::new(), now);
        let account = |name: &str, kind| AccountId { owner: did(name), currency, kind };
        let mut books = Books::default();
        let transfer = Transfer {
            debit: account("tdp", AccountKind::Receivable),
            credit: account("tdc", AccountKind::Payable),
            amount: 500,
            phase: Phase::Posted,
            code: TransferCode::Owed,
            reference: "A".repeat(32),
            at: now,
        };
        books.add(7, transfer).unwrap();
        report.transfers = books.transfers().map(|(place, transfer)| line(place, transfer, None).unwrap()).collect();
        let payment = PaymentLine {
            instruction_id: "A".repeat(32),
            run_id: None,
            payer: did("tdc"),
            payee: did("tdp"),
            currency,
            amount_minor: Minor::new(500).unwrap(),
            state: PaymentState::Instructed,
        };
        report.payments = vec![payment];
        let id = "ctr_01900000-0000-7000-8000-000000000001".parse().unwrap();
        let view = serde_json::json!({"instruction_id": "A".repeat(32), "contract": ContractRef { id, sha256: Digest([1; 32]) },
            "run_id": null, "job_sha256": null, "period": null, "term_id": "p0", "line": null, "payer": did("tdc"),
            "payee": did("tdp"), "currency": "INR", "amount_minor": 500, "state": "instructed", "due_at": null,
            "attempt": 0});
        let obligation: ObligationView = serde_json::from_value(view).unwrap();
        let export = Export { v: 1, transfers: report.transfers.clone(), obligations: vec![obligation] };
        (report, export)
    }

    #[test]
    fn an_edited_transfer_or_obligation_is_named() {
        let (report, export) = scene();
        assert_eq!(compare(&report, &export).unwrap(), Compared { transfers: (1, 1), obligations: (1, 1) });
        let refused = |spoil: &dyn Fn(&mut Export), code, name: &str| {
            let mut bad = export.clone();
            spoil(&mut bad);
            let refusal = compare(&report, &bad).unwrap_err();
            assert_eq!(refusal.code, code, "{refusal}");
            assert!(refusal.sentence.contains(name), "{refusal}");
            assert_eq!(crate::exit::of(&refusal), crate::exit::VERIFICATION);
        };
        let (transfer, obligation) = (report.transfers[0].id.clone(), "A".repeat(32));
        refused(&|e| e.transfers[0].amount_minor = Minor::new(501).unwrap(), Code::BooksTransfer, &transfer);
        refused(&|e| e.transfers[0].credit = did("other"), Code::BooksTransfer, &transfer);
        refused(&|e| e.transfers.push(e.transfers[0].clone()), Code::BooksTransfer, &transfer);
        refused(&|e| e.obligations[0].amount_minor = Minor::new(501).unwrap(), Code::BooksObligation, &obligation);
        refused(&|e| e.obligations[0].payee = did("other"), Code::BooksObligation, &obligation);
        refused(&|e| e.obligations[0].payer = did("other"), Code::BooksObligation, &obligation);
        refused(&|e| e.obligations[0].currency = Currency::parse("EUR").unwrap(), Code::BooksObligation, &obligation);
        refused(&|e| e.obligations[0].instruction_id = "B".repeat(32), Code::BooksObligation, &"B".repeat(32));
    }
}
