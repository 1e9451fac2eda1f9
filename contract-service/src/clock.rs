//! What time brings to contracts, entered by the service itself: lapsed, active, revoked after notice, expired; and
//! completed, when no further run will come. States follow from the time alone; these entries tell of them. And runs whose
//! rooms have fallen silent end; periods of contracts fall due, failed payments are instructed again, deposits go back.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use schemas::contract::ContractRef;
use schemas::event::Body;
use schemas::{Code, R, Timestamp};

use crate::app::App;

/// Pause between two looks at the clock; short, so that stopping does not wait for it.
const NAP: Duration = Duration::from_millis(100);
/// Naps between two looks.
const NAPS: u32 = 5;
/// Bodies entered at one look.
const MOST: usize = 256;

/// Contracts that were asked about, with how much had happened under them then.
type Asked = BTreeMap<ContractRef, [usize; 3]>;

/// Enters what falls due until the service stops.
pub fn forever(app: &App) {
    let mut asked = Asked::new();
    let mut naps = 0;
    while !app.stopping() {
        if naps == 0 {
            match round(app, &mut asked, app.now()) {
                // Another process writes, or nobody may: it is told by whoever may again.
                Ok(_) | Err(Code::NotWriter | Code::ReadOnly | Code::Unavailable) => {}
                Err(code) => tracing::warn!(%code, "what the clock brought could not be entered"),
            }
        }
        naps = (naps + 1) % NAPS;
        std::thread::sleep(NAP);
    }
}

/// One look; returns how many entries were made.
fn round(app: &App, asked: &mut Asked, now: Timestamp) -> Result<usize, Code> {
    let state = app.registry.state();
    let mut bodies = state.due(now, MOST);
    bodies.extend(state.payments_due(now, MOST));
    let resting: Vec<(ContractRef, [usize; 3])> = state.resting(now).collect();
    asked.retain(|contract, _| resting.iter().any(|(other, _)| other == contract));
    for (contract, happened) in resting {
        if asked.insert(contract.clone(), happened) == Some(happened) {
            continue;
        }
        if let Some(reason) = state.completion_of(&contract, now).map_err(|e| e.code)? {
            bodies.push(Body::ContractCompleted { contract, reason });
        }
    }
    if app.registry.is_writer() {
        let most = Duration::from_secs(app.config.limits.run_silence_seconds);
        for run_id in app.heard.silent(state.living().cloned(), most, Instant::now()) {
            tracing::warn!(run_id = run_id.as_str(), "nothing was heard of a run any more; it ends");
            bodies.push(Body::RunLost { run_id });
        }
    } else {
        app.heard.nothing();
    }
    let made = bodies.len();
    for body in bodies {
        enter(app, body).map_err(|e| e.code)?;
    }
    Ok(made)
}

/// Somebody else may have been faster: what is told already need not be told again.
fn enter(app: &App, body: Body) -> R<()> {
    match app.enter(body) {
        Err(refusal) if !matches!(refusal.code, Code::StateTransition | Code::RunState | Code::PaymentState) => {
            Err(refusal)
        }
        Ok(_) | Err(_) => Ok(()),
    }
}
