//! The names of all checks, and the record of how each ended.

use schemas::evidence::{AppraisalRecord, Check, Verdict};

/// Every check by name, in the order of the relying party's checklist. An appraisal reports all of them, always.
pub const CHECKS: &[&str] = &[
    "size",
    "profile",
    "image_set",
    "hcl_form",
    "report_form",
    "report_version",
    "product",
    "chain_form",
    "chain_root",
    "chain_signatures",
    "chain_validity",
    "poison",
    "vcek_form",
    "crl",
    "signature",
    "tcb_matches_vcek",
    "hwid",
    "chip_list",
    "tcb_minimum",
    "tcb_order",
    "firmware",
    "vmpl",
    "guest_policy",
    "platform_info",
    "migration_agent",
    "id_key_digest",
    "guest_svn",
    "guest_ids",
    "measurement",
    "host_data",
    "mitigation",
    "report_data",
    "ak_form",
    "vm_configuration",
    "user_data",
    "ak_certificate",
    "quote_form",
    "quote_signature",
    "quote_nonce",
    "pcr_selection",
    "pcr_digest",
    "pcr_values",
    "job_pcr",
    "clock",
    "nonce",
    "transcript",
    "record",
];

/// The checks of each point of the relying party's checklist (`README.md`), in its order.
pub const POINTS: [(u8, &[&str]); 32] = [
    (1, &["size"]),
    (2, &["profile", "image_set"]),
    (3, &["hcl_form", "report_form"]),
    (4, &["report_version"]),
    (5, &["product"]),
    (6, &["chain_form", "chain_root", "chain_signatures", "chain_validity", "poison"]),
    (7, &["vcek_form"]),
    (8, &["crl"]),
    (9, &["signature"]),
    (10, &["tcb_matches_vcek"]),
    (11, &["hwid", "chip_list"]),
    (12, &["tcb_minimum", "tcb_order", "firmware"]),
    (13, &["vmpl"]),
    (14, &["guest_policy"]),
    (15, &["platform_info"]),
    (16, &["migration_agent"]),
    (17, &["id_key_digest", "guest_svn", "guest_ids"]),
    (18, &["measurement", "host_data"]),
    (19, &["mitigation"]),
    (20, &["report_data"]),
    (21, &["ak_form"]),
    (22, &["vm_configuration"]),
    (23, &["user_data"]),
    (24, &["ak_certificate"]),
    (25, &["quote_form", "quote_signature"]),
    (26, &["quote_nonce"]),
    (27, &["pcr_selection", "pcr_digest"]),
    (28, &["pcr_values", "job_pcr"]),
    (29, &["clock"]),
    (30, &["nonce"]),
    (31, &["transcript"]),
    (32, &["record"]),
];

/// Collects verdicts. A check that nobody judged counts against the evidence.
#[derive(Default)]
pub(crate) struct Checks {
    found: Vec<Check>,
    /// What the relying party keeps beside the verdicts.
    pub record: AppraisalRecord,
}

impl Checks {
    /// Records a verdict on a condition. The first verdict on a name stays unless a later one fails.
    pub fn judge(&mut self, name: &'static str, holds: bool, detail: impl Into<String>) {
        self.note(name, if holds { Verdict::Pass } else { Verdict::Fail }, detail.into());
    }

    /// Records the end of a check that found a reason, or none, to fail.
    pub fn outcome(&mut self, name: &'static str, outcome: Result<String, String>) {
        match outcome {
            Ok(detail) => self.note(name, Verdict::Pass, detail),
            Err(detail) => self.note(name, Verdict::Fail, detail),
        }
    }

    /// Records that a check does not apply; this does not count against the evidence.
    pub fn skip(&mut self, name: &'static str, reason: &str) {
        self.note(name, Verdict::NotEvaluated, reason.to_owned());
    }

    fn note(&mut self, name: &'static str, verdict: Verdict, detail: String) {
        debug_assert!(CHECKS.contains(&name), "{name}");
        match self.found.iter_mut().find(|c| c.name == name) {
            Some(old) if verdict == Verdict::Fail => *old = Check { name: name.to_owned(), verdict, detail },
            Some(_) => {}
            None => self.found.push(Check { name: name.to_owned(), verdict, detail }),
        }
    }

    /// All checks in order, and whether the evidence is accepted: nothing failed and nothing was left unjudged.
    pub fn finish(mut self) -> (bool, Vec<Check>, AppraisalRecord) {
        let mut accepted = true;
        let mut all = Vec::with_capacity(CHECKS.len());
        for name in CHECKS {
            let check = match self.found.iter().position(|c| c.name == *name) {
                Some(at) => self.found.swap_remove(at),
                None => {
                    accepted = false;
                    let detail = "an earlier part could not be read".to_owned();
                    Check { name: (*name).to_owned(), verdict: Verdict::NotEvaluated, detail }
                }
            };
            accepted &= check.verdict != Verdict::Fail;
            all.push(check);
        }
        // A verdict under a name outside the list must never be lost.
        accepted &= self.found.is_empty();
        (accepted, all, self.record)
    }
}
