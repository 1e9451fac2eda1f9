//! Networks at the command line: made, judged, brought in, and files that hold code refused.

#![allow(clippy::unwrap_used, clippy::panic)] // tests

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};

/// A folder of this test's own, fresh.
fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("depa-models-{}-{name}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn depa(arguments: &[&str], folder: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_depa")).args(arguments).current_dir(folder).output().unwrap()
}

fn answer(arguments: &[&str], folder: &Path) -> Value {
    let output = depa(&[arguments, &["--json"]].concat(), folder);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The code with which a command is refused.
fn code(arguments: &[&str], folder: &Path) -> String {
    let output = depa(&[arguments, &["--json"]].concat(), folder);
    assert!(!output.status.success(), "{arguments:?} was taken");
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    document["error"]["code"].as_str().unwrap().to_owned()
}

#[test]
fn a_ready_made_network_is_written_and_judged() {
    let folder = folder("new");
    answer(&["model", "new", "cnn", "--out", "cnn.json"], &folder);
    let shapes = answer(&["model", "check", "cnn.json"], &folder);
    assert_eq!(shapes["parameter_count"], 26_010);
    assert_eq!(shapes["output"], json!({"kind": "vector", "features": 10}));
    assert_eq!(code(&["model", "new", "alexnet"], &folder), "NOT_FOUND");
    assert_eq!(
        code(&["model", "new", "mlp", "--out", "cnn.json"], &folder),
        "CONFIG_INVALID",
        "nothing is overwritten"
    );
    // A network with batch normalisation is refused with what to take instead.
    let mixed = std::fs::read_to_string(folder.join("cnn.json")).unwrap().replacen("\"relu\"", "\"batch_norm\"", 1);
    std::fs::write(folder.join("mixed.json"), mixed).unwrap();
    let output = depa(&["model", "check", "mixed.json"], &folder);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("PIPELINE_ROW_COUPLING") && told.contains("group_norm"), "{told}");
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn files_that_hold_code_are_refused() {
    let folder = folder("code");
    for (name, bytes) in [
        ("model.pt", b"PK\x03\x04\x00\x00archive/data.pkl".as_slice()),
        ("model.pkl", b"\x80\x02}q\x00."),
        ("model.bin", b"\x80\x04\x95\x00."),
        ("model.h5", b"\x89HDF\r\n\x1a\n\x00"),
    ] {
        std::fs::write(folder.join(name), bytes).unwrap();
        assert_eq!(code(&["model", "import", name, "--out", "n.json"], &folder), "MODEL_FORMAT", "{name}");
        assert_eq!(code(&["model", "check", name], &folder), "MODEL_FORMAT", "{name}");
    }
    assert!(!folder.join("n.json").exists());
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_model_config_is_brought_in_with_its_weights_and_its_recipe() {
    let folder = folder("import");
    let config = json!({
        "layers": {
            "fc": {"class": "nn.Linear", "params": {"in_features": 2, "out_features": 1}},
            "drop": {"class": "nn.Dropout", "params": {"p": 0.3}}
        },
        "input": ["x"],
        "forward": [{"ops": ["drop", "fc"], "input": ["x"], "output": "y"}],
        "output": ["y"]
    });
    std::fs::write(folder.join("model.json"), config.to_string()).unwrap();
    let mut state = r#"{"fc.bias":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"fc.weight":{"dtype":"F32","shape":[1,2],"data_offsets":[4,12]}}"#.to_owned();
    state.push_str(&" ".repeat(state.len().next_multiple_of(8) - state.len()));
    let file = [&(state.len() as u64).to_le_bytes()[..], state.as_bytes(), &[0; 12]].concat();
    std::fs::write(folder.join("state.safetensors"), file).unwrap();

    let plain = ["model", "import", "model.json", "--input", "vector:2", "--out", "n.json"];
    assert_eq!(code(&plain, &folder), "MODEL_LAYER", "dropout is refused unless replacing is asked for");
    let more = ["--replace", "--from", "state.safetensors", "--weights", "w.safetensors"];
    let got = answer(&[&plain[..], &more].concat(), &folder);
    assert_eq!((got["parameters"].clone(), got["notices"][0]["field"].clone()), (json!(3), json!("drop")));
    answer(&["model", "check", "n.json", "--weights", "w.safetensors"], &folder);
    assert_eq!(code(&["model", "check", "n.json", "--weights", "state.safetensors"], &folder), "MODEL_WEIGHTS");

    let mut training = json!({"name": "Train_DL", "config": {
        "batch_size": 10, "optimizer": {"name": "SGD", "params": {"lr": 0.5}}, "model_config": config,
        "loss_config": {"class": "nn.BCEWithLogitsLoss"}
    }});
    training["config"]["model_config"]["forward"][0]["ops"] = json!(["fc"]);
    std::fs::write(folder.join("train.json"), training.to_string()).unwrap();
    let arguments = [
        "model",
        "import",
        "train.json",
        "--input",
        "vector:2",
        "--rows",
        "95",
        "--out",
        "m.json",
        "--recipe",
        "r.json",
    ];
    answer(&arguments, &folder);
    let recipe: Value = serde_json::from_slice(&std::fs::read(folder.join("r.json")).unwrap()).unwrap();
    assert_eq!((recipe["steps"].clone(), recipe["learning_rate"].clone()), (json!(10), json!("0.5")));
    std::fs::remove_dir_all(folder).unwrap();
}
