//! The lease: renewed at every key service while the run lasts. Where one refuses, the worker is stopped.

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
    lost: Arc<AtomicBool>,
    cause: Arc<Mutex<Option<Refusal>>>,
    stop: mpsc::Sender<()>,
    thread: Option<JoinHandle<()>>,
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
        let (lost, cause) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(None)));
        let (flag, why) = (lost.clone(), cause.clone());
        let thread = std::thread::spawn(move || {
            while stopped.recv_timeout(RENEW_EVERY) == Err(mpsc::RecvTimeoutError::Timeout) {
                if let Err(refusal) = renewer.renew() {
                    if let Ok(mut slot) = why.lock() {
                        *slot = Some(refusal);
                    }
                    flag.store(true, Ordering::SeqCst);
                    return;
                }
            }
        });
        Ok(Lease { lost, cause, stop, thread: Some(thread) })
    }

    /// Whether a key service refused to renew.
    pub fn is_lost(&self) -> bool {
        self.lost.load(Ordering::SeqCst)
    }

    /// Why it was lost.
    pub fn cause(&self) -> Option<Refusal> {
        self.cause.lock().ok().and_then(|c| c.clone())
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
        // The contract service refuses a run that was aborted from outside, or whose contract is no longer in force.
        let refresh = self.request(RunAct::RefreshAdmission {}, self.desk.url())?;
        self.desk.refresh_admission(&self.run_id, &refresh)?;
        let status_list = verified(self.desk.status_list()?, &mut self.book, &self.desk)?.envelope().clone();
        let log_keys = self.book.trust().lineage.shown().cloned();
        for (url, kms) in &self.services {
            let request = self.request(RunAct::Renew {}, url)?;
            let words = RenewRequest { request, status_list: status_list.clone(), log_keys: log_keys.clone() };
            kms.renew(&self.run_id, &words, &self.book)?;
        }
        Ok(())
    }

    fn request(&self, act: RunAct, aud: &str) -> R<Envelope<RunRequest>> {
        crate::session::run_request(&self.run_id, &self.registry, &self.key, act, aud, (self.clock)())
    }
}
