//! Every reachable state of the protocol, and the counter-examples of protocols that lack one of its rules.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use protocol_model::Protocol;
use protocol_model::check::{ALWAYS, ANSWERED_ONCE, BUDGET, CHARGED, FINAL, PAID_ONCE, ROLLBACK, SOMETIMES};
use stateright::{Checker, HasDiscoveries, Model};

fn explored(protocol: Protocol) {
    let started = std::time::Instant::now();
    let checker = protocol.checker().threads(2).spawn_bfs().join();
    assert!(checker.is_done(), "not every state was visited");
    println!(
        "{} states, {} distinct, depth {}, {:.1} s",
        checker.state_count(),
        checker.unique_state_count(),
        checker.max_depth(),
        started.elapsed().as_secs_f64()
    );
    for name in ALWAYS {
        if let Some(path) = checker.discovery(name) {
            panic!("{name}: {:#?}", path.into_actions());
        }
    }
    let possible = |name: &&&str| match **name {
        "a lost answer is asked for again" => protocol.repeats > 0,
        "a service is behind" => protocol.restores > 0,
        _ => true,
    };
    for name in SOMETIMES.iter().filter(possible) {
        assert!(checker.discovery(name).is_some(), "never: {name}");
    }
}

/// The protocol without one of its rules: this must not hold any more.
fn broken(protocol: Protocol, name: &'static str) {
    let checker = protocol.checker().threads(2).finish_when(HasDiscoveries::AnyOf([name].into())).spawn_bfs().join();
    let path = checker.discovery(name).unwrap_or_else(|| panic!("{name} holds all the same"));
    println!("{name} falls after {} states:", checker.unique_state_count());
    for step in path.into_actions() {
        println!("    {step:?}");
    }
}

/// A lost answer and a restore are explored each by itself; both at once take hours.
#[test]
fn the_protocol_holds_in_every_state() {
    explored(Protocol { restores: 0, ..Protocol::as_built() });
    explored(Protocol { repeats: 0, ..Protocol::as_built() });
}

#[test]
fn a_challenge_that_is_not_consumed_first_is_answered_twice() {
    broken(Protocol { consumed_first: false, restores: 0, repeats: 0, ..Protocol::as_built() }, ANSWERED_ONCE);
}

#[test]
fn without_the_heads_of_the_log_a_rollback_goes_unseen() {
    broken(Protocol { repeats: 0, head_checked: false, ..Protocol::as_built() }, ROLLBACK);
}

#[test]
fn a_charge_after_the_wrap_is_lost_in_a_crash() {
    let protocol = Protocol { charged_with_wrap: false, restores: 0, ..Protocol::as_built() };
    broken(protocol, CHARGED);
    broken(protocol, FINAL);
    broken(protocol, BUDGET);
}

#[test]
fn an_admission_from_before_the_restart_hides_the_rollback() {
    broken(Protocol { repeats: 0, admission_since_start: false, ..Protocol::as_built() }, ROLLBACK);
}

#[test]
fn a_completion_that_counts_twice_pays_twice() {
    broken(Protocol { completed_once: false, restores: 0, ..Protocol::as_built() }, PAID_ONCE);
}
