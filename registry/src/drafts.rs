//! Drafts: contracts being written, before anybody has signed. They are no part of the log.

use diesel::prelude::*;
use schemas::id::Did;
use schemas::{Code, R, Refusal, Timestamp};

use crate::Registry;
use crate::error::corrupt;
use crate::tables::drafts;

/// Drafts of one owner.
const MAX_DRAFTS: i64 = 1000;

/// A draft.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// The draft.
    pub id: String,
    /// Whose.
    pub owner: Did,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// Counts the changes, from 1.
    pub rev: u32,
    /// What has been written so far, as JSON.
    pub body: String,
    /// The file that it was imported from, byte for byte.
    pub original: Option<Vec<u8>>,
}

/// A draft in a list: what is known of it without reading it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DraftLine {
    /// The draft.
    pub id: String,
    /// Counts the changes, from 1.
    pub rev: u32,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

type Row = (String, String, i64, i32, String, Option<Vec<u8>>);

fn read((id, owner, updated_at, rev, body, original): Row) -> R<Draft> {
    let (owner, rev) = (Did::parse(&owner)?, u32::try_from(rev).map_err(|_| corrupt("revision of a draft"))?);
    Ok(Draft { id, owner, updated_at: Timestamp::from_micros(updated_at), rev, body, original })
}

impl Registry {
    /// Keeps a draft under its id: a new one with `rev` 1, a changed one with the revision after the kept one, or
    /// `PRECONDITION_FAILED`. A draft of another owner is `NOT_FOUND`; an owner has at most 1,000.
    pub fn put_draft(&self, draft: &Draft) -> R<()> {
        let draft = draft.clone();
        self.write(move |db| {
            let (id, owner) = (draft.id.as_str(), draft.owner.as_str());
            let rev = i32::try_from(draft.rev).map_err(|_| stale())?;
            let kept: Option<(String, i32)> =
                drafts::table.find(id).select((drafts::owner, drafts::rev)).first(db).optional()?;
            if let Some((kept_owner, _)) = &kept
                && kept_owner != owner
            {
                return Err(unknown().into());
            }
            if kept.as_ref().map_or(0, |(_, kept)| *kept) != rev - 1 {
                return Err(stale().into());
            }
            if kept.is_some() {
                let changes = (
                    drafts::updated_at.eq(draft.updated_at.micros()),
                    drafts::rev.eq(rev),
                    drafts::body.eq(&draft.body),
                    drafts::original.eq(&draft.original),
                );
                diesel::update(drafts::table.find(id)).set(changes).execute(db)?;
                return Ok(());
            }
            if drafts::table.filter(drafts::owner.eq(owner)).count().get_result::<i64>(db)? >= MAX_DRAFTS {
                return Err(Refusal::new(Code::LimitExceeded, "an owner has at most 1,000 drafts").into());
            }
            let row = (
                drafts::id.eq(id),
                drafts::owner.eq(owner),
                drafts::updated_at.eq(draft.updated_at.micros()),
                drafts::rev.eq(rev),
                drafts::body.eq(&draft.body),
                drafts::original.eq(&draft.original),
            );
            diesel::insert_into(drafts::table).values(row).execute(db)?;
            Ok(())
        })
    }

    /// A draft; `NOT_FOUND` for an unknown one and for another owner's.
    pub fn get_draft(&self, owner: &Did, id: &str) -> R<Draft> {
        let row: Option<Row> = self.read(|db| Ok(drafts::table.find(id).first(db).optional()?))?;
        let draft = read(row.ok_or_else(unknown)?)?;
        if draft.owner == *owner { Ok(draft) } else { Err(unknown()) }
    }

    /// A page of an owner's drafts, the last changed first: at most `limit` after the first `skip`. Their texts stay where
    /// they are: a thousand of them would be half a gigabyte.
    pub fn drafts(&self, owner: &Did, skip: usize, limit: usize) -> R<Vec<DraftLine>> {
        let rows_of = |count: usize| i64::try_from(count).unwrap_or(MAX_DRAFTS).min(MAX_DRAFTS);
        let rows: Vec<(String, i32, i64)> = self.read(|db| {
            let own = drafts::table.filter(drafts::owner.eq(owner.as_str()));
            let page = own.order((drafts::updated_at.desc(), drafts::id)).offset(rows_of(skip)).limit(rows_of(limit));
            Ok(page.select((drafts::id, drafts::rev, drafts::updated_at)).load(db)?)
        })?;
        let line = |(id, rev, updated_at): (String, i32, i64)| {
            let rev = u32::try_from(rev).map_err(|_| corrupt("revision of a draft"))?;
            Ok(DraftLine { id, rev, updated_at: Timestamp::from_micros(updated_at) })
        };
        rows.into_iter().map(line).collect()
    }

    /// Whether one of an owner's drafts was imported from these bytes.
    pub fn has_draft_of(&self, owner: &Did, original: &[u8]) -> R<bool> {
        let found: i64 = self.read(|db| {
            let own = drafts::table.filter(drafts::owner.eq(owner.as_str()));
            Ok(own.filter(drafts::original.eq(Some(original.to_vec()))).count().get_result(db)?)
        })?;
        Ok(found > 0)
    }

    /// Removes a draft; `NOT_FOUND` for an unknown one and for another owner's.
    pub fn delete_draft(&self, owner: &Did, id: &str) -> R<()> {
        let (owner, id) = (owner.to_string(), id.to_owned());
        self.write(move |db| {
            let row = drafts::table.find(&id).filter(drafts::owner.eq(&owner));
            if diesel::delete(row).execute(db)? == 1 { Ok(()) } else { Err(unknown().into()) }
        })
    }
}

fn unknown() -> Refusal {
    Refusal::new(Code::NotFound, "there is no such draft")
}

fn stale() -> Refusal {
    Refusal::new(Code::PreconditionFailed, "the draft was changed meanwhile; read it again")
}
