//! Points 4, 5, 9 to 11 and 13 to 18 of the checklist: what the report says of the platform, against chain, level and image set.

use schemas::Digest;
use schemas::evidence::EvidenceKind;
use schemas::platform::{GuestFlag, Product};

use crate::appraise::Case;
use crate::checks::Checks;
use crate::raw;
use crate::snp::certificate::KeyKind;
use crate::snp::chain::Chain;
use crate::snp::minimum::{self, platform_bit};
use crate::snp::report::Report;
use crate::tcb::Tcb;

// Guest policy bits (AMD 56860, GUEST_POLICY).
const POLICY_SMT: u64 = 1 << 16;
const POLICY_ALWAYS_ONE: u64 = 1 << 17;
const POLICY_MIGRATE_MA: u64 = 1 << 18;
const POLICY_DEBUG: u64 = 1 << 19;
const POLICY_CXL: u64 = 1 << 21;
const POLICY_KNOWN: u64 = (1 << 26) - 1;

// Platform information bits (AMD 56860, PLATFORM_INFO); bit 6 as reported.
pub(crate) const INFO_SMT: u64 = 1;
const INFO_ALIAS_CHECK: u64 = 1 << 5;
const INFO_KNOWN: u64 = (1 << 8) - 1;

// Key information bits (AMD 56860): 1 MASK_CHIP_KEY, 4:2 signing key, 0 being the VCEK and 1 the VLEK.
const KEY_MASK_CHIP: u32 = 1 << 1;
const KEY_SIGNING: u32 = 0b111 << 2;
const KEY_VLEK: u32 = 1 << 2;

/// Judges the platform. Without a readable chain everything that rests on it stays unjudged.
pub(crate) fn platform(case: &Case, report: &Report, chain: Option<&Chain>, checks: &mut Checks) {
    let rules = &case.policy.level().rules;
    let known_version = rules.report_versions.contains(&report.version);
    checks.judge("report_version", known_version, format!("version {}", report.version));
    let by_chain = chain.and_then(|c| c.product);
    let product = report.product().or(if report.version == 2 { by_chain } else { None });
    checks.record.product = product.map(|p| p.name().to_owned());
    checks.record.guest_svn = Some(report.guest_svn);
    if let Some(chain) = chain {
        checks.outcome("product", agreed_product(case, product, by_chain));
        checks.outcome("signature", signature(report, chain));
        match chain.leaf.kind {
            KeyKind::Vcek => checks.outcome("hwid", hwid(report, chain, product)),
            KeyKind::Vlek => checks.skip("hwid", "a VLEK names no chip"),
        }
        if let Some(product) = product {
            checks.outcome("tcb_matches_vcek", tcb_matches_vcek(report, chain, product));
        }
    }
    chip_list(case, report, product, checks);
    minimum::judge(case, report, product, checks);
    checks.judge("vmpl", report.vmpl == 0, format!("VMPL {}", report.vmpl));
    checks.outcome("guest_policy", guest_policy(case, report, product));
    checks.outcome("platform_info", platform_info(case, report, product));
    checks.judge("migration_agent", report.report_id_ma.iter().all(|b| *b == 0xff), "no migration agent is expected");
    guest(case, report, checks);
    identity(case, report, checks);
}

fn agreed_product(case: &Case, report: Option<Product>, chain: Option<Product>) -> Result<String, String> {
    let level = case.policy.level();
    match (report, chain) {
        (Some(a), Some(b)) if a != b => Err(format!("the report is of {}, the chain of {}", a.name(), b.name())),
        (Some(a), Some(_)) if !level.rules.products.contains(&a) => {
            Err(format!("level {} does not take {}", level.name(), a.name()))
        }
        (Some(a), Some(_)) => Ok(a.name().to_owned()),
        (None, _) => Err("the report's CPUID is of no known product".to_owned()),
        (_, None) => Err("the chain is of no known product".to_owned()),
    }
}

fn signature(report: &Report, chain: &Chain) -> Result<String, String> {
    if report.sig_algo != 1 {
        return Err(format!("signature algorithm {}", report.sig_algo));
    }
    let kind = chain.leaf.kind;
    let signing = if kind == KeyKind::Vcek { 0 } else { KEY_VLEK };
    if report.key_info & KEY_SIGNING != signing {
        return Err(format!("the report was not signed by a {}", kind.subject()));
    }
    if !raw::ecdsa_sha384(&chain.leaf_key, report.signed, report.r, report.s) {
        return Err(format!("the {} did not sign this report", kind.subject()));
    }
    Ok(format!("ECDSA P-384 with SHA-384 by the {}", kind.subject()))
}

fn tcb_matches_vcek(report: &Report, chain: &Chain, product: Product) -> Result<String, String> {
    let reported = Tcb::read(report.reported_tcb, product);
    let certified = chain.leaf.tcb;
    let fmc_ok = chain.leaf.has_fmc == (product == Product::Turin);
    if reported != certified || !fmc_ok {
        return Err(format!("reported {reported}, certified {certified}"));
    }
    Ok(reported.to_string())
}

/// The chip's id without the zeros behind it, which are checked: 64 bytes, on Turin 8.
fn chip_id<'a>(report: &Report<'a>, product: Option<Product>) -> Result<&'a [u8], String> {
    let len = if product == Some(Product::Turin) { 8 } else { 64 };
    let (id, rest) = report.chip_id.split_at_checked(len).unwrap_or((&[], &[]));
    if id.iter().all(|b| *b == 0) || report.key_info & KEY_MASK_CHIP != 0 {
        return Err("the chip's id is masked".to_owned());
    }
    if rest.iter().any(|b| *b != 0) {
        return Err("bytes follow the chip's id".to_owned());
    }
    Ok(id)
}

fn hwid(report: &Report, chain: &Chain, product: Option<Product>) -> Result<String, String> {
    let id = chip_id(report, product)?;
    if Some(id) != chain.leaf.hwid.as_deref() {
        return Err("the VCEK is of another chip".to_owned());
    }
    Ok(format!("chip {}…", hex::encode(id.get(..4).unwrap_or_default())))
}

/// Chips that the policy names. A masked chip is on no list, so a list of allowed ones refuses it.
fn chip_list(case: &Case, report: &Report, product: Option<Product>, checks: &mut Checks) {
    let id = chip_id(report, product).ok().map(Digest::of);
    checks.record.chip_id_sha256 = id;
    let policy = case.policy;
    if policy.chips_allowed.is_none() && policy.chips_denied.is_empty() {
        return checks.skip("chip_list", "the policy lists no chips");
    }
    let denied = id.is_none_or(|id| policy.chips_denied.contains(&id));
    let allowed = policy.chips_allowed.as_ref().is_none_or(|list| id.is_some_and(|id| list.contains(&id)));
    let shown = id.map_or_else(|| "masked".to_owned(), |id| id.to_string());
    checks.judge("chip_list", allowed && !denied, format!("chip id {shown} (SHA-256)"));
}

fn guest_policy(case: &Case, report: &Report, product: Option<Product>) -> Result<String, String> {
    let policy = report.policy;
    let level = case.policy.level();
    let smt = report.platform_info & INFO_SMT != 0;
    let asked = product.iter().flat_map(|p| level.asks(*p, smt)).flat_map(|r| &r.guest_policy);
    let missing = asked.filter(|flag| policy & guest_bit(**flag) == 0).count() > 0;
    let fault = if policy & POLICY_DEBUG != 0 {
        "debugging is allowed"
    } else if policy & POLICY_MIGRATE_MA != 0 {
        "a migration agent is allowed"
    } else if policy & POLICY_CXL != 0 {
        "CXL memory is allowed"
    } else if policy & POLICY_SMT != 0 && !level.rules.smt {
        "SMT is allowed"
    } else if policy & POLICY_ALWAYS_ONE == 0 || policy & !POLICY_KNOWN != 0 {
        "reserved bits are wrong"
    } else if missing {
        "a protection that the level asks for is not enforced"
    } else {
        return Ok(format!("{policy:#x}"));
    };
    Err(format!("{policy:#x}: {fault}"))
}

fn guest_bit(flag: GuestFlag) -> u64 {
    match flag {
        GuestFlag::MemAes256Xts => 1 << 22,
        GuestFlag::RaplDisabled => 1 << 23,
        GuestFlag::CiphertextHiding => 1 << 24,
        GuestFlag::PageSwapDisable => 1 << 25,
    }
}

fn platform_info(case: &Case, report: &Report, product: Option<Product>) -> Result<String, String> {
    let info = report.platform_info;
    let level = case.policy.level();
    let smt = info & INFO_SMT != 0;
    let asked = product.iter().flat_map(|p| level.asks(*p, smt)).flat_map(|r| &r.platform_info);
    let missing = asked.filter(|flag| info & platform_bit(**flag) == 0).count() > 0;
    let fault = if info & !INFO_KNOWN != 0 && !level.rules.unknown_platform_bits {
        "unknown bits are set"
    } else if info & INFO_ALIAS_CHECK == 0 {
        "the alias check was not completed"
    } else if missing {
        "a protection that the level asks for is off"
    } else if !level.rules.smt && smt {
        "SMT is on"
    } else {
        return Ok(format!("{info:#x}"));
    };
    Err(format!("{info:#x}: {fault}"))
}

/// Point 17 by policy: version and ids of the guest.
fn guest(case: &Case, report: &Report, checks: &mut Checks) {
    let rules = &case.policy.guest;
    if rules.min_svn == 0 {
        checks.skip("guest_svn", "the policy asks for no version");
    } else {
        let detail = format!("guest SVN {}, asked {}", report.guest_svn, rules.min_svn);
        checks.judge("guest_svn", report.guest_svn >= rules.min_svn, detail);
    }
    if rules.family_ids.is_none() && rules.image_ids.is_none() {
        return checks.skip("guest_ids", "the policy asks for no family and image");
    }
    let listed = |list: &Option<Vec<[u8; 16]>>, id: &[u8]| list.as_ref().is_none_or(|l| l.iter().any(|i| i == id));
    let holds = listed(&rules.family_ids, report.family_id) && listed(&rules.image_ids, report.image_id);
    let detail = format!("family {}, image {}", hex::encode(report.family_id), hex::encode(report.image_id));
    checks.judge("guest_ids", holds, detail);
}

/// Points 17 and 18: the approved paravisor, or the approved bare guest. An empty list denies.
fn identity(case: &Case, report: &Report, checks: &mut Checks) {
    let Some(approved) = &case.expected.approved else { return };
    let set = &approved.set;
    let measured = set.measurements.iter().any(|m| m.0 == report.measurement);
    checks.judge("measurement", measured, hex::encode(report.measurement));
    let known_key = set.id_key_digests.iter().any(|d| d.0 == report.id_key_digest);
    checks.judge("id_key_digest", known_key, hex::encode(report.id_key_digest));
    match (case.evidence.kind, &set.host_data) {
        (EvidenceKind::Snp, Some(host)) => {
            checks.judge("host_data", report.host_data == host.0, hex::encode(report.host_data))
        }
        (EvidenceKind::Snp, None) => checks.skip("host_data", "the image set asks for none"),
        _ => checks.skip("host_data", "a confidential VM of this kind is known by its PCRs"),
    }
}
