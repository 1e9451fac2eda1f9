//! RSA-OAEP with SHA-256 in both places (RFC 8017 section 7.1), as Key Vault's RSA-OAEP-256 has it.

use openssl::encrypt::{Decrypter, Encrypter};
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::pkey::{HasPrivate, PKey, Private, Public};
use openssl::rsa::Padding;
use zeroize::Zeroizing;

/// Encrypts under a public key.
pub(super) fn seal(key: &PKey<Public>, plain: &[u8]) -> Result<Vec<u8>, ErrorStack> {
    let mut with = Encrypter::new(key)?;
    with.set_rsa_padding(Padding::PKCS1_OAEP)?;
    with.set_rsa_oaep_md(MessageDigest::sha256())?;
    with.set_rsa_mgf1_md(MessageDigest::sha256())?;
    let mut sealed = vec![0; with.encrypt_len(plain)?];
    let length = with.encrypt(plain, &mut sealed)?;
    sealed.truncate(length);
    Ok(sealed)
}

/// Opens what was encrypted under the public half.
pub(super) fn open<T: HasPrivate>(key: &PKey<T>, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, ErrorStack> {
    let mut with = Decrypter::new(key)?;
    with.set_rsa_padding(Padding::PKCS1_OAEP)?;
    with.set_rsa_oaep_md(MessageDigest::sha256())?;
    with.set_rsa_mgf1_md(MessageDigest::sha256())?;
    let mut plain = Zeroizing::new(vec![0; with.decrypt_len(sealed)?]);
    let length = with.decrypt(sealed, &mut plain)?;
    plain.truncate(length);
    Ok(plain)
}

/// Whether this is the private half of that key.
pub(super) fn same(private: &PKey<Private>, public: &PKey<Public>) -> bool {
    private.public_eq(public)
}
