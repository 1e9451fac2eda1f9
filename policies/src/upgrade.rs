//! May this build go on in a database that is there?

use schemas::problem::{Code, R, Refusal};

/// Has no later build brought this database on? What its tables mean then is not known here, so nothing is written to it.
/// `known` are the versions of this build's migrations, `applied` those that the database has had.
pub fn no_later_build(database: &str, known: &[String], applied: &[String]) -> R<()> {
    let Some(version) = applied.iter().find(|version| !known.contains(version)) else { return Ok(()) };
    let why = format!("a later build made it what it is (migration {version}); start that one, or put a backup back");
    Err(Refusal::new(Code::ConfigInvalid, format!("database {database}: {why}")))
}
