//! Key backends elsewhere, each against a fake of ours behind TLS: what goes well, and every way in which it does not. No
//! key comes out of a bad answer, each refusal has its code, and no call is repeated without end.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[cfg(feature = "azure")]
mod azure_cloud;
#[cfg(feature = "azure")]
mod azure_release;
#[cfg(feature = "azure")]
mod azure_wrap;
mod server;
mod transit;
mod transit_config;
mod vault;
