//! The journal: every statement of this service as a signed receipt, chained by the digest of the one before.

use diesel::prelude::*;
use schemas::contract::Assurance;
use schemas::id::{Did, ImageSetId, RunId};
use schemas::privacy::DatasetCharge;
use schemas::release::{KmsHead, KmsReceipt, KmsStatement, ReleasedDataset};
use schemas::{Code, Digest, Envelope, R, Refusal, Timestamp};
use serde::{Deserialize, Serialize};
use signing::FileKey;

use crate::audit;
use crate::gap;
use crate::store::{Db, Tx};
use crate::tables::journal;

/// What a receipt says besides its place in the chain.
#[derive(Clone)]
pub(crate) struct Statement {
    pub run_id: RunId,
    pub job_sha256: Digest,
    pub run_jwk_thumbprint: String,
    pub enc_jwk_thumbprint: String,
    pub image_set_id: ImageSetId,
    pub assurance: Assurance,
    pub transcript_sha256: Digest,
    pub evidence_sha256: Digest,
    pub datasets: Vec<ReleasedDataset>,
    pub charges: Vec<DatasetCharge>,
    /// Rego documents that allowed it.
    pub rules: Vec<Digest>,
    /// Checks that the evidence passed.
    pub checks: Vec<String>,
}

impl Statement {
    /// The same circumstances as an earlier receipt's; nothing was appraised anew.
    pub fn as_in(receipt: &KmsReceipt) -> Statement {
        let r = receipt.clone();
        Statement {
            run_id: r.run_id,
            job_sha256: r.job_sha256,
            run_jwk_thumbprint: r.run_jwk_thumbprint,
            enc_jwk_thumbprint: r.enc_jwk_thumbprint,
            image_set_id: r.image_set_id,
            assurance: r.assurance,
            transcript_sha256: r.transcript_sha256,
            evidence_sha256: r.evidence_sha256,
            datasets: r.datasets,
            charges: r.charges,
            rules: r.rules,
            checks: Vec::new(),
        }
    }
}

/// Who signs the journal.
pub(crate) struct Book<'a> {
    pub registry: &'a Did,
    pub kms: &'a str,
    pub provider: &'a Did,
    pub signer: &'a FileKey,
}

/// A row of the journal.
#[derive(Clone, Queryable, Selectable, Insertable, Serialize, Deserialize)]
#[diesel(table_name = journal)]
pub(crate) struct Row {
    pub seq: i64,
    pub prev: String,
    pub sha256: String,
    pub run_id: String,
    pub kind: String,
    pub at: i64,
    pub envelope: Vec<u8>,
}

impl Row {
    /// The signed receipt of the row.
    pub fn receipt(&self) -> R<Envelope<KmsReceipt>> {
        serde_json::from_slice(&self.envelope)
            .map_err(|_| Refusal::new(Code::Internal, format!("journal row {} does not read", self.seq)))
    }
}

/// The word for a statement, as it stands in the row.
pub(crate) fn kind(statement: &KmsStatement) -> &'static str {
    match statement {
        KmsStatement::Reserved { .. } => "reserved",
        KmsStatement::Released { .. } => "released",
        KmsStatement::Committed { .. } => "committed",
        KmsStatement::Refunded { .. } => "refunded",
    }
}

/// Sequence and digest of the newest receipt; 0 and all zero before the first.
pub(crate) fn head(c: &mut Db) -> Tx<(i64, Digest)> {
    let newest = journal::table.order(journal::seq.desc()).select((journal::seq, journal::sha256));
    Ok(match newest.first::<(i64, String)>(c).optional()? {
        Some((seq, sha256)) => (seq, Digest::parse(&sha256)?),
        None => (0, Digest([0; 32])),
    })
}

/// Signs a statement as the next receipt and appends it.
pub(crate) fn append(
    c: &mut Db,
    book: &Book,
    statement: Statement,
    what: KmsStatement,
    now: Timestamp,
) -> Tx<(i64, Envelope<KmsReceipt>)> {
    let (last, prev) = head(c)?;
    let seq = gap::next(c, last)?;
    let kind = kind(&what);
    let receipt = KmsReceipt {
        schema: "kms-receipt.v1".into(),
        registry: book.registry.clone(),
        kms: book.kms.to_owned(),
        provider: book.provider.clone(),
        seq: seq.unsigned_abs(),
        prev,
        at: now,
        run_id: statement.run_id,
        job_sha256: statement.job_sha256,
        run_jwk_thumbprint: statement.run_jwk_thumbprint,
        enc_jwk_thumbprint: statement.enc_jwk_thumbprint,
        image_set_id: statement.image_set_id,
        assurance: statement.assurance,
        transcript_sha256: statement.transcript_sha256,
        evidence_sha256: statement.evidence_sha256,
        datasets: statement.datasets,
        charges: statement.charges,
        rules: statement.rules,
        checks: statement.checks,
        statement: what,
    };
    let envelope = signing::sign(&receipt, book.signer, now)?;
    let row = Row {
        seq,
        prev: prev.to_string(),
        sha256: envelope.digest().to_string(),
        run_id: receipt.run_id.to_string(),
        kind: kind.to_owned(),
        at: now.micros(),
        envelope: serde_json::to_vec(&envelope).map_err(|e| Refusal::new(Code::Internal, e.to_string()))?,
    };
    diesel::insert_into(journal::table).values(&row).execute(c)?;
    audit::sign_if_due(c, book, now)?;
    Ok((seq, envelope))
}

/// The receipt at a sequence.
pub(crate) fn at(c: &mut Db, seq: i64) -> Tx<Envelope<KmsReceipt>> {
    let row = journal::table.find(seq).select(Row::as_select()).first(c)?;
    Ok(row.receipt()?)
}

/// Requires that what the log last heard of this service is a row of its journal. A database that was put back behind
/// it would spend budget twice.
pub(crate) fn check_not_behind(c: &mut Db, heads: &[KmsHead], kms: &str) -> Tx<()> {
    let mut ours = heads.iter().filter(|h| h.kms == kms);
    let (Some(logged), None) = (ours.next(), ours.next()) else {
        let sentence = "the Admission must name this key service's logged head once";
        return Err(Refusal::new(Code::AdmissionInvalid, sentence).at("kms_heads").into());
    };
    if logged.seq == 0 && logged.head == Digest([0; 32]) {
        return Ok(());
    }
    let seq = i64::try_from(logged.seq).unwrap_or(i64::MAX);
    let found = journal::table.find(seq).select(journal::sha256).first::<String>(c).optional()?;
    if found.as_deref() != Some(logged.head.to_string().as_str()) {
        let sentence = "the log holds statements of this key service that its journal lacks: its database was put back";
        tracing::error!(alarm = "kms_behind_log", logged = logged.seq, "{sentence}");
        return Err(Refusal::new(Code::KmsBehindLog, sentence).into());
    }
    Ok(())
}
