//! The walk of an instruction, from its message to the answer that the contract service has taken. Each step is kept
//! before the next one begins, and may be made again.
//!
//! 1. [`Engine::take`]: the message is kept, then acknowledged.
//! 2. [`Engine::pay`]: instructions that are due become batches, which are kept; a batch that is about to be handed over
//!    is kept as tried; it is handed over; what was told is kept, with the answers that follow from it.
//! 3. [`Engine::look`], [`Engine::hear`], [`Engine::import`]: what the payment system tells by being asked, by its own
//!    calls and by files is kept in the same way.
//! 4. [`Engine::answer`]: an answer is signed, its bytes are kept, they are sent, and that they were taken is kept.
//!
//! A process that ends between any two of these steps makes the unfinished one again when it starts. The one step that
//! could cost money twice, handing over, is the payment system's to recognise, by the instruction's id.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use contract_client::Clock;
use schemas::{Code, Digest, R, Refusal};
use telemetry::Tracer;

use crate::answer::{Desk, Taken};
use crate::config::Config;
use crate::import::{self, Imported};
use crate::metrics::{Metrics, Out};
use crate::provider::{PaymentProvider, Posted};
use crate::receive::{self, Checks};
use crate::status::Status;
use crate::store::{Applied, Store};

/// Asked at every step by its name; true ends the act there, as a kill would. For tests.
pub type Cut = Arc<dyn Fn(&'static str) -> bool + Send + Sync>;

/// The adapter without its listener and threads.
pub struct Engine {
    store: Store,
    provider: Arc<dyn PaymentProvider>,
    desk: Desk,
    checks: Checks,
    clock: Clock,
    cut: Option<Cut>,
    settings: Settings,
    metrics: Metrics,
    tracer: Tracer,
}

/// What the walk needs of the configuration.
#[derive(Clone, Debug)]
struct Settings {
    retry_seconds: Vec<u32>,
    poll_seconds: u32,
    wait_until_due: bool,
    inbox: Option<PathBuf>,
    import_bytes: u64,
}

impl Engine {
    /// An engine as configured; the folder is made if need be.
    pub fn open(config: &Config, clock: Clock) -> R<Engine> {
        let provider = config.provider(&clock)?;
        Engine::with(config, provider, clock)
    }

    /// An engine with this payment system.
    pub fn with(config: &Config, provider: Arc<dyn PaymentProvider>, clock: Clock) -> R<Engine> {
        use std::os::unix::fs::DirBuilderExt as _;
        let fault = |e: std::io::Error| {
            Refusal::new(Code::ConfigInvalid, format!("data_dir {}: {e}", config.data_dir.display()))
        };
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&config.data_dir).map_err(fault)?;
        let desk = config.desk(&clock)?;
        let store = Store::open(&config.data_dir)?;
        store.belongs_to(&desk.registry, &desk.key.did()?)?;
        Ok(Engine {
            store,
            provider,
            desk,
            checks: config.checks()?,
            clock,
            cut: None,
            settings: Settings {
                retry_seconds: config.retry_seconds.clone(),
                poll_seconds: config.poll_seconds,
                wait_until_due: config.wait_until_due,
                inbox: config.inbox(),
                import_bytes: config.import_bytes,
            },
            metrics: Metrics::default(),
            tracer: Tracer::off(),
        })
    }

    /// The same engine, which ends its acts where this says so.
    pub fn cut_by(self, cut: Cut) -> Engine {
        Engine { cut: Some(cut), ..self }
    }

    /// The same engine, which makes spans of what it does.
    pub fn traced_by(self, tracer: Tracer) -> Engine {
        Engine { tracer, ..self }
    }

    /// Takes a delivery of the contract service; returns whether it is new.
    pub fn take(&self, call: &Posted) -> R<bool> {
        self.step("before a message is kept")?;
        let new = receive::take(&self.store, &self.checks, call, self.settings.wait_until_due, (self.clock)())?;
        self.step("before a message is acknowledged")?;
        if new {
            self.metrics.took();
        }
        Ok(new)
    }

    /// Hands over what is due; returns how many batches were tried.
    pub fn pay(&self) -> R<usize> {
        self.store.plan(&*self.provider, (self.clock)())?;
        self.step("before a batch is taken")?;
        let batches = self.store.take_batches((self.clock)())?;
        for batch in &batches {
            self.step("before a batch is handed over")?;
            match self.out(Out::Submit, self.provider.name(), || self.provider.submit(batch)) {
                Ok(news) => {
                    self.step("before what was told is kept")?;
                    self.store.handed(batch, &news, (self.clock)())?;
                }
                Err(refusal) => {
                    self.step("before a refusal is kept")?;
                    tracing::warn!(batch = batch.id, code = %refusal.code, cause = %refusal.sentence, "not handed over");
                    let why = refusal.to_string();
                    self.store.not_handed(batch, &why, &self.settings.retry_seconds, (self.clock)())?;
                }
            }
        }
        Ok(batches.len())
    }

    /// Asks the payment system how things stand, and reads the files that lie in the inbox; returns how much there was.
    pub fn look(&self) -> R<usize> {
        let asked = if self.provider.can_be_asked() { self.store.to_ask((self.clock)())? } else { Vec::new() };
        for instruction in &asked {
            self.step("before the payment system is asked")?;
            let told = self.out(Out::Ask, self.provider.name(), || self.provider.ask(instruction));
            let news = told.unwrap_or_else(|refusal| {
                tracing::warn!(instruction.id = instruction.id, code = %refusal.code, "not told how it stands");
                Vec::new()
            });
            self.step("before its word is kept")?;
            self.store.asked(&instruction.id, &news, i64::from(self.settings.poll_seconds), (self.clock)())?;
        }
        let files = match &self.settings.inbox {
            Some(inbox) => import::folder(&self.store, inbox, self.settings.import_bytes, (self.clock)())?,
            None => 0,
        };
        Ok(asked.len() + files)
    }

    /// Takes a call of the payment system; returns whether it is new. What it says out of order is kept as heard, and
    /// changes nothing.
    pub fn hear(&self, call: &Posted) -> R<bool> {
        let heard = self.provider.hear(call, (self.clock)())?;
        self.step("before a call is kept")?;
        let id = format!("{}:{}", self.provider.name(), heard.event);
        let applied = self.store.hear(&id, Digest::of(&call.body), &heard.news, (self.clock)())?;
        self.step("before a call is acknowledged")?;
        if applied.is_some() {
            self.metrics.heard();
        }
        for refused in applied.iter().flatten() {
            if let Applied::Refused(refusal) = refused {
                tracing::warn!(code = %refusal.code, cause = %refusal.sentence, "the payment system spoke out of order");
            }
        }
        Ok(applied.is_some())
    }

    /// Reads a file of the bank, once.
    pub fn import(&self, file: &Path) -> R<Imported> {
        import::file(&self.store, file, self.settings.import_bytes, (self.clock)())
    }

    /// Sends the answers that are due; returns how many were tried.
    pub fn answer(&self) -> R<usize> {
        let open = self.store.open_answers((self.clock)())?;
        for answer in &open {
            let bytes = match &answer.envelope {
                Some(bytes) => bytes.clone(),
                None => {
                    let bytes = self.desk.sign(answer, (self.clock)())?;
                    self.store.keep_envelope(answer.seq, &bytes)?;
                    bytes
                }
            };
            self.step("before an answer is sent")?;
            let told = self.out(Out::Answer, "contract service", || self.desk.send(answer, &bytes));
            self.step("before it is kept as taken")?;
            match told {
                Ok(Taken::Yes | Taken::OldNews) => self.store.taken(answer.seq, (self.clock)())?,
                Ok(Taken::Never(code)) => {
                    tracing::error!(subject = answer.subject, %code, "the contract service refuses an answer for good");
                    self.store.refused(answer.seq, code)?;
                }
                Err(refusal) => {
                    tracing::warn!(subject = answer.subject, code = %refusal.code, "an answer was not taken");
                    self.store.later(answer.seq, refusal.code, &self.settings.retry_seconds, (self.clock)())?;
                }
            }
        }
        Ok(open.len())
    }

    /// How everything stands.
    pub fn status(&self) -> R<Status> {
        Status::of(&self.store)
    }

    /// Whether the database answers.
    pub fn ready(&self) -> R<()> {
        self.store.answers()
    }

    /// The counts, as `/metrics` shows them.
    pub fn counted(&self) -> String {
        self.metrics.text(self.store.counts().ok().as_ref())
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    pub(crate) fn tracer(&self) -> &Tracer {
        &self.tracer
    }

    /// Makes a call of the adapter's own, counted and in a span; what it asks for inside belongs to that span.
    fn out<T>(&self, what: Out, peer: &'static str, call: impl FnOnce() -> R<T>) -> R<T> {
        let span = self.tracer.act(what.as_str(), peer);
        let _in = span.enter();
        let done = self.metrics.out(what, call);
        span.ended(&done);
        done
    }

    fn step(&self, name: &'static str) -> R<()> {
        match &self.cut {
            Some(cut) if cut(name) => Err(Refusal::new(Code::Internal, format!("cut {name}"))),
            _ => Ok(()),
        }
    }
}
