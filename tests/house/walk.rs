//! The main job, from two people with keys to an audited log: in this process, and as the processes of `demo run`.

use std::process::Command;

use demo::data;
use demo::house::process::sibling;
use demo::narrate::Narrator;
use demo::{House, TestClock, steps};
use serde_json::Value;

use crate::{echo_worker, not_run};

#[test]
fn the_walk_in_this_process() {
    let tables = data::generate(data::SEED, 300);
    let mut house = House::in_process(TestClock::default().clock(), echo_worker()).unwrap();
    let report = steps::walk(&mut house, &tables, "1.0", &mut Narrator::silent()).unwrap();
    assert_eq!(report.joined_rows, 300);
    assert_eq!(report.payments.len(), 4);
    assert!(report.payments.iter().all(|p| p.state == "settled"));
    assert_eq!(report.webhooks_received, 4);
    assert!(report.audit.verified);
    // Zero weights know nothing: the figure is of this model, not of the data.
    assert_eq!(report.model.auc, 0.5);
    let dir = house.dir.clone();
    drop(house);
    assert!(!dir.exists(), "a temporary house leaves nothing behind");
}

/// `demo run --json`: every role a process, one JSON document, all members that the main job promises.
#[test]
fn the_walk_as_processes() {
    for binary in ["demo", "depa", "contract-service", "kms-adapter", "ccr", "ccr-trainer"] {
        if sibling(binary).is_err() {
            return not_run("the_walk_as_processes", &format!("{binary} is not built"));
        }
    }
    let dir = std::env::temp_dir().join(format!("depa-walk-{}", std::process::id()));
    let output = Command::new(sibling("demo").unwrap()).args(["run", "--json", "--dir"]).arg(&dir).output().unwrap();
    let talk = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{talk}");
    let report: Value = serde_json::from_slice(&output.stdout).expect("exactly one JSON document on stdout");

    let text =
        |path: &str| report.pointer(path).and_then(Value::as_str).unwrap_or_else(|| panic!("{path} in {report:#}"));
    let number =
        |path: &str| report.pointer(path).and_then(Value::as_f64).unwrap_or_else(|| panic!("{path} in {report:#}"));
    assert!(text("/contract/id").starts_with("ctr_"));
    assert_eq!(text("/contract/sha256").len(), 64);
    // The only run spends what is contracted: soon after its payments the service completes the contract.
    assert!(["active", "completed"].contains(&text("/contract/state")), "{report:#}");
    assert!(text("/run/id").starts_with("run_"));
    assert_eq!(text("/run/state"), "delivered");
    assert_eq!(text("/run/evidence"), "software");
    assert_eq!(report.pointer("/run/simulated"), Some(&Value::Bool(true)));
    let epsilon: f64 = text("/privacy/epsilon").parse().unwrap();
    assert!((0.9..=1.0).contains(&epsilon), "{epsilon}");
    assert_eq!(text("/privacy/delta"), "0.0000472");
    assert!(text("/privacy/noise_multiplier").parse::<f64>().unwrap() > 4.0);
    assert_eq!(number("/privacy/steps"), 198.0);
    assert_eq!(text("/privacy/sample_rate"), "0.0755162");
    assert_eq!(text("/model/sha256").len(), 64);
    // Noise is fresh in every run: this only tells a model from a coin; `quality.rs` holds the floor.
    assert!(number("/model/auc") > 0.7, "{report:#}");
    assert!(number("/model/accuracy") > 0.7, "{report:#}");
    assert!((300.0..=550.0).contains(&number("/model/test_rows")));
    assert_eq!(number("/joined_rows"), 2_119.0);
    let payments = report["payments"].as_array().unwrap();
    let amounts: Vec<i64> = payments.iter().map(|p| p["amount_minor"].as_i64().unwrap()).collect();
    assert_eq!(amounts.iter().sum::<i64>(), 1_400_000);
    for payment in payments {
        assert_eq!((payment["state"].as_str(), payment["currency"].as_str()), (Some("settled"), Some("INR")));
        assert!(payment["payee"].as_str().unwrap().starts_with("did:"));
    }
    assert_eq!(number("/webhooks_received"), payments.len() as f64);
    assert!(number("/log/size") > 30.0);
    assert_eq!(text("/log/root").len(), 64);
    assert!(text("/log/cosigned_at").ends_with('Z'));
    assert_eq!(report.pointer("/audit/verified"), Some(&Value::Bool(true)));
    assert!(number("/seconds/total") > 0.0);
    assert!(report["seconds"].as_object().unwrap().len() > 15);

    assert!(talk.contains("SIMULATED"), "{talk}");
    assert!(talk.lines().filter(|l| l.contains("read by:")).count() >= 20, "{talk}");
    assert!(!talk.to_lowercase().contains("loss"), "progress is free of losses");

    // The audit once more, by the command that was printed.
    let mut words = text("/audit/command").split(' ');
    let audit = Command::new(words.next().unwrap()).args(words).output().unwrap();
    assert!(audit.status.success(), "{}", String::from_utf8_lossy(&audit.stderr));
    for (name, role) in [("contract-service", "contract-service"), ("witness", "witness"), ("agent", "ccrp")] {
        assert!(dir.join(role).join(format!("{name}.log")).is_file());
    }
    std::fs::remove_dir_all(&dir).unwrap();
}

/// A failure says its cause, the next step, and ends with another code than 0.
#[test]
fn a_failing_demo_says_why() {
    if sibling("demo").is_err() {
        return not_run("a_failing_demo_says_why", "demo is not built");
    }
    let output = Command::new(sibling("demo").unwrap()).args(["run", "--json", "--data", "/nowhere"]).output().unwrap();
    assert!(!output.status.success() && output.stdout.is_empty());
    let talk = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(talk.contains("TABLE_FORM") && talk.contains("next: "), "{talk}");
}
