//! Ordered endpoints: of each contract the first delivery that is not done. A look reads the oldest page, where that one
//! nearly always stands, and some pages more of a walk through the rest, which goes on at the next look; so a long backlog
//! costs a look no more than a few pages.

use std::collections::BTreeSet;

use diesel::prelude::*;
use schemas::Timestamp;

use super::lease::{COLUMNS, Found, Here, Wish, open};
use crate::conn::Db;
use crate::error::Fault;
use crate::tables::{deliveries, outbox};

/// Open deliveries that are read at a time, and pages beyond the oldest that one look reads.
const PAGE: usize = 1_000;
const FURTHER: usize = 3;
/// Seconds between two walks through everything.
const REST: i64 = 1;

/// How far a walk beyond the oldest page has come.
#[derive(Clone, Debug, Default)]
pub(crate) struct Walk {
    /// Where it goes on; none while it rests.
    at: Option<Passed>,
    /// When the next one begins.
    rests_until: i64,
}

/// What was passed.
#[derive(Clone, Debug)]
struct Passed {
    /// The last delivery.
    after: (i64, String),
    /// The contracts of all of them: what is about these waits. More than must wait, as some are done meanwhile; never
    /// fewer, since new deliveries stand behind all others.
    busy: BTreeSet<String>,
    /// When the next of them is due.
    next: Option<i64>,
}

impl Walk {
    /// Whether there is anything to remember of it.
    pub(crate) fn is_on(&self) -> bool {
        self.at.is_some() || self.rests_until > 0
    }
}

impl Passed {
    fn nothing() -> Passed {
        Passed { after: (i64::MIN, String::new()), busy: BTreeSet::new(), next: None }
    }
}

type Line = (String, i64, i64, Option<i64>, String, String);

/// Deliveries that may go out, at most as many as wished for, and when to look again.
pub(super) fn first(db: &mut Db, wish: &Wish, walk: &mut Walk, now: Timestamp) -> Result<Here, Fault> {
    let (mut front, mut found) = (Passed::nothing(), Vec::new());
    let end = pass(db, wish, &mut front, &BTreeSet::new(), &mut found, now)?;
    let mut next = front.next;
    if end {
        walk.at = None;
    } else if found.len() < wish.most as usize {
        next = earlier(next, further(db, wish, walk, &front, &mut found, now)?);
    }
    let mut rows = Vec::with_capacity(found.len());
    for id in found {
        let row = deliveries::table.inner_join(outbox::table).filter(deliveries::id.eq(id)).select(COLUMNS);
        rows.push(Found(row.first(db)?));
    }
    Ok((rows, next.map(Timestamp::from_micros)))
}

/// Goes on with the walk; returns when to look again for what it passed.
fn further(
    db: &mut Db,
    wish: &Wish,
    walk: &mut Walk,
    front: &Passed,
    found: &mut Vec<String>,
    now: Timestamp,
) -> Result<Option<i64>, Fault> {
    let mut at = match walk.at.take().filter(|passed| passed.after >= front.after) {
        Some(passed) => passed,
        None if walk.rests_until > now.micros() => return Ok(Some(walk.rests_until)),
        None => front.clone(),
    };
    for _ in 0..FURTHER {
        let end = pass(db, wish, &mut at, &front.busy, found, now)?;
        if found.len() >= wish.most as usize {
            break;
        }
        if end {
            walk.rests_until = now.plus_seconds(REST).micros();
            return Ok(at.next);
        }
    }
    walk.at = Some(at);
    Ok(Some(now.micros()))
}

/// Passes one page; whether it was the last one. Stops where enough is found.
fn pass(
    db: &mut Db,
    wish: &Wish,
    passed: &mut Passed,
    busy: &BTreeSet<String>,
    found: &mut Vec<String>,
    now: Timestamp,
) -> Result<bool, Fault> {
    let after = &passed.after;
    let beyond = deliveries::seq.gt(after.0).or(deliveries::seq.eq(after.0).and(deliveries::id.gt(after.1.clone())));
    let lines: Vec<Line> = deliveries::table
        .inner_join(outbox::table)
        .filter(deliveries::endpoint_id.eq(wish.endpoint_id.as_str()))
        .filter(open())
        .filter(beyond)
        .order((deliveries::seq, deliveries::id))
        .limit(PAGE as i64)
        .select((
            deliveries::id,
            deliveries::seq,
            deliveries::not_before,
            deliveries::lease_until,
            outbox::about,
            outbox::subject,
        ))
        .load(db)?;
    let last = lines.len() < PAGE;
    for (id, seq, not_before, lease, about, subject) in lines {
        let about = if about.is_empty() { &subject } else { &about };
        let free = about.split(' ').all(|one| !passed.busy.contains(one) && !busy.contains(one));
        passed.busy.extend(about.split(' ').map(str::to_owned));
        passed.after = (seq, id.clone());
        let at = not_before.max(lease.unwrap_or_default());
        if free && at <= now.micros() {
            found.push(id);
            if found.len() >= wish.most as usize {
                return Ok(false);
            }
        } else if free {
            passed.next = earlier(passed.next, Some(at));
        }
    }
    Ok(last)
}

fn earlier(one: Option<i64>, other: Option<i64>) -> Option<i64> {
    one.into_iter().chain(other).min()
}

#[cfg(test)]
#[path = "walk_tests.rs"]
mod tests;
