//! Whether a service is well, asked from beside it: by its own binary, where an image holds no shell to ask with.

use std::io::Read as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use reqwest::blocking::{Client, Response};
use reqwest::redirect::Policy;
use schemas::problem::Problem;
use schemas::{Code, R, Refusal, canonical};

/// What a service has for all of it: the connection, the handshake, the answer.
const LIMIT: Duration = Duration::from_secs(2);
/// What is read of an answer at most.
const ANSWER: u64 = 16 * 1024;

/// Where a service of this machine answers, as its configuration says.
#[derive(Clone, Copy, Debug)]
pub struct Door {
    /// The address that it listens on.
    pub bind: SocketAddr,
    /// Whether it ends TLS itself.
    pub tls: bool,
    /// The path that says how it is.
    pub path: &'static str,
}

/// Asks a service how it is; one sentence of a service that is well. All else, a configuration that cannot be read too, is
/// refused with `UNAVAILABLE`: who asks for a container takes 0 and 1 and knows no other number.
pub fn ask(door: R<Door>) -> R<String> {
    let door = door.map_err(|refusal| unwell(format!("nothing says where the service listens: {}", line(&refusal))))?;
    let url = url(&door)?;
    let answer = client(door.tls)?.get(&url).send().map_err(|e| unwell(format!("{url} {}", silence(&e))))?;
    match answer.status().as_u16() {
        200 => Ok(format!("{url} answers that the service is well")),
        status => Err(unwell(format!("{url} answers with status {status}{}", why(answer)))),
    }
}

/// A certificate is not judged. It is made for the name by which others call, and whether it has run out is theirs to say:
/// nothing but a question goes over this line, to an address of this machine.
fn client(tls: bool) -> R<Client> {
    let builder = Client::builder().timeout(LIMIT).connect_timeout(LIMIT).redirect(Policy::none()).no_proxy();
    let builder = builder.tls_danger_accept_invalid_certs(tls).tls_danger_accept_invalid_hostnames(tls);
    builder.build().map_err(|_| unwell("no HTTP client could be made"))
}

/// A service that listens on all addresses is asked over loopback.
fn url(door: &Door) -> R<String> {
    let ip = match door.bind.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    if door.bind.port() == 0 {
        return Err(unwell(format!("{} names no port: each start takes another one", door.bind)));
    }
    let scheme = if door.tls { "https" } else { "http" };
    Ok(format!("{scheme}://{}{}", SocketAddr::new(ip, door.bind.port()), door.path))
}

fn silence(error: &reqwest::Error) -> &'static str {
    if error.is_timeout() {
        "did not answer within two seconds"
    } else if error.is_connect() {
        "cannot be reached: nobody listens there, or TLS is not what the configuration says"
    } else {
        "gave no answer in HTTP"
    }
}

/// The code of a problem document, which is a word of ours; nothing else of what was answered.
fn why(answer: Response) -> String {
    let mut body = Vec::new();
    let read = answer.take(ANSWER).read_to_end(&mut body);
    let problem = read.ok().and_then(|_| canonical::parse::<Problem>(&body).ok());
    problem.and_then(|problem| Code::parse(&problem.code)).map(|code| format!(" ({code})")).unwrap_or_default()
}

/// A refusal on one line: readers of TOML show where they stopped on several.
fn line(refusal: &Refusal) -> String {
    refusal.to_string().split_whitespace().collect::<Vec<_>>().join(" ")
}

fn unwell(sentence: impl Into<String>) -> Refusal {
    Refusal::new(Code::Unavailable, sentence)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::net::TcpListener;
    use std::time::Instant;

    use super::*;

    /// Somebody who takes one call and answers so; silent for ever without an answer.
    fn answering(answer: Option<String>) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut head = [0; 1024];
            let _ = stream.read(&mut head);
            match answer {
                Some(answer) => drop(stream.write_all(answer.as_bytes())),
                None => std::thread::sleep(Duration::from_secs(20)),
            }
        });
        address
    }

    fn http(status: &str, body: &str) -> Option<String> {
        let length = body.len();
        Some(format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"))
    }

    fn asked(bind: SocketAddr) -> R<String> {
        ask(Ok(Door { bind, tls: false, path: "/readyz" }))
    }

    fn unwell_of(bind: SocketAddr) -> String {
        let refusal = asked(bind).unwrap_err();
        assert_eq!(refusal.code, Code::Unavailable);
        assert!(!refusal.sentence.contains('\n'), "one sentence: {refusal}");
        refusal.sentence
    }

    #[test]
    fn two_hundred_is_well_and_nothing_else_is() {
        let well = answering(http("200 OK", "ready\n"));
        assert_eq!(asked(well).unwrap(), format!("http://{well}/readyz answers that the service is well"));
        let refusal = Refusal::new(Code::LogTampered, "the comparison found a difference");
        let problem = String::from_utf8(canonical::to_bytes(&refusal.problem(None)).unwrap()).unwrap();
        assert!(unwell_of(answering(http("500 No", &problem))).ends_with("status 500 (LOG_TAMPERED)"));
        // What somebody else says at that port is not repeated.
        for (status, body) in [("404 No", "\x1b[2J"), ("503 No", r#"{"code":"MINE"}"#), ("204 No Content", "")] {
            let said = unwell_of(answering(http(status, body)));
            assert!(said.ends_with(&format!("status {}", &status[..3])), "{said}");
        }
        // A redirect leads elsewhere, which is not asked.
        let away = "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n";
        assert!(unwell_of(answering(Some(away.into()))).ends_with("status 302"));
    }

    #[test]
    fn silence_ends_after_two_seconds_and_an_empty_port_at_once() {
        let began = Instant::now();
        assert!(unwell_of(answering(None)).ends_with("within two seconds"));
        assert!(began.elapsed() < 2 * LIMIT, "{:?}", began.elapsed());
        let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        assert!(unwell_of(gone).contains("cannot be reached"));
        assert!(unwell_of(answering(Some("SSH-2.0\r\n".into()))).contains("no answer in HTTP"));
        assert!(unwell_of(([127, 0, 0, 1], 0).into()).contains("names no port"));
    }

    #[test]
    fn a_configuration_that_cannot_be_read_is_unwell_too() {
        let refusal = ask(Err(Refusal::new(Code::ConfigInvalid, "kms.toml: at line 2\n  |\n2 | x"))).unwrap_err();
        assert_eq!(refusal.code, Code::Unavailable);
        assert!(refusal.sentence.ends_with("CONFIG_INVALID: kms.toml: at line 2 | 2 | x"), "{refusal}");
    }

    #[test]
    fn who_listens_everywhere_is_asked_over_loopback() {
        let asked = |bind: &str, tls| url(&Door { bind: bind.parse().unwrap(), tls, path: "/readyz" }).unwrap();
        assert_eq!(asked("0.0.0.0:8443", true), "https://127.0.0.1:8443/readyz");
        assert_eq!(asked("[::]:80", false), "http://[::1]:80/readyz");
        assert_eq!(asked("192.0.2.7:80", false), "http://192.0.2.7:80/readyz");
    }
}
