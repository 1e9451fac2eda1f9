//! The weights that a training begins with: their key comes from the consumer's own key service, the file is opened and
//! compared with what the job names, all before any data key leaves and any charge stands.

use objects::Location;
use schemas::release::ChallengeRequest;
use schemas::weights::{SealedWeights, WeightsRelease, WeightsRequest};
use schemas::{Code, Digest, R, Refusal, Signed};
use sealing::gate::Gated;
use sealing::{DatasetKey, Subject};
use zeroize::Zeroizing;

use crate::admit::Admitted;
use crate::fetch::{fetch, objects};
use crate::keys::{ask, through_gate};
use crate::kms::Kms;
use crate::room::{Progress, Room};
use crate::run::Tell;
use crate::second_gate::{Pass, SecondGate};
use crate::session::Session;

/// A file of weights in the clear; wiped when it is dropped.
pub type File = Zeroizing<Vec<u8>>;

/// Gets and opens the weights of a job; none where it begins with none.
pub fn open(job: &Admitted, session: &mut Session, room: &Room, tell: Tell<'_>) -> R<Option<File>> {
    let Some(weights) = &job.training.weights else { return Ok(None) };
    // The rules refuse a job without; nothing here relies on that.
    let unsealed = || Refusal::new(Code::WeightsUnsealed, "the job's weights lie nowhere sealed");
    let sealed = weights.sealed.as_ref().ok_or_else(unsealed)?;
    let container = fetch(&sealed.object.url, &room.config)?;
    SealedWeights::in_size(container.len() as u64)?;
    room.goes_on()?;
    session.fresh_admission(job, room)?;
    let key = key(job, session, sealed, room)?;
    let subject = Subject::Weights { id: sealed.weights_id.clone() };
    let file = sealing::open_with_recomputed_manifest(&container, &sealed.manifest_root, &key, &subject)?;
    weights.expect(&file)?;
    tell(Progress::Weights { kms: sealed.key.kms.clone() });
    Ok(Some(file))
}

/// The key, wrapped to this run by the service and under the key that the job names.
fn key(job: &Admitted, session: &Session, sealed: &SealedWeights, room: &Room) -> R<DatasetKey> {
    let (url, tdc, pinned) = (&sealed.key.kms, &job.opened.job.tdc, &sealed.key.kms_jwk);
    signing::check::public_key(pinned)?;
    // The consumer alone names this address: in production it leads to no service beside the room.
    Location::parse(url, &objects(&room.config))?;
    // For this exchange alone: what else the consumer's service may sign is no concern of the run.
    let mut book = session.book.clone();
    book.add_service(tdc, pinned.clone());
    let kms = Kms::new(url, tdc, &room.trust.registry, room.hook.clone())?;
    let by_pinned = |thumbprint: &str| {
        let fault = || Refusal::new(Code::PeerFault, format!("{url} answers by another key than the job names"));
        if thumbprint == pinned.thumbprint() { Ok(()) } else { Err(fault()) }
    };
    let ask_with = |gate: Option<&dyn SecondGate>| {
        let question: ChallengeRequest = ask(job, session);
        let challenge = kms.challenge(&question, &book)?;
        let (attested, transcript_sha256) = session.attest(job, &challenge, url, room)?;
        let transcript = attested.transcript.clone();
        let pass = gate.map(|gate| gate.pass(&transcript)).transpose()?;
        let request = WeightsRequest {
            attested,
            admission: session.admission.envelope().clone(),
            bundle: session.bundle(job),
            maa_token: pass.as_ref().map(|pass| pass.token.clone()),
        };
        let release: Signed<WeightsRelease> = kms.weights(&request, &book)?;
        release.signers().iter().try_for_each(|kid| by_pinned(&kid.thumbprint))?;
        if release.answers(&transcript, &transcript_sha256, sealed) {
            return Ok((release, transcript_sha256, pass));
        }
        Err(Refusal::new(Code::PeerFault, format!("{url} answered about other weights or another run")))
    };
    let (release, transcript_sha256, pass) = through_gate(room.second_gate.as_deref(), ask_with)?;
    unwrap(&release, session, &transcript_sha256, pass.as_ref())
}

fn unwrap(release: &WeightsRelease, session: &Session, bound: &Digest, pass: Option<&Pass>) -> R<DatasetKey> {
    let secret = signing::jose::unwrap_key(&release.jwe, &session.enc_key, &bound.0)?;
    let key = DatasetKey::from_slice(secret.as_slice())?;
    let Some(gated) = &release.gated else { return Ok(key) };
    let no_token =
        || Refusal::new(Code::PeerFault, "the key of the weights lies behind a gate, and no token was asked");
    Gated::unseal(gated, &key)?.open(&*pass.ok_or_else(no_token)?.transport)
}
