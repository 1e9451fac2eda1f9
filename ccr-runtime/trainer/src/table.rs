//! From the sealed tables' CSV to two sets of rows: one to train on, one held out.
//!
//! Every row is treated by itself: bounds, imputed values and the split's salt are public, so taking one principal
//! away leaves every other row's part and value as they were. Faults of cells never refuse, are never counted and never
//! logged; only faults of a file's structure refuse.

mod bounds;
mod csv;
mod join;
mod split;

use std::collections::HashSet;

use schemas::R;
use schemas::pipeline::{ColumnRef, Join, Training};
use schemas::worker::{Start, TableHead};

use self::bounds::Bounds;
pub use self::csv::Table;
use self::join::{Joined, Slot};
use self::split::Split;
use crate::fault::pipeline;

/// Rows ready for a model: features scaled to [−1, 1], row by row, and labels 0 or 1.
#[derive(Default, Clone, PartialEq, Debug)]
pub struct Rows {
    /// Row-major features.
    pub features: Vec<f32>,
    /// One label per row.
    pub labels: Vec<f32>,
}

impl Rows {
    /// How many rows there are: secret.
    pub fn len(&self) -> usize {
        self.labels.len()
    }
}

/// The two parts of a job's rows.
#[derive(Default)]
pub struct Parts {
    /// What is trained on.
    pub train: Rows,
    /// What only metrics see.
    pub held_out: Rows,
}

/// Reads one table; refuses with `TABLE_FORM` what is no table or lacks a column.
pub fn read(head: &TableHead, bytes: &[u8]) -> R<Table> {
    csv::parse(bytes, &head.columns).map_err(|mut refusal| {
        refusal.sentence = format!("table {}: {}", head.handle, refusal.sentence); // the handle is public
        refusal
    })
}

/// Joins, filters, keeps one row per principal, scales and splits.
pub fn prepare(start: &Start, tables: Vec<Table>) -> R<Parts> {
    let handles = start.tables.iter().map(|head| head.handle.clone());
    let joined = Joined::new(&start.join, handles.zip(tables).collect())?;
    let columns = Columns::new(&start.training, &start.join, &joined)?;
    let split = Split::new(&start.training.split_salt.0, start.training.train_ppm)?;
    let mut parts = Parts::default();
    let mut seen = HashSet::new();
    for row in joined.rows() {
        // A row without a principal belongs to nobody; of several rows of one principal the first is kept.
        let Some(principal) = joined.cell(row, columns.principal).filter(|key| !key.is_empty()) else { continue };
        if seen.insert(principal) {
            let part = if split.trains(principal)? { &mut parts.train } else { &mut parts.held_out };
            columns.push(&joined, row, part);
        }
    }
    Ok(parts)
}

/// Where a training's columns lie in the join.
struct Columns {
    features: Vec<(Slot, Bounds)>,
    target: Slot,
    positive: String,
    principal: Slot,
}

impl Columns {
    fn new(training: &Training, join: &Join, joined: &Joined) -> R<Columns> {
        let projected = |column: &ColumnRef| match join.projection.contains(column) {
            true => joined.slot(column),
            false => Err(pipeline("the training uses a column that the join does not give")),
        };
        let features = training.features.iter();
        Ok(Columns {
            features: features
                .map(|f| Ok((projected(&f.column)?, Bounds::new(f.lower.value(), f.upper.value())?)))
                .collect::<R<_>>()?,
            target: projected(&training.target)?,
            positive: training.positive.clone(),
            principal: joined.slot(&training.principal)?,
        })
    }

    fn push(&self, joined: &Joined, row: usize, part: &mut Rows) {
        part.features.extend(self.features.iter().map(|(slot, bounds)| bounds.scale(joined.cell(row, *slot))));
        let positive = joined.cell(row, self.target) == Some(self.positive.as_str());
        part.labels.push(if positive { 1.0 } else { 0.0 });
    }
}

#[cfg(test)]
mod tests {
    use schemas::Code;

    use super::*;
    use crate::fixtures;

    fn parts(start: &Start, files: &[String]) -> R<Parts> {
        let tables =
            start.tables.iter().zip(files).map(|(head, file)| read(head, file.as_bytes())).collect::<R<_>>()?;
        prepare(start, tables)
    }

    #[test]
    fn taking_one_principal_away_leaves_every_other_row_as_it_was() {
        let (start, files) = fixtures::three_tables(200);
        let all = parts(&start, &files).unwrap();
        assert_eq!(all.train.len() + all.held_out.len(), 200);
        assert!(all.held_out.len() > 20);
        for file in 0..3 {
            for gone in [0, 57, 199] {
                let mut fewer = files.clone();
                fewer[file] = files[file]
                    .lines()
                    .filter(|l| !l.starts_with(&format!("p{gone},")))
                    .fold(String::new(), |text, line| text + line + "\n");
                let less = parts(&start, &fewer).unwrap();
                assert_eq!(less.train.len() + less.held_out.len(), 199);
                for (before, after) in [(&all.train, &less.train), (&all.held_out, &less.held_out)] {
                    assert!(is_subsequence(after, before));
                }
            }
        }
    }

    /// Whether `part` is `whole` without some rows.
    fn is_subsequence(part: &Rows, whole: &Rows) -> bool {
        let rows = |r: &Rows| r.features.chunks(4).zip(&r.labels).map(|(f, l)| (f.to_vec(), *l)).collect::<Vec<_>>();
        let mut rest = rows(whole).into_iter();
        rows(part).iter().all(|row| rest.any(|other| other == *row))
    }

    #[test]
    fn duplicates_and_bad_cells_change_nothing_else_and_never_refuse() {
        let (start, mut files) = fixtures::three_tables(50);
        let clean = parts(&start, &files).unwrap();
        files[0].push_str("p3,1,0.9\np4,0,0.1\n"); // second rows of two principals
        files[1].push_str("p3,0,0,inf\n,1,2,3\n"); // a duplicate and a row without a key
        let doubled = parts(&start, &files).unwrap();
        assert_eq!((&doubled.train, &doubled.held_out), (&clean.train, &clean.held_out));
        files[0] = files[0].replacen("p7,", "p7,what,\"no, number\"\np7,", 1);
        assert_eq!(parts(&start, &files).unwrap().train.len(), clean.train.len());
    }

    #[test]
    fn only_the_structure_of_a_file_refuses_and_no_cell_is_told() {
        let (start, files) = fixtures::three_tables(5);
        let broken = [
            files[0].replace("p2,", "p2,SECRET,"),
            files[0].replace("p2,", "p2,\"SECRET"),
            files[0].replace("p2,", "SECRET"),
            files[0].replacen("person", "SECRET", 1),
            files[0].replacen("person", "a,person", 1),
            String::new(),
        ];
        for file in broken {
            let refusal = read(&start.tables[0], file.as_bytes()).err().unwrap();
            assert_eq!(refusal.code, Code::TableForm);
            assert!(!refusal.sentence.contains("SECRET"), "{refusal}");
        }
        assert_eq!(read(&start.tables[0], b"person,result,a\np1,\xff,1\n").err().unwrap().code, Code::TableForm);
    }

    #[test]
    fn columns_outside_the_projection_are_refused() {
        let (mut start, files) = fixtures::three_tables(5);
        start.join.projection.retain(|column| column.column != "b");
        assert_eq!(parts(&start, &files).err().unwrap().code, Code::PipelineInvalid);
    }
}
