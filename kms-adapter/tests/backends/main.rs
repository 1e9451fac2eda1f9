//! Key backends elsewhere, each against a fake of ours behind TLS: what goes well, and every way in which it does not. No
//! key comes out of a bad answer, each refusal has its code, and no call is repeated without end.
// Some helpers serve other test binaries.
#![allow(missing_docs, dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[cfg(feature = "azure")]
mod azure_cloud;
#[cfg(feature = "azure")]
mod azure_release;
#[cfg(feature = "azure")]
mod azure_wrap;
#[cfg(feature = "software-attester")]
#[path = "../kms/database.rs"]
mod database;
mod server;
#[cfg(feature = "software-attester")]
mod service;
#[cfg(all(feature = "software-attester", feature = "azure"))]
mod service_skr;
#[cfg(feature = "software-attester")]
mod service_transit;
#[cfg(all(feature = "software-attester", feature = "azure"))]
mod service_wrap;
#[cfg(feature = "software-attester")]
mod slow;
#[cfg(feature = "software-attester")]
#[path = "../kms/support/mod.rs"]
mod support;
mod transit;
mod transit_config;
mod vault;
