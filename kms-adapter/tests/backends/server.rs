//! A small HTTP server behind TLS with a certificate of its own authority, which can be told to misbehave.

use std::collections::{HashMap, VecDeque};
use std::io::{BufReader, Read as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use openssl::asn1::Asn1Time;
use openssl::bn::{BigNum, MsbOption};
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::ssl::{SslAcceptor, SslMethod};
use openssl::x509::extension::{BasicConstraints, SubjectAlternativeName};
use openssl::x509::{X509, X509NameBuilder};
use serde_json::Value;

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    /// With its query.
    pub path: String,
    pub headers: HashMap<String, String>,
    pub body: Vec<u8>,
}

impl Request {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

/// What the server does with a request.
#[derive(Clone, Debug)]
pub enum Reply {
    Json(u16, Value),
    With(u16, Vec<(&'static str, String)>, Vec<u8>),
    /// Announces more than it sends.
    Cut(Vec<u8>),
    /// Holds the connection until the caller lets go.
    Silence,
}

type Lie = Box<dyn FnMut(&Request, Reply) -> Reply + Send>;
type Handler = Box<dyn FnMut(&Request) -> Reply + Send>;

#[derive(Default)]
struct Play {
    seen: Vec<Request>,
    next: VecDeque<Reply>,
    always: Option<Reply>,
    lie: Option<Lie>,
}

/// A running server.
pub struct Server {
    pub address: SocketAddr,
    /// PEM file of its authority.
    pub ca_file: PathBuf,
    play: Arc<Mutex<Play>>,
    over: Arc<AtomicBool>,
}

/// A folder of this process's own, gone with the machine's temporary files.
pub fn folder() -> PathBuf {
    let path = std::env::temp_dir().join(format!("kms-backends-{}", uuid::Uuid::now_v7()));
    std::fs::create_dir_all(&path).unwrap();
    path
}

/// A certificate for these names by an authority, or an authority's own.
fn certificate(name: &str, key: &PKey<Private>, by: Option<(&X509, &PKey<Private>)>, names: &[&str]) -> X509 {
    let mut subject = X509NameBuilder::new().unwrap();
    subject.append_entry_by_text("CN", name).unwrap();
    let subject = subject.build();
    let mut builder = X509::builder().unwrap();
    let mut serial = BigNum::new().unwrap();
    serial.rand(120, MsbOption::MAYBE_ZERO, false).unwrap();
    builder.set_version(2).unwrap();
    builder.set_serial_number(&serial.to_asn1_integer().unwrap()).unwrap();
    builder.set_subject_name(&subject).unwrap();
    builder.set_issuer_name(by.map_or(&*subject, |(issuer, _)| issuer.subject_name())).unwrap();
    builder.set_not_before(&Asn1Time::days_from_now(0).unwrap()).unwrap();
    builder.set_not_after(&Asn1Time::days_from_now(2).unwrap()).unwrap();
    builder.set_pubkey(key).unwrap();
    let mut basic = BasicConstraints::new();
    basic.critical();
    if names.is_empty() {
        basic.ca();
    } else {
        let mut san = SubjectAlternativeName::new();
        for name in names {
            san.dns(name);
        }
        let san = san.build(&builder.x509v3_context(by.map(|(issuer, _)| &**issuer), None)).unwrap();
        builder.append_extension(san).unwrap();
    }
    builder.append_extension(basic.build().unwrap()).unwrap();
    builder.sign(by.map_or(key, |(_, key)| key), MessageDigest::sha256()).unwrap();
    builder.build()
}

/// An authority of the tests.
pub struct Authority {
    pub certificate: X509,
    key: PKey<Private>,
}

impl Authority {
    pub fn new() -> Authority {
        let key = p256();
        Authority { certificate: certificate("Test authority", &key, None, &[]), key }
    }

    /// A certificate for a name.
    pub fn issue(&self, name: &str, key: &PKey<Private>) -> X509 {
        certificate(name, key, Some((&self.certificate, &self.key)), &[name])
    }
}

fn p256() -> PKey<Private> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap()
}

impl Server {
    /// A server at `https://localhost:PORT`.
    pub fn start(handler: impl FnMut(&Request) -> Reply + Send + 'static) -> Server {
        Server::named("localhost", handler)
    }

    /// A server whose certificate has another name.
    pub fn named(name: &str, handler: impl FnMut(&Request) -> Reply + Send + 'static) -> Server {
        Server::by(&Authority::new(), name, handler)
    }

    /// A server whose certificate is of this authority.
    pub fn by(authority: &Authority, name: &str, handler: impl FnMut(&Request) -> Reply + Send + 'static) -> Server {
        let key = p256();
        let (ca, leaf) = (&authority.certificate, authority.issue(name, &key));
        let mut tls = SslAcceptor::mozilla_modern_v5(SslMethod::tls()).unwrap();
        tls.set_private_key(&key).unwrap();
        tls.set_certificate(&leaf).unwrap();
        let tls = Arc::new(tls.build());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let ca_file = folder().join("ca.pem");
        std::fs::write(&ca_file, ca.to_pem().unwrap()).unwrap();
        let (play, over) = (Arc::new(Mutex::new(Play::default())), Arc::new(AtomicBool::new(false)));
        let handler: Arc<Mutex<Handler>> = Arc::new(Mutex::new(Box::new(handler)));
        let (in_play, in_over) = (play.clone(), over.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if in_over.load(Ordering::SeqCst) {
                    return;
                }
                let (tls, play, handler) = (tls.clone(), in_play.clone(), handler.clone());
                std::thread::spawn(move || serve(stream.ok(), &tls, &play, &handler));
            }
        });
        Server { address, ca_file, play, over }
    }

    pub fn url(&self) -> String {
        format!("https://localhost:{}", self.address.port())
    }

    /// The next requests get these replies, in order; nobody else hears of them.
    pub fn next(&self, replies: impl IntoIterator<Item = Reply>) {
        self.play.lock().unwrap().next.extend(replies);
    }

    /// Every request from now on gets this reply; none: as it was meant.
    pub fn always(&self, reply: Option<Reply>) {
        self.play.lock().unwrap().always = reply;
    }

    /// Good answers pass through this before they leave.
    pub fn lie(&self, lie: impl FnMut(&Request, Reply) -> Reply + Send + 'static) {
        self.play.lock().unwrap().lie = Some(Box::new(lie));
    }

    /// Only the truth again.
    pub fn honest(&self) {
        let mut play = self.play.lock().unwrap();
        (play.lie, play.always) = (None, None);
    }

    /// The requests since this was asked last.
    pub fn taken(&self) -> Vec<Request> {
        std::mem::take(&mut self.play.lock().unwrap().seen)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(self.address));
    }
}

fn serve(stream: Option<TcpStream>, tls: &SslAcceptor, play: &Mutex<Play>, handler: &Mutex<Handler>) {
    let Some(Ok(stream)) = stream.map(|stream| tls.accept(stream)) else { return };
    let mut stream = BufReader::new(stream);
    let Some(request) = read(&mut stream) else { return };
    let reply = {
        let mut play = play.lock().unwrap();
        play.seen.push(request.clone());
        play.next.pop_front().or_else(|| play.always.clone())
    };
    let reply = reply.unwrap_or_else(|| {
        let honest = handler.lock().unwrap()(&request);
        match &mut play.lock().unwrap().lie {
            Some(lie) => lie(&request, honest),
            None => honest,
        }
    });
    let stream_out = stream.get_mut();
    match reply {
        Reply::Json(status, value) => {
            let body = serde_json::to_vec(&value).unwrap();
            write(stream_out, status, &[("Content-Type", "application/json".into())], &body, body.len());
        }
        Reply::With(status, headers, body) => write(stream_out, status, &headers, &body, body.len()),
        Reply::Cut(body) => write(stream_out, 200, &[], &body, body.len() + 100),
        Reply::Silence => drop(stream.read(&mut [0; 1])),
    }
    drop(stream.get_mut().shutdown());
}

fn write(to: &mut impl std::io::Write, status: u16, headers: &[(&'static str, String)], body: &[u8], length: usize) {
    let mut head = format!("HTTP/1.1 {status} X\r\nContent-Length: {length}\r\nConnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let _ = to.write_all(format!("{head}\r\n").as_bytes()).and_then(|()| to.write_all(body)).and_then(|()| to.flush());
}

fn read(stream: &mut impl std::io::BufRead) -> Option<Request> {
    let mut line = String::new();
    stream.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace();
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = HashMap::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some(Request { method, path, headers, body })
}
