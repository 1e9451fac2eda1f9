//! A session with a token: its module is loaded, the token found by its label, and its user logged in with one try.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::{Slot, TokenInfo};
use cryptoki::types::AuthPin;
use schemas::{Code, R, Refusal};
use signing::signer::read_private;

use crate::uri::Uri;

/// Modules in use: one is loaded and initialised once in a process.
static MODULES: Mutex<BTreeMap<PathBuf, Pkcs11>> = Mutex::new(BTreeMap::new());

/// Tokens that took no PIN in this process, by module and label: a command that names two of their keys asks once.
static REFUSED: Mutex<BTreeSet<(PathBuf, String)>> = Mutex::new(BTreeSet::new());

/// What a token says of an act that failed, by its short name.
pub(crate) fn fault(uri: &Uri, error: &Error) -> Refusal {
    Refusal::new(Code::DeviceUnavailable, format!("the token {} failed ({})", uri.token, why(error)))
}

fn why(error: &Error) -> String {
    match error {
        Error::Pkcs11(rv, function) => format!("{function}: {rv:?}"),
        Error::LibraryLoading(e) => e.to_string(),
        other => other.to_string(),
    }
}

/// A session of the token's user, for reading and signing, or for writing too.
///
/// # Errors
/// `CONFIG_INVALID` for a module that cannot be loaded, or a PIN that is not given; `DEVICE_UNAVAILABLE` where the token
/// is not there; `PIN_REFUSED`.
pub(crate) fn session(uri: &Uri, writes: bool) -> R<Session> {
    let module = module(&uri.module)?;
    let (slot, info) = slot(&module, uri)?;
    let session = if writes { module.open_rw_session(slot) } else { module.open_ro_session(slot) };
    let session = session.map_err(|e| fault(uri, &e))?;
    log_in(&session, &info, uri)?;
    Ok(session)
}

fn module(path: &Path) -> R<Pkcs11> {
    let mut modules = MODULES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(module) = modules.get(path) {
        return Ok(module.clone());
    }
    let unusable = |e: Error| {
        let sentence = format!(
            "the PKCS #11 module {} cannot be loaded ({}); install the one of the token's maker and name it in \
             module-path",
            path.display(),
            why(&e)
        );
        Refusal::new(Code::ConfigInvalid, sentence)
    };
    let module = Pkcs11::new(path).map_err(unusable)?;
    match module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
        // The same module under another name.
        Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => {}
        Err(e) => return Err(unusable(e)),
    }
    modules.insert(path.to_owned(), module.clone());
    Ok(module)
}

/// The one token of this label and, where it is named, serial number.
fn slot(module: &Pkcs11, uri: &Uri) -> R<(Slot, TokenInfo)> {
    let slots = module.get_slots_with_initialized_token().map_err(|e| fault(uri, &e))?;
    let tokens: Vec<_> = slots.into_iter().filter_map(|slot| Some((slot, module.get_token_info(slot).ok()?))).collect();
    let others: Vec<_> = tokens.iter().map(|(_, info)| info.label().to_owned()).collect();
    let wanted = |info: &TokenInfo| {
        info.label() == uri.token && uri.serial.as_ref().is_none_or(|serial| info.serial_number() == serial)
    };
    let mut found = tokens.into_iter().filter(|(_, info)| wanted(info));
    match (found.next(), found.next()) {
        (Some(one), None) => Ok(one),
        (Some(_), Some(_)) => {
            let sentence = format!("several tokens are called {}; say which with ;serial=…", uri.token);
            Err(Refusal::new(Code::ConfigInvalid, sentence))
        }
        (None, _) => {
            let there = if others.is_empty() { "none".to_owned() } else { others.join(", ") };
            let sentence = format!("the token {} is not there; its module sees: {there}. Plug it in", uri.token);
            Err(Refusal::new(Code::DeviceUnavailable, sentence))
        }
    }
}

/// Logs the user in. A wrong PIN is never tried again: tokens lock themselves after a few.
fn log_in(session: &Session, info: &TokenInfo, uri: &Uri) -> R<()> {
    let no = |why: &str| Err(Refusal::new(Code::PinRefused, format!("the token {} {why}", uri.token)));
    if info.user_pin_locked() {
        return no("is locked after wrong PINs; its administrator unlocks it with the maker's tool");
    }
    if info.user_pin_final_try() {
        return no("locks itself at the next wrong PIN, so none is tried; log in once with the maker's tool");
    }
    let this = (uri.module.clone(), format!("{} {}", uri.token, info.serial_number()));
    let mut refused = REFUSED.lock().unwrap_or_else(PoisonError::into_inner);
    if refused.contains(&this) {
        return no("did not take the PIN before; it is not tried twice");
    }
    match session.login(UserType::User, pin(info, uri)?.as_ref()) {
        // Two keys of one token in one command: the user is logged in for all sessions of the process.
        Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => Ok(()),
        Err(Error::Pkcs11(RvError::PinIncorrect | RvError::PinInvalid | RvError::PinLenRange, _)) => {
            refused.insert(this);
            no("does not take the PIN; it was tried once. Mend the file that pin-source names before the next try")
        }
        Err(Error::Pkcs11(RvError::PinLocked, _)) => {
            no("is locked after wrong PINs; its administrator unlocks it with the maker's tool")
        }
        Err(Error::Pkcs11(RvError::PinExpired | RvError::UserPinNotInitialized, _)) => {
            no("has no PIN that counts; set one with the maker's tool")
        }
        Err(e) => Err(fault(uri, &e)),
    }
}

/// The PIN of the file; none where it is typed on the token.
fn pin(info: &TokenInfo, uri: &Uri) -> R<Option<AuthPin>> {
    let refused = |why: &str| Err(Refusal::new(Code::ConfigInvalid, format!("PIN of the token {}: {why}", uri.token)));
    let Some(file) = &uri.pin else {
        if info.protected_authentication_path() {
            return Ok(None);
        }
        return refused("name a file that you alone may read: pin-source=file:/…");
    };
    let bytes = read_private("PIN file", file)?;
    match std::str::from_utf8(&bytes).map(|text| text.trim_end_matches(['\r', '\n'])) {
        // An empty one would still be counted as a wrong one.
        Ok("") => refused("its file is empty"),
        Ok(pin) => Ok(Some(AuthPin::from(pin))),
        Err(_) => refused("its file is not UTF-8"),
    }
}
