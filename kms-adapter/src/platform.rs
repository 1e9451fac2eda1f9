//! The platform data that was in force here: a version left behind does not come back.

use attestation::PlatformTable;
use diesel::prelude::*;
use schemas::{Code, Refusal};

use crate::store::{Db, Tx};
use crate::tables::service_state;

/// Name of the row that says which platform data was in force.
const HELD: &str = "platform_data";

/// Keeps the version of the platform data in force; refuses one that was left behind before, so that putting an old file
/// back does not lower what is asked.
pub(crate) fn keep_version(c: &mut Db, table: &PlatformTable) -> Tx<()> {
    let held = service_state::table.find(HELD).select(service_state::value).first::<String>(c).optional()?;
    let held = held.and_then(|version| version.parse::<u32>().ok()).unwrap_or(0);
    let version = table.version();
    if version < held {
        let sentence = format!("platform data of version {held} was in force here; version {version} is older");
        return Err(Refusal::new(Code::ConfigInvalid, sentence).at("platform.data").into());
    }
    diesel::delete(service_state::table.find(HELD)).execute(c)?;
    let row = (service_state::name.eq(HELD), service_state::value.eq(version.to_string()));
    diesel::insert_into(service_state::table).values(row).execute(c)?;
    Ok(())
}
