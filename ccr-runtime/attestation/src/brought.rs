//! What a service brings to its platform policies: newer platform data and offline collateral, read by the caller.

use std::collections::BTreeSet;

use openssl::base64;
use openssl::x509::{X509, X509Crl};
use schemas::Digest;
use schemas::problem::{Code, R, Refusal};

use crate::platform::PlatformTable;
use crate::policy::{GuestRules, PlatformPolicy, Profile};

/// Everything beyond profile, level and software roots that a service's policies are made of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Brought {
    /// The platform data in force.
    pub table: PlatformTable,
    /// Revocation lists (DER).
    pub crls: Vec<Vec<u8>>,
    /// Whether evidence under a root without a list is refused.
    pub crl_required: bool,
    /// Roots (DER) that vouch for vTPMs; then every Azure room must show such a certificate.
    pub vtpm_roots: Vec<Vec<u8>>,
    /// Authorities (DER) below them.
    pub vtpm_intermediates: Vec<Vec<u8>>,
    /// Whether reports signed by a provider's VLEK count.
    pub vlek: bool,
    /// SHA-256 of the only chips that count; all where absent.
    pub chips_allowed: Option<BTreeSet<Digest>>,
    /// SHA-256 of chips that never count.
    pub chips_denied: BTreeSet<Digest>,
    /// What is asked of the guest beyond the image set.
    pub guest: GuestRules,
}

impl Brought {
    /// Platform data alone.
    pub fn of(table: PlatformTable) -> Brought {
        Brought {
            table,
            crls: Vec::new(),
            crl_required: false,
            vtpm_roots: Vec::new(),
            vtpm_intermediates: Vec::new(),
            vlek: false,
            chips_allowed: None,
            chips_denied: BTreeSet::new(),
            guest: GuestRules::default(),
        }
    }

    /// Refuses collateral that is no certificate or list (`CONFIG_INVALID`), so that a slip is noticed at the start and
    /// not by the first room.
    pub fn check(&self) -> R<()> {
        let bad = |what: &str| Err(Refusal::new(Code::ConfigInvalid, format!("{what} cannot be read")));
        if self.crls.iter().any(|crl| X509Crl::from_der(crl).is_err()) {
            return bad("a revocation list");
        }
        if self.vtpm_roots.iter().chain(&self.vtpm_intermediates).any(|root| X509::from_der(root).is_err()) {
            return bad("a certificate for vTPMs");
        }
        Ok(())
    }

    /// The policy at a named level of the platform data; `CONFIG_INVALID` for a level that it does not have.
    pub fn policy(&self, profile: Profile, level: &str, software_roots: Vec<Digest>) -> R<PlatformPolicy> {
        let mut policy = PlatformPolicy::new(profile, self.table.level(level)?, software_roots)
            .with_crls(self.crls.clone(), self.crl_required)
            .with_vtpm_roots(self.vtpm_roots.clone(), self.vtpm_intermediates.clone())
            .without_chips(self.chips_denied.iter().copied())
            .with_guest(self.guest.clone());
        if self.vlek {
            policy = policy.with_vlek();
        }
        if let Some(chips) = &self.chips_allowed {
            policy = policy.only_chips(chips.iter().copied());
        }
        Ok(policy)
    }
}

/// The blocks of a PEM text, or DER as its one block; none of PEM that does not read.
pub fn der_blocks(bytes: &[u8]) -> Option<Vec<Vec<u8>>> {
    if !bytes.starts_with(b"-----BEGIN") {
        return Some(vec![bytes.to_vec()]);
    }
    let text = std::str::from_utf8(bytes).ok()?;
    let block = |part: &str| {
        let (_, rest) = part.split_once("-----\n")?;
        let packed: String = rest.split_once("-----END")?.0.split_whitespace().collect();
        base64::decode_block(&packed).ok()
    };
    text.split("-----BEGIN ").skip(1).map(block).collect()
}
