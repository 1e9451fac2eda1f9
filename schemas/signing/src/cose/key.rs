//! COSE_Key (RFC 9052 7) of public keys, and their thumbprints (RFC 9679).

use ciborium::Value;
use schemas::jwk::{Curve, EcCurve, Jwk};
use schemas::{Digest, R};

use crate::cbor;
use crate::cose::map;

const KTY: i64 = 1;
const KID: i64 = 2;

/// The members that identify a key, in the order of their encodings.
fn required(jwk: &Jwk) -> Vec<(i64, Value)> {
    let bytes = |b: &[u8]| Value::Bytes(b.to_vec());
    match jwk {
        Jwk::Okp { crv, x } => {
            let crv = match crv {
                Curve::X25519 => 4,
                Curve::Ed25519 => 6,
            };
            vec![(KTY, Value::from(1)), (-1, Value::from(crv)), (-2, bytes(&x.0))]
        }
        Jwk::Ec { crv, x, y } => {
            let crv = match crv {
                EcCurve::P256 => 1,
                EcCurve::P384 => 2,
                EcCurve::P521 => 3,
            };
            vec![(KTY, Value::from(2)), (-1, Value::from(crv)), (-2, bytes(&x.0)), (-3, bytes(&y.0))]
        }
        Jwk::Rsa { n, e } => vec![(KTY, Value::from(3)), (-1, bytes(&n.0)), (-2, bytes(&e.0))],
    }
}

/// RFC 9679 SHA-256 thumbprint: the kid of the registry's key in receipts.
pub fn thumbprint(jwk: &Jwk) -> R<Digest> {
    Ok(Digest::of(&cbor::write(&map(required(jwk)))?))
}

/// The key as a COSE_Key with this kid, for a COSE_Key_Set.
pub fn cose_key(jwk: &Jwk, kid: &[u8]) -> Value {
    let mut members = required(jwk);
    members.insert(1, (KID, Value::Bytes(kid.to_vec())));
    map(members)
}

#[cfg(test)]
mod tests {
    use super::*;
    use schemas::text::Bytes;

    /// RFC 9679 section 6.
    #[test]
    fn the_thumbprint_of_the_rfc() {
        let hex = |t: &str| Bytes(hex::decode(t).unwrap());
        let jwk = Jwk::Ec {
            crv: EcCurve::P256,
            x: hex("65eda5a12577c2bae829437fe338701a10aaa375e1bb5b5de108de439c08551d"),
            y: hex("1e52ed75701163f7f9e40ddf9f341b3dc9ba860af7e0ca7ca7e9eecd0084d19c"),
        };
        assert_eq!(
            thumbprint(&jwk).unwrap().to_string(),
            "496bd8afadf307e5b08c64b0421bf9dc01528a344a43bda88fadd1669da253ec"
        );
    }
}
