//! Names that people tell apart: what two look-alike names have in common, and hosts that hide what they are.

use schemas::id::Did;
use schemas::problem::{Code, R};
use unicode_normalization::UnicodeNormalization as _;
use unicode_security::confusable_detection::skeleton;

use crate::forms::ensure;

/// What look-alike names share: compatibility forms, case, confusable characters (UTS 39) and spacing are folded away.
pub fn look(name: &str) -> String {
    let folded: String = name.nfkc().filter(|c| !is_invisible(*c)).collect::<String>().to_uppercase().to_lowercase();
    // A skeleton may bring capitals and compatibility forms back: the digit 0 becomes O.
    let skeleton: String = skeleton(&folded).nfkc().collect::<String>().to_lowercase();
    skeleton.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A name that a person reads as it is: nothing invisible, no turned writing direction, something left to tell apart.
pub(super) fn plain(name: &str, field: &str) -> R<()> {
    let sentence = "A name has no invisible characters and none that turn the direction of writing.";
    ensure(!name.chars().any(is_invisible), Code::SchemaMismatch, field, sentence)?;
    ensure(!look(name).is_empty(), Code::SchemaMismatch, field, "A name has at least one visible character.")
}

/// A did:web names its host in lower-case ASCII as it is: an encoded (`xn--`) or escaped name can look like any other.
pub(super) fn host(did: &Did) -> R<()> {
    let Some(rest) = did.as_str().strip_prefix("did:web:") else { return Ok(()) };
    let host = rest.split(':').next().unwrap_or_default();
    let (name, port) = host.split_once("%3A").unwrap_or((host, ""));
    let labels = name.split('.').all(|label| !label.is_empty() && !label.starts_with("xn--"));
    let ascii = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-'));
    let port = port.bytes().all(|b| b.is_ascii_digit());
    let sentence =
        "The host of a did:web is written in lower case, without xn-- or escapes that can look like another host.";
    ensure(labels && ascii && port, Code::LookAlike, "did", sentence)
}

/// Whether no font shows the character, or it turns the order of others: soft hyphens, zero widths, fillers, marks of
/// direction, variation selectors, tags. The separators of lines and paragraphs (U+2028, U+2029) are white space and none of
/// these.
pub fn is_invisible(c: char) -> bool {
    matches!(c, '\u{00ad}' | '\u{034f}' | '\u{061c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180e}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}' | '\u{ffa0}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn look_alikes_look_alike() {
        for other in ["acme", "ACME ", "  Acme", "аcme", "Ａｃｍｅ", "Acm\u{200b}e", "ＡCＭE", "Αcme"] {
            assert_eq!(look(other), look("Acme"), "{other}");
        }
        assert_eq!(look("Straße  AG"), look("STRASSE AG"));
        assert_eq!(look("0racle"), look("Oracle"));
        for other in ["Acme Two", "Acne", "Bcme"] {
            assert_ne!(look(other), look("Acme"), "{other}");
        }
    }

    #[test]
    fn hosts_hide_nothing() {
        for good in ["did:web:tdp.example", "did:web:localhost%3A8080", "did:web:a-b.example:users:x", "did:key:z6MkX"]
        {
            assert!(host(&Did::parse(good).unwrap()).is_ok(), "{good}");
        }
        for bad in [
            "did:web:xn--cme-5cd.example",
            "did:web:a.xn--p1ai",
            "did:web:%D0%B0cme.example",
            "did:web:Acme.example",
            "did:web:a..b",
            "did:web:a%3Ab",
        ] {
            assert_eq!(host(&Did::parse(bad).unwrap()).unwrap_err().code, Code::LookAlike, "{bad}");
        }
    }
}
