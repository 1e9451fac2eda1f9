//! Wrapped keys: compact JWE (RFC 7516) with ECDH-ES+A256KW and A256GCM through josekit, behind a guard.
//!
//! josekit 0.10.3 accepts short GCM tags, inflates `zip` without bound and ignores `crit` in JWE; so the form is
//! checked before josekit sees a token, and its header must be exactly ours. `tests/josekit_holes.rs` pins the holes.

use std::path::Path;

use josekit::jwe::{ECDH_ES_A256KW, JweContext, JweHeader};
use josekit::jwk::Jwk as JoseJwk;
use schemas::canonical;
use schemas::jwk::{Curve, Jwk};
use schemas::text::Bytes;
use schemas::{Code, R, Refusal};
use serde::{Deserialize, Serialize};
use serde_json::json;
use zeroize::{Zeroize as _, Zeroizing};

/// The largest JWE of a key that is looked at.
const MAX_JWE: usize = 4096;

fn refused(why: &str) -> Refusal {
    Refusal::new(Code::JweRefused, format!("wrapped key: {why}"))
}

/// An X25519 private key that unwraps keys; wiped on drop, never printed.
pub struct EncKey {
    jwk: Jwk,
    secret: Zeroizing<[u8; 32]>,
}

impl std::fmt::Debug for EncKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "EncKey({})", self.jwk.thumbprint())
    }
}

impl EncKey {
    /// A fresh key.
    pub fn generate() -> R<EncKey> {
        EncKey::from_seed(&Zeroizing::new(crate::signer::random::<32>()?))
    }

    /// The key with these 32 secret bytes.
    pub fn from_seed(secret: &[u8; 32]) -> R<EncKey> {
        let private = openssl::pkey::PKey::private_key_from_raw_bytes(secret, openssl::pkey::Id::X25519);
        let public = private.and_then(|k| k.raw_public_key()).map_err(|_| refused("no X25519 in this OpenSSL"))?;
        let point: [u8; 32] = public.try_into().map_err(|_| refused("no X25519 in this OpenSSL"))?;
        Ok(EncKey { jwk: Jwk::x25519(point), secret: Zeroizing::new(*secret) })
    }

    /// The public half.
    pub fn jwk(&self) -> &Jwk {
        &self.jwk
    }

    /// Writes the key to a new file with mode 0600; an existing file is never overwritten.
    pub fn save(&self, path: &Path) -> R<()> {
        let file = EncKeyFile {
            crv: Curve::X25519,
            x: Bytes(self.jwk.point(Curve::X25519)?.to_vec()),
            d: Bytes(self.secret.to_vec()),
        };
        let text = serde_json::to_vec(&file).map(Zeroizing::new);
        crate::signer::write_secret(path, &text.map_err(|e| Refusal::new(Code::Internal, e.to_string()))?)
    }

    /// Reads a key file; refuses one that others may read, or whose halves do not belong together.
    pub fn load(path: &Path) -> R<EncKey> {
        let fault = || Refusal::new(Code::ConfigInvalid, format!("key file {}: not an encryption key", path.display()));
        let text = crate::signer::read_secret(path)?;
        let mut file: EncKeyFile = serde_json::from_slice(&text).map_err(|_| fault())?;
        let secret = <[u8; 32]>::try_from(file.d.0.as_slice()).map(Zeroizing::new);
        file.d.0.zeroize();
        let key = EncKey::from_seed(&*secret.map_err(|_| fault())?)?;
        if key.jwk.point(Curve::X25519)?.as_slice() == file.x.0 && file.crv == Curve::X25519 {
            Ok(key)
        } else {
            Err(fault())
        }
    }
}

/// The file's content. Never printed.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EncKeyFile {
    crv: Curve,
    x: Bytes,
    d: Bytes,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)] // read for its form only
struct Header {
    alg: String,
    enc: String,
    epk: Jwk,
    apu: Bytes,
    apv: Bytes,
}

/// A JweContext without compression.
fn context() -> JweContext {
    let mut context = JweContext::new();
    context.remove_compression("DEF");
    context
}

/// Wraps 32 secret bytes to a public key. `bound` (a digest of the transcript or purpose) stands in apu and apv and so
/// enters the key derivation (RFC 7518 4.6.2): a token lifted into another context does not unwrap.
pub fn wrap_key(secret: &[u8; 32], to: &Jwk, bound: &[u8; 32]) -> R<String> {
    to.point(Curve::X25519)?;
    let public = JoseJwk::from_map(match json!(to) {
        serde_json::Value::Object(map) => map,
        _ => return Err(refused("key form")),
    });
    let encrypter = public.and_then(|k| ECDH_ES_A256KW.encrypter_from_jwk(&k)).map_err(|_| refused("key form"))?;
    let mut header = JweHeader::new();
    header.set_content_encryption("A256GCM");
    header.set_agreement_partyuinfo(bound);
    header.set_agreement_partyvinfo(bound);
    context().serialize_compact(secret, &header, &encrypter).map_err(|_| refused("cannot be made"))
}

/// Unwraps 32 secret bytes. Refused before any arithmetic: other than five parts, another algorithm, any further
/// header member, an encrypted key other than 40 bytes, an IV other than 12, a tag other than 16, another `bound`.
pub fn unwrap_key(token: &str, key: &EncKey, bound: &[u8; 32]) -> R<Zeroizing<[u8; 32]>> {
    if token.len() > MAX_JWE {
        return Err(refused("too long"));
    }
    let parts: Vec<&str> = token.split('.').collect();
    let &[header, encrypted, iv, text, tag] = parts.as_slice() else {
        return Err(refused("five parts are expected"));
    };
    let header = Bytes::parse(header).map_err(|_| refused("header"))?;
    let value = canonical::parse_value(&header.0).map_err(|_| refused("header"))?;
    let header: Header = serde_json::from_value(value).map_err(|_| refused("header members"))?;
    if header.alg != "ECDH-ES+A256KW" || header.enc != "A256GCM" {
        return Err(refused("algorithm"));
    }
    if header.apu.0 != bound || header.apv.0 != bound {
        return Err(refused("made for another transcript or purpose"));
    }
    header.epk.point(Curve::X25519).map_err(|_| refused("ephemeral key"))?;
    for (part, size) in [(encrypted, 40), (iv, 12), (text, 32), (tag, 16)] {
        if Bytes::parse(part).map_err(|_| refused("base64url"))?.0.len() != size {
            return Err(refused("length of a part"));
        }
    }
    let mut private = match json!(key.jwk) {
        serde_json::Value::Object(map) => map,
        _ => return Err(refused("key form")),
    };
    private.insert("d".into(), json!(Bytes(key.secret.to_vec())));
    let decrypter = JoseJwk::from_map(private).and_then(|k| ECDH_ES_A256KW.decrypter_from_jwk(&k));
    let decrypter = decrypter.map_err(|_| refused("key form"))?;
    let (plain, _) =
        context().deserialize_compact(token, &decrypter).map_err(|_| refused("does not open with this key"))?;
    let plain = Zeroizing::new(plain);
    Ok(Zeroizing::new(plain.as_slice().try_into().map_err(|_| refused("not a key of 32 bytes"))?))
}
