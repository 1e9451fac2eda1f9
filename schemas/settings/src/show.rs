//! The settings of a service, one after the other.

use std::path::Path;

use schemas::{Code, R, Refusal};
use serde::Serialize;
use serde_json::json;
use toml::{Table, Value};

use crate::hide::hidden;
use crate::origin::{Origin, Sources};

/// One value.
#[derive(Clone, PartialEq, Debug)]
pub struct Setting {
    /// Its key, from the outermost table inwards.
    pub key: String,
    /// The value that counts, as TOML; what is secret is not shown.
    pub value: String,
    /// Who said so.
    pub origin: Origin,
}

/// All settings of a service.
#[derive(Clone, PartialEq, Debug)]
pub struct Shown(pub Vec<Setting>);

impl Shown {
    /// One setting on a line; with where it comes from, if asked.
    pub fn text(&self, origins: bool) -> String {
        let line = |one: &Setting| match origins {
            true => format!("{} = {}  # {}\n", one.key, one.value, one.origin),
            false => format!("{} = {}\n", one.key, one.value),
        };
        self.0.iter().map(line).collect()
    }

    /// The same as a list of objects.
    pub fn json(&self) -> serde_json::Value {
        let one = |s: &Setting| json!({"key": s.key, "value": s.value, "origin": s.origin.to_string()});
        self.0.iter().map(one).collect()
    }
}

/// What a configuration came to. `effective` is what the service reads out of file and environment, `prefix` that of the
/// variables which it heeds.
pub fn show(
    effective: &impl Serialize,
    path: &Path,
    prefix: &str,
    environment: impl Iterator<Item = (String, String)>,
) -> R<Shown> {
    let fault = |e: &dyn std::fmt::Display| Refusal::new(Code::ConfigInvalid, format!("{}: {e}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|e| fault(&e))?;
    let sources = Sources::read(path, &text, prefix, environment.map(|(name, _)| name))?;
    let table = Table::try_from(effective).map_err(|e| fault(&e))?;
    let mut settings = Vec::new();
    gather(&table, &mut Vec::new(), &sources, &mut settings);
    Ok(Shown(settings))
}

fn gather(table: &Table, keys: &mut Vec<String>, sources: &Sources<'_>, out: &mut Vec<Setting>) {
    for (key, value) in table {
        keys.push(key.clone());
        match value {
            Value::Table(inner) if !inner.is_empty() => gather(inner, keys, sources, out),
            _ => {
                let value = hidden(key, value.clone()).to_string();
                out.push(Setting { key: keys.join("."), value, origin: sources.of(keys) });
            }
        }
        keys.pop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct House {
        name: &'static str,
        doors: u32,
        limits: Limits,
        people: Vec<Limits>,
    }

    #[derive(Serialize)]
    struct Limits {
        high: u32,
        token: &'static str,
    }

    #[test]
    fn environment_goes_before_file_and_file_before_default() {
        let path = std::env::temp_dir().join(format!("settings-{}.toml", std::process::id()));
        std::fs::write(&path, "# head\nname = \"a\"\npeople = [\n  { high = 2 }\n]\n[limits]\n\nhigh = 7\n").unwrap();
        let limits = || Limits { high: 7, token: "hunter2" };
        let house = House { name: "a", doors: 3, limits: limits(), people: vec![limits()] };
        let environment = [("HOUSE__LIMITS__HIGH", "7"), ("HOUSE_X", "1"), ("OTHER__NAME", "z")];
        let environment = environment.map(|(k, v)| (k.to_owned(), v.to_owned())).into_iter();
        let shown = show(&house, &path, "HOUSE__", environment).unwrap();
        std::fs::remove_file(&path).unwrap();
        let file = path.display();
        assert_eq!(
            shown.text(true),
            format!(
                "doors = 3  # default\nlimits.high = 7  # HOUSE__LIMITS__HIGH\nlimits.token = \"(not shown)\"  # default\n\
                 name = \"a\"  # {file}:2\npeople = [{{ high = 7, token = \"(not shown)\" }}]  # {file}:3\n"
            )
        );
        assert!(!shown.json().to_string().contains("hunter2"));
        assert!(shown.text(false).starts_with("doors = 3\nlimits.high = 7\n"));
    }

    #[test]
    fn a_table_in_a_variable_says_all_of_it() {
        let path = std::env::temp_dir().join(format!("settings-table-{}.toml", std::process::id()));
        std::fs::write(&path, "limits = { high = 1, token = \"x\" }\n").unwrap();
        let house = House { name: "a", doors: 3, limits: Limits { high: 9, token: "" }, people: vec![] };
        let said = |names: &[&str]| {
            let names = names.iter().map(|n| ((*n).to_owned(), String::new())).collect::<Vec<_>>();
            show(&house, &path, "HOUSE__", names.into_iter()).unwrap().0
        };
        let origin = |settings: &[Setting], key: &str| settings.iter().find(|s| s.key == key).unwrap().origin.clone();
        assert_eq!(origin(&said(&[]), "limits.high"), Origin::File(path.clone(), 1));
        let whole = said(&["HOUSE__LIMITS"]);
        assert_eq!(origin(&whole, "limits.high"), Origin::Environment("HOUSE__LIMITS".into()));
        assert_eq!(origin(&whole, "name"), Origin::Default);
        std::fs::remove_file(&path).unwrap();
    }
}
