//! HMAC-SHA256, by which payment systems sign their calls.

use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::sign::Signer;
use schemas::{Code, R, Refusal};

/// The code over these bytes, as lower-case hex.
pub(crate) fn hex(key: &str, bytes: &[u8]) -> R<String> {
    let fault = |_| Refusal::new(Code::Internal, "HMAC is not available");
    let key = PKey::hmac(key.as_bytes()).map_err(fault)?;
    let mut signer = Signer::new(MessageDigest::sha256(), &key).map_err(fault)?;
    signer.update(bytes).map_err(fault)?;
    let code = signer.sign_to_vec().map_err(fault)?;
    Ok(code.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Whether this is the code over these bytes, in constant time.
pub(crate) fn holds(key: &str, bytes: &[u8], code: &str) -> R<bool> {
    let expected = hex(key, bytes)?;
    Ok(expected.len() == code.len() && openssl::memcmp::eq(expected.as_bytes(), code.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4231, test case 2.
    #[test]
    fn it_is_the_code_of_the_rfc_and_no_other() {
        let (key, text) = ("Jefe", b"what do ya want for nothing?");
        let expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(hex(key, text).unwrap(), expected);
        assert!(holds(key, text, expected).unwrap());
        assert!(!holds(key, b"what do ya want for nothing!", expected).unwrap());
        assert!(!holds(key, text, &expected[..63]).unwrap());
    }
}
