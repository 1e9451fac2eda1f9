//! What the transparency service says about itself: keys, configuration, parameters, issuers.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ciborium::Value;
use policies::lifecycle::ParticipantState;
use schemas::id::Did;
use schemas::{Code, R, Refusal};
use serde_json::json;
use signing::{cbor, cose};

use super::CBOR;
use super::client::Client;
use crate::app::App;
use crate::call::{Answer, Call, JSON};

/// Keys of receipts as COSE_Key_Set: the log's Ed25519 keys (vds 1), the one in use first, and the ES256 key (vds 2).
/// A key that was replaced stays: receipts that it signed verify with it.
pub fn keys(app: &App, _: &Call) -> R<Answer> {
    let all = key_list(app)?.into_iter().map(|(_, key)| key).collect();
    Ok(Answer::of(200, CBOR, "no-cache", cbor::write(&Value::Array(all))?))
}

/// One key by its kid: base64url, hex, or as it stands.
pub fn key(app: &App, call: &Call) -> R<Answer> {
    let asked = call.params.get("kid").map_or("", String::as_str);
    let names = |kid: &[u8]| {
        let hex: String = kid.iter().map(|byte| format!("{byte:02x}")).collect();
        asked.as_bytes() == kid || asked == hex || asked == URL_SAFE_NO_PAD.encode(kid)
    };
    let found = key_list(app)?.into_iter().find(|(kid, _)| names(kid));
    let unknown = || Refusal::new(Code::NotFound, "there is no key of this name");
    let answer = found.ok_or_else(unknown).and_then(|(_, key)| cbor::write(&key));
    Client::Scrapi.told(answer.map(|key| Answer::of(200, CBOR, "no-cache", key)))
}

fn key_list(app: &App) -> R<Vec<(Vec<u8>, Value)>> {
    let state = app.registry.state();
    let mut all = Vec::new();
    for key in state.registry_keys().iter().rev() {
        all.push((cose::thumbprint(&key.jwk)?.0.to_vec(), &key.jwk));
    }
    all.push((app.receipt_key.kid().as_bytes().to_vec(), app.receipt_key.key().jwk()));
    Ok(all.into_iter().map(|(kid, jwk)| (kid.clone(), cose::cose_key(jwk, &kid))).collect())
}

/// The transparency configuration (SCRAPI): CBOR, or JSON where Accept asks for it.
pub fn configuration(app: &App, call: &Call) -> R<Answer> {
    let url = app.url();
    let members = [
        ("issuer", url.to_owned()),
        ("jwks_uri", format!("{url}/jwks")),
        ("keys_uri", format!("{url}/.well-known/scitt-keys")),
        ("registration_endpoint", format!("{url}/entries")),
    ];
    if call.header("accept").is_some_and(|accept| accept.contains(JSON)) {
        let map: serde_json::Map<_, _> = members.into_iter().map(|(k, v)| (k.to_owned(), json!(v))).collect();
        return Answer::ok(&map);
    }
    let map = members.into_iter().map(|(k, v)| (Value::Text(k.into()), Value::Text(v))).collect();
    Ok(Answer::of(200, CBOR, "no-cache", cbor::write(&Value::Map(map))?))
}

/// The service as pyscitt trusts it: the certificate's key verifies receipts.
pub fn parameters(app: &App, _: &Call) -> R<Answer> {
    Answer::ok(&json!({
        "serviceId": app.receipt_key.kid(), "treeAlgorithm": "CCF", "signatureAlgorithm": "ES256",
        "serviceCertificate": STANDARD.encode(app.receipt_key.certificate()),
    }))
}

/// The same, as a list of all parameters that ever were.
pub fn parameters_historic(app: &App, call: &Call) -> R<Answer> {
    let now: serde_json::Value = serde_json::from_slice(&parameters(app, call)?.body).map_err(crate::error::fault)?;
    Answer::ok(&json!({"parameters": [now]}))
}

/// Keys of receipts as JWK set; the kid of the ES256 key is the one in receipts.
pub fn jwks(app: &App, _: &Call) -> R<Answer> {
    let named = |jwk: &schemas::jwk::Jwk, kid: &str, alg: &str| -> R<serde_json::Value> {
        let mut key = serde_json::to_value(jwk).map_err(crate::error::fault)?;
        key["kid"] = json!(kid);
        key["alg"] = json!(alg);
        key["use"] = json!("sig");
        Ok(key)
    };
    let mut keys = vec![named(app.receipt_key.key().jwk(), app.receipt_key.kid(), "ES256")?];
    for key in app.registry.state().registry_keys().iter().rev() {
        keys.push(named(&key.jwk, &key.thumbprint(), "EdDSA")?);
    }
    Answer::ok(&json!({"keys": keys}))
}

/// The version of this service.
pub fn version(_: &App, _: &Call) -> R<Answer> {
    Answer::ok(&json!({"version": env!("CARGO_PKG_VERSION"), "scitt_version": env!("CARGO_PKG_VERSION")}))
}

/// The service's time, in seconds.
pub fn time(app: &App, _: &Call) -> R<Answer> {
    Answer::ok(&json!({"time": app.now().seconds()}))
}

/// What statements may look like, in the words of the contract ledger.
pub fn policy(app: &App, _: &Call) -> R<Answer> {
    let algorithms = ["ES256", "ES384", "ES512", "PS256", "PS384", "PS512", "EdDSA"];
    Answer::ok(&json!({
        "policy": {"accepted_algorithms": algorithms, "accepted_did_issuers": []},
        "authentication": {"jwt": {"required_claims": {}}, "allow_unauthenticated": true},
        "service_identifier": app.did(),
    }))
}

/// The issuers whose statements count: participants that are verified now.
pub fn issuers(app: &App, _: &Call) -> R<Answer> {
    let state = app.registry.state();
    let verified = state.participants().filter(|(_, row)| row.state == ParticipantState::Verified);
    let all: Vec<&Did> = verified.map(|(did, _)| did).collect();
    Answer::ok(&json!({"issuers": all}))
}

/// The DID document of an issuer, made of the key it is registered with.
pub fn issuer(app: &App, call: &Call) -> R<Answer> {
    let unknown = || Refusal::new(Code::NotFound, "there is no such issuer");
    let found = call.param::<Did>("did").map_err(|_| unknown()).and_then(|did| {
        let state = app.registry.state();
        let row = state.participant(&did).ok_or_else(unknown)?;
        Answer::ok(&signing::did::web_document(&did, &row.participant.jwk))
    });
    Client::Ledger.told(found)
}
