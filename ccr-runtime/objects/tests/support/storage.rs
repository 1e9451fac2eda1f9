//! A storage server that answers whatever a test wants.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sha2::{Digest as _, Sha256};

/// A call: its number from 0, and its head, below which stands the SHA-256 of its body.
pub struct Call {
    pub number: usize,
    pub head: String,
}

/// Answers on loopback until the test ends. An empty answer is silence.
pub struct Storage {
    pub url: String,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Storage {
    pub fn start(answer: impl Fn(Call) -> Vec<u8> + Send + Sync + 'static) -> Storage {
        Storage::serve(answer, None)
    }

    /// Sends its answer byte by byte.
    pub fn dribbling(answer: Vec<u8>, pause: Duration) -> Storage {
        Storage::serve(move |_| answer.clone(), Some(pause))
    }

    fn serve(answer: impl Fn(Call) -> Vec<u8> + Send + Sync + 'static, pause: Option<Duration>) -> Storage {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (heads, answer): (Arc<Mutex<Vec<String>>>, _) = (Arc::default(), Arc::new(answer));
        let kept = heads.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (kept, answer) = (kept.clone(), answer.clone());
                std::thread::spawn(move || {
                    let Ok(stream) = stream else { return };
                    let Some(call) = heard(&stream, &kept) else { return };
                    speak(stream, &answer(call), pause);
                });
            }
        });
        Storage { url, heads }
    }

    /// The heads of the calls so far.
    pub fn calls(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

/// Reads a call; its body is not held.
fn heard(stream: &TcpStream, kept: &Mutex<Vec<String>>) -> Option<Call> {
    let (mut reader, mut head, mut length) = (BufReader::new(stream), String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        head.push_str(&line);
    }
    let (mut body, mut digest, mut part) = (reader.take(length), Sha256::new(), vec![0; 64 << 10]);
    loop {
        let read = body.read(&mut part).ok()?;
        if read == 0 {
            break;
        }
        digest.update(&part[..read]);
    }
    head.push_str(&format!("body-sha256: {}\n", hex(&digest.finalize())));
    let mut kept = kept.lock().unwrap();
    kept.push(head.clone());
    Some(Call { number: kept.len() - 1, head })
}

/// Small letters.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn speak(mut stream: TcpStream, answer: &[u8], pause: Option<Duration>) {
    if answer.is_empty() {
        std::thread::sleep(Duration::from_secs(10));
        return;
    }
    // The connection ends with the answer, so it is used once.
    let text = String::from_utf8_lossy(answer).find("\r\n").unwrap_or(0) + 2;
    let answer = [&answer[..text], b"Connection: close\r\n", &answer[text..]].concat();
    match pause {
        None => {
            let _ = stream.write_all(&answer);
        }
        Some(pause) => {
            for byte in answer.chunks(1) {
                if stream.write_all(byte).is_err() {
                    return;
                }
                std::thread::sleep(pause);
            }
        }
    }
}
