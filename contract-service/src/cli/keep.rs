//! `backup`, `restore`, `verify-store`, `succeed`, `rotate-log-key`, `trust`: for operators, beside or without a running
//! service.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use schemas::rules::{LogKey, LogSucceeded};
use schemas::{Code, Envelope, R, Refusal, Signer as _};
use serde::Serialize;
use signing::FileKey;

use crate::app::system_clock;
use crate::config::Config;
use crate::keep::{self, Told};
use crate::log_keys::LogKeys;
use crate::succession;

/// Commands on the store and the keys of a log.
#[derive(Debug, Subcommand)]
pub enum Keep {
    /// Write a checked copy of the database into a new file; the service may run on.
    #[command(after_help = "Example:\n  contract-service backup --config sro/config.toml --to 2026-12-01.backup")]
    Backup {
        /// The configuration file.
        #[arg(long)]
        config: PathBuf,
        /// The new file. It holds secrets and private bodies.
        #[arg(long)]
        to: PathBuf,
    },
    /// Put a backup back, or take what is missing from a mirror; the service must be stopped.
    #[command(
        after_help = "Examples:\n  contract-service restore --config sro/config.toml --from 2026-12-01.backup\n  \
                            contract-service restore --config sro/config.toml --from-mirror auditor/mirror\n  \
                            contract-service restore --config sro/config.toml --from-mirror https://auditor.example/mirror\n\nA mirror is \
                            what depa audit monitor keeps. A service whose log is behind its witnesses reads and does not \
                            write; a mirror brings the rest, and without one only succeed opens the log again."
    )]
    Restore {
        /// The configuration file.
        #[arg(long)]
        config: PathBuf,
        /// A file that backup wrote.
        #[arg(long, required_unless_present = "from_mirror", conflicts_with = "from_mirror")]
        from: Option<PathBuf>,
        /// The folder of a mirror, or the http(s) address at which it is given out.
        #[arg(long, value_name = "DIR or URL")]
        from_mirror: Option<String>,
    },
    /// Check the whole store: every entry, signature, tile and state; the service must be stopped.
    #[command(after_help = "Example:\n  contract-service verify-store --config sro/config.toml")]
    VerifyStore {
        /// The configuration file.
        #[arg(long)]
        config: PathBuf,
    },
    /// Close a log that lost entries and go on under a new origin: first a draft, then, signed by two SRO people, the act.
    #[command(
        after_help = "Examples:\n  contract-service succeed --config sro/config.toml --new-origin sro.example/log2 \
                            --reason 'disk lost' --draft succession.json\n  contract-service succeed --config \
                            sro/config.toml --signed by-asha.json --signed by-bela.json\n\nCut short once the new log is whole, it \
                            names that at every other command and goes on: contract-service succeed --config \
                            sro/config.toml"
    )]
    Succeed {
        /// The configuration file; it gets the new origin.
        #[arg(long)]
        config: PathBuf,
        /// The origin of the log that goes on.
        #[arg(long, requires = "reason", requires = "draft")]
        new_origin: Option<String>,
        /// One sentence.
        #[arg(long)]
        reason: Option<String>,
        /// Where the draft is written.
        #[arg(long)]
        draft: Option<PathBuf>,
        /// The draft as signed; once per file.
        #[arg(long, conflicts_with = "new_origin")]
        signed: Vec<PathBuf>,
        /// With PostgreSQL the empty database in which the log goes on; the old one stays as it is.
        #[arg(long, conflicts_with = "new_origin", value_name = "URL")]
        database: Option<String>,
    },
    /// Sign the draft of a succession as one SRO person; this needs no service.
    #[command(
        after_help = "Example:\n  contract-service sign-succession --draft succession.json --key asha.key --out by-asha.json"
    )]
    SignSuccession {
        /// The draft.
        #[arg(long)]
        draft: PathBuf,
        /// The person's key file.
        #[arg(long)]
        key: PathBuf,
        /// Where the signed document is written.
        #[arg(long)]
        out: PathBuf,
    },
    /// Make the log's next key, and the document by which two SRO people put it in place of the old one.
    #[command(
        after_help = "Example:\n  contract-service rotate-log-key --config sro/config.toml --overlap-days 30 --draft \
                            log-key.json\n\nThe new key lies beside the old one as registry.next.key. Two people sign the \
                            draft with depa sro approve."
    )]
    RotateLogKey {
        /// The configuration file.
        #[arg(long)]
        config: PathBuf,
        /// Days for which both keys sign checkpoints.
        #[arg(long, default_value_t = 30)]
        overlap_days: u32,
        /// Where the draft is written.
        #[arg(long)]
        draft: PathBuf,
    },
    /// Print what relying parties pin: registry, origin, SRO people, witnesses and their quorum.
    #[command(after_help = "Example:\n  contract-service trust --config sro/config.toml > trust.json")]
    Trust {
        /// The configuration file.
        #[arg(long)]
        config: PathBuf,
    },
}

/// Carries out the command.
pub fn run(act: Keep) -> R<()> {
    let now = system_clock()();
    let read = |path: &Path| Config::load(path, std::env::vars());
    match act {
        Keep::Backup { config, to } => say(&keep::backup(&read(&config)?, &to)?),
        Keep::Restore { config, from: Some(file), .. } => say(&keep::restore(&read(&config)?, &file)?),
        Keep::Restore { config, from: None, from_mirror: Some(mirror) } => {
            let mut tell = |at: u64, of: u64| eprintln!("{at} of {of} entries");
            say(&keep::restore_from_mirror(&read(&config)?, &mirror, &mut tell)?)
        }
        Keep::Restore { .. } => Err(Refusal::new(Code::ConfigInvalid, "--from or --from-mirror is needed")),
        Keep::VerifyStore { config } => say(&keep::verify_store(&read(&config)?, now)?),
        Keep::Succeed { config, new_origin: Some(origin), reason, draft, .. } => {
            let draft = draft.ok_or_else(|| Refusal::new(Code::ConfigInvalid, "--draft is needed"))?;
            let text = reason.unwrap_or_default();
            write(&draft, &keep::draft_succession(&read(&config)?, &origin, &text, now)?)
        }
        Keep::Succeed { config: path, signed, database, .. } => {
            let signed: Vec<_> = signed.iter().map(|file| envelope(file)).collect::<R<_>>()?;
            let mut tell = |told: Told<'_>| match told {
                Told::Entries(taken) => eprintln!("{taken} entries of the old log"),
                Told::Done(what) => eprintln!("{what}"),
            };
            let (head, next) = keep::succeed(&read(&path)?, &signed, database.as_deref(), now, &mut tell)?;
            set(&path, &[("log_origin", next.log_origin.as_deref()), ("database", next.database.as_deref())])?;
            succession::finish(&next)?;
            say(&head)
        }
        Keep::SignSuccession { draft, key, out } => {
            let mut signed: Envelope<LogSucceeded> = envelope(&draft)?;
            signed.signatures = vec![signing::countersign(&signed, &FileKey::load(&key)?, now)?];
            write(&out, &signed)
        }
        Keep::RotateLogKey { config, overlap_days, draft } => rotate(&read(&config)?, overlap_days, &draft, now),
        Keep::Trust { config } => say(&crate::service::trust(&read(&config)?)?),
    }
}

fn rotate(config: &Config, days: u32, draft: &Path, now: schemas::Timestamp) -> R<()> {
    let old = FileKey::load(&config.key_file)?;
    let next = FileKey::generate_for(&config.did()?)?;
    next.save(&LogKeys::beside(&config.key_file))?;
    let document = LogKey {
        schema: "log-key.v1".into(),
        registry: config.did()?,
        replaces: old.jwk().thumbprint(),
        jwk: next.jwk().clone(),
        overlap_until: now.plus_seconds(i64::from(days) * 86_400),
        at: now,
    };
    write(draft, &Envelope::draft(&document)?)
}

/// Puts values into the configuration file, all or none of them; it stays as it is otherwise.
fn set(path: &Path, values: &[(&str, Option<&str>)]) -> R<()> {
    let text = std::fs::read_to_string(path).map_err(crate::error::fault)?;
    let set: Vec<(&str, &str)> = values.iter().filter_map(|(key, value)| Some((*key, (*value)?))).collect();
    let named =
        |line: &str| line.split_once('=').is_some_and(|(name, _)| set.iter().any(|(key, _)| name.trim() == *key));
    let ours = set.iter().map(|(key, value)| format!("{key} = {}", toml::Value::from(*value)));
    let kept = text.lines().filter(|line| !named(line)).map(str::to_owned);
    let lines: Vec<String> = ours.chain(kept).collect();
    succession::write_whole(path, (lines.join("\n") + "\n").as_bytes())
}

fn envelope<T: serde::de::DeserializeOwned>(file: &Path) -> R<T> {
    let bad = |e: &dyn std::fmt::Display| Refusal::new(Code::ConfigInvalid, format!("{}: {e}", file.display()));
    let text = std::fs::read(file).map_err(|e| bad(&e))?;
    schemas::canonical::parse(&text).map_err(|e| bad(&e.sentence))
}

fn write<T: Serialize>(file: &Path, value: &T) -> R<()> {
    let text = serde_json::to_string_pretty(value).map_err(crate::error::fault)?;
    std::fs::write(file, text + "\n")
        .map_err(|e| Refusal::new(Code::ConfigInvalid, format!("{} cannot be written: {e}", file.display())))?;
    println!("{}", file.display());
    Ok(())
}

fn say<T: Serialize>(value: &T) -> R<()> {
    println!("{}", serde_json::to_string_pretty(value).map_err(crate::error::fault)?);
    Ok(())
}
