//! Statistics of a table that are private already when they leave their owner: a histogram of every described column.
//!
//! **Guarantee.** One row is one person. Each row counts in exactly one cell of each column's histogram: a number in one of
//! equal bins between the public bounds (clamped), a text as present; an empty cell as missing. One person more or less
//! moves one count of each histogram by 1, so a histogram with the noise of [`sketch::noise`] at ε/k (k columns) is
//! ε/k-private without δ, and all of them together are ε-private (basic composition). Bins follow from the form alone,
//! never from the table. The charge is that of a Gaussian release of noise multiplier 1/ε, as in [`sketch`]; [`super::charge`]
//! enters it.
//!
//! Everything else, like a mean, is computed of the noised counts and costs nothing more.

use std::path::Path;

use schemas::dataset::ColumnType;
use schemas::statistics::{Histogram, Statistics, StatisticsTerms};
use schemas::text::Real;
use schemas::worker::TableHead;
use schemas::{Code, R, Refusal};
use tables::{Limits, Table};

use super::form::{ColumnForm, Description};
use super::sketch::{self, Words};

/// Profiles a table as it is described. `words` must be secret and never used again. With `principal` every person may
/// stand in one row only.
///
/// # Errors
/// `CONFIG_INVALID` for terms out of range and for a number without public bounds; `TABLE_FORM` where the table is not as
/// described, or a person stands in it twice.
pub fn profile(
    description: &Description,
    path: &Path,
    terms: &StatisticsTerms,
    principal: Option<&str>,
    words: Words<'_>,
) -> R<Statistics> {
    let columns: Vec<&ColumnForm> = description.columns.iter().filter(|c| c.column_type != ColumnType::Image).collect();
    let share = share(terms, columns.len())?;
    let table = read(description, path)?;
    if let Some(principal) = principal {
        once_each(&table, principal)?;
    }
    let threshold = sketch::threshold(&share);
    let mut histograms = Vec::new();
    for column in columns {
        let (mut counts, mut missing) = exact(&table, column, terms.bins)?;
        for count in counts.iter_mut().chain([&mut missing]) {
            *count += sketch::noise(threshold, words)?;
        }
        let (lower, upper) = (column.lower.clone(), column.upper.clone());
        let mean = mean(column, &counts);
        let (name, column_type) = (column.name.clone(), column.column_type);
        histograms.push(Histogram { name, column_type, lower, upper, counts, missing, mean });
    }
    Ok(Statistics {
        schema: Statistics::SCHEMA.to_owned(),
        charge: sketch::charge(&terms.epsilon)?,
        ledger: None,
        terms: terms.clone(),
        epsilon_per_column: share,
        public_rows: description.public_rows,
        columns: histograms,
    })
}

/// ε of one histogram: the whole number of millionths that fits so many times into ε.
fn share(terms: &StatisticsTerms, columns: usize) -> R<Real> {
    if !terms.has_bins() {
        return Err(invalid("bins are 1 to 100").at("bins"));
    }
    if !terms.has_epsilon() {
        return Err(invalid("ε lies between 0.01 and 10").at("epsilon"));
    }
    let columns = u64::try_from(columns).ok().filter(|n| *n > 0).ok_or_else(|| invalid("no column is described"))?;
    // Rounded down twice: what is composed never exceeds what was asked.
    let millionths = (terms.epsilon.value() * 1e6 * (1.0 - 1e-12)).floor() as u64 / columns;
    if millionths == 0 {
        return Err(invalid("so many columns share too little ε").at("epsilon"));
    }
    Real::parse(&format!("{}.{:06}", millionths / 1_000_000, millionths % 1_000_000))
}

fn read(description: &Description, path: &Path) -> R<Table> {
    let (format, bytes) = super::seal::plain(path, description)?;
    let names: Vec<String> = description.columns.iter().map(|c| c.name.clone()).collect();
    let (handle, bytes_long, public_rows) = ("table".into(), bytes.len() as u64, description.public_rows);
    let head = TableHead { handle, bytes: bytes_long, columns: names.clone(), format, public_rows };
    tables::read(&head, &names, bytes.to_vec(), &Limits::ROOM)
}

fn once_each(table: &Table, principal: &str) -> R<()> {
    let unknown = || Refusal::new(Code::TableForm, format!("the table has no column {principal}")).at("principal");
    let mut seen = std::collections::BTreeSet::new();
    for person in table.text(principal).ok_or_else(unknown)?.filter(|person| !person.is_empty()) {
        if !seen.insert(person.into_owned()) {
            let sentence = "a person stands in more than one row; the guarantee counts rows";
            return Err(Refusal::new(Code::TableForm, sentence).at("principal"));
        }
    }
    Ok(())
}

/// The counts without noise: they never leave this function's caller.
fn exact(table: &Table, column: &ColumnForm, bins: u32) -> R<(Vec<i64>, i64)> {
    let gone = || Refusal::new(Code::TableForm, format!("the table has no column {}", column.name));
    if column.column_type != ColumnType::Number {
        let empty = table.text(&column.name).ok_or_else(gone)?.filter(|cell| cell.is_empty()).count();
        return Ok((vec![(table.rows() - empty) as i64], empty as i64));
    }
    let (Some(lower), Some(upper)) = (&column.lower, &column.upper) else {
        let sentence =
            format!("{} needs public bounds, lower and upper, in the description; or take the column out", column.name);
        return Err(invalid(&sentence).at("columns"));
    };
    let (lower, width) = (lower.value(), upper.value() - lower.value());
    if width.is_nan() || width <= 0.0 {
        return Err(invalid("a lower bound lies below the upper one").at("columns"));
    }
    let (mut counts, mut missing) = (vec![0i64; bins as usize], 0);
    for number in table.numbers(&column.name).ok_or_else(gone)? {
        let Some(number) = number.filter(|n| n.is_finite()) else {
            missing += 1;
            continue;
        };
        let place = ((number - lower) / width * f64::from(bins)).floor().clamp(0.0, f64::from(bins - 1)) as usize;
        if let Some(count) = counts.get_mut(place) {
            *count += 1;
        }
    }
    Ok((counts, missing))
}

/// Of noised counts only.
fn mean(column: &ColumnForm, counts: &[i64]) -> Option<Real> {
    let (lower, upper) = (column.lower.as_ref()?.value(), column.upper.as_ref()?.value());
    let step = (upper - lower) / counts.len() as f64;
    let kept = || counts.iter().map(|count| (*count).max(0) as f64);
    let all: f64 = kept().sum();
    let sum: f64 = kept().enumerate().map(|(bin, count)| count * (lower + (bin as f64 + 0.5) * step)).sum();
    // Bounds are not negative, so it is written like them.
    (all > 0.0).then(|| Real::parse(&format!("{:.4}", sum / all)).ok()).flatten()
}

fn invalid(sentence: &str) -> Refusal {
    Refusal::new(Code::ConfigInvalid, sentence)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn description() -> Description {
        toml::from_str(include_str!("../../samples/dataset.toml")).unwrap()
    }

    fn table(name: &str, rows: impl Iterator<Item = String>) -> std::path::PathBuf {
        let path = std::env::temp_dir().join(format!("depa-profile-{name}-{}.csv", uuid::Uuid::now_v7()));
        let rows: Vec<String> = rows.collect();
        std::fs::write(&path, format!("mobile,ct_value,result\n{}\n", rows.join("\n"))).unwrap();
        path
    }

    fn terms(epsilon: &str) -> StatisticsTerms {
        StatisticsTerms { epsilon: Real::parse(epsilon).unwrap(), bins: 3 }
    }

    /// Words that add no noise: the first draw of each geometric variable fails.
    fn silent() -> R<u64> {
        Ok(u64::MAX)
    }

    #[test]
    fn bins_follow_from_the_form_and_values_are_clamped() {
        let cells = ["9", "12", "20", "29.9", "39", "77", ""];
        let path = table("bins", cells.iter().enumerate().map(|(n, cell)| format!("m{n},{cell},1")));
        let made = profile(&description(), &path, &terms("3"), Some("mobile"), &mut silent).unwrap();
        assert_eq!(made.columns[1].counts, [2, 2, 2], "ct_value from 10 to 40");
        assert_eq!(made.columns[1].missing, 1);
        assert_eq!(made.columns[0].counts, [7]);
        assert_eq!(made.epsilon_per_column.as_str(), "0.999999", "three columns share ε, rounded down");
        assert_eq!(made.columns[1].mean.as_ref().map(Real::as_str), Some("25.0000"));
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn one_person_more_moves_one_count_of_each_column_by_one() {
        let rows = |n: usize| (0..n).map(|n| format!("m{n},{},{}", 10 + n % 30, n % 2));
        let (one, more) = (table("one", rows(50)), table("more", rows(51)));
        let counts = |path: &Path| {
            let made = profile(&description(), path, &terms("1"), None, &mut silent).unwrap();
            made.columns.into_iter().map(|c| [c.counts, vec![c.missing]].concat()).collect::<Vec<_>>()
        };
        for (before, after) in counts(&one).iter().zip(counts(&more)) {
            let moved: i64 = before.iter().zip(&after).map(|(a, b)| (a - b).abs()).sum();
            assert_eq!(moved, 1);
        }
        [one, more].iter().for_each(|path| std::fs::remove_file(path).unwrap());
    }

    #[test]
    fn noise_is_drawn_for_every_count() {
        let path = table("noise", (0..200).map(|n| format!("m{n},20,1")));
        let mut words = crate::edge::words();
        let made = |words: Words<'_>| profile(&description(), &path, &terms("0.05"), None, words).unwrap();
        let (one, two) = (made(&mut words), made(&mut words));
        assert_ne!(one.columns, two.columns, "fresh noise each time");
        assert_ne!(one.columns[0].counts, [200]);
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn what_would_break_the_guarantee_is_refused() {
        let path = table("twice", ["a,20,1", "a,21,0"].into_iter().map(str::to_owned));
        let told = |description: &Description, terms: &StatisticsTerms, principal| {
            profile(description, &path, terms, principal, &mut silent).unwrap_err()
        };
        let twice = told(&description(), &terms("1"), Some("mobile"));
        assert_eq!((twice.code, twice.field.as_deref()), (Code::TableForm, Some("principal")));
        let mut unbound = description();
        unbound.columns[1].upper = None;
        assert_eq!(told(&unbound, &terms("1"), None).field.as_deref(), Some("columns"));
        for epsilon in ["0.001", "11"] {
            assert_eq!(told(&description(), &terms(epsilon), None).field.as_deref(), Some("epsilon"));
        }
        let many = StatisticsTerms { bins: 101, ..terms("1") };
        assert_eq!(told(&description(), &many, None).field.as_deref(), Some("bins"));
        std::fs::remove_file(&path).unwrap();
    }
}
