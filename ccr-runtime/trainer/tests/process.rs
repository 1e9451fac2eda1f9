//! The worker as `ccr` sees it: a process with three streams.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

fn trainer() -> Command {
    Command::new(env!("CARGO_BIN_EXE_ccr-trainer"))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn feed(input: &[u8]) -> Output {
    let mut child =
        trainer().stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    child.stdin.take().unwrap().write_all(input).unwrap();
    child.wait_with_output().unwrap()
}

fn frame(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u32).to_be_bytes()[..], bytes].concat()
}

fn frames(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk::<4>() {
        let (frame, rest) = rest.split_at(u32::from_be_bytes(*length) as usize);
        frames.push(frame.to_vec());
        bytes = rest;
    }
    frames
}

/// A job over one table with one feature.
fn job(table: &str) -> Vec<u8> {
    let column = |name: &str| json!({"handle": "t", "column": name});
    let bytes32 = "A".repeat(43);
    let start = json!({
        "v": 1,
        "tables": [{"handle": "t", "bytes": table.len(), "columns": ["id", "x", "y"], "public_rows": 1_000}],
        "join": {"name": "j", "first": "t", "steps": [], "projection": [column("id"), column("x"), column("y")], "filters": []},
        "training": {
            "name": "m", "input": "j", "private": true, "model": {"kind": "mlp", "hidden": [16]},
            "features": [{"column": column("x"), "lower": "0", "upper": "1"}], "target": column("y"), "positive": "yes",
            "principal": column("id"), "epsilon": "1.0", "delta": "0.00001", "steps": 250, "sample_rate": "0.1",
            "clipping_norm": "1.0", "learning_rate": "0.5", "split_salt": bytes32, "train_ppm": 800000, "init_seed": 5,
            "metrics": null
        },
        "plan": {
            "noise_multiplier": "2.0", "sample_rate": "0.1", "steps": 250, "expected_batch": "80",
            "metrics_noise_multiplier": null, "charges": []
        },
        "seed": bytes32
    });
    [frame(start.to_string().as_bytes()), frame(table.as_bytes())].concat()
}

fn table() -> String {
    (0..1_000).fold(String::from("id,x,y\n"), |table, i| {
        let x = f64::from(i * 37 % 101) / 101.0;
        table + &format!("{i},{x},{}\n", if x > 0.6 { "yes" } else { "no" })
    })
}

#[test]
fn plain_text_is_printed_on_request() {
    for (argument, begins) in [("--version", "ccr-trainer 0."), ("--help", "ccr-trainer: private training")] {
        let output = trainer().arg(argument).output().unwrap();
        assert!(output.status.success() && text(&output.stdout).starts_with(begins), "{output:?}");
    }
    let output = trainer().arg("--library-paths").output().unwrap();
    let paths = text(&output.stdout);
    for library in ["libtorch_cpu.so", "libc10.so", "libgomp.so.1", "libcudart.so.13", "libcupti.so.13"] {
        assert!(paths.lines().any(|path| path.ends_with(library) && std::path::Path::new(path).is_file()), "{paths}");
    }
    for wrong in [&["--what"][..], &["--device"], &["--device", "tpu"]] {
        assert_eq!(trainer().args(wrong).output().unwrap().status.code(), Some(2));
    }
}

#[test]
fn where_tensors_would_lie_is_told_and_a_missing_card_refused() {
    let asked = |device: &str| trainer().args(["--device", device]).output().unwrap();
    assert_eq!(text(&asked("cpu").stdout), "cpu\n");
    let (auto, cuda) = (asked("auto"), asked("cuda"));
    if cuda.status.success() {
        assert_eq!((text(&auto.stdout), text(&cuda.stdout)), ("cuda\n".into(), "cuda\n".into()));
    } else {
        assert_eq!((text(&auto.stdout), cuda.status.code()), ("cpu\n".into(), Some(1)));
        assert!(text(&cuda.stderr).contains("DEVICE_UNAVAILABLE"), "{}", text(&cuda.stderr));
    }
}

#[test]
fn two_processes_give_the_same_bytes_and_say_nothing_else() {
    let (first, second) = (feed(&job(&table())), feed(&job(&table())));
    assert!(first.status.success(), "{}", text(&first.stderr));
    assert_eq!(first.stdout, second.stdout);
    let frames = frames(&first.stdout);
    let reports: Vec<Value> = frames[..frames.len() - 1].iter().map(|f| serde_json::from_slice(f).unwrap()).collect();
    let told: Vec<&str> = reports.iter().map(|r| r["report"].as_str().unwrap()).collect();
    assert_eq!((told[0], told[told.len() - 1], told.len()), ("ready", "done", 86)); // every third step of 250, and the last
    assert!(
        text(&first.stderr)
            .lines()
            .all(|line| line.starts_with("ccr-trainer: confined: ") || line.starts_with("ccr-trainer: not confined: "))
    );
}

#[test]
fn a_broken_table_is_refused_and_not_quoted() {
    let output = feed(&job(&table().replacen(",no", ",no,SECRET", 1)));
    assert_eq!(output.status.code(), Some(1));
    let frames = frames(&output.stdout);
    let report: Value = serde_json::from_slice(&frames[0]).unwrap();
    assert_eq!((report["report"].as_str(), report["code"].as_str()), (Some("failed"), Some("TABLE_FORM")));
    assert_eq!(frames.len(), 1);
    assert!(!text(&output.stdout).contains("SECRET") && !text(&output.stderr).contains("SECRET"));
}

#[test]
fn nothing_on_the_pipe_is_a_fault_of_the_protocol() {
    let output = feed(b"");
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).contains("WORKER_PROTOCOL"));
}

/// In a user namespace that may make no network namespace.
fn without_namespaces(argument: &str, input: &[u8]) -> Output {
    let close = "echo 0 > /proc/sys/user/max_net_namespaces && exec \"$@\"";
    let mut child = Command::new("unshare")
        .args(["--user", "--map-root-user", "sh", "-c", close, "sh", env!("CARGO_BIN_EXE_ccr-trainer")])
        .args(Some(argument).filter(|argument| !argument.is_empty()))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let _ = child.stdin.take().unwrap().write_all(input); // a worker that refuses reads nothing
    child.wait_with_output().unwrap()
}

#[test]
fn a_worker_that_shall_be_apart_and_is_not_refuses() {
    let test = "a_worker_that_shall_be_apart_and_is_not_refuses";
    let may = Command::new("unshare").args(["--user", "--map-root-user", "true"]).output();
    if !may.is_ok_and(|output| output.status.success()) {
        return println!("NOT RUN {test}: this machine lends no user namespaces");
    }
    let refused = without_namespaces("--apart", &job(&table()));
    let report: Value = serde_json::from_slice(&frames(&refused.stdout)[0]).unwrap();
    assert_eq!((report["report"].as_str(), report["code"].as_str()), (Some("failed"), Some("WORKER_FAILED")));
    assert_eq!((frames(&refused.stdout).len(), refused.status.code()), (1, Some(1)));
    assert!(text(&refused.stderr).contains("ccr-trainer: not confined: network"), "{}", text(&refused.stderr));
    // Where nobody asks for it, the same machine trains.
    assert!(without_namespaces("", &job(&table())).status.success());
}
