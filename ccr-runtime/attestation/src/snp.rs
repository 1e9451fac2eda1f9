//! SEV-SNP evidence: the parsers, and the checks in the order of the checklist.

pub(crate) mod ak_certificate;
pub(crate) mod certificate;
pub(crate) mod chain;
pub(crate) mod crl;
pub(crate) mod hcl;
mod minimum;
pub(crate) mod quote;
pub(crate) mod report;
mod runtime;
mod verify;

use schemas::evidence::EvidenceKind;

use crate::appraise::Case;
use crate::checks::Checks;

/// Judges points 3 to 29 and gives the launch measurement, empty if the report could not be read.
///
/// 1. the envelope gives report and runtime data; 2. the report is read; 3. the chain is judged; 4. the platform;
/// 5. what the report binds; 6. the quote. A part that cannot be read leaves what rests on it unjudged, which refuses.
pub(crate) fn judge(case: &Case, checks: &mut Checks) -> Vec<u8> {
    // 1. Envelope.
    let blob = case.evidence.report.0.as_slice();
    let (report_bytes, var_data) = match case.evidence.kind {
        EvidenceKind::Snp => {
            checks.skip("hcl_form", "a bare report has no envelope");
            (Some(blob), None)
        }
        EvidenceKind::AzureSnp | EvidenceKind::Software => match hcl::Hcl::read(blob) {
            Ok(hcl) => {
                checks.judge("hcl_form", true, format!("envelope version {}", hcl.version));
                (Some(hcl.report), Some(hcl.var_data))
            }
            Err(reason) => {
                checks.judge("hcl_form", false, reason);
                (None, None)
            }
        },
    };

    // 2. Report.
    let report = report_bytes.and_then(|bytes| match report::Report::read(bytes) {
        Ok(report) => {
            checks.outcome("report_form", report.reserved_is_zero());
            Some(report)
        }
        Err(reason) => {
            checks.judge("report_form", false, reason);
            None
        }
    });

    // 3. Chain, also where the report could not be read.
    let chain = chain::judge(case, checks);

    // 4. and 5. Platform, and what the report binds.
    let mut ak = None;
    if let Some(report) = &report {
        verify::platform(case, report, chain.as_ref(), checks);
        ak = runtime::judge(case, report, var_data, checks);
        ak_certificate::judge(case, ak.as_ref(), checks);
    }

    // 6. Quote.
    quote::judge(case, ak.as_ref(), checks);
    report.map(|r| r.measurement.to_vec()).unwrap_or_default()
}
