//! What a relying party asks of the platform: named levels of AMD minimums, and which roots may vouch.

use schemas::Digest;
use schemas::problem::{Code, R, Refusal};

/// Demo accepts pinned software roots; production accepts none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Profile {
    /// Software evidence counts if its root is pinned.
    Demo,
    /// Only AMD's compiled-in roots count.
    Production,
}

/// An AMD product line with a root key of its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Product {
    /// EPYC 7003.
    Milan,
    /// EPYC 9004 and 8004 (Siena, Bergamo).
    Genoa,
    /// EPYC 9005.
    Turin,
}

impl Product {
    /// The product of a CPUID family and model as they stand in reports of version 3 and later.
    pub(crate) fn of_cpuid(family: u8, model: u8) -> Option<Product> {
        match (family, model) {
            (0x19, 0..=0x0f) => Some(Product::Milan),
            (0x19, 0x10..=0x1f | 0xa0..=0xaf) => Some(Product::Genoa),
            (0x1a, _) => Some(Product::Turin),
            _ => None,
        }
    }

    /// The name in AMD's certificates.
    pub fn name(self) -> &'static str {
        match self {
            Product::Milan => "Milan",
            Product::Genoa => "Genoa",
            Product::Turin => "Turin",
        }
    }
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

/// Security version numbers of a platform's firmware parts; `fmc` exists on Turin only.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Tcb {
    /// Firmware management controller.
    pub fmc: u8,
    /// Boot loader.
    pub bl: u8,
    /// Trusted execution environment of the security processor.
    pub tee: u8,
    /// SNP firmware.
    pub snp: u8,
    /// Microcode.
    pub ucode: u8,
}

impl Tcb {
    /// Reads the eight bytes of a report (AMD 56860, TCB_VERSION).
    pub(crate) fn read(raw: [u8; 8], product: Product) -> Tcb {
        let [a, b, c, d, _, _, snp, ucode] = raw;
        match product {
            Product::Turin => Tcb { fmc: a, bl: b, tee: c, snp: d, ucode },
            Product::Milan | Product::Genoa => Tcb { fmc: 0, bl: a, tee: b, snp, ucode },
        }
    }

    /// Whether every part is at least as new.
    pub(crate) fn covers(&self, least: &Tcb) -> bool {
        self.fmc >= least.fmc
            && self.bl >= least.bl
            && self.tee >= least.tee
            && self.snp >= least.snp
            && self.ucode >= least.ucode
    }
}

/// What a level asks of one product.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Minimum {
    /// The product.
    pub product: Product,
    /// Least versions of reported, committed and launch TCB.
    pub tcb: Tcb,
    /// Least microcode where SMT is on.
    pub ucode_with_smt: u8,
}

/// A named platform level. A product without a minimum is refused.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Level {
    /// `baseline`, `2026` or `strict`.
    pub name: String,
    /// Report versions that are understood well enough to count.
    pub report_versions: Vec<u32>,
    /// Minimums per product.
    pub minimums: Vec<Minimum>,
    /// Whether ciphertext hiding must be on.
    pub ciphertext_hiding: bool,
    /// Whether SMT may be on.
    pub smt: bool,
}

impl Level {
    /// The level of this name.
    ///
    /// `baseline` follows AMD-SB-3015 (alias check, SNP versions), AMD-SB-3019 and AMD-SB-7033; `2026` adds AMD-SB-3020
    /// and AMD-SB-3027; `strict` is Genoa alone with ciphertext hiding and without SMT. Turin stands in no level: no
    /// minimum was collected for it, and a product without one is refused.
    pub fn named(name: &str) -> R<Level> {
        let least = |product, snp, ucode, ucode_with_smt| Minimum {
            product,
            tcb: Tcb { snp, ucode, ..Tcb::default() },
            ucode_with_smt,
        };
        let milan = least(Product::Milan, 0x18, 0, 0);
        let genoa = least(Product::Genoa, 0x17, 0x54, 0x54);
        let genoa_2026 = least(Product::Genoa, 0x1b, 0x54, 0x56);
        let (minimums, strict) = match name {
            "baseline" => (vec![milan, genoa], false),
            "2026" => (vec![milan, genoa_2026], false),
            "strict" => (vec![genoa_2026], true),
            _ => return Err(Refusal::new(Code::ConfigInvalid, "the platform levels are baseline, 2026 and strict")),
        };
        let report_versions = vec![3, 4, 5];
        Ok(Level { name: name.to_owned(), report_versions, minimums, ciphertext_hiding: strict, smt: !strict })
    }
}

/// What counts as a trustworthy platform.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PlatformPolicy {
    profile: Profile,
    level: Level,
    software_roots: Vec<Digest>,
}

impl PlatformPolicy {
    /// A policy. Software roots (SHA-256 of a root's SubjectPublicKeyInfo) count in demos only and are dropped here
    /// in production.
    pub fn new(profile: Profile, level: Level, software_roots: Vec<Digest>) -> PlatformPolicy {
        let software_roots = if profile == Profile::Demo { software_roots } else { Vec::new() };
        PlatformPolicy { profile, level, software_roots }
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
}
