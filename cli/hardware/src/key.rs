//! A signing key on a token: found by its label, or made there.

use std::sync::{Mutex, PoisonError};

use cryptoki::error::Error;
use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::eddsa::{EddsaParams, EddsaSignatureScheme};
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use schemas::id::KeyId;
use schemas::jwk::Jwk;
use schemas::{Code, R, Refusal, Signer};
use signing::did;

use crate::token::{fault, session};
use crate::uri::Uri;

/// The curve edwards25519 as PKCS #11 3.0 names it: the object identifier 1.3.101.112.
const ED25519: [u8; 5] = [0x06, 0x03, 0x2b, 0x65, 0x70];
/// DER before a point of 32 bytes; some modules give the point alone.
const OCTETS: [u8; 2] = [0x04, 0x20];

/// An Ed25519 key whose private half stays on its token. Debug shows the public half only.
pub struct TokenKey {
    uri: Uri,
    kid: KeyId,
    jwk: Jwk,
    private: ObjectHandle,
    /// One act at a time goes over a session.
    session: Mutex<Session>,
}

impl std::fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TokenKey({})", self.kid)
    }
}

impl TokenKey {
    /// Opens the key of a URI.
    ///
    /// # Errors
    /// `CONFIG_INVALID` for a module that cannot be loaded, a PIN that is not given, or a label that two keys have;
    /// `DEVICE_UNAVAILABLE` where the token is not there or fails; `PIN_REFUSED` after one try; `KEY_UNKNOWN` where it has
    /// no such key; `KEY_FORM` for a key that is not Ed25519.
    pub fn open(uri: &Uri) -> R<TokenKey> {
        let session = session(uri, false)?;
        let private = the_private(&session, uri)?;
        let jwk = Jwk::ed25519(point(&session, private, uri)?);
        TokenKey::of(uri.clone(), jwk, private, session)
    }

    /// Makes a key on the token, which will never give its private half out.
    ///
    /// # Errors
    /// As [`TokenKey::open`]; `KEY_EXISTS` where the token has a key of this label.
    pub fn generate(uri: &Uri) -> R<TokenKey> {
        let session = session(uri, true)?;
        let told = |e: Error| fault(uri, &e);
        if !session.find_objects(&labelled(ObjectClass::PRIVATE_KEY, uri)).map_err(told)?.is_empty() {
            let sentence = format!("the token {} has a key {} already; choose another label", uri.token, uri.object);
            return Err(Refusal::new(Code::KeyExists, sentence));
        }
        let id = signing::signer::random::<16>()?.to_vec();
        let common = [Attribute::Token(true), Attribute::Label(uri.object.clone().into()), Attribute::Id(id)];
        let public = [Attribute::Private(false), Attribute::Verify(true), Attribute::EcParams(ED25519.to_vec())];
        let private = [
            Attribute::Private(true),
            Attribute::Sensitive(true),
            Attribute::Extractable(false),
            Attribute::Sign(true),
        ];
        let (public, private) = ([&common[..], &public].concat(), [&common[..], &private].concat());
        let made = session.generate_key_pair(&Mechanism::EccEdwardsKeyPairGen, &public, &private);
        let (_, private) = made.map_err(told)?;
        let jwk = Jwk::ed25519(point(&session, private, uri)?);
        TokenKey::of(uri.clone(), jwk, private, session)
    }

    fn of(uri: Uri, jwk: Jwk, private: ObjectHandle, session: Session) -> R<TokenKey> {
        // Asked first whatever the name: it refuses points that are none.
        let own = did::key_did(&jwk)?;
        let holder = uri.holder.as_ref().unwrap_or(&own);
        let kid = KeyId::new(holder.as_str(), jwk.thumbprint());
        Ok(TokenKey { uri, kid, jwk, private, session: Mutex::new(session) })
    }
}

fn labelled(class: ObjectClass, uri: &Uri) -> Vec<Attribute> {
    vec![Attribute::Class(class), Attribute::Token(true), Attribute::Label(uri.object.clone().into())]
}

fn form(uri: &Uri) -> Refusal {
    let sentence = format!(
        "the key {} of the token {} is not Ed25519; make one with: depa keys new pkcs11:…",
        uri.object, uri.token
    );
    Refusal::new(Code::KeyForm, sentence)
}

/// The one private key of the label.
fn the_private(session: &Session, uri: &Uri) -> R<ObjectHandle> {
    let told = |e: Error| fault(uri, &e);
    let found = session.find_objects(&labelled(ObjectClass::PRIVATE_KEY, uri)).map_err(told)?;
    let private = match found.as_slice() {
        [one] => *one,
        [] => {
            let sentence =
                format!("the token {} has no key {}; make it with: depa keys new pkcs11:…", uri.token, uri.object);
            return Err(Refusal::new(Code::KeyUnknown, sentence));
        }
        _ => {
            let sentence = format!("the token {} has several keys {}; give each a label", uri.token, uri.object);
            return Err(Refusal::new(Code::ConfigInvalid, sentence));
        }
    };
    let kind = session.get_attributes(private, &[AttributeType::KeyType]).map_err(told)?;
    if kind == [Attribute::KeyType(KeyType::EC_EDWARDS)] { Ok(private) } else { Err(form(uri)) }
}

/// The public half: it lies beside the private one, under the same id, or under the label where there is no id.
fn point(session: &Session, private: ObjectHandle, uri: &Uri) -> R<[u8; 32]> {
    let told = |e: Error| fault(uri, &e);
    let id = session.get_attributes(private, &[AttributeType::Id]).map_err(told)?.into_iter().find_map(|a| match a {
        Attribute::Id(id) if !id.is_empty() => Some(id),
        _ => None,
    });
    let beside = match id {
        Some(id) => vec![Attribute::Class(ObjectClass::PUBLIC_KEY), Attribute::Token(true), Attribute::Id(id)],
        None => labelled(ObjectClass::PUBLIC_KEY, uri),
    };
    let public = session.find_objects(&beside).map_err(told)?;
    let [public] = public.as_slice() else {
        let sentence = format!("the token {} keeps no one public half of the key {}", uri.token, uri.object);
        return Err(Refusal::new(Code::KeyForm, sentence));
    };
    let attributes = session.get_attributes(*public, &[AttributeType::EcPoint]).map_err(told)?;
    let bytes = attributes.into_iter().find_map(|attribute| match attribute {
        Attribute::EcPoint(bytes) => Some(bytes),
        _ => None,
    });
    // Of the Edwards curves that PKCS #11 knows, edwards25519 alone has points of 32 bytes.
    let bytes = bytes.ok_or_else(|| form(uri))?;
    let point = if bytes.len() == 34 { bytes.strip_prefix(&OCTETS) } else { Some(bytes.as_slice()) };
    point.and_then(|point| point.try_into().ok()).ok_or_else(|| form(uri))
}

impl Signer for TokenKey {
    fn kid(&self) -> &KeyId {
        &self.kid
    }
    fn jwk(&self) -> &Jwk {
        &self.jwk
    }
    fn sign_bytes(&self, message: &[u8]) -> R<[u8; 64]> {
        let session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        let pure = Mechanism::Eddsa(EddsaParams::new(EddsaSignatureScheme::Pure));
        let signature = session.sign(&pure, self.private, message).map_err(|e| fault(&self.uri, &e))?;
        let length = || {
            let sentence = format!("the token {} gave a signature of another length than Ed25519 has", self.uri.token);
            Refusal::new(Code::DeviceUnavailable, sentence)
        };
        let signature: [u8; 64] = signature.try_into().map_err(|_| length())?;
        // Public halves can often be written without a PIN: one that was put in place of another is found here.
        signing::check::verify_strict(&self.jwk, message, &signature).map_err(|_| {
            let sentence = format!(
                "the public half beside the key {} of the token {} is another key's; write the right one with the maker's tool",
                self.uri.object, self.uri.token
            );
            Refusal::new(Code::KeyForm, sentence)
        })?;
        Ok(signature)
    }
}
