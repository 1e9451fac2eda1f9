//! Where the registries of this test binary lie: SQLite, a file in the folder.

use std::path::Path;

/// Names the database in a process that a test starts; a file is named by its folder.
pub const URL: &str = "DEPA_REGISTRY_TEST_URL";

/// The database of a folder; the same at each call.
pub fn url(dir: &Path) -> String {
    format!("sqlite://{}", dir.join("registry.db").display())
}
