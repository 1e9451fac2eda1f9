//! Runs: ordered with a bundle, watched until they end, stopped from outside.

use std::time::{Duration, Instant};

use contract_client::{Acted, Client};
use schemas::bundle::JobBundle;
use schemas::desk::{OrderAnswer, OrderView, Receipted, RunView};
use schemas::event::Abort;
use schemas::id::RunId;
use schemas::{Code, Digest, R, Refusal, Timestamp};
use signing::{Signer, Trust};

/// Orders a run. The bundle was judged when it was made; the service judges it again.
pub fn start(client: &Client, bundle: &JobBundle) -> R<OrderAnswer> {
    let answer = client.order_run(bundle)?;
    if answer.job_sha256 != bundle.job.digest() {
        return Err(Refusal::new(Code::PeerFault, "the service ordered another job"));
    }
    Ok(answer)
}

/// What is watched: an order, whose run begins later, or a run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Watched {
    /// By the job's digest.
    Order(Digest),
    /// By the run's id.
    Run(RunId),
}

/// A change that `watch` saw.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
pub struct Change {
    /// The run, once there is one.
    pub run_id: Option<RunId>,
    /// The state of the order or, from check-in on, of the run.
    pub state: String,
}

/// Polls until the run has ended, telling each change of state. `RUN_STATE` when it was aborted, `TIMEOUT` when it takes
/// longer than `at_most`: the run itself goes on.
pub fn watch(client: &Client, watched: &Watched, at_most: Duration, tell: &mut dyn FnMut(&Change)) -> R<RunView> {
    let end = Instant::now() + at_most;
    let mut last = None;
    let mut pause = Duration::from_millis(200);
    let mut run_id = match watched {
        Watched::Run(id) => Some(id.clone()),
        Watched::Order(_) => None,
    };
    loop {
        let state = match (&run_id, watched) {
            (Some(id), _) => {
                let view = client.run(id)?;
                changed(&mut last, Change { run_id: Some(id.clone()), state: view.state.clone() }, tell);
                match view.state.as_str() {
                    "completed" | "delivered" => return Ok(view),
                    "aborted" => {
                        return Err(Refusal::new(Code::RunState, format!("{id} was aborted; its log entry says why")));
                    }
                    _ => view.state,
                }
            }
            (None, Watched::Order(job)) => {
                let order: OrderView = client.order(job)?;
                run_id = order.run_id;
                if run_id.is_some() {
                    continue;
                }
                changed(&mut last, Change { run_id: None, state: order.state.clone() }, tell);
                if matches!(order.state.as_str(), "cancelled" | "lapsed") {
                    return Err(Refusal::new(Code::RunState, format!("the order is {}", order.state)));
                }
                order.state
            }
            (None, Watched::Run(_)) => return Err(Refusal::new(Code::Internal, "a run without an id is watched")),
        };
        if Instant::now() + pause > end {
            return Err(Refusal::new(Code::Timeout, format!("the run is {state} still; watch it again")));
        }
        std::thread::sleep(pause);
        pause = (pause * 3 / 2).min(Duration::from_secs(2));
    }
}

fn changed(last: &mut Option<Change>, now: Change, tell: &mut dyn FnMut(&Change)) {
    if last.as_ref() != Some(&now) {
        tell(&now);
        *last = Some(now);
    }
}

/// Stops a run: the TDC, a TDP of its contracts, or two SRO people one after the other.
pub fn abort(
    client: &Client,
    run: &RunId,
    reason: &str,
    key: &dyn Signer,
    trust: &Trust,
    now: Timestamp,
) -> R<Acted<Receipted>> {
    let document = Abort {
        schema: "abort.v1".into(),
        registry: trust.registry.clone(),
        run_id: run.clone(),
        reason: reason.to_owned(),
        at: now,
    };
    client.abort_run(run, &signing::sign(&document, key, now)?)
}
