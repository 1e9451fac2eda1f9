//! Commands that look after the keys and the journal: backup, restore, catching up, new keys over old data.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use schemas::jwk::Jwk;
use schemas::{Code, R, Refusal, canonical};
use serde_json::{Value, json};

use crate::config::Config;
use crate::init::write_new;
use crate::kms::Kms;
use crate::recovery;

/// What can be asked.
#[derive(Subcommand)]
pub(super) enum Keep {
    /// Makes a recovery key: its public half for `backup`, its secret half in parts, one file for each keeper.
    #[command(after_help = "Example:\n  kms-adapter recovery-key --needed 3 --parts 5 --out recovery")]
    RecoveryKey {
        /// Parts that are needed together.
        #[arg(long)]
        needed: u8,
        /// Parts that are made.
        #[arg(long)]
        parts: u8,
        /// Folder to make.
        #[arg(long)]
        out: PathBuf,
    },
    /// Writes a sealed backup of keys, journal and ledger. The service may run meanwhile.
    #[command(
        after_help = "Example:\n  kms-adapter backup --config kms.toml --to recovery/recovery.jwk --out kms.backup"
    )]
    Backup {
        /// The configuration that `init` wrote.
        #[arg(long)]
        config: PathBuf,
        /// The public half of the recovery key.
        #[arg(long)]
        to: PathBuf,
        /// File to write.
        #[arg(long)]
        out: PathBuf,
    },
    /// Puts a backup back. The service then opens nothing until it has caught up with the log.
    #[command(after_help = "Example:
  kms-adapter restore --backup kms.backup --kms-jwk kms.jwk --part part-1.json --part part-4.json --part part-5.json \\
    --dir kms2")]
    Restore(RestoreArgs),
    /// Takes pages of the log in after a restore, so that what was spent counts again.
    #[command(after_help = "Example:
  kms-adapter catch-up --config kms2/kms.toml --page contract-1.json --page contract-2.json
Each page is what the contract service answers to the provider under /v1/contracts/{id}/events, for every contract of
its datasets. Numbers that no page holds are named. What was let out outside runs stands in no log: before this, lay the
releases.jsonl of the former folder beside kms.toml. --accept-missing opens the service nevertheless.")]
    CatchUp {
        /// The configuration that `restore` wrote.
        #[arg(long)]
        config: PathBuf,
        /// A page; may be given more than once.
        #[arg(long)]
        page: Vec<PathBuf>,
        /// Opens the service although statements are missing that the log was never told, or releases.jsonl. What they spent
        /// is lost.
        #[arg(long)]
        accept_missing: bool,
    },
    /// Says, check by check, what a reservation of a job would meet here. Nothing is entered.
    #[command(after_help = "Example:\n  kms-adapter explain --config kms.toml bundle.json")]
    Explain {
        /// The configuration that `init` wrote.
        #[arg(long)]
        config: PathBuf,
        /// What `depa job bundle` made.
        bundle: PathBuf,
    },
    /// Wraps every data key under a new key-encryption key and ends the old one.
    #[command(after_help = "Example:\n  kms-adapter rotate-kek --config kms.toml")]
    RotateKek {
        /// The configuration that `init` wrote.
        #[arg(long)]
        config: PathBuf,
    },
    /// Puts another root key in the place of the one in use. The service must not run.
    #[command(after_help = "Example:\n  kms-adapter rotate-root --config kms.toml --to file:/etc/depa/root-2.key")]
    RotateRoot {
        /// The configuration that `init` wrote; its `root_key` is changed.
        #[arg(long)]
        config: PathBuf,
        /// `file:PATH`, `credential:NAME` or `passphrase:PATH`; a file is made if missing.
        #[arg(long)]
        to: String,
    },
}

#[derive(Args)]
pub(super) struct RestoreArgs {
    /// The backup.
    #[arg(long)]
    backup: PathBuf,
    /// The public key that signs for the key service, from where you kept it (`sign_jwk` of `init`; offers name it).
    #[arg(long)]
    kms_jwk: PathBuf,
    /// A part of the recovery key; as many as are needed together.
    #[arg(long)]
    part: Vec<PathBuf>,
    /// Folder to make.
    #[arg(long)]
    dir: PathBuf,
    /// An empty PostgreSQL database; SQLite in the folder without it.
    #[arg(long)]
    database: Option<String>,
}

fn read(path: &Path) -> R<Vec<u8>> {
    std::fs::read(path).map_err(|e| Refusal::new(Code::ConfigInvalid, format!("{}: {e}", path.display())))
}

fn open(config: &Path) -> R<Kms> {
    Kms::open(Config::load(config)?, crate::system_clock())
}

/// Does what was asked and says what came of it.
pub(super) fn act(asked: Keep) -> R<Value> {
    match asked {
        Keep::RecoveryKey { needed, parts, out } => recovery_key(needed, parts, &out),
        Keep::Backup { config, to, out } => {
            let recovery: Jwk = canonical::parse(&read(&to)?)?;
            let sealed = open(&config)?.backup(&recovery)?;
            write_new(&out, &sealed)?;
            Ok(json!({"backup": out, "bytes": sealed.len(), "recovery_key": recovery.thumbprint()}))
        }
        Keep::Restore(args) => {
            let parts = args.part.iter().map(|path| recovery::read(path)).collect::<R<Vec<_>>>()?;
            let dir = std::path::absolute(&args.dir).map_err(|e| Refusal::new(Code::ConfigInvalid, e.to_string()))?;
            let signs: Jwk = canonical::parse(&read(&args.kms_jwk)?)?;
            let config = crate::restore(&read(&args.backup)?, &parts, &signs, &dir, args.database)?;
            let next = "lay the releases.jsonl of the former folder beside the configuration, then catch-up; nothing is \
                        reserved or released before";
            Ok(json!({"config": config, "next": next}))
        }
        Keep::CatchUp { config, page, accept_missing } => {
            let pages = page.iter().map(|path| read(path)).collect::<R<Vec<_>>>()?;
            let done = open(&config)?.catch_up(&pages, accept_missing)?;
            Ok(json!({
                "imported": done.imported, "missing": done.missing, "releases_missing": done.releases_missing,
                "opened": done.opened,
            }))
        }
        Keep::Explain { config, bundle } => {
            let checks = open(&config)?.explain(canonical::parse(&read(&bundle)?)?);
            match checks.iter().find_map(|check| check.code).and_then(Code::parse) {
                None => Ok(json!({"would_reserve": true, "checks": checks})),
                Some(code) => {
                    println!("{}", json!({"would_reserve": false, "checks": checks}));
                    Err(Refusal::new(code, "a reservation of this job would be refused"))
                }
            }
        }
        Keep::RotateKek { config } => {
            let done = open(&config)?.rotate_kek()?;
            Ok(json!({
                "version": done.version, "rewrapped": done.rewrapped, "destroyed": done.destroyed,
                "finished_an_earlier_one": done.resumed,
            }))
        }
        Keep::RotateRoot { config, to } => {
            let after = crate::rotate_root(&Config::load(&config)?, &to)?;
            let beside = config.with_extension("toml.next");
            drop(std::fs::remove_file(&beside));
            write_new(&beside, after.to_toml()?.as_bytes())?;
            crate::rehearse::step();
            std::fs::rename(&beside, &config)
                .map_err(|e| Refusal::new(Code::ConfigInvalid, format!("set root_key = \"{to}\" by hand: {e}")))?;
            Ok(json!({"config": config, "root_key": to}))
        }
    }
}

fn recovery_key(needed: u8, parts: u8, out: &Path) -> R<Value> {
    use std::os::unix::fs::DirBuilderExt as _;
    let (jwk, made) = recovery::make(needed, parts)?;
    let built = std::fs::DirBuilder::new().mode(0o700).create(out);
    built.map_err(|e| Refusal::new(Code::ConfigInvalid, format!("{}: {e}", out.display())))?;
    let public = out.join("recovery.jwk");
    write_new(&public, &canonical::to_bytes(&jwk)?)?;
    let mut files = Vec::new();
    for (number, part) in made.iter().enumerate() {
        let file = out.join(format!("part-{}.json", number + 1));
        write_new(&file, &zeroize::Zeroizing::new(canonical::to_bytes(part)?))?;
        files.push(file);
    }
    Ok(json!({"public": public, "parts": files, "needed": needed,
        "next": "give each part to its keeper and remove it here"}))
}
