//! Canonical bytes are the same here and in the portal: both make the same random texts from one rule, write them
//! canonically, and compare digests of a hundred at a time with `portal/tests/vectors/jcs.json`.
//! The portal's side is `portal/src/keys/jcs.test.ts`; `UPDATE=1` writes the file.

use std::path::Path;

use schemas::{Digest, canonical};

/// Documents as they are signed: no fraction stands in them.
const DOCUMENTS: u32 = 5_000;
/// Values with fractions and exponents, which stand in files of others alone.
const REALS: u32 = 2_000;
const BATCH: u32 = 100;

/// xorshift32, seeded by the number of the text.
struct Dice(u32);

impl Dice {
    fn of(n: u32) -> Dice {
        Dice(0x9e37_79b9_u32.wrapping_mul(n + 1) | 1)
    }

    fn next(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0
    }

    fn below(&mut self, n: u32) -> u32 {
        self.next() % n
    }
}

const STRANGE: [u32; 12] =
    [0x2028, 0x2029, 0xfeff, 0x7f, 0x85, 0xad, 0x301, 0xfffd, 0xffff, 0x1_f600, 0x10_ffff, 0xfb33];

fn space(dice: &mut Dice) -> &'static str {
    ["", " ", "\n", "\t"][dice.below(4) as usize]
}

fn letter(dice: &mut Dice) -> u32 {
    match dice.below(8) {
        0 | 1 => 0x20 + dice.below(0x5f),
        2 => dice.below(0x20),
        3 => [0x22, 0x5c, 0x2f][dice.below(3) as usize],
        4 => 0x80 + dice.below(0xd780),
        5 => 0xe000 + dice.below(0x2000),
        6 => 0x1_0000 + dice.below(0x10_0000),
        _ => STRANGE[dice.below(12) as usize],
    }
}

/// A letter as it may stand in a text, in one of several spellings.
fn spelled(letter: u32, style: u32) -> String {
    let plain = char::from_u32(letter).unwrap();
    if style == 0 {
        return match letter {
            0x22 => "\\\"".into(),
            0x5c => "\\\\".into(),
            0x08 => "\\b".into(),
            0x09 => "\\t".into(),
            0x0a => "\\n".into(),
            0x0c => "\\f".into(),
            0x0d => "\\r".into(),
            _ if letter < 0x20 => format!("\\u{letter:04x}"),
            _ => plain.to_string(),
        };
    }
    let unit = |unit: &u16| if style == 1 { format!("\\u{unit:04x}") } else { format!("\\u{unit:04X}") };
    plain.encode_utf16(&mut [0; 2]).iter().map(unit).collect()
}

/// A string: how it is written, and what it says.
fn string(dice: &mut Dice) -> (String, Vec<u32>) {
    let letters: Vec<(u32, u32)> = (0..dice.below(8)).map(|_| (letter(dice), dice.below(3))).collect();
    let written: String = letters.iter().map(|(letter, style)| spelled(*letter, *style)).collect();
    (format!("\"{written}\""), letters.into_iter().map(|(letter, _)| letter).collect())
}

fn integer(dice: &mut Dice) -> String {
    let size = match dice.below(3) {
        0 => u64::from(dice.below(10)),
        1 => u64::from(dice.next()),
        _ => (u64::from(dice.next() & 0x1f_ffff) << 32) | u64::from(dice.next()),
    };
    let minus = dice.below(2) == 1 && size != 0;
    format!("{}{size}", if minus { "-" } else { "" })
}

fn digits(dice: &mut Dice, n: u32) -> String {
    (0..n).map(|_| char::from(b'0' + dice.below(10) as u8)).collect()
}

fn real(dice: &mut Dice) -> String {
    let mut text = String::from(if dice.below(2) == 1 { "-" } else { "" });
    if dice.below(3) == 0 {
        text.push('0');
    } else {
        text.push(char::from(b'1' + dice.below(9) as u8));
        let n = dice.below(8);
        text.push_str(&digits(dice, n));
    }
    text.push('.');
    let n = 1 + dice.below(9);
    text.push_str(&digits(dice, n));
    if dice.below(2) == 1 {
        text.push(if dice.below(2) == 1 { 'e' } else { 'E' });
        text.push_str(["", "+", "-"][dice.below(3) as usize]);
        text.push_str(&dice.below(290).to_string());
    }
    text
}

fn value(dice: &mut Dice, depth: u32, reals: bool) -> String {
    match dice.below(if depth >= 4 { 5 } else { 7 }) {
        0 => "null".into(),
        1 => if dice.below(2) == 1 { "true" } else { "false" }.into(),
        2 if reals => real(dice),
        2 => integer(dice),
        3 | 4 => string(dice).0,
        5 => {
            let items: Vec<String> = (0..dice.below(5))
                .map(|_| {
                    let before = space(dice);
                    let item = value(dice, depth + 1, reals);
                    format!("{before}{item}{}", space(dice))
                })
                .collect();
            format!("[{}]", items.join(","))
        }
        _ => members(dice, depth, reals),
    }
}

fn members(dice: &mut Dice, depth: u32, reals: bool) -> String {
    let (mut names, mut all) = (Vec::new(), Vec::new());
    for _ in 0..dice.below(6) {
        let (written, name) = string(dice);
        let (before, between) = (space(dice), space(dice));
        let inner = value(dice, depth + 1, reals);
        let after = space(dice);
        // A name counts once.
        if !names.contains(&name) {
            names.push(name);
            all.push(format!("{before}{written}{between}:{inner}{after}"));
        }
    }
    format!("{{{}}}", all.join(","))
}

fn digests(count: u32, from: u32, reals: bool) -> Vec<Digest> {
    let batch = |first: u32| {
        let mut bytes = Vec::new();
        for n in first..first + BATCH {
            let text = members(&mut Dice::of(n), 0, reals);
            let read = if reals { canonical::parse_loose } else { canonical::parse_value };
            let value = read(text.as_bytes()).unwrap_or_else(|refusal| panic!("{refusal}: {text}"));
            bytes.extend(canonical::to_bytes(&value).unwrap());
            bytes.push(b'\n');
        }
        Digest::of(&bytes)
    };
    (from..from + count).step_by(BATCH as usize).map(batch).collect()
}

#[test]
fn the_portal_writes_random_documents_canonically_as_we_do() {
    let found = serde_json::json!({
        "documents": digests(DOCUMENTS, 0, false),
        "reals": digests(REALS, DOCUMENTS, true),
    });
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../portal/tests/vectors/jcs.json");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, format!("{}\n", serde_json::to_string_pretty(&found).unwrap())).unwrap();
    }
    let kept: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    assert_eq!(kept, found, "UPDATE=1 writes them; then the portal's unit tests must agree");
}
