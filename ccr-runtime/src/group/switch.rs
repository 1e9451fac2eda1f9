//! How the workers' packets find their way: between this room's worker and the connections to the other rooms.
//!
//! Packets are sealed from worker's room to worker's room, each pair and direction under a key of its own that follows
//! from the group key. The leader passes on what is between two members. Packets carry gradients between genuine rooms
//! and nothing else: one whose addresses are not those of its frame ends the run.

use std::io::{BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard, TryLockError};
use std::time::{Duration, Instant};

use schemas::worker::Group;
use schemas::{Code, R, Refusal, canonical};

use super::channel::{Direction, GoesOn, Heard, Incoming, Key, Outgoing, Packet, derive};
use super::handshake::{Link, Say, refused, unexpected};
use super::{lost, tampered};

const LABEL: &str = "depa/rooms/packet/1";
/// Packets that are kept for a worker that is still reading its data; TCP sends again what is dropped.
const MOST_WAITING: usize = 1_024;
/// How long a room that takes nothing more holds what is last said to it.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// Between two looks at a connection that somebody writes to.
const GLANCE: Duration = Duration::from_millis(5);
/// An IPv4 header without options (RFC 791).
const IP_HEADER: usize = 20;

/// How the group ended for this room.
#[derive(Clone, Debug)]
pub enum End {
    /// The leader has what it needs.
    Over,
    /// A room gave up or is gone, or something was done to the tunnel.
    Failed(Refusal),
}

struct Switch {
    own: u8,
    size: u8,
    links: Vec<Mutex<Outgoing<TcpStream>>>,
    worker: Mutex<Gate>,
    end: Mutex<Option<End>>,
}

/// The way to this room's worker.
struct Gate {
    stream: UnixStream,
    open: bool,
    waiting: Vec<Vec<u8>>,
}

/// The switch at work; it ends with this value.
pub struct Tunnel {
    switch: Arc<Switch>,
    rooms: Vec<TcpStream>,
    worker: UnixStream,
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// As [`held`], for as long as that holds: a packet may be stuck on its way.
fn free<'a, T>(mutex: &'a Mutex<T>, goes_on: GoesOn<'_>) -> R<MutexGuard<'a, T>> {
    loop {
        match mutex.try_lock() {
            Ok(guard) => return Ok(guard),
            Err(TryLockError::Poisoned(poisoned)) => return Ok(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => goes_on()?,
        }
        std::thread::sleep(GLANCE);
    }
}

impl Tunnel {
    /// Starts switching. The leader gives the connections to its members in their order, a member the one to its leader.
    pub fn start(group: &Group, key: &Key, links: Vec<Link>, worker: UnixStream) -> R<Tunnel> {
        let small = |n: u32| u8::try_from(n).map_err(|_| tampered());
        let (own, size) = (small(group.rank)?, small(group.size)?);
        let failed = |_| Refusal::new(Code::Internal, "a connection cannot be shared");
        let (mut outgoing, mut incoming, mut rooms) = (Vec::new(), Vec::new(), Vec::new());
        for link in links {
            rooms.push(link.outgoing.stream().try_clone().map_err(failed)?);
            outgoing.push(Mutex::new(link.outgoing));
            incoming.push(link.incoming);
        }
        let clone = || worker.try_clone().map_err(failed);
        let gate = Gate { stream: clone()?, open: false, waiting: Vec::new() };
        let switch = Arc::new(Switch { own, size, links: outgoing, worker: Mutex::new(gate), end: Mutex::new(None) });
        let pairs = |of: &dyn Fn(u8) -> [u8; 2]| -> R<Vec<Direction>> {
            (0..size).map(|other| Ok(Direction::new(derive(key.as_slice(), &[], LABEL, &of(other))?))).collect()
        };
        let (shared, input, to) = (switch.clone(), clone()?, pairs(&|other| [own, other])?);
        std::thread::spawn(move || shared.carry_out(input, to));
        for (at, incoming) in incoming.into_iter().enumerate() {
            // A leader's connection brings packets of one member, a member's those of everybody.
            let (shared, from) = (switch.clone(), pairs(&|other| [other, own])?);
            std::thread::spawn(move || shared.carry_in(at, incoming, from));
        }
        Ok(Tunnel { switch, rooms, worker })
    }

    /// From here on the worker takes packets: it has read its data.
    pub fn open(&self) -> R<()> {
        let mut gate = held(&self.switch.worker);
        gate.open = true;
        let waiting = std::mem::take(&mut gate.waiting);
        waiting.iter().try_for_each(|packet| gate.write(packet))
    }

    /// How the group ended, once it has.
    pub fn ended(&self) -> Option<End> {
        held(&self.switch.end).clone()
    }

    /// Tells every other room something, as far as it still hears. The connection of one that takes nothing is ended.
    pub fn say(&self, what: &Say) {
        for (link, room) in self.switch.links.iter().zip(&self.rooms) {
            let since = Instant::now();
            let mut in_time = || if since.elapsed() < LAST_WORDS { Ok(()) } else { Err(lost()) };
            let said = free(link, &mut in_time).and_then(|mut link| link.say_while(what, &mut in_time));
            if said.is_err() {
                let _ = room.shutdown(Shutdown::Both);
            }
        }
    }

    /// Tells the members that the training is done. Their connections end when they have heard it.
    pub fn over(mut self) {
        self.say(&Say::Over {});
        for room in self.rooms.drain(..) {
            let _ = room.shutdown(Shutdown::Write);
        }
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        let _ = self.worker.shutdown(Shutdown::Both);
        for room in &self.rooms {
            let _ = room.shutdown(Shutdown::Both);
        }
    }
}

impl Gate {
    fn write(&mut self, packet: &[u8]) -> R<()> {
        let length = u16::try_from(packet.len()).map_err(|_| tampered())?;
        let gone = |_| Refusal::new(Code::WorkerFailed, "the worker takes no more packets");
        self.stream.write_all(&[&length.to_be_bytes(), packet].concat()).map_err(gone)
    }
}

impl Switch {
    fn fail(&self, refusal: Refusal) {
        held(&self.end).get_or_insert(End::Failed(refusal));
    }

    /// The worker's packets to the others. Its end is noticed by who watches it.
    fn carry_out(&self, stream: UnixStream, mut to: Vec<Direction>) {
        let mut stream = BufReader::new(stream);
        let (mut length, mut packet) = ([0; 2], Vec::new());
        while stream.read_exact(&mut length).is_ok() {
            packet.resize(usize::from(u16::from_be_bytes(length)), 0);
            if stream.read_exact(&mut packet).is_err() {
                return;
            }
            // A kernel says other things too on a new interface: to nobody in the group, so to nobody.
            let Some((from, receiver)) = self.ends(&packet) else { continue };
            let Some(direction) = to.get_mut(usize::from(receiver)).filter(|_| from == self.own) else { continue };
            let sent = Packet::seal(direction, from, receiver, &packet).and_then(|packet| self.send(&packet));
            if let Err(refusal) = sent {
                return self.fail(refusal);
            }
        }
    }

    /// What another room says, until it says no more.
    fn carry_in(&self, at: usize, mut incoming: Incoming<BufReader<TcpStream>>, mut from: Vec<Direction>) {
        loop {
            let heard = match incoming.hear() {
                Ok(Heard::Packet(packet)) => self.take(at, &packet, &mut from),
                Ok(Heard::Message(bytes)) => self.hear(&bytes),
                Err(refusal) => Err(refusal),
            };
            if let Err(refusal) = heard {
                return self.fail(refusal);
            }
        }
    }

    fn hear(&self, bytes: &[u8]) -> R<()> {
        match canonical::parse(bytes)? {
            Say::Over {} if self.own != 0 => {
                held(&self.end).get_or_insert(End::Over);
                Ok(())
            }
            Say::Refused { code } => Err(refused(&code)),
            _ => Err(unexpected()),
        }
    }

    /// A packet from a connection: for this room's worker, or between two members.
    fn take(&self, at: usize, packet: &Packet, from: &mut [Direction]) -> R<()> {
        let known = packet.from < self.size && packet.to < self.size && packet.from != packet.to;
        let theirs = if self.own == 0 { usize::from(packet.from) == at + 1 } else { packet.from != self.own };
        if !known || !theirs {
            return Err(tampered());
        }
        if packet.to != self.own {
            return if self.own == 0 { self.send(packet) } else { Err(tampered()) };
        }
        let plain = packet.open(from.get_mut(usize::from(packet.from)).ok_or_else(tampered)?)?;
        if self.ends(&plain) != Some((packet.from, packet.to)) {
            return Err(tampered());
        }
        let mut gate = held(&self.worker);
        if gate.open {
            return gate.write(&plain);
        }
        if gate.waiting.len() < MOST_WAITING {
            gate.waiting.push(plain.to_vec());
        }
        Ok(())
    }

    /// Sends a packet on its way: to its member, or to the leader, who knows all.
    fn send(&self, packet: &Packet) -> R<()> {
        let at = if self.own == 0 { usize::from(packet.to).checked_sub(1) } else { Some(0) };
        let link = at.and_then(|at| self.links.get(at)).ok_or_else(tampered)?;
        held(link).packet(packet)
    }

    /// Sender and receiver of an IPv4 packet, where both are of the group.
    fn ends(&self, packet: &[u8]) -> Option<(u8, u8)> {
        let header = packet.get(..IP_HEADER)?;
        if header.first()? >> 4 != 4 {
            return None;
        }
        let member = |at: usize| {
            let address = header.get(at..at + 4)?;
            (0..self.size).find(|rank| Group::address(u32::from(*rank)) == *address)
        };
        Some((member(12)?, member(16)?))
    }
}

impl From<End> for Refusal {
    fn from(end: End) -> Refusal {
        match end {
            End::Over => lost(),
            End::Failed(refusal) => refusal,
        }
    }
}

#[cfg(test)]
mod tests;
