//! The listener and the threads: deliveries and calls come in, the engine's steps go round.

use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use contract_client::Clock;
use schemas::{Code, R, Refusal};
use telemetry::{Scrape, Tracer};
use tiny_http::{Header, Method, Request, Response, Server};

use crate::config::{Config, Kind};
use crate::engine::Engine;
use crate::metrics::PATHS;
use crate::provider::Posted;

/// The largest call.
const MAX_BODY: u64 = 64 * 1024;
/// Threads that take calls.
const LISTENERS: usize = 2;
/// The longest pause after a step that could not be made.
const TROUBLE: Duration = Duration::from_secs(1);

/// A running adapter.
pub struct Running {
    url: String,
    stop: Arc<AtomicBool>,
    engine: Arc<Engine>,
    threads: Vec<JoinHandle<()>>,
    metrics: Option<Scrape>,
    _locks: Vec<std::fs::File>,
}

/// Starts an adapter: one at a time has a folder (`STORE_IN_USE`).
pub fn start(config: &Config, clock: Clock) -> R<Running> {
    let locks = locks(config)?;
    let tracer = Tracer::start(&config.telemetry, "payment-adapter", env!("CARGO_PKG_VERSION"))?;
    let engine = Arc::new(Engine::open(config, clock)?.traced_by(tracer));
    let unbound = |e| Refusal::new(Code::ConfigInvalid, format!("bind {}: {e}", config.bind)).at("bind");
    let server = Arc::new(Server::http(config.bind).map_err(unbound)?);
    let bound = server.server_addr().to_ip().unwrap_or(config.bind);
    let counts = Arc::clone(&engine);
    let metrics = config.metrics_bind.map(|bind| Scrape::start(bind, move || counts.counted())).transpose()?;
    let stop = Arc::new(AtomicBool::new(false));
    let mut threads = Vec::new();
    for _ in 0..LISTENERS {
        let (engine, server, stop) = (Arc::clone(&engine), Arc::clone(&server), Arc::clone(&stop));
        threads.push(std::thread::spawn(move || {
            while !stop.load(Ordering::SeqCst) {
                if let Ok(Some(request)) = server.recv_timeout(Duration::from_millis(50)) {
                    respond(&engine, request);
                }
            }
        }));
    }
    // Each kind of step goes round by itself, so that a slow payment system delays no answer.
    let steps: [fn(&Engine) -> R<usize>; 3] = [Engine::pay, Engine::look, Engine::answer];
    for step in steps {
        let (engine, stop) = (Arc::clone(&engine), Arc::clone(&stop));
        let pause = Duration::from_millis(config.look_millis);
        threads.push(std::thread::spawn(move || round(&engine, step, pause, &stop)));
    }
    Ok(Running { url: format!("http://{bound}"), stop, engine, threads, metrics, _locks: locks })
}

impl Running {
    /// Where it listens.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where `/metrics` is served, where it is.
    pub fn metrics_address(&self) -> Option<std::net::SocketAddr> {
        self.metrics.as_ref().map(Scrape::address)
    }

    /// The engine.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Ends it after what goes on.
    pub fn stop(mut self) {
        self.stop.store(true, Ordering::SeqCst);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
        self.engine.tracer().end();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
    }
}

fn round(engine: &Engine, step: fn(&Engine) -> R<usize>, pause: Duration, stop: &AtomicBool) {
    while !stop.load(Ordering::SeqCst) {
        match step(engine) {
            Ok(0) => std::thread::sleep(pause),
            Ok(_) => {}
            Err(refusal) => {
                tracing::warn!(code = %refusal.code, cause = %refusal.sentence, "a step could not be made");
                std::thread::sleep(TROUBLE.max(pause));
            }
        }
    }
}

/// One adapter has the folder of the database and, where the bank takes files, the one in which these are made.
fn locks(config: &Config) -> R<Vec<std::fs::File>> {
    let work = config.pain001.as_ref().map(|bank| &bank.work).filter(|_| config.provider == Kind::Pain001);
    std::iter::once(&config.data_dir).chain(work).map(|folder| lock(folder)).collect()
}

fn lock(folder: &Path) -> R<std::fs::File> {
    use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
    let path = folder.join("serve.lock");
    let fault = |e: std::io::Error| Refusal::new(Code::ConfigInvalid, format!("{}: {e}", path.display()));
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(fault)?;
    let mut options = std::fs::File::options();
    let file = options.create(true).truncate(false).write(true).mode(0o600).open(&path).map_err(fault)?;
    file.try_lock().map_err(|_| {
        let sentence = format!("another payment-adapter serves {}", folder.display());
        Refusal::new(Code::StoreInUse, sentence)
    })?;
    Ok(file)
}

fn respond(engine: &Engine, mut request: Request) {
    let began = Instant::now();
    let called = request.url().split('?').next().unwrap_or_default();
    let path = PATHS.into_iter().find(|path| *path == called).unwrap_or("(none)");
    let method = match request.method() {
        Method::Get => "GET",
        Method::Post => "POST",
        _ => "OTHER",
    };
    let caller = request.headers().iter().find(|h| h.field.equiv("traceparent")).map(|h| h.value.as_str());
    let span = engine.tracer().call(method, path, caller, began);
    let entered = span.enter();
    let answered = answer(engine, &mut request);
    drop(entered);
    let (status, code) = match &answered {
        Ok(status) => (*status, None),
        Err(refusal) => (status_of(refusal), Some(refusal.code)),
    };
    span.answered(status, code);
    engine.metrics().answered(path, status, code, began.elapsed());
    let response = match answered {
        Ok(status) => Response::from_data(Vec::new()).with_status_code(status),
        Err(refusal) => {
            tracing::info!(code = %refusal.code, cause = %refusal.sentence, "refused");
            // A stranger learns that it was refused, and no more of why than the code.
            let shown = Refusal::new(refusal.code, if status >= 500 { "try again later" } else { "refused" });
            let body = serde_json::to_vec(&shown.problem(None)).unwrap_or_default();
            let problem = Header::from_bytes("content-type", "application/problem+json");
            let response = Response::from_data(body).with_status_code(status);
            match problem {
                Ok(header) => response.with_header(header),
                Err(()) => response,
            }
        }
    };
    let _ = request.respond(response);
}

/// A delivery that is not genuine is a stranger's.
fn status_of(refusal: &Refusal) -> u16 {
    if refusal.code == Code::SignatureInvalid { 401 } else { refusal.code.status() }
}

fn answer(engine: &Engine, request: &mut Request) -> R<u16> {
    let path = request.url().split('?').next().unwrap_or_default().to_owned();
    match (request.method(), path.as_str()) {
        (Method::Get, "/livez") => Ok(200),
        (Method::Get, "/readyz") => engine.ready().map(|()| 200),
        (Method::Post, "/webhooks") => {
            let call = read(request)?;
            engine.take(&call).map(|_| 204)
        }
        (Method::Post, "/events") => {
            let call = read(request)?;
            engine.hear(&call).map(|_| 204)
        }
        (_, "/livez" | "/readyz" | "/webhooks" | "/events") => {
            Err(Refusal::new(Code::MethodNotAllowed, "another method is expected"))
        }
        _ => Err(Refusal::new(Code::NotFound, "there is nothing here")),
    }
}

fn read(request: &mut Request) -> R<Posted> {
    let header = |h: &Header| (h.field.as_str().as_str().to_ascii_lowercase(), h.value.as_str().to_owned());
    let headers = request.headers().iter().map(header).collect();
    let mut body = Vec::new();
    let unreadable = |_| Refusal::new(Code::MalformedJson, "the body cannot be read");
    request.as_reader().take(MAX_BODY + 1).read_to_end(&mut body).map_err(unreadable)?;
    if body.len() as u64 > MAX_BODY {
        return Err(Refusal::new(Code::BodyTooLarge, "a call has at most 64 KiB"));
    }
    Ok(Posted { headers, body })
}
