//! Points 4, 5 and 9 to 19 of the checklist: what the report says of the platform, against chain, level and image set.

use schemas::evidence::EvidenceKind;

use crate::appraise::Case;
use crate::checks::Checks;
use crate::policy::{Product, Tcb};
use crate::raw;
use crate::snp::chain::Chain;
use crate::snp::report::Report;

// Guest policy bits (AMD 56860, GUEST_POLICY).
const POLICY_SMT: u64 = 1 << 16;
const POLICY_ALWAYS_ONE: u64 = 1 << 17;
const POLICY_MIGRATE_MA: u64 = 1 << 18;
const POLICY_DEBUG: u64 = 1 << 19;
const POLICY_CXL: u64 = 1 << 21;
const POLICY_KNOWN: u64 = (1 << 26) - 1;

// Platform information bits (AMD 56860, PLATFORM_INFO); bit 6 as reported.
const INFO_SMT: u64 = 1;
const INFO_CIPHERTEXT_HIDING: u64 = 1 << 4;
const INFO_ALIAS_CHECK: u64 = 1 << 5;
const INFO_KNOWN: u64 = (1 << 8) - 1;

// Key information bits (AMD 56860): 1 MASK_CHIP_KEY, 4:2 signing key, 0 being the VCEK.
const KEY_MASK_CHIP: u32 = 1 << 1;
const KEY_SIGNING: u32 = 0b111 << 2;

/// Judges the platform. Without a readable chain everything that rests on it stays unjudged.
pub(crate) fn platform(case: &Case, report: &Report, chain: Option<&Chain>, checks: &mut Checks) {
    let level = case.policy.level();
    checks.judge(
        "report_version",
        level.report_versions.contains(&report.version),
        format!("version {}", report.version),
    );
    let by_chain = chain.and_then(|c| c.product);
    let product = report.product().or(if report.version == 2 { by_chain } else { None });
    if let Some(chain) = chain {
        checks.outcome("product", agreed_product(product, by_chain));
        checks.outcome("signature", signature(report, chain));
        checks.outcome("hwid", hwid(report, chain, product));
        if let Some(product) = product {
            checks.outcome("tcb_matches_vcek", tcb_matches_vcek(report, chain, product));
        }
    }
    match product {
        Some(product) => checks.outcome("tcb_minimum", tcb_minimum(case, report, product)),
        None => checks.judge("tcb_minimum", false, "the product is unknown"),
    }
    checks.judge("vmpl", report.vmpl == 0, format!("VMPL {}", report.vmpl));
    checks.outcome("guest_policy", guest_policy(case, report));
    checks.outcome("platform_info", platform_info(case, report));
    checks.judge("migration_agent", report.report_id_ma.iter().all(|b| *b == 0xff), "no migration agent is expected");
    checks.skip("crl", "no revocation list was given");
    checks.skip("mitigation", "the level names no mitigation vectors");
    identity(case, report, checks);
}

fn agreed_product(report: Option<Product>, chain: Option<Product>) -> Result<String, String> {
    match (report, chain) {
        (Some(a), Some(b)) if a == b => Ok(a.name().to_owned()),
        (Some(a), Some(b)) => Err(format!("the report is of {}, the chain of {}", a.name(), b.name())),
        (None, _) => Err("the report's CPUID is of no known product".to_owned()),
        (_, None) => Err("the chain is of no known product".to_owned()),
    }
}

fn signature(report: &Report, chain: &Chain) -> Result<String, String> {
    if report.sig_algo != 1 {
        return Err(format!("signature algorithm {}", report.sig_algo));
    }
    if report.key_info & KEY_SIGNING != 0 {
        return Err("the report was not signed by a VCEK".to_owned());
    }
    if !raw::ecdsa_sha384(&chain.vcek_key, report.signed, report.r, report.s) {
        return Err("the VCEK did not sign this report".to_owned());
    }
    Ok("ECDSA P-384 with SHA-384 by the VCEK".to_owned())
}

fn tcb_matches_vcek(report: &Report, chain: &Chain, product: Product) -> Result<String, String> {
    let reported = Tcb::read(report.reported_tcb, product);
    let certified = chain.vcek.tcb;
    let fmc_ok = chain.vcek.has_fmc == (product == Product::Turin);
    if reported != certified || !fmc_ok {
        return Err(format!("reported {}, certified {}", show(&reported), show(&certified)));
    }
    Ok(show(&reported))
}

fn hwid(report: &Report, chain: &Chain, product: Option<Product>) -> Result<String, String> {
    let len = if product == Some(Product::Turin) { 8 } else { 64 };
    let (id, rest) = report.chip_id.split_at_checked(len).unwrap_or((&[], &[]));
    if id.iter().all(|b| *b == 0) || report.key_info & KEY_MASK_CHIP != 0 {
        return Err("the chip's id is masked".to_owned());
    }
    if id != chain.vcek.hwid || rest.iter().any(|b| *b != 0) {
        return Err("the VCEK is of another chip".to_owned());
    }
    Ok(format!("chip {}…", hex::encode(id.get(..4).unwrap_or_default())))
}

fn tcb_minimum(case: &Case, report: &Report, product: Product) -> Result<String, String> {
    let level = case.policy.level();
    let Some(minimum) = level.minimums.iter().find(|m| m.product == product) else {
        return Err(format!("level {} has no minimum for {}", level.name, product.name()));
    };
    let tcb = |raw| Tcb::read(raw, product);
    let (reported, committed) = (tcb(report.reported_tcb), tcb(report.committed_tcb));
    let (launch, current) = (tcb(report.launch_tcb), tcb(report.current_tcb));
    let smt = report.platform_info & INFO_SMT != 0;
    let mut least = minimum.tcb;
    if smt {
        least.ucode = least.ucode.max(minimum.ucode_with_smt);
    }
    for (name, found) in [("reported", &reported), ("committed", &committed), ("launch", &launch)] {
        if !found.covers(&least) {
            return Err(format!("{name} TCB {} is below {} of level {}", show(found), show(&least), level.name));
        }
    }
    if !committed.covers(&reported) {
        return Err("the reported TCB is above the committed one".to_owned());
    }
    if current != committed || report.current_firmware != report.committed_firmware {
        return Err("the running firmware is not the committed one".to_owned());
    }
    Ok(format!("{} meets level {}", show(&reported), level.name))
}

fn guest_policy(case: &Case, report: &Report) -> Result<String, String> {
    let policy = report.policy;
    let fault = if policy & POLICY_DEBUG != 0 {
        "debugging is allowed"
    } else if policy & POLICY_MIGRATE_MA != 0 {
        "a migration agent is allowed"
    } else if policy & POLICY_CXL != 0 {
        "CXL memory is allowed"
    } else if policy & POLICY_SMT != 0 && !case.policy.level().smt {
        "SMT is allowed"
    } else if policy & POLICY_ALWAYS_ONE == 0 || policy & !POLICY_KNOWN != 0 {
        "reserved bits are wrong"
    } else {
        return Ok(format!("{policy:#x}"));
    };
    Err(format!("{policy:#x}: {fault}"))
}

fn platform_info(case: &Case, report: &Report) -> Result<String, String> {
    let info = report.platform_info;
    let level = case.policy.level();
    let fault = if info & !INFO_KNOWN != 0 {
        "unknown bits are set"
    } else if info & INFO_ALIAS_CHECK == 0 {
        "the alias check was not completed"
    } else if level.ciphertext_hiding && info & INFO_CIPHERTEXT_HIDING == 0 {
        "ciphertext hiding is off"
    } else if !level.smt && info & INFO_SMT != 0 {
        "SMT is on"
    } else {
        return Ok(format!("{info:#x}"));
    };
    Err(format!("{info:#x}: {fault}"))
}

/// Points 17 and 18: the approved paravisor, or the approved bare guest. An empty list denies.
fn identity(case: &Case, report: &Report, checks: &mut Checks) {
    let Some(approved) = &case.expected.approved else { return };
    let set = &approved.set;
    let measured = set.measurements.iter().any(|m| m.0 == report.measurement);
    checks.judge("measurement", measured, hex::encode(report.measurement));
    let known_key = set.id_key_digests.iter().any(|d| d.0 == report.id_key_digest);
    let detail = format!("guest SVN {}, {}", report.guest_svn, hex::encode(report.id_key_digest));
    checks.judge("id_key_digest", known_key, detail);
    match (case.evidence.kind, &set.host_data) {
        (EvidenceKind::Snp, Some(host)) => {
            checks.judge("host_data", report.host_data == host.0, hex::encode(report.host_data))
        }
        (EvidenceKind::Snp, None) => checks.skip("host_data", "the image set asks for none"),
        _ => checks.skip("host_data", "a confidential VM of this kind is known by its PCRs"),
    }
}

fn show(tcb: &Tcb) -> String {
    format!("{}/{}/{}/{}/{}", tcb.fmc, tcb.bl, tcb.tee, tcb.snp, tcb.ucode)
}
