//! What principals are called inside the room: pseudonyms under a key of the run, never what the tables call them.
//!
//! A pseudonym is HMAC-SHA256 of the cell, cut to 128 bits, in hex, and behind it a letter for the part of the split that
//! the principal belongs to ([`crate::split`], which keeps to the cell itself). Equal cells have equal pseudonyms, so
//! joins stay what they were. The key comes from the run key, and a run is of one set of contracts: the same sealed table
//! gives pseudonyms that have nothing to do with each other under two contracts, or in two runs of one, and without the
//! key nobody can try out phone numbers, as an unsalted hash would let them. What is made of rows from the join on holds
//! pseudonyms alone.

use hmac::{Hmac, KeyInit, Mac};
use schemas::R;
use sha2::Sha256;

use crate::fault::internal;
use crate::split::Split;

const TRAINED: char = 't';
const HELD_OUT: char = 'h';

/// Makes the pseudonyms of one run.
pub struct Names {
    keyed: Hmac<Sha256>,
    split: Split,
}

impl Names {
    /// Under a secret key, with the split of the job.
    pub fn new(key: &[u8; 32], split: Split) -> R<Names> {
        let keyed = Hmac::new_from_slice(key).map_err(|_| internal("a key of names has a wrong size"))?;
        Ok(Names { keyed, split })
    }

    /// The pseudonym of a key that is not empty.
    pub fn of(&self, cell: &str) -> R<String> {
        let tag = self.keyed.clone().chain_update(cell.as_bytes()).finalize().into_bytes();
        let mut name = String::with_capacity(33);
        for byte in tag.iter().take(16) {
            for digit in [byte >> 4, byte & 15] {
                name.push(char::from_digit(digit.into(), 16).unwrap_or('0'));
            }
        }
        name.push(if self.split.trains(cell)? { TRAINED } else { HELD_OUT });
        Ok(name)
    }

    /// Whether the principal of a pseudonym is trained on; otherwise it is held out.
    pub fn trains(name: &str) -> bool {
        name.ends_with(TRAINED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(key: u8, salt: u8) -> Names {
        Names::new(&[key; 32], Split::new(&[salt; 32], 800_000).unwrap()).unwrap()
    }

    #[test]
    fn a_pseudonym_is_the_keyed_hash_of_the_cell() {
        // python3 -c "import hmac;print(hmac.new(bytes([7]*32),b'629434961','sha256').hexdigest()[:32])"
        let name = names(7, 1).of("629434961").unwrap();
        assert_eq!(&name[..32], EXPECTED);
        assert!(!name.contains("629434961") && name.len() == 33);
        assert_eq!(name, names(7, 1).of("629434961").unwrap());
        assert_ne!(name, names(7, 1).of("629434962").unwrap());
    }

    #[test]
    fn another_run_names_nobody_alike() {
        let of = |key: u8| (0..500).map(move |i| names(key, 1).of(&i.to_string()).unwrap()).collect::<Vec<_>>();
        let (one, other) = (of(1), of(2));
        let all: std::collections::HashSet<&str> = one.iter().chain(&other).map(|name| &name[..32]).collect();
        assert_eq!(all.len(), 1_000);
    }

    #[test]
    fn the_part_is_that_of_the_cell_whatever_the_key() {
        let split = Split::new(&[1; 32], 800_000).unwrap();
        let trained = (0..2_000).filter(|i| {
            let cell = i.to_string();
            let part = split.trains(&cell).unwrap();
            for key in [1, 2] {
                assert_eq!(Names::trains(&names(key, 1).of(&cell).unwrap()), part, "{cell}");
            }
            part
        });
        assert!((1_500..1_700).contains(&trained.count()));
    }

    const EXPECTED: &str = "8a0c7d417869aa102408e1227a0963b9";
}
