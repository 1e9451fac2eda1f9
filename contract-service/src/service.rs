//! Starting and stopping: in a process of its own, or several in one process for tests and the demo.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use registry::{Options, Registry};
use schemas::event::SroPerson;
use schemas::jwk::Jwk;
use schemas::{Code, R, Refusal, Signer as _};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signing::{FileKey, Trust};
use telemetry::Tracer;

use crate::app::{App, Clock};
use crate::config::{Config, Limits, Mode, Rates, Webhooks, WitnessConfig, WitnessPeer};
use crate::error::fault;
use crate::log_keys::LogKeys;
use crate::people::PeopleSettings;
use crate::serve::{Bounds, Serving};
use crate::{deliver, events, metrics, upkeep, witness};

/// The contract service.
pub struct Service;

/// A service that runs. Dropping it stops it.
pub struct Running {
    /// Its base URL.
    pub url: String,
    /// What relying parties pin.
    pub trust: Trust,
    app: Arc<App>,
    serving: Option<Serving>,
    metrics: Option<Serving>,
    background: Vec<JoinHandle<()>>,
}

impl Service {
    /// Starts the service on its configured address.
    pub fn start(config: Config, clock: Clock) -> R<Running> {
        let listener = TcpListener::bind(config.bind).map_err(|e| {
            Refusal::new(Code::ConfigInvalid, format!("{} cannot be bound: {e}", config.bind)).at("bind")
        })?;
        Service::start_on(listener, config, clock)
    }

    /// Starts the service on a listener that is bound already: a test binds port 0 first to learn its URL.
    pub fn start_on(listener: TcpListener, config: Config, clock: Clock) -> R<Running> {
        config.check()?;
        crate::succession::unfinished(&config)?;
        let keys = LogKeys::load(&config.key_file)?;
        let trust = trust_of(&config, keys.first())?;
        let (signer, next) = keys.for_registry();
        std::fs::create_dir_all(&config.data_dir).map_err(fault)?;
        let options = Options {
            url: config.database_url(),
            origin: trust.origin.clone(),
            registry: trust.registry.clone(),
            sro: trust.sro.clone(),
            signer,
            next,
            readers: 4,
        };
        let registry = Registry::open(options, clock())?;
        let limits = &config.limits;
        let bounds = Bounds {
            body_bytes: limits.body_bytes,
            max_connections: limits.max_connections,
            request: Duration::from_secs(limits.request_seconds),
            keep_alive: Duration::from_secs(limits.keep_alive_seconds),
            workers: limits.workers,
        };
        raise_open_files(limits.max_connections);
        let url = config.url.clone();
        let tracer = Tracer::start(&config.telemetry, "contract-service", env!("CARGO_PKG_VERSION"))?;
        let app = Arc::new(App::new(registry, keys, config, trust, clock)?.traced_by(tracer));
        app.signer()?;
        let trust = app.trust();
        witness::ask_all(&app);
        let background = vec![
            background(&app, "deliver", deliver::forever)?,
            background(&app, "clock", crate::clock::forever)?,
            background(&app, "witness", witness::push_forever)?,
            background(&app, "events", events::forever)?,
            background(&app, "upkeep", upkeep::forever)?,
        ];
        let serving = Some(Serving::start_with(app.clone(), listener, bounds, app.tls.as_ref())?);
        let metrics = app.config.metrics_bind.map(|bind| metrics::serve(&app, bind)).transpose()?;
        tracing::info!(url, registry = %trust.registry, "the contract service serves");
        Ok(Running { url, trust, app, serving, metrics, background })
    }
}

impl Running {
    /// Checks the books against their transfers and the rest of the state; the first fault is named.
    pub fn check_books(&self) -> R<()> {
        self.app.registry.state().check_books()
    }

    /// Stops serving and waits for the background work to end.
    pub fn stop(self) {
        drop(self);
    }

    /// Serves until SIGTERM or SIGINT: then it is not ready any more, answers what is under way for five seconds at most, and ends.
    pub fn wait_for_signals(mut self) -> R<()> {
        let mut signals = Signals::new([SIGTERM, SIGINT]).map_err(fault)?;
        let (app, server) = (self.app.clone(), self.serving.as_ref().map(Serving::handle));
        let told = move || {
            if signals.forever().next().is_some() {
                tracing::info!("told to end: calls under way are answered");
                app.stop();
                // The command is sent by the call; its end is waited for below.
                drop(server.map(|server| server.stop(true)));
            }
        };
        std::thread::Builder::new().name("signals".into()).spawn(told).map_err(fault)?;
        self.wait();
        Ok(())
    }

    /// Waits until the server ends by itself.
    pub fn wait(&mut self) {
        if let Some(serving) = &mut self.serving {
            serving.wait();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.app.stop();
        drop(self.serving.take());
        drop(self.metrics.take());
        for thread in self.background.drain(..) {
            let _ = thread.join();
        }
        self.app.tracer.end();
    }
}

/// Files beside connections: the database, logs, certificates.
const OTHER_FILES: u64 = 512;

/// Raises the number of files that this process may have open, as far as it is allowed to, and says what that makes.
fn raise_open_files(connections: usize) {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let wanted = u64::try_from(connections).unwrap_or(u64::MAX).saturating_add(OTHER_FILES);
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else {
        return;
    };
    let raised = wanted.min(hard).max(soft);
    if raised > soft && setrlimit(Resource::RLIMIT_NOFILE, raised, hard).is_err() {
        tracing::warn!(soft, hard, "the number of open files could not be raised");
    } else if raised < wanted {
        tracing::info!(open_files = raised, wanted, "fewer connections than configured fit the limit of open files");
    }
}

fn background(app: &Arc<App>, name: &str, work: fn(&App)) -> R<JoinHandle<()>> {
    let app = app.clone();
    std::thread::Builder::new().name(name.into()).spawn(move || work(&app)).map_err(fault)
}

/// What relying parties pin: out of a configuration, with the key in use by its log, or the key file's before there is
/// a log. The service may run on.
pub fn trust(config: &Config) -> R<Trust> {
    let mut trust = trust_of(config, &FileKey::load(&config.key_file)?)?;
    if config.database.is_some() || config.database().exists() {
        trust.registry_jwk = registry::Registry::key_in_use(&crate::keep::options(config)?)?;
    }
    Ok(trust)
}

/// What relying parties pin, out of configuration and key.
fn trust_of(config: &Config, signer: &FileKey) -> R<Trust> {
    let registry = config.did()?;
    if signer.did()? != registry {
        let sentence = format!("the key file is of {}, but url stands for {registry}", signer.did()?);
        return Err(Refusal::new(Code::ConfigInvalid, sentence).at("key_file"));
    }
    Ok(Trust {
        registry,
        registry_jwk: signer.jwk().clone(),
        origin: config.origin()?,
        sro: config.sro.clone(),
        witnesses: config.witnesses.iter().map(WitnessPeer::key).collect(),
        quorum: config.witness_quorum,
        lineage: Default::default(),
    })
}

/// Makes a new registry in a folder: its key, a configuration `config.toml`, and `trust.json` for relying parties.
pub fn init(dir: &Path, url: &str, sro: Vec<SroPerson>) -> R<Config> {
    std::fs::create_dir_all(dir).map_err(fault)?;
    let authority = url.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    let port = authority.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).unwrap_or(8080);
    let config = Config {
        profile: Mode::Demo,
        url: url.trim_end_matches('/').to_owned(),
        bind: SocketAddr::from(([127, 0, 0, 1], port)),
        tls: None,
        metrics_bind: None,
        tokens: None,
        database: None,
        data_dir: dir.join("data"),
        key_file: dir.join("registry.key"),
        sro,
        software_roots: Vec::new(),
        platform_level: "baseline".into(),
        platform: collateral::Settings::default(),
        log_origin: None,
        witness_quorum: 0,
        witnesses: Vec::new(),
        limits: Limits::default(),
        rates: Rates::default(),
        webhooks: Webhooks::default(),
        people: PeopleSettings::default(),
        telemetry: telemetry::Settings::default(),
    };
    config.check()?;
    let key = FileKey::generate_for(&config.did()?)?;
    key.save(&config.key_file)?;
    let written = Config { data_dir: "data".into(), key_file: "registry.key".into(), ..config.clone() };
    write_new(&dir.join("config.toml"), &toml::to_string_pretty(&written).map_err(fault)?)?;
    let trust = serde_json::to_string_pretty(&trust_of(&config, &key)?).map_err(fault)?;
    write_new(&dir.join("trust.json"), &trust)?;
    Ok(config)
}

/// Makes a new witness in a folder: its key and a configuration `witness.toml`, which binds a free port until told
/// otherwise. Trust files are named by absolute paths.
pub fn init_witness(dir: &Path, name: &str, trust_files: &[&Path]) -> R<(WitnessConfig, Jwk)> {
    std::fs::create_dir_all(dir).map_err(fault)?;
    let key = FileKey::generate()?;
    let config = WitnessConfig {
        bind: SocketAddr::from(([127, 0, 0, 1], 0)),
        data_dir: dir.join("data"),
        key_file: dir.join("witness.key"),
        name: name.to_owned(),
        trust_files: trust_files.iter().map(|p| p.to_path_buf()).collect(),
    };
    key.save(&config.key_file)?;
    let text = config.clone().beside_its_file().text()?;
    write_new(&dir.join("witness.toml"), &text)?;
    Ok((config, key.jwk().clone()))
}

fn write_new(path: &Path, text: &str) -> R<()> {
    use std::io::Write as _;
    let file = std::fs::OpenOptions::new().write(true).create_new(true).open(path);
    let wrote = file.and_then(|mut file| file.write_all(text.as_bytes()));
    wrote.map_err(|e| Refusal::new(Code::ConfigInvalid, format!("{}: {e}", path.display())))
}
