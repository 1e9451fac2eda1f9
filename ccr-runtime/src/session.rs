//! Check-in: the room proves to the contract service what it is and gets its Admission.

use std::collections::BTreeMap;

use attestation::binding;
use schemas::bundle::JobBundle;
use schemas::certificate::MemberRoom;
use schemas::desk::CheckIn;
use schemas::evidence::{Evidence, Transcript};
use schemas::id::{Did, RunId};
use schemas::jwk::Jwk;
use schemas::release::{Admission, Attested, Challenge, ChallengeRequest, RunAct, RunRequest};
use schemas::{Code, Digest, Document, Envelope, R, Refusal, Signed, Signer, Timestamp, canonical};
use signing::FileKey;
use signing::book::PinnedBook;
use signing::jose::EncKey;

use crate::admit::Admitted;
use crate::group::lead::Gathered;
use crate::kms::Kms;
use crate::registry_word::verified;
use crate::room::Room;
use crate::secret::RunSecret;

/// An Admission is refreshed when it is older than this; services refuse it at 60 s.
const REFRESH_AFTER_SECONDS: f64 = 30.0;

/// A checked-in run.
pub struct Session {
    /// The run.
    pub run_id: RunId,
    /// Signs everything the run says.
    pub run_key: FileKey,
    /// Receives data keys.
    pub enc_key: EncKey,
    /// The secret behind both.
    pub secret: RunSecret,
    /// The newest Admission, verified.
    pub admission: Signed<Admission>,
    /// Keys of everyone in the bundle.
    pub book: PinnedBook,
    /// The key services of the job by base URL.
    pub services: BTreeMap<String, Kms>,
    /// How far the run got; decides what an abort says.
    pub steps_run: u32,
    /// SHA-256 of the evidence of every member room, in their order; empty where this room trains alone.
    pub members: Vec<Digest>,
    /// What each of them showed to be.
    pub member_rooms: Vec<MemberRoom>,
    /// The member rooms, until the training takes them.
    pub group: Option<Gathered>,
    /// Release receipts so far.
    pub released: Vec<Envelope<schemas::release::KmsReceipt>>,
}

/// Takes a challenge of the contract service, shows evidence for it, and verifies the Admission.
pub fn check_in(job: &Admitted, room: &Room) -> R<Session> {
    let ask = ChallengeRequest { run_id: None, job_sha256: job.opened.job.digest(), contracts: job.contract_refs() };
    let mut book = job.opened.book.clone();
    let challenge: Signed<Challenge> = verified(room.desk.run_challenge(&ask)?, &mut book, &room.desk)?;
    let run_id = challenge.run_id.clone();
    let secret = RunSecret::draw()?;
    let (run_key, enc_key) = (secret.run_key(&run_id)?, secret.enc_key()?);
    let transcript = transcript(job, &challenge, enc_key.jwk(), run_key.jwk(), None, &room.config.contract_service)?;
    let evidence = room.attester.attest(&transcript)?;
    let attested = Attested { transcript, evidence };
    let admission =
        room.desk.check_in(&CheckIn { attested, bundle: job.bundle.clone(), lease_token: room.lease_token.clone() })?;
    let admission = verified(admission, &mut book, &room.desk)?;
    let registry = &room.trust.registry;
    let services = job.kms()?.into_iter().map(|(url, provider)| {
        let kms = Kms::new(&url, &provider, registry, room.hook.clone())?;
        Ok((url, kms))
    });
    let services = services.collect::<R<BTreeMap<String, Kms>>>()?;
    let mut session = Session {
        run_id,
        run_key,
        enc_key,
        secret,
        admission,
        book,
        services,
        steps_run: 0,
        members: Vec::new(),
        member_rooms: Vec::new(),
        group: None,
        released: Vec::new(),
    };
    session.book.set_run(session.run_id.clone(), session.run_key.jwk().clone());
    session.admission_is_ours(job, room)?;
    Ok(session)
}

impl Session {
    /// Speaks of this run, and of a log that as many witnesses cosigned as the room's trust asks for.
    fn admission_is_ours(&self, job: &Admitted, room: &Room) -> R<()> {
        let a = &self.admission;
        let ours = a.run_id == self.run_id
            && a.job_sha256 == job.opened.job.digest()
            && &a.run_jwk == self.run_key.jwk()
            && &a.enc_jwk == self.enc_key.jwk();
        if !ours {
            return Err(Refusal::new(Code::AdmissionInvalid, "the Admission speaks of another run"));
        }
        signing::witnessed(self.book.trust(), a, &job.opened.contracts, room.now()).map(drop)
    }

    /// Fetches a fresh Admission when the one at hand grows old.
    pub fn fresh_admission(&mut self, job: &Admitted, room: &Room) -> R<()> {
        if room.now().seconds_since(self.admission.issued_at) < REFRESH_AFTER_SECONDS {
            return Ok(());
        }
        self.refresh_admission(job, room)
    }

    /// Fetches a fresh Admission.
    pub fn refresh_admission(&mut self, job: &Admitted, room: &Room) -> R<()> {
        let request = self.request(RunAct::RefreshAdmission {}, &room.config.contract_service, room)?;
        let answer = room.desk.refresh_admission(&self.run_id, &request)?;
        self.admission = verified(answer, &mut self.book, &room.desk)?;
        self.admission_is_ours(job, room)
    }

    /// The bundle as key services get it: with the lineage by which this room knows the log's key.
    pub fn bundle(&self, job: &Admitted) -> JobBundle {
        let mut bundle = job.bundle.clone();
        bundle.log_keys = self.book.trust().lineage.shown().cloned().or(bundle.log_keys);
        bundle
    }

    /// A request to a service, signed by the run key, usable once.
    pub fn request(&self, act: RunAct, aud: &str, room: &Room) -> R<Envelope<RunRequest>> {
        run_request(&self.run_id, &room.trust.registry, &self.run_key, act, aud, room.now())
    }

    /// Transcript and evidence for one challenge of a key service.
    pub fn attest(
        &self,
        job: &Admitted,
        challenge: &Signed<Challenge>,
        kms: &str,
        room: &Room,
    ) -> R<(Attested, Digest)> {
        let admission = Some(self.admission.digest());
        let mut transcript = transcript(job, challenge, self.enc_key.jwk(), self.run_key.jwk(), admission, kms)?;
        transcript.checkpoint = self.admission.checkpoint.clone();
        let sha256 = Digest::of(&canonical::to_bytes(&transcript)?);
        let evidence: Evidence = room.attester.attest(&transcript)?;
        Ok((Attested { transcript, evidence }, sha256))
    }
}

/// A request signed by a run key, with a fresh `jti`.
pub(crate) fn run_request(
    run_id: &RunId,
    registry: &Did,
    key: &FileKey,
    act: RunAct,
    aud: &str,
    now: Timestamp,
) -> R<Envelope<RunRequest>> {
    let request = RunRequest {
        schema: RunRequest::SCHEMA.into(),
        registry: registry.clone(),
        aud: aud.into(),
        run_id: run_id.clone(),
        jti: uuid::Uuid::new_v4().to_string(),
        issued_at: now,
        request: act,
    };
    signing::sign(&request, key, now)
}

fn transcript(
    job: &Admitted,
    challenge: &Signed<Challenge>,
    enc_jwk: &Jwk,
    run_jwk: &Jwk,
    admission_sha256: Option<Digest>,
    aud: &str,
) -> R<Transcript> {
    if challenge.aud != aud || challenge.job_sha256 != job.opened.job.digest() {
        return Err(Refusal::new(Code::TranscriptMismatch, "the challenge is for another service or job"));
    }
    let none = schemas::log::CheckpointRef { size: 0, root: Digest([0; 32]) };
    let transcript = Transcript {
        v: 1,
        aud: aud.into(),
        nonce: challenge.nonce.clone(),
        challenge_id: challenge.challenge_id.clone(),
        run_id: challenge.run_id.clone(),
        job_sha256: challenge.job_sha256,
        contracts: job.contract_refs(),
        image_set_id: job.opened.job.image_set_id.clone(),
        enc_jwk: enc_jwk.clone(),
        run_jwk: run_jwk.clone(),
        admission_sha256,
        checkpoint: challenge.checkpoint.clone().unwrap_or(none),
    };
    binding(&transcript)?;
    Ok(transcript)
}
