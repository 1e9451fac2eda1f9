//! Webhooks: what the outbox holds goes to every endpoint that listens, signed, until it is taken or given up.
//!
//! One thread dispatches messages and takes deliveries that are due, each endpoint in its [`lane`]; they go out side by
//! side; a second thread [`judge`]s the answers and writes them down, many at once. Only the process that writes the log
//! delivers. All that must survive stands in the database; lanes begin anew with the process.

mod count;
mod judge;
mod lane;
mod pace;
mod send;

pub use count::Counts;
pub use pace::Pace;

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use registry::{Attempt, AttemptRow, Finished, LeasedDelivery, with_attempt};
use reqwest::Client;
use schemas::{R, Timestamp};
use tokio::runtime::Runtime;

use crate::address::Reach;
use crate::app::App;
use judge::{Told, judge};
use lane::{Lanes, Went};
use send::Target;

/// Endpoints asked in one look, and ends written down in one transaction.
const ENDPOINTS: usize = 64;
const ENDS: usize = 512;
/// A look at the size of the log, which asks no database.
const LOOK: Duration = Duration::from_millis(5);
/// After this everything is looked at anew, should something have been missed.
const ANEW: Duration = Duration::from_secs(5);
/// Between two rounds of forgetting old deliveries, and between its steps.
const TIDY: Duration = Duration::from_secs(600);
/// What is under way has this long to end when the service stops.
const LAST: Duration = Duration::from_secs(1);

/// An attempt that ended.
struct Done {
    delivery: LeasedDelivery,
    told: Told,
    millis: u32,
}

/// Both threads' own.
struct Desk<'a> {
    app: &'a App,
    lanes: Mutex<Lanes>,
    freed: Condvar,
}

impl Desk<'_> {
    fn lanes(&self) -> MutexGuard<'_, Lanes> {
        self.lanes.lock().unwrap_or_else(|p| p.into_inner())
    }
}

/// Delivers until the service stops.
pub fn forever(app: &App) {
    let (reach, webhooks) = (Reach { loopback: app.config.demo() }, &app.config.webhooks);
    let timeout = Duration::from_secs(webhooks.timeout_seconds);
    // A name that is looked up holds a thread, so there is one for each delivery under way.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .max_blocking_threads(webhooks.at_once as usize)
        .thread_name("deliver-http")
        .enable_all()
        .build();
    let (client, runtime) = match (reach.many(timeout, webhooks.proxy.as_deref()), runtime) {
        (Ok(client), Ok(runtime)) => (client, runtime),
        (Err(e), _) => return tracing::error!(cause = %e, "no webhook can be delivered"),
        (_, Err(e)) => return tracing::error!(cause = %e, "no webhook can be delivered"),
    };
    let desk = Desk { app, lanes: Mutex::new(Lanes::new(webhooks.at_once)), freed: Condvar::new() };
    let (done, ends) = channel();
    let desk = &desk;
    std::thread::scope(|scope| {
        scope.spawn(move || write_down(desk, &ends));
        let mut sending = Sending { desk, reach, timeout, client, runtime, done, seen: Seen::default() };
        while !app.stopping() {
            sending.turn();
        }
        sending.end();
    });
}

/// What the last round saw.
#[derive(Default)]
struct Seen {
    leading: bool,
    size: Option<u64>,
    changes: Option<u64>,
    more: bool,
    polled: Option<Instant>,
    anew: Option<Instant>,
    tidied: Option<Instant>,
}

/// The thread that sends.
struct Sending<'a> {
    desk: &'a Desk<'a>,
    reach: Reach,
    timeout: Duration,
    client: Client,
    runtime: Runtime,
    done: Sender<Done>,
    seen: Seen,
}

fn since(at: Option<Instant>, time: Duration) -> bool {
    at.is_none_or(|at| at.elapsed() >= time)
}

impl Sending<'_> {
    /// One round, and a rest where there was nothing to do.
    fn turn(&mut self) {
        if !self.desk.app.registry.is_writer() {
            self.seen = Seen::default();
            return std::thread::sleep(Duration::from_millis(50));
        }
        match self.round() {
            Ok(true) => {}
            Ok(false) => drop(self.desk.freed.wait_timeout(self.desk.lanes(), LOOK)),
            Err(e) => {
                tracing::warn!(code = %e.code, "the outbox cannot be read now");
                std::thread::sleep(Duration::from_secs(1));
            }
        }
    }

    /// Returns whether anything was sent or may wait.
    fn round(&mut self) -> R<bool> {
        let (app, registry) = (self.desk.app, &self.desk.app.registry);
        if !std::mem::replace(&mut self.seen.leading, true) {
            registry.forget_listeners();
            registry.release_leases()?;
        }
        let poll = Duration::from_millis(app.config.webhooks.poll_millis);
        let (size, changes) = (registry.head()?.size, registry.webhook_changes());
        let changed = self.seen.changes.replace(changes) != Some(changes);
        if changed {
            self.follow()?;
        }
        let stirred = registry.stirred();
        if !stirred.is_empty() {
            let (mut lanes, now) = (self.desk.lanes(), app.now());
            stirred.iter().for_each(|id| lanes.due(id, now));
        }
        if self.seen.size.replace(size) != Some(size) || changed || self.seen.more || since(self.seen.polled, poll) {
            self.seen.polled = Some(Instant::now());
            let dispatched = registry.dispatch(app.now())?;
            let mut lanes = self.desk.lanes();
            dispatched.made.keys().for_each(|id| lanes.due(id, app.now()));
            self.seen.more = dispatched.more;
        }
        if since(self.seen.anew, ANEW) {
            self.seen.anew = Some(Instant::now());
            self.desk.lanes().all_due();
        }
        self.tidy();
        Ok(self.take()? > 0 || self.seen.more)
    }

    /// Follows the endpoints there are now.
    fn follow(&self) -> R<()> {
        let listeners = self.desk.app.registry.listeners()?;
        let ports = &self.desk.app.config.webhooks.ports;
        self.desk.lanes().sync(&listeners, |endpoint| match Target::of(endpoint, self.reach, ports) {
            Ok(target) => Some(target),
            Err(e) => {
                tracing::warn!(endpoint = %endpoint.endpoint_id, code = %e.code, "an endpoint cannot be called");
                None
            }
        });
        Ok(())
    }

    /// Takes what is due and sends it; returns how much.
    fn take(&self) -> R<usize> {
        let (app, now) = (self.desk.app, self.desk.app.now());
        let wishes = self.desk.lanes().wishes(ENDPOINTS, now);
        if wishes.is_empty() {
            return Ok(0);
        }
        // The lease outlives the attempt and the writing down of its end.
        let lease = i64::try_from(self.timeout.as_secs()).unwrap_or(i64::MAX) + 15;
        let leased = app.registry.lease_deliveries(&wishes, lease, now)?;
        let mut lanes = self.desk.lanes();
        for (id, next) in &leased.next {
            lanes.idle(id, *next);
        }
        let count = leased.deliveries.len();
        for delivery in leased.deliveries {
            let target = lanes.begun(&delivery.endpoint_id);
            let (done, client, time) = (self.done.clone(), self.client.clone(), self.timeout);
            let at = app.now();
            self.runtime.spawn(async move {
                let began = Instant::now();
                let told = match target {
                    Some(target) => send::send(&client, &target, &delivery, at, time).await,
                    None => Told::silent("its address may not be called"),
                };
                let millis = u32::try_from(began.elapsed().as_millis()).unwrap_or(u32::MAX);
                // Nobody takes it when the service stops; the lease runs out.
                drop(done.send(Done { delivery, told, millis }));
            });
        }
        app.deliveries.under_way(lanes.unwritten());
        Ok(count)
    }

    /// Forgets some of what is old, now and then.
    fn tidy(&mut self) {
        if !since(self.seen.tidied, TIDY) {
            return;
        }
        let app = self.desk.app;
        let days = i64::from(app.config.webhooks.keep_days);
        match app.registry.tidy_deliveries(app.now().plus_seconds(-days * 86_400)) {
            // There may be more: it goes on at the next round.
            Ok(forgotten) if forgotten > 0 => {}
            Ok(_) => self.seen.tidied = Some(Instant::now()),
            Err(e) => {
                self.seen.tidied = Some(Instant::now());
                tracing::warn!(code = %e.code, "old deliveries could not be forgotten");
            }
        }
    }

    /// Lets what is under way end; what does not end in time is sent again under a new lease.
    fn end(self) {
        let until = Instant::now() + LAST;
        while self.desk.lanes().unwritten() > 0 && Instant::now() < until {
            drop(self.desk.freed.wait_timeout(self.desk.lanes(), Duration::from_millis(20)));
        }
        self.runtime.shutdown_background();
    }
}

/// Writes ends down until no sender is left.
fn write_down(desk: &Desk, ends: &Receiver<Done>) {
    loop {
        let first = match ends.recv_timeout(Duration::from_secs(1)) {
            Ok(first) => first,
            Err(RecvTimeoutError::Timeout) => continue,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        let mut batch = vec![first];
        batch.extend(std::iter::from_fn(|| ends.try_recv().ok()).take(ENDS - 1));
        let count = batch.len();
        if let Err(e) = write_batch(desk, batch) {
            tracing::warn!(code = %e.code, "what became of deliveries could not be written down; they are made again");
        }
        let mut lanes = desk.lanes();
        lanes.written(count);
        desk.app.deliveries.under_way(lanes.unwritten());
        drop(lanes);
        desk.freed.notify_all();
    }
}

fn write_batch(desk: &Desk, batch: Vec<Done>) -> R<()> {
    let (app, now) = (desk.app, desk.app.now());
    let mut finished = Vec::with_capacity(batch.len());
    for one in batch {
        let went = went(desk, &one, now);
        // The place is free at once; the end is written down meanwhile.
        desk.lanes().ended(&one.delivery.endpoint_id, went);
        finished.push(finish(app, one, now)?);
    }
    desk.freed.notify_all();
    let patience = i64::from(app.config.webhooks.patience_hours) * 3_600;
    let next: Vec<_> = finished.iter().map(|one| (one.endpoint_id.clone(), one.attempt)).collect();
    let ended = app.registry.finish_deliveries(finished, patience, now)?;
    app.deliveries.switched_off(ended.disabled.len());
    for endpoint in &ended.disabled {
        tracing::warn!(%endpoint, "a webhook endpoint was switched off");
    }
    let mut lanes = desk.lanes();
    for (endpoint, attempt) in next {
        match attempt {
            Attempt::Retry { not_before, .. } => lanes.due(&endpoint, not_before),
            // Of an ordered endpoint the next of the contract may go now.
            Attempt::Delivered { .. } | Attempt::Dead { .. } => lanes.ordered_due(&endpoint),
        }
    }
    Ok(())
}

fn went(desk: &Desk, one: &Done, now: Timestamp) -> Went {
    let rest = one.told.rest(desk.lanes().strikes(&one.delivery.endpoint_id), now);
    Went {
        taken: one.told.taken(),
        millis: one.millis,
        busy: rest.is_some(),
        rests_until: rest.map(|seconds| now.plus_seconds(seconds)),
    }
}

fn finish(app: &App, one: Done, now: Timestamp) -> R<Finished> {
    let Done { delivery, told, millis } = one;
    let attempt = judge(&app.config.webhooks, &delivery.topic, &delivery.delivery_id, delivery.attempts, &told, now);
    let made = now.micros().saturating_sub(delivery.made_at.micros()).max(0) / 1_000;
    let first = (delivery.attempts == 0).then_some(u64::try_from(made).unwrap_or_default());
    app.deliveries.ended(attempt, millis, first);
    let history = with_attempt(&delivery.history, AttemptRow { at: now, status: told.status, millis })?;
    Ok(Finished {
        delivery_id: delivery.delivery_id,
        lease_token: delivery.lease_token,
        endpoint_id: delivery.endpoint_id,
        attempt,
        millis,
        answer: told.answer,
        history,
    })
}
