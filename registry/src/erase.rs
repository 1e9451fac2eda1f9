//! Erasure: the bodies and salts of the entries that an erasure lists are overwritten in its own transaction. Their
//! leaves stay, so the log verifies; nobody can say any more what they were of.

use diesel::prelude::*;
use schemas::canonical;
use schemas::event::Body;
use schemas::log::Record;

use crate::conn::Db;
use crate::error::{Fault, corrupt};
use crate::tables::log_entries;
use crate::writer::Work;

/// What stands where a subject's name was.
pub(crate) const ERASED: &str = "";

/// Overwrites what an entered erasure lists; one batch may hold both the entries and their erasure.
pub(crate) fn settle(db: &mut Db, work: &mut Work, body: &Body) -> Result<(), Fault> {
    let Body::SubjectErased { erasure } = body else {
        return Ok(());
    };
    let erasure = erasure.read_unverified()?;
    let blank: Vec<u8> = Vec::new();
    for index in erasure.entries {
        let here = work.rows.iter_mut().find(|row| row.idx == index as i64);
        let stored: Option<(Vec<u8>, String)> = match &here {
            Some(row) => Some((row.record.clone(), row.subject.clone())),
            None => {
                let row = log_entries::table.find(index as i64).select((log_entries::record, log_entries::subject));
                row.first(db).optional()?
            }
        };
        let (record, subject) = stored.ok_or_else(|| corrupt("an entry to erase"))?;
        let record: Record = canonical::parse(&record)?;
        let erased = canonical::to_bytes(&Body::Erased { was: record.kind })?;
        work.memory.replay.chains.remove(&subject);
        if let Some(row) = here {
            (row.body, row.subject) = (erased, ERASED.to_owned());
            (row.body_salt, row.subject_salt) = (blank.clone(), blank.clone());
            continue;
        }
        let changes = (
            log_entries::body.eq(erased),
            log_entries::subject.eq(ERASED),
            log_entries::body_salt.eq(&blank),
            log_entries::subject_salt.eq(&blank),
        );
        diesel::update(log_entries::table.find(index as i64)).set(changes).execute(db)?;
    }
    work.erased = true;
    Ok(())
}

/// Whether a stored body was erased.
pub(crate) fn is_erased(body: &Body) -> bool {
    matches!(body, Body::Erased { .. })
}
