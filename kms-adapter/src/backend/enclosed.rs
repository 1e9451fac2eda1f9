//! What a backend elsewhere is given to wrap: the data key, and a code of it over the name of the key-encryption key, its
//! version and the associated data ([`sealing::gate`]).
//!
//! A vault whose wrap has no associated data (RSA-OAEP), one that ignores it, and one that answers with another plaintext
//! are all noticed here. Only who knows the data key can make its code. A whole wrapped key of somebody's own making is
//! caught by the MAC of its row and by the commitment, which the cupboard checks.

use schemas::R;
use zeroize::Zeroizing;

use super::KekRef;
use crate::secret::Secret;

/// The plaintext to wrap under this key-encryption key.
pub(super) fn enclose(kek: &KekRef, key: &Secret, aad: &[u8]) -> R<Zeroizing<Vec<u8>>> {
    sealing::gate::enclose(&kek.name, &kek.version, key.expose(), aad)
}

/// The data key in a plaintext that a backend gave.
///
/// Errors: [`schemas::Code::KeyRowTampered`] where it is none of ours, or was wrapped for something else.
pub(super) fn disclose(kek: &KekRef, plain: &[u8], aad: &[u8]) -> R<Secret> {
    Ok(Secret::from_bytes(&sealing::gate::disclose(&kek.name, &kek.version, plain, aad)?))
}

#[cfg(test)]
mod tests {
    use schemas::Code;

    use super::*;

    fn kek(name: &str, version: &str) -> KekRef {
        KekRef { name: name.into(), version: version.into(), kept: Vec::new() }
    }

    #[test]
    fn only_the_same_key_name_version_and_context_disclose() {
        let key = Secret::random().unwrap();
        let plain = enclose(&kek("a", "1"), &key, b"aad").unwrap();
        assert_eq!(plain.len(), 4 + 32 + 32);
        assert_eq!(disclose(&kek("a", "1"), &plain, b"aad").unwrap().expose(), key.expose());
        let refused = |kek: KekRef, plain: &[u8], aad: &[u8]| disclose(&kek, plain, aad).unwrap_err().code;
        assert_eq!(refused(kek("b", "1"), &plain, b"aad"), Code::KeyRowTampered);
        assert_eq!(refused(kek("a", "2"), &plain, b"aad"), Code::KeyRowTampered);
        assert_eq!(refused(kek("a1", ""), &plain, b"aad"), Code::KeyRowTampered);
        assert_eq!(refused(kek("a", "1"), &plain, b"other"), Code::KeyRowTampered);
        for at in 0..plain.len() {
            let mut spoilt = plain.to_vec();
            spoilt[at] ^= 1;
            assert_eq!(refused(kek("a", "1"), &spoilt, b"aad"), Code::KeyRowTampered, "byte {at}");
            assert_eq!(refused(kek("a", "1"), &plain[..at], b"aad"), Code::KeyRowTampered, "{at} bytes");
        }
        assert_eq!(refused(kek("a", "1"), &[&plain[..], b"x"].concat(), b"aad"), Code::KeyRowTampered);
    }
}
