//! Payouts to data principals: the provider splits the pool by its own weights; each principal gets its line with a proof.

use std::collections::BTreeMap;

use contract_client::Client;
use policies::money::payout::{MOST_SETTLED, Principal, Tree, lines_fit, proof_fits, split, weights_sha256};
use schemas::desk::PayoutView;
use schemas::event::Body;
use schemas::id::{DatasetId, Did};
use schemas::log::{Checkpoint, Receipt};
use schemas::money::{Currency, Minor};
use schemas::payout::{PayoutBatch, PayoutLine, PayoutProof, PrincipalPool};
use schemas::text::Bytes;
use schemas::{Code, Digest, Document, Envelope, R, Refusal, Timestamp};
use serde::{Deserialize, Serialize};
use signing::{Signer, Trust, note};

use crate::audit::quorum;

/// A batch with all its lines: the provider's own file, for nobody else. The next batch is made from it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchFile {
    /// Always 1.
    pub v: u8,
    /// The batch as it was signed.
    pub batch: Envelope<PayoutBatch>,
    /// Its lines in the order of their leaves.
    pub lines: Vec<PayoutLine>,
}

/// Reads weights: a line `principal,weight` each, no header, `#` begins a comment. Each principal gets a salt.
pub fn weights(text: &str, mut salt: impl FnMut() -> R<[u8; 32]>) -> R<Vec<Principal>> {
    let mut people = Vec::new();
    for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#')) {
        let bad = || Refusal::new(Code::ConfigInvalid, format!("line {}: a line is principal,weight", at + 1));
        let (principal, weight) = line.rsplit_once(',').ok_or_else(bad)?;
        let weight = weight.trim().parse().map_err(|_| bad())?;
        let salt = Bytes(salt()?.to_vec());
        people.push(Principal { principal: principal.trim().to_owned(), salt, weight, carried: Minor::new(0)? });
    }
    Ok(people)
}

/// The principals after a batch, with what it carried forward.
pub fn carried(before: &BatchFile) -> Vec<Principal> {
    let person = |line: &PayoutLine| Principal {
        principal: line.principal.clone(),
        salt: line.salt.clone(),
        weight: line.weight,
        carried: line.carried_out_minor,
    };
    before.lines.iter().map(person).collect()
}

/// Makes the next batch of a dataset version and currency: of every settled part that none has split, up to 1,000. Nothing
/// is sent.
pub fn new(
    view: &PayoutView,
    currency: Currency,
    people: &[Principal],
    key: &dyn Signer,
    (trust, now): (&Trust, Timestamp),
) -> R<BatchFile> {
    let refuse = |code, why: &str| Refusal::new(code, why.to_owned());
    let terms = view.terms.as_ref();
    let terms = terms.ok_or_else(|| refuse(Code::PayoutPool, "the dataset has no principals' pool"))?;
    let mut parts: Vec<_> = view.parts.iter().filter(|part| part.currency == currency && !part.split).collect();
    parts.truncate(MOST_SETTLED);
    parts.sort_by(|a, b| a.instruction_id.cmp(&b.instruction_id));
    if parts.is_empty() {
        return Err(refuse(Code::PayoutPool, "nothing was settled since the last batch"));
    }
    let last = last(view, currency)?;
    let pool: i128 = parts.iter().map(|part| i128::from(part.amount_minor.get())).sum();
    let pool = Minor::new(i64::try_from(pool).unwrap_or(i64::MAX))?;
    let split = split(pool, people, terms)?;
    if last.as_ref().map_or(0, |(_, batch)| batch.carried_out_minor.get()) != split.carried_in.get() {
        let sentence =
            "the principals carry in another sum than the last batch carried out: name its file with --before";
        return Err(refuse(Code::PayoutChain, sentence));
    }
    let mut batch = PayoutBatch {
        schema: PayoutBatch::SCHEMA.into(),
        registry: trust.registry.clone(),
        provider: key.did()?,
        dataset_id: view.dataset_id.clone(),
        version: view.version,
        currency,
        seq: last.as_ref().map_or(1, |(_, batch)| batch.seq.saturating_add(1)),
        previous: last.map(|(sha256, _)| sha256),
        weights_sha256: weights_sha256(&split.lines)?,
        settled: parts.iter().map(|part| part.instruction_id.clone()).collect(),
        pool_minor: pool,
        carried_in_minor: split.carried_in,
        paid_minor: split.paid,
        carried_out_minor: split.carried_out,
        principals: split.lines.len() as u64,
        paid_principals: split.paid_principals,
        root: Digest([0; 32]),
        at: now,
    };
    batch.root = Tree::of(&batch, &split.lines)?.root();
    lines_fit(&batch, &split.lines, terms)?;
    Ok(BatchFile { v: 1, batch: signing::sign(&batch, key, now)?, lines: split.lines })
}

fn last(view: &PayoutView, currency: Currency) -> R<Option<(Digest, PayoutBatch)>> {
    let mut last: Option<(Digest, PayoutBatch)> = None;
    for logged in &view.batches {
        let batch = logged.envelope.read_unverified()?;
        if batch.currency == currency && last.as_ref().is_none_or(|(_, before)| before.seq < batch.seq) {
            last = Some((logged.envelope.digest(), batch));
        }
    }
    Ok(last)
}

/// Enters a batch; one that stands already changes nothing. Returns its receipt.
pub fn enter(client: &Client, file: &BatchFile) -> R<Receipt> {
    let batch = file.batch.read_unverified()?;
    match receipt_of(&client.payouts(&batch.dataset_id, batch.version)?, &file.batch) {
        Some(receipt) => Ok(receipt),
        None => client.enter_payout(&batch.dataset_id, &file.batch),
    }
}

/// The receipt of a batch, where it is entered.
pub fn receipt_of(view: &PayoutView, batch: &Envelope<PayoutBatch>) -> Option<Receipt> {
    view.batches.iter().find(|logged| logged.envelope.digest() == batch.digest()).map(|logged| logged.receipt.clone())
}

/// How the payouts of a dataset version stand.
pub fn show(client: &Client, dataset: &DatasetId, version: u32) -> R<PayoutView> {
    client.payouts(dataset, version)
}

/// The proof of one principal's line.
pub fn prove(file: &BatchFile, principal: &str, receipt: Receipt) -> R<PayoutProof> {
    let unknown = || Refusal::new(Code::NotFound, "the batch has no such principal");
    let index = file.lines.iter().position(|line| line.principal == principal).ok_or_else(unknown)?;
    let line = file.lines.get(index).ok_or_else(unknown)?.clone();
    let path = Tree::of(&file.batch.read_unverified()?, &file.lines)?.path(index);
    Ok(PayoutProof { v: 1, batch: file.batch.clone(), receipt, index: index as u64, line, path })
}

/// What a proof proves.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Proved {
    /// Who pays.
    pub provider: Did,
    /// The dataset.
    pub dataset_id: DatasetId,
    /// Number of the batch.
    pub seq: u32,
    /// ISO 4217.
    pub currency: Currency,
    /// Whose line it is.
    pub principal: String,
    /// Paid by this batch.
    pub paid_minor: Minor,
    /// Carried forward.
    pub carried_out_minor: Minor,
    /// Entry of the batch in the log.
    pub index: u64,
}

/// Verifies a proof offline: the batch stands in the log under the pinned key, which took no batch but its provider's; the
/// line adds up and stands under its root.
pub fn verify(proof: &PayoutProof, trust: &Trust) -> R<Proved> {
    let body = Body::PayoutEntered { batch: proof.batch.clone() };
    note::verify_receipt(&proof.receipt, &body, &trust.origin, trust)?;
    quorum::require(&Checkpoint::parse(&proof.receipt.checkpoint)?, trust)?;
    let batch = proof.batch.read_unverified()?;
    proof_fits(proof, &batch)?;
    Ok(Proved {
        provider: batch.provider,
        dataset_id: batch.dataset_id,
        seq: batch.seq,
        currency: batch.currency,
        principal: proof.line.principal.clone(),
        paid_minor: proof.line.paid_minor,
        carried_out_minor: proof.line.carried_out_minor,
        index: proof.receipt.index,
    })
}

/// Verifies a whole batch with its lines: the split, the carried amounts against the batch before, the root.
pub fn verify_lines(file: &BatchFile, before: Option<&BatchFile>, terms: &PrincipalPool) -> R<PayoutBatch> {
    let batch = file.batch.read_unverified()?;
    lines_fit(&batch, &file.lines, terms)?;
    let chain = |why: &str| Refusal::new(Code::PayoutChain, why.to_owned());
    if batch.previous != before.map(|before| before.batch.digest()) {
        return Err(chain("this is not the batch before it"));
    }
    let carried: BTreeMap<&str, Minor> = before
        .into_iter()
        .flat_map(|b| &b.lines)
        .map(|line| (line.principal.as_str(), line.carried_out_minor))
        .collect();
    for line in &file.lines {
        if carried.get(line.principal.as_str()).map_or(0, |minor| minor.get()) != line.carried_in_minor.get() {
            return Err(chain("a principal carries in another sum than the batch before carried out for it"));
        }
    }
    Ok(batch)
}
