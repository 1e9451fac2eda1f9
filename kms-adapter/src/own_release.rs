//! Releases outside runs: what the provider is about to let out by itself is charged to its family, against the cap of its
//! offer, in one transaction with the check. It names no consumer, so it counts in every ledger of the family.
//!
//! The acts are kept line by line in a file beside the database too ([`Beside`]): the log hears of none of them, so a database
//! that was put back learns them from there, at the next start.

mod beside;

use std::collections::BTreeSet;

use diesel::prelude::*;
use policies::accountant::RdpVector;
use policies::own_release::Ledger;
use policies::weights::Keeper;
use schemas::dataset::DatasetOffer;
use schemas::id::{Did, KeyId};
use schemas::own_release::{OwnRelease, OwnReleaseCharged, OwnReleaseRequest};
use schemas::privacy::Scope;
use schemas::renewal::BudgetRenewal;
use schemas::{Code, Envelope, R, Refusal, Signed, Signer as _, Timestamp};
use serde::{Deserialize, Serialize};

use crate::audit;
use crate::kms::Kms;
use crate::ledger::{self, ANYONE, GLOBAL};
use crate::rows;
use crate::run;
use crate::store::{Db, Tx};
use crate::tables::own_release;

pub(crate) use beside::Beside;

/// Most renewals that come with a request: those of one offer in many ledgers.
const MOST_RENEWALS: usize = 1_000;
/// Most files that one family is charged for.
const MOST_FILES: i64 = 1_000;

/// A charged file as the database has it: all columns but the MAC.
#[derive(Clone, PartialEq, Eq, Queryable, Selectable, Insertable, Serialize, Deserialize)]
#[diesel(table_name = own_release)]
pub(crate) struct OwnReleaseRow {
    pub file_sha256: String,
    pub family: String,
    pub at: i64,
    /// The envelope, as JSON.
    pub act: Vec<u8>,
    pub rdp: Vec<u8>,
}

impl OwnReleaseRow {
    fn new(act: &Envelope<OwnRelease>, release: &OwnRelease, cost: &RdpVector, at: Timestamp) -> R<OwnReleaseRow> {
        Ok(OwnReleaseRow {
            file_sha256: release.file_sha256.to_string(),
            family: release.charge.family.to_string(),
            at: at.micros(),
            act: serde_json::to_vec(act).map_err(|e| Refusal::new(Code::Internal, e.to_string()))?,
            rdp: ledger::encode(cost),
        })
    }

    /// What was let out.
    pub fn release(&self) -> R<OwnRelease> {
        let unread = |_| Refusal::new(Code::Internal, format!("the act about {} does not read", self.file_sha256));
        serde_json::from_slice::<Envelope<OwnRelease>>(&self.act).map_err(unread)?.read_unverified()
    }

    /// The answer about it.
    fn charged(&self) -> R<OwnReleaseCharged> {
        let OwnRelease { file_sha256, charge, .. } = self.release()?;
        Ok(OwnReleaseCharged { file_sha256, charge, at: Timestamp::from_micros(self.at) })
    }

    /// Whether its columns are those of its act.
    fn fits(&self) -> R<bool> {
        let release = self.release()?;
        Ok(self.file_sha256 == release.file_sha256.to_string()
            && self.family == release.charge.family.as_str()
            && self.rdp == ledger::encode(&policies::budget::vector(&release.charge.mechanisms)?))
    }
}

fn find(c: &mut Db, file_sha256: &str) -> Tx<Option<OwnReleaseRow>> {
    Ok(own_release::table.find(file_sha256).select(OwnReleaseRow::as_select()).first(c).optional()?)
}

/// All charged files, the first one first.
pub(crate) fn all(c: &mut Db) -> Tx<Vec<OwnReleaseRow>> {
    let order = (own_release::at.asc(), own_release::file_sha256.asc());
    Ok(own_release::table.order(order).select(OwnReleaseRow::as_select()).load(c)?)
}

/// Requires that every row says what its act says.
pub(crate) fn check(c: &mut Db) -> Tx<()> {
    for row in all(c)? {
        if !row.fits()? {
            let sentence = format!("the charge of the file {} stands otherwise than in its act", row.file_sha256);
            return Err(Refusal::new(Code::LogTampered, sentence).into());
        }
    }
    Ok(())
}

/// Enters rows; the sums of their families are made anew.
pub(crate) fn enter(c: &mut Db, rows: &[OwnReleaseRow]) -> Tx<()> {
    for row in rows {
        diesel::insert_into(own_release::table).values(row).execute(c)?;
    }
    let families: BTreeSet<(String, String)> = rows.iter().map(|row| (row.family.clone(), ANYONE.to_owned())).collect();
    ledger::recount(c, &families)
}

/// The ledgers in which a release of this offer's data will count, each with the offer's cap as renewals raised it there:
/// the one that all consumers share; or that of each consumer of the family, and what counts for whoever comes next.
fn ledgers(c: &mut Db, offer: &Signed<DatasetOffer>, renewals: &[Signed<BudgetRenewal>]) -> Tx<Vec<Ledger>> {
    let family = offer.family.as_str();
    let shown = || renewals.iter().map(|renewal| (renewal.digest(), &**renewal));
    let cap = |tdc: &Did| policies::renewal::cap(offer, &offer.digest(), tdc, shown());
    if offer.privacy_cap.scope == Scope::Global {
        let spent = ledger::sum(c, family, GLOBAL)?.vector;
        return Ok(vec![Ledger { whose: "all consumers".to_owned(), spent, cap: cap(&offer.provider)? }]);
    }
    let spent = ledger::of_charges(c, family, ANYONE)?;
    let mut all = vec![Ledger { whose: "every consumer".to_owned(), spent, cap: offer.privacy_cap.clone() }];
    for scope in ledger::consumers(c, family)? {
        let spent = ledger::sum(c, family, &scope)?.vector;
        all.push(Ledger { cap: cap(&Did::parse(&scope)?)?, whose: scope, spent });
    }
    Ok(all)
}

impl Kms {
    /// Charges what the provider is about to let out. The same file again is answered as the first time and costs nothing.
    pub fn charge_release(&self, request: OwnReleaseRequest) -> R<OwnReleaseCharged> {
        let now = self.now();
        if request.renewals.len() > MOST_RENEWALS {
            let sentence = format!("at most {MOST_RENEWALS} renewals come with a release");
            return Err(Refusal::new(Code::LimitExceeded, sentence).at("renewals"));
        }
        let (registry, provider, book) = (&self.trust.registry, self.config.provider.as_str(), self.provider_book());
        let release = signing::verify_by(request.release, registry, &book, provider)?;
        let offer = signing::verify_by(request.offer, registry, &book, provider)?;
        let pinned = KeyId::new(provider, self.provider_jwk.thumbprint());
        let keeper = Keeper {
            url: &self.config.url,
            provider: &self.config.provider,
            pinned: &pinned,
            sign_jwk: self.signer.jwk(),
        };
        let cost = policies::own_release::cost(&release, &offer, &keeper, now)?;
        let new = OwnReleaseRow::new(release.envelope(), &release, &cost, now)?;
        let known = self.store.transact(|c| {
            audit::check_caught_up(c)?;
            find(c, &new.file_sha256).map(|row| row.is_some())
        })?;
        // Renewals are checked where they count; and that the act can be kept is seen before anything is charged.
        let verified = |renewal| signing::verify_by(renewal, registry, &book, provider);
        let renewals = request.renewals.into_iter().filter(|_| !known).map(verified).collect::<R<Vec<_>>>()?;
        let mut beside = self.beside.open()?;
        let (row, first) = self.store.transact(|c| {
            audit::check_caught_up(c)?;
            rows::check(c, &self.store.key, "", std::slice::from_ref(&new.family), now)?;
            run::expire(c, now)?;
            if let Some(known) = find(c, &new.file_sha256)? {
                same(&known.release()?, &release)?;
                return Ok((known, false));
            }
            policies::own_release::recent(&release, now)?;
            room(c, &new.family)?;
            policies::own_release::fits(&cost, &ledgers(c, &offer, &renewals)?)?;
            enter(c, std::slice::from_ref(&new))?;
            Ok((new, true))
        })?;
        self.metrics.appended(usize::from(first));
        // Where this fails the charge stands; asked again, or started again, it is tried again.
        beside.keep(&row.act)?;
        tracing::info!(file = row.file_sha256, family = row.family, first, "a release outside runs is charged");
        row.charged()
    }

    /// At the start: enters again what the file has and the database lacks, since it was put back, and writes what the file
    /// lacks. What comes back was charged before, so no cap is asked.
    ///
    /// A file that cannot be read, a line that does not read and an act that is missing and not signed by the provider's
    /// pinned key are refused: the budget would be less spent than it is. While the service is held, a file that is missing
    /// stays so, for [`Kms::catch_up`] to see.
    pub(crate) fn settle_releases(&self) -> R<()> {
        let acts = self.beside.read()?;
        let (there, now) = (self.beside.exists(), self.now());
        let all = self.store.transact(|c| {
            let mut missing: Vec<OwnReleaseRow> = Vec::new();
            for (at, act) in (1..).zip(&acts) {
                let (act, row) = self.read_line(at, act)?;
                let twice = missing.iter().any(|other| other.file_sha256 == row.file_sha256);
                if !twice && find(c, &row.file_sha256)?.is_none() {
                    self.check_line(at, act)?;
                    missing.push(row);
                }
            }
            if !missing.is_empty() {
                let families: Vec<String> = missing.iter().map(|row| row.family.clone()).collect();
                rows::check(c, &self.store.key, "", &families, now)?;
                tracing::error!(
                    alarm = "releases_missing",
                    files = missing.len(),
                    "charged files came back from the file"
                );
                enter(c, &missing)?;
            }
            if there || audit::check_caught_up(c).is_ok() { all(c).map(Some) } else { Ok(None) }
        })?;
        let Some(all) = all else { return Ok(()) };
        let mut beside = self.beside.open()?;
        all.iter().try_for_each(|row| beside.keep(&row.act))
    }

    /// The act of a line, and its row; neither signature nor charge is checked.
    fn read_line(&self, at: usize, act: &[u8]) -> R<(Envelope<OwnRelease>, OwnReleaseRow)> {
        let read = |act: Envelope<OwnRelease>| {
            let release = act.read_unverified()?;
            let cost = policies::budget::vector(&release.charge.mechanisms)?;
            let row = OwnReleaseRow::new(&act, &release, &cost, release.at)?;
            Ok((act, row))
        };
        let row = serde_json::from_slice(act)
            .map_err(|e| e.to_string())
            .and_then(|act| read(act).map_err(|r: Refusal| r.sentence));
        row.map_err(|why| {
            let file = self.beside.path().display();
            let sentence = format!("line {at} of {file} does not read ({why}): put the file back from its copy");
            Refusal::new(Code::LogTampered, sentence)
        })
    }

    /// Requires that the provider signed a line which the database lacks, by the key that is pinned now.
    fn check_line(&self, at: usize, act: Envelope<OwnRelease>) -> R<()> {
        let (registry, provider) = (&self.trust.registry, self.config.provider.as_str());
        let verified = signing::verify_by(act, registry, &self.provider_book(), provider);
        verified.map(drop).map_err(|refusal| {
            let file = self.beside.path().display();
            let sentence = format!(
                "line {at} of {file} is missing in the database, and {}; if the provider signed it by a former key, start once \
                 with that one as provider_jwk",
                refusal.sentence
            );
            Refusal { sentence, ..refusal }
        })
    }
}

/// Refuses another charge for a file that was charged before: the file would not be what one of the two acts says.
fn same(before: &OwnRelease, now: &OwnRelease) -> R<()> {
    if (before.kind, &before.charge) == (now.kind, &now.charge) {
        return Ok(());
    }
    let sentence = "this very file was charged before, with another charge; a file is charged once";
    Err(Refusal::new(Code::IdempotencyKeyReused, sentence).at("file_sha256"))
}

/// Refuses one file too many.
fn room(c: &mut Db, family: &str) -> Tx<()> {
    let files: i64 = own_release::table.filter(own_release::family.eq(family)).count().get_result(c)?;
    if files < MOST_FILES {
        return Ok(());
    }
    let sentence = format!("a family is charged for at most {MOST_FILES} files outside runs");
    Err(Refusal::new(Code::LimitExceeded, sentence).at("charge.family").into())
}
