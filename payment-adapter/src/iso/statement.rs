//! Account reports, statements and notifications (camt.052, camt.053, camt.054): what was booked.
//!
//! A booked debit is a payment made, by its EndToEndId. A credit that says it is a return, or a reversal of a debit, is
//! money that came back. Any other credit is money that nobody instructed. Pending entries say that the bank accepted.

use policies::instruction::Standing;
use schemas::R;
use schemas::money::{Currency, Minor};

use super::bad;
use super::xml::Node;
use crate::money;
use crate::provider::{About, News};

/// Reads the message id and what it tells, entry by entry.
pub fn read(root: &Node) -> R<(String, Vec<News>)> {
    let kinds = [("BkToCstmrAcctRpt", "Rpt"), ("BkToCstmrStmt", "Stmt"), ("BkToCstmrDbtCdtNtfctn", "Ntfctn")];
    let found = kinds.iter().find_map(|(message, report)| Some((root.child(message)?, *report)));
    let (message, report) = found.ok_or_else(|| bad("no account report, statement or notification"))?;
    let id = message.text_at("GrpHdr/MsgId").ok_or_else(|| bad("an account report has a MsgId"))?;
    let mut news = Vec::new();
    for entry in message.all(report).flat_map(|report| report.all("Ntry")) {
        self::entry(entry, &mut news)?;
    }
    Ok((id.to_owned(), news))
}

/// Which way money went.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Out,
    Back,
    In,
}

fn entry(entry: &Node, news: &mut Vec<News>) -> R<()> {
    let status = entry.text_at("Sts/Cd").or_else(|| entry.text_at("Sts")).unwrap_or_default();
    let booked = match status {
        "BOOK" => true,
        "PDNG" => false,
        "INFO" | "FUTR" => return Ok(()),
        _ => return Err(bad("an entry is BOOK, PDNG, INFO or FUTR")),
    };
    let total = entry.child("Amt").map(amount).transpose()?.ok_or_else(|| bad("an entry has an amount"))?;
    let reference = entry.text_at("AcctSvcrRef").or_else(|| entry.text_at("NtryRef"));
    let transactions: Vec<&Node> = entry.all("NtryDtls").flat_map(|d| d.all("TxDtls")).collect();
    if transactions.is_empty() {
        // A booking of several payments in one sum cannot be told apart.
        news.extend(told(None, way(entry, entry)?, booked, total, reference));
        return Ok(());
    }
    for transaction in &transactions {
        let own = transaction.child("Amt").or_else(|| transaction.at("AmtDtls/TxAmt/Amt")).map(amount).transpose()?;
        let money = match own {
            Some(own) => own,
            None if transactions.len() == 1 => total,
            None => return Err(bad("of several transactions in an entry each has its amount")),
        };
        let id = transaction.text_at("Refs/EndToEndId").filter(|id| *id != "NOTPROVIDED");
        let own = transaction.text_at("Refs/AcctSvcrRef").or_else(|| transaction.text_at("Refs/TxId"));
        // The entry's reference names all its transactions at once; one alone may go by it.
        let reference = own.or(reference.filter(|_| transactions.len() == 1));
        let told = told(id, way(entry, transaction)?, booked, money, reference);
        let why = transaction.text_at("RtrInf/Rsn/Cd").or_else(|| transaction.text_at("RtrInf/AddtlInf"));
        news.extend(told.map(|told| match why {
            Some(why) => told.because(why),
            None => told,
        }));
    }
    Ok(())
}

/// Which way the money of a transaction went: debits out, unless they are reversals of credits; credits back, if they are
/// reversals of debits or returns.
fn way(entry: &Node, transaction: &Node) -> R<Way> {
    let indicator = transaction.text_at("CdtDbtInd").or_else(|| entry.text_at("CdtDbtInd"));
    let reversal = entry.text_at("RvslInd") == Some("true");
    let returned = transaction.child("RtrInf").is_some() || entry.text_at("BkTxCd/Domn/Fmly/SubFmlyCd") == Some("RRTN");
    match indicator {
        Some("DBIT") if reversal => Ok(Way::In),
        Some("DBIT") => Ok(Way::Out),
        Some("CRDT") if reversal || returned => Ok(Way::Back),
        Some("CRDT") => Ok(Way::In),
        _ => Err(bad("an entry is CRDT or DBIT")),
    }
}

fn told(id: Option<&str>, way: Way, booked: bool, money: (Minor, Currency), reference: Option<&str>) -> Option<News> {
    let standing = match (way, booked) {
        (Way::Out, true) => Standing::Settled,
        (Way::Out, false) => Standing::Accepted,
        (Way::Back | Way::In, true) => Standing::Returned,
        (Way::Back | Way::In, false) => return None,
    };
    // Money that came in without being a return is nobody's, even where it quotes an id of ours.
    let about = match id.filter(|_| way != Way::In) {
        Some(id) => About::Instruction(id.chars().take(35).collect()),
        None => About::Nobody,
    };
    if about == About::Nobody && !booked {
        return None;
    }
    let reference = reference.map(|r| r.chars().take(60).collect());
    Some(News { about, standing, reference, money: Some(money), note: None })
}

/// An amount with its currency.
pub(super) fn amount(node: &Node) -> R<(Minor, Currency)> {
    let currency = node.currency.as_deref().ok_or_else(|| bad("an amount has a currency"))?;
    let currency = Currency::parse(currency).map_err(|_| bad("an amount has an ISO 4217 currency"))?;
    let minor =
        money::minor(&node.text, currency).map_err(|e| bad(format!("an amount cannot be read: {}", e.sentence)))?;
    Ok((minor, currency))
}
