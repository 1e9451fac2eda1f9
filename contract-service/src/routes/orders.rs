//! Run orders: a TDC orders, a clean-room provider's agent leases and starts a room.

use std::time::{Duration, Instant};

use policies::lifecycle::RunState;
use registry::OrderState;
use schemas::desk::{LeaseRequest, Leased, OrderAnswer, OrderRequest, OrderView};
use schemas::{Code, Digest, R, Refusal, canonical};

use crate::app::App;
use crate::auth::roles::caller;
use crate::call::{Answer, Call};

/// The longest that an agent may wait for work.
const LONGEST_WAIT: u32 = 20;
/// How long an agent has until its room checks in.
const LEASE_SECONDS: i64 = 60;
/// How often a waiting agent's order book is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// Enters an order. The bundle is checked as the room will check it, so that what cannot run is refused now.
pub fn order(app: &App, call: &Call) -> R<Answer> {
    let OrderRequest { bundle } = call.read()?;
    let opened = signing::open_bundle(bundle.clone(), &app.trust())?;
    super::runs::judge(app, &opened, app.now())?;
    let receipt = app.registry.order(&bundle, app.now())?.receipt;
    Answer::created(&OrderAnswer { job_sha256: opened.job.digest(), receipt })
}

/// Gives the calling provider its oldest open order for 60 seconds; 204 when none came. Waits for one if asked to: by
/// `Prefer: wait`, or else by `wait_seconds`.
pub fn lease(app: &App, call: &Call) -> R<Answer> {
    let provider = caller(app, call, &app.registry.state())?.provider()?;
    let request: LeaseRequest = call.read()?;
    let wait = call.wait_seconds(LONGEST_WAIT).unwrap_or(request.wait_seconds.min(LONGEST_WAIT));
    let until = Instant::now() + Duration::from_secs(u64::from(wait));
    loop {
        if let Some(order) = app.registry.lease_order(&provider.0, LEASE_SECONDS, app.now())? {
            let bundle = canonical::parse(&order.bundle)?;
            return Answer::ok(&Leased { job_sha256: order.job_sha256, lease_token: order.lease_token, bundle });
        }
        if Instant::now() >= until || app.stopping() {
            return Ok(Answer::empty());
        }
        std::thread::sleep(LOOK);
    }
}

/// How an order stands, for those who may read about its job.
pub fn read(app: &App, call: &Call) -> R<Answer> {
    let state = app.registry.state();
    let caller = caller(app, call, &state)?;
    let sha256 = call.params.get("job_sha256").map(String::as_str).unwrap_or_default();
    let sha256 = Digest::parse(sha256)?;
    let unknown = || Refusal::new(Code::NotFound, "no such order is known to you");
    let order = state.order(&sha256).filter(|o| caller.reads_job(&state, &o.job)).ok_or_else(unknown)?;
    let run = order.runs.last().and_then(|id| state.run(id));
    let word = match run {
        Some(run) if run.state != RunState::Aborted => "started",
        _ if order.job.expires_at <= app.now() => "lapsed",
        Some(_) => "started",
        None if app.registry.order_state(&sha256, app.now())? == Some(OrderState::Leased) => "leased",
        None => "requested",
    };
    Answer::ok(&OrderView { state: word.into(), run_id: run.map(|run| run.run_id.clone()) })
}
