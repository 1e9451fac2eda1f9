//! Account reports, statements and notifications (camt.052, camt.053, camt.054): what was booked.
//!
//! A booked debit is a payment made, by its EndToEndId. A credit that says it is a return, or a reversal of a debit, is
//! money that came back. Any other credit is the other end of a block that it quotes, or money that nobody instructed.
//! Pending entries say that the bank accepted.

use std::collections::BTreeMap;

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
    let mut told = Told::default();
    for entry in message.all(report).flat_map(|report| report.all("Ntry")) {
        told.entry(entry)?;
    }
    Ok((id.to_owned(), told.news))
}

/// What a message told so far.
#[derive(Default)]
struct Told {
    news: Vec<News>,
    /// How many movements without a reference were alike.
    alike: BTreeMap<String, usize>,
}

/// Which way money went.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Out,
    Back,
    In,
    /// A credit that was taken back.
    Undone,
}

impl Told {
    fn entry(&mut self, entry: &Node) -> R<()> {
        let status = entry.text_at("Sts/Cd").or_else(|| entry.text_at("Sts")).unwrap_or_default();
        let booked = match status {
            "BOOK" => true,
            "PDNG" => false,
            "INFO" | "FUTR" => return Ok(()),
            _ => return Err(bad("an entry is BOOK, PDNG, INFO or FUTR")),
        };
        let total = entry.child("Amt").map(amount).transpose()?.ok_or_else(|| bad("an entry has an amount"))?;
        // A number within its report (NtryRef) names nothing elsewhere.
        let reference = entry.text_at("AcctSvcrRef");
        let day = entry.text_at("BookgDt/Dt").or_else(|| entry.text_at("BookgDt/DtTm"));
        let day = day.and_then(|day| day.get(..10)).unwrap_or_default();
        let transactions: Vec<&Node> = entry.all("NtryDtls").flat_map(|d| d.all("TxDtls")).collect();
        if transactions.is_empty() {
            // A booking of several payments in one sum cannot be told apart.
            self.keep(told(None, way(entry, entry)?, booked, total, reference), day);
            return Ok(());
        }
        for transaction in &transactions {
            let own =
                transaction.child("Amt").or_else(|| transaction.at("AmtDtls/TxAmt/Amt")).map(amount).transpose()?;
            let money = match own {
                Some(own) => own,
                None if transactions.len() == 1 => total,
                None => return Err(bad("of several transactions in an entry each has its amount")),
            };
            let id = transaction.text_at("Refs/EndToEndId").filter(|id| *id != "NOTPROVIDED");
            let own = transaction.text_at("Refs/AcctSvcrRef").or_else(|| transaction.text_at("Refs/TxId"));
            // The entry's reference names all its transactions at once; one alone goes by it, since every kind of report
            // has it.
            let reference = reference.filter(|_| transactions.len() == 1).or(own);
            let told = told(id, way(entry, transaction)?, booked, money, reference);
            let why = transaction.text_at("RtrInf/Rsn/Cd").or_else(|| transaction.text_at("RtrInf/AddtlInf"));
            let told = told.map(|told| match why {
                Some(why) => told.because(why),
                None => told,
            });
            self.keep(told, day);
        }
        Ok(())
    }

    /// Keeps a movement; one without a reference is told from its likes by its day and number, the same in every report.
    fn keep(&mut self, told: Option<News>, day: &str) {
        let Some(mut told) = told else { return };
        if told.reference.is_none() && told.standing.moves_money() {
            let alike =
                self.alike.entry(format!("{:?} {:?} {:?} {day}", told.about, told.standing, told.money)).or_default();
            *alike += 1;
            told.mark = Some(format!("{day} {alike}"));
        }
        self.news.push(told);
    }
}

/// Which way the money of a transaction went: debits out, unless they are reversals of credits; credits back, if they are
/// reversals of debits or returns.
fn way(entry: &Node, transaction: &Node) -> R<Way> {
    let indicator = transaction.text_at("CdtDbtInd").or_else(|| entry.text_at("CdtDbtInd"));
    let reversal = entry.text_at("RvslInd") == Some("true");
    let returned = transaction.child("RtrInf").is_some() || entry.text_at("BkTxCd/Domn/Fmly/SubFmlyCd") == Some("RRTN");
    match indicator {
        Some("DBIT") if reversal => Ok(Way::Undone),
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
        (Way::Back | Way::In | Way::Undone, true) => Standing::Returned,
        (Way::Back | Way::In | Way::Undone, false) => return None,
    };
    let quoted = |id: &str| id.chars().take(35).collect::<String>();
    let about = match (id, way) {
        (Some(id), Way::Out | Way::Back) => About::Instruction(quoted(id)),
        (Some(id), Way::In) => About::Arrival(quoted(id)),
        (Some(_), Way::Undone) | (None, _) => About::Nobody,
    };
    if about == About::Nobody && !booked {
        return None;
    }
    let reference = reference.map(|r| r.chars().take(60).collect());
    Some(News { reference, money: Some(money), ..News::about(about, standing) })
}

/// An amount with its currency.
pub(super) fn amount(node: &Node) -> R<(Minor, Currency)> {
    let currency = node.currency.as_deref().ok_or_else(|| bad("an amount has a currency"))?;
    let currency = Currency::parse(currency).map_err(|_| bad("an amount has an ISO 4217 currency"))?;
    let minor =
        money::minor(&node.text, currency).map_err(|e| bad(format!("an amount cannot be read: {}", e.sentence)))?;
    Ok((minor, currency))
}
