//! Platform data: what AMD's bulletins ask of a machine, as dated data. Named levels choose among the requirements.

use serde::{Deserialize, Serialize};

use crate::document;
use crate::id::Did;
use crate::time::Timestamp;

/// `platform-data.v1`: newer platform rules than those compiled in; counts once two SRO people have signed it, and only
/// if its version is higher than the one held.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlatformData {
    /// `platform-data.v1`.
    pub schema: String,
    /// The registry.
    pub registry: Did,
    /// The rules.
    pub rules: PlatformRules,
}
document!(PlatformData, "platform-data.v1", "platform-data");

/// Requirements and the levels made of them.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlatformRules {
    /// Rises with each issue; relying parties never go back.
    pub version: u32,
    /// When these rules were written.
    pub issued_at: Timestamp,
    /// What can be asked, each of one product.
    pub requirements: Vec<Requirement>,
    /// The named levels.
    pub levels: Vec<PlatformLevel>,
}

/// An AMD product line with a root key of its own.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Product {
    /// EPYC 7003.
    Milan,
    /// EPYC 9004 and 8004 (Siena, Bergamo).
    Genoa,
    /// EPYC 9005.
    Turin,
}

impl Product {
    /// All of them.
    pub const ALL: [Product; 3] = [Product::Milan, Product::Genoa, Product::Turin];

    /// The name in AMD's certificates.
    pub fn name(self) -> &'static str {
        match self {
            Product::Milan => "Milan",
            Product::Genoa => "Genoa",
            Product::Turin => "Turin",
        }
    }
}

/// One thing that a bulletin asks of one product. Everything named must hold.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Requirement {
    /// A name of its own, by which levels list it.
    pub id: String,
    /// The bulletin, such as `AMD-SB-3015`.
    pub bulletin: String,
    /// The date of the bulletin (YYYY-MM-DD), where it is known.
    pub published: Option<String>,
    /// When the value was collected (YYYY-MM-DD).
    pub collected: String,
    /// What it is about and where the value comes from, for people.
    pub note: String,
    /// The product.
    pub product: Product,
    /// Only where SMT is on.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub only_with_smt: bool,
    /// Least parts of the reported, committed and launch TCB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tcb: Option<TcbLeast>,
    /// Least firmware.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub firmware: Option<Firmware>,
    /// What the platform must say of itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub platform_info: Vec<PlatformFlag>,
    /// What the guest's policy must enforce.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub guest_policy: Vec<GuestFlag>,
    /// Bits that both mitigation vectors must have; reports before version 5 have none and fail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mitigation: Option<u64>,
}

/// Least security versions; a part that is left out may be anything.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TcbLeast {
    /// Firmware management controller; Turin only.
    #[serde(skip_serializing_if = "is_zero")]
    pub fmc: u8,
    /// Boot loader.
    #[serde(skip_serializing_if = "is_zero")]
    pub bl: u8,
    /// Trusted execution environment of the security processor.
    #[serde(skip_serializing_if = "is_zero")]
    pub tee: u8,
    /// SNP firmware.
    #[serde(skip_serializing_if = "is_zero")]
    pub snp: u8,
    /// Microcode.
    #[serde(skip_serializing_if = "is_zero")]
    pub ucode: u8,
}

fn is_zero(part: &u8) -> bool {
    *part == 0
}

/// A firmware version; compared in this order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Firmware {
    /// Major version.
    pub major: u8,
    /// Minor version.
    pub minor: u8,
    /// Build.
    pub build: u8,
}

/// A bit of PLATFORM_INFO (AMD 56860).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PlatformFlag {
    /// Bit 1.
    Tsme,
    /// Bit 2.
    Ecc,
    /// Bit 3: running average power limit is off.
    RaplDisabled,
    /// Bit 4.
    CiphertextHiding,
    /// Bit 5.
    AliasCheckComplete,
    /// Bit 6, as reported.
    IommuWriteSafe,
}

/// A bit of GUEST_POLICY (AMD 56860).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GuestFlag {
    /// Bit 22: memory is encrypted with XTS.
    MemAes256Xts,
    /// Bit 23: running average power limit must be off.
    RaplDisabled,
    /// Bit 24: ciphertext hiding must be on.
    CiphertextHiding,
    /// Bit 25: pages are not swapped.
    PageSwapDisable,
}

/// A named level. A product that it does not list is refused.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlatformLevel {
    /// `baseline`, `2026`, `strict`.
    pub name: String,
    /// What it stands for, for people.
    pub note: String,
    /// The products that count.
    pub products: Vec<Product>,
    /// Report versions that count (2 to 5).
    pub report_versions: Vec<u32>,
    /// Whether SMT may be on.
    pub smt: bool,
    /// Whether a confidential VM may have a console; every known Azure VM has one.
    pub console: bool,
    /// Whether firmware may run that is not committed yet, and so can be taken back.
    pub provisional_firmware: bool,
    /// Whether bits of PLATFORM_INFO that nobody knows may be set.
    pub unknown_platform_bits: bool,
    /// The requirements by id.
    pub requirements: Vec<String>,
}
