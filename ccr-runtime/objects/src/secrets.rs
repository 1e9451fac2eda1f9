//! Credential files. They are read when a bucket is opened, and nothing of them is shown.
//!
//! | store | file |
//! |---|---|
//! | S3 | TOML: `access_key_id`, `secret_access_key`, perhaps `session_token` |
//! | Azure | TOML: `account_key` (Base64), or `sas` (the query of a shared access signature) |
//! | GCS | the JSON key of a service account, as Google issues it |

use std::fmt;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use schemas::bucket::BucketKind;
use schemas::{Code, R, Refusal};
use serde::Deserialize;
use zeroize::Zeroizing;

/// The most bytes of a credential file.
const MOST: u64 = 16 << 10;

/// A secret that no message shows.
#[derive(Deserialize)]
#[serde(transparent)]
pub(crate) struct Hidden(Zeroizing<String>);

impl Hidden {
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

/// What opens the buckets of a store.
#[derive(Debug)]
pub(crate) enum Credentials {
    S3(S3),
    AzureKey(Hidden),
    AzureSas(Hidden),
    Gcs(Hidden),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct S3 {
    pub(crate) access_key_id: Hidden,
    pub(crate) secret_access_key: Hidden,
    pub(crate) session_token: Option<Hidden>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Azure {
    account_key: Option<Hidden>,
    sas: Option<Hidden>,
}

/// Of Google's file only what says its kind; the rest is read by `object_store`.
#[derive(Deserialize)]
struct Google {
    #[serde(rename = "type")]
    kind: String,
}

/// Reads the file of a store (`STORAGE_CREDENTIAL` where it is missing, malformed, or readable by others).
pub(crate) fn load(path: &Path, kind: BucketKind) -> R<Credentials> {
    let bad = |why: &str| Refusal::new(Code::StorageCredential, format!("credentials {}: {why}", path.display()));
    let facts = std::fs::metadata(path).map_err(|e| bad(&e.to_string()))?;
    // systemd looks after its own files; their mode shows the mask of an access list.
    let handed = std::env::var_os("CREDENTIALS_DIRECTORY").is_some_and(|folder| path.starts_with(folder));
    if facts.permissions().mode() & if handed { 0o007 } else { 0o077 } != 0 {
        return Err(bad("others may read it; run chmod 600 on it"));
    }
    if !facts.is_file() || facts.len() > MOST {
        return Err(bad("a file of at most 16 KiB is expected"));
    }
    let text = std::fs::read_to_string(path).map(Zeroizing::new).map_err(|e| bad(&e.to_string()))?;
    // A parser's message quotes the line, so it is not told.
    let form = || bad("its members are not those of this kind of store");
    match kind {
        BucketKind::S3 => toml::from_str(&text).map(Credentials::S3).map_err(|_| form()),
        BucketKind::Azure => match toml::from_str(&text).map_err(|_| form())? {
            Azure { account_key: Some(key), sas: None } => Ok(Credentials::AzureKey(key)),
            Azure { account_key: None, sas: Some(sas) } => Ok(Credentials::AzureSas(sas)),
            _ => Err(bad("one of account_key and sas is expected")),
        },
        BucketKind::Gcs => {
            let key: Google = serde_json::from_str(&text).map_err(|_| form())?;
            if key.kind != "service_account" {
                return Err(bad("the key of a service account is expected"));
            }
            Ok(Credentials::Gcs(Hidden(text)))
        }
    }
}
