//! Server-Sent Events: what happens to contracts and runs, to those whom it concerns, and to the register of participants,
//! keys, datasets and approvals, to everyone; in the order of the log.
//!
//! Events carry no bodies: index, kind, ids. A stream resumes after `Last-Event-ID`, the index of the last entry seen.
//! Between them stands how far a living run has got (`run_step`): without an id, since it stands in no log and is not told
//! again; who opens a stream hears the newest of each.
//!
//! Streams run on the threads that serve HTTP. Whatever asks the database, the log and the session of a person, is asked where
//! it may block.

mod crowd;

pub use crowd::{Crowd, Seat};

use std::sync::Arc;
use std::time::{Duration, Instant};

use policies::lifecycle::{About, State};
use schemas::contract::ContractRef;
use schemas::desk::{EventNote, RunStep};
use schemas::event::Body;
use schemas::id::{DatasetId, Did, DisputeId, RunId};
use schemas::log::ExportedEntry;
use schemas::{Code, R, Refusal};
use tokio::sync::{broadcast, mpsc};

use crate::app::App;
use crate::auth::roles::{Caller, caller, still};
use crate::call::Call;
use crate::serve::Opening;

/// How often the log is looked at while somebody listens.
const LOOK: Duration = Duration::from_millis(50);
/// How often a silent stream says that it lives.
const BEAT: Duration = Duration::from_secs(15);
/// How long a look at the session of a person counts for what does not concern that person; what does is told after a look
/// of its own.
const SEEN: Duration = Duration::from_secs(1);
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
pub fn all(app: &Arc<App>, call: &Call) -> R<Opening> {
    open(app, call, None)
}

/// Opens the stream of one run, for those who may read about its job.
pub fn of_run(app: &Arc<App>, call: &Call) -> R<Opening> {
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

fn open(app: &Arc<App>, call: &Call, run: Option<RunId>) -> R<Opening> {
    let state = app.registry.state();
    // Who listens was judged when the call was admitted; asked again here, so that no stream is opened without it.
    let caller = caller(app, call, &state)?;
    let seen = call.header("last-event-id").map(|text| text.parse::<u64>()).transpose();
    let seen = seen.map_err(|_| Refusal::new(Code::MalformedNumber, "Last-Event-ID is the index of an entry"))?;
    let next = seen.map_or(state.size(), |seen| seen.saturating_add(1));
    let seat = Seat::take(app, caller.did())?;
    let (send, feed) = mpsc::channel(16);
    let (live, steps) = (app.events.0.subscribe(), app.steps.listen());
    let call = Arc::new(call.clone());
    let stream = Stream { seat, call, caller, looked: Instant::now(), run, next, live, steps, send };
    Ok(Box::new(move || {
        actix_web::rt::spawn(stream.run());
        feed
    }))
}

struct Stream {
    seat: Seat,
    call: Arc<Call>,
    caller: Caller,
    /// When it was last seen that the caller still may listen.
    looked: Instant,
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
                () = tokio::time::sleep(BEAT) => self.beat().await,
            } && !self.seat.app().stopping();
        }
    }

    /// Says that the stream lives, where its caller still may listen.
    async fn beat(&mut self) -> bool {
        self.look().await && self.send.send(b": alive\n\n".to_vec()).await.is_ok()
    }

    /// Whether the caller still may listen, as whom it is now. A token and its holder are judged by what is in memory; the
    /// session of a person is asked of the database.
    async fn look(&mut self) -> bool {
        let (app, call) = (self.seat.app().clone(), self.call.clone());
        let now = if call.session_reads {
            let asked = actix_web::web::block(move || still(&app, &call, &app.registry.state()).ok());
            asked.await.unwrap_or_default()
        } else {
            still(&app, &call, &app.registry.state()).ok()
        };
        self.looked = Instant::now();
        now.map(|caller| self.caller = caller).is_some()
    }

    /// Whether something that is not for the caller may pass without another look.
    fn passes(&self) -> bool {
        self.call.session_reads && self.looked.elapsed() < SEEN
    }

    /// Tells how far the living runs have got.
    async fn tell_newest(&mut self) -> bool {
        for step in self.seat.app().steps.newest() {
            if !self.tell_step(&step).await {
                return false;
            }
        }
        true
    }

    /// Tells how far a run has got, where the caller may read about its job.
    async fn tell_step(&mut self, step: &RunStep) -> bool {
        if self.run.as_ref().is_some_and(|run| *run != step.run_id) || self.passes() && !self.reads_run(&step.run_id) {
            return !self.send.is_closed();
        }
        if !self.look().await {
            return false;
        }
        if !self.reads_run(&step.run_id) {
            return !self.send.is_closed();
        }
        match serde_json::to_string(step) {
            Ok(data) => self.send.send(format!("event: run_step\ndata: {data}\n\n").into_bytes()).await.is_ok(),
            Err(_) => false,
        }
    }

    /// Whether a run is alive and the caller may read about its job.
    fn reads_run(&self, run: &RunId) -> bool {
        let state = self.seat.app().registry.state();
        let job = state.run(run).filter(|run| run.alive()).and_then(|run| state.job_of(run).ok());
        job.is_some_and(|job| self.caller.reads_job(&state, job))
    }

    /// Tells what the log holds from the next entry on.
    async fn catch_up(&mut self) -> bool {
        loop {
            let (app, from) = (self.seat.app().clone(), self.next);
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
        if self.passes() && matches!(self.event(entry), Ok(None)) {
            return !self.send.is_closed();
        }
        if !self.look().await {
            return false;
        }
        match self.event(entry) {
            Ok(Some(text)) => self.send.send(text.into_bytes()).await.is_ok(),
            Ok(None) => !self.send.is_closed(),
            Err(refusal) => {
                tracing::error!(cause = %refusal, index = entry.index, "an entry could not be told");
                false
            }
        }
    }

    fn event(&self, entry: &ExportedEntry) -> R<Option<String>> {
        event(&self.seat.app().registry.state(), &self.caller, self.run.as_ref(), entry)
    }
}

/// The event of an entry, where there is one for this caller.
fn event(state: &State, caller: &Caller, run: Option<&RunId>, entry: &ExportedEntry) -> R<Option<String>> {
    let Some(Subject { contract, run_id, dataset, participant }) = subject(state, &entry.body)? else {
        return Ok(None);
    };
    let wanted = run.is_none_or(|run| run_id.as_ref() == Some(run));
    if !wanted || !crate::routes::log::concerns(state, caller, &entry.body)? {
        return Ok(None);
    }
    // Anybody may apply, as often as the gate lets them: those are told who decide, and who applied.
    let applied = matches!(entry.body, Body::ParticipantApplied { .. });
    if applied && !caller.is_sro() && participant.as_ref() != Some(caller.did()) {
        return Ok(None);
    }
    let (index, at, kind) = (entry.index, entry.record.at, entry.body.kind().to_owned());
    let note = EventNote { index, kind: kind.clone(), at, contract, run_id, dataset, participant };
    let data = serde_json::to_string(&note).map_err(crate::error::fault)?;
    Ok(Some(format!("id: {index}\nevent: {kind}\ndata: {data}\n\n")))
}

/// What an event is about; nothing named where it is about the register itself.
#[derive(Default)]
pub(crate) struct Subject {
    pub(crate) contract: Option<ContractRef>,
    pub(crate) run_id: Option<RunId>,
    pub(crate) dataset: Option<DatasetId>,
    pub(crate) participant: Option<Did>,
}

/// What a body is about; none for what is no event of anyone's.
pub(crate) fn subject(state: &State, body: &Body) -> R<Option<Subject>> {
    let of_contract = |reference: ContractRef| Subject { contract: Some(reference), ..Subject::default() };
    let of_run = |id: RunId| Subject { run_id: Some(id), ..Subject::default() };
    let of_dataset = |id: DatasetId| Subject { dataset: Some(id), ..Subject::default() };
    let of_participant = |did: Did| Subject { participant: Some(did), ..Subject::default() };
    Ok(Some(match body {
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
        Body::DatasetRegistered { offer } => of_dataset(offer.read_unverified()?.dataset_id),
        Body::DatasetChanged { act } => of_dataset(act.read_unverified()?.dataset_id),
        Body::BudgetRenewed { renewal } => of_dataset(renewal.read_unverified()?.dataset_id),
        Body::ParticipantApplied { application, .. } => of_participant(application.read_unverified()?.did),
        Body::ParticipantDecided { decision } => of_participant(decision.read_unverified()?.participant),
        Body::ParticipantLeft { withdrawal } => of_participant(withdrawal.read_unverified()?.participant),
        Body::KeyChanged { event, .. } => of_participant(event.read_unverified()?.participant),
        Body::PaymentUnmatched { .. }
        | Body::EscrowTimedOut { .. }
        | Body::ImageSetApproved { .. }
        | Body::ImageSetRevoked { .. }
        | Body::TemplateApproved { .. }
        | Body::DataSchemaApproved { .. } => Subject::default(),
        _ => return Ok(of_money(state, body)?.map(of_contract)),
    }))
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
        Body::PaymentRetried { obligation_id } => {
            state.payment(obligation_id).map(|row| row.obligation.contract.clone())
        }
        Body::DisputeOpened { dispute } => Some(dispute.read_unverified()?.contract),
        Body::DisputeAnswered { answer } => of_dispute(&answer.read_unverified()?.dispute_id),
        Body::DisputeRuled { ruling } => of_dispute(&ruling.read_unverified()?.dispute_id),
        Body::DisputeClosed { close } => of_dispute(&close.read_unverified()?.dispute_id),
        _ => None,
    })
}
