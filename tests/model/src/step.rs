//! What can happen, one step at a time.

use crate::state::{Act, CAP, Charge, Phase, Protocol, ROOMS, Receipt, Request, SERVICES, World};

/// A step.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Step {
    /// A room takes an Admission and a challenge, and sends its next request. How old both are when it arrives is left to
    /// chance.
    Ask(usize),
    /// A request of a room reaches its service, for the first time or again; the answer arrives.
    Deliver(usize, usize),
    /// The same, and the answer is lost: also what a crash of the service after its commit looks like.
    DeliverMute(usize, usize),
    /// A room enters what it holds in the log, and goes on.
    Enter(usize),
    /// A room hands in its completion, for the first time or again.
    Complete(usize),
    /// A room ends before its first step and tells the log.
    Abort(usize),
    /// A service forgets a reservation.
    Expire(usize, usize),
    /// A service gives a charge back for a logged abort.
    Refund(usize, usize),
    /// A service is copied.
    Backup(usize),
    /// The copy is put back.
    Restore(usize),
    /// A service writes a receipt of another family, which never reaches the log.
    Other(usize),
    /// Where wrap and charge are two transactions: the second one.
    Write(usize, usize),
    /// Where they are: the service crashes between.
    Crash(usize),
}

/// Every step that one could try; those that change nothing are left out later.
pub fn steps(protocol: &Protocol, world: &World) -> Vec<Step> {
    let mut all = Vec::new();
    for room in 0..ROOMS {
        let phase = world.rooms[room].phase;
        if matches!(phase, Phase::Reserving | Phase::Releasing | Phase::Open) {
            all.extend([Step::Ask(room), Step::Enter(room)]);
        }
        if matches!(phase, Phase::Reserving | Phase::Releasing) {
            all.push(Step::Abort(room));
        }
        if matches!(phase, Phase::Open | Phase::Done) {
            all.push(Step::Complete(room));
        }
        for request in 0..world.rooms[room].requests.len() {
            all.extend([Step::Deliver(room, request), Step::DeliverMute(room, request)]);
        }
        for service in 0..SERVICES {
            all.extend([Step::Expire(service, room), Step::Refund(service, room)]);
            if !protocol.charged_with_wrap {
                all.push(Step::Write(service, room));
            }
        }
    }
    for service in 0..SERVICES {
        if protocol.restores > 0 {
            all.extend([Step::Backup(service), Step::Restore(service)]);
        }
        if protocol.others > 0 {
            all.push(Step::Other(service));
        }
        if !protocol.charged_with_wrap {
            all.push(Step::Crash(service));
        }
    }
    all
}

/// The world after a step; none where it cannot be taken.
pub fn take(protocol: &Protocol, before: &World, step: Step) -> Option<World> {
    let mut world = before.clone();
    match step {
        Step::Ask(room) => ask(protocol, &mut world, room)?,
        Step::Deliver(room, request) => deliver(protocol, &mut world, room, request, true)?,
        Step::DeliverMute(room, request) => deliver(protocol, &mut world, room, request, false)?,
        Step::Enter(room) => enter(protocol, &mut world, room)?,
        Step::Complete(room) => complete(protocol, &mut world, room)?,
        Step::Abort(room) => world.rooms[room].phase = Phase::Aborted,
        Step::Expire(service, room) => expire(&mut world, service, room)?,
        Step::Refund(service, room) => {
            let aborted = world.rooms[room].phase == Phase::Aborted;
            let service = &mut world.services[service];
            if !aborted || service.database.charges[room] != Charge::Charged {
                return None;
            }
            service.database.charges[room] = Charge::Refunded;
            service.database.append(service.restores, None);
        }
        Step::Backup(service) => {
            if world.restores() >= protocol.restores || world.services.iter().any(|s| s.backup.is_some()) {
                return None;
            }
            world.services[service].backup = Some(world.services[service].database.clone());
        }
        Step::Restore(service) => {
            let head = world.head(service);
            let service = &mut world.services[service];
            service.database = service.backup.take()?;
            service.restores += 1;
            service.behind = !service.database.has(head);
            service.unwritten = [false; ROOMS];
        }
        Step::Other(service) => {
            if world.others >= protocol.others {
                return None;
            }
            world.others += 1;
            let service = &mut world.services[service];
            service.database.append(service.restores, None);
        }
        Step::Write(service, room) => {
            let service = &mut world.services[service];
            if !std::mem::take(&mut service.unwritten[room]) {
                return None;
            }
            service.database.charges[room] = Charge::Charged;
        }
        Step::Crash(service) => world.services[service].unwritten = [false; ROOMS],
    }
    (world != *before).then_some(world)
}

/// What the room needs next, and of whom: services in their order.
fn next(world: &World, room: usize) -> Option<(usize, Act)> {
    let (act, slot) = match world.rooms[room].phase {
        Phase::Reserving => (Act::Reserve, 0),
        Phase::Releasing => (Act::Release, 1),
        Phase::Open => (Act::Commit, 2),
        _ => return None,
    };
    let open = (0..SERVICES).find(|service| world.rooms[room].held[*service][slot].is_none())?;
    Some((open, act))
}

fn ask(protocol: &Protocol, world: &mut World, room: usize) -> Option<()> {
    let (service, act) = next(world, room)?;
    let sent = &world.rooms[room].requests;
    let same = |request: &&Request| request.service == service && request.act == act;
    if sent.iter().any(|request| same(&request)) && repeats(world) >= protocol.repeats {
        return None;
    }
    let bit = 1 << sent.len();
    // Asking once more makes sense where the last request of this kind was consumed: its answer is lost, or a refusal.
    let waiting = |(n, request): (usize, &Request)| {
        let unused = world.services[service].database.consumed[room] & (1 << n) == 0;
        same(&request) && unused
    };
    if sent.iter().enumerate().any(waiting) {
        return None;
    }
    let (head, since) = (world.head(service), world.services[service].restores);
    world.rooms[room].requests.push(Request { service, act, head, since });
    world.services[service].database.given[room] |= bit;
    Some(())
}

/// Requests beyond the first of their kind.
fn repeats(world: &World) -> usize {
    let of = |room: &crate::state::Room| {
        let kinds: std::collections::BTreeSet<_> = room.requests.iter().map(|r| (r.service, r.act as usize)).collect();
        room.requests.len() - kinds.len()
    };
    world.rooms.iter().map(of).sum()
}

fn deliver(protocol: &Protocol, world: &mut World, room: usize, n: usize, heard: bool) -> Option<()> {
    let request = world.rooms[room].requests[n];
    spend(protocol, world, room, n);
    let service = &mut world.services[request.service];
    let database = &mut service.database;
    let bit = 1 << n;
    if database.given[room] & bit == 0 {
        return None;
    }
    let used = database.consumed[room] & bit != 0;
    if used && protocol.consumed_first {
        return None;
    }
    database.consumed[room] |= bit;
    // From here on a refusal leaves the challenge consumed and nothing else.
    if protocol.admission_since_start && request.since < service.restores {
        return Some(());
    }
    if protocol.head_checked && !database.has(request.head) {
        return Some(());
    }
    let held = database.charges.iter().filter(|charge| charge.counts()).count();
    let about = Some((room, request.act));
    let answer = match (request.act, database.charges[room]) {
        (Act::Reserve, Charge::None) if held < CAP => {
            database.charges[room] = Charge::Reserved;
            Some(database.append(service.restores, about))
        }
        (Act::Reserve, Charge::Reserved | Charge::Charged) => database.about(room, Act::Reserve),
        (Act::Release, Charge::Reserved | Charge::Charged) => {
            if protocol.charged_with_wrap {
                database.charges[room] = Charge::Charged;
            } else {
                service.unwritten[room] |= database.charges[room] == Charge::Reserved;
            }
            world.noted.wrapped[request.service][room] = true;
            world.noted.uncharged |= database.charges[room] != Charge::Charged;
            world.noted.released_behind |= service.behind;
            Some(database.append(service.restores, about))
        }
        (Act::Commit, Charge::Charged) => {
            database.charges[room] = Charge::Committed;
            Some(database.append(service.restores, about))
        }
        (Act::Commit, Charge::Committed) => database.about(room, Act::Commit),
        _ => None,
    };
    let Some(receipt) = answer else { return Some(()) };
    world.noted.answered_twice |= used;
    if heard && next(world, room) == Some((request.service, request.act)) {
        world.rooms[room].held[request.service][request.act as usize] = Some(receipt);
    }
    Some(())
}

/// Forgets what a request said where nobody can read it any more, so that fewer states are told apart.
fn spend(protocol: &Protocol, world: &mut World, room: usize, n: usize) {
    let request = &mut world.rooms[room].requests[n];
    let unread =
        |copy: &crate::state::Database| copy.given[room] & (1 << n) != 0 && copy.consumed[room] & (1 << n) == 0;
    let again = world.services[request.service].backup.as_ref().is_some_and(unread);
    if protocol.consumed_first && !again {
        request.head = Receipt::default();
        request.since = 0;
    }
}

/// Whether the log takes a receipt.
fn fits(protocol: &Protocol, log: &[Receipt], receipt: Receipt) -> bool {
    if !protocol.journal_chained {
        return true;
    }
    log.iter().all(|other| match other.seq {
        seq if seq == receipt.seq => *other == receipt,
        seq if seq + 1 == receipt.seq => other.history == receipt.before,
        seq if seq == receipt.seq + 1 => other.before == receipt.history,
        _ => true,
    })
}

/// All of these receipts, or none.
fn logged(protocol: &Protocol, world: &mut World, receipts: &[(usize, Receipt)]) -> bool {
    let mut log = world.log.clone();
    for (service, receipt) in receipts {
        if !fits(protocol, &log[*service], *receipt) {
            return false;
        }
        if !log[*service].contains(receipt) {
            log[*service].push(*receipt);
            log[*service].sort_by_key(|r| (r.seq, r.history));
        }
    }
    world.log = log;
    true
}

/// What a room holds of one kind; none where a service has not answered yet.
fn all_held(world: &World, room: usize, slot: usize) -> Option<Vec<(usize, Receipt)>> {
    (0..SERVICES).map(|service| Some((service, world.rooms[room].held[service][slot]?))).collect()
}

fn enter(protocol: &Protocol, world: &mut World, room: usize) -> Option<()> {
    let (slot, then) = match world.rooms[room].phase {
        Phase::Reserving => (0, Phase::Releasing),
        Phase::Releasing => (1, Phase::Open),
        _ => return None,
    };
    let receipts = all_held(world, room, slot)?;
    let silent = slot == 1 && !protocol.logged_before_opening;
    let taken = silent || logged(protocol, world, &receipts);
    // What the log does not take ends the run before its first step.
    world.rooms[room].phase = if taken { then } else { Phase::Aborted };
    Some(())
}

fn complete(protocol: &Protocol, world: &mut World, room: usize) -> Option<()> {
    if world.rooms[room].phase == Phase::Done && protocol.completed_once {
        return None;
    }
    let mut receipts = all_held(world, room, 1)?;
    receipts.extend(all_held(world, room, 2)?);
    if !logged(protocol, world, &receipts) || world.noted.paid[room] > 1 {
        return None;
    }
    world.rooms[room].phase = Phase::Done;
    world.noted.paid[room] += 1;
    Some(())
}

fn expire(world: &mut World, service: usize, room: usize) -> Option<()> {
    let wrapped = world.noted.wrapped[service][room];
    let service = &mut world.services[service];
    if service.database.charges[room] != Charge::Reserved {
        return None;
    }
    service.database.charges[room] = Charge::Expired;
    world.noted.taken_back |= wrapped && service.restores == 0;
    Some(())
}
