//! Where the measured key service keeps its tables: SQLite, in the service's folder.

/// No other database.
pub fn url() -> Option<String> {
    None
}
