//! What the house refuses, each case through the real services: the stable code, and that nothing leaked, was charged
//! or was paid. One thing is spoilt at a time.

mod agent;
mod attacks;
mod attest;
mod audit;
mod binary;
mod budget;
mod codes;
mod completion;
mod counts;
mod explain;
mod form;
mod judges;
mod key_swap;
mod log_key;
mod objects;
mod own_releases;
mod period;
mod pipeline;
mod probe;
mod production;
mod production_package;
mod relay;
mod renewal;
mod replay;
mod revoked;
mod rooms;
pub mod scene;
mod sealed;
mod signatures;
mod stays_inside;
mod weights;
mod wire;
mod without_privacy;
