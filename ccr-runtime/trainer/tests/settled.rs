//! What is settled once for a process: allocator, threads, memory. Shown by `trainer-bench`, which steps as the trainer does.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

struct Bench {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Bench {
    fn new(network: &Value, batch: u32, threads: u32, mode: &str) -> Bench {
        let mut child = Command::new(env!("CARGO_BIN_EXE_trainer-bench"))
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let (input, output) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let mut bench = Bench { child, input, output };
        bench.say(
            &json!({"network": network, "batch": batch, "classes": 2, "threads": threads, "mode": mode}).to_string(),
        );
        bench
    }

    fn say(&mut self, line: &str) {
        writeln!(self.input, "{line}").unwrap();
    }

    fn hear(&mut self) -> Value {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        serde_json::from_str(&line).expect("an answer")
    }

    /// The peak of memory after so many steps more, in KiB.
    fn take(&mut self, steps: u32) -> u64 {
        self.say(&steps.to_string());
        self.hear()["peak_kib"].as_u64().unwrap()
    }

    /// The digest of the weights at the end.
    fn end(mut self) -> String {
        let Bench { input, .. } = self;
        drop(input);
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        assert!(self.child.wait().unwrap().success());
        let end: Value = serde_json::from_str(&line).unwrap();
        end["weights"].as_str().unwrap().to_owned()
    }
}

fn mlp() -> Value {
    let linear = |inputs, outputs| json!({"op": "linear", "inputs": inputs, "outputs": outputs, "bias": true});
    let layers = [linear(28, 96), json!({"op": "tanh"}), linear(96, 2)];
    json!({"input": {"kind": "vector", "features": 28}, "layers": layers})
}

fn cnn() -> Value {
    json!({"input": {"kind": "image", "channels": 1, "height": 12, "width": 12}, "layers": [
        {"op": "conv2d", "channels_in": 1, "channels_out": 8, "kernel": 3, "stride": 1, "padding": 1, "bias": true},
        {"op": "group_norm", "groups": 2, "channels": 8}, {"op": "relu"}, {"op": "max_pool", "kernel": 2, "stride": 2},
        {"op": "conv2d", "channels_in": 8, "channels_out": 8, "kernel": 3, "stride": 2, "padding": 1, "bias": true},
        {"op": "flatten"}, {"op": "linear", "inputs": 72, "outputs": 2, "bias": true}]})
}

fn sequences() -> Value {
    json!({"input": {"kind": "tokens", "length": 12, "vocabulary": 50}, "layers": [
        {"op": "embedding", "count": 50, "width": 16},
        {"op": "residual", "body": [{"op": "layer_norm", "width": 16},
            {"op": "attention", "width": 16, "heads": 2, "causal": false}], "shortcut": []},
        {"op": "lstm", "inputs": 16, "hidden": 16}, {"op": "last_token"},
        {"op": "linear", "inputs": 16, "outputs": 2, "bias": true}]})
}

#[test]
fn the_same_threads_give_the_same_bits() {
    for (name, network) in [("mlp", mlp()), ("cnn", cnn()), ("sequences", sequences())] {
        for threads in [1, 2] {
            let weights = || {
                let mut bench = Bench::new(&network, 200, threads, "private");
                bench.take(12);
                bench.end()
            };
            assert_eq!(weights(), weights(), "{name}, {threads} threads");
        }
    }
}

#[test]
fn memory_does_not_grow_over_three_hundred_steps() {
    for (name, network) in [("mlp", mlp()), ("cnn", cnn()), ("sequences", sequences())] {
        let mut bench = Bench::new(&network, 128, 2, "private");
        let early = bench.take(30);
        let late = bench.take(270);
        println!("{name}: peak {early} KiB after 30 steps, {late} KiB after 300");
        assert!(late <= early + 4 * 1024, "{name}: {early} KiB grew to {late} KiB");
        bench.end();
    }
}

#[test]
fn allocator_and_waiting_are_settled_without_being_asked() {
    let mut bench = Bench::new(&mlp(), 8, 1, "plain");
    bench.take(1);
    let environment = std::fs::read(format!("/proc/{}/environ", bench.child.id())).unwrap();
    let environment = String::from_utf8(environment).unwrap();
    let malloc = ["MALLOC_MMAP_THRESHOLD_=", "MALLOC_TRIM_THRESHOLD_=", "MALLOC_TOP_PAD_=", "MALLOC_ARENA_MAX=2"];
    for name in malloc.into_iter().chain(["OMP_WAIT_POLICY=passive", "NVIDIA_TF32_OVERRIDE=0"]) {
        assert!(environment.split('\0').any(|pair| pair.starts_with(name)), "{name} is not in {environment:?}");
    }
    bench.end();
}

#[test]
fn plain_and_private_steps_differ_and_what_is_no_order_is_refused() {
    let [plain, private] = ["plain", "private"].map(|mode| {
        let mut bench = Bench::new(&mlp(), 64, 1, mode);
        bench.take(2);
        bench.end()
    });
    assert_ne!(plain, private);
    let bench = Bench::new(
        &json!({"input": {"kind": "vector", "features": 3}, "layers": [{"op": "batch_norm"}]}),
        4,
        1,
        "plain",
    );
    let Bench { mut child, input, .. } = bench;
    drop(input);
    assert_eq!(child.wait().unwrap().code(), Some(1));
}
