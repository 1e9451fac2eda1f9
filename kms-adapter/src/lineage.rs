//! The log's keys and its succession, as far as they were shown here: the pinned trust and, from it, the longest lineage
//! that came with a bundle or a status list. It is kept, so that an old key does not count again.

use diesel::prelude::*;
use schemas::lineage::LogLineage;
use schemas::{Code, R, Refusal, canonical};
use signing::Trust;

use crate::kms::Kms;
use crate::store::{Db, Tx};
use crate::tables::{log_head, log_lineage};

impl Kms {
    /// The trust by which this service judges now, with what was shown just now. A lineage that does not follow is refused.
    pub(crate) fn trust(&self, shown: Option<&LogLineage>) -> R<Trust> {
        let stored = self.store.transact(stored)?;
        let mut followed = self.followed.lock().unwrap_or_else(|e| e.into_inner());
        let mut trust = followed.following_if(stored.as_ref())?;
        trust = trust.following_if(shown)?;
        if let Some(lineage) = trust.lineage.shown().filter(|lineage| stored.as_ref() != Some(lineage)) {
            self.store.transact(|c| keep(c, lineage))?;
            tracing::info!(in_use = trust.key_in_use().thumbprint(), origin = trust.origin, "the log's keys went on");
        }
        *followed = trust.clone();
        Ok(trust)
    }

    /// At the start: heads of before are of the pinned log. What was followed from another pin is forgotten.
    pub(crate) fn settle_lineage(&self) -> R<()> {
        let origin = self.trust.origin.clone();
        self.store.transact(|c| {
            let unnamed = log_head::table.filter(log_head::origin.eq(""));
            diesel::update(unnamed).set(log_head::origin.eq(&origin)).execute(c)?;
            Ok(())
        })?;
        let stored = self.store.transact(stored)?;
        if let Some(Err(refusal)) = stored.map(|lineage| self.trust.following(&lineage)) {
            tracing::warn!(%refusal, "the trust file pins something else than before; what was followed is forgotten");
            self.store.transact(|c| {
                diesel::delete(log_lineage::table).execute(c)?;
                Ok(())
            })?;
        }
        Ok(())
    }
}

fn stored(c: &mut Db) -> Tx<Option<LogLineage>> {
    let text = log_lineage::table.find(1).select(log_lineage::lineage).first::<String>(c).optional()?;
    let bad = |_| Refusal::new(Code::Internal, "the kept lineage cannot be read");
    Ok(text.map(|text| canonical::parse(text.as_bytes()).map_err(bad)).transpose()?)
}

fn keep(c: &mut Db, lineage: &LogLineage) -> Tx<()> {
    let text = String::from_utf8(canonical::to_bytes(lineage)?)
        .map_err(|_| Refusal::new(Code::Internal, "a lineage is text"))?;
    diesel::delete(log_lineage::table).execute(c)?;
    diesel::insert_into(log_lineage::table)
        .values((log_lineage::id.eq(1), log_lineage::lineage.eq(text)))
        .execute(c)?;
    Ok(())
}
