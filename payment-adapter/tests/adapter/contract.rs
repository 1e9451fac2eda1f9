//! What every payment system's adapter promises, one list for all of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use payment_adapter::provider::Posted;
use payment_adapter::{Config, Engine, Status};
use schemas::Code;
use schemas::event::PaymentResult;
use serde_json::json;

use crate::scene::{Scene, data};
use crate::systems::{Cards, Ending, System, UpiServer, all};

/// All steps between which a process may end.
const STEPS: [&str; 11] = [
    "before a message is kept",
    "before a message is acknowledged",
    "before a batch is taken",
    "before a batch is handed over",
    "before what was told is kept",
    "before a refusal is kept",
    "before the payment system is asked",
    "before its word is kept",
    "before a call is kept",
    "before a call is acknowledged",
    "before an answer is sent",
];
const LAST: &str = "before it is kept as taken";

/// Drives everything for some rounds, from the messages on, until nothing is open; an engine that is cut at this step, the
/// `nth` time that it comes there, is opened anew. Returns how things stand and how often it was cut.
fn drive(
    scene: &Scene,
    system: &dyn System,
    messages: &[serde_json::Value],
    cut: (&'static str, usize),
    rounds: usize,
) -> (Status, usize) {
    let config = system.config(scene);
    let seen = Arc::new(AtomicUsize::new(0));
    let open = || -> Engine {
        let seen = Arc::clone(&seen);
        let engine = Engine::open(&config, scene.clock()).unwrap();
        engine.cut_by(Arc::new(move |step| step == cut.0 && seen.fetch_add(1, Ordering::SeqCst) + 1 == cut.1))
    };
    let mut engine = open();
    let mut cuts = 0;
    let mut open_messages: Vec<&serde_json::Value> = messages.iter().collect();
    for _ in 0..rounds {
        scene.advance(2);
        let waiting = std::mem::take(&mut open_messages);
        for message in waiting {
            let call = scene.instructs(message);
            match engine.take(&call) {
                Ok(_) => {}
                Err(refusal) => {
                    assert_eq!(refusal.code, Code::Internal, "{refusal}");
                    open_messages.push(message);
                    (engine, cuts) = (open(), cuts + 1);
                }
            }
        }
        for act in 0..4 {
            let done = match act {
                0 => engine.pay().map(drop),
                1 => engine.look().map(drop),
                2 => system.tell(scene, &engine),
                _ => engine.answer().map(drop),
            };
            if let Err(refusal) = done {
                assert_eq!(refusal.code, Code::Internal, "{}: {refusal}", system.name());
                assert!(refusal.sentence.starts_with("cut"), "{}: {refusal}", system.name());
                (engine, cuts) = (open(), cuts + 1);
            }
        }
    }
    (engine.status().unwrap(), cuts)
}

const NEVER: (&str, usize) = ("", 0);

fn id(letter: char) -> String {
    String::from(letter).repeat(32)
}

#[test]
fn each_instruction_is_paid_once_and_answered_once_whatever_step_the_process_ends_at() {
    let mut cut_somewhere = std::collections::BTreeMap::<&str, usize>::new();
    for step in STEPS.into_iter().chain([LAST]) {
        // Where what was told is at stake, the second time too.
        let twice = step.starts_with("before what") || step.contains("word is kept") || step.contains("kept as taken");
        for nth in if twice { vec![1, 2] } else { vec![1] } {
            // Two instructions, one of which is told twice.
            for name in names() {
                let scene = Scene::new();
                let system = rebuilt(&scene, name, Ending::Settle);
                let messages = [data('A', 500_000), data('B', 7), data('A', 500_000)];
                let (status, cuts) = drive(&scene, &*system, &messages, (step, nth), 8);
                *cut_somewhere.entry(step).or_default() += cuts;
                for letter in ['A', 'B'] {
                    let context = format!("{} cut {step} ({nth})", system.name());
                    assert_eq!(status.state_of(&id(letter)), Some("settled"), "{context}");
                    assert_eq!(system.paid(&id(letter)), 1, "{context}");
                    assert_eq!(scene.desk.results(&id(letter)), [PaymentResult::Settled], "{context}");
                }
                assert_eq!((status.answers_open, status.answers_refused), (0, 0));
                assert!(status.unmatched.is_empty());
            }
        }
    }
    // Every step was really cut somewhere but the one that only a refusal reaches.
    for step in STEPS.into_iter().chain([LAST]).filter(|s| *s != "before a refusal is kept") {
        assert!(cut_somewhere[step] > 0, "{step}");
    }
}

fn rebuilt(scene: &Scene, name: &str, ending: Ending) -> Box<dyn System> {
    all(scene, ending).into_iter().find(|s| s.name() == name).unwrap()
}

/// The names of all payment systems.
fn names() -> Vec<&'static str> {
    let scene = Scene::new();
    all(&scene, Ending::Settle).iter().map(|s| s.name()).collect()
}

#[test]
fn a_lost_answer_to_the_submission_pays_nothing_twice() {
    for name in names() {
        for cut in [NEVER, ("before a refusal is kept", 1), ("before what was told is kept", 1)] {
            let scene = Scene::new();
            let system = rebuilt(&scene, name, Ending::Lose);
            let (status, _) = drive(&scene, &*system, &[data('A', 5)], cut, 12);
            assert_eq!((status.state_of(&id('A')), system.paid(&id('A'))), (Some("settled"), 1), "{name}");
            assert_eq!(scene.desk.results(&id('A')), [PaymentResult::Settled], "{name}");
        }
    }
}

#[test]
fn a_failure_is_answered_and_stays() {
    for name in names() {
        let scene = Scene::new();
        let system = rebuilt(&scene, name, Ending::Fail);
        let (status, _) = drive(&scene, &*system, &[data('A', 5)], NEVER, 8);
        assert_eq!(status.state_of(&id('A')), Some("failed"), "{name}");
        assert_eq!(scene.desk.results(&id('A')), [PaymentResult::Failed], "{name}");
        assert!(status.instructions[0].note.is_some() || name == "webhook", "{name}: no reason is kept");
    }
}

#[test]
fn money_that_comes_back_is_answered_after_its_settlement() {
    for name in names() {
        for cut in [NEVER, ("before an answer is sent", 1), (LAST, 1), ("before a call is acknowledged", 2)] {
            let scene = Scene::new();
            // The first answers are not taken, and then taken without the adapter's knowledge.
            scene.desk.troubles(1, 1);
            let system = rebuilt(&scene, name, Ending::Return);
            let (status, _) = drive(&scene, &*system, &[data('A', 5)], cut, 14);
            assert_eq!(status.state_of(&id('A')), Some("returned"), "{name}");
            let both = [PaymentResult::Settled, PaymentResult::Returned];
            assert_eq!(scene.desk.results(&id('A')), both, "{name}");
            assert!(status.unmatched.is_empty(), "{name}: {:?}", status.unmatched);
        }
    }
}

#[test]
fn what_is_told_twice_or_late_counts_once() {
    for name in names() {
        let scene = Scene::new();
        let system = rebuilt(&scene, name, Ending::Duplicate);
        let (status, _) = drive(&scene, &*system, &[data('A', 5)], NEVER, 12);
        assert_eq!(status.state_of(&id('A')), Some("settled"), "{name}");
        assert_eq!(scene.desk.results(&id('A')), [PaymentResult::Settled], "{name}");
        assert!(status.unmatched.is_empty(), "{name}: {:?}", status.unmatched);
    }
}

#[test]
fn a_delay_is_waited_for() {
    for name in names() {
        let scene = Scene::new();
        let system = rebuilt(&scene, name, Ending::Delay);
        let (early, _) = drive(&scene, &*system, &[data('A', 5)], NEVER, 3);
        let waits = early.state_of(&id('A')).unwrap().to_owned();
        assert!(["submitted", "accepted"].contains(&waits.as_str()), "{name}: {waits}");
        assert_eq!((system.paid(&id('A')), scene.desk.results(&id('A')).len()), (1, 0), "{name}");
        let (late, _) = drive(&scene, &*system, &[], NEVER, 12);
        assert_eq!(late.state_of(&id('A')), Some("settled"), "{name}");
    }
}

#[test]
fn a_block_is_answered_as_such_and_paid_out_or_refunded_from_the_adapters_own_account() {
    for name in names() {
        let scene = Scene::new();
        let system = rebuilt(&scene, name, Ending::Settle);
        let mut block = data('A', 5);
        block["act"] = json!("block");
        drive(&scene, &*system, &[block], NEVER, 8);
        assert_eq!(scene.desk.results(&id('A')), [PaymentResult::Blocked], "{name}");
        let (mut release, mut refund) = (data('B', 3), data('C', 2));
        release["from_block"] = json!(id('A'));
        (refund["act"], refund["from_block"]) = (json!("refund"), json!(id('A')));
        drive(&scene, &*system, &[release, refund], NEVER, 8);
        assert_eq!(scene.desk.results(&id('B')), [PaymentResult::Settled], "{name}");
        assert_eq!(scene.desk.results(&id('C')), [PaymentResult::Refunded], "{name}");
    }
    // Whose accounts the money moved between.
    let scene = Scene::new();
    let upi = UpiServer::start(Ending::Settle);
    let mut block = data('A', 5);
    block["act"] = json!("block");
    let mut release = data('B', 3);
    release["from_block"] = json!(id('A'));
    drive(&scene, &upi, &[block, release, data('C', 1)], NEVER, 6);
    let moved: Vec<[String; 3]> = upi
        .paths()
        .iter()
        .map(|p| ["path", "payer_vpa", "payee_vpa"].map(|name| p[name].as_str().unwrap().to_owned()))
        .collect();
    assert_eq!(
        moved,
        [
            ["/v1/collect", "models@okbank", "payments@okbank"],
            ["/v1/pay", "payments@okbank", "labs@okbank"],
            ["/v1/collect", "models@okbank", "labs@okbank"],
        ]
    );
}

#[test]
fn a_payment_system_that_forgot_its_idempotency_keys_is_asked_before_anything_is_handed_over_again() {
    let scene = Scene::new();
    let cards = Cards::start(Ending::Lose);
    cards.forgets();
    let (status, _) = drive(&scene, &cards, &[data('A', 5)], NEVER, 10);
    assert_eq!((status.state_of(&id('A')), cards.paid(&id('A'))), (Some("settled"), 1));
}

#[test]
fn a_payment_that_the_system_does_not_offer_fails_and_one_without_an_account_waits() {
    let scene = Scene::new();
    let upi = UpiServer::start(Ending::Settle);
    let (mut dollars, mut stranger) = (data('A', 5), data('B', 5));
    dollars["currency"] = json!("USD");
    stranger["payee"] = json!("did:web:stranger.example");
    let (status, _) = drive(&scene, &upi, &[dollars, stranger], NEVER, 4);
    assert_eq!(scene.desk.results(&id('A')), [PaymentResult::Failed]);
    assert_eq!((status.state_of(&id('B')), upi.paid(&id('B'))), (Some("created"), 0));
    let note = status.instructions.iter().find(|i| i.instruction_id == id('B')).unwrap().note.clone().unwrap();
    assert!(note.contains("did:web:stranger.example"), "{note}");
}

#[test]
fn an_instruction_waits_until_it_is_due_where_the_operator_wishes() {
    for (wait, state) in [(true, "created"), (false, "settled")] {
        let scene = Scene::new();
        let system = rebuilt(&scene, "recording", Ending::Settle);
        let config = Config { wait_until_due: wait, ..system.config(&scene) };
        let engine = Engine::open(&config, scene.clock()).unwrap();
        let mut later = data('A', 5);
        later["due_at"] = json!(scene.now().plus_seconds(3600));
        let call: Posted = scene.instructs(&later);
        assert!(engine.take(&call).unwrap());
        let round = || {
            scene.advance(2);
            engine.pay().unwrap();
            engine.look().unwrap();
        };
        (0..4).for_each(|_| round());
        assert_eq!(engine.status().unwrap().state_of(&id('A')), Some(state));
        scene.advance(3600);
        (0..4).for_each(|_| round());
        assert_eq!(engine.status().unwrap().state_of(&id('A')), Some("settled"));
    }
}
