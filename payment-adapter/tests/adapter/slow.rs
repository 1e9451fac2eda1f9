//! Senders who take their time, beside one who does not.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use payment_adapter::start;
use serde_json::json;

use crate::scene::{Scene, data};
use crate::systems::{Ending, Simulated, System};
use crate::told::deliver;

/// More than there are threads that read, or that answer in a machine of few processors.
const MANY: usize = 40;
/// What an adapter waits for a head or a body, and some more.
const CUT_OFF: Duration = Duration::from_secs(30);

fn send(address: &str, text: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(CUT_OFF)).unwrap();
    stream.write_all(text.as_bytes()).unwrap();
    stream
}

fn answered(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    // It may be reset after the answer: the sender has not read what was said, nor sent all it promised.
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8(answer).unwrap()
}

#[test]
fn slow_senders_hold_up_no_other_and_are_cut_off() {
    let scene = Scene::new();
    let running = start(&Simulated::new(Ending::Settle).config(&scene), scene.clock()).unwrap();
    let address = running.url().strip_prefix("http://").unwrap().to_owned();
    let half = format!("POST /webhooks HTTP/1.1\r\nhost: x\r\ncontent-length: 50000\r\n\r\n{}", "x".repeat(2000));
    let began = Instant::now();
    let bodies: Vec<TcpStream> = (0..MANY).map(|_| send(&address, &half)).collect();
    let heads: Vec<TcpStream> = (0..MANY).map(|_| send(&address, "POST /webhooks HTTP/1.1\r\nhost:")).collect();
    // A byte now and then is as slow as none.
    let mut trickle = send(&address, &half);
    let trickling = std::thread::spawn(move || {
        while began.elapsed() < CUT_OFF && trickle.write_all(b"x").is_ok() {
            std::thread::sleep(Duration::from_millis(200));
        }
        began.elapsed()
    });
    for letter in ['A', 'B', 'C'] {
        let body = serde_json::to_vec(&json!({"type": "payment.instructed", "data": data(letter, 5)})).unwrap();
        assert_eq!(deliver(&scene, running.url(), &format!("msg_{letter}"), &body), 204);
    }
    let well = reqwest::blocking::Client::builder().no_proxy().build().unwrap();
    assert_eq!(well.get(format!("{}/readyz", running.url())).send().unwrap().status(), 200);
    assert!(began.elapsed() < Duration::from_secs(5), "the good ones waited {:?}", began.elapsed());
    for stream in bodies {
        let answer = answered(stream);
        assert!(answer.starts_with("HTTP/1.1 504") && answer.contains("TIMEOUT"), "{answer}");
    }
    for stream in heads {
        let answer = answered(stream);
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{answer}");
    }
    assert!(trickling.join().unwrap() < CUT_OFF && began.elapsed() < CUT_OFF, "{:?}", began.elapsed());
    // Connections are as free as before.
    assert_eq!(well.get(format!("{}/livez", running.url())).send().unwrap().status(), 200);
    running.stop();
}

#[test]
fn a_body_beyond_its_limit_is_refused_at_once() {
    let scene = Scene::new();
    let running = start(&Simulated::new(Ending::Settle).config(&scene), scene.clock()).unwrap();
    let address = running.url().strip_prefix("http://").unwrap();
    let began = Instant::now();
    for head in ["content-length: 65537", "transfer-encoding: chunked"] {
        let mut stream = send(address, &format!("POST /events HTTP/1.1\r\nhost: x\r\n{head}\r\n\r\n"));
        let part =
            if head.starts_with("content") { "x".repeat(65_537) } else { format!("10001\r\n{}", "x".repeat(65_537)) };
        let _ = stream.write_all(part.as_bytes());
        let (mut answer, mut part) = (String::new(), [0; 4096]);
        while !answer.ends_with('}') {
            let count = stream.read(&mut part).unwrap();
            assert!(count > 0, "{answer}");
            answer.push_str(std::str::from_utf8(&part[..count]).unwrap());
        }
        assert!(answer.starts_with("HTTP/1.1 413") && answer.contains("BODY_TOO_LARGE"), "{answer}");
        // What is left of the body is nobody's next call.
        assert!(answer.to_lowercase().contains("connection: close"), "{answer}");
    }
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    running.stop();
}
