//! 64 MiB go to an address of the web while this process holds a few parts at once. Alone in its process, since the
//! process's own peak is what is measured.

#![allow(clippy::unwrap_used)]

#[allow(dead_code)]
#[path = "support/storage.rs"]
mod storage;

use std::io::Read;

use objects::{Files, Objects, Patience};
use schemas::Code;
use sha2::{Digest as _, Sha256};
use storage::{Storage, hex};

const SIZE: u64 = 64 << 20;
/// What the process may grow by, in KiB: a few parts, below the object's size.
const GROWTH: u64 = 40 << 10;

/// The peak of this process's resident memory, in KiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Bytes that are made as they are asked for.
struct Made(u64, Sha256);

impl Read for Made {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        for byte in buffer.iter_mut() {
            self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            *byte = (self.0 >> 56) as u8;
        }
        self.1.update(&buffer);
        Ok(buffer.len())
    }
}

#[test]
fn sixty_four_mebibytes_go_to_the_web_and_are_never_held_at_once() {
    let storage = Storage::start(|_| b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n".to_vec());
    let objects =
        Objects { files: Files::Below(vec![]), loopback: true, stores: vec![], patience: Patience::default() };
    let address = format!("{}/large?sig=5ec2e7", storage.url);
    let (before, mut made) = (peak(), Made(1, Sha256::new()));
    objects.write_new(&address, &mut made, SIZE).unwrap();
    let grew = peak() - before;
    println!("grew by {grew} KiB");
    let head = storage.calls().remove(0).to_ascii_lowercase();
    assert!(head.contains(&format!("content-length: {SIZE}\r\n")) && head.contains("if-none-match: *"), "{head}");
    assert!(head.contains(&format!("body-sha256: {}", hex(&made.1.finalize()))), "{head}");
    assert!(grew < GROWTH, "the process grew by {grew} KiB");
    // A source that ends early is no object, whatever the service says to what it got.
    let short = objects.write_new(&address, &mut &b"short"[..], 1000);
    assert_eq!(short.err().map(|refusal| refusal.code), Some(Code::ObjectTruncated));
    // Nothing at all is an object too.
    objects.write_new(&address, &mut &b""[..], 0).unwrap();
}
