//! What a provider does so that stock confidential guests can fetch a data key by the KBS protocol: it names their
//! init-data in the contract, and brings its key service the papers that such a guest cannot carry.

use contract_client::Client;
use schemas::bundle::JobBundle;
use schemas::id::ContractId;
use schemas::release::StatusList;
use schemas::{Code, Digest, Envelope, R, Refusal, Timestamp, canonical};
use serde::{Deserialize, Serialize};
use signing::Signer;
use uuid::Uuid;

use crate::dataset::kms::{Kms, call};

/// Body of `POST /v1/kbs/papers`.
#[derive(Serialize)]
struct Papers<'a> {
    bundle: &'a JobBundle,
    status_list: Envelope<StatusList>,
}

/// What the key service took.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PapersTaken {
    /// Contracts of which keys can be fetched for the next minute.
    pub contracts: Vec<ContractId>,
}

/// Brings a job's bundle and a fresh status list of the registry to the provider's own key service. They let guests fetch
/// for a minute: who wants more brings them anew, who wants no more falls silent.
pub fn bring_papers(
    bundle: &JobBundle,
    desk: &Client,
    kms: &Kms,
    key: &dyn Signer,
    (jti, now): (Uuid, Timestamp),
) -> R<PapersTaken> {
    kms.info(&key.did()?)?;
    let papers = Papers { bundle, status_list: desk.status_list()? };
    let token = signing::token::assertion(key, kms.url(), jti.simple().to_string(), now)?;
    call(kms.post("/v1/kbs/papers").bearer_auth(token).body(canonical::to_bytes(&papers)?), kms.url())
}

/// The digest under which a contract names an init-data document: SHA-256 over the file as the guest's host has it.
///
/// # Errors
/// `KBS_INIT_DATA` where it is no init-data of version 0.1.0 with sha256.
pub fn init_data_digest(document: &[u8]) -> R<Digest> {
    let bad = || Refusal::new(Code::KbsInitData, "init-data of version 0.1.0 with algorithm sha256 is expected");
    let text = std::str::from_utf8(document).map_err(|_| bad())?;
    let head: InitData = toml::from_str(text).or_else(|_| serde_json::from_str(text)).map_err(|_| bad())?;
    if head.version != "0.1.0" || !matches!(head.algorithm.as_str(), "sha256" | "sha-256") {
        return Err(bad());
    }
    Ok(Digest::of(document))
}

/// The document's envelope.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct InitData {
    version: String,
    algorithm: String,
    #[allow(dead_code)] // read for its form only
    data: std::collections::BTreeMap<String, String>,
}
