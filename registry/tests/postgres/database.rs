//! Where the registries of this test binary lie: a database for each folder, in one cluster that ends with the binary.

use std::collections::HashMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex};

use crate::postgres::Cluster;

/// Names the database in a process that a test starts.
pub const URL: &str = "DEPA_REGISTRY_TEST_URL";

/// Started by the first test that asks. Where that is not possible, no test of this binary can run: it says so and ends.
static CLUSTER: LazyLock<Cluster> = LazyLock::new(|| {
    Cluster::start().unwrap_or_else(|why| {
        drop(writeln!(std::io::stdout().lock(), "\nNOT RUN registry on PostgreSQL: {why}"));
        std::process::exit(0);
    })
});

static MADE: LazyLock<Mutex<HashMap<PathBuf, String>>> = LazyLock::new(Mutex::default);

/// The cluster of this binary.
pub fn cluster() -> &'static Cluster {
    &CLUSTER
}

/// The database of a folder; the same at each call.
pub fn url(dir: &Path) -> String {
    if let Ok(url) = std::env::var(URL) {
        return url;
    }
    let mut made = MADE.lock().unwrap_or_else(|p| p.into_inner());
    made.entry(dir.to_path_buf()).or_insert_with(|| CLUSTER.database()).clone()
}
