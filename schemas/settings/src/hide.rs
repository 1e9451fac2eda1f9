//! What is never shown.

use toml::Value;

/// What stands in a secret's place.
const HIDDEN: &str = "(not shown)";

/// Words that make a key a secret's name.
const SECRET_WORDS: [&str; 6] = ["secret", "password", "passphrase", "token", "sas", "pin"];

/// Last words of keys that name something beside a secret: its file, its time.
const HARMLESS_ENDS: [&str; 5] = ["file", "files", "seconds", "url", "uri"];

/// The value as it may be shown under its key.
pub(crate) fn hidden(key: &str, value: Value) -> Value {
    if is_secret(key) {
        return Value::String(HIDDEN.to_owned());
    }
    match value {
        Value::String(text) => Value::String(without_password(&text)),
        Value::Array(values) => Value::Array(values.into_iter().map(|one| hidden("", one)).collect()),
        Value::Table(table) => Value::Table(
            table
                .into_iter()
                .map(|(key, value)| {
                    let shown = hidden(&key, value);
                    (key, shown)
                })
                .collect(),
        ),
        other => other,
    }
}

/// Whether a key is called like a secret and not like its file.
fn is_secret(key: &str) -> bool {
    let words: Vec<&str> = key.split(['_', '-']).collect();
    let harmless = words.last().is_some_and(|last| HARMLESS_ENDS.contains(last));
    !harmless && words.iter().any(|word| SECRET_WORDS.contains(word))
}

/// An address without the password in front of its host.
fn without_password(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, after) = rest.split_at(end);
    match authority.rsplit_once('@').and_then(|(user, host)| Some((user.split_once(':')?.0, host))) {
        Some((user, host)) => format!("{scheme}://{user}:{HIDDEN}@{host}{after}"),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_shown_and_its_file_is() {
        let text = |key: &str, value: &str| hidden(key, Value::String(value.into())).as_str().unwrap().to_owned();
        for key in ["secret", "client_secret", "db_password", "token", "access_token", "sas", "passphrase"] {
            assert_eq!(text(key, "hunter2"), HIDDEN, "{key}");
        }
        for key in ["client_secret_file", "token_file", "key_file", "tokens", "root_key", "url", "token_seconds"] {
            assert_eq!(text(key, "words"), "words", "{key}");
        }
        assert_eq!(text("proxy", "http://me:hunter2@proxy:3128/x"), "http://me:(not shown)@proxy:3128/x");
        assert_eq!(text("proxy", "http://me@proxy:3128"), "http://me@proxy:3128");
        assert_eq!(text("url", "https://a.example/b:c@d"), "https://a.example/b:c@d");
        let nested: Value = toml::from_str("list = [{ password = \"hunter2\", name = \"x\" }]").unwrap();
        let shown = hidden("", nested).to_string();
        assert!(!shown.contains("hunter2") && shown.contains('x'), "{shown}");
    }
}
