//! Configuration: a TOML file, each key overridable by `DEPA_PAYMENTS__KEY`, unknown keys refused. Secrets stand in files
//! of their own, never here.

mod providers;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use contract_client::{Act, Client, Clock, Outgoing};
use schemas::desk::EndpointCreated;
use schemas::{Code, R, Refusal};
use serde::{Deserialize, Serialize};
use signing::{FileKey, Trust};
use toml::{Table, Value};

use crate::answer::Desk;
use crate::receive::Checks;
use crate::secret::{Secret, private_file};

pub use providers::{CardSettings, Kind, Pain001Settings, RecordingSettings, UpiSettings, WebhookSettings};

/// Prefix of environment variables that override the file: `DEPA_PAYMENTS__BIND=127.0.0.1:8461`, nested `__A__B`.
pub const ENV_PREFIX: &str = "DEPA_PAYMENTS__";

/// The production switch.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// A payment system that pays nothing may be used.
    Demo,
    /// Real ones only.
    Production,
}

/// Everything that can be set.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// `demo` or `production`.
    pub profile: Profile,
    /// Base URL of the contract service: `https:`, or `http:` on loopback.
    pub contract_service: String,
    /// Certificate authorities (PEM) that vouch for it, in place of the machine's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// The pinned trust.
    pub trust: PathBuf,
    /// The signing key of the payment service provider, mode 0600.
    pub key_file: PathBuf,
    /// What `depa webhook endpoint add` wrote for the endpoint, mode 0600; several while a secret is changed.
    pub endpoint_files: Vec<PathBuf>,
    /// Loopback address to listen on: `/webhooks` for the contract service, `/events` for the payment system.
    #[serde(default = "defaults::bind")]
    pub bind: SocketAddr,
    /// Address of `/metrics`, loopback only; off where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics_bind: Option<SocketAddr>,
    /// Folder of the database.
    pub data_dir: PathBuf,
    /// Accounts of participants by DID, for the payment systems that need them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accounts_file: Option<PathBuf>,
    /// Whether an instruction waits until it falls due; it is handed over at once otherwise.
    #[serde(default)]
    pub wait_until_due: bool,
    /// Seconds before each further attempt to hand something over or to answer; the last one repeats.
    #[serde(default = "defaults::retry_seconds")]
    pub retry_seconds: Vec<u32>,
    /// Seconds between two questions about one instruction.
    #[serde(default = "defaults::poll_seconds")]
    pub poll_seconds: u32,
    /// Milliseconds between two looks at what is to be done.
    #[serde(default = "defaults::look_millis")]
    pub look_millis: u64,
    /// The largest file of a bank that is read, in bytes.
    #[serde(default = "defaults::import_bytes")]
    pub import_bytes: u64,
    /// Where spans of calls go; nowhere without it.
    #[serde(default, skip_serializing_if = "telemetry::Settings::is_default")]
    pub telemetry: telemetry::Settings,
    /// Which payment system.
    pub provider: Kind,
    /// The payment system of `provider = "webhook"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<WebhookSettings>,
    /// The bank of `provider = "pain001"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pain001: Option<Pain001Settings>,
    /// The payment system of `provider = "upi"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upi: Option<UpiSettings>,
    /// The payment system of `provider = "card_like"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub card_like: Option<CardSettings>,
    /// The payment system of `provider = "recording"`, which pays nothing; demo only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recording: Option<RecordingSettings>,
}

mod defaults {
    use std::net::{Ipv4Addr, SocketAddr};

    pub fn bind() -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, 8460))
    }
    pub fn retry_seconds() -> Vec<u32> {
        vec![1, 5, 30, 120, 600, 1800, 3600]
    }
    pub fn poll_seconds() -> u32 {
        60
    }
    pub fn look_millis() -> u64 {
        200
    }
    pub fn import_bytes() -> u64 {
        16 * 1024 * 1024
    }
}

fn invalid(why: impl std::fmt::Display) -> Refusal {
    Refusal::new(Code::ConfigInvalid, why.to_string())
}

impl Config {
    /// Reads the file and the environment over it, resolves paths from the file's folder, and checks the rules.
    pub fn load(path: &Path, env: impl Iterator<Item = (String, String)>) -> R<Config> {
        let named = |e: &dyn std::fmt::Display| invalid(format!("{}: {e}", path.display()));
        let text = std::fs::read_to_string(path).map_err(|e| named(&e))?;
        let mut table: Table = text.parse().map_err(|e| named(&e))?;
        for (name, value) in env {
            if let Some(keys) = name.strip_prefix(ENV_PREFIX) {
                let keys: Vec<String> = keys.split("__").map(str::to_ascii_lowercase).collect();
                set(&mut table, &keys, &value).ok_or_else(|| invalid(format!("{name} overrides no such key")))?;
            }
        }
        let config: Config = Value::Table(table).try_into().map_err(|e: toml::de::Error| named(&e.message()))?;
        let config = config.beside(path.parent().unwrap_or(Path::new(".")));
        config.check()?;
        Ok(config)
    }

    /// What is set and who said so, without secrets.
    pub fn shown(path: &Path, env: impl Iterator<Item = (String, String)>) -> R<settings::Shown> {
        let env: Vec<(String, String)> = env.collect();
        let config = Config::load(path, env.iter().cloned())?;
        settings::show(&config, path, ENV_PREFIX, env.into_iter())
    }

    /// The file that this configuration would be.
    pub fn to_toml(&self) -> R<String> {
        toml::to_string_pretty(self).map_err(invalid)
    }

    fn beside(mut self, folder: &Path) -> Config {
        let paths = [&mut self.trust, &mut self.key_file, &mut self.data_dir];
        let optional = [&mut self.ca_file, &mut self.accounts_file].into_iter().flatten();
        let all = paths.into_iter().chain(&mut self.endpoint_files).chain(optional);
        all.for_each(|path| *path = folder.join(&*path));
        let settings = [
            self.webhook.as_mut().map(|s| s.paths()),
            self.pain001.as_mut().map(|s| s.paths()),
            self.upi.as_mut().map(|s| s.paths()),
            self.card_like.as_mut().map(|s| s.paths()),
            self.recording.as_mut().map(|s| s.paths()),
        ];
        settings.into_iter().flatten().flatten().for_each(|path| *path = folder.join(&*path));
        self
    }

    /// Refuses what would be unsafe.
    pub fn check(&self) -> R<()> {
        if !self.bind.ip().is_loopback() {
            let why = "plain HTTP is served on loopback only; put a TLS proxy before it";
            return Err(invalid(format!("bind {}: {why}", self.bind)).at("bind"));
        }
        telemetry::Scrape::check(self.metrics_bind.as_ref())?;
        self.telemetry.check()?;
        if self.endpoint_files.is_empty() {
            return Err(invalid("without an endpoint file no message can be checked").at("endpoint_files"));
        }
        if self.retry_seconds.is_empty() {
            return Err(invalid("retry_seconds is empty").at("retry_seconds"));
        }
        if !(1..=3600).contains(&self.poll_seconds) && self.profile == Profile::Production {
            return Err(invalid("poll_seconds is 1 to 3600").at("poll_seconds"));
        }
        if !(1024..=256 * 1024 * 1024).contains(&self.import_bytes) {
            return Err(invalid("import_bytes is 1 KiB to 256 MiB").at("import_bytes"));
        }
        if !(5..=60_000).contains(&self.look_millis) {
            return Err(invalid("look_millis is 5 to 60000").at("look_millis"));
        }
        if self.profile == Profile::Production {
            let refused = |why: &str| Err(Refusal::new(Code::ProductionRefused, why));
            if self.provider == Kind::Recording || self.recording.is_some() {
                return refused("the recording payment system pays nothing and is refused in production");
            }
            if !self.contract_service.starts_with("https://") {
                return refused("production reaches the contract service by https only");
            }
        }
        self.check_provider()
    }

    /// What deliveries are checked with.
    pub(crate) fn checks(&self) -> R<Checks> {
        let mut checks = Checks { secrets: Vec::new(), public: Vec::new() };
        for path in &self.endpoint_files {
            let text = private_file(path)?;
            let none =
                |_| invalid(format!("endpoint file {}: not what depa webhook endpoint add wrote", path.display()));
            let endpoint: EndpointCreated = schemas::canonical::parse(text.as_bytes()).map_err(none)?;
            checks.secrets.push(Secret::new(endpoint.secret));
            checks.public.push(endpoint.public_key);
        }
        Ok(checks)
    }

    /// Whom answers go to.
    pub(crate) fn desk(&self, clock: &Clock) -> R<Desk> {
        let ca = self.ca_file.as_ref().map(std::fs::read).transpose();
        let ca = ca.map_err(|e| invalid(format!("ca_file: {e}")).at("ca_file"))?;
        let client = Client::trusting(&self.contract_service, Some(Arc::new(traced)), ca.as_deref())?;
        let client = client.with_clock(clock.clone());
        Ok(Desk { client, key: Arc::new(self.key()?), registry: Trust::load(&self.trust)?.registry })
    }

    pub(crate) fn key(&self) -> R<FileKey> {
        FileKey::load(&self.key_file)
    }
}

/// Hands the trace on that an answer belongs to.
fn traced(call: &mut Outgoing) -> Act {
    call.headers.extend(telemetry::traceparent().map(|trace| ("traceparent".to_owned(), trace)));
    Act::Pass
}

/// Puts a value in: read as TOML where it is (numbers, lists), taken as text otherwise.
fn set(table: &mut Table, keys: &[String], text: &str) -> Option<()> {
    let (last, path) = keys.split_last()?;
    let mut at = table;
    for key in path {
        at = at.entry(key.clone()).or_insert_with(|| Value::Table(Table::new())).as_table_mut()?;
    }
    let parsed = format!("value = {text}").parse::<Table>().ok().and_then(|mut t| t.remove("value"));
    at.insert(last.clone(), parsed.unwrap_or_else(|| Value::String(text.to_owned())));
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"
        profile = "demo"
        contract_service = "http://localhost:8080"
        trust = "trust.json"
        key_file = "psp.key"
        endpoint_files = ["endpoint.json"]
        data_dir = "data"
        provider = "recording"
        [recording]
        journal = "recording.jsonl"
    "#;

    fn load(text: &str, env: &[(&str, &str)]) -> R<Config> {
        let path = std::env::temp_dir().join(format!("payment-config-{}.toml", uuid::Uuid::now_v7()));
        std::fs::write(&path, text).unwrap();
        let config = Config::load(&path, env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())));
        std::fs::remove_file(&path).unwrap();
        config
    }

    #[test]
    fn file_then_environment_then_defaults() {
        let config = load(FILE, &[("DEPA_PAYMENTS__POLL_SECONDS", "7"), ("OTHER", "x")]).unwrap();
        assert_eq!((config.poll_seconds, config.look_millis), (7, 200));
        assert_eq!(config.key_file, std::env::temp_dir().join("psp.key"));
        assert_eq!(config.recording.as_ref().unwrap().journal, std::env::temp_dir().join("recording.jsonl"));
        let script = load(FILE, &[("DEPA_PAYMENTS__RECORDING__SCRIPT", "[\"fail\"]")]).unwrap();
        assert_eq!(script.recording.unwrap().script, ["fail"]);
        assert_eq!(load(&config.to_toml().unwrap(), &[]).unwrap(), config);
    }

    #[test]
    fn what_is_set_names_who_said_so() {
        let path = std::env::temp_dir().join(format!("payment-shown-{}.toml", uuid::Uuid::now_v7()));
        std::fs::write(&path, FILE).unwrap();
        let env = [("DEPA_PAYMENTS__RECORDING__SCRIPT".to_owned(), "[\"fail\"]".to_owned())];
        let shown = Config::shown(&path, env.into_iter()).unwrap().text(true);
        std::fs::remove_file(&path).unwrap();
        for line in [
            "poll_seconds = 60  # default".to_owned(),
            format!("provider = \"recording\"  # {}:8", path.display()),
            "recording.script = [\"fail\"]  # DEPA_PAYMENTS__RECORDING__SCRIPT".to_owned(),
        ] {
            assert!(shown.lines().any(|one| one == line), "{line} in {shown}");
        }
    }

    #[test]
    fn unknown_keys_and_unsafe_values_are_refused() {
        for (name, value) in [
            ("COLOUR", "red"),
            ("RECORDING__COLOUR", "red"),
            ("BIND", "\"0.0.0.0:80\""),
            ("ENDPOINT_FILES", "[]"),
            ("RETRY_SECONDS", "[]"),
            ("METRICS_BIND", "\"0.0.0.0:9100\""),
            ("TELEMETRY__COLOUR", "red"),
            ("TELEMETRY__ENDPOINT", "http://collector.example:4318"),
            ("TELEMETRY__ONE_IN", "0"),
            ("IMPORT_BYTES", "10"),
            ("LOOK_MILLIS", "0"),
            ("PROVIDER", "pigeon"),
            ("PROVIDER", "upi"),
            ("RECORDING__SCRIPT", "[\"dance\"]"),
            ("UPI__TOKEN", "secret"),
        ] {
            let name = format!("{ENV_PREFIX}{name}");
            assert_eq!(load(FILE, &[(&name, value)]).unwrap_err().code, Code::ConfigInvalid, "{name}={value}");
        }
    }

    #[test]
    fn production_refuses_a_payment_system_that_pays_nothing_and_plain_http() {
        let production = ("DEPA_PAYMENTS__PROFILE", "production");
        assert_eq!(load(FILE, &[production]).unwrap_err().code, Code::ProductionRefused);
        let real = FILE.replace(
            "recording\"\n        [recording]\n        journal = \"recording.jsonl\"",
            "webhook\"
            [webhook]\n            url = \"https://bank.example/in\"\n            secret_file = \"bank.secret\"",
        );
        assert_eq!(load(&real, &[production]).unwrap_err().code, Code::ProductionRefused);
        let https = ("DEPA_PAYMENTS__CONTRACT_SERVICE", "https://sro.example");
        assert_eq!(load(&real, &[production, https]).unwrap().provider, Kind::Webhook);
    }
}
