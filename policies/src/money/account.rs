//! Accounts: whose, in which currency, of what; and their four sums.

use schemas::id::Did;
use schemas::money::Currency;
use schemas::{Code, R, Refusal};
use serde::{Deserialize, Serialize};

/// What an account holds. What is the owner's or owed to it grows by debits, what the owner owes or holds for others by
/// credits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccountKind {
    /// Owed to the owner.
    Receivable,
    /// Owed by the owner.
    Payable,
    /// Paid to (debit) and by (credit) the owner.
    Cash,
    /// The payer's money that a payment service provider has blocked for a run. Never overdrawn.
    Escrow,
    /// The data principals' part of what the owner was paid. Never overdrawn.
    PrincipalPool,
    /// What the owner says it has paid out to data principals.
    PaidOut,
    /// Owed to the owner for the clean room.
    CcrFee,
    /// Owed to the registry.
    PlatformFee,
    /// Owed to the owner as tax.
    TaxWithheld,
    /// Exchanged. Nothing posts to it: no rule exchanges money, and what comes in another currency goes to suspense.
    Fx,
    /// Money at the owner, a payment service provider, that nothing explains. Never overdrawn.
    Suspense,
}

impl AccountKind {
    /// Every kind.
    pub const ALL: [AccountKind; 11] = [
        AccountKind::Receivable,
        AccountKind::Payable,
        AccountKind::Cash,
        AccountKind::Escrow,
        AccountKind::PrincipalPool,
        AccountKind::PaidOut,
        AccountKind::CcrFee,
        AccountKind::PlatformFee,
        AccountKind::TaxWithheld,
        AccountKind::Fx,
        AccountKind::Suspense,
    ];

    /// The kind as it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            AccountKind::Receivable => "receivable",
            AccountKind::Payable => "payable",
            AccountKind::Cash => "cash",
            AccountKind::Escrow => "escrow",
            AccountKind::PrincipalPool => "principal_pool",
            AccountKind::PaidOut => "paid_out",
            AccountKind::CcrFee => "ccr_fee",
            AccountKind::PlatformFee => "platform_fee",
            AccountKind::TaxWithheld => "tax_withheld",
            AccountKind::Fx => "fx",
            AccountKind::Suspense => "suspense",
        }
    }
}

/// Names an account.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AccountId {
    /// Whose.
    pub owner: Did,
    /// In which currency.
    pub currency: Currency,
    /// Of what.
    pub kind: AccountKind,
}

impl std::fmt::Display for AccountId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} of {} in {}", self.kind.as_str(), self.owner, self.currency)
    }
}

/// Sums of an account in minor units; none is ever negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Debits that may still be voided.
    #[serde(with = "exact")]
    pub debits_pending: i128,
    /// Debits for good.
    #[serde(with = "exact")]
    pub debits_posted: i128,
    /// Credits that may still be voided.
    #[serde(with = "exact")]
    pub credits_pending: i128,
    /// Credits for good.
    #[serde(with = "exact")]
    pub credits_posted: i128,
}

impl Account {
    /// Posted debits less posted credits.
    pub fn balance(&self) -> i128 {
        self.debits_posted.saturating_sub(self.credits_posted)
    }

    /// Refuses sums below zero (`BOOKS_BALANCE`), and what is held for others and spent beyond what is there, pending
    /// spending included (`BOOKS_OVERDRAWN`).
    pub fn may_stand(&self, id: &AccountId) -> R<()> {
        if [self.debits_pending, self.debits_posted, self.credits_pending, self.credits_posted].iter().any(|n| *n < 0) {
            return Err(Refusal::new(Code::BooksBalance, format!("{id} has a sum below zero")));
        }
        let overdrawn = match id.kind {
            AccountKind::Escrow | AccountKind::PrincipalPool => self.balance() < self.credits_pending,
            AccountKind::Suspense => -self.balance() < self.debits_pending,
            _ => false,
        };
        if overdrawn {
            return Err(Refusal::new(Code::BooksOverdrawn, format!("{id} is overdrawn")));
        }
        Ok(())
    }
}

/// An i128 as decimal text: JSON numbers of that size are not read back everywhere.
mod exact {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(n: &i128, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(n)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<i128, D::Error> {
        std::borrow::Cow::<'de, str>::deserialize(d)?.parse().map_err(D::Error::custom)
    }
}
