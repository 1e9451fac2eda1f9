//! A certificate of the ES256 key, signed by itself: CCF's tools pin keys in this wrapping.

use openssl::asn1::Asn1Time;
use openssl::bn::BigNum;
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::x509::extension::{BasicConstraints, KeyUsage};
use openssl::x509::{X509Builder, X509NameBuilder};
use schemas::{Code, R, Refusal, Timestamp};

use super::EcKey;
use crate::signer::random;

fn fault(e: impl std::fmt::Display) -> Refusal {
    Refusal::new(Code::Internal, format!("no certificate: {e}"))
}

impl EcKey {
    /// A self-signed certificate (DER) under a common name of at most 64 characters, from `from` on for `days` days.
    pub fn self_signed(&self, name: &str, from: Timestamp, days: u32) -> R<Vec<u8>> {
        let key = PKey::from_ec_key(self.key.clone()).map_err(fault)?;
        let mut subject = X509NameBuilder::new().map_err(fault)?;
        let short: String = name.chars().take(64).collect();
        subject.append_entry_by_text("CN", &short).map_err(fault)?;
        let subject = subject.build();
        let mut builder = X509Builder::new().map_err(fault)?;
        builder.set_version(2).map_err(fault)?;
        let mut serial = random::<16>()?;
        serial[0] &= 0x7f;
        let serial = BigNum::from_slice(&serial).and_then(|n| n.to_asn1_integer()).map_err(fault)?;
        builder.set_serial_number(&serial).map_err(fault)?;
        builder.set_subject_name(&subject).map_err(fault)?;
        builder.set_issuer_name(&subject).map_err(fault)?;
        builder.set_pubkey(&key).map_err(fault)?;
        let time = |seconds: i64| Asn1Time::from_unix(seconds).map_err(fault);
        builder.set_not_before(&*time(from.seconds())?).map_err(fault)?;
        builder.set_not_after(&*time(from.seconds() + i64::from(days) * 86_400)?).map_err(fault)?;
        let constraints = BasicConstraints::new().critical().build().map_err(fault)?;
        builder.append_extension(constraints).map_err(fault)?;
        let usage = KeyUsage::new().critical().digital_signature().build().map_err(fault)?;
        builder.append_extension(usage).map_err(fault)?;
        builder.sign(&key, MessageDigest::sha256()).map_err(fault)?;
        builder.build().to_der().map_err(fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_certificate_holds_the_key_and_verifies_with_it() {
        let key = EcKey::generate().unwrap();
        let from = Timestamp::parse("2026-12-01T00:00:00Z").unwrap();
        let der = key.self_signed(&"sro.example/".repeat(9), from, 3650).unwrap();
        let certificate = openssl::x509::X509::from_der(&der).unwrap();
        let public = certificate.public_key().unwrap();
        assert_eq!(public.public_key_to_der().unwrap(), key.spki().unwrap());
        assert!(certificate.verify(&public).unwrap());
    }
}
