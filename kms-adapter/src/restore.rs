//! Restore: a backup put back into a new folder and an empty database.
//!
//! What was reserved when the backup was made may have been released since: it counts as charged, for good. Nothing is
//! reserved or released until the spent budget has been caught up from the log (`catch_up`).

use std::path::{Path, PathBuf};

use diesel::prelude::*;
use schemas::jwk::Jwk;
use schemas::{Code, R, Refusal};
use zeroize::Zeroizing;

use crate::audit;
use crate::backup::{self, Contents};
use crate::init::write_new;
use crate::ledger;
use crate::own_release;
use crate::recovery::{self, Part};
use crate::rows;
use crate::secret::Secret;
use crate::store::{Db, Store, Tx};
use crate::tables::{charge, data_key, journal, journal_gap, kek, log_head, log_lineage, run, service_state};

/// Puts a backup back into a folder that does not exist yet, and says where its configuration is.
///
/// `kms_jwk` is the key that signs for the key service whose backup this is, as the operator knows it (offers name it):
/// `BACKUP_FORGED` where the backup is not signed by it.
pub fn restore(backup: &[u8], parts: &[Part], kms_jwk: &Jwk, dir: &Path, database: Option<String>) -> R<PathBuf> {
    let contents = backup::open(backup, &recovery::join(parts)?, kms_jwk)?;
    let config = backup::moved(&contents, dir, database)?;
    if config.database.is_none() && config.database_file().exists() {
        return Err(Refusal::new(Code::ConfigInvalid, "a database lies there already").at("dir"));
    }
    use std::os::unix::fs::DirBuilderExt as _;
    let root = Secret::from_bytes(&Zeroizing::new(contents.root));
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir);
    made.map_err(|e| Refusal::new(Code::ConfigInvalid, format!("{}: {e}", dir.display())))?;
    write_new(&config.trust, &contents.trust)?;
    root.save(&config.root_key_file())?;
    write_new(&config.sign_key_file(), &contents.sign_key)?;
    write_new(&config.import_key_file(), &contents.import_key)?;
    Store::open(config.place(), rows::key(&root)?)?.transact(|c| fill(c, &contents))?;
    // Last, so that a folder with a configuration is whole.
    let file = dir.join("kms.toml");
    write_new(&file, config.to_toml()?.as_bytes())?;
    Ok(file)
}

fn fill(c: &mut Db, contents: &Contents) -> Tx<()> {
    if journal::table.count().get_result::<i64>(c)? + kek::table.count().get_result::<i64>(c)? > 0 {
        return Err(Refusal::new(Code::ConfigInvalid, "the database is not empty").at("database").into());
    }
    for row in &contents.keks {
        diesel::insert_into(kek::table).values(row).execute(c)?;
    }
    for row in &contents.data_keys {
        diesel::insert_into(data_key::table).values(row).execute(c)?;
    }
    for row in &contents.journal {
        diesel::insert_into(journal::table).values(row).execute(c)?;
    }
    for row in &contents.runs {
        let mut row = row.clone();
        if row.state == "reserved" {
            (row.state, row.lost) = ("charged".into(), 1);
        }
        diesel::insert_into(run::table).values(&row).execute(c)?;
    }
    let mut changed = std::collections::BTreeSet::new();
    for row in &contents.charges {
        diesel::insert_into(charge::table).values(row).execute(c)?;
        changed.insert((row.family.clone(), row.tdc.clone()));
    }
    ledger::recount(c, &changed)?;
    own_release::enter(c, &contents.own_releases)?;
    for (after, next, mac) in &contents.gaps {
        let row = (journal_gap::after_seq.eq(after), journal_gap::next_seq.eq(next), journal_gap::mac.eq(mac));
        diesel::insert_into(journal_gap::table).values(row).execute(c)?;
    }
    for (name, value) in &contents.state {
        let row = (service_state::name.eq(name), service_state::value.eq(value));
        diesel::insert_into(service_state::table).values(row).execute(c)?;
    }
    for (origin, size, root, at) in &contents.log_heads {
        let head = (log_head::origin.eq(origin), log_head::size.eq(size));
        let row = (head, log_head::root.eq(root), log_head::seen_at.eq(at));
        diesel::insert_into(log_head::table).values(row).execute(c)?;
    }
    if let Some(lineage) = &contents.log_lineage {
        let row = (log_lineage::id.eq(1), log_lineage::lineage.eq(lineage));
        diesel::insert_into(log_lineage::table).values(row).execute(c)?;
    }
    audit::hold(c, "this key service was restored from a backup")
}
