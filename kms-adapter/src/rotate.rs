//! New keys over old data: the key-encryption key and the root key are replaced without touching a dataset. Either may
//! break off anywhere: what is stored opens at every moment, and the next call goes on.

use diesel::prelude::*;
use schemas::{Code, R, Refusal};

use crate::backend::embedded::Embedded;
use crate::backend::{self, Kind};
use crate::config::Config;
use crate::cupboard::{Cupboard, KeyRow};
use crate::init;
use crate::kek::{ACTIVE, DESTROYED, KekRow, RETIRED};
use crate::kms::Kms;
use crate::rehearse;
use crate::root;
use crate::rows;
use crate::secret::Secret;
use crate::tables::{data_key, journal_gap, kek, service_state};

/// What a rotation came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rotated {
    /// The version that is in use.
    pub version: i32,
    /// Data keys that were wrapped anew.
    pub rewrapped: u64,
    /// Versions that were ended.
    pub destroyed: Vec<i32>,
    /// Whether an earlier rotation was finished rather than a new one begun.
    pub resumed: bool,
}

impl Kms {
    /// Wraps every data key under a new version of the key-encryption key and ends the versions that nothing is wrapped
    /// under any more. Where an earlier rotation broke off, that one is finished instead. The service may run meanwhile.
    pub fn rotate_kek(&self) -> R<Rotated> {
        rehearse::begin();
        let now = self.now();
        let current = self.cupboard.current_kek(&self.store, now)?;
        let resumed = self.store.transact(|c| Ok(self.cupboard.keks(c)?.iter().any(|row| row.state == RETIRED)))?;
        let current = if resumed { current } else { self.begin(&current)? };
        let rewrapped = self.rewrap(&current)?;
        Ok(Rotated { version: current.version, rewrapped, destroyed: self.end_retired()?, resumed })
    }

    /// The next version takes the place of this one.
    fn begin(&self, current: &KekRow) -> R<KekRow> {
        let made = self.cupboard.backend.rotate(&current.reference())?;
        let next = self.cupboard.kek_row(current.version + 1, made, self.now())?;
        self.store.transact(|c| {
            let mut old = self.cupboard.kek(c, current.version)?;
            if old.state != ACTIVE {
                return Err(Refusal::new(Code::Unavailable, "another rotation runs").into());
            }
            old.state = RETIRED.to_owned();
            let old = self.cupboard.sealed(old)?;
            diesel::update(kek::table.find(old.version)).set(&old).execute(c)?;
            diesel::insert_into(kek::table).values(&next).execute(c)?;
            Ok(())
        })?;
        Ok(next)
    }

    fn rewrap(&self, current: &KekRow) -> R<u64> {
        let others = data_key::kek_version.ne(current.version);
        let rows: Vec<KeyRow> =
            self.store.transact(|c| Ok(data_key::table.filter(others).select(KeyRow::as_select()).load(c)?))?;
        for row in &rows {
            let old = self.store.transact(|c| self.cupboard.kek(c, row.kek_version))?;
            let key = self.cupboard.open(row, &old)?;
            let fresh = self.cupboard.wrapped(row.clone(), current, &key)?;
            self.store.transact(|c| {
                // Only on the row that was opened: another rotation may have been here.
                let same = data_key::table.find(&row.key_id).filter(data_key::mac.eq(&row.mac));
                diesel::update(same).set(&fresh).execute(c)?;
                Ok(())
            })?;
        }
        Ok(rows.len() as u64)
    }

    fn end_retired(&self) -> R<Vec<i32>> {
        let mut ended = Vec::new();
        let retired: Vec<KekRow> = self
            .store
            .transact(|c| Ok(self.cupboard.keks(c)?.into_iter().filter(|row| row.state == RETIRED).collect()))?;
        for row in retired {
            let unused = self.store.transact(|c| {
                let under = data_key::table.filter(data_key::kek_version.eq(row.version));
                Ok(under.count().get_result::<i64>(c)? == 0)
            })?;
            if !unused {
                continue;
            }
            self.cupboard.backend.destroy(&row.reference())?;
            let version = row.version;
            let over = KekRow { wrapped: Vec::new(), state: DESTROYED.to_owned(), ..row };
            let over = self.cupboard.sealed(over)?;
            self.store.transact(|c| Ok(diesel::update(kek::table.find(version)).set(&over).execute(c)?))?;
            ended.push(version);
        }
        Ok(ended)
    }
}

/// Name of the row by which the root key in use is known.
const ROOT: &str = "root";

fn known_by(root: &Secret) -> R<String> {
    let mac = root.mac(&[b"depa/kms/root-check/1"])?;
    Ok(mac.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Requires the root key under which the database stands; the first one is remembered.
pub(crate) fn check_root(kms: &Kms, root: &Secret) -> R<()> {
    let ours = known_by(root)?;
    kms.store.transact(|c| {
        let row = service_state::table.find(ROOT).select(service_state::value).first::<String>(c).optional()?;
        match row {
            Some(found) if found == ours => Ok(()),
            Some(_) => {
                let sentence = "the database stands under another root key; root_key names the one that it had before";
                Err(Refusal::new(Code::ConfigInvalid, sentence).at("root_key").into())
            }
            None => {
                let row = (service_state::name.eq(ROOT), service_state::value.eq(&ours));
                diesel::insert_into(service_state::table).values(row).execute(c)?;
                Ok(())
            }
        }
    })
}

/// Puts another root key in the place of the one in use: what it wraps is wrapped anew and every MAC is made anew, in one
/// transaction; then the import key. Gives the configuration that names the new one. The service must not run.
pub fn rotate_root(config: &Config, to: &str) -> R<Config> {
    let mut after = config.clone();
    after.root_key = Some(to.to_owned());
    if finished_before(config, &after) {
        return Ok(after);
    }
    let kms = Kms::open(config.clone(), crate::system_clock())?;
    rehearse::begin();
    let (old, new) = (root::load(config)?, root::load_or_make(&after)?);
    if old.expose() == new.expose() {
        return Err(Refusal::new(Code::ConfigInvalid, "that is the root key in use").at("root_key"));
    }
    let next = Cupboard::new(&config.provider, &new, backend::open(&after, &new)?)?;
    let (from, into) = (Embedded::new(&old)?, Embedded::new(&new)?);
    init::rewrap_import_key(&config.import_key_file(), &old, &new)?;
    let row_key = rows::key(&new)?;
    kms.store.transact_into(&row_key, |c| {
        for mut row in kms.cupboard.keks(c)? {
            if row.backend == Kind::Embedded.as_str() && row.state != DESTROYED {
                row.wrapped = from.reseal(&row.reference(), &into)?.kept;
            }
            let row = next.sealed(row)?;
            diesel::update(kek::table.find(row.version)).set(&row).execute(c)?;
        }
        for row in data_key::table.select(KeyRow::as_select()).load(c)? {
            kms.cupboard.check(&row)?;
            let row = next.maced(row)?;
            diesel::update(data_key::table.find(&row.key_id)).set(&row).execute(c)?;
        }
        let gaps: Vec<(i64, i64)> =
            journal_gap::table.select((journal_gap::after_seq, journal_gap::next_seq)).load(c)?;
        for (after, to) in gaps {
            if !kms.cupboard.is_gap(c, after, to)? {
                return Err(
                    Refusal::new(Code::LogTampered, "a gap of the journal was made outside this service").into()
                );
            }
            let mac = next.gap_mac(after, to)?.to_vec();
            diesel::update(journal_gap::table.find(after)).set(journal_gap::mac.eq(mac)).execute(c)?;
        }
        let known = known_by(&new)?;
        diesel::update(service_state::table.find(ROOT)).set(service_state::value.eq(known)).execute(c)?;
        rows::close_anew(c, &row_key)
    })?;
    init::settle_import_key(&config.import_key_file(), &new)?;
    Ok(after)
}

/// Whether an earlier call broke off after its commit: then everything stands under the new root key already, and all that
/// is left is to name it. Asked of the old key first, so that a service that stands under it is not opened under another.
fn finished_before(config: &Config, after: &Config) -> bool {
    let other = match (root::load(config), root::load(after)) {
        (Ok(old), Ok(new)) => old.expose() != new.expose(),
        _ => false,
    };
    let open = |config: &Config| Kms::open(config.clone(), crate::system_clock()).is_ok();
    other && !open(config) && open(after)
}
