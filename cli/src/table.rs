//! Lists as a terminal shows them: a line of heads, then a line for each thing, with columns under one another. Nothing is
//! cut off or wrapped, and nothing is coloured: a pipe gets the same text.

/// What separates columns.
const GAP: &str = "  ";

/// A list with as many cells in each line as there are heads.
pub struct Table<const N: usize> {
    heads: [&'static str; N],
    rows: Vec<[String; N]>,
    to_the_right: [bool; N],
}

impl<const N: usize> Table<N> {
    /// A table. Text of others (names, reasons) goes last: scripts differ in how wide a terminal draws them.
    pub fn new(heads: [&'static str; N], rows: impl IntoIterator<Item = [String; N]>) -> Table<N> {
        Table { heads, rows: rows.into_iter().map(|row| row.map(one_line)).collect(), to_the_right: [false; N] }
    }

    /// The same table; the columns with these heads are numbers, and stand to the right.
    pub fn numbers(self, heads: &[&str]) -> Table<N> {
        Table { to_the_right: self.heads.map(|head| heads.contains(&head)), ..self }
    }

    /// As text; of an empty table `none`.
    pub fn text(&self) -> String {
        if self.rows.is_empty() {
            return "none".to_owned();
        }
        let heads = self.heads.map(str::to_owned);
        let mut widths = [0; N];
        for row in self.rows.iter().chain([&heads]) {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = cell.chars().count().max(*width);
            }
        }
        let line = |row: &[String; N]| {
            let cells = row.iter().zip(widths).zip(self.to_the_right);
            let filled = cells.map(|((cell, width), right)| match right {
                true => format!("{cell:>width$}"),
                false => format!("{cell:<width$}"),
            });
            filled.collect::<Vec<_>>().join(GAP).trim_end().to_owned()
        };
        std::iter::once(&heads).chain(&self.rows).map(line).collect::<Vec<_>>().join("\n")
    }

    /// As text; below it, where there is more, how to go on.
    pub fn page(&self, next: Option<&str>) -> String {
        next.map_or_else(|| self.text(), |next| format!("{}\nmore: --cursor {next}", self.text()))
    }
}

/// What others wrote begins no line of its own.
fn one_line(cell: String) -> String {
    cell.chars().map(|c| if c.is_whitespace() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(cells: [&str; 3]) -> [String; 3] {
        cells.map(str::to_owned)
    }

    #[test]
    fn columns_stand_under_their_heads_and_numbers_to_the_right() {
        let rows = [row(["a", "5", "Acme"]), row(["bcdef", "1200", ""]), row(["ε", "70", "क ख"])];
        let table = Table::new(["id", "people", "name"], rows).numbers(&["people"]);
        assert_eq!(table.text(), "id     people  name\na           5  Acme\nbcdef    1200\nε          70  क ख");
        assert_eq!(table.page(Some("x7")), format!("{}\nmore: --cursor x7", table.text()));
        assert_eq!(table.page(None), table.text());
    }

    #[test]
    fn nothing_is_cut_off_and_of_nothing_no_heads_are_shown() {
        let long = "x".repeat(500);
        assert!(Table::new(["a", "b", "c"], [row([&long, "", &long])]).text().ends_with(&long));
        assert_eq!(Table::new(["a", "b", "c"], []).text(), "none");
    }

    #[test]
    fn what_others_wrote_makes_no_line_that_looks_like_another_one() {
        let forged = "Acme\ndid:web:bank.example  verified\u{2028}x\ty";
        let text = Table::new(["did", "state", "name"], [row(["d", "applied", forged])]).text();
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(text.ends_with("Acme did:web:bank.example  verified x y"), "{text}");
    }
}
