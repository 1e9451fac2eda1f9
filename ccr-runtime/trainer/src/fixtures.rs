//! Jobs for tests: three small tables that share a principal, and the two ends of a pipe.

use std::fmt::Write as _;

use schemas::pipeline::{ColumnRef, Feature, Join, JoinKind, JoinStep, Metrics, Model, Training};
use schemas::privacy::Plan;
use schemas::text::{Bytes, Real};
use schemas::worker::{Device, Report, SeedBytes, Start, TableHead};

/// What came back.
#[derive(PartialEq, Debug)]
pub struct Served {
    pub reports: Vec<Report>,
    pub model: Option<Vec<u8>>,
}

pub fn real(text: &str) -> Real {
    Real::parse(text).unwrap()
}

pub fn column(text: &str) -> ColumnRef {
    let (handle, column) = text.split_once('.').unwrap();
    ColumnRef { handle: handle.into(), column: column.into() }
}

pub fn feature(name: &str, lower: &str, upper: &str) -> Feature {
    Feature { column: column(name), lower: real(lower), upper: real(upper), form: None }
}

pub fn head(handle: &str, columns: &[&str], bytes: usize) -> TableHead {
    let columns = columns.iter().map(|c| (*c).to_owned()).collect();
    TableHead { handle: handle.into(), bytes: bytes as u64, columns, format: Default::default(), public_rows: PEOPLE }
}

/// What tables that nobody counts are contracted with.
const PEOPLE: u64 = 1_000_000;

pub fn inner(left: &str, right: &str) -> JoinStep {
    JoinStep { handle: column(right).handle, kind: JoinKind::Inner, left: column(left), right: column(right) }
}

/// Tables t, u and v with `rows` principals p0, p1, …, whose target follows feature t.a loosely.
pub fn three_tables(rows: usize) -> (Start, Vec<String>) {
    let mut files = ["person,result,a\n", "who,b,c,d\n", "id,e\n"].map(str::to_owned);
    for i in 0..rows {
        let a = (i * 37 % 101) as f64 / 101.0;
        let result = usize::from(a + (i * 13 % 7) as f64 / 20.0 > 0.65);
        writeln!(files[0], "p{i},{result},{a:.3}").unwrap();
        writeln!(files[1], "p{i},{},0.{},x", i % 50, i * 7 % 97).unwrap();
        writeln!(files[2], "p{i},0.{}", i * 11 % 89).unwrap();
    }
    let columns: [&[&str]; 3] = [&["person", "result", "a"], &["who", "b", "c", "d"], &["id", "e"]];
    let tables = ["t", "u", "v"].iter().zip(columns).zip(&files).map(|((h, c), f)| head(h, c, f.len())).collect();
    let projection = ["t.person", "t.result", "t.a", "u.b", "u.c", "v.e"].map(column).to_vec();
    let join = Join {
        name: "joined".into(),
        first: "t".into(),
        steps: vec![inner("t.person", "u.who"), inner("u.who", "v.id")],
        projection,
        filters: vec![],
        aggregates: vec![],
    };
    let features =
        vec![feature("t.a", "0", "1"), feature("u.b", "0", "50"), feature("u.c", "0", "1"), feature("v.e", "0", "1")];
    (start(tables, join, features, "t.result", "t.person", 30), files.to_vec())
}

/// A job over given tables: logistic regression with figures that tests change as they need.
pub fn start(
    tables: Vec<TableHead>,
    join: Join,
    features: Vec<Feature>,
    target: &str,
    principal: &str,
    steps: u32,
) -> Start {
    let training = Training {
        name: "trained".into(),
        input: join.name.clone(),
        private: true,
        model: Model::LogisticRegression,
        features,
        target: column(target),
        positive: "1".into(),
        principal: column(principal),
        epsilon: Some(real("1.0")),
        delta: Some(real("0.0000472")),
        steps,
        sample_rate: real("0.2"),
        clipping_norm: real("1.0"),
        learning_rate: real("0.5"),
        split_salt: Bytes(vec![1; 32]),
        train_ppm: 800_000,
        init_seed: 1,
        metrics: Some(Metrics { noise_multiplier: real("10.5"), curve: None, loss: None }),
        recipe: None,
        labels: None,
        weights: None,
    };
    let plan = Plan {
        without_differential_privacy: false,
        noise_multiplier: real("1.5"),
        sample_rate: training.sample_rate.clone(),
        steps,
        expected_batch: real("48"),
        most_expected_batch: None,
        metrics_noise_multiplier: Some(real("10.5")),
        curve: None,
        loss: None,
        charges: vec![],
    };
    Start {
        v: 1,
        tables,
        join,
        training,
        plan,
        seed: SeedBytes(Bytes(vec![42; 32])),
        checkpoint_every: None,
        resume: None,
        group: None,
        device: Device::Cpu,
    }
}

/// Plays `ccr`: sends a job, reads all answers.
pub fn serve(start: &Start, files: &[String]) -> Served {
    let mut frames = raw(start, files, None);
    let last = frames.iter().rev().nth(1).map(|frame| serde_json::from_slice(frame));
    let model = if let Some(Ok(Report::Done(_))) = last { frames.pop() } else { None };
    Served { reports: frames.iter().map(|frame| serde_json::from_slice(frame).unwrap()).collect(), model }
}

/// Sends a job, with a checkpoint where there is one, and cuts what comes back into its frames.
pub fn raw(start: &Start, files: &[String], checkpoint: Option<&Vec<u8>>) -> Vec<Vec<u8>> {
    raw_with(start, files, &checkpoint.map(Vec::as_slice).into_iter().collect::<Vec<_>>())
}

/// The same with all that follows the tables: weights, a checkpoint.
pub fn raw_with(start: &Start, files: &[String], behind: &[&[u8]]) -> Vec<Vec<u8>> {
    let first = serde_json::to_vec(start).unwrap();
    let files = files.iter().map(String::as_bytes);
    let mut input = Vec::new();
    for bytes in std::iter::once(first.as_slice()).chain(files).chain(behind.iter().copied()) {
        input.extend((bytes.len() as u32).to_be_bytes());
        input.extend(bytes);
    }
    let mut output = Vec::new();
    crate::session::serve(&mut &input[..], &mut output);
    frames(&output)
}

/// The model, and every byte that was said beside it, with the noised figures and the states of checkpoints blanked:
/// those are what noise protects. Their sizes stay.
pub fn spoken(start: &Start, files: &[String]) -> (Vec<Vec<u8>>, Vec<u8>) {
    let mut frames = raw(start, files, None);
    let model = frames.pop().unwrap();
    let mut blank = false;
    for frame in &mut frames {
        if std::mem::replace(&mut blank, false) {
            *frame = vec![0; frame.len()];
            continue;
        }
        match serde_json::from_slice(frame).unwrap() {
            Report::Checkpoint { .. } => blank = true,
            Report::Done(mut outcome) => {
                assert_eq!((outcome.bytes, outcome.sha256), (model.len() as u64, schemas::Digest::of(&model)));
                (outcome.sha256, outcome.metrics) = (schemas::Digest([0; 32]), None);
                *frame = serde_json::to_vec(&Report::Done(outcome)).unwrap();
            }
            _ => {}
        }
    }
    frames.push(vec![0; model.len()]);
    (frames, model)
}

/// Cuts a stream into its frames.
pub fn frames(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk::<4>() {
        let (frame, rest) = rest.split_at(u32::from_be_bytes(*length) as usize);
        frames.push(frame.to_vec());
        bytes = rest;
    }
    frames
}
