//! The forms of a receipt: JSON, C2SP tlog-proof, COSE over either tree, and the self-sufficient bundle of a contract.

use policies::lifecycle::State;
use schemas::bundle::Logged;
use schemas::desk::{ContractReceipt, LoggedApplication, Receipted};
use schemas::event::Body;
use schemas::id::Did;
use schemas::log::{Checkpoint, ExportedEntry, Receipt};
use schemas::{Code, Digest, R, Refusal};
use signing::tlog_proof::TlogProof;

use crate::app::App;
use crate::call::{Answer, Call};
use crate::error::fault;
use crate::scitt::RECEIPT;
use crate::scitt::receipts::{self, Vds};

/// The media type of a contract's bundle.
pub const BUNDLE: &str = "application/depa-receipt+json";

/// Forms of receipts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Form {
    Json,
    TlogProof,
    Cose,
    Bundle,
}

/// By the parameter `form`, or else by the Accept header.
fn form(call: &Call) -> R<Form> {
    if let Some(form) = call.query.get("form") {
        return match form.as_str() {
            "json" => Ok(Form::Json),
            "tlog-proof" => Ok(Form::TlogProof),
            "cose" => Ok(Form::Cose),
            "bundle" => Ok(Form::Bundle),
            _ => Err(Refusal::new(Code::NotAcceptable, "form is json, tlog-proof, cose or bundle").at("form")),
        };
    }
    let accept = call.header("accept").unwrap_or_default();
    let named = [("application/json", Form::Json), ("text/plain", Form::TlogProof), (RECEIPT, Form::Cose)];
    let named = named.into_iter().chain([(BUNDLE, Form::Bundle)]);
    let first = named.filter_map(|(media, form)| accept.find(media).map(|at| (at, form))).min_by_key(|(at, _)| *at);
    Ok(first.map_or(Form::Json, |(_, form)| form))
}

/// The receipt of an entry in the form that is asked for.
pub fn answer(app: &App, call: &Call, state: &State, entry: &ExportedEntry) -> R<Answer> {
    let index = entry.index;
    match form(call)? {
        Form::Json => Answer::ok(&Receipted { receipt: app.registry.receipt(index)? }),
        Form::TlogProof => tlog_proof(app, index),
        Form::Cose => {
            let vds = call.query.get("vds").map_or(Ok(Vds::Rfc9162), |text| Vds::parse(text))?;
            Ok(Answer::of(200, RECEIPT, "no-store", receipts::receipt(app, index, vds)?))
        }
        Form::Bundle => {
            let body = serde_json::to_vec(&bundle(app, state, &entry.body)?).map_err(fault)?;
            Ok(Answer::of(200, BUNDLE, "no-store", body))
        }
    }
}

/// The receipt of an entry under the newest checkpoint that enough witnesses have cosigned, so that it satisfies whoever asks
/// for them; under the newest of all where that is of before the entry.
pub fn under_witnesses(app: &App, index: u64) -> R<Receipt> {
    match app.cosigned.newest(app.now()) {
        Some(note) if note.head.size > index => app.registry.receipt_under(index, &note),
        _ => app.registry.receipt(index),
    }
}

/// The proof as text. The record, which is the leaf, stands in its `extra` line; the checkpoint carries the cosignatures
/// that have come in.
fn tlog_proof(app: &App, index: u64) -> R<Answer> {
    let receipt = under_witnesses(app, index)?;
    let newest = app.registry.checkpoint()?;
    let same = newest.head == Checkpoint::parse(&receipt.checkpoint)?.head;
    let checkpoint = if same { newest.text() } else { receipt.checkpoint };
    let proof = TlogProof { extra: Some(receipt.record.bytes()?), index, path: receipt.path, checkpoint };
    Ok(Answer::text(proof.text()))
}

/// Everything that shows offline that a contract is in force by its parties' signatures.
fn bundle(app: &App, state: &State, body: &Body) -> R<ContractReceipt> {
    let Body::ContractExecuted { contract } = body else {
        return Err(Refusal::new(Code::NotAcceptable, "only the entry of a fully signed contract has a bundle"));
    };
    let missing = || Refusal::new(Code::ContractUnknown, "no such contract");
    let row = state.contract(&contract.digest()).ok_or_else(missing)?;
    let receipt = app.registry.receipt(row.executed.ok_or_else(missing)?)?;
    let parties = row.contract.parties.iter().map(|party| &party.did);
    let participants = parties.clone().map(|did| super::contracts::participant(app, state, did)).collect::<R<_>>()?;
    let applications = parties.map(|did| application(app, state, did)).collect::<R<_>>()?;
    let cosigned = app.cosigned.newest(app.now());
    let consistency = match &cosigned {
        Some(note) => between(app, note, &Checkpoint::parse(&receipt.checkpoint)?)?,
        None => Vec::new(),
    };
    Ok(ContractReceipt {
        registry: app.did().clone(),
        origin: app.origin().to_owned(),
        contract: Logged { envelope: contract.clone(), receipt },
        applications,
        participants,
        cosigned: cosigned.map(|note| note.text()),
        consistency,
        log_keys: app.lineage(),
    })
}

/// Consistency from the smaller to the larger of two heads of this log.
fn between(app: &App, one: &Checkpoint, other: &Checkpoint) -> R<Vec<Digest>> {
    let (a, b) = (one.head.size, other.head.size);
    if a == b { Ok(Vec::new()) } else { app.registry.consistency(a.min(b), a.max(b)) }
}

/// A participant's application as entered, found among the entries of the participant.
fn application(app: &App, state: &State, did: &Did) -> R<LoggedApplication> {
    let missing = || Refusal::new(Code::ParticipantNotVerified, format!("{did} is not verified"));
    let row = state.participant(did).ok_or_else(missing)?;
    for index in row.entries.iter().rev() {
        let entry = app.registry.entries(*index, 1)?.pop().filter(|e| e.index == *index);
        if let Some(Body::ParticipantApplied { application, resolution }) = entry.map(|e| e.body) {
            return Ok(LoggedApplication { application, resolution, receipt: app.registry.receipt(*index)? });
        }
    }
    Err(missing())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(query: &[(&str, &str)], accept: &str) -> R<Form> {
        let query = query.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        form(&Call { query, headers: [("accept", accept.to_owned())].into(), ..Call::default() })
    }

    #[test]
    fn the_form_follows_the_parameter_then_the_header() {
        assert_eq!(asked(&[], "*/*").unwrap(), Form::Json);
        assert_eq!(asked(&[], "text/plain, application/json").unwrap(), Form::TlogProof);
        assert_eq!(asked(&[], "application/json, text/plain").unwrap(), Form::Json);
        assert_eq!(asked(&[], RECEIPT).unwrap(), Form::Cose);
        assert_eq!(asked(&[], BUNDLE).unwrap(), Form::Bundle);
        assert_eq!(asked(&[("form", "cose")], "text/plain").unwrap(), Form::Cose);
        assert_eq!(asked(&[("form", "pdf")], "*/*").unwrap_err().code, Code::NotAcceptable);
    }
}
