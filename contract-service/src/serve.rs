//! HTTP: takes calls off the wire within limits, hands them to the routes' functions, writes answers.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use actix_web::body::{BodyStream, MessageBody as _};
use actix_web::dev::ServerHandle;
use actix_web::http::header::{CONTENT_TYPE, HeaderMap};
use actix_web::web::{self, Data, Payload, ServiceConfig};
use actix_web::{App as ActixApp, HttpRequest, HttpResponse, HttpServer};
use schemas::{Code, R, Refusal};

use crate::call::{Answer, Call, read_query, unescape};
use crate::error::{answer, fault};

/// Methods of the routes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Verb {
    /// Reads.
    Get,
    /// Acts.
    Post,
}

/// What a server serves: its routes and its one function.
pub trait Desk: Send + Sync + 'static {
    /// Method and path of every route.
    fn paths(&self) -> Vec<(Verb, &'static str)>;
    /// Answers a call of a route. Runs on a thread where it may block.
    fn answer(&self, verb: Verb, path: &'static str, call: Call) -> R<Answer>;
    /// The media type that posts must have; none where any will do.
    fn media(&self) -> Option<&'static str>;
    /// The answer of a refusal; the witness answers in plain text.
    fn refuse(&self, refusal: &Refusal) -> HttpResponse {
        answer(refusal)
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
    /// Accepting threads.
    pub workers: usize,
}

/// A server that runs in a thread of its own.
pub struct Serving {
    handle: ServerHandle,
    thread: Option<JoinHandle<()>>,
}

impl Serving {
    /// Starts a server on a bound listener.
    pub fn start<D: Desk>(desk: Arc<D>, listener: TcpListener, bounds: Bounds) -> R<Serving> {
        crate::config::loopback_only(&listener.local_addr().map_err(fault)?)?;
        let (send, receive) = std::sync::mpsc::channel();
        let thread = std::thread::Builder::new().name("http".into()).spawn(move || {
            let run = actix_web::rt::System::new().block_on(async move {
                let server = HttpServer::new(move || app(desk.clone(), bounds))
                    .workers(bounds.workers)
                    .max_connections(bounds.max_connections)
                    .client_request_timeout(bounds.request)
                    .disable_signals()
                    .shutdown_timeout(5)
                    .listen(listener);
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
            let response = desk.refuse(&Refusal::new(Code::NotFound, sentence));
            std::future::ready(response)
        }),
    )
}

fn configure<D: Desk>(config: &mut ServiceConfig, desk: &Arc<D>) {
    let mut by_path: BTreeMap<&'static str, Vec<Verb>> = BTreeMap::new();
    for (verb, path) in desk.paths() {
        by_path.entry(path).or_default().push(verb);
    }
    // Fixed paths before those with parameters, so that `/decisions` is not taken for a participant.
    let mut paths: Vec<_> = by_path.into_iter().collect();
    paths.sort_by_key(|(path, _)| path.contains('{'));
    for (path, verbs) in paths {
        let mut resource = web::resource(path);
        for verb in verbs {
            let desk = desk.clone();
            let to = move |request: HttpRequest, payload: Payload, bounds: Data<Bounds>| {
                serve(desk.clone(), verb, path, request, payload, bounds)
            };
            resource = resource.route(match verb {
                Verb::Get => web::get().to(to),
                Verb::Post => web::post().to(to),
            });
        }
        let desk = desk.clone();
        config.service(resource.default_service(web::to(move || {
            let refusal = Refusal::new(Code::MethodNotAllowed, "the path exists, but not with this method");
            std::future::ready(desk.refuse(&refusal))
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
    let body = match verb {
        Verb::Get => Ok(Vec::new()),
        Verb::Post => body(&request, payload, desk.media(), &bounds).await,
    };
    let call = match body {
        Ok(body) => call(&request, body),
        Err(refusal) => return desk.refuse(&refusal),
    };
    let worker = desk.clone();
    let done = web::block(move || worker.answer(verb, path, call)).await;
    match done.unwrap_or_else(|e| Err(fault(e))) {
        Ok(answer) => HttpResponse::build(actix_web::http::StatusCode::from_u16(answer.status).unwrap_or_default())
            .insert_header(("cache-control", answer.cache))
            .insert_header(("x-content-type-options", "nosniff"))
            .content_type(answer.media)
            .body(answer.body),
        Err(refusal) => desk.refuse(&refusal),
    }
}

/// Reads the body within its limit. A little more is read and dropped, so that the refusal reaches the sender.
async fn body(request: &HttpRequest, payload: Payload, media: Option<&str>, bounds: &Bounds) -> R<Vec<u8>> {
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
        && media_type(request.headers()) != Some(media)
    {
        return Err(Refusal::new(Code::MediaType, format!("the content type must be {media}")));
    }
    Ok(body)
}

fn media_type(headers: &HeaderMap) -> Option<&str> {
    let text = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    Some(text.split(';').next().unwrap_or(text).trim())
}

fn call(request: &HttpRequest, body: Vec<u8>) -> Call {
    let header = |name: &str| request.headers().get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
    let params = request.match_info().iter().map(|(k, v)| (k.to_owned(), unescape(v))).collect();
    let bearer = header("authorization").and_then(|v| v.strip_prefix("Bearer ").map(str::to_owned));
    Call {
        path: request.path().to_owned(),
        params,
        query: read_query(request.query_string()),
        bearer,
        idempotency_key: header("idempotency-key"),
        body,
    }
}
