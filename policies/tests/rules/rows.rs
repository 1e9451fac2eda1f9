//! A state as rows: read back equal, and brought up to date by what changed.

use std::collections::BTreeMap;

use policies::Code;
use policies::lifecycle::State;
use schemas::envelope::Form;
use schemas::event::Body;
use schemas::party::Decision;

use crate::fixtures::{House, TDC, expect, provider};
use crate::log::{Log, by};

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
fn a_further_signature_rewrites_no_signed_bytes() {
    let mut log = Log::furnished();
    let contract = by(&House::new().contracts[0], &[TDC]);
    log.enter(Body::ContractProposed { contract: contract.clone() }).unwrap();
    let older = log.state.clone();
    let kept = rows(&older);
    assert_eq!(
        kept.values().filter(|value| **value == contract.payload.0).count(),
        1,
        "one row holds them as they are"
    );
    let reference = older.contract(&contract.digest()).unwrap().reference();
    log.sign(&reference, &provider(1)).unwrap();
    let changed: Vec<_> = log.state.changed_since(&older).unwrap().into_iter().map(|(table, ..)| table).collect();
    assert!(changed.contains(&"contracts") && !changed.contains(&"contract_texts"), "{changed:?}");
}

#[test]
fn half_a_contract_is_tampered() {
    let mut log = Log::furnished();
    log.contract();
    for half in ["contracts", "contract_texts"] {
        let mut rows = rows(&log.state);
        rows.retain(|(table, _), _| table != half);
        let read = State::from_rows(rows.iter().map(|((table, key), value)| (table, key, value)));
        expect(read, Code::LogTampered, half);
    }
}

#[test]
fn bytes_proposed_under_cose_alone_count_as_unread() {
    for (form, read) in [(Form::Jws, true), (Form::Cose, false)] {
        let mut log = Log::furnished();
        let mut contract = by(&House::new().contracts[0], &[TDC]);
        contract.signatures.iter_mut().for_each(|signature| signature.form = form);
        log.enter(Body::ContractProposed { contract: contract.clone() }).unwrap();
        let proposed = log.state.proposed_payload(&contract.digest()).unwrap();
        assert_eq!((proposed.read, &*proposed.payload), (read, &contract.payload));
    }
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
