//! Terms of payment of DEPA's shapes (`depa-spec.md` 2.3) read into those of a draft, as far as they say anything. They
//! name no currency, so no amount is taken over: a number without its unit is no price.

use schemas::depa::{DepaContract, DepaPayment};
use schemas::id::Did;
use serde_json::{Value, json};

/// The terms that can be begun: who is paid by whom, and how it is priced; amount and currency stay open.
pub(super) fn terms(depa: &DepaContract) -> Vec<Value> {
    let known = |text: Option<&str>| text.filter(|text| Did::parse(text).is_ok()).map(str::to_owned);
    let paid = depa.payments.iter().filter(|entry| matches!(entry.role.as_str(), "tdp" | "ccrp"));
    let with_kind = paid.filter_map(|entry| Some((entry, kind(entry)?)));
    let terms = with_kind.enumerate().map(|(n, (entry, kind))| {
        let mut term = json!({"term_id": format!("p{}", n + 1), "kind": kind, "trigger": "completed"});
        if let Some(payer) = known(depa.tdc.as_deref()) {
            term["payer"] = json!(payer);
        }
        if let Some(payee) = known(entry.party.as_deref()) {
            term["payees"] = json!([{"did": payee, "share_ppm": 1_000_000}]);
        }
        term
    });
    terms.collect()
}

/// What of them is not taken over, and why.
pub(super) fn notices(depa: &DepaContract) -> Vec<String> {
    let mut notices = Vec::new();
    for entry in &depa.payments {
        let whose = format!("terms.payment.{} of {}", entry.role, entry.party.as_deref().unwrap_or("nobody"));
        if let Some(amount) = &entry.amount {
            notices.push(format!(
                "{whose}: the amount {amount} is not taken over: no currency is said, and none is guessed."
            ));
        }
        match (entry.role.as_str(), &entry.kind) {
            ("tdp" | "ccrp", Some(text)) if kind(entry).is_none() => {
                notices.push(format!("{whose}: the payment type {text} is none of once, recurring and pay-per-use."));
            }
            ("tdp" | "ccrp", None) => notices.push(format!("{whose}: no payment type is said; the term stays open.")),
            ("tdc", _) => notices.push(format!("{whose}: the consumer pays; it needs no term of its own.")),
            ("mc", _) => notices.push(format!("{whose}: the MC is no party of a contract, and no term pays it.")),
            _ => {}
        }
        for member in &entry.left_out {
            let why = match member.as_str() {
                "paymentProcessor" => "instructions go to the payment provider that the registry verified",
                "paymentSchedule" => "periods follow from the contract's own dates",
                _ => "means and tokens of payment are between the party and its payment provider",
            };
            notices.push(format!("{whose}: {member} is not taken over: {why}."));
        }
    }
    if !depa.payments.is_empty() {
        notices.push("A provider's price must be that of its registered offer.".to_owned());
    }
    notices
}

fn kind(entry: &DepaPayment) -> Option<&'static str> {
    let plain: String = entry.kind.as_deref()?.chars().filter(char::is_ascii_alphabetic).collect();
    match plain.to_ascii_lowercase().as_str() {
        "once" | "onetime" => Some("fixed"),
        "recurring" => Some("subscription"),
        "payperuse" | "peruse" => Some("per_run"),
        _ => None,
    }
}
