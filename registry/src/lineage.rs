//! How the log's key in use follows from earlier ones: for each change of key, its entry under the checkpoint that both
//! keys signed, which is kept from that very batch on.

use diesel::prelude::*;
use policies::lifecycle::State;
use schemas::R;
use schemas::bundle::{Logged, LoggedKeyEvent};
use schemas::event::Body;
use schemas::jwk::Jwk;
use schemas::lineage::LogLineage;
use schemas::log::{Checkpoint, CheckpointRef, Receipt};

use crate::conn::{Db, Place};
use crate::error::{Fault, corrupt};
use crate::log::stored;
use crate::snapshot::Snapshots;
use crate::tables::log_key_notes;
use crate::tiles::{self, Tree};
use crate::{Options, Registry, load, tree};

impl Registry {
    /// The key in use by the log in a database, which is checked and not changed. Another process may have it open.
    pub fn key_in_use(options: &Options) -> R<Jwk> {
        let mut db = Place::parse(&options.url)?.reader()?;
        let (memory, ..) = load::load(&mut db, options, &Snapshots::new(options)?)?;
        let key = memory.replay.state.registry_keys().last().map(|key| key.jwk.clone());
        Ok(key.unwrap_or_else(|| options.signer.jwk().clone()))
    }

    /// The lineage of the log's keys. Where the checkpoint of a change is lost (a restore that had only one of the keys), it
    /// begins with the key after that.
    pub fn lineage(&self) -> R<LogLineage> {
        let state = self.state();
        let genesis = state.genesis().ok_or_else(|| corrupt("no genesis"))?;
        let mut lineage = LogLineage {
            origin: genesis.origin.clone(),
            first: genesis.registry_jwk.clone(),
            links: Vec::new(),
            succeeds: genesis.succeeds.clone(),
            people: Vec::new(),
        };
        for key in genesis.registry_keys.iter().skip(1) {
            match self.read(|db| note(db, key.from))? {
                Some(checkpoint) => {
                    let (rotation, receipt) = self.read(|db| self.link(db, key.from, checkpoint.clone()))?;
                    lineage.links.push(Logged { envelope: rotation, receipt });
                }
                None => {
                    tracing::warn!(entry = key.from, "no checkpoint is kept that both keys signed");
                    (lineage.first, lineage.links) = (key.jwk.clone(), Vec::new());
                }
            }
        }
        for (index, event, resolution) in state.people_events() {
            lineage.people.push(LoggedKeyEvent { event, resolution, receipt: self.receipt(index)? });
        }
        Ok(lineage)
    }

    fn link(
        &self,
        db: &mut Db,
        index: u64,
        checkpoint: String,
    ) -> Result<(schemas::Envelope<schemas::rules::LogKey>, Receipt), Fault> {
        let size = Checkpoint::parse(&checkpoint)?.head.size;
        let entry = stored(db, index, 1)?.pop().ok_or_else(|| corrupt("a change of key"))?.export()?;
        let Body::LogKeyRotated { rotation } = entry.body else {
            return Err(corrupt("a change of key").into());
        };
        let mut load = |tree, level, index| tiles::load(db, tree, level, index).map_err(Fault::refusal);
        let mut node = |level, index| self.shared.face.tiles.node(Tree::Log, level, index, &mut load);
        let path = tree::inclusion(Tree::Log, index, size, &mut node)?;
        Ok((rotation, Receipt { index, record: entry.record, body_salt: entry.body_salt, path, checkpoint }))
    }
}

fn note(db: &mut Db, index: u64) -> Result<Option<String>, Fault> {
    Ok(log_key_notes::table.find(index as i64).select(log_key_notes::note).first(db).optional()?)
}

/// Keeps the checkpoint of this head for the changes of key since `old`, signed by each key and the one before it. A key
/// that is not at hand (after a restore) leaves its change without one.
pub(crate) fn keep(db: &mut Db, head: &CheckpointRef, old: u64, options: &Options, state: &State) -> Result<(), Fault> {
    for pair in state.registry_keys().windows(2) {
        let [before, after] = pair else { continue };
        if after.from < old {
            continue;
        }
        let (Some(new), Some(replaced)) = (options.ours(&after.jwk), options.ours(&before.jwk)) else {
            tracing::warn!(entry = after.from, "both keys are needed to show that one follows the other");
            continue;
        };
        let note = signing::note::sign_checkpoint_with(&options.origin, head, &[new, replaced])?.text();
        let row = (log_key_notes::idx.eq(after.from as i64), log_key_notes::note.eq(note));
        // A database that lost entries may still have the note of one of them.
        diesel::delete(log_key_notes::table.find(after.from as i64)).execute(db)?;
        diesel::insert_into(log_key_notes::table).values(row).execute(db)?;
    }
    Ok(())
}
