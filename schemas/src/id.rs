//! Ids, parsed once at the edge: DIDs, and `prefix_` + UUID for everything the house names itself.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::problem::{Code, R, Refusal};

/// A decentralised identifier: `did:key`, `did:web` or `did:jwk`, ASCII, at most 512 characters.
///
/// Compared exactly; parsing checks the shape only, resolving is `signing`'s.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Did(String);

impl Did {
    /// Reads a DID without path, query or fragment.
    pub fn parse(text: &str) -> R<Did> {
        let bad = || Refusal::new(Code::MalformedId, "a did:key, did:web or did:jwk is expected");
        let rest = ["did:key:", "did:web:", "did:jwk:"].iter().find_map(|m| text.strip_prefix(m)).ok_or_else(bad)?;
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':' | b'%');
        if rest.is_empty() || text.len() > 512 || !rest.bytes().all(allowed) {
            return Err(bad());
        }
        Ok(Did(text.to_owned()))
    }

    /// The DID as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Names a key of a party: `<did>#<RFC 7638 thumbprint>`; for keys of a run `<run id>#<thumbprint>`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId {
    /// Who holds the key: a DID or a run id.
    pub holder: String,
    /// RFC 7638 SHA-256 thumbprint of the public key, base64url.
    pub thumbprint: String,
}

impl KeyId {
    /// Reads `<holder>#<thumbprint>`; the thumbprint is 43 base64url characters.
    pub fn parse(text: &str) -> R<KeyId> {
        let bad = || Refusal::new(Code::MalformedId, "a key id like <did>#<thumbprint> is expected");
        let (holder, thumbprint) = text.split_once('#').ok_or_else(bad)?;
        let thumb_ok =
            thumbprint.len() == 43 && thumbprint.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        if !thumb_ok || (Did::parse(holder).is_err() && RunId::parse(holder).is_err()) {
            return Err(bad());
        }
        Ok(KeyId { holder: holder.to_owned(), thumbprint: thumbprint.to_owned() })
    }

    /// Names the key of `holder`.
    pub fn new(holder: impl fmt::Display, thumbprint: impl Into<String>) -> KeyId {
        KeyId { holder: holder.to_string(), thumbprint: thumbprint.into() }
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.holder, self.thumbprint)
    }
}

impl fmt::Display for Did {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Gives a text-like type its serde form, Debug and JSON Schema from `parse` and `Display`.
macro_rules! textual {
    ($name:ident, $pattern:expr) => {
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{self}")
            }
        }
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = Cow::<'de, str>::deserialize(d)?;
                $name::parse(&text).map_err(serde::de::Error::custom)
            }
        }
        impl schemars::JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({"type": "string", "pattern": $pattern})
            }
        }
        impl std::str::FromStr for $name {
            type Err = Refusal;
            fn from_str(text: &str) -> R<$name> {
                $name::parse(text)
            }
        }
    };
}

textual!(Did, "^did:(key|web|jwk):[A-Za-z0-9._:%-]+$");
textual!(KeyId, "^[^#]+#[A-Za-z0-9_-]{43}$");

/// Declares an id type of the form `<prefix>_<uuid>`.
macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(String);

        impl $name {
            /// Builds the id from a UUID (version 7 by convention) that the caller drew.
            pub fn new(uuid: uuid::Uuid) -> $name {
                $name(format!(concat!($prefix, "_{}"), uuid.hyphenated()))
            }

            /// Reads the id; the UUID must be in lower-case hyphenated form.
            pub fn parse(text: &str) -> R<$name> {
                let ok = text.strip_prefix(concat!($prefix, "_")).is_some_and(|tail| {
                    uuid::Uuid::parse_str(tail).is_ok_and(|u| u.hyphenated().to_string() == tail)
                });
                if !ok {
                    return Err(Refusal::new(Code::MalformedId, concat!("an id like ", $prefix, "_<uuid> is expected")));
                }
                Ok($name(text.to_owned()))
            }

            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        textual!($name, concat!("^", $prefix, "_[0-9a-f-]{36}$"));
    )*};
}

ids! {
    /// A contract.
    ContractId = "ctr";
    /// A dataset, all versions of it.
    DatasetId = "dst";
    /// The people behind one or more datasets: the family whose privacy budget is one.
    FamilyId = "fam";
    /// A signed job specification.
    JobId = "job";
    /// One execution of a job, minted at check-in.
    RunId = "run";
    /// An approved set of clean-room measurements.
    ImageSetId = "img";
    /// A challenge of a service.
    ChallengeId = "chl";
    /// A budget reservation at a KMS.
    ReservationId = "rsv";
    /// A data key held by a KMS.
    DataKeyId = "key";
    /// A consumer's sealed weights.
    WeightsId = "wgt";
    /// A webhook endpoint.
    EndpointId = "whe";
    /// A contract being written.
    DraftId = "drf";
    /// A person who signs in.
    PersonId = "usr";
    /// A passkey of a person.
    PasskeyId = "pky";
    /// A dispute about money.
    DisputeId = "dsp";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_one_spelling() {
        let uuid = uuid::Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001);
        let id = ContractId::new(uuid);
        assert_eq!(ContractId::parse(id.as_str()).unwrap(), id);
        for bad in
            ["ctr_", "ctr_../../x", "dst_01900000-0000-7000-8000-000000000001", "ctr_01900000000070008000000000000001"]
        {
            assert!(ContractId::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn dids_are_ascii_and_known_methods() {
        assert!(Did::parse("did:web:localhost%3A8080").is_ok());
        for bad in
            ["did:web:", "did:ion:abc", "did:web:tdp.example/path", "did:web:tdp.example#k", "did:web:\u{430}cme"]
        {
            assert!(Did::parse(bad).is_err(), "{bad}");
        }
    }
}
