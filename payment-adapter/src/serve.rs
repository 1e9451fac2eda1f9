//! The listener and the threads: deliveries and calls come in, the engine's steps go round.
//!
//! Whoever sends slowly holds its own connection, for so long and no longer, and nobody else's call: heads and bodies are read
//! beside each other within a time, and only whole calls reach the engine.

use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use actix_web::dev::ServerHandle;
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::web::{self, Data, Payload};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer};
use contract_client::Clock;
use schemas::{Code, R, Refusal};
use telemetry::{Scrape, Tracer};

use crate::config::{Config, Kind};
use crate::engine::Engine;
use crate::metrics::PATHS;
use crate::provider::Posted;

/// The largest call.
const MAX_BODY: usize = 64 * 1024;
/// What a caller has for the head of a call, and then for its body.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a connection may be idle.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Threads that read calls.
const READERS: usize = 2;
/// Connections of each at once; further ones wait to be accepted.
const CONNECTIONS: usize = 128;
/// The longest pause after a step that could not be made.
const TROUBLE: Duration = Duration::from_secs(1);

/// A running adapter.
pub struct Running {
    url: String,
    stop: Arc<AtomicBool>,
    engine: Arc<Engine>,
    listening: ServerHandle,
    threads: Vec<JoinHandle<()>>,
    metrics: Option<Scrape>,
    _locks: Vec<std::fs::File>,
}

/// Starts an adapter: one at a time has a folder (`STORE_IN_USE`).
pub fn start(config: &Config, clock: Clock) -> R<Running> {
    let locks = locks(config)?;
    let tracer = Tracer::start(&config.telemetry, "payment-adapter", env!("CARGO_PKG_VERSION"))?;
    let engine = Arc::new(Engine::open(config, clock)?.traced_by(tracer));
    let unbound =
        |e: std::io::Error| Refusal::new(Code::ConfigInvalid, format!("bind {}: {e}", config.bind)).at("bind");
    let listener = TcpListener::bind(config.bind).map_err(unbound)?;
    let bound = listener.local_addr().map_err(unbound)?;
    let counts = Arc::clone(&engine);
    let metrics = config.metrics_bind.map(|bind| Scrape::start(bind, move || counts.counted())).transpose()?;
    let stop = Arc::new(AtomicBool::new(false));
    let (listening, listener) = listen(listener, Arc::clone(&engine))?;
    let mut threads = vec![listener];
    // Each kind of step goes round by itself, so that a slow payment system delays no answer.
    let steps: [fn(&Engine) -> R<usize>; 3] = [Engine::pay, Engine::look, Engine::answer];
    for step in steps {
        let (engine, stop) = (Arc::clone(&engine), Arc::clone(&stop));
        let pause = Duration::from_millis(config.look_millis);
        threads.push(std::thread::spawn(move || round(&engine, step, pause, &stop)));
    }
    Ok(Running { url: format!("http://{bound}"), stop, engine, listening, threads, metrics, _locks: locks })
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
        // The command is sent at once; its future only waits for the end, and so does the join.
        drop(self.listening.stop(true));
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
        self.engine.tracer().end();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        drop(self.listening.stop(false));
    }
}

/// Listens in a thread of its own, until the handle says to stop.
fn listen(listener: TcpListener, engine: Arc<Engine>) -> R<(ServerHandle, JoinHandle<()>)> {
    let fault = |why: &dyn std::fmt::Display| Refusal::new(Code::Unavailable, format!("the listener: {why}"));
    let (started, starting) = mpsc::channel();
    let serve = move || {
        let engine = Data::from(engine);
        let run = actix_web::rt::System::new().block_on(async move {
            let server =
                HttpServer::new(move || App::new().app_data(Data::clone(&engine)).default_service(web::to(respond)));
            let server = server.workers(READERS).max_connections(CONNECTIONS).keep_alive(KEEP_ALIVE);
            let server = server.client_request_timeout(PATIENCE).shutdown_timeout(5).disable_signals();
            let server = server.listen(listener)?.run();
            // Nobody waits any more only if the starter has gone; then there is nothing to tell.
            let _ = started.send(server.handle());
            server.await
        });
        if let Err(error) = run {
            tracing::error!(%error, "the listener ended");
        }
    };
    let thread = std::thread::Builder::new().name("calls".into()).spawn(serve).map_err(|e| fault(&e))?;
    Ok((starting.recv().map_err(|e| fault(&e))?, thread))
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

/// Keeps every other adapter out of a folder, made if missing, as long as the file is held (`STORE_IN_USE`).
pub(crate) fn lock(folder: &Path) -> R<std::fs::File> {
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

async fn respond(engine: Data<Engine>, request: HttpRequest, payload: Payload) -> HttpResponse {
    let began = Instant::now();
    let posted = match (request.method(), request.path()) {
        (&Method::POST, "/webhooks" | "/events") => read(&request, payload).await,
        _ => Ok(Posted { headers: Vec::new(), body: Vec::new() }),
    };
    let unread = posted.is_err();
    let (method, path) = (request.method().clone(), request.path().to_owned());
    let caller = text_of(&request, "traceparent");
    let done = web::block(move || told(&engine, &Called { method, path, caller, began }, posted)).await;
    let answered = done.unwrap_or_else(|_| Err(Refusal::new(Code::Internal, "a call did not come to its end")));
    let (status, refusal) = match answered {
        Ok(status) => return HttpResponse::build(status_code(status)).finish(),
        Err(refusal) => (status_of(&refusal), refusal),
    };
    tracing::info!(code = %refusal.code, cause = %refusal.sentence, "refused");
    // A stranger learns that it was refused, and no more of why than the code.
    let shown = Refusal::new(refusal.code, if status >= 500 { "try again later" } else { "refused" });
    let body = serde_json::to_vec(&shown.problem(None)).unwrap_or_default();
    let mut response = HttpResponse::build(status_code(status));
    if unread {
        // What is left of the body is nobody's next call.
        response.force_close();
    }
    response.content_type("application/problem+json").body(body)
}

fn status_code(status: u16) -> StatusCode {
    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// What is called, by whom, and since when.
struct Called {
    method: Method,
    path: String,
    caller: Option<String>,
    began: Instant,
}

/// Answers a call whose body is there, counted and in a span.
fn told(engine: &Engine, called: &Called, posted: R<Posted>) -> R<u16> {
    let path = PATHS.into_iter().find(|path| *path == called.path).unwrap_or("(none)");
    let method = match called.method {
        Method::GET => "GET",
        Method::POST => "POST",
        _ => "OTHER",
    };
    let span = engine.tracer().call(method, path, called.caller.as_deref(), called.began);
    let entered = span.enter();
    let answered = answer(engine, method, path, posted);
    drop(entered);
    let (status, code) = match &answered {
        Ok(status) => (*status, None),
        Err(refusal) => (status_of(refusal), Some(refusal.code)),
    };
    span.answered(status, code);
    engine.metrics().answered(path, status, code, called.began.elapsed());
    answered
}

/// A delivery that is not genuine is a stranger's.
fn status_of(refusal: &Refusal) -> u16 {
    if refusal.code == Code::SignatureInvalid { 401 } else { refusal.code.status() }
}

fn answer(engine: &Engine, method: &str, path: &str, posted: R<Posted>) -> R<u16> {
    match (method, path) {
        ("GET", "/livez") => Ok(200),
        ("GET", "/readyz") => engine.ready().map(|()| 200),
        ("POST", "/webhooks") => engine.take(&posted?).map(|_| 204),
        ("POST", "/events") => engine.hear(&posted?).map(|_| 204),
        (_, "/livez" | "/readyz" | "/webhooks" | "/events") => {
            Err(Refusal::new(Code::MethodNotAllowed, "another method is expected"))
        }
        _ => Err(Refusal::new(Code::NotFound, "there is nothing here")),
    }
}

fn text_of(request: &HttpRequest, name: &str) -> Option<String> {
    request.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

/// A call whose body comes in time and within its limit. Headers that are no text are none.
async fn read(request: &HttpRequest, payload: Payload) -> R<Posted> {
    let slow = |_| Refusal::new(Code::Timeout, "the body did not come in time");
    let large = |_| Refusal::new(Code::BodyTooLarge, "a call has at most 64 KiB");
    let broken = |_| Refusal::new(Code::MalformedJson, "the body cannot be read");
    let whole = actix_web::rt::time::timeout(PATIENCE, payload.to_bytes_limited(MAX_BODY)).await;
    let body = whole.map_err(slow)?.map_err(large)?.map_err(broken)?.to_vec();
    let text =
        |(name, value): (&HeaderName, &HeaderValue)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()));
    Ok(Posted { headers: request.headers().iter().filter_map(text).collect(), body })
}
