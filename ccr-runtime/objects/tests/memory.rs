//! 64 MiB go to a real S3 and come back while this process holds a few parts at once. Alone in its process, since the
//! process's own peak is what is measured. NOT RUN where the server is not set up.

#![allow(clippy::unwrap_used)]

#[path = "support/s3.rs"]
mod server;

use std::io::Read;

use objects::{Files, Objects, Patience};
use server::S3;
use sha2::{Digest as _, Sha256};

const SIZE: u64 = 64 << 20;
/// What the process may grow by, in KiB: two parts each way and their copies, below the object's size.
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
fn sixty_four_mebibytes_are_never_held_at_once() {
    let Some(s3) = S3::start("sixty_four_mebibytes_are_never_held_at_once") else { return };
    let objects = Objects {
        files: Files::Below(vec![]),
        loopback: true,
        stores: vec![s3.store("writer")],
        patience: Patience::default(),
    };
    let (before, mut made) = (peak(), Made(1, Sha256::new()));
    objects.write_new("s3://depa-sealed/large", &mut made, SIZE).unwrap();
    let (sent, mut got) = (peak(), Sha256::new());
    let read = objects.read_to("s3://depa-sealed/large", SIZE, &mut |part, _| {
        got.update(part);
        Ok(())
    });
    println!("grew by {} KiB sending and {} KiB in all", sent - before, peak() - before);
    assert_eq!(read, Ok(SIZE));
    assert_eq!(got.finalize(), made.1.finalize());
    assert!(peak() - before < GROWTH, "the process grew by {} KiB", peak() - before);
}
