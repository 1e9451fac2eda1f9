//! The transparency log: checkpoint and tiles for everyone, entries and their receipts for those whom they concern.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use policies::lifecycle::State;
use schemas::desk::{ConsistencyProof, ContractEvent};
use schemas::event::Body;
use schemas::id::{Did, DisputeId, RunId};
use schemas::job::JobSpec;
use schemas::log::ExportedEntry;
use schemas::{Code, Digest, R, Refusal};

use crate::app::App;
use crate::auth::oversight;
use crate::auth::roles::{Caller, caller};
use crate::call::{Answer, Call};
use crate::error::fault;
use crate::routes::receipts;

/// The newest checkpoint note, with the cosignatures of witnesses that have seen it.
pub fn checkpoint(app: &App, _: &Call) -> R<Answer> {
    let note = app.registry.checkpoint()?;
    Ok(Answer::text(note.text()))
}

/// The newest checkpoint that enough witnesses have cosigned, at most ten minutes ago.
pub fn cosigned(app: &App, _: &Call) -> R<Answer> {
    let missing = || Refusal::new(Code::NotFound, "no checkpoint of the last ten minutes is cosigned");
    app.cosigned.newest(app.now()).map(|note| Answer::text(note.text())).ok_or_else(missing)
}

/// A tile (C2SP tlog-tiles): 256 hashes, or fewer at the right edge as `<N>.p/<W>`.
pub fn tile(app: &App, call: &Call) -> R<Answer> {
    let level: u8 = part(call, "level").parse().map_err(|_| no_tile())?;
    let (index, width) = tile_path(part(call, "tail")).ok_or_else(no_tile)?;
    packed(call, app.registry.tile(level, index, width)?)
}

/// A tile of public records, each as a big-endian 16-bit length and its bytes.
pub fn entries(app: &App, call: &Call) -> R<Answer> {
    let (index, width) = tile_path(part(call, "tail")).ok_or_else(no_tile)?;
    packed(call, app.registry.entry_tile(index, width)?)
}

fn part<'a>(call: &'a Call, name: &str) -> &'a str {
    call.params.get(name).map(String::as_str).unwrap_or_default()
}

fn no_tile() -> Refusal {
    Refusal::new(Code::NotFound, "no such tile")
}

/// A tile never changes under its path; it is packed where the caller takes gzip.
fn packed(call: &Call, tile: Vec<u8>) -> R<Answer> {
    const CACHE: &str = "public, max-age=31536000, immutable";
    let answer = |body| Answer::of(200, "application/octet-stream", CACHE, body).with("vary", "accept-encoding");
    if !takes_gzip(call.header("accept-encoding").unwrap_or_default()) {
        return Ok(answer(tile));
    }
    let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
    let packed = packer.write_all(&tile).and_then(|()| packer.finish()).map_err(fault)?;
    Ok(answer(packed).with("content-encoding", "gzip"))
}

/// Whether a list of codings (RFC 9110 12.5.3) names gzip and does not give it the weight 0.
pub(crate) fn takes_gzip(codings: &str) -> bool {
    let named = |coding: &&str| coding.split(';').next().is_some_and(|name| name.trim() == "gzip");
    let coding = codings.split(',').find(named);
    coding.is_some_and(|c| !matches!(c.split_once("q=").map(|(_, q)| q.trim().trim_matches('0')), Some("" | ".")))
}

/// Reads `x001/x234/067` and `x001/x234/067.p/5`.
fn tile_path(path: &str) -> Option<(u64, u64)> {
    let (number, width) = match path.split_once(".p/") {
        Some((number, width)) => (number, width.parse().ok().filter(|w| (1..256).contains(w))?),
        None => (path, 256u64),
    };
    let parts: Vec<&str> = number.split('/').collect();
    let (last, head) = parts.split_last()?;
    let mut index = 0u64;
    for part in head.iter().map(|p| p.strip_prefix('x')).chain([Some(*last)]) {
        let digits = part.filter(|p| p.len() == 3 && p.bytes().all(|b| b.is_ascii_digit()))?;
        index = index.checked_mul(1000)?.checked_add(digits.parse().ok()?)?;
    }
    Some((index, width))
}

/// A consistency proof between two sizes.
pub fn consistency(app: &App, call: &Call) -> R<Answer> {
    let (old, new) = (call.number("old", 0)?, call.number("new", 0)?);
    Answer::ok(&ConsistencyProof { proof: app.registry.consistency(old, new)? })
}

/// The receipt of an entry, for those whom it concerns.
pub fn receipt(app: &App, call: &Call) -> R<Answer> {
    let state = app.registry.state();
    let entry = concerning(app, call, &state, |_| true)?;
    receipts::answer(app, call, &state, &entry)
}

/// An act with what it says, who signed it and why, for those whom it concerns.
pub fn entry(app: &App, call: &Call) -> R<Answer> {
    let state = app.registry.state();
    let ExportedEntry { index, record, body, .. } = concerning(app, call, &state, is_act)?;
    Answer::ok(&ContractEvent { index, at: record.at, body, receipt: app.registry.receipt(index)? })
}

/// Whether every word of a body is for all whom its entry concerns: acts on contracts, runs and datasets. Of others not
/// all is: an offer says where its key lies, an answer of a payment system how the bank calls it. A new kind of body is
/// read by nobody here until it is named.
fn is_act(body: &Body) -> bool {
    matches!(
        body,
        Body::ContractProposed { .. }
            | Body::ContractSigned { .. }
            | Body::ContractExecuted { .. }
            | Body::ContractDeclined { .. }
            | Body::ContractRevoked { .. }
            | Body::ContractWithdrawn { .. }
            | Body::ContractSuspended { .. }
            | Body::ContractResumed { .. }
            | Body::ContractTerminated { .. }
            | Body::RunAborted { .. }
            | Body::RunLost { .. }
            | Body::DatasetChanged { .. }
    )
}

/// The entry that the path names, where it is wanted and the caller's business; others, foreign and unknown ones look
/// alike. That an overseer reads a private one is entered first.
fn concerning(app: &App, call: &Call, state: &State, wanted: fn(&Body) -> bool) -> R<ExportedEntry> {
    let caller = caller(app, call, state)?;
    let unknown = || Refusal::new(Code::NotFound, "no such entry concerns you");
    let index: u64 = call.params.get("index").and_then(|text| text.parse().ok()).ok_or_else(unknown)?;
    let found = app.registry.entries(index, 1)?.pop().filter(|e| e.index == index);
    let entry = found.filter(|e| wanted(&e.body)).ok_or_else(unknown)?;
    let audience = audience(state, &entry.body)?.filter(|a| a.holds(state, &caller)).ok_or_else(unknown)?;
    if !matches!(audience, Audience::Public) {
        oversight::enter(app, &caller, index, 1)?;
    }
    Ok(entry)
}

/// Whose business an entry is.
enum Audience {
    /// Everyone's.
    Public,
    /// Of the parties of a contract, and of those who oversee.
    Contract(Digest),
    /// Of those who may read about the job of a run.
    Run(RunId),
    /// Of those who may read about a job.
    Job(Box<JobSpec>),
    /// Of those whom a dispute names.
    Money(String),
    /// Of one holder and the SRO.
    Own(Did),
    /// Of the SRO alone.
    Sro,
}

/// Whose business this is; none for what no longer has anybody, like a payment that is not known. A new kind of body is
/// nobody's until it is named here.
fn audience(state: &State, body: &Body) -> R<Option<Audience>> {
    use Audience::{Contract, Job, Money, Own, Public, Run, Sro};
    Ok(Some(match body {
        Body::Genesis { .. }
        | Body::ParticipantApplied { .. }
        | Body::ParticipantDecided { .. }
        | Body::ImageSetApproved { .. }
        | Body::DatasetRegistered { .. }
        | Body::ParticipantLeft { .. }
        | Body::KeyChanged { .. }
        | Body::ImageSetRevoked { .. }
        | Body::TemplateApproved { .. }
        | Body::DataSchemaApproved { .. }
        | Body::DatasetChanged { .. }
        | Body::BudgetRenewed { .. }
        | Body::StatementRegistered { .. }
        | Body::LogKeyRotated { .. }
        | Body::TwinRoot { .. } => Public,
        Body::ContractProposed { contract } | Body::ContractExecuted { contract } => Contract(contract.digest()),
        Body::ContractSigned { contract, .. }
        | Body::ContractTimed { contract, .. }
        | Body::PaymentsTimed { contract, .. }
        | Body::ContractCompleted { contract, .. } => Contract(contract.sha256),
        Body::ContractDeclined { decline } => Contract(decline.read_unverified()?.contract.sha256),
        Body::ContractRevoked { revoke } => Contract(revoke.read_unverified()?.contract.sha256),
        Body::ContractWithdrawn { withdraw } => Contract(withdraw.read_unverified()?.contract.sha256),
        Body::ContractSuspended { suspend } => Contract(suspend.read_unverified()?.contract.sha256),
        Body::ContractResumed { resume } => Contract(resume.read_unverified()?.contract.sha256),
        Body::ContractTerminated { terminate } => Contract(terminate.read_unverified()?.contract.sha256),
        Body::RunOrdered { job } => Job(Box::new(job.read_unverified()?)),
        Body::RunCheckedIn { run_id, .. } | Body::ModelHandedOver { run_id } | Body::RunLost { run_id } => {
            Run(run_id.clone())
        }
        Body::KmsStated { receipt } => Run(receipt.read_unverified()?.run_id),
        Body::RunReported { event } => Run(event.read_unverified()?.run_id),
        Body::RunAborted { abort } => Run(abort.read_unverified()?.run_id),
        Body::RunCompleted { completion, .. } => Run(completion.read_unverified()?.run_id),
        Body::PaymentAnswered { callback } => match state.payment(&callback.read_unverified()?.instruction_id) {
            Some(row) => Contract(row.obligation.contract.sha256),
            None => Money(DisputeId::derived(&callback.digest()).to_string()),
        },
        // An answer that nothing explained, a dispute, a batch: theirs whom the books name.
        Body::PaymentUnmatched { .. } | Body::DisputeOpened { .. } | Body::DisputeAnswered { .. } => {
            Money(state.subject(body)?)
        }
        Body::DisputeRuled { .. } | Body::DisputeClosed { .. } => Money(state.subject(body)?),
        Body::RevenueStated { statement } => Contract(statement.read_unverified()?.contract.sha256),
        Body::PaymentRetried { obligation_id } => match state.payment(obligation_id) {
            Some(row) => Contract(row.obligation.contract.sha256),
            None => Sro,
        },
        Body::EscrowTimedOut { job_sha256 } => match state.order(job_sha256) {
            Some(order) => Job(Box::new(order.job.clone())),
            None => Sro,
        },
        Body::PayoutEntered { batch } => Own(batch.read_unverified()?.provider),
        Body::DigestAnchored { by, .. } => Own(by.clone()),
        Body::BodiesRead { .. } | Body::SubjectErased { .. } | Body::Erased { .. } => Sro,
    }))
}

impl Audience {
    fn holds(&self, state: &State, caller: &Caller) -> bool {
        match self {
            Audience::Public => true,
            Audience::Contract(sha256) => state.contract(sha256).is_some_and(|row| caller.reads(&row.contract)),
            Audience::Run(id) => {
                let job = state.run(id).and_then(|run| state.job_of(run).ok());
                job.is_some_and(|job| caller.reads_job(state, job))
            }
            Audience::Job(job) => caller.reads_job(state, job),
            Audience::Money(dispute) => super::disputes::reads(state, caller, dispute),
            Audience::Own(did) => caller.is_sro() || did == caller.did(),
            Audience::Sro => caller.is_sro(),
        }
    }
}

/// Whether an entry is the caller's business: public kinds are everyone's, the rest the parties' and the SRO's.
pub(crate) fn concerns(state: &State, caller: &Caller, body: &Body) -> R<bool> {
    Ok(audience(state, body)?.is_some_and(|audience| audience.holds(state, caller)))
}

#[cfg(test)]
mod tests {
    use super::{takes_gzip, tile_path};

    #[test]
    fn gzip_is_taken_where_it_is_named() {
        for yes in ["gzip", "br, gzip", "gzip;q=0.5", "deflate, gzip;q=1.0, *;q=0"] {
            assert!(takes_gzip(yes), "{yes}");
        }
        for no in ["", "br", "identity", "gzip;q=0", "gzip;q=0.0", "xgzip"] {
            assert!(!takes_gzip(no), "{no}");
        }
    }

    #[test]
    fn tiles_have_one_spelling() {
        assert_eq!(tile_path("067"), Some((67, 256)));
        assert_eq!(tile_path("x001/x234/067"), Some((1_234_067, 256)));
        assert_eq!(tile_path("000.p/5"), Some((0, 5)));
        for bad in ["", "67", "x001", "001/067", "000.p/0", "000.p/256", "000.p/x", "0x0"] {
            assert_eq!(tile_path(bad), None, "{bad}");
        }
    }
}
