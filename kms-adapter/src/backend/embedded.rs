//! The embedded backend: every key-encryption key is 32 random bytes, wrapped under a key derived from the root key, and
//! kept by the database beside its name. No network, no state of its own.

use schemas::id::Did;
use schemas::{Code, R, Refusal, canonical};
use serde_json::json;

use super::{KekRef, KeyBackend, Kind};
use crate::secret::Secret;

/// The backend under a root key.
pub struct Embedded {
    wrap: Secret,
}

impl Embedded {
    /// The backend under this root key.
    pub fn new(root: &Secret) -> R<Embedded> {
        Ok(Embedded { wrap: root.derive("depa/kms/kek-wrap/1")? })
    }

    fn version(&self, name: &str, number: u32) -> R<KekRef> {
        let version = number.to_string();
        let kept = self.wrap.wrap(Secret::random()?.expose(), &context(name, &version)?)?;
        Ok(KekRef { name: name.to_owned(), version, kept })
    }

    fn open(&self, kek: &KekRef) -> R<Secret> {
        self.wrap.unwrap(&kek.kept, &context(&kek.name, &kek.version)?)
    }

    /// The same key-encryption key under another root key.
    pub fn reseal(&self, kek: &KekRef, next: &Embedded) -> R<KekRef> {
        let kept = next.wrap.wrap(self.open(kek)?.expose(), &context(&kek.name, &kek.version)?)?;
        Ok(KekRef { kept, ..kek.clone() })
    }
}

fn number(version: &str) -> R<u32> {
    version.parse().map_err(|_| Refusal::new(Code::KeyRowTampered, "a key-encryption key has no number"))
}

fn context(name: &str, version: &str) -> R<Vec<u8>> {
    canonical::to_bytes(&json!({"use": "depa/kek/1", "provider": name, "version": number(version)?}))
}

impl KeyBackend for Embedded {
    fn kind(&self) -> Kind {
        Kind::Embedded
    }

    fn create_kek(&self, provider: &Did) -> R<KekRef> {
        self.version(provider.as_str(), 1)
    }

    fn wrap(&self, kek: &KekRef, key: &Secret, aad: &[u8]) -> R<Vec<u8>> {
        self.open(kek)?.wrap(key.expose(), aad)
    }

    fn unwrap(&self, kek: &KekRef, wrapped: &[u8], aad: &[u8]) -> R<Secret> {
        self.open(kek)?.unwrap(wrapped, aad)
    }

    fn rotate(&self, kek: &KekRef) -> R<KekRef> {
        let next = number(&kek.version)?.checked_add(1);
        self.version(&kek.name, next.ok_or_else(|| Refusal::new(Code::Internal, "no number is left for a version"))?)
    }

    /// The key stands beside its name alone: the row goes, and the key with it.
    fn destroy(&self, _: &KekRef) -> R<()> {
        Ok(())
    }

    fn health(&self) -> R<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn embedded() -> Embedded {
        Embedded::new(&Secret::random().unwrap()).unwrap()
    }

    fn provider() -> Did {
        Did::parse("did:web:tdp.example").unwrap()
    }

    #[test]
    fn a_data_key_opens_under_its_own_kek_and_context_only() {
        let (backend, key) = (embedded(), Secret::random().unwrap());
        let first = backend.create_kek(&provider()).unwrap();
        let second = backend.rotate(&first).unwrap();
        assert_eq!((first.version.as_str(), second.version.as_str()), ("1", "2"));
        assert_eq!(second.name, first.name);
        let wrapped = backend.wrap(&first, &key, b"a").unwrap();
        assert_eq!(backend.unwrap(&first, &wrapped, b"a").unwrap().expose(), key.expose());
        let refused = |kek: &KekRef, aad: &[u8]| backend.unwrap(kek, &wrapped, aad).unwrap_err().code;
        assert_eq!(refused(&first, b"b"), Code::KeyRowTampered);
        assert_eq!(refused(&second, b"a"), Code::KeyRowTampered);
        let renamed = KekRef { name: "did:web:other.example".into(), ..first.clone() };
        assert_eq!(refused(&renamed, b"a"), Code::KeyRowTampered);
        let renumbered = KekRef { version: "2".into(), ..first.clone() };
        assert_eq!(refused(&renumbered, b"a"), Code::KeyRowTampered);
        let elsewhere = embedded().unwrap(&first, &wrapped, b"a");
        assert_eq!(elsewhere.unwrap_err().code, Code::KeyRowTampered, "another root key");
    }

    #[test]
    fn a_resealed_kek_opens_what_it_wrapped_before_and_not_under_the_old_root() {
        let (old, new, key) = (embedded(), embedded(), Secret::random().unwrap());
        let kek = old.create_kek(&provider()).unwrap();
        let wrapped = old.wrap(&kek, &key, b"a").unwrap();
        let resealed = old.reseal(&kek, &new).unwrap();
        assert_eq!(new.unwrap(&resealed, &wrapped, b"a").unwrap().expose(), key.expose());
        assert_eq!(old.unwrap(&resealed, &wrapped, b"a").unwrap_err().code, Code::KeyRowTampered);
    }
}
