//! Locations: where ciphertext is read from and the sealed model written to. Never a plaintext path.

use std::io::Read as _;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use schemas::{Code, R, Refusal};
use url::Url;

use crate::config::{Config, Profile};

/// A location that the configuration allows.
pub enum Location {
    /// A file below one of the storage roots.
    File(PathBuf),
    /// An object behind HTTP: `https`, or `http` on loopback.
    Http(Url),
}

impl Location {
    /// Judges a location: `file:` below a storage root without `..`, `https:`, or, in demos, `http:` on loopback. In
    /// production nobody's document leads the room to the services beside it.
    pub fn parse(text: &str, config: &Config) -> R<Location> {
        let bad = |why: &str| Refusal::new(Code::AddressRefused, format!("location {text}: {why}"));
        let url = Url::parse(text).map_err(|_| bad("not a URL"))?;
        match url.scheme() {
            "file" => {
                let path = url.to_file_path().map_err(|()| bad("not a local path"))?;
                let plain = path.components().all(|c| matches!(c, Component::RootDir | Component::Normal(_)));
                if !plain || !config.storage_roots.iter().any(|root| path.starts_with(root)) {
                    return Err(bad("outside the storage roots of this room"));
                }
                Ok(Location::File(path))
            }
            "https" => Ok(Location::Http(url)),
            "http" if loopback(&url) && config.profile == Profile::Demo => Ok(Location::Http(url)),
            "http" => Err(bad("http is for loopback in demos only; use https")),
            _ => Err(bad("file, https or loopback http is expected")),
        }
    }
}

fn loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

/// A client for objects: no redirects, bounded times.
pub fn http() -> R<reqwest::blocking::Client> {
    reqwest::blocking::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(Duration::from_secs(10))
        .timeout(Duration::from_secs(600))
        .build()
        .map_err(|e| Refusal::new(Code::Internal, format!("no HTTP client: {e}")))
}

/// Reads an object of at most the configured size.
pub fn fetch(location: &str, config: &Config) -> R<Vec<u8>> {
    let limit = config.max_object_bytes;
    let fault = |why: String| Refusal::new(Code::PeerUnreachable, format!("{location} cannot be read: {why}"));
    let read = |reader: &mut dyn std::io::Read| -> R<Vec<u8>> {
        let mut bytes = Vec::new();
        reader.take(limit + 1).read_to_end(&mut bytes).map_err(|e| fault(e.to_string()))?;
        if bytes.len() as u64 > limit {
            return Err(Refusal::new(Code::LimitExceeded, format!("{location} is larger than max_object_bytes")));
        }
        Ok(bytes)
    };
    match Location::parse(location, config)? {
        Location::File(path) => {
            let path = path.canonicalize().map_err(|e| fault(e.to_string()))?;
            below_a_root(&path, config)?;
            read(&mut open_regular(&path).map_err(|e| fault(e.to_string()))?)
        }
        Location::Http(url) => {
            let mut answer = http()?.get(url).send().map_err(|e| fault(e.without_url().to_string()))?;
            if !answer.status().is_success() {
                return Err(fault(format!("HTTP {}", answer.status().as_u16())));
            }
            read(&mut answer)
        }
    }
}

/// A path without links in it must lie where the configuration says: a link below a root leads nowhere else.
pub fn below_a_root(real: &Path, config: &Config) -> R<()> {
    let below =
        config.storage_roots.iter().filter_map(|root| root.canonicalize().ok()).any(|root| real.starts_with(root));
    if below {
        return Ok(());
    }
    let sentence = format!("location file://{}: a link leads outside the storage roots of this room", real.display());
    Err(Refusal::new(Code::AddressRefused, sentence))
}

/// Opens a regular file; what blocks at opening, as a pipe does, is refused before.
fn open_regular(path: &Path) -> std::io::Result<std::fs::File> {
    let other = || std::io::Error::other("not a regular file");
    if !std::fs::symlink_metadata(path)?.is_file() {
        return Err(other());
    }
    let file = std::fs::File::open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(other()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        Config {
            profile: Profile::Demo,
            contract_service: String::new(),
            trust: PathBuf::new(),
            trainer: PathBuf::new(),
            evidence: schemas::evidence::EvidenceKind::Software,
            software_root: None,
            swtpm: None,
            platform_certificates: None,
            maa: None,
            storage_roots: vec!["/storage/a".into()],
            max_object_bytes: 10,
            worker_timeout_seconds: 1,
        }
    }

    #[test]
    fn only_allowed_places_are_locations() {
        for good in ["file:///storage/a/x", "https://tdp.example/x", "http://127.0.0.1:9/x", "http://localhost/x"] {
            assert!(Location::parse(good, &config()).is_ok(), "{good}");
        }
        for bad in [
            "file:///etc/passwd",
            "file:///storage/a/../../etc/passwd",
            "file:///storage/a/%2e%2e/%2e%2e/etc/passwd",
            "file:///storage/ab",
            "http://tdp.example/x",
            "ftp://tdp.example/x",
            "x",
        ] {
            assert_eq!(Location::parse(bad, &config()).err().map(|r| r.code), Some(Code::AddressRefused), "{bad}");
        }
    }

    #[test]
    fn production_calls_no_service_beside_it() {
        let production = Config { profile: Profile::Production, ..config() };
        for bad in ["http://127.0.0.1:9/x", "http://localhost/x", "http://[::1]/x"] {
            assert!(Location::parse(bad, &config()).is_ok(), "{bad}");
            assert_eq!(Location::parse(bad, &production).err().map(|r| r.code), Some(Code::AddressRefused), "{bad}");
        }
        assert!(Location::parse("https://tdp.example/x", &production).is_ok());
    }

    #[test]
    fn links_lead_nowhere_and_pipes_are_not_waited_for() {
        let dir = std::env::temp_dir().join(format!("ccr-fetch-{}", uuid::Uuid::now_v7()));
        let (root, outside) = (dir.join("root"), dir.join("outside"));
        for folder in [&root, &outside] {
            std::fs::create_dir_all(folder).unwrap();
            std::fs::write(folder.join("x"), b"abc").unwrap();
        }
        std::os::unix::fs::symlink(&outside, root.join("way")).unwrap();
        std::os::unix::fs::symlink(root.join("x"), root.join("here")).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(root.join("pipe")).status().unwrap().success());
        let config = Config { storage_roots: vec![root.clone()], ..config() };
        let code = |name: &str| fetch(&format!("file://{}/{name}", root.display()), &config).map_err(|e| e.code);
        assert_eq!(code("x").unwrap(), b"abc");
        assert_eq!(code("here").unwrap(), b"abc");
        assert_eq!(code("way/x"), Err(Code::AddressRefused));
        assert_eq!(code("pipe"), Err(Code::PeerUnreachable));
        assert_eq!(code("missing"), Err(Code::PeerUnreachable));
        std::fs::remove_dir_all(dir).unwrap();
    }
}
