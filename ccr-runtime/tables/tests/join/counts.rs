//! Every table beside the public count of its own contract, before it meets another.

use schemas::Code;
use schemas::pipeline::{AggregateFunction, Join, JoinKind, Training};

use crate::house::{aggregate, column, csv, join, prepare, step, three, training, within};

fn code(join: &Join, training: &Training, files: &[(String, String)], counts: &[u64]) -> Option<Code> {
    within(join, training, files, counts).err().map(|refusal| refusal.code)
}

#[test]
fn one_person_more_than_its_own_count_is_refused_in_every_table() {
    let (join, training, files) = three(20);
    assert_eq!(code(&join, &training, &files, &[20, 20, 20]), None);
    assert_eq!(code(&join, &training, &files, &[21, 1_000, u64::MAX]), None, "fewer are no fault");
    for spoilt in 0..3 {
        let mut counts = [20; 3];
        counts[spoilt] = 19;
        let refusal = within(&join, &training, &files, &counts).unwrap_err();
        let named = format!("table {} has more people than the public count of its own offer", files[spoilt].0);
        assert_eq!((refusal.code, refusal.sentence), (Code::PublicCountExceeded, named));
    }
}

/// Whose count another table's rows are held against: nobody's. A table of twenty joined to one of ten keeps both counts,
/// and the count of ten says nothing of the twenty.
#[test]
fn no_table_is_compared_with_anothers_count_nor_with_the_join() {
    let (join, training, mut files) = three(20);
    files[1].1 = files[1].1.lines().take(11).map(|line| format!("{line}\n")).collect();
    assert!(prepare(&join, &training, &files).unwrap().train.len() < 11);
    assert_eq!(code(&join, &training, &files, &[20, 10, 20]), None);
    // The same answer whatever lies in the other tables.
    for other in ["who,b,c,d\n", "who,b,c,d\np1,1,1,1\nstranger,2,2,2\n"] {
        let mut changed = files.clone();
        changed[1].1 = other.to_owned();
        assert_eq!(code(&join, &training, &changed, &[20, 10, 20]), None);
        assert_eq!(code(&join, &training, &changed, &[19, 10, 20]), Some(Code::PublicCountExceeded));
    }
}

#[test]
fn people_are_counted_and_not_rows() {
    let (join, training, mut files) = three(5);
    // Twice the same person, and rows that are nobody's.
    files[0].1.push_str("p1,1,0.5\n,1,0.5\n,0,0.5\n");
    assert_eq!(code(&join, &training, &files, &[5, 5, 5]), None);
    files[0].1.push_str("p1x,1,0.5\n");
    assert_eq!(code(&join, &training, &files, &[5, 5, 5]), Some(Code::PublicCountExceeded));
}

/// A table of many rows a person, of which a job reads a mean, has as many people as keys.
#[test]
fn rows_that_are_aggregated_count_once() {
    let steps = vec![step(JoinKind::Left, "p.id", "q.id")];
    let mut join = join("p", steps, &["p.id", "p.y", "q.v"]);
    join.aggregates = vec![aggregate("q.v", AggregateFunction::Mean)];
    let training = training(&[("q.v", "0", "10")], "p.y", "p.id");
    let files = vec![csv("p", "id,y\n1,0\n2,1\n"), csv("q", "id,v\n1,1\n1,3\n1,5\n2,7\n")];
    assert!(prepare(&join, &training, &files).is_ok());
    assert_eq!(code(&join, &training, &files, &[2, 2]), None);
    assert_eq!(code(&join, &training, &files, &[2, 1]), Some(Code::PublicCountExceeded));
}

/// United tables are tied by keys of different names, and a table that is joined to none has its principal alone.
#[test]
fn united_tables_and_single_ones_are_counted_by_their_own_names() {
    let steps = vec![step(JoinKind::Union, "a.id", "b.who")];
    let united = join("a", steps, &["a.id", "a.v", "a.y"]);
    let of = training(&[("a.v", "0", "10")], "a.y", "a.id");
    let files = [csv("a", "id,v,y\n1,1,0\n2,2,1\n"), csv("b", "who,v,y\n3,3,0\n4,4,1\n5,5,1\n")];
    assert_eq!(code(&united, &of, &files, &[2, 3]), None);
    for counts in [[1, 3], [2, 2]] {
        assert_eq!(code(&united, &of, &files, &counts), Some(Code::PublicCountExceeded), "{counts:?}");
    }
    let alone = join("a", vec![], &["a.id", "a.v", "a.y"]);
    let files = [csv("a", "id,v,y\n1,1,0\n1,1,1\n2,2,1\n,9,1\n")];
    assert_eq!(code(&alone, &of, &files, &[2]), None);
    assert_eq!(code(&alone, &of, &files, &[1]), Some(Code::PublicCountExceeded));
    // By another column of the same table more people would stand in the result.
    let mut by_value = of.clone();
    by_value.principal = column("a.v");
    assert_eq!(code(&alone, &by_value, &files, &[3]), None);
    assert_eq!(code(&alone, &by_value, &files, &[2]), Some(Code::PublicCountExceeded));
}
