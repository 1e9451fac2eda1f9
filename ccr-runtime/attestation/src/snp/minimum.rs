//! Points 12 and 19: the firmware's versions and mitigation vectors against the level's requirements.

use schemas::platform::{Firmware, PlatformFlag, Product};

use crate::appraise::Case;
use crate::checks::Checks;
use crate::snp::report::Report;
use crate::snp::verify::INFO_SMT;
use crate::tcb::Tcb;

/// Judges the versions. For a product that the level does not take (which `product` refuses) there is no minimum.
pub(crate) fn judge(case: &Case, report: &Report, product: Option<Product>, checks: &mut Checks) {
    let level = case.policy.level();
    let Some(product) = product else {
        for name in ["tcb_minimum", "tcb_order", "firmware", "mitigation"] {
            checks.judge(name, false, "the product is unknown");
        }
        return;
    };
    let versions = Versions::of(report, product);
    checks.record.tcb = Some(versions.reported.to_string());
    checks.outcome("tcb_order", versions.order());
    checks.outcome("firmware", versions.firmware(case, report, product));
    if !level.rules.products.contains(&product) {
        let reason = format!("level {} does not take {}", level.name(), product.name());
        checks.skip("tcb_minimum", &reason);
        return checks.skip("mitigation", &reason);
    }
    checks.outcome("tcb_minimum", versions.minimum(case, report, product));
    mitigation(case, report, product, checks);
}

struct Versions {
    reported: Tcb,
    committed: Tcb,
    launch: Tcb,
    current: Tcb,
}

impl Versions {
    fn of(report: &Report, product: Product) -> Versions {
        let tcb = |raw| Tcb::read(raw, product);
        Versions {
            reported: tcb(report.reported_tcb),
            committed: tcb(report.committed_tcb),
            launch: tcb(report.launch_tcb),
            current: tcb(report.current_tcb),
        }
    }

    /// reported ≤ committed ≤ current, part by part.
    fn order(&self) -> Result<String, String> {
        if !self.committed.covers(&self.reported) {
            return Err(format!("the reported TCB {} is above the committed one {}", self.reported, self.committed));
        }
        if !self.current.covers(&self.committed) {
            return Err(format!("the committed TCB {} is above the current one {}", self.committed, self.current));
        }
        Ok("reported, committed and current do not fall".to_owned())
    }

    fn minimum(&self, case: &Case, report: &Report, product: Product) -> Result<String, String> {
        let level = case.policy.level();
        let smt = report.platform_info & INFO_SMT != 0;
        for requirement in level.asks(product, smt) {
            let Some(least) = requirement.tcb.map(Tcb::from) else { continue };
            for (name, found) in [("reported", self.reported), ("committed", self.committed), ("launch", self.launch)] {
                if !found.covers(&least) {
                    let why = format!("{} ({})", requirement.id, requirement.bulletin);
                    return Err(format!("{name} TCB {found} is below {least}, which {why} asks"));
                }
            }
        }
        Ok(format!("{} meets level {}", self.reported, level.name()))
    }

    /// The running firmware is the committed one, unless the level takes provisional firmware; both are new enough.
    fn firmware(&self, case: &Case, report: &Report, product: Product) -> Result<String, String> {
        let level = case.policy.level();
        let (current, committed) = (version(report.current_firmware), version(report.committed_firmware));
        if current < committed {
            return Err(format!("firmware {} runs below the committed {}", show(&current), show(&committed)));
        }
        let provisional = current != committed || self.current != self.committed;
        if provisional && !level.rules.provisional_firmware {
            return Err("the running firmware is provisional: not committed yet".to_owned());
        }
        let smt = report.platform_info & INFO_SMT != 0;
        for requirement in level.asks(product, smt) {
            let Some(least) = requirement.firmware else { continue };
            if committed < least {
                let (found, least) = (show(&committed), show(&least));
                return Err(format!("firmware {found} is below {least}, which {} asks", requirement.id));
            }
        }
        Ok(show(&committed))
    }
}

fn version(raw: [u8; 3]) -> Firmware {
    let [build, minor, major] = raw;
    Firmware { major, minor, build }
}

fn show(firmware: &Firmware) -> String {
    format!("{}.{}.{}", firmware.major, firmware.minor, firmware.build)
}

/// The vectors of version 5 hold every bit asked; earlier reports have none.
fn mitigation(case: &Case, report: &Report, product: Product, checks: &mut Checks) {
    let smt = report.platform_info & INFO_SMT != 0;
    let asked = case.policy.level().asks(product, smt).filter_map(|r| r.mitigation).fold(0, |all, bits| all | bits);
    if asked == 0 {
        return checks.skip("mitigation", "the level asks for no mitigation vector");
    }
    let (launch, current) = (report.launch_mitigation, report.current_mitigation);
    let holds = report.version >= 5 && launch & asked == asked && current & asked == asked;
    checks.judge("mitigation", holds, format!("launch {launch:#x}, current {current:#x}, asked {asked:#x}"));
}

/// The bit of a platform flag (AMD 56860, PLATFORM_INFO).
pub(crate) fn platform_bit(flag: PlatformFlag) -> u64 {
    match flag {
        PlatformFlag::Tsme => 1 << 1,
        PlatformFlag::Ecc => 1 << 2,
        PlatformFlag::RaplDisabled => 1 << 3,
        PlatformFlag::CiphertextHiding => 1 << 4,
        PlatformFlag::AliasCheckComplete => 1 << 5,
        PlatformFlag::IommuWriteSafe => 1 << 6,
    }
}
