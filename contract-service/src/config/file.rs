//! How a configuration is read: a TOML file, overridden by the environment.

use std::path::Path;

use schemas::R;
use serde::de::DeserializeOwned;
use toml::{Table, Value};

use super::invalid;

/// Prefix of the environment variables that override the file.
pub const ENV_PREFIX: &str = "DEPA_CONTRACT_SERVICE__";

/// Reads the file and the environment over it. Unknown keys are refused (`CONFIG_INVALID`).
pub(super) fn read<T: DeserializeOwned>(path: &Path, env: impl Iterator<Item = (String, String)>) -> R<T> {
    let text = std::fs::read_to_string(path).map_err(|e| invalid(format!("{}: {e}", path.display())))?;
    let mut table: Table = text.parse().map_err(|e| invalid(format!("{}: {e}", path.display())))?;
    for (name, value) in env {
        if let Some(keys) = name.strip_prefix(ENV_PREFIX) {
            let keys: Vec<String> = keys.split("__").map(str::to_ascii_lowercase).collect();
            set(&mut table, &keys, &value).ok_or_else(|| invalid(format!("{name} overrides no such key")))?;
        }
    }
    Value::Table(table).try_into().map_err(|e| invalid(format!("{}: {}", path.display(), e.to_string().trim())))
}

/// Puts a value in: read as TOML where it is (numbers, lists), taken as text otherwise.
fn set(table: &mut Table, keys: &[String], text: &str) -> Option<()> {
    let (last, path) = keys.split_last()?;
    let mut at = table;
    for key in path {
        at = at.entry(key.clone()).or_insert_with(|| Value::Table(Table::new())).as_table_mut()?;
    }
    let parsed = format!("value = {text}").parse::<Table>().ok().and_then(|mut t| t.remove("value"));
    at.insert(last.clone(), parsed.unwrap_or_else(|| Value::String(text.to_owned())));
    Some(())
}
