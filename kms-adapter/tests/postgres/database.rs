//! Where the key services of this test binary keep their tables: a database each, in one throw-away PostgreSQL cluster.

use std::io::Write as _;
use std::sync::LazyLock;

use crate::postgres::Cluster;

/// Started by the first test that asks. Where that is not possible, no test of this binary can run: it says so and ends.
static CLUSTER: LazyLock<Cluster> = LazyLock::new(|| {
    Cluster::start().unwrap_or_else(|why| {
        drop(writeln!(std::io::stdout().lock(), "\nNOT RUN key service on PostgreSQL: {why}"));
        std::process::exit(0);
    })
});

/// A new, empty database.
pub fn url() -> Option<String> {
    Some(CLUSTER.database())
}
