//! The books as a journal of hledger: every transfer a balanced transaction, every balance asserted at the end, so that
//! `hledger check --strict` says whether our sums are right.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use schemas::desk::JournalLine;
use schemas::money::Currency;

/// A journal. What is pending stands in an account `…:pending` of its own; `!` marks it. An account is named by what it
/// holds and its owner, `/` in place of the DID's `:`, which hledger would take for a level.
pub fn journal(lines: &[JournalLine]) -> String {
    let mut out = String::from("; Double-entry books of a data contract registry, made of its log.\n");
    let mut sums: BTreeMap<(String, Currency), i128> = BTreeMap::new();
    let mut text = String::new();
    // Writing to a string cannot fail.
    for line in lines {
        let mark = if line.phase == "pending" { '!' } else { '*' };
        let _ =
            writeln!(text, "\n{} {mark} ({}.{}) {} {}", date(line), line.index, line.leg, line.code, line.reference);
        let _ = writeln!(text, "    ; id: {}", line.id);
        for (account, amount) in postings(line) {
            let _ = writeln!(text, "    {account}  {} {}", line.currency, decimal(amount, line.currency));
            *sums.entry((account, line.currency)).or_default() += amount;
        }
    }
    let currencies: BTreeSet<Currency> = lines.iter().map(|line| line.currency).collect();
    for currency in currencies {
        let _ = writeln!(out, "commodity {currency} 1000.{}", "0".repeat(currency.digits()));
    }
    let accounts: BTreeSet<&String> = sums.keys().map(|(account, _)| account).collect();
    for account in accounts {
        let _ = writeln!(out, "account {account}");
    }
    out.push_str(&text);
    if let Some(last) = lines.last() {
        let _ = writeln!(out, "\n{} * balances", date(last));
        for ((account, currency), sum) in &sums {
            let (nothing, sum) = (decimal(0, *currency), decimal(*sum, *currency));
            let _ = writeln!(out, "    {account}  {currency} {nothing} = {currency} {sum}");
        }
    }
    out
}

/// What a transfer adds to accounts; debits are positive.
fn postings(line: &JournalLine) -> Vec<(String, i128)> {
    let account = |kind: &str, owner: &schemas::id::Did| format!("{kind}:{}", owner.as_str().replace(':', "/"));
    let (debit, credit) = (account(&line.debit_kind, &line.debit), account(&line.credit_kind, &line.credit));
    let pending = |name: &String| format!("{name}:pending");
    let amount = i128::from(line.amount_minor.get());
    match line.phase.as_str() {
        "pending" => vec![(pending(&debit), amount), (pending(&credit), -amount)],
        "post" => {
            vec![(pending(&debit), -amount), (pending(&credit), amount), (debit, amount), (credit, -amount)]
        }
        "void" => vec![(pending(&debit), -amount), (pending(&credit), amount)],
        _ => vec![(debit, amount), (credit, -amount)],
    }
}

fn date(line: &JournalLine) -> String {
    line.at.to_string().chars().take(10).collect()
}

/// An amount in the major unit, exactly.
pub(crate) fn decimal(minor: i128, currency: Currency) -> String {
    let digits = currency.digits();
    let sign = if minor < 0 { "-" } else { "" };
    let text = format!("{:0>width$}", minor.unsigned_abs(), width = digits + 1);
    let (whole, rest) = text.split_at(text.len() - digits);
    if digits == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{rest}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_the_digits_of_their_currency() {
        let of = |minor, code: &str| decimal(minor, Currency::parse(code).unwrap());
        assert_eq!([of(5, "INR"), of(-123_456, "INR"), of(0, "INR")], ["0.05", "-1234.56", "0.00"]);
        assert_eq!([of(500, "JPY"), of(-1, "JPY")], ["500", "-1"]);
        assert_eq!(of(1_234, "KWD"), "1.234");
    }

    use policies::money::{AccountId, AccountKind, Books, Phase, Place, Transfer, TransferCode, line};
    use schemas::Timestamp;
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    /// Transfers of every phase in three currencies, between parties whose DIDs differ only in where a level begins.
    fn books() -> Books {
        let mut books = Books::default();
        let account = |n: u64, kind, currency: &str| AccountId {
            owner: format!("did:web:p{n}.example:pending").parse().unwrap(),
            currency: Currency::parse(currency).unwrap(),
            kind,
        };
        for (n, currency) in ["INR", "JPY", "KWD"].into_iter().cycle().take(30).enumerate() {
            let n = n as u64;
            let sides = (account(n % 4, AccountKind::Cash, currency), account(n % 3, AccountKind::Payable, currency));
            let transfer = |phase, amount| Transfer {
                debit: sides.0.clone(),
                credit: sides.1.clone(),
                amount,
                phase,
                code: TransferCode::Owed,
                reference: "A".repeat(32),
                at: Timestamp::parse("2026-12-01T10:00:00Z").unwrap().plus_seconds(n as i64 * 40_000),
            };
            let amount = 1_234_567 * (n as i64 + 1);
            books.add(n, transfer(Phase::Posted, amount)).unwrap();
            let place: Place = books.add(n, transfer(Phase::Pending, amount + 1)).unwrap();
            match n % 3 {
                0 => books.add(n, transfer(Phase::Post(place), amount + 1)).map(drop).unwrap(),
                1 => books.add(n, transfer(Phase::Void(place), amount + 1)).map(drop).unwrap(),
                _ => {}
            }
        }
        books
    }

    fn lines(books: &Books) -> Vec<JournalLine> {
        books.transfers().map(|(place, transfer)| line(place, transfer, None).unwrap()).collect()
    }

    /// What hledger says of a journal; none where this machine has no hledger.
    fn hledger(journal: &str, arguments: &[&str]) -> Option<(bool, String)> {
        let mut command = Command::new("hledger");
        command.args(["-f", "-"]).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let Ok(mut child) = command.spawn() else {
            println!("NOT RUN: hledger is not installed");
            return None;
        };
        child.stdin.take().unwrap().write_all(journal.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        Some((output.status.success(), String::from_utf8(text).unwrap()))
    }

    #[test]
    fn hledger_accepts_the_journal_and_has_the_same_balances() {
        let books = books();
        let journal = journal(&lines(&books));
        let Some((good, text)) = hledger(&journal, &["check", "--strict", "ordereddates"]) else { return };
        assert!(good, "{text}\n{journal}");
        let (good, text) = hledger(&journal, &["balance", "--flat", "--no-total", "--empty", "-O", "csv"]).unwrap();
        assert!(good, "{text}");
        let mut told: BTreeSet<(String, String)> = BTreeSet::new();
        for row in text.lines().skip(1) {
            let (account, sums) = row.trim_matches('"').split_once("\",\"").unwrap();
            told.extend(sums.split(", ").map(|sum| (account.to_owned(), sum.to_owned())));
        }
        let mut own = BTreeSet::new();
        for (id, account) in books.accounts() {
            let name = format!("{}:{}", id.kind.as_str(), id.owner.as_str().replace(':', "/"));
            let pending = account.debits_pending - account.credits_pending;
            for (name, sum) in [(name.clone(), account.balance()), (format!("{name}:pending"), pending)] {
                if sum != 0 {
                    own.insert((name, format!("{} {}", id.currency, decimal(sum, id.currency))));
                }
            }
        }
        told.retain(|(_, sum)| sum != "0");
        assert_eq!(told, own);
    }

    /// One amount changed after the journal was made: hledger says so.
    #[test]
    fn hledger_refuses_a_journal_with_one_amount_changed() {
        let journal = journal(&lines(&books()));
        let spoilt = journal.replacen("INR 12345.67\n", "INR 12345.68\n", 1);
        assert_ne!(journal, spoilt);
        let Some((good, _)) = hledger(&spoilt, &["check", "--strict"]) else { return };
        assert!(!good, "an unbalanced transaction");
        let both = spoilt.replacen("INR -12345.67\n", "INR -12345.68\n", 1);
        let (good, text) = hledger(&both, &["check", "--strict"]).unwrap();
        assert!(!good && text.contains("balance assertion"), "{text}");
    }
}
