//! A payment term in plain words, for whoever has to sign it: command line and portal show the same.

use schemas::contract::{PaymentTerm, Pricing, Rounding, Tax, TermKind, Trigger};

/// One sentence or more about a term: who pays whom how much, for what, when, and what it is at most and at least.
pub fn plain(term: &PaymentTerm) -> String {
    if term.kind == TermKind::Free {
        return format!("{}: free", term.term_id);
    }
    let none = Pricing::default();
    let pricing = term.pricing.as_ref().unwrap_or(&none);
    let mut words = format!("{}: {} pays {} to {}", term.term_id, term.payer, price(term, pricing), payees(term));
    words.push_str(when(term));
    let money = |minor: i64| format!("{} {minor} minor units", term.currency);
    for tier in &pricing.tiers {
        words.push_str(&format!("; from unit {} of the contract on {}", tier.from, money(tier.amount_minor.get())));
    }
    if let Some(discount) = &term.discount {
        words.push_str(&format!("; discount {} of {}", discount.discount_id, percent(discount.off_ppm)));
        if let Some(purpose) = &discount.purpose {
            words.push_str(&format!(" for the purpose {purpose}"));
        }
        if let Some(runs) = discount.after_runs {
            words.push_str(&format!(" after {runs} runs"));
        }
    }
    if let Some(least) = pricing.floor_minor {
        words.push_str(&format!("; at least {}", money(least.get())));
        if term.kind == TermKind::RevenueShare {
            words.push_str(", in proportion where the contract covers a period in part");
        }
    }
    if let Some(most) = pricing.cap_minor {
        words.push_str(&format!("; at most {}", money(most.get())));
    }
    if let Some(days) = pricing.due_days {
        words.push_str(&format!("; to be paid within {days} days"));
    }
    if let Some(tax) = &pricing.tax {
        words.push_str(&taxes(tax));
    }
    words.push_str(match pricing.rounding.unwrap_or_default() {
        _ if whole(term, pricing) => "",
        Rounding::Down => "; fractions of a minor unit are dropped",
        Rounding::Up => "; fractions of a minor unit count as one",
        Rounding::HalfUp => "; halves of a minor unit and more count as one",
    });
    words
}

fn price(term: &PaymentTerm, pricing: &Pricing) -> String {
    let money = format!("{} {} minor units", term.currency, term.amount_minor.get());
    let per = |one: &str, many: &str| match pricing.unit_count.unwrap_or(1) {
        1 => format!("{money} for each {one}"),
        count => format!("{money} for every {count} {many}"),
    };
    let dataset = || term.dataset_id.as_ref().map(|id| format!(" of {id}")).unwrap_or_default();
    match term.kind {
        TermKind::Free => String::new(),
        TermKind::PerRun | TermKind::Escrow => match (&term.dataset_id, term.trigger) {
            (None, Trigger::Completed) => format!("{money} for every completed run"),
            (Some(id), Trigger::Completed) => format!("{money} for every completed run that uses {id}"),
            (None, Trigger::KeysReleased) => format!("{money} for every run"),
            (Some(id), Trigger::KeysReleased) => format!("{money} for every run that uses {id}"),
        },
        TermKind::Fixed => format!("{money} once"),
        TermKind::PerEpoch => per("pass over the data", "passes over the data"),
        TermKind::PerRecord => per("contracted record", "contracted records") + &dataset() + " in every run",
        TermKind::PerEpsilon => match pricing.unit_count {
            Some(1_000_000) => format!("{money} for every 1.0 of ε that a run is charged for{}", dataset()),
            _ => per("millionth of ε", "millionths of ε") + " that a run is charged for" + &dataset(),
        },
        TermKind::PerComputeHour => match pricing.unit_count {
            Some(3600) => format!("{money} for every hour from check-in to completion, by the second"),
            _ => per("second", "seconds") + " from check-in to completion",
        },
        TermKind::Subscription => {
            format!("{money} in advance for every {} days of the contract", pricing.period_days.unwrap_or(0))
        }
        TermKind::RevenueShare => format!(
            "{} of the revenue that {} states for every {} days",
            percent(pricing.share_ppm.unwrap_or(0)),
            term.payer,
            pricing.period_days.unwrap_or(0)
        ),
    }
}

fn when(term: &PaymentTerm) -> &'static str {
    match (term.kind, term.trigger) {
        (TermKind::Escrow, Trigger::Completed) => {
            "; blocked before the run, paid when it completes, returned if it does not"
        }
        (TermKind::Escrow, Trigger::KeysReleased) => {
            "; blocked before the run, paid when the room has its keys, returned if it gets none"
        }
        (TermKind::Subscription | TermKind::RevenueShare, _) => "",
        (_, Trigger::KeysReleased) => "; owed once the room has its keys, also if the run then fails",
        (TermKind::Fixed, Trigger::Completed) => "; with the first completed run",
        (_, Trigger::Completed) => "",
    }
}

fn taxes(tax: &Tax) -> String {
    let mut words = String::new();
    if tax.gst_ppm > 0 {
        let to = tax.gst_payee.as_ref().map(|did| format!(" paid to {did}")).unwrap_or_default();
        words.push_str(&format!("; {} tax on top{to}", percent(tax.gst_ppm)));
    }
    if let Some(to) = tax.tds_payee.as_ref().filter(|_| tax.tds_ppm > 0) {
        words.push_str(&format!("; {} withheld for {to}", percent(tax.tds_ppm)));
    }
    words
}

fn payees(term: &PaymentTerm) -> String {
    let each = term.payees.iter().map(|payee| format!("{} ({})", payee.did, percent(payee.share_ppm)));
    each.collect::<Vec<_>>().join(", ")
}

fn percent(ppm: u32) -> String {
    format!("{}.{:04} %", ppm / 10_000, ppm % 10_000)
}

/// Whether no fraction of a minor unit can come about.
fn whole(term: &PaymentTerm, pricing: &Pricing) -> bool {
    let divided = pricing.unit_count.is_some_and(|count| count > 1) || term.discount.is_some();
    !divided && pricing.tax.is_none() && term.kind != TermKind::RevenueShare
}
