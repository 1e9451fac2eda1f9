//! Registering statements and reading them back, with their receipts.

use schemas::event::Body;
use schemas::text::Bytes;
use schemas::{Code, R, Refusal};
use serde_json::json;
use signing::scitt;

use super::client::{Client, words};
use super::receipts::{Vds, receipt};
use super::{COSE, RECEIPT, STATEMENT, contract, index_of, transaction};
use crate::app::App;
use crate::call::{Answer, Call};

/// First two bytes of a COSE_Sign message: tag 98, the form of contracts.
const SIGN: [u8; 2] = [0xd8, 98];
/// Transaction ids of one page.
const PAGE: u64 = 10_000;

/// Registers a signed statement, or takes in a contract.
pub fn register(app: &App, call: &Call) -> R<Answer> {
    let client = Client::of(call);
    let index = if call.body.starts_with(&SIGN) { contract::take(app, &call.body) } else { enter(app, &call.body) };
    client.told(index.and_then(|index| registered(app, call, client, index)))
}

/// Enters a statement whose issuer is a verified participant.
fn enter(app: &App, body: &[u8]) -> R<u64> {
    let statement = scitt::read(body)?;
    let (issuer, statement) = (statement.issuer, Bytes(statement.stripped));
    Ok(app.enter(Body::StatementRegistered { issuer, statement })?.receipt.index)
}

fn registered(app: &App, call: &Call, client: Client, index: u64) -> R<Answer> {
    let id = transaction(index);
    let (entry, operation) = (format!("{}/entries/{id}", app.url()), format!("{}/operations/{id}", app.url()));
    match client {
        Client::Scrapi if call.header("prefer").is_some_and(|wish| wish.contains("respond-async")) => {
            Ok(Answer::of(303, RECEIPT, "no-store", Vec::new()).with("location", entry))
        }
        Client::Scrapi => {
            let receipt = receipt(app, index, wished(call, Vds::Rfc9162)?)?;
            Ok(Answer::of(201, RECEIPT, "no-store", receipt).with("location", entry))
        }
        Client::Pyscitt => {
            Ok(words(202, &[("OperationId", &id), ("Status", "succeeded")])?.with("location", operation))
        }
        Client::Ledger => Ok(Answer::json(202, &json!({"operationId": id}))?.with("location", operation)),
    }
}

/// An entry: its receipt, or the statement with receipts, as the client asks.
pub fn read(app: &App, call: &Call) -> R<Answer> {
    let client = Client::of(call);
    client.told(answer(app, call, client))
}

fn answer(app: &App, call: &Call, client: Client) -> R<Answer> {
    let index = index_of(call.params.get("id").map_or("", String::as_str))?;
    let accepts = |media: &str| call.header("accept").is_some_and(|accept| accept.contains(media));
    match client {
        Client::Scrapi if accepts(STATEMENT) => {
            let receipts = [receipt(app, index, Vds::Rfc9162)?, receipt(app, index, Vds::Ccf)?];
            let statement = scitt::with_receipts(&statement(app, index)?, &receipts)?;
            Ok(Answer::of(200, STATEMENT, "no-cache", statement))
        }
        Client::Scrapi => {
            let receipt = receipt(app, index, wished(call, Vds::Rfc9162)?)?;
            Ok(Answer::of(200, RECEIPT, "no-cache", receipt))
        }
        Client::Pyscitt => Ok(Answer::of(200, COSE, "no-cache", receipt(app, index, wished(call, Vds::Ccf)?)?)),
        Client::Ledger => embedded(app, call, index),
    }
}

/// A contract with its receipts for its parties; a statement for everyone. With `embedReceipt=false` without receipt.
fn embedded(app: &App, call: &Call, index: u64) -> R<Answer> {
    let receipts = match call.query.get("embedReceipt").map(String::as_str) {
        Some("false") => Vec::new(),
        _ => vec![receipt(app, index, Vds::Ccf)?],
    };
    let message = match statement(app, index) {
        Ok(statement) => scitt::with_receipts(&statement, &receipts)?,
        Err(_) => contract::message(app, call, index, &receipts)?,
    };
    Ok(Answer::of(200, COSE, "no-cache", message))
}

/// The receipt of an entry by itself.
pub fn receipt_of(app: &App, call: &Call) -> R<Answer> {
    let client = Client::of(call);
    let made = index_of(call.params.get("id").map_or("", String::as_str))
        .and_then(|index| receipt(app, index, wished(call, Vds::Ccf)?));
    client.told(made.map(|receipt| Answer::of(200, super::CBOR, "no-cache", receipt)))
}

/// The transparent statement as pyscitt wants it: receipts of the CCF shape only, since it verifies every one of them.
pub fn statement_of(app: &App, call: &Call) -> R<Answer> {
    let client = Client::of(call);
    let made = index_of(call.params.get("id").map_or("", String::as_str)).and_then(|index| {
        let receipts = [receipt(app, index, wished(call, Vds::Ccf)?)?];
        scitt::with_receipts(&statement(app, index)?, &receipts)
    });
    client.told(made.map(|statement| Answer::of(200, COSE, "no-cache", statement)))
}

/// The statement as it stands in the log. Private bodies and unknown entries look alike.
fn statement(app: &App, index: u64) -> R<Vec<u8>> {
    let unknown = || Refusal::new(Code::NotFound, "there is no public statement under this id");
    match app.registry.entries(index, 1)?.pop().filter(|e| e.index == index).map(|e| e.body) {
        Some(Body::StatementRegistered { statement, .. }) => Ok(statement.0),
        _ => Err(unknown()),
    }
}

fn wished(call: &Call, default: Vds) -> R<Vds> {
    call.query.get("vds").map_or(Ok(default), |text| Vds::parse(text))
}

/// Transaction ids of statements and contracts between two indices, 10,000 entries of the log per page.
pub fn transactions(app: &App, call: &Call) -> R<Answer> {
    let client = Client::of(call);
    client.told(page(app, call))
}

fn page(app: &App, call: &Call) -> R<Answer> {
    let size = app.registry.head()?.size;
    let number = |name: &str, default: u64| match call.query.get(name) {
        Some(text) => text.parse().or_else(|_| index_of(text)).map_err(|_| {
            Refusal::new(Code::MalformedNumber, format!("{name} is an index or a transaction id")).at(name)
        }),
        None => Ok(default),
    };
    let (from, last) = (number("from", 0)?, number("to", size.saturating_sub(1))?.min(size.saturating_sub(1)));
    let end = (last + 1).min(from.saturating_add(PAGE)).min(size);
    let mut ids = Vec::new();
    let mut at = from;
    while at < end {
        let (tile, skip) = (at / registry::TILE, at % registry::TILE);
        let width = (end - tile * registry::TILE).min(registry::TILE);
        let kinds = kinds(&app.registry.entry_tile(tile, width)?)?;
        let kept = kinds.iter().enumerate().skip(usize::try_from(skip).unwrap_or_default());
        let told = kept.filter(|(_, kind)| matches!(kind.as_str(), "statement_registered" | "contract_proposed"));
        ids.extend(told.map(|(n, _)| transaction(tile * registry::TILE + n as u64)));
        at = tile * registry::TILE + width;
    }
    let mut body = json!({"transactionIds": ids});
    if end <= last && end < size && end > from {
        body["nextLink"] = json!(format!("/entries/txIds?from={end}&to={last}"));
    }
    Answer::ok(&body)
}

/// The kinds in a tile of records.
fn kinds(tile: &[u8]) -> R<Vec<String>> {
    let cut = || crate::error::fault("a tile of records is cut short");
    let (mut rest, mut kinds) = (tile, Vec::new());
    while let Some((length, tail)) = rest.split_first_chunk::<2>() {
        let (record, tail) = tail.split_at_checked(usize::from(u16::from_be_bytes(*length))).ok_or_else(cut)?;
        kinds.push(schemas::canonical::parse::<schemas::log::Record>(record)?.kind);
        rest = tail;
    }
    Ok(kinds)
}
