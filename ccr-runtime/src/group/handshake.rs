//! Two rooms meet over one connection: fresh X25519 keys in the clear, all else sealed under what follows from both; then
//! the member shows what it is, then the leader. Neither learns more of the other than digests before it has accepted.
//!
//! 1. leader → member, in the clear: place, challenge, key; member → leader: the same place, its challenge, its key.
//! 2. Both derive two keys: HKDF-SHA256 of the X25519 secret (RFC 7748), salted with SHA-256 of both messages.
//! 3. leader → member: the [`Occasion`]; member → leader: transcript and evidence over the leader's challenge.
//! 4. leader → member: transcript and evidence over the member's challenge, the job's bundle and the Admission.
//! 5. member → leader: ready. What either refuses it says with the code alone.

use std::io::{BufReader, Read, Write};
use std::net::TcpStream;

use attestation::Attester;
use openssl::derive::Deriver;
use openssl::pkey::{Id, PKey, Private};
use schemas::certificate::MemberRoom;
use schemas::evidence::Appraisal;
use schemas::id::ChallengeId;
use schemas::jwk::{Curve, Jwk};
use schemas::log::CheckpointRef;
use schemas::release::Attested;
use schemas::text::Bytes;
use schemas::worker::Start;
use schemas::{Code, Digest, R, Refusal, canonical};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::channel::{Incoming, Outgoing, derive};
use super::patience::{Meeting, Patience, TICK};
use super::prove::{Asked, Challenge, Challenges, Occasion, Place, Side, Terms, judge, seen, transcript};
use super::{lost, tampered};
use crate::room::Clock;

/// The largest message in the clear.
const MAX_HELLO: usize = 4096;
const LABEL: &str = "depa/rooms/link/1";

/// What this room is on every connection of a run.
pub struct Own<'a> {
    /// Shows what it is.
    pub attester: &'a dyn Attester,
    /// The clock.
    pub clock: &'a Clock,
    /// What signs for the run; a member has one of its own.
    pub run_jwk: &'a Jwk,
    /// What it bears with.
    pub patience: Patience,
}

/// What the leader tells a member that it has accepted.
pub struct Word {
    /// For the member to judge: the job and the Admission.
    pub text: String,
    /// Digest of the Admission and the log that it saw: they stand in the leader's transcript.
    pub admission: (Digest, CheckpointRef),
}

/// A connection between two rooms that know each other.
pub struct Link {
    /// The member's place.
    pub place: Place,
    /// SHA-256 of the evidence that the other room showed.
    pub evidence: Digest,
    /// What it showed to be; none before it has.
    pub room: Option<MemberRoom>,
    /// Whether the other room has shown what it is.
    proven: bool,
    /// From the other room.
    pub incoming: Incoming<BufReader<TcpStream>>,
    /// To the other room.
    pub outgoing: Outgoing<TcpStream>,
}

/// What rooms say to each other.
#[derive(Serialize, Deserialize)]
#[serde(tag = "say", rename_all = "snake_case", deny_unknown_fields)]
pub enum Say {
    /// What this is about.
    Occasion(Occasion),
    /// What the member is.
    Proof(Box<Attested>),
    /// What the leader is, and the papers of the job.
    Papers {
        /// Its transcript and evidence.
        attested: Box<Attested>,
        /// [`Word::text`].
        word: String,
    },
    /// The member would take part.
    Ready {},
    /// The work; the tables follow, each as a message.
    Orders {
        /// What the packets between the workers are sealed with.
        group_key: Bytes,
        /// What the member's worker is told.
        start: Box<Start>,
        /// Whether weights follow the tables.
        weights: bool,
    },
    /// The training is done.
    Over {},
    /// This room gives up.
    Refused {
        /// A code of `schemas::problem`.
        code: String,
    },
}

impl std::fmt::Debug for Say {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Say(hidden)") // orders hold secrets
    }
}

/// What the other room gave up with.
pub(super) fn refused(code: &str) -> Refusal {
    Refusal::new(Code::parse(code).unwrap_or(Code::PeerFault), "the other room of the group gave up")
}

/// The codes of a meeting: from a room that has not shown what it is no other comes into a log.
const MEETING: [Code; 16] = [
    Code::AssuranceTooLow,
    Code::ChallengeExpired,
    Code::ChallengeUnknown,
    Code::ChallengeUsed,
    Code::EvidenceNotAllowed,
    Code::EvidenceRefused,
    Code::GroupMemberLost,
    Code::GroupPlaceMismatch,
    Code::GroupRunMismatch,
    Code::GroupTampered,
    Code::KeyForm,
    Code::LimitExceeded,
    Code::MeasurementNotAllowed,
    Code::PeerFault,
    Code::RunKeyMismatch,
    Code::TranscriptMismatch,
];

/// Something else was said than the protocol has next.
pub(super) fn unexpected() -> Refusal {
    Refusal::new(Code::PeerFault, "a room of the group said something else than comes next")
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Hello {
    v: u8,
    place: Place,
    challenge: Challenge,
    enc_jwk: Jwk,
}

/// The key of one connection.
struct Ephemeral {
    private: PKey<Private>,
    jwk: Jwk,
}

impl Ephemeral {
    fn draw() -> R<Ephemeral> {
        let failed = |_| Refusal::new(Code::Internal, "no X25519 in this OpenSSL");
        let private = PKey::generate_x25519().map_err(failed)?;
        let public = private.raw_public_key().map_err(failed)?;
        let point = <[u8; 32]>::try_from(public).map_err(|_| Refusal::new(Code::Internal, "no X25519 key"))?;
        Ok(Ephemeral { private, jwk: Jwk::x25519(point) })
    }

    /// The secret with another key. OpenSSL refuses a point of small order.
    fn with(&self, other: &Jwk) -> R<Zeroizing<Vec<u8>>> {
        let bad = |_| Refusal::new(Code::KeyForm, "the other room's key is no X25519 key");
        let other = PKey::public_key_from_raw_bytes(&other.point(Curve::X25519)?, Id::X25519).map_err(bad)?;
        let mut deriver = Deriver::new(&self.private).map_err(bad)?;
        deriver.set_peer(&other).map_err(bad)?;
        deriver.derive_to_vec().map(Zeroizing::new).map_err(bad)
    }
}

/// Meets a member as the leader.
pub fn call(
    stream: TcpStream,
    place: Place,
    own: &Own<'_>,
    word: &Word,
    challenges: &mut Challenges,
    terms: &dyn Terms,
) -> R<Link> {
    place.check()?;
    let _meeting = Meeting::new(&stream, own.patience.meeting)?;
    let (mut wire, key) = (Wire::new(stream, own.patience)?, Ephemeral::draw()?);
    let challenge = give(challenges, own)?;
    let hello = wire.send(&Hello { v: 1, place, challenge, enc_jwk: key.jwk.clone() })?;
    let (answer, theirs) = wire.receive()?;
    at_this_place(&answer, place)?;
    let mut link = wire.sealed(Side::Leader, place, &key.with(&answer.enc_jwk)?, &hello, &theirs)?;
    let met = (|| {
        link.outgoing.say(&Say::Occasion(terms.occasion().clone()))?;
        let Say::Proof(shown) = link.hear()? else { return Err(unexpected()) };
        let asked = Asked { side: Side::Member, place, enc_jwk: &answer.enc_jwk };
        let appraisal = judge(&shown, &asked, challenges, terms, (own.clock)())?;
        link.proven = true;
        let aud = place.audience(Side::Leader);
        let admission = Some(word.admission.clone());
        let t = transcript(terms.occasion(), aud, &answer.challenge, &key.jwk, own.run_jwk, admission);
        let attested = Box::new(Attested { evidence: own.attester.attest(&t)?, transcript: t });
        link.outgoing.say(&Say::Papers { attested, word: word.text.clone() })?;
        let Say::Ready {} = link.hear()? else { return Err(unexpected()) };
        Ok(appraisal)
    })();
    link.met(met)
}

/// Meets the leader as a member. `read` makes the terms of what the leader brought, whose word it believes in nothing.
pub fn answer<T: Terms>(
    stream: TcpStream,
    own: &Own<'_>,
    read: impl FnOnce(&Occasion, &Attested, &str) -> R<T>,
) -> R<(Link, T)> {
    let _meeting = Meeting::new(&stream, own.patience.meeting)?;
    let (mut wire, key) = (Wire::new(stream, own.patience)?, Ephemeral::draw()?);
    let (hello, theirs) = wire.receive()?;
    hello.place.check()?;
    let place = hello.place;
    let mut challenges = Challenges::default();
    let challenge = give(&mut challenges, own)?;
    let ours = wire.send(&Hello { v: 1, place, challenge, enc_jwk: key.jwk.clone() })?;
    let mut link = wire.sealed(Side::Member, place, &key.with(&hello.enc_jwk)?, &theirs, &ours)?;
    let mut kept = None;
    let met = (|| {
        let Say::Occasion(occasion) = link.hear()? else { return Err(unexpected()) };
        let aud = place.audience(Side::Member);
        let t = transcript(&occasion, aud, &hello.challenge, &key.jwk, own.run_jwk, None);
        let attested = Box::new(Attested { evidence: own.attester.attest(&t)?, transcript: t });
        link.outgoing.say(&Say::Proof(attested))?;
        let Say::Papers { attested, word } = link.hear()? else { return Err(unexpected()) };
        let terms = read(&occasion, &attested, &word)?;
        let asked = Asked { side: Side::Leader, place, enc_jwk: &hello.enc_jwk };
        let appraisal = judge(&attested, &asked, &mut challenges, &terms, (own.clock)())?;
        if *terms.occasion() != occasion {
            return Err(Refusal::new(Code::TranscriptMismatch, "the papers are of another job than was said"));
        }
        link.outgoing.say(&Say::Ready {})?;
        kept = Some(terms);
        Ok(appraisal)
    })();
    let link = link.met(met)?;
    Ok((link, kept.ok_or_else(unexpected)?))
}

impl Link {
    /// The next message; a refusal of the other room is one here too.
    pub fn hear(&mut self) -> R<Say> {
        match self.incoming.told()? {
            Say::Refused { code } if self.proven || MEETING.iter().any(|known| known.to_string() == code) => {
                Err(refused(&code))
            }
            Say::Refused { .. } => Err(refused("")),
            said => Ok(said),
        }
    }

    /// Ends the meeting: tells the other room of a refusal, or trusts it from now on.
    fn met(mut self, met: R<Appraisal>) -> R<Link> {
        match met {
            Ok(appraisal) => {
                (self.evidence, self.proven) = (appraisal.evidence_sha256, true);
                self.room = Some(seen(&appraisal));
                self.incoming.trust();
                // From here on a room waits as long as the other works; one that dies closes the connection.
                self.outgoing.stream().set_read_timeout(None).map_err(|_| lost())?;
                Ok(self)
            }
            Err(refusal) => {
                let _ = self.outgoing.say(&Say::Refused { code: refusal.code.to_string() });
                Err(refusal)
            }
        }
    }
}

fn give(challenges: &mut Challenges, own: &Own<'_>) -> R<Challenge> {
    let id = ChallengeId::new(uuid::Uuid::new_v4());
    Ok(challenges.give(id, signing::signer::random::<32>()?, (own.clock)()))
}

fn at_this_place(hello: &Hello, place: Place) -> R<()> {
    if hello.place == place {
        Ok(())
    } else {
        Err(Refusal::new(Code::GroupPlaceMismatch, "the other room stands at another place"))
    }
}

/// A connection before it has keys.
struct Wire {
    input: BufReader<TcpStream>,
    output: TcpStream,
    patience: Patience,
}

impl Wire {
    fn new(stream: TcpStream, patience: Patience) -> R<Wire> {
        let set = |stream: &TcpStream| {
            stream.set_nonblocking(false)?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(patience.word))?;
            stream.set_write_timeout(Some(TICK))?; // for good; what is sent later counts the ticks
            stream.try_clone()
        };
        let output = set(&stream).map_err(|_| lost())?;
        Ok(Wire { input: BufReader::new(stream), output, patience })
    }

    /// Sends in the clear; returns the bytes.
    fn send(&mut self, hello: &Hello) -> R<Vec<u8>> {
        let bytes = canonical::to_bytes(hello)?;
        let length = u32::try_from(bytes.len()).map_err(|_| tampered())?;
        self.output.write_all(&[&length.to_be_bytes(), bytes.as_slice()].concat()).map_err(|_| lost())?;
        Ok(bytes)
    }

    fn receive(&mut self) -> R<(Hello, Vec<u8>)> {
        let mut length = [0; 4];
        self.input.read_exact(&mut length).map_err(|_| lost())?;
        let length = u32::from_be_bytes(length) as usize;
        if length > MAX_HELLO {
            return Err(Refusal::new(Code::LimitExceeded, "the first message between rooms is too large"));
        }
        let mut bytes = vec![0; length];
        self.input.read_exact(&mut bytes).map_err(|_| lost())?;
        let hello: Hello = canonical::parse(&bytes)?;
        if hello.v != 1 || hello.challenge.nonce.0.len() != 32 {
            return Err(unexpected());
        }
        Ok((hello, bytes))
    }

    /// The same connection under keys that follow from the secret and both first messages, the leader's first.
    fn sealed(self, side: Side, place: Place, secret: &[u8], leader: &[u8], member: &[u8]) -> R<Link> {
        let salt = Digest::of_parts(&[&Digest::of(leader).0, &Digest::of(member).0]);
        let from = |who: &str| derive(secret, &salt.0, LABEL, who.as_bytes());
        let (own, other) = match side {
            Side::Leader => (from("leader")?, from("member")?),
            Side::Member => (from("member")?, from("leader")?),
        };
        let incoming = Incoming::new(self.input, other);
        let outgoing = Outgoing::new(self.output, own).patient(self.patience.word);
        Ok(Link { place, evidence: Digest([0; 32]), room: None, proven: false, incoming, outgoing })
    }
}

#[cfg(test)]
#[path = "tests.rs"]
pub(super) mod tests;
