//! What each payment system is configured with, and how it is made of it.

use std::path::PathBuf;
use std::sync::Arc;

use contract_client::Clock;
use schemas::R;
use serde::{Deserialize, Serialize};

use super::{Config, invalid};
use crate::accounts::{Account, Accounts};
use crate::http::Line;
use crate::provider::PaymentProvider;
use crate::provider::card_like::CardLike;
use crate::provider::pain001::Pain001;
use crate::provider::recording::Recording;
use crate::provider::upi::Upi;
use crate::provider::webhook::Webhook;
use crate::secret::Secret;

/// Kinds of payment systems.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Signed webhooks both ways.
    Webhook,
    /// Files of ISO 20022.
    Pain001,
    /// A UPI-shaped REST interface.
    Upi,
    /// A card-shaped REST interface.
    CardLike,
    /// One that pays nothing and keeps what it was told.
    Recording,
}

/// A payment system that speaks signed webhooks.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookSettings {
    /// Where instructions are posted.
    pub url: String,
    /// File with `whsec_` and base64 of 24 to 64 bytes, mode 0600: signs both ways.
    pub secret_file: PathBuf,
}

/// A bank that takes files.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pain001Settings {
    /// Folder that the bank takes files from; on one file system with `work`.
    pub outbox: PathBuf,
    /// Folder of the adapter's own: staged files and copies of sent ones.
    pub work: PathBuf,
    /// Folder that the bank puts its reports into; without it they come by `payment-adapter import`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inbox: Option<PathBuf>,
    /// The provider's own account: initiates, and holds blocked money.
    pub own: Account,
    /// Transactions in a file at most.
    #[serde(default = "most")]
    pub most: usize,
    /// Seconds for which the first instruction of a file waits for others.
    #[serde(default = "gather_seconds")]
    pub gather_seconds: u32,
}

fn most() -> usize {
    1000
}

fn gather_seconds() -> u32 {
    300
}

/// A UPI-shaped payment system.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpiSettings {
    /// Its base URL.
    pub url: String,
    /// File with the token of our calls, mode 0600.
    pub token_file: PathBuf,
    /// File with the secret of its calls, mode 0600.
    pub secret_file: PathBuf,
    /// The provider's own account, which holds blocked money.
    pub own: Account,
}

/// A card-shaped payment system.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CardSettings {
    /// Its base URL.
    pub url: String,
    /// File with the key of our calls, mode 0600.
    pub key_file: PathBuf,
    /// File with the secret of its events, mode 0600.
    pub secret_file: PathBuf,
}

/// One that pays nothing.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordingSettings {
    /// What it was told, one JSON object on a line.
    pub journal: PathBuf,
    /// What happens to instructions (`provider::recording`); settles all where empty.
    #[serde(default)]
    pub script: Vec<String>,
}

impl WebhookSettings {
    pub(super) fn paths(&mut self) -> Vec<&mut PathBuf> {
        vec![&mut self.secret_file]
    }
}

impl Pain001Settings {
    pub(super) fn paths(&mut self) -> Vec<&mut PathBuf> {
        [&mut self.outbox, &mut self.work].into_iter().chain(&mut self.inbox).collect()
    }
}

impl UpiSettings {
    pub(super) fn paths(&mut self) -> Vec<&mut PathBuf> {
        vec![&mut self.token_file, &mut self.secret_file]
    }
}

impl CardSettings {
    pub(super) fn paths(&mut self) -> Vec<&mut PathBuf> {
        vec![&mut self.key_file, &mut self.secret_file]
    }
}

impl RecordingSettings {
    pub(super) fn paths(&mut self) -> Vec<&mut PathBuf> {
        vec![&mut self.journal]
    }
}

fn needed<'a, T>(settings: &'a Option<T>, name: &str) -> R<&'a T> {
    settings.as_ref().ok_or_else(|| invalid(format!("provider = \"{name}\" needs the table [{name}]")).at(name))
}

impl Config {
    /// The payment system that is configured.
    pub(crate) fn provider(&self, clock: &Clock) -> R<Arc<dyn PaymentProvider>> {
        Ok(match self.provider {
            Kind::Webhook => {
                let settings = needed(&self.webhook, "webhook")?;
                let (line, secret) = (Line::to(&settings.url)?, Secret::load(&settings.secret_file)?);
                Arc::new(Webhook { line, secret, key: Arc::new(self.key()?), clock: clock.clone() })
            }
            Kind::Pain001 => {
                let settings = needed(&self.pain001, "pain001")?;
                let bank = Pain001 {
                    outbox: settings.outbox.clone(),
                    work: settings.work.clone(),
                    own: settings.own.clone(),
                    accounts: self.accounts()?,
                    most: settings.most,
                    gather_seconds: settings.gather_seconds,
                };
                bank.prepare()?;
                Arc::new(bank)
            }
            Kind::Upi => {
                let settings = needed(&self.upi, "upi")?;
                Arc::new(Upi {
                    line: Line::to(&settings.url)?,
                    token: Secret::load(&settings.token_file)?,
                    secret: Secret::load(&settings.secret_file)?,
                    own: settings.own.clone(),
                    accounts: self.accounts()?,
                })
            }
            Kind::CardLike => {
                let settings = needed(&self.card_like, "card_like")?;
                Arc::new(CardLike {
                    line: Line::to(&settings.url)?,
                    key: Secret::load(&settings.key_file)?,
                    secret: Secret::load(&settings.secret_file)?,
                    accounts: self.accounts()?,
                })
            }
            Kind::Recording => {
                let settings = needed(&self.recording, "recording")?;
                Arc::new(Recording::new(settings.journal.clone(), &settings.script)?)
            }
        })
    }

    /// Refuses a payment system that is not configured, or not as it must be.
    pub(super) fn check_provider(&self) -> R<()> {
        match self.provider {
            Kind::Webhook => Line::to(&needed(&self.webhook, "webhook")?.url).map(drop),
            Kind::Pain001 => {
                let settings = needed(&self.pain001, "pain001")?;
                settings.own.check()?;
                if !(1..=10_000).contains(&settings.most) || settings.gather_seconds > 86_400 {
                    return Err(invalid("pain001: most is 1 to 10000, gather_seconds at most a day").at("pain001"));
                }
                needed(&self.accounts_file, "accounts_file").map(drop)
            }
            Kind::Upi => {
                let settings = needed(&self.upi, "upi")?;
                settings.own.check()?;
                needed(&self.accounts_file, "accounts_file")?;
                Line::to(&settings.url).map(drop)
            }
            Kind::CardLike => {
                needed(&self.accounts_file, "accounts_file")?;
                Line::to(&needed(&self.card_like, "card_like")?.url).map(drop)
            }
            Kind::Recording => {
                let settings = needed(&self.recording, "recording")?;
                Recording::new(settings.journal.clone(), &settings.script).map(drop)
            }
        }
    }

    /// The folder that a bank's reports come into.
    pub(crate) fn inbox(&self) -> Option<PathBuf> {
        self.pain001.as_ref().and_then(|settings| settings.inbox.clone())
    }

    fn accounts(&self) -> R<Accounts> {
        Accounts::load(needed(&self.accounts_file, "accounts_file")?)
    }
}
