//! The software platform: what its report, its vTPM and its runtime data say. The values are those of a Milan machine
//! that meets level `baseline`.

use std::collections::BTreeMap;

use openssl::ecdsa::EcdsaSig;
use openssl::hash::MessageDigest;
use openssl::pkey::{HasPublic, PKey, Private};
use openssl::sha::{Sha384, sha256};
use openssl::sign::Signer;
use schemas::problem::R;
use schemas::text::Bytes;
use schemas::{Digest, Timestamp};

use crate::snp::report::{LENGTH, SIGNED};
use crate::software::fault;

/// Boot loader, TEE, SNP and microcode versions in Milan's places.
pub(crate) const TCB: [u8; 8] = [4, 0, 0, 0, 0, 0, 24, 219];

/// The "launch measurement" of every software platform, 48 bytes.
pub fn launch_measurement() -> Bytes {
    label("launch measurement")
}

/// The "id key digest" of every software platform, 48 bytes.
pub fn id_key_digest() -> Bytes {
    label("id key digest")
}

fn label(what: &str) -> Bytes {
    let mut hash = Sha384::new();
    hash.update(b"depa software platform: ");
    hash.update(what.as_bytes());
    Bytes(hash.finish().to_vec())
}

/// What an image set must require for code of this measurement: PCR 11 is the measurement, extended once; PCRs 4, 7, 9
/// and 12 are fixed.
pub fn image_set_pcrs(measurement: &Digest) -> BTreeMap<String, Digest> {
    // The job does not enter these five.
    let all = pcrs(measurement, Digest([0; 32]));
    let named = all.iter().enumerate().filter(|(index, _)| matches!(index, 4 | 7 | 9 | 11 | 12));
    named.map(|(index, value)| (index.to_string(), *value)).collect()
}

/// The 24 PCRs: measurement in 11, what is given in 8, fixed values in 4, 7, 9 and 12, and the start values of a TPM elsewhere.
pub(crate) fn pcrs(measurement: &Digest, eighth: Digest) -> Vec<Digest> {
    let value = |index: usize| match index {
        4 | 7 | 9 | 12 => Digest::of(format!("depa software platform: PCR {index}").as_bytes()),
        8 => eighth,
        11 => Digest::of_parts(&[&[0; 32], &measurement.0]),
        17..=22 => Digest([0xff; 32]),
        _ => Digest([0; 32]),
    };
    (0..24).map(value).collect()
}

/// The runtime data: attestation key, settings, user data.
pub(crate) fn var_data<K: HasPublic>(ak: &PKey<K>, user_data: &[u8; 64]) -> R<String> {
    let rsa = ak.rsa().map_err(fault)?;
    let (n, e) = (Bytes(rsa.n().to_vec()).text(), Bytes(rsa.e().to_vec()).text());
    let user_data = hex::encode_upper(user_data);
    Ok(format!(
        concat!(
            r#"{{"keys":[{{"kid":"HCLAkPub","key_ops":["sign"],"kty":"RSA","e":"{e}","n":"{n}"}}],"#,
            r#""vm-configuration":{{"console-enabled":false,"secure-boot":true,"tpm-enabled":true,"tpm-persisted":false,"#,
            r#""vmUniqueId":"00000000-0000-0000-0000-000000000000","software-attester":true}},"user-data":"{user_data}"}}"#
        ),
        e = e,
        n = n,
        user_data = user_data
    ))
}

/// An unsigned report of version 3 that binds the runtime data.
pub(crate) fn report(chip_id: &[u8], var_data: &[u8]) -> Vec<u8> {
    let mut report = vec![0; LENGTH];
    put(&mut report, 0x00, &3u32.to_le_bytes());
    put(&mut report, 0x04, &10u32.to_le_bytes()); // guest SVN
    put(&mut report, 0x08, &0x3001fu64.to_le_bytes()); // policy
    put(&mut report, 0x34, &1u32.to_le_bytes()); // ECDSA P-384 with SHA-384
    put(&mut report, 0x40, &0x25u64.to_le_bytes()); // platform information
    put(&mut report, 0x50, &sha256(var_data));
    put(&mut report, 0x90, &launch_measurement().0);
    put(&mut report, 0xe0, &id_key_digest().0);
    put(&mut report, 0x140, &sha256(chip_id)); // report id
    put(&mut report, 0x160, &[0xff; 32]); // no migration agent
    put(&mut report, 0x188, &[0x19, 0x01, 0x01]); // Milan
    put(&mut report, 0x1a0, chip_id);
    for tcb in [0x38, 0x180, 0x1e0, 0x1f0] {
        put(&mut report, tcb, &TCB);
    }
    for firmware in [0x1e8, 0x1ec] {
        put(&mut report, firmware, &[29, 55, 1]);
    }
    report
}

/// Signs a report as the platform does: ECDSA P-384 with SHA-384, R and S little-endian.
pub(crate) fn sign_report(report: &mut [u8], key: &PKey<Private>) -> R<()> {
    let mut signer = Signer::new(MessageDigest::sha384(), key).map_err(fault)?;
    let der = signer.sign_oneshot_to_vec(report.get(..SIGNED).unwrap_or_default()).map_err(fault)?;
    let signature = EcdsaSig::from_der(&der).map_err(fault)?;
    for (at, number) in [(0x2a0, signature.r()), (0x2e8, signature.s())] {
        let mut bytes = number.to_vec_padded(72).map_err(fault)?;
        bytes.reverse();
        put(report, at, &bytes);
    }
    Ok(())
}

/// Signs a quote as the vTPM does: RSASSA with SHA-256.
pub(crate) fn sign_quote(ak: &PKey<Private>, message: &[u8]) -> R<Vec<u8>> {
    let mut signer = Signer::new(MessageDigest::sha256(), ak).map_err(fault)?;
    signer.sign_oneshot_to_vec(message).map_err(fault)
}

/// Writes bytes at an offset of a fixed layout.
pub(crate) fn put(buffer: &mut [u8], at: usize, bytes: &[u8]) {
    for (to, from) in buffer.iter_mut().skip(at).zip(bytes) {
        *to = *from;
    }
}

/// A time as a certificate writes it: UTCTime until 2049, GeneralizedTime after (RFC 5280, 4.1.2.5).
pub(crate) fn x509_time(time: Timestamp) -> (u8, Vec<u8>) {
    let digits: String = time.whole().to_string().chars().filter(char::is_ascii_digit).collect();
    match digits.strip_prefix("20") {
        Some(short) if short < "50" => (0x17, format!("{short}Z").into_bytes()),
        _ => (0x18, format!("{digits}Z").into_bytes()),
    }
}
