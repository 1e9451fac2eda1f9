//! The data key: 32 secret bytes that cannot be printed, copied or saved, and are wiped when dropped.

use std::fmt;

use schemas::{Code, R, Refusal};
use zeroize::{Zeroize, Zeroizing};

/// The key of one version of a dataset, or the content key of one model.
///
/// There is no `Clone`, no `Serialize` and no comparison that leaks by its time; `Debug` prints no byte of it. The
/// bytes live in one heap cell, so that moving the value leaves no copy behind.
///
/// ```compile_fail
/// let key = sealing::DatasetKey::from_bytes([0; 32]);
/// let copy = key.clone();
/// ```
pub struct DatasetKey(Box<Zeroizing<[u8; 32]>>);

impl DatasetKey {
    /// A new key from the random source of the system.
    pub fn random() -> R<DatasetKey> {
        let mut key = DatasetKey::empty();
        fill_random(&mut **key.0)?;
        Ok(key)
    }

    /// The key with these bytes. The argument is wiped here; the caller wipes its own copy.
    pub fn from_bytes(mut bytes: [u8; 32]) -> DatasetKey {
        let mut key = DatasetKey::empty();
        key.0.copy_from_slice(&bytes);
        bytes.zeroize();
        key
    }

    /// The key in a slice of exactly 32 bytes, as it comes out of a JWE. The caller wipes the slice.
    pub fn from_slice(bytes: &[u8]) -> R<DatasetKey> {
        if bytes.len() != 32 {
            return Err(Refusal::new(Code::KeyForm, "a data key has 32 bytes"));
        }
        let mut key = DatasetKey::empty();
        key.0.copy_from_slice(bytes);
        Ok(key)
    }

    /// The bytes. Only four places may call this: `kms-adapter` (wrapping under the key-encryption key), `ccr`,
    /// `depa dataset seal`, and the JWE wrap of `signing`. None of them keeps a copy outside `Zeroizing`.
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// Whether both are the same key, in constant time.
    pub fn is_same(&self, other: &DatasetKey) -> bool {
        openssl::memcmp::eq(self.expose(), other.expose())
    }

    fn empty() -> DatasetKey {
        DatasetKey(Box::new(Zeroizing::new([0; 32])))
    }
}

impl fmt::Debug for DatasetKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DatasetKey(hidden)")
    }
}

/// Fills the buffer from the random source of the system.
pub(crate) fn fill_random(buffer: &mut [u8]) -> R<()> {
    getrandom::fill(buffer).map_err(|e| Refusal::new(Code::Internal, format!("the system gives no random bytes: {e}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_drawn_and_hidden() {
        let (a, b) = (DatasetKey::random().unwrap(), DatasetKey::random().unwrap());
        assert!(!a.is_same(&b));
        assert!(a.is_same(&DatasetKey::from_slice(a.expose()).unwrap()));
        assert_eq!(format!("{a:?}"), "DatasetKey(hidden)");
        assert_eq!(DatasetKey::from_slice(&[0; 31]).unwrap_err().code, Code::KeyForm);
    }
}
