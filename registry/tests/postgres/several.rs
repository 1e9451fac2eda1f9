//! Several processes on one log: one writes, the others follow and take over.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, PgConnection, RunQueryDsl as _};
use registry::Registry;
use schemas::event::Body;
use schemas::party::Kind;
use schemas::{Code, Digest};
use signing::FileKey;

use crate::database::{URL, cluster, url};
use crate::house::{House, folder, options, start};

/// Waits, at most ten seconds, until something holds.
fn until(what: &str, mut holds: impl FnMut() -> bool) -> Duration {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(10), "{what} did not come within ten seconds");
        std::thread::sleep(Duration::from_millis(5));
    }
    began.elapsed()
}

#[test]
fn a_follower_reads_on_refuses_writes_and_takes_over() {
    let mut house = House::furnished();
    let second = Registry::open(house.options.clone(), start()).unwrap();
    assert!(house.registry.is_writer() && !second.is_writer());
    assert_eq!(second.state(), house.registry.state());
    house.apply(&house.sro[2], Kind::Tdp).unwrap();
    let head = house.registry.head().unwrap();
    until("the new entry", || second.head().unwrap() == head);
    assert_eq!(second.state(), house.registry.state());
    assert_eq!(second.checkpoint().unwrap().head, head);
    let receipt = second.receipt(head.size - 2).unwrap();
    let body = second.entries(head.size - 2, 1).unwrap().remove(0).body;
    signing::verify_receipt(&receipt, &body, &house.options.origin, house.options.signer.jwk()).unwrap();

    let anchor = || Body::DigestAnchored { by: house.tdps[0].did().unwrap(), sha256: Digest([7; 32]) };
    let refused = second.append(second.verify(anchor()).unwrap(), house.now()).unwrap_err();
    assert_eq!(refused.code, Code::NotWriter);
    let did = house.tdc.did().unwrap();
    assert_eq!(second.use_jti(&did, "a", start(), start()).unwrap_err().code, Code::NotWriter);

    let aside = folder();
    let stand_in = Registry::open(options(&aside), start()).unwrap();
    drop(std::mem::replace(&mut house.registry, stand_in));
    let took = until("the new writer", || second.is_writer());
    println!("took over after {} ms", took.as_millis());
    let entry = second.append(second.verify(anchor()).unwrap(), house.now()).unwrap();
    assert_eq!(entry.receipt.index, head.size);
    std::fs::remove_dir_all(aside).unwrap();
}

/// A later build brought the tables on while this one followed. It reads on, but neither it nor a new one like it writes.
#[test]
fn a_follower_does_not_take_over_what_a_later_build_brought_on() {
    let mut house = House::furnished();
    let second = Registry::open(house.options.clone(), start()).unwrap();
    let mut database = PgConnection::establish(&house.options.url).unwrap();
    database.batch_execute("INSERT INTO __diesel_schema_migrations (version) VALUES ('9999')").unwrap();
    assert_eq!(Registry::open(house.options.clone(), start()).err().unwrap().code, Code::ConfigInvalid);
    let head = house.registry.head().unwrap();
    house.close();
    until("the place of the writer", || second.read_only().is_some());
    let refused = second.read_only().unwrap();
    assert_eq!(refused.code, Code::ReadOnly);
    assert!(refused.sentence.contains("later build"), "{refused}");
    assert!(!second.is_writer());
    assert_eq!(second.head().unwrap(), head);
}

/// A later build brings the tables on while this process writes. Nothing more is written here, with an act or without one,
/// and that build may take the writer's place.
#[test]
fn a_writer_gives_way_to_the_later_build_that_brought_the_tables_on() {
    for acts in [true, false] {
        let house = House::furnished();
        let registry = &house.registry;
        registry.fresh().unwrap();
        let (head, did) = (registry.head().unwrap(), house.tdps[0].did().unwrap());
        let mut database = PgConnection::establish(&house.options.url).unwrap();
        database.batch_execute("INSERT INTO __diesel_schema_migrations (version) VALUES ('9999')").unwrap();
        if acts {
            // The very next act, beside the log as in it.
            let refused = registry.use_jti(&did, "a", start().plus_seconds(60), start()).unwrap_err();
            assert_eq!(refused.code, Code::NotWriter);
            let anchor = Body::DigestAnchored { by: did, sha256: Digest([7; 32]) };
            assert_eq!(registry.append(registry.verify(anchor).unwrap(), start()).unwrap_err().code, Code::NotWriter);
        }
        until("that it is not ready", || registry.fresh().is_err_and(|refusal| refusal.code == Code::ReadOnly));
        let why = registry.read_only().unwrap().sentence;
        assert!(why.contains("later build") && !registry.is_writer(), "{why}");
        assert_eq!((registry.head().unwrap(), registry.entries(0, 1).unwrap().len()), (head, 1), "it reads on");
        let used: i64 = count(&mut database, "jti_seen");
        assert_eq!(used, 0, "nothing was written");
        // The lock of the one writer is free for whoever knows the tables.
        let lock = format!("pg_try_advisory_lock({})", 0x6465_7061_0002_i64);
        until("the writer's place", || {
            let free = diesel::dsl::sql::<diesel::sql_types::Bool>(&lock);
            diesel::select(free).get_result::<bool>(&mut database).unwrap()
        });
    }
}

/// Rows of a table.
fn count(database: &mut PgConnection, table: &str) -> i64 {
    let rows = diesel::dsl::sql::<diesel::sql_types::BigInt>(&format!("(SELECT count(*) FROM {table})"));
    diesel::select(rows).get_result(database).unwrap()
}

#[test]
fn a_database_that_stops_gives_clean_errors_and_comes_back() {
    let own = crate::postgres::Cluster::start().unwrap();
    let dir = folder();
    let mut options = options(&dir);
    options.url = own.database();
    let registry = Registry::open(options, start()).unwrap();
    let did = FileKey::generate().unwrap().did().unwrap();
    registry.use_jti(&did, "a", start().plus_seconds(60), start()).unwrap();
    own.down().unwrap();
    let lost = registry.use_jti(&did, "b", start().plus_seconds(60), start()).unwrap_err();
    assert!([Code::Unavailable, Code::NotWriter].contains(&lost.code), "{lost}");
    assert_eq!(registry.entries(0, 1).unwrap_err().code, Code::Unavailable);
    assert_eq!(registry.head().unwrap().size, 2, "what needs no database is answered");
    own.up().unwrap();
    until("the database", || registry.use_jti(&did, "c", start().plus_seconds(60), start()).is_ok());
    assert_eq!(registry.entries(0, 1).unwrap().len(), 1);
    assert_eq!(registry.use_jti(&did, "a", start().plus_seconds(60), start()).unwrap_err().code, Code::TokenReplayed);
    std::fs::remove_dir_all(dir).unwrap();
}

/// A follower that does not hear of its log says nothing of it after some seconds, since it may have gone on elsewhere.
#[test]
fn a_follower_whose_database_goes_away_says_nothing_of_the_log() {
    let own = crate::postgres::Cluster::start().unwrap();
    let dir = folder();
    let mut options = options(&dir);
    options.url = own.database();
    let writer = Registry::open(options.clone(), start()).unwrap();
    let follower = Registry::open(options, start()).unwrap();
    assert!(writer.is_writer() && !follower.is_writer());
    follower.fresh().unwrap();
    own.down().unwrap();
    let stale = |registry: &Registry| registry.fresh().is_err_and(|e| e.code == Code::Unavailable);
    until("the follower's silence", || stale(&follower));
    until("the writer's silence", || stale(&writer));
    assert_eq!(follower.head().unwrap().size, 2, "what it knows is read on");
    own.up().unwrap();
    until("both again", || follower.fresh().is_ok() && writer.fresh().is_ok());
    std::fs::remove_dir_all(dir).unwrap();
}

const CHILD: [&str; 4] = ["several::child", "--exact", "--nocapture", "--test-threads=1"];
const ROLE: &str = "DEPA_REGISTRY_SEVERAL";

/// The child: four threads anchor digests for ever; each is tried once and printed when it was acknowledged.
#[test]
fn child() {
    if std::env::var(ROLE).is_err() {
        return;
    }
    let dir = folder();
    let registry = Registry::open(options(&dir), start()).unwrap();
    let state = registry.state();
    let by = state.participants().map(|(did, _)| did.clone()).next().unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    if !registry.is_writer() {
                        std::thread::sleep(Duration::from_millis(5));
                        continue;
                    }
                    let sha256 = Digest(signing::signer::random::<32>().unwrap());
                    let body = registry.verify(Body::DigestAnchored { by: by.clone(), sha256 }).unwrap();
                    if let Ok(entry) = registry.append(body, start()) {
                        let line = format!("ack {} {sha256}\n", entry.receipt.index);
                        std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
                    }
                }
            });
        }
    });
}

struct Process {
    child: Child,
    lines: Receiver<String>,
}

fn process(url: &str) -> Process {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(CHILD)
        .env(ROLE, "1")
        .env(URL, url)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let stdout = BufReader::new(child.stdout.take().unwrap());
    let (sender, lines) = channel();
    std::thread::spawn(move || stdout.lines().map_while(Result::ok).for_each(|line| drop(sender.send(line))));
    Process { child, lines }
}

fn acknowledged(line: &str) -> Option<(String, u64)> {
    let (index, digest) = line.strip_prefix("ack ")?.split_once(' ')?;
    (digest.len() == 64).then(|| Some((digest.to_owned(), index.parse().ok()?)))?
}

/// The writer is killed again and again; each time another process writes within ten seconds.
fn move_the_writer(kills: usize) {
    let mut house = House::empty();
    house.admit(&house.tdps[0], Kind::Tdp);
    let url = url(&house.dir);
    let aside = folder();
    let stand_in = Registry::open(options(&aside), start()).unwrap();
    drop(std::mem::replace(&mut house.registry, stand_in));
    let mut processes: Vec<Process> = (0..3).map(|_| process(&url)).collect();
    let (mut acks, mut longest) = (HashMap::new(), Duration::ZERO);
    for _ in 0..kills {
        let mut writing = None;
        let gap = until("a writer", || {
            for (n, process) in processes.iter().enumerate() {
                for line in process.lines.try_iter() {
                    if let Some((digest, index)) = acknowledged(&line) {
                        acks.insert(digest, index);
                        writing = Some(n);
                    }
                }
            }
            writing.is_some()
        });
        longest = longest.max(gap);
        std::thread::sleep(Duration::from_millis(60));
        let mut killed = std::mem::replace(&mut processes[writing.unwrap()], process(&url));
        killed.child.kill().unwrap();
        killed.child.wait().unwrap();
        acks.extend(killed.lines.iter().filter_map(|line| acknowledged(&line)));
    }
    for mut last in processes {
        last.child.kill().unwrap();
        last.child.wait().unwrap();
        acks.extend(last.lines.iter().filter_map(|line| acknowledged(&line)));
    }
    let registry = Registry::open(house.options.clone(), start()).unwrap();
    let (mut seen, mut from) = (HashMap::new(), 0);
    loop {
        let page = registry.entries(from, 1000).unwrap();
        if page.is_empty() {
            break;
        }
        from += page.len() as u64;
        for entry in page {
            if let Body::DigestAnchored { sha256, .. } = entry.body {
                assert!(seen.insert(sha256.to_string(), entry.index).is_none(), "entered twice");
            }
        }
    }
    for (digest, index) in &acks {
        assert_eq!(seen.get(digest), Some(index), "an acknowledged anchor");
    }
    assert!(acks.len() > kills);
    println!("{} acknowledged, {} entered, {kills} writers killed, longest gap {longest:?}", acks.len(), seen.len());
    drop(registry);
    std::fs::remove_dir_all(aside).unwrap();
}

#[test]
fn killing_the_writer_moves_it_without_a_lost_or_doubled_entry() {
    let _ = cluster();
    move_the_writer(6);
}

#[test]
#[ignore = "long: `sh infra/test.sh full`"]
fn killing_the_writer_fifty_times_loses_nothing() {
    move_the_writer(50);
}
