//! Names of key-encryption keys at a backend elsewhere: a configured prefix and 128 random bits, so that no key of
//! somebody else, or of an earlier life of this service, is ever taken over.

use schemas::{Code, R, Refusal};

const PREFIX: usize = 64;

/// Requires a prefix that every backend takes: letters, digits and `-`, starting with a letter.
pub(super) fn check_prefix(prefix: &str) -> R<()> {
    let fine = prefix.len() <= PREFIX && prefix.starts_with(|c: char| c.is_ascii_alphabetic()) && plain(prefix);
    let bad =
        || Refusal::new(Code::ConfigInvalid, "key_prefix is a letter, then letters, digits and -").at("key_prefix");
    if fine { Ok(()) } else { Err(bad()) }
}

/// A name that nothing has yet.
pub(super) fn fresh(prefix: &str) -> R<String> {
    let drawn = signing::signer::random::<16>()?;
    Ok(format!("{prefix}-{:032x}", u128::from_be_bytes(drawn)))
}

/// Requires a name that can stand in a path.
pub(super) fn check(name: &str) -> R<()> {
    if !name.is_empty() && name.len() <= 127 && plain(name) {
        return Ok(());
    }
    Err(Refusal::new(Code::KeyRowTampered, "a key-encryption key has a name that no backend gave"))
}

fn plain(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_fresh_and_stay_in_their_place() {
        let (first, second) = (fresh("depa-kek").unwrap(), fresh("depa-kek").unwrap());
        assert_ne!(first, second);
        assert!(check(&first).is_ok() && first.starts_with("depa-kek-") && first.len() == 41);
        for name in ["", "../sys", "a/b", "a?b", "a b", "a%2fb"] {
            assert_eq!(check(name).unwrap_err().code, Code::KeyRowTampered, "{name}");
            assert_eq!(check_prefix(name).unwrap_err().code, Code::ConfigInvalid, "{name}");
        }
        assert_eq!(check_prefix("-a").unwrap_err().code, Code::ConfigInvalid);
    }
}
