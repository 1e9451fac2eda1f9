//! The trace that the calls of a run belong to. A room tells services which calls are of one run, and nothing more: it
//! exports no span, since nothing but the declared output leaves it. The ids are random; none is made of anything that the
//! room knows.

use std::sync::Arc;

use contract_client::{Act, Hook, Outgoing};
use uuid::Uuid;

/// Adds `traceparent` (W3C Trace Context) to calls: one trace for all of them, chosen now.
pub fn hook() -> Arc<dyn Hook> {
    let trace = Uuid::new_v4().simple().to_string();
    Arc::new(move |call: &mut Outgoing| {
        // The last twelve digits of the id are random; a span's is never all zeros by the four in front.
        let id = Uuid::new_v4().simple().to_string();
        let span = id.get(20..).unwrap_or_default();
        call.headers.push(("traceparent".to_owned(), format!("00-{trace}-0001{span}-00")));
        Act::Pass
    })
}

#[cfg(test)]
mod tests {
    use contract_client::Method;

    use super::*;

    #[test]
    fn calls_of_one_run_share_a_trace_and_nothing_else_is_added() {
        let hook = hook();
        let told = |hook: &Arc<dyn Hook>| {
            let mut call = Outgoing { method: Method::Post, path: "/v1/challenges", attempt: 1, headers: Vec::new() };
            assert_eq!(hook.before(&mut call), Act::Pass);
            let [(name, value)] = call.headers.try_into().unwrap();
            assert_eq!(name, "traceparent");
            value
        };
        let (one, two, other) = (told(&hook), told(&hook), told(&super::hook()));
        for value in [&one, &two, &other] {
            let parts: Vec<&str> = value.split('-').collect();
            let hex = |part: &str| part.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
            assert!(parts.iter().all(|part| hex(part)), "{value}");
            assert_eq!(parts.iter().map(|part| part.len()).collect::<Vec<_>>(), [2, 32, 16, 2], "{value}");
            assert_eq!((parts[0], parts[3]), ("00", "00"), "the room records nothing");
        }
        assert_eq!(one[..36], two[..36]);
        assert_ne!(one, two);
        assert_ne!(one[..36], other[..36]);
    }
}
