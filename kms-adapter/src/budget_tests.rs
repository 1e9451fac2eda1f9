//! Races for the last of a budget at function level: many threads, several connections, one database.

use std::path::PathBuf;
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};

use schemas::id::{DatasetId, FamilyId};
use schemas::privacy::{Accountant, Adjacency, Mechanism, Unit};
use schemas::text::Real;

use super::*;
use crate::journal;
use crate::store::{Place, Store};

const THREADS: usize = 64;
/// Connections, each as a process of its own would have one.
const CONNECTIONS: usize = 8;

fn uuid() -> uuid::Uuid {
    uuid::Uuid::now_v7()
}

/// A charge of which one fits into ε 1.0 and a second does not.
fn line(family: &FamilyId, scope: Scope) -> Line {
    let real = |text: &str| Real::parse(text).unwrap();
    let mechanisms = vec![Mechanism::Gaussian { noise_multiplier: real("5") }];
    let limit = Clause {
        unit: Unit::Principal,
        adjacency: Adjacency::AddRemove,
        epsilon: real("1.0"),
        delta: real("0.00001"),
        accountant: Accountant::Rdp,
        scope,
        level: 1,
        without_differential_privacy: false,
    };
    Line {
        cost: policies::budget::vector(&mechanisms).unwrap(),
        charge: DatasetCharge {
            dataset_id: DatasetId::new(uuid()),
            version: 1,
            family: family.clone(),
            factor: 1,
            level: 1,
            mechanisms,
            epsilon_micro: 0,
            delta: limit.delta.clone(),
        },
        cap: limit.clone(),
        clause: limit,
        contract_id: format!("ctr_{}", uuid()),
    }
}

fn open(place: Place) -> Store {
    Store::open(place, crate::Secret::from_bytes(&zeroize::Zeroizing::new([7; 32]))).unwrap()
}

/// Reserves a line for a new run, in one transaction as the service does.
fn reserve(store: &Store, tdc: &str, line: &Line, until: i64) -> R<()> {
    store.transact(|c| {
        let lines = std::slice::from_ref(line);
        take(c, tdc, lines)?;
        let (last, _) = journal::head(c)?;
        let run_id = format!("run_{}", uuid());
        let row = journal::Row {
            seq: last + 1,
            prev: String::new(),
            sha256: schemas::Digest::of(run_id.as_bytes()).to_string(),
            run_id: run_id.clone(),
            kind: "reserved".into(),
            at: 0,
            envelope: Vec::new(),
        };
        diesel::insert_into(crate::tables::journal::table).values(&row).execute(c)?;
        let row = run::RunRow {
            run_id: run_id.clone(),
            reservation_id: run_id.clone(),
            state: "reserved".into(),
            expires_at: until,
            lease_until: None,
            reserved_seq: last + 1,
            last_seq: last + 1,
            bundle: Vec::new(),
            run_jwk: String::new(),
            lost: 0,
            lease_s: None,
        };
        diesel::insert_into(runs::table).values(&row).execute(c)?;
        enter(c, &run_id, tdc, lines, Timestamp::from_micros(0))
    })
}

fn race(place: &Place, rounds: usize) {
    let stores: Vec<Store> = (0..CONNECTIONS).map(|_| open(place.clone())).collect();
    let families: Vec<FamilyId> = (0..rounds).map(|_| FamilyId::new(uuid())).collect();
    let won: Vec<AtomicUsize> = (0..rounds).map(|_| AtomicUsize::new(0)).collect();
    let full: Vec<AtomicUsize> = (0..rounds).map(|_| AtomicUsize::new(0)).collect();
    let start = Barrier::new(THREADS);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (stores, families, won, full, start) = (&stores, &families, &won, &full, &start);
            scope.spawn(move || {
                for (round, family) in families.iter().enumerate() {
                    // Half of the rounds are raced for by many consumers, half by one.
                    let many = round % 2 == 0;
                    let line = line(family, if many { Scope::Global } else { Scope::PerTdc });
                    let tdc = if many { format!("did:web:{thread}.example") } else { "did:web:tdc.example".to_owned() };
                    start.wait();
                    match reserve(&stores[thread % CONNECTIONS], &tdc, &line, i64::MAX) {
                        Ok(()) => won[round].fetch_add(1, Ordering::SeqCst),
                        Err(refused) if refused.code == Code::BudgetExceeded => {
                            full[round].fetch_add(1, Ordering::SeqCst)
                        }
                        Err(other) => panic!("round {round}: {other}"),
                    };
                }
            });
        }
    });
    for round in 0..rounds {
        let seen = (won[round].load(Ordering::SeqCst), full[round].load(Ordering::SeqCst));
        assert_eq!(seen, (1, THREADS - 1), "round {round}");
    }
    let one = line(&families[0], Scope::Global).cost;
    stores[0]
        .transact(|c| {
            for family in &families {
                assert_eq!(ledger::sum(c, family.as_str(), ledger::GLOBAL)?.vector, one);
                assert_eq!(ledger::of_charges(c, family.as_str(), ledger::GLOBAL)?, one);
            }
            ledger::check(c)
        })
        .unwrap();
}

/// A file that goes with the test.
struct File(PathBuf);

impl File {
    fn new() -> File {
        let dir = std::env::temp_dir().join(format!("depa-kms-race-{}", uuid()));
        std::fs::create_dir(&dir).unwrap();
        File(dir)
    }

    fn place(&self, name: &str) -> Place {
        Place::Sqlite(self.0.join(name))
    }
}

impl Drop for File {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// Rounds of the gate; the environment asks for more or fewer.
fn rounds(gate: usize) -> usize {
    std::env::var("DEPA_RACE_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(gate)
}

fn race_on_sqlite(rounds: usize) {
    let file = File::new();
    race(&file.place("kms.sqlite"), rounds);
}

fn race_on_postgresql(rounds: usize) {
    match postgres::Cluster::start() {
        Ok(cluster) => race(&Place::Pg(cluster.database()), rounds),
        Err(why) => println!("NOT RUN key service's race on PostgreSQL: {why}"),
    }
}

#[test]
fn of_sixty_four_threads_one_gets_the_budget_in_every_round_on_sqlite() {
    race_on_sqlite(rounds(200));
}

#[test]
fn of_sixty_four_threads_one_gets_the_budget_in_every_round_on_postgresql() {
    race_on_postgresql(rounds(200));
}

#[test]
#[ignore = "long: `sh infra/test.sh full`"]
fn of_sixty_four_threads_one_gets_the_budget_in_a_thousand_rounds_on_both() {
    race_on_sqlite(1000);
    race_on_postgresql(1000);
}

#[test]
fn what_two_providers_half_reserved_comes_back_whole() {
    let file = File::new();
    let (first, second) = (open(file.place("a")), open(file.place("b")));
    let (ours, theirs) = (FamilyId::new(uuid()), FamilyId::new(uuid()));
    let (our_line, their_line) = (line(&ours, Scope::PerTdc), line(&theirs, Scope::PerTdc));
    // The second provider's budget is spent: every run gets one half only.
    reserve(&second, "did:web:tdc.example", &their_line, i64::MAX).unwrap();
    for round in 0..200 {
        reserve(&first, "did:web:tdc.example", &our_line, round + 1).unwrap();
        let refused = reserve(&second, "did:web:tdc.example", &their_line, round + 1).unwrap_err();
        assert_eq!(refused.code, Code::BudgetExceeded);
        let early = reserve(&first, "did:web:tdc.example", &our_line, round + 1).unwrap_err();
        assert_eq!(early.code, Code::BudgetExceeded, "round {round}: it still counts");
        first.transact(|c| run::expire(c, Timestamp::from_micros(round + 1))).unwrap();
    }
    let left = |store: &Store, family: &FamilyId| {
        store.transact(|c| Ok(ledger::sum(c, family.as_str(), "did:web:tdc.example")?.vector)).unwrap()
    };
    assert_eq!(left(&first, &ours), RdpVector::zero());
    assert_eq!(left(&second, &theirs), their_line.cost);
    first.transact(ledger::check).unwrap();
}

#[test]
fn a_charge_of_nobody_known_counts_for_everybody() {
    let file = File::new();
    let store = open(file.place("kms.sqlite"));
    let family = FamilyId::new(uuid());
    let line = line(&family, Scope::PerTdc);
    reserve(&store, ledger::ANYONE, &line, i64::MAX).unwrap();
    let refused = reserve(&store, "did:web:tdc.example", &line, i64::MAX).unwrap_err();
    assert_eq!(refused.code, Code::BudgetExceeded);
}

#[test]
fn a_sum_is_changed_only_as_it_was_read() {
    let file = File::new();
    let store = open(file.place("kms.sqlite"));
    let (family, vector) = (FamilyId::new(uuid()), line(&FamilyId::new(uuid()), Scope::Global).cost);
    store.transact(|c| ledger::put(c, family.as_str(), ledger::GLOBAL, &vector, 0)).unwrap();
    store.transact(|c| ledger::put(c, family.as_str(), ledger::GLOBAL, &vector, 1)).unwrap();
    let stale = store.transact(|c| ledger::put(c, family.as_str(), ledger::GLOBAL, &vector, 1)).unwrap_err();
    assert_eq!(stale.code, Code::Internal);
    let sums = store.transact(ledger::check).unwrap_err();
    assert_eq!(sums.code, Code::LogTampered, "a sum without charges");
}

#[path = "../../registry/tests/memory/postgres.rs"]
mod postgres;
