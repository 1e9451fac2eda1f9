//! The service as a process of its own, over the folder of a house.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::catcher::eventually;
use crate::house::House;
use crate::http::get;

pub const SERVICE: &str = env!("CARGO_BIN_EXE_contract-service");

/// A process that does not outlive its test, nor does what it traces: its number stands in the lock.
pub struct Process(pub Child, PathBuf);

impl Drop for Process {
    fn drop(&mut self) {
        stop(&self.1);
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// A registry in a folder that no process serves yet; its actors go by the machine's clock, as the process will.
pub fn unserved() -> House {
    let mut house = House::empty();
    drop(house.running.take());
    std::fs::remove_dir_all(&house.config.data_dir).unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64;
    house.skip(now - house.now().micros() / 1_000_000);
    house
}

/// Its configuration.
pub fn config(house: &House) -> PathBuf {
    house.dir.join("sro/config.toml")
}

/// Whether it says that it serves.
pub fn ready(house: &House) -> bool {
    get(house, "/readyz").send().is_ok_and(|answer| answer.status() == 200)
}

/// Serves the house by this command.
pub fn serve(house: &House, command: Command) -> Process {
    serve_into(house, command, Stdio::null())
}

/// The same, and its log goes there.
pub fn serve_into(house: &House, mut command: Command, log: Stdio) -> Process {
    let command = command.args(["serve", "--config"]).arg(config(house));
    let child = command.stdout(Stdio::null()).stderr(log).spawn().unwrap();
    let process = Process(child, house.config.data_dir.join("registry.sqlite.lock"));
    assert!(eventually(|| ready(house)), "the service does not serve");
    process
}

/// Kills whoever holds the lock of a database.
fn stop(lock: &Path) {
    let holder = std::fs::read_to_string(lock).unwrap_or_default();
    if let Some(pid) = holder.split(' ').nth(1) {
        drop(Command::new("kill").args(["-9", pid]).stderr(Stdio::null()).status());
    }
}
