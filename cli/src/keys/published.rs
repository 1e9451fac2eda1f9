//! A registry's ES256 key as it publishes it: a JWK with `kid`, `alg` and `use` (RFC 7517 4), alone or in a set. What is
//! said beside the key is checked, not believed.

use schemas::jwk::{EcCurve, Jwk};
use schemas::{Code, R, Refusal, canonical};
use serde_json::{Map, Value};

/// What may stand beside the key; the private member of an EC key may not.
const BESIDE: [&str; 7] = ["kid", "alg", "use", "key_ops", "x5c", "x5t#S256", "ext"];

/// The ES256 key of a JWK, or the only one of a set. Refused with `KEY_FORM`: a key of another kind, one for another
/// use or algorithm, a private one, and one whose `kid` is another key's.
pub fn receipt_key(bytes: &[u8]) -> R<Jwk> {
    let value = canonical::parse_value(bytes)?;
    let Some(keys) = value.get("keys").and_then(Value::as_array) else { return key(&value) };
    let es256 =
        |key: &&Value| key.get("alg").map_or(key.get("kty"), Some).is_some_and(|it| it == "ES256" || it == "EC");
    match keys.iter().filter(es256).collect::<Vec<_>>().as_slice() {
        [one] => key(one),
        found => Err(bad(format!("a set with one ES256 key is expected; this one has {}", found.len()))),
    }
}

fn bad(sentence: impl Into<String>) -> Refusal {
    Refusal::new(Code::KeyForm, sentence)
}

fn key(value: &Value) -> R<Jwk> {
    let members = value.as_object().ok_or_else(|| bad("a JWK is a JSON object"))?;
    let (beside, bare): (Map<String, Value>, Map<String, Value>) =
        members.clone().into_iter().partition(|(name, _)| BESIDE.contains(&name.as_str()));
    let jwk: Jwk = serde_json::from_value(Value::Object(bare)).map_err(|e| bad(format!("no public JWK: {e}")))?;
    if !matches!(jwk, Jwk::Ec { crv: EcCurve::P256, .. }) {
        return Err(bad("receipts over the second tree are signed with an ES256 key (EC, P-256)"));
    }
    let says = |name: &str, wanted: &str| beside.get(name).is_none_or(|it| it == wanted);
    let verifies = |ops: &Value| ops.as_array().is_some_and(|ops| ops.iter().any(|op| op == "verify"));
    if !says("alg", "ES256") || !says("use", "sig") || !beside.get("key_ops").is_none_or(verifies) {
        return Err(bad("the JWK is for another use or algorithm than ES256 signatures"));
    }
    let own = [signing::ec_key::ccf_kid(&jwk)?, jwk.thumbprint()];
    match beside.get("kid") {
        Some(kid) if !own.iter().any(|id| kid == id) => Err(bad("the kid is that of another key").at("kid")),
        _ => Ok(jwk),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The key of RFC 7517 appendix A.1, with what a registry says beside it.
    fn published() -> Value {
        let mut key = json!({"kty": "EC", "crv": "P-256", "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
            "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM", "use": "sig", "alg": "ES256"});
        let jwk = receipt_key(key.to_string().as_bytes()).unwrap();
        key["kid"] = json!(signing::ec_key::ccf_kid(&jwk).unwrap());
        key
    }

    fn read(value: &Value) -> R<Jwk> {
        receipt_key(value.to_string().as_bytes())
    }

    #[test]
    fn a_key_is_read_as_it_is_published() {
        let key = published();
        let bare = json!({"kty": "EC", "crv": "P-256", "x": key["x"], "y": key["y"]});
        let jwk = read(&bare).unwrap();
        assert_eq!(read(&key).unwrap(), jwk);
        let mut named = key.clone();
        named["kid"] = json!(jwk.thumbprint());
        assert_eq!(read(&named).unwrap(), jwk);
        let other =
            json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "alg": "EdDSA"});
        assert_eq!(read(&json!({"keys": [key, other]})).unwrap(), jwk);
    }

    #[test]
    fn what_is_said_beside_a_key_must_be_true() {
        for (member, wrong) in [
            ("kid", json!("somebody-elses")),
            ("alg", json!("ES384")),
            ("use", json!("enc")),
            ("key_ops", json!(["sign"])),
            ("d", json!("870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE")),
            ("crv", json!("P-384")),
            ("colour", json!("red")),
        ] {
            let mut spoilt = published();
            spoilt[member] = wrong;
            assert_eq!(read(&spoilt).unwrap_err().code, Code::KeyForm, "{member}");
        }
        let two = json!({"keys": [published(), published()]});
        assert_eq!(read(&two).unwrap_err().code, Code::KeyForm, "which of the two?");
        assert_eq!(read(&json!({"keys": []})).unwrap_err().code, Code::KeyForm);
    }
}
