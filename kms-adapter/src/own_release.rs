//! Releases outside runs: what the provider is about to let out by itself is charged to its family, against the cap of its
//! offer, in one transaction with the check. It names no consumer, so it counts in every ledger of the family.
//!
//! The acts are kept line by line in a file beside the database too: the log hears of none of them, so a database that was
//! put back learns them from there, at the next start.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

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

/// Most renewals that come with a request: those of one offer in many ledgers.
const MOST_RENEWALS: usize = 1_000;
/// Most files that one family is charged for.
const MOST_FILES: i64 = 10_000;

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
        let verified = |renewal| signing::verify_by(renewal, registry, &book, provider);
        let renewals = request.renewals.into_iter().map(verified).collect::<R<Vec<_>>>()?;
        let pinned = KeyId::new(provider, self.provider_jwk.thumbprint());
        let keeper = Keeper {
            url: &self.config.url,
            provider: &self.config.provider,
            pinned: &pinned,
            sign_jwk: self.signer.jwk(),
        };
        let cost = policies::own_release::cost(&release, &offer, &keeper, now)?;
        let new = OwnReleaseRow::new(release.envelope(), &release, &cost, now)?;
        let (row, first) = self.store.transact(|c| {
            audit::check_caught_up(c)?;
            rows::check(c, &self.store.key, "", std::slice::from_ref(&new.family), now)?;
            run::expire(c, now)?;
            if let Some(known) = find(c, &new.file_sha256)? {
                same(&known.release()?, &release)?;
                return Ok((known, false));
            }
            room(c, &new.family)?;
            policies::own_release::fits(&cost, &ledgers(c, &offer, &renewals)?)?;
            enter(c, std::slice::from_ref(&new))?;
            Ok((new, true))
        })?;
        self.metrics.appended(usize::from(first));
        // Where this fails the charge stands; asked again, it is tried again.
        self.keep_release(&row)?;
        tracing::info!(file = row.file_sha256, family = row.family, first, "a release outside runs is charged");
        row.charged()
    }

    fn releases_file(&self) -> PathBuf {
        self.config.dir.join("releases.jsonl")
    }

    /// Appends the act, where the file does not have it, and waits until it is on the disk.
    fn keep_release(&self, row: &OwnReleaseRow) -> R<()> {
        let path = self.releases_file();
        let fault = |e: std::io::Error| Refusal::new(Code::Unavailable, format!("{}: {e}", path.display()));
        let before = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(e) => return Err(fault(e)),
        };
        if before.split(|byte| *byte == b'\n').any(|line| line == row.act) {
            return Ok(());
        }
        // A line that broke off ends here.
        let broken: &[u8] = if before.is_empty() || before.ends_with(b"\n") { b"" } else { b"\n" };
        let line = [broken, &row.act, b"\n"].concat();
        let open = std::fs::OpenOptions::new().create(true).append(true).mode(0o600).open(&path);
        let mut file = open.map_err(fault)?;
        file.write_all(&line).and_then(|()| file.sync_data()).map_err(fault)
    }

    /// At the start: enters again what the file has and the database lacks, since it was put back. It was charged before, so
    /// no cap is asked. A line that broke off was answered to nobody.
    pub(crate) fn settle_releases(&self) -> R<()> {
        let Ok(text) = std::fs::read_to_string(self.releases_file()) else { return Ok(()) };
        let now = self.now();
        let mut kept = Vec::new();
        for act in text.lines().filter_map(|line| serde_json::from_str::<Envelope<OwnRelease>>(line).ok()) {
            let (registry, provider) = (&self.trust.registry, self.config.provider.as_str());
            match signing::verify_by(act.clone(), registry, &self.provider_book(), provider) {
                Ok(release) => {
                    let cost = policies::budget::vector(&release.charge.mechanisms)?;
                    kept.push(OwnReleaseRow::new(&act, &release, &cost, release.at)?);
                }
                // By a key that the provider had before, or forged: what the database has counts either way.
                Err(refusal) => tracing::warn!(%refusal, "a line of releases.jsonl is passed over"),
            }
        }
        self.store.transact(|c| {
            let mut missing: Vec<OwnReleaseRow> = Vec::new();
            for row in kept {
                let twice = missing.iter().any(|other| other.file_sha256 == row.file_sha256);
                if !twice && find(c, &row.file_sha256)?.is_none() {
                    missing.push(row);
                }
            }
            if missing.is_empty() {
                return Ok(());
            }
            let families: Vec<String> = missing.iter().map(|row| row.family.clone()).collect();
            rows::check(c, &self.store.key, "", &families, now)?;
            tracing::error!(alarm = "releases_missing", files = missing.len(), "charged files came back from the file");
            enter(c, &missing)
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
