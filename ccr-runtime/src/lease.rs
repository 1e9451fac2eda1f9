//! The lease: renewed at every key service until the output is fixed. Where one refuses, the worker is stopped. While the
//! output is uploaded and reported the room goes on saying to the contract service that it lives.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use schemas::release::{KmsReceipt, KmsStatement, RenewRequest, RunAct, RunRequest};
use schemas::{Code, Envelope, R, Refusal};

use crate::admit::Admitted;
use crate::keys::receipt_is_ours;
use crate::kms::Kms;
use crate::output::Sealed;
use crate::registry_word::verified;
use crate::room::Room;
use crate::session::Session;

/// How often a lease is renewed; key services grant 30 s.
const RENEW_EVERY: Duration = Duration::from_secs(10);

/// A living lease. Dropping it ends the renewals.
pub struct Lease {
    state: Arc<State>,
    stop: mpsc::Sender<()>,
    thread: Option<JoinHandle<()>>,
}

/// What the renewing thread and the run tell each other.
#[derive(Default)]
struct State {
    /// A key service refused to renew.
    lost: AtomicBool,
    cause: Mutex<Option<Refusal>>,
    /// The output is fixed at every key service: there is nothing to renew any more.
    fixed: AtomicBool,
}

impl State {
    fn is_lost(&self) -> bool {
        self.lost.load(Ordering::SeqCst)
    }

    fn lose(&self, refusal: Refusal) {
        if let Ok(mut slot) = self.cause.lock() {
            *slot = Some(refusal);
        }
        self.lost.store(true, Ordering::SeqCst);
    }

    /// What is to be done now. A run that is silent for minutes is taken for dead, so one whose output is fixed goes on
    /// giving signs of life; a renewal that met the commit half-way was refused for that, and ends nothing.
    fn due(&self) -> Due {
        if self.fixed.load(Ordering::SeqCst) {
            Due::SignOfLife
        } else if self.is_lost() {
            Due::Nothing
        } else {
            Due::Renewal
        }
    }
}

/// What the renewing thread does at a beat.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Due {
    Renewal,
    SignOfLife,
    Nothing,
}

/// What the renewing thread needs, apart from the session, which the run goes on using.
struct Renewer {
    services: BTreeMap<String, Kms>,
    run_id: schemas::id::RunId,
    registry: schemas::id::Did,
    book: signing::book::PinnedBook,
    key: signing::FileKey,
    desk: contract_client::Client,
    clock: crate::room::Clock,
}

impl Lease {
    /// Starts renewing.
    pub fn start(session: &Session, room: &Room) -> R<Lease> {
        let mut renewer = Renewer {
            services: session.services.clone(),
            run_id: session.run_id.clone(),
            registry: room.trust.registry.clone(),
            book: session.book.clone(),
            key: session.secret.run_key(&session.run_id)?,
            desk: room.desk.clone(),
            clock: room.clock.clone(),
        };
        let (stop, stopped) = mpsc::channel();
        let state = Arc::new(State::default());
        let seen = state.clone();
        let thread = std::thread::spawn(move || {
            while stopped.recv_timeout(RENEW_EVERY) == Err(mpsc::RecvTimeoutError::Timeout) {
                match seen.due() {
                    Due::Renewal => renewer.renew().unwrap_or_else(|refusal| seen.lose(refusal)),
                    // Whatever the answer: the run ends by its completion, which is judged by itself.
                    Due::SignOfLife => drop(renewer.refresh()),
                    Due::Nothing => {}
                }
            }
        });
        Ok(Lease { state, stop, thread: Some(thread) })
    }

    /// Whether a key service refused to renew.
    pub fn is_lost(&self) -> bool {
        self.state.is_lost()
    }

    /// Why it was lost.
    pub fn cause(&self) -> Option<Refusal> {
        self.state.cause.lock().ok().and_then(|c| c.clone())
    }

    /// Fixes the sealed output at every key service; needs a living lease. Returns one receipt per service.
    pub fn commit(
        &self,
        job: &Admitted,
        session: &Session,
        sealed: &Sealed,
        room: &Room,
    ) -> R<Vec<Envelope<KmsReceipt>>> {
        if self.is_lost() {
            return Err(crate::run::lease_lost(self.cause()));
        }
        let mut receipts = Vec::new();
        for (url, kms) in &session.services {
            let act = RunAct::Commit { output_sha256: sealed.sha256 };
            let receipt = kms.commit(&session.run_id, &session.request(act, url, room)?, &session.book)?;
            receipt_is_ours(&receipt, session, job)?;
            if receipt.statement != (KmsStatement::Committed { output_sha256: sealed.sha256 }) {
                return Err(Refusal::new(Code::CommitConflict, format!("{url} committed another output")));
            }
            receipts.push(receipt.envelope().clone());
        }
        self.state.fixed.store(true, Ordering::SeqCst);
        Ok(receipts)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let _ = self.stop.send(());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Renewer {
    fn renew(&mut self) -> R<()> {
        // The contract service refuses a run that was aborted from outside, or whose contract neither is in force nor lets
        // it finish.
        self.refresh()?;
        let status_list = verified(self.desk.status_list()?, &mut self.book, &self.desk)?.envelope().clone();
        let log_keys = self.book.trust().lineage.shown().cloned();
        for (url, kms) in &self.services {
            let request = self.request(RunAct::Renew {}, url)?;
            let words = RenewRequest { request, status_list: status_list.clone(), log_keys: log_keys.clone() };
            kms.renew(&self.run_id, &words, &self.book)?;
        }
        Ok(())
    }

    fn refresh(&self) -> R<()> {
        let request = self.request(RunAct::RefreshAdmission {}, self.desk.url())?;
        self.desk.refresh_admission(&self.run_id, &request).map(drop)
    }

    fn request(&self, act: RunAct, aud: &str) -> R<Envelope<RunRequest>> {
        crate::session::run_request(&self.run_id, &self.registry, &self.key, act, aud, (self.clock)())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused() -> Refusal {
        Refusal::new(Code::ContractRevoked, "revoked")
    }

    #[test]
    fn a_refused_renewal_loses_the_lease_and_nothing_more_is_asked_or_said() {
        let state = State::default();
        assert_eq!((state.due(), state.is_lost()), (Due::Renewal, false));
        state.lose(refused());
        assert_eq!((state.due(), state.is_lost()), (Due::Nothing, true));
        assert_eq!(state.cause.lock().unwrap().as_ref().map(|cause| cause.code), Some(Code::ContractRevoked));
    }

    #[test]
    fn once_the_output_is_fixed_the_room_only_says_that_it_lives() {
        let state = State::default();
        state.fixed.store(true, Ordering::SeqCst);
        assert_eq!(state.due(), Due::SignOfLife);
        // A renewal was on its way while the output was committed.
        state.lose(refused());
        assert_eq!(state.due(), Due::SignOfLife);
    }
}
