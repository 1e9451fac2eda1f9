//! SCITT (RFC 9943): statements of verified participants in the public log, and the paths of three kinds of clients:
//! SCRAPI, pyscitt 0.10, the scripts of the DEPA contract ledger. [`client`] tells them apart; the rest answers each in
//! its own words. A contract that is posted here goes the way of contracts: its body stays private.

pub mod about;
mod client;
mod contract;
pub mod entries;
mod key;
pub mod operations;
pub mod receipts;

pub use key::ReceiptKey;

use schemas::{Code, R, Refusal};

/// The media type of COSE messages.
pub const COSE: &str = "application/cose";
/// The media type of CBOR.
pub const CBOR: &str = "application/cbor";
/// The media type of COSE receipts.
pub const RECEIPT: &str = "application/scitt-receipt+cose";
/// The media type of transparent statements.
pub const STATEMENT: &str = "application/scitt-statement+cose";

/// The transaction id of an entry, as CCF's clients want it.
fn transaction(index: u64) -> String {
    format!("1.{index}")
}

/// Reads a transaction id; the view is always 1.
fn index_of(transaction: &str) -> R<u64> {
    let unknown = || Refusal::new(Code::NotFound, "there is no such entry; ids are like 1.42");
    let digits = transaction.strip_prefix("1.").ok_or_else(unknown)?;
    let index: u64 = digits.parse().map_err(|_| unknown())?;
    if index.to_string() == digits { Ok(index) } else { Err(unknown()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transactions_have_one_spelling() {
        assert_eq!(index_of(&transaction(42)).unwrap(), 42);
        for bad in ["", "42", "2.42", "1.", "1.042", "1.-1", "1.+1", "1.4 ", "1.99999999999999999999"] {
            assert_eq!(index_of(bad).unwrap_err().code, Code::NotFound, "{bad}");
        }
    }
}
