//! Configuration: a TOML file, overridden by `DEPA_CONTRACT_SERVICE__KEY`. Unknown keys are refused.

mod file;
mod limits;
mod webhooks;
mod witness;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use attestation::{Brought, Level, PlatformPolicy, Profile};
use schemas::event::SroPerson;
use schemas::id::Did;
use schemas::{Code, Digest, R, Refusal};
use serde::{Deserialize, Serialize};

use crate::people::PeopleSettings;
use file::read;

pub use file::ENV_PREFIX;
pub use limits::{Budget, Limits, Rates};
pub use webhooks::Webhooks;
pub use witness::{WitnessConfig, WitnessPeer};

/// Demo or production: the production switch.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Software evidence, did:web on `localhost` by plain HTTP, webhooks to loopback.
    Demo,
    /// None of these.
    Production,
}

/// Files of a certificate: the chain and its key, as PEM. They are read anew when they change.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsFiles {
    /// The certificate and its intermediates.
    pub cert_file: PathBuf,
    /// The private key.
    pub key_file: PathBuf,
}

/// Which access tokens are given and taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tokens {
    /// Bound to a key where the client sends a DPoP proof, plain otherwise.
    BearerOrDpop,
    /// Bound ones only.
    Dpop,
}

/// Everything that may be configured.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// `demo` or `production`.
    pub profile: Mode,
    /// Base URL under which clients reach the service; its host is the registry's did:web and the log's origin.
    pub url: String,
    /// Address to listen on; without `tls` loopback only.
    pub bind: SocketAddr,
    /// The certificate; without it plain HTTP is served.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsFiles>,
    /// Address of `/metrics`, loopback only; off where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics_bind: Option<SocketAddr>,
    /// `bearer_or_dpop` or `dpop`; where absent, production takes `dpop` and the demo both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<Tokens>,
    /// A PostgreSQL database (`postgres://user@host/name`), which several processes may serve; without it SQLite in
    /// `data_dir`. A password stands in libpq's password file, never here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// Folder of the SQLite database and of what the service keeps beside it.
    pub data_dir: PathBuf,
    /// The registry's signing key, mode 0600.
    pub key_file: PathBuf,
    /// SRO people of the genesis entry, at least two. Read when the log is empty; later they must be the same.
    pub sro: Vec<SroPerson>,
    /// SHA-256 of the SubjectPublicKeyInfo of pinned software attestation roots. Demo only.
    #[serde(default)]
    pub software_roots: Vec<Digest>,
    /// Platform level for hardware evidence: `baseline`, `2026` or `strict`.
    #[serde(default = "baseline")]
    pub platform_level: String,
    /// What else counts as a trustworthy platform: newer platform data, revocation lists, vTPM roots, chips.
    #[serde(default, skip_serializing_if = "collateral::Settings::is_default")]
    pub platform: collateral::Settings,
    /// Origin of the log where it is not `<host>/log`: a log that succeeds another one has a new origin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_origin: Option<String>,
    /// How many witnesses relying parties shall ask for before they open anything; 0 for none.
    #[serde(default)]
    pub witness_quorum: u32,
    /// Log witnesses.
    #[serde(default)]
    pub witnesses: Vec<WitnessPeer>,
    /// Limits.
    #[serde(default)]
    pub limits: Limits,
    /// How often one caller may call.
    #[serde(default)]
    pub rates: Rates,
    /// Webhooks.
    #[serde(default)]
    pub webhooks: Webhooks,
    /// How people sign in.
    #[serde(default)]
    pub people: PeopleSettings,
    /// Where spans of calls go; nowhere without it.
    #[serde(default, skip_serializing_if = "telemetry::Settings::is_default")]
    pub telemetry: telemetry::Settings,
}

/// The shortest silence in seconds after which a run may count as gone.
const LEAST_SILENCE: u64 = 60;

fn baseline() -> String {
    "baseline".to_owned()
}

fn invalid(why: impl Into<String>) -> Refusal {
    Refusal::new(Code::ConfigInvalid, why)
}

impl Config {
    /// Reads the file and the environment, resolves paths against the file's folder, and checks the rules.
    pub fn load(path: &Path, env: impl Iterator<Item = (String, String)>) -> R<Config> {
        let mut config: Config = read(path, env)?;
        let folder = path.parent().unwrap_or(Path::new("."));
        config.data_dir = folder.join(&config.data_dir);
        config.key_file = folder.join(&config.key_file);
        if let Some(tls) = &mut config.tls {
            tls.cert_file = folder.join(&tls.cert_file);
            tls.key_file = folder.join(&tls.key_file);
        }
        config.people = config.people.beside(folder);
        config.platform = config.platform.beside(folder);
        config.check()?;
        Ok(config)
    }

    /// What is set and who said so, without secrets.
    pub fn shown(path: &Path, env: impl Iterator<Item = (String, String)>) -> R<settings::Shown> {
        let env: Vec<(String, String)> = env.collect();
        let config = Config::load(path, env.iter().cloned())?;
        settings::show(&config, path, ENV_PREFIX, env.into_iter())
    }

    /// Writes the configuration to a file; paths as they are.
    pub fn save(&self, path: &Path) -> R<()> {
        let fault = |e: &dyn std::fmt::Display| invalid(format!("{}: {e}", path.display()));
        let text = toml::to_string_pretty(self).map_err(|e| fault(&e))?;
        std::fs::write(path, text).map_err(|e| fault(&e))
    }

    /// Refuses what the profile does not allow. Called again by the service itself.
    pub fn check(&self) -> R<()> {
        if self.tls.is_none() {
            loopback_only(&self.bind)?;
        }
        self.metrics_bind.as_ref().map(loopback_only).transpose()?;
        self.did()?;
        self.check_database()?;
        if self.platform.data.is_none() {
            // Newer data may name other levels; then the service looks when it starts.
            Level::named(&self.platform_level)?;
        }
        if self.sro.len() < 2 {
            return Err(invalid("at least two SRO people are needed").at("sro"));
        }
        if usize::try_from(self.witness_quorum).unwrap_or(usize::MAX) > self.witnesses.len() {
            return Err(invalid("witness_quorum asks for more witnesses than are configured").at("witness_quorum"));
        }
        self.webhooks.check()?;
        self.telemetry.check()?;
        if self.limits.workers == 0 {
            return Err(invalid("workers must not be empty"));
        }
        if self.limits.run_silence_seconds < LEAST_SILENCE && !self.demo() {
            return Err(
                invalid("a room speaks every ten seconds; less than 60 s is no silence").at("run_silence_seconds")
            );
        }
        let refused = |why: &str| Err(Refusal::new(Code::ProductionRefused, why));
        if self.profile == Mode::Production {
            if cfg!(feature = "software-attester") {
                return refused(
                    "this build knows software evidence; production needs one without the feature software-attester",
                );
            }
            if !self.software_roots.is_empty() {
                return refused("software_roots pin SIMULATED evidence and are refused in production");
            }
            if !self.url.starts_with("https://") {
                return refused("production needs an https url; the service ends TLS itself, or a proxy in front does");
            }
        }
        Ok(())
    }

    /// Whether this is the demo profile.
    pub fn demo(&self) -> bool {
        self.profile == Mode::Demo
    }

    /// Whether only tokens bound to a key count.
    pub fn bound_tokens_only(&self) -> bool {
        self.tokens.unwrap_or(if self.demo() { Tokens::BearerOrDpop } else { Tokens::Dpop }) == Tokens::Dpop
    }

    /// `host[:port]` of the URL.
    pub fn authority(&self) -> R<&str> {
        let rest = self.url.strip_prefix("https://").or_else(|| self.url.strip_prefix("http://"));
        rest.filter(|r| !r.is_empty() && !r.contains(['/', '?', '#', '@'])).ok_or_else(|| {
            invalid("url is like https://sro.example or http://localhost:8080, without path or slash").at("url")
        })
    }

    /// The registry's DID: did:web of the URL's host.
    pub fn did(&self) -> R<Did> {
        Did::parse(&format!("did:web:{}", self.authority()?.replace(':', "%3A")))
            .map_err(|_| invalid("the host of url makes no did:web").at("url"))
    }

    /// The origin of the log.
    pub fn origin(&self) -> R<String> {
        match &self.log_origin {
            Some(origin) => Ok(origin.clone()),
            None => Ok(format!("{}/log", self.authority()?)),
        }
    }

    /// The file of the SQLite database; unused where `database` names another.
    pub fn database(&self) -> PathBuf {
        self.data_dir.join("registry.sqlite")
    }

    /// Where the registry keeps its tables.
    pub fn database_url(&self) -> String {
        self.database.clone().unwrap_or_else(|| self.database().to_string_lossy().into_owned())
    }

    fn check_database(&self) -> R<()> {
        let Some(url) = &self.database else { return Ok(()) };
        let bad = |why: &str| Err(invalid(why).at("database"));
        let Some(rest) = url.strip_prefix("postgres://").or_else(|| url.strip_prefix("postgresql://")) else {
            return bad("database is like postgres://user@host/name; SQLite lies in data_dir without it");
        };
        let user = rest.split(['/', '?']).next().unwrap_or_default().rsplit_once('@').map_or("", |(user, _)| user);
        if user.contains(':') || url.contains("password=") {
            return bad("a password does not stand in the configuration; libpq's password file holds it");
        }
        Ok(())
    }

    /// What counts as a trustworthy platform at a named level of what was brought.
    pub fn platform_policy(&self, brought: &Brought, level: &str) -> R<PlatformPolicy> {
        let profile = if self.demo() { Profile::Demo } else { Profile::Production };
        brought.policy(profile, level, self.software_roots.clone())
    }
}

/// Plain HTTP stays on this machine.
pub fn loopback_only(bind: &SocketAddr) -> R<()> {
    if bind.ip().is_loopback() {
        return Ok(());
    }
    Err(invalid(format!(
        "bind {bind}: plain HTTP is served on loopback only; bind 127.0.0.1 and put a TLS proxy in front, or name a \
         certificate in tls"
    ))
    .at("bind"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = r#"
profile = "demo"
url = "http://localhost:8080"
bind = "127.0.0.1:8080"
data_dir = "data"
key_file = "registry.key"
sro = [
  { did = "did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp", jwk = { kty = "OKP", crv = "Ed25519", x = "O2onvM62pC1io6jQKm8Nc2UyFXcd4kOmOsBIoYtZ2ik" }, name = "A" },
  { did = "did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp", jwk = { kty = "OKP", crv = "Ed25519", x = "O2onvM62pC1io6jQKm8Nc2UyFXcd4kOmOsBIoYtZ2ik" }, name = "B" },
]
"#;

    fn load(text: &str, env: &[(&str, &str)]) -> R<Config> {
        let path = std::env::temp_dir().join(format!("depa-config-{}.toml", crate::ids::token().unwrap()));
        std::fs::write(&path, text).unwrap();
        let env = env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        let config = Config::load(&path, env);
        std::fs::remove_file(&path).unwrap();
        config
    }

    #[test]
    fn the_environment_overrides_and_unknown_keys_are_refused() {
        let config = load(SAMPLE, &[("DEPA_CONTRACT_SERVICE__LIMITS__WORKERS", "3"), ("OTHER", "x")]).unwrap();
        assert_eq!(config.limits.workers, 3);
        assert_eq!(config.did().unwrap().as_str(), "did:web:localhost%3A8080");
        assert_eq!(config.origin().unwrap(), "localhost:8080/log");
        let typo = load(&format!("colour = 1\n{SAMPLE}"), &[]).unwrap_err();
        assert_eq!(typo.code, Code::ConfigInvalid);
        assert_eq!(load(SAMPLE, &[("DEPA_CONTRACT_SERVICE__COLOUR", "red")]).unwrap_err().code, Code::ConfigInvalid);
    }

    #[test]
    fn what_is_set_names_who_said_so_and_no_password() {
        let path = std::env::temp_dir().join(format!("depa-shown-{}.toml", crate::ids::token().unwrap()));
        std::fs::write(&path, SAMPLE).unwrap();
        let env = [("DEPA_CONTRACT_SERVICE__WEBHOOKS__PROXY", "http://me:hunter2@proxy:3128")];
        let shown =
            Config::shown(&path, env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))).unwrap().text(true);
        std::fs::remove_file(&path).unwrap();
        let line = |key: &str| shown.lines().find(|l| l.starts_with(&format!("{key} = "))).unwrap().to_owned();
        assert_eq!(line("url"), format!("url = \"http://localhost:8080\"  # {}:3", path.display()));
        assert_eq!(line("limits.workers"), "limits.workers = 2  # default");
        assert!(line("webhooks.proxy").ends_with("# DEPA_CONTRACT_SERVICE__WEBHOOKS__PROXY"));
        assert!(!shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn a_room_is_not_gone_within_a_minute() {
        let mut config = load(SAMPLE, &[("DEPA_CONTRACT_SERVICE__LIMITS__RUN_SILENCE_SECONDS", "1")]).unwrap();
        config.profile = Mode::Production;
        assert_eq!(config.check().unwrap_err().field.as_deref(), Some("run_silence_seconds"));
        config.limits.run_silence_seconds = 60;
        assert_ne!(config.check().unwrap_err().field.as_deref(), Some("run_silence_seconds"));
    }

    #[test]
    fn plain_http_stays_on_loopback() {
        let open = load(SAMPLE, &[("DEPA_CONTRACT_SERVICE__BIND", "\"0.0.0.0:80\"")]).unwrap_err();
        assert_eq!(open.code, Code::ConfigInvalid);
        assert!(open.sentence.contains("TLS proxy"), "{}", open.sentence);
    }

    #[test]
    fn production_is_refused_to_a_demo_build_or_configuration() {
        let refused = load(SAMPLE, &[("DEPA_CONTRACT_SERVICE__PROFILE", "production")]).unwrap_err();
        assert_eq!(refused.code, Code::ProductionRefused);
    }
}
