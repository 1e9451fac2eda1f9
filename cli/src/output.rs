//! What is printed, and where.

use std::io::Write as _;
use std::process::ExitCode;

use policies::registration::names::is_invisible;
use schemas::Refusal;
use serde::Serialize;
use serde_json::{Value, json};

/// The result of a command: for programs and for people.
pub struct Answer {
    /// One JSON document.
    pub json: Value,
    /// Text; nothing is printed of an empty one.
    pub text: String,
    /// The exit code; not 0 where the command did its work and found a fault.
    pub exit: u8,
}

impl Answer {
    /// A value with its text.
    pub fn new(value: &impl Serialize, text: impl Into<String>) -> Answer {
        Answer { json: serde_json::to_value(value).unwrap_or(Value::Null), text: text.into(), exit: depa::exit::OK }
    }

    /// A value that people read as JSON too.
    pub fn value(value: &impl Serialize) -> Answer {
        let text = serde_json::to_string_pretty(value).unwrap_or_default();
        Answer::new(value, text)
    }
}

/// A state, kind or role as documents and options spell it.
pub fn word<T: Serialize>(value: &T) -> String {
    serde_json::to_value(value).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
}

/// Text as a terminal may show it: what others wrote (names, sentences of a service) moves no cursor, changes no title and
/// turns no order of characters. Joiners stay: scripts of India need them.
fn shown(text: &str) -> String {
    let joins = |c: char| matches!(c, '\u{200c}' | '\u{200d}');
    let hidden = |c: char| c.is_control() && !matches!(c, '\n' | '\t') || is_invisible(c) && !joins(c);
    text.chars().map(|c| if hidden(c) { '\u{fffd}' } else { c }).collect()
}

/// Prints a result on stdout.
pub fn print(answer: &Answer, json: bool) -> ExitCode {
    let text = if json { answer.json.to_string() } else { shown(&answer.text) };
    if !text.is_empty() {
        // A reader that went away is no failure of ours.
        let _ = writeln!(std::io::stdout().lock(), "{}", text.trim_end_matches('\n'));
    }
    ExitCode::from(answer.exit)
}

/// Prints a refusal on stderr, with its next step; with `--json` also as the one document on stdout.
pub fn fail(refusal: &Refusal, json: bool) -> ExitCode {
    let next = depa::next_step::of(refusal);
    if json {
        let document = json!({"error": {
            "code": refusal.code.as_str(), "sentence": refusal.sentence, "field": refusal.field, "next_step": next,
        }});
        let _ = writeln!(std::io::stdout().lock(), "{document}");
    }
    say(&format!("depa: {refusal}"));
    if let Some(field) = &refusal.field {
        say(&format!("      at {field}"));
    }
    if let Some(next) = next {
        say(&format!("next: {next}"));
    }
    ExitCode::from(depa::exit::of(refusal))
}

/// Talk: one line on stderr.
pub fn say(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{}", shown(line));
}

/// One line of a stream on stdout, at once.
pub fn stream(value: &Value) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{value}").and_then(|()| out.flush());
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use schemas::{Code, Refusal};

    use super::shown;
    use crate::command::Cli;

    /// The commands in a sentence: each from `depa` to the next semicolon, comma or bracket.
    fn commands(sentence: &str) -> Vec<Vec<String>> {
        let (mut found, mut open) = (Vec::<Vec<String>>::new(), false);
        for word in sentence.split_whitespace() {
            let bare = word.trim_end_matches([';', ',', ')', ':', '.']);
            if bare == "depa" {
                found.push(Vec::new());
                open = true;
            }
            open &= !word.starts_with('(');
            if let Some(command) = found.last_mut().filter(|_| open) {
                command.push(bare.to_owned());
            }
            open &= bare == word;
        }
        found
    }

    /// An argument as its kind asks for it, in the place of what stands for one.
    fn sample(word: &str) -> String {
        match word.strip_suffix('…') {
            Some(prefix) => format!("{prefix}0190a000-0000-7000-8000-000000000001"),
            None if word == "DID" => "did:web:acme.example".to_owned(),
            None => word.to_owned(),
        }
    }

    #[test]
    fn commands_of_a_sentence_end_where_it_goes_on() {
        let found = commands("look: depa a b --kms URL (or c), depa d x_…; then wait, or see depa e --help.");
        assert_eq!(
            found.iter().map(|c| c.join(" ")).collect::<Vec<_>>(),
            ["depa a b --kms URL", "depa d x_…", "depa e --help"]
        );
    }

    /// A next step that is mistyped helps nobody.
    #[test]
    fn every_command_of_a_next_step_is_one() {
        let of_code = Code::ALL.iter().map(|code| Refusal::new(*code, "no"));
        let options = ["trust", "key", "registry", "profile", "bound"];
        let of_option = options.iter().map(|field| Refusal::new(Code::ConfigInvalid, "no").at(*field));
        let mut checked = 0;
        for refusal in of_code.chain(of_option) {
            let step = depa::next_step::of(&refusal).unwrap_or_default();
            for command in commands(step) {
                let words = command.iter().map(|word| sample(word));
                let wrong = Cli::try_parse_from(words).err().filter(clap::Error::use_stderr);
                assert!(wrong.is_none(), "{}: {}: {}", refusal.code, command.join(" "), wrong.unwrap());
                checked += 1;
            }
        }
        assert!(checked > 100, "only {checked} commands were found");
    }

    #[test]
    fn what_others_wrote_commands_no_terminal() {
        assert_eq!(
            shown("Acme \u{1b}]0;x\u{7}\u{9b}2J\r\u{202e}x"),
            "Acme \u{fffd}]0;x\u{fffd}\u{fffd}2J\u{fffd}\u{fffd}x"
        );
        assert_eq!(shown("a\tb\nε = 1, क्\u{200d}ष"), "a\tb\nε = 1, क्\u{200d}ष");
    }
}
