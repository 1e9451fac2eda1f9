//! ISO 20022: credit transfers out (pain.001.001.09), status reports (pain.002) and account reports (camt.052, camt.053,
//! camt.054) in. A strict reader of our own over quick-xml: no document type, no entities, bounded depth and size.

pub mod initiation;
pub mod statement;
pub mod status;
pub mod xml;

use std::collections::BTreeMap;

use schemas::{Code, R, Refusal};

use crate::instruction::{End, Instruction};
use crate::provider::News;

/// A file of a bank, read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BankFile {
    /// Like `camt.053`.
    pub kind: &'static str,
    /// The bank's id of the message.
    pub message: String,
    /// What it tells.
    pub news: Vec<News>,
}

/// Reads a file of a bank. `BODY_TOO_LARGE` beyond `limit` bytes, `PAYMENT_FILE` where it is none that is understood.
pub fn read(bytes: &[u8], limit: u64) -> R<BankFile> {
    if bytes.len() as u64 > limit {
        return Err(Refusal::new(Code::BodyTooLarge, format!("a bank's file has at most {limit} bytes")));
    }
    let root = xml::read(bytes)?;
    let unknown = || bad("no pain.002, camt.052, camt.053 or camt.054 of ISO 20022");
    let space = root.namespace.as_deref().and_then(|s| s.strip_prefix("urn:iso:std:iso:20022:tech:xsd:"));
    let space = space.filter(|_| root.name == "Document").ok_or_else(unknown)?;
    let kind = match space.get(..8) {
        Some("pain.002") => "pain.002",
        Some("camt.052") => "camt.052",
        Some("camt.053") => "camt.053",
        Some("camt.054") => "camt.054",
        _ => return Err(unknown()),
    };
    let (message, news) = match kind {
        "pain.002" => status::read(&root)?,
        _ => statement::read(&root)?,
    };
    if message.is_empty() || message.chars().count() > 35 {
        return Err(bad("a message has an id of at most 35 characters"));
    }
    Ok(BankFile { kind, message, news })
}

/// The payment informations of a file: the instructions of one debtor in one currency each, always in the same order.
pub fn parts(instructions: &[Instruction]) -> Vec<Vec<&Instruction>> {
    let mut parts: BTreeMap<(String, &str), Vec<&Instruction>> = BTreeMap::new();
    for instruction in instructions {
        let debtor = match instruction.ends().0 {
            End::Holder => String::new(),
            End::Participant(did) => did.to_string(),
        };
        parts.entry((debtor, instruction.currency.as_str())).or_default().push(instruction);
    }
    parts.into_values().collect()
}

/// The id of a part: at most 35 characters.
pub fn part_id(batch: &str, part: usize) -> String {
    format!("{}-{part}", batch.get(..30).unwrap_or(batch))
}

/// The place of a part with this id in a batch; none where the id is not of that batch.
pub fn part_number(batch: &str, id: &str) -> Option<usize> {
    let number = id.rsplit_once('-')?.1.parse().ok()?;
    (part_id(batch, number) == id).then_some(number)
}

fn bad(why: impl Into<String>) -> Refusal {
    Refusal::new(Code::PaymentFile, why)
}
