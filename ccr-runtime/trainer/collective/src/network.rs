//! A network that has nothing but one interface: what is sent to the other members goes as packets over one socket to the
//! warden of this room, and theirs come back over it.
//!
//! The interface is a TUN device in the worker's own network namespace, so that gloo finds the addresses and ports that it
//! expects, whichever it chooses. Nothing else is reachable there.

use std::fs::File;
use std::io::{BufReader, Read, Write};
use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::thread::JoinHandle;

use schemas::worker::Group;
use schemas::{Code, R, Refusal};

use crate::shim;

/// The largest packet: below what a length of 16 bits can say.
const LARGEST: u16 = 60_000;
const MASK: Ipv4Addr = Ipv4Addr::new(255, 255, 255, 0);

/// The interface of a member, with nobody at its other end yet.
#[derive(Debug)]
pub struct Interface(File);

impl Interface {
    /// Makes it. `WORKER_FAILED` where the kernel lets a process have no interface of its own.
    pub fn of(rank: u32) -> R<Interface> {
        let address = Ipv4Addr::from(Group::address(rank));
        let device = shim::network(c"rooms0", address, MASK, i32::from(LARGEST)).ok_or_else(none)?;
        Ok(Interface(File::from(device)))
    }

    /// Relays its packets, each behind its length as a big-endian u16, until the socket ends; the handle ends with it.
    pub fn relay(self, socket: OwnedFd) -> R<JoinHandle<()>> {
        let (device, socket) = (self.0, UnixStream::from(socket));
        let (to_socket, from_device) =
            (socket.try_clone().map_err(|_| none())?, device.try_clone().map_err(|_| none())?);
        std::thread::spawn(move || outwards(from_device, to_socket));
        Ok(std::thread::spawn(move || inwards(socket, device)))
    }
}

fn none() -> Refusal {
    Refusal::new(Code::WorkerFailed, "this machine lets the worker have no network of its own")
}

/// One read of the device is one packet.
fn outwards(mut device: File, mut socket: UnixStream) {
    let mut frame = vec![0; 2 + usize::from(u16::MAX)];
    loop {
        let Some((length, room)) = frame.split_first_chunk_mut::<2>() else { return };
        let Ok(size) = device.read(room) else { return };
        let Ok(said) = u16::try_from(size) else { return };
        *length = said.to_be_bytes();
        let Some(whole) = frame.get(..2 + size) else { return };
        if size == 0 || socket.write_all(whole).is_err() {
            return;
        }
    }
}

fn inwards(socket: UnixStream, mut device: File) {
    let mut socket = BufReader::new(socket);
    let (mut length, mut packet) = ([0; 2], Vec::new());
    while socket.read_exact(&mut length).is_ok() {
        packet.resize(usize::from(u16::from_be_bytes(length)), 0);
        if socket.read_exact(&mut packet).is_err() {
            return;
        }
        // What the kernel does not take is lost, as packets may be; TCP sends it again.
        let _ = device.write(&packet);
    }
}
