//! The engine's answer against nested loops that say the same thing, on random tables.

use std::collections::HashSet;

use schemas::Code;
use schemas::pipeline::{AggregateFunction, Comparison, Filter, Join, JoinKind};

use crate::house::{aggregate, column, csv, filter, join, prepare, read, step, training};

/// A stream of small numbers, the same on every machine.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

type Grid = (Vec<String>, Vec<Vec<String>>);

fn grid(text: &str) -> Grid {
    let mut lines = text.lines().map(|line| line.split(',').map(str::to_owned).collect::<Vec<_>>());
    (lines.next().unwrap(), lines.collect())
}

fn cell<'a>(grid: &'a Grid, row: usize, name: &str) -> &'a str {
    &grid.1[row][grid.0.iter().position(|known| known == name).unwrap()]
}

/// Rows of the join as rows of each table, by nested loops.
fn joined(join: &Join, files: &[(String, String)]) -> Vec<Vec<Option<usize>>> {
    let grids: Vec<(String, Grid)> = files.iter().map(|(handle, text)| (handle.clone(), grid(text))).collect();
    let place = |handle: &str| grids.iter().position(|(known, _)| known == handle).unwrap();
    let first = |handle: &str| {
        let mut rows: Vec<usize> = (0..grids[place(handle)].1.1.len()).collect();
        let mut keys: Vec<_> =
            join.steps.iter().flat_map(|s| [&s.left, &s.right]).filter(|key| key.handle == handle).collect();
        keys.sort();
        keys.dedup();
        for key in keys {
            let mut seen = HashSet::new();
            let grid = &grids[place(handle)].1;
            rows.retain(|row| cell(grid, *row, &key.column).is_empty() || seen.insert(cell(grid, *row, &key.column)));
        }
        rows
    };
    let mut rows: Vec<Vec<Option<usize>>> = first(&join.first)
        .into_iter()
        .map(|row| grids.iter().map(|(handle, _)| (*handle == join.first).then_some(row)).collect())
        .collect();
    for step in &join.steps {
        let right = first(&step.handle);
        let mut next = Vec::new();
        for mut row in rows {
            let left =
                row[place(&step.left.handle)].map(|r| cell(&grids[place(&step.left.handle)].1, r, &step.left.column));
            let grid = &grids[place(&step.handle)].1;
            let found = right
                .iter()
                .find(|r| left.is_some_and(|left| !left.is_empty() && left == cell(grid, **r, &step.right.column)));
            if found.is_some() || step.kind == JoinKind::Left {
                row[place(&step.handle)] = found.copied();
                next.push(row);
            }
        }
        rows = next;
    }
    rows.retain(|row| {
        join.filters.iter().all(|f| {
            let at = place(&f.column.handle);
            row[at].is_some_and(|r| holds(f, cell(&grids[at].1, r, &f.column.column)))
        })
    });
    rows
}

fn holds(filter: &Filter, cell: &str) -> bool {
    let order = || cell.trim().parse::<f64>().ok()?.partial_cmp(&filter.value.parse().unwrap());
    match filter.op {
        Comparison::Eq => cell == filter.value,
        Comparison::Ne => cell != filter.value,
        Comparison::Lt => order().is_some_and(|o| o.is_lt()),
        Comparison::Le => order().is_some_and(|o| o.is_le()),
        Comparison::Gt => order().is_some_and(|o| o.is_gt()),
        Comparison::Ge => order().is_some_and(|o| o.is_ge()),
    }
}

#[test]
fn the_engine_gives_what_nested_loops_give() {
    let mut numbers = Numbers(5);
    let odd = ["", "NaN", "inf", "-1e38", "text", " 7 "];
    for case in 0..120 {
        let mut table = |name: &str, rows: u64| {
            let mut text = String::from("k,v,w\n");
            for _ in 0..rows {
                let key = match numbers.below(8) {
                    0 => String::new(),
                    _ => format!("k{}", numbers.below(12)),
                };
                let value = match numbers.below(5) {
                    0 => odd[numbers.below(6) as usize].to_owned(),
                    _ => numbers.below(20).to_string(),
                };
                text += &format!("{key},{value},{}\n", numbers.below(3));
            }
            csv(name, &text)
        };
        let rows = if case % 10 == 0 { 0 } else { 14 };
        let files = vec![table("a", 14), table("b", rows), table("c", 9)];
        let kind = |n| if n == 0 { JoinKind::Inner } else { JoinKind::Left };
        let onto = if numbers.below(2) == 0 { "a.k" } else { "b.k" };
        let steps = vec![step(kind(numbers.below(2)), "a.k", "b.k"), step(kind(numbers.below(2)), onto, "c.k")];
        let mut join = join("a", steps, &["a.k", "a.v", "b.v", "c.v", "a.w"]);
        let ops = [Comparison::Eq, Comparison::Ne, Comparison::Lt, Comparison::Le, Comparison::Gt, Comparison::Ge];
        for _ in 0..numbers.below(3) {
            let op = ops[numbers.below(6) as usize];
            let name = ["a.v", "b.v", "c.w"][numbers.below(3) as usize];
            join.filters.push(filter(name, op, &numbers.below(9).to_string()));
        }
        let mut training = training(&[("a.v", "0", "20"), ("b.v", "0", "20"), ("c.v", "0", "20")], "a.w", "a.k");
        training.train_ppm = 1_000_000;
        let parts = prepare(&join, &training, &files).unwrap();

        let grids: Vec<Grid> = files.iter().map(|(_, text)| grid(text)).collect();
        let scale = |row: Option<usize>, grid: &Grid| {
            let number = row.and_then(|row| cell(grid, row, "v").trim().parse::<f64>().ok()).filter(|n| !n.is_nan());
            number.map_or(0.0, |n| (2.0 * (n.clamp(0.0, 20.0) / 20.0) - 1.0) as f32)
        };
        let (mut features, mut labels, mut seen) = (Vec::new(), Vec::new(), HashSet::new());
        for row in joined(&join, &files) {
            let key = cell(&grids[0], row[0].unwrap(), "k");
            if !key.is_empty() && seen.insert(key) {
                features.extend(row.iter().zip(&grids).map(|(row, grid)| scale(*row, grid)));
                labels.push(f32::from(cell(&grids[0], row[0].unwrap(), "w") == "1"));
            }
        }
        assert_eq!((parts.train.features, parts.train.labels), (features, labels), "case {case}: {join:?}");
        assert!(parts.held_out.is_empty());
    }
}

#[test]
fn means_and_extremes_are_taken_over_the_rows_of_one_person() {
    let files = vec![csv("a", "k,y\nx,1\nz,0\nq,1\n"), csv("b", "k,v,w\nx,1,9\nz,7,8\nx,4,1\nx,NaN,2\nz,,3\n,50,50\n")];
    let mut join = join("a", vec![step(JoinKind::Left, "a.k", "b.k")], &["a.k", "a.y", "b.v", "b.w"]);
    let mut training = training(&[("b.v", "0", "10"), ("b.w", "0", "10")], "a.y", "a.k");
    training.train_ppm = 1_000_000;
    let at = |value: f64| (2.0 * (value / 10.0) - 1.0) as f32;
    for (function, x, z) in
        [(AggregateFunction::Mean, 2.5, 7.0), (AggregateFunction::Min, 1.0, 7.0), (AggregateFunction::Max, 4.0, 7.0)]
    {
        join.aggregates = vec![aggregate("b.v", function)];
        let parts = prepare(&join, &training, &files).unwrap();
        // w is of the first row; q has none at all.
        assert_eq!(parts.train.features, [at(x), at(9.0), at(z), at(8.0), 0.0, 0.0]);
    }
    join.filters = vec![filter("b.v", Comparison::Gt, "3.5")];
    assert_eq!(prepare(&join, &training, &files).unwrap().train.len(), 2);
}

#[test]
fn large_tables_keep_the_order_of_the_first_one() {
    let (mut a, mut b) = (String::from("k,v,y\n"), String::from("k,v\n"));
    for i in 0..30_000u32 {
        a += &format!("{i},{},0\n", i % 11);
        b += &format!("{},{}\n", i.wrapping_mul(7_919) % 30_000, i % 13);
    }
    let join = join("a", vec![step(JoinKind::Left, "a.k", "b.k")], &["a.v", "b.v", "a.y"]);
    let mut training = training(&[("a.v", "0", "10"), ("b.v", "0", "12")], "a.y", "a.k");
    training.train_ppm = 1_000_000;
    let files = vec![csv("a", &a), csv("b", &b)];
    let parts = prepare(&join, &training, &files).unwrap();
    assert_eq!(parts.train.len(), 30_000);
    let first: Vec<f32> = parts.train.features.iter().step_by(2).copied().collect();
    assert!(first.iter().enumerate().all(|(i, v)| *v == (2.0 * ((i % 11) as f64 / 10.0) - 1.0) as f32));
    // The same in a process with eight threads or one: nothing runs beside this thread.
    let again = std::thread::scope(|scope| {
        let runs: Vec<_> = (0..4).map(|_| scope.spawn(|| prepare(&join, &training, &files).unwrap())).collect();
        runs.into_iter().map(|run| run.join().unwrap()).collect::<Vec<_>>()
    });
    assert!(again.iter().all(|other| *other == parts));
}

#[test]
fn joins_that_do_not_fit_the_tables_are_refused() {
    let files = || vec![csv("a", "k,v\n1,2\n"), csv("b", "k,v\n1,2\n")];
    let steps = || vec![step(JoinKind::Inner, "a.k", "b.k")];
    let fits = join("a", steps(), &["a.k", "a.v", "b.v"]);
    let wanted = training(&[("b.v", "0", "1")], "a.v", "a.k");
    assert!(prepare(&fits, &wanted, &files()).is_ok());
    let mut cases = Vec::new();
    for steps in [
        vec![step(JoinKind::Inner, "b.k", "a.k")],
        vec![step(JoinKind::Inner, "a.k", "b.k"), step(JoinKind::Inner, "a.k", "b.k")],
        vec![step(JoinKind::Inner, "a.k", "b.nowhere")],
        vec![step(JoinKind::Inner, "a.k", "z.k")],
        vec![],
    ] {
        cases.push((join("a", steps, &["a.k", "a.v", "b.v"]), wanted.clone()));
    }
    let mut filtered = fits.clone();
    filtered.filters = vec![filter("b.v", Comparison::Lt, "text")];
    cases.push((filtered, wanted.clone()));
    let mut narrow = fits.clone();
    narrow.projection.retain(|name| *name != column("b.v"));
    cases.push((narrow, wanted.clone()));
    let mut unknown = wanted.clone();
    unknown.features[0].column = column("b.nowhere");
    cases.push((join("a", steps(), &["a.k", "a.v", "b.nowhere"]), unknown));
    for (join, training) in cases {
        assert_eq!(prepare(&join, &training, &files()).err().map(|r| r.code), Some(Code::PipelineInvalid), "{join:?}");
    }
    assert_eq!(read("a", "k,v\n1\n").err().map(|r| r.code), Some(Code::TableForm));
}
