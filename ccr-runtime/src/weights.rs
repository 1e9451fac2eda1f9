//! The weights that a training begins with: their key comes from the consumer's own key service, the file is opened and
//! compared with what the job names, all before any data key leaves and any charge stands.

use objects::{Direction, Location};
use schemas::release::ChallengeRequest;
use schemas::weights::{SealedWeights, WeightsRelease, WeightsRequest};
use schemas::{Code, Digest, R, Refusal, Signed};
use sealing::gate::Gated;
use sealing::{DatasetKey, Subject};
use zeroize::Zeroizing;

use crate::admit::Admitted;
use crate::config::Config;
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

/// The consumer alone names this address: in production it leads to no service beside the room, nor to its metadata.
fn may_be_called(url: &str, config: &Config) -> R<()> {
    Location::parse(url, &objects(config), Direction::Read).map(drop)
}

/// The key, wrapped to this run by the service and under the key that the job names.
fn key(job: &Admitted, session: &Session, sealed: &SealedWeights, room: &Room) -> R<DatasetKey> {
    let (url, tdc, pinned) = (&sealed.key.kms, &job.opened.job.tdc, &sealed.key.kms_jwk);
    signing::check::public_key(pinned)?;
    may_be_called(url, &room.config)?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Profile;

    /// Before a key is asked for: the address stands in the consumer's job, and whoever answers beside the room is no key
    /// service of the consumer's.
    #[test]
    fn in_production_no_service_beside_the_room_is_asked_for_the_key_of_weights() {
        let demo = crate::fetch::tests::config();
        let production = Config { profile: Profile::Production, ..demo.clone() };
        let code = |url: &str, config: &Config| may_be_called(url, config).err().map(|refusal| refusal.code);
        for here in ["http://127.0.0.1:8701", "http://localhost:8701", "https://127.0.0.1", "https://[::1]:8701"] {
            assert_eq!(code(here, &demo), None, "{here}");
            assert_eq!(code(here, &production), Some(Code::AddressRefused), "{here}");
        }
        for never in ["https://169.254.169.254/", "http://kms.lab.example", "https://user:pass@kms.lab.example"] {
            for config in [&demo, &production] {
                assert_eq!(code(never, config), Some(Code::AddressRefused), "{never}");
            }
        }
        assert_eq!(code("https://kms.lab.example", &production), None);
    }
}
