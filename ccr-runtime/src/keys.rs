//! Keys: reserve at every key service, then release; none or all.

use std::collections::BTreeMap;
use std::time::Duration;

use schemas::event::RunEventKind;
use schemas::id::{DatasetId, ReservationId};
use schemas::release::{ChallengeRequest, KmsReceipt, KmsStatement, Release, ReleaseRequest, ReserveRequest, RunAct};
use schemas::{Code, Digest, Envelope, R, Refusal, Signed};
use sealing::DatasetKey;
use sealing::gate::Gated;
use signing::verify_by;

use crate::admit::Admitted;
use crate::room::{Progress, Room};
use crate::run::Tell;
use crate::second_gate::{Pass, SecondGate};
use crate::session::Session;

/// Reservations of all key services, by base URL.
pub struct Reserved(BTreeMap<String, (ReservationId, Signed<KmsReceipt>)>);

/// The data keys of the run, by dataset and version. Wiped on drop.
pub struct Keys(BTreeMap<(DatasetId, u32), DatasetKey>);

impl Keys {
    /// The key of a dataset version.
    pub fn of(&self, dataset: &DatasetId, version: u32) -> R<&DatasetKey> {
        self.0
            .get(&(dataset.clone(), version))
            .ok_or_else(|| Refusal::new(Code::KeyUnknown, format!("no key was released for {dataset}")))
    }
}

/// Pause before an Admission is refreshed a second time. Clocks may differ by 5 s: two refreshes and one pause of this
/// length outlast that.
const PAUSE: Duration = Duration::from_secs(6);

/// Asks a key service, again with a fresh Admission where it calls the one at hand stale: it started after that was
/// issued. Each time under a new challenge; `ask` sees to that.
fn with_fresh<S, T>(
    session: &mut S,
    pause: Duration,
    refresh: impl Fn(&mut S) -> R<()>,
    ask: impl Fn(&S) -> R<T>,
) -> R<T> {
    let stale = |answer: &R<T>| matches!(answer, Err(refusal) if refusal.code == Code::AdmissionStale);
    let mut answer = ask(session);
    for wait in [Duration::ZERO, pause] {
        if !stale(&answer) {
            break;
        }
        std::thread::sleep(wait);
        refresh(session)?;
        answer = ask(session);
    }
    answer
}

/// Asks without a pass, and with one where the key service says that it stands behind a second gate: a token names the
/// machine, so it goes nowhere else.
pub(crate) fn through_gate<T>(
    gate: Option<&dyn SecondGate>,
    mut ask: impl FnMut(Option<&dyn SecondGate>) -> R<T>,
) -> R<T> {
    match (ask(None), gate) {
        (Err(refusal), Some(gate)) if refusal.code == Code::MaaTokenMissing => ask(Some(gate)),
        (answer, _) => answer,
    }
}

pub(crate) fn ask(job: &Admitted, session: &Session) -> ChallengeRequest {
    ChallengeRequest {
        run_id: Some(session.run_id.clone()),
        job_sha256: job.opened.job.digest(),
        contracts: job.contract_refs(),
    }
}

/// Reserves budget at every key service of the job. No key has left when this returns.
pub fn reserve(job: &Admitted, session: &mut Session, room: &Room, tell: Tell<'_>) -> R<Reserved> {
    let mut reserved = BTreeMap::new();
    for (url, kms) in session.services.clone() {
        room.goes_on()?;
        session.fresh_admission(job, room)?;
        let receipt = with_fresh(
            session,
            PAUSE,
            |s| s.refresh_admission(job, room),
            |session| {
                let challenge = kms.challenge(&ask(job, session), &session.book)?;
                let (attested, _) = session.attest(job, &challenge, &url, room)?;
                let admission = session.admission.envelope().clone();
                kms.reserve(&ReserveRequest { attested, admission, bundle: session.bundle(job) }, &session.book)
            },
        )?;
        let KmsStatement::Reserved { reservation_id, .. } = receipt.statement.clone() else {
            return Err(Refusal::new(Code::PeerFault, format!("{url} answered a reservation with something else")));
        };
        receipt_is_ours(&receipt, session, job)?;
        tell(Progress::Reserved { kms: url.clone() });
        reserved.insert(url, (reservation_id, receipt));
    }
    let receipts: Vec<_> = reserved.values().map(|(_, r)| r.envelope().clone()).collect();
    room.desk.kms_receipts(&session.run_id, &receipts)?;
    Ok(Reserved(reserved))
}

/// Gets the keys of every key service, each against the reservations of all.
pub fn release(job: &Admitted, session: &mut Session, reserved: Reserved, room: &Room, tell: Tell<'_>) -> R<Keys> {
    let all: Vec<Envelope<KmsReceipt>> = reserved.0.values().map(|(_, r)| r.envelope().clone()).collect();
    let providers = job.kms()?;
    let mut keys = BTreeMap::new();
    for (url, (reservation_id, _)) in &reserved.0 {
        room.goes_on()?;
        let provider = providers.get(url).ok_or_else(lost)?;
        session.fresh_admission(job, room)?;
        let kms = session.services.get(url).cloned().ok_or_else(lost)?;
        let ask_with = |session: &Session, gate: Option<&dyn SecondGate>| {
            let challenge = kms.challenge(&ask(job, session), &session.book)?;
            let (attested, transcript_sha256) = session.attest(job, &challenge, url, room)?;
            let pass = gate.map(|gate| gate.pass(&attested.transcript)).transpose()?;
            let act = RunAct::Release {
                challenge_id: challenge.challenge_id.clone(),
                reservation_id: reservation_id.clone(),
            };
            let request = ReleaseRequest {
                request: session.request(act, url, room)?,
                attested,
                admission: session.admission.envelope().clone(),
                reservations: all.clone(),
                log_keys: session.book.trust().lineage.shown().cloned(),
                maa_token: pass.as_ref().map(|pass| pass.token.clone()),
            };
            Ok((kms.release(reservation_id, &request, &session.book)?, transcript_sha256, pass))
        };
        let (release, transcript_sha256, pass) = through_gate(room.second_gate.as_deref(), |gate| {
            with_fresh(session, PAUSE, |s| s.refresh_admission(job, room), |session| ask_with(session, gate))
        })?;
        let receipt = verify_by(release.receipt.clone(), &room.trust.registry, &session.book, provider.as_str())?;
        receipt_is_ours(&receipt, session, job)?;
        unwrap(&release, &receipt, session, &transcript_sha256, pass.as_ref(), &mut keys)?;
        session.released.push(receipt.envelope().clone());
        tell(Progress::Released { kms: url.clone() });
    }
    room.desk.kms_receipts(&session.run_id, &session.released)?;
    for wanted in job.datasets()? {
        if !keys.contains_key(&(wanted.job.dataset_id.clone(), wanted.job.version)) {
            return Err(Refusal::new(Code::KeyUnknown, format!("no key was released for {}", wanted.job.dataset_id)));
        }
    }
    crate::report::event(job, session, room, RunEventKind::KeysReleased {})?;
    Ok(Keys(keys))
}

fn unwrap(
    release: &Release,
    receipt: &KmsReceipt,
    session: &Session,
    bound: &Digest,
    pass: Option<&Pass>,
    keys: &mut BTreeMap<(DatasetId, u32), DatasetKey>,
) -> R<()> {
    let fault = |why: &str| Refusal::new(Code::PeerFault, format!("release of {}: {why}", receipt.kms));
    let KmsStatement::Released { jwe_sha256, .. } = &receipt.statement else {
        return Err(fault("the receipt states something else"));
    };
    let digests: Vec<Digest> = release.jwe.iter().map(|t| Digest::of(t.as_bytes())).collect();
    if &digests != jwe_sha256 || digests.len() != receipt.datasets.len() {
        return Err(fault("keys and receipt do not belong together"));
    }
    if receipt.transcript_sha256 != *bound {
        return Err(fault("made under another transcript"));
    }
    if !release.gated.is_empty() && release.gated.len() != release.jwe.len() {
        return Err(fault("what lies behind the second gate and the keys to it do not belong together"));
    }
    for (at, (token, dataset)) in release.jwe.iter().zip(&receipt.datasets).enumerate() {
        let secret = signing::jose::unwrap_key(token, &session.enc_key, &bound.0)?;
        let mut key = DatasetKey::from_slice(secret.as_slice())?;
        if let Some(sealed) = release.gated.get(at) {
            let pass = pass.ok_or_else(|| fault("behind a second gate for which no token was asked"))?;
            key = Gated::unseal(sealed, &key)?.open(&*pass.transport)?;
        }
        let name = (dataset.dataset_id.clone(), dataset.version);
        if keys.insert(name, key).is_some() {
            return Err(fault("a key came twice"));
        }
    }
    Ok(())
}

fn lost() -> Refusal {
    Refusal::new(Code::Internal, "a key service was lost")
}

/// A receipt counts only if it names this run, this job and both keys of it.
pub fn receipt_is_ours(receipt: &KmsReceipt, session: &Session, job: &Admitted) -> R<()> {
    use schemas::Signer as _;
    let ours = receipt.run_id == session.run_id
        && receipt.job_sha256 == job.opened.job.digest()
        && receipt.run_jwk_thumbprint == session.run_key.jwk().thumbprint()
        && receipt.enc_jwk_thumbprint == session.enc_key.jwk().thumbprint();
    if ours { Ok(()) } else { Err(Refusal::new(Code::PeerFault, format!("{} answered for another run", receipt.kms))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Agent;

    impl SecondGate for Agent {
        fn pass(&self, _: &schemas::evidence::Transcript) -> R<Pass> {
            Err(Refusal::new(Code::PeerUnreachable, "no agent"))
        }
    }

    #[test]
    fn a_token_goes_only_where_one_is_asked_for() {
        let asked = |gate: Option<&dyn SecondGate>, refusal: Option<Code>| {
            let mut with = Vec::new();
            let answer = through_gate(gate, |gate| {
                with.push(gate.is_some());
                match refusal {
                    Some(code) if gate.is_none() => Err(Refusal::new(code, "no")),
                    _ => Ok(()),
                }
            });
            (answer.map_err(|refusal| refusal.code), with)
        };
        assert_eq!(asked(Some(&Agent), None), (Ok(()), vec![false]));
        assert_eq!(asked(Some(&Agent), Some(Code::MaaTokenMissing)), (Ok(()), vec![false, true]));
        assert_eq!(asked(None, Some(Code::MaaTokenMissing)), (Err(Code::MaaTokenMissing), vec![false]));
        assert_eq!(asked(Some(&Agent), Some(Code::BudgetExceeded)), (Err(Code::BudgetExceeded), vec![false]));
    }

    /// How often was asked and refreshed, by a service that takes the Admission of this number.
    fn asked(takes: u32, refusal: Code) -> (R<u32>, u32) {
        let mut admission = 0;
        let ask = |number: &u32| if *number >= takes { Ok(*number) } else { Err(Refusal::new(refusal, "no")) };
        let refresh = |number: &mut u32| {
            *number += 1;
            Ok(())
        };
        let answer = with_fresh(&mut admission, Duration::from_millis(1), refresh, ask);
        (answer, admission)
    }

    #[test]
    fn a_stale_admission_is_refreshed_and_the_key_service_asked_again() {
        assert_eq!(asked(0, Code::AdmissionStale), (Ok(0), 0));
        assert_eq!(asked(1, Code::AdmissionStale), (Ok(1), 1));
        assert_eq!(asked(2, Code::AdmissionStale), (Ok(2), 2));
        let (answer, refreshed) = asked(3, Code::AdmissionStale);
        assert_eq!((answer.unwrap_err().code, refreshed), (Code::AdmissionStale, 2), "not for ever");
        let (answer, refreshed) = asked(1, Code::BudgetExceeded);
        assert_eq!((answer.unwrap_err().code, refreshed), (Code::BudgetExceeded, 0), "nothing else is asked again");
    }
}
