//! Who calls: ten-minute tokens for what is read, signed documents for what is done.

pub mod dpop;
pub mod oversight;
pub mod roles;
pub mod token;
pub mod verified;
