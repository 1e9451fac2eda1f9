//! Bodies of the fuzz targets (`fuzz/`), which run as plain tests too. Each takes any bytes and must come back without
//! panic; what it asserts is what the readers promise.

use schemas::canonical;
use schemas::evidence::Evidence;

use crate::platform::PlatformTable;
use crate::snp::certificate::{Certificate, Outline};
use crate::snp::crl::Crl;
use crate::snp::hcl::Hcl;
use crate::snp::quote::Attest;
use crate::snp::report::{LENGTH, Report};
use crate::{Expected, Level, PlatformPolicy, Profile, appraise};

/// The envelope: report and runtime data lie inside, one behind the other.
pub fn hcl(bytes: &[u8]) {
    if let Ok(hcl) = Hcl::read(bytes) {
        assert_eq!(hcl.report.len(), LENGTH);
        assert!(LENGTH + hcl.var_data.len() <= bytes.len());
        let _ = canonical::parse_value(hcl.var_data);
        report(hcl.report);
    }
}

/// The report: read only in its one length, the signed part being its beginning.
pub fn report(bytes: &[u8]) {
    if let Ok(report) = Report::read(bytes) {
        assert_eq!(bytes.len(), LENGTH);
        assert!(bytes.starts_with(report.signed));
        let _ = (report.reserved_is_zero(), report.product());
    }
}

/// The quote: parts lie inside the message.
pub fn quote(bytes: &[u8]) {
    if let Ok(attest) = Attest::read(bytes) {
        let parts = attest.extra_data.len() + attest.pcr_digest.len();
        assert!(parts <= bytes.len() && attest.selection.len() <= 16);
    }
}

/// Certificates: read to the last byte, so a byte more is another thing.
pub fn certificate(bytes: &[u8]) {
    if Outline::read(bytes).is_some() {
        assert!(Outline::read(&[bytes, &[0]].concat()).is_none());
    }
    if let Some(certificate) = Certificate::read(bytes) {
        let _ = (certificate.facts(), certificate.common_name(), certificate.is_ca());
        let _ = crate::chain_of(bytes);
    }
}

/// Revocation lists.
pub fn crl(bytes: &[u8]) {
    if let Some(list) = Crl::read(bytes) {
        assert!(list.revoked.iter().map(|s| s.len()).sum::<usize>() < bytes.len());
    }
}

/// Platform data: what is read gives all its levels.
pub fn platform_data(bytes: &[u8]) {
    if let Ok(table) = PlatformTable::read(bytes) {
        assert!(table.version() > 0 && table.follows(&table).is_ok());
    }
}

/// Whole evidence as JSON: appraised without panic, and never accepted as ours.
pub fn evidence(bytes: &[u8]) {
    let Ok(evidence) = canonical::parse::<Evidence>(bytes) else { return };
    let Ok(level) = Level::named("baseline") else { return };
    let policy = PlatformPolicy::new(Profile::Production, level, Vec::new());
    let expected = Expected::recorded(vec![0xa5; 48], [0xa5; 64]);
    let appraisal = appraise(&evidence, &expected, &policy, schemas::Timestamp::from_seconds(1_800_000_000));
    assert!(!appraisal.accepted && appraisal.checks.len() == crate::CHECKS.len());
}
