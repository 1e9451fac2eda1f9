//! Public keys as JWK (RFC 7517, RFC 7518, RFC 8037), without private members.
//!
//! Services, runs and the house's own people use Ed25519; receiving keys are X25519. Participants may also sign with
//! EC and RSA keys, since hospitals' key services and smart cards often offer nothing else.

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::problem::{Code, R, Refusal};
use crate::text::Bytes;

/// The curve of an OKP key.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub enum Curve {
    /// Signing.
    Ed25519,
    /// Receiving wrapped keys (ECDH-ES).
    X25519,
}

/// The curve of an EC key.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub enum EcCurve {
    /// NIST P-256.
    #[serde(rename = "P-256")]
    P256,
    /// NIST P-384.
    #[serde(rename = "P-384")]
    P384,
    /// NIST P-521.
    #[serde(rename = "P-521")]
    P521,
}

impl EcCurve {
    /// The curve's name in a JWK.
    pub fn as_str(self) -> &'static str {
        match self {
            EcCurve::P256 => "P-256",
            EcCurve::P384 => "P-384",
            EcCurve::P521 => "P-521",
        }
    }

    /// Bytes of a coordinate.
    pub fn width(self) -> usize {
        match self {
            EcCurve::P256 => 32,
            EcCurve::P384 => 48,
            EcCurve::P521 => 66,
        }
    }
}

/// A public key. `signing::check` decides whether it counts: points on their curve, canonical, not of small order; RSA
/// moduli of 2048 to 4096 bits.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "kty", deny_unknown_fields, expecting = "a public key as a JSON object (a JWK)")]
pub enum Jwk {
    /// Octet key pair (RFC 8037).
    #[serde(rename = "OKP")]
    Okp {
        /// The curve.
        crv: Curve,
        /// 32 bytes, base64url.
        x: Bytes,
    },
    /// Elliptic curve (RFC 7518 6.2).
    #[serde(rename = "EC")]
    Ec {
        /// The curve.
        crv: EcCurve,
        /// Coordinate, in the curve's full width.
        x: Bytes,
        /// Coordinate, in the curve's full width.
        y: Bytes,
    },
    /// RSA (RFC 7518 6.3); signs with PSS only.
    #[serde(rename = "RSA")]
    Rsa {
        /// Modulus, big endian without leading zeros.
        n: Bytes,
        /// Exponent.
        e: Bytes,
    },
}

impl Jwk {
    /// An Ed25519 public key.
    pub fn ed25519(x: [u8; 32]) -> Jwk {
        Jwk::Okp { crv: Curve::Ed25519, x: Bytes(x.to_vec()) }
    }

    /// An X25519 public key.
    pub fn x25519(x: [u8; 32]) -> Jwk {
        Jwk::Okp { crv: Curve::X25519, x: Bytes(x.to_vec()) }
    }

    /// The 32 bytes of a key on the OKP curve asked for.
    pub fn point(&self, curve: Curve) -> R<[u8; 32]> {
        let bad = || Refusal::new(Code::KeyForm, "an OKP key of 32 bytes on the expected curve is needed");
        match self {
            Jwk::Okp { crv, x } if *crv == curve => x.0.as_slice().try_into().map_err(|_| bad()),
            _ => Err(bad()),
        }
    }

    /// The `x` of an OKP key as people paste it, base64url; nothing for another type.
    pub fn okp_text(&self) -> Option<String> {
        match self {
            Jwk::Okp { x, .. } => Some(x.text()),
            Jwk::Ec { .. } | Jwk::Rsa { .. } => None,
        }
    }

    /// RFC 7638 SHA-256 thumbprint, base64url.
    pub fn thumbprint(&self) -> String {
        let text = match self {
            Jwk::Okp { crv, x } => {
                let crv = match crv {
                    Curve::Ed25519 => "Ed25519",
                    Curve::X25519 => "X25519",
                };
                format!(r#"{{"crv":"{crv}","kty":"OKP","x":"{}"}}"#, x.text())
            }
            Jwk::Ec { crv, x, y } => {
                format!(r#"{{"crv":"{}","kty":"EC","x":"{}","y":"{}"}}"#, crv.as_str(), x.text(), y.text())
            }
            Jwk::Rsa { n, e } => format!(r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#, e.text(), n.text()),
        };
        Bytes(Digest::of(text.as_bytes()).0.to_vec()).text()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8037 appendix A.3 and RFC 7638 3.1.
    #[test]
    fn thumbprints_of_the_rfc_examples() {
        let x = Bytes::parse("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo").unwrap();
        let key = Jwk::Okp { crv: Curve::Ed25519, x };
        assert_eq!(key.thumbprint(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
        let n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
        let key = Jwk::Rsa { n: Bytes::parse(n).unwrap(), e: Bytes::parse("AQAB").unwrap() };
        assert_eq!(key.thumbprint(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    }

    #[test]
    fn keys_keep_their_json_and_take_no_private_member() {
        let text = r#"{"crv":"P-256","kty":"EC","x":"AQ","y":"Ag"}"#;
        let key: Jwk = crate::canonical::parse(text.as_bytes()).unwrap();
        assert_eq!(crate::canonical::to_bytes(&key).unwrap(), text.as_bytes());
        let private = r#"{"crv":"Ed25519","d":"AQ","kty":"OKP","x":"AQ"}"#;
        assert!(crate::canonical::parse::<Jwk>(private.as_bytes()).is_err());
    }
}
