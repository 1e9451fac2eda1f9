//! A member room: waits for its leader, both show what they are, and its worker takes part until the leader says that it
//! is over. It has no key of any dataset, holds the data while the leader's connection stands, and lets nothing out but
//! packets of its worker.

use std::io::ErrorKind;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use schemas::id::RunId;
use schemas::worker::{Device, Report, Start};
use schemas::{Code, Digest, R, Refusal, Signer as _};
use signing::FileKey;
use zeroize::Zeroizing;

use super::handshake::{Link, Own, Say, answer, unexpected};
use super::patience::Patience;
use super::prove::Place;
use super::switch::{End, Tunnel};
use super::{DEVICE, has_device, lost, terms};
use crate::admit::Admitted;
use crate::checkpoint::Vault;
use crate::open::Table;
use crate::room::Room;
use crate::secret::RunSecret;
use crate::worker::supervise::{Socket, Work, supervise_by};

const GLANCE: Duration = Duration::from_millis(100);

/// What a member tells while it waits and works. Public figures only.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Told {
    /// Somebody called and was refused, or refused this room; it goes on waiting.
    Refused(Refusal),
    /// A leader was met.
    Met {
        /// Its run.
        run: RunId,
        /// This room's place.
        place: Place,
    },
    /// The training is done.
    Over,
}

/// Waits for a leader and takes part in its run: one run, then it returns. A room that could take no part says so at once.
/// `TIMEOUT` where none was met within this time; without one it waits for as long as it takes.
pub fn serve(listener: &TcpListener, room: &Room, within: Option<Duration>, tell: &mut dyn FnMut(Told)) -> R<()> {
    has_device(DEVICE)?;
    let since = Instant::now();
    let fault = |_| Refusal::new(Code::ConfigInvalid, "a member cannot listen here");
    listener.set_nonblocking(true).map_err(fault)?;
    loop {
        room.goes_on()?;
        if within.is_some_and(|within| since.elapsed() >= within) {
            return Err(Refusal::new(Code::Timeout, "no room that leads was met in time"));
        }
        let stream = match listener.accept() {
            Ok((stream, _)) => stream,
            Err(e) if e.kind() == ErrorKind::WouldBlock => {
                std::thread::sleep(GLANCE);
                continue;
            }
            Err(_) => continue,
        };
        let Ok(watched) = Watched::new(&stream, room) else { continue };
        match meet(stream, room) {
            Ok((link, job, run)) => {
                tell(Told::Met { run: run.clone(), place: link.place });
                let patience = Duration::from_secs(room.config.worker_timeout_seconds);
                let worker = (room.config.trainer.as_path(), room.config.device());
                let done = take_part(link, &run, worker, patience, &mut |start| same_job(start, &job));
                drop(watched);
                room.goes_on()?;
                return done.inspect(|()| tell(Told::Over));
            }
            Err(refusal) => tell(Told::Refused(refusal)),
        }
    }
}

/// Ends a connection when the room is told to stop.
pub(super) struct Watched(Arc<AtomicBool>);

impl Watched {
    pub fn new(stream: &TcpStream, room: &Room) -> R<Watched> {
        let (stop, over) = (room.stop.clone(), Arc::new(AtomicBool::new(false)));
        let (stream, done) = (stream.try_clone().map_err(|_| lost())?, over.clone());
        std::thread::spawn(move || {
            while !done.load(Ordering::SeqCst) {
                if stop.load(Ordering::SeqCst) {
                    let _ = stream.shutdown(Shutdown::Both);
                    return;
                }
                std::thread::sleep(GLANCE);
            }
        });
        Ok(Watched(over))
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

fn meet(stream: TcpStream, room: &Room) -> R<(Link, Box<Admitted>, RunId)> {
    let key = FileKey::generate()?;
    let patience = Patience::default();
    let own = Own { attester: &*room.attester, clock: &room.clock, run_jwk: key.jwk(), patience };
    let (link, terms) = answer(stream, &own, |occasion, leader, word| terms::read(occasion, leader, word, room))?;
    Ok((link, terms.job, terms.occasion.run_id))
}

/// The leader's orders are the job that this room has judged.
fn same_job(start: &Start, job: &Admitted) -> R<()> {
    let judged = schemas::worker::configuration(&job.join, &job.training, &job.plan)?;
    if start.configuration()? == judged {
        Ok(())
    } else {
        Err(Refusal::new(Code::JobMismatch, "the leader's orders are not the job that was judged"))
    }
}

/// Takes part in a training: gets orders and data, and has a worker at it until the leader says that it is over. Where the
/// worker's tensors lie is this room's to say, not the leader's.
pub fn take_part(
    mut link: Link,
    run: &RunId,
    (trainer, device): (&Path, Device),
    patience: Duration,
    judge: &mut dyn FnMut(&Start) -> R<()>,
) -> R<()> {
    let orders = orders(&mut link, judge).inspect_err(|refusal| {
        let _ = link.outgoing.say(&Say::Refused { code: refusal.code.to_string() });
    });
    let Orders { group_key, start, tables, weights } = orders?;
    let start = Start { device, ..start };
    let group = start.group.ok_or_else(unexpected)?;
    let failed = |_| Refusal::new(Code::Internal, "no socket for the worker");
    let (theirs, ours) = UnixStream::pair().map_err(failed)?;
    let socket = Socket { theirs, ours: ours.try_clone().map_err(failed)? };
    let tunnel = Tunnel::start(&group, &group_key, vec![link], ours)?;
    // A worker of a group leaves no checkpoint; this vault holds nothing.
    let vault = Vault::new(&RunSecret::draw()?, run, Digest([0; 32]), Digest([0; 32]));
    // Of a group no worker begins without a network of its own, whatever it was told.
    let work = Work { trainer, start, tables, weights, vault: &vault, patience, apart: true };
    let (worked, _) = supervise_by(work, Some(socket), &mut |report| {
        if let Some(end) = tunnel.ended() {
            return Err(end.into());
        }
        if matches!(report, Some(Report::Ready {})) { tunnel.open() } else { Ok(()) }
    });
    // What this room's worker learnt is the leader's to deliver.
    let refusal = match worked {
        Ok(_) => loop {
            match tunnel.ended() {
                Some(End::Over) => return Ok(()),
                Some(End::Failed(refusal)) => break refusal,
                None => std::thread::sleep(GLANCE),
            }
        },
        Err(_) if matches!(tunnel.ended(), Some(End::Over)) => return Ok(()),
        Err(refusal) => refusal,
    };
    tunnel.say(&Say::Refused { code: refusal.code.to_string() });
    Err(refusal)
}

struct Orders {
    group_key: Zeroizing<[u8; 32]>,
    start: Start,
    tables: Vec<Table>,
    weights: Option<Zeroizing<Vec<u8>>>,
}

fn orders(link: &mut Link, judge: &mut dyn FnMut(&Start) -> R<()>) -> R<Orders> {
    let Say::Orders { group_key, start, weights } = link.hear()? else { return Err(unexpected()) };
    let group_key =
        Zeroizing::new(<[u8; 32]>::try_from(Zeroizing::new(group_key.0).as_slice()).map_err(|_| unexpected())?);
    let own = |g: &schemas::worker::Group| g.rank == link.place.index && g.size == link.place.rooms;
    if !start.group.as_ref().is_some_and(own) {
        return Err(Refusal::new(Code::GroupPlaceMismatch, "the orders are for another place in the group"));
    }
    judge(&start)?;
    let mut tables = Vec::new();
    for head in &start.tables {
        let bytes = link.incoming.message()?;
        if bytes.len() as u64 != head.bytes {
            return Err(unexpected());
        }
        tables.push(Table { handle: head.handle.clone(), bytes });
    }
    let weights = if weights { Some(link.incoming.message()?) } else { None };
    Ok(Orders { group_key, start: *start, tables, weights })
}
