//! Where the key services of this test binary keep their tables: SQLite, in the service's folder.

/// No other database.
pub fn url() -> Option<String> {
    None
}
