//! Where the services of this test binary keep their tables: SQLite, a file in the folder.

/// The database that a house's configuration names; none for SQLite.
pub fn url() -> Option<String> {
    None
}
