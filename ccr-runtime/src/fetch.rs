//! Locations of this room: where ciphertext is read from and the sealed model written to, by what its configuration
//! allows. Never a plaintext path.

use objects::{Files, Objects, Patience};
use schemas::R;

use crate::config::{Config, Profile};

/// Everything that this room may reach: files below its storage roots, the buckets of its stores, `https:`. In demos
/// `http:` on loopback too; in production nobody's document leads the room to the services beside it.
pub fn objects(config: &Config) -> Objects {
    Objects {
        files: Files::Below(config.storage_roots.clone()),
        loopback: config.profile == Profile::Demo,
        stores: config.stores.clone(),
        patience: Patience::default(),
    }
}

/// Reads an object of at most the configured size.
pub fn fetch(location: &str, config: &Config) -> R<Vec<u8>> {
    objects(config).read(location, config.max_object_bytes)
}

#[cfg(test)]
pub(crate) mod tests {
    use std::path::PathBuf;

    use objects::{Direction, Location, Store};
    use schemas::Code;
    use schemas::bucket::BucketKind;

    use super::*;

    pub(crate) fn config() -> Config {
        Config {
            profile: Profile::Demo,
            contract_service: String::new(),
            trust: PathBuf::new(),
            trainer: PathBuf::new(),
            device: Default::default(),
            evidence: schemas::evidence::EvidenceKind::Software,
            software_root: None,
            swtpm: None,
            platform_certificates: None,
            maa: None,
            storage_roots: vec!["/storage/a".into()],
            stores: vec![Store {
                kind: BucketKind::S3,
                buckets: vec!["depa-sealed".into()],
                account: None,
                region: Some("ap-south-1".into()),
                endpoint: None,
                credentials: None,
                anonymous: true,
                instance: false,
                prefix: None,
                only: None,
            }],
            max_object_bytes: 10,
            worker_timeout_seconds: 1,
            platform: collateral::Settings::default(),
        }
    }

    fn code(text: &str, config: &Config) -> Option<Code> {
        Location::parse(text, &objects(config), Direction::Read).err().map(|refusal| refusal.code)
    }

    #[test]
    fn only_what_the_configuration_lists_is_a_location() {
        for good in ["file:///storage/a/x", "https://tdp.example/x", "http://127.0.0.1:9/x", "s3://depa-sealed/x"] {
            assert_eq!(code(good, &config()), None, "{good}");
        }
        for bad in ["file:///etc/passwd", "http://tdp.example/x", "s3://depa-other/x", "gs://depa-sealed/x"] {
            assert_eq!(code(bad, &config()), Some(Code::AddressRefused), "{bad}");
        }
    }

    #[test]
    fn production_calls_no_service_beside_it() {
        let production = Config { profile: Profile::Production, ..config() };
        for bad in ["http://127.0.0.1:9/x", "http://localhost/x", "http://[::1]/x"] {
            assert_eq!(code(bad, &config()), None, "{bad}");
            assert_eq!(code(bad, &production), Some(Code::AddressRefused), "{bad}");
        }
        assert_eq!(code("https://tdp.example/x", &production), None);
    }

    #[test]
    fn no_more_is_read_than_the_room_may_hold() {
        let dir = std::env::temp_dir().join(format!("ccr-fetch-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir_all(&dir).unwrap();
        let config = Config { storage_roots: vec![dir.clone()], ..config() };
        for (name, bytes) in [("fits", 10), ("large", 11)] {
            std::fs::write(dir.join(name), vec![0; bytes]).unwrap();
        }
        let read = |name: &str| fetch(&format!("file://{}/{name}", dir.display()), &config).map(|object| object.len());
        assert_eq!(read("fits"), Ok(10));
        assert_eq!(read("large").unwrap_err().code, Code::LimitExceeded);
        std::fs::remove_dir_all(dir).unwrap();
    }
}
