//! Groups of real processes: this test's own binary, started again as each member.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use collective::{Group, MAX_MEMBERS, Place};
use schemas::Code;

const MEMBER: &str = "DEPA_TEST_MEMBER";

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Starts this binary as a member that does `what`.
fn member(what: &str, place: Place) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["a_member_of_a_group", "--exact", "--nocapture"])
        .env(MEMBER, format!("{what} {} {} {}", place.port, place.rank, place.members))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// What a member prints between the words of the test harness.
fn told(child: Child) -> String {
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().find_map(|line| line.split_once("MEMBER ")).map_or(text.clone(), |(_, told)| told.to_owned())
}

/// No test of its own: what the processes of the others run.
#[test]
fn a_member_of_a_group() {
    let Ok(task) = std::env::var(MEMBER) else { return };
    let parts: Vec<&str> = task.split(' ').collect();
    let [what, port, rank, members] = parts[..] else { panic!("{task}") };
    let place = Place { port: port.parse().unwrap(), rank: rank.parse().unwrap(), members: members.parse().unwrap() };
    let group = match Group::join(place, Duration::from_secs(5)) {
        Ok(group) => group,
        Err(refusal) => return println!("MEMBER {}", refusal.code),
    };
    if what == "die" {
        std::process::exit(0);
    }
    let mut values: Vec<f64> = (0..1_000).map(|n| f64::from(n) / 3.0 + 0.1 * f64::from(place.rank)).collect();
    match group.sum(&mut values).and_then(|()| group.before(10 + u64::from(place.rank))) {
        Ok(before) => {
            let bits = values.iter().fold(0u64, |all, v| all.rotate_left(1) ^ v.to_bits());
            println!("MEMBER {:.3} {:.3} {bits:x} before {before}", values[0], values[999]);
        }
        Err(refusal) => println!("MEMBER {}", refusal.code),
    }
}

#[test]
fn three_processes_get_the_same_sum() {
    let port = free_port();
    let members: Vec<Child> = (0..3).map(|rank| member("sum", Place { port, rank, members: 3 })).collect();
    let told: Vec<String> = members.into_iter().map(told).collect();
    let words: Vec<Vec<&str>> = told.iter().map(|line| line.split(' ').collect()).collect();
    for (rank, before) in ["0", "10", "21"].into_iter().enumerate() {
        assert_eq!(words[rank][..2], ["0.300", "999.300"], "{told:?}");
        assert_eq!(words[rank][2], words[0][2], "the same bits: {told:?}");
        assert_eq!(words[rank][4], before, "{told:?}");
    }
}

#[test]
fn a_member_that_dies_ends_the_others() {
    let port = free_port();
    let lives = member("sum", Place { port, rank: 0, members: 2 });
    let dies = member("die", Place { port, rank: 1, members: 2 });
    assert_eq!(told(lives), Code::PeerFault.to_string());
    told(dies);
}

#[test]
fn a_member_that_does_not_come_is_not_waited_for_forever() {
    let alone = member("sum", Place { port: free_port(), rank: 0, members: 2 });
    assert_eq!(told(alone), Code::PeerFault.to_string());
}

#[test]
fn places_that_cannot_be_are_refused() {
    for (rank, members) in [(0, 0), (1, 1), (0, MAX_MEMBERS + 1), (u32::MAX, 2)] {
        let refused = Group::join(Place { port: 1, rank, members }, Duration::from_secs(1)).unwrap_err();
        assert_eq!(refused.code, Code::LimitExceeded, "{rank} of {members}");
    }
}
