//! Whether bytes are RFC 8785 canonical JSON, decided in one pass and without writing anything anew.
//!
//! Canonical bytes have one spelling, so a digest over them as they stand is the digest over the document. The rules are
//! those of [`schemas::canonical`]: no white space, members in ascending order of their UTF-16 units and none twice,
//! integers within ±(2^53 − 1), the shortest escapes, bounded depth.

use std::ops::Range;

use schemas::canonical::{MAX_DEPTH, MAX_INTEGER};
use schemas::{Code, R, Refusal};

/// The members of a canonical object: where name (without quotes) and value stand.
pub struct Members<'a> {
    bytes: &'a [u8],
    members: Vec<(Range<usize>, Range<usize>)>,
}

impl<'a> Members<'a> {
    /// The bytes of a member's value.
    pub fn value(&self, name: &str) -> Option<&'a [u8]> {
        let found = self.members.iter().find(|(key, _)| &self.bytes[key.clone()] == name.as_bytes())?;
        Some(&self.bytes[found.1.clone()])
    }
}

/// Reads one canonical object that fills the bytes. `NOT_CANONICAL` says at which byte it is none.
pub fn object(bytes: &[u8]) -> R<Members<'_>> {
    let mut scan = Scan { bytes, at: 0 };
    let read = std::str::from_utf8(bytes).map_err(|e| e.valid_up_to()).and_then(|_| {
        let members = scan.object(MAX_DEPTH)?;
        if scan.at == bytes.len() { Ok(members) } else { Err(scan.at) }
    });
    match read {
        Ok(members) => Ok(Members { bytes, members }),
        Err(at) => Err(Refusal::new(Code::NotCanonical, format!("not in canonical form at byte {at}"))),
    }
}

struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// Where the bytes stop being canonical.
type Fault = usize;
type Spans = Vec<(Range<usize>, Range<usize>)>;

impl Scan<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> Result<(), Fault> {
        if self.peek() != Some(byte) {
            return Err(self.at);
        }
        self.at += 1;
        Ok(())
    }

    fn value(&mut self, depth: usize) -> Result<(), Fault> {
        match self.peek() {
            Some(b'{') => self.object(depth).map(drop),
            Some(b'[') => self.array(depth),
            Some(b'"') => self.string().map(drop),
            Some(b't') => self.word(b"true"),
            Some(b'f') => self.word(b"false"),
            Some(b'n') => self.word(b"null"),
            _ => self.integer(),
        }
    }

    fn object(&mut self, depth: usize) -> Result<Spans, Fault> {
        let inner = depth.checked_sub(1).ok_or(self.at)?;
        self.take(b'{')?;
        let mut members: Spans = Vec::new();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(members);
        }
        loop {
            let key = self.string()?;
            if members.last().is_some_and(|(before, _)| !self.ascends(before, &key)) {
                return Err(key.start);
            }
            self.take(b':')?;
            let start = self.at;
            self.value(inner)?;
            members.push((key, start..self.at));
            if self.peek() != Some(b',') {
                self.take(b'}')?;
                return Ok(members);
            }
            self.at += 1;
        }
    }

    fn array(&mut self, depth: usize) -> Result<(), Fault> {
        let inner = depth.checked_sub(1).ok_or(self.at)?;
        self.take(b'[')?;
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.value(inner)?;
            if self.peek() != Some(b',') {
                return self.take(b']');
            }
            self.at += 1;
        }
    }

    fn word(&mut self, word: &[u8]) -> Result<(), Fault> {
        if !self.bytes[self.at..].starts_with(word) {
            return Err(self.at);
        }
        self.at += word.len();
        Ok(())
    }

    fn integer(&mut self) -> Result<(), Fault> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        let digits = self.at;
        let mut value: i64 = 0;
        while let Some(digit @ b'0'..=b'9') = self.peek() {
            value = value * 10 + i64::from(digit - b'0');
            self.at += 1;
            if value > MAX_INTEGER {
                return Err(start);
            }
        }
        let length = self.at - digits;
        let leading_zero = self.bytes.get(digits) == Some(&b'0');
        if length == 0 || (leading_zero && (length > 1 || digits > start)) { Err(start) } else { Ok(()) }
    }

    /// A string; where it stands without its quotes.
    fn string(&mut self) -> Result<Range<usize>, Fault> {
        self.take(b'"')?;
        let start = self.at;
        loop {
            match self.peek().ok_or(self.at)? {
                b'"' => {
                    self.at += 1;
                    return Ok(start..self.at - 1);
                }
                b'\\' => self.escape()?,
                0..=0x1f => return Err(self.at),
                _ => self.at += 1,
            }
        }
    }

    /// Two-letter escapes where there are such, `\u00xx` in small letters for the other control characters, no others.
    fn escape(&mut self) -> Result<(), Fault> {
        let rest = &self.bytes[self.at + 1..];
        let length = match rest {
            [b'"' | b'\\' | b'b' | b'f' | b'n' | b'r' | b't', ..] => 2,
            [b'u', b'0', b'0', b'0', b'0'..=b'7' | b'b' | b'e' | b'f', ..] => 6,
            [b'u', b'0', b'0', b'1', b'0'..=b'9' | b'a'..=b'f', ..] => 6,
            _ => return Err(self.at),
        };
        self.at += length;
        Ok(())
    }

    fn ascends(&self, before: &Range<usize>, after: &Range<usize>) -> bool {
        let (before, after) = (&self.bytes[before.clone()], &self.bytes[after.clone()]);
        let plain = |key: &[u8]| key.iter().all(|b| b.is_ascii() && *b != b'\\');
        if plain(before) && plain(after) {
            return before < after;
        }
        match (units(before), units(after)) {
            (Some(before), Some(after)) => before < after,
            _ => false,
        }
    }
}

/// The UTF-16 units of a name that has escapes or is not ASCII.
fn units(key: &[u8]) -> Option<Vec<u16>> {
    let quoted = [b"\"", key, b"\""].concat();
    let text: String = serde_json::from_slice(&quoted).ok()?;
    Some(text.encode_utf16().collect())
}

#[cfg(test)]
mod tests {
    use schemas::canonical;

    use super::*;

    /// The oracle: what the strict reader takes and the canonical writer writes in the same way.
    fn oracle(bytes: &[u8]) -> bool {
        canonical::parse_value(bytes).and_then(|v| canonical::to_bytes(&v)).is_ok_and(|written| written == bytes)
    }

    #[test]
    fn agrees_with_reader_and_writer_on_every_small_change() {
        let texts = [
            r#"{"a":1,"b":[true,false,null,{"c":"x","d":-17}],"e":"","é":"ü","𝄞":0}"#,
            r#"{"a":"\b\t\n\f\r\"\\\u0000\u0007\u000b\u000e\u001f ","b":9007199254740991,"c":-9007199254740991}"#,
            r#"{"":[],"\n":{},"0":[[]]}"#,
        ];
        let mut agreed = [0; 2];
        for text in texts {
            assert!(oracle(text.as_bytes()) && object(text.as_bytes()).is_ok(), "{text}");
            for at in 0..text.len() {
                for new in (0u8..0x80).chain([0xc3, 0xff]) {
                    let mut changed = text.as_bytes().to_vec();
                    changed[at] = new;
                    let expected = oracle(&changed);
                    assert_eq!(object(&changed).is_ok(), expected, "{:?}", String::from_utf8_lossy(&changed));
                    agreed[usize::from(expected)] += 1;
                }
                let mut less = text.as_bytes().to_vec();
                less.remove(at);
                assert_eq!(object(&less).is_ok(), oracle(&less), "{:?}", String::from_utf8_lossy(&less));
            }
        }
        assert!(agreed.iter().all(|n| *n > 500), "{agreed:?}");
    }

    #[test]
    fn other_spellings_are_none() {
        for text in [
            r#"{"b":1,"a":2}"#,
            r#"{"a":1,"a":1}"#,
            r#"{"a": 1}"#,
            r#"{"a":01}"#,
            r#"{"a":-0}"#,
            r#"{"a":1.0}"#,
            r#"{"a":1e2}"#,
            r#"{"a":9007199254740992}"#,
            r#"{"a":"\u0061"}"#,
            r#"{"a":"\u001F"}"#,
            r#"{"a":"\u000a"}"#,
            r#"{"a":"\/"}"#,
            "{\"𝄞\":0,\"\u{e000}\":1,\"a\":2}",
            "{\"\u{e000}\":1,\"𝄞\":0}",
            "[]",
            "",
            "{}\n",
        ] {
            assert!(object(text.as_bytes()).is_err(), "{text}");
        }
        // In UTF-16 a character beyond the basic plane comes before U+E000.
        assert!(object("{\"𝄞\":0,\"\u{e000}\":1}".as_bytes()).is_ok());
        let deep = |n: usize| format!("{{\"a\":{}{}}}", "[".repeat(n), "]".repeat(n));
        assert!(object(deep(MAX_DEPTH - 1).as_bytes()).is_ok());
        assert!(object(deep(MAX_DEPTH).as_bytes()).is_err());
    }

    #[test]
    fn members_are_found_as_they_stand() {
        let text = br#"{"body":{"kind":"x"},"n":1}"#;
        let members = object(text).unwrap();
        assert_eq!(members.value("body"), Some(&br#"{"kind":"x"}"#[..]));
        assert_eq!((members.value("n"), members.value("m")), (Some(&b"1"[..]), None));
    }
}
