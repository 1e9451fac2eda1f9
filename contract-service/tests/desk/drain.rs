//! A service that is told to end while a call is under way. The tests of every service that answers calls use this.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);

/// Sends half of a call, tells the service to end, waits until it takes nothing new, and sends the rest. Returns the head
/// of the answer; the service has ended well.
pub fn answered_at_the_end(
    service: &mut Child,
    address: &str,
    (path, headers): (&str, &[(&str, &str)]),
    body: &[u8],
) -> String {
    let (begun, rest) = body.split_at(body.len() / 2);
    let mut call = TcpStream::connect(address).unwrap();
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\nexpect: 100-continue\r\n\
         {headers}content-length: {}\r\n\r\n",
        body.len()
    );
    call.write_all(head.as_bytes()).unwrap();
    assert!(heard(&mut call).starts_with("HTTP/1.1 100"), "the call is under way");
    call.write_all(begun).unwrap();
    let told = Command::new("kill").args(["-TERM", &service.id().to_string()]).status().unwrap();
    assert!(told.success());
    let began = Instant::now();
    while TcpStream::connect(address).is_ok() {
        assert!(began.elapsed() < PATIENCE, "it goes on taking calls");
        std::thread::sleep(Duration::from_millis(20));
    }
    call.write_all(rest).unwrap();
    let answer = heard(&mut call);
    drop(call);
    assert_eq!(service.wait().unwrap().code(), Some(0));
    answer
}

/// The head of an answer.
fn heard(call: &mut TcpStream) -> String {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") && call.read(&mut byte).unwrap() == 1 {
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}
