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

impl Registry {
    /// Keeps the signatures of this envelope and returns the same document with all that are kept, one per holder.
    ///
    /// The caller has verified the envelope and that its signers are SRO people. Kept ones are dropped when the
    /// document enters the log, or after a week.
    pub fn collect<T: Document>(&self, envelope: &Envelope<T>, now: Timestamp) -> R<Envelope<T>> {
        let (sha256, payload_type, offered) = (envelope.digest(), T::PAYLOAD_TYPE, envelope.signatures.clone());
        let kept = self.write(move |db| {
            let old = now.plus_seconds(-KEEP_SECONDS).micros();
            diesel::delete(pending::table.filter(pending::created_at.lt(old))).execute(db)?;
            let mut kept = load(db, &sha256, payload_type)?;
            for signature in &offered {
                if kept.iter().any(|k| k.kid.holder == signature.kid.holder) {
                    continue;
                }
                let row = (
                    pending::sha256.eq(sha256.0.to_vec()),
                    pending::payload_type.eq(payload_type),
                    pending::holder.eq(&signature.kid.holder),
                    pending::signature.eq(serde_json::to_string(signature).map_err(|_| corrupt("signature"))?),
                    pending::created_at.eq(now.micros()),
                );
                diesel::insert_into(pending::table).values(row).execute(db)?;
                kept.push(signature.clone());
            }
            Ok(kept)
        })?;
        Ok(Envelope::new(envelope.payload.0.clone(), kept))
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
        _ => return Ok(()),
    };
    diesel::delete(pending::table.filter(pending::sha256.eq(sha256.0.to_vec()))).execute(db)?;
    Ok(())
}
