//! What the evidence must say: made from a transcript, or, for recorded vectors, from what was recorded.

use openssl::hash::{MessageDigest, hash};
use schemas::evidence::{Evidence, EvidenceKind, ImageSet, Transcript};
use schemas::jwk::Curve;
use schemas::problem::{Code, R, Refusal};
use schemas::text::Bytes;
use schemas::{Digest, Timestamp, canonical};

use crate::guest::{self, GuestTranscript};
use crate::snp::quote::Attest;

/// B = SHA-384(JCS(transcript)): the quote's nonce and the first 48 bytes of the user data.
pub fn binding(transcript: &Transcript) -> R<[u8; 48]> {
    let bytes = canonical::to_bytes(transcript)?;
    let internal = || Refusal::new(Code::Internal, "SHA-384 is not available");
    let digest = hash(MessageDigest::sha384(), &bytes).map_err(|_| internal())?;
    digest.as_ref().try_into().map_err(|_| internal())
}

/// B followed by 16 zero bytes: the user data of the report.
pub fn user_data(binding: &[u8; 48]) -> [u8; 64] {
    let mut out = [0; 64];
    for (to, from) in out.iter_mut().zip(binding) {
        *to = *from;
    }
    out
}

/// PCR 8 after the job's digest was extended once into it: SHA-256(0^32 ‖ job).
pub fn job_pcr(job_sha256: &Digest) -> Digest {
    Digest::of_parts(&[&[0; 32], &job_sha256.0])
}

/// The nonce that a quote shows, unjudged: for saved evidence whose challenge nobody remembers. Empty without a quote.
pub fn shown_nonce(evidence: &Evidence) -> R<Vec<u8>> {
    let Some(quote) = &evidence.quote else { return Ok(Vec::new()) };
    let unreadable = |why| Refusal::new(Code::EvidenceForm, format!("the quote cannot be read: {why}"));
    Ok(Attest::read(&quote.message.0).map_err(unreadable)?.extra_data.to_vec())
}

/// The approved values of an image set, read once.
pub(crate) struct Approved {
    pub set: ImageSet,
    pub pcrs: Vec<(usize, Digest)>,
}

impl Approved {
    /// A set that measures by a vTPM names PCRs 4, 7, 9, 11 and 12, never 8 (the job's) nor 16 and 23 (resettable).
    fn read(set: &ImageSet) -> R<Approved> {
        let bad = |text: &str| Refusal::new(Code::ImageSetNotApproved, text).at("pcrs");
        let mut pcrs = Vec::new();
        for (index, value) in &set.pcrs {
            let at: usize = index.parse().map_err(|_| bad("PCRs are named by their index"))?;
            if at > 23 || at.to_string() != *index || matches!(at, 8 | 16 | 23) {
                return Err(bad("PCRs 0 to 22 but 8 and 16 may be required"));
            }
            pcrs.push((at, *value));
        }
        let measured = set.profile != EvidenceKind::Snp;
        let has = |at: &usize| pcrs.iter().any(|(index, _)| index == at);
        if measured && ![4, 7, 9, 11, 12].iter().all(has) {
            return Err(bad("PCRs 4, 7, 9, 11 and 12 must be required"));
        }
        if !measured && !pcrs.is_empty() {
            return Err(bad("a bare guest has no PCRs"));
        }
        Ok(Approved { set: set.clone(), pcrs })
    }
}

/// What the evidence must say. [`Expected::from_transcript`] is the only maker for services, and
/// [`Expected::from_guest`] for the KBS face of a key service.
pub struct Expected {
    pub(crate) nonce: Vec<u8>,
    pub(crate) user_data: [u8; 64],
    pub(crate) job_pcr: Option<Digest>,
    pub(crate) approved: Option<Approved>,
    pub(crate) recorded: bool,
    pub(crate) transcript_nonce: Vec<u8>,
    /// Nonce and end of the challenge that the service consumed.
    pub(crate) challenge: Option<(Vec<u8>, Timestamp)>,
}

impl Expected {
    /// What a room must show for this transcript, being of this image set. Never expects zero user data.
    ///
    /// The caller compares the transcript's members with what it knows (audience, challenge, run, job, contracts,
    /// Admission); here only its form and the image set are checked.
    pub fn from_transcript(transcript: &Transcript, image_set: &ImageSet) -> R<Expected> {
        let wrong = |field: &str, text: &str| Err(Refusal::new(Code::TranscriptMismatch, text).at(field));
        if transcript.v != 1 {
            return wrong("v", "transcripts have version 1");
        }
        if transcript.nonce.0.len() != 32 {
            return wrong("nonce", "the nonce of a challenge has 32 bytes");
        }
        if transcript.contracts.is_empty() || !transcript.contracts.is_sorted_by(|a, b| a.id < b.id) {
            return wrong("contracts", "contracts are sorted by id, each once, at least one");
        }
        if transcript.image_set_id != image_set.image_set_id {
            return wrong("image_set_id", "the transcript names another image set");
        }
        transcript.enc_jwk.point(Curve::X25519)?;
        transcript.run_jwk.point(Curve::Ed25519)?;
        let binding = binding(transcript)?;
        Ok(Expected {
            nonce: binding.to_vec(),
            user_data: user_data(&binding),
            job_pcr: Some(job_pcr(&transcript.job_sha256)),
            approved: Some(Approved::read(image_set)?),
            recorded: false,
            transcript_nonce: transcript.nonce.0.clone(),
            challenge: None,
        })
    }

    /// What a stock guest of the KBS protocol must show for what it says, having been started with this init-data. As a
    /// room's transcript it never expects zero user data.
    ///
    /// The caller has compared the nonce with its challenge's and tells it by [`Expected::of_challenge`].
    pub fn from_guest(transcript: &GuestTranscript, init_data: Option<&Digest>, image_set: &ImageSet) -> R<Expected> {
        let binding = transcript.binding()?;
        Ok(Expected {
            nonce: binding.to_vec(),
            user_data: user_data(&binding),
            job_pcr: Some(guest::init_data_pcr(init_data)),
            approved: Some(Approved::read(image_set)?),
            recorded: false,
            transcript_nonce: transcript.nonce_bytes(),
            challenge: None,
        })
    }

    /// What a recorded vector said. What is accepted under it is labelled `recorded` and opens no key.
    pub fn recorded(nonce: Vec<u8>, user_data: [u8; 64]) -> Expected {
        Expected {
            nonce,
            user_data,
            job_pcr: None,
            approved: None,
            recorded: true,
            transcript_nonce: Vec::new(),
            challenge: None,
        }
    }

    /// Says which challenge the service consumed, before this appraisal and for good: its nonce must be the transcript's,
    /// and it must not have ended.
    pub fn of_challenge(mut self, nonce: &Bytes, expires_at: Timestamp) -> Expected {
        self.challenge = Some((nonce.0.clone(), expires_at));
        self
    }

    /// Also compares with an image set; for recorded vectors, which come without one.
    pub fn with_image_set(mut self, image_set: &ImageSet) -> R<Expected> {
        self.approved = Some(Approved::read(image_set)?);
        Ok(self)
    }
}
