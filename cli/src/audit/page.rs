//! A document that grows table by table: Markdown for people, or CSV for spreadsheets, a line for each value.

use std::fmt::Write as _;

use policies::registration::names::is_invisible;

/// What is written so far.
pub(super) struct Page {
    text: String,
    /// Of a sheet, where it is; none of Markdown.
    sheet: Option<Sheet>,
}

/// Where a sheet is.
#[derive(Default)]
struct Sheet {
    section: String,
    /// Rows of the section so far.
    rows: usize,
}

// Writing to a string cannot fail.
impl Page {
    /// For people.
    pub(super) fn markdown() -> Page {
        Page { text: String::new(), sheet: None }
    }

    /// For spreadsheets: tables alone.
    pub(super) fn csv() -> Page {
        Page { text: "section,row,column,value\n".to_owned(), sheet: Some(Sheet::default()) }
    }

    /// All of it.
    pub(super) fn text(self) -> String {
        self.text
    }

    /// What it is.
    pub(super) fn title(&mut self, name: &str) {
        self.begin("#", name);
    }

    /// A part of it.
    pub(super) fn section(&mut self, name: &str) {
        self.begin("##", name);
    }

    fn begin(&mut self, mark: &str, name: &str) {
        if let Some(sheet) = &mut self.sheet {
            *sheet = Sheet { section: name.to_owned(), rows: 0 };
            return;
        }
        self.say(&format!("{mark} {}", cell(name)));
    }

    /// A sentence of ours.
    pub(super) fn say(&mut self, sentence: &str) {
        if self.sheet.is_none() {
            let _ = writeln!(self.text, "{sentence}\n");
        }
    }

    /// Names with their values.
    pub(super) fn facts(&mut self, facts: impl IntoIterator<Item = [String; 2]>) {
        if self.sheet.is_none() {
            return self.table(&["", ""], facts.into_iter().map(Vec::from));
        }
        for [name, value] in facts {
            self.table(&[name.as_str()], [vec![value]]);
        }
    }

    /// Sentences, one under the other.
    pub(super) fn points(&mut self, name: &str, sentences: &[String]) {
        if self.sheet.is_some() {
            return self.table(&[name], sentences.iter().map(|sentence| vec![sentence.clone()]));
        }
        for sentence in sentences {
            let _ = writeln!(self.text, "- {}", cell(sentence));
        }
    }

    /// A table; a line that says so where it has no rows.
    pub(super) fn table(&mut self, names: &[&str], rows: impl IntoIterator<Item = Vec<String>>) {
        if let Some(sheet) = &mut self.sheet {
            for row in rows {
                sheet.rows += 1;
                for (name, value) in names.iter().zip(&row) {
                    let (section, name, value) = (field(&sheet.section), field(name), field(value));
                    let _ = writeln!(self.text, "{section},{},{name},{value}", sheet.rows);
                }
            }
            return;
        }
        let mut lines = String::new();
        for row in rows {
            let cells: Vec<String> = row.iter().map(|text| cell(text)).collect();
            let _ = writeln!(lines, "| {} |", cells.join(" | "));
        }
        if lines.is_empty() {
            return self.say(&format!("No {}.", names.first().copied().unwrap_or_default()));
        }
        let _ = writeln!(self.text, "| {} |\n|{}\n{lines}", names.join(" | "), "---|".repeat(names.len()));
    }
}

/// What ends a line, moves a cursor, turns the order of others, or is not seen at all.
fn unseen(c: char) -> bool {
    c.is_whitespace() || c.is_control() || is_invisible(c)
}

/// Text of a log as a field of CSV (RFC 4180): on one line, quoted, and no formula. Where lists are separated by semicolons,
/// spreadsheets begin a cell behind each.
fn field(text: &str) -> String {
    const FORMULA: [char; 8] = ['=', '+', '-', '@', '＝', '＋', '－', '＠'];
    let line: String = text.chars().map(|c| if unseen(c) { ' ' } else { c }).collect();
    let line = line.replace(';', ",");
    let formula = line.trim_start().starts_with(FORMULA);
    format!("\"{}{}\"", if formula { "'" } else { "" }, line.replace('"', "\"\""))
}

/// Text of a log as it may stand in Markdown: on one line, and never read as anything but text. Addresses and names make no
/// links; characters that nobody sees, or that turn the order of others, are spaces.
fn cell(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    let mut in_word = false;
    while let Some(c) = rest.next() {
        // Inside a word, as codes and ids have it, it emphasises nothing (CommonMark 6.2).
        let inside = in_word && rest.peek().is_some_and(|next| next.is_alphanumeric());
        in_word = c.is_alphanumeric();
        match c {
            c if unseen(c) => out.push(' '),
            '_' if inside => out.push('_'),
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '|' | '~' | '#' | '!' | '&' => {
                out.push('\\');
                out.push(c);
            }
            '@' => out.push_str("&#64;"),
            c => out.push(c),
        }
    }
    out.replace("://", "&#58;//").replace("www.", "www&#46;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_a_log_stays_text() {
        assert_eq!(cell("a|b\nc"), "a\\|b c");
        assert_eq!(cell("<img src=x> [a](b) `c` \u{1b}[2J"), "\\<img src=x\\> \\[a\\](b) \\`c\\`  \\[2J");
        assert_eq!(cell("did:web:a.example fam_01"), "did:web:a.example fam_01");
        assert_eq!(cell("_x_ a__b__ c_"), "\\_x\\_ a\\_\\_b\\_\\_ c\\_");
        assert_eq!(
            cell("https://evil.example www.evil.example @who"),
            "https&#58;//evil.example www&#46;evil.example &#64;who"
        );
        assert_eq!(cell("a\u{202e}b\u{200b}c\u{2066}d\u{feff}e\u{3164}f\u{e0100}"), "a b c d e f ");
        assert_eq!(cell("a\u{2028}b\u{2029}c\u{85}d"), "a b c d", "what ends a line");
    }

    fn written(mut page: Page) -> String {
        let row = |cells: [&str; 2]| cells.map(str::to_owned).to_vec();
        page.title("Audit of a*b");
        page.facts([["result".to_owned(), "verified".to_owned()]]);
        page.section("Entries");
        page.say("A sentence.");
        page.table(&["budgets", "ε"], []);
        page.table(&["kind", "entries"], [row(["a|b", "1"])]);
        page.table(&["run", "count"], [row(["c", "2"])]);
        page.points("remark", &["=1+1, \"two\"\nlines".to_owned()]);
        page.text()
    }

    #[test]
    fn a_document_is_read_by_people() {
        let tables = "| kind | entries |\n|---|---|\n| a\\|b | 1 |\n\n| run | count |\n|---|---|\n| c | 2 |\n\n";
        let expected = format!(
            "# Audit of a\\*b\n\n|  |  |\n|---|---|\n| result | verified |\n\n## Entries\n\nA sentence.\n\nNo budgets.\n\n\
             {tables}- =1+1, \"two\" lines\n"
        );
        assert_eq!(written(Page::markdown()), expected);
    }

    /// What a spreadsheet opens: four fields in each line, and text of others that it does not reckon with.
    #[test]
    fn a_document_is_read_by_a_spreadsheet() {
        let expected = "section,row,column,value\n\
                        \"Audit of a*b\",1,\"result\",\"verified\"\n\
                        \"Entries\",1,\"kind\",\"a|b\"\n\
                        \"Entries\",1,\"entries\",\"1\"\n\
                        \"Entries\",2,\"run\",\"c\"\n\
                        \"Entries\",2,\"count\",\"2\"\n\
                        \"Entries\",3,\"remark\",\"'=1+1, \"\"two\"\" lines\"\n";
        assert_eq!(written(Page::csv()), expected);
        for formula in ["=1", "+1", "-1", "@SUM(A1)", " =1", "\t=1"] {
            assert!(field(formula).starts_with("\"'"), "{formula:?}");
        }
        assert_eq!(field("a=1 \u{202e}b"), "\"a=1  b\"");
        assert_eq!(field("x;=1"), "\"x,=1\"");
        assert!(field("＝1").starts_with("\"'"));
    }
}
