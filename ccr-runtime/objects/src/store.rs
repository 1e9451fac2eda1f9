//! A store: buckets at one endpoint under one set of credentials, as a configuration file lists them.

use std::path::{Path, PathBuf};

use schemas::bucket::{BucketAddress, BucketKind, is_account, is_bucket};
use schemas::{Code, R, Refusal};
use serde::{Deserialize, Serialize};
use url::{Host, Url};

/// One `[[stores]]` of a configuration. Holds no secret, only the way to it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Store {
    /// `s3`, `azure` or `gcs`.
    pub kind: BucketKind,
    /// The buckets (containers) that locations may name; no other is touched.
    pub buckets: Vec<String>,
    /// Azure: the storage account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// S3: the region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Base URL of a service of one's own; none: the provider's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// File with the credentials, readable by nobody else; see [`crate::secrets`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<PathBuf>,
    /// No credentials: public buckets.
    #[serde(default, skip_serializing_if = "is_false")]
    pub anonymous: bool,
    /// The machine's own credentials, from its metadata service (169.254.169.254); S3 and Azure.
    #[serde(default, skip_serializing_if = "is_false")]
    pub instance: bool,
    /// The folder of a bucket that may be used: keys that begin with it and a slash. None: every key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// `read` or `write` alone; what was written may be read back. None: both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only: Option<Direction>,
}

/// What an address is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Objects are fetched from there.
    Read,
    /// New objects go there.
    Write,
}

fn is_false(value: &bool) -> bool {
    !value
}

/// A file that lists stores, for those who have no other configuration: `depa … --stores FILE`.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stores {
    /// The stores.
    #[serde(default)]
    pub stores: Vec<Store>,
}

impl Stores {
    /// Reads and checks a file; plain `http:` endpoints are refused except on loopback.
    pub fn load(path: &Path) -> R<Vec<Store>> {
        let fault = |why: String| Refusal::new(Code::ConfigInvalid, format!("{}: {why}", path.display()));
        let text = std::fs::read_to_string(path).map_err(|e| fault(e.to_string()))?;
        let read: Stores = toml::from_str(&text).map_err(|e| fault(e.message().to_owned()))?;
        check(&read.stores, true)?;
        Ok(read.stores)
    }
}

/// Checks the stores of a configuration: each of them, and that no bucket is listed twice for one folder and purpose.
/// `loopback`: whether an endpoint may be plain `http:` on loopback, which production refuses (`PRODUCTION_REFUSED`).
pub fn check(stores: &[Store], loopback: bool) -> R<()> {
    let mut seen: Vec<(&Store, &String)> = Vec::new();
    for store in stores {
        store.check(loopback)?;
        for bucket in &store.buckets {
            if seen.iter().any(|(other, known)| *known == bucket && store.meets(other)) {
                return Err(bad(format!("bucket {bucket} is listed twice")));
            }
            seen.push((store, bucket));
        }
    }
    Ok(())
}

fn bad(why: impl Into<String>) -> Refusal {
    Refusal::new(Code::ConfigInvalid, why).at("stores")
}

impl Store {
    /// Refuses what cannot work or must not be.
    fn check(&self, loopback: bool) -> R<()> {
        if self.buckets.is_empty() {
            return Err(bad("a store lists the buckets that may be used"));
        }
        if let Some(name) = self.buckets.iter().find(|name| !is_bucket(self.kind, name)) {
            return Err(bad(format!("{name} is no name of a bucket")));
        }
        let ways = [self.credentials.is_some(), self.anonymous, self.instance];
        if ways.iter().filter(|way| **way).count() != 1 {
            return Err(bad("a store says exactly one of credentials = FILE, anonymous = true, instance = true"));
        }
        let (account, region) = (self.account.as_deref(), self.region.as_deref());
        match self.kind {
            BucketKind::S3 if region.is_none_or(|r| !is_region(r)) => return Err(bad("an S3 store names its region")),
            BucketKind::Azure if account.is_none_or(|a| !is_account(a)) => {
                return Err(bad("an Azure store names its account"));
            }
            BucketKind::Gcs if self.instance => return Err(bad("instance = true is for S3 and Azure")),
            _ => {}
        }
        if (self.kind != BucketKind::Azure && account.is_some()) || (self.kind != BucketKind::S3 && region.is_some()) {
            return Err(bad("account is Azure's, region S3's"));
        }
        if self.prefix.as_ref().is_some_and(|prefix| BucketAddress::parse(&format!("s3://any/{prefix}/key")).is_none())
        {
            return Err(bad("a prefix is a folder in a bucket, such as models/2026, without slashes at its ends"));
        }
        match &self.endpoint {
            Some(endpoint) => endpoint_is_sound(endpoint, loopback),
            None => Ok(()),
        }
    }

    /// Whether one address could lie in this store and in that one, for one purpose.
    fn meets(&self, other: &Store) -> bool {
        let beside = |one: &String, other: &String| one != other && !below(one, other) && !below(other, one);
        let folders = self.prefix.as_ref().zip(other.prefix.as_ref()).is_none_or(|(one, other)| !beside(one, other));
        let purposes = self.only.zip(other.only).is_none_or(|(one, other)| one == other);
        self.kind == other.kind && self.account == other.account && folders && purposes
    }

    /// Whether an object lies in one of these buckets, in the folder and for the purpose that it may be used for.
    pub(crate) fn has(&self, address: &BucketAddress<'_>, direction: Direction) -> bool {
        self.kind == address.kind
            && self.buckets.iter().any(|bucket| bucket == address.bucket)
            && address.account.is_none_or(|account| self.account.as_deref() == Some(account))
            && self.only.is_none_or(|only| only == direction)
            && self.prefix.as_ref().is_none_or(|prefix| below(address.key, prefix))
    }

    /// The base URL that every call of this store goes to.
    pub(crate) fn base(&self) -> R<Url> {
        let text = match (&self.endpoint, self.kind) {
            (Some(endpoint), _) => endpoint.clone(),
            (None, BucketKind::S3) => {
                format!("https://s3.{}.amazonaws.com", self.region.as_deref().unwrap_or_default())
            }
            (None, BucketKind::Azure) => {
                format!("https://{}.blob.core.windows.net", self.account.as_deref().unwrap_or_default())
            }
            (None, BucketKind::Gcs) => "https://storage.googleapis.com".to_owned(),
        };
        Url::parse(text.trim_end_matches('/')).map_err(|_| bad(format!("{text} is no URL")))
    }
}

/// Whether a key lies in a folder.
fn below(key: &str, folder: &str) -> bool {
    key.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
}

fn is_region(text: &str) -> bool {
    (2..=40).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

fn endpoint_is_sound(text: &str, loopback: bool) -> R<()> {
    let url = Url::parse(text).map_err(|_| bad(format!("endpoint {text} is no URL")))?;
    let here = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    };
    let plain =
        url.query().is_none() && url.fragment().is_none() && url.username().is_empty() && url.password().is_none();
    match url.scheme() {
        _ if !plain => Err(bad("an endpoint has no user, query or fragment")),
        "https" => Ok(()),
        "http" if here && loopback => Ok(()),
        "http" => {
            Err(Refusal::new(Code::ProductionRefused, "plain http endpoints are for loopback in demos").at("stores"))
        }
        _ => Err(bad("an endpoint is an https: URL")),
    }
}
