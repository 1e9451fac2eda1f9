//! Who said a value: the environment, a line of the file, or nobody.

use std::fmt;
use std::path::{Path, PathBuf};

use schemas::{Code, R, Refusal};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Where a value comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Origin {
    /// Nobody said it.
    Default,
    /// A line of the configuration file, counted from 1.
    File(PathBuf, usize),
    /// A variable of the environment; it goes before the file.
    Environment(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::File(path, line) => write!(f, "{}:{line}", path.display()),
            Origin::Environment(name) => f.write_str(name),
        }
    }
}

/// The file and the names in the environment, ready to be asked.
pub(crate) struct Sources<'a> {
    path: &'a Path,
    text: &'a str,
    table: Spanned<DeTable<'a>>,
    variables: Vec<(String, Vec<String>)>,
}

impl<'a> Sources<'a> {
    /// Of a file's text, and of those names that begin with the service's prefix.
    pub fn read(path: &'a Path, text: &'a str, prefix: &str, names: impl Iterator<Item = String>) -> R<Sources<'a>> {
        let fault = |e| Refusal::new(Code::ConfigInvalid, format!("{}: {e}", path.display()));
        let variables = names.filter_map(|name| {
            let keys = name.strip_prefix(prefix)?.split("__").map(str::to_ascii_lowercase).collect();
            Some((name, keys))
        });
        Ok(Sources { path, text, table: DeTable::parse(text).map_err(fault)?, variables: variables.collect() })
    }

    /// Who said the value under these keys.
    pub fn of(&self, keys: &[String]) -> Origin {
        if let Some((name, _)) = self.variables.iter().find(|(_, said)| keys.starts_with(said)) {
            return Origin::Environment(name.clone());
        }
        match self.place(keys) {
            Some(at) => Origin::File(self.path.to_owned(), self.line(at)),
            None => Origin::Default,
        }
    }

    /// Where in the text the key stands, or the one above it whose value holds it whole.
    fn place(&self, keys: &[String]) -> Option<usize> {
        let (mut table, mut place) = (self.table.get_ref(), None);
        for (number, key) in keys.iter().enumerate() {
            let (name, value) = table.iter().find(|(name, _)| name.get_ref().as_ref() == key.as_str())?;
            place = Some(name.span().start);
            match value.get_ref() {
                DeValue::Table(inner) => table = inner,
                // What stands deeper is in a list, which is shown as one.
                _ if number + 1 < keys.len() => return None,
                _ => {}
            }
        }
        place
    }

    fn line(&self, at: usize) -> usize {
        self.text.get(..at).map_or(1, |before| before.matches('\n').count() + 1)
    }
}
