//! The arguments of `depa <noun> <verb>`, one file per noun.

mod attest;
mod audit;
mod ccr;
mod completion;
mod contract;
mod dataset;
mod doctor;
mod image_set;
mod job;
mod keys;
mod kms;
mod log;
mod login;
mod model;
mod party;
mod passing;
mod payment;
mod policy;
mod profile;
mod progress;
mod run;
mod scenario;
mod seal;
mod sro;
mod sro_key;
mod train;
mod trust;
mod webhook;

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, Parser, Subcommand};
use contract_client::Client;
use depa::profile::Profile;
use schemas::id::Did;
use schemas::{Code, R, Refusal, Signer};
use signing::Trust;

use crate::output::{Answer, say};

/// The command line of the participants of a data contract registry.
#[derive(Parser)]
#[command(
    name = "depa",
    version,
    propagate_version = true,
    after_help = "Exit codes: 0 ok, 1 other failure, 2 usage, 3 authentication, 4 not found, 5 conflict, 6 policy denied,\n\
                  7 attestation failed, 8 privacy budget exhausted, 9 timeout, 10 verification failed.\n\n\
                  Examples:\n  depa keys new --out tdp.key\n  depa trust fetch --registry https://registry.example --out trust.json\n  \
                  depa contract show contract.json\n  depa audit verify log.jsonl --trust trust.json"
)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    noun: Noun,
}

/// Options of every command.
#[derive(Args)]
pub struct Global {
    /// Print exactly one JSON document on stdout.
    #[arg(long, global = true)]
    pub json: bool,
    /// Base URL of the contract service [env: DEPA_REGISTRY].
    #[arg(long, global = true, value_name = "URL")]
    registry: Option<String>,
    /// File with the pinned trust [env: DEPA_TRUST].
    #[arg(long, global = true, value_name = "FILE")]
    trust: Option<PathBuf>,
    /// File with the authorities (PEM) that vouch for the contract service's certificate [env: DEPA_CA].
    #[arg(long, global = true, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Your signing key: a file, or pkcs11:… for one on a token [env: DEPA_KEY].
    #[arg(long, global = true, value_name = "FILE")]
    key: Option<PathBuf>,
    /// File with the buckets that you may use, as [[stores]] of a room's configuration [env: DEPA_STORES].
    #[arg(long, global = true, value_name = "FILE")]
    stores: Option<PathBuf>,
    /// Named set of all these (depa login, depa profile set); flags and variables come first [env: DEPA_PROFILE].
    #[arg(long, global = true, value_name = "NAME")]
    profile: Option<String>,
    /// The party of the profile's key, where the key is the profile's.
    #[arg(skip)]
    party: Option<Did>,
    /// Why the profile of whoever logged in could not be read: told where something of it is needed.
    #[arg(skip)]
    unread: Option<Refusal>,
}

/// The profile of whoever logged in and names none.
const LOGGED_IN: &str = "default";

impl Global {
    /// The profile that is named.
    fn profile_name(&self) -> Option<String> {
        let given = || std::env::var("DEPA_PROFILE").ok().filter(|name| !name.is_empty());
        self.profile.clone().or_else(given)
    }

    /// The profile that is named, which must be there if `needed`; else that of whoever logged in.
    fn kept(&self, needed: bool) -> R<Profile> {
        match (self.profile_name(), profile::place()) {
            (Some(name), place) if needed => depa::profile::named(&place?, &name),
            (name, Ok(place)) => {
                let mut all = depa::profile::load(&place)?;
                Ok(all.remove(name.as_deref().unwrap_or(LOGGED_IN)).unwrap_or_default())
            }
            // Nobody logs in where no place is for it.
            (_, Err(_)) => Ok(Profile::default()),
        }
    }

    /// Fills in what neither a flag nor a variable says from the profile. One that nobody named, and that cannot be
    /// read, stops only whoever needs something of it.
    fn with_profile(mut self, needed: bool) -> R<Global> {
        let kept = match self.kept(needed) {
            Err(refusal) if self.profile_name().is_none() => {
                self.unread = Some(refusal);
                return Ok(self);
            }
            kept => kept?,
        };
        let silent = |variable: &str| std::env::var_os(variable).is_none();
        let file = |flag: Option<PathBuf>, variable, kept: Option<PathBuf>| flag.or(kept.filter(|_| silent(variable)));
        self.registry = self.registry.or(kept.registry.filter(|_| silent("DEPA_REGISTRY")));
        self.trust = file(self.trust, "DEPA_TRUST", kept.trust);
        self.ca = file(self.ca, "DEPA_CA", kept.ca);
        self.party = kept.party.filter(|_| self.key.is_none() && silent("DEPA_KEY"));
        self.key = file(self.key, "DEPA_KEY", kept.key);
        self.stores = file(self.stores, "DEPA_STORES", kept.stores);
        Ok(self)
    }

    fn named(&self, given: Option<PathBuf>, flag: &str, variable: &str) -> R<PathBuf> {
        let missing = || self.missing(flag, variable);
        given.or_else(|| std::env::var_os(variable).map(PathBuf::from)).ok_or_else(missing)
    }

    /// The refusal where neither a flag nor a variable says what is needed: it names the option, or the file of
    /// profiles that may say it and could not be read.
    fn missing(&self, flag: &str, variable: &str) -> Refusal {
        let sentence = format!("{flag} or {variable} is needed");
        let plain = || Refusal::new(Code::ConfigInvalid, sentence).at(flag.trim_start_matches('-'));
        self.unread.clone().unwrap_or_else(plain)
    }

    /// The address of the contract service, if one is given.
    fn url(&self) -> Option<String> {
        self.registry.clone().or_else(|| std::env::var("DEPA_REGISTRY").ok())
    }

    /// The contract service, acting for nobody.
    fn desk(&self) -> R<Client> {
        let missing = || self.missing("--registry", "DEPA_REGISTRY");
        self.desk_at(&self.url().ok_or_else(missing)?)
    }

    /// A contract service at this address, acting for nobody.
    fn desk_at(&self, url: &str) -> R<Client> {
        Client::trusting(url, None, self.authorities()?.as_deref())
    }

    /// The authorities that vouch for the contract service, if any are named.
    fn authorities(&self) -> R<Option<Vec<u8>>> {
        let ca = self.ca.clone().or_else(|| std::env::var_os("DEPA_CA").map(PathBuf::from));
        ca.map(|path| depa::edge::read(&path)).transpose()
    }

    /// The contract service, acting for the owner of the key.
    fn desk_as(&self) -> R<(Client, Arc<dyn Signer>)> {
        let key = self.key()?;
        Ok((self.desk()?.acting_for(key.clone()), key))
    }

    /// Whether a signing key is named.
    fn has_key(&self) -> bool {
        self.key.is_some() || std::env::var_os("DEPA_KEY").is_some()
    }

    /// The signing key.
    fn key(&self) -> R<Arc<dyn Signer>> {
        let key = depa::keys::open(&self.named(self.key.clone(), "--key", "DEPA_KEY")?)?;
        if let Some(party) = &self.party {
            let own = key.did()?;
            if *party != own {
                let sentence = format!("you logged in as {party}, and the key is one of {own} now; log in again");
                return Err(Refusal::new(Code::ConfigInvalid, sentence).at("key"));
            }
        }
        Ok(key)
    }

    /// Everything that objects may be read from and written to.
    fn reach(&self) -> R<objects::Objects> {
        let stores = self.stores.clone().or_else(|| std::env::var_os("DEPA_STORES").map(PathBuf::from));
        depa::fetch::reach(stores.as_deref())
    }

    /// Where the trust file lies.
    fn trust_path(&self) -> R<PathBuf> {
        self.named(self.trust.clone(), "--trust", "DEPA_TRUST")
    }

    /// The pinned trust.
    fn trust(&self) -> R<Trust> {
        depa::trust::load(&self.trust_path()?)
    }
}

#[derive(Subcommand)]
enum Noun {
    /// Make and show keys.
    #[command(subcommand)]
    Keys(keys::Verb),
    /// Pin the registry's key and the SRO people.
    #[command(subcommand)]
    Trust(trust::Verb),
    /// Apply as a participant; decide about one.
    #[command(subcommand)]
    Party(party::Verb),
    /// Lay down, as people of the SRO, what holds for everyone: two of them sign each document.
    #[command(subcommand)]
    Sro(sro::Verb),
    /// Say what a clean room must show itself to be.
    #[command(subcommand)]
    ImageSet(image_set::Verb),
    /// Seal, offer, publish and find datasets.
    #[command(subcommand, after_help = "The way: init, seal, profile, offer, publish. Then: depa dataset init --help")]
    Dataset(dataset::Verb),
    /// Draft, read, sign, hand in and end contracts.
    #[command(subcommand)]
    Contract(contract::Verb),
    /// Make a signed job of a form with SQL.
    #[command(subcommand)]
    Job(job::Verb),
    /// Estimate, order, watch and stop runs.
    #[command(subcommand)]
    Run(run::Verb),
    /// Train on samples, outside any room.
    #[command(subcommand)]
    Train(train::Verb),
    /// The five reference scenarios in safe variants.
    #[command(subcommand)]
    Scenario(scenario::Verb),
    /// Download and verify models.
    #[command(subcommand)]
    Model(model::Verb),
    /// Provide a clean room.
    #[command(subcommand)]
    Ccr(ccr::Verb),
    /// Make webhook endpoints; receive deliveries.
    #[command(subcommand)]
    Webhook(webhook::Verb),
    /// See what is owed and paid.
    #[command(subcommand)]
    Payment(payment::Verb),
    /// Export the log; verify exports, receipts and contracts offline.
    #[command(subcommand)]
    Audit(audit::Verb),
    /// Appraise saved evidence of clean rooms.
    #[command(subcommand)]
    Attest(attest::Verb),
    /// Work on rules documents in Rego.
    #[command(subcommand)]
    Policy(policy::Verb),
    /// Run a key service: dry runs and reference values.
    #[command(subcommand)]
    Kms(kms::Verb),
    /// Look at the transparency log.
    #[command(subcommand)]
    Log(log::Verb),
    /// Ask the contract service who you are there, and keep address, key file and party, so that later commands need no flags.
    ///
    /// The service is asked whether it is ready, whose registry it is, and whether the key counts for its holder: a token is
    /// asked for as programs do it (private_key_jwt, ten minutes). Nothing secret is kept: keys stay in their files, and each
    /// command signs anew. Kept is the profile `default`, or the one that --profile names; flags and variables come first.
    Login(login::Login),
    /// Forget the profile `default`, or the one that --profile names; the files that it names stay.
    Logout(login::Logout),
    /// Check addresses, trust, clock and key files.
    Doctor(doctor::Doctor),
    /// Keep address and files under a name.
    #[command(subcommand)]
    Profile(profile::Verb),
    /// Print what completes commands in a shell.
    Completion(completion::Completion),
}

/// Carries out a command.
pub fn run(cli: Cli) -> R<Answer> {
    let global = match cli.noun {
        // These are about the profiles themselves: nothing is filled in from one.
        Noun::Profile(_) | Noun::Logout(_) => cli.global,
        Noun::Login(_) => cli.global.with_profile(false)?,
        _ => cli.global.with_profile(true)?,
    };
    let global = &global;
    if let Some(line) = global.unread.as_ref().and_then(|refusal| refusal.sentence.lines().next()) {
        say(&format!("note: no profile is read: {line}"));
    }
    match cli.noun {
        Noun::Keys(verb) => keys::run(verb, global),
        Noun::Trust(verb) => trust::run(verb, global),
        Noun::Party(verb) => party::run(verb, global),
        Noun::Sro(verb) => sro::run(verb, global),
        Noun::ImageSet(verb) => image_set::run(verb, global),
        Noun::Dataset(verb) => dataset::run(verb, global),
        Noun::Contract(verb) => contract::run(verb, global),
        Noun::Job(verb) => job::run(verb, global),
        Noun::Run(verb) => run::run(verb, global),
        Noun::Train(verb) => train::run(verb, global),
        Noun::Scenario(verb) => scenario::run(verb, global),
        Noun::Model(verb) => model::run(verb, global),
        Noun::Ccr(verb) => ccr::run(verb, global),
        Noun::Webhook(verb) => webhook::run(verb, global),
        Noun::Payment(verb) => payment::run(verb, global),
        Noun::Audit(verb) => audit::run(verb, global),
        Noun::Attest(verb) => attest::run(verb, global),
        Noun::Policy(verb) => policy::run(verb, global),
        Noun::Kms(verb) => kms::run(verb, global),
        Noun::Log(verb) => log::run(verb, global),
        Noun::Login(_) => login::login(global),
        Noun::Logout(_) => login::logout(global),
        Noun::Doctor(args) => doctor::run(&args, global),
        Noun::Profile(verb) => profile::run(verb, global),
        Noun::Completion(args) => completion::run(&args),
    }
}

/// An id, a DID or a period as clap reads it.
fn id<T: std::str::FromStr<Err = Refusal>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|e: Refusal| e.sentence)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    /// The nouns and verbs that scripts rely on. A change here is a change for users: CHANGELOG.
    #[test]
    fn nouns_and_verbs_stay() {
        let mut lines = Vec::new();
        for noun in Cli::command().get_subcommands() {
            let line = |path: &str, of: &clap::Command| {
                let verbs: Vec<&str> = of.get_subcommands().map(|v| v.get_name()).collect();
                format!("{path}: {}", verbs.join(" ")).trim_end().to_owned()
            };
            lines.push(line(noun.get_name(), noun));
            let further = noun.get_subcommands().filter(|verb| verb.has_subcommands());
            lines.extend(further.map(|verb| line(&format!("{} {}", noun.get_name(), verb.get_name()), verb)));
        }
        let expected = [
            "keys: new new-encryption add list retire revoke compromise rotate show",
            "trust: fetch show",
            "party: apply web-document decide withdraw list applications show",
            "sro: template data-schema revoke-image-set suspend erase log-key key show pending approve",
            "sro key: add retire revoke compromise",
            "image-set: new sign list show",
            "dataset: seal upload verify offer publish suspend resume withdraw search sample croissant sketch overlap charge renew renewals init profile forget versions list show",
            "dataset croissant: export import",
            "contract: new fetch list show sign propose submit bundle decline events import-depa draft counter amend check withdraw suspend resume terminate revoke wait",
            "contract draft: list show save check discard",
            "job: bundle",
            "run: estimate start watch abort",
            "train: local",
            "scenario: list new run check",
            "model: new check import seal upload download verify open card",
            "ccr: agent measure software-root",
            "webhook: listen endpoint deliveries show replay recover",
            "webhook endpoint: add list show change pause resume disable delete rotate ping",
            "payment: list due revenue export dispute payout",
            "payment dispute: list open answer rule close",
            "payment payout: show new enter prove verify",
            "audit: export verify report bench verify-receipt verify-contract monitor diff",
            "attest: verify sign-data",
            "policy: test digest explain facts",
            "kms: explain budget init-data papers collect",
            "log: checkpoint anchor keys receipt",
            "login:",
            "logout:",
            "doctor:",
            "profile: set list show remove",
            "completion:",
        ];
        assert_eq!(lines, expected);
    }

    /// The help of a command without the options that every command has.
    fn own_help(command: &mut clap::Command, everywhere: &[String]) -> String {
        let mut kept = Vec::new();
        let mut dropped = false;
        for line in command.render_long_help().to_string().lines().map(str::trim_end) {
            let text = line.trim_start();
            let option = text.starts_with('-').then(|| text.split([',', ' ']).next().unwrap_or_default());
            if line.starts_with("  ") && line.len() - text.len() < 8 && option.is_some() {
                dropped = everywhere.iter().any(|flag| Some(flag.as_str()) == option);
            } else if !line.is_empty() && !line.starts_with(' ') {
                dropped = false;
            }
            let doubled = line.is_empty() && kept.last().is_some_and(String::is_empty);
            if !dropped && !doubled {
                kept.push(line.to_owned());
            }
        }
        kept.join("\n").trim_end().trim_end_matches("Options:").trim_end().to_owned()
    }

    /// The reference of all commands in the handbook is what `--help` says: UPDATE=1 writes it anew.
    #[test]
    fn the_reference_is_what_help_says() {
        fn tell(command: &mut clap::Command, path: &str, everywhere: &[String], out: &mut String) {
            if !command.has_subcommands() {
                out.push_str(&format!("\n## {path}\n\n```text\n{}\n```\n", own_help(command, everywhere)));
            }
            for verb in command.get_subcommands_mut().filter(|verb| verb.get_name() != "help") {
                let path = format!("{path} {}", verb.get_name());
                tell(verb, &path, everywhere, out);
            }
        }
        let mut cli = Cli::command().term_width(120);
        cli.build();
        let global: Vec<_> = cli.get_arguments().filter(|arg| arg.is_global_set()).collect();
        let mut everywhere: Vec<String> =
            global.iter().filter_map(|arg| Some(format!("--{}", arg.get_long()?))).collect();
        everywhere.extend(["-h".to_owned(), "-V".to_owned()]);
        let lines = global.iter().filter_map(|arg| Some(format!("- `--{}`: {}", arg.get_long()?, arg.get_help()?)));
        let mut out = format!(
            "# Every command of `depa`\n\nGenerated of `--help` by a test; change it there.\n\nOptions of every command:\n\n{}\n\n{}\n",
            lines.collect::<Vec<_>>().join("\n"),
            "Exit codes: 0 ok · 1 other failure · 2 usage · 3 authentication · 4 not found · 5 conflict · 6 policy denied · \
             7 attestation failed · 8 privacy budget exhausted · 9 timeout · 10 verification failed."
        );
        tell(&mut cli, "depa", &everywhere, &mut out);
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/reference/cli.md");
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(path, &out).unwrap();
        }
        let there = std::fs::read_to_string(path).unwrap_or_default();
        let how = "UPDATE=1 cargo test -p depa --bin depa reference";
        assert!(there == out, "docs/reference/cli.md is not what --help says: {how}");
    }

    /// Every verb says how it is used.
    #[test]
    fn every_verb_has_an_example() {
        fn look(command: &clap::Command, path: &str, noun: bool) {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let own = !(noun && command.has_subcommands());
            assert!(!own || help.contains(&format!("depa {path}")), "{path}");
            command.get_subcommands().for_each(|verb| look(verb, &format!("{path} {}", verb.get_name()), false));
        }
        Cli::command().get_subcommands().for_each(|noun| look(noun, noun.get_name(), true));
    }
}
