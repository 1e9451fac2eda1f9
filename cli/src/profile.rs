//! Named sets of an address and files, so that commands need not repeat them. Nothing secret stands in one: keys are named
//! by their files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use schemas::id::Did;
use schemas::{Code, R, Refusal};
use serde::{Deserialize, Serialize};

use crate::edge;

/// A named set; what is absent is asked for as ever.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Base URL of the contract service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registry: Option<String>,
    /// Trust file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust: Option<PathBuf>,
    /// Authorities (PEM).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    /// Signing key file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
    /// File of buckets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stores: Option<PathBuf>,
    /// The party that the key signs for, where `depa login` asked: another key in its file is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub party: Option<Did>,
}

/// All profiles, by name.
pub type Profiles = BTreeMap<String, Profile>;

/// Where profiles lie, from what the environment says: `DEPA_PROFILES`, else under `XDG_CONFIG_HOME` or `~/.config`.
pub fn place(environment: impl Fn(&str) -> Option<std::ffi::OsString>) -> R<PathBuf> {
    if let Some(file) = environment("DEPA_PROFILES") {
        return Ok(file.into());
    }
    let home = || environment("HOME").map(|home| Path::new(&home).join(".config"));
    let base = environment("XDG_CONFIG_HOME").map(PathBuf::from).or_else(home);
    let missing = || Refusal::new(Code::ConfigInvalid, "HOME or DEPA_PROFILES is needed to find profiles");
    Ok(base.ok_or_else(missing)?.join("depa").join("profiles.toml"))
}

/// Reads all profiles; none where there is no file. Unknown members are refused.
///
/// # Errors
/// `CONFIG_INVALID` where the file cannot be read; it names the file, and what can be done with it.
pub fn load(path: &Path) -> R<Profiles> {
    if !path.exists() {
        return Ok(Profiles::new());
    }
    edge::read_form(path).map_err(|mut e| {
        e.sentence = format!("{}; mend or delete it: it holds no secret", e.sentence);
        e
    })
}

/// The profile of this name.
///
/// # Errors
/// `CONFIG_INVALID` where there is none of this name, or the file cannot be read.
pub fn named(path: &Path, name: &str) -> R<Profile> {
    let mut all = load(path)?;
    if all.is_empty() {
        let sentence = format!("no profile is kept in {} yet: depa login, or depa profile set NAME", path.display());
        return Err(Refusal::new(Code::ConfigInvalid, sentence).at("profile"));
    }
    let known = all.keys().cloned().collect::<Vec<_>>().join(", ");
    let unknown = || {
        let sentence = format!("there is no profile {name} in {}; there is: {known}", path.display());
        Refusal::new(Code::ConfigInvalid, sentence).at("profile")
    };
    all.remove(name).ok_or_else(unknown)
}

/// Forgets the profile of this name, and gives what it was.
pub fn forget(path: &Path, name: &str) -> R<Profile> {
    let former = named(path, name)?;
    let mut all = load(path)?;
    all.remove(name);
    save(path, &all)?;
    Ok(former)
}

/// Writes all profiles: a new file takes the place of the former one.
pub fn save(path: &Path, all: &Profiles) -> R<()> {
    let fault = |e: std::io::Error| edge::file_fault(path, e);
    let text = toml::to_string_pretty(all).map_err(|e| Refusal::new(Code::Internal, e.to_string()))?;
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(fault)?;
    }
    let mut part = path.as_os_str().to_owned();
    part.push(format!(".{}", std::process::id()));
    let part = PathBuf::from(part);
    edge::write_private(&part, text.as_bytes())?;
    std::fs::rename(&part, path).map_err(fault)
}

/// Whether a name is one: letters, digits, `-` and `_`, up to 64.
pub fn check_name(name: &str) -> R<()> {
    let good = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.is_empty() || name.len() > 64 || !name.chars().all(good) {
        return Err(Refusal::new(Code::ConfigInvalid, "a profile's name has letters, digits, - and _").at("name"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles_are_kept_and_unknown_members_refused() {
        let dir = std::env::temp_dir().join(format!("depa-profiles-{}", uuid::Uuid::now_v7()));
        let path = place(|name| (name == "XDG_CONFIG_HOME").then(|| dir.clone().into())).unwrap();
        assert_eq!(path, dir.join("depa/profiles.toml"));
        assert!(load(&path).unwrap().is_empty());
        assert!(named(&path, "work").unwrap_err().sentence.contains("no profile is kept in"));
        let profile = Profile { registry: Some("https://registry.example".into()), ..Profile::default() };
        save(&path, &[("work".to_owned(), profile.clone())].into()).unwrap();
        save(&path, &[("work".to_owned(), profile.clone())].into()).unwrap();
        assert_eq!(named(&path, "work").unwrap(), profile);
        assert_eq!(forget(&path, "home").unwrap_err().code, Code::ConfigInvalid);
        assert_eq!(forget(&path, "work").unwrap(), profile);
        assert!(load(&path).unwrap().is_empty());
        save(&path, &[("work".to_owned(), profile.clone())].into()).unwrap();
        let refusal = named(&path, "home").unwrap_err();
        assert!(refusal.code == Code::ConfigInvalid && refusal.sentence.contains("work"), "{refusal}");
        std::fs::write(&path, "[work]\npassword = \"x\"\n").unwrap();
        let refusal = load(&path).unwrap_err();
        assert_eq!(refusal.code, Code::ConfigInvalid);
        assert!(refusal.sentence.starts_with(&path.display().to_string()), "{refusal}");
        assert!(refusal.sentence.ends_with("mend or delete it: it holds no secret"), "{refusal}");
        std::fs::remove_dir_all(&dir).unwrap();
        for bad in ["", "a b", "../x"] {
            assert!(check_name(bad).is_err());
        }
    }
}
