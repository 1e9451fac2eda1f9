//! The service as a process: no core dump of it, and nobody of its own user reads its memory.

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use diesel::prelude::*;
use diesel::sqlite::SqliteConnection;
use kms_adapter::Profile;
use schemas::contract::Assurance;
use schemas::release::KmsInfo;
use schemas::text::Bytes;
use schemas::{Code, Digest};
use sealing::DatasetKey;
use serde_json::Value;

use crate::drain::answered_at_the_end;
use crate::support::http;
use crate::support::papers::Table;
use crate::support::people::{People, uuid};
use crate::support::world::{prepare, sign_import};

struct Started(Child);

impl Drop for Started {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

const NOBODY: u32 = 65_534;

/// Root's files of /proc are root's either way: another user shows whose they become.
fn command(program: &Path) -> Command {
    if std::fs::metadata("/proc/self").unwrap().uid() != 0 {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(program);
    command
}

fn give_away(path: &Path) {
    std::os::unix::fs::chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    if path.is_dir() {
        std::fs::read_dir(path).unwrap().for_each(|entry| give_away(&entry.unwrap().path()));
    }
}

fn owner(child: &Child, name: &str) -> u32 {
    std::fs::metadata(format!("/proc/{}/{name}", child.id())).unwrap().uid()
}

#[test]
fn the_running_process_leaves_no_core_and_lets_nobody_read_its_memory() {
    let root = std::fs::metadata("/proc/self").unwrap().uid() == 0;
    let program = Path::new(env!("CARGO_BIN_EXE_kms-adapter"));
    let ours = if root { NOBODY } else { std::fs::metadata("/proc/self").unwrap().uid() };
    // Of a program that one cannot read, the kernel hides the memory anyhow.
    let readable = command(Path::new("test")).arg("-r").arg(program).status();
    if !readable.is_ok_and(|status| status.success()) {
        println!("NOT RUN memory of the key service's process: no other user may run its program here");
        return;
    }
    let sleeping = Started(command(Path::new("sleep")).arg("60").spawn().unwrap());
    let people = People::new();
    let (dir, config) = prepare(&people, Profile::Demo);
    let made = kms_adapter::init(&config).unwrap();
    if root {
        give_away(&dir);
    }
    let mut serve = command(program);
    serve.args(["serve", "--config"]).arg(&made.config_file).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = Started(serve.spawn().unwrap());
    let mut line = String::new();
    BufReader::new(child.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.contains("listening"), "{line}");

    let limits = std::fs::read_to_string(format!("/proc/{}/limits", child.0.id())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().collect::<Vec<_>>()[4..6], ["0", "0"], "{core}");
    // proc(5): the files of a process that is not dumpable are root's, and ptrace is refused.
    assert_eq!(owner(&sleeping.0, "mem"), ours, "any other process");
    assert_eq!(owner(&child.0, "mem"), 0);
    drop(child);
    std::fs::remove_dir_all(dir).unwrap();
}

/// The service on the folder of a configuration, and where it answers.
fn serve(config: &Path, log: Stdio) -> (Started, String) {
    let mut serve = Command::new(env!("CARGO_BIN_EXE_kms-adapter"));
    serve.args(["serve", "--config"]).arg(config).env("RUST_LOG", "trace").stdout(Stdio::piped()).stderr(log);
    let mut child = Started(serve.spawn().unwrap());
    let mut line = String::new();
    BufReader::new(child.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let told: Value = serde_json::from_str(&line).unwrap();
    (child, told["url"].as_str().unwrap().to_owned())
}

/// Told to end, the service answers what is under way, takes nothing new and ends well; what it answered is kept.
#[test]
fn a_service_that_is_told_to_end_answers_what_is_under_way() {
    let people = People::new();
    let (dir, config) = prepare(&people, Profile::Demo);
    let made = kms_adapter::init(&config).unwrap();
    let (mut service, url) = serve(&made.config_file, Stdio::null());
    let info: KmsInfo = http::get(&format!("{url}/v1/kms"), None).unwrap();
    let (table, key) = (Table::new("a"), DatasetKey::random().unwrap());
    let import = sign_import(&people, &table, &info, &key, Assurance::Software);
    let address = url.strip_prefix("http://").unwrap();
    let body = serde_json::to_vec(&import).unwrap();
    let answer = answered_at_the_end(&mut service.0, address, ("/v1/keys", &[]), &body);
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    let mut left = SqliteConnection::establish(config.database_file().to_str().unwrap()).unwrap();
    let kept = format!("DELETE FROM data_key WHERE key_id = '{}'", table.key_id);
    assert_eq!(diesel::sql_query(kept).execute(&mut left).unwrap(), 1);
    std::fs::remove_dir_all(dir).unwrap();
}

/// Thirty-two bytes as somebody may write them: the beginnings, so that one cut short is found too.
fn written(bytes: &[u8; 32]) -> [String; 4] {
    let base64 = signing::webhook::secret_text(bytes).trim_start_matches("whsec_").to_owned();
    let forms = [Digest(*bytes).to_string(), base64, Bytes(bytes.to_vec()).text(), format!("{bytes:?}")];
    forms.map(|form| form[..20].to_owned())
}

#[test]
fn no_secret_stands_in_the_log_at_its_most_talkative() {
    let people = People::new();
    let (dir, config) = prepare(&people, Profile::Demo);
    let made = kms_adapter::init(&config).unwrap();
    let log = dir.join("log");
    let (service, url) = serve(&made.config_file, std::fs::File::create(&log).unwrap().into());
    let info: KmsInfo = http::get(&format!("{url}/v1/kms"), None).unwrap();
    let (table, key) = (Table::new("a"), DatasetKey::random().unwrap());
    let import = sign_import(&people, &table, &info, &key, Assurance::Software);
    let _: Value = http::post(&format!("{url}/v1/keys"), &import).unwrap();
    // Another key in its place, and a call by nobody, are refused.
    let other = sign_import(&people, &table, &info, &DatasetKey::random().unwrap(), Assurance::Software);
    assert_eq!(http::post::<Value>(&format!("{url}/v1/keys"), &other).unwrap_err().code, Code::KeyExists);
    let stranger = "a-token-of-nobody";
    http::get::<Value>(&format!("{url}/v1/budget"), Some(stranger)).unwrap_err();
    let now = kms_adapter::system_clock()();
    let token = signing::token::assertion(&people.tdp, &url, uuid().simple().to_string(), now).unwrap();
    let _: Value = http::get(&format!("{url}/v1/budget"), Some(&token)).unwrap();
    drop(service);

    let log = std::fs::read_to_string(log).unwrap();
    for told in ["data key imported", "refused"] {
        assert!(log.contains(told), "this is its log: {log}");
    }
    let root: [u8; 32] = std::fs::read(config.root_key_file()).unwrap().try_into().unwrap();
    let sign: Value = serde_json::from_slice(&std::fs::read(config.sign_key_file()).unwrap()).unwrap();
    let words = [stranger.to_owned(), token, sign["d"].as_str().unwrap().to_owned()];
    for secret in written(key.expose()).into_iter().chain(written(&root)).chain(words) {
        assert!(!log.contains(&secret), "{secret} stands in the log");
    }
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn healthy_asks_the_service_that_its_configuration_names() {
    let people = People::new();
    let (dir, config) = prepare(&people, Profile::Demo);
    let made = kms_adapter::init(&config).unwrap();
    let running = kms_adapter::Service::start(config, kms_adapter::system_clock()).unwrap();
    let at = running.address().to_string();
    let asked = |listen: &str| {
        let mut healthy = Command::new(env!("CARGO_BIN_EXE_kms-adapter"));
        healthy.args(["healthy", "--config"]).arg(&made.config_file).env("DEPA_KMS__LISTEN", listen);
        let done = healthy.output().unwrap();
        let told = String::from_utf8([done.stdout, done.stderr].concat()).unwrap();
        assert_eq!(told.lines().count(), 1, "one sentence: {told}");
        (done.status.code(), told)
    };
    let (code, told) = asked(&at);
    assert!(code == Some(0) && told == format!("http://{at}/readyz answers that the service is well\n"), "{told}");
    for (listen, why) in [("127.0.0.1:0", "names no port"), ("192.0.2.1:80", "CONFIG_INVALID")] {
        let (code, told) = asked(listen);
        assert!(code == Some(1) && told.starts_with("UNAVAILABLE") && told.contains(why), "{told}");
    }
    running.stop();
    let (code, told) = asked(&at);
    assert!(code == Some(1) && told.contains("cannot be reached"), "{told}");
    std::fs::remove_dir_all(dir).unwrap();
}
