//! Is the room at the other end the one that it should be? Pure: what it shows, what was asked, a time.
//!
//! The transcript is the one of every audience. Its audience names the side that proves and the place in the group, its
//! key the one that the connection was made with: nobody in between can pass on what another room showed.

use std::collections::BTreeMap;

use attestation::{Expected, PlatformPolicy};
use schemas::certificate::MemberRoom;
use schemas::contract::ContractRef;
use schemas::evidence::{Appraisal, EvidenceKind, ImageSet, Transcript};
use schemas::id::{ChallengeId, ImageSetId, RunId};
use schemas::job::MOST_ROOMS;
use schemas::jwk::Jwk;
use schemas::log::CheckpointRef;
use schemas::release::Attested;
use schemas::text::Bytes;
use schemas::{Code, Digest, R, Refusal, Timestamp};
use serde::{Deserialize, Serialize};

/// How long a challenge is good, in seconds: as those of the services.
const CHALLENGE_SECONDS: i64 = 120;

/// Who proves itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// The room that leads.
    Leader,
    /// The room at that place.
    Member,
}

/// A connection's place in the group: that of its member.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// The member, from 1; the leader is 0.
    pub index: u32,
    /// Rooms of the group.
    pub rooms: u32,
}

impl Place {
    /// The audience of what one side shows the other.
    pub fn audience(&self, proves: Side) -> String {
        let side = match proves {
            Side::Leader => "leader-to-member",
            Side::Member => "member-to-leader",
        };
        format!("urn:depa:rooms:{side}:{}:of:{}", self.index, self.rooms)
    }

    /// Refuses a place that no group has ([`Code::GroupPlaceMismatch`]).
    pub fn check(&self) -> R<()> {
        let known = (2..=MOST_ROOMS).contains(&self.rooms) && (1..self.rooms).contains(&self.index);
        let sentence = "a group has 2 to 16 rooms, its members counted from 1";
        if known { Ok(()) } else { Err(Refusal::new(Code::GroupPlaceMismatch, sentence)) }
    }
}

/// What both sides speak of: the run and its job.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Occasion {
    /// The run.
    pub run_id: RunId,
    /// SHA-256 of the signed job.
    pub job_sha256: Digest,
    /// The contracts, sorted by id.
    pub contracts: Vec<ContractRef>,
    /// The image set that every room of the group is of.
    pub image_set_id: ImageSetId,
}

/// A fresh number that evidence must be about.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Challenge {
    /// Its name.
    pub id: ChallengeId,
    /// 32 random bytes.
    pub nonce: Bytes,
}

/// The transcript of one side for the other.
pub fn transcript(
    occasion: &Occasion,
    aud: String,
    challenge: &Challenge,
    enc_jwk: &Jwk,
    run_jwk: &Jwk,
    admission: Option<(Digest, CheckpointRef)>,
) -> Transcript {
    let (admission_sha256, checkpoint) = match admission {
        Some((sha256, checkpoint)) => (Some(sha256), checkpoint),
        None => (None, CheckpointRef { size: 0, root: Digest([0; 32]) }),
    };
    Transcript {
        v: 1,
        aud,
        nonce: challenge.nonce.clone(),
        challenge_id: challenge.id.clone(),
        run_id: occasion.run_id.clone(),
        job_sha256: occasion.job_sha256,
        contracts: occasion.contracts.clone(),
        image_set_id: occasion.image_set_id.clone(),
        enc_jwk: enc_jwk.clone(),
        run_jwk: run_jwk.clone(),
        admission_sha256,
        checkpoint,
    }
}

/// The challenges that one room gave in one run.
#[derive(Default)]
pub struct Challenges(BTreeMap<ChallengeId, Given>);

struct Given {
    nonce: Bytes,
    expires_at: Timestamp,
    used: bool,
}

impl Challenges {
    /// A challenge, from fresh bytes.
    pub fn give(&mut self, id: ChallengeId, nonce: [u8; 32], now: Timestamp) -> Challenge {
        let nonce = Bytes(nonce.to_vec());
        let expires_at = now.plus_seconds(CHALLENGE_SECONDS);
        self.0.insert(id.clone(), Given { nonce: nonce.clone(), expires_at, used: false });
        Challenge { id, nonce }
    }

    /// Uses up the challenge that a transcript names; returns until when it was good.
    fn take(&mut self, shown: &Transcript, now: Timestamp) -> R<Timestamp> {
        let refused = |code, sentence: &str| Err(Refusal::new(code, sentence).at("challenge_id"));
        match self.0.get_mut(&shown.challenge_id) {
            Some(given) if given.used => refused(Code::ChallengeUsed, "this challenge was answered before"),
            Some(given) if given.nonce == shown.nonce => {
                given.used = true;
                if now < given.expires_at {
                    Ok(given.expires_at)
                } else {
                    refused(Code::ChallengeExpired, "this challenge was answered too late")
                }
            }
            _ => refused(Code::ChallengeUnknown, "nobody here gave this challenge"),
        }
    }
}

/// What the job asks of every room of the group.
pub trait Terms {
    /// The run and its job.
    fn occasion(&self) -> &Occasion;
    /// The image set of the job.
    fn image_set(&self) -> &ImageSet;
    /// What counts as a platform: one policy per level that a contract names, at least one.
    fn policies(&self) -> R<Vec<PlatformPolicy>>;
    /// Whether the contracts accept evidence of this kind and strength.
    fn allow(&self, appraisal: &Appraisal) -> R<()>;
}

/// What one side asked of the other.
pub struct Asked<'a> {
    /// Who proves itself.
    pub side: Side,
    /// On this connection.
    pub place: Place,
    /// The key that it made the connection with.
    pub enc_jwk: &'a Jwk,
}

/// Judges what a room shows. The challenge is used up before anything else; then place, run, key and job, each with its
/// code, and last the evidence, under every level.
pub fn judge(
    shown: &Attested,
    asked: &Asked<'_>,
    challenges: &mut Challenges,
    terms: &dyn Terms,
    now: Timestamp,
) -> R<Appraisal> {
    let t = &shown.transcript;
    let expires_at = challenges.take(t, now)?;
    let occasion = terms.occasion();
    let refuse = |holds: bool, code, field: &str, sentence: &str| {
        if holds { Ok(()) } else { Err(Refusal::new(code, sentence).at(field)) }
    };
    let place = t.aud == asked.place.audience(asked.side);
    refuse(place, Code::GroupPlaceMismatch, "aud", "the evidence is for another place, side or group")?;
    let run = t.run_id == occasion.run_id;
    refuse(run, Code::GroupRunMismatch, "run_id", "the evidence is of another run")?;
    let key = t.enc_jwk == *asked.enc_jwk;
    refuse(key, Code::RunKeyMismatch, "enc_jwk", "the evidence is of another connection's key")?;
    let job = t.job_sha256 == occasion.job_sha256
        && t.contracts == occasion.contracts
        && t.image_set_id == occasion.image_set_id;
    refuse(job, Code::TranscriptMismatch, "job_sha256", "the evidence is of another job")?;

    let expected = Expected::from_transcript(t, terms.image_set())?.of_challenge(&t.nonce, expires_at);
    let mut strictest = None;
    for policy in terms.policies()? {
        let appraisal = attestation::appraise(&shown.evidence, &expected, &policy, now);
        accepted(&appraisal)?;
        strictest = Some(appraisal);
    }
    let appraisal = strictest.ok_or_else(|| Refusal::new(Code::Internal, "no platform level"))?;
    if !attestation::bound_to_transcript(&appraisal) {
        return Err(Refusal::new(Code::EvidenceRefused, "the evidence is not bound to the transcript"));
    }
    terms.allow(&appraisal)?;
    Ok(appraisal)
}

/// What a room showed to be, for the certificate.
pub fn seen(appraisal: &Appraisal) -> MemberRoom {
    let registers = appraisal.kind != EvidenceKind::Snp;
    MemberRoom {
        evidence: appraisal.kind,
        measurement: appraisal.measurement.clone(),
        pcr_sha256: registers.then_some(appraisal.pcr_sha256),
    }
}

/// What an image set says of a room's code.
const MEASURED: [&str; 4] = ["measurement", "pcr_values", "id_key_digest", "host_data"];

fn accepted(appraisal: &Appraisal) -> R<()> {
    let failed = appraisal.failed();
    let refused = |code, sentence: &str| Err(Refusal::new(code, sentence).at("evidence"));
    if appraisal.accepted {
        Ok(())
    } else if failed.contains(&"profile") {
        refused(Code::EvidenceNotAllowed, "evidence of this kind does not count here")
    } else if !failed.is_empty() && failed.iter().all(|name| MEASURED.contains(name)) {
        refused(Code::MeasurementNotAllowed, "a room of the group runs other code than the job's image set")
    } else {
        refused(Code::EvidenceRefused, "the evidence does not show an approved room")
    }
}
