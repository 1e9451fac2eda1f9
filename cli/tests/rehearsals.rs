//! `depa train local` and `depa scenario run` as users call them: with the real trainer, outside any room.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

fn depa() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_depa"));
    command.env_remove("DEPA_TRAINER").env_remove("DEPA_KEY").env_remove("DEPA_REGISTRY");
    command
}

/// Trainer and evaluator beside the program; they are no default members, so they may be missing.
fn built(test: &str) -> bool {
    let folder = Path::new(env!("CARGO_BIN_EXE_depa")).parent().unwrap();
    let there = ["ccr-trainer", "trainer-evaluate"].iter().all(|name| folder.join(name).exists());
    if !there {
        println!("NOT RUN {test}: ccr-trainer and trainer-evaluate are not built");
    }
    there
}

fn fresh(name: &str) -> PathBuf {
    let dir = std::env::temp_dir().join(format!("depa-rehearsals-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&dir);
    dir
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn answer(output: &Output) -> Value {
    assert!(output.status.success(), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn made(scenario: &str, rows: &str) -> PathBuf {
    let dir = fresh(scenario);
    let output = depa().args(["scenario", "new", scenario, "--rows", rows, "--dir"]).arg(&dir).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    dir
}

fn local(dir: &Path, out: &Path, more: &[&str]) -> Output {
    let mut command = depa();
    command.args(["train", "local", "--json", "--job"]).arg(dir.join("job.toml")).arg("--out").arg(out).args(more);
    command.output().unwrap()
}

#[test]
fn a_rehearsal_says_what_it_is_and_the_same_seed_gives_the_same_model() {
    if !built("a_rehearsal_says_what_it_is_and_the_same_seed_gives_the_same_model") {
        return;
    }
    let dir = made("covid", "2119");
    let run = |out: &str, seed: &str| {
        let output = local(&dir, &dir.join(out), &["--seed", seed]);
        let said = text(&output.stderr);
        assert!(said.contains("no room, no guarantee to others") && said.contains("ε so far"), "{said}");
        let document = answer(&output);
        assert_eq!(document["label"], "local, no room, no guarantee to others");
        let model = std::fs::read(dir.join(out)).unwrap();
        assert_eq!(document["sha256"], schemas::Digest::of(&model).to_string());
        (model, document)
    };
    let ((one, document), (same, _), (other, _)) = (run("a", "1"), run("b", "1"), run("c", "2"));
    assert_eq!(one, same);
    assert_ne!(one, other);
    let quality = &document["held_out_exact_computed_here"];
    println!("covid, generated: {quality}");
    assert!(quality["auc"].as_f64().unwrap() > 0.8 && quality["rows"].as_u64().unwrap() > 300, "{quality}");
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn errors_name_the_next_step() {
    let dir = made("covid", "40");
    let stranger = ["--table", "icnr=x.csv"];
    let nowhere = ["--trainer", "/nowhere/ccr-trainer"];
    let cases: [(&[&str], &str); 4] = [
        (&stranger, "there is no table icnr; the job names"),
        (&nowhere, "cargo build -p ccr-trainer"),
        (&["--table", "icmr"], "--table HANDLE=FILE"),
        (&["--table", "icmr=nowhere.csv"], "nowhere.csv"),
    ];
    for (more, expected) in cases {
        let output = local(&dir, &dir.join("m"), more);
        let said = text(&output.stderr);
        assert!(output.status.code() == Some(2) && said.contains(expected), "{:?} {said}", output.status);
        assert!(!dir.join("m").exists());
    }
    let form = std::fs::read_to_string(dir.join("job.toml")).unwrap();
    let spoilt: [(&str, &str, &str, i32); 4] = [
        ("file = \"data/poc_data_icmr_data.csv\"\n", "", "--table icmr=FILE", 2),
        ("epsilon = \"1.0\"", "epsilon = \"1.6\"", "EPSILON_EXCEEDS_CONTRACT", 6),
        ("delta = \"0.0000472\"", "delta = \"0.04\"", "DELTA_TOO_LARGE", 6),
        ("SELECT * FROM icmr", "DELETE FROM icmr", "SQL_UNSUPPORTED", 2),
    ];
    for (old, new, expected, code) in spoilt {
        assert!(form.contains(old), "{old}");
        std::fs::write(dir.join("job.toml"), form.replace(old, new)).unwrap();
        let output = local(&dir, &dir.join("m"), &[]);
        let said = text(&output.stderr);
        assert!(output.status.code() == Some(code) && said.contains(expected), "{:?} {said}", output.status);
    }
    std::fs::write(dir.join("job.toml"), &form).unwrap();
    std::fs::write(dir.join("m"), "mine").unwrap();
    if built("errors_name_the_next_step, part 2") {
        let output = local(&dir, &dir.join("m"), &[]);
        assert!(text(&output.stderr).contains("not overwritten"), "{}", text(&output.stderr));
        let broken = std::fs::read_to_string(dir.join("data/poc_data_cowin_data.csv")).unwrap() + "SECRET,1\n";
        std::fs::write(dir.join("broken.csv"), broken).unwrap();
        let table = format!("cowin={}", dir.join("broken.csv").display());
        let output = local(&dir, &dir.join("n"), &["--table", &table]);
        let said = text(&output.stderr) + &text(&output.stdout);
        assert!(said.contains("TABLE_FORM") && !said.contains("SECRET"), "{said}");
    }
    assert_eq!(std::fs::read_to_string(dir.join("m")).unwrap(), "mine");
    std::fs::remove_dir_all(dir).unwrap();
}

/// Python loads the model and comes to the trainer's outputs.
#[test]
fn python_loads_the_model_and_says_what_the_trainer_says() {
    let test = "python_loads_the_model_and_says_what_the_trainer_says";
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let python = root.join(".build/interop/model/bin/python");
    if !python.exists() || !root.join(".build/interop/model/made-of").exists() {
        println!("NOT RUN {test}: no environment, see infra/interop.sh");
        return;
    }
    if !built(test) {
        return;
    }
    let logistic = "model = { kind = \"logistic_regression\" }";
    let mlp = "model = { kind = \"mlp\", hidden = [16, 8] }";
    let trees = "model = { kind = \"trees\", trees = { depth = 2, features_per_tree = 1, regularization = \"10\" } }";
    for (name, model) in [("logistic", logistic), ("mlp", mlp), ("trees", trees)] {
        let dir = made("covid", "400");
        let job = dir.join("job.toml");
        let form = std::fs::read_to_string(&job).unwrap();
        assert!(form.contains(logistic));
        std::fs::write(&job, form.replace(logistic, model)).unwrap();
        let (out, predictions) = (dir.join("model.safetensors"), dir.join("predictions.json"));
        let document = answer(&local(&dir, &out, &["--predictions", predictions.to_str().unwrap()]));
        let output = Command::new(&python)
            .arg(root.join("cli/examples/load_model.py"))
            .arg("--job")
            .arg(&job)
            .arg("--model")
            .arg(&out)
            .arg("--predictions")
            .arg(&predictions)
            .output()
            .unwrap();
        println!("{name}: {} {}", document["held_out_exact_computed_here"], text(&output.stdout).trim());
        assert!(output.status.success(), "{name}: {}{}", text(&output.stdout), text(&output.stderr));
        std::fs::remove_dir_all(dir).unwrap();
    }
}
