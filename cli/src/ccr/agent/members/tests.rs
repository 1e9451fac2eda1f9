//! Runs of several rooms whose rooms are one shell script: `$1` is `run` or `member`.

use std::sync::mpsc;

use schemas::job::JobSpec;
use schemas::{Envelope, canonical};

use super::super::room;
use super::super::tests::{agent, leased, nowhere, told, words};
use super::*;

/// Waits for its leader, and ends when it is told to.
const WAITS: &str =
    r#"trap 'exit 5' TERM; echo "{\"event\":\"listening\",\"address\":\"here:$$\"}"; while :; do sleep 0.05; done"#;

/// An order whose job asks for so many rooms.
fn order(rooms: u32) -> Leased {
    let text = include_bytes!("../../../../../schemas/examples/job.json");
    let mut job: JobSpec = serde_json::from_slice(text).unwrap();
    job.rooms = Some(rooms);
    let mut leased = leased();
    leased.bundle.job = Envelope::new(canonical::to_bytes(&job).unwrap(), vec![]);
    leased
}

/// A script for the room that leads, and one for each member.
fn script(leads: &str, member: &str) -> String {
    format!("case $1 in\nrun) shift; {leads};;\nmember) {member};;\nesac")
}

struct Ran {
    events: Vec<Value>,
    left: Vec<String>,
}

impl Ran {
    fn words(&self) -> Vec<&str> {
        words(&self.events)
    }

    /// The events of this word.
    fn of(&self, word: &str) -> Vec<&Value> {
        self.events.iter().filter(|event| event["event"] == word).collect()
    }

    /// Every member that was started has ended.
    #[track_caller]
    fn nothing_is_left(&self, started: usize) {
        let pids: Vec<u64> = self.of("agent_member").iter().filter_map(|event| event["pid"].as_u64()).collect();
        assert_eq!(pids.len(), started, "{:?}", self.words());
        for pid in pids {
            assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists(), "{pid} lives");
        }
    }
}

/// Carries out an order by an agent that was told of these members elsewhere; `see` gets every event as it comes.
fn carried_out(leased: Leased, script: &str, elsewhere: &[&str], mut see: impl FnMut(&Value, &Stop)) -> Ran {
    let ((agent, dir), stop) = (agent(script), Stop::default());
    let elsewhere = Elsewhere::new(&elsewhere.iter().map(|address| address.to_string()).collect::<Vec<_>>());
    let (send, news) = mpsc::channel();
    room::carry_out(&nowhere(), (&agent, &elsewhere), leased, &stop, send);
    let mut events = Vec::new();
    while let News::Said(event) = news.recv_timeout(Duration::from_secs(60)).unwrap() {
        see(&event, &stop);
        events.push(event);
    }
    assert_eq!(kept::unfinished(&agent.work).unwrap(), [], "nothing is left to take up");
    std::fs::remove_dir_all(dir).unwrap();
    let left = elsewhere.free().clone();
    Ran { events, left }
}

const LEADS: &str = r#"echo "$*" | sed 's,/[^ ]*/,,g'; echo '{"event":"completed"}'"#;

#[test]
fn a_job_of_several_rooms_gets_its_members_and_they_end_with_it() {
    let ran = carried_out(order(3), &script(LEADS, WAITS), &[], |_, _| {});
    let addresses: Vec<&str> = ran.of("agent_member").iter().map(|e| e["address"].as_str().unwrap()).collect();
    let [first, second] = addresses[..] else { panic!("{:?}", ran.events) };
    let (one, other) = (format!("--member {first} --member {second}"), format!("--member {second} --member {first}"));
    let said = ran.of("room_said")[0]["text"].as_str().unwrap();
    assert!(said.ends_with(&one) || said.ends_with(&other), "{said}");
    assert!(ran.events.iter().all(|event| event["job_sha256"] == json!(Digest([7; 32]))));
    let ended: Vec<_> = ran.of("agent_member_ended").iter().map(|event| event["exit"].clone()).collect();
    assert_eq!(ended, [json!(5), json!(5)], "told to, since no leader met them");
    assert_eq!(ran.words().last(), Some(&"agent_ended"));
    ran.nothing_is_left(2);
}

#[test]
fn a_job_of_one_room_and_one_that_cannot_be_read_get_none() {
    for leased in [leased(), order(1), order(17)] {
        let ran = carried_out(leased, &script(LEADS, WAITS), &["there:1"], |_, _| {});
        assert_eq!(ran.words(), ["agent_took", "room_said", "completed", "agent_ended"]);
        assert!(!ran.of("room_said")[0]["text"].as_str().unwrap().contains("--member"));
    }
}

#[test]
fn members_on_other_machines_come_first_and_are_free_again() {
    let ran = carried_out(order(3), &script(LEADS, WAITS), &["there:1"], |_, _| {});
    let here = ran.of("agent_member")[0]["address"].as_str().unwrap();
    let said = ran.of("room_said")[0]["text"].as_str().unwrap();
    assert!(said.ends_with(&format!("--member there:1 --member {here}")), "{said}");
    ran.nothing_is_left(1);
    assert_eq!(ran.left, ["there:1"]);
    let ran = carried_out(order(2), &script(LEADS, "exit 1"), &["there:1", "there:2"], |_, _| {});
    assert!(ran.of("room_said")[0]["text"].as_str().unwrap().ends_with("--member there:1"));
    assert_eq!((ran.of("agent_member").len(), ran.left.len()), (0, 2));
}

/// Two runs at once: the second has what the first left.
#[test]
fn a_member_elsewhere_is_lent_to_one_run_at_a_time() {
    let all = Elsewhere::new(&["a:1".into(), "b:1".into(), "c:1".into()]);
    let first = all.lend(2);
    let second = all.lend(2);
    assert_eq!(
        (first.addresses.clone(), second.addresses.clone()),
        (vec!["a:1".into(), "b:1".into()], vec!["c:1".to_owned()])
    );
    drop(first);
    assert_eq!(all.lend(9).addresses.len(), 2);
    // One that a run of an earlier agent has.
    let before = all.lent_before(&["a:1".into()]);
    assert_eq!(all.lend(9).addresses, ["b:1"]);
    drop(before);
    assert_eq!(all.lend(9).addresses.len(), 2);
}

#[test]
fn a_member_that_does_not_come_up_ends_the_others_and_no_room_leads() {
    // The second one dies once the first one listens.
    let dies = format!(r#"if mkdir "$0.first" 2>/dev/null; then {WAITS}; else sleep 0.5; exit 2; fi"#);
    let ran = carried_out(order(3), &script(LEADS, &dies), &[], |_, _| {});
    assert_eq!(ran.words().last(), Some(&"agent_failed"), "{:?}", ran.words());
    assert_eq!(ran.of("agent_failed")[0]["code"], "WORKER_FAILED");
    assert!(ran.of("room_said").is_empty(), "no room leads");
    ran.nothing_is_left(1);
}

#[test]
fn asked_twice_before_the_members_wait_nothing_is_begun() {
    let ran = carried_out(order(2), &script(LEADS, "exec sleep 60"), &[], |event, stop| {
        if event["event"] == "agent_took" {
            stop.ask();
            stop.ask();
        }
    });
    assert_eq!(ran.words(), ["agent_took", "agent_failed"]);
    assert_eq!(ran.of("agent_failed")[0]["code"], "ROOM_STOPPED");
}

#[test]
fn asked_twice_the_room_that_leads_and_its_members_end() {
    let leads =
        r#"trap 'echo "{\"event\":\"refused\"}"; exit 5' TERM; echo '{"event":"ready"}'; while :; do sleep 0.05; done"#;
    let ran = carried_out(order(3), &script(leads, WAITS), &[], |event, stop| {
        if event["event"] == "ready" {
            stop.ask();
            stop.ask();
        }
    });
    assert_eq!((ran.of("agent_stops_room").len(), ran.of("refused").len()), (1, 1));
    assert_eq!(ran.events.last().unwrap()["exit"], 5);
    ran.nothing_is_left(2);
}

#[test]
fn members_end_with_a_room_that_dies_though_they_do_not_listen_to_signals() {
    let deaf = r#"trap '' TERM; echo '{"event":"listening","address":"here:1"}'; while :; do sleep 0.05; done"#;
    let ran = carried_out(order(2), &script("kill -9 $$", deaf), &[], |_, _| {});
    assert_eq!((ran.of("agent_room_died").len(), ran.events.last().unwrap()["exit"].clone()), (1, json!(-1)));
    ran.nothing_is_left(1);
}

#[test]
fn the_next_agent_takes_up_a_run_with_its_members_and_ends_them() {
    let leads = r#"echo '{"event":"early"}'; read word <"$0.go"; echo '{"event":"completed"}'"#;
    let (agent, dir) = agent(&script(leads, WAITS));
    let gate = dir.join("ccr.go");
    assert!(std::process::Command::new("mkfifo").arg(&gate).status().unwrap().success());
    // The first agent's own eyes are closed: its thread is left behind, as its process would be gone.
    let (send, news) = mpsc::channel();
    let all = Elsewhere::new(&["there:1".into()]);
    room::carry_out(&nowhere(), (&agent, &all), order(3), &Stop::default(), send);
    let wanted = |n: &News| matches!(n, News::Said(e) if e["event"] == "early");
    while !wanted(&news.recv_timeout(Duration::from_secs(60)).unwrap()) {}
    let [record] = kept::unfinished(&agent.work).unwrap().try_into().unwrap();
    let [member] = record.members[..] else { panic!("{record:?}") };
    assert_eq!((member.lives(), record.elsewhere.clone()), (true, vec!["there:1".to_owned()]));
    let (send, later) = mpsc::channel();
    let mine = Elsewhere::new(&["there:1".into()]);
    room::take_up(&nowhere(), record, &mine, &Stop::default(), send);
    std::fs::write(&gate, "go\n").unwrap();
    let seen = told(&later);
    assert!(words(&seen).contains(&"agent_member_ended"), "{:?}", words(&seen));
    assert_eq!(seen.last().unwrap()["event"], "agent_ended");
    assert!(!member.lives());
    assert_eq!(mine.lend(9).addresses, ["there:1"], "free again");
    std::fs::remove_dir_all(dir).unwrap();
}
