//! Configuration: a TOML file, each key overridable by `DEPA_KMS__KEY`, unknown keys refused.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use schemas::id::Did;
use schemas::jwk::Jwk;
use schemas::{Code, Digest, R, Refusal};
use serde::{Deserialize, Serialize};

use crate::backend::{self, Kind};
use crate::kbs;
use crate::store::Place;

/// Prefix of environment variables that override the file: `DEPA_KMS__LISTEN=127.0.0.1:8451`.
const ENVIRONMENT: &str = "DEPA_KMS__";

/// The production switch.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// Software evidence counts where its root is pinned.
    Demo,
    /// Genuine hardware evidence only.
    Production,
}

impl Profile {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Profile::Demo => "demo",
            Profile::Production => "production",
        }
    }
}

/// Everything that can be set.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// `demo` or `production`.
    pub profile: Profile,
    /// Base URL by which others reach the service, without a slash at its end. Port 0 becomes the port that was bound.
    pub url: String,
    /// Loopback address to bind; TLS is ended by a proxy in front of it.
    #[serde(default = "defaults::listen")]
    pub listen: SocketAddr,
    /// Folder of the keys and the database.
    pub dir: PathBuf,
    /// A PostgreSQL database (`postgres://user@host/name`), on which several processes may serve; without it SQLite in
    /// `dir`. A password stands in libpq's password file, never here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// Where key-encryption keys live.
    #[serde(default)]
    pub backend: Kind,
    /// The vault of `backend = "transit"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transit: Option<backend::transit::Settings>,
    /// The vault of `backend = "azure-wrap"` and `"azure-skr"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub azure: Option<backend::azure::Settings>,
    /// Where the root key comes from: `file:PATH` (32 bytes, mode 0600), `credential:NAME` (32 bytes, from systemd) or
    /// `passphrase:PATH` (a file with a passphrase; Argon2id). `root.key` in `dir` without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root_key: Option<String>,
    /// The TDP that this service belongs to.
    pub provider: Did,
    /// The TDP's own signing key; needed for a did:web, encoded in a did:key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_jwk: Option<Jwk>,
    /// File with the pinned trust: registry, its key, origin of the log, SRO people.
    pub trust: PathBuf,
    /// Pins of software attester roots; refused in production.
    #[serde(default)]
    pub software_roots: Vec<Digest>,
    /// Named platform level asked for besides those of the contracts.
    #[serde(default = "defaults::platform_level")]
    pub platform_level: String,
    /// What else counts as a trustworthy platform: newer platform data, revocation lists, vTPM roots, chips.
    #[serde(default, skip_serializing_if = "collateral::Settings::is_default")]
    pub platform: collateral::Settings,
    /// Folder of the rules documents (`<SHA-256>.rego`) that offers and contracts name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rules_dir: Option<PathBuf>,
    /// Minutes east of UTC where this house stands; rules documents read its clock. No daylight saving.
    #[serde(default)]
    pub utc_offset_minutes: i32,
    /// Seconds of a lease.
    #[serde(default = "defaults::lease_seconds")]
    pub lease_seconds: u32,
    /// Seconds after which a reservation that was not released is forgotten.
    #[serde(default = "defaults::reservation_seconds")]
    pub reservation_seconds: u32,
    /// Seconds in which a challenge can be used.
    #[serde(default = "defaults::challenge_seconds")]
    pub challenge_seconds: u32,
    /// Challenges that may be open per contract.
    #[serde(default = "defaults::open_challenges")]
    pub open_challenges_per_contract: u32,
    /// Challenges that one address may ask for in a minute.
    #[serde(default = "defaults::challenges_per_minute")]
    pub challenges_per_minute: u32,
    /// Whether the proxy in front tells who calls, as the last address of `X-Forwarded-For`. Production asks for it:
    /// without it all calls count as one caller's.
    #[serde(default)]
    pub proxied: bool,
    /// Address of `/metrics`, loopback only; off where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics_bind: Option<SocketAddr>,
    /// Where spans of calls go; nowhere without it.
    #[serde(default, skip_serializing_if = "telemetry::Settings::is_default")]
    pub telemetry: telemetry::Settings,
    /// The KBS face for stock confidential-container guests; off without it.
    #[serde(default)]
    pub kbs: kbs::Settings,
}

mod defaults {
    use std::net::{Ipv4Addr, SocketAddr};

    pub fn listen() -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, 8451))
    }
    pub fn platform_level() -> String {
        "baseline".into()
    }
    pub fn lease_seconds() -> u32 {
        30
    }
    pub fn reservation_seconds() -> u32 {
        600
    }
    pub fn challenge_seconds() -> u32 {
        120
    }
    pub fn open_challenges() -> u32 {
        200
    }
    pub fn challenges_per_minute() -> u32 {
        30
    }
}

fn invalid(why: impl std::fmt::Display) -> Refusal {
    Refusal::new(Code::ConfigInvalid, why.to_string())
}

impl Config {
    /// A configuration with default limits.
    pub fn new(profile: Profile, url: &str, dir: &Path, provider: &Did, trust: &Path) -> Config {
        Config {
            profile,
            url: url.to_owned(),
            listen: defaults::listen(),
            dir: dir.to_owned(),
            database: None,
            backend: Kind::Embedded,
            transit: None,
            azure: None,
            root_key: None,
            provider: provider.clone(),
            provider_jwk: None,
            trust: trust.to_owned(),
            software_roots: Vec::new(),
            platform_level: defaults::platform_level(),
            platform: collateral::Settings::default(),
            rules_dir: None,
            utc_offset_minutes: 0,
            lease_seconds: defaults::lease_seconds(),
            reservation_seconds: defaults::reservation_seconds(),
            challenge_seconds: defaults::challenge_seconds(),
            open_challenges_per_contract: defaults::open_challenges(),
            // A demo plays all its rooms from one address.
            challenges_per_minute: if profile == Profile::Demo { 6000 } else { defaults::challenges_per_minute() },
            proxied: profile == Profile::Production,
            metrics_bind: None,
            telemetry: telemetry::Settings::default(),
            kbs: kbs::Settings::default(),
        }
    }

    /// Reads a file and the environment, and checks both.
    pub fn load(path: &Path) -> R<Config> {
        let text = fs::read_to_string(path).map_err(|e| invalid(format!("{}: {e}", path.display())))?;
        Config::read(&text, std::env::vars())
    }

    /// What is set and who said so, without secrets.
    pub fn shown(path: &Path, environment: impl Iterator<Item = (String, String)>) -> R<settings::Shown> {
        let environment: Vec<(String, String)> = environment.collect();
        let text = fs::read_to_string(path).map_err(|e| invalid(format!("{}: {e}", path.display())))?;
        let config = Config::read(&text, environment.iter().cloned())?;
        settings::show(&config, path, ENVIRONMENT, environment.into_iter())
    }

    /// Reads the text of a file with overriding variables.
    pub fn read(text: &str, environment: impl Iterator<Item = (String, String)>) -> R<Config> {
        let mut table: toml::Table = text.parse().map_err(|e| invalid(format!("not TOML: {e}")))?;
        for (name, value) in environment {
            if let Some(key) = name.strip_prefix(ENVIRONMENT) {
                table.insert(key.to_lowercase(), typed(&value));
            }
        }
        let config: Config = table.try_into().map_err(|e: toml::de::Error| invalid(e.message()))?;
        config.check()?;
        Ok(config)
    }

    /// The file that `init` writes.
    pub fn to_toml(&self) -> R<String> {
        toml::to_string_pretty(self).map_err(|e| Refusal::new(Code::Internal, e.to_string()))
    }

    /// Refuses what would be unsafe.
    pub fn check(&self) -> R<()> {
        loopback_or_tls(&self.url)?;
        if !self.listen.ip().is_loopback() {
            return Err(invalid("listen must be a loopback address: plain HTTP stays on this machine").at("listen"));
        }
        self.check_database()?;
        telemetry::Scrape::check(self.metrics_bind.as_ref())?;
        self.telemetry.check()?;
        self.kbs.check()?;
        backend::check(self)?;
        if self.platform.data.is_none() {
            // Newer data may name other levels; then the service looks when it starts.
            attestation::Level::named(&self.platform_level)?;
        }
        if !(-1439..=1439).contains(&self.utc_offset_minutes) {
            return Err(invalid("utc_offset_minutes is -1439 to 1439").at("utc_offset_minutes"));
        }
        let limits = [
            (self.lease_seconds, 5, 3600, "lease_seconds"),
            (self.reservation_seconds, 10, 86_400, "reservation_seconds"),
            (self.challenge_seconds, 10, 3600, "challenge_seconds"),
            (self.open_challenges_per_contract, 1, 1_000_000, "open_challenges_per_contract"),
            (self.challenges_per_minute, 1, 1_000_000, "challenges_per_minute"),
        ];
        for (value, least, most, name) in limits {
            if !(least..=most).contains(&value) {
                return Err(invalid(format!("{name} is {least} to {most}")).at(name));
            }
        }
        self.provider_key()?;
        match self.profile {
            Profile::Demo => Ok(()),
            Profile::Production => self.check_production(),
        }
    }

    fn check_production(&self) -> R<()> {
        let refused = |why: &str| Err(Refusal::new(Code::ProductionRefused, why));
        if !self.software_roots.is_empty() {
            return refused("production pins no software roots: remove software_roots");
        }
        if !self.proxied {
            return refused("production stands behind a proxy that tells who calls: set proxied = true");
        }
        if attestation::SOFTWARE_ATTESTER {
            return refused(
                "this build carries the software attester: build with --no-default-features for production",
            );
        }
        if !self.url.starts_with("https://") {
            return refused("production is reached by https only");
        }
        Ok(())
    }

    /// The TDP's own key: from the did:key, or as configured for a did:web.
    pub fn provider_key(&self) -> R<Jwk> {
        if signing::did::is_web(&self.provider) {
            let jwk = self.provider_jwk.clone().ok_or_else(|| invalid("a did:web provider needs provider_jwk"))?;
            signing::check::public_key(&jwk)?;
            return Ok(jwk);
        }
        let jwk = signing::did::did_key(&self.provider)?;
        match &self.provider_jwk {
            Some(other) if *other != jwk => Err(invalid("provider_jwk is another key than the did:key's")),
            _ => Ok(jwk),
        }
    }

    /// Where the root key lies.
    pub fn root_key_file(&self) -> PathBuf {
        self.dir.join("root.key")
    }

    /// Where the signing key lies.
    pub fn sign_key_file(&self) -> PathBuf {
        self.dir.join("sign.key")
    }

    /// Where the wrapped import key lies.
    pub fn import_key_file(&self) -> PathBuf {
        self.dir.join("import.key")
    }

    /// The file of the SQLite database; unused where `database` names another.
    pub fn database_file(&self) -> PathBuf {
        self.dir.join("kms.sqlite")
    }

    /// Where checkpoints of the journal are written, one on a line.
    pub fn checkpoints_file(&self) -> PathBuf {
        self.dir.join("checkpoints.jsonl")
    }

    /// Where the tables are.
    pub(crate) fn place(&self) -> Place {
        match &self.database {
            Some(url) => Place::Pg(url.clone()),
            None => Place::Sqlite(self.database_file()),
        }
    }

    fn check_database(&self) -> R<()> {
        let Some(url) = &self.database else { return Ok(()) };
        let bad = |why: &str| Err(invalid(why).at("database"));
        let Some(rest) = url.strip_prefix("postgres://").or_else(|| url.strip_prefix("postgresql://")) else {
            return bad("database is like postgres://user@host/name; SQLite lies in dir without it");
        };
        let user = rest.split(['/', '?']).next().unwrap_or_default().rsplit_once('@').map_or("", |(user, _)| user);
        if user.contains(':') || url.contains("password=") {
            return bad("a password does not stand in the configuration; libpq's password file holds it");
        }
        Ok(())
    }
}

/// A variable as TOML where it reads as a list, table, number or truth value; else as text.
fn typed(value: &str) -> toml::Value {
    let parsed = format!("v = {value}").parse::<toml::Table>().ok().and_then(|mut t| t.remove("v"));
    match parsed {
        Some(v) if !v.is_str() && !v.is_datetime() && !v.is_float() => v,
        _ => toml::Value::String(value.to_owned()),
    }
}

/// `https:` anywhere, `http:` on loopback; no path, query or slash at the end, so that one service has one name.
pub(crate) fn loopback_or_tls(url: &str) -> R<()> {
    let bad = |why: &str| Err(invalid(format!("url: {why}")).at("url"));
    let (host, plain) = match (url.strip_prefix("https://"), url.strip_prefix("http://")) {
        (Some(host), _) => (host, false),
        (_, Some(host)) => (host, true),
        _ => return bad("https:// is expected, or http:// on loopback"),
    };
    if host.is_empty()
        || !host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b':' | b'[' | b']'))
    {
        return bad("host and port only");
    }
    let name = match host.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    if plain && !matches!(name, "127.0.0.1" | "localhost" | "::1") {
        return bad("http:// is for loopback only");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"
profile = "demo"
url = "http://127.0.0.1:8451"
dir = "kms"
provider = "did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp"
trust = "trust.json"
"#;

    fn read(text: &str, variables: &[(&str, &str)]) -> R<Config> {
        Config::read(text, variables.iter().map(|(k, v)| (k.to_string(), v.to_string())))
    }

    #[test]
    fn file_then_environment_then_defaults() {
        let config = read(FILE, &[("DEPA_KMS__LEASE_SECONDS", "7"), ("OTHER", "x")]).unwrap();
        assert_eq!((config.lease_seconds, config.reservation_seconds), (7, 600));
        let config = read(FILE, &[("DEPA_KMS__URL", "https://kms.tdp.example")]).unwrap();
        assert_eq!(config.url, "https://kms.tdp.example");
        assert_eq!(read(&config.to_toml().unwrap(), &[]).unwrap(), config);
    }

    #[test]
    fn what_is_set_names_who_said_so() {
        let path = std::env::temp_dir().join(format!("kms-shown-{}.toml", std::process::id()));
        fs::write(&path, FILE).unwrap();
        let environment = [("DEPA_KMS__LEASE_SECONDS".to_owned(), "7".to_owned())];
        let shown = Config::shown(&path, environment.into_iter()).unwrap().text(true);
        fs::remove_file(&path).unwrap();
        for line in [
            "lease_seconds = 7  # DEPA_KMS__LEASE_SECONDS".to_owned(),
            "reservation_seconds = 600  # default".to_owned(),
            format!("dir = \"kms\"  # {}:4", path.display()),
        ] {
            assert!(shown.lines().any(|one| one == line), "{line} in {shown}");
        }
    }

    #[test]
    fn unknown_keys_and_unsafe_values_are_refused() {
        let cases = [
            ("DEPA_KMS__COLOUR", "red"),
            ("DEPA_KMS__LISTEN", "0.0.0.0:8451"),
            ("DEPA_KMS__URL", "http://kms.tdp.example"),
            ("DEPA_KMS__URL", "https://kms.tdp.example/"),
            ("DEPA_KMS__URL", "http://127.0.0.1.evil.example"),
            ("DEPA_KMS__LEASE_SECONDS", "0"),
            ("DEPA_KMS__PLATFORM_LEVEL", "any"),
            ("DEPA_KMS__PROVIDER", "did:web:tdp.example"),
            ("DEPA_KMS__DATABASE", "mysql://host/kms"),
            ("DEPA_KMS__DATABASE", "postgres://me:secret@host/kms"),
            ("DEPA_KMS__DATABASE", "postgres://me@host/kms?password=secret"),
            ("DEPA_KMS__BACKEND", "drawer"),
            ("DEPA_KMS__UTC_OFFSET_MINUTES", "1440"),
            ("DEPA_KMS__PLATFORM", "{ colour = \"red\" }"),
            ("DEPA_KMS__METRICS_BIND", "0.0.0.0:9100"),
            ("DEPA_KMS__TELEMETRY", "{ colour = \"red\" }"),
            ("DEPA_KMS__TELEMETRY", "{ endpoint = \"http://collector.example:4318\" }"),
            ("DEPA_KMS__KBS", "{ colour = \"red\" }"),
            ("DEPA_KMS__KBS", "{ enabled = true, session_seconds = 3600 }"),
            ("DEPA_KMS__KBS", "{ enabled = true, sessions = 0 }"),
        ];
        for (name, value) in cases {
            assert_eq!(read(FILE, &[(name, value)]).unwrap_err().code, Code::ConfigInvalid, "{name}={value}");
        }
    }

    #[test]
    fn production_refuses_software_evidence() {
        let production = ("DEPA_KMS__PROFILE", "production");
        let url = ("DEPA_KMS__URL", "https://kms.tdp.example");
        let pin = format!("[\"{}\"]", "0".repeat(64));
        let with_pin = read(FILE, &[production, url, ("DEPA_KMS__SOFTWARE_ROOTS", &pin)]);
        assert_eq!(with_pin.unwrap_err().code, Code::ProductionRefused);
        let proxied = ("DEPA_KMS__PROXIED", "true");
        let unproxied = read(FILE, &[production, url]).unwrap_err();
        assert_eq!(unproxied.code, Code::ProductionRefused);
        assert!(unproxied.sentence.contains("proxied = true"), "{unproxied}");
        if attestation::SOFTWARE_ATTESTER {
            let refused = read(FILE, &[production, url, proxied]).unwrap_err();
            assert_eq!(refused.code, Code::ProductionRefused);
            assert!(refused.sentence.contains("software attester"), "{refused}");
        } else {
            assert!(read(FILE, &[production, url, proxied]).is_ok());
            assert_eq!(read(FILE, &[production, proxied]).unwrap_err().code, Code::ProductionRefused);
        }
    }
}
