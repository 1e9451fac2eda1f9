//! Sensitivity through the join: what taking one principal from one table does to a step's clipped sum, for each kind of
//! join and side of it, stays within the factor at which that table is charged.

use std::fmt::Write as _;

use schemas::pipeline::{Join, JoinKind, Model};

use super::bugs::norm;
use super::{data, settings};
use crate::dpsgd::clipped_sums;
use crate::fixtures::{column, feature, head, inner, start};
use crate::model::Network;
use crate::table;

/// Features of the right table: as many as make a matched row's gradient point elsewhere than an unmatched one's.
const WIDTH: usize = 8;
const PRINCIPALS: usize = 12;

/// The clipped sum of all rows after the join, with one principal left out of one table, and the factors.
fn clipped(kind: JoinKind, model: &Model, without: Option<(&str, usize)>) -> (Vec<f64>, Vec<(String, u8)>) {
    let names: Vec<String> = (0..WIDTH).map(|at| format!("f{at}")).collect();
    let (mut left, mut right) = ("id,result\n".to_owned(), format!("id,{}\n", names.join(",")));
    for at in 0..PRINCIPALS {
        if without != Some(("l", at)) {
            writeln!(left, "p{at},{}", at % 2).unwrap();
        }
        if without != Some(("r", at)) {
            let cells: Vec<&str> = (0..WIDTH).map(|_| ["1", "1e30", "0.9"][at % 3]).collect();
            writeln!(right, "p{at},{}", cells.join(",")).unwrap();
        }
    }
    let columns: Vec<&str> = std::iter::once("id").chain(names.iter().map(String::as_str)).collect();
    let heads = vec![head("l", &["id", "result"], left.len()), head("r", &columns, right.len())];
    let mut step = inner("l.id", "r.id");
    step.kind = kind;
    let projection = ["l.id", "l.result"].map(column).into_iter();
    let projection = projection.chain(names.iter().map(|name| column(&format!("r.{name}")))).collect();
    let join = Join {
        name: "j".into(),
        first: "l".into(),
        steps: vec![step],
        projection,
        filters: vec![],
        aggregates: vec![],
    };
    let features = names.iter().map(|name| feature(&format!("r.{name}"), "0", "1")).collect();
    let mut start = start(heads, join, features, "l.result", "l.id", 1);
    start.training.train_ppm = 1_000_000;
    let tables = [&left, &right].into_iter().zip(&start.tables);
    let tables = tables.map(|(file, head)| table::read(head, file.as_bytes()).unwrap()).collect();
    let rows = table::prepare(&start, tables).unwrap().train;
    let count = rows.labels.len() as i64;
    let network = Network::new(model, WIDTH, 3).unwrap();
    let settings = settings("1", 1, 1.0, 0.1, 1.0);
    let data = data(rows.features, rows.labels, WIDTH);
    let sums = clipped_sums(&network, &data, &(0..count).collect::<Vec<_>>(), &settings, 1).unwrap();
    let factors =
        policies::pipeline::factors(&start.join).into_iter().map(|(handle, factor)| (handle.to_owned(), factor));
    (sums.concat(), factors.collect())
}

#[test]
fn one_principal_moves_a_sum_by_no_more_than_the_factor_of_its_table() {
    let mut worst_of_two = 0.0f64;
    for (kind, expected) in [(JoinKind::Inner, [1, 1]), (JoinKind::Left, [1, 2])] {
        for model in [Model::LogisticRegression, Model::Mlp { hidden: vec![5] }] {
            let (whole, factors) = clipped(kind, &model, None);
            for (handle, expected) in ["l", "r"].into_iter().zip(expected) {
                let factor = factors.iter().find(|(name, _)| name == handle).unwrap().1;
                assert_eq!(factor, expected, "{kind:?} {handle}");
                for at in 0..PRINCIPALS {
                    let (less, _) = clipped(kind, &model, Some((handle, at)));
                    let moved: Vec<f64> = whole.iter().zip(&less).map(|(a, b)| a - b).collect();
                    let moved = norm(&moved) / 0.1;
                    assert!(moved <= f64::from(factor) * (1.0 + 1e-6), "{kind:?} {model:?} {handle} {at}: {moved}");
                    if factor == 2 {
                        worst_of_two = worst_of_two.max(moved);
                    }
                }
            }
        }
    }
    println!("the nullable side of an outer join moves a sum by up to {worst_of_two:.3} clipping norms");
    assert!(worst_of_two > 1.0, "factor 1 would have been a wrong charge: {worst_of_two}");
}
