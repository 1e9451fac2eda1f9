//! Who one is at a registry, asked once and kept.

use std::path::{Path, PathBuf};

use clap::Args;
use depa::profile::{self, Profile};
use depa::{edge, keys, login};
use schemas::{Code, R, Refusal};
use serde_json::json;

use super::profile::place;
use super::{Global, LOGGED_IN};
use crate::output::Answer;

/// Options of `depa login`: none of its own; address, key and trust are those of every command.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  depa login --registry https://registry.example --key tdc.key --trust trust.json\n  depa contract list\n  depa login --registry https://other.example --key other.key --profile other\n  depa logout"
)]
pub struct Login {}

/// Options of `depa logout`: none of its own; the profile is named by --profile.
#[derive(Args)]
#[command(after_help = "Examples:\n  depa logout\n  depa logout --profile other")]
pub struct Logout {}

fn absolute(file: PathBuf) -> R<PathBuf> {
    std::path::absolute(&file).map_err(|e| edge::file_fault(Path::new("."), e))
}

/// Asks the contract service who the holder of the key is, and keeps the answer as a profile; nothing is kept where it
/// refuses.
///
/// # Errors
/// Those of the asking; `CONFIG_INVALID` where address or key is not named, or the profiles cannot be read or written.
pub fn login(global: &Global) -> R<Answer> {
    let name = global.profile_name().unwrap_or_else(|| LOGGED_IN.to_owned());
    profile::check_name(&name)?;
    let (desk, signer) = global.desk_as()?;
    let pinned = global.trust_path().ok();
    let trust = pinned.as_deref().map(depa::trust::load).transpose()?;
    let identity = login::login(&desk, &signer, trust.as_ref())?;
    let path = place()?;
    let mut all = profile::load(&path)?;
    let file = |flag: &Option<PathBuf>, variable: &str| {
        flag.clone().or_else(|| std::env::var_os(variable).map(PathBuf::from)).map(absolute).transpose()
    };
    let key = global.key.clone().or_else(|| std::env::var_os("DEPA_KEY").map(PathBuf::from));
    let kept = Profile {
        registry: Some(identity.endpoint.clone()),
        trust: pinned.map(absolute).transpose()?,
        ca: file(&global.ca, "DEPA_CA")?,
        key: key.as_deref().map(keys::absolute).transpose()?,
        stores: file(&global.stores, "DEPA_STORES")?,
        party: Some(identity.party.clone()),
    };
    all.insert(name.clone(), kept);
    profile::save(&path, &all)?;
    let mut text = format!("{}\nkept as profile {name} in {}", identity.text(), path.display());
    if trust.is_none() {
        text.push_str(
            "\nno trust is pinned yet: depa trust fetch --out trust.json, compare its fingerprints with the SRO, \
             then depa login --trust trust.json",
        );
    }
    Ok(Answer::new(&json!({"identity": identity, "profile": name, "file": path}), text))
}

/// Forgets the profile that is named, or that of whoever logged in; the files that it names stay.
///
/// # Errors
/// `CONFIG_INVALID` where there is no such profile, or the profiles cannot be read or written.
pub fn logout(global: &Global) -> R<Answer> {
    let (path, named) = (place()?, global.profile_name());
    if named.is_none() && !profile::load(&path)?.contains_key(LOGGED_IN) {
        return Err(Refusal::new(Code::ConfigInvalid, "nobody is logged in").at("profile"));
    }
    let name = named.unwrap_or_else(|| LOGGED_IN.to_owned());
    let former = profile::forget(&path, &name)?;
    let at = former.registry.as_deref().unwrap_or("no address");
    let text = format!("forgot profile {name} ({at}); the files that it named stay");
    Ok(Answer::new(&json!({"profile": name, "forgotten": former}), text))
}
