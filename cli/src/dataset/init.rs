//! The beginning of a description, inferred from a table: names and types of its columns. Bounds and the number of people
//! are public and known beforehand; they are asked for, never taken from the table.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use schemas::dataset::ColumnType;
use schemas::text::Real;
use schemas::{Code, R, Refusal};
use serde::Serialize;
use tables::Limits;

use super::kms::Kms;
use crate::edge;

/// What the provider says of the table.
#[derive(Clone, Debug)]
pub struct Wish {
    /// A name for people.
    pub name: String,
    /// Base URL of the provider's own key service.
    pub kms: String,
    /// The public count of people.
    pub people: u64,
    /// Columns that others may join on.
    pub join_keys: Vec<String>,
    /// Columns that may be learned.
    pub targets: Vec<String>,
    /// Public bounds by column.
    pub bounds: BTreeMap<String, (Real, Real)>,
    /// The most ε that contracts may spend.
    pub epsilon: Real,
}

/// A column as it was seen.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Seen {
    /// Its name in the source.
    pub source: String,
    /// Its name in the sealed table.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub column_type: ColumnType,
}

/// The columns of a table.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Columns {
    /// Those that can be sealed, in their order.
    pub seen: Vec<Seen>,
    /// Names of those of a Parquet file that are of no type which rooms read.
    pub left_out: Vec<String>,
}

impl Columns {
    fn add(&mut self, source: String, column_type: ColumnType) -> Result<(), String> {
        let name = plain(&source);
        if self.seen.iter().any(|known| known.name == name) {
            return Err(format!("two columns would be called {name}"));
        }
        self.seen.push(Seen { source, name, column_type });
        Ok(())
    }
}

/// Names and types of the columns of a CSV or Parquet file. A column of a CSV file is a number where every cell that is not
/// empty reads as one; a Parquet file says it itself.
///
/// # Errors
/// `TABLE_FORM` where the file is no table; it names lines and columns, never a cell.
pub fn columns(path: &Path) -> R<Columns> {
    let form = |why: String| Refusal::new(Code::TableForm, format!("{}: {why}", path.display()));
    if path.is_dir() {
        return Err(form("types are read from CSV or Parquet; see depa dataset seal --help for folders".into()));
    }
    let mut all = Columns::default();
    if super::seal::is_parquet(path) {
        let found = tables::parquet::columns(&edge::read(path)?.into(), &Limits::ROOM);
        for (source, column_type) in found.map_err(|e| edge::about(path, e))? {
            match column_type {
                Some(column_type) => all.add(source, column_type).map_err(|why| form(why).at("columns"))?,
                None => all.left_out.push(source),
            }
        }
        return Ok(all);
    }
    let source = zeroize::Zeroizing::new(edge::read(path)?);
    let unreadable =
        |e: csv::Error| form(format!("line {} cannot be read as CSV in UTF-8", e.position().map_or(0, |p| p.line())));
    let mut reader = csv::ReaderBuilder::new().flexible(false).from_reader(source.as_slice());
    let header = reader.headers().map_err(unreadable)?.clone();
    let nameless = header.iter().all(|name| name.trim_start_matches('\u{feff}').trim().is_empty());
    // Of another separator the whole header line is one name.
    let unparted = header.len() == 1 && header.iter().any(|name| name.contains([';', '\t']));
    if nameless || unparted {
        return Err(form("no columns were found; a CSV has a header line and commas".into()));
    }
    // Whether a cell was seen that is a number, and one that is none.
    let mut found = vec![(false, false); header.len()];
    for record in reader.records() {
        for (cell, (number, other)) in record.map_err(unreadable)?.iter().zip(&mut found) {
            match cell.trim() {
                "" => {}
                cell if cell.parse::<f64>().is_ok_and(f64::is_finite) => *number = true,
                _ => *other = true,
            }
        }
    }
    for (source, (number, other)) in header.iter().zip(found) {
        let source = source.trim_start_matches('\u{feff}').to_owned();
        let column_type = if number && !other { ColumnType::Number } else { ColumnType::Text };
        all.add(source, column_type).map_err(|why| form(why).at("columns"))?;
    }
    Ok(all)
}

/// A column's name in the form that offers have: letters, digits and underscores.
fn plain(source: &str) -> String {
    let kept: String = source.trim().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    let kept =
        if kept.starts_with(|c: char| c.is_ascii_digit()) || kept.is_empty() { format!("_{kept}") } else { kept };
    kept.chars().take(64).collect()
}

/// The type under which a column is described: keys are compared as they are spelt, also those that look like numbers.
pub fn described(column: &Seen, wish: &Wish) -> ColumnType {
    match column.column_type {
        ColumnType::Number if wish.join_keys.contains(&column.name) => ColumnType::Text,
        seen => seen,
    }
}

/// The description as text in TOML, with what is left to be said as comments.
///
/// # Errors
/// `CONFIG_INVALID` where a column is named that the table has not, where text has bounds, or where the address of
/// the key service is none.
pub fn form(seen: &[Seen], wish: &Wish) -> R<String> {
    let named = wish.join_keys.iter().chain(&wish.targets).chain(wish.bounds.keys());
    for name in named {
        if !seen.iter().any(|column| &column.name == name) {
            let known: Vec<&str> = seen.iter().map(|column| column.name.as_str()).collect();
            let sentence = format!("the table has no column {name}; it has {}", known.join(", "));
            return Err(Refusal::new(Code::ConfigInvalid, sentence));
        }
    }
    // Of a picture the samples have bounds.
    let worded = |column: &&Seen| described(column, wish) == ColumnType::Text && wish.bounds.contains_key(&column.name);
    if let Some(column) = seen.iter().find(worded) {
        let sentence = format!("{} is text: only numbers have bounds", column.name);
        return Err(Refusal::new(Code::ConfigInvalid, sentence).at("bound"));
    }
    Kms::new(&wish.kms).map_err(|e| e.at("kms"))?;
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write!(
        out,
        "name = {}\nkms = {}\nmin_assurance = \"hardware\"           # \"software\" lets SIMULATED rooms in\npublic_rows = {}                   \
         # people, and values of each join key, at most; not counted\n",
        quoted(&wish.name),
        quoted(&wish.kms),
        wish.people
    );
    for column in seen {
        describe(&mut out, column, wish);
    }
    let allowed: Vec<&String> = seen
        .iter()
        .filter(|c| c.column_type == ColumnType::Number && wish.bounds.contains_key(&c.name))
        .map(|c| &c.name)
        .filter(|name| !wish.join_keys.contains(name))
        .collect();
    let _ = write!(
        out,
        "\n[usage]\nallowed_columns = {}\njoin_keys = {}\ntarget_columns = {}\n\n[cap]\nepsilon = {}\ndelta = {}                 \
         # below 1/public_rows\nscope = \"per_tdc\"                    # or \"global\"\n\n# [[price]]                         \
         # none: the dataset has no price\n# term_id = \"run\"\n# currency = \"INR\"\n# amount_minor = 500000\n\n[card]                              \
         # shown to everyone before a contract\ndescription = \"to be written\"\ncollection = \"to be written\"\nlimitations = \"to be written\"\n\
         personal_data = \"to be written\"\nlicence = \"By contract only\"\n",
        listed(&allowed),
        listed(&wish.join_keys.iter().collect::<Vec<_>>()),
        listed(&wish.targets.iter().collect::<Vec<_>>()),
        quoted(wish.epsilon.as_str()),
        quoted(&delta(wish.people)),
    );
    Ok(out)
}

fn describe(out: &mut String, column: &Seen, wish: &Wish) {
    let kind = described(column, wish);
    let word = match kind {
        ColumnType::Image => "image",
        ColumnType::Number => "number",
        ColumnType::Text => "text",
    };
    let _ = write!(out, "\n[[columns]]\nname = {}\n", quoted(&column.name));
    if column.source != column.name {
        let _ = writeln!(out, "source = {}", quoted(&column.source));
    }
    let _ = writeln!(out, "type = \"{word}\"");
    match wish.bounds.get(&column.name) {
        Some((lower, upper)) => {
            let _ = writeln!(out, "lower = {}\nupper = {}", quoted(lower.as_str()), quoted(upper.as_str()));
        }
        None if kind == ColumnType::Number => {
            let hint = "# public bounds, known beforehand, never taken from the table; without them nothing is learned from it";
            let _ = writeln!(out, "{hint}\n# lower = \"0\"\n# upper = \"100\"");
        }
        None => {}
    }
}

/// A tenth of 1/people, to two digits, rounded down.
fn delta(people: u64) -> String {
    let people = people.max(1) as f64;
    let digits = people.log10().ceil().max(0.0) as usize + 3;
    let scale = 10f64.powi(digits as i32);
    format!("{:.digits$}", (0.1 / people * scale).floor() / scale)
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

fn listed(names: &[&String]) -> String {
    let names: Vec<String> = names.iter().map(|name| quoted(name)).collect();
    format!("[{}]", names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::Description;

    fn wish() -> Wish {
        Wish {
            name: "Results \"2026\"".into(),
            kms: "https://kms.hospital.example".into(),
            people: 2119,
            join_keys: vec!["mobile".into()],
            targets: vec!["result".into()],
            bounds: [("ct_value".to_owned(), (Real::parse("10").unwrap(), Real::parse("40").unwrap()))].into(),
            epsilon: Real::parse("3.0").unwrap(),
        }
    }

    #[test]
    fn a_form_is_inferred_and_reads_back() {
        let dir = std::env::temp_dir().join(format!("depa-init-{}", uuid::Uuid::now_v7()));
        std::fs::create_dir(&dir).unwrap();
        let path = dir.join("t.csv");
        std::fs::write(&path, "\u{feff}mobile,ct value,result,2nd\n+91 98,12.5,1,\n+91 99,,0,x\n").unwrap();
        let seen = columns(&path).unwrap().seen;
        let names: Vec<_> = seen.iter().map(|c| (c.name.as_str(), c.column_type)).collect();
        use ColumnType::{Number, Text};
        assert_eq!(names, [("mobile", Text), ("ct_value", Number), ("result", Number), ("_2nd", Text)]);
        let read: Description = toml::from_str(&form(&seen, &wish()).unwrap()).unwrap();
        assert_eq!((read.name.as_str(), read.public_rows), ("Results \"2026\"", 2119));
        assert_eq!(read.columns[1].source(), "ct value");
        assert_eq!(read.usage.allowed_columns, ["ct_value"]);
        assert_eq!(read.columns[2].lower, None, "no bound is taken from the table");
        assert!(read.cap.delta.value() < 1.0 / 2119.0 && read.cap.delta.value() > 0.0);
        let keyed = Wish { join_keys: vec!["result".into()], ..wish() };
        let read: Description = toml::from_str(&form(&seen, &keyed).unwrap()).unwrap();
        assert_eq!(read.columns[2].column_type, Text, "a key is compared as it is spelt");
        let wrong = Wish { join_keys: vec!["phone".into()], ..wish() };
        assert_eq!(form(&seen, &wrong).unwrap_err().code, Code::ConfigInvalid);
        std::fs::write(&path, "a,b\nsecretcell\n").unwrap();
        let refusal = columns(&path).unwrap_err();
        assert!(refusal.code == Code::TableForm && !refusal.sentence.contains("secretcell"), "{refusal}");
        std::fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn what_has_no_columns_is_refused() {
        let dir = std::env::temp_dir().join(format!("depa-init-{}", uuid::Uuid::now_v7()));
        std::fs::create_dir(&dir).unwrap();
        let path = dir.join("t.csv");
        for text in ["", "\n", "\u{feff}\n", "a;b;c\n1;2,5;3\n", "a\tb\n1\t2\n"] {
            std::fs::write(&path, text).unwrap();
            let refusal = columns(&path).unwrap_err();
            assert_eq!(refusal.code, Code::TableForm, "{text:?}");
            let sentence = format!("{}: no columns were found; a CSV has a header line and commas", path.display());
            assert_eq!(refusal.sentence, sentence, "{text:?}");
        }
        std::fs::write(&path, "a\n1\n").unwrap();
        assert_eq!(columns(&path).unwrap().seen.len(), 1, "one column is a table");
        let broken = dir.join("t.parquet");
        std::fs::write(&broken, "no parquet").unwrap();
        assert!(columns(&broken).unwrap_err().sentence.starts_with(&broken.display().to_string()));
        std::fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn only_numbers_have_bounds_and_a_key_service_has_an_address() {
        let column = |name: &str, column_type| Seen { source: name.into(), name: name.into(), column_type };
        let seen = [column("mobile", ColumnType::Number), column("ct_value", ColumnType::Number)];
        let wish = Wish { targets: vec![], ..wish() };
        assert!(form(&seen, &wish).is_ok());
        assert_eq!(described(&seen[0], &wish), ColumnType::Text, "a key");
        let text = [column("mobile", ColumnType::Text), column("ct_value", ColumnType::Text)];
        assert_eq!(form(&text, &wish).unwrap_err().sentence, "ct_value is text: only numbers have bounds");
        let keyed = Wish { join_keys: vec!["ct_value".into()], ..wish.clone() };
        assert_eq!(form(&seen, &keyed).unwrap_err().field.as_deref(), Some("bound"));
        for kms in ["kms.hospital.example", "http://kms.hospital.example"] {
            let refusal = form(&seen, &Wish { kms: kms.into(), ..wish.clone() }).unwrap_err();
            assert_eq!((refusal.code, refusal.field.as_deref()), (Code::ConfigInvalid, Some("kms")), "{kms}");
        }
    }

    #[test]
    fn columns_of_a_parquet_file_are_those_that_it_says() {
        let dir = std::env::temp_dir().join(format!("depa-init-{}", uuid::Uuid::now_v7()));
        std::fs::create_dir_all(dir.join("a")).unwrap();
        // A folder per class, packed: an id, a label and bytes.
        std::fs::write(dir.join("a/one.png"), "picture").unwrap();
        let packed = tables::pack::folder(&dir, &Limits::ROOM).unwrap();
        let source: Vec<_> = ["id", "label", "image"].map(|name| (name.to_owned(), format!("the {name}"))).into();
        let path = dir.join("packed.parquet");
        std::fs::write(&path, tables::pack::write(&packed, &source).unwrap()).unwrap();
        let Columns { seen, left_out } = columns(&path).unwrap();
        let found: Vec<_> = seen.iter().map(|c| (c.source.as_str(), c.name.as_str(), c.column_type)).collect();
        use ColumnType::{Image, Text};
        let told = [("the id", "the_id", Text), ("the label", "the_label", Text), ("the image", "the_image", Image)];
        assert_eq!((found.as_slice(), left_out.len()), (told.as_slice(), 0));
        let wish = Wish { join_keys: vec!["the_id".into()], targets: vec![], bounds: BTreeMap::new(), ..wish() };
        let read: Description = toml::from_str(&form(&seen, &wish).unwrap()).unwrap();
        assert_eq!(read.columns[2].column_type, Image);
        std::fs::write(&path, "no parquet").unwrap();
        assert_eq!(columns(&path).unwrap_err().code, Code::TableForm);
        std::fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn delta_is_below_one_in_so_many_people() {
        for people in [1, 9, 10, 999, 1_000, 2_119, 1_000_000, 1_400_000_000] {
            let delta = Real::parse(&delta(people)).unwrap().value();
            assert!(delta > 0.0 && delta < 1.0 / people as f64, "{people}: {delta}");
        }
    }
}
