//! `trainer-bench`: steps of one network by the very functions of the trainer, on request. For `sh infra/bench.sh
//! training`; never part of a room.
//!
//! The first line on stdin is a JSON object {network, batch, classes, threads, mode, device}; mode is `plain` or `private`,
//! device `auto`, `cpu` or `cuda` (`auto` where it is left out). Then
//! every line is a number of steps to take; each is answered by one line {cpu_ms, wall_ms, peak_kib}, the times for one
//! step of them. The end of stdin is answered by {peak_kib, start_kib, weights}, with a digest of the weights. The batch
//! is random and fixed.

use std::io::{self, BufRead, Write};
use std::process::ExitCode;
use std::time::Instant;

use ccr_trainer::{measure, settle};
use nix::sys::resource::{UsageWho, getrusage};
use serde_json::json;

fn main() -> ExitCode {
    settle::environment();
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("trainer-bench: {why}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let mut lines = io::stdin().lock().lines();
    let order = lines.next().ok_or("no order")?.map_err(|e| e.to_string())?;
    let order: measure::Order = serde_json::from_str(&order).map_err(|e| e.to_string())?;
    settle::threads(order.threads);
    let start = peak_kib();
    let mut stepper = measure::Stepper::new(&order).map_err(|e| e.to_string())?;
    for line in lines {
        let steps: u32 = line.map_err(|e| e.to_string())?.trim().parse().map_err(|_| "a line is no number")?;
        let (wall, cpu) = (Instant::now(), processor_ms());
        stepper.take(steps).map_err(|e| e.to_string())?;
        let each = |ms: f64| ms / f64::from(steps.max(1));
        let (cpu, wall) = (each(processor_ms() - cpu), each(wall.elapsed().as_secs_f64() * 1e3));
        say(&json!({"cpu_ms": cpu, "wall_ms": wall, "peak_kib": peak_kib()}))?;
    }
    say(&json!({"peak_kib": peak_kib(), "start_kib": start, "weights": stepper.digest()}))
}

fn say(line: &serde_json::Value) -> Result<(), String> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).map_err(|e| e.to_string())
}

/// Milliseconds of processor time of all threads, the kernel's for them included.
fn processor_ms() -> f64 {
    let ms = |t: nix::sys::time::TimeVal| t.tv_sec() as f64 * 1e3 + t.tv_usec() as f64 / 1e3;
    getrusage(UsageWho::RUSAGE_SELF).map_or(f64::NAN, |usage| ms(usage.user_time()) + ms(usage.system_time()))
}

/// The most memory that was resident so far, VmHWM.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
