//! The room that leads: meets its members before any budget is reserved, hands them the work once the data is open, and
//! trains with them as rank 0.

use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use schemas::certificate::MemberRoom;
use schemas::text::Bytes;
use schemas::worker::{Group, Report};
use schemas::{Code, Digest, R, Refusal, Signer as _};
use zeroize::Zeroizing;

use super::channel::Key;
use super::handshake::{Link, Own, Say, Word, call};
use super::member::Watched;
use super::patience::Patience;
use super::prove::{Challenges, Place};
use super::switch::Tunnel;
use super::terms::{JobTerms, Papers};
use super::{DEVICE, has_device, lost};
use crate::admit::Admitted;
use crate::room::Room;
use crate::session::Session;
use crate::worker::Delivered;
use crate::worker::supervise::{Socket, Watch, Work, supervise_by};

/// How long the way to a member may take.
const CONNECT: Duration = Duration::from_secs(20);

/// The members of a run, each of which has shown what it is.
pub struct Gathered {
    links: Vec<Link>,
    seconds: u32,
}

/// Refuses a job for another number of rooms than this one and the members it was given ([`Code::GroupIncomplete`]).
pub fn enough(job: &Admitted, room: &Room) -> R<()> {
    complete(job.opened.job.rooms, room.members.len())
}

/// Members that were named to a room whose job asks for none are left alone.
fn complete(asked: Option<u32>, members: usize) -> R<()> {
    let rooms = u32::try_from(members.saturating_add(1)).unwrap_or(u32::MAX);
    match asked {
        Some(asked) if asked != rooms => {
            let sentence = format!("the job asks for {asked} rooms, and {rooms} are there; name members with --member");
            Err(Refusal::new(Code::GroupIncomplete, sentence).at("rooms"))
        }
        _ => Ok(()),
    }
}

/// Meets every member that the job asks for: before any budget is held, so that a member that is missing, or is none,
/// costs nothing.
pub fn gather(job: &Admitted, session: &mut Session, room: &Room) -> R<()> {
    enough(job, room)?;
    let Some(rooms) = job.opened.job.rooms else { return Ok(()) };
    has_device(DEVICE)?;
    let terms = JobTerms::new(job, &session.run_id, room);
    let mut challenges = Challenges::default();
    let mut links = Vec::new();
    for (index, address) in (1..).zip(&room.members) {
        room.goes_on()?;
        session.fresh_admission(job, room)?;
        let papers = Papers { bundle: session.bundle(job), admission: session.admission.envelope().clone() };
        let text = serde_json::to_string(&papers);
        let text = text.map_err(|_| Refusal::new(Code::Internal, "the papers of a job cannot be written"))?;
        let word = Word { text, admission: (session.admission.digest(), session.admission.checkpoint.clone()) };
        let run_jwk = session.run_key.jwk();
        let own = Own { attester: &*room.attester, clock: &room.clock, run_jwk, patience: Patience::default() };
        let stream = connect(address)?;
        let watched = Watched::new(&stream, room)?;
        let met = call(stream, Place { index, rooms }, &own, &word, &mut challenges, &terms);
        drop(watched);
        room.goes_on()?;
        links.push(met?);
    }
    let gathered = Gathered::new(links, room.config.worker_timeout_seconds);
    (session.members, session.member_rooms) = gathered.shown();
    session.group = Some(gathered);
    Ok(())
}

fn connect(address: &str) -> R<TcpStream> {
    let unreachable = || Refusal::new(Code::PeerUnreachable, format!("no room answers at {address}"));
    let mut found = address.to_socket_addrs().map_err(|_| unreachable())?;
    found.find_map(|at| TcpStream::connect_timeout(&at, CONNECT).ok()).ok_or_else(unreachable)
}

impl Gathered {
    /// Of connections to members, in their order. `seconds` bounds the silence of a worker.
    pub fn new(links: Vec<Link>, seconds: u64) -> Gathered {
        Gathered { links, seconds: u32::try_from(seconds).unwrap_or(u32::MAX) }
    }

    /// SHA-256 of the evidence of each member, and what it showed to be, in their order.
    pub fn shown(&self) -> (Vec<Digest>, Vec<MemberRoom>) {
        self.links.iter().filter_map(|link| Some((link.evidence, link.room.clone()?))).unzip()
    }

    /// Trains with the members; as [`supervise`](crate::worker::supervise::supervise), but that a worker that dies ends the training.
    pub fn train(mut self, mut work: Work<'_>, watch: Watch<'_>) -> (R<Delivered>, u32) {
        let (tunnel, socket) = match self.hand_out(&mut work, watch) {
            Ok(both) => both,
            Err(refusal) => return (Err(refusal), 0),
        };
        let (delivered, steps) = supervise_by(work, Some(socket), &mut |report| {
            if let Some(end) = tunnel.ended() {
                return Err(end.into());
            }
            if matches!(report, Some(Report::Ready {})) {
                tunnel.open()?;
            }
            watch(report)
        });
        match &delivered {
            Ok(_) => tunnel.over(),
            Err(refusal) => tunnel.say(&Say::Refused { code: refusal.code.to_string() }),
        }
        (delivered, steps)
    }

    /// Gives every member its orders and the data, and this room's worker its place.
    fn hand_out(&mut self, work: &mut Work<'_>, watch: Watch<'_>) -> R<(Tunnel, Socket)> {
        let size = u32::try_from(self.links.len().saturating_add(1)).map_err(|_| lost())?;
        let key: Key = Zeroizing::new(signing::signer::random::<32>()?);
        let group = |rank| Group { rank, size, seconds: self.seconds };
        let first = group(0);
        work.start.checkpoint_every = None;
        let weights = work.weights.as_ref();
        for link in &mut self.links {
            let start = Box::new(schemas::worker::Start { group: Some(group(link.place.index)), ..work.start.clone() });
            let group_key = Bytes(key.to_vec());
            let orders = Say::Orders { group_key, start, weights: weights.is_some() };
            link.outgoing.say_while(&orders, &mut || watch(None))?;
            for bytes in work.tables.iter().map(|table| &table.bytes).chain(weights) {
                link.outgoing.message_while(bytes, &mut || watch(None))?;
            }
        }
        work.start.group = Some(first);
        let failed = |_| Refusal::new(Code::Internal, "no socket for the worker");
        let (theirs, ours) = UnixStream::pair().map_err(failed)?;
        let socket = Socket { theirs, ours: ours.try_clone().map_err(failed)? };
        Ok((Tunnel::start(&first, &key, std::mem::take(&mut self.links), ours)?, socket))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_rooms_as_the_job_asks_for() {
        for (asked, members) in [(None, 0), (None, 3), (Some(2), 1), (Some(16), 15)] {
            assert_eq!(complete(asked, members), Ok(()), "{asked:?} {members}");
        }
        for (asked, members) in [(2, 0), (2, 2), (3, 1), (16, 16)] {
            assert_eq!(complete(Some(asked), members).unwrap_err().code, Code::GroupIncomplete, "{asked} {members}");
        }
    }

    #[test]
    fn nobody_answers_at_an_address_of_nobody() {
        for address in ["127.0.0.1:1", "no address"] {
            assert_eq!(connect(address).unwrap_err().code, Code::PeerUnreachable);
        }
    }
}
