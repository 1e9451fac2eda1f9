//! HTTP: takes calls off the wire within limits, hands them to the routes' functions, writes answers.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use actix_web::body::{BodySize, BodyStream, MessageBody};
use actix_web::dev::ServerHandle;
use actix_web::guard;
use actix_web::http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::web::{self, Bytes, Data, Payload, ServiceConfig};
use actix_web::{App as ActixApp, HttpRequest, HttpResponse, HttpResponseBuilder, HttpServer};
use schemas::{Code, R, Refusal};
use tokio::sync::{mpsc, oneshot};

use crate::call::{Answer, Call, HEADERS, read_query, unescape};
use crate::error::{answer, fault};
use crate::tls::Tls;

/// Methods of the routes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Verb {
    /// Reads.
    Get,
    /// Acts.
    Post,
    /// Replaces what stands under the path.
    Put,
    /// Removes what stands under the path.
    Delete,
}

impl Verb {
    /// The method's name.
    pub fn name(self) -> &'static str {
        match self {
            Verb::Get => "GET",
            Verb::Post => "POST",
            Verb::Put => "PUT",
            Verb::Delete => "DELETE",
        }
    }
}

/// Gives an answer from wherever it becomes known. Dropped without one, the call is answered as our fault.
pub struct Reply {
    to: oneshot::Sender<R<Answer>>,
    watcher: Option<Watcher>,
}

/// Sees an answer before it is given.
pub type Watcher = Box<dyn FnOnce(&R<Answer>) + Send>;

impl Reply {
    /// A reply and the end where it arrives.
    pub fn pair() -> (Reply, oneshot::Receiver<R<Answer>>) {
        let (send, receive) = oneshot::channel();
        (Reply { to: send, watcher: None }, receive)
    }

    /// Gives the answer; a caller who has left does not get it.
    pub fn give(self, answer: R<Answer>) {
        if let Some(watcher) = self.watcher {
            watcher(&answer);
        }
        drop(self.to.send(answer));
    }

    /// The same reply, whose answer somebody sees.
    pub fn watched(self, watcher: Watcher) -> Reply {
        Reply { watcher: Some(watcher), ..self }
    }
}

/// A stream of Server-Sent Events, as text.
pub type Feed = mpsc::Receiver<Vec<u8>>;

/// A stream that was granted: it begins where it is called, on a thread that serves HTTP.
pub type Opening = Box<dyn FnOnce() -> Feed + Send>;

/// What came of a call so far.
pub enum Work {
    /// The answer.
    Done(R<Answer>),
    /// To be done on a thread where it may block.
    Block(Box<dyn FnOnce() -> R<Answer> + Send>),
    /// It comes.
    Later(oneshot::Receiver<R<Answer>>),
    /// A stream, to be asked for on a thread where that may block.
    Open(Box<dyn FnOnce() -> R<Opening> + Send>),
}

/// A call that was begun: itself, headers of its answer whatever it will be, and the work.
pub struct Begun {
    /// The call.
    pub call: Arc<Call>,
    /// Headers of its answer.
    pub headers: Vec<(&'static str, String)>,
    /// The work.
    pub work: Work,
}

/// What a server serves: its routes and its one function.
pub trait Desk: Send + Sync + 'static {
    /// Method and path of every route.
    fn paths(&self) -> Vec<(Verb, &'static str)>;
    /// Answers a call of a route. Runs on a thread where it may block.
    fn answer(&self, verb: Verb, path: &'static str, call: &Call) -> R<Answer>;
    /// Begins a call. Must not block.
    fn begin(self: Arc<Self>, verb: Verb, path: &'static str, call: Call) -> Begun {
        let call = Arc::new(call);
        let asked = call.clone();
        let work = Work::Block(Box::new(move || self.answer(verb, path, &asked)));
        Begun { call, headers: Vec::new(), work }
    }
    /// Completes an answer: what depends on the headers of the call.
    fn finish(&self, _verb: Verb, _path: &'static str, _call: &Call, answer: R<Answer>) -> R<Answer> {
        answer
    }
    /// The media types that posts to a path must have; none where any will do.
    fn media(&self, path: &'static str) -> Option<&'static [&'static str]>;
    /// The answer of a refusal of a request; the witness answers in plain text.
    fn refuse(&self, refusal: &Refusal, request: &str) -> HttpResponse {
        answer(refusal, request)
    }
}

/// Limits of a server.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Largest body.
    pub body_bytes: usize,
    /// Connections at once.
    pub max_connections: usize,
    /// Time for head and body of a request.
    pub request: Duration,
    /// How long an idle connection is kept.
    pub keep_alive: Duration,
    /// Accepting threads.
    pub workers: usize,
}

/// A server that runs in a thread of its own.
pub struct Serving {
    handle: ServerHandle,
    thread: Option<JoinHandle<()>>,
}

/// Connections that wait to be accepted.
const BACKLOG: i32 = 4096;

impl Serving {
    /// Starts a server of plain HTTP on a bound listener, which must be on loopback.
    pub fn start<D: Desk>(desk: Arc<D>, listener: TcpListener, bounds: Bounds) -> R<Serving> {
        Serving::start_with(desk, listener, bounds, None)
    }

    /// Starts a server on a bound listener; with TLS on any address.
    pub fn start_with<D: Desk>(desk: Arc<D>, listener: TcpListener, bounds: Bounds, tls: Option<&Tls>) -> R<Serving> {
        if tls.is_none() {
            crate::config::loopback_only(&listener.local_addr().map_err(fault)?)?;
        }
        let acceptor = tls.map(Tls::acceptor).transpose()?;
        let backlog = nix::sys::socket::Backlog::new(BACKLOG).map_err(fault)?;
        nix::sys::socket::listen(&listener, backlog).map_err(fault)?;
        let (send, receive) = std::sync::mpsc::channel();
        let thread = std::thread::Builder::new().name("http".into()).spawn(move || {
            let run = actix_web::rt::System::new().block_on(async move {
                let server = HttpServer::new(move || app(desk.clone(), bounds))
                    .workers(bounds.workers)
                    .max_connections(bounds.max_connections.div_ceil(bounds.workers.max(1)))
                    .keep_alive(bounds.keep_alive)
                    .client_request_timeout(bounds.request)
                    .disable_signals()
                    .shutdown_timeout(5);
                let server = match acceptor {
                    Some(acceptor) => server.listen_openssl(listener, acceptor),
                    None => server.listen(listener),
                };
                match server {
                    Ok(server) => {
                        let server = server.run();
                        let _ = send.send(Ok(server.handle()));
                        server.await
                    }
                    Err(e) => {
                        let _ = send.send(Err(fault(&e)));
                        Err(e)
                    }
                }
            });
            if let Err(e) = run {
                tracing::error!(cause = %e, "the server stopped");
            }
        });
        let thread = thread.map_err(fault)?;
        let handle = receive.recv().map_err(fault)??;
        Ok(Serving { handle, thread: Some(thread) })
    }

    /// Waits until the server stops by itself.
    pub fn wait(&mut self) {
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Serving {
    /// What the server is told to stop by, also from another thread.
    pub fn handle(&self) -> ServerHandle {
        self.handle.clone()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // The command is sent by the call; waiting for its end is the thread's.
        drop(self.handle.stop(false));
        self.wait();
    }
}

fn app<D: Desk>(
    desk: Arc<D>,
    bounds: Bounds,
) -> ActixApp<
    impl actix_web::dev::ServiceFactory<
        actix_web::dev::ServiceRequest,
        Config = (),
        Response = actix_web::dev::ServiceResponse,
        Error = actix_web::Error,
        InitError = (),
    >,
> {
    let routes = desk.clone();
    let listed = desk.paths().iter().any(|(_, path)| *path == "/openapi.json");
    let sentence = if listed { "there is no such path; /openapi.json lists them" } else { "there is no such path" };
    ActixApp::new().app_data(Data::new(bounds)).configure(move |config| configure(config, &routes)).default_service(
        web::to(move || {
            let response = desk.refuse(&Refusal::new(Code::NotFound, sentence), &crate::ids::request());
            std::future::ready(response)
        }),
    )
}

fn configure<D: Desk>(config: &mut ServiceConfig, desk: &Arc<D>) {
    let mut by_path: BTreeMap<&'static str, Vec<Verb>> = BTreeMap::new();
    for (verb, path) in desk.paths() {
        by_path.entry(path).or_default().push(verb);
    }
    // Fixed paths before those with parameters, so that `/decisions` is not taken for a participant. Patterns are tried
    // in this order, so the one of signatures stands before the others.
    let mut paths: Vec<_> = by_path.into_iter().collect();
    paths.sort_by_key(|(path, _)| (path.contains('{'), *path != "/v1/contracts/{id}/signatures"));
    for (path, verbs) in paths {
        let mut resource = web::resource(path);
        let mut allow: Vec<&str> = verbs.iter().map(|verb| verb.name()).collect();
        // What is read can be asked about (RFC 9110 9.3.2): the same answer, whose body the HTTP library leaves out.
        allow.extend(verbs.contains(&Verb::Get).then_some("HEAD"));
        let allow = allow.join(", ");
        for verb in verbs {
            let desk = desk.clone();
            let to = move |request: HttpRequest, payload: Payload, bounds: Data<Bounds>| {
                serve(desk.clone(), verb, path, request, payload, bounds)
            };
            resource = resource.route(match verb {
                Verb::Get => web::route().guard(guard::Any(guard::Get()).or(guard::Head())).to(to),
                Verb::Post => web::post().to(to),
                Verb::Put => web::put().to(to),
                Verb::Delete => web::delete().to(to),
            });
        }
        let desk = desk.clone();
        config.service(resource.default_service(web::to(move || {
            let refusal = Refusal::new(Code::MethodNotAllowed, "the path exists, but not with this method");
            let mut response = desk.refuse(&refusal, &crate::ids::request());
            if let Ok(allow) = HeaderValue::from_str(&allow) {
                response.headers_mut().insert(actix_web::http::header::ALLOW, allow);
            }
            std::future::ready(response)
        })));
    }
}

async fn serve<D: Desk>(
    desk: Arc<D>,
    verb: Verb,
    path: &'static str,
    request: HttpRequest,
    payload: Payload,
    bounds: Data<Bounds>,
) -> HttpResponse {
    let number = crate::ids::request();
    let body = match verb {
        Verb::Get | Verb::Delete => Ok(Vec::new()),
        Verb::Post | Verb::Put => body(&request, payload, desk.media(path), &bounds).await,
    };
    let call = match body {
        Ok(body) => call(&request, body, number),
        Err(refusal) => return numbered(desk.refuse(&refusal, &number), &number, Vec::new()),
    };
    let number = call.request_id.clone();
    let beginner = desk.clone();
    // A panic in a handler is our fault and nobody else's: the connections beside it live on.
    let begun = catch_unwind(AssertUnwindSafe(move || beginner.begin(verb, path, call)));
    let Ok(Begun { call, headers, work }) = begun else {
        return numbered(desk.refuse(&fault("a handler panicked"), &number), &number, Vec::new());
    };
    let done = match work {
        Work::Done(done) => done,
        Work::Block(act) => web::block(act).await.unwrap_or_else(|e| Err(fault(e))),
        Work::Later(coming) => coming.await.unwrap_or_else(|_| Err(fault("a handler gave no answer"))),
        Work::Open(open) => match web::block(open).await.unwrap_or_else(|e| Err(fault(e))) {
            Ok(opening) => return numbered(stream(opening()), &number, headers),
            Err(refusal) => Err(refusal),
        },
    };
    let response = match desk.finish(verb, path, &call, done) {
        Ok(answer) => written(answer),
        Err(refusal) => desk.refuse(&refusal, &number),
    };
    numbered(response, &number, headers)
}

fn written(answer: Answer) -> HttpResponse {
    let mut response = HttpResponse::build(StatusCode::from_u16(answer.status).unwrap_or_default());
    response.insert_header(("cache-control", answer.cache)).insert_header(("x-content-type-options", "nosniff"));
    for (name, value) in answer.headers {
        response.insert_header((name, value));
    }
    if matches!(answer.status, 204 | 304) {
        response.finish()
    } else {
        response.content_type(answer.media).body(answer.body)
    }
}

fn stream(feed: Feed) -> HttpResponse {
    let mut response: HttpResponseBuilder = HttpResponse::Ok();
    response.insert_header(("cache-control", "no-store")).insert_header(("x-content-type-options", "nosniff"));
    response.content_type("text/event-stream").body(Streamed(feed))
}

struct Streamed(Feed);

impl MessageBody for Streamed {
    type Error = std::convert::Infallible;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context) -> Poll<Option<Result<Bytes, Self::Error>>> {
        self.0.poll_recv(cx).map(|next| next.map(|text| Ok(text.into())))
    }
}

fn numbered(mut response: HttpResponse, number: &str, headers: Vec<(&'static str, String)>) -> HttpResponse {
    for (name, value) in headers.iter().map(|(n, v)| (*n, v.as_str())).chain([("x-request-id", number)]) {
        if let Ok(value) = HeaderValue::from_str(value) {
            response.headers_mut().insert(HeaderName::from_static(name), value);
        }
    }
    response
}

/// Reads the body within its limit. A little more is read and dropped, so that the refusal reaches the sender.
async fn body(
    request: &HttpRequest,
    payload: Payload,
    media: Option<&'static [&'static str]>,
    bounds: &Bounds,
) -> R<Vec<u8>> {
    let limit = bounds.body_bytes;
    let mut stream = std::pin::pin!(BodyStream::new(payload));
    let read = async {
        let (mut body, mut seen) = (Vec::new(), 0usize);
        while let Some(chunk) = std::future::poll_fn(|cx| stream.as_mut().poll_next(cx)).await {
            let chunk = chunk.map_err(|_| Refusal::new(Code::MalformedJson, "the body did not arrive in full"))?;
            seen = seen.saturating_add(chunk.len());
            if seen <= limit {
                body.extend_from_slice(&chunk);
            } else if seen > limit.saturating_mul(8) {
                break;
            }
        }
        if seen > limit {
            return Err(Refusal::new(Code::BodyTooLarge, format!("a body has at most {limit} bytes")));
        }
        Ok(body)
    };
    let slow = || Refusal::new(Code::Timeout, "the body took too long to arrive");
    let body = actix_web::rt::time::timeout(bounds.request, read).await.map_err(|_| slow())??;
    if let Some(media) = media
        && !media_type(request.headers()).is_some_and(|sent| media.contains(&sent))
    {
        return Err(Refusal::new(Code::MediaType, format!("the content type must be {}", media.join(" or "))));
    }
    Ok(body)
}

fn media_type(headers: &HeaderMap) -> Option<&str> {
    let text = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    Some(text.split(';').next().unwrap_or(text).trim())
}

fn call(request: &HttpRequest, body: Vec<u8>, number: String) -> Call {
    let all = |name: &str| -> Option<String> {
        let mut values = request.headers().get_all(name).filter_map(|v| v.to_str().ok());
        let first = values.next()?.to_owned();
        Some(values.fold(first, |joined, next| format!("{joined},{next}")))
    };
    let params = request.match_info().iter().map(|(k, v)| (k.to_owned(), unescape(v))).collect();
    let authorization = all("authorization");
    let token = |scheme: &str| {
        let (sent, token) = authorization.as_deref()?.split_once(' ')?;
        sent.eq_ignore_ascii_case(scheme).then(|| token.trim().to_owned())
    };
    let (plain, bound) = (token("Bearer"), token("DPoP"));
    Call {
        path: request.path().to_owned(),
        params,
        query: read_query(request.query_string()),
        dpop: bound.is_some(),
        head: request.method() == Method::HEAD,
        bearer: bound.or(plain),
        session_reads: false,
        idempotency_key: all("idempotency-key"),
        headers: HEADERS.iter().filter_map(|name| all(name).map(|value| (*name, value))).collect(),
        peer: request.peer_addr().map(|address| address.ip()),
        began: Some(Instant::now()),
        request_id: number,
        body,
    }
}
