//! Signing keys in hardware: Ed25519 on a token behind PKCS #11, which signs and never gives its private half out.
//!
//! [`Uri`] says where a key lies, [`TokenKey`] is the key behind [`schemas::Signer`]. A PIN comes from a private file or is
//! typed on the token itself; it stands in no argument, and a wrong one is tried once.

mod key;
mod token;
mod uri;

pub use key::TokenKey;
pub use uri::Uri;
