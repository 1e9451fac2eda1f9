//! The keys of a table: one column of a CSV.

use schemas::{Code, R, Refusal};
use zeroize::Zeroizing;

/// The cells of a column, as they stand. Refuses what is no table or lacks the column; quotes no cell.
pub fn keys(source: &[u8], column: &str) -> R<Zeroizing<Vec<String>>> {
    let form = |why: String| Refusal::new(Code::TableForm, format!("the table: {why}"));
    let unreadable =
        |e: csv::Error| form(format!("line {} cannot be read as CSV in UTF-8", e.position().map_or(0, |p| p.line())));
    let mut reader = csv::ReaderBuilder::new().flexible(false).from_reader(source);
    let header = reader.headers().map_err(unreadable)?.clone();
    let mut places = header.iter().enumerate().filter(|(_, name)| name.trim_start_matches('\u{feff}') == column);
    let (Some((place, _)), None) = (places.next(), places.next()) else {
        return Err(form(format!("it has no one column {column}")).at("column"));
    };
    let mut keys = Zeroizing::new(Vec::new());
    for record in reader.records() {
        keys.push(record.map_err(unreadable)?.get(place).unwrap_or_default().to_owned());
    }
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_column_is_read_and_faults_quote_no_cell() {
        let read = |text: &str| keys(text.as_bytes(), "phone");
        assert_eq!(*read("\u{feff}phone,b\n\"a,1\",2\n,3\na,4\n").unwrap(), ["a,1", "", "a"]);
        for broken in ["b\n1\n", "phone,phone\n1,2\n", "phone,b\nsecretcell\n"] {
            let refusal = read(broken).unwrap_err();
            assert_eq!(refusal.code, Code::TableForm, "{broken}");
            assert!(!refusal.sentence.contains("secretcell"), "{refusal}");
        }
    }
}
