//! First signatures of documents that need two SRO people, until the second person has signed the same bytes.

use diesel::prelude::*;
use schemas::envelope::{Envelope, PartySignature};
use schemas::event::Body;
use schemas::{Digest, Document, R, Timestamp};

use crate::Registry;
use crate::conn::Db;
use crate::error::{Fault, corrupt};
use crate::tables::pending_signatures as pending;

/// A first signature is forgotten after this time.
const KEEP_SECONDS: i64 = 7 * 24 * 3600;
/// Documents that are listed at a time.
const MOST: i64 = 200;

/// A document that one person of the SRO has signed and another one has not.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PendingAct {
    /// What it is, as its signature says.
    pub payload_type: String,
    /// Its bytes.
    pub payload: Vec<u8>,
    /// The signatures so far.
    pub signatures: Vec<PartySignature>,
    /// When the first of them came.
    pub since: Timestamp,
    /// When it is forgotten.
    pub until: Timestamp,
}

impl Registry {
    /// Keeps the signatures of this envelope and returns the same document with all that are kept, one per holder.
    ///
    /// The caller has verified the envelope and that its signers are SRO people. Who signs again under another key is known
    /// by the new signature: the key of the kept one may have ended since, and the document could then never enter. Kept
    /// ones are dropped when the document enters the log, or after a week.
    pub fn collect<T: Document>(&self, envelope: &Envelope<T>, now: Timestamp) -> R<Envelope<T>> {
        let (sha256, payload_type, offered) = (envelope.digest(), T::PAYLOAD_TYPE, envelope.signatures.clone());
        let document = envelope.payload.0.clone();
        let kept = self.write(move |db| {
            let old = now.plus_seconds(-KEEP_SECONDS).micros();
            diesel::delete(pending::table.filter(pending::created_at.lt(old))).execute(db)?;
            let mut kept = load(db, &sha256, payload_type)?;
            for signature in &offered {
                let holder = &signature.kid.holder;
                let text = serde_json::to_string(signature).map_err(|_| corrupt("signature"))?;
                if let Some(known) = kept.iter_mut().find(|k| k.kid.holder == *holder) {
                    if known.kid != signature.kid {
                        // Its week goes on: signatures shown in turn do not keep a document for ever.
                        let row = pending::table.find((sha256.0.to_vec(), payload_type, holder));
                        diesel::update(row).set(pending::signature.eq(text)).execute(db)?;
                        *known = signature.clone();
                    }
                    continue;
                }
                let row = (
                    pending::sha256.eq(sha256.0.to_vec()),
                    pending::payload_type.eq(payload_type),
                    pending::holder.eq(holder),
                    pending::signature.eq(text),
                    pending::created_at.eq(now.micros()),
                    pending::document.eq(&document),
                );
                diesel::insert_into(pending::table).values(row).execute(db)?;
                kept.push(signature.clone());
            }
            Ok(kept)
        })?;
        Ok(Envelope::new(envelope.payload.0.clone(), kept))
    }

    /// What waits for a second person, the oldest first, at most 200 documents. What was kept before documents were kept
    /// beside their signatures is not among them.
    pub fn pending_acts(&self, now: Timestamp) -> R<Vec<PendingAct>> {
        type Row = (Vec<u8>, String, String, i64, Option<Vec<u8>>);
        let old = now.plus_seconds(-KEEP_SECONDS).micros();
        let columns =
            (pending::sha256, pending::payload_type, pending::signature, pending::created_at, pending::document);
        let rows: Vec<Row> = self.read(|db| {
            let young = pending::table.filter(pending::created_at.ge(old)).filter(pending::document.is_not_null());
            Ok(young.order((pending::created_at, pending::holder)).select(columns).limit(MOST).load(db)?)
        })?;
        let mut acts: Vec<(Vec<u8>, PendingAct)> = Vec::new();
        for (sha256, payload_type, signature, created_at, document) in rows {
            let signature: PartySignature =
                serde_json::from_str(&signature).map_err(|_| corrupt("pending signature"))?;
            match acts.iter_mut().find(|(known, act)| *known == sha256 && act.payload_type == payload_type) {
                Some((_, act)) => act.signatures.push(signature),
                None => {
                    let since = Timestamp::from_micros(created_at);
                    let until = since.plus_seconds(KEEP_SECONDS);
                    let payload = document.unwrap_or_default();
                    let act = PendingAct { payload_type, payload, signatures: vec![signature], since, until };
                    acts.push((sha256, act));
                }
            }
        }
        Ok(acts.into_iter().map(|(_, act)| act).collect())
    }
}

fn load(db: &mut Db, sha256: &Digest, payload_type: &str) -> Result<Vec<PartySignature>, Fault> {
    let rows: Vec<String> = pending::table
        .filter(pending::sha256.eq(sha256.0.to_vec()))
        .filter(pending::payload_type.eq(payload_type))
        .order((pending::created_at, pending::holder))
        .select(pending::signature)
        .load(db)?;
    let read = |text: &String| serde_json::from_str(text).map_err(|_| Fault::from(corrupt("pending signature")));
    rows.iter().map(read).collect()
}

/// Drops the kept signatures of a document that enters.
pub(crate) fn settle(db: &mut Db, body: &Body) -> Result<(), Fault> {
    let sha256 = match body {
        Body::ParticipantDecided { decision } => decision.digest(),
        Body::KeyChanged { event, .. } => event.digest(),
        Body::ImageSetApproved { image_set } => image_set.digest(),
        Body::ImageSetRevoked { revocation } => revocation.digest(),
        Body::TemplateApproved { template } => template.digest(),
        Body::DataSchemaApproved { data_schema } => data_schema.digest(),
        Body::DatasetChanged { act } => act.digest(),
        Body::ContractRevoked { revoke } => revoke.digest(),
        Body::ContractDeclined { decline } => decline.digest(),
        Body::ContractSuspended { suspend } => suspend.digest(),
        Body::ContractResumed { resume } => resume.digest(),
        Body::RunAborted { abort } => abort.digest(),
        Body::SubjectErased { erasure } => erasure.digest(),
        Body::LogKeyRotated { rotation } => rotation.digest(),
        Body::DisputeRuled { ruling } => ruling.digest(),
        Body::DisputeClosed { close } => close.digest(),
        _ => return Ok(()),
    };
    diesel::delete(pending::table.filter(pending::sha256.eq(sha256.0.to_vec()))).execute(db)?;
    Ok(())
}
