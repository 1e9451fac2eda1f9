//! What else counts as a trustworthy platform, as the operator configures it: newer platform data that two SRO people
//! signed, revocation lists, vTPM roots, chips. All of it comes from files; nothing is fetched. Read when the service
//! starts.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use attestation::{Brought, GuestRules, PlatformTable};
use schemas::platform::PlatformData;
use schemas::{Code, Digest, Envelope, R, Refusal, canonical};
use serde::{Deserialize, Serialize};
use signing::Trust;

/// More than any of these files has.
const MAX_FILE: u64 = 1024 * 1024;

/// Table `[platform]` of a service's configuration. Paths are of files in DER or PEM, but for `data`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Platform data newer than what this release carries (`platform-data.v1`), signed by two SRO people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<PathBuf>,
    /// Revocation lists of AMD.
    pub crls: Vec<PathBuf>,
    /// Whether evidence under a root without a revocation list is refused.
    pub crl_required: bool,
    /// Roots that vouch for vTPMs; then every Azure room must show a certificate of its attestation key.
    pub vtpm_roots: Vec<PathBuf>,
    /// Authorities below them.
    pub vtpm_intermediates: Vec<PathBuf>,
    /// Whether reports signed by a provider's VLEK count.
    pub vlek: bool,
    /// SHA-256 of the ids of the only chips that count; all where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chips_allowed: Option<BTreeSet<Digest>>,
    /// SHA-256 of the ids of chips that never count.
    pub chips_denied: BTreeSet<Digest>,
    /// The least security version of the guest, or of the paravisor in front of it.
    pub guest_min_svn: u32,
    /// Family ids of the only guests that count, 32 hex digits each; all where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guest_family_ids: Option<Vec<String>>,
    /// The same for image ids.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guest_image_ids: Option<Vec<String>>,
}

impl Settings {
    /// Whether nothing is set.
    pub fn is_default(&self) -> bool {
        *self == Settings::default()
    }

    /// With paths that are not absolute read beside the configuration file.
    #[must_use]
    pub fn beside(self, folder: &Path) -> Settings {
        let join = |paths: Vec<PathBuf>| paths.iter().map(|path| folder.join(path)).collect();
        Settings {
            data: self.data.map(|path| folder.join(path)),
            crls: join(self.crls),
            vtpm_roots: join(self.vtpm_roots),
            vtpm_intermediates: join(self.vtpm_intermediates),
            ..self
        }
    }

    /// Reads the files. Platform data counts only if two pinned SRO people signed it and its version follows the one
    /// compiled in (`CONFIG_INVALID` otherwise).
    pub fn load(&self, trust: &Trust) -> R<Brought> {
        let embedded = PlatformTable::embedded()?;
        let table = match &self.data {
            None => embedded,
            Some(path) => {
                let envelope: Envelope<PlatformData> =
                    canonical::parse(&read(path)?).map_err(|e| fault(path, e.sentence))?;
                let signed = signing::verify(envelope, &trust.registry, trust)?;
                trust.two_people(&signed)?;
                PlatformTable::signed(&signed, &embedded)?
            }
        };
        let brought = Brought {
            table,
            crls: blocks(&self.crls)?,
            crl_required: self.crl_required,
            vtpm_roots: blocks(&self.vtpm_roots)?,
            vtpm_intermediates: blocks(&self.vtpm_intermediates)?,
            vlek: self.vlek,
            chips_allowed: self.chips_allowed.clone(),
            chips_denied: self.chips_denied.clone(),
            guest: GuestRules {
                min_svn: self.guest_min_svn,
                family_ids: ids(self.guest_family_ids.as_deref(), "platform.guest_family_ids")?,
                image_ids: ids(self.guest_image_ids.as_deref(), "platform.guest_image_ids")?,
            },
        };
        brought.check().map_err(|refusal| refusal.at("platform"))?;
        Ok(brought)
    }
}

/// Ids of guests (AMD 56860, GUEST_FAMILY_ID): 16 bytes as 32 hex digits.
fn ids(texts: Option<&[String]>, field: &str) -> R<Option<Vec<[u8; 16]>>> {
    let bad = || Refusal::new(Code::ConfigInvalid, "an id of a guest is 32 hex digits").at(field);
    let one = |text: &String| {
        let hex = text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
        let number = u128::from_str_radix(text, 16).ok().filter(|_| hex);
        number.map(u128::to_be_bytes).ok_or_else(bad)
    };
    texts.map(|texts| texts.iter().map(one).collect()).transpose()
}

fn fault(path: &Path, why: impl std::fmt::Display) -> Refusal {
    Refusal::new(Code::ConfigInvalid, format!("{}: {why}", path.display())).at("platform")
}

fn read(path: &Path) -> R<Vec<u8>> {
    let length = std::fs::metadata(path).map_err(|e| fault(path, e))?.len();
    if length > MAX_FILE {
        return Err(fault(path, "larger than 1 MiB"));
    }
    std::fs::read(path).map_err(|e| fault(path, e))
}

fn blocks(paths: &[PathBuf]) -> R<Vec<Vec<u8>>> {
    let mut out = Vec::new();
    for path in paths {
        out.extend(attestation::der_blocks(&read(path)?).ok_or_else(|| fault(path, "neither DER nor PEM"))?);
    }
    Ok(out)
}
