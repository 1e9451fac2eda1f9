//! Platform data: what machines must meet.

use super::{at, registry};
use schemas::platform::*;

pub fn platform_data() -> PlatformData {
    let requirement = Requirement {
        id: "sb_3020_genoa".into(),
        bulletin: "AMD-SB-3020".into(),
        published: Some("2025-10-13".into()),
        collected: "2026-11-20".into(),
        note: "CVE-2025-0033".into(),
        product: Product::Genoa,
        only_with_smt: false,
        tcb: Some(TcbLeast { snp: 27, ..TcbLeast::default() }),
        firmware: None,
        platform_info: vec![PlatformFlag::AliasCheckComplete],
        guest_policy: vec![],
        mitigation: None,
    };
    let level = PlatformLevel {
        name: "2026".into(),
        note: "Genoa alone".into(),
        products: vec![Product::Genoa],
        report_versions: vec![3, 5],
        smt: true,
        console: true,
        provisional_firmware: false,
        unknown_platform_bits: false,
        requirements: vec!["sb_3020_genoa".into()],
    };
    let rules = PlatformRules {
        version: 2,
        issued_at: at("2026-12-01T00:00:00Z"),
        requirements: vec![requirement],
        levels: vec![level],
    };
    PlatformData { schema: "platform-data.v1".into(), registry: registry(), rules }
}
