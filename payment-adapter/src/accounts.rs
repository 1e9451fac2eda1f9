//! Where participants are paid and pay from: a file of accounts by DID. The contract service knows none of it.

use std::collections::BTreeMap;
use std::path::Path;

use schemas::id::Did;
use schemas::{Code, R, Refusal};
use serde::{Deserialize, Serialize};

/// One participant's accounts. Which of them is needed depends on the payment system.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Account {
    /// The name of the account's holder, 1 to 70 characters.
    pub name: String,
    /// ISO 13616.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iban: Option<String>,
    /// ISO 9362 code of the bank.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bic: Option<String>,
    /// An account number where there is no IBAN, up to 34 letters and digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<String>,
    /// Indian Financial System Code of the bank.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ifsc: Option<String>,
    /// A UPI address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vpa: Option<String>,
    /// A payee's account at a card-shaped payment system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destination: Option<String>,
    /// A payer's means of payment at a card-shaped payment system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payment_method: Option<String>,
}

/// All accounts that are known.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Accounts(BTreeMap<Did, Account>);

impl Accounts {
    /// Reads a TOML file: one table for each DID. Refuses unknown members and what is no account (`CONFIG_INVALID`).
    pub fn load(path: &Path) -> R<Accounts> {
        let fault = |why: String| Refusal::new(Code::ConfigInvalid, format!("accounts {}: {why}", path.display()));
        let text = std::fs::read_to_string(path).map_err(|e| fault(e.to_string()))?;
        Accounts::read(&text).map_err(|e| fault(e.sentence))
    }

    /// Reads the text of such a file.
    pub fn read(text: &str) -> R<Accounts> {
        let bad = |why: String| Refusal::new(Code::ConfigInvalid, why);
        let table: BTreeMap<String, Account> = toml::from_str(text).map_err(|e| bad(e.message().to_owned()))?;
        let mut accounts = BTreeMap::new();
        for (did, account) in table {
            account.check().map_err(|e| bad(format!("{did}: {}", e.sentence)))?;
            accounts.insert(Did::parse(&did).map_err(|_| bad(format!("{did} is no DID")))?, account);
        }
        Ok(Accounts(accounts))
    }

    /// The accounts of a participant; who has none waits for its operator (`CONFIG_INVALID`).
    pub fn of(&self, did: &Did) -> R<&Account> {
        let missing = || Refusal::new(Code::ConfigInvalid, format!("accounts_file names no account of {did}"));
        self.0.get(did).ok_or_else(missing)
    }
}

impl Account {
    /// One of its members, which the payment system needs.
    pub fn need<'a>(&self, did: &Did, what: &str, member: &'a Option<String>) -> R<&'a str> {
        let missing = || Refusal::new(Code::ConfigInvalid, format!("the account of {did} has no {what}"));
        member.as_deref().ok_or_else(missing)
    }

    /// Refuses what is no account (`CONFIG_INVALID`).
    pub fn check(&self) -> R<()> {
        let bad = |what: &str| Err(Refusal::new(Code::ConfigInvalid, format!("{what} is none")));
        if !(1..=70).contains(&self.name.chars().count()) || self.name.chars().any(char::is_control) {
            return bad("name");
        }
        let fails = |member: &Option<String>, check: fn(&str) -> bool| member.as_deref().is_some_and(|t| !check(t));
        if fails(&self.iban, is_iban) {
            return bad("iban");
        }
        if fails(&self.bic, is_bic) {
            return bad("bic");
        }
        if fails(&self.number, |t| (1..=34).contains(&t.len()) && t.bytes().all(|b| b.is_ascii_alphanumeric())) {
            return bad("number");
        }
        if fails(&self.ifsc, is_ifsc) {
            return bad("ifsc");
        }
        if fails(&self.vpa, is_vpa) {
            return bad("vpa");
        }
        if fails(&self.destination, is_token) || fails(&self.payment_method, is_token) {
            return bad("destination or payment_method");
        }
        Ok(())
    }
}

/// ISO 13616: country, check digits, and 97 divides what they make with the rest.
fn is_iban(text: &str) -> bool {
    let form = text.len() >= 15
        && text.len() <= 34
        && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
        && text.bytes().take(2).all(|b| b.is_ascii_uppercase())
        && text.bytes().skip(2).take(2).all(|b| b.is_ascii_digit());
    let turned = text.bytes().skip(4).chain(text.bytes().take(4));
    let rest = turned.fold(0u32, |rest, b| match b {
        b'0'..=b'9' => (rest * 10 + u32::from(b - b'0')) % 97,
        letter => (rest * 100 + u32::from(letter.saturating_sub(b'A')) + 10) % 97,
    });
    form && rest == 1
}

/// ISO 9362: 8 or 11 characters.
fn is_bic(text: &str) -> bool {
    matches!(text.len(), 8 | 11)
        && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
        && text.bytes().skip(4).take(2).all(|b| b.is_ascii_uppercase())
}

/// Four letters, a zero, six letters or digits.
fn is_ifsc(text: &str) -> bool {
    text.len() == 11
        && text.bytes().take(4).all(|b| b.is_ascii_uppercase())
        && text.as_bytes().get(4) == Some(&b'0')
        && text.bytes().skip(5).all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
}

/// `name@handle`.
fn is_vpa(text: &str) -> bool {
    let Some((name, handle)) = text.split_once('@') else { return false };
    (2..=256).contains(&name.len())
        && (2..=64).contains(&handle.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
        && handle.bytes().all(|b| b.is_ascii_alphanumeric())
}

fn is_token(text: &str) -> bool {
    (1..=128).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_read_by_did_and_what_is_none_is_refused() {
        let text = r#"
            ["did:web:tdp.example"]
            name = "Laboratories"
            iban = "DE89370400440532013000"
            bic = "COBADEFFXXX"
            number = "00112233445"
            ifsc = "HDFC0001234"
            vpa = "labs@okbank"
            destination = "acct_1"
        "#;
        let did = Did::parse("did:web:tdp.example").unwrap();
        let accounts = Accounts::read(text).unwrap();
        assert_eq!(accounts.of(&did).unwrap().vpa.as_deref(), Some("labs@okbank"));
        let other = Did::parse("did:web:other.example").unwrap();
        assert_eq!(accounts.of(&other).unwrap_err().code, Code::ConfigInvalid);
        for (good, spoilt) in [
            ("DE89370400440532013000", "DE88370400440532013000"),
            ("COBADEFFXXX", "COBA1EFF"),
            ("00112233445", "0011-2233"),
            ("HDFC0001234", "HDFC1001234"),
            ("labs@okbank", "labs@ok/bank"),
            ("acct_1", "acct 1"),
            ("Laboratories", ""),
            ("name =", "colour ="),
            ("did:web:tdp.example", "tdp"),
        ] {
            let refusal = Accounts::read(&text.replace(good, spoilt)).unwrap_err();
            assert_eq!(refusal.code, Code::ConfigInvalid, "{spoilt}");
        }
    }
}
