//! The registry's ES256 key: it signs receipts in the shape that CCF tools read, and nothing else.

mod certificate;

use std::path::Path;

use openssl::bn::{BigNum, BigNumContext};
use openssl::ec::{EcGroup, EcKey as OpensslKey, EcPoint};
use openssl::ecdsa::EcdsaSig;
use openssl::hash::{MessageDigest, hash};
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use schemas::jwk::{EcCurve, Jwk};
use schemas::text::Bytes;
use schemas::{Code, Digest, R, Refusal};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize as _, Zeroizing};

use crate::signer::{read_secret, write_secret};

const WIDTH: i32 = 32;

/// A P-256 key that signs with ES256. Debug shows the public half only; openssl wipes the private one.
#[derive(Clone)]
pub struct EcKey {
    jwk: Jwk,
    key: OpensslKey<Private>,
}

impl std::fmt::Debug for EcKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "EcKey({})", self.jwk.thumbprint())
    }
}

/// The file's content. Never printed.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EcKeyFile {
    crv: EcCurve,
    x: Bytes,
    y: Bytes,
    d: Bytes,
}

fn fault<E>(_: E) -> Refusal {
    Refusal::new(Code::Internal, "openssl offers no P-256")
}

impl EcKey {
    /// A fresh key.
    pub fn generate() -> R<EcKey> {
        let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).map_err(fault)?;
        EcKey::of(OpensslKey::generate(&group).map_err(fault)?)
    }

    fn of(key: OpensslKey<Private>) -> R<EcKey> {
        let (mut x, mut y) = (BigNum::new().map_err(fault)?, BigNum::new().map_err(fault)?);
        let mut context = BigNumContext::new().map_err(fault)?;
        key.public_key().affine_coordinates(key.group(), &mut x, &mut y, &mut context).map_err(fault)?;
        let bytes = |n: &BigNum| n.to_vec_padded(WIDTH).map(Bytes).map_err(fault);
        let jwk = Jwk::Ec { crv: EcCurve::P256, x: bytes(&x)?, y: bytes(&y)? };
        Ok(EcKey { jwk, key })
    }

    /// The public half.
    pub fn jwk(&self) -> &Jwk {
        &self.jwk
    }

    /// The public half as SubjectPublicKeyInfo (DER).
    pub fn spki(&self) -> R<Vec<u8>> {
        spki(&self.jwk)
    }

    /// Signs bytes with ES256: raw r‖s.
    pub fn sign(&self, message: &[u8]) -> R<[u8; 64]> {
        let digest = hash(MessageDigest::sha256(), message).map_err(fault)?;
        let signature = EcdsaSig::sign(&digest, &self.key).map_err(fault)?;
        let half = |n: &openssl::bn::BigNumRef| n.to_vec_padded(WIDTH).map_err(fault);
        [half(signature.r())?, half(signature.s())?].concat().try_into().map_err(fault)
    }

    /// Writes the key to a new file with mode 0600; an existing file is never overwritten.
    pub fn save(&self, path: &Path) -> R<()> {
        let Jwk::Ec { crv, x, y } = &self.jwk else {
            return Err(fault(()));
        };
        let d = self.key.private_key().to_vec_padded(WIDTH).map_err(fault)?;
        let mut file = EcKeyFile { crv: *crv, x: x.clone(), y: y.clone(), d: Bytes(d) };
        let text = serde_json::to_vec(&file).map(Zeroizing::new);
        file.d.0.zeroize();
        write_secret(path, &text.map_err(|e| Refusal::new(Code::Internal, e.to_string()))?)
    }

    /// Reads a key file; refuses one that others may read, or whose halves do not belong together.
    pub fn load(path: &Path) -> R<EcKey> {
        let bad = || Refusal::new(Code::ConfigInvalid, format!("key file {}: not a P-256 key", path.display()));
        let text = read_secret(path)?;
        let mut file: EcKeyFile = serde_json::from_slice(&text).map_err(|_| bad())?;
        let key = private(&file.d.0).and_then(EcKey::of).map_err(|_| bad());
        file.d.0.zeroize();
        let key = key?;
        let told = Jwk::Ec { crv: file.crv, x: file.x, y: file.y };
        if key.jwk == told { Ok(key) } else { Err(bad()) }
    }
}

/// The key with this secret scalar.
fn private(d: &[u8]) -> R<OpensslKey<Private>> {
    if d.len() != WIDTH as usize {
        return Err(fault(()));
    }
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).map_err(fault)?;
    let d = BigNum::from_slice(d).map_err(fault)?;
    let mut context = BigNumContext::new().map_err(fault)?;
    let mut point = EcPoint::new(&group).map_err(fault)?;
    point.mul_generator2(&group, &d, &mut context).map_err(fault)?;
    let key = OpensslKey::from_private_components(&group, &d, &point).map_err(fault)?;
    key.check_key().map_err(fault)?;
    Ok(key)
}

/// SubjectPublicKeyInfo (DER) of an EC key that counts.
pub fn spki(jwk: &Jwk) -> R<Vec<u8>> {
    let bad = || Refusal::new(Code::KeyForm, "an EC key is expected");
    let Jwk::Ec { crv, x, y } = jwk else {
        return Err(bad());
    };
    let key = crate::check::ec_point(*crv, &x.0, &y.0)?;
    PKey::from_ec_key(key).and_then(|k| k.public_key_to_der()).map_err(|_| bad())
}

/// The name of an EC key in receipts of the CCF shape: lower-case hex of SHA-256 over its SubjectPublicKeyInfo.
pub fn ccf_kid(jwk: &Jwk) -> R<String> {
    Ok(Digest::of(&spki(jwk)?).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{self, Alg};

    #[test]
    fn the_key_signs_and_survives_its_file_only() {
        let dir = std::env::temp_dir().join(format!("depa-ec-{}", uuid::Uuid::now_v7()));
        std::fs::create_dir(&dir).unwrap();
        let path = dir.join("registry.es256.key");
        let key = EcKey::generate().unwrap();
        key.save(&path).unwrap();
        assert_eq!(key.save(&path).unwrap_err().code, Code::ConfigInvalid, "never overwritten");
        let again = EcKey::load(&path).unwrap();
        assert_eq!(again.jwk(), key.jwk());
        let signature = again.sign(b"message").unwrap();
        check::verify(key.jwk(), Alg::Es256, b"message", &signature).unwrap();
        assert_eq!(ccf_kid(key.jwk()).unwrap().len(), 64);
        let file = std::fs::read_to_string(&path).unwrap();
        let d = serde_json::from_str::<EcKeyFile>(&file).unwrap().d.text();
        assert!(!format!("{key:?}").contains(&d));
        let other = EcKey::generate().unwrap();
        let Jwk::Ec { x, y, .. } = other.jwk() else { unreachable!() };
        std::fs::write(&path, format!(r#"{{"crv":"P-256","x":"{}","y":"{}","d":"{d}"}}"#, x.text(), y.text())).unwrap();
        assert_eq!(EcKey::load(&path).unwrap_err().code, Code::ConfigInvalid, "halves of two keys");
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
