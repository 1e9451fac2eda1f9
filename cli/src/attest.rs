//! Saved evidence, appraised again by a person: the verdict of the same pure function that services use, labelled
//! `recorded`. It opens no key.

mod data;
mod saved;

use attestation::{Expected, PlatformPolicy, PlatformTable, Profile};
use schemas::evidence::{Appraisal, Check, Evidence, EvidenceKind, ImageSet, Verdict};
use schemas::{Code, Digest, R, Refusal, Timestamp};
use serde::Serialize;

pub use data::{pinned_table, sign_data};
pub use saved::{Saved, blocks, image_set, load};

/// What saved evidence is judged by.
#[derive(Clone, Debug, Default)]
pub struct Question {
    /// The platform level.
    pub level: String,
    /// The nonce expected; else what was saved beside the evidence, else what the quote itself shows.
    pub nonce: Option<Vec<u8>>,
    /// The user data expected, at most 64 bytes, zeros behind; else as with the nonce.
    pub user_data: Option<Vec<u8>>,
    /// An image set to compare with.
    pub image_set: Option<ImageSet>,
    /// Revocation lists (DER).
    pub crls: Vec<Vec<u8>>,
    /// Whether a revocation list of the root must be there.
    pub require_crl: bool,
    /// Roots (DER) for the vTPM's certificate.
    pub vtpm_roots: Vec<Vec<u8>>,
    /// Authorities (DER) below them.
    pub vtpm_authorities: Vec<Vec<u8>>,
    /// Whether a provider's VLEK counts.
    pub vlek: bool,
    /// SIMULATED: a software root to pin.
    pub software_root: Option<Digest>,
}

/// Where an expected value came from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// By the person who asks.
    Given,
    /// Saved beside the evidence.
    Saved,
    /// Shown by the evidence itself: nothing was compared.
    Evidence,
}

/// What was found.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// Always `recorded`: no key is opened on it.
    pub label: &'static str,
    /// Whether this is evidence of the software attester, for which nobody vouches.
    pub simulated: bool,
    /// Where the nonce came from.
    pub nonce: Source,
    /// Where the user data came from.
    pub user_data: Source,
    /// The version of the platform data.
    pub platform_data_version: u32,
    /// When it was judged.
    pub at: Timestamp,
    /// The appraisal with every check.
    pub appraisal: Appraisal,
}

/// Judges saved evidence at a time.
pub fn verify(saved: &Saved, question: &Question, table: &PlatformTable, now: Timestamp) -> R<Finding> {
    let level = table.level(&question.level)?;
    let (nonce, nonce_from) = nonce(saved, question)?;
    let (user_data, user_data_from) = user_data(saved, question)?;
    let mut expected = Expected::recorded(nonce, user_data);
    if let Some(set) = &question.image_set {
        expected = expected.with_image_set(set)?;
    }
    let (profile, roots) = match question.software_root {
        Some(root) => (Profile::Demo, vec![root]),
        None => (Profile::Production, Vec::new()),
    };
    let mut policy = PlatformPolicy::new(profile, level, roots)
        .with_crls(question.crls.clone(), question.require_crl)
        .with_vtpm_roots(question.vtpm_roots.clone(), question.vtpm_authorities.clone());
    if question.vlek {
        policy = policy.with_vlek();
    }
    Ok(Finding {
        label: "recorded",
        simulated: saved.evidence.kind == EvidenceKind::Software,
        nonce: nonce_from,
        user_data: user_data_from,
        platform_data_version: table.version(),
        at: now,
        appraisal: attestation::appraise(&saved.evidence, &expected, &policy, now),
    })
}

fn nonce(saved: &Saved, question: &Question) -> R<(Vec<u8>, Source)> {
    Ok(match (&question.nonce, &saved.nonce) {
        (Some(given), _) => (given.clone(), Source::Given),
        (None, Some(saved)) => (saved.clone(), Source::Saved),
        // An unreadable quote is for the appraisal to name.
        (None, None) => (attestation::shown_nonce(&saved.evidence).unwrap_or_default(), Source::Evidence),
    })
}

fn user_data(saved: &Saved, question: &Question) -> R<([u8; 64], Source)> {
    let (bytes, from) = match (&question.user_data, &saved.user_data) {
        (Some(given), _) => (given.clone(), Source::Given),
        (None, Some(saved)) => (saved.clone(), Source::Saved),
        (None, None) => (shown_user_data(&saved.evidence), Source::Evidence),
    };
    let mut padded = [0; 64];
    if bytes.len() > padded.len() {
        return Err(Refusal::new(Code::ConfigInvalid, "user data has at most 64 bytes"));
    }
    padded.iter_mut().zip(&bytes).for_each(|(to, from)| *to = *from);
    Ok((padded, from))
}

fn shown_user_data(evidence: &Evidence) -> Vec<u8> {
    attestation::shown(evidence.kind, &evidence.report.0).map(|s| s.user_data).unwrap_or_default()
}

impl Finding {
    /// One line per check, and before them what a person must know.
    pub fn text(&self) -> String {
        let mut lines = Vec::new();
        if self.simulated {
            lines.push("SIMULATED: software evidence, for which nobody vouches".to_owned());
        }
        let verdict = if self.appraisal.accepted { "accepted" } else { "REFUSED" };
        let level = self.appraisal.record.level.as_deref().unwrap_or_default();
        lines.push(format!(
            "{verdict} as recorded evidence at level {level} (platform data {}), at {}; it opens no key",
            self.platform_data_version, self.at
        ));
        for (what, from) in [("nonce", self.nonce), ("user data", self.user_data)] {
            if from == Source::Evidence {
                lines.push(format!("note: the {what} is what the evidence itself shows; nothing was compared"));
            }
        }
        lines.extend(self.appraisal.checks.iter().map(line));
        lines.join("\n")
    }
}

fn line(check: &Check) -> String {
    let verdict = match check.verdict {
        Verdict::Pass => "pass",
        Verdict::Fail => "FAIL",
        Verdict::NotEvaluated => "not evaluated",
    };
    format!("{verdict:<13}  {:<16}  {}", check.name, check.detail)
}
