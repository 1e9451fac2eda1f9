//! A payment status report (pain.002): what the bank says of a file, of its parts and of single transactions.

use policies::instruction::Standing;
use schemas::R;

use super::statement::amount;
use super::xml::Node;
use super::{bad, part_number};
use crate::provider::{About, News};

/// Reads the report: its message id and what it tells. Single transactions say more than their part, parts more than the
/// file: a state of the whole counts only where the report names nothing below it.
pub fn read(root: &Node) -> R<(String, Vec<News>)> {
    let report = root.child("CstmrPmtStsRpt").ok_or_else(|| bad("no status report"))?;
    let message = report.text_at("GrpHdr/MsgId").ok_or_else(|| bad("a status report has a MsgId"))?;
    let group = report.child("OrgnlGrpInfAndSts").ok_or_else(|| bad("a status report names its original message"))?;
    let original = group.text_at("OrgnlMsgId").ok_or_else(|| bad("a status report names its original message"))?;
    let mut news = Vec::new();
    let parts: Vec<&Node> = report.all("OrgnlPmtInfAndSts").collect();
    if parts.is_empty() {
        news.extend(whole(group, "GrpSts", About::Batch { id: original.to_owned(), part: None }));
    }
    for part in parts {
        let transactions: Vec<&Node> = part.all("TxInfAndSts").collect();
        if transactions.is_empty() {
            let number = part.text_at("OrgnlPmtInfId").and_then(|id| part_number(original, id));
            let about = About::Batch { id: original.to_owned(), part: Some(number.unwrap_or(0)) };
            news.extend(whole(part, "PmtInfSts", about));
        }
        for transaction in transactions {
            let Some(standing) = transaction.text_at("TxSts").and_then(standing) else { continue };
            let about = match transaction.text_at("OrgnlEndToEndId") {
                Some(id) => About::Instruction(id.to_owned()),
                None => About::Nobody,
            };
            let money = ["OrgnlTxRef/Amt/InstdAmt", "OrgnlTxRef/IntrBkSttlmAmt"];
            let money = money.iter().find_map(|path| transaction.at(path)).map(amount).transpose()?;
            if about == About::Nobody && money.is_none() {
                return Err(bad("a transaction's status names neither its EndToEndId nor an amount"));
            }
            // Its reference names the report's order, not the booking: the account's own reports name that.
            let news_of = News { money, ..News::about(about, standing) };
            news.push(match reason(transaction) {
                Some(reason) => news_of.because(&reason),
                None => news_of,
            });
        }
    }
    Ok((message.to_owned(), news))
}

fn whole(node: &Node, tag: &str, about: About) -> Option<News> {
    let standing = node.text_at(tag).and_then(standing)?;
    let news = News::about(about, standing);
    Some(match reason(node) {
        Some(reason) => news.because(&reason),
        None => news,
    })
}

/// External payment status codes. Partly accepted files and pending ones say nothing yet.
fn standing(code: &str) -> Option<Standing> {
    match code {
        "ACTC" | "ACCP" | "ACSP" | "ACWC" | "ACWP" | "ACFC" => Some(Standing::Accepted),
        "ACSC" | "ACCC" => Some(Standing::Settled),
        "RJCT" | "CANC" => Some(Standing::Failed),
        _ => None,
    }
}

fn reason(node: &Node) -> Option<String> {
    let info = node.child("StsRsnInf")?;
    let code = info.text_at("Rsn/Cd").or_else(|| info.text_at("Rsn/Prtry"));
    let words: Vec<&str> = code.into_iter().chain(info.text_at("AddtlInf")).collect();
    (!words.is_empty()).then(|| words.join(": "))
}
