//! Books of a whole log: kept as rows, and one thing edited in them at a time.

use std::collections::BTreeMap;

use policies::lifecycle::State;
use policies::money::{compare, line};
use policies::{Code, R};
use schemas::desk::JournalLine;
use schemas::dispute::Ruling;
use serde_json::Value;

use crate::fixtures::expect;
use crate::money_scene::{Money, entered, minor, people};

type Rows = BTreeMap<(String, Vec<u8>), Vec<u8>>;

/// Every kind of transfer but those of blocks.
fn full() -> State {
    let mut money = Money::owed();
    money.settle(0);
    let (batch, _) = money.batch(&people(20));
    money.enter(entered(&batch)).unwrap();
    let id = money.suspended("bank-1", 499_000);
    let body = money.ruled(&id, Ruling::Release { instruction_id: money.obligation(1).instruction_id });
    money.enter(body).unwrap();
    money.suspended("bank-2", 77);
    let id = money.disputed(0);
    let body = money.ruled(&id, Ruling::Refund {});
    money.enter(body).unwrap();
    money.scene.log.state
}

fn rows(state: &State) -> Rows {
    let row = |row: R<(&'static str, Vec<u8>, Vec<u8>)>| {
        let (table, key, value) = row.unwrap();
        ((table.to_owned(), key), value)
    };
    state.rows().map(row).collect()
}

fn read_back(rows: &Rows) -> State {
    State::from_rows(rows.iter().map(|((table, key), value)| (table, key, value))).unwrap()
}

/// The state with every row of a table, one at a time, changed.
fn each_changed(state: &State, table: &str, change: fn(&mut Value)) -> Vec<State> {
    let good = rows(state);
    let changed = good.iter().filter(|((name, _), _)| name == table).map(|(key, value)| {
        let mut value: Value = serde_json::from_slice(value).unwrap();
        change(&mut value);
        let mut rows = good.clone();
        rows.insert(key.clone(), serde_json::to_vec(&value).unwrap());
        read_back(&rows)
    });
    changed.collect()
}

#[test]
fn books_are_read_back_from_their_rows() {
    let state = full();
    assert_eq!(read_back(&rows(&state)), state);
    state.check_books().unwrap();
}

#[test]
fn an_edited_transfer_is_named() {
    let state = full();
    let larger = |value: &mut Value| value["amount"] = (value["amount"].as_i64().unwrap() + 1).into();
    let edited = each_changed(&state, "transfers", larger);
    assert!(edited.len() > 15, "{}", edited.len());
    for spoilt in edited {
        let own: BTreeMap<_, _> = state.books().transfers().collect();
        let (place, _) = spoilt.books().transfers().find(|(place, transfer)| own.get(place) != Some(transfer)).unwrap();
        let refusal = spoilt.check_books().unwrap_err();
        let amount = matches!(refusal.code, Code::BooksTransfer | Code::BooksBalance | Code::BooksOverdrawn);
        assert!(amount, "{refusal}");
        // The journal names it in any case.
        let lines = |state: &State| -> Vec<JournalLine> {
            let books = state.books().transfers();
            books.map(|(place, transfer)| line(place, transfer, None).unwrap()).collect()
        };
        let refusal = compare(&lines(&state), &lines(&spoilt), true).unwrap_err();
        assert_eq!(refusal.code, Code::BooksTransfer);
        assert!(refusal.sentence.contains(&place.id().unwrap()), "{refusal}");
    }
}

#[test]
fn a_transfer_that_the_log_does_not_explain_is_named() {
    let state = full();
    // Balances go along, so that the books by themselves are in order.
    let reference = |value: &mut Value| value["reference"] = "C".repeat(32).into();
    for spoilt in each_changed(&state, "transfers", reference) {
        let refusal = spoilt.check_books().unwrap_err();
        assert_eq!(refusal.code, Code::BooksTransfer, "{refusal}");
        assert!(refusal.sentence.contains("does not follow from the log"), "{refusal}");
    }
}

#[test]
fn every_other_edit_has_its_code() {
    let state = full();
    let balance = |value: &mut Value| {
        let sum: i128 = value["debits_posted"].as_str().unwrap().parse().unwrap();
        value["debits_posted"] = (sum + 1).to_string().into();
    };
    for spoilt in each_changed(&state, "books", balance) {
        expect(spoilt.check_books(), Code::BooksBalance, "a balance");
    }
    for spoilt in each_changed(&state, "payments", |value| value["state"] = "due".into()) {
        expect(spoilt.check_books(), Code::BooksObligation, "an obligation's state");
    }
    let larger = |value: &mut Value| value["obligation"]["amount_minor"] = 500_001.into();
    for spoilt in each_changed(&state, "payments", larger) {
        expect(spoilt.check_books(), Code::BooksTransfer, "an obligation's amount");
    }
    for spoilt in each_changed(&state, "runs", |value| value["charged"] = Value::Array(Vec::new())) {
        expect(spoilt.check_books(), Code::BooksObligation, "a run that owes nothing");
    }
    let raised = |value: &mut Value| value["payment"][0]["amount_minor"] = 1.into();
    assert!(
        each_changed(&state, "contract_texts", raised)
            .iter()
            .all(|spoilt| { spoilt.check_books().is_err_and(|refusal| refusal.code == Code::BooksObligation) })
    );
    let open: Vec<State> = each_changed(&state, "disputes", |value| {
        if value["state"] == "answered" {
            value["state"] = "ruled".into();
        }
    });
    let unexplained = open.iter().filter(|spoilt| **spoilt != state).map(State::check_books);
    let unexplained: Vec<R<()>> = unexplained.collect();
    assert_eq!(unexplained.len(), 1);
    unexplained.into_iter().for_each(|judged| expect(judged, Code::BooksSuspense, "suspense without its dispute"));
    for spoilt in each_changed(&state, "pool_parts", |value| value["amount"] = 49_999.into()) {
        expect(spoilt.check_books(), Code::BooksTransfer, "a principals' part");
    }
    let mut gone = rows(&state);
    gone.retain(|(table, _), _| table != "payouts");
    expect(read_back(&gone).check_books(), Code::BooksTransfer, "a payout without its batch");
    let mut gone = rows(&state);
    gone.retain(|(table, _), _| table != "transfers_resolved");
    expect(read_back(&gone).check_books(), Code::BooksBalance, "what is pending");
}

#[test]
fn shown_journals_are_compared_line_by_line() {
    let state = full();
    let own: Vec<JournalLine> =
        state.books().transfers().map(|(place, transfer)| line(place, transfer, None).unwrap()).collect();
    compare(&own, &own, true).unwrap();
    compare(&own, &own[3..7], false).unwrap();
    let refused = |spoil: fn(&mut Vec<JournalLine>), whole, what: &str| {
        let mut shown = own.clone();
        spoil(&mut shown);
        expect(compare(&own, &shown, whole), Code::BooksTransfer, what);
    };
    refused(|l| drop(l.pop()), true, "one is missing");
    refused(|l| l.push(l[0].clone()), false, "one stands twice");
    refused(|l| l[0].amount_minor = minor(1), false, "another amount");
    refused(|l| l[0].credit = l[0].debit.clone(), false, "another account");
    refused(|l| l[0].phase = "pending".into(), false, "another phase");
    refused(|l| l[0].id = "0".repeat(32), false, "another id");
}
