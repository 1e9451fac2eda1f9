//! What every handler has at hand: the registry, the service's key, a clock, the configuration.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use attestation::Brought;
use registry::{Entry, Registry};
use schemas::event::{Body, SroPerson};
use schemas::id::Did;
use schemas::lineage::LogLineage;
use schemas::log::Receipt;
use schemas::release::StatusList;
use schemas::{Envelope, R, Timestamp};
use signing::{FileKey, Trust};
use telemetry::Tracer;

use crate::admit;
use crate::auth::dpop::Used;
use crate::auth::verified::Verified;
use crate::call::{Answer, Call};
use crate::config::Config;
use crate::did_web::DidWeb;
use crate::error::fault;
use crate::events::{Crowd, Hub};
use crate::idempotency::Keys;
use crate::limits::Limits;
use crate::log_keys::LogKeys;
use crate::metrics::Metrics;
use crate::people::People;
use crate::route::{Route, Run};
use crate::scitt::ReceiptKey;
use crate::serve::{Begun, Desk, Verb, Work};
use crate::silence::Heard;
use crate::steps::Steps;
use crate::tls::Tls;
use crate::upkeep::Pulse;
use crate::witness::Cosigned;

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
    /// The registry's keys.
    pub log_keys: LogKeys,
    /// The configuration.
    pub config: Config,
    /// What relying parties pin, but for the key in use: see [`App::trust`].
    pinned: Trust,
    /// What counts as a trustworthy platform.
    pub platform: Brought,
    /// Fetches did:web documents.
    pub did_web: DidWeb,
    /// The key of receipts in the CCF shape.
    pub receipt_key: ReceiptKey,
    /// The newest checkpoints with cosignatures.
    pub cosigned: Cosigned,
    /// Budgets of callers.
    pub limits: Limits,
    /// Counts for operators.
    pub metrics: Metrics,
    /// Makes spans of calls; none where the configuration names no collector.
    pub tracer: Tracer,
    /// Tokens verified already.
    pub verified: Verified,
    /// Idempotency keys in use.
    pub keys: Keys,
    /// How people sign in.
    pub people: People,
    /// DPoP proofs that were used.
    pub proofs: Used,
    /// Counts of deliveries.
    pub deliveries: crate::deliver::Counts,
    /// What owners of endpoints may have sent, and when.
    pub hooks: crate::deliver::Pace,
    /// Tells entries to streams of events.
    pub events: Hub,
    /// Streams of events that are open, by participant.
    pub listeners: Crowd,
    /// The writer's pulse.
    pub pulse: Pulse,
    /// When each living run was last heard of.
    pub(crate) heard: Heard,
    /// How far living runs have got.
    pub(crate) steps: Steps,
    /// The certificate that is served.
    pub tls: Option<Tls>,
    clock: Clock,
    routes: BTreeMap<(Verb, &'static str), Arc<Route>>,
    status: Mutex<Option<(u64, Envelope<StatusList>)>>,
    /// Of one key of the log: how many there were, and the receipts.
    receipts: Mutex<(usize, BTreeMap<u64, Receipt>)>,
    /// What relying parties pin, and how many keys the log had then.
    trust: Mutex<Option<(usize, Trust)>>,
    stopping: AtomicBool,
}

/// Microseconds for which a signed status list is given out again.
const STATUS_LIST_MICROS: i64 = 1_000_000;
/// Receipts that are kept.
const RECEIPTS: usize = 8_192;

impl App {
    /// Puts the parts together.
    pub fn new(registry: Registry, log_keys: LogKeys, config: Config, pinned: Trust, clock: Clock) -> R<App> {
        let platform = config.platform.load(&pinned)?;
        config.platform_policy(&platform, &config.platform_level)?;
        let did_web = DidWeb::new(config.demo())?;
        let routes =
            crate::routes::list().into_iter().map(|route| ((route.verb, route.path), Arc::new(route))).collect();
        let (status, stopping) = (Mutex::new(None), AtomicBool::new(false));
        let receipt_key = ReceiptKey::open(&config.key_file, config.authority()?, clock())?;
        let cosigned = Cosigned::new(pinned.quorum, config.data_dir.join("cosigned.note"));
        let tls = config.tls.as_ref().map(Tls::load).transpose()?;
        let (limits, metrics) = (Limits::new(&config.rates), Metrics::default());
        let (verified, keys) = (Verified::default(), Keys::default());
        let people = People::new(&config)?;
        Ok(App {
            registry,
            log_keys,
            config,
            pinned,
            platform,
            did_web,
            receipt_key,
            cosigned,
            limits,
            metrics,
            tracer: Tracer::off(),
            verified,
            keys,
            people,
            proofs: Used::default(),
            deliveries: Default::default(),
            hooks: Default::default(),
            events: Hub::default(),
            listeners: Crowd::default(),
            pulse: Pulse::default(),
            heard: Heard::default(),
            steps: Steps::default(),
            tls,
            clock,
            routes,
            status,
            receipts: Mutex::default(),
            trust: Mutex::default(),
            stopping,
        })
    }

    /// The same, which makes spans of its calls.
    pub fn traced_by(self, tracer: Tracer) -> App {
        App { tracer, ..self }
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
        &self.pinned.registry
    }

    /// The log's origin.
    pub fn origin(&self) -> &str {
        &self.pinned.origin
    }

    /// The people of the SRO.
    pub fn sro(&self) -> &[SroPerson] {
        &self.pinned.sro
    }

    /// What relying parties pin now, with the key in use and the lineage that leads to it; the service judges bundles by
    /// it too, also those whose receipts an earlier key signed.
    pub fn trust(&self) -> Trust {
        let state = self.registry.state();
        let (keys, known) = (state.registry_keys(), state.registry_keys().len() + state.people_changes());
        let mut kept = self.trust.lock().unwrap_or_else(|e| e.into_inner());
        if let Some((_, trust)) = kept.as_ref().filter(|(seen, _)| *seen == known) {
            return trust.clone();
        }
        let mut trust = self.pinned.clone();
        if let Some(key) = keys.last() {
            trust.registry_jwk = key.jwk.clone();
        }
        match self.registry.lineage().and_then(|l| if l.is_plain() { Ok(trust.clone()) } else { trust.following(&l) }) {
            Ok(followed) => trust = followed,
            Err(refusal) => {
                // Not kept: the next reading may show it.
                tracing::error!(%refusal, "the lineage of the log's keys cannot be shown");
                return trust;
            }
        }
        *kept = Some((known, trust.clone()));
        trust
    }

    /// How the log's key in use follows from earlier ones; none while the log has its first key.
    pub fn lineage(&self) -> Option<LogLineage> {
        self.trust().lineage.shown().cloned()
    }

    /// The registry's key in use; `CONFIG_INVALID` where it is not at hand.
    pub fn signer(&self) -> R<Arc<FileKey>> {
        self.log_keys.in_use(&self.registry.state()).cloned()
    }

    /// Verifies every signature in a body and enters it, if the rules allow it now.
    pub fn enter(&self, body: Body) -> R<Entry> {
        self.registry.append(self.registry.verify(body)?, self.now())
    }

    /// The status list, signed at most a second ago over the log as it is now. A service that knows its log to be old or
    /// spoilt, or that cannot see whether it is, says nothing: it would call contracts good that were revoked since.
    pub fn status_list(&self) -> R<Envelope<StatusList>> {
        self.registry.fresh()?;
        let now = self.now();
        let mut cached = self.status.lock().unwrap_or_else(|e| e.into_inner());
        // The head before the state: what is said is never older than the head that it names.
        let head = self.registry.head()?;
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
            checkpoint: head,
            not_in_force: state.not_in_force(now),
            image_sets_revoked: state.image_sets_revoked(now),
        };
        let list = signing::sign(&list, &*self.signer()?, now)?;
        *cached = Some((state.size(), list.clone()));
        Ok(list)
    }

    /// The receipt of an entry that is asked for again and again. Once made it stays true, so it is kept until the log
    /// has another key.
    pub fn receipt(&self, index: u64) -> R<Receipt> {
        let keys = self.registry.state().registry_keys().len();
        let mut kept = self.receipts.lock().unwrap_or_else(|e| e.into_inner());
        if let Some(receipt) = kept.1.get(&index).filter(|_| kept.0 == keys) {
            return Ok(receipt.clone());
        }
        drop(kept);
        let receipt = self.registry.receipt(index)?;
        kept = self.receipts.lock().unwrap_or_else(|e| e.into_inner());
        if kept.0 != keys || kept.1.len() >= RECEIPTS {
            *kept = (keys, BTreeMap::new());
        }
        kept.1.insert(index, receipt.clone());
        Ok(receipt)
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

    fn answer(&self, verb: Verb, path: &'static str, call: &Call) -> R<Answer> {
        match self.route(verb, path)?.run {
            Run::Blocking(handler) | Run::Inline(handler) => handler(self, call),
            Run::Later(_) | Run::Feed(_) => Err(fault("this route does not answer so")),
        }
    }

    fn begin(self: Arc<Self>, verb: Verb, path: &'static str, call: Call) -> Begun {
        match self.route(verb, path).cloned() {
            Ok(route) => admit::begin(self, route, call),
            Err(refusal) => Begun { call: Arc::new(call), headers: Vec::new(), work: Work::Done(Err(refusal)) },
        }
    }

    fn finish(&self, verb: Verb, path: &'static str, call: &Call, answer: R<Answer>) -> R<Answer> {
        admit::finish(self, self.route(verb, path)?, call, answer)
    }

    fn media(&self, path: &'static str) -> Option<&'static [&'static str]> {
        [Verb::Post, Verb::Put].iter().find_map(|verb| self.routes.get(&(*verb, path))).map(|route| route.media)
    }
}

impl App {
    fn route(&self, verb: Verb, path: &'static str) -> R<&Arc<Route>> {
        self.routes.get(&(verb, path)).ok_or_else(|| fault("a path without a route"))
    }
}
