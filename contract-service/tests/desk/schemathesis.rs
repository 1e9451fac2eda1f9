//! The interface under thousands of calls made of its own document, by schemathesis: no fault of ours, no answer that
//! the document does not name. Started by `infra/schemathesis.sh`, which brings the tool.

use std::process::Command;

use contract_service::config::{Budget, Rates};
use schemas::party::Kind;

use crate::house::House;
use crate::http::bearer;
use crate::papers;

/// Streams never end by themselves; their tests are in `events`. COSE is not in the tool's vocabulary; see `wire`.
const STREAMS: &str = "^/v1/(events|runs/.*/events)$|^/entries$";

#[test]
#[ignore = "needs schemathesis; run infra/schemathesis.sh"]
fn no_fault_of_ours_and_no_undocumented_answer() {
    let Ok(tool) = std::env::var("SCHEMATHESIS") else {
        println!("NOT RUN schemathesis: infra/schemathesis.sh brings the tool and starts this test");
        return;
    };
    let examples = std::env::var("SCHEMATHESIS_EXAMPLES").unwrap_or_else(|_| "10".into());
    let free = Budget { per_second: 0, burst: 0 };
    let rates = Rates {
        anonymous_writes: free,
        writes: free,
        tokens: free,
        applications: free,
        reads: free,
        ..Rates::default()
    };
    let house = House::with(|config| config.rates = rates).furnish();
    let auditor = std::sync::Arc::new(signing::FileKey::generate().unwrap());
    house.admit(&auditor, Kind::Auditor);
    house.propose(&papers::contract(&house)).unwrap();
    // Positive data is well-formed and unsigned: it cannot be accepted. Unknown members in headers and queries are
    // ignored, which HTTP wants.
    for (who, phases) in [(&house.tdc, "examples,coverage,fuzzing"), (&house.sro[0], "fuzzing,stateful")] {
        let mut call = Command::new(&tool);
        call.args(["--config-file", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/desk/schemathesis.toml")]);
        call.args(["run", &format!("{}/openapi.json", house.url()), "--phases", phases]);
        call.args(["--max-examples", &examples, "--seed", "20261120", "--workers", "1", "--no-color"]);
        call.args(["--checks", "all", "--exclude-checks", "positive_data_acceptance,negative_data_rejection"]);
        call.args(["--exclude-path-regex", STREAMS, "--request-timeout", "20", "--max-failures", "40"]);
        call.args(["--suppress-health-check", "all", "--warnings", "off", "--continue-on-failure"]);
        call.arg("-H").arg(format!("Authorization: Bearer {}", bearer(&house, who)));
        let status = call.current_dir(&house.dir).status().unwrap();
        assert!(status.success(), "schemathesis found something");
    }
}
