//! What two rooms say over one connection: sealed messages, and the workers' packets, sealed from end to end.
//!
//! A frame is a big-endian u32 length, a head of three bytes (kind, from, to) and what is sealed: AES-256-GCM under a key
//! of one direction, the head as associated data, the nonce a counter that begins at 0 and is not sent. So each frame
//! opens once, in its place: one that was changed, repeated, left out or moved does not open ([`Code::GroupTampered`]),
//! and no window of replays is needed, since the connection keeps the order.

use std::io::{ErrorKind, Read, Write};
use std::time::{Duration, Instant};

use hkdf::Hkdf;
use openssl::symm::{Cipher, decrypt_aead, encrypt_aead};
use schemas::{Code, R, Refusal};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::patience::Patience;
use super::{lost, tampered};

/// A key of one direction.
pub type Key = Zeroizing<[u8; 32]>;

const TAG: usize = 16;
/// Plain bytes of one frame of a message.
const CHUNK: usize = 1 << 20;
/// The largest frame: a chunk with its mark, tag and head.
const MAX_FRAME: usize = CHUNK + 1 + TAG + HEAD;
const HEAD: usize = 3;
/// The largest message of a room that has not shown what it is.
const MAX_STRANGER: usize = 8 << 20;
/// The largest message: a table.
const MAX_MESSAGE: usize = schemas::worker::MAX_TABLE;

const MESSAGE: u8 = 0;
const PACKET: u8 = 1;

/// A key from a secret, by its label and what it is for.
pub fn derive(secret: &[u8], salt: &[u8], label: &str, context: &[u8]) -> R<Key> {
    let mut key = Zeroizing::new([0; 32]);
    Hkdf::<Sha256>::new(Some(salt), secret)
        .expand_multi_info(&[label.as_bytes(), &[0], context], key.as_mut_slice())
        .map_err(|_| Refusal::new(Code::Internal, "key derivation failed"))?;
    Ok(key)
}

/// One direction between two ends.
pub struct Direction {
    key: Key,
    next: u64,
}

impl Direction {
    /// From its first frame on.
    pub fn new(key: Key) -> Direction {
        Direction { key, next: 0 }
    }

    fn nonce(&mut self) -> R<[u8; 12]> {
        let mut nonce = [0; 12];
        let counter = self.next.to_be_bytes();
        nonce.iter_mut().skip(4).zip(counter).for_each(|(to, from)| *to = from);
        self.next = self.next.checked_add(1).ok_or_else(tampered)?;
        Ok(nonce)
    }

    /// Seals what goes next.
    pub fn seal(&mut self, head: &[u8; HEAD], plain: &[u8]) -> R<Vec<u8>> {
        let (nonce, mut tag) = (self.nonce()?, [0; TAG]);
        let failed = |_| Refusal::new(Code::Internal, "AES-256-GCM failed");
        let cipher = Cipher::aes_256_gcm();
        let mut sealed =
            encrypt_aead(cipher, self.key.as_slice(), Some(&nonce), head, plain, &mut tag).map_err(failed)?;
        sealed.extend(tag);
        Ok(sealed)
    }

    /// Opens what comes next.
    pub fn open(&mut self, head: &[u8; HEAD], sealed: &[u8]) -> R<Zeroizing<Vec<u8>>> {
        let nonce = self.nonce()?;
        let (text, tag) = sealed.split_last_chunk::<TAG>().ok_or_else(tampered)?;
        let plain = decrypt_aead(Cipher::aes_256_gcm(), self.key.as_slice(), Some(&nonce), head, text, tag);
        plain.map(Zeroizing::new).map_err(|_| tampered())
    }
}

/// A packet between two workers, still sealed.
#[derive(Debug)]
pub struct Packet {
    /// The worker that sent it, as its frame says; what is sealed binds it.
    pub from: u8,
    /// The worker that it is for.
    pub to: u8,
    /// The packet under the key of these two.
    pub sealed: Vec<u8>,
}

impl Packet {
    /// Seals a packet.
    pub fn seal(direction: &mut Direction, from: u8, to: u8, plain: &[u8]) -> R<Packet> {
        Ok(Packet { from, to, sealed: direction.seal(&[PACKET, from, to], plain)? })
    }

    /// Opens it, as the next one of these two.
    pub fn open(&self, direction: &mut Direction) -> R<Zeroizing<Vec<u8>>> {
        direction.open(&[PACKET, self.from, self.to], &self.sealed)
    }
}

/// What comes over a connection.
pub enum Heard {
    /// A message of the room at the other end.
    Message(Zeroizing<Vec<u8>>),
    /// A packet, to be opened or passed on.
    Packet(Packet),
}

/// The sending half of a connection.
pub struct Outgoing<W> {
    stream: W,
    own: Direction,
    /// Without a byte that the other end takes.
    patience: Duration,
    /// A frame was cut short: nothing that follows would be understood.
    broken: bool,
}

/// Asked while something is sent, again and again; a refusal ends the sending.
pub type GoesOn<'a> = &'a mut dyn FnMut() -> R<()>;

impl<W: Write> Outgoing<W> {
    /// Over a stream, under the key of this direction.
    pub fn new(stream: W, key: Key) -> Outgoing<W> {
        Outgoing { stream, own: Direction::new(key), patience: Patience::default().word, broken: false }
    }

    /// Waits so long for an end that takes nothing.
    pub fn patient(self, patience: Duration) -> Outgoing<W> {
        Outgoing { patience, ..self }
    }

    /// The stream.
    pub fn stream(&self) -> &W {
        &self.stream
    }

    /// Says something.
    pub fn message(&mut self, bytes: &[u8]) -> R<()> {
        self.message_while(bytes, &mut || Ok(()))
    }

    /// The same, as long as that holds.
    pub fn message_while(&mut self, bytes: &[u8], goes_on: GoesOn<'_>) -> R<()> {
        let mut rest = bytes;
        loop {
            let (chunk, after) = rest.split_at(rest.len().min(CHUNK));
            let mut plain = Zeroizing::new(Vec::with_capacity(chunk.len() + 1));
            plain.push(u8::from(after.is_empty()));
            plain.extend_from_slice(chunk);
            let head = [MESSAGE, 0, 0];
            let sealed = self.own.seal(&head, &plain)?;
            self.frame(&head, &sealed, goes_on)?;
            if after.is_empty() {
                return self.stream.flush().map_err(|_| lost());
            }
            rest = after;
        }
    }

    /// Says something in JSON. What is written may hold a secret: it is wiped.
    pub fn say(&mut self, what: &impl Serialize) -> R<()> {
        self.say_while(what, &mut || Ok(()))
    }

    /// The same, as long as that holds.
    pub fn say_while(&mut self, what: &impl Serialize, goes_on: GoesOn<'_>) -> R<()> {
        let bytes =
            serde_json::to_vec(what).map_err(|_| Refusal::new(Code::Internal, "a message cannot be written"))?;
        self.message_while(&Zeroizing::new(bytes), goes_on)
    }

    /// Passes a packet on.
    pub fn packet(&mut self, packet: &Packet) -> R<()> {
        self.frame(&[PACKET, packet.from, packet.to], &packet.sealed, &mut || Ok(()))?;
        self.stream.flush().map_err(|_| lost())
    }

    fn frame(&mut self, head: &[u8; HEAD], sealed: &[u8], goes_on: GoesOn<'_>) -> R<()> {
        if self.broken {
            return Err(lost());
        }
        let length = u32::try_from(HEAD + sealed.len()).map_err(|_| tampered())?;
        let whole = [&length.to_be_bytes(), head.as_slice(), sealed].concat();
        let sent = self.send(&whole, goes_on);
        self.broken = sent.is_err();
        sent
    }

    /// A stream whose writes time out is tried again until nothing of it was taken for too long.
    fn send(&mut self, mut rest: &[u8], goes_on: GoesOn<'_>) -> R<()> {
        let mut taken = Instant::now();
        while !rest.is_empty() {
            goes_on()?;
            match self.stream.write(rest) {
                Ok(0) => return Err(lost()),
                Ok(n) => (rest, taken) = (rest.get(n..).unwrap_or_default(), Instant::now()),
                Err(e) if may_come(e.kind()) && taken.elapsed() < self.patience => {}
                Err(_) => return Err(lost()),
            }
        }
        Ok(())
    }
}

fn may_come(fault: ErrorKind) -> bool {
    matches!(fault, ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}

/// The receiving half of a connection.
pub struct Incoming<S> {
    stream: S,
    other: Direction,
    most: usize,
}

impl<S: Read> Incoming<S> {
    /// Over a stream, under the key of the other direction.
    pub fn new(stream: S, key: Key) -> Incoming<S> {
        Incoming { stream, other: Direction::new(key), most: MAX_STRANGER }
    }

    /// From now on takes messages as large as a table: the other room has shown what it is.
    pub fn trust(&mut self) {
        self.most = MAX_MESSAGE;
    }

    /// What comes next. [`Code::GroupMemberLost`] where the stream ends.
    pub fn hear(&mut self) -> R<Heard> {
        let mut whole = Zeroizing::new(Vec::new());
        loop {
            let (head, sealed) = self.frame()?;
            match head {
                [PACKET, from, to] if whole.is_empty() => return Ok(Heard::Packet(Packet { from, to, sealed })),
                [MESSAGE, 0, 0] => {}
                _ => return Err(tampered()),
            }
            let plain = self.other.open(&head, &sealed)?;
            let (last, chunk) = plain.split_first().ok_or_else(tampered)?;
            if whole.len().saturating_add(chunk.len()) > self.most {
                return Err(Refusal::new(Code::LimitExceeded, "a message between rooms is too large"));
            }
            whole.extend_from_slice(chunk);
            match last {
                1 => return Ok(Heard::Message(whole)),
                0 if !chunk.is_empty() => {}
                _ => return Err(tampered()),
            }
        }
    }

    /// The next message; a packet in its place is refused.
    pub fn message(&mut self) -> R<Zeroizing<Vec<u8>>> {
        match self.hear()? {
            Heard::Message(bytes) => Ok(bytes),
            Heard::Packet(_) => Err(tampered()),
        }
    }

    /// The next message, in JSON, read strictly.
    pub fn told<T: DeserializeOwned>(&mut self) -> R<T> {
        schemas::canonical::parse(&self.message()?)
    }

    fn frame(&mut self) -> R<([u8; HEAD], Vec<u8>)> {
        let (mut length, mut head) = ([0; 4], [0; HEAD]);
        self.stream.read_exact(&mut length).map_err(|_| lost())?;
        let rest = (u32::from_be_bytes(length) as usize).checked_sub(HEAD).filter(|n| *n <= MAX_FRAME - HEAD);
        self.stream.read_exact(&mut head).map_err(|_| lost())?;
        let mut sealed = vec![0; rest.ok_or_else(tampered)?];
        self.stream.read_exact(&mut sealed).map_err(|_| lost())?;
        Ok((head, sealed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> Key {
        Zeroizing::new([byte; 32])
    }

    fn sent(what: impl FnOnce(&mut Outgoing<Vec<u8>>)) -> Vec<u8> {
        let mut out = Outgoing::new(Vec::new(), key(1));
        what(&mut out);
        out.stream
    }

    fn heard(bytes: &[u8], of: u8) -> R<Vec<u8>> {
        Incoming::new(bytes, key(of)).message().map(|bytes| bytes.to_vec())
    }

    fn code<T>(answer: R<T>) -> Code {
        answer.map(|_| ()).unwrap_err().code
    }

    #[test]
    fn messages_of_any_size_arrive_and_are_not_read_on_the_way() {
        for size in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK] {
            let text = b"patient ".repeat(size.div_ceil(8))[..size].to_vec();
            let wire = sent(|out| out.message(&text).unwrap());
            assert_eq!(heard(&wire, 1).unwrap(), text, "{size}");
            assert!(!wire.windows(8).any(|w| w == b"patient "), "{size}");
        }
    }

    #[test]
    fn each_changed_byte_of_a_frame_is_refused() {
        let wire = sent(|out| out.message(b"weights").unwrap());
        heard(&wire, 1).unwrap();
        for at in 0..wire.len() {
            let mut other = wire.clone();
            other[at] ^= 1;
            // A changed length makes the frame end elsewhere, or the stream end early.
            let allowed: &[Code] =
                if at < 4 { &[Code::GroupTampered, Code::GroupMemberLost] } else { &[Code::GroupTampered] };
            assert!(allowed.contains(&code(heard(&other, 1))), "byte {at}");
        }
        assert_eq!(code(heard(&wire, 2)), Code::GroupTampered, "another key");
        assert_eq!(code(heard(&wire[..wire.len() - 1], 1)), Code::GroupMemberLost);
    }

    #[test]
    fn frames_count_once_and_in_their_place() {
        let one = sent(|out| out.message(b"one").unwrap());
        let both = sent(|out| (out.message(b"one").unwrap(), out.message(b"two").unwrap()).0);
        let two = both[one.len()..].to_vec();
        let second = |wire: &[u8]| {
            let mut incoming = Incoming::new(wire, key(1));
            incoming.message().and_then(|_| incoming.message().map(|bytes| bytes.to_vec()))
        };
        assert_eq!(second(&both).unwrap(), b"two");
        assert_eq!(code(second(&[one.clone(), one.clone()].concat())), Code::GroupTampered, "repeated");
        assert_eq!(code(second(&[two.clone(), one.clone()].concat())), Code::GroupTampered, "moved");
        assert_eq!(code(heard(&two, 1)), Code::GroupTampered, "left out");
    }

    #[test]
    fn a_packet_is_of_its_sender_for_its_receiver_and_comes_once() {
        let direction = || Direction::new(key(3));
        let packet = Packet::seal(&mut direction(), 0, 2, b"sum").unwrap();
        let wire = sent(|out| out.packet(&packet).unwrap());
        let Heard::Packet(got) = Incoming::new(&*wire, key(1)).hear().unwrap() else { panic!("a message") };
        let mut other = direction();
        assert_eq!(got.open(&mut other).unwrap().as_slice(), b"sum");
        assert_eq!(code(got.open(&mut other)), Code::GroupTampered, "a second time");
        for (from, to) in [(1, 2), (0, 1)] {
            let sealed = packet.sealed.clone();
            assert_eq!(code(Packet { from, to, sealed }.open(&mut direction())), Code::GroupTampered);
        }
        assert_eq!(code(Incoming::new(&*wire, key(1)).message()), Code::GroupTampered, "no message");
    }

    #[test]
    fn a_stranger_says_little() {
        let wire = sent(|out| out.message(&vec![0; MAX_STRANGER + 1]).unwrap());
        assert_eq!(code(heard(&wire, 1)), Code::LimitExceeded);
        let mut incoming = Incoming::new(&*wire, key(1));
        incoming.trust();
        assert_eq!(incoming.message().unwrap().len(), MAX_STRANGER + 1);
    }

    #[test]
    fn a_frame_that_says_it_is_larger_than_any_is_not_read() {
        assert_eq!(code(heard(&[u32::MAX.to_be_bytes().to_vec(), vec![0; 64]].concat(), 1)), Code::GroupTampered);
        assert_eq!(code(heard(&[0, 0, 0, 2, 0, 0, 0], 1)), Code::GroupTampered);
    }
}
