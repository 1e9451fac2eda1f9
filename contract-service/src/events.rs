//! Server-Sent Events: what happens to contracts and runs, to those whom it concerns, in the order of the log.
//!
//! Events carry no bodies: index, kind, ids. A stream resumes after `Last-Event-ID`, the index of the last entry seen.
//! Between them stands how far a living run has got (`run_step`): without an id, since it stands in no log and is not told
//! again; who opens a stream hears the newest of each.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use policies::lifecycle::{About, State};
use schemas::contract::ContractRef;
use schemas::desk::{EventNote, RunStep};
use schemas::event::Body;
use schemas::id::{DisputeId, RunId};
use schemas::log::ExportedEntry;
use schemas::{Code, R, Refusal};
use tokio::sync::{broadcast, mpsc};

use crate::app::App;
use crate::auth::roles::{Caller, caller};
use crate::call::Call;
use crate::serve::Feed;

/// How often the log is looked at while somebody listens.
const LOOK: Duration = Duration::from_millis(50);
/// How often a silent stream says that it lives.
const BEAT: Duration = Duration::from_secs(15);
/// Entries read at once.
const PAGE: u64 = 200;
/// Entries told ahead of a slow listener; one that falls further behind reads the log again.
const AHEAD: usize = 1024;

/// Tells entries to all streams.
pub struct Hub(broadcast::Sender<Arc<ExportedEntry>>);

impl Default for Hub {
    fn default() -> Hub {
        Hub(broadcast::channel(AHEAD).0)
    }
}

/// Looks at the log and tells what is new, until the service stops.
pub fn forever(app: &App) {
    let mut told = app.registry.state().size();
    while !app.stopping() {
        std::thread::sleep(LOOK);
        let size = app.registry.state().size();
        if app.events.0.receiver_count() == 0 {
            told = size;
        }
        while told < size {
            match app.registry.entries(told, PAGE.min(size - told)) {
                Ok(page) if !page.is_empty() => {
                    for entry in page {
                        told = entry.index + 1;
                        // Nobody listens any more: nobody misses it.
                        drop(app.events.0.send(Arc::new(entry)));
                    }
                }
                _ => break,
            }
        }
    }
}

/// Opens the stream of everything that concerns the caller.
pub fn all(app: &Arc<App>, call: &Call) -> R<Feed> {
    open(app, call, None)
}

/// Opens the stream of one run, for those who may read about its job.
pub fn of_run(app: &Arc<App>, call: &Call) -> R<Feed> {
    let id: RunId = call.param("id")?;
    let state = app.registry.state();
    let caller = caller(app, call, &state)?;
    let unknown = || Refusal::new(Code::RunUnknown, "no such run is known to you");
    let run = state.run(&id).ok_or_else(unknown)?;
    if !caller.reads_job(&state, state.job_of(run)?) {
        return Err(unknown());
    }
    open(app, call, Some(id))
}

fn open(app: &Arc<App>, call: &Call, run: Option<RunId>) -> R<Feed> {
    let state = app.registry.state();
    // Who listens was judged when the call was admitted; asked again here, so that no stream is opened without it.
    caller(app, call, &state)?;
    let seen = call.header("last-event-id").map(|text| text.parse::<u64>()).transpose();
    let seen = seen.map_err(|_| Refusal::new(Code::MalformedNumber, "Last-Event-ID is the index of an entry"))?;
    let next = seen.map_or(state.size(), |seen| seen.saturating_add(1));
    let open = Opened::new(app.clone())?;
    let (send, feed) = mpsc::channel(16);
    let (live, steps) = (app.events.0.subscribe(), app.steps.listen());
    let stream = Stream { open, call: call.clone(), run, next, live, steps, send };
    actix_web::rt::spawn(stream.run());
    Ok(feed)
}

/// Counts an open stream.
struct Opened(Arc<App>);

impl Opened {
    fn new(app: Arc<App>) -> R<Opened> {
        let most = u64::try_from(app.config.limits.event_streams).unwrap_or(u64::MAX);
        let count: &AtomicU64 = &app.metrics.streams;
        if count.fetch_add(1, Ordering::Relaxed) >= most {
            count.fetch_sub(1, Ordering::Relaxed);
            return Err(Refusal::new(Code::Unavailable, "too many streams of events are open; come again later"));
        }
        Ok(Opened(app))
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.0.metrics.streams.fetch_sub(1, Ordering::Relaxed);
    }
}

struct Stream {
    open: Opened,
    call: Call,
    run: Option<RunId>,
    next: u64,
    live: broadcast::Receiver<Arc<ExportedEntry>>,
    steps: broadcast::Receiver<Arc<RunStep>>,
    send: mpsc::Sender<Vec<u8>>,
}

impl Stream {
    async fn run(mut self) {
        let mut going = self.send.send(b": the log from here on\n\n".to_vec()).await.is_ok()
            && self.catch_up().await
            && self.tell_newest().await;
        while going {
            going = tokio::select! {
                told = self.live.recv() => match told {
                    Ok(entry) if entry.index < self.next => true,
                    Ok(entry) if entry.index == self.next => self.tell(&entry).await,
                    Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => self.catch_up().await,
                    Err(broadcast::error::RecvError::Closed) => false,
                },
                step = self.steps.recv() => match step {
                    Ok(step) => self.tell_step(&step).await,
                    // A newer one is on its way.
                    Err(broadcast::error::RecvError::Lagged(_)) => true,
                    Err(broadcast::error::RecvError::Closed) => false,
                },
                () = tokio::time::sleep(BEAT) => self.send.send(b": alive\n\n".to_vec()).await.is_ok(),
            } && !self.open.0.stopping();
        }
    }

    /// Tells how far the living runs have got.
    async fn tell_newest(&mut self) -> bool {
        for step in self.open.0.steps.newest() {
            if !self.tell_step(&step).await {
                return false;
            }
        }
        true
    }

    /// Tells how far a run has got, where the caller may read about its job.
    async fn tell_step(&mut self, step: &RunStep) -> bool {
        if self.run.as_ref().is_some_and(|run| *run != step.run_id) {
            return !self.send.is_closed();
        }
        let app = &self.open.0;
        let state = app.registry.state();
        let Ok(caller) = caller(app, &self.call, &state) else {
            return false;
        };
        let run = state.run(&step.run_id).filter(|run| run.alive());
        let job = run.and_then(|run| state.job_of(run).ok());
        if !job.is_some_and(|job| caller.reads_job(&state, job)) {
            return !self.send.is_closed();
        }
        match serde_json::to_string(step) {
            Ok(data) => self.send.send(format!("event: run_step\ndata: {data}\n\n").into_bytes()).await.is_ok(),
            Err(_) => false,
        }
    }

    /// Tells what the log holds from the next entry on.
    async fn catch_up(&mut self) -> bool {
        loop {
            let (app, from) = (self.open.0.clone(), self.next);
            let page = actix_web::web::block(move || {
                let size = app.registry.state().size();
                app.registry.entries(from, PAGE.min(size.saturating_sub(from)).max(1))
            });
            match page.await {
                Ok(Ok(page)) if page.is_empty() => return true,
                Ok(Ok(page)) => {
                    for entry in page {
                        if !self.tell(&entry).await {
                            return false;
                        }
                    }
                }
                _ => return false,
            }
        }
    }

    /// Tells an entry, where it concerns the caller; the stream ends when the caller's right has ended.
    async fn tell(&mut self, entry: &ExportedEntry) -> bool {
        self.next = entry.index + 1;
        let app = &self.open.0;
        let state = app.registry.state();
        let Ok(caller) = caller(app, &self.call, &state) else {
            return false;
        };
        match event(&state, &caller, self.run.as_ref(), entry) {
            Ok(Some(text)) => self.send.send(text.into_bytes()).await.is_ok(),
            Ok(None) => !self.send.is_closed(),
            Err(refusal) => {
                tracing::error!(cause = %refusal, index = entry.index, "an entry could not be told");
                false
            }
        }
    }
}

/// The event of an entry, where there is one for this caller.
fn event(state: &State, caller: &Caller, run: Option<&RunId>, entry: &ExportedEntry) -> R<Option<String>> {
    let (contract, run_id) = subject(state, &entry.body)?;
    let wanted = match run {
        Some(run) => run_id.as_ref() == Some(run),
        None => contract.is_some() || run_id.is_some(),
    };
    if !wanted || !crate::routes::log::concerns(state, caller, &entry.body)? {
        return Ok(None);
    }
    let kind = entry.body.kind().to_owned();
    let note = EventNote { index: entry.index, kind: kind.clone(), at: entry.record.at, contract, run_id };
    let data = serde_json::to_string(&note).map_err(crate::error::fault)?;
    Ok(Some(format!("id: {}\nevent: {kind}\ndata: {data}\n\n", entry.index)))
}

/// The contract and the run that a body is about; none for what is no event of theirs.
fn subject(state: &State, body: &Body) -> R<(Option<ContractRef>, Option<RunId>)> {
    let of_contract = |reference: ContractRef| Ok((Some(reference), None));
    let of_run = |id: RunId| Ok((None, Some(id)));
    match body {
        Body::ContractProposed { contract } | Body::ContractExecuted { contract } => {
            of_contract(ContractRef { id: contract.read_unverified()?.contract_id, sha256: contract.digest() })
        }
        Body::ContractSigned { contract, .. }
        | Body::ContractTimed { contract, .. }
        | Body::PaymentsTimed { contract, .. }
        | Body::ContractCompleted { contract, .. } => of_contract(contract.clone()),
        Body::ContractDeclined { decline } => of_contract(decline.read_unverified()?.contract),
        Body::ContractRevoked { revoke } => of_contract(revoke.read_unverified()?.contract),
        Body::ContractWithdrawn { withdraw } => of_contract(withdraw.read_unverified()?.contract),
        Body::ContractSuspended { suspend } => of_contract(suspend.read_unverified()?.contract),
        Body::ContractResumed { resume } => of_contract(resume.read_unverified()?.contract),
        Body::ContractTerminated { terminate } => of_contract(terminate.read_unverified()?.contract),
        Body::RevenueStated { statement } => of_contract(statement.read_unverified()?.contract),
        Body::RunCheckedIn { run_id, .. } | Body::ModelHandedOver { run_id } | Body::RunLost { run_id } => {
            of_run(run_id.clone())
        }
        Body::KmsStated { receipt } => of_run(receipt.read_unverified()?.run_id),
        Body::RunReported { event } => of_run(event.read_unverified()?.run_id),
        Body::RunAborted { abort } => of_run(abort.read_unverified()?.run_id),
        Body::RunCompleted { completion, .. } => of_run(completion.read_unverified()?.run_id),
        _ => Ok((of_money(state, body)?, None)),
    }
}

/// The contract of a payment or of a dispute; none of money that nobody can place.
fn of_money(state: &State, body: &Body) -> R<Option<ContractRef>> {
    let of_dispute = |id: &DisputeId| {
        let row = state.dispute(id)?;
        match &row.about {
            About::Obligation(contract, _) => Some(contract.clone()),
            About::Suspense(_) => state.paid_for(row).map(|payment| payment.obligation.contract.clone()),
        }
    };
    Ok(match body {
        Body::PaymentAnswered { callback } => {
            state.payment(&callback.read_unverified()?.instruction_id).map(|row| row.obligation.contract.clone())
        }
        Body::DisputeOpened { dispute } => Some(dispute.read_unverified()?.contract),
        Body::DisputeAnswered { answer } => of_dispute(&answer.read_unverified()?.dispute_id),
        Body::DisputeRuled { ruling } => of_dispute(&ruling.read_unverified()?.dispute_id),
        Body::DisputeClosed { close } => of_dispute(&close.read_unverified()?.dispute_id),
        _ => None,
    })
}
