//! A state as rows: read back equal, and brought up to date by what changed.

use std::collections::BTreeMap;

use policies::Code;
use policies::lifecycle::State;
use schemas::party::Decision;

use crate::fixtures::{expect, provider};
use crate::log::Log;

type Rows = BTreeMap<(String, Vec<u8>), Vec<u8>>;

fn rows(state: &State) -> Rows {
    state
        .rows()
        .map(|row| row.map(|(table, key, value)| ((table.to_owned(), key), value)))
        .collect::<Result<_, _>>()
        .unwrap()
}

fn read_back(rows: &Rows) -> State {
    State::from_rows(rows.iter().map(|((table, key), value)| (table, key, value))).unwrap()
}

#[test]
fn a_state_is_read_back_from_its_rows() {
    let mut log = Log::furnished();
    log.contract();
    log.job_ordered();
    assert_eq!(read_back(&rows(&log.state)), log.state);
    assert_eq!(read_back(&rows(&State::new())), State::new());
}

#[test]
fn what_changed_brings_older_rows_up_to_date() {
    let mut log = Log::furnished();
    let older = log.state.clone();
    let mut kept = rows(&older);
    assert!(older.changed_since(&older).unwrap().is_empty());
    log.contract();
    log.decide(&provider(2), Decision::Suspended).unwrap();
    let changed = log.state.changed_since(&older).unwrap();
    assert!(changed.len() < kept.len(), "only what changed is written");
    for (table, key, value) in changed {
        match value {
            Some(value) => kept.insert((table.to_owned(), key), value),
            None => kept.remove(&(table.to_owned(), key)),
        };
    }
    assert_eq!(kept, rows(&log.state));
    assert_eq!(read_back(&kept), log.state);
}

#[test]
fn rows_that_cannot_be_read_are_tampered() {
    let good = rows(&Log::furnished().state);
    let spoilt = |spoil: fn(&mut Rows)| {
        let mut rows = good.clone();
        spoil(&mut rows);
        State::from_rows(rows.iter().map(|((table, key), value)| (table, key, value)))
    };
    expect(spoilt(|r| r.retain(|(table, _), _| table != "state")), Code::LogTampered, "no scalars");
    expect(spoilt(|r| drop(r.insert(("other".into(), vec![]), vec![]))), Code::LogTampered, "unknown table");
    expect(spoilt(|r| r.values_mut().for_each(|v| v.truncate(3))), Code::LogTampered, "cut off");
}
