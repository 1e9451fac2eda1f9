//! Contracts as kept rows: the signed bytes in a row of their own, written once; what changes with every signature in a
//! small one beside it.

use std::borrow::Cow;
use std::sync::Arc;

use schemas::contract::{Contract, ContractState};
use schemas::envelope::PartySignature;
use schemas::id::{Did, RunId};
use schemas::text::Bytes;
use schemas::{Code, Digest, R, Refusal, Timestamp};
use serde::{Deserialize, Serialize};

use super::rows::{ChangedRow, StoredRow, decode, encode};
use super::table::Table;
use super::{ContractRow, Ending, Latest, Suspension};

/// The rows that change.
pub(super) const CONTRACTS: &str = "contracts";
/// The signed bytes, as they are.
pub(super) const TEXTS: &str = "contract_texts";

/// A contract without its text.
#[derive(Serialize, Deserialize)]
struct Kept<'a> {
    signatures: Cow<'a, [PartySignature]>,
    signed: Cow<'a, [u64]>,
    proposer: Cow<'a, Did>,
    proposed: u64,
    lapses_at: Timestamp,
    countersigns: bool,
    executed: Option<u64>,
    ended: Option<Ending>,
    suspended: Cow<'a, Option<Suspension>>,
    stops: Cow<'a, Latest>,
    revokes_at: Option<Timestamp>,
    noticed: Option<u64>,
    amends: Option<Digest>,
    amendment: Option<Digest>,
    runs: Cow<'a, [RunId]>,
    waiting: Cow<'a, [Digest]>,
    told: Option<ContractState>,
}

fn kept(row: &ContractRow) -> R<Vec<u8>> {
    // Taken apart so that a new member without its place does not compile.
    let ContractRow {
        contract: _,
        sha256: _,
        payload: _,
        signatures,
        signed,
        proposer,
        proposed,
        lapses_at,
        countersigns,
        executed,
        ended,
        suspended,
        stops,
        revokes_at,
        noticed,
        amends,
        amendment,
        runs,
        waiting,
        told,
    } = row;
    encode(&Kept {
        signatures: Cow::Borrowed(signatures),
        signed: Cow::Borrowed(signed),
        proposer: Cow::Borrowed(proposer),
        proposed: *proposed,
        lapses_at: *lapses_at,
        countersigns: *countersigns,
        executed: *executed,
        ended: *ended,
        suspended: Cow::Borrowed(suspended),
        stops: Cow::Borrowed(stops),
        revokes_at: *revokes_at,
        noticed: *noticed,
        amends: *amends,
        amendment: *amendment,
        runs: Cow::Borrowed(runs),
        waiting: Cow::Borrowed(waiting),
        told: *told,
    })
}

/// Both rows of every contract.
pub(super) fn stored(table: &Table<Digest, ContractRow>) -> impl Iterator<Item = R<StoredRow>> + '_ {
    let changing = table.iter().map(|(key, row)| Ok((CONTRACTS, encode(key)?, kept(row)?)));
    changing.chain(table.iter().map(|(key, row)| Ok((TEXTS, encode(key)?, row.payload.0.clone()))))
}

/// What changed; the text of a contract comes and goes with it, and never changes.
pub(super) fn changes(
    table: &Table<Digest, ContractRow>,
    older: &Table<Digest, ContractRow>,
    into: &mut Vec<ChangedRow>,
) -> R<()> {
    for (key, row) in table.changed_since(older) {
        into.push((CONTRACTS, encode(key)?, row.map(kept).transpose()?));
        if row.is_none() || !older.contains(key) {
            into.push((TEXTS, encode(key)?, row.map(|row| row.payload.0.clone())));
        }
    }
    Ok(())
}

/// One half of a kept contract: its digest and the encoded bytes.
type Half = (Digest, Vec<u8>);

/// Rows of contracts on the way in: text and rest meet by their key.
#[derive(Default)]
pub(super) struct Halves {
    texts: Vec<Half>,
    rests: Vec<Half>,
}

impl Halves {
    pub(super) fn text(&mut self, key: &[u8], value: &[u8]) -> R<()> {
        self.texts.push((decode(key)?, value.to_vec()));
        Ok(())
    }

    pub(super) fn rest(&mut self, key: &[u8], value: &[u8]) -> R<()> {
        self.rests.push((decode(key)?, value.to_vec()));
        Ok(())
    }

    /// The contracts, read on two threads when they are many. A half without the other is refused.
    pub(super) fn join(mut self) -> R<Vec<(Digest, ContractRow)>> {
        let bad = || Refusal::new(Code::LogTampered, "a row of a contract lacks its other half");
        self.texts.sort_by_key(|(key, _)| *key);
        self.rests.sort_by_key(|(key, _)| *key);
        if self.texts.len() != self.rests.len() {
            return Err(bad());
        }
        let pairs: Vec<_> = self.texts.into_iter().zip(self.rests).collect();
        if pairs.iter().any(|(text, rest)| text.0 != rest.0) {
            return Err(bad());
        }
        let read = |half: &[(Half, Half)]| {
            half.iter().map(|((key, text), (_, rest))| Ok((*key, row(*key, text, rest)?))).collect::<R<Vec<_>>>()
        };
        if pairs.len() < 256 {
            return read(&pairs);
        }
        let (first, second) = pairs.split_at(pairs.len() / 2);
        std::thread::scope(|scope| {
            let other = scope.spawn(|| read(second));
            let mut all = read(first)?;
            all.extend(other.join().map_err(|_| bad())??);
            Ok(all)
        })
    }
}

fn row(sha256: Digest, text: &[u8], rest: &[u8]) -> R<ContractRow> {
    let contract: Contract = decode(text)?;
    let kept: Kept = decode(rest)?;
    Ok(ContractRow {
        contract: Arc::new(contract),
        sha256,
        payload: Arc::new(Bytes(text.to_vec())),
        signatures: kept.signatures.into_owned(),
        signed: kept.signed.into_owned(),
        proposer: kept.proposer.into_owned(),
        proposed: kept.proposed,
        lapses_at: kept.lapses_at,
        countersigns: kept.countersigns,
        executed: kept.executed,
        ended: kept.ended,
        suspended: kept.suspended.into_owned(),
        stops: kept.stops.into_owned(),
        revokes_at: kept.revokes_at,
        noticed: kept.noticed,
        amends: kept.amends,
        amendment: kept.amendment,
        runs: kept.runs.into_owned(),
        waiting: kept.waiting.into_owned(),
        told: kept.told,
    })
}
