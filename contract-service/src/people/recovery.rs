//! Recovery codes: ten at enrolment, each opens the enrolment of one new passkey, once.

use std::sync::atomic::{AtomicUsize, Ordering};

use argon2::Argon2;
use registry::{CodeHash, EnrolmentRight, Person};
use schemas::person::{RecoveryGrant, RecoveryRequest};
use schemas::{Code, R, Refusal};

use super::secret::Secret;
use super::session::standing;
use super::{refused, trail};
use crate::app::App;
use crate::call::{Answer, Call};
use crate::error::fault;

const CODES: usize = 10;
/// What a code opened is closed again after this time.
const GRANT_SECONDS: i64 = 15 * 60;
/// Letters and digits that nobody confuses (Crockford).
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Of 24 letters, the first 8 find a code (40 bits) and 16 prove it (80 bits).
const SELECTOR: usize = 8;
const LETTERS: usize = 24;
const SALT: usize = 16;
/// Codes that are hashed at a time: Argon2id takes 19 MiB and many milliseconds for each.
const AT_ONCE: usize = 2;
static HASHING: AtomicUsize = AtomicUsize::new(0);

/// Ten fresh codes: as they are shown, and as they are kept.
pub fn draw() -> R<(Vec<String>, Vec<CodeHash>)> {
    let codes = (0..CODES).map(|_| {
        let letters = letters(&signing::signer::random::<15>()?);
        let (selector, proof) = letters.split_at(SELECTOR);
        let salt = signing::signer::random::<SALT>()?;
        let kept = CodeHash { selector: selector.to_owned(), hash: hash(proof, &salt)? };
        Ok((shown(&letters), kept))
    });
    Ok(codes.collect::<R<Vec<_>>>()?.into_iter().unzip())
}

/// Five bits for each letter.
fn letters(bytes: &[u8; 15]) -> String {
    let bit = |n: usize| bytes.get(n / 8).is_some_and(|byte| byte >> (7 - n % 8) & 1 == 1);
    let letter = |n: usize| (0..5).fold(0usize, |value, b| value << 1 | usize::from(bit(n * 5 + b)));
    (0..LETTERS).filter_map(|n| ALPHABET.get(letter(n)).copied()).map(char::from).collect()
}

fn shown(letters: &str) -> String {
    let groups: Vec<String> = letters.as_bytes().chunks(4).map(|g| String::from_utf8_lossy(g).into_owned()).collect();
    groups.join("-")
}

/// Reads a code as people type it: case, dashes and spaces do not matter, nor O for 0, I and L for 1.
fn typed(code: &str) -> Option<String> {
    let letters: String = code
        .chars()
        .filter(|c| !matches!(c, '-' | ' '))
        .map(|c| match c.to_ascii_uppercase() {
            'O' => '0',
            'I' | 'L' => '1',
            other => other,
        })
        .collect();
    (letters.len() == LETTERS && letters.bytes().all(|b| ALPHABET.contains(&b))).then_some(letters)
}

/// Salt and Argon2id of a code's proof.
fn hash(proof: &str, salt: &[u8]) -> R<Vec<u8>> {
    let mut out = [0u8; 32];
    Argon2::default().hash_password_into(proof.as_bytes(), salt, &mut out).map_err(fault)?;
    Ok([salt, &out].concat())
}

/// A place among the codes that are hashed now; given back when dropped.
struct Place;

impl Place {
    fn take() -> R<Place> {
        if HASHING.fetch_add(1, Ordering::SeqCst) >= AT_ONCE {
            HASHING.fetch_sub(1, Ordering::SeqCst);
            return Err(Refusal::new(
                Code::RateLimited,
                "too many recovery codes are tried now; try again in a moment",
            ));
        }
        Ok(Place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        HASHING.fetch_sub(1, Ordering::SeqCst);
    }
}

/// The person whose unused code this is.
fn holder(app: &App, code: &str) -> R<Result<(String, Person), &'static str>> {
    let Some(letters) = typed(code) else {
        return Ok(Err("not in the form of a code"));
    };
    let (selector, proof) = letters.split_at(SELECTOR);
    // The time tells whether 40 random bits were guessed, not whether a person exists.
    let Some((kept, person)) = app.registry.recovery_code(selector)? else {
        return Ok(Err("no such code"));
    };
    let _place = Place::take()?;
    let salt = kept.hash.get(..SALT).unwrap_or_default();
    if schemas::Digest::of(&hash(proof, salt)?) != schemas::Digest::of(&kept.hash) {
        return Ok(Err("a wrong code"));
    }
    let stands = standing(&app.registry.state(), &person.member).is_some() && person.suspended_at.is_none();
    Ok(if stands { Ok((selector.to_owned(), person)) } else { Err("the person or its member is suspended") })
}

/// Uses a code: the answer holds the right to enrol one new passkey.
pub fn open(app: &App, call: &Call) -> R<Answer> {
    let RecoveryRequest { code } = call.read()?;
    app.people.passkeys()?;
    let (selector, person) = match holder(app, &code)? {
        Ok(found) => found,
        Err(reason) => {
            let outcome: R<Answer> = Err(refused());
            trail::write(trail::Act::Recovery, "code", call, None, &outcome, reason);
            return outcome;
        }
    };
    let (secret, now) = (Secret::draw()?, app.now());
    let expires_at = now.plus_seconds(GRANT_SECONDS);
    let right = EnrolmentRight {
        token_sha256: secret.sha256(),
        person_id: person.person_id.clone(),
        member: person.member,
        name: person.name,
        roles: person.roles,
        made_by: person.person_id.to_string(),
        expires_at,
    };
    let used = app.registry.use_recovery_code(&selector, &right, now);
    let outcome = used.and_then(|used| if used { Ok(()) } else { Err(refused()) });
    trail::write(trail::Act::Recovery, "code", call, Some(&person.person_id), &outcome, "");
    outcome?;
    Answer::created(&RecoveryGrant { token: secret.text().to_owned(), expires_at })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_read_as_people_type_them() {
        let letters = letters(&[0, 68, 50, 20, 199, 66, 84, 182, 53, 207, 132, 101, 58, 86, 215]);
        assert_eq!(letters, "0123456789ABCDEFGHJKMNPQ");
        assert_eq!(shown(&letters), "0123-4567-89AB-CDEF-GHJK-MNPQ");
        assert_eq!(typed(" o123-4567 89ab-cdef-ghjk-mnpq"), Some(letters.clone()));
        assert_eq!(typed("oi23-4567-89ab-cdef-ghjk-mnpq"), Some(letters));
        for bad in ["", "0123", "0123-4567-89AB-CDEF-GHJK-MNPU", "0123-4567-89AB-CDEF-GHJK-MNPQ-R"] {
            assert_eq!(typed(bad), None, "{bad}");
        }
    }

    #[test]
    fn ten_codes_differ_and_only_their_hashes_are_kept() {
        let (shown, kept) = draw().unwrap();
        let mut distinct = shown.clone();
        distinct.sort();
        distinct.dedup();
        assert_eq!((distinct.len(), kept.len()), (CODES, CODES));
        let letters = typed(&shown[0]).unwrap();
        assert_eq!(kept[0].selector, letters[..SELECTOR]);
        let again = hash(&letters[SELECTOR..], &kept[0].hash[..SALT]).unwrap();
        assert_eq!(again, kept[0].hash);
        assert_ne!(hash("WRONG", &kept[0].hash[..SALT]).unwrap(), kept[0].hash);
        assert_ne!(kept[0].hash[..SALT], kept[1].hash[..SALT], "each code has its own salt");
    }
}
