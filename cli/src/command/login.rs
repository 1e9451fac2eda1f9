//! Who one is at a registry, asked once and kept.

use std::path::{Path, PathBuf};

use clap::Args;
use depa::profile::{self, Profile};
use depa::{edge, login};
use schemas::R;
use serde_json::json;

use super::profile::place;
use super::{Global, LOGGED_IN};
use crate::output::Answer;

#[derive(Args)]
#[command(
    after_help = "Examples:\n  depa login --registry https://registry.example --key tdc.key --trust trust.json\n  depa contract list\n  depa login --registry https://other.example --key other.key --profile other\n  depa logout"
)]
pub struct Login {}

#[derive(Args)]
#[command(after_help = "Examples:\n  depa logout\n  depa logout --profile other")]
pub struct Logout {}

fn absolute(file: PathBuf) -> R<PathBuf> {
    std::path::absolute(&file).map_err(|e| edge::file_fault(Path::new("."), e))
}

pub fn login(global: &Global) -> R<Answer> {
    let name = global.profile_name().unwrap_or_else(|| LOGGED_IN.to_owned());
    profile::check_name(&name)?;
    let (desk, key) = global.desk_as()?;
    let pinned = global.trust_path().ok();
    let trust = pinned.as_deref().map(depa::trust::load).transpose()?;
    let identity = login::login(&desk, &key, trust.as_ref())?;
    let path = place()?;
    let mut all = profile::load(&path)?;
    let file = |flag: &Option<PathBuf>, variable: &str| {
        flag.clone().or_else(|| std::env::var_os(variable).map(PathBuf::from)).map(absolute).transpose()
    };
    let kept = Profile {
        registry: Some(identity.endpoint.clone()),
        trust: pinned.map(absolute).transpose()?,
        ca: file(&global.ca, "DEPA_CA")?,
        key: file(&global.key, "DEPA_KEY")?,
        stores: file(&global.stores, "DEPA_STORES")?,
        party: Some(identity.party.clone()),
    };
    all.insert(name.clone(), kept);
    profile::save(&path, &all)?;
    let text = format!("{}\nkept as profile {name} in {}", identity.text(), path.display());
    Ok(Answer::new(&json!({"identity": identity, "profile": name, "file": path}), text))
}

pub fn logout(global: &Global) -> R<Answer> {
    let name = global.profile_name().unwrap_or_else(|| LOGGED_IN.to_owned());
    let former = profile::forget(&place()?, &name)?;
    let at = former.registry.as_deref().unwrap_or("nowhere");
    Ok(Answer::new(&json!({"profile": name, "forgotten": former}), format!("logged out at {at}; its files stay")))
}
