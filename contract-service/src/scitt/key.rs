//! The registry's ES256 key and its certificate: receipts of the CCF shape verify with them.

use std::path::{Path, PathBuf};

use schemas::{R, Timestamp};
use signing::{EcKey, ec_key};

use crate::error::fault;

/// Years for which the certificate is written. It vouches for nothing: clients pin the key in it.
const YEARS: u32 = 10;

/// The key that signs receipts of the CCF shape.
pub struct ReceiptKey {
    key: EcKey,
    kid: String,
    certificate: Vec<u8>,
}

impl ReceiptKey {
    /// Where the key lies: `registry.es256.key` beside `registry.key`.
    pub fn path(key_file: &Path) -> PathBuf {
        key_file.with_extension("es256.key")
    }

    /// Opens the key beside the registry's own; both key and certificate are made where there are none.
    pub fn open(key_file: &Path, name: &str, now: Timestamp) -> R<ReceiptKey> {
        let path = ReceiptKey::path(key_file);
        if !path.exists() {
            EcKey::generate()?.save(&path)?;
        }
        let key = EcKey::load(&path)?;
        let kid = ec_key::ccf_kid(key.jwk())?;
        let file = key_file.with_extension("es256.crt");
        let certificate = match std::fs::read(&file) {
            Ok(certificate) => certificate,
            Err(_) => {
                let made = key.self_signed(name, now, YEARS * 365)?;
                std::fs::write(&file, &made).map_err(fault)?;
                made
            }
        };
        Ok(ReceiptKey { key, kid, certificate })
    }

    /// The key.
    pub fn key(&self) -> &EcKey {
        &self.key
    }

    /// Hex SHA-256 of its SubjectPublicKeyInfo.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// Its self-signed certificate, DER.
    pub fn certificate(&self) -> &[u8] {
        &self.certificate
    }
}
