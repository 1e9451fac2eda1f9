//! What there is: rooms, key services with their databases, the log, and what must never have happened.

/// Rooms, one run each.
pub const ROOMS: usize = 2;
/// Key services; each run needs all of them.
pub const SERVICES: usize = 2;
/// Runs that the budget of each service pays for.
pub const CAP: usize = 1;

/// The rules of the protocol that can be taken away, and how much may happen.
#[derive(Clone, Copy, Debug)]
pub struct Protocol {
    /// A challenge is consumed before anything else is looked at.
    pub consumed_first: bool,
    /// A service whose journal lacks what the Admission tells of it opens nothing.
    pub head_checked: bool,
    /// An Admission that was given before the service started counts for nothing.
    pub admission_since_start: bool,
    /// Keys are wrapped and the charge made final in one transaction.
    pub charged_with_wrap: bool,
    /// A room opens its data only after its releases stand in the log.
    pub logged_before_opening: bool,
    /// The log takes one receipt per sequence of a journal, and only where its known neighbours fit.
    pub journal_chained: bool,
    /// A second completion of a run is refused.
    pub completed_once: bool,
    /// Requests that rooms may make once more because an answer was lost, all together.
    pub repeats: usize,
    /// Times that a service may be put back.
    pub restores: u8,
    /// Receipts of other families that may come between.
    pub others: u8,
}

impl Protocol {
    /// The protocol as it is built.
    pub fn as_built() -> Protocol {
        Protocol {
            consumed_first: true,
            head_checked: true,
            admission_since_start: true,
            charged_with_wrap: true,
            logged_before_opening: true,
            journal_chained: true,
            completed_once: true,
            repeats: 1,
            restores: 1,
            others: 0,
        }
    }
}

/// A receipt by its place in the journal, the history that it belongs to, and that of the receipt before it: together
/// they stand for its hash.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Receipt {
    /// From 1; 0 for none.
    pub seq: u8,
    /// How often the service had been put back when it was written.
    pub history: u8,
    /// The same of the receipt before it.
    pub before: u8,
}

/// What a room asks of a service.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Act {
    /// Budget.
    Reserve,
    /// Keys.
    Release,
    /// The only output.
    Commit,
}

/// The state of a run's charge at a service.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Charge {
    /// Nothing is known of the run.
    #[default]
    None,
    /// Held.
    Reserved,
    /// Final.
    Charged,
    /// Final, with an output.
    Committed,
    /// Held and never released.
    Expired,
    /// Given back for a logged abort.
    Refunded,
}

impl Charge {
    /// Whether it counts against the budget.
    pub fn counts(self) -> bool {
        matches!(self, Charge::Reserved | Charge::Charged | Charge::Committed)
    }
}

/// A row of a journal.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Row {
    /// The receipt.
    pub receipt: Receipt,
    /// What it is about; none for another family.
    pub about: Option<(usize, Act)>,
}

/// A service's database.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Database {
    /// The charge of each run.
    pub charges: [Charge; ROOMS],
    /// The journal.
    pub journal: Vec<Row>,
    /// Challenges given, a bit for each request of each room.
    pub given: [u16; ROOMS],
    /// Challenges consumed.
    pub consumed: [u16; ROOMS],
}

/// A key service.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Service {
    /// What it stores.
    pub database: Database,
    /// A copy of the database.
    pub backup: Option<Database>,
    /// Times that the copy was put back.
    pub restores: u8,
    /// When it was put back, the log held what the copy lacks.
    pub behind: bool,
    /// Runs whose charge is still to be written: only where wrap and charge are two transactions.
    pub unwritten: [bool; ROOMS],
}

/// A request as it travels; its place in the room's list is its challenge.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Request {
    /// To whom.
    pub service: usize,
    /// What for.
    pub act: Act,
    /// The Admission's word about the service: the newest of its receipts in the log.
    pub head: Receipt,
    /// Restores of the service when the Admission was given.
    pub since: u8,
}

/// How far a room is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Phase {
    /// Asks for budget, until it has it everywhere.
    Reserving,
    /// Its reservations stand in the log; asks for keys.
    Releasing,
    /// Its releases stand in the log; it trains and fixes its output everywhere.
    Open,
    /// Its completion was entered and paid.
    Done,
    /// Told the log that it ends before its first step.
    Aborted,
}

/// A room.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Room {
    /// How far it is.
    pub phase: Phase,
    /// What it holds of each service: reservation, release, commit.
    pub held: [[Option<Receipt>; 3]; SERVICES],
    /// Everything that it sent.
    pub requests: Vec<Request>,
}

/// What must never come to be, noted when it happens.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Noted {
    /// Runs whose key each service wrapped.
    pub wrapped: [[bool; ROOMS]; SERVICES],
    /// Keys left while no charge stood.
    pub uncharged: bool,
    /// One challenge was answered twice.
    pub answered_twice: bool,
    /// A service that the log knew to be behind let keys go.
    pub released_behind: bool,
    /// A charge went back although its key had been wrapped, without a logged abort and without a restore.
    pub taken_back: bool,
    /// Payments of each run.
    pub paid: [u8; ROOMS],
}

/// Everything.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct World {
    /// The rooms.
    pub rooms: Vec<Room>,
    /// The services.
    pub services: Vec<Service>,
    /// Per service, its receipts in the log.
    pub log: Vec<Vec<Receipt>>,
    /// Receipts of other families so far.
    pub others: u8,
    /// What must not have happened.
    pub noted: Noted,
}

impl World {
    /// Before anything happened.
    pub fn new() -> World {
        let room = Room { phase: Phase::Reserving, held: Default::default(), requests: Vec::new() };
        World {
            rooms: vec![room; ROOMS],
            services: vec![Service::default(); SERVICES],
            log: vec![Vec::new(); SERVICES],
            others: 0,
            noted: Noted::default(),
        }
    }

    /// The newest receipt of a service in the log.
    pub fn head(&self, service: usize) -> Receipt {
        self.log[service].iter().copied().max_by_key(|r| r.seq).unwrap_or_default()
    }

    /// Restores of all services.
    pub fn restores(&self) -> u8 {
        self.services.iter().map(|s| s.restores).sum()
    }

    /// Completed runs.
    pub fn completed(&self) -> usize {
        self.rooms.iter().filter(|room| room.phase == Phase::Done).count()
    }
}

impl Default for World {
    fn default() -> World {
        World::new()
    }
}

impl Database {
    /// Whether this receipt is the journal's own.
    pub fn has(&self, receipt: Receipt) -> bool {
        receipt.seq == 0 || self.journal.iter().any(|row| row.receipt == receipt)
    }

    /// Writes a receipt.
    pub fn append(&mut self, history: u8, about: Option<(usize, Act)>) -> Receipt {
        let before = self.journal.last().map_or(0, |row| row.receipt.history);
        let seq = u8::try_from(self.journal.len() + 1).unwrap_or(u8::MAX);
        let receipt = Receipt { seq, history, before };
        self.journal.push(Row { receipt, about });
        receipt
    }

    /// The newest receipt about this.
    pub fn about(&self, room: usize, act: Act) -> Option<Receipt> {
        self.journal.iter().rev().find(|row| row.about == Some((room, act))).map(|row| row.receipt)
    }
}
