//! Commands of the binary that end at a numbered step, as by a power cut.

use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use kms_adapter::Config;

/// Where the configuration of a world is written for the binary.
pub fn config_file(dir: &Path, config: &Config) -> PathBuf {
    let path = dir.join("kms.toml");
    std::fs::write(&path, config.to_toml().unwrap()).unwrap();
    path
}

/// Runs the binary to its end.
pub fn run(args: &[&str], cut_at: Option<u32>) -> Output {
    // The bench compiles this file too; it has no such binary, and calls nothing here.
    let Some(binary) = option_env!("CARGO_BIN_EXE_kms-adapter") else { panic!("a test of the package itself") };
    let mut command = Command::new(binary);
    command.args(args).stdin(Stdio::null());
    if let Some(step) = cut_at {
        command.env("DEPA_REHEARSE_CUT_AT", step.to_string());
    }
    command.output().unwrap()
}

/// Runs it so that it is cut at this step; whether it had so many.
pub fn cut(args: &[&str], step: u32) -> bool {
    let done = run(args, Some(step));
    match done.status.signal() {
        Some(_) => true,
        None => {
            assert!(done.status.success(), "step {step}: {}", String::from_utf8_lossy(&done.stderr));
            false
        }
    }
}

/// Runs it to a good end.
pub fn whole(args: &[&str]) -> String {
    let done = run(args, None);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}
