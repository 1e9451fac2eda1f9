//! Where a key lies on a token: a URI of RFC 7512. It names labels and files, and never a PIN.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use schemas::id::Did;
use schemas::{Code, R, Refusal};

const SCHEME: &str = "pkcs11:";

/// A key on a token: `pkcs11:token=NAME;object=LABEL?module-path=/…&pin-source=file:/…`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Uri {
    /// The token's label.
    pub(crate) token: String,
    /// Its serial number, where several have one label.
    pub(crate) serial: Option<String>,
    /// The label of the key.
    pub(crate) object: String,
    /// The PKCS #11 library of the token's maker.
    pub(crate) module: PathBuf,
    /// The file with the PIN; none where it is typed on the token itself.
    pub(crate) pin: Option<PathBuf>,
    /// Under whose name the key signs, where that is not its own did:key. A token has no place for it.
    pub(crate) holder: Option<Did>,
}

/// What is wrong, without the URI: somebody may have written a PIN into it.
fn bad(why: impl fmt::Display) -> Refusal {
    let form = "pkcs11:token=NAME;object=LABEL?module-path=/…&pin-source=file:/…";
    Refusal::new(Code::ConfigInvalid, format!("key on a token: {why}; its form is {form}"))
}

impl Uri {
    /// Whether a place is one on a token, and no file.
    pub fn is(place: &Path) -> bool {
        let start = place.as_os_str().as_encoded_bytes().get(..SCHEME.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(SCHEME.as_bytes()))
    }

    /// Reads a URI. Both paths must be absolute, so that it means the same in every folder.
    ///
    /// # Errors
    /// `CONFIG_INVALID` where a part is missing, doubled or not understood, or a PIN stands in it.
    pub fn parse(text: &str) -> R<Uri> {
        let rest = text.strip_prefix(SCHEME).ok_or_else(|| bad("it begins with pkcs11:"))?;
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (mut path, mut query) = (attributes(path, ';')?, attributes(query, '&')?);
        if query.contains_key("pin-value") || path.contains_key("pin-value") {
            return Err(bad("a PIN has no place in an argument, which others can read; name its file in pin-source"));
        }
        if path.remove("type").is_some_and(|kind| kind != "private") {
            return Err(bad("type is private, if it is given"));
        }
        let holder = query.remove("did").map(|did| Did::parse(&did)).transpose();
        let uri = Uri {
            token: needed(&mut path, "token")?,
            serial: path.remove("serial"),
            object: needed(&mut path, "object")?,
            module: absolute(&needed(&mut query, "module-path")?, "module-path")?,
            pin: query.remove("pin-source").map(|source| pin_file(&source)).transpose()?,
            holder: holder.map_err(|_| bad("did is no DID"))?,
        };
        match path.keys().chain(query.keys()).next() {
            Some(name) => Err(bad(format!("{name} is not understood"))),
            None => Ok(uri),
        }
    }

    /// The same key under this name.
    ///
    /// # Errors
    /// `CONFIG_INVALID` where the URI names another holder.
    pub fn held_by(self, holder: &Did) -> R<Uri> {
        if self.holder.as_ref().is_some_and(|named| named != holder) {
            return Err(bad("did names another holder than the one that is wanted"));
        }
        Ok(Uri { holder: Some(holder.clone()), ..self })
    }
}

fn needed(attributes: &mut BTreeMap<String, String>, name: &str) -> R<String> {
    attributes.remove(name).filter(|value| !value.is_empty()).ok_or_else(|| bad(format!("{name} is missing")))
}

fn absolute(path: &str, name: &str) -> R<PathBuf> {
    let path = PathBuf::from(path);
    if path.is_absolute() { Ok(path) } else { Err(bad(format!("{name} is an absolute path"))) }
}

/// `file:/…`, `file:///…`, or the bare path. RFC 7512 leaves programs open too; none is started here.
fn pin_file(source: &str) -> R<PathBuf> {
    let path = source.strip_prefix("file:").unwrap_or(source);
    absolute(path.strip_prefix("//").unwrap_or(path), "pin-source")
}

fn attributes(text: &str, between: char) -> R<BTreeMap<String, String>> {
    let mut all = BTreeMap::new();
    for part in text.split(between).filter(|part| !part.is_empty()) {
        let (name, value) = part.split_once('=').ok_or_else(|| bad("every part is NAME=VALUE"))?;
        if all.insert(name.to_owned(), decoded(value)?).is_some() {
            return Err(bad(format!("{name} stands twice")));
        }
    }
    Ok(all)
}

fn decoded(text: &str) -> R<String> {
    let broken = || bad("% stands before two hexadecimal digits");
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let (high, low) = (digit(rest.next()).ok_or_else(broken)?, digit(rest.next()).ok_or_else(broken)?);
        bytes.push(u8::try_from(high * 16 + low).map_err(|_| broken())?);
    }
    String::from_utf8(bytes).map_err(|_| bad("labels and paths are UTF-8"))
}

/// Percent-encoded, but for what needs none in either half of the URI.
struct Encoded<'a>(&'a str, bool);

impl fmt::Display for Encoded<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Encoded(text, slash) = *self;
        text.bytes().try_for_each(|byte| match byte {
            b'-' | b'.' | b'_' | b'~' | b':' => write!(f, "{}", char::from(byte)),
            b'/' if slash => f.write_str("/"),
            _ if byte.is_ascii_alphanumeric() => write!(f, "{}", char::from(byte)),
            _ => write!(f, "%{byte:02X}"),
        })
    }
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}token={}", Encoded(&self.token, false))?;
        if let Some(serial) = &self.serial {
            write!(f, ";serial={}", Encoded(serial, false))?;
        }
        write!(f, ";object={}", Encoded(&self.object, false))?;
        write!(f, "?module-path={}", Encoded(&self.module.to_string_lossy(), true))?;
        if let Some(pin) = &self.pin {
            write!(f, "&pin-source=file:{}", Encoded(&pin.to_string_lossy(), true))?;
        }
        if let Some(holder) = &self.holder {
            write!(f, "&did={}", Encoded(holder.as_str(), false))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = "pkcs11:token=TDP%20one;serial=0a1b;object=signing?module-path=/usr/lib/p.so&pin-source=file:/home/t/pin&did=did:web:tdp.example";

    #[test]
    fn a_uri_is_read_and_written_again() {
        let uri = Uri::parse(WHOLE).unwrap();
        assert_eq!((uri.token.as_str(), uri.object.as_str()), ("TDP one", "signing"));
        assert_eq!(uri.pin.as_deref(), Some(Path::new("/home/t/pin")));
        assert_eq!(uri.to_string(), WHOLE);
        for same in ["pin-source=/home/t/pin", "pin-source=file:///home/t/pin", "pin-source=file%3A/home/t/pin"] {
            assert_eq!(Uri::parse(&WHOLE.replace("pin-source=file:/home/t/pin", same)).unwrap(), uri);
        }
        assert!(Uri::is(Path::new(WHOLE)) && !Uri::is(Path::new("my.key")));
        let port = WHOLE.replace("tdp.example", "a%253A8443");
        assert_eq!(Uri::parse(&port).unwrap().to_string(), port);
    }

    #[test]
    fn what_is_missing_doubled_or_unknown_is_refused_and_no_pin_is_told() {
        for (good, spoilt, word) in [
            ("pkcs11:", "pkcs12:", "begins with"),
            ("token=TDP%20one;", "", "token is missing"),
            ("object=signing", "object=", "object is missing"),
            ("object=signing", "object=signing;object=other", "object stands twice"),
            ("object=signing", "object=signing;type=cert", "type is private"),
            ("object=signing", "object=signing;slot-id=1", "slot-id is not understood"),
            ("object=signing", "object=%zz", "hexadecimal"),
            ("module-path=/usr/lib/p.so&", "", "module-path is missing"),
            ("module-path=/usr", "module-path=usr", "module-path is an absolute path"),
            ("file:/home", "|/bin/home", "pin-source is an absolute path"),
            ("did:web:tdp.example", "nobody", "did is no DID"),
            ("pin-source=file:/home/t/pin", "pin-value=918273", "no place in an argument"),
        ] {
            let refusal = Uri::parse(&WHOLE.replace(good, spoilt)).unwrap_err();
            assert_eq!(refusal.code, Code::ConfigInvalid);
            assert!(refusal.sentence.contains(word), "{refusal}");
            assert!(!refusal.sentence.contains("918273"));
        }
    }
}
