//! Named sets of an address and files.

use clap::Subcommand;
use depa::profile::{self, Profile};
use depa::table::Table;
use schemas::{Code, R, Refusal};

use super::Global;
use crate::output::Answer;

#[derive(Subcommand)]
pub enum Verb {
    /// Keep --registry, --trust, --ca, --key and --stores of this command under a name; what is not given stays as it was.
    #[command(
        after_help = "Example:\n  depa profile set work --registry https://registry.example --trust trust.json --key tdc.key\n  depa contract list --profile work\n\nFlags come first, then DEPA_REGISTRY and its like, then the profile (--profile, or DEPA_PROFILE)."
    )]
    Set {
        /// The name.
        name: String,
    },
    /// List the profiles.
    #[command(after_help = "Example:\n  depa profile list")]
    List,
    /// Show one.
    #[command(after_help = "Example:\n  depa profile show work")]
    Show {
        /// The name.
        name: String,
    },
    /// Forget one; the files that it names stay.
    #[command(after_help = "Example:\n  depa profile remove work")]
    Remove {
        /// The name.
        name: String,
    },
}

/// Where the profiles of this user lie.
pub fn place() -> R<std::path::PathBuf> {
    profile::place(|name| std::env::var_os(name))
}

pub fn run(verb: Verb, global: &Global) -> R<Answer> {
    let path = place()?;
    let mut all = profile::load(&path)?;
    match verb {
        Verb::Set { name } => {
            profile::check_name(&name)?;
            let absolute = |given: &Option<std::path::PathBuf>| {
                let fault = |e| depa::edge::file_fault(std::path::Path::new("."), e);
                given.as_ref().map(|file| std::path::absolute(file).map_err(fault)).transpose()
            };
            let given = Profile {
                registry: global.registry.clone(),
                trust: absolute(&global.trust)?,
                ca: absolute(&global.ca)?,
                key: global.key.as_deref().map(depa::keys::absolute).transpose()?,
                stores: absolute(&global.stores)?,
                party: None,
            };
            if given == Profile::default() {
                let sentence = "nothing to keep: give --registry, --trust, --ca, --key or --stores";
                return Err(Refusal::new(Code::ConfigInvalid, sentence));
            }
            let former = all.remove(&name).unwrap_or_default();
            let changed = given.key.is_some() || given.registry.is_some();
            let now = Profile {
                registry: given.registry.or(former.registry),
                trust: given.trust.or(former.trust),
                ca: given.ca.or(former.ca),
                key: given.key.or(former.key),
                stores: given.stores.or(former.stores),
                // Another key or address was not asked about.
                party: former.party.filter(|_| !changed),
            };
            all.insert(name.clone(), now.clone());
            profile::save(&path, &all)?;
            Ok(Answer::new(&now, format!("kept as {name} in {}", path.display())))
        }
        Verb::List => {
            let row = |(name, p): (&String, &Profile)| [name.clone(), p.registry.clone().unwrap_or_else(|| "-".into())];
            Ok(Answer::new(&all, Table::new(["profile", "registry"], all.iter().map(row)).text()))
        }
        Verb::Show { name } => Ok(Answer::value(&profile::named(&path, &name)?)),
        Verb::Remove { name } => {
            let former = profile::forget(&path, &name)?;
            Ok(Answer::new(&former, format!("{name} is forgotten; its files stay")))
        }
    }
}
