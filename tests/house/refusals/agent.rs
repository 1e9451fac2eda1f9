//! What ends a room from outside, and what the provider's agent makes of it: the queue, its bound, an abort, a death, a
//! restart of the agent. The rooms are scripts or a test's own; the front desk and the key services are real.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ccr_runtime::Progress;
use demo::TestClock;
use demo::house::process::sibling;
use depa::ccr::agent::{Agent, Stop, serve};
use schemas::Code;
use schemas::bundle::JobBundle;
use serde_json::Value;

use super::probe::Probe;
use super::scene::{Scene, real, refuses};
use crate::not_run;

/// An agent whose rooms are a shell script, in a folder that goes with the house. `$D` is that folder.
fn agent(scene: &Scene, script: &str, rooms: u32, runs: u32) -> (Agent, PathBuf) {
    let dir = scene.house.dir.join(format!("agent-{}", uuid::Uuid::new_v4()));
    std::fs::create_dir(&dir).unwrap();
    let ccr = dir.join("ccr");
    std::fs::write(&ccr, format!("#!/bin/sh\nD={}\n{script}\n", dir.display())).unwrap();
    std::fs::set_permissions(&ccr, std::fs::Permissions::from_mode(0o755)).unwrap();
    let (config, work) = (dir.join("ccr.toml"), dir.join("work"));
    (Agent { ccr, config, work, wait_seconds: 0, runs: Some(runs), rooms, members: vec![] }, dir)
}

/// Orders an honest job of a small part of a contract's budget.
fn ordered(scene: &Scene, deal: &super::scene::Deal) -> JobBundle {
    let part = |form: &mut depa::job::form::JobForm| {
        super::scene::to_folder(form, &deal.upload);
        form.training.epsilon = Some(real("0.3"));
    };
    let bundle = scene.house.job_with(&deal.contract.id, part).unwrap().bundle;
    scene.house.tdc.orders(&bundle).unwrap();
    bundle
}

fn word(event: &Value) -> &str {
    event["event"].as_str().unwrap()
}

/// Has the agent serve until it returns; `see` is called with each event.
fn serves(scene: &Scene, agent: &Agent, mut see: impl FnMut(&Value)) -> Vec<Value> {
    let mut told = Vec::new();
    let desk = scene.house.ccrp.person.desk().unwrap();
    serve(desk, agent, &Stop::default(), &mut |event| {
        see(event);
        told.push(event.clone());
    })
    .unwrap();
    told
}

#[test]
fn queued_runs_are_all_carried_out_and_never_more_rooms_than_allowed() {
    let scene = Scene::new();
    let deal = scene.deal();
    let jobs: Vec<String> = (0..5).map(|_| ordered(&scene, &deal).job.digest().to_string()).collect();
    // The first two rooms wait for one another; each counts those that are there with it.
    let script = "mkdir $D/in.$$; until [ $(ls -d $D/in.* $D/out.* 2>/dev/null | wc -l) -ge 2 ]; do sleep 0.05; done\n\
                  ls -d $D/in.* | wc -l >> $D/counts; sleep 0.2; mv $D/in.$$ $D/out.$$; echo '{\"event\":\"refused\"}'";
    let (agent, dir) = agent(&scene, script, 2, 5);
    let told = serves(&scene, &agent, |_| {});
    let took: Vec<String> =
        told.iter().filter(|e| word(e) == "agent_took").map(|e| e["job_sha256"].as_str().unwrap().to_owned()).collect();
    assert_eq!(took, jobs, "in the order of the queue");
    assert_eq!(told.iter().filter(|e| word(e) == "agent_ended").count(), 5);
    let counts = std::fs::read_to_string(dir.join("counts")).unwrap();
    let most = counts.lines().map(|l| l.trim().parse::<u32>().unwrap()).max().unwrap();
    assert!(most <= 2, "{counts}");
}

#[test]
fn an_abort_from_outside_stops_the_room_and_shows_in_the_state_of_the_run() {
    let scene = Scene::new();
    let deal = scene.deal();
    let job = ordered(&scene, &deal);
    // A room that checks in and would then go on for very long.
    let script = "while [ ! -s $D/run ]; do sleep 0.05; done; cat $D/run; exec sleep 600";
    let (agent, dir) = agent(&scene, script, 1, 1);
    let mut run = None;
    let told = serves(&scene, &agent, |event| match word(event) {
        "agent_took" => {
            let mut probe = Probe::returns(&scene, &job).unwrap();
            probe.admission = Some(scene.desk().check_in(&probe.check_in(|_| {})).unwrap());
            probe.reserve_all();
            let line = serde_json::json!({"event": "checked_in", "run_id": probe.run_id});
            std::fs::write(dir.join("run"), format!("{line}\n")).unwrap();
            run = Some(probe.run_id.clone());
        }
        "checked_in" => {
            let person = &scene.house.tdps[0].person;
            let desk = person.desk().unwrap();
            let id = run.as_ref().unwrap();
            let trust = &scene.house.trust;
            drop(depa::run::abort(desk, id, "Enough.", &person.key, trust, person.now()).unwrap());
        }
        _ => {}
    });
    let words: Vec<&str> = told.iter().map(word).collect();
    let expected = ["agent_took", "checked_in", "agent_stops_room", "agent_room_died", "agent_ended"];
    assert_eq!(words[1..words.len() - 1], expected);
    let run = run.unwrap();
    assert_eq!(scene.house.tdc.person.desk().unwrap().run(&run).unwrap().state, "aborted");
    // What was held is free again by itself: no key had left.
    scene.clock.advance(601);
    assert_eq!(scene.states(&deal.contract), [["expired"]; 3]);
    scene.nothing_came_of(&deal);
}

#[test]
fn a_room_that_dies_is_told_and_what_it_had_reserved_comes_back() {
    let scene = Scene::new();
    let deal = scene.deal();
    let job = ordered(&scene, &deal);
    let script = "while [ ! -s $D/run ]; do sleep 0.05; done; cat $D/run; kill -9 $$";
    let (agent, dir) = agent(&scene, script, 1, 1);
    let told = serves(&scene, &agent, |event| {
        if word(event) == "agent_took" {
            let mut probe = Probe::returns(&scene, &job).unwrap();
            probe.admission = Some(scene.desk().check_in(&probe.check_in(|_| {})).unwrap());
            probe.reserve_all();
            let line = serde_json::json!({"event": "checked_in", "run_id": probe.run_id});
            std::fs::write(dir.join("run"), format!("{line}\n")).unwrap();
        }
    });
    let died = told.iter().find(|e| word(e) == "agent_room_died").unwrap();
    assert_eq!(died["code"], Code::WorkerFailed.as_str());
    assert!(died["run_id"].as_str().unwrap().starts_with("run_") && died["sentence"].as_str().unwrap().contains("9"));
    assert_eq!(scene.states(&deal.contract), [["reserved"]; 3]);
    scene.clock.advance(601);
    assert_eq!(scene.states(&deal.contract), [["expired"]; 3]);
    scene.nothing_came_of(&deal);
}

/// The agent's process, killed with its test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Both halves of a restart: an order that was taken and not begun goes back to the queue, and a room that lives on is
/// taken up.
#[test]
fn runs_survive_an_agent_that_is_killed() {
    let Ok(depa) = sibling("depa") else {
        return not_run("runs_survive_an_agent_that_is_killed", "depa is not built");
    };
    // Near the machine's own time, since the agent is another process.
    let scene = Scene::under(TestClock::starting(depa::edge::now()), |tdp, tables| {
        tdp.offers_with(tables.of(tdp.kind), |d| d.cap.epsilon = real("900")).unwrap()
    });
    let deal = scene.deal();
    let job = ordered(&scene, &deal).job.digest();
    let script =
        "echo '{\"event\":\"early\"}'; while [ ! -e $D/go ]; do sleep 0.05; done; echo '{\"event\":\"completed\"}'";
    let (mut kept, dir) = agent(&scene, script, 1, 1);
    let start = |log: &Path| {
        let mut command = Command::new(&depa);
        command.args(["ccr", "agent", "--registry", &scene.house.url, "--key"]).arg(scene.house.ccrp.person.key_file());
        command.arg("--ccr").arg(&kept.ccr).arg("--config").arg(&kept.config).arg("--work").arg(&kept.work);
        command.stdin(Stdio::null()).stdout(std::fs::File::create(log).unwrap()).stderr(Stdio::null());
        Process(command.spawn().unwrap())
    };
    let said = |log: &Path, wanted: &str| {
        let began = Instant::now();
        while !std::fs::read_to_string(log).unwrap().contains(wanted) {
            let text = std::fs::read_to_string(log).unwrap();
            assert!(began.elapsed() < Duration::from_secs(60), "{wanted} does not come: {text}");
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    let (one, two) = (dir.join("one.log"), dir.join("two.log"));
    let first = start(&one);
    said(&one, "\"early\"");
    drop(first);
    let mut second = start(&two);
    said(&two, "agent_found");
    // Told to end, it sees this room through and asks for no other order.
    assert!(Command::new("kill").arg(second.0.id().to_string()).status().unwrap().success());
    std::fs::write(dir.join("go"), "").unwrap();
    assert!(second.0.wait().unwrap().success());
    let text = std::fs::read_to_string(&two).unwrap();
    assert!(text.contains("\"completed\"") && !text.contains("agent_room_died"), "{text}");
    assert!(text.lines().filter(|l| l.contains("agent_found")).all(|l| l.contains(&job.to_string())), "{text}");

    // Nobody checked in with it: a minute later the same order is there for the next agent.
    scene.clock.advance(61);
    kept.work = dir.join("other");
    let told = serves(&scene, &kept, |_| {});
    let took = told.iter().find(|e| word(e) == "agent_took").unwrap();
    assert_eq!(took["job_sha256"].as_str().unwrap(), job.to_string());
}

/// The room's own end, when its provider tells it to stop: said in the log, and the charge comes back where no step was
/// run.
#[test]
fn a_room_that_is_told_to_stop_says_so_and_gives_back_what_it_did_not_use() {
    let scene = Scene::new();
    let deal = scene.deal();
    for (at, state) in [("released", "refunded"), ("training", "charged")] {
        let job = scene.again(&deal);
        scene.house.tdc.orders(&job).unwrap();
        let mut room = scene.room();
        room.config.trainer = Path::new(env!("CARGO_BIN_EXE_slow-worker")).to_owned();
        let (stop, run) = (room.stop.clone(), Arc::new(Mutex::new(None)));
        let done = ccr_runtime::run(job, &room, &mut |progress| match progress {
            Progress::CheckedIn { run: id } => *run.lock().unwrap() = Some(id),
            Progress::Released { .. } if at == "released" => stop.store(true, Ordering::SeqCst),
            Progress::Training { .. } => stop.store(true, Ordering::SeqCst),
            _ => {}
        });
        refuses(Code::RoomStopped, done);
        let run = run.lock().unwrap().clone().unwrap();
        assert_eq!(scene.house.tdc.person.desk().unwrap().run(&run).unwrap().state, "aborted");
        let states = scene.states(&deal.contract);
        assert!(states.concat().contains(&state.to_owned()), "{at}: {states:?}");
        // What was reserved beside it lapses.
        scene.clock.advance(601);
    }
    scene.nothing_left(&deal);
}

/// A fault of the room's own program ends the run as a refusal does.
#[test]
fn a_room_that_fails_within_says_so_in_the_log() {
    let scene = Scene::new();
    let deal = scene.deal();
    scene.house.tdc.orders(&deal.bundle).unwrap();
    let mut run = None;
    let done = ccr_runtime::run(deal.bundle.clone(), &scene.room(), &mut |progress| match progress {
        Progress::CheckedIn { run: id } => run = Some(id),
        Progress::Opened { .. } => panic!("on purpose"),
        _ => {}
    });
    refuses(Code::Internal, done);
    assert_eq!(scene.house.tdc.person.desk().unwrap().run(&run.unwrap()).unwrap().state, "aborted");
    assert_eq!(scene.states(&deal.contract), [["refunded"]; 3]);
    scene.nothing_came_of(&deal);
}
