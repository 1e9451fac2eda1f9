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

/// The folder of a scenario, for one test alone: they run side by side.
fn made(test: &str, scenario: &str, rows: &str) -> PathBuf {
    let dir = fresh(&format!("{test}-{scenario}"));
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
    let dir = made("same", "covid", "2119");
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
    let dir = made("errors", "covid", "40");
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

/// A rehearsal of fine-tuning: frozen layers stay as they came in, and what does not fit is refused before it starts.
#[test]
fn a_rehearsal_begins_with_weights() {
    let dir = made("weights", "covid", "400");
    let (job, first, second) = (dir.join("job.toml"), dir.join("first"), dir.join("second"));
    let form = std::fs::read_to_string(&job).unwrap();
    let logistic = "model = { kind = \"logistic_regression\" }";
    let recipe = "recipe = { loss = { kind = \"binary_cross_entropy\" }, optimizer = { kind = \"sgd\", momentum = \"0\", \
                  weight_decay = \"0\" }, schedule = { kind = \"constant\" }, frozen = [\"0.\"] }";
    assert!(form.contains(logistic));
    let form = form.replace(logistic, &format!("model = {{ kind = \"mlp\", hidden = [8] }}\n{recipe}"));
    std::fs::write(&job, form).unwrap();
    std::fs::write(dir.join("pickle"), b"\x80\x02}q\x00.").unwrap();
    let pickle = dir.join("pickle").display().to_string();
    let mut cases = vec![(vec!["--weights", &pickle], "MODEL_FORMAT"), (vec!["--fresh", "2."], "--weights")];
    let weights = first.display().to_string();
    if built("a_rehearsal_begins_with_weights") {
        answer(&local(&dir, &first, &["--seed", "1"]));
        answer(&local(&dir, &second, &["--seed", "2", "--weights", &weights]));
        let read = |path: &Path| models::weights::read(&std::fs::read(path).unwrap()).unwrap();
        let (before, after) = (read(&first), read(&second));
        assert_eq!(before.keys().collect::<Vec<_>>(), ["0.bias", "0.weight", "2.bias", "2.weight"]);
        for (name, tensor) in &before {
            assert_eq!(tensor == &after[name], name.starts_with("0."), "{name}");
        }
        // A whole file is none without the last layer, and what is called fresh is a parameter that is learnt.
        cases.push((vec!["--weights", &weights, "--fresh", "2."], "MODEL_WEIGHTS"));
        cases.push((vec!["--weights", &weights, "--fresh", "7."], "PIPELINE_INVALID"));
        cases.push((vec!["--weights", &weights, "--fresh", "0."], "PIPELINE_INVALID"));
    }
    for (more, expected) in cases {
        let output = local(&dir, &dir.join("third"), &more);
        let said = text(&output.stderr) + &text(&output.stdout);
        assert!(!output.status.success() && said.contains(expected), "{more:?}: {said}");
        assert!(!dir.join("third").exists());
    }
    std::fs::remove_dir_all(dir).unwrap();
}

/// Trains a folder's job and lets Python come to the trainer's outputs; the environment must be there.
fn python_agrees(name: &str, dir: &Path) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let (job, out, predictions) = (dir.join("job.toml"), dir.join("model.safetensors"), dir.join("predictions.json"));
    let document = answer(&local(dir, &out, &["--predictions", predictions.to_str().unwrap()]));
    let output = Command::new(root.join(PYTHON))
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
}

const PYTHON: &str = ".build/interop/model/bin/python";

fn python(test: &str) -> bool {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let there = root.join(PYTHON).exists() && root.join(".build/interop/model/made-of").exists();
    if !there {
        println!("NOT RUN {test}: no environment, see infra/interop.sh");
    }
    there && built(test)
}

/// Python loads the model and comes to the trainer's outputs.
#[test]
fn python_loads_the_model_and_says_what_the_trainer_says() {
    if !python("python_loads_the_model_and_says_what_the_trainer_says") {
        return;
    }
    let logistic = "model = { kind = \"logistic_regression\" }";
    let mlp = "model = { kind = \"mlp\", hidden = [16, 8] }";
    let trees = "model = { kind = \"trees\", trees = { depth = 2, features_per_tree = 1, regularization = \"10\" } }";
    for (name, model) in [("logistic", logistic), ("mlp", mlp), ("trees", trees)] {
        let dir = made("python", "covid", "400");
        let job = dir.join("job.toml");
        let form = std::fs::read_to_string(&job).unwrap();
        assert!(form.contains(logistic));
        std::fs::write(&job, form.replace(logistic, model)).unwrap();
        python_agrees(name, &dir);
        std::fs::remove_dir_all(dir).unwrap();
    }
}

/// The nine whole numbers of a person as tokens, through every layer that reads sequences.
#[test]
fn python_runs_networks_that_read_tokens() {
    if !python("python_runs_networks_that_read_tokens") {
        return;
    }
    let attention = r#"{ op = "embedding", count = 101, width = 8 }, { op = "positions", length = 9, width = 8 },
        { op = "residual", shortcut = [], body = [{ op = "layer_norm", width = 8 },
            { op = "attention", width = 8, heads = 2, causal = true }] },
        { op = "linear", inputs = 8, outputs = 6, bias = true }, { op = "gelu" }, { op = "silu" },
        { op = "attention", width = 6, heads = 3, causal = false }, { op = "mean_tokens" },
        { op = "linear", inputs = 6, outputs = 1, bias = false }"#;
    let lstm = r#"{ op = "embedding", count = 101, width = 4 }, { op = "lstm", inputs = 4, hidden = 5 },
        { op = "last_token" }, { op = "linear", inputs = 5, outputs = 1, bias = true }"#;
    for (name, layers) in [("attention", attention), ("lstm", lstm)] {
        let dir = made("tokens", "covid", "400");
        let job = dir.join("job.toml");
        let form = std::fs::read_to_string(&job).unwrap();
        let input = "{ kind = \"tokens\", length = 9, vocabulary = 101 }";
        let layers = layers.lines().map(str::trim).collect::<Vec<_>>().join(" ");
        let model = format!("model = {{ kind = \"network\", network = {{ input = {input}, layers = [{layers}] }} }}");
        let form = form.replace("model = { kind = \"logistic_regression\" }", &model);
        assert!(form.contains("tokens"));
        std::fs::write(&job, form.replace("steps = 198", "steps = 20")).unwrap();
        python_agrees(name, &dir);
        std::fs::remove_dir_all(dir).unwrap();
    }
}

#[test]
fn python_runs_the_networks_of_the_picture_scenarios() {
    if !python("python_runs_the_networks_of_the_picture_scenarios") {
        return;
    }
    for (name, steps) in [("mnist", "steps = 200"), ("cifar10", "steps = 200"), ("brats", "steps = 80")] {
        let dir = made("pictures", name, "60");
        let job = dir.join("job.toml");
        let form = std::fs::read_to_string(&job).unwrap();
        assert!(form.contains(steps));
        std::fs::write(&job, form.replace(steps, "steps = 3")).unwrap();
        python_agrees(name, &dir);
        std::fs::remove_dir_all(dir).unwrap();
    }
}

/// At ε = 4, from 1,500 generated digits and a fixed seed: a private network tells most digits apart.
#[test]
fn a_private_network_reads_digits() {
    if !built("a_private_network_reads_digits") {
        return;
    }
    let dir = made("digits", "mnist", "1500");
    let job = dir.join("job.toml");
    let form = std::fs::read_to_string(&job).unwrap();
    assert!(form.contains("steps = 200"));
    std::fs::write(&job, form.replace("steps = 200", "steps = 60")).unwrap();
    let document = answer(&local(&dir, &dir.join("m"), &["--seed", "1"]));
    let quality = &document["held_out_exact_computed_here"];
    println!("mnist, generated, 60 steps: {quality}");
    assert!(quality["accuracy"].as_f64().unwrap() >= 0.8 && quality["rows"].as_u64().unwrap() > 200, "{quality}");
    std::fs::remove_dir_all(dir).unwrap();
}

/// The shipped picture scenarios, as they are shipped.
#[test]
#[ignore = "minutes: three networks on thousands of pictures"]
fn picture_scenarios_learn_something() {
    if !built("picture_scenarios_learn_something") {
        return;
    }
    for (name, figure, floor) in [("mnist", "accuracy", 0.9), ("cifar10", "accuracy", 0.5), ("brats", "dice", 0.7)] {
        let dir = fresh(name);
        let output = depa().args(["scenario", "run", name, "--json", "--noise-seed", "1", "--dir"]).arg(&dir).output();
        let document = answer(&output.unwrap());
        let quality = &document["held_out_exact_computed_here"];
        println!("{name}: {quality}");
        assert!(quality[figure].as_f64().unwrap() > floor, "{name}: {quality}");
        std::fs::remove_dir_all(dir).unwrap();
    }
}

/// At the same ε, on the same people: boosted trees see the curves that a line cannot.
#[test]
fn trees_beat_the_line_on_the_credit_tables() {
    let test = "trees_beat_the_line_on_the_credit_tables";
    if !built(test) {
        return;
    }
    let dir = made("trees", "credit-risk", "7548");
    let job = dir.join("job.toml");
    let form = std::fs::read_to_string(&job).unwrap();
    let trees = form.lines().find(|line| line.starts_with("model = { kind = \"trees\"")).unwrap();
    let linear = form
        .replace(trees, "model = { kind = \"logistic_regression\" }")
        .replace("steps = 220", "steps = 60")
        .replace("clipping_norm = \"0.3\"", "clipping_norm = \"1\"")
        .replace("learning_rate = \"0.3\"", "learning_rate = \"8\"");
    let mut areas = [form.clone(), linear].into_iter().enumerate().map(|(place, form)| {
        std::fs::write(&job, form).unwrap();
        let auc = |seed: u32| {
            let out = dir.join(format!("m{place}-{seed}"));
            let document = answer(&local(&dir, &out, &["--seed", &seed.to_string()]));
            document["held_out_exact_computed_here"]["auc"].as_f64().unwrap()
        };
        let mut three = [1, 2, 3].map(auc);
        three.sort_by(f64::total_cmp);
        three[1]
    });
    let (trees, linear) = (areas.next().unwrap(), areas.next().unwrap());
    println!(
        "credit risk, ε = 4, five left joins at factor 2: median AUC of trees {trees:.4}, of the line {linear:.4}"
    );
    assert!(trees > linear && trees > 0.6, "{trees} {linear}");
    drop(areas);
    std::fs::remove_dir_all(dir).unwrap();
}
