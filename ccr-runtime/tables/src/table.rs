//! A table in memory: the wanted columns, in Arrow's form.

use arrow_array::{Array, BinaryViewArray, Float64Array, Int64Array, StringViewArray};

/// The cells of one column, as the file holds them.
#[derive(Clone, Debug)]
pub enum Cells {
    /// Text.
    Text(StringViewArray),
    /// Numbers.
    Number(Float64Array),
    /// Whole numbers, truth values (0 and 1) and times.
    Integer(Int64Array),
    /// Anything else: pictures.
    Bytes(BinaryViewArray),
}

impl Cells {
    fn len(&self) -> usize {
        match self {
            Cells::Text(cells) => cells.len(),
            Cells::Number(cells) => cells.len(),
            Cells::Integer(cells) => cells.len(),
            Cells::Bytes(cells) => cells.len(),
        }
    }
}

/// The cells of one column in pieces of any length.
pub type Column = Vec<Cells>;

/// The wanted columns of a table.
#[derive(Clone, Debug, Default)]
pub struct Table {
    names: Vec<String>,
    columns: Vec<Column>,
    rows: usize,
}

impl Table {
    /// Columns of the same length under their names; none if their lengths differ.
    pub(crate) fn new(names: Vec<String>, columns: Vec<Column>, rows: usize) -> Option<Table> {
        let even = columns.iter().all(|column| column.iter().map(Cells::len).sum::<usize>() == rows);
        (even && names.len() == columns.len()).then_some(Table { names, columns, rows })
    }

    /// The number of rows: secret.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// A column by its name.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.names.iter().position(|known| known == name).and_then(|place| self.columns.get(place))
    }

    /// Every cell of a column as text, the way a join compares it: numbers in their shortest decimal form, nothing where
    /// the cell is missing or is no text.
    pub fn text<'a>(&'a self, name: &str) -> Option<impl Iterator<Item = std::borrow::Cow<'a, str>> + 'a> {
        self.column(name).map(|column| column.iter().flat_map(texts))
    }

    /// Every cell of a column as a number; none where it is missing or no number.
    pub fn numbers<'a>(&'a self, name: &str) -> Option<impl Iterator<Item = Option<f64>> + 'a> {
        self.column(name).map(|column| column.iter().flat_map(numbers))
    }

    /// Every cell of a column as bytes; none where it is missing or holds text or a number.
    pub fn bytes<'a>(&'a self, name: &str) -> Option<Vec<Option<&'a [u8]>>> {
        self.column(name).map(|column| column.iter().flat_map(raw).collect())
    }
}

fn texts(cells: &Cells) -> Box<dyn Iterator<Item = std::borrow::Cow<'_, str>> + '_> {
    use std::borrow::Cow;
    match cells {
        Cells::Text(cells) => Box::new(cells.iter().map(|cell| Cow::Borrowed(cell.unwrap_or("")))),
        Cells::Number(cells) => Box::new(cells.iter().map(|cell| Cow::Owned(shown(cell)))),
        Cells::Integer(cells) => Box::new(cells.iter().map(|cell| Cow::Owned(shown(cell)))),
        Cells::Bytes(cells) => Box::new(
            cells.iter().map(|cell| Cow::Borrowed(cell.and_then(|cell| std::str::from_utf8(cell).ok()).unwrap_or(""))),
        ),
    }
}

fn shown(cell: Option<impl ToString>) -> String {
    cell.map(|cell| cell.to_string()).unwrap_or_default()
}

fn numbers(cells: &Cells) -> Box<dyn Iterator<Item = Option<f64>> + '_> {
    match cells {
        Cells::Text(cells) => Box::new(cells.iter().map(|cell| number(cell?))),
        Cells::Number(cells) => Box::new(cells.iter().map(|cell| cell.filter(|number| !number.is_nan()))),
        Cells::Integer(cells) => Box::new(cells.iter().map(|cell| cell.map(|number| number as f64))),
        Cells::Bytes(cells) => Box::new(cells.iter().map(|_| None)),
    }
}

/// A text as a number, as cells of CSV always were read.
fn number(text: &str) -> Option<f64> {
    text.trim().parse::<f64>().ok().filter(|number| !number.is_nan())
}

fn raw(cells: &Cells) -> Vec<Option<&[u8]>> {
    match cells {
        Cells::Bytes(cells) => cells.iter().collect(),
        other => vec![None; other.len()],
    }
}
