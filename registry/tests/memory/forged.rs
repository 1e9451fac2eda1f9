//! Whoever can write to the database forges what it says: a price, a signature, an order, a budget, a further entry, with
//! and without the hashes rewritten. The scrub of an open log or the check at the start names the entry. Runs on SQLite
//! and PostgreSQL.

use diesel::sql_types::{BigInt, Binary, Text};
use diesel::{Connection as _, PgConnection, QueryableByName, RunQueryDsl as _, SqliteConnection, sql_query};
use schemas::event::Body;
use schemas::log::{CheckpointRef, Record};
use schemas::party::Kind;
use schemas::{Code, Digest, canonical};
use signing::FileKey;

use crate::house::House;

/// A connection of somebody who has the database's password, or its file.
enum Base {
    Pg(PgConnection),
    Sqlite(SqliteConnection),
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = Binary)]
    record: Vec<u8>,
    #[diesel(sql_type = Binary)]
    body_salt: Vec<u8>,
    #[diesel(sql_type = Binary)]
    body: Vec<u8>,
}

impl Base {
    fn of(house: &House) -> Base {
        let url = &house.options.url;
        match url.strip_prefix("sqlite://") {
            Some(path) => Base::Sqlite(SqliteConnection::establish(path).unwrap()),
            None => Base::Pg(PgConnection::establish(url).unwrap()),
        }
    }

    fn run(&mut self, sql: &str) {
        let changed = match self {
            Base::Pg(db) => sql_query(sql).execute(db),
            Base::Sqlite(db) => sql_query(sql).execute(db),
        };
        assert!(changed.unwrap() > 0, "{sql} changed nothing");
    }

    fn rows(&mut self) -> Vec<Row> {
        let sql = sql_query("SELECT record, body_salt, body FROM log_entries ORDER BY idx");
        match self {
            Base::Pg(db) => sql.load(db),
            Base::Sqlite(db) => sql.load(db),
        }
        .unwrap()
    }

    fn put(&mut self, index: u64, row: &Row) {
        let sql = sql_query("UPDATE log_entries SET record = $1, body_salt = $2, body = $3 WHERE idx = $4");
        let sql = sql.bind::<Binary, _>(row.record.clone()).bind::<Binary, _>(row.body_salt.clone());
        let sql = sql.bind::<Binary, _>(row.body.clone()).bind::<BigInt, _>(index as i64);
        let changed = match self {
            Base::Pg(db) => sql.execute(db),
            Base::Sqlite(db) => sql.execute(db),
        };
        assert_eq!(changed.unwrap(), 1);
    }

    /// Writes leaves, root and head anew as they follow from the entries, signed by a key that is not the log's.
    fn rehash(&mut self, origin: &str) {
        let leaves: Vec<Digest> = self.rows().iter().map(|row| record(row).leaf().unwrap()).collect();
        let head = CheckpointRef { size: leaves.len() as u64, root: root(&leaves) };
        let stranger = FileKey::from_seed("did:web:sro.example", &[77; 32]);
        let note = signing::note::sign_checkpoint(origin, &head, &stranger).unwrap().text();
        let tile: Vec<u8> = leaves.iter().flat_map(|leaf| leaf.0).collect();
        let tiles = sql_query("UPDATE log_tiles SET hashes = $1 WHERE tree = 0 AND level = 0 AND idx = 0");
        let tiles = tiles.bind::<Binary, _>(tile);
        let heads = sql_query("UPDATE log_head SET size = $1, root = $2, checkpoint = $3");
        let heads = heads.bind::<BigInt, _>(head.size as i64).bind::<Binary, _>(head.root.0.to_vec());
        let heads = heads.bind::<Text, _>(note);
        match self {
            Base::Pg(db) => (tiles.execute(db).unwrap(), heads.execute(db).unwrap()),
            Base::Sqlite(db) => (tiles.execute(db).unwrap(), heads.execute(db).unwrap()),
        };
    }
}

fn record(row: &Row) -> Record {
    canonical::parse(&row.record).unwrap()
}

/// RFC 6962, 2.1.
fn root(leaves: &[Digest]) -> Digest {
    if let [leaf] = leaves {
        return *leaf;
    }
    let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
    Digest::of_parts(&[&[1], &root(left).0, &root(right).0])
}

/// What is forged about the first entry of a kind.
type Forgery = (&'static str, &'static str, fn(&mut Body));

fn replaced(bytes: &mut schemas::text::Bytes, from: &str, to: &str) {
    let text = String::from_utf8(bytes.0.clone()).unwrap();
    assert!(text.contains(from), "{from} does not stand in {text}");
    bytes.0 = text.replacen(from, to, 1).into_bytes();
}

const FORGERIES: [Forgery; 4] = [
    ("a price", "dataset_registered", |body| {
        let Body::DatasetRegistered { offer } = body else { panic!("another body") };
        replaced(&mut offer.payload, "\"amount_minor\":", "\"amount_minor\":1");
    }),
    ("a signature that is gone", "image_set_approved", |body| {
        let Body::ImageSetApproved { image_set } = body else { panic!("another body") };
        image_set.signatures.pop();
    }),
    ("a budget", "contract_proposed", |body| {
        let Body::ContractProposed { contract } = body else { panic!("another body") };
        replaced(&mut contract.payload, "\"epsilon\":\"", "\"epsilon\":\"0.");
    }),
    ("a debt", "run_completed", |body| {
        let Body::RunCompleted { obligations, .. } = body else { panic!("another body") };
        obligations[0].amount_minor = schemas::money::Minor::new(1).unwrap();
    }),
];

/// How much of the log is forged with it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Depth {
    Body,
    Record,
    Hashes,
}

/// A log with a run that is done.
fn house() -> House {
    let mut house = House::furnished();
    let run = house.running();
    let completion = house.completion(&run);
    house.complete(&run, &completion).unwrap();
    house
}

/// The scrub names an entry while the log is open, the check at the start when it is opened again.
fn named(house: &mut House, (scrubbed, started): (&[u64], u64), what: &str) {
    let found = |sentence: &str, index: u64| sentence.contains(&format!("entry {index}:"));
    let difference = house.registry.scrub().unwrap().first_difference;
    assert!(difference.is_some(), "{what}");
    let difference = difference.unwrap();
    assert!(scrubbed.iter().any(|index| found(&difference, *index)), "{what}, scrub: {difference}");
    assert_eq!(house.apply(&house.sro[2], Kind::Tdp).unwrap_err().code, Code::ReadOnly, "{what}");
    house.close();
    let refusal = registry::Registry::open(house.options.clone(), house.now()).map(drop);
    assert!(refusal.is_err(), "{what}");
    let refusal = refusal.unwrap_err();
    assert_eq!(refusal.code, Code::LogTampered, "{what}");
    assert!(found(&refusal.sentence, started), "{what}, start: {refusal}");
}

#[test]
fn what_is_forged_is_named() {
    let mut house = house();
    let kinds: Vec<String> = Base::of(&house).rows().iter().map(|row| record(row).kind).collect();
    for (what, kind, forge) in FORGERIES {
        let index = kinds.iter().position(|k| k == kind).unwrap();
        for depth in [Depth::Body, Depth::Record, Depth::Hashes] {
            let mut base = Base::of(&house);
            let before = base.rows().remove(index);
            let head = house.registry.head().unwrap();
            let mut body: Body = canonical::parse(&before.body).unwrap();
            forge(&mut body);
            let mut row = Row { body: canonical::to_bytes(&body).unwrap(), ..base.rows().remove(index) };
            if depth != Depth::Body {
                let body_sha256 = Digest::of_parts(&[&row.body_salt, &row.body]);
                row.record = Record { body_sha256, ..record(&row) }.bytes().unwrap();
            }
            let kept = Kept::of(&mut base);
            base.put(index as u64, &row);
            if depth == Depth::Hashes {
                base.rehash(&house.options.origin);
            }
            // The scrub verifies no signature: with all hashes rewritten, what no rule forbids is met at the next root of
            // the second tree.
            let second = index + kinds[index..].iter().position(|k| k == "twin_root").unwrap();
            let (index, second) = (index as u64, second as u64);
            let scrubbed = if depth == Depth::Hashes { vec![index, second] } else { vec![index] };
            named(&mut house, (&scrubbed, index), &format!("{what}, {depth:?}"));
            base.put(index, &before);
            kept.back(&mut base);
            house.reopen().unwrap();
            assert_eq!(house.registry.head().unwrap(), head, "put back");
        }
    }
}

#[test]
fn entries_that_changed_places_are_named() {
    let mut house = house();
    for (one, other) in [(4, 6), (6, 8)] {
        let mut base = Base::of(&house);
        let rows = base.rows();
        base.put(one, &rows[other as usize]);
        base.put(other, &rows[one as usize]);
        named(&mut house, (&[one], one), "swapped");
        base.put(one, &rows[one as usize]);
        base.put(other, &rows[other as usize]);
        house.reopen().unwrap();
    }
}

#[test]
fn an_entry_that_was_appended_is_named() {
    let mut house = house();
    // A row alone, beyond the head.
    let size = house.registry.head().unwrap().size;
    let append = format!(
        "INSERT INTO log_entries SELECT {size}, record, subject, subject_salt, body_salt, body FROM log_entries WHERE idx = 5"
    );
    Base::of(&house).run(&append);
    named(&mut house, (&[size], size), "a row");
    Base::of(&house).run(&format!("DELETE FROM log_entries WHERE idx = {size}"));
    house.reopen().unwrap();
    // As the log would have made it, with every hash, but for the signature over the head.
    house.apply(&house.sro[2], Kind::Tdp).unwrap();
    let last = house.registry.head().unwrap().size - 1;
    house.close();
    let mut base = Base::of(&house);
    base.run("DELETE FROM state_head");
    base.rehash(&house.options.origin);
    let refusal = registry::Registry::open(house.options.clone(), house.now()).map(drop).unwrap_err();
    assert_eq!(refusal.code, Code::LogTampered);
    assert!(refusal.sentence.contains(&format!("entry {last}:")), "{refusal}");
}

/// Tile and head, to be put back.
struct Kept {
    tile: Vec<u8>,
    size: i64,
    root: Vec<u8>,
    note: String,
}

#[derive(QueryableByName)]
struct KeptRow {
    #[diesel(sql_type = Binary)]
    hashes: Vec<u8>,
    #[diesel(sql_type = BigInt)]
    size: i64,
    #[diesel(sql_type = Binary)]
    root: Vec<u8>,
    #[diesel(sql_type = Text)]
    checkpoint: String,
}

impl Kept {
    fn of(base: &mut Base) -> Kept {
        let sql = sql_query(
            "SELECT hashes, size, root, checkpoint FROM log_tiles, log_head WHERE tree = 0 AND level = 0 AND idx = 0",
        );
        let rows: Vec<KeptRow> = match base {
            Base::Pg(db) => sql.load(db),
            Base::Sqlite(db) => sql.load(db),
        }
        .unwrap();
        let row = rows.into_iter().next().unwrap();
        Kept { tile: row.hashes, size: row.size, root: row.root, note: row.checkpoint }
    }

    fn back(self, base: &mut Base) {
        let tiles = sql_query("UPDATE log_tiles SET hashes = $1 WHERE tree = 0 AND level = 0 AND idx = 0");
        let tiles = tiles.bind::<Binary, _>(self.tile);
        let heads = sql_query("UPDATE log_head SET size = $1, root = $2, checkpoint = $3");
        let heads = heads.bind::<BigInt, _>(self.size).bind::<Binary, _>(self.root).bind::<Text, _>(self.note);
        match base {
            Base::Pg(db) => (tiles.execute(db).unwrap(), heads.execute(db).unwrap()),
            Base::Sqlite(db) => (tiles.execute(db).unwrap(), heads.execute(db).unwrap()),
        };
    }
}
