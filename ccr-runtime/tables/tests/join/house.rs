//! Jobs and tables for these tests.

use std::fmt::Write as _;

use schemas::R;
use schemas::pipeline::{
    Aggregate, AggregateFunction, ColumnRef, Comparison, Filter, Join, JoinKind, JoinStep, Training,
};
use schemas::worker::{TableFormat, TableHead};
use serde_json::json;
use tables::{Limits, Parts, Table};

pub fn column(text: &str) -> ColumnRef {
    let (handle, column) = text.split_once('.').unwrap();
    ColumnRef { handle: handle.into(), column: column.into() }
}

pub fn step(kind: JoinKind, left: &str, right: &str) -> JoinStep {
    JoinStep { handle: column(right).handle, kind, left: column(left), right: column(right) }
}

pub fn filter(name: &str, op: Comparison, value: &str) -> Filter {
    Filter { column: column(name), op, value: value.into() }
}

pub fn aggregate(name: &str, function: AggregateFunction) -> Aggregate {
    Aggregate { column: column(name), function }
}

pub fn join(first: &str, steps: Vec<JoinStep>, projection: &[&str]) -> Join {
    let projection = projection.iter().map(|name| column(name)).collect();
    Join { name: "j".into(), first: first.into(), steps, projection, filters: vec![], aggregates: vec![] }
}

/// A training on features `name lower upper`, a binary target and a principal.
pub fn training(features: &[(&str, &str, &str)], target: &str, principal: &str) -> Training {
    let features: Vec<_> = features
        .iter()
        .map(|(name, lower, upper)| json!({"column": column(name), "lower": lower, "upper": upper}))
        .collect();
    serde_json::from_value(json!({
        "name": "m", "input": "j", "private": true, "model": {"kind": "logistic_regression"}, "features": features,
        "target": column(target), "positive": "1", "principal": column(principal), "epsilon": "1", "delta": "0.00001",
        "steps": 1, "sample_rate": "0.1", "clipping_norm": "1", "learning_rate": "1",
        "split_salt": "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE", "train_ppm": 800_000, "init_seed": 1, "metrics": null
    }))
    .unwrap()
}

/// A table of CSV, with all of its columns announced.
pub fn csv(handle: &str, text: &str) -> (String, String) {
    (handle.to_owned(), text.to_owned())
}

pub fn head(handle: &str, text: &str) -> TableHead {
    let columns = text.lines().next().unwrap_or_default().split(',').map(str::to_owned).collect();
    let (handle, bytes) = (handle.to_owned(), text.len() as u64);
    TableHead { handle, bytes, columns, format: TableFormat::Csv, public_rows: 0 }
}

pub fn read(handle: &str, text: &str) -> R<Table> {
    let head = head(handle, text);
    tables::read(&head, &head.columns, text.as_bytes().to_vec(), &Limits::ROOM)
}

/// Every table beside its own public count, as they come.
pub fn within(join: &Join, training: &Training, files: &[(String, String)], counts: &[u64]) -> R<()> {
    files.iter().zip(counts).try_for_each(|((handle, text), count)| {
        let head = TableHead { public_rows: *count, ..head(handle, text) };
        tables::within_count(join, training, &head, &read(handle, text)?)
    })
}

pub fn prepare(join: &Join, training: &Training, files: &[(String, String)]) -> R<Parts> {
    prepare_under(join, training, files, 7)
}

/// The same under another key of names.
pub fn prepare_under(join: &Join, training: &Training, files: &[(String, String)], key: u8) -> R<Parts> {
    let read = files.iter().map(|(handle, text)| Ok((handle.clone(), read(handle, text)?)));
    tables::prepare(join, training, &read.collect::<R<Vec<_>>>()?, &[key; 32])
}

/// Tables t, u and v with principals p0, p1, …
pub fn three(rows: usize) -> (Join, Training, Vec<(String, String)>) {
    let mut files = ["person,result,a\n", "who,b,c,d\n", "id,e\n"].map(str::to_owned);
    for i in 0..rows {
        let a = (i * 37 % 101) as f64 / 101.0;
        let result = usize::from(a + (i * 13 % 7) as f64 / 20.0 > 0.65);
        writeln!(files[0], "p{i},{result},{a:.3}").unwrap();
        writeln!(files[1], "p{i},{},0.{},x", i % 50, i * 7 % 97).unwrap();
        writeln!(files[2], "p{i},0.{}", i * 11 % 89).unwrap();
    }
    let steps = vec![step(JoinKind::Inner, "t.person", "u.who"), step(JoinKind::Inner, "u.who", "v.id")];
    let join = join("t", steps, &["t.person", "t.result", "t.a", "u.b", "u.c", "v.e"]);
    let features = [("t.a", "0", "1"), ("u.b", "0", "50"), ("u.c", "0", "1"), ("v.e", "0", "1")];
    let files = ["t", "u", "v"].into_iter().zip(files).map(|(handle, text)| (handle.to_owned(), text)).collect();
    (join, training(&features, "t.result", "t.person"), files)
}

/// Whether `part` is `whole` without some rows, bit for bit.
pub fn is_subsequence(part: &tables::Rows, whole: &tables::Rows, width: usize) -> bool {
    let rows =
        |r: &tables::Rows| r.features.chunks(width).zip(&r.labels).map(|(f, l)| (f.to_vec(), *l)).collect::<Vec<_>>();
    let mut rest = rows(whole).into_iter();
    rows(part).iter().all(|row| rest.any(|other| other == *row))
}
