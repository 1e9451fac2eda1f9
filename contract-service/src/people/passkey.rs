//! Passkeys (WebAuthn Level 3) by webauthn-rs: user verification always, discoverable keys, counters that only rise.

use registry::{Ceremony, Person, StoredPasskey};
use schemas::R;
use schemas::id::{PasskeyId, PersonId};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use webauthn_rs::Webauthn;
use webauthn_rs::prelude::{
    AuthenticationResult, CredentialID, DiscoverableAuthentication, Passkey, PasskeyAuthentication,
    PasskeyRegistration, PublicKeyCredential, RegisterPublicKeyCredential, Url, WebauthnBuilder,
};

use super::secret::Secret;
use super::{refused, trail};
use crate::app::App;
use crate::call::Call;
use crate::error::fault;

/// A challenge counts for this long.
pub const CHALLENGE_SECONDS: i64 = 5 * 60;

/// The relying party: its id is the host of the service's URL, its origin the URL.
pub struct Rp {
    webauthn: Webauthn,
    origin: String,
}

/// A registration that has begun.
pub struct Begun {
    /// For the browser.
    pub options: Value,
    /// For the registry.
    pub state: String,
}

impl Rp {
    /// The relying party of this URL; none where its host is an address, which WebAuthn does not allow.
    pub fn new(url: &str) -> R<Option<Rp>> {
        let origin = Url::parse(url).map_err(fault)?;
        let Some(host) = origin.domain().map(str::to_owned) else {
            return Ok(None);
        };
        let rp = WebauthnBuilder::new(&host, &origin).map_err(fault)?.rp_name("DEPA contract service").build();
        Ok(Some(Rp { webauthn: rp.map_err(fault)?, origin: origin.origin().ascii_serialization() }))
    }

    /// Begins the registration of a new passkey; those that the person has are not offered again. Where it is kept it is
    /// called by `account`, and its holder by `name`.
    pub fn begin_new(&self, holder: &PersonId, account: &str, name: &str, own: &[StoredPasskey]) -> R<Begun> {
        let uuid = uuid_of(holder)?;
        let known: Vec<CredentialID> = own.iter().map(|passkey| passkey.credential.clone()).collect();
        let (options, state) =
            self.webauthn.start_passkey_registration(uuid, account, name, Some(known)).map_err(fault)?;
        let mut options = serde_json::to_value(options).map_err(fault)?;
        // Signing in names nobody beforehand, so the authenticator must find the key by itself.
        options["publicKey"]["authenticatorSelection"]["residentKey"] = json!("required");
        options["publicKey"]["authenticatorSelection"]["requireResidentKey"] = json!(true);
        Ok(Begun { options, state: serde_json::to_string(&state).map_err(fault)? })
    }

    /// Ends a registration: origin, relying party, challenge, user verification and self-signature are right.
    pub fn end_new(&self, state: &str, credential: Value) -> Result<Passkey, String> {
        let state: PasskeyRegistration = kept(state)?;
        let credential: RegisterPublicKeyCredential = read(credential)?;
        self.page(&credential.response.client_data_json)?;
        self.webauthn.finish_passkey_registration(&credential, &state).map_err(|e| format!("{e:?}"))
    }

    /// Begins a sign-in of somebody who is not named yet.
    pub fn begin_sign_in(&self) -> R<Begun> {
        let (options, state) = self.webauthn.start_discoverable_authentication().map_err(fault)?;
        let mut options = serde_json::to_value(options).map_err(fault)?;
        // The page decides whether it offers passkeys in a form field or by a button.
        options.as_object_mut().map(|members| members.remove("mediation"));
        Ok(Begun { options, state: serde_json::to_string(&state).map_err(fault)? })
    }

    /// Begins a fresh assertion of somebody who is signed in.
    pub fn begin_step_up(&self, own: &[StoredPasskey]) -> R<Begun> {
        let own = own.iter().map(|passkey| serde_json::from_str(&passkey.passkey).map_err(fault));
        let (options, state) =
            self.webauthn.start_passkey_authentication(&own.collect::<R<Vec<_>>>()?).map_err(fault)?;
        let (options, state) = (serde_json::to_value(options).map_err(fault)?, serde_json::to_string(&state));
        Ok(Begun { options, state: state.map_err(fault)? })
    }

    /// The page that asked was this service's own, and not framed by another: the library does not judge the frame
    /// when somebody signs in.
    fn page(&self, client_data: &[u8]) -> Result<(), String> {
        let data: Value = serde_json::from_slice(client_data).map_err(|_| "unreadable client data")?;
        let framed =
            data.get("crossOrigin").is_some_and(|framed| *framed != json!(false)) || data.get("topOrigin").is_some();
        match data.get("origin").and_then(Value::as_str) {
            Some(origin) if origin == self.origin && !framed => Ok(()),
            _ => Err("the page was not the service's own".into()),
        }
    }

    fn end_sign_in(&self, state: &str, credential: &PublicKeyCredential, key: &Passkey) -> Result<Outcome, String> {
        let state: DiscoverableAuthentication = kept(state)?;
        self.page(&credential.response.client_data_json)?;
        self.webauthn.finish_discoverable_authentication_v2(credential, state, key).map_err(|e| format!("{e:?}"))
    }

    fn end_step_up(&self, state: &str, credential: &PublicKeyCredential) -> Result<Outcome, String> {
        let state: PasskeyAuthentication = kept(state)?;
        self.page(&credential.response.client_data_json)?;
        self.webauthn.finish_passkey_authentication(credential, &state).map_err(|e| format!("{e:?}"))
    }
}

type Outcome = AuthenticationResult;

/// A passkey that proved itself just now, with its counter moved on, and whose it is.
pub struct Proven {
    /// The person.
    pub person: Person,
    /// What the registry is to keep of the use.
    pub used: StoredPasskey,
}

/// What an assertion is for.
#[derive(Clone, Copy)]
pub enum Purpose<'a> {
    /// Somebody who says only now who it is.
    SignIn,
    /// This person again.
    StepUp(&'a PersonId),
}

/// Judges an assertion. Every refusal is the same to the caller; the reason is for the trail.
pub fn prove(app: &App, ceremony: &Ceremony, credential: Value, purpose: Purpose) -> R<Result<Proven, String>> {
    let rp = app.people.passkeys()?;
    let credential: PublicKeyCredential = match read(credential) {
        Ok(credential) => credential,
        Err(reason) => return Ok(Err(reason)),
    };
    let Some((stored, person)) = app.registry.passkey(&credential.raw_id)? else {
        return Ok(Err("no such passkey".into()));
    };
    let whose = credential.response.user_handle.as_deref();
    let named = whose == Some(uuid_of(&person.person_id)?.as_bytes().as_slice());
    let mut key: Passkey = serde_json::from_str(&stored.passkey).map_err(fault)?;
    let (fits, outcome) = match purpose {
        Purpose::SignIn => (named, rp.end_sign_in(&ceremony.state, &credential, &key)),
        Purpose::StepUp(holder) => {
            let same = *holder == person.person_id && (named || whose.is_none());
            // The key as it was when the assertion was asked for carries the counter of then; today's is compared too.
            (same, rp.end_step_up(&ceremony.state, &credential).and_then(|outcome| risen(&key, outcome)))
        }
    };
    if !fits {
        return Ok(Err("the passkey is somebody else's".into()));
    }
    let outcome = match outcome {
        Ok(outcome) if outcome.user_verified() => outcome,
        Ok(_) => return Ok(Err("the user was not verified".into())),
        Err(reason) => return Ok(Err(reason)),
    };
    if person.suspended_at.is_some() {
        return Ok(Err("the person is suspended".into()));
    }
    key.update_credential(&outcome);
    let passkey = serde_json::to_string(&key).map_err(fault)?;
    Ok(Ok(Proven { person, used: StoredPasskey { passkey, ..stored } }))
}

/// The counter that a passkey as it is kept has seen.
fn counter(key: &Passkey) -> Option<u64> {
    serde_json::to_value(key).ok()?.get("cred")?.get("counter")?.as_u64()
}

fn risen(key: &Passkey, outcome: Outcome) -> Result<Outcome, String> {
    let seen = counter(key).ok_or("a passkey without counter")?;
    let now = u64::from(outcome.counter());
    if (now > 0 || seen > 0) && now <= seen { Err("the counter did not rise".into()) } else { Ok(outcome) }
}

/// A new passkey as the registry keeps it.
pub fn stored(app: &App, passkey: &Passkey, label: &str) -> R<StoredPasskey> {
    let now = app.now();
    Ok(StoredPasskey {
        passkey_id: PasskeyId::new(crate::ids::uuid(now)?),
        credential: passkey.cred_id().to_vec(),
        label: super::enrol::name(label, "label")?,
        passkey: serde_json::to_string(passkey).map_err(fault)?,
        uses: 0,
        created_at: now,
        last_used_at: None,
    })
}

/// Keeps a challenge and gives it to the browser.
pub fn ask(app: &App, kind: &str, subject: Option<String>, begun: Begun) -> R<schemas::person::Ceremony> {
    let (secret, now) = (Secret::draw()?, app.now());
    let expires_at = now.plus_seconds(CHALLENGE_SECONDS);
    let id = secret.text().to_owned();
    let ceremony = Ceremony { id: id.clone(), kind: kind.into(), subject, state: begun.state, expires_at };
    app.registry.begin_ceremony(&ceremony, now)?;
    Ok(schemas::person::Ceremony { challenge_id: id, options: begun.options })
}

/// The outcome of a proof for the caller: refused in one way, with the reason in the trail.
pub fn judged(act: trail::Act, call: &Call, person: Option<&PersonId>, proof: R<Result<Proven, String>>) -> R<Proven> {
    let (outcome, reason) = match proof {
        Ok(Ok(proven)) => return Ok(proven),
        Ok(Err(reason)) => (Err(refused()), reason),
        Err(refusal) => (Err(refusal), String::new()),
    };
    trail::write(act, "passkey", call, person, &outcome, &reason);
    outcome
}

fn uuid_of(person: &PersonId) -> R<uuid::Uuid> {
    uuid::Uuid::parse_str(person.as_str().trim_start_matches("usr_")).map_err(fault)
}

fn kept<T: DeserializeOwned>(state: &str) -> Result<T, String> {
    serde_json::from_str(state).map_err(|_| "a kept challenge cannot be read".to_owned())
}

fn read<T: DeserializeOwned>(credential: Value) -> Result<T, String> {
    serde_json::from_value(credential).map_err(|_| "the credential is not in the form of WebAuthn".to_owned())
}
