//! Tables of one schema, one below the other: one row per person, and one person moves one row.

use std::collections::BTreeMap;

use schemas::Code;
use schemas::pipeline::{Comparison, Join, JoinKind, Training};
use tables::{Parts, Rows};

use crate::house::{column, csv, filter, join, prepare, step, training};

/// Three hospitals with their own names for the key; everybody is trained on.
fn hospitals() -> (Join, Training) {
    let steps = vec![step(JoinKind::Union, "a.id", "b.who"), step(JoinKind::Union, "a.id", "c.id")];
    let join = join("a", steps, &["a.id", "a.v", "a.y"]);
    let mut training = training(&[("a.v", "0", "1000")], "a.y", "a.id");
    training.train_ppm = 1_000_000;
    (join, training)
}

/// Patients of each hospital: a name and a value that nobody else has.
fn files(patients: &[Vec<(u32, u32)>; 3]) -> Vec<(String, String)> {
    let of = |(handle, key): (&str, &str), patients: &[(u32, u32)]| {
        let rows = patients.iter().map(|(name, value)| format!("s{name},{value},{}\n", value % 2));
        csv(handle, &format!("{key},v,y\n{}", rows.collect::<String>()))
    };
    [("a", "id"), ("b", "who"), ("c", "id")].into_iter().zip(patients).map(|(at, own)| of(at, own)).collect()
}

/// How many rows of each kind there are, in both parts.
fn counted(parts: &Parts) -> BTreeMap<(bool, u32, u32), i64> {
    let mut counted = BTreeMap::new();
    let bits = |rows: &Rows| -> Vec<(u32, u32)> {
        rows.features.iter().zip(&rows.labels).map(|(f, l)| (f.to_bits(), l.to_bits())).collect()
    };
    for (trains, part) in [(true, &parts.train), (false, &parts.held_out)] {
        bits(part).into_iter().for_each(|(f, l)| *counted.entry((trains, f, l)).or_default() += 1);
    }
    counted
}

/// Rows that stand in one answer and not in the other.
fn moved(one: &Parts, other: &Parts) -> i64 {
    let mut difference = counted(one);
    counted(other).into_iter().for_each(|(row, n)| *difference.entry(row).or_default() -= n);
    difference.values().map(|n| n.abs()).sum()
}

#[test]
fn who_stands_in_two_united_tables_has_a_row_in_neither() {
    let (join, training) = hospitals();
    // s1 twice in a, which counts once; s2 in a and b; s4 in all three; a row without a name is nobody's.
    let patients =
        [vec![(1, 100), (2, 200), (1, 900), (4, 1)], vec![(2, 300), (3, 400), (4, 2)], vec![(4, 3), (5, 500)]];
    let mut files = files(&patients);
    files[1].1.push_str(",700,0\n");
    let at = |value: f64| (2.0 * (value / 1000.0) - 1.0) as f32;
    let values = |join: &Join| prepare(join, &training, &files).unwrap().train.features;
    assert_eq!(values(&join), [at(100.0), at(400.0), at(500.0)]);
    // Who counts is settled before rows are chosen: s2 does not come back where one of its two rows is filtered away.
    let mut chosen = join.clone();
    chosen.filters = vec![filter("a.v", Comparison::Ge, "250")];
    assert_eq!(values(&chosen), [at(400.0), at(500.0)]);
}

/// The claim that every united table is charged once (factor 1), on random hospitals whose patients overlap: whoever leaves
/// one table moves one row at most, and whoever leaves all of them too.
#[test]
fn one_persons_leaving_moves_one_row_of_united_tables_at_most() {
    let (join, mut training) = hospitals();
    training.train_ppm = 500_000;
    let mut state = 5u64;
    let mut below = |end: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % end
    };
    let (mut gone, mut back, mut still) = (0, 0, 0);
    for _ in 0..40 {
        let mut value = 0;
        let mut patient = || {
            value += 1;
            (below(14) as u32, value)
        };
        let patients: [Vec<(u32, u32)>; 3] = [(); 3].map(|()| (0..7).map(|_| patient()).collect());
        let all = prepare(&join, &training, &files(&patients)).unwrap();
        let rows = |parts: &Parts| parts.train.len() + parts.held_out.len();
        for name in 0..14 {
            for tables in [&[0][..], &[1], &[2], &[0, 1, 2]] {
                let mut fewer = patients.clone();
                tables.iter().for_each(|table: &usize| fewer[*table].retain(|(known, _)| *known != name));
                let without = prepare(&join, &training, &files(&fewer)).unwrap();
                assert!(moved(&all, &without) <= 1, "s{name} leaves {tables:?} of {patients:?}");
                match rows(&without).cmp(&rows(&all)) {
                    std::cmp::Ordering::Less => gone += 1,
                    std::cmp::Ordering::Greater => back += 1,
                    std::cmp::Ordering::Equal => still += 1,
                }
            }
        }
    }
    println!("{gone} leavings took a row away, {back} brought one back, {still} changed nothing");
    assert!(gone > 100 && back > 100 && still > 100);
}

#[test]
fn unions_that_do_not_fit_are_refused() {
    let (good, training) = hospitals();
    let files = files(&[vec![(1, 1)], vec![(2, 2)], vec![(3, 3)]]);
    assert!(prepare(&good, &training, &files).is_ok());
    let mut mixed = good.clone();
    mixed.steps[1].kind = JoinKind::Inner;
    // Two keys of the first table: one person could have two names.
    let mut keys = good.clone();
    keys.steps[1].left = column("a.v");
    for join in [mixed, keys] {
        assert_eq!(prepare(&join, &training, &files).err().map(|r| r.code), Some(Code::PipelineInvalid), "{join:?}");
    }
    let mut narrow = files.clone();
    narrow[2].1 = narrow[2].1.replace("id,v,y", "id,w,y");
    assert_eq!(prepare(&good, &training, &narrow).err().map(|r| r.code), Some(Code::PipelineInvalid));
}
