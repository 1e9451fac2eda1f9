//! What `object_store` signs its calls with: SHA-256 and HMAC of the house, RS256 of OpenSSL. No further library of
//! cryptography comes along.

use hmac::{Hmac, KeyInit as _, Mac as _};
use object_store::Result;
use object_store::client::{
    CryptoProvider, DigestAlgorithm, DigestContext, HmacContext, Signer as Signing, SigningAlgorithm,
};
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Private};
use openssl::sign::Signer;
use sha2::{Digest as _, Sha256};

/// The provider.
#[derive(Debug)]
pub(crate) struct Crypto;

fn fault(why: impl std::error::Error + Send + Sync + 'static) -> object_store::Error {
    object_store::Error::Generic { store: "crypto", source: Box::new(why) }
}

fn unknown() -> object_store::Error {
    object_store::Error::NotSupported { source: "another algorithm is asked for".into() }
}

impl CryptoProvider for Crypto {
    fn digest(&self, algorithm: DigestAlgorithm) -> Result<Box<dyn DigestContext>> {
        match algorithm {
            DigestAlgorithm::Sha256 => Ok(Box::new(Running { state: Sha256::new(), out: [0; 32] })),
            _ => Err(unknown()),
        }
    }

    fn hmac(&self, algorithm: DigestAlgorithm, secret: &[u8]) -> Result<Box<dyn HmacContext>> {
        match algorithm {
            DigestAlgorithm::Sha256 => {
                let state = Hmac::<Sha256>::new_from_slice(secret).map_err(fault)?;
                Ok(Box::new(Running { state, out: [0; 32] }))
            }
            _ => Err(unknown()),
        }
    }

    fn sign(&self, algorithm: SigningAlgorithm, pem: &[u8]) -> Result<Box<dyn Signing>> {
        match algorithm {
            SigningAlgorithm::RS256 => Ok(Box::new(Rsa(PKey::private_key_from_pem(pem).map_err(fault)?))),
            _ => Err(unknown()),
        }
    }
}

/// A computation and its result.
struct Running<S> {
    state: S,
    out: [u8; 32],
}

impl DigestContext for Running<Sha256> {
    fn update(&mut self, data: &[u8]) {
        self.state.update(data);
    }

    fn finish(&mut self) -> Result<&[u8]> {
        self.out = self.state.finalize_reset().into();
        Ok(&self.out)
    }
}

impl HmacContext for Running<Hmac<Sha256>> {
    fn update(&mut self, data: &[u8]) {
        self.state.update(data);
    }

    fn finish(&mut self) -> Result<&[u8]> {
        self.out = self.state.clone().finalize().into_bytes().into();
        Ok(&self.out)
    }
}

struct Rsa(PKey<Private>);

impl Signing for Rsa {
    fn sign(&self, text: &[u8]) -> Result<Vec<u8>> {
        let mut signer = Signer::new(MessageDigest::sha256(), &self.0).map_err(fault)?;
        signer.sign_oneshot_to_vec(text).map_err(fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|b| format!("{b:02x}")).collect()
    }

    /// FIPS 180-2's "abc", RFC 4231's second case.
    #[test]
    fn digests_and_codes_are_those_of_the_standards() {
        let mut digest = Crypto.digest(DigestAlgorithm::Sha256).unwrap();
        digest.update(b"a");
        digest.update(b"bc");
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hex(digest.finish().unwrap()), abc);
        let mut code = Crypto.hmac(DigestAlgorithm::Sha256, b"Jefe").unwrap();
        code.update(b"what do ya want ");
        code.update(b"for nothing?");
        let wanted = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(hex(code.finish().unwrap()), wanted);
    }

    #[test]
    fn rs256_is_verified_by_the_public_key() {
        let key = PKey::from_rsa(openssl::rsa::Rsa::generate(2048).unwrap()).unwrap();
        let pem = key.private_key_to_pem_pkcs8().unwrap();
        let signed = Crypto.sign(SigningAlgorithm::RS256, &pem).unwrap().sign(b"text").unwrap();
        let mut verifier = openssl::sign::Verifier::new(MessageDigest::sha256(), &key).unwrap();
        assert!(verifier.verify_oneshot(&signed, b"text").unwrap());
        assert!(Crypto.sign(SigningAlgorithm::RS256, b"no key").is_err());
    }
}
