//! The key service itself: its keys, pins and database, and the acts in the modules around it.

use std::path::Path;
use std::sync::Mutex;

use attestation::{Brought, PlatformPolicy};
use diesel::prelude::*;
use schemas::envelope::Usage;
use schemas::evidence::EvidenceKind;
use schemas::id::KeyId;
use schemas::jwk::Jwk;
use schemas::release::{KmsInfo, RunAct, RunRequest};
use schemas::{Code, Envelope, KeyBook, R, Refusal, Signer as _, Timestamp};
use signing::jose::EncKey;
use signing::{FileKey, Trust};
use telemetry::Tracer;

use crate::Clock;
use crate::backend;
use crate::budget;
use crate::bundles::Bundles;
use crate::config::{Config, Profile};
use crate::cupboard::Cupboard;
use crate::health::Health;
use crate::init;
use crate::journal;
use crate::kbs;
use crate::limits::Limits;
use crate::metrics::Metrics;
use crate::own_release::Beside;
use crate::plans::Plans;
use crate::platform;
use crate::root;
use crate::rotate;
use crate::rows;
use crate::store::{Db, Store, Tx};
use crate::tables::used_once;

/// How far the clock of a room may differ from ours, and how long a request may be on its way, in seconds.
const REQUEST_SECONDS: f64 = 120.0;

/// One TDP's key service.
pub struct Kms {
    pub(crate) config: Config,
    /// As pinned; what counts now says [`Kms::trust`].
    pub(crate) trust: Trust,
    pub(crate) followed: Mutex<Trust>,
    pub(crate) provider_jwk: Jwk,
    pub(crate) signer: FileKey,
    pub(crate) import: EncKey,
    pub(crate) cupboard: Cupboard,
    pub(crate) store: Store,
    /// The newest checkpoint in the file beside the database.
    pub(crate) exported: Mutex<i64>,
    pub(crate) limits: Limits,
    pub(crate) kbs: kbs::Face,
    health: Health,
    /// Counts for operators.
    pub(crate) metrics: Metrics,
    /// Paths of all routes.
    pub(crate) paths: Vec<&'static str>,
    /// Makes spans of calls; none where the configuration names no collector.
    pub(crate) tracer: Tracer,
    pub(crate) platform: Brought,
    pub(crate) plans: Plans,
    pub(crate) bundles: Bundles,
    /// Where acts about releases outside runs are kept beside the database.
    pub(crate) beside: Beside,
    /// When this process began to serve.
    pub(crate) started: Timestamp,
    clock: Clock,
}

impl std::fmt::Debug for Kms {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Kms({})", self.config.url)
    }
}

impl Kms {
    /// Opens the service's folder. Refuses a journal that does not hang together.
    pub fn open(config: Config, clock: Clock) -> R<Kms> {
        config.check()?;
        let trust = Trust::load(&config.trust)?;
        let root = root::load(&config)?;
        let signer = FileKey::load(&config.sign_key_file())?;
        if signer.kid().holder != config.provider.as_str() {
            return Err(Refusal::new(Code::ConfigInvalid, "sign.key belongs to another provider").at("provider"));
        }
        let platform = config.platform.load(&trust)?;
        let started = clock();
        let kms = Kms {
            import: init::load_import_key(&config.import_key_file(), &root)?,
            cupboard: Cupboard::new(&config.provider, &root, backend::open(&config, &root)?)?,
            store: Store::open(config.place(), rows::key(&root)?)?,
            provider_jwk: config.provider_key()?,
            followed: Mutex::new(trust.clone()),
            exported: Mutex::new(0),
            limits: Limits::new(config.challenges_per_minute),
            kbs: kbs::Face::new(&config.kbs),
            health: Health::default(),
            metrics: Metrics::default(),
            paths: crate::routes::list().iter().map(|route| route.path).collect(),
            tracer: Tracer::off(),
            platform,
            plans: Plans::default(),
            bundles: Bundles::default(),
            beside: Beside::new(&config.dir),
            started,
            trust,
            signer,
            config,
            clock,
        };
        kms.policy(&kms.config.platform_level)?;
        rules_folder(kms.config.rules_dir.as_deref())?;
        kms.store.transact(|c| rows::check_all(c, &kms.store.key))?;
        kms.store.transact(|c| platform::keep_version(c, &kms.platform.table))?;
        kms.store.transact(budget::complete)?;
        kms.settle_lineage()?;
        rotate::check_root(&kms, &root)?;
        init::settle_import_key(&kms.config.import_key_file(), &root)?;
        kms.check_journal()?;
        kms.notice_rollback()?;
        kms.settle_releases()?;
        Ok(kms)
    }

    /// The time, as this service sees it.
    pub(crate) fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// Base URL.
    pub fn url(&self) -> &str {
        &self.config.url
    }

    pub(crate) fn book(&self) -> journal::Book<'_> {
        journal::Book {
            registry: &self.trust.registry,
            kms: &self.config.url,
            provider: &self.config.provider,
            signer: &self.signer,
        }
    }

    /// What the service says about itself.
    pub fn info(&self) -> KmsInfo {
        let mut evidence = vec![EvidenceKind::AzureSnp, EvidenceKind::Snp];
        if self.config.profile == Profile::Demo && !self.config.software_roots.is_empty() {
            evidence.insert(0, EvidenceKind::Software);
        }
        KmsInfo {
            kms: self.config.url.clone(),
            provider: self.config.provider.clone(),
            sign_jwk: self.signer.jwk().clone(),
            import_jwk: self.import.jwk().clone(),
            evidence,
            profile: self.config.profile.as_str().into(),
        }
    }

    /// The did:web document of the TDP, where it has one.
    pub fn did_document(&self) -> R<serde_json::Value> {
        if !signing::did::is_web(&self.config.provider) {
            return Err(Refusal::new(Code::NotFound, "the provider is no did:web"));
        }
        Ok(signing::did::web_document(&self.config.provider, &self.provider_jwk))
    }

    /// Whether the database and the key backend answer.
    pub fn ready(&self) -> R<()> {
        self.store.transact(|c| journal::head(c).map(drop))?;
        self.health.ask(self.now(), || self.cupboard.backend.health())
    }

    /// Asks the key backend for something, counted and in a span.
    pub(crate) fn at_backend<T>(&self, ask: impl FnOnce() -> R<T>) -> R<T> {
        let span = self.tracer.act("ask the key backend", self.cupboard.backend.kind().as_str());
        let began = std::time::Instant::now();
        let done = ask();
        self.metrics.backend(began.elapsed(), done.is_err());
        span.ended(&done);
        done
    }

    /// The platform policy at a named level.
    pub(crate) fn policy(&self, level: &str) -> R<PlatformPolicy> {
        let profile = match self.config.profile {
            Profile::Demo => attestation::Profile::Demo,
            Profile::Production => attestation::Profile::Production,
        };
        self.platform.policy(profile, level, self.config.software_roots.clone())
    }

    /// Verifies what a room asks: signed by the run's key, for this service and this run, timely, its id used once.
    pub(crate) fn run_request(
        &self,
        request: Envelope<RunRequest>,
        run_id: &str,
        run_jwk: &Jwk,
        now: Timestamp,
    ) -> R<RunAct> {
        let book = RunBook { run_id, run_jwk };
        let request = signing::verify_by(request, &self.trust.registry, &book, run_id)?;
        if request.aud != self.config.url || request.run_id.as_str() != run_id {
            return Err(Refusal::new(Code::SignatureContext, "the request is for another service or run").at("aud"));
        }
        check_jti(&request.jti)?;
        if now.seconds_since(request.issued_at).abs() > REQUEST_SECONDS {
            return Err(Refusal::new(Code::RequestReplayed, "the request was signed too long ago").at("issued_at"));
        }
        let code = Code::RequestReplayed;
        self.store.transact(|c| use_once(c, run_id, &request.jti, code, now))?;
        Ok(request.request.clone())
    }
}

/// A folder of rules that is not there is a slip in the configuration, noticed at the start.
fn rules_folder(folder: Option<&Path>) -> R<()> {
    match folder {
        Some(folder) if !folder.is_dir() => {
            Err(Refusal::new(Code::ConfigInvalid, format!("{} is no folder", folder.display())).at("rules_dir"))
        }
        _ => Ok(()),
    }
}

/// The run's key, for what the run says.
pub(crate) struct RunBook<'a> {
    pub run_id: &'a str,
    pub run_jwk: &'a Jwk,
}

impl KeyBook for RunBook<'_> {
    fn key(&self, kid: &KeyId, usage: Usage) -> Option<Jwk> {
        (usage == Usage::Run && kid.holder == self.run_id).then(|| self.run_jwk.clone())
    }
}

fn check_jti(jti: &str) -> R<()> {
    let fine =
        (16..=64).contains(&jti.len()) && jti.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if fine { Ok(()) } else { Err(Refusal::new(Code::SchemaMismatch, "a jti has 16 to 64 of [A-Za-z0-9_-]").at("jti")) }
}

/// Marks an id as used; refuses one that was.
pub(crate) fn use_once(c: &mut Db, scope: &str, jti: &str, code: Code, now: Timestamp) -> Tx<()> {
    let row = (used_once::scope.eq(scope), used_once::jti.eq(jti), used_once::at.eq(now.micros()));
    match diesel::insert_into(used_once::table).values(row).execute(c) {
        Ok(_) => Ok(()),
        Err(diesel::result::Error::DatabaseError(diesel::result::DatabaseErrorKind::UniqueViolation, _)) => {
            Err(Refusal::new(code, "this was used before; sign a new one").at("jti").into())
        }
        Err(error) => Err(error.into()),
    }
}
