//! The command line: `serve`, `healthy`, `init`, `dev-ca`, `witness`, `witness-init`; commands on the store are in `keep`, `config show`
//! in `settings`.

mod keep;
mod settings;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::{Parser, Subcommand};
use schemas::event::SroPerson;
use schemas::id::Did;
use schemas::person::Role;
use schemas::{Code, R, Refusal};
use telemetry::health::{self, Door};

use crate::app::system_clock;
use crate::config::{Config, WitnessConfig};
use crate::service::{Service, init, init_witness};
use crate::witness::RunningWitness;

const EXAMPLES: &str = "\
Examples:
  contract-service init --dir sro --url http://localhost:8080 \\
      --sro 'Asha=did:key:z6Mk…' --sro 'Bela=did:key:z6Mk…'
  contract-service serve --config sro/config.toml
  contract-service dev-ca --dir tls --host localhost --host 127.0.0.1
  contract-service witness-init --dir w1 --name witness.example/w1 --bind 127.0.0.1:8090 --trust sro/trust.json
  contract-service witness --config w1/witness.toml
  DEPA_CONTRACT_SERVICE__BIND=127.0.0.1:9000 contract-service serve --config sro/config.toml

Every key of the configuration can be overridden as DEPA_CONTRACT_SERVICE__KEY (nested: __A__B).
Exit codes: 0 ok, 1 other failure, 2 wrong arguments or configuration; of healthy 0 and 1 alone.";

/// The contract service and its log witness.
#[derive(Debug, Parser)]
#[command(name = "contract-service", version, about, after_help = EXAMPLES)]
pub struct Cli {
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// Serve the front desk.
    #[command(
        after_help = "Example:\n  contract-service serve --config sro/config.toml\n\nIt ends on SIGTERM; /readyz says \
                            whether it answers and writes. One process at a time may serve a database of SQLite."
    )]
    Serve {
        /// The configuration file.
        #[arg(long)]
        config: PathBuf,
    },
    /// Ask the service on this machine whether it is ready; exit code 0 or 1, with one sentence.
    #[command(
        after_help = "Examples:\n  contract-service healthy --config sro/config.toml\n  contract-service healthy --witness --config \
                            w1/witness.toml\n\nFor containers, whose images hold no shell. It reads the configuration that \
                            serve reads, asks /readyz where the service listens (a witness /livez), and waits two seconds. The \
                            certificate is not judged: the question goes to this machine."
    )]
    Healthy {
        /// The configuration file.
        #[arg(long)]
        config: PathBuf,
        /// The file is a log witness's.
        #[arg(long)]
        witness: bool,
    },
    /// Make a new registry: key, config.toml, trust.json.
    #[command(
        after_help = "Example:\n  contract-service init --dir sro --url http://localhost:8080 --sro 'Asha=did:key:z6Mk…' \
                            --sro 'Bela=did:key:z6Mk…'\n\nEach SRO person makes the key alone, with depa keys new --out \
                            FILE, which prints the did:key. Nothing that is there is overwritten."
    )]
    Init {
        /// The folder, made if need be.
        #[arg(long)]
        dir: PathBuf,
        /// Base URL under which clients will reach it.
        #[arg(long)]
        url: String,
        /// An SRO person as NAME=did:key:…; at least two.
        #[arg(long = "sro", required = true)]
        sro: Vec<String>,
        /// SHA-256 of a software attestation root's SubjectPublicKeyInfo, as 64 hex digits; demo only.
        #[arg(long = "software-root")]
        software_roots: Vec<String>,
    },
    /// Print a one-time enrolment link for a person; demo profile on localhost only.
    #[command(
        after_help = "Example:\n  contract-service enrol --config sro/config.toml --did did:key:z6Mk… --role signer --name Asha"
    )]
    Enrol {
        /// The service's configuration file.
        #[arg(long)]
        config: PathBuf,
        /// The participant or SRO person that the person belongs to.
        #[arg(long)]
        did: String,
        /// tdp_admin, tdc_admin, signer, ccr_operator, sro_admin or sro_auditor; several by repeating it.
        #[arg(long = "role", required = true)]
        roles: Vec<String>,
        /// The name that the person goes by.
        #[arg(long, default_value = "Demo person")]
        name: String,
    },
    /// Make a development certificate authority and a certificate of it: for trying TLS, never for production.
    #[command(
        after_help = "Example:\n  contract-service dev-ca --dir tls --host localhost --host 127.0.0.1\n\nThe service is told \
                            of the certificate in its configuration, paths from its folder:\n  [tls]\n  cert_file = \
                            \"../tls/server.pem\"\n  key_file = \"../tls/server.key\"\n\nClients are told of the authority: \
                            depa --ca tls/ca.pem. Made again in the same folder, all three files are replaced."
    )]
    DevCa {
        /// The folder, made if need be: ca.pem, server.pem, server.key.
        #[arg(long)]
        dir: PathBuf,
        /// A host name or address of the server; several by repeating it.
        #[arg(long = "host", required = true)]
        hosts: Vec<String>,
    },
    #[command(flatten)]
    Keep(keep::Keep),
    /// Look at the configuration.
    #[command(subcommand)]
    Config(settings::Settings),
    /// Serve as a log witness.
    #[command(after_help = "Example:\n  contract-service witness --config w1/witness.toml")]
    Witness {
        /// The configuration file.
        #[arg(long)]
        config: PathBuf,
    },
    /// Make a new log witness: key, witness.toml.
    #[command(
        after_help = "Example:\n  contract-service witness-init --dir w1 --name witness.example/w1 --bind 127.0.0.1:8090 \
                            --trust sro/trust.json\n\nThe service is told of it in its configuration, with the key that is \
                            printed:\n  witness_quorum = 1\n  witnesses = [{ url = \"http://localhost:8090\", name = \
                            \"witness.example/w1\", jwk = { kty = \"OKP\", crv = \"Ed25519\", x = \"…\" } }]\n\nAfterwards \
                            relying parties pin the trust anew: contract-service trust."
    )]
    WitnessInit {
        /// The folder, made if need be.
        #[arg(long)]
        dir: PathBuf,
        /// Name on its cosignature lines.
        #[arg(long)]
        name: String,
        /// Address to listen on, loopback only; a free port if absent.
        #[arg(long)]
        bind: Option<SocketAddr>,
        /// Trust files of the logs to follow.
        #[arg(long = "trust", required = true)]
        trust: Vec<PathBuf>,
    },
}

/// Carries out the command.
pub fn run(cli: Cli) -> R<()> {
    match cli.act {
        Act::Serve { config } => {
            let config = Config::load(&config, std::env::vars())?;
            if config.demo() {
                tracing::warn!("demo profile: SIMULATED evidence is accepted where its root is pinned");
            }
            warn_of_gaps(&config);
            Service::start(config, system_clock())?.wait_for_signals()?;
        }
        Act::Healthy { config, witness } => println!("{}", health::ask(door(&config, witness))?),
        Act::Init { dir, url, sro, software_roots } => {
            let sro = people(&sro)?;
            let config = init(&dir, &url, sro)?;
            pin_roots(&dir, config, &software_roots)?;
            println!("{}", dir.join("config.toml").display());
            eprintln!("next: contract-service serve --config {}", dir.join("config.toml").display());
        }
        Act::Enrol { config, did, roles, name } => {
            let config = Config::load(&config, std::env::vars())?;
            let roles = roles.iter().map(|word| role(word)).collect::<R<Vec<_>>>()?;
            let now = system_clock()();
            println!("{}", crate::people::enrol::demo_link(&config, &Did::parse(&did)?, &name, roles, now)?.url);
        }
        Act::DevCa { dir, hosts } => {
            let made = crate::dev_ca::make(&dir, &hosts)?;
            println!("{}", made.ca_file.display());
        }
        Act::Keep(act) => keep::run(act)?,
        Act::Config(act) => settings::run(act)?,
        Act::Witness { config } => {
            let config = WitnessConfig::load(&config, std::env::vars())?;
            let mut running = RunningWitness::start(&config, system_clock())?;
            tracing::info!(url = running.url, name = config.name, "the witness serves");
            running.wait();
        }
        Act::WitnessInit { dir, name, bind, trust } => {
            let trust = trust.iter().map(std::fs::canonicalize).collect::<Result<Vec<_>, _>>();
            let trust = trust.map_err(|e| Refusal::new(Code::ConfigInvalid, format!("trust file: {e}")))?;
            let (mut config, jwk) = init_witness(&dir, &name, &trust.iter().map(PathBuf::as_path).collect::<Vec<_>>())?;
            if let Some(bind) = bind {
                config.bind = bind;
                let text = config.beside_its_file().text()?;
                std::fs::write(dir.join("witness.toml"), text).map_err(crate::error::fault)?;
            }
            println!("{}", serde_json::json!({"name": name, "jwk": jwk}));
        }
    }
    Ok(())
}

/// Where the service, or the witness, of this configuration answers.
fn door(config: &Path, witness: bool) -> R<Door> {
    if witness {
        let config = WitnessConfig::load(config, std::env::vars())?;
        return Ok(Door { bind: config.bind, tls: false, path: "/livez" });
    }
    let config = Config::load(config, std::env::vars())?;
    Ok(Door { bind: config.bind, tls: config.tls.is_some(), path: "/readyz" })
}

fn role(word: &str) -> R<Role> {
    let unknown = |_| Refusal::new(Code::ConfigInvalid, format!("--role {word} is not known; see --help"));
    serde_json::from_value(serde_json::Value::from(word)).map_err(unknown)
}

/// Says at the start what an operator may have forgotten.
fn warn_of_gaps(config: &Config) {
    if config.witnesses.is_empty() {
        tracing::warn!("no witness is configured: nobody would notice a database that was rolled back or forked");
    }
    if config.tls.is_none() && config.url.starts_with("https://") {
        tracing::warn!(bind = %config.bind, "plain HTTP is served for an https url: a proxy must end TLS, or tls name a certificate");
    }
}

/// Reads the SRO people; nobody counts as two of them.
fn people(texts: &[String]) -> R<Vec<SroPerson>> {
    let people = texts.iter().map(|text| person(text)).collect::<R<Vec<_>>>()?;
    let keys: std::collections::BTreeSet<String> = people.iter().map(|p| p.jwk.thumbprint().to_string()).collect();
    if keys.len() < people.len() {
        return Err(Refusal::new(Code::ConfigInvalid, "two of the SRO people have the same key").at("sro"));
    }
    Ok(people)
}

/// Reads `NAME=did:key:…`; the key is in the DID.
fn person(text: &str) -> R<SroPerson> {
    let form = || Refusal::new(Code::ConfigInvalid, "--sro is NAME=did:key:…");
    let (name, did) = text.split_once('=').ok_or_else(form)?;
    let did = Did::parse(did)?;
    Ok(SroPerson { jwk: signing::did::did_key(&did)?, did, name: name.to_owned() })
}

fn pin_roots(dir: &Path, config: Config, roots: &[String]) -> R<()> {
    if roots.is_empty() {
        return Ok(());
    }
    let software_roots = roots.iter().map(|text| schemas::Digest::parse(text)).collect::<R<Vec<_>>>()?;
    let written = Config { software_roots, data_dir: "data".into(), key_file: "registry.key".into(), ..config };
    written.save(&dir.join("config.toml"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
        assert!(role("tdp_admin").is_ok() && role("king").is_err());
        let one = "did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp";
        let twice = [format!("Asha={one}"), format!("Bela={one}")];
        assert!(people(&twice[..1]).is_ok_and(|p| p.len() == 1));
        assert_eq!(people(&twice).unwrap_err().code, Code::ConfigInvalid);
        assert!(person("Asha=did:web:x").is_err() && person("did:key:z").is_err());
    }
}
