//! Starting and stopping: the service as a thread with its own event loop, for the binary, the demo and tests alike.

use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Weak, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use actix_web::dev::ServerHandle;
use actix_web::middleware::from_fn;
use actix_web::web::Data;
use actix_web::{App, HttpServer};
use schemas::{Code, R, Refusal};
use telemetry::{Scrape, Tracer};

use crate::Clock;
use crate::config::Config;
use crate::kms::Kms;
use crate::watch::watched;

/// Starts key services.
pub struct Service;

/// A key service that runs. Stopped when dropped.
pub struct Running {
    url: String,
    address: SocketAddr,
    handle: ServerHandle,
    thread: Option<JoinHandle<()>>,
    kms: Weak<Kms>,
    metrics: Option<Scrape>,
    tracer: Tracer,
}

/// How often the journal's head is looked at.
const KEEPING: Duration = Duration::from_millis(500);

/// How long a stop waits for the database to be closed after the last answer.
const CLOSING: Duration = Duration::from_secs(5);

fn unavailable(why: impl std::fmt::Display) -> Refusal {
    Refusal::new(Code::Unavailable, why.to_string())
}

impl Service {
    /// Binds, opens the folder and answers from a thread of its own. Port 0 in `listen` takes any free port; port 0 in
    /// `url` becomes the one that was taken. Leaves signals to the caller.
    pub fn start(config: Config, clock: Clock) -> R<Running> {
        Service::launch(config, clock, false)
    }

    /// As [`Service::start`], ending at SIGINT and SIGTERM.
    pub fn start_with_signals(config: Config, clock: Clock) -> R<Running> {
        Service::launch(config, clock, true)
    }

    fn launch(mut config: Config, clock: Clock, signals: bool) -> R<Running> {
        config.check()?;
        let listener = TcpListener::bind(config.listen).map_err(|e| unavailable(format!("{}: {e}", config.listen)))?;
        let address = listener.local_addr().map_err(unavailable)?;
        let port = address.port();
        if let Some(host) = config.url.strip_suffix(":0") {
            config.url = format!("{host}:{port}");
        }
        let mut kms = Kms::open(config, clock)?;
        kms.tracer = Tracer::start(&kms.config.telemetry, "kms-adapter", env!("CARGO_PKG_VERSION"))?;
        let (tracer, kms) = (kms.tracer.clone(), Arc::new(kms));
        let (url, weak) = (kms.url().to_owned(), Arc::downgrade(&kms));
        let metrics = kms.config.metrics_bind.map(|bind| metrics(bind, &kms)).transpose()?;
        keep_up(&kms)?;
        let kms = Data::from(kms);
        let (started, starting) = mpsc::channel();
        let serve = move || {
            let server = HttpServer::new(move || {
                App::new().app_data(kms.clone()).wrap(from_fn(watched)).configure(crate::configure)
            });
            let server = server.workers(2).shutdown_timeout(5).server_hostname("kms-adapter");
            let server = if signals { server } else { server.disable_signals() };
            actix_web::rt::System::new().block_on(async move {
                match server.listen(listener) {
                    Ok(server) => {
                        let server = server.run();
                        // Nobody waits any more only if the starter has gone; then there is nothing to tell.
                        let _ = started.send(Ok(server.handle()));
                        if let Err(error) = server.await {
                            tracing::error!(%error, "the server ended");
                        }
                    }
                    Err(error) => drop(started.send(Err(unavailable(error)))),
                }
            });
        };
        let thread = std::thread::Builder::new().name("kms-adapter".into()).spawn(serve).map_err(unavailable)?;
        let handle = starting.recv().map_err(|_| unavailable("the server did not start"))??;
        tracing::info!(url, "key service answers");
        Ok(Running { url, address, handle, thread: Some(thread), kms: weak, metrics, tracer })
    }
}

/// Serves the counts; what asks for them does not keep the service alive.
fn metrics(bind: SocketAddr, kms: &Arc<Kms>) -> R<Scrape> {
    let weak = Arc::downgrade(kms);
    Scrape::start(bind, move || weak.upgrade().map(|kms| kms.counted()).unwrap_or_default())
}

/// Signs checkpoints of the journal while the service lives.
fn keep_up(kms: &Arc<Kms>) -> R<()> {
    let weak = Arc::downgrade(kms);
    let work = move || {
        while let Some(kms) = weak.upgrade() {
            if let Err(refusal) = kms.keep_up() {
                tracing::error!(code = %refusal.code, cause = %refusal.sentence, "no checkpoint of the journal");
            }
            drop(kms);
            std::thread::sleep(KEEPING);
        }
    };
    std::thread::Builder::new().name("kms-checkpoints".into()).spawn(work).map_err(unavailable)?;
    Ok(())
}

impl Running {
    /// Base URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Lets the service fall at a transaction, for rehearsals; whether it still stood to be told.
    #[cfg(feature = "software-attester")]
    pub fn fall_at(&self, fall: Option<crate::Fall>) -> bool {
        self.kms.upgrade().map(|kms| kms.store.fall_at(fall)).is_some()
    }

    /// The address that is bound.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where `/metrics` is served, where it is.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics.as_ref().map(Scrape::address)
    }

    /// Ends the service; requests in progress are finished.
    pub fn stop(mut self) {
        self.end();
    }

    /// Waits until the service ends by itself.
    pub fn wait(mut self) {
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        self.tracer.end();
    }

    fn end(&mut self) {
        drop(self.metrics.take());
        // The command is sent at once; its future only waits for the end, and so does the join.
        drop(self.handle.stop(true));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        self.tracer.end();
        // Worker threads let go of the service a moment later; only then is its database closed.
        let begun = Instant::now();
        while self.kms.strong_count() > 0 && begun.elapsed() < CLOSING {
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.thread.is_some() {
            self.end();
        }
    }
}
