//! Public keys as JWK (RFC 7517, RFC 8037): the two forms the house uses, and their RFC 7638 thumbprints.

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::problem::{Code, R, Refusal};
use crate::text::Bytes;

/// The curve of an OKP key.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub enum Curve {
    /// Signing.
    Ed25519,
    /// Receiving wrapped keys (ECDH-ES).
    X25519,
}

/// The only key type of native documents.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub enum KeyType {
    /// Octet key pair (RFC 8037).
    OKP,
}

/// A public key. `signing` checks that an Ed25519 point is canonical and not of small order before it counts.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Jwk {
    /// Always `OKP`.
    pub kty: KeyType,
    /// The curve.
    pub crv: Curve,
    /// 32 bytes, base64url.
    pub x: Bytes,
}

impl Jwk {
    /// An Ed25519 public key.
    pub fn ed25519(x: [u8; 32]) -> Jwk {
        Jwk { kty: KeyType::OKP, crv: Curve::Ed25519, x: Bytes(x.to_vec()) }
    }

    /// An X25519 public key.
    pub fn x25519(x: [u8; 32]) -> Jwk {
        Jwk { kty: KeyType::OKP, crv: Curve::X25519, x: Bytes(x.to_vec()) }
    }

    /// The 32 bytes of a key on the curve asked for.
    pub fn point(&self, curve: Curve) -> R<[u8; 32]> {
        let bad = || Refusal::new(Code::KeyForm, "an OKP key of 32 bytes on the expected curve is needed");
        if self.crv != curve {
            return Err(bad());
        }
        self.x.0.as_slice().try_into().map_err(|_| bad())
    }

    /// RFC 7638 SHA-256 thumbprint, base64url.
    pub fn thumbprint(&self) -> String {
        let crv = match self.crv {
            Curve::Ed25519 => "Ed25519",
            Curve::X25519 => "X25519",
        };
        let text = format!(r#"{{"crv":"{crv}","kty":"OKP","x":"{}"}}"#, self.x.text());
        Bytes(Digest::of(text.as_bytes()).0.to_vec()).text()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8037 appendix A.3.
    #[test]
    fn thumbprint_of_the_rfc_example() {
        let x = Bytes::parse("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo").unwrap();
        let key = Jwk { kty: KeyType::OKP, crv: Curve::Ed25519, x };
        assert_eq!(key.thumbprint(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }
}
