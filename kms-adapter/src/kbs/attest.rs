//! Challenge and attestation: who is this guest?

use std::collections::BTreeMap;
use std::sync::Mutex;

use attestation::Expected;
use attestation::guest::{self, GuestTranscript};
use schemas::evidence::Appraisal;
use schemas::text::Bytes;
use schemas::{Code, R, Refusal, Timestamp};

use super::session::Guest;
use super::wire::{AttestAnswer, AttestRequest, AuthRequest, GuestChallenge, guest_key};
use super::{init_data, token};
use crate::kbs::papers::Brought;
use crate::kms::Kms;

impl Kms {
    /// A session's cookie and challenge.
    pub(crate) fn kbs_auth(&self, request: &AuthRequest) -> R<(String, GuestChallenge)> {
        let kind = request.kind(self.config.profile)?;
        let (challenge, session) = (self.config.challenge_seconds, self.config.kbs.session_seconds);
        let (cookie, nonce) = self.kbs.sessions.begin(kind, challenge, session, self.now())?;
        Ok((cookie, GuestChallenge::new(openssl::base64::encode_block(&nonce.0))))
    }

    /// Appraises a guest's evidence under the papers that lie here; one must take it. The nonce is used up first.
    pub(crate) fn kbs_attest(&self, cookie: &str, request: AttestRequest) -> R<AttestAnswer> {
        let now = self.now();
        let asked = self.kbs.sessions.consume(cookie, now)?;
        let runtime = request.runtime_data;
        if runtime.nonce != openssl::base64::encode_block(&asked.nonce.0) {
            let sentence = "the nonce is not this session's";
            return Err(Refusal::new(Code::TranscriptMismatch, sentence).at("runtime-data.nonce"));
        }
        if !matches!(request.tee_evidence.additional_evidence.as_str(), "" | "{}") {
            let sentence = "evidence of further devices is not judged here";
            return Err(Refusal::new(Code::EvidenceNotAllowed, sentence).at("tee-evidence.additional_evidence"));
        }
        let guest = Guest {
            key: guest_key(&runtime.tee_pubkey)?,
            init_data: request.init_data.as_ref().map(init_data::digest).transpose()?,
            evidence: guest::read(asked.kind, &request.tee_evidence.primary_evidence)?,
            transcript: GuestTranscript {
                tee_pubkey: runtime.tee_pubkey,
                nonce: runtime.nonce,
                additional_evidence: request.tee_evidence.additional_evidence,
            },
            nonce: asked.nonce,
            until: asked.until,
            fetched: Mutex::new(BTreeMap::new()),
        };
        let papers = self.kbs.papers.each();
        if papers.is_empty() {
            return Err(Refusal::new(Code::KbsPapersMissing, "nobody brought the papers of any contract"));
        }
        let mut taken = None;
        for brought in papers {
            let appraisal = self.appraise_guest(&guest, &brought, now)?;
            if appraisal.accepted {
                taken = Some(appraisal);
                break;
            }
        }
        let refused = || Refusal::new(Code::EvidenceRefused, "the evidence shows no guest that any contract approves");
        let appraisal = taken.ok_or_else(refused)?;
        let jti = Bytes(signing::signer::random::<16>()?.to_vec()).text();
        let claims = token::claims(&self.config.url, &jti, &guest, &appraisal, now);
        let token = signing::ear::sign(&claims, &self.signer)?;
        tracing::info!(kind = ?guest.evidence.kind, "a guest attested by the KBS face");
        self.kbs.sessions.attested(cookie, guest, jti)?;
        Ok(AttestAnswer { token })
    }

    /// Appraises a guest for the image set and levels of a job.
    pub(crate) fn appraise_guest(&self, guest: &Guest, papers: &Brought, now: Timestamp) -> R<Appraisal> {
        let expected = Expected::from_guest(&guest.transcript, guest.init_data.as_ref(), &papers.image_set)?
            .of_challenge(&guest.nonce, guest.until);
        self.appraise_as(&guest.evidence, &expected, &papers.levels, "a guest", now)
    }
}
