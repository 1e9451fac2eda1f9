//! Transfers as they are shown to people and compared by auditors.

use std::collections::BTreeMap;

use schemas::desk::JournalLine;
use schemas::id::ContractId;
use schemas::money::Minor;
use schemas::{Code, R, Refusal};

use super::transfer::{Phase, Place, Transfer};

/// A transfer as it is shown.
pub fn line(place: &Place, transfer: &Transfer, contract: Option<ContractId>) -> R<JournalLine> {
    let (phase, pending) = match transfer.phase {
        Phase::Posted => ("posted", None),
        Phase::Pending => ("pending", None),
        Phase::Post(of) => ("post", Some(of.id()?)),
        Phase::Void(of) => ("void", Some(of.id()?)),
    };
    Ok(JournalLine {
        id: place.id()?,
        index: place.index,
        leg: place.leg,
        at: transfer.at,
        code: transfer.code.as_str().to_owned(),
        phase: phase.to_owned(),
        pending,
        debit: transfer.debit.owner.clone(),
        debit_kind: transfer.debit.kind.as_str().to_owned(),
        credit: transfer.credit.owner.clone(),
        credit_kind: transfer.credit.kind.as_str().to_owned(),
        currency: transfer.debit.currency,
        amount_minor: Minor::new(transfer.amount)?,
        reference: transfer.reference.clone(),
        contract,
    })
}

/// Compares transfers that somebody shows with one's own. Each that is shown must be one's own, member by member, and stand
/// once; `whole` says that none may be missing. The first that differs is named (`BOOKS_TRANSFER`).
pub fn compare(own: &[JournalLine], shown: &[JournalLine], whole: bool) -> R<()> {
    let wrong = |line: &JournalLine, why: &str| {
        let sentence = format!("transfer {} of entry {} ({}): {why}", line.id, line.index, line.reference);
        Err(Refusal::new(Code::BooksTransfer, sentence))
    };
    let mut left: BTreeMap<&str, &JournalLine> = own.iter().map(|line| (line.id.as_str(), line)).collect();
    for line in shown {
        match left.remove(line.id.as_str()) {
            Some(known) if known == line => {}
            Some(_) => return wrong(line, "it is not what the log gives"),
            None => return wrong(line, "the log gives no such transfer, or it stands twice"),
        }
    }
    match left.values().next().filter(|_| whole) {
        None => Ok(()),
        Some(line) => wrong(line, "it is missing"),
    }
}
