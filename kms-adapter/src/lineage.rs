//! The log's keys and its succession, as far as they were shown here: the pinned trust and, from it, the longest lineage
//! that came with a bundle or a status list. It is kept, so that an old key does not count again.

use diesel::prelude::*;
use schemas::jwk::Jwk;
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

    /// At the start: heads of before are of the pinned log. What was followed from another pin is forgotten; but a pin
    /// that goes back behind what was followed is refused, so that a key that was replaced, or a log that was closed, does
    /// not count again.
    pub(crate) fn settle_lineage(&self) -> R<()> {
        let origin = self.trust.origin.clone();
        self.store.transact(|c| {
            let unnamed = log_head::table.filter(log_head::origin.eq(""));
            diesel::update(unnamed).set(log_head::origin.eq(&origin)).execute(c)?;
            Ok(())
        })?;
        let stored = self.store.transact(stored)?;
        let Some(lineage) = stored else { return Ok(()) };
        if let Err(refusal) = self.trust.following(&lineage) {
            if self.goes_back(&lineage)? {
                let key = keys(&lineage)?.last().map(Jwk::thumbprint).unwrap_or_default();
                let sentence = format!(
                    "{}; the log went on here as {} with the key {key}: pin that origin and key in the trust file",
                    refusal.sentence, lineage.origin
                );
                return Err(Refusal::new(refusal.code, sentence).at("trust"));
            }
            tracing::warn!(%refusal, "the trust file pins something else than before; what was followed is forgotten");
            self.store.transact(|c| {
                diesel::delete(log_lineage::table).execute(c)?;
                Ok(())
            })?;
        }
        Ok(())
    }

    /// Whether the pin is of a log that was followed here, and not of the key and origin that it came to.
    fn goes_back(&self, lineage: &LogLineage) -> R<bool> {
        let keys = keys(lineage)?;
        let pinned = &self.trust.registry_jwk;
        let at_end = keys.last() == Some(pinned) && self.trust.origin == lineage.origin;
        if at_end || !keys.contains(pinned) {
            return Ok(false);
        }
        let heads = log_head::table.filter(log_head::origin.eq(&lineage.origin)).count();
        Ok(self.store.transact(|c| Ok(heads.get_result::<i64>(c)?))? > 0)
    }
}

/// The keys that a kept lineage speaks of, the one in use last.
fn keys(lineage: &LogLineage) -> R<Vec<Jwk>> {
    let links = lineage.links.iter().map(|link| Ok(link.envelope.read_unverified()?.jwk));
    std::iter::once(Ok(lineage.first.clone())).chain(links).collect()
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
