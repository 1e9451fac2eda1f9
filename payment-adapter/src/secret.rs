//! Secrets: from files that their owner alone may read, never printed.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use schemas::{Code, R, Refusal};
use zeroize::Zeroizing;

/// The text of a secret; Debug shows nothing of it, and it is wiped when dropped.
pub(crate) struct Secret(Zeroizing<String>);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

impl Secret {
    /// The first line of a file that nobody else may read (`CONFIG_INVALID` otherwise).
    pub(crate) fn load(path: &Path) -> R<Secret> {
        let text = private_file(path)?;
        let line = text.lines().next().unwrap_or_default().trim();
        if line.is_empty() {
            return Err(fault(path, "holds no secret"));
        }
        Ok(Secret(Zeroizing::new(line.to_owned())))
    }

    /// A secret out of a document that was read as one.
    pub(crate) fn new(text: String) -> Secret {
        Secret(Zeroizing::new(text))
    }

    /// The secret, for the call that needs it.
    pub(crate) fn text(&self) -> &str {
        &self.0
    }
}

/// The text of a file that its owner alone may read.
pub(crate) fn private_file(path: &Path) -> R<Zeroizing<String>> {
    let mode = fs::metadata(path).map_err(|e| fault(path, &e.to_string()))?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(fault(path, "others may read it; run chmod 600 on it"));
    }
    fs::read_to_string(path).map(Zeroizing::new).map_err(|e| fault(path, &e.to_string()))
}

fn fault(path: &Path, why: &str) -> Refusal {
    Refusal::new(Code::ConfigInvalid, format!("secret file {}: {why}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_that_others_may_read_is_refused_and_none_is_shown() {
        let dir = std::env::temp_dir().join(format!("payment-secret-{}", uuid::Uuid::now_v7()));
        fs::create_dir(&dir).unwrap();
        let path = dir.join("token");
        fs::write(&path, "sk_live_1\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert_eq!(Secret::load(&path).unwrap_err().code, Code::ConfigInvalid);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let secret = Secret::load(&path).unwrap();
        assert_eq!((secret.text(), format!("{secret:?}").as_str()), ("sk_live_1", "Secret"));
        fs::write(&path, "\n").unwrap();
        assert_eq!(Secret::load(&path).unwrap_err().code, Code::ConfigInvalid);
        fs::remove_dir_all(dir).unwrap();
    }
}
