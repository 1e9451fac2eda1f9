//! What a relying party asks: which roots may vouch, at which platform level, with which collateral, and whose chips.

use std::collections::BTreeSet;

use schemas::Digest;
use schemas::platform::Product;
use schemas::text::Bytes;
use serde_json::json;

use crate::platform::Level;

/// Demo accepts pinned software roots; production accepts none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Profile {
    /// Software evidence counts if its root is pinned.
    Demo,
    /// Only AMD's compiled-in roots count.
    Production,
}

/// SHA-256 of the SubjectPublicKeyInfo of AMD's root keys. Compiled in; no configuration adds one.
const AMD_ROOTS: [(Product, &str); 3] = [
    (Product::Milan, "9f056bee44377e29308cb5ffa895bdfb62d18881fa6bed8d6f075b0204089cb9"),
    (Product::Genoa, "429a69c9422aa258ee4d8db5fcda9c6470ef15f8cd5a9cebd6cbc7d90b863831"),
    (Product::Turin, "4f125410563a2ab9a50356f9243f6fe0b6f73de98603f53f90339c70e9d7ad08"),
];

/// The product whose root key has this digest.
pub(crate) fn amd_root(spki: &Digest) -> Option<Product> {
    let spki = spki.to_string();
    AMD_ROOTS.iter().find(|(_, pin)| *pin == spki).map(|(product, _)| *product)
}

/// The identity of the guest, or of the paravisor in front of it, beyond the image set (point 17).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct GuestRules {
    /// Least security version.
    pub min_svn: u32,
    /// Allowed family ids; none means any.
    pub family_ids: Option<Vec<[u8; 16]>>,
    /// Allowed image ids; none means any.
    pub image_ids: Option<Vec<[u8; 16]>>,
}

/// What counts as a trustworthy platform.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PlatformPolicy {
    profile: Profile,
    level: Level,
    software_roots: Vec<Digest>,
    pub(crate) crl_required: bool,
    pub(crate) crls: Vec<Vec<u8>>,
    pub(crate) vtpm_roots: Vec<Vec<u8>>,
    pub(crate) vtpm_intermediates: Vec<Vec<u8>>,
    pub(crate) vlek: bool,
    pub(crate) chips_allowed: Option<BTreeSet<Digest>>,
    pub(crate) chips_denied: BTreeSet<Digest>,
    pub(crate) guest: GuestRules,
}

impl PlatformPolicy {
    /// A policy. Software roots (SHA-256 of a root's SubjectPublicKeyInfo) count in demos only and are dropped here
    /// in production. Everything else is asked for by the methods below; without them: no revocation list, no vTPM
    /// root, no VLEK, any chip, any guest version.
    pub fn new(profile: Profile, level: Level, software_roots: Vec<Digest>) -> PlatformPolicy {
        let software_roots = if profile == Profile::Demo { software_roots } else { Vec::new() };
        PlatformPolicy {
            profile,
            level,
            software_roots,
            crl_required: false,
            crls: Vec::new(),
            vtpm_roots: Vec::new(),
            vtpm_intermediates: Vec::new(),
            vlek: false,
            chips_allowed: None,
            chips_denied: BTreeSet::new(),
            guest: GuestRules::default(),
        }
    }

    /// Revocation lists (DER), as AMD publishes them per product. Lists of other roots are not looked at; one of this
    /// root must hold. With `required`, evidence under a root without a list is refused.
    pub fn with_crls(mut self, crls: Vec<Vec<u8>>, required: bool) -> PlatformPolicy {
        self.crls = crls;
        self.crl_required = required;
        self
    }

    /// Roots (DER) that vouch for vTPMs, with the authorities between. From then on an Azure room must show a
    /// certificate of its attestation key, and it is judged.
    pub fn with_vtpm_roots(mut self, roots: Vec<Vec<u8>>, intermediates: Vec<Vec<u8>>) -> PlatformPolicy {
        self.vtpm_roots = roots;
        self.vtpm_intermediates = intermediates;
        self
    }

    /// Also takes reports signed by a provider's VLEK, which names no chip.
    pub fn with_vlek(mut self) -> PlatformPolicy {
        self.vlek = true;
        self
    }

    /// Takes these chips only (SHA-256 of the chip's id, 64 bytes, on Turin 8).
    pub fn only_chips(mut self, chips: impl IntoIterator<Item = Digest>) -> PlatformPolicy {
        self.chips_allowed = Some(chips.into_iter().collect());
        self
    }

    /// Never takes these chips.
    pub fn without_chips(mut self, chips: impl IntoIterator<Item = Digest>) -> PlatformPolicy {
        self.chips_denied.extend(chips);
        self
    }

    /// Asks for versions and ids of the guest.
    pub fn with_guest(mut self, guest: GuestRules) -> PlatformPolicy {
        self.guest = guest;
        self
    }

    /// The profile.
    pub fn profile(&self) -> Profile {
        self.profile
    }

    /// The platform level.
    pub fn level(&self) -> &Level {
        &self.level
    }

    /// Whether this build and profile look at software evidence at all.
    pub(crate) fn takes_software(&self) -> bool {
        crate::SOFTWARE_ATTESTER && self.profile == Profile::Demo
    }

    /// Whether a software root is pinned.
    pub(crate) fn pins_software(&self, spki: &Digest) -> bool {
        self.takes_software() && self.software_roots.contains(spki)
    }

    /// SHA-256 of everything that decides, collateral aside: it stands in the appraisal.
    pub(crate) fn sha256(&self) -> Option<Digest> {
        let ids = |list: &Option<Vec<[u8; 16]>>| list.as_ref().map(|l| l.iter().map(hex::encode).collect::<Vec<_>>());
        let facts = json!({
            "profile": format!("{:?}", self.profile).to_lowercase(),
            "level": self.level.rules,
            "requirements": self.level.requirements,
            "data_sha256": self.level.data_sha256,
            "software_roots": self.software_roots,
            "crl_required": self.crl_required,
            "vtpm_roots": self.vtpm_roots.iter().map(|r| Digest::of(r)).collect::<Vec<_>>(),
            "vlek": self.vlek,
            "chips_allowed": self.chips_allowed,
            "chips_denied": self.chips_denied,
            "guest": {
                "min_svn": self.guest.min_svn,
                "family_ids": ids(&self.guest.family_ids),
                "image_ids": ids(&self.guest.image_ids),
            },
        });
        schemas::canonical::to_bytes(&facts).ok().map(|bytes| Digest::of(&bytes))
    }

    /// SHA-256 over what vouched or revoked: the evidence's certificates, revocation lists, vTPM roots and authorities.
    pub(crate) fn collateral_sha256(&self, certificates: &[Bytes]) -> Digest {
        let given = certificates.iter().map(|c| &c.0);
        let own = [&self.crls, &self.vtpm_roots, &self.vtpm_intermediates];
        let digests: Vec<[u8; 32]> = given.chain(own.into_iter().flatten()).map(|b| Digest::of(b).0).collect();
        Digest::of_parts(&digests.iter().map(<[u8; 32]>::as_slice).collect::<Vec<_>>())
    }
}
