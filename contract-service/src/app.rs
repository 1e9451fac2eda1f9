//! What every handler has at hand: the registry, the service's key, a clock, the configuration.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use attestation::PlatformPolicy;
use registry::{Entry, Registry};
use schemas::event::Body;
use schemas::id::Did;
use schemas::release::StatusList;
use schemas::{Envelope, R, Timestamp};
use signing::{FileKey, Trust};

use crate::call::{Answer, Call};
use crate::config::Config;
use crate::did_web::DidWeb;
use crate::error::fault;
use crate::idempotency;
use crate::openapi::Route;
use crate::serve::{Desk, Verb};

/// Where time comes from: read at the edge, handed on as `now`.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The clock of the machine.
pub fn system_clock() -> Clock {
    Arc::new(|| {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    })
}

/// The service's state.
pub struct App {
    /// The memory.
    pub registry: Registry,
    /// The registry's key.
    pub signer: Arc<FileKey>,
    /// The configuration.
    pub config: Config,
    /// What relying parties pin; the service judges bundles by it too.
    pub trust: Trust,
    /// What counts as a trustworthy platform.
    pub policy: PlatformPolicy,
    /// Fetches did:web documents.
    pub did_web: DidWeb,
    clock: Clock,
    routes: BTreeMap<(Verb, &'static str), Route>,
    status: Mutex<Option<(u64, Envelope<StatusList>)>>,
    stopping: AtomicBool,
}

/// Microseconds for which a signed status list is given out again.
const STATUS_LIST_MICROS: i64 = 1_000_000;

impl App {
    /// Puts the parts together.
    pub fn new(registry: Registry, signer: Arc<FileKey>, config: Config, trust: Trust, clock: Clock) -> R<App> {
        let policy = config.platform_policy()?;
        let did_web = DidWeb::new(config.demo())?;
        let routes = crate::routes::list().into_iter().map(|route| ((route.verb, route.path), route)).collect();
        let (status, stopping) = (Mutex::new(None), AtomicBool::new(false));
        Ok(App { registry, signer, config, trust, policy, did_web, clock, routes, status, stopping })
    }

    /// The time now.
    pub fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// The base URL: audience of tokens, transcripts and run requests.
    pub fn url(&self) -> &str {
        &self.config.url
    }

    /// The registry's DID.
    pub fn did(&self) -> &Did {
        &self.trust.registry
    }

    /// Verifies every signature in a body and enters it, if the rules allow it now.
    pub fn enter(&self, body: Body) -> R<Entry> {
        self.registry.append(self.registry.verify(body)?, self.now())
    }

    /// The status list, signed at most a second ago over the log as it is now.
    pub fn status_list(&self) -> R<Envelope<StatusList>> {
        let now = self.now();
        let mut cached = self.status.lock().unwrap_or_else(|e| e.into_inner());
        let state = self.registry.state();
        if let Some((size, list)) = cached.as_ref() {
            let issued = list.read_unverified()?.issued_at;
            let young = (0..STATUS_LIST_MICROS).contains(&(now.micros() - issued.micros()));
            if young && *size == state.size() {
                return Ok(list.clone());
            }
        }
        let list = StatusList {
            schema: "status-list.v1".into(),
            registry: self.did().clone(),
            issued_at: now,
            checkpoint: self.registry.head()?,
            not_in_force: state.not_in_force(now),
        };
        let list = signing::sign(&list, &*self.signer, now)?;
        *cached = Some((state.size(), list.clone()));
        Ok(list)
    }

    /// Whether the service is about to stop.
    pub fn stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// Tells waiting calls and background work to end.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }
}

impl Desk for App {
    fn paths(&self) -> Vec<(Verb, &'static str)> {
        self.routes.keys().copied().collect()
    }

    fn answer(&self, verb: Verb, path: &'static str, call: Call) -> R<Answer> {
        let route = self.routes.get(&(verb, path)).ok_or_else(|| fault("a path without a route"))?;
        if route.keyed() { idempotency::once(self, route, &call) } else { (route.handler)(self, &call) }
    }

    fn media(&self) -> Option<&'static str> {
        Some(crate::call::JSON)
    }
}
